/* daemon/signals.c - TERM and INT drain, HUP reopens files. */
#include "daemon/signals.h"

#include "base/log.h"
#include "daemon/core.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
enum { N_SIGNALS = sizeof numbers / sizeof numbers[0] };

/* Who ends a process and its group sends the same signal to the process twice: that is asked once. */
#define TOGETHER_NS UINT64_C(200000000)

struct wd_signals {
    uv_signal_t handles[N_SIGNALS];
    struct wd_core *core;
    int caught;
    uint64_t caught_ns;
    unsigned open;
};

static void on_signal(uv_signal_t *h, int number)
{
    struct wd_signals *s = h->data;

    if (number == SIGHUP) {
        wd_core_reopen(s->core);
        return;
    }
    if (s->caught == number && uv_hrtime() - s->caught_ns < TOGETHER_NS)
        return;
    if (s->caught) {
        wd_warning("asked to end twice: what was heard and not yet decoded is lost");
        _exit(128 + number);
    }
    s->caught = number;
    s->caught_ns = uv_hrtime();
    wd_info("draining: what was heard is decoded and written");
    wd_core_drain(s->core);
}

int wd_signals_new(uv_loop_t *loop, struct wd_core *core, struct wd_signals **ret, struct wd_err *err)
{
    struct wd_signals *s = calloc(1, sizeof *s);
    int r = 0;

    if (!s)
        return wd_err_set(err, -ENOMEM, "signals: out of memory");
    s->core = core;
    for (unsigned i = 0; i < N_SIGNALS && r == 0; i++) {
        r = uv_signal_init(loop, &s->handles[i]);
        if (r < 0)
            break;
        s->open++;
        s->handles[i].data = s;
        r = uv_signal_start(&s->handles[i], on_signal, numbers[i]);
        uv_unref((uv_handle_t *)&s->handles[i]); /* waiting for signals alone keeps nothing alive */
    }
    if (r < 0) {
        wd_signals_close(s);
        return wd_err_set(err, r, "signals: %s", uv_strerror(r));
    }
    *ret = s;
    return 0;
}

int wd_signals_caught(const struct wd_signals *s)
{
    return s->caught;
}

static void closed(uv_handle_t *h)
{
    struct wd_signals *s = h->data;

    if (--s->open == 0)
        free(s);
}

void wd_signals_close(struct wd_signals *s)
{
    if (!s)
        return;
    if (s->open == 0)
        free(s);
    else
        for (unsigned i = 0, n = s->open; i < n; i++)
            uv_close((uv_handle_t *)&s->handles[i], closed);
}
