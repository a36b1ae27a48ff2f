/* pipeline/feed.c - the border with a capture thread: samples with their stream times, pictures, changes of state. */
#include "pipeline/feed.h"
#include "pipeline/timeline.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIVE_SAMPLES (30 * 16000)     /* as much as a loop may be late before sound is lost */
#define FLAT_OUT_SAMPLES (8 * 16000)
#define DROP_SAMPLES (25 * WD_FRAME_SAMPLES) /* at once: one gap of a second, not a thousand of a frame */
#define LOW_SAMPLES (16000 / 2)       /* sound runs dry */
#define MAX_PIECE 4096                /* samples copied under one lock */
#define N_RUNS 256
#define N_STATES 16
#define N_PICTURES 16                 /* that wait, flat-out */
#define N_POOL 40                     /* these, and those still looked at */
#define DUE_SLACK_NS INT64_C(1000000) /* times are rounded to milliseconds in many files */
#define PATIENCE_NS UINT64_C(3000000000)
#define WAIT_NS UINT64_C(100000000)   /* nobody sleeps longer without looking around */

/* Samples that follow one another without a hole. */
struct run {
    uint64_t at; /* number of its first sample, counted from the start */
    int64_t t_ns;
    const char *why; /* there is a hole before it; NULL: it is the first */
};

struct state {
    enum wd_source_state state;
    char reason[256];
};

struct wd_feed {
    struct wd_feed_opts opts;
    /* capture thread only */
    struct wd_timeline timeline;
    struct wd_picture_resizer *resizer;
    int64_t picture_due_ns;
    bool again;       /* a new connection has not brought anything yet */
    bool is_live;     /* said so */
    bool any_sound;
    const char *why;  /* the next hole */
    uint64_t zero_ns; /* uv_hrtime() of stream time 0 */
    /* under the mutex */
    uv_mutex_t mutex;
    uv_cond_t room;
    float *samples; /* sample number i lies at i % cap */
    size_t cap;
    uint64_t read, written;
    struct run runs[N_RUNS];
    unsigned first_run, n_runs;
    struct wd_picture *pictures[N_PICTURES];
    unsigned first_picture, n_pictures;
    struct state states[N_STATES];
    unsigned first_state, n_states;
    struct wd_feed_status status;
    bool pictures_left; /* sound ran dry because nobody took pictures: those are not waited for again until somebody does */
    /* any */
    struct wd_picture_pool *pool;
    atomic_bool stop, interrupt;
};

int wd_feed_new(const struct wd_feed_opts *opts, struct wd_feed **ret, struct wd_err *err)
{
    struct wd_feed *f = calloc(1, sizeof *f);
    int r = -ENOMEM;

    if (!f)
        return wd_err_set(err, -ENOMEM, "feed: out of memory");
    f->opts = *opts;
    wd_timeline_init(&f->timeline);
    f->cap = opts->mode == WD_FEED_LIVE ? LIVE_SAMPLES : FLAT_OUT_SAMPLES;
    f->samples = opts->audio ? malloc(f->cap * sizeof *f->samples) : NULL;
    if (uv_mutex_init(&f->mutex) < 0)
        goto no_mutex;
    if (uv_cond_init(&f->room) < 0)
        goto no_cond;
    if (opts->audio && !f->samples) {
        r = wd_err_set(err, -ENOMEM, "feed: out of memory");
        goto fail;
    }
    if (opts->picture_budget) {
        r = wd_picture_pool_new(N_POOL, opts->picture_budget, &f->pool, err);
        if (r >= 0)
            r = wd_picture_resizer_new(&f->resizer, err);
        if (r < 0)
            goto fail;
    }
    *ret = f;
    return 0;
fail:
    wd_feed_free(f);
    return r;
no_cond:
    uv_mutex_destroy(&f->mutex);
no_mutex:
    free(f->samples);
    free(f);
    return wd_err_set(err, -ENOMEM, "feed: out of memory");
}

