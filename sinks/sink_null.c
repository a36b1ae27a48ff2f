/* sinks/sink_null.c - takes every event and drops it; copy it to start a new sink. */
#include "sinks/sink.h"

struct null_sink {
    uint64_t n_events;
};

static int null_open(void *sink, uv_loop_t *loop, struct wd_err *err)
{
    (void)sink;
    (void)loop;
    (void)err;
    return 0;
}

static int null_send(void *sink, const struct wd_event *e)
{
    struct null_sink *s = sink;

    (void)e;
    s->n_events++;
    return 0;
}

static void null_close(void *sink)
{
    (void)sink;
}

static const struct wd_opt opts[] = {WD_OPT_END};

const struct wd_sink_type wd_sink_null = {
    .name = "null",
    .help = "take every event and drop it; the router's counts remain",
    .size = sizeof(struct null_sink),
    .kinds = WD_EVENT_ALL_KINDS,
    .opts = opts,
    .open = null_open,
    .send = null_send,
    .close = null_close,
};
