/* daemon/signals.h - TERM and INT drain, HUP reopens files. Loop thread. */
#pragma once
#include "base/err.h"
#include <uv.h>

struct wd_core;
struct wd_signals;

/* A second INT or TERM ends the process at once: whoever asks twice does not want to wait. */
int wd_signals_new(uv_loop_t *loop, struct wd_core *core, struct wd_signals **ret, struct wd_err *err);
/* Was the end asked for? */
int wd_signals_caught(const struct wd_signals *s);
/* Handlers are given back; the loop frees it. */
void wd_signals_close(struct wd_signals *s);