struct wd_feed *wd_feed_free(struct wd_feed *f)
{
    if (!f)
        return NULL;
    for (unsigned i = 0; i < f->n_pictures; i++)
        wd_picture_unref(f->pictures[(f->first_picture + i) % N_PICTURES]);
    wd_picture_pool_free(f->pool);
    wd_picture_resizer_free(f->resizer);
    uv_cond_destroy(&f->room);
    uv_mutex_destroy(&f->mutex);
    free(f->samples);
    free(f);
    return NULL;
}

/* ---- capture thread ---- */

static bool stopping(struct wd_feed *f)
{
    return atomic_load(&f->stop) || atomic_load(&f->interrupt);
}

bool wd_feed_interrupted(struct wd_feed *f)
{
    return stopping(f);
}

bool wd_feed_wants_audio(const struct wd_feed *f)
{
    return f->opts.audio;
}

bool wd_feed_wants_pictures(const struct wd_feed *f)
{
    return f->opts.picture_budget > 0;
}

bool wd_feed_flat_out(const struct wd_feed *f)
{
    return f->opts.mode == WD_FEED_FLAT_OUT;
}

bool wd_feed_sleep_until(struct wd_feed *f, uint64_t until_ns)
{
    uint64_t now_ns;

    uv_mutex_lock(&f->mutex);
    while (!stopping(f) && (now_ns = uv_hrtime()) < until_ns)
        uv_cond_timedwait(&f->room, &f->mutex, until_ns - now_ns < WAIT_NS ? until_ns - now_ns : WAIT_NS);
    uv_mutex_unlock(&f->mutex);
    return !stopping(f);
}

static void push_state(struct wd_feed *f, enum wd_source_state state, const char *reason)
{
    struct state *s;

    if (f->n_states == N_STATES) /* the loop is far behind: the last change is the one that counts */
        f->n_states--;
    s = &f->states[(f->first_state + f->n_states++) % N_STATES];
    s->state = state;
    snprintf(s->reason, sizeof s->reason, "%s", reason ? reason : "");
}

static void wake(struct wd_feed *f)
{
    if (f->opts.wake)
        f->opts.wake(f->opts.ctx);
}

void wd_feed_state(struct wd_feed *f, enum wd_source_state state, const char *reason)
{
    f->is_live = false;
    uv_mutex_lock(&f->mutex);
    push_state(f, state, reason);
    uv_mutex_unlock(&f->mutex);
    wake(f);
}

void wd_feed_live(struct wd_feed *f, const struct wd_feed_info *info)
{
    uv_mutex_lock(&f->mutex);
    f->status.info = *info;
    f->status.media_at_ns = uv_hrtime();
    if (!f->is_live)
        push_state(f, WD_SOURCE_LIVE, "");
    uv_mutex_unlock(&f->mutex);
    f->is_live = true;
    wake(f);
}

int64_t wd_feed_drift_ns(const struct wd_feed *f)
{
    return wd_timeline_drift_ns(&f->timeline);
}

void wd_feed_again(struct wd_feed *f, const char *reason)
{
    f->again = true;
    f->why = reason;
    atomic_store(&f->interrupt, false);
}

void wd_feed_end(struct wd_feed *f)
{
    uv_mutex_lock(&f->mutex);
    f->status.ended = true;
    uv_mutex_unlock(&f->mutex);
    wake(f);
}

/* The first of a connection. After a loss, stream time went on with the clock on the wall. */
static void begin(struct wd_feed *f)
{
    if (f->again && f->zero_ns)
        wd_timeline_restart(&f->timeline, (int64_t)(uv_hrtime() - f->zero_ns));
    f->again = false;
}

void wd_feed_base(struct wd_feed *f, int64_t pts_ns)
{
    begin(f);
    wd_timeline_base(&f->timeline, pts_ns);
}

