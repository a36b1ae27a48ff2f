/* daemon/core.c - owns everything; builds, starts and stops it in one visible order. */
#include "daemon/core.h"

#include "base/log.h"
#include "base/paths.h"
#include "daemon/config.h"
#include "model/engine.h"
#include "model/voice.h"
#include "pipeline/prompt.h"
#include "pipeline/schedule.h"
#include "pipeline/source.h"
#include "sinks/router.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_IN_THE_MAKING 64
#define MAX_STREAMS 256
#define MAX_SINKS 64

struct one_stream {
    struct wd_core *core;
    struct wd_stream *stream;
    struct wd_profile *profile;
    struct wd_stream_status last; /* when it was closed */
    int error;
    char reason[256];
    bool ended;
};

struct wd_core {
    uv_loop_t *loop;
    struct wd_config *config;
    struct wd_engine *engine;
    struct wd_voice *voice;
    struct wd_worker *worker;
    struct wd_event_pool *events;
    struct wd_router *router;
    struct one_stream *streams;
    size_t n_streams;
    uv_idle_t *dispatch; /* hands out jobs once the loop is done with what woke it */
    bool finishing;
    uint64_t lost; /* events, by sinks */
    void (*seen)(void *ctx, const struct wd_event *e);
    void *seen_ctx;
};

/* ---- events and jobs ---- */

static void on_event(void *ctx, struct wd_event *e)
{
    struct wd_core *c = ctx;

    if (!c->router) /* closed already: only the end of a source comes so late */
        return;
    wd_router_publish(c->router, e);
    if (c->seen)
        c->seen(c->seen_ctx, e);
}

static void give_work(struct wd_core *c)
{
    struct wd_schedule_want wants[MAX_STREAMS];
    int i;

    /* A stream may find that it has no job after all; then the next one is asked. */
    for (size_t tries = 0; tries <= c->n_streams && c->worker && !wd_worker_busy(c->worker); tries++) {
        for (size_t k = 0; k < c->n_streams; k++)
            wants[k] = c->streams[k].stream ? wd_stream_want(c->streams[k].stream) : (struct wd_schedule_want){0};
        i = wd_schedule_pick(wants, (unsigned)c->n_streams);
        if (i < 0)
            return;
        wd_stream_start_job(c->streams[i].stream);
    }
}

static void on_work(void *ctx)
{
    struct wd_core *c = ctx;

    /* What one answer gave is out: a batch of events ends here. */
    if (c->router)
        wd_router_flush(c->router);
    give_work(c);
}

/* ---- the end ---- */

static void all_closed(void *ctx)
{
    struct wd_core *c = ctx;

    /* Lanes are freed while the worker lives; it goes last. */
    c->worker = NULL;
}

/* Sources close in any order. */
static void stream_closed(void *ctx)
{
    struct one_stream *s = ctx;
    struct wd_core *c = s->core;

    s->stream = wd_stream_free(s->stream);
    for (size_t i = 0; i < c->n_streams; i++)
        if (c->streams[i].stream)
            return;
    wd_worker_close(c->worker, all_closed, c);
}

static void finish(struct wd_core *c)
{
    for (size_t i = 0; i < c->n_streams; i++)
        if (!c->streams[i].ended)
            return;
    if (c->finishing)
        return;
    c->finishing = true;
    c->lost = wd_router_finish(c->router); /* gives the sinks what they still take */
    c->router = wd_router_free(c->router);
    for (size_t i = 0; i < c->n_streams; i++) {
        struct one_stream *s = &c->streams[i];
        const char *reason = wd_stream_reason(s->stream);

        s->last = wd_stream_status(s->stream);
        s->error = wd_stream_error(s->stream);
        snprintf(s->reason, sizeof s->reason, "%s", reason);
    }
    for (size_t i = 0; i < c->n_streams; i++)
        wd_stream_close(c->streams[i].stream, stream_closed, &c->streams[i]);
}

static void dispatch_end(uv_idle_t *idle)
{
    struct wd_core *c = idle->data;

    uv_idle_stop(idle);
    finish(c);
}

static void on_ended(void *ctx, struct wd_stream *s)
{
    struct wd_core *c = ctx;

    for (size_t i = 0; i < c->n_streams; i++)
        if (c->streams[i].stream == s)
            c->streams[i].ended = true;
    /* Not from within the stream's own call. */
    uv_idle_start(c->dispatch, dispatch_end);
}

/* ---- building ---- */

