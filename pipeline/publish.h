/* pipeline/publish.h - what every event of one stream says of itself: stream, model, UTC. Loop thread. */
#pragma once
#include "pipeline/event.h"

struct wd_publish {
    struct wd_event_pool *pool;
    const char *stream, *model, *model_hash; /* borrowed */
    int64_t utc_ns;                          /* of stream time 0; 0: not known yet */
    void (*send)(void *ctx, struct wd_event *e); /* borrows e */
    void *ctx;
    uint64_t lost;                           /* no event was free */
};

int64_t wd_publish_now_utc_ns(void);
/* One reference, to be filled in and given to wd_publish_send(); NULL (counted) when the pool is empty. */
struct wd_event *wd_publish_event(struct wd_publish *p, enum wd_event_kind kind, int64_t t0_ns, int64_t t1_ns);
void wd_publish_send(struct wd_publish *p, struct wd_event *e); /* takes e; NULL is fine */
/* For operators: a short code and a sentence. */
void wd_publish_notice(struct wd_publish *p, int64_t t_ns, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
