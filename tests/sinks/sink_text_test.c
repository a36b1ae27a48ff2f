/* tests/sinks/sink_text_test.c - paragraphs by speaker. */
#include "tests/sinks/sink_fixture.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void send_final(struct sink_fixture *f, double t0_s, double t1_s, const char *speaker,
                       const char *text)
{
    assert_int_equal(
        sink_fixture_send(f, sink_fixture_event(f, WD_EVENT_FINAL, t0_s, t1_s, speaker, text)), 0);
}

static void a_paragraph_is_one_speakers_turn(void **state)
{
    struct sink_fixture f;
    (void)state;

    sink_fixture_open(&f, "text", NULL);
    send_final(&f, 0, 2, "spk_1", "good  morning\n");
    send_final(&f, 2.5, 4, "spk_1", "how are you");
    send_final(&f, 4, 5, "spk_2", "fine");
    send_final(&f, 10, 12, "spk_2", "after a while");
    send_final(&f, 12, 13, NULL, "who knows");
    sink_fixture_close_sink(&f);
    assert_string_equal(sink_fixture_content(&f, "out"),
                        "spk_1: good morning how are you\n\nspk_2: fine\n\n"
                        "spk_2: after a while\n\nwho knows\n");
    sink_fixture_done(&f);
}

static void times_and_streams_are_told_where_wanted(void **state)
{
    struct sink_fixture f;
    struct wd_event *e;
    (void)state;

    sink_fixture_open(&f, "text", (const char *const[]){"times", "true", NULL});
    send_final(&f, 3661, 3662, "spk_1", "hello");
    e = sink_fixture_event(&f, WD_EVENT_FINAL, 3662, 3663, "spk_1", "over here");
    e->stream = "hall";
    e->speaker.name = "Anna";
    sink_fixture_send(&f, e);
    sink_fixture_close_sink(&f);
    assert_string_equal(sink_fixture_content(&f, "out"),
                        "[01:01:01] spk_1: hello\n\n[01:01:02] (hall) Anna: over here\n");
    sink_fixture_done(&f);
}

static void a_terminal_that_shows_the_file_is_safe(void **state)
{
    struct sink_fixture f;
    (void)state;

    sink_fixture_open(&f, "text", NULL);
    send_final(&f, 0, 1, "spk\x1b[2J", "a\x1b]0;title\x07 b\xff \xc2\x9b");
    send_final(&f, 1, 2, "spk_2", " \n ");
    sink_fixture_close_sink(&f);
    assert_string_equal(
        sink_fixture_content(&f, "out"),
        "spk\xef\xbf\xbd[2J: a\xef\xbf\xbd]0;title\xef\xbf\xbd b\xef\xbf\xbd \xef\xbf\xbd\n");
    sink_fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_paragraph_is_one_speakers_turn),
        cmocka_unit_test(times_and_streams_are_told_where_wanted),
        cmocka_unit_test(a_terminal_that_shows_the_file_is_safe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
