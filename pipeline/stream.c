/* pipeline/stream.c - one input end to end: source -> frames -> gate -> window -> jobs -> events. */
#include "pipeline/stream.h"

#include "model/engine.h"
#include "pipeline/activity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sound that may wait for the engine before a source that can wait is made to. */
#define AHEAD_NS INT64_C(2000000000)
#define PASSES_OF_A_TICK 3
#define WIDEST_TICK_NS INT64_C(5000000000)
/* Beside the rows of the pictures of a scene: what stands around each, and the question. */
#define PICTURE_POSITIONS 64
#define QUESTION_POSITIONS 512
#define SOUND_POSITIONS (WD_WINDOW_MAX_FRAMES + 1024)

/* What is shed when a stream falls behind, in order; each step is an event and is undone when there is room. */
enum shed { SHED_NOTHING, SHED_TICKS, SHED_PARTIALS, N_SHED };
static const char *const shed_names[N_SHED] = {"none", "wider ticks", "no partials"};

struct wd_stream {
    struct wd_stream_opts opts;
    struct wd_stream_shared shared;
    char *name;
    struct wd_publish publish;
    struct wd_input *input;
    struct wd_activity *activity;
    struct wd_window *window;
    struct wd_transcript *transcript;
    struct wd_scene *scene;
    struct wd_lane *sound_lane, *scene_lane;
    struct wd_job *sound_job, *scene_job;
    struct wd_window_job what; /* that sound_job does */
    bool sound_busy, scene_busy;
    int64_t sound_since, scene_since; /* loop time at which a job was first wanted; 0: none is */

    enum wd_source_state state;
    int error;
    char reason[256];
    bool draining, input_ended, ended, heard_end;
    int64_t heard_ns;
    bool losing; /* frames are refused since lost_from_ns */
    int64_t lost_from_ns;
    enum shed shed;
    int64_t shed_since;
    struct wd_job_count jobs;

    void (*closed)(void *ctx);
    void *closed_ctx;
};

static int64_t loop_ns(const struct wd_stream *s)
{
    (void)s;
    return (int64_t)uv_hrtime();
}

/* ---- wants ---- */

static void look_for_work(struct wd_stream *s)
{
    bool sound = !s->sound_busy && wd_window_ready(s->window);
    bool scene = s->scene && !s->scene_busy && wd_scene_ready(s->scene);

    if (!sound)
        s->sound_since = 0;
    else if (!s->sound_since)
        s->sound_since = loop_ns(s);
    if (!scene)
        s->scene_since = 0;
    else if (!s->scene_since)
        s->scene_since = loop_ns(s);
}

struct wd_schedule_want wd_stream_want(const struct wd_stream *s)
{
    struct wd_schedule_want w = {WD_SCHEDULE_NOTHING, 0};
    int64_t now = loop_ns(s);

    if (s->sound_since) {
        w.need = s->opts.live ? WD_SCHEDULE_LIVE : WD_SCHEDULE_FINAL;
        w.waiting_ns = now - s->sound_since;
    }
    /* A picture that waited long goes before the stream's own sound once. */
    if (s->scene_since && (w.need == WD_SCHEDULE_NOTHING || now - s->scene_since >= WD_SCHEDULE_PATIENCE_NS)) {
        w.need = WD_SCHEDULE_SCENE;
        w.waiting_ns = now - s->scene_since;
    }
    return w;
}

/* One event for a stretch of frames that the backlog had no room for, when it has again. */
static void publish_lost(struct wd_stream *s, int64_t until_ns)
{
    static const char reason[] = "the engine is too far behind";
    struct wd_event *e;

    if (!s->losing)
        return;
    s->losing = false;
    e = wd_publish_event(&s->publish, WD_EVENT_GAP, s->lost_from_ns, until_ns);
    if (e)
        e->reason = wd_event_text(e, reason, sizeof reason - 1);
    wd_publish_send(&s->publish, e);
}

