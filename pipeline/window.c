/* pipeline/window.c - one stream's frames -> windows: where they open, tick, close and are cut. */
#include "pipeline/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MS INT64_C(1000000)
#define HALF_FRAME_NS (WD_WINDOW_FRAME_NS / 2)

struct slot {
    int64_t t0_ns;
    float p;
    bool speech;
    bool last; /* a pause, a gap or the end follows: the window ends with this frame */
    float pcm[WD_WINDOW_SAMPLES];
};

enum wait { WAIT_NOTHING, WAIT_CLOSE, WAIT_CUT };

/* Two parts meet at the ring. push() keeps runs: pre-roll, speech, and the pause that ends it;
 * other silence never gets in. next() cuts runs into windows, as fast as the engine takes them. */
struct wd_window {
    uint32_t max, pause, least, tick, group; /* frames; tick 0: none */
    uint32_t preroll;
    bool every_tick;

    /* Runs: of the frames that came. */
    bool in_run;
    bool timed; /* end_ns says where the last frame ended */
    int64_t end_ns;
    uint32_t quiet;     /* frames since the last with speech */
    struct slot *early; /* [preroll]: the last frames before an onset, a ring */
    uint32_t early_first, n_early;

    struct slot *ring;
    uint32_t capacity, first, n; /* first: of the window at hand */

    /* Windows: of the frames that are fed. */
    bool open;
    bool whole; /* it is fed when it is over or full, all at once */
    enum wait wait;
    uint32_t fed, ticked; /* frames of the window fed; of these, when it was last decoded */
    uint32_t fed_before;  /* leading frames that were fed once already */
    struct wd_window_stats stats;
};

static struct slot *at(const struct wd_window *w, uint32_t i)
{
    return &w->ring[(w->first + i) % w->capacity];
}

static uint32_t frames_of(int64_t ns)
{
    return ns < 0 ? 0 : (uint32_t)((ns + HALF_FRAME_NS) / WD_WINDOW_FRAME_NS);
}

/* Frames of a setting; 0 takes the default. */
static int setting(const char *name, int64_t ns, int64_t least_ns, int64_t most_ns,
                   bool may_be_none, int64_t default_ns, uint32_t *ret, struct wd_err *err)
{
    if (ns == 0)
        ns = default_ns;
    if (ns < 0 && may_be_none) {
        *ret = 0;
        return 0;
    }
    if (ns < least_ns || ns > most_ns)
        return wd_err_set(err, -EINVAL, "window: %s is %lld ms, expected %lld to %lld", name,
                          (long long)(ns / MS), (long long)(least_ns / MS),
                          (long long)(most_ns / MS));
    *ret = frames_of(ns);
    return 0;
}

int wd_window_new(const struct wd_window_opts *o, struct wd_window **ret, struct wd_err *err)
{
    struct wd_window *w = calloc(1, sizeof *w);
    uint32_t backlog = 0;
    int r;

    if (!w)
        return wd_err_set(err, -ENOMEM, "window: out of memory");
    r = setting("max_s", o->max_ns, 1000 * MS, WD_WINDOW_MAX_FRAMES * WD_WINDOW_FRAME_NS, false,
                15000 * MS, &w->max, err);
    if (r == 0)
        r = setting("preroll_ms", o->preroll_ns, 40 * MS, w->max * WD_WINDOW_FRAME_NS / 2, true,
                    200 * MS, &w->preroll, err);
    if (r == 0)
        r = setting("pause_ms", o->pause_ns, 40 * MS, 10000 * MS, false, 600 * MS, &w->pause, err);
    if (r == 0)
        r = setting("min_speech_ms", o->min_speech_ns, 40 * MS, 1000 * MS, true, 120 * MS,
                    &w->least, err);
    if (r == 0)
        r = setting("tick_ms", o->tick_ns, 40 * MS, 60000 * MS, true, 480 * MS, &w->tick, err);
    if (r == 0)
        r = setting("group_ms", o->group_ns, 40 * MS, 60000 * MS, false, 480 * MS, &w->group, err);
    if (r == 0)
        r = setting("backlog_s", o->backlog_ns, 1000 * MS, 600000 * MS, false, 30000 * MS, &backlog,
                    err);
    if (r < 0) {
        wd_window_free(w);
        return r;
    }
    w->capacity = w->max + w->preroll + backlog;
    w->every_tick = o->every_tick;
    w->ring = calloc(w->capacity, sizeof *w->ring);
    w->early = calloc(w->preroll ? w->preroll : 1, sizeof *w->early);
    if (!w->ring || !w->early) {
        wd_window_free(w);
        return wd_err_set(err, -ENOMEM, "window: out of memory");
    }
    *ret = w;
    return 0;
}

