/* pipeline/publish.c - what every event of one stream says of itself: stream, model, UTC. */
#include "pipeline/publish.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int64_t wd_publish_now_utc_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

struct wd_event *wd_publish_event(struct wd_publish *p, enum wd_event_kind kind, int64_t t0_ns, int64_t t1_ns)
{
    struct wd_event *e = wd_event_new(p->pool, kind, wd_publish_now_utc_ns());

    if (!e) {
        p->lost++;
        return NULL;
    }
    e->stream = wd_event_text(e, p->stream, strlen(p->stream));
    e->t0_ns = t0_ns;
    e->t1_ns = t1_ns;
    e->utc_ns = p->utc_ns ? p->utc_ns + t0_ns : 0;
    if (p->model)
        e->model = wd_event_text(e, p->model, strlen(p->model));
    if (p->model_hash)
        e->model_hash = wd_event_text(e, p->model_hash, strlen(p->model_hash));
    return e;
}

void wd_publish_send(struct wd_publish *p, struct wd_event *e)
{
    if (!e)
        return;
    p->send(p->ctx, e);
    wd_event_unref(e);
}

void wd_publish_notice(struct wd_publish *p, int64_t t_ns, const char *code, const char *fmt, ...)
{
    struct wd_event *e = wd_publish_event(p, WD_EVENT_NOTICE, t_ns, t_ns);
    char text[512];
    va_list ap;

    if (!e)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    e->change = wd_event_text(e, code, strlen(code));
    e->text = wd_event_text(e, text, strlen(text));
    wd_publish_send(p, e);
}