static void check_end(struct wd_stream *s)
{
    if (!s->input_ended || s->ended || s->sound_busy || s->scene_busy)
        return;
    if (!s->heard_end) {
        s->heard_end = true;
        publish_lost(s, s->heard_ns);
        wd_window_end(s->window);
        if (s->scene)
            wd_scene_end(s->scene);
        look_for_work(s);
    }
    if (wd_window_ready(s->window) || (s->scene && wd_scene_ready(s->scene)))
        return;
    s->ended = true;
    wd_transcript_end(s->transcript);
    s->shared.ended(s->shared.ctx, s);
}

/* ---- lag ---- */

static double lag_s(const struct wd_stream *s)
{
    return (double)(wd_window_waiting_ns(s->window) + wd_input_stats(s->input).buffered_ns) / 1e9;
}

/* The configured tick, wider where it was shed or where the machine needs longer for what a tick costs: the pass that brings the sound, and a few words. */
static void follow_machine(struct wd_stream *s)
{
    int64_t tick = s->opts.tick_ns, least = PASSES_OF_A_TICK * wd_worker_pass_ns(s->shared.worker);

    if (!s->opts.live || tick < 0)
        return;
    if (s->shed == SHED_TICKS)
        tick *= 3;
    if (tick < least)
        tick = least < WIDEST_TICK_NS ? least : WIDEST_TICK_NS;
    wd_window_set_tick(s->window, s->shed == SHED_PARTIALS ? -1 : tick);
}

static void set_shed(struct wd_stream *s, enum shed to, double lag)
{
    struct wd_event *e = wd_publish_event(&s->publish, WD_EVENT_LAG, s->heard_ns, s->heard_ns);

    s->shed = to;
    s->shed_since = loop_ns(s);
    follow_machine(s);
    if (!e)
        return;
    e->behind_s = lag;
    if (to != SHED_NOTHING)
        e->change = wd_event_text(e, shed_names[to], strlen(shed_names[to]));
    wd_publish_send(&s->publish, e);
}

/* One step up when the target is missed, one down when there is room again; a step is given time to show. */
static void watch_lag(struct wd_stream *s)
{
    double lag = lag_s(s), target = (double)s->opts.lag_target_ns / 1e9;

    if (!s->opts.live || loop_ns(s) - s->shed_since < s->opts.lag_target_ns)
        return;
    if (lag > target && s->shed + 1 < N_SHED)
        set_shed(s, s->shed + 1, lag);
    else if (lag < target / 4 && s->shed > SHED_NOTHING)
        set_shed(s, s->shed - 1, lag);
}

/* ---- input ---- */

static void take_frame(struct wd_stream *s, const float *pcm, int64_t t0)
{
    float p = 0;
    enum wd_activity_state state;
    enum wd_window_speech speech;
    int r;

    if (t0 - s->heard_ns > WD_FRAME_NS / 2) /* a gap: what came before says nothing of what comes now */
        wd_activity_reset(s->activity);
    state = wd_activity_push(s->activity, pcm, &p);
    speech = state == WD_ACTIVITY_SPEECH     ? WD_WINDOW_SPEECH
             : state == WD_ACTIVITY_HANGOVER ? WD_WINDOW_HANGOVER
                                             : WD_WINDOW_SILENCE;
    r = wd_window_push(s->window, pcm, t0, speech, p);

    s->heard_ns = t0 + WD_FRAME_NS;
    if (r != -ENOSPC) {
        publish_lost(s, t0);
    } else if (!s->losing) {
        s->losing = true;
        s->lost_from_ns = t0;
    }
}

static void pull_pictures(struct wd_stream *s)
{
    struct wd_picture *p;

    /* A file that can wait shows each picture in turn: the next one when the last change was looked at. */
    while (s->scene && (s->opts.live || !wd_scene_ready(s->scene)) && (p = wd_input_picture(s->input)))
        wd_scene_push(s->scene, p);
}

static void pull(struct wd_stream *s)
{
    float pcm[WD_FRAME_SAMPLES];
    int64_t t0;
    int r = 0;

    if (s->input_ended || s->ended)
        return;
    s->publish.utc_ns = wd_input_utc_ns(s->input);
    while ((s->opts.live || wd_window_waiting_ns(s->window) < AHEAD_NS) && (r = wd_input_audio(s->input, pcm, &t0)) == 1)
        take_frame(s, pcm, t0);
    pull_pictures(s);
    if (wd_input_ended(s->input))
        s->input_ended = true;
    watch_lag(s);
    look_for_work(s);
}

