/* tests/model/mapping_test.c - a mapped file that shrinks reads as zeros and is marked; other
 * SIGBUS stay what they are. */
#include "model/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGES 8

static size_t page;

/* An unnamed file of PAGES pages of 'x', less `short_by` bytes. */
static int file_of_x(size_t short_by)
{
    char path[] = "/tmp/witnessd-mapping-XXXXXX", *text = malloc(PAGES * page);
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_non_null(text);
    unlink(path);
    memset(text, 'x', PAGES * page);
    assert_int_equal(write(fd, text, PAGES * page - short_by), PAGES * page - short_by);
    free(text);
    return fd;
}

static size_t count_x(const struct wd_mapping *m)
{
    const volatile unsigned char *p = m->data;
    size_t n = 0;

    for (size_t i = 0; i < m->len; i++)
        n += p[i] == 'x';
    return n;
}

static void a_file_that_stays_is_not_torn(void **state)
{
    struct wd_mapping m;
    int fd = file_of_x(10);

    (void)state;
    assert_int_equal(wd_mapping_init(&m, fd, PAGES * page - 10), 0);
    close(fd);
    assert_int_equal(count_x(&m), PAGES * page - 10);
    assert_false(wd_mapping_torn(&m));
    wd_mapping_done(&m);
    assert_null(m.data);
    wd_mapping_done(&m);
}

static void a_file_that_shrinks_reads_as_zeros_and_is_torn(void **state)
{
    struct wd_mapping m, other;
    int fd = file_of_x(10), fd2 = file_of_x(0);

    (void)state;
    assert_int_equal(wd_mapping_init(&m, fd, PAGES * page - 10), 0);
    assert_int_equal(wd_mapping_init(&other, fd2, PAGES * page), 0);
    assert_int_equal(ftruncate(fd, (off_t)(3 * page)), 0);
    assert_false(wd_mapping_torn(&m)); /* nobody has looked */
    assert_int_equal(count_x(&m), 3 * page);
    assert_true(wd_mapping_torn(&m));
    assert_int_equal(count_x(&other), PAGES * page);
    assert_false(wd_mapping_torn(&other));
    wd_mapping_done(&m);
    wd_mapping_done(&other);
    close(fd);
    close(fd2);
}

static void a_mapping_made_in_the_place_of_a_torn_one_is_whole(void **state)
{
    struct wd_mapping m;

    (void)state;
    for (int i = 0; i < 3; i++) {
        int fd = file_of_x(0);

        assert_int_equal(wd_mapping_init(&m, fd, PAGES * page), 0);
        assert_false(wd_mapping_torn(&m));
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(count_x(&m), 0);
        assert_true(wd_mapping_torn(&m));
        wd_mapping_done(&m);
        close(fd);
    }
}

static void *read_all(void *arg)
{
    sigset_t all;

    sigfillset(&all);
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    return count_x(arg) <= PAGES * page ? arg : NULL;
}

static void threads_may_meet_the_end_together(void **state)
{
    struct wd_mapping m;

    (void)state;
    for (int turn = 0; turn < 20; turn++) {
        pthread_t threads[4];
        int fd = file_of_x(0);
        void *ret;

        assert_int_equal(wd_mapping_init(&m, fd, PAGES * page), 0);
        assert_int_equal(ftruncate(fd, (off_t)page), 0);
        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, read_all, &m), 0);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(pthread_join(threads[i], &ret), 0);
            assert_ptr_equal(ret, &m);
        }
        assert_true(wd_mapping_torn(&m));
        wd_mapping_done(&m);
        close(fd);
    }
}

/* What ends a child that has a mapping of ours and then does this. */
static int ending(void (*deed)(void))
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        struct wd_mapping m;

        signal(SIGBUS, SIG_DFL); /* what ours passes on to: not a sanitizer's or a test's */
        if (wd_mapping_init(&m, file_of_x(0), PAGES * page) == 0)
            deed();
        _exit(7);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void read_a_foreign_mapping(void)
{
    int fd = file_of_x(0);
    volatile unsigned char *p = mmap(NULL, PAGES * page, PROT_READ, MAP_PRIVATE, fd, 0);

    if (ftruncate(fd, 0) == 0)
        _exit(p[page] + 1);
}

static void send_one(void)
{
    kill(getpid(), SIGBUS);
}

static void a_bus_error_elsewhere_still_ends_the_process(void **state)
{
    int a = ending(read_a_foreign_mapping), b = ending(send_one);

    (void)state;
    assert_true(WIFSIGNALED(a) && WTERMSIG(a) == SIGBUS);
    assert_true(WIFSIGNALED(b) && WTERMSIG(b) == SIGBUS);
}

static void what_cannot_be_mapped_is_an_error(void **state)
{
    struct wd_mapping m = {0};

    (void)state;
    assert_int_equal(wd_mapping_init(&m, -1, page), -EBADF);
    assert_null(m.data);
    assert_false(wd_mapping_torn(&m));
    wd_mapping_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bus_error_elsewhere_still_ends_the_process),
        cmocka_unit_test(a_file_that_stays_is_not_torn),
        cmocka_unit_test(a_file_that_shrinks_reads_as_zeros_and_is_torn),
        cmocka_unit_test(a_mapping_made_in_the_place_of_a_torn_one_is_whole),
        cmocka_unit_test(threads_may_meet_the_end_together),
        cmocka_unit_test(what_cannot_be_mapped_is_an_error),
    };

    page = (size_t)sysconf(_SC_PAGESIZE);
    return cmocka_run_group_tests_name("model/mapping", tests, NULL, NULL);
}
