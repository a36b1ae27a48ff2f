/* sinks/sink_srt.c - finals as SubRip subtitles. */
#include "sinks/captions.h"
#include <stdio.h>
#include <string.h>

struct srt_sink {
    char *path;
    struct wd_captions *captions;
};

/* SubRip knows no escape; only an arrow in the text could be taken for a time line. */
static void put_text(struct wd_captions_text *t, const char *s)
{
    const char *arrow;

    while ((arrow = strstr(s, "-->"))) {
        char part[2] = {0};

        for (; s < arrow; s++) {
            part[0] = *s;
            wd_captions_put(t, part);
        }
        wd_captions_put(t, "\xe2\x86\x92"); /* one that is a character */
        s = arrow + 3;
    }
    wd_captions_put(t, s);
}

static void put_name(struct wd_captions_text *t, const char *s)
{
    char part[2] = {0};

    for (; *s; s++) {
        part[0] = (unsigned char)*s < ' ' || *s == 0x7f || *s == '>' ? ' ' : *s;
        wd_captions_put(t, part);
    }
}

static void srt_cue(struct wd_captions_text *t, uint64_t number, const char *speaker,
                    const struct wd_cue *c)
{
    char n[24];

    snprintf(n, sizeof n, "%llu\n", (unsigned long long)number);
    wd_captions_put(t, n);
    wd_captions_put_time(t, c->t0_ns, ',');
    wd_captions_put(t, " --> ");
    wd_captions_put_time(t, c->t1_ns, ',');
    wd_captions_put(t, "\n");
    if (speaker) {
        put_name(t, speaker);
        wd_captions_put(t, ": ");
    }
    put_text(t, c->text);
    wd_captions_put(t, "\n\n");
}

static const struct wd_captions_format srt_format = {
    .header = "", .speaker_columns = 2, .cue = srt_cue};

static int srt_open(void *sink, uv_loop_t *loop, struct wd_err *err)
{
    struct srt_sink *s = sink;

    (void)loop;
    return wd_captions_open(s->path, &srt_format, &s->captions, err);
}

static int srt_send(void *sink, const struct wd_event *e)
{
    struct srt_sink *s = sink;

    return wd_captions_send(s->captions, e);
}

static void srt_reopen(void *sink)
{
    struct srt_sink *s = sink;

    wd_captions_reopen(s->captions);
}

static void srt_close(void *sink)
{
    struct srt_sink *s = sink;

    wd_captions_close(s->captions);
}

static const struct wd_opt opts[] = {
    WD_OPT_STR(struct srt_sink, path, "-",
               "file to write, begun anew at each start; - is standard output"),
    WD_OPT_END,
};

const struct wd_sink_type wd_sink_srt = {
    .name = "srt",
    .help = "write subtitles (SubRip)",
    .size = sizeof(struct srt_sink),
    .kinds = WD_EVENT_BIT(WD_EVENT_FINAL),
    .opts = opts,
    .open = srt_open,
    .send = srt_send,
    .reopen = srt_reopen,
    .close = srt_close,
};
