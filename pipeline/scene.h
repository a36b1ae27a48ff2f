/* pipeline/scene.h - one stream's pictures -> what is seen: when to look, what to ask, the scene event. Loop thread; nothing allocates but _new. */
#pragma once
#include "base/err.h"
#include "pipeline/job.h"
#include "pipeline/picture.h"
#include "pipeline/profile.h"
#include "pipeline/publish.h"
#include <stdbool.h>
#include <stdint.h>

struct wd_tokenizer;

/* A context that begins anew costs its first picture a second time; one that is too long is misread. */
#define WD_SCENE_CONTEXT_PICTURES 2

struct wd_scene_opts {
    const struct wd_profile *profile;
    const struct wd_tokenizer *tokenizer;
    int64_t period_ns; /* a summary at least this often while pictures come; 0: only on change */
    double change;     /* 0..1: what counts as a change */
};

struct wd_scene;
int wd_scene_new(const struct wd_scene_opts *opts, struct wd_publish *publish, struct wd_scene **ret, struct wd_err *err);
struct wd_scene *wd_scene_free(struct wd_scene *s);

/* The next picture; takes the reference. */
void wd_scene_push(struct wd_scene *s, struct wd_picture *p);
/* Would fill() say something? */
bool wd_scene_ready(const struct wd_scene *s);
/* Fills the job: pictures, questions. False: nothing to look at, or the prompt does not fit (a notice says so). */
bool wd_scene_fill(struct wd_scene *s, struct wd_job *job);
/* The job's answers become an event. */
void wd_scene_take(struct wd_scene *s, struct wd_job *job);
/* Nothing more comes: what still waits to be seen to be steady is looked at now. */
void wd_scene_end(struct wd_scene *s);

struct wd_scene_stats {
    uint64_t pictures, looked_at, prefilled_twice; /* pictures fed a second time to begin a new context */
    uint64_t events, failed;
};
struct wd_scene_stats wd_scene_stats(const struct wd_scene *s);
