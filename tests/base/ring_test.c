/* tests/base/ring_test.c - order, bounds and whole groups of the ring, by one thread and by two. */
#include "base/ring.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define MANY 2000000

static struct wd_ring *ring_of(size_t n)
{
    struct wd_ring *r;

    assert_int_equal(wd_ring_new(n, &r, NULL), 0);
    return r;
}

static void samples_come_out_in_order_across_the_edge(void **state)
{
    struct wd_ring *r = ring_of(8);
    float in = 0, out, got = 0;

    (void)state;
    for (int round = 0; round < 100; round++) {
        float some[5] = {in, in + 1, in + 2, in + 3, in + 4};

        assert_int_equal(wd_ring_write(r, some, 5, 1), 5);
        in += 5;
        assert_int_equal(wd_ring_count(r), 5);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(wd_ring_read(r, &out, 1), 1);
            assert_true(out == got); /* NOLINT: whole numbers */
            got++;
        }
    }
    assert_int_equal(wd_ring_read(r, &out, 1), 0);
    wd_ring_free(r);
}

static void a_full_ring_takes_whole_groups_only(void **state)
{
    struct wd_ring *r = ring_of(8);
    float some[12] = {0}, out[12];

    (void)state;
    assert_int_equal(wd_ring_write(r, some, 12, 3), 6);
    assert_int_equal(wd_ring_write(r, some, 3, 3), 0);
    assert_int_equal(wd_ring_write(r, some, 2, 1), 2);
    assert_int_equal(wd_ring_write(r, some, 1, 1), 0);
    assert_int_equal(wd_ring_read(r, out, 12), 8);
    wd_ring_free(r);
}

static void sizes_out_of_bounds_are_refused(void **state)
{
    struct wd_ring *r;
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(wd_ring_new(0, &r, &err), -EINVAL);
    assert_int_equal(wd_ring_new(SIZE_MAX, &r, &err), -EINVAL);
    assert_null(wd_ring_free(NULL));
}

static void *write_many(void *arg)
{
    float some[64];
    size_t done = 0;

    while (done < MANY) {
        size_t n = 1 + done % 64;

        if (n > MANY - done)
            n = MANY - done;
        for (size_t i = 0; i < n; i++)
            some[i] = (float)(done + i);
        done += wd_ring_write(arg, some, n, 1);
        if (!n)
            sched_yield();
    }
    return NULL;
}

static void two_threads_lose_and_mix_up_nothing(void **state)
{
    struct wd_ring *r = ring_of(1024);
    float some[100];
    size_t got = 0;
    pthread_t t;

    (void)state;
    assert_int_equal(pthread_create(&t, NULL, write_many, r), 0);
    while (got < MANY) {
        size_t n = wd_ring_read(r, some, 1 + got % 100);

        for (size_t i = 0; i < n; i++)
            if (some[i] < (float)(got + i) || some[i] > (float)(got + i))
                fail_msg("sample %zu is %f", got + i, (double)some[i]);
        got += n;
        if (!n)
            sched_yield();
    }
    pthread_join(t, NULL);
    assert_int_equal(wd_ring_count(r), 0);
    wd_ring_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_come_out_in_order_across_the_edge),
        cmocka_unit_test(a_full_ring_takes_whole_groups_only),
        cmocka_unit_test(sizes_out_of_bounds_are_refused),
        cmocka_unit_test(two_threads_lose_and_mix_up_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
