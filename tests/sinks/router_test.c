/* tests/sinks/router_test.c - fan-out, filters, bounded queues, isolation; with scripted sinks. */
#include "sinks/router.h"
#include "base/log.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NOW 1760000000000000000LL

/* What a scripted sink shows of itself outlives it. */
struct record {
    int answer;    /* what send() says */
    int take_then; /* so many are taken before `answer` counts; -1: all */
    int refuse_every;
    int n_opened, n_closed, n_flushed, n_reopened, n_tried, n_got;
    struct {
        enum wd_event_kind kind;
        uint32_t rev;
    } got[4096];
};

static struct record records[3];

struct scripted {
    int64_t which;
    bool broken;
    char *word; /* freed by the router */
};

static int scripted_open(void *sink, uv_loop_t *loop, struct wd_err *err)
{
    struct scripted *s = sink;

    (void)loop;
    if (s->broken)
        return wd_err_set(err, -EACCES, "the file is not ours");
    records[s->which].n_opened++;
    return 0;
}

static int scripted_send(void *sink, const struct wd_event *e)
{
    struct record *r = &records[((struct scripted *)sink)->which];

    r->n_tried++;
    if (r->take_then == 0 || (r->refuse_every && r->n_tried % r->refuse_every == 0))
        return r->answer;
    if (r->take_then > 0)
        r->take_then--;
    r->got[r->n_got].kind = e->kind;
    r->got[r->n_got++].rev = e->rev;
    return 0;
}

static void scripted_flush(void *sink)
{
    records[((struct scripted *)sink)->which].n_flushed++;
}

static void scripted_reopen(void *sink)
{
    records[((struct scripted *)sink)->which].n_reopened++;
}

static void scripted_close(void *sink)
{
    records[((struct scripted *)sink)->which].n_closed++;
}

static const struct wd_opt scripted_opts[] = {
    WD_OPT_INT(struct scripted, which, "0", 0, 2, "which record"),
    WD_OPT_BOOL(struct scripted, broken, "false", "open fails"),
    WD_OPT_STR(struct scripted, word, "hello", "a string to be freed"),
    WD_OPT_END,
};

static const struct wd_sink_type scripted = {
    .name = "scripted",
    .help = "for tests",
    .size = sizeof(struct scripted),
    .kinds = WD_EVENT_ALL_KINDS & ~WD_EVENT_BIT(WD_EVENT_TURN),
    .opts = scripted_opts,
    .open = scripted_open,
    .send = scripted_send,
    .flush = scripted_flush,
    .reopen = scripted_reopen,
    .close = scripted_close,
};

struct world {
    uv_loop_t loop;
    struct wd_router *router;
    struct wd_event_pool *pool;
};

static int open_world(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    memset(records, 0, sizeof records);
    for (int i = 0; i < 3; i++)
        records[i].take_then = -1;
    wd_log_init(WD_LOG_ERROR, 0);
    uv_loop_init(&w->loop);
    *state = w;
    return wd_event_pool_new(3000, &w->pool, NULL) < 0 ||
           wd_router_new(&w->loop, &w->router, NULL) < 0;
}

static int close_world(void **state)
{
    struct world *w = *state;

    wd_router_free(w->router);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    if (wd_event_pool_in_use(w->pool) || uv_loop_close(&w->loop) != 0)
        return -1;
    wd_event_pool_free(w->pool);
    free(w);
    return 0;
}

static void *instance(int which, bool broken)
{
    struct scripted *s = calloc(1, sizeof *s);

    assert_int_equal(wd_opt_defaults(scripted_opts, s, NULL), 0);
    s->which = which;
    s->broken = broken;
    return s;
}

static void add(struct world *w, int which, const struct wd_router_filter *filter)
{
    assert_int_equal(wd_router_add(w->router, &scripted, instance(which, false), filter, NULL), 0);
}

