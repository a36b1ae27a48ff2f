/* tests/base/queue_test.c - order, bound, waiting and closing of the queue. */
#include "base/queue.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MS 1000000LL

struct item {
    int n;
    char rest[29]; /* an odd size: rows must not be assumed aligned */
};

static struct wd_queue *queue_of(size_t cap)
{
    struct wd_queue *q = NULL;

    assert_int_equal(wd_queue_new(sizeof(struct item), cap, &q, NULL), 0);
    return q;
}

static int push(struct wd_queue *q, int n)
{
    struct item it = {.n = n};

    return wd_queue_push(q, &it);
}

static int pop(struct wd_queue *q, int64_t timeout_ns)
{
    struct item it;
    int r = wd_queue_pop(q, &it, timeout_ns);

    return r == 1 ? it.n : r;
}

static void items_come_out_in_order_across_the_wrap(void **state)
{
    struct wd_queue *q = queue_of(3);
    (void)state;

    for (int i = 0; i < 20; i += 2) {
        assert_int_equal(push(q, i + 100), 0);
        assert_int_equal(push(q, i + 101), 0);
        assert_int_equal(pop(q, 0), i + 100);
        assert_int_equal(pop(q, 0), i + 101);
    }
    wd_queue_free(q);
}

static void a_full_queue_refuses(void **state)
{
    struct wd_queue *q = queue_of(2);
    (void)state;

    assert_int_equal(push(q, 1), 0);
    assert_int_equal(push(q, 2), 0);
    assert_int_equal(push(q, 3), -EAGAIN);
    assert_int_equal(wd_queue_count(q), 2);
    assert_int_equal(pop(q, 0), 1);
    assert_int_equal(push(q, 4), 0);
    assert_int_equal(pop(q, 0), 2);
    assert_int_equal(pop(q, 0), 4);
    wd_queue_free(q);
}

static void an_empty_queue_gives_nothing_after_the_wait(void **state)
{
    struct wd_queue *q = queue_of(1);
    (void)state;

    assert_int_equal(pop(q, 0), 0);
    assert_int_equal(pop(q, 5 * MS), 0);
    wd_queue_free(q);
}

static void what_was_pushed_before_the_close_still_comes_out(void **state)
{
    struct wd_queue *q = queue_of(2);
    (void)state;

    push(q, 7);
    wd_queue_close(q);
    wd_queue_close(q);
    assert_int_equal(push(q, 8), -EPIPE);
    assert_int_equal(pop(q, -1), 7);
    assert_int_equal(pop(q, -1), -EPIPE);
    wd_queue_free(q);
}

static void *sum_until_closed(void *arg)
{
    static long long sum;
    struct wd_queue *q = arg;
    struct item it;

    sum = 0;
    while (wd_queue_pop(q, &it, -1) == 1)
        sum += it.n;
    return &sum;
}

static void a_waiting_thread_gets_every_item_and_wakes_at_the_close(void **state)
{
    struct wd_queue *q = queue_of(8);
    pthread_t thread;
    void *sum;
    (void)state;

    assert_int_equal(pthread_create(&thread, NULL, sum_until_closed, q), 0);
    for (int i = 1; i <= 20000; i++)
        while (push(q, i) == -EAGAIN)
            sched_yield();
    wd_queue_close(q);
    assert_int_equal(pthread_join(thread, &sum), 0);
    assert_true(*(long long *)sum == 20000LL * 20001 / 2);
    wd_queue_free(q);
}

static void sizes_of_nothing_are_refused(void **state)
{
    struct wd_queue *q = NULL;
    struct wd_err err = {0};
    (void)state;

    assert_int_equal(wd_queue_new(0, 1, &q, &err), -EINVAL);
    assert_int_equal(wd_queue_new(1, 0, &q, &err), -EINVAL);
    assert_int_equal(wd_queue_new(16, SIZE_MAX / 8, &q, &err), -EINVAL);
    assert_null(q);
    assert_null(wd_queue_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_order_across_the_wrap),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(an_empty_queue_gives_nothing_after_the_wait),
        cmocka_unit_test(what_was_pushed_before_the_close_still_comes_out),
        cmocka_unit_test(a_waiting_thread_gets_every_item_and_wakes_at_the_close),
        cmocka_unit_test(sizes_of_nothing_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