static void on_ready(void *ctx)
{
    struct wd_stream *s = ctx;

    pull(s);
    check_end(s);
    s->shared.work(s->shared.ctx);
}

static void on_state(void *ctx, enum wd_source_state state, const char *reason)
{
    struct wd_stream *s = ctx;
    struct wd_event *e;

    s->state = state;
    snprintf(s->reason, sizeof s->reason, "%s", reason ? reason : "");
    s->publish.utc_ns = wd_input_utc_ns(s->input);
    e = wd_publish_event(&s->publish, WD_EVENT_SOURCE, s->heard_ns, s->heard_ns);
    if (e) {
        e->change = wd_event_text(e, wd_source_state_name(state), strlen(wd_source_state_name(state)));
        if (s->reason[0])
            e->reason = wd_event_text(e, s->reason, strlen(s->reason));
    }
    wd_publish_send(&s->publish, e);
}

static void on_gap(void *ctx, int64_t from_ns, int64_t to_ns, const char *reason)
{
    struct wd_stream *s = ctx;
    struct wd_event *e = wd_publish_event(&s->publish, WD_EVENT_GAP, from_ns, to_ns);

    if (e)
        e->reason = wd_event_text(e, reason, strlen(reason));
    wd_publish_send(&s->publish, e);
}

/* ---- jobs ---- */

static void after_job(struct wd_stream *s, const struct wd_job *job)
{
    wd_job_count_add(&s->jobs, &job->count);
    follow_machine(s);
    pull(s);
    look_for_work(s);
    check_end(s);
    s->shared.work(s->shared.ctx);
}

static void sound_done(void *ctx, struct wd_job *job)
{
    struct wd_stream *s = ctx;

    s->sound_busy = false;
    wd_transcript_take(s->transcript, s->window, &s->what, job);
    after_job(s, job);
}

static void scene_done(void *ctx, struct wd_job *job)
{
    struct wd_stream *s = ctx;

    s->scene_busy = false;
    wd_scene_take(s->scene, job);
    after_job(s, job);
}

static bool start_sound(struct wd_stream *s)
{
    struct wd_err err = {0};

    if (!wd_window_next(s->window, &s->what))
        return false;
    s->sound_job->done = sound_done;
    s->sound_job->ctx = s;
    s->sound_job->lane = s->sound_lane;
    s->sound_busy = true;
    if (wd_transcript_fill(s->transcript, s->window, &s->what, s->sound_job, &err) < 0 ||
        wd_worker_submit(s->shared.worker, s->sound_job) < 0) {
        /* The answer is that there is none; the window is handled as after any bad answer. */
        s->sound_busy = false;
        s->sound_job->code = err.code ? err.code : -EBUSY;
        snprintf(s->sound_job->err, sizeof s->sound_job->err, "%.255s", err.code ? err.text : "the engine is busy");
        wd_transcript_take(s->transcript, s->window, &s->what, s->sound_job);
        return false;
    }
    return true;
}

static bool start_scene(struct wd_stream *s)
{
    if (!wd_scene_fill(s->scene, s->scene_job))
        return false;
    s->scene_job->done = scene_done;
    s->scene_job->ctx = s;
    s->scene_job->lane = s->scene_lane;
    s->scene_busy = true;
    if (wd_worker_submit(s->shared.worker, s->scene_job) < 0) {
        s->scene_busy = false;
        s->scene_job->code = -EBUSY;
        wd_scene_take(s->scene, s->scene_job);
        return false;
    }
    return true;
}

bool wd_stream_start_job(struct wd_stream *s)
{
    struct wd_schedule_want w = wd_stream_want(s);
    bool started = false;

    if (w.need == WD_SCHEDULE_SCENE)
        started = start_scene(s);
    else if (w.need != WD_SCHEDULE_NOTHING)
        started = start_sound(s);
    look_for_work(s);
    if (!started)
        check_end(s);
    return started;
}

