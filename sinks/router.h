/* sinks/router.h - events to sinks: one bounded queue a sink, filter by stream and kind, fan-out,
 * counts. Loop thread. */
#pragma once
#include "base/err.h"
#include "sinks/sink.h"

#define WD_ROUTER_QUEUE 1024 /* events kept for a sink that takes none */

struct wd_router;
int wd_router_new(uv_loop_t *loop, struct wd_router **ret, struct wd_err *err);

/* Gives every sink what it still waits for, as long as it takes some within a second, then flushes
 * and closes it; the rest is lost and logged. Returns how many events were lost in all, by all
 * sinks; the router then has none. */
uint64_t wd_router_finish(struct wd_router *r);
/* Finishes. The memory goes when the loop has run once more (its timers are closed). NULL is fine;
 * returns NULL. */
struct wd_router *wd_router_free(struct wd_router *r);

struct wd_router_filter {
    const struct wd_opt_list
        *streams;   /* names, copied; NULL or empty: all. Events of no stream always pass */
    uint32_t kinds; /* WD_EVENT_BIT per kind; 0: the type's usual ones */
};
/* Opens a sink. Takes `opts_object`, also on failure (malloc'ed, of type->size, filled from
 * type->opts: it is the instance). `filter` may be NULL: everything usual. */
int wd_router_add(struct wd_router *r, const struct wd_sink_type *type, void *opts_object,
                  const struct wd_router_filter *filter, struct wd_err *err);

/* For one recording, whose source can wait: publish and free wait for a reader that is slow (`|
 * less`) instead of ever losing what it would read. Default false. */
void wd_router_wait(struct wd_router *r, bool wait);

/* To every sink whose filter lets it through; borrows `e` and keeps references of its own. A sink
 * that wants it later (wd_sink_later) keeps up to WD_ROUTER_QUEUE events, is tried again after
 * 20 ms, then ever more seldom up to 1 s, and gets them in order; when the queue is full it loses
 * the oldest partial first, then the oldest. No sink waits for another. The event pool must hold
 * WD_ROUTER_QUEUE events a sink beside those in the making. */
void wd_router_publish(struct wd_router *r, struct wd_event *e);
void wd_router_reopen(struct wd_router *r); /* HUP */
void wd_router_flush(struct wd_router *r);  /* end of a batch of events */

struct wd_router_count {
    const char *type;
    uint64_t sent, lost, waiting;
};
/* In the order they were added; returns how many sinks there are, which may be more than `cap`. */
size_t wd_router_counts(const struct wd_router *r, struct wd_router_count *ret, size_t cap);
uint64_t wd_router_waiting(
    const struct wd_router *r); /* events of all sinks: 0 = nothing more to wait for before free */
