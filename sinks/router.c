/* sinks/router.c - fan-out: each sink has its own queue, its own timer and its own troubles. */
#include "sinks/router.h"
#include "base/log.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_MS 20
#define RETRY_MOST_MS 1000
#define WAIT_STEP_MS 5
#define READER_WAIT_MS 600000 /* a person who reads page by page; nobody waits without a bound */
#define END_WAIT_MS 1000

struct sink {
    const struct wd_sink_type *type;
    void *instance;
    uint32_t kinds;
    char **streams;
    size_t n_streams;
    uint64_t n_sent, n_lost;
    uint64_t lost_at_trouble, trouble_ms; /* when this trouble began; 0 = none */
    struct wd_event *queue[WD_ROUTER_QUEUE];
    size_t first, n_waiting;
    uv_timer_t retry;
    uint64_t retry_ms;
};

struct wd_router {
    uv_loop_t *loop;
    struct sink **sinks;
    size_t n_sinks;
    bool wait;
};

int wd_router_new(uv_loop_t *loop, struct wd_router **ret, struct wd_err *err)
{
    struct wd_router *r = calloc(1, sizeof *r);

    if (!r)
        return wd_err_set(err, -ENOMEM, "router: out of memory");
    r->loop = loop;
    *ret = r;
    return 0;
}

static void free_streams(struct sink *s)
{
    for (size_t i = 0; i < s->n_streams; i++)
        free(s->streams[i]);
    free(s->streams);
}

static int copy_streams(struct sink *s, const struct wd_opt_list *streams)
{
    if (!streams || !streams->n)
        return 0;
    s->streams = calloc(streams->n, sizeof *s->streams);
    if (!s->streams)
        return -ENOMEM;
    for (size_t i = 0; i < streams->n; i++) {
        s->streams[i] = strdup(streams->items[i]);
        if (!s->streams[i])
            return -ENOMEM;
        s->n_streams++;
    }
    return 0;
}

static bool wants(const struct sink *s, const struct wd_event *e)
{
    if (!(s->kinds & WD_EVENT_BIT(e->kind)))
        return false;
    if (!s->n_streams || !e->stream)
        return true;
    for (size_t i = 0; i < s->n_streams; i++)
        if (strcmp(s->streams[i], e->stream) == 0)
            return true;
    return false;
}

static void begin_trouble(struct sink *s, const char *what)
{
    if (s->trouble_ms)
        return;
    s->trouble_ms = uv_now(s->retry.loop) + 1; /* never 0 */
    s->lost_at_trouble = s->n_lost;
    wd_warning("sink %s: %s", s->type->name, what);
}

static void end_trouble(struct sink *s)
{
    if (!s->trouble_ms)
        return;
    wd_notice("sink %s: takes events again after %.1f s, %llu lost", s->type->name,
              (double)(uv_now(s->retry.loop) + 1 - s->trouble_ms) / 1000,
              (unsigned long long)(s->n_lost - s->lost_at_trouble));
    s->trouble_ms = 0;
}

/* 0, or what wd_sink_later() knows: the sink wants it again. */
static int offer(struct sink *s, const struct wd_event *e)
{
    int r = s->type->send(s->instance, e);

    if (wd_sink_later(r)) {
        begin_trouble(s, r == -EAGAIN ? "nobody takes its events now" : strerror(-r));
        return r;
    }
    if (r < 0) {
        begin_trouble(s, strerror(-r));
        s->n_lost++;
    } else {
        end_trouble(s);
        s->n_sent++;
    }
    return 0;
}

static struct wd_event **place(struct sink *s, size_t i)
{
    return &s->queue[(s->first + i) % WD_ROUTER_QUEUE];
}

static void remove_at(struct sink *s, size_t at)
{
    wd_event_unref(*place(s, at));
    if (at == 0) {
        s->first = (s->first + 1) % WD_ROUTER_QUEUE;
    } else {
        for (size_t i = at; i + 1 < s->n_waiting; i++)
            *place(s, i) = *place(s, i + 1);
    }
    s->n_waiting--;
}

static void lose_one(struct sink *s)
{
    size_t at = 0;

    for (size_t i = 0; i < s->n_waiting; i++)
        if ((*place(s, i))->kind == WD_EVENT_PARTIAL) {
            at = i;
            break;
        }
    remove_at(s, at);
    s->n_lost++;
}

static void on_retry(uv_timer_t *timer);

static void keep(struct sink *s, struct wd_event *e)
{
    if (s->n_waiting == WD_ROUTER_QUEUE)
        lose_one(s);
    *place(s, s->n_waiting++) = wd_event_ref(e);
    if (!uv_is_active((uv_handle_t *)&s->retry)) {
        s->retry_ms = RETRY_FIRST_MS;
        uv_timer_start(&s->retry, on_retry, s->retry_ms, 0);
    }
}

static int offer_waiting(struct sink *s)
{
    int r = 0;

    while (s->n_waiting && (r = offer(s, *place(s, 0))) == 0)
        remove_at(s, 0);
    return r;
}

static void on_retry(uv_timer_t *timer)
{
    struct sink *s = timer->data;
    size_t before = s->n_waiting;

    offer_waiting(s);
    if (s->type->flush && s->n_waiting < before)
        s->type->flush(s->instance);
    if (!s->n_waiting)
        return;
    s->retry_ms = s->n_waiting < before ? RETRY_FIRST_MS : s->retry_ms * 2;
    if (s->retry_ms > RETRY_MOST_MS)
        s->retry_ms = RETRY_MOST_MS;
    uv_timer_start(timer, on_retry, s->retry_ms, 0);
}

