/* cli/progress.c - one line on standard error, rewritten: how far a recording is, how fast, how long it will take. */
#include "cli/progress.h"

#include "daemon/core.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct wd_progress {
    uv_timer_t timer;
    struct wd_core *core;
    char what[64];
    uint64_t begun_ns;
};

static void clock_text(double s, char *out, size_t cap)
{
    unsigned long t = s > 0 ? (unsigned long)(s + 0.5) : 0;

    if (t >= 3600)
        snprintf(out, cap, "%lu:%02lu:%02lu", t / 3600, t / 60 % 60, t % 60);
    else
        snprintf(out, cap, "%lu:%02lu", t / 60, t % 60);
}

static void on_timer(uv_timer_t *t)
{
    struct wd_progress *p = t->data;
    struct wd_stream_status s = wd_core_stream_status(p->core, 0);
    double done = (double)s.done_ns / 1e9, elapsed = (double)(uv_hrtime() - p->begun_ns) / 1e9, speed = elapsed > 0 ? done / elapsed : 0;
    char at[32], all[32], left[32];

    clock_text(done, at, sizeof at);
    if (s.duration_s <= 0) {
        fprintf(stderr, "\r\033[K%s  %s  %.1fx", p->what, at, speed);
        return;
    }
    clock_text(s.duration_s, all, sizeof all);
    clock_text(speed > 0 ? (s.duration_s - done) / speed : 0, left, sizeof left);
    fprintf(stderr, "\r\033[K%s  %3.0f %%  %s of %s  %.1fx  %s left", p->what, 100 * done / s.duration_s, at, all, speed,
            speed > 0 ? left : "?");
}

int wd_progress_new(uv_loop_t *loop, struct wd_core *core, const char *what, struct wd_progress **ret, struct wd_err *err)
{
    struct wd_progress *p = calloc(1, sizeof *p);
    const char *slash = strrchr(what, '/');

    if (!p)
        return wd_err_set(err, -ENOMEM, "out of memory");
    p->core = core;
    snprintf(p->what, sizeof p->what, "%.60s", slash && slash[1] ? slash + 1 : what);
    for (char *c = p->what; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    p->begun_ns = uv_hrtime();
    uv_timer_init(loop, &p->timer);
    p->timer.data = p;
    uv_timer_start(&p->timer, on_timer, 200, 200);
    uv_unref((uv_handle_t *)&p->timer);
    *ret = p;
    return 0;
}

static void closed(uv_handle_t *h)
{
    free(h->data);
}

void wd_progress_close(struct wd_progress *p)
{
    if (!p)
        return;
    fprintf(stderr, "\r\033[K");
    uv_close((uv_handle_t *)&p->timer, closed);
}
