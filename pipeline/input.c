/* pipeline/input.c - one source made into 40 ms frames and 1 FPS pictures. */
#include "pipeline/input.h"
#include "pipeline/feed.h"
#include "pipeline/framer.h"
#include "pipeline/source.h"
#include "pipeline/timeline.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define AHEAD_NS INT64_C(1500000000)     /* of its sound, a file's picture is not shown earlier */
#define STALL_NS INT64_C(10000000000)
#define GIVE_UP_STALLS 3                 /* stall times, then the connection is made anew */
#define CHECK_MS 500
#define BACKOFF_NS UINT64_C(1000000000)  /* first pause after a loss */
#define BACKOFF_MAX_NS UINT64_C(30000000000)
#define WELL_NS UINT64_C(60000000000)    /* a connection that lasted this long starts the pauses over */

struct wd_input {
    const struct wd_source_type *type;
    const void *source_opts;
    struct wd_input_callbacks cb;
    void *ctx;
    struct wd_feed *feed;
    uv_loop_t *loop;
    uv_async_t async;
    uv_timer_t timer;
    uv_thread_t thread;
    atomic_bool thread_over; /* it touches nothing any more but the wake-up it is in */
    atomic_int error;
    /* loop thread */
    bool joined, closing;
    unsigned handles_open;
    void (*closed)(void *ctx);
    struct wd_framer framer;
    bool any_sound;
    int64_t sound_end_ns; /* what was pulled reaches to here */
    int64_t stall_ns;
    enum wd_source_state state;
    bool kicked;
    struct wd_input_stats stats;
};

const char *wd_source_state_name(enum wd_source_state s)
{
    static const char *const names[] = {
        [WD_SOURCE_CONNECTING] = "connecting", [WD_SOURCE_LIVE] = "live",   [WD_SOURCE_STALLED] = "stalled",
        [WD_SOURCE_LOST] = "lost",             [WD_SOURCE_ENDED] = "ended",
    };

    return names[s];
}

/* ---- capture thread ---- */

static void wake(void *ctx)
{
    struct wd_input *in = ctx;

    uv_async_send(&in->async);
}

static uint64_t pause_ns(unsigned attempt, uint64_t *random)
{
    uint64_t ns = BACKOFF_NS << (attempt < 6 ? attempt : 6);

    if (ns > BACKOFF_MAX_NS)
        ns = BACKOFF_MAX_NS;
    /* Spread by a quarter each way, so that many streams do not knock at a server that came back in one moment. */
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return ns - ns / 4 + ns / 2000 * ((*random >> 33) % 1000);
}

static void wait_a_moment(struct wd_input *in, uint64_t ns)
{
    uint64_t until_ns = uv_hrtime() + ns;

    while (!wd_feed_stopped(in->feed) && uv_hrtime() < until_ns)
        if (!wd_feed_sleep_until(in->feed, until_ns))
            wd_feed_again(in->feed, NULL); /* interrupted while there was nothing to interrupt */
}

/* One connection after the other, until the end. */
static void capture(void *arg)
{
    struct wd_input *in = arg;
    uint64_t random = uv_hrtime(), since_ns;
    unsigned attempt = 0;
    struct wd_err err;
    int r;

    for (;;) {
        err = (struct wd_err){0};
        wd_feed_state(in->feed, WD_SOURCE_CONNECTING, "");
        since_ns = uv_hrtime();
        r = in->type->run(in->source_opts, in->feed, &err);
        if (wd_feed_stopped(in->feed) || r == -EINVAL)
            break;
        if (in->type->pace(in->source_opts) != WD_SOURCE_ONLINE && !wd_feed_status(in->feed).info.endless)
            break;
        if (r == 0)
            wd_err_set(&err, -EPIPE, "the other side ended it");
        else if (r == -ECANCELED)
            wd_err_set(&err, -ETIMEDOUT, "it stood still for too long");
        atomic_store(&in->error, err.code ? err.code : r);
        wd_feed_state(in->feed, WD_SOURCE_LOST, err.text);
        if (uv_hrtime() - since_ns > WELL_NS)
            attempt = 0;
        wait_a_moment(in, pause_ns(attempt++, &random));
        if (wd_feed_stopped(in->feed))
            break;
        wd_feed_again(in->feed, "the source was lost");
    }
    if (wd_feed_stopped(in->feed)) {
        wd_err_set(&err, 0, "stopped");
        r = 0;
    }
    atomic_store(&in->error, r);
    if (r < 0)
        wd_feed_state(in->feed, WD_SOURCE_LOST, err.text);
    wd_feed_state(in->feed, WD_SOURCE_ENDED, err.text);
    wd_feed_end(in->feed);
    atomic_store(&in->thread_over, true);
    uv_async_send(&in->async);
}