/* With the lock: something of stream time [t_ns, end_ns) arrived just now. */
static void moved(struct wd_feed *f, int64_t end_ns)
{
    uint64_t now_ns = uv_hrtime();

    if (!f->zero_ns) {
        struct timespec ts;

        f->zero_ns = now_ns > (uint64_t)end_ns ? now_ns - (uint64_t)end_ns : 1;
        clock_gettime(CLOCK_REALTIME, &ts);
        f->status.utc_ns = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec - end_ns;
    }
    if (end_ns > f->status.media_ns) {
        f->status.media_ns = end_ns;
        f->status.media_at_ns = now_ns;
    }
    f->status.clock_restarts = f->timeline.restarts;
}

/* With the lock: samples before `read` are gone, and runs that ended there with them. */
static void forget(struct wd_feed *f)
{
    while (f->n_runs > 1 && f->runs[(f->first_run + 1) % N_RUNS].at <= f->read) {
        f->first_run = (f->first_run + 1) % N_RUNS;
        f->n_runs--;
    }
}

static void drop_oldest(struct wd_feed *f, size_t least)
{
    uint64_t n = (least + DROP_SAMPLES - 1) / DROP_SAMPLES * DROP_SAMPLES;
    struct run *first;

    if (n > f->written - f->read)
        n = f->written - f->read;
    f->read += n;
    f->status.samples_dropped += n;
    forget(f);
    first = &f->runs[f->first_run];
    first->t_ns += (int64_t)(f->read - first->at) * WD_SAMPLE_NS;
    first->at = f->read;
    first->why = "too much sound waited, the oldest was dropped";
}

/* With the lock: room for n samples that begin a run if `hole`. */
static int make_room(struct wd_feed *f, size_t n, bool hole)
{
    while (!stopping(f)) {
        size_t waiting = (size_t)(f->written - f->read);
        bool runs_full = hole && f->n_runs == N_RUNS;

        if (waiting + n <= f->cap && !runs_full)
            return 0;
        if (f->opts.mode == WD_FEED_LIVE) {
            size_t run_end = (size_t)(f->runs[(f->first_run + 1) % N_RUNS].at - f->read);

            drop_oldest(f, waiting + n > f->cap ? waiting + n - f->cap : run_end);
        } else {
            uv_cond_timedwait(&f->room, &f->mutex, WAIT_NS);
        }
    }
    return -ECANCELED;
}

static int put(struct wd_feed *f, const float *pcm, size_t n, int64_t t_ns, bool hole)
{
    size_t at, first;
    int r;

    uv_mutex_lock(&f->mutex);
    r = make_room(f, n, hole);
    if (r < 0)
        goto out;
    if (hole) {
        f->runs[(f->first_run + f->n_runs++) % N_RUNS] = (struct run){f->written, t_ns, f->why};
        forget(f);
        f->why = NULL;
    }
    at = (size_t)(f->written % f->cap);
    first = n < f->cap - at ? n : f->cap - at;
    memcpy(f->samples + at, pcm, first * sizeof *pcm);
    memcpy(f->samples, pcm + first, (n - first) * sizeof *pcm);
    f->written += n;
    moved(f, t_ns + (int64_t)n * WD_SAMPLE_NS);
out:
    uv_mutex_unlock(&f->mutex);
    return r;
}

int wd_feed_audio(struct wd_feed *f, const float *pcm, size_t n, int64_t pts_ns)
{
    int64_t end_ns, t_ns;
    size_t skip;
    bool hole;

    if (stopping(f))
        return -ECANCELED;
    if (!n || !f->opts.audio)
        return 0;
    begin(f);
    end_ns = f->timeline.audio_end_ns;
    wd_timeline_audio(&f->timeline, pts_ns, n, &t_ns, &skip);
    if (skip >= n)
        return 0;
    pcm += skip;
    n -= skip;
    hole = !f->any_sound || t_ns != end_ns;
    if (hole && f->any_sound && !f->why)
        f->why = "the source sent no sound";
    f->any_sound = true;
    for (size_t done = 0; done < n; hole = false) {
        size_t piece = n - done < MAX_PIECE ? n - done : MAX_PIECE;

        if (put(f, pcm + done, piece, t_ns + (int64_t)done * WD_SAMPLE_NS, hole) < 0)
            return -ECANCELED;
        done += piece;
    }
    wake(f);
    return 0;
}