static void publish(struct world *w, enum wd_event_kind kind, const char *stream, uint32_t rev)
{
    struct wd_event *e = wd_event_new(w->pool, kind, NOW);

    assert_non_null(e);
    e->stream = stream;
    e->rev = rev;
    wd_router_publish(w->router, e);
    wd_event_unref(e);
}

static struct wd_router_count count_of(struct world *w, size_t i)
{
    struct wd_router_count c[3];

    assert_true(wd_router_counts(w->router, c, 3) > i);
    return c[i];
}

static void on_tick(uv_timer_t *timer)
{
    int *n_ticks = timer->data;

    if (++*n_ticks > 60000)
        fail_msg("nothing was tried again for a minute");
}

/* Runs the loop until fewer than `below` events wait. Timers are real; the test only waits for what
 * they lead to. */
static void run_until_waiting(struct world *w, uint64_t below)
{
    uv_timer_t awake; /* retries alone do not keep a loop running */
    int n_ticks = 0;

    uv_timer_init(&w->loop, &awake);
    awake.data = &n_ticks;
    uv_timer_start(&awake, on_tick, 1, 1);
    while (wd_router_waiting(w->router) >= below)
        uv_run(&w->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&awake, NULL);
    uv_run(&w->loop, UV_RUN_NOWAIT);
}

static void run_until_taken(struct world *w)
{
    run_until_waiting(w, 1);
}

static void every_sink_gets_every_event(void **state)
{
    struct world *w = *state;

    add(w, 0, NULL);
    add(w, 1, NULL);
    publish(w, WD_EVENT_FINAL, "room", 1);
    publish(w, WD_EVENT_SCENE, "room", 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(records[i].n_got, 2);
        assert_int_equal(records[i].got[1].kind, WD_EVENT_SCENE);
        assert_int_equal(count_of(w, (size_t)i).sent, 2);
        assert_string_equal(count_of(w, (size_t)i).type, "scripted");
    }
    assert_int_equal(wd_event_pool_in_use(w->pool), 0);
}

static void filters_choose_streams_and_kinds(void **state)
{
    struct world *w = *state;
    char *names[] = {(char *)(uintptr_t) "room", (char *)(uintptr_t) "door"};
    struct wd_opt_list streams = {names, 2};

    add(w, 0, &(struct wd_router_filter){.streams = &streams});
    add(w, 1, &(struct wd_router_filter){.kinds = WD_EVENT_BIT(WD_EVENT_TURN)});
    publish(w, WD_EVENT_FINAL, "room", 1);
    publish(w, WD_EVENT_FINAL, "yard", 2);
    publish(w, WD_EVENT_TURN, "door", 3); /* not one of the type's usual kinds */
    publish(w, WD_EVENT_FINAL, "door", 4);
    publish(w, WD_EVENT_NOTICE, NULL, 5); /* the daemon's own concern everybody */
    assert_int_equal(records[0].n_got, 3);
    assert_int_equal(records[0].got[0].rev, 1);
    assert_int_equal(records[0].got[1].rev, 4);
    assert_int_equal(records[0].got[2].rev, 5);
    assert_int_equal(records[1].n_got, 1);
    assert_int_equal(records[1].got[0].rev, 3);
}

static void what_a_sink_refuses_for_now_comes_later_in_order(void **state)
{
    struct world *w = *state;

    add(w, 0, NULL);
    records[0].answer = -EAGAIN;
    records[0].take_then = 1;
    for (uint32_t i = 0; i < 5; i++)
        publish(w, WD_EVENT_FINAL, "room", i);
    assert_int_equal(records[0].n_got, 1);
    assert_int_equal(records[0].n_tried, 2); /* behind a refused event nothing is offered */
    assert_int_equal(count_of(w, 0).waiting, 4);
    assert_int_equal(wd_event_pool_in_use(w->pool), 4);
    records[0].take_then = -1;
    run_until_taken(w);
    assert_int_equal(records[0].n_got, 5);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(records[0].got[i].rev, i);
    assert_int_equal(count_of(w, 0).lost, 0);
    assert_true(records[0].n_flushed > 0);
}

