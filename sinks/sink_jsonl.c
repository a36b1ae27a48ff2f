/* sinks/sink_jsonl.c - appends one JSON object a line to a file, reopens it on HUP. */
#include "base/log.h"
#include "sinks/event_json.h"
#include "sinks/out.h"
#include "sinks/sink.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct jsonl_sink {
    char *path;
    bool sync;
    struct wd_out *out;
    bool dirty;
    char *line; /* WD_EVENT_JSON_BYTES */
};

static int jsonl_open(void *sink, uv_loop_t *loop, struct wd_err *err)
{
    struct jsonl_sink *s = sink;
    int r;

    (void)loop;
    s->line = malloc(WD_EVENT_JSON_BYTES);
    if (!s->line)
        return wd_err_set(err, -ENOMEM, "out of memory");
    r = wd_out_open(s->path, false, WD_EVENT_JSON_BYTES, &s->out, err);
    if (r < 0) {
        free(s->line);
        s->line = NULL;
    }
    return r;
}

static int jsonl_send(void *sink, const struct wd_event *e)
{
    struct jsonl_sink *s = sink;
    size_t n = wd_event_json(e, s->line, WD_EVENT_JSON_BYTES);
    int r;

    if (n >= WD_EVENT_JSON_BYTES)
        return -EMSGSIZE;
    s->line[n++] = '\n'; /* where the NUL was */
    r = wd_out_write(s->out, s->line, n);
    s->dirty = s->dirty || r == 0;
    return r;
}

static void jsonl_flush(void *sink)
{
    struct jsonl_sink *s = sink;

    if (s->sync && s->dirty && wd_out_sync(s->out) == 0)
        s->dirty = false;
}

static void jsonl_reopen(void *sink)
{
    struct jsonl_sink *s = sink;
    int r;

    jsonl_flush(s);
    r = wd_out_reopen(s->out);
    if (r < 0)
        wd_warning("jsonl: %s: cannot reopen, the old file stays in use: %s", s->path,
                   strerror(-r));
}

static void jsonl_close(void *sink)
{
    struct jsonl_sink *s = sink;

    jsonl_flush(s);
    s->out = wd_out_close(s->out);
    free(s->line);
    s->line = NULL;
}

static const struct wd_opt opts[] = {
    WD_OPT_STR(struct jsonl_sink, path, "-", "file to append to, or a FIFO; - is standard output"),
    WD_OPT_BOOL(struct jsonl_sink, sync, "false",
                "wait for the disk after each batch of events (fdatasync)"),
    WD_OPT_END,
};

const struct wd_sink_type wd_sink_jsonl = {
    .name = "jsonl",
    .help = "append one JSON object a line to a file",
    .size = sizeof(struct jsonl_sink),
    .kinds = WD_EVENT_ALL_KINDS,
    .opts = opts,
    .open = jsonl_open,
    .send = jsonl_send,
    .reopen = jsonl_reopen,
    .flush = jsonl_flush,
    .close = jsonl_close,
};
