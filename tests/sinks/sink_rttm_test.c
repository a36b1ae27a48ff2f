/* tests/sinks/sink_rttm_test.c - RTTM lines, with speakers that turn out to be one. */
#include "tests/sinks/sink_fixture.h"
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static const char *const at_once[] = {"at_end", "false", NULL};

static void send_turn(struct sink_fixture *f, double t0_s, double t1_s, const char *speaker)
{
    assert_int_equal(
        sink_fixture_send(f, sink_fixture_event(f, WD_EVENT_TURN, t0_s, t1_s, speaker, NULL)), 0);
}

static void send_merge(struct sink_fixture *f, const char *stream, const char *from,
                       const char *into)
{
    struct wd_event *e = sink_fixture_event(f, WD_EVENT_SPEAKER, 0, 0, from, NULL);

    e->stream = stream;
    e->change = "merged";
    e->into = into;
    sink_fixture_send(f, e);
}

static void turns_are_written_at_the_end_by_their_time(void **state)
{
    struct sink_fixture f;
    (void)state;

    sink_fixture_open(&f, "rttm", NULL);
    send_turn(&f, 4, 6.5, "spk_2");
    send_turn(&f, 0.25, 3, "spk_1");
    assert_string_equal(sink_fixture_content(&f, "out"), "");
    sink_fixture_close_sink(&f);
    assert_string_equal(sink_fixture_content(&f, "out"),
                        "SPEAKER room 1 0.250 2.750 <NA> <NA> spk_1 <NA> <NA>\n"
                        "SPEAKER room 1 4.000 2.500 <NA> <NA> spk_2 <NA> <NA>\n");
    sink_fixture_done(&f);
}

static void merged_speakers_get_one_name(void **state)
{
    struct sink_fixture f;
    (void)state;

    sink_fixture_open(&f, "rttm", NULL);
    send_turn(&f, 0, 1, "spk_1");
    send_turn(&f, 1, 2, "spk_3");
    send_merge(&f, "room", "spk_3", "spk_1");
    send_turn(&f, 2, 3, "spk_3"); /* said after the merge: a new voice may have the name again */
    send_merge(&f, "hall", "spk_1", "spk_9"); /* another stream's voices are others */
    sink_fixture_close_sink(&f);
    assert_string_equal(sink_fixture_content(&f, "out"),
                        "SPEAKER room 1 0.000 1.000 <NA> <NA> spk_1 <NA> <NA>\n"
                        "SPEAKER room 1 1.000 1.000 <NA> <NA> spk_1 <NA> <NA>\n"
                        "SPEAKER room 1 2.000 1.000 <NA> <NA> spk_3 <NA> <NA>\n");
    sink_fixture_done(&f);
}

static void a_turn_that_replaces_another_stands_alone(void **state)
{
    struct sink_fixture f;
    struct wd_event *e;
    char first[27];
    (void)state;

    sink_fixture_open(&f, "rttm", NULL);
    e = sink_fixture_event(&f, WD_EVENT_TURN, 0, 1, "spk_1", NULL);
    strcpy(first, e->id);
    sink_fixture_send(&f, e);
    for (int i = 0; i < 2; i++) {
        e = sink_fixture_event(&f, WD_EVENT_TURN, 0, 2 + i, "spk_2", NULL);
        e->supersedes = first;
        sink_fixture_send(&f, e);
    }
    sink_fixture_close_sink(&f);
    assert_string_equal(sink_fixture_content(&f, "out"),
                        "SPEAKER room 1 0.000 3.000 <NA> <NA> spk_2 <NA> <NA>\n");
    sink_fixture_done(&f);
}

static void without_at_end_a_turn_is_written_at_once(void **state)
{
    struct sink_fixture f;
    (void)state;

    sink_fixture_open(&f, "rttm", at_once);
    send_turn(&f, 0, 1, "spk_1");
    assert_string_equal(sink_fixture_content(&f, "out"),
                        "SPEAKER room 1 0.000 1.000 <NA> <NA> spk_1 <NA> <NA>\n");
    sink_fixture_done(&f);
}

