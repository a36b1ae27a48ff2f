/* pipeline/stream.h - one input end to end: source -> frames -> gate -> window -> jobs -> events. Owns its own of each; schedule and worker
 * serve all streams. Loop thread. */
#pragma once
#include "base/err.h"
#include "pipeline/input.h"
#include "pipeline/job.h"
#include "pipeline/profile.h"
#include "pipeline/publish.h"
#include "pipeline/scene.h"
#include "pipeline/schedule.h"
#include "pipeline/transcript.h"
#include "pipeline/window.h"
#include "pipeline/worker.h"
#include <stdbool.h>
#include <uv.h>

struct wd_engine;
struct wd_stream;
struct wd_voice;

struct wd_stream_opts {
    const char *name;
    const struct wd_source_type *source;
    const void *source_opts;
    const char *language;
    bool partials, speakers, scenes;
    int64_t window_max_ns, lag_target_ns, pause_ns;
    int64_t overlap_ns; /* a window that is full is cut at least so long before its end */
    int64_t tick_ns; /* sound between two decodes; they settle words also where no partials are published */
    double threshold; /* of the speech gate */
    int64_t preroll_ns, hangover_ns;
    int64_t scene_period_ns;
    uint32_t picture_budget;
    double scene_change;
    bool live; /* in real time: ticks follow the clock, sound is dropped rather than waited for */
};

/* What all streams have in common; borrowed. */
struct wd_stream_shared {
    uv_loop_t *loop;
    struct wd_engine *engine;
    const struct wd_voice *voice;
    struct wd_worker *worker;
    struct wd_event_pool *events;
    const char *model, *model_hash;
    void (*send)(void *ctx, struct wd_event *e); /* borrows e */
    void (*work)(void *ctx);                     /* a job may wait: ask want() and start() */
    void (*ended)(void *ctx, struct wd_stream *s); /* the source has ended, all of it was decoded and published */
    void *ctx;
};

/* profile is borrowed. */
int wd_stream_new(const struct wd_stream_opts *opts, const struct wd_stream_shared *shared, const struct wd_profile *profile,
                  struct wd_stream **ret, struct wd_err *err);
int wd_stream_start(struct wd_stream *s, struct wd_err *err);
/* No more sound is taken in; what was heard is decoded and published, then ended() comes. */
void wd_stream_drain(struct wd_stream *s);
/* closed(ctx): the loop holds nothing of it any more; then wd_stream_free(). Not while a job of it is in flight. */
void wd_stream_close(struct wd_stream *s, void (*closed)(void *ctx), void *ctx);
struct wd_stream *wd_stream_free(struct wd_stream *s);

struct wd_schedule_want wd_stream_want(const struct wd_stream *s);
/* Hands its most urgent job to the worker. False: there was none after all. */
bool wd_stream_start_job(struct wd_stream *s);

const char *wd_stream_name(const struct wd_stream *s);
bool wd_stream_busy(const struct wd_stream *s); /* a job is in flight */
int wd_stream_error(const struct wd_stream *s);  /* why the source ended: 0, or a negative errno */
const char *wd_stream_reason(const struct wd_stream *s);

struct wd_stream_status {
    enum wd_source_state state;
    int64_t heard_ns;       /* stream time taken in */
    int64_t done_ns;        /* stream time that needs no more work */
    double duration_s;      /* of a file, 0: not known */
    double lag_s;
    struct wd_input_stats input;
    struct wd_window_stats window;
    struct wd_transcript_stats transcript;
    struct wd_scene_stats scene;
    struct wd_job_count jobs;
    uint64_t events_lost;
};
struct wd_stream_status wd_stream_status(const struct wd_stream *s);
