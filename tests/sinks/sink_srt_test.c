/* tests/sinks/sink_srt_test.c - SubRip files, whole after every event. */
#include "tests/sinks/sink_fixture.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int send_final(struct sink_fixture *f, double t0_s, double t1_s, const char *speaker,
                      const char *text)
{
    return sink_fixture_send(f, sink_fixture_event(f, WD_EVENT_FINAL, t0_s, t1_s, speaker, text));
}

static void finals_become_numbered_cues(void **state)
{
    struct sink_fixture f;
    (void)state;

    sink_fixture_open(&f, "srt", NULL);
    assert_string_equal(sink_fixture_content(&f, "out"), "");
    send_final(&f, 1.5, 3.25, "spk_1", "good morning");
    assert_string_equal(sink_fixture_content(&f, "out"),
                        "1\n00:00:01,500 --> 00:00:03,250\nspk_1: good morning\n\n");
    sink_fixture_send(&f, sink_fixture_event(&f, WD_EVENT_PARTIAL, 4, 5, NULL, "not yet"));
    send_final(&f, 3600 + 60 + 1.001, 3600 + 62, NULL, "still here");
    assert_string_equal(sink_fixture_content(&f, "out"),
                        "1\n00:00:01,500 --> 00:00:03,250\nspk_1: good morning\n\n"
                        "2\n01:01:01,001 --> 01:01:02,000\nstill here\n\n");
    sink_fixture_done(&f);
}

static void speakers_at_the_same_time_take_turns(void **state)
{
    struct sink_fixture f;
    (void)state;

    sink_fixture_open(&f, "srt", NULL);
    send_final(&f, 0, 4, "spk_1", "a longer remark");
    send_final(&f, 1, 2, "spk_2", "yes");
    assert_non_null(strstr(sink_fixture_content(&f, "out"),
                           "2\n00:00:04,000 --> 00:00:04,500\nspk_2: yes\n\n"));
    sink_fixture_done(&f);
}

static void text_cannot_forge_a_cue(void **state)
{
    struct sink_fixture f;
    (void)state;

    sink_fixture_open(&f, "srt", NULL);
    send_final(&f, 0, 4, "spk\n1 -->", "good\n\n7\n00:00:00,000 --> 00:00:01,000\nevil");
    assert_string_equal(sink_fixture_content(&f, "out"),
                        "1\n00:00:00,000 --> 00:00:04,000\n"
                        "spk 1 -- : good 7 00:00:00,000 \xe2\x86\x92\n"
                        "00:00:01,000 evil\n\n");
    sink_fixture_done(&f);
}

static void after_hup_the_new_file_begins_with_cue_one(void **state)
{
    struct sink_fixture f;
    char moved[128];
    (void)state;

    sink_fixture_open(&f, "srt", NULL);
    send_final(&f, 0, 1, NULL, "old");
    snprintf(moved, sizeof moved, "%s/old", f.dir);
    rename(f.path, moved);
    f.type->reopen(f.sink);
    send_final(&f, 8, 9, NULL, "new");
    assert_string_equal(sink_fixture_content(&f, "out"),
                        "1\n00:00:08,000 --> 00:00:09,000\nnew\n\n");
    f.type->reopen(f.sink); /* not moved: goes on */
    send_final(&f, 9, 10, NULL, "more");
    assert_non_null(strstr(sink_fixture_content(&f, "out"), "\n\n2\n00:00:09,000"));
    sink_fixture_done(&f);
}

static void what_was_refused_keeps_its_number(void **state)
{
    struct sink_fixture f;
    (void)state;

    sink_fixture_open(&f, "srt", (const char *const[]){"path", "/dev/full", NULL});
    assert_int_equal(send_final(&f, 0, 1, NULL, "first"), -ENOSPC);
    assert_int_equal(send_final(&f, 0, 1, NULL, "first"), -ENOSPC);
    sink_fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finals_become_numbered_cues),
        cmocka_unit_test(speakers_at_the_same_time_take_turns),
        cmocka_unit_test(text_cannot_forge_a_cue),
        cmocka_unit_test(after_hup_the_new_file_begins_with_cue_one),
        cmocka_unit_test(what_was_refused_keeps_its_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
