/* tests/pipeline/sources_test.c - the table of source types, and what a bare url is for. */
#include "pipeline/sources.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void every_type_is_found_by_its_name_and_whole(void **state)
{
    size_t n = 0;

    (void)state;
    for (const struct wd_source_type *const *t = wd_sources(); *t; t++, n++) {
        void *opts = calloc(1, (*t)->size);

        assert_non_null(opts);
        assert_ptr_equal(wd_source_type_find((*t)->name), *t);
        assert_non_null((*t)->help);
        assert_non_null((*t)->run);
        assert_non_null((*t)->pace);
        assert_int_equal(wd_opt_defaults((*t)->opts, opts, NULL), 0);
        wd_opt_done((*t)->opts, opts);
        free(opts);
    }
    assert_int_equal(n, 3);
    assert_null(wd_source_type_find("ffmpe"));
    assert_null(wd_source_type_find(""));
}

static const char *guess(const char *url)
{
    return wd_source_guess(url)->name;
}

static void a_bare_url_finds_its_type(void **state)
{
    (void)state;
    assert_string_equal(guess("meeting.mkv"), "ffmpeg");
    assert_string_equal(guess("/a b/c.wav"), "ffmpeg");
    assert_string_equal(guess("-"), "ffmpeg");
    assert_string_equal(guess(""), "ffmpeg");
    assert_string_equal(guess("https://example.org/live.m3u8"), "ffmpeg");
    assert_string_equal(guess("rtmp://example.org/live"), "ffmpeg");
    assert_string_equal(guess("rtsp://camera/1"), "gstreamer");
    assert_string_equal(guess("RTSP://camera/1"), "gstreamer");
    assert_string_equal(guess("v4l2:///dev/video0"), "gstreamer");
    assert_string_equal(guess("audiotestsrc ! audioconvert"), "gstreamer");
    assert_string_equal(guess("mic"), "portaudio");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_found_by_its_name_and_whole),
        cmocka_unit_test(a_bare_url_finds_its_type),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
