/* pipeline/worker.h - border with the engine thread: jobs in, answers out. Loop thread, except where said. */
#pragma once
#include "base/err.h"
#include "pipeline/job.h"
#include <uv.h>

struct wd_engine;
struct wd_voice;
struct wd_worker;

/* engine and voice are borrowed until the worker is closed; from now on only its thread touches the engine. */
int wd_worker_new(uv_loop_t *loop, struct wd_engine *engine, const struct wd_voice *voice, struct wd_worker **ret,
                  struct wd_err *err);
/* Jobs in flight end first. closed(ctx) is called on the loop when the worker is gone. */
void wd_worker_close(struct wd_worker *w, void (*closed)(void *ctx), void *ctx);

/* A context of its own on the engine: what was fed stays in its cache between jobs. Made before the jobs that use it run; freed when none is
 * in flight. Both wait for the engine thread to be between jobs. */
int wd_lane_new(struct wd_worker *w, uint32_t capacity, struct wd_lane **ret, struct wd_err *err);
struct wd_lane *wd_lane_free(struct wd_lane *l);

/* One at a time: -EBUSY while a job is in flight (the scheduler decides who is next). */
int wd_worker_submit(struct wd_worker *w, struct wd_job *job);
bool wd_worker_busy(const struct wd_worker *w);
struct wd_job_count wd_worker_count(const struct wd_worker *w); /* sum over all jobs done */
/* What a pass costs lately, about the median: the tick follows it. 0 before the first. */
int64_t wd_worker_pass_ns(const struct wd_worker *w);