static void a_sink_in_trouble_holds_up_no_other(void **state)
{
    struct world *w = *state;

    add(w, 0, NULL);
    add(w, 1, NULL);
    add(w, 2, NULL);
    records[0].answer = -EAGAIN;
    records[0].take_then = 0;
    records[1].answer = -EPIPE;
    records[1].take_then = 0;
    for (uint32_t i = 0; i < 10; i++)
        publish(w, WD_EVENT_FINAL, "room", i);
    assert_int_equal(records[2].n_got, 10);
    assert_int_equal(count_of(w, 0).waiting, 10);
    assert_int_equal(count_of(w, 1).lost, 10);
    assert_int_equal(count_of(w, 1).waiting, 0);
}

static void a_full_queue_loses_partials_first_then_the_oldest(void **state)
{
    struct world *w = *state;

    add(w, 0, NULL);
    records[0].answer = -EAGAIN;
    records[0].take_then = 0;
    /* every fourth is a partial: 256 of the 1024 */
    for (uint32_t i = 0; i < WD_ROUTER_QUEUE; i++)
        publish(w, i % 4 ? WD_EVENT_FINAL : WD_EVENT_PARTIAL, "room", i);
    assert_int_equal(count_of(w, 0).lost, 0);
    for (uint32_t i = 0; i < 256 + 10; i++)
        publish(w, WD_EVENT_FINAL, "room", WD_ROUTER_QUEUE + i);
    assert_int_equal(count_of(w, 0).lost, 256 + 10);
    assert_int_equal(count_of(w, 0).waiting, WD_ROUTER_QUEUE);
    assert_int_equal(wd_event_pool_in_use(w->pool), WD_ROUTER_QUEUE);
    records[0].take_then = -1;
    run_until_taken(w);
    assert_int_equal(records[0].n_got, WD_ROUTER_QUEUE);
    for (int i = 0; i < records[0].n_got; i++) {
        assert_int_equal(records[0].got[i].kind, WD_EVENT_FINAL);
        assert_true(i == 0 || records[0].got[i].rev > records[0].got[i - 1].rev);
    }
    assert_int_equal(records[0].got[0].rev,
                     14); /* 1 2 3 5 6 7 9 10 11 13 were the ten oldest finals */
    assert_int_equal(records[0].got[WD_ROUTER_QUEUE - 1].rev, WD_ROUTER_QUEUE + 265);
}

static void a_sink_that_takes_a_few_at_a_time_gets_all(void **state)
{
    struct world *w = *state;

    add(w, 0, NULL);
    records[0].answer = -EAGAIN;
    records[0].take_then = 0;
    for (uint32_t i = 0; i < 20; i++)
        publish(w, WD_EVENT_FINAL, "room", i);
    while (count_of(w, 0).waiting) {
        records[0].take_then = 7;
        run_until_waiting(w, count_of(w, 0).waiting);
    }
    assert_int_equal(records[0].n_got, 20);
    assert_int_equal(records[0].got[19].rev, 19);
}

static void a_full_disk_is_tried_again_too(void **state)
{
    struct world *w = *state;

    add(w, 0, NULL);
    records[0].answer = -ENOSPC;
    records[0].take_then = 0;
    wd_router_wait(w->router, true); /* only readers are waited for */
    publish(w, WD_EVENT_FINAL, "room", 1);
    assert_int_equal(count_of(w, 0).waiting, 1);
    records[0].take_then = -1;
    run_until_taken(w);
    assert_int_equal(records[0].n_got, 1);
}

static void a_router_that_may_wait_loses_nothing_to_a_slow_reader(void **state)
{
    struct world *w = *state;

    add(w, 0, NULL);
    wd_router_wait(w->router, true);
    records[0].answer = -EAGAIN;
    records[0].refuse_every = 3;
    for (uint32_t i = 0; i < 100; i++)
        publish(w, WD_EVENT_FINAL, "room", i);
    assert_int_equal(records[0].n_got, 100);
    assert_int_equal(count_of(w, 0).waiting, 0);
}

