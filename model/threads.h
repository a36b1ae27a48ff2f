/* model/threads.h - fork-join over rows: a fixed team; the calling (engine) thread is member 0. */
#pragma once
#include "base/err.h"

struct wd_threads;

/* n = 0: one a processor this process may use. The n - 1 helpers block all signals but SIGBUS
 * (model/mapping.h) and wait without burning the processor for longer than a few microseconds' spin. */
int wd_threads_new(unsigned n, struct wd_threads **ret, struct wd_err *err);
struct wd_threads *wd_threads_free(struct wd_threads *t); /* joins; takes NULL; returns NULL */
unsigned wd_threads_count(const struct wd_threads *t);

/* Runs fn(ctx, member, count) once on every member and returns when all are done. One caller at a
 * time. Never allocates. t NULL: fn(ctx, 0, 1). */
void wd_threads_run(struct wd_threads *t, void (*fn)(void *ctx, unsigned member, unsigned count),
                    void *ctx);