/* ---- loop thread ---- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct wd_input *in = handle->data;
    void (*closed)(void *ctx) = in->closed;
    void *ctx = in->ctx;

    if (--in->handles_open)
        return;
    wd_feed_free(in->feed);
    free(in);
    if (closed)
        closed(ctx);
}

/* Once the thread is over, and somebody asked. */
static void close_if_over(struct wd_input *in)
{
    if (!atomic_load(&in->thread_over))
        return;
    if (!in->joined) {
        uv_thread_join(&in->thread);
        in->joined = true;
        uv_timer_stop(&in->timer);
    }
    if (in->closing && !uv_is_closing((uv_handle_t *)&in->async)) {
        uv_close((uv_handle_t *)&in->async, on_handle_closed);
        uv_close((uv_handle_t *)&in->timer, on_handle_closed);
    }
}

static void tell_state(struct wd_input *in, enum wd_source_state state, const char *reason)
{
    in->state = state;
    if (in->cb.state)
        in->cb.state(in->ctx, state, reason);
}

static void on_async(uv_async_t *async)
{
    struct wd_input *in = async->data;
    enum wd_source_state state;
    char reason[256];

    while (!in->closing && wd_feed_next_state(in->feed, &state, reason, sizeof reason))
        tell_state(in, state, reason);
    if (!in->closing && in->cb.ready) {
        struct wd_feed_status s = wd_feed_status(in->feed);

        if (s.samples || s.pictures || s.ended)
            in->cb.ready(in->ctx);
    }
    close_if_over(in);
}

/* Bytes may arrive while time stands still; both count as stalled. */
static void on_timer(uv_timer_t *timer)
{
    struct wd_input *in = timer->data;
    struct wd_feed_status s = wd_feed_status(in->feed);
    int64_t still_ns = (int64_t)(uv_hrtime() - s.media_at_ns);

    if (in->closing || s.ended || !s.media_at_ns)
        return;
    if (in->state == WD_SOURCE_LIVE && still_ns > in->stall_ns) {
        tell_state(in, WD_SOURCE_STALLED, "nothing new came for some seconds");
    } else if (in->state == WD_SOURCE_STALLED && still_ns <= in->stall_ns) {
        in->kicked = false;
        tell_state(in, WD_SOURCE_LIVE, "");
    } else if (in->state == WD_SOURCE_STALLED && still_ns > GIVE_UP_STALLS * in->stall_ns && !in->kicked) {
        in->kicked = true;
        wd_feed_interrupt(in->feed);
    }
    if (in->state != WD_SOURCE_STALLED)
        in->kicked = false;
}

static enum wd_feed_mode mode_of(const struct wd_input_opts *o)
{
    return o->type->pace(o->source_opts) == WD_SOURCE_FLAT_OUT ? WD_FEED_FLAT_OUT : WD_FEED_LIVE;
}

int wd_input_open(uv_loop_t *loop, const struct wd_input_opts *opts, const struct wd_input_callbacks *cb, void *ctx,
                  struct wd_input **ret, struct wd_err *err)
{
    struct wd_feed_opts fo = {
        .audio = !opts->no_audio,
        .picture_budget = opts->picture_budget,
        .picture_interval_ns = opts->picture_interval_ns,
        .wake = wake,
    };
    struct wd_input *in;
    int r;

    if (opts->type->check) {
        r = opts->type->check(opts->source_opts, err);
        if (r < 0)
            return r;
    }
    fo.mode = mode_of(opts);
    in = calloc(1, sizeof *in);
    if (!in)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", opts->name);
    in->type = opts->type;
    in->source_opts = opts->source_opts;
    in->cb = *cb;
    in->ctx = ctx;
    in->loop = loop;
    in->stall_ns = opts->stall_ns > 0 ? opts->stall_ns : STALL_NS;
    in->state = WD_SOURCE_CONNECTING;
    fo.ctx = in;
    r = wd_feed_new(&fo, &in->feed, err);
    if (r < 0)
        goto no_feed;
    r = uv_async_init(loop, &in->async, on_async);
    if (r < 0) {
        wd_err_set(err, r, "%s: %s", opts->name, uv_strerror(r));
        goto no_async;
    }
    uv_timer_init(loop, &in->timer); /* cannot fail */
    in->async.data = in->timer.data = in;
    in->handles_open = 2;
    r = uv_thread_create(&in->thread, capture, in);
    if (r < 0) {
        wd_err_set(err, r, "%s: no thread: %s", opts->name, uv_strerror(r));
        atomic_store(&in->thread_over, true);
        in->joined = in->closing = true;
        close_if_over(in);
        return r;
    }
    if (opts->type->pace(opts->source_opts) == WD_SOURCE_ONLINE)
        uv_timer_start(&in->timer, on_timer, CHECK_MS, CHECK_MS);
    *ret = in;
    return 0;
no_async:
    wd_feed_free(in->feed);
no_feed:
    free(in);
    return r;
}

