/* cli/progress.h - one line on standard error, rewritten: how far a recording is, how fast, how long it will take. Loop thread. */
#pragma once
#include "base/err.h"
#include <uv.h>

struct wd_core;
struct wd_progress;

int wd_progress_new(uv_loop_t *loop, struct wd_core *core, const char *what, struct wd_progress **ret, struct wd_err *err);
void wd_progress_close(struct wd_progress *p); /* takes NULL; wipes the line; the loop frees it */
