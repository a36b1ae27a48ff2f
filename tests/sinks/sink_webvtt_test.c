/* tests/sinks/sink_webvtt_test.c - WebVTT files, whole after every event. */
#include "tests/sinks/sample_events.h"
#include "tests/sinks/sink_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void a_file_without_cues_is_valid_too(void **state)
{
    struct sink_fixture f;
    (void)state;

    sink_fixture_open(&f, "webvtt", NULL);
    sink_fixture_close_sink(&f);
    assert_string_equal(sink_fixture_content(&f, "out"), "WEBVTT\n\n");
    sink_fixture_done(&f);
}

static void a_cue_is_in_its_speakers_voice(void **state)
{
    struct sink_fixture f;
    struct wd_event *e;
    (void)state;

    sink_fixture_open(&f, "webvtt", NULL);
    e = sink_fixture_event(&f, WD_EVENT_FINAL, 1, 2.5, "spk_1", "good morning");
    e->speaker.name = "Anna & <Bob>";
    sink_fixture_send(&f, e);
    sink_fixture_send(&f, sink_fixture_event(&f, WD_EVENT_FINAL, 3, 4, NULL, "a --> b <i>&amp;"));
    assert_string_equal(sink_fixture_content(&f, "out"),
                        "WEBVTT\n\n"
                        "00:00:01.000 --> 00:00:02.500\n<v Anna &amp; &lt;Bob&gt;>good morning\n\n"
                        "00:00:03.000 --> 00:00:04.000\na --&gt; b &lt;i&gt;&amp;amp;\n\n");
    sink_fixture_done(&f);
}

/* Reads the file as a player would: blocks parted by one empty line, times that only go forward. */
static void assert_is_webvtt(const char *text)
{
    long long last = 0;

    assert_memory_equal(text, "WEBVTT\n\n", 8);
    for (text += 8; *text;) {
        int h0, m0, s0, f0, h1, m1, s1, f1, n = 0;
        const char *end = strstr(text, "\n\n");
        long long t0, t1;

        assert_int_equal(sscanf(text, "%d:%2d:%2d.%3d --> %d:%2d:%2d.%3d%n", &h0, &m0, &s0, &f0,
                                &h1, &m1, &s1, &f1, &n),
                         8);
        t0 = ((h0 * 60LL + m0) * 60 + s0) * 1000 + f0;
        t1 = ((h1 * 60LL + m1) * 60 + s1) * 1000 + f1;
        assert_true(t0 >= last && t1 > t0);
        last = t1;
        assert_int_equal(text[n], '\n');
        assert_non_null(end);
        text += n;
        for (; text < end; text++)
            assert_true(*text == '\n' || ((unsigned char)*text >= ' ' && *text != 0x7f));
        text += 2;
    }
}

static void hostile_events_leave_a_valid_file(void **state)
{
    struct sink_fixture f;
    (void)state;

    sink_fixture_open(&f, "webvtt", NULL);
    for (int i = 0; i < SAMPLE_N_FILLINGS; i++)
        for (int k = 0; k < WD_EVENT_N_KINDS; k++) {
            sink_fixture_send(&f,
                              sample_event(f.pool, (enum wd_event_kind)k, (enum sample_filling)i));
            assert_is_webvtt(sink_fixture_content(&f, "out"));
        }
    sink_fixture_done(&f);
}

static void after_hup_the_new_file_has_its_header(void **state)
{
    struct sink_fixture f;
    char moved[128];
    (void)state;

    sink_fixture_open(&f, "webvtt", NULL);
    snprintf(moved, sizeof moved, "%s/old", f.dir);
    rename(f.path, moved);
    f.type->reopen(f.sink);
    sink_fixture_send(&f, sink_fixture_event(&f, WD_EVENT_FINAL, 1, 2, NULL, "new"));
    assert_string_equal(sink_fixture_content(&f, "out"),
                        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nnew\n\n");
    assert_string_equal(sink_fixture_content(&f, "old"), "WEBVTT\n\n");
    sink_fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_without_cues_is_valid_too),
        cmocka_unit_test(a_cue_is_in_its_speakers_voice),
        cmocka_unit_test(hostile_events_leave_a_valid_file),
        cmocka_unit_test(after_hup_the_new_file_has_its_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
