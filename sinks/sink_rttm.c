/* sinks/sink_rttm.c - who spoke when, as RTTM lines; what is held can still be renamed. */
#include "base/log.h"
#include "sinks/out.h"
#include "sinks/sink.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOLD 2048 /* turns that can still be renamed; then the older half is written */
#define NAME_BYTES 64
#define LINE_BYTES (2 * NAME_BYTES + 96)

struct turn {
    char id[27];
    char stream[NAME_BYTES], speaker[NAME_BYTES];
    int64_t t0_ns, t1_ns;
};

struct rttm_sink {
    char *path;
    bool at_end;
    struct wd_out *out;
    struct turn *turns; /* HOLD, by t0 */
    size_t n_turns;
};

static int rttm_open(void *sink, uv_loop_t *loop, struct wd_err *err)
{
    struct rttm_sink *s = sink;
    int r;

    (void)loop;
    s->turns = calloc(HOLD, sizeof *s->turns);
    if (!s->turns)
        return wd_err_set(err, -ENOMEM, "out of memory");
    r = wd_out_open(s->path, true, LINE_BYTES, &s->out, err);
    if (r < 0) {
        free(s->turns);
        s->turns = NULL;
    }
    return r;
}

/* A field of RTTM holds no blank. */
static void set_name(char out[NAME_BYTES], const char *name)
{
    snprintf(out, NAME_BYTES, "%s", name && *name ? name : "unknown");
    for (char *c = out; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            *c = '_';
}

static int write_turn(struct rttm_sink *s, const struct turn *t)
{
    char line[LINE_BYTES];
    int64_t t0_ms = t->t0_ns / 1000000, n_ms = (t->t1_ns - t->t0_ns) / 1000000;
    int n = snprintf(line, sizeof line, "SPEAKER %s 1 %lld.%03d %lld.%03d <NA> <NA> %s <NA> <NA>\n",
                     t->stream, (long long)(t0_ms / 1000), (int)(t0_ms % 1000),
                     (long long)(n_ms / 1000), (int)(n_ms % 1000), t->speaker);

    return wd_out_write(s->out, line, (size_t)n);
}

/* The oldest `n` turns; those that were taken are forgotten. */
static int write_oldest(struct rttm_sink *s, size_t n)
{
    size_t done = 0;
    int r = 0;

    while (done < n && r == 0) {
        r = write_turn(s, &s->turns[done]);
        done += !wd_sink_later(r); /* what cannot be written ever must not hold up the rest */
    }
    memmove(s->turns, s->turns + done, (s->n_turns - done) * sizeof *s->turns);
    s->n_turns -= done;
    return done == n ? 0 : r;
}

static struct turn *find(struct rttm_sink *s, const char *id)
{
    for (size_t i = s->n_turns; id && i-- > 0;)
        if (strcmp(s->turns[i].id, id) == 0)
            return &s->turns[i];
    return NULL;
}

static int hold(struct rttm_sink *s, const struct turn *t)
{
    size_t at;

    if (s->n_turns == HOLD) {
        int r = write_oldest(s, HOLD / 2);

        if (s->n_turns == HOLD)
            return r;
    }
    for (at = s->n_turns; at > 0 && s->turns[at - 1].t0_ns > t->t0_ns; at--)
        s->turns[at] = s->turns[at - 1];
    s->turns[at] = *t;
    s->n_turns++;
    return 0;
}

static int take_turn(struct rttm_sink *s, const struct wd_event *e)
{
    struct turn t = {.t0_ns = e->t0_ns < 0 ? 0 : e->t0_ns, .t1_ns = e->t1_ns}, *old;

    if (t.t1_ns <= t.t0_ns)
        return 0;
    set_name(t.stream, e->stream);
    set_name(t.speaker, e->speaker.id);
    snprintf(t.id, sizeof t.id, "%s", e->supersedes ? e->supersedes : e->id);
    if (!s->at_end)
        return e->supersedes ? 0 : write_turn(s, &t);
    old = find(s, e->supersedes);
    if (old) {
        memmove(old, old + 1, (size_t)(s->turns + s->n_turns - (old + 1)) * sizeof *old);
        s->n_turns--;
    } else if (e->supersedes) {
        return 0; /* already written: a line cannot be taken back */
    }
    return hold(s, &t);
}

static void rename_speaker(struct rttm_sink *s, const struct wd_event *e)
{
    char stream[NAME_BYTES], from[NAME_BYTES], into[NAME_BYTES];

    set_name(stream, e->stream);
    set_name(from, e->speaker.id);
    set_name(into, e->into);
    for (size_t i = 0; i < s->n_turns; i++)
        if (strcmp(s->turns[i].speaker, from) == 0 &&
            (!e->stream || strcmp(s->turns[i].stream, stream) == 0))
            memcpy(s->turns[i].speaker, into, NAME_BYTES);
}

static int rttm_send(void *sink, const struct wd_event *e)
{
    struct rttm_sink *s = sink;

    if (e->kind == WD_EVENT_TURN)
        return take_turn(s, e);
    if (e->kind == WD_EVENT_SPEAKER && e->change && strcmp(e->change, "merged") == 0 &&
        e->speaker.id && e->into)
        rename_speaker(s, e);
    return 0;
}

/* What is held belongs to the file that was open when it was said. */
static void rttm_reopen(void *sink)
{
    struct rttm_sink *s = sink;
    int r;

    write_oldest(s, s->n_turns);
    r = wd_out_reopen(s->out);
    if (r < 0)
        wd_warning("rttm: %s: cannot reopen, the old file stays in use: %s", s->path, strerror(-r));
}

static void rttm_close(void *sink)
{
    struct rttm_sink *s = sink;
    int r;

    while ((r = write_oldest(s, s->n_turns)) == -EAGAIN && wd_out_wait(s->out))
        ;
    if (r < 0)
        wd_warning("rttm: %s: %zu turns could not be written", s->path, s->n_turns);
    s->out = wd_out_close(s->out);
    free(s->turns);
    s->turns = NULL;
}

static const struct wd_opt opts[] = {
    WD_OPT_STR(struct rttm_sink, path, "-",
               "file to write, begun anew at each start; - is standard output"),
    WD_OPT_BOOL(
        struct rttm_sink, at_end, "true",
        "hold the last 2048 turns until the end, so that speakers found to be one get one name; "
        "false writes each turn at once"),
    WD_OPT_END,
};

const struct wd_sink_type wd_sink_rttm = {
    .name = "rttm",
    .help = "write who spoke when (RTTM)",
    .size = sizeof(struct rttm_sink),
    .kinds = WD_EVENT_BIT(WD_EVENT_TURN) | WD_EVENT_BIT(WD_EVENT_SPEAKER),
    .opts = opts,
    .open = rttm_open,
    .send = rttm_send,
    .reopen = rttm_reopen,
    .close = rttm_close,
};
