/* tests/model/threads_test.c - every member runs every call once, and the caller returns when all
 * are done. */
#include "model/threads.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define MEMBERS 5

static struct wd_threads *team_of(unsigned n)
{
    struct wd_threads *t = NULL;
    struct wd_err err = {0};

    assert_int_equal(wd_threads_new(n, &t, &err), 0);
    return t;
}

/* Not atomic: whoever forgets an ordering is found by the thread sanitizer. */
struct tally {
    unsigned runs[MEMBERS], count[MEMBERS];
    pthread_t who[MEMBERS];
    int input;
    int seen[MEMBERS];
};

static void tally_run(void *ctx, unsigned member, unsigned count)
{
    struct tally *t = ctx;

    t->runs[member]++;
    t->count[member] = count;
    t->who[member] = pthread_self();
    t->seen[member] = t->input;
}

static void every_member_runs_once_a_call(void **state)
{
    struct wd_threads *team = team_of(MEMBERS);
    struct tally t = {0};

    (void)state;
    assert_int_equal(wd_threads_count(team), MEMBERS);
    for (int i = 1; i <= 3000; i++) {
        t.input = i;
        wd_threads_run(team, tally_run, &t);
        for (unsigned m = 0; m < MEMBERS; m++) {
            assert_int_equal(t.runs[m], i);
            assert_int_equal(t.seen[m], i);
            assert_int_equal(t.count[m], MEMBERS);
        }
    }
    assert_true(pthread_equal(t.who[0], pthread_self()));
    for (unsigned m = 1; m < MEMBERS; m++)
        assert_false(pthread_equal(t.who[m], pthread_self()));
    wd_threads_free(team);
}

static void helpers_that_slept_wake_again(void **state)
{
    struct wd_threads *team = team_of(MEMBERS);
    struct tally t = {0};

    (void)state;
    for (int i = 1; i <= 20; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); /* far beyond the spin */
        t.input = i;
        wd_threads_run(team, tally_run, &t);
        for (unsigned m = 0; m < MEMBERS; m++)
            assert_int_equal(t.seen[m], i);
    }
    wd_threads_free(team);
}

static void slow_run(void *ctx, unsigned member, unsigned count)
{
    atomic_uint *done = ctx;

    (void)count;
    if (member)
        nanosleep(&(struct timespec){.tv_nsec = 3000000}, NULL);
    atomic_fetch_add(done, 1);
}

static void the_caller_waits_for_the_slowest(void **state)
{
    struct wd_threads *team = team_of(MEMBERS);
    atomic_uint done = 0;

    (void)state;
    for (unsigned i = 1; i <= 10; i++) {
        wd_threads_run(team, slow_run, &done);
        assert_int_equal(atomic_load(&done), i * MEMBERS);
    }
    wd_threads_free(team);
}

static void no_team_is_the_caller_alone(void **state)
{
    struct tally t = {0};
    struct wd_threads *one = team_of(1);

    (void)state;
    wd_threads_run(NULL, tally_run, &t);
    wd_threads_run(one, tally_run, &t);
    assert_int_equal(t.runs[0], 2);
    assert_int_equal(t.count[0], 1);
    assert_int_equal(wd_threads_count(NULL), 1);
    assert_int_equal(wd_threads_count(one), 1);
    assert_null(wd_threads_free(one));
    assert_null(wd_threads_free(NULL));
}

static void none_asked_for_is_one_a_processor(void **state)
{
    struct wd_threads *team = team_of(0);
    cpu_set_t set;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof set, &set), 0);
    assert_int_equal(wd_threads_count(team), CPU_COUNT(&set));
    wd_threads_free(team);
}

static void too_many_are_refused(void **state)
{
    struct wd_threads *t = NULL;
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(wd_threads_new(100000, &t, &err), -EINVAL);
    assert_non_null(strstr(err.text, "100000"));
    assert_null(t);
}

static atomic_int signalled_helper;
static pthread_t caller;

static void on_signal(int number)
{
    (void)number;
    if (!pthread_equal(pthread_self(), caller))
        atomic_store(&signalled_helper, 1);
}

static void mask_run(void *ctx, unsigned member, unsigned count)
{
    sigset_t *masks = ctx;

    (void)count;
    pthread_sigmask(SIG_SETMASK, NULL, &masks[member]);
}

static void helpers_take_no_signals(void **state)
{
    struct wd_threads *team = team_of(3);
    struct sigaction act = {.sa_handler = on_signal}, old;
    sigset_t masks[3];

    (void)state;
    caller = pthread_self();
    wd_threads_run(team, mask_run, masks);
    for (unsigned m = 0; m < 3; m++) {
        assert_int_equal(sigismember(&masks[m], SIGTERM), m > 0);
        assert_int_equal(sigismember(&masks[m], SIGHUP), m > 0);
        assert_int_equal(sigismember(&masks[m], SIGBUS), 0); /* of its own reads: model/mapping.h */
    }
    assert_int_equal(sigaction(SIGUSR1, &act, &old), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(atomic_load(&signalled_helper), 0);
    assert_int_equal(sigaction(SIGUSR1, &old, NULL), 0);
    wd_threads_free(team);
}

static void idle_helpers_leave_the_processor_alone(void **state)
{
    struct wd_threads *team = team_of(4);
    struct tally t = {0};
    struct timespec before, after;
    int64_t used_ns;

    (void)state;
    wd_threads_run(team, tally_run, &t);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before), 0);
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after), 0);
    used_ns =
        (int64_t)(after.tv_sec - before.tv_sec) * 1000000000 + (after.tv_nsec - before.tv_nsec);
    /* Processor time, not time on the wall: three spinning helpers would use hundreds of
     * milliseconds. */
    assert_true(used_ns < 50000000);
    wd_threads_free(team);
}

static void teams_come_and_go(void **state)
{
    struct tally t = {0};

    (void)state;
    for (int i = 0; i < 100; i++) {
        struct wd_threads *team = team_of(MEMBERS);

        if (i % 2)
            wd_threads_run(team, tally_run, &t);
        wd_threads_free(team);
    }
    assert_int_equal(t.runs[0], 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member_runs_once_a_call),
        cmocka_unit_test(helpers_that_slept_wake_again),
        cmocka_unit_test(the_caller_waits_for_the_slowest),
        cmocka_unit_test(no_team_is_the_caller_alone),
        cmocka_unit_test(none_asked_for_is_one_a_processor),
        cmocka_unit_test(too_many_are_refused),
        cmocka_unit_test(helpers_take_no_signals),
        cmocka_unit_test(idle_helpers_leave_the_processor_alone),
        cmocka_unit_test(teams_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