static int add_sink(struct wd_router *r, struct sink *s, const struct wd_router_filter *filter,
                    struct wd_err *err)
{
    struct sink **sinks = realloc(r->sinks, (r->n_sinks + 1) * sizeof *sinks);
    int e;

    if (!sinks)
        return wd_err_set(err, -ENOMEM, "out of memory");
    r->sinks = sinks;
    if (copy_streams(s, filter ? filter->streams : NULL) < 0)
        return wd_err_set(err, -ENOMEM, "out of memory");
    s->kinds = filter && filter->kinds ? filter->kinds : s->type->kinds;
    e = s->type->open(s->instance, r->loop, err);
    if (e < 0)
        return e;
    uv_timer_init(r->loop, &s->retry); /* cannot fail */
    /* what waits does not keep the loop alive: who ends the daemon asks wd_router_waiting() and
     * decides how long */
    uv_unref((uv_handle_t *)&s->retry);
    s->retry.data = s;
    r->sinks[r->n_sinks++] = s;
    return 0;
}

static void free_sink(struct sink *s)
{
    wd_opt_done(s->type->opts, s->instance);
    free(s->instance);
    free_streams(s);
    free(s);
}

int wd_router_add(struct wd_router *r, const struct wd_sink_type *type, void *opts_object,
                  const struct wd_router_filter *filter, struct wd_err *err)
{
    struct sink *s = calloc(1, sizeof *s);
    int e;

    if (!s) {
        wd_opt_done(type->opts, opts_object);
        free(opts_object);
        return wd_err_set(err, -ENOMEM, "sink %s: out of memory", type->name);
    }
    s->type = type;
    s->instance = opts_object;
    e = add_sink(r, s, filter, err);
    if (e < 0) {
        wd_err_prefix(err, "sink %s", type->name);
        free_sink(s);
    }
    return e;
}

void wd_router_wait(struct wd_router *r, bool wait)
{
    r->wait = wait;
}

static int send_now(const struct wd_router *r, struct sink *s, const struct wd_event *e)
{
    unsigned waited_ms = 0;
    int said;

    while ((said = offer(s, e)) == -EAGAIN && r->wait && waited_ms < READER_WAIT_MS) {
        uv_sleep(WAIT_STEP_MS);
        waited_ms += WAIT_STEP_MS;
    }
    return said;
}

void wd_router_publish(struct wd_router *r, struct wd_event *e)
{
    for (size_t i = 0; i < r->n_sinks; i++) {
        struct sink *s = r->sinks[i];

        if (wants(s, e) && (s->n_waiting || send_now(r, s, e) < 0))
            keep(s, e);
    }
}

void wd_router_reopen(struct wd_router *r)
{
    for (size_t i = 0; i < r->n_sinks; i++)
        if (r->sinks[i]->type->reopen)
            r->sinks[i]->type->reopen(r->sinks[i]->instance);
}

void wd_router_flush(struct wd_router *r)
{
    for (size_t i = 0; i < r->n_sinks; i++)
        if (r->sinks[i]->type->flush)
            r->sinks[i]->type->flush(r->sinks[i]->instance);
}

static void on_timer_closed(uv_handle_t *handle)
{
    free_sink(handle->data);
}

/* The loop has nothing else to do any more, so this may wait: as long as the sink makes progress.
 */
static void offer_at_end(const struct wd_router *r, struct sink *s)
{
    unsigned idle_ms = 0;

    while (s->n_waiting) {
        size_t before = s->n_waiting;
        int said = offer_waiting(s);

        if (s->n_waiting < before)
            idle_ms = 0;
        else if (idle_ms >= (r->wait && said == -EAGAIN ? READER_WAIT_MS : END_WAIT_MS))
            return;
        if (s->n_waiting)
            uv_sleep(WAIT_STEP_MS);
        idle_ms += WAIT_STEP_MS;
    }
}

/* How many events it lost in all. */
static uint64_t close_sink(const struct wd_router *r, struct sink *s)
{
    uint64_t lost;

    offer_at_end(r, s);
    lost = s->n_waiting;
    while (s->n_waiting)
        remove_at(s, 0);
    s->n_lost += lost;
    if (lost)
        wd_warning("sink %s: closed with %llu events it did not take", s->type->name,
                   (unsigned long long)lost);
    if (s->type->flush)
        s->type->flush(s->instance);
    s->type->close(s->instance);
    lost = s->n_lost;
    uv_close((uv_handle_t *)&s->retry, on_timer_closed);
    return lost;
}

uint64_t wd_router_finish(struct wd_router *r)
{
    uint64_t lost = 0;

    for (size_t i = 0; i < r->n_sinks; i++)
        lost += close_sink(r, r->sinks[i]);
    r->n_sinks = 0;
    return lost;
}

struct wd_router *wd_router_free(struct wd_router *r)
{
    if (!r)
        return NULL;
    wd_router_finish(r);
    free(r->sinks);
    free(r);
    return NULL;
}

size_t wd_router_counts(const struct wd_router *r, struct wd_router_count *ret, size_t cap)
{
    for (size_t i = 0; i < r->n_sinks && i < cap; i++) {
        const struct sink *s = r->sinks[i];

        ret[i] = (struct wd_router_count){s->type->name, s->n_sent, s->n_lost, s->n_waiting};
    }
    return r->n_sinks;
}

uint64_t wd_router_waiting(const struct wd_router *r)
{
    uint64_t n = 0;

    for (size_t i = 0; i < r->n_sinks; i++)
        n += r->sinks[i]->n_waiting;
    return n;
}