struct wd_window *wd_window_free(struct wd_window *w)
{
    if (w) {
        free(w->ring);
        free(w->early);
        free(w);
    }
    return NULL;
}

static void end_run(struct wd_window *w)
{
    if (w->in_run && w->n) /* otherwise a full window took all there was */
        at(w, w->n - 1)->last = true;
    w->in_run = false;
    w->quiet = 0;
}

static void keep_early(struct wd_window *w, const struct slot *s)
{
    uint32_t i;

    if (w->n_early == w->preroll) {
        w->stats.silent_frames++; /* it, or the oldest for it */
        if (w->preroll == 0)
            return;
        w->early_first = (w->early_first + 1) % w->preroll;
        w->n_early--;
    }
    i = (w->early_first + w->n_early++) % w->preroll;
    w->early[i] = *s;
}

static void forget_early(struct wd_window *w)
{
    w->stats.silent_frames += w->n_early;
    w->n_early = 0;
}

int wd_window_push(struct wd_window *w, const float pcm[WD_WINDOW_SAMPLES], int64_t t0_ns,
                   enum wd_window_speech speech, float p)
{
    struct slot s = {
        .t0_ns = t0_ns, .p = p >= 0 && p <= 1 ? p : 0, .speech = speech == WD_WINDOW_SPEECH};
    uint32_t need;

    if (w->timed && t0_ns < w->end_ns - HALF_FRAME_NS) {
        w->stats.refused++;
        return -ERANGE;
    }
    if (w->timed && t0_ns > w->end_ns + HALF_FRAME_NS) {
        w->stats.gaps++;
        end_run(w);
        forget_early(w);
        w->timed = false; /* counted, even if this frame is refused now */
    }
    if (w->in_run && speech == WD_WINDOW_SILENCE)
        end_run(w);
    need = w->in_run ? 1 : s.speech ? w->n_early + 1 : 0;
    if (need > w->capacity - w->n) {
        w->stats.refused++;
        /* Where it goes on, something is missing. */
        end_run(w);
        forget_early(w);
        return -ENOSPC;
    }
    memcpy(s.pcm, pcm, sizeof s.pcm);
    w->stats.frames++;
    w->timed = true;
    w->end_ns = t0_ns + WD_WINDOW_FRAME_NS;
    if (need == 0) {
        keep_early(w, &s);
        return 0;
    }
    if (!w->in_run) {
        for (; w->n_early; w->n_early--, w->early_first = (w->early_first + 1) % w->preroll)
            *at(w, w->n++) = w->early[w->early_first];
        w->in_run = true;
        w->quiet = 0;
    }
    *at(w, w->n++) = s;
    w->quiet = s.speech ? 0 : w->quiet + 1;
    if (w->quiet >= w->pause)
        end_run(w);
    return 0;
}

void wd_window_end(struct wd_window *w)
{
    end_run(w);
    forget_early(w);
    w->timed = false;
}

/* What is next, when the frames before `skip` are left out (only while no window is open). Returns
 * false and *ret_drop > 0: so many frames are a window with too little speech. */
static bool decide(const struct wd_window *w, uint32_t skip, struct wd_window_job *ret,
                   uint32_t *ret_drop)
{
    uint32_t n = w->n - skip, speech = 0, i, waiting;
    bool over = false;

    *ret_drop = 0;
    if (w->wait != WAIT_NOTHING)
        return false;
    if (n > w->max)
        n = w->max;
    for (i = 0; i < n && !over; i++) {
        const struct slot *s = at(w, skip + i);

        speech += s->speech;
        over = s->last;
    }
    n = i;
    if (!w->open && speech < w->least) {
        if (over || n == w->max)
            *ret_drop = n;
        return false;
    }
    if (!w->whole && w->every_tick && w->tick && n - w->ticked > w->tick) {
        n = w->ticked + w->tick;
        over = false;
    }
    waiting = n - w->fed;
    if (n == 0)
        return false;
    ret->open = !w->open;
    ret->first = w->fed;
    ret->n = waiting;
    if (over)
        ret->why = WD_WINDOW_CLOSE;
    else if (n == w->max)
        ret->why = WD_WINDOW_FULL;
    else if (w->whole)
        return false;
    else if (w->tick && n - w->ticked >= w->tick)
        ret->why = WD_WINDOW_TICK;
    else if (waiting >= w->group)
        ret->why = WD_WINDOW_FEED;
    else
        return false;
    return true;
}

