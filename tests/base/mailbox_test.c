/* tests/base/mailbox_test.c - order, bound, wake-up and closing of the mailbox. */
#include "base/mailbox.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

struct item {
    int from, n;
};

struct box {
    uv_loop_t loop;
    struct wd_mailbox *m;
    int n_got, n_closed, close_at;
    int last[4];
    int out_of_order;
};

static void on_closed(void *ctx)
{
    struct box *b = ctx;

    b->n_closed++;
}

static void deliver(void *ctx, void *item)
{
    struct box *b = ctx;
    struct item *it = item;

    if (it->n != b->last[it->from] + 1)
        b->out_of_order++;
    b->last[it->from] = it->n;
    b->n_got++;
    if (b->n_got == b->close_at)
        wd_mailbox_close(b->m, on_closed);
}

static void box_open(struct box *b, size_t cap)
{
    *b = (struct box){0};
    assert_int_equal(uv_loop_init(&b->loop), 0);
    assert_int_equal(wd_mailbox_new(&b->loop, sizeof(struct item), cap, deliver, b, &b->m, NULL),
                     0);
}

static void box_done(struct box *b)
{
    uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_int_equal(b->n_closed, 1);
    assert_int_equal(uv_loop_close(&b->loop), 0);
}

static int post(struct box *b, int n)
{
    struct item it = {0, n};

    return wd_mailbox_post(b->m, &it);
}

static void items_arrive_in_order_on_the_loop(void **state)
{
    struct box b;
    (void)state;

    box_open(&b, 4);
    for (int i = 1; i <= 3; i++)
        assert_int_equal(post(&b, i), 0);
    assert_int_equal(b.n_got, 0);
    uv_run(&b.loop, UV_RUN_NOWAIT);
    assert_int_equal(b.n_got, 3);
    assert_int_equal(b.out_of_order, 0);
    wd_mailbox_close(b.m, on_closed);
    box_done(&b);
}

static void a_full_mailbox_refuses(void **state)
{
    struct box b;
    (void)state;

    box_open(&b, 2);
    assert_int_equal(post(&b, 1), 0);
    assert_int_equal(post(&b, 2), 0);
    assert_int_equal(post(&b, 3), -EAGAIN);
    uv_run(&b.loop, UV_RUN_NOWAIT);
    assert_int_equal(b.n_got, 2);
    assert_int_equal(post(&b, 3), 0);
    wd_mailbox_close(b.m, on_closed);
    box_done(&b);
    assert_int_equal(b.n_got, 3);
}

static void what_waits_at_the_close_is_still_delivered(void **state)
{
    struct box b;
    (void)state;

    box_open(&b, 8);
    for (int i = 1; i <= 5; i++)
        post(&b, i);
    wd_mailbox_close(b.m, on_closed);
    assert_int_equal(b.n_got, 5);
    assert_int_equal(b.n_closed, 0);
    box_done(&b);
}

static void a_receiver_may_close_its_mailbox(void **state)
{
    struct box b;
    (void)state;

    box_open(&b, 8);
    b.close_at = 2;
    for (int i = 1; i <= 5; i++)
        post(&b, i);
    box_done(&b);
    assert_int_equal(b.n_got, 5);
    assert_int_equal(b.out_of_order, 0);
}

struct poster {
    struct box *box;
    int from, n;
};

static void *post_many(void *arg)
{
    struct poster *p = arg;

    for (int i = 1; i <= p->n; i++) {
        struct item it = {p->from, i};

        while (wd_mailbox_post(p->box->m, &it) == -EAGAIN)
            sched_yield();
    }
    return NULL;
}

static void several_threads_lose_nothing(void **state)
{
    struct box b;
    struct poster posters[4];
    pthread_t threads[4];
    (void)state;

    box_open(&b, 8);
    for (int i = 0; i < 4; i++) {
        posters[i] = (struct poster){&b, i, 5000};
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
    }
    while (b.n_got < 4 * 5000 - 8)
        uv_run(&b.loop, UV_RUN_ONCE);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    wd_mailbox_close(b.m, on_closed);
    box_done(&b);
    assert_int_equal(b.n_got, 4 * 5000);
    assert_int_equal(b.out_of_order, 0);
}

static void sizes_of_nothing_are_refused(void **state)
{
    uv_loop_t loop;
    struct wd_mailbox *m = NULL;
    (void)state;

    uv_loop_init(&loop);
    assert_int_equal(wd_mailbox_new(&loop, 0, 1, deliver, NULL, &m, NULL), -EINVAL);
    assert_int_equal(wd_mailbox_new(&loop, 1, 0, deliver, NULL, &m, NULL), -EINVAL);
    assert_int_equal(wd_mailbox_new(&loop, 1, 1, NULL, NULL, &m, NULL), -EINVAL);
    assert_null(m);
    wd_mailbox_close(NULL, NULL);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_arrive_in_order_on_the_loop),
        cmocka_unit_test(a_full_mailbox_refuses),
        cmocka_unit_test(what_waits_at_the_close_is_still_delivered),
        cmocka_unit_test(a_receiver_may_close_its_mailbox),
        cmocka_unit_test(several_threads_lose_nothing),
        cmocka_unit_test(sizes_of_nothing_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
