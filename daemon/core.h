/* daemon/core.h - owns everything: model, engine thread, streams, sinks; builds, starts and stops it in one visible order. witnessd and
 * `witness transcribe` run it. Loop thread. */
#pragma once
#include "base/err.h"
#include "pipeline/event.h"
#include "pipeline/job.h"
#include "pipeline/stream.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <uv.h>

struct wd_config;
struct wd_core;

/* Opens the model, makes streams and sinks; nothing runs yet. The configuration is borrowed until free; its sinks' settings are taken. */
int wd_core_new(uv_loop_t *loop, struct wd_config *config, struct wd_core **ret, struct wd_err *err);
/* Sources open. */
int wd_core_start(struct wd_core *c, struct wd_err *err);
/* Runs the loop until every stream has ended and everything is written and closed. */
void wd_core_run(struct wd_core *c);
/* No more is taken in; what was heard is decoded and written, then run() returns. Can be repeated. */
void wd_core_drain(struct wd_core *c);
/* Sinks reopen their files. */
void wd_core_reopen(struct wd_core *c);
struct wd_core *wd_core_free(struct wd_core *c); /* after run(), or when start() failed */

/* Also given every event, after the sinks; for progress and tests. */
void wd_core_observe(struct wd_core *c, void (*seen)(void *ctx, const struct wd_event *e), void *ctx);

uint64_t wd_core_events_lost(const struct wd_core *c); /* by sinks, after run() */
size_t wd_core_stream_count(const struct wd_core *c);
const char *wd_core_stream_name(const struct wd_core *c, size_t i);
struct wd_stream_status wd_core_stream_status(const struct wd_core *c, size_t i);
/* Why stream i's source ended: 0, or a negative errno with the reason in words. */
int wd_core_stream_error(const struct wd_core *c, size_t i, const char **ret_reason);
struct wd_job_count wd_core_jobs(const struct wd_core *c); /* sum over all streams */
/* The counters that prove what is said of the engine's use, as a table for people. */
void wd_core_print_stats(const struct wd_core *c, FILE *to);