static int open_model(struct wd_core *c, struct wd_err *err)
{
    const struct wd_config_model *m = &c->config->model;
    char path[PATH_MAX], print[PATH_MAX], gate[PATH_MAX];
    struct wd_engine_opts opts = {
        .n_threads = (unsigned)m->threads,
        .mmproj = m->mmproj,
        .drafter = m->drafter && strcmp(m->drafter, "none") ? m->drafter : NULL,
        .kernels = m->kernels,
    };
    int r = wd_paths_model(m->path, path, sizeof path, err);

    if (r == 0)
        r = wd_engine_open(path, &opts, &c->engine, err);
    if (r == 0)
        r = wd_paths_data("models/voice-print.safetensors", print, sizeof print, err);
    if (r == 0)
        r = wd_paths_data("models/speech-activity.safetensors", gate, sizeof gate, err);
    if (r == 0)
        r = wd_voice_open(print, gate, &c->voice, err);
    if (r == 0)
        wd_info("model %s (%s), %u threads, %s kernels", wd_engine_shape(c->engine)->name, wd_engine_hash(c->engine),
                wd_engine_threads(c->engine), wd_engine_kernels(c->engine));
    return r;
}

static int add_sinks(struct wd_core *c, struct wd_err *err)
{
    bool patient = true;
    int r = wd_router_new(c->loop, &c->router, err);

    /* Sources that can wait do, so that a slow reader of a transcript misses nothing. */
    for (size_t i = 0; i < c->config->n_streams; i++) {
        const struct wd_config_stream *s = &c->config->streams[i];

        patient &= s->source->pace(s->source_opts) == WD_SOURCE_FLAT_OUT;
    }
    if (r == 0)
        wd_router_wait(c->router, patient);

    for (size_t i = 0; r == 0 && i < c->config->n_sinks; i++) {
        struct wd_config_sink *s = &c->config->sinks[i];
        struct wd_router_filter filter = {.streams = &s->streams, .kinds = s->kinds};
        void *opts = s->opts;

        s->opts = NULL; /* it becomes the sink */
        r = wd_router_add(c->router, s->type, opts, &filter, err);
    }
    return r;
}

/* Every stream may have a profile of its own. */
static int find_profiles(struct wd_core *c, struct wd_err *err)
{
    const char *name = wd_engine_shape(c->engine)->name;
    int r = 0;

    for (size_t i = 0; r == 0 && i < c->config->n_streams; i++) {
        const struct wd_config_stream *s = &c->config->streams[i];
        const char *override = s->prompts ? s->prompts : c->config->model.prompts;

        r = wd_profile_find(name, c->config->model.path, override, &c->streams[i].profile, err);
        if (r == 0)
            r = wd_prompt_check(c->streams[i].profile, wd_engine_tokenizer(c->engine), err);
    }
    return r;
}

static int add_stream(struct wd_core *c, size_t i, struct wd_err *err)
{
    const struct wd_config_stream *s = &c->config->streams[i];
    struct wd_stream_opts opts = {
        .name = s->name,
        .source = s->source,
        .source_opts = s->source_opts,
        .language = s->language,
        .partials = s->partials,
        .speakers = s->speakers,
        .scenes = s->scenes.enabled,
        .window_max_ns = s->window.max_ns,
        .tick_ns = s->window.tick_ns,
        .lag_target_ns = s->window.lag_target_ns,
        .pause_ns = s->window.pause_ns,
        .overlap_ns = s->window.overlap_ns,
        .threshold = s->activity.threshold,
        .preroll_ns = s->activity.preroll_ns,
        .hangover_ns = s->activity.hangover_ns,
        .scene_period_ns = s->scenes.period_ns,
        .picture_budget = (uint32_t)s->scenes.budget,
        .scene_change = s->scenes.change,
        .live = s->source->pace(s->source_opts) != WD_SOURCE_FLAT_OUT,
    };
    struct wd_stream_shared shared = {
        .loop = c->loop,
        .engine = c->engine,
        .voice = c->voice,
        .worker = c->worker,
        .events = c->events,
        .model = wd_engine_shape(c->engine)->name,
        .model_hash = wd_engine_hash(c->engine),
        .send = on_event,
        .work = on_work,
        .ended = on_ended,
        .ctx = c,
    };

    return wd_stream_new(&opts, &shared, c->streams[i].profile, &c->streams[i].stream, err);
}

