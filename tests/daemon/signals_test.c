/* tests/daemon/signals_test.c - TERM and INT drain a running core, HUP reopens its files, asking twice ends at once. */
#include "daemon/signals.h"

#include "daemon/config.h"
#include "daemon/core.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/witnessd-signals-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"events.jsonl", "old.jsonl"};
    char path[128];

    (void)state;
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

struct running {
    const int *numbers; /* sent one by one, 0 ends the list */
    uv_timer_t timer;
    int second; /* sent right behind each; 0: none */
    bool moved;     /* before the first signal the file is moved away */
};

static void send_next(uv_timer_t *t)
{
    struct running *r = t->data;
    char from[128], to[128];

    if (r->moved) {
        snprintf(from, sizeof from, "%s/events.jsonl", folder);
        snprintf(to, sizeof to, "%s/old.jsonl", folder);
        assert_int_equal(rename(from, to), 0);
        r->moved = false;
    }
    /* The engine's threads block all signals, so each is taken before kill() returns. */
    kill(getpid(), *r->numbers);
    if (r->second)
        kill(getpid(), r->second);
    if (!*++r->numbers)
        uv_close((uv_handle_t *)t, NULL);
}

/* A recording in real time, of which far less than its 70 s may pass; signals come every 300 ms. Returns the signal caught. */
static int run(const int *numbers, int second, bool moved)
{
    struct running r = {.numbers = numbers, .second = second, .moved = moved};
    struct wd_config *config;
    struct wd_signals *signals = NULL;
    struct wd_core *core = NULL;
    struct wd_err err = {0};
    char yaml[1024];
    uv_loop_t loop;
    int caught;

    snprintf(yaml, sizeof yaml,
             "model: {path: " TEST_SRCDIR "/models/nano.gguf, threads: 1}\n"
             "streams:\n  - {name: room, scenes: {enabled: false}, source: {type: ffmpeg, url: " TEST_SRCDIR "/samples/meeting.mkv, realtime: true}}\n"
             "sinks:\n  - {type: jsonl, path: %s/events.jsonl}\n",
             folder);
    uv_loop_init(&loop);
    if (wd_config_parse("test.yaml", yaml, strlen(yaml), &config, &err) < 0 || wd_core_new(&loop, config, &core, &err) < 0 ||
        wd_signals_new(&loop, core, &signals, &err) < 0 || wd_core_start(core, &err) < 0)
        fail_msg("%s", err.text);
    uv_timer_init(&loop, &r.timer);
    r.timer.data = &r;
    uv_timer_start(&r.timer, send_next, 300, 300);
    wd_core_run(core);
    caught = wd_signals_caught(signals);
    wd_signals_close(signals);
    wd_core_free(core);
    uv_run(&loop, UV_RUN_DEFAULT);
    wd_config_free(config);
    assert_int_equal(uv_loop_close(&loop), 0);
    return caught;
}

static void term_drains(void **state)
{
    static const int numbers[] = {SIGTERM, 0};

    (void)state;
    assert_int_equal(run(numbers, 0, false), SIGTERM);
}

static void int_drains(void **state)
{
    static const int numbers[] = {SIGINT, 0};

    (void)state;
    assert_int_equal(run(numbers, 0, false), SIGINT);
}

static void hup_reopens_files_and_ends_nothing(void **state)
{
    static const int numbers[] = {SIGHUP, SIGTERM, 0};
    char path[128], line[256] = "";
    FILE *f;

    (void)state;
    assert_int_equal(run(numbers, 0, true), SIGTERM);
    /* What came after HUP is in a file of the old name. */
    snprintf(path, sizeof path, "%s/events.jsonl", folder);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    assert_int_equal(line[0], '{');
    fclose(f);
    snprintf(path, sizeof path, "%s/old.jsonl", folder);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    fclose(f);
}

static void the_same_signal_twice_at_once_is_asked_once(void **state)
{
    static const int numbers[] = {SIGTERM, 0};

    (void)state;
    assert_int_equal(run(numbers, SIGTERM, false), SIGTERM);
}

static void asking_twice_ends_the_process_at_once(void **state)
{
    static const int numbers[] = {SIGTERM, 0};
    int status;
    pid_t pid;

    (void)state;
    fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(run(numbers, SIGINT, false));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 128 + SIGINT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(term_drains, set_up, tear_down),
        cmocka_unit_test_setup_teardown(int_drains, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hup_reopens_files_and_ends_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_same_signal_twice_at_once_is_asked_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asking_twice_ends_the_process_at_once, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
