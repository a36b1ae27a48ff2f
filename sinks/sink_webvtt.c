/* sinks/sink_webvtt.c - finals as WebVTT captions, each in its speaker's voice. */
#include "sinks/captions.h"

struct webvtt_sink {
    char *path;
    struct wd_captions *captions;
};

/* Source: WebVTT (W3C), section 4.2.2: what stands for itself in cue text. A name also may not hold
 * a line end. */
static void put_escaped(struct wd_captions_text *t, const char *s)
{
    char part[2] = {0};

    for (; *s; s++) {
        switch (*s) {
        case '&':
            wd_captions_put(t, "&amp;");
            break;
        case '<':
            wd_captions_put(t, "&lt;");
            break;
        case '>':
            wd_captions_put(t, "&gt;");
            break;
        default:
            part[0] = *s;
            wd_captions_put(t, part);
        }
    }
}

static void put_name(struct wd_captions_text *t, const char *s)
{
    char part[2] = {0};

    for (; *s; s++) {
        part[0] = (unsigned char)*s < ' ' || *s == 0x7f ? ' ' : *s;
        put_escaped(t, part);
    }
}

static void webvtt_cue(struct wd_captions_text *t, uint64_t number, const char *speaker,
                       const struct wd_cue *c)
{
    (void)number;
    wd_captions_put_time(t, c->t0_ns, '.');
    wd_captions_put(t, " --> ");
    wd_captions_put_time(t, c->t1_ns, '.');
    wd_captions_put(t, "\n");
    if (speaker) {
        wd_captions_put(t, "<v ");
        put_name(t, speaker);
        wd_captions_put(t, ">");
    }
    put_escaped(t, c->text);
    wd_captions_put(t, "\n\n");
}

static const struct wd_captions_format webvtt_format = {.header = "WEBVTT\n\n", .cue = webvtt_cue};

static int webvtt_open(void *sink, uv_loop_t *loop, struct wd_err *err)
{
    struct webvtt_sink *s = sink;

    (void)loop;
    return wd_captions_open(s->path, &webvtt_format, &s->captions, err);
}

static int webvtt_send(void *sink, const struct wd_event *e)
{
    struct webvtt_sink *s = sink;

    return wd_captions_send(s->captions, e);
}

static void webvtt_reopen(void *sink)
{
    struct webvtt_sink *s = sink;

    wd_captions_reopen(s->captions);
}

static void webvtt_close(void *sink)
{
    struct webvtt_sink *s = sink;

    wd_captions_close(s->captions);
}

static const struct wd_opt opts[] = {
    WD_OPT_STR(struct webvtt_sink, path, "-",
               "file to write, begun anew at each start; - is standard output"),
    WD_OPT_END,
};

const struct wd_sink_type wd_sink_webvtt = {
    .name = "webvtt",
    .help = "write captions (WebVTT)",
    .size = sizeof(struct webvtt_sink),
    .kinds = WD_EVENT_BIT(WD_EVENT_FINAL),
    .opts = opts,
    .open = webvtt_open,
    .send = webvtt_send,
    .reopen = webvtt_reopen,
    .close = webvtt_close,
};
