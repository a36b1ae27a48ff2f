/* tests/daemon/notify_test.c - the datagrams that systemd gets, and that nothing is sent or waited for without it. */
#include "daemon/notify.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], path[100];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/witnessd-notify-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/notify", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unsetenv("NOTIFY_SOCKET");
    unlink(path);
    return rmdir(folder);
}

/* name: a path, or "@..." */
static int listening(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0 && strlen(name) < sizeof a.sun_path);
    memcpy(a.sun_path, name, strlen(name));
    if (name[0] == '@')
        a.sun_path[0] = '\0';
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    return fd;
}

static void gets(int fd, const char *want)
{
    char text[256] = "";
    ssize_t n = recv(fd, text, sizeof text - 1, 0);

    assert_int_equal(n, (ssize_t)strlen(want));
    assert_string_equal(text, want);
}

static void each_state_is_one_datagram(void **state)
{
    int fd = listening(path);
    char none[8];

    (void)state;
    wd_notify("READY=1");
    wd_notify("STATUS=2 streams, 1 live");
    gets(fd, "READY=1");
    gets(fd, "STATUS=2 streams, 1 live");
    assert_int_equal(recv(fd, none, sizeof none, 0), -1);
    assert_int_equal(errno, EAGAIN);
    close(fd);
}

static void an_abstract_socket_is_met_by_its_name(void **state)
{
    char name[64];
    int fd;

    (void)state;
    snprintf(name, sizeof name, "@witnessd-notify-test-%ld", (long)getpid());
    fd = listening(name);
    wd_notify("STOPPING=1");
    gets(fd, "STOPPING=1");
    close(fd);
}

/* Descriptors in use, one of them for the look itself. */
static int descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++) {
        struct sockaddr_un a;
        socklen_t len = sizeof a;

        n += getsockname(fd, (struct sockaddr *)&a, &len) == 0;
    }
    return n;
}

static void without_systemd_nothing_happens(void **state)
{
    char longest[300];
    int before = descriptors();

    (void)state;
    unsetenv("NOTIFY_SOCKET");
    wd_notify("READY=1");
    setenv("NOTIFY_SOCKET", "", 1);
    wd_notify("READY=1");
    setenv("NOTIFY_SOCKET", "relative/path", 1);
    wd_notify("READY=1");
    memset(longest, 'x', sizeof longest - 1);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    setenv("NOTIFY_SOCKET", longest, 1); /* longer than an address may be */
    wd_notify("READY=1");
    setenv("NOTIFY_SOCKET", path, 1); /* nobody listens */
    wd_notify("READY=1");
    assert_int_equal(descriptors(), before); /* and none is left open */
}

static void a_reader_that_is_slow_does_not_hold_the_daemon_up(void **state)
{
    int fd = listening(path);
    char text[64];
    unsigned n = 0;

    (void)state;
    for (int i = 0; i < 5000; i++) /* more than its queue takes: would wait for ever if it waited */
        wd_notify("WATCHDOG=1");
    while (recv(fd, text, sizeof text, 0) > 0)
        n++;
    assert_in_range(n, 1, 4999);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_state_is_one_datagram, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_abstract_socket_is_met_by_its_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_systemd_nothing_happens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_that_is_slow_does_not_hold_the_daemon_up, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
