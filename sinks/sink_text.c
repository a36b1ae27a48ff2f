/* sinks/sink_text.c - finals as plain paragraphs, one a speaker's turn, for reading and editing. */
#include "base/log.h"
#include "sinks/cues.h"
#include "sinks/out.h"
#include "sinks/sink.h"
#include "base/utf8.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES (4 * WD_EVENT_SPACE)
#define PAUSE_NS 3000000000LL /* a paragraph ends where the speaker is silent this long */
#define NAME_BYTES 128

struct text_sink {
    char *path;
    bool times;
    struct wd_out *out;
    bool begun;                                   /* inside a paragraph */
    char stream[NAME_BYTES], speaker[NAME_BYTES]; /* of the paragraph */
    bool several;                                 /* more than one stream was seen */
    int64_t t1_ns;
    char *buf; /* MOST_BYTES */
};

static int text_open(void *sink, uv_loop_t *loop, struct wd_err *err)
{
    struct text_sink *s = sink;
    int r;

    (void)loop;
    s->buf = malloc(MOST_BYTES);
    if (!s->buf)
        return wd_err_set(err, -ENOMEM, "out of memory");
    r = wd_out_open(s->path, true, MOST_BYTES, &s->out, err);
    if (r < 0) {
        free(s->buf);
        s->buf = NULL;
    }
    return r;
}

static void put(struct text_sink *s, size_t *len, const char *text, size_t n)
{
    if (n < MOST_BYTES - *len) {
        memcpy(s->buf + *len, text, n);
        *len += n;
    }
}

/* One line: blanks of any kind become one, what a terminal must not get U+FFFD. */
static void put_clean(struct text_sink *s, size_t *len, const char *text)
{
    size_t n = strlen(text), at = 0;
    bool blank = false;
    size_t from = *len;

    while (at < n) {
        uint32_t c;
        char b[4];

        at += wd_utf8_read(text + at, n - at, &c);
        if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
            blank = *len > from;
            continue;
        }
        if (blank)
            put(s, len, " ", 1);
        blank = false;
        put(s, len, b, wd_utf8_put(wd_utf8_columns(c) < 0 ? WD_UTF8_REPLACEMENT : c, b));
    }
}

static void put_heading(struct text_sink *s, size_t *len, const struct wd_event *e,
                        const char *speaker, bool several)
{
    char time[48];
    int64_t at_s = (e->t0_ns < 0 ? 0 : e->t0_ns) / 1000000000;

    if (s->times) {
        int n = snprintf(time, sizeof time, "[%02lld:%02d:%02d] ", (long long)(at_s / 3600),
                         (int)(at_s / 60 % 60), (int)(at_s % 60));

        put(s, len, time, (size_t)n);
    }
    if (several && e->stream) {
        put(s, len, "(", 1);
        put_clean(s, len, e->stream);
        put(s, len, ") ", 2);
    }
    if (speaker) {
        put_clean(s, len, speaker);
        put(s, len, ": ", 2);
    }
}

static int text_send(void *sink, const struct wd_event *e)
{
    struct text_sink *s = sink;
    const char *speaker = wd_cues_speaker(e), *stream = e->stream ? e->stream : "";
    bool same_stream = strncmp(s->stream, stream, NAME_BYTES - 1) == 0;
    bool several = s->several || (s->begun && !same_stream);
    bool same = s->begun && same_stream &&
                strncmp(s->speaker, speaker ? speaker : "", NAME_BYTES - 1) == 0 &&
                e->t0_ns - s->t1_ns < PAUSE_NS;
    size_t len = 0, before;
    int r;

    if (e->kind != WD_EVENT_FINAL || !e->text)
        return 0;
    if (same) {
        put(s, &len, " ", 1);
    } else {
        if (s->begun)
            put(s, &len, "\n\n", 2);
        put_heading(s, &len, e, speaker, several);
    }
    before = len;
    put_clean(s, &len, e->text);
    if (len == before) /* nothing but blanks */
        return 0;
    r = wd_out_write(s->out, s->buf, len);
    if (r < 0)
        return r;
    s->begun = true;
    s->several = several;
    s->t1_ns = e->t1_ns;
    snprintf(s->stream, sizeof s->stream, "%s", stream);
    snprintf(s->speaker, sizeof s->speaker, "%s", speaker ? speaker : "");
    return 0;
}

static void text_reopen(void *sink)
{
    struct text_sink *s = sink;
    int r = wd_out_reopen(s->out);

    if (r < 0)
        wd_warning("text: %s: cannot reopen, the old file stays in use: %s", s->path, strerror(-r));
    else if (r == 1)
        s->begun = false;
}

static void text_close(void *sink)
{
    struct text_sink *s = sink;

    if (s->begun)
        wd_out_write(s->out, "\n", 1);
    s->out = wd_out_close(s->out);
    free(s->buf);
    s->buf = NULL;
}

static const struct wd_opt opts[] = {
    WD_OPT_STR(struct text_sink, path, "-",
               "file to write, begun anew at each start; - is standard output"),
    WD_OPT_BOOL(struct text_sink, times, "false", "begin each paragraph with its time"),
    WD_OPT_END,
};

const struct wd_sink_type wd_sink_text = {
    .name = "text",
    .help = "write plain paragraphs, one a speaker's turn",
    .size = sizeof(struct text_sink),
    .kinds = WD_EVENT_BIT(WD_EVENT_FINAL),
    .opts = opts,
    .open = text_open,
    .send = text_send,
    .reopen = text_reopen,
    .close = text_close,
};