/* The first n frames are done with. */
static void give_back(struct wd_window *w, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        at(w, i)->last = false;
    w->first = (w->first + n) % w->capacity;
    w->n -= n;
    if (w->fed > w->fed_before)
        w->fed_before = w->fed;
    w->fed_before -= n < w->fed_before ? n : w->fed_before;
    w->fed = w->ticked = 0;
    w->open = w->whole = false;
    w->wait = WAIT_NOTHING;
}

bool wd_window_next(struct wd_window *w, struct wd_window_job *ret)
{
    uint32_t drop, again;

    while (!decide(w, 0, ret, &drop)) {
        if (drop == 0)
            return false;
        w->stats.dropped_windows++;
        w->stats.dropped_frames +=
            drop - (w->fed_before < drop ? w->fed_before : drop); /* the tail of a cut was fed */
        give_back(w, drop);
    }
    if (ret->open) {
        w->open = true;
        w->stats.windows++;
    }
    again = w->fed_before > w->fed ? w->fed_before - w->fed : 0;
    w->stats.fed += ret->n;
    w->stats.fed_twice += again < ret->n ? again : ret->n;
    w->fed += ret->n;
    if (ret->why != WD_WINDOW_FEED)
        w->ticked = w->fed;
    if (ret->why == WD_WINDOW_CLOSE)
        w->wait = WAIT_CLOSE;
    if (ret->why == WD_WINDOW_FULL)
        w->wait = WAIT_CUT;
    return true;
}

bool wd_window_ready(const struct wd_window *w)
{
    struct wd_window_job job;
    uint32_t drop, skip = 0;

    while (!decide(w, skip, &job, &drop)) {
        if (drop == 0)
            return false;
        skip += drop;
    }
    return true;
}

void wd_window_again(struct wd_window *w, bool whole)
{
    if (!w->open)
        return;
    w->stats.again++;
    w->stats.windows--; /* it opens once more */
    if (w->fed > w->fed_before)
        w->fed_before = w->fed;
    w->fed = w->ticked = 0;
    w->open = false;
    w->whole = whole;
    w->wait = WAIT_NOTHING;
}

uint32_t wd_window_max_frames(const struct wd_window *w)
{
    return w->max;
}

int wd_window_close(struct wd_window *w)
{
    if (w->wait == WAIT_NOTHING)
        return -EINVAL;
    give_back(w, w->fed);
    return 0;
}

int wd_window_cut(struct wd_window *w, uint32_t frame)
{
    if (!w->open || frame == 0 || frame >= w->fed)
        return -EINVAL;
    w->stats.cuts++;
    give_back(w, frame);
    return 0;
}

void wd_window_set_tick(struct wd_window *w, int64_t tick_ns)
{
    w->tick = tick_ns < 0 ? 0 : frames_of(tick_ns ? tick_ns : 480 * MS);
    if (tick_ns >= 0 && w->tick == 0)
        w->tick = 1;
}

uint32_t wd_window_frames(const struct wd_window *w)
{
    return w->fed;
}

const float *wd_window_pcm(const struct wd_window *w, uint32_t i)
{
    return at(w, i)->pcm;
}

float wd_window_p(const struct wd_window *w, uint32_t i)
{
    return at(w, i)->p;
}

int64_t wd_window_t0_ns(const struct wd_window *w)
{
    return w->n ? at(w, 0)->t0_ns : w->end_ns;
}

int64_t wd_window_t1_ns(const struct wd_window *w)
{
    return w->fed ? at(w, w->fed - 1)->t0_ns + WD_WINDOW_FRAME_NS : wd_window_t0_ns(w);
}

int64_t wd_window_speech_ns(const struct wd_window *w)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < w->fed; i++)
        n += at(w, i)->speech;
    return n * WD_WINDOW_FRAME_NS;
}

int64_t wd_window_waiting_ns(const struct wd_window *w)
{
    return (w->n - w->fed) * WD_WINDOW_FRAME_NS;
}

struct wd_window_stats wd_window_stats(const struct wd_window *w)
{
    return w->stats;
}