int wd_core_new(uv_loop_t *loop, struct wd_config *config, struct wd_core **ret, struct wd_err *err)
{
    struct wd_core *c = calloc(1, sizeof *c);
    int r;

    if (!c)
        return wd_err_set(err, -ENOMEM, "out of memory");
    c->loop = loop;
    c->config = config;
    if (config->n_sinks > MAX_SINKS) {
        free(c);
        return wd_err_set(err, -EINVAL, "%zu sinks are configured, expected at most %d", config->n_sinks, MAX_SINKS);
    }
    if (config->n_streams == 0 || config->n_streams > MAX_STREAMS) {
        free(c);
        return wd_err_set(err, -EINVAL, "%zu streams are configured, expected 1 to %d", config->n_streams, MAX_STREAMS);
    }
    c->n_streams = config->n_streams;
    c->streams = calloc(c->n_streams, sizeof *c->streams);
    c->dispatch = calloc(1, sizeof *c->dispatch);
    if (!c->streams || !c->dispatch) {
        r = wd_err_set(err, -ENOMEM, "out of memory");
        free(c->dispatch);
        c->dispatch = NULL;
        goto fail;
    }
    uv_idle_init(loop, c->dispatch);
    c->dispatch->data = c;
    for (size_t i = 0; i < c->n_streams; i++)
        c->streams[i].core = c;
    r = open_model(c, err);
    if (r == 0)
        r = find_profiles(c, err);
    if (r == 0)
        /* Each sink's queue may hold that many; pages never touched cost no memory. */
        r = wd_event_pool_new(EVENTS_IN_THE_MAKING + WD_ROUTER_QUEUE * (unsigned)(config->n_sinks + 1), &c->events, err);
    if (r == 0)
        r = add_sinks(c, err);
    if (r == 0)
        r = wd_worker_new(c->loop, c->engine, c->voice, &c->worker, err);
    for (size_t i = 0; r == 0 && i < c->n_streams; i++)
        r = add_stream(c, i, err);
    if (r < 0)
        goto fail;
    *ret = c;
    return 0;
fail:
    wd_core_free(c);
    return r;
}

int wd_core_start(struct wd_core *c, struct wd_err *err)
{
    for (size_t i = 0; i < c->n_streams; i++) {
        int r = wd_stream_start(c->streams[i].stream, err);

        if (r < 0)
            return r;
    }
    return 0;
}

void wd_core_run(struct wd_core *c)
{
    while (c->worker && uv_run(c->loop, UV_RUN_ONCE))
        ;
}

void wd_core_drain(struct wd_core *c)
{
    for (size_t i = 0; i < c->n_streams; i++)
        if (c->streams[i].stream && !c->finishing)
            wd_stream_drain(c->streams[i].stream);
}

void wd_core_reopen(struct wd_core *c)
{
    if (c->router)
        wd_router_reopen(c->router);
}

static void dispatch_closed(uv_handle_t *h)
{
    free(h);
}

/* What was built but never ran: streams have no source yet, the worker no job. */
static void abandon(struct wd_core *c)
{
    bool any = false;

    if (c->finishing)
        return;
    c->finishing = true;
    for (size_t i = 0; i < c->n_streams; i++) {
        c->streams[i].ended = true;
        any |= c->streams[i].stream != NULL;
    }
    for (size_t i = 0; i < c->n_streams; i++)
        if (c->streams[i].stream)
            wd_stream_close(c->streams[i].stream, stream_closed, &c->streams[i]);
    if (!any) /* otherwise the last stream does */
        wd_worker_close(c->worker, all_closed, c);
    wd_core_run(c);
}

struct wd_core *wd_core_free(struct wd_core *c)
{
    if (!c)
        return NULL;
    if (c->worker)
        abandon(c);
    wd_router_free(c->router);
    wd_event_pool_free(c->events);
    for (size_t i = 0; c->streams && i < c->n_streams; i++)
        wd_profile_free(c->streams[i].profile);
    wd_voice_free(c->voice);
    wd_engine_free(c->engine);
    if (c->dispatch) {
        uv_close((uv_handle_t *)c->dispatch, dispatch_closed);
        uv_run(c->loop, UV_RUN_DEFAULT);
    }
    free(c->streams);
    free(c);
    return NULL;
}

void wd_core_observe(struct wd_core *c, void (*seen)(void *ctx, const struct wd_event *e), void *ctx)
{
    c->seen = seen;
    c->seen_ctx = ctx;
}

/* ---- looking in ---- */

uint64_t wd_core_events_lost(const struct wd_core *c)
{
    return c->lost;
}

size_t wd_core_stream_count(const struct wd_core *c)
{
    return c->n_streams;
}

const char *wd_core_stream_name(const struct wd_core *c, size_t i)
{
    return c->config->streams[i].name;
}

struct wd_stream_status wd_core_stream_status(const struct wd_core *c, size_t i)
{
    const struct one_stream *s = &c->streams[i];

    return s->stream && !c->finishing ? wd_stream_status(s->stream) : s->last;
}

int wd_core_stream_error(const struct wd_core *c, size_t i, const char **ret_reason)
{
    const struct one_stream *s = &c->streams[i];

    *ret_reason = s->reason;
    return s->error;
}

struct wd_job_count wd_core_jobs(const struct wd_core *c)
{
    struct wd_job_count sum = {0};

    for (size_t i = 0; i < c->n_streams; i++) {
        struct wd_stream_status s = wd_core_stream_status(c, i);

        wd_job_count_add(&sum, &s.jobs);
    }
    return sum;
}
