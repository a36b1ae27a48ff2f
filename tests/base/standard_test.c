/* tests/base/standard_test.c - a standard descriptor that is closed becomes /dev/null; one that is open stays. */
#include "base/standard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void a_closed_one_becomes_the_null_device_and_an_open_one_stays(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct stat null, was, now;
        int p[2];

        if (pipe(p) < 0 || dup2(p[1], STDERR_FILENO) < 0 || fstat(STDERR_FILENO, &was) < 0 || stat("/dev/null", &null) < 0)
            _exit(2);
        close(STDIN_FILENO);
        close(STDOUT_FILENO);
        if (wd_standard_open() < 0)
            _exit(3);
        for (int fd = STDIN_FILENO; fd <= STDOUT_FILENO; fd++)
            if (fstat(fd, &now) < 0 || now.st_rdev != null.st_rdev)
                _exit(4);
        if (fstat(STDERR_FILENO, &now) < 0 || now.st_ino != was.st_ino)
            _exit(5);
        _exit(write(STDOUT_FILENO, "x", 1) == 1 ? 0 : 6);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_one_becomes_the_null_device_and_an_open_one_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