/* ---- life ---- */

/* Heads that the model lacks would say nothing, and words would silently have worse times. */
static int check_heads(const struct wd_shape *shape, const struct wd_profile_transcribe *t, struct wd_err *err)
{
    for (uint32_t i = 0; i < t->n_heads; i++)
        if (t->heads[i][0] >= shape->n_layers || t->heads[i][1] >= shape->n_heads)
            return wd_err_set(err, -EINVAL, "heads: [%u, %u]: the model has %u layers of %u heads", t->heads[i][0], t->heads[i][1],
                              shape->n_layers, shape->n_heads);
    return 0;
}

/* What the pictures of one context, a question and its answer take; -EINVAL: the model has not so many, or no picture of that size. */
static int scene_positions(const struct wd_shape *shape, const struct wd_profile *profile, uint32_t budget, uint32_t *ret, struct wd_err *err)
{
    int64_t answer = 0;

    for (unsigned t = 0; t < WD_PROFILE_N_TASKS; t++)
        if (profile->tasks[t].question.n && profile->tasks[t].max_tokens > answer)
            answer = profile->tasks[t].max_tokens;
    *ret = WD_SCENE_CONTEXT_PICTURES * (budget + PICTURE_POSITIONS) + QUESTION_POSITIONS + (uint32_t)answer;
    if (*ret > shape->n_context)
        return wd_err_set(err, -EINVAL, "scenes: pictures of up to %u rows need a context of %u tokens, the model has %u", budget, *ret,
                          shape->n_context);
    if (budget > (uint64_t)shape->mm_positions * shape->mm_positions)
        return wd_err_set(err, -EINVAL, "scenes: budget: no picture of %u rows fits the model's %u x %u places", budget, shape->mm_positions,
                          shape->mm_positions);
    return 0;
}

int wd_stream_new(const struct wd_stream_opts *opts, const struct wd_stream_shared *shared, const struct wd_profile *profile,
                  struct wd_stream **ret, struct wd_err *err)
{
    const struct wd_shape *shape = wd_engine_shape(shared->engine);
    struct wd_stream *s = calloc(1, sizeof *s);
    struct wd_activity_opts activity = {.threshold = (float)opts->threshold, .preroll_ns = opts->preroll_ns, .hangover_ns = opts->hangover_ns};
    int64_t longest = profile->transcribe.max_audio_ns;
    struct wd_window_opts window = {
        .max_ns = longest > 0 && longest < opts->window_max_ns ? longest : opts->window_max_ns,
        .preroll_ns = opts->preroll_ns,
        .pause_ns = opts->pause_ns,
        .tick_ns = opts->tick_ns,
        .every_tick = !opts->live,
    };
    struct wd_transcript_opts transcript = {
        .profile = profile,
        .tokenizer = wd_engine_tokenizer(shared->engine),
        .language = opts->language,
        .partials = opts->partials,
        .speakers = opts->speakers,
        .edge_ns = opts->overlap_ns,
    };
    struct wd_scene_opts scene = {
        .profile = profile,
        .tokenizer = wd_engine_tokenizer(shared->engine),
        .period_ns = opts->scene_period_ns,
        .change = opts->scene_change,
    };
    uint32_t room = SOUND_POSITIONS + WD_JOB_MAX_TOKENS, scene_room = 0;
    bool pictures = opts->scenes && shape->has_vision && profile->tasks[WD_PROFILE_DESCRIBE].question.n > 0;
    int r;

