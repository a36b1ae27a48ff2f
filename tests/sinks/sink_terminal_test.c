/* tests/sinks/sink_terminal_test.c - the terminal sink on a real pseudo terminal, and on none. */
#include "tests/sinks/sink_fixture.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <cmocka.h>

/* Both ends: without a slave held open the master reads errors. */
static int open_terminal(char slave[64], int *ret_slave)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    struct winsize size = {.ws_row = 24, .ws_col = 60};

    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    snprintf(slave, 64, "%s", ptsname(master));
    *ret_slave = open(slave, O_RDWR | O_NOCTTY);
    assert_true(*ret_slave >= 0);
    assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
    return master;
}

static const char *seen(int master)
{
    static char text[65536];
    size_t len = 0;
    ssize_t n;

    while (len < sizeof text - 1 && (n = read(master, text + len, sizeof text - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    return text;
}

static void speak(struct sink_fixture *f, enum wd_event_kind kind, const char *text)
{
    struct wd_event *e = sink_fixture_event(f, kind, 1, 2, "spk_1", text);

    e->supersedes = "01ARYZ6S41TSV4RRFFQ69G5FAV";
    assert_int_equal(sink_fixture_send(f, e), 0);
}

static void on_a_terminal_partials_are_live_and_colored(void **state)
{
    struct sink_fixture f;
    char slave[64];
    int fd, master = open_terminal(slave, &fd);
    const char *text;
    (void)state;

    setenv("TERM", "xterm-256color", 1);
    unsetenv("NO_COLOR");
    sink_fixture_open(&f, "terminal", (const char *const[]){"path", slave, NULL});
    speak(&f, WD_EVENT_PARTIAL, "good mor");
    text = seen(master);
    assert_non_null(strstr(text, "good mor"));
    assert_non_null(strstr(text, "\x1b[1;38;5;"));
    assert_null(strchr(text, '\n'));
    speak(&f, WD_EVENT_FINAL, "good morning");
    text = seen(master);
    assert_memory_equal(text, "\r\x1b[J", 4);
    assert_non_null(strstr(text, "good morning\r\n"));
    sink_fixture_done(&f);
    assert_null(strstr(seen(master), "\x1b[?25l")); /* the cursor was never hidden */
    close(fd);
    close(master);
}

static void no_color_is_respected(void **state)
{
    struct sink_fixture f;
    char slave[64];
    int fd, master = open_terminal(slave, &fd);
    (void)state;

    setenv("TERM", "xterm-256color", 1);
    setenv("NO_COLOR", "1", 1);
    sink_fixture_open(&f, "terminal", (const char *const[]){"path", slave, NULL});
    speak(&f, WD_EVENT_PARTIAL, "good mor");
    assert_null(strstr(seen(master), "\x1b[1"));
    sink_fixture_done(&f);
    unsetenv("NO_COLOR");
    close(fd);
    close(master);
}

static void partials_can_be_switched_off(void **state)
{
    struct sink_fixture f;
    char slave[64];
    int fd, master = open_terminal(slave, &fd);
    (void)state;

    sink_fixture_open(&f, "terminal",
                      (const char *const[]){"path", slave, "partials", "false", NULL});
    speak(&f, WD_EVENT_PARTIAL, "good mor");
    assert_string_equal(seen(master), "");
    sink_fixture_done(&f);
    close(fd);
    close(master);
}

static void the_width_is_asked_for_every_time(void **state)
{
    struct sink_fixture f;
    char slave[64];
    int fd, master = open_terminal(slave, &fd);
    struct winsize size = {.ws_row = 24, .ws_col = 40};
    (void)state;

    setenv("TERM", "xterm", 1);
    sink_fixture_open(&f, "terminal", (const char *const[]){"path", slave, "color", "never", NULL});
    speak(&f, WD_EVENT_FINAL, "a line that fits into sixty columns only");
    assert_non_null(strstr(seen(master), "into sixty columns only"));
    assert_int_equal(ioctl(master, TIOCSWINSZ, &size), 0);
    speak(&f, WD_EVENT_FINAL, "a line that fits into sixty columns only");
    assert_null(strstr(seen(master), "into sixty columns only"));
    sink_fixture_done(&f);
    close(fd);
    close(master);
}

static void a_dumb_terminal_gets_plain_lines(void **state)
{
    struct sink_fixture f;
    char slave[64];
    int fd, master = open_terminal(slave, &fd);
    (void)state;

    setenv("TERM", "dumb", 1);
    sink_fixture_open(&f, "terminal", (const char *const[]){"path", slave, NULL});
    speak(&f, WD_EVENT_PARTIAL, "good mor");
    speak(&f, WD_EVENT_FINAL, "good morning");
    assert_string_equal(seen(master), "00:01  spk_1  good morning\r\n");
    sink_fixture_done(&f);
    close(fd);
    close(master);
}

static void a_file_gets_plain_lines(void **state)
{
    struct sink_fixture f;
    (void)state;

    setenv("TERM", "xterm-256color", 1);
    sink_fixture_open(&f, "terminal", NULL);
    speak(&f, WD_EVENT_PARTIAL, "good mor");
    speak(&f, WD_EVENT_FINAL, "good morning");
    sink_fixture_close_sink(&f);
    assert_string_equal(sink_fixture_content(&f, "out"), "00:01  spk_1  good morning\n");
    sink_fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_a_terminal_partials_are_live_and_colored),
        cmocka_unit_test(no_color_is_respected),
        cmocka_unit_test(partials_can_be_switched_off),
        cmocka_unit_test(the_width_is_asked_for_every_time),
        cmocka_unit_test(a_dumb_terminal_gets_plain_lines),
        cmocka_unit_test(a_file_gets_plain_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
