/* model/threads.c - a team of helpers that sleep between calls: a generation counter, a short spin,
 * then a condition. */
#include "model/threads.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A pause is 40 to 140 cycles: a few microseconds, what a helper waits between two steps of one
 * layer. */
#define SPINS 150
#define MOST_MEMBERS 256

struct helper {
    struct wd_threads *team;
    pthread_t thread;
    unsigned member;
};

struct wd_threads {
    unsigned count; /* the caller among them */
    unsigned n_started;
    bool have_mutex, have_start, have_done;
    pthread_mutex_t mutex;
    pthread_cond_t start, done;

    /* Written by the caller before `generation`, read by helpers after it. */
    void (*fn)(void *ctx, unsigned member, unsigned count);
    void *ctx;
    bool stop;

    atomic_uint generation; /* grows with every call */
    atomic_uint pending;    /* helpers still at work */
    /* Who waits on a condition. Set under the mutex before the last look at the counter, read after
     * the counter was changed, both in one total order: either the sleeper sees the change or the
     * changer sees the sleeper. */
    atomic_uint helpers_asleep, caller_asleep;
    struct helper helpers[];
};

static void pause_briefly(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("isb" ::: "memory");
#endif
}

/* Until the generation differs from `seen`; returns it. */
static unsigned wait_for_work(struct wd_threads *t, unsigned seen)
{
    unsigned now;

    for (unsigned i = 0; i < SPINS; i++) {
        now = atomic_load_explicit(&t->generation, memory_order_acquire);
        if (now != seen)
            return now;
        pause_briefly();
    }
    pthread_mutex_lock(&t->mutex);
    atomic_fetch_add(&t->helpers_asleep, 1);
    while ((now = atomic_load(&t->generation)) == seen)
        pthread_cond_wait(&t->start, &t->mutex);
    atomic_fetch_sub(&t->helpers_asleep, 1);
    pthread_mutex_unlock(&t->mutex);
    return now;
}

static void announce_work(struct wd_threads *t)
{
    atomic_fetch_add(&t->generation, 1);
    if (atomic_load(&t->helpers_asleep)) {
        pthread_mutex_lock(&t->mutex);
        pthread_cond_broadcast(&t->start);
        pthread_mutex_unlock(&t->mutex);
    }
}

static void *helper_main(void *arg)
{
    struct helper *h = arg;
    struct wd_threads *t = h->team;
    unsigned seen = 0;

    for (;;) {
        seen = wait_for_work(t, seen);
        if (t->stop)
            return NULL;
        t->fn(t->ctx, h->member, t->count);
        if (atomic_fetch_sub(&t->pending, 1) == 1 && atomic_load(&t->caller_asleep)) {
            pthread_mutex_lock(&t->mutex);
            pthread_cond_signal(&t->done);
            pthread_mutex_unlock(&t->mutex);
        }
    }
}

static unsigned processors(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

    return n < 1 ? 1 : n > MOST_MEMBERS ? MOST_MEMBERS : (unsigned)n;
}

static int start_helpers(struct wd_threads *t)
{
    sigset_t all, old;
    int r;

    /* A new thread inherits the mask: signals stay with the thread that asked for them. */
    sigfillset(&all);
    sigdelset(&all, SIGBUS); /* model/mapping.h */
    r = pthread_sigmask(SIG_SETMASK, &all, &old);
    if (r)
        return -r;
    for (unsigned i = 0; i + 1 < t->count && !r; i++) {
        struct helper *h = &t->helpers[i];

        h->team = t;
        h->member = i + 1;
        r = pthread_create(&h->thread, NULL, helper_main, h);
        if (!r) {
            t->n_started++;
            pthread_setname_np(h->thread, "wd-math");
        }
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -r;
}

int wd_threads_new(unsigned n, struct wd_threads **ret, struct wd_err *err)
{
    struct wd_threads *t;
    int r;

    if (n > MOST_MEMBERS)
        return wd_err_set(err, -EINVAL, "%u threads asked for, at most %d are possible", n,
                          MOST_MEMBERS);
    if (n == 0)
        n = processors();
    t = calloc(1, sizeof *t + (n - 1) * sizeof t->helpers[0]);
    if (!t)
        return wd_err_set(err, -ENOMEM, "threads: out of memory");
    t->count = n;
    r = -pthread_mutex_init(&t->mutex, NULL);
    t->have_mutex = r == 0;
    if (r == 0) {
        r = -pthread_cond_init(&t->start, NULL);
        t->have_start = r == 0;
    }
    if (r == 0) {
        r = -pthread_cond_init(&t->done, NULL);
        t->have_done = r == 0;
    }
    if (r == 0)
        r = start_helpers(t);
    if (r < 0) {
        wd_err_set(err, r, "threads: %u of %u started: %s", t->n_started + 1, n, strerror(-r));
        wd_threads_free(t);
        return r;
    }
    *ret = t;
    return 0;
}

struct wd_threads *wd_threads_free(struct wd_threads *t)
{
    if (!t)
        return NULL;
    if (t->n_started) {
        t->stop = true;
        announce_work(t);
        for (unsigned i = 0; i < t->n_started; i++)
            pthread_join(t->helpers[i].thread, NULL);
    }
    if (t->have_done)
        pthread_cond_destroy(&t->done);
    if (t->have_start)
        pthread_cond_destroy(&t->start);
    if (t->have_mutex)
        pthread_mutex_destroy(&t->mutex);
    free(t);
    return NULL;
}

unsigned wd_threads_count(const struct wd_threads *t)
{
    return t ? t->count : 1;
}

void wd_threads_run(struct wd_threads *t, void (*fn)(void *ctx, unsigned member, unsigned count),
                    void *ctx)
{
    if (!t || t->count == 1) {
        fn(ctx, 0, 1);
        return;
    }
    t->fn = fn;
    t->ctx = ctx;
    atomic_store_explicit(&t->pending, t->count - 1, memory_order_relaxed);
    announce_work(t);
    fn(ctx, 0, t->count);
    for (unsigned i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&t->pending, memory_order_acquire) == 0)
            return;
        pause_briefly();
    }
    pthread_mutex_lock(&t->mutex);
    atomic_store(&t->caller_asleep, 1);
    while (atomic_load(&t->pending))
        pthread_cond_wait(&t->done, &t->mutex);
    atomic_store(&t->caller_asleep, 0);
    pthread_mutex_unlock(&t->mutex);
}