    if (!s)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", opts->name);
    r = check_heads(shape, &profile->transcribe, err);
    if (r < 0)
        wd_err_prefix(err, "%s", profile->path);
    if (r == 0 && pictures)
        r = scene_positions(shape, profile, opts->picture_budget, &scene_room, err);
    if (r < 0) {
        wd_err_prefix(err, "stream %s", opts->name);
        free(s);
        return r;
    }
    s->opts = *opts;
    s->shared = *shared;
    s->name = strdup(opts->name);
    if (!s->name) {
        free(s);
        return wd_err_set(err, -ENOMEM, "%s: out of memory", opts->name);
    }
    s->opts.name = s->name;
    s->publish = (struct wd_publish){.pool = shared->events, .stream = s->name, .model = shared->model,
                                     .model_hash = shared->model_hash, .send = shared->send, .ctx = shared->ctx};
    r = wd_activity_new(shared->voice, &activity, &s->activity, err);
    if (r == 0)
        r = wd_window_new(&window, &s->window, err);
    if (r == 0)
        r = wd_transcript_new(&transcript, &s->publish, &s->transcript, err);
    if (r == 0)
        r = wd_job_new(WD_JOB_SOUND, &s->sound_job, err);
    if (r == 0)
        r = wd_lane_new(shared->worker, room < shape->n_context ? room : shape->n_context, &s->sound_lane, err);
    if (r == 0 && pictures)
        r = wd_scene_new(&scene, &s->publish, &s->scene, err);
    if (r == 0 && pictures)
        r = wd_job_new(WD_JOB_SCENE, &s->scene_job, err);
    if (r == 0 && pictures)
        r = wd_lane_new(shared->worker, scene_room, &s->scene_lane, err);
    if (r < 0) {
        wd_err_prefix(err, "stream %s", opts->name);
        wd_stream_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

int wd_stream_start(struct wd_stream *s, struct wd_err *err)
{
    static const struct wd_input_callbacks callbacks = {on_ready, on_state, on_gap};
    struct wd_input_opts opts = {
        .name = s->name,
        .type = s->opts.source,
        .source_opts = s->opts.source_opts,
        .picture_budget = s->scene ? s->opts.picture_budget : 0,
        .picture_interval_ns = INT64_C(1000000000),
    };
    int r = wd_input_open(s->shared.loop, &opts, &callbacks, s, &s->input, err);

    if (r < 0)
        wd_err_prefix(err, "stream %s", s->name);
    return r;
}

void wd_stream_drain(struct wd_stream *s)
{
    if (s->draining || !s->input)
        return;
    s->draining = true;
    wd_input_stop(s->input);
}

static void input_closed(void *ctx)
{
    struct wd_stream *s = ctx;

    s->input = NULL;
    s->closed(s->closed_ctx);
}

void wd_stream_close(struct wd_stream *s, void (*closed)(void *ctx), void *ctx)
{
    s->closed = closed;
    s->closed_ctx = ctx;
    if (s->input)
        wd_input_close(s->input, input_closed);
    else
        closed(ctx);
}

struct wd_stream *wd_stream_free(struct wd_stream *s)
{
    if (!s)
        return NULL;
    wd_lane_free(s->sound_lane);
    wd_lane_free(s->scene_lane);
    wd_job_free(s->sound_job);
    wd_job_free(s->scene_job);
    wd_scene_free(s->scene);
    wd_transcript_free(s->transcript);
    wd_window_free(s->window);
    wd_activity_free(s->activity);
    free(s->name);
    free(s);
    return NULL;
}

const char *wd_stream_name(const struct wd_stream *s)
{
    return s->name;
}

bool wd_stream_busy(const struct wd_stream *s)
{
    return s->sound_busy || s->scene_busy;
}

int wd_stream_error(const struct wd_stream *s)
{
    return s->input ? wd_input_error(s->input) : s->error;
}

const char *wd_stream_reason(const struct wd_stream *s)
{
    return s->reason;
}

struct wd_stream_status wd_stream_status(const struct wd_stream *s)
{
    int64_t waiting = wd_window_waiting_ns(s->window);

    return (struct wd_stream_status){
        .state = s->state,
        .heard_ns = s->heard_ns,
        .done_ns = s->heard_ns - waiting,
        .duration_s = s->input ? wd_input_duration_s(s->input) : 0,
        .lag_s = s->input ? lag_s(s) : 0,
        .input = s->input ? wd_input_stats(s->input) : (struct wd_input_stats){0},
        .window = wd_window_stats(s->window),
        .transcript = wd_transcript_stats(s->transcript),
        .scene = s->scene ? wd_scene_stats(s->scene) : (struct wd_scene_stats){0},
        .jobs = s->jobs,
        .events_lost = s->publish.lost,
    };
}