void wd_input_stop(struct wd_input *in)
{
    wd_feed_stop(in->feed);
}

void wd_input_close(struct wd_input *in, void (*closed)(void *ctx))
{
    in->closing = true;
    in->closed = closed;
    wd_feed_stop(in->feed);
    close_if_over(in);
}

static int give_frame(struct wd_input *in)
{
    in->stats.frames++;
    return 1;
}

/* The sample that comes next does not follow the last one pulled. */
static void tell_gap(struct wd_input *in, int64_t to_ns, const char *why)
{
    if (!in->any_sound || to_ns - in->sound_end_ns < WD_FRAME_NS)
        return;
    in->stats.gaps++;
    if (in->cb.gap)
        in->cb.gap(in->ctx, in->sound_end_ns, to_ns, why ? why : "sound is missing");
}

int wd_input_audio(struct wd_input *in, float ret_pcm[WD_FRAME_SAMPLES], int64_t *ret_t0_ns)
{
    float piece[WD_FRAMER_SAMPLES];
    const char *why;
    int64_t t_ns;
    int n;

    for (;;) {
        n = wd_feed_read(in->feed, in->framer.n ? in->sound_end_ns : WD_NO_PTS, piece, wd_framer_room(&in->framer), &t_ns,
                         &why);
        if (n == 0)
            return 0;
        if (n < 0 && wd_framer_flush(&in->framer, ret_pcm, ret_t0_ns)) /* before a hole, or at the end */
            return give_frame(in);
        if (n < 0)
            return -EPIPE;
        if (t_ns != in->sound_end_ns)
            tell_gap(in, t_ns, why);
        wd_framer_push(&in->framer, piece, (size_t)n, t_ns); /* it fits, and follows: both were asked for */
        in->any_sound = true;
        in->sound_end_ns = t_ns + (int64_t)n * WD_SAMPLE_NS;
        if (wd_framer_take(&in->framer, ret_pcm, ret_t0_ns))
            return give_frame(in);
    }
}

struct wd_picture *wd_input_picture(struct wd_input *in)
{
    struct wd_feed_status s = wd_feed_status(in->feed);
    int64_t latest_ns = INT64_MAX;
    struct wd_picture *p;

    if (s.info.has_audio && wd_feed_wants_audio(in->feed) && wd_feed_flat_out(in->feed) && !(s.ended && !s.samples))
        latest_ns = in->sound_end_ns + AHEAD_NS;
    p = wd_feed_take_picture(in->feed, latest_ns);
    if (p)
        in->stats.pictures++;
    return p;
}

bool wd_input_ended(const struct wd_input *in)
{
    struct wd_feed_status s = wd_feed_status(in->feed);

    /* Not before the state was told: the thread ends the feed while this one may be between the two. */
    return s.ended && in->state == WD_SOURCE_ENDED && !s.samples && !s.pictures && !in->framer.n;
}

bool wd_input_has_audio(const struct wd_input *in)
{
    return wd_feed_status(in->feed).info.has_audio;
}

bool wd_input_has_video(const struct wd_input *in)
{
    return wd_feed_status(in->feed).info.has_video;
}

int64_t wd_input_utc_ns(const struct wd_input *in)
{
    return wd_feed_status(in->feed).utc_ns;
}

int wd_input_error(const struct wd_input *in)
{
    return atomic_load(&in->error);
}

double wd_input_duration_s(const struct wd_input *in)
{
    return (double)wd_feed_status(in->feed).info.duration_ns / 1e9;
}

struct wd_input_stats wd_input_stats(const struct wd_input *in)
{
    struct wd_feed_status s = wd_feed_status(in->feed);
    struct wd_input_stats stats = in->stats;

    stats.pictures_dropped = s.pictures_dropped;
    stats.samples_dropped = s.samples_dropped;
    stats.buffered_ns = (int64_t)s.samples * WD_SAMPLE_NS;
    return stats;
}