int64_t wd_feed_picture_due(struct wd_feed *f, int64_t pts_ns)
{
    int64_t t_ns;

    if (!f->opts.picture_budget || stopping(f))
        return -1;
    begin(f);
    t_ns = wd_timeline_picture(&f->timeline, pts_ns);
    if (t_ns < 0)
        return -1;
    uv_mutex_lock(&f->mutex);
    moved(f, t_ns);
    uv_mutex_unlock(&f->mutex);
    if (t_ns + DUE_SLACK_NS < f->picture_due_ns)
        return -1;
    /* The next on the grid, so that 25 pictures a second give one at 0, 1, 2 s and none at 1.04. */
    if (f->opts.picture_interval_ns > 0)
        f->picture_due_ns =
            ((t_ns + DUE_SLACK_NS) / f->opts.picture_interval_ns + 1) * f->opts.picture_interval_ns;
    return t_ns;
}

/* With the lock. */
static void drop_picture(struct wd_feed *f)
{
    wd_picture_unref(f->pictures[f->first_picture]);
    f->first_picture = (f->first_picture + 1) % N_PICTURES;
    f->n_pictures--;
    f->status.pictures_dropped++;
}

/* With the lock. */
static bool sound_runs_dry(const struct wd_feed *f)
{
    return f->opts.audio && f->status.info.has_audio && f->written - f->read < LOW_SAMPLES;
}

/* A picture to fill, and room for it in the queue. Live: at once or not at all. Flat-out: waits until one is taken, but not
 * while someone who only wants sound waits for it. */
static struct wd_picture *picture_to_fill(struct wd_feed *f)
{
    unsigned most = f->opts.mode == WD_FEED_LIVE ? 1 : N_PICTURES;
    uint64_t since_ns = uv_hrtime();
    struct wd_picture *p = wd_picture_get(f->pool);

    uv_mutex_lock(&f->mutex);
    while (f->opts.mode == WD_FEED_FLAT_OUT && (!p || f->n_pictures == most) && !f->pictures_left && !stopping(f)) {
        bool dry = sound_runs_dry(f);

        if (!dry && p)
            since_ns = uv_hrtime();
        if (uv_hrtime() - since_ns > PATIENCE_NS)
            f->pictures_left = dry;
        if (uv_hrtime() - since_ns > PATIENCE_NS)
            break;
        uv_cond_timedwait(&f->room, &f->mutex, WAIT_NS);
        if (!p)
            p = wd_picture_get(f->pool);
    }
    while (f->n_pictures >= most)
        drop_picture(f);
    if (!p)
        p = wd_picture_get(f->pool);
    if (!p) /* whoever looks at pictures keeps too many of them */
        f->status.pictures_dropped++;
    uv_mutex_unlock(&f->mutex);
    return p;
}

int wd_feed_picture(struct wd_feed *f, const uint8_t *rgb, size_t stride, uint32_t w, uint32_t h, uint32_t shown_w,
                    uint32_t shown_h, int64_t t_ns, struct wd_err *err)
{
    struct wd_picture *p;
    uint32_t to_w, to_h;
    int r;

    if (stopping(f))
        return -ECANCELED;
    if (wd_picture_size(shown_w, shown_h, f->opts.picture_budget, &to_w, &to_h) < 0)
        return wd_err_set(err, -EINVAL, "a picture of %u x %u has no size within %u patches", shown_w, shown_h,
                          f->opts.picture_budget);
    p = picture_to_fill(f);
    if (!p)
        return stopping(f) ? -ECANCELED : 0;
    r = wd_picture_resize(f->resizer, rgb, stride, w, h, p->space, to_w, to_h, err);
    if (r < 0) {
        wd_picture_unref(p);
        return r;
    }
    p->t_ns = t_ns;
    p->w = to_w;
    p->h = to_h;
    uv_mutex_lock(&f->mutex);
    f->pictures[(f->first_picture + f->n_pictures++) % N_PICTURES] = p;
    uv_mutex_unlock(&f->mutex);
    wake(f);
    return 0;
}

