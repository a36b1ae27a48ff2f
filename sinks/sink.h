/* sinks/sink.h - what a sink provides; the table of sink types. Loop thread. */
#pragma once
#include "base/err.h"
#include "base/opt.h"
#include "pipeline/event.h"
#include <errno.h>
#include <uv.h>

struct wd_sink_type {
    const char *name;
    const char *help;
    size_t size;    /* of one instance's struct, which the router hands out zeroed */
    uint32_t kinds; /* WD_EVENT_BIT of each kind it gets where the configuration names none */
    const struct wd_opt *opts; /* filled in before open() */
    /* On failure leaves nothing open, and close() is not called. */
    int (*open)(void *sink, uv_loop_t *loop, struct wd_err *err);
    /* Never waits. What wd_sink_later() knows: keep it for later; other errors count as lost. */
    int (*send)(void *sink, const struct wd_event *e);
    void (*reopen)(void *sink); /* HUP; may be NULL */
    void (*flush)(void *sink);  /* end of a batch of events; may be NULL */
    void (*close)(void *sink);  /* everything accepted is written; leaves the options alone */
};

/* What passes: -EAGAIN, nobody reads just now; -ENOSPC and -EDQUOT, the disk is full. */
static inline bool wd_sink_later(int r)
{
    return r == -EAGAIN || r == -ENOSPC || r == -EDQUOT;
}

const struct wd_sink_type *wd_sink_type_find(const char *name); /* NULL: no such type */
const struct wd_sink_type *const *wd_sink_types(void);          /* NULL-terminated */

/* Rows of the table; each is the last thing in sinks/sink_NAME.c. */
extern const struct wd_sink_type wd_sink_terminal, wd_sink_jsonl, wd_sink_srt, wd_sink_webvtt,
    wd_sink_rttm, wd_sink_text, wd_sink_null;