static void freeing_offers_what_waits_again(void **state)
{
    struct world *w = *state;

    add(w, 0, NULL);
    add(w, 1, NULL);
    for (int i = 0; i < 2; i++) {
        records[i].answer = -EAGAIN;
        records[i].take_then = 0;
    }
    publish(w, WD_EVENT_FINAL, "room", 1);
    publish(w, WD_EVENT_FINAL, "room", 2);
    records[0].take_then = -1;
    assert_int_equal(wd_router_finish(w->router), 2); /* of the second */
    w->router = wd_router_free(w->router);
    assert_int_equal(records[0].n_got, 2);
    assert_int_equal(records[1].n_got, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(records[i].n_closed, 1);
        assert_true(records[i].n_flushed > 0);
    }
    assert_int_equal(wd_event_pool_in_use(w->pool), 0);
}

static void a_sink_that_cannot_open_says_which_and_why(void **state)
{
    struct world *w = *state;
    struct wd_err err = {0};

    assert_int_equal(wd_router_add(w->router, &scripted, instance(0, true), NULL, &err), -EACCES);
    assert_string_equal(err.text, "sink scripted: the file is not ours");
    assert_int_equal(wd_router_counts(w->router, NULL, 0), 0);
    add(w, 1, NULL);
    publish(w, WD_EVENT_FINAL, "room", 1);
    assert_int_equal(records[0].n_closed, 0);
    assert_int_equal(records[1].n_got, 1);
}

static void flush_and_reopen_reach_every_sink(void **state)
{
    struct world *w = *state;

    add(w, 0, NULL);
    add(w, 1, NULL);
    wd_router_flush(w->router);
    wd_router_reopen(w->router);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(records[i].n_flushed, 1);
        assert_int_equal(records[i].n_reopened, 1);
    }
}

static void every_type_is_found_by_its_name(void **state)
{
    const struct wd_sink_type *const *types = wd_sink_types();
    size_t n;
    (void)state;

    for (n = 0; types[n]; n++) {
        assert_ptr_equal(wd_sink_type_find(types[n]->name), types[n]);
        assert_non_null(types[n]->help);
        assert_true(types[n]->kinds && !(types[n]->kinds & ~WD_EVENT_ALL_KINDS));
        assert_true(types[n]->size && types[n]->opts && types[n]->open && types[n]->send &&
                    types[n]->close);
    }
    assert_int_equal(n, 7);
    assert_null(wd_sink_type_find("telegraph"));
    assert_null(wd_sink_type_find(NULL));
}

static void the_null_sink_takes_everything(void **state)
{
    struct world *w = *state;

    assert_int_equal(
        wd_router_add(w->router, &wd_sink_null, calloc(1, wd_sink_null.size), NULL, NULL), 0);
    for (int k = 0; k < WD_EVENT_N_KINDS; k++)
        publish(w, (enum wd_event_kind)k, "room", 1);
    assert_int_equal(count_of(w, 0).sent, WD_EVENT_N_KINDS);
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(every_sink_gets_every_event),
        IN_WORLD(filters_choose_streams_and_kinds),
        IN_WORLD(what_a_sink_refuses_for_now_comes_later_in_order),
        IN_WORLD(a_sink_in_trouble_holds_up_no_other),
        IN_WORLD(a_full_queue_loses_partials_first_then_the_oldest),
        IN_WORLD(a_sink_that_takes_a_few_at_a_time_gets_all),
        IN_WORLD(a_full_disk_is_tried_again_too),
        IN_WORLD(a_router_that_may_wait_loses_nothing_to_a_slow_reader),
        IN_WORLD(freeing_offers_what_waits_again),
        IN_WORLD(a_sink_that_cannot_open_says_which_and_why),
        IN_WORLD(flush_and_reopen_reach_every_sink),
        cmocka_unit_test(every_type_is_found_by_its_name),
        IN_WORLD(the_null_sink_takes_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
