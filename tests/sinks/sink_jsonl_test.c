/* tests/sinks/sink_jsonl_test.c - whole lines in a file that may be moved away, or have no room. */
#include "tests/sinks/sample_events.h"
#include "tests/sinks/sink_fixture.h"
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static int send_final(struct sink_fixture *f, const char *text)
{
    return sink_fixture_send(f, sink_fixture_event(f, WD_EVENT_FINAL, 1, 2, "spk_1", text));
}

/* Every line is an object; returns how many, and the text of the last. */
static int count_lines(const char *content, char last[64])
{
    int n = 0;

    for (const char *line = content, *end; *line; line = end + 1, n++) {
        json_t *j;

        end = strchr(line, '\n');
        assert_non_null(end);
        j = json_loadb(line, (size_t)(end - line), 0, NULL);
        assert_true(json_is_object(j));
        if (json_object_get(j, "text"))
            snprintf(last, 64, "%s", json_string_value(json_object_get(j, "text")));
        json_decref(j);
    }
    return n;
}

static void each_event_is_in_the_file_at_once_as_one_line(void **state)
{
    struct sink_fixture f;
    char last[64];
    (void)state;

    sink_fixture_open(&f, "jsonl", NULL);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(send_final(&f, i < 3 ? "one" : "three"), 0);
        assert_int_equal(count_lines(sink_fixture_content(&f, "out"), last), i);
    }
    assert_string_equal(last, "three");
    sink_fixture_done(&f);
}

static void every_kind_and_filling_is_a_line(void **state)
{
    struct sink_fixture f;
    char last[64];
    int n = 0;
    (void)state;

    sink_fixture_open(&f, "jsonl", (const char *const[]){"sync", "true", NULL});
    for (int k = 0; k < WD_EVENT_N_KINDS; k++)
        for (int i = 0; i < SAMPLE_LONG; i++, n++)
            assert_int_equal(sink_fixture_send(&f, sample_event(f.pool, (enum wd_event_kind)k,
                                                                (enum sample_filling)i)),
                             0);
    f.type->flush(f.sink);
    assert_int_equal(count_lines(sink_fixture_content(&f, "out"), last), n);
    sink_fixture_done(&f);
}

static void after_hup_lines_go_to_the_new_file(void **state)
{
    struct sink_fixture f;
    char moved[128], last[64];
    (void)state;

    sink_fixture_open(&f, "jsonl", NULL);
    send_final(&f, "before");
    snprintf(moved, sizeof moved, "%s/out.1", f.dir);
    assert_int_equal(rename(f.path, moved), 0);
    f.type->reopen(f.sink);
    send_final(&f, "after");
    assert_int_equal(count_lines(sink_fixture_content(&f, "out.1"), last), 1);
    assert_string_equal(last, "before");
    assert_int_equal(count_lines(sink_fixture_content(&f, "out"), last), 1);
    assert_string_equal(last, "after");
    sink_fixture_done(&f);
}

static void a_second_run_appends(void **state)
{
    struct sink_fixture f;
    char last[64];
    (void)state;

    sink_fixture_open(&f, "jsonl", NULL);
    send_final(&f, "first run");
    f.type->close(f.sink);
    assert_int_equal(f.type->open(f.sink, &f.loop, NULL), 0);
    send_final(&f, "second run");
    assert_int_equal(count_lines(sink_fixture_content(&f, "out"), last), 2);
    sink_fixture_done(&f);
}

static void a_full_disk_keeps_the_event_for_later(void **state)
{
    struct sink_fixture f;
    (void)state;

    sink_fixture_open(&f, "jsonl", (const char *const[]){"path", "/dev/full", NULL});
    assert_int_equal(send_final(&f, "no room"), -ENOSPC);
    assert_int_equal(send_final(&f, "no room"), -ENOSPC);
    sink_fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_event_is_in_the_file_at_once_as_one_line),
        cmocka_unit_test(every_kind_and_filling_is_a_line),
        cmocka_unit_test(after_hup_lines_go_to_the_new_file),
        cmocka_unit_test(a_second_run_appends),
        cmocka_unit_test(a_full_disk_keeps_the_event_for_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