/* ---- loop thread ---- */

void wd_feed_stop(struct wd_feed *f)
{
    uv_mutex_lock(&f->mutex);
    atomic_store(&f->stop, true);
    uv_cond_broadcast(&f->room);
    uv_mutex_unlock(&f->mutex);
}

bool wd_feed_stopped(struct wd_feed *f)
{
    return atomic_load(&f->stop);
}

void wd_feed_interrupt(struct wd_feed *f)
{
    uv_mutex_lock(&f->mutex);
    atomic_store(&f->interrupt, true);
    uv_cond_broadcast(&f->room);
    uv_mutex_unlock(&f->mutex);
}

bool wd_feed_next_state(struct wd_feed *f, enum wd_source_state *ret_state, char *ret_reason, size_t cap)
{
    bool any;

    uv_mutex_lock(&f->mutex);
    any = f->n_states > 0;
    if (any) {
        *ret_state = f->states[f->first_state].state;
        snprintf(ret_reason, cap, "%s", f->states[f->first_state].reason);
        f->first_state = (f->first_state + 1) % N_STATES;
        f->n_states--;
    }
    uv_mutex_unlock(&f->mutex);
    return any;
}

int wd_feed_read(struct wd_feed *f, int64_t only_ns, float *pcm, size_t n, int64_t *ret_t_ns, const char **ret_why)
{
    const struct run *run;
    size_t at, first;
    uint64_t end;
    int64_t t_ns;
    int r = 0;

    uv_mutex_lock(&f->mutex);
    if (f->read == f->written) {
        r = f->status.ended ? -EPIPE : 0;
        goto out;
    }
    run = &f->runs[f->first_run];
    t_ns = run->t_ns + (int64_t)(f->read - run->at) * WD_SAMPLE_NS;
    if (only_ns != WD_NO_PTS && t_ns != only_ns) {
        r = -ERANGE;
        goto out;
    }
    *ret_t_ns = t_ns;
    *ret_why = f->read == run->at ? run->why : NULL;
    end = f->n_runs > 1 ? f->runs[(f->first_run + 1) % N_RUNS].at : f->written;
    if (n > end - f->read)
        n = (size_t)(end - f->read);
    at = (size_t)(f->read % f->cap);
    first = n < f->cap - at ? n : f->cap - at;
    memcpy(pcm, f->samples + at, first * sizeof *pcm);
    memcpy(pcm + first, f->samples, (n - first) * sizeof *pcm);
    f->read += n;
    forget(f);
    uv_cond_signal(&f->room);
    r = (int)n;
out:
    uv_mutex_unlock(&f->mutex);
    return r;
}

struct wd_picture *wd_feed_take_picture(struct wd_feed *f, int64_t latest_ns)
{
    struct wd_picture *p = NULL;

    uv_mutex_lock(&f->mutex);
    /* A file whose pictures lie far before their sound: holding them back would stop both. */
    if (f->n_pictures && (f->pictures[f->first_picture]->t_ns <= latest_ns ||
                          (f->n_pictures == N_PICTURES && sound_runs_dry(f)))) {
        p = f->pictures[f->first_picture];
        f->first_picture = (f->first_picture + 1) % N_PICTURES;
        f->n_pictures--;
        f->pictures_left = false;
        uv_cond_signal(&f->room);
    }
    uv_mutex_unlock(&f->mutex);
    return p;
}

struct wd_feed_status wd_feed_status(struct wd_feed *f)
{
    struct wd_feed_status s;

    uv_mutex_lock(&f->mutex);
    s = f->status;
    s.samples = (size_t)(f->written - f->read);
    s.pictures = f->n_pictures;
    uv_mutex_unlock(&f->mutex);
    return s;
}
