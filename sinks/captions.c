/* sinks/captions.c - one write an event, with all its cues: the file always holds whole ones. */
#include "sinks/captions.h"
#include "base/log.h"
#include "sinks/out.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES (8 * WD_EVENT_SPACE)

static const struct wd_cue_shape usual_shape = {
    .n_lines = 2,
    .n_columns = 42,
    .longest_ns = 7000000000LL,
    .shortest_ns = 500000000LL,
};

struct wd_captions {
    const struct wd_captions_format *format;
    struct wd_out *out;
    bool header_due;
    uint64_t n_cues;
    int64_t end_ns; /* of the last cue */
    char buf[MOST_BYTES];
};

/* What one event adds; becomes true only when it is written. */
struct batch {
    struct wd_captions_text text;
    const struct wd_captions_format *format;
    const char *speaker;
    uint64_t n_cues;
};

void wd_captions_put(struct wd_captions_text *t, const char *s)
{
    size_t n = strlen(s);

    if (t->len < t->cap && n < t->cap - t->len)
        memcpy(t->out + t->len, s, n);
    t->len += n;
}

void wd_captions_put_time(struct wd_captions_text *t, int64_t ns, char decimal_mark)
{
    char b[48];
    int64_t ms = (ns < 0 ? 0 : ns) / 1000000;

    snprintf(b, sizeof b, "%02lld:%02d:%02d%c%03d", (long long)(ms / 3600000),
             (int)(ms / 60000 % 60), (int)(ms / 1000 % 60), decimal_mark, (int)(ms % 1000));
    wd_captions_put(t, b);
}

int wd_captions_open(const char *path, const struct wd_captions_format *format,
                     struct wd_captions **ret, struct wd_err *err)
{
    struct wd_captions *c = calloc(1, sizeof *c);
    int r;

    if (!c)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", path ? path : "-");
    r = wd_out_open(path, true, MOST_BYTES, &c->out, err);
    if (r == 0) {
        c->format = format;
        r = wd_out_write(c->out, format->header, strlen(format->header));
        if (wd_sink_later(r)) {
            c->header_due = true;
            r = 0;
        } else if (r < 0) {
            wd_err_set(err, r, "%s: cannot write: %s", path, strerror(-r));
        }
    }
    if (r < 0) {
        wd_captions_close(c);
        return r;
    }
    *ret = c;
    return 0;
}

static void on_cue(void *ctx, const struct wd_cue *c)
{
    struct batch *b = ctx;

    b->format->cue(&b->text, ++b->n_cues, b->speaker, c);
}

static unsigned columns_of(const char *s)
{
    unsigned n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

int wd_captions_send(struct wd_captions *c, const struct wd_event *e)
{
    struct wd_cue_shape shape = usual_shape;
    struct batch b = {.text = {c->buf, sizeof c->buf, 0}, .format = c->format, .n_cues = c->n_cues};
    int64_t end_ns;
    int r;

    if (e->kind != WD_EVENT_FINAL || !e->text)
        return 0;
    b.speaker = wd_cues_speaker(e);
    if (b.speaker && c->format->speaker_columns)
        shape.n_first = c->format->speaker_columns + columns_of(b.speaker);
    if (c->header_due)
        wd_captions_put(&b.text, c->format->header);
    end_ns = wd_cues_split(e, &shape, c->end_ns, on_cue, &b);
    if (b.text.len >= b.text.cap)
        return -EMSGSIZE;
    if (!b.text.len)
        return 0;
    r = wd_out_write(c->out, c->buf, b.text.len);
    if (r < 0)
        return r;
    c->header_due = false;
    c->n_cues = b.n_cues;
    c->end_ns = end_ns;
    return 0;
}

void wd_captions_reopen(struct wd_captions *c)
{
    int r = wd_out_reopen(c->out);

    if (r < 0) {
        wd_warning("captions: cannot reopen the file, the old one stays in use: %s", strerror(-r));
    } else if (r == 1) {
        c->header_due = true;
        c->n_cues = 0; /* times go on: they are the stream's */
    }
}

void wd_captions_close(struct wd_captions *c)
{
    if (!c)
        return;
    if (c->out && c->header_due)
        wd_out_write(c->out, c->format->header, strlen(c->format->header));
    wd_out_close(c->out);
    free(c);
}