static void names_are_one_field(void **state)
{
    struct sink_fixture f;
    struct wd_event *e;
    (void)state;

    sink_fixture_open(&f, "rttm", at_once);
    e = sink_fixture_event(&f, WD_EVENT_TURN, 0, 1, "spk 1\nSPEAKER", NULL);
    e->stream = "back room";
    sink_fixture_send(&f, e);
    send_turn(&f, 1, 2, NULL);
    send_turn(&f, 5, 5, "spk_1"); /* no time at all: no line */
    assert_string_equal(sink_fixture_content(&f, "out"),
                        "SPEAKER back_room 1 0.000 1.000 <NA> <NA> spk_1_SPEAKER <NA> <NA>\n"
                        "SPEAKER room 1 1.000 1.000 <NA> <NA> unknown <NA> <NA>\n");
    sink_fixture_done(&f);
}

static void a_long_run_holds_a_bounded_number_and_loses_none(void **state)
{
    struct sink_fixture f;
    int n = 0;
    (void)state;

    sink_fixture_open(&f, "rttm", NULL);
    for (int i = 0; i < 5000; i++)
        send_turn(&f, i, i + 0.5, "spk_1");
    assert_true(strlen(sink_fixture_content(&f, "out")) > 0);
    sink_fixture_close_sink(&f);
    for (const char *line = sink_fixture_content(&f, "out"); *line;
         line = strchr(line, '\n') + 1, n++) {
        int t0;

        assert_int_equal(sscanf(line, "SPEAKER room 1 %d.000 0.500", &t0), 1);
        assert_int_equal(t0, n);
    }
    assert_int_equal(n, 5000);
    sink_fixture_done(&f);
}

/* A child reads the FIFO slowly, from when the sink is already being closed. */
static void at_the_end_a_slow_reader_gets_every_turn(void **state)
{
    struct sink_fixture f;
    char fifo[128];
    int status = 0, hold;
    pid_t child;
    (void)state;

    sink_fixture_open(&f, "rttm", NULL); /* for its folder */
    snprintf(fifo, sizeof fifo, "%s/fifo", f.dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    hold = open(fifo, O_RDONLY | O_NONBLOCK);
    f.type->close(f.sink);
    assert_int_equal(wd_opt_set(wd_opt_find(f.type->opts, "path"), f.sink, fifo, NULL), 0);
    assert_int_equal(f.type->open(f.sink, &f.loop, NULL), 0);
    for (int i = 0; i < 2000; i++)
        send_turn(&f, i, i + 0.5, "spk_1");
    fflush(NULL);
    child = fork();
    if (child == 0) {
        struct pollfd p = {.fd = hold, .events = POLLIN};
        int n_lines = 0;
        char b[4096];
        ssize_t n;

        for (int fd = 3; fd < 64; fd++) /* else the child itself keeps the FIFO written to */
            if (fd != hold)
                close(fd);
        while (poll(&p, 1, -1) == 1 && (n = read(hold, b, sizeof b)) > 0) {
            for (ssize_t i = 0; i < n; i++)
                n_lines += b[i] == '\n';
            usleep(1000);
        }
        _exit(n_lines == 2000 ? 0 : 1);
    }
    sink_fixture_close_sink(&f);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(hold);
    sink_fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(turns_are_written_at_the_end_by_their_time),
        cmocka_unit_test(merged_speakers_get_one_name),
        cmocka_unit_test(a_turn_that_replaces_another_stands_alone),
        cmocka_unit_test(without_at_end_a_turn_is_written_at_once),
        cmocka_unit_test(names_are_one_field),
        cmocka_unit_test(at_the_end_a_slow_reader_gets_every_turn),
        cmocka_unit_test(a_long_run_holds_a_bounded_number_and_loses_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
