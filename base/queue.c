/* base/queue.c - a ring of copied items under one mutex, and a condition to wait on. */
#include "base/queue.h"
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct wd_queue {
    pthread_mutex_t mutex;
    pthread_cond_t came;
    size_t item_bytes, cap;
    size_t first, count;
    bool closed;
    unsigned char *items;
};

/* The monotonic clock: a wait must not stretch when somebody sets the wall clock back. */
static int cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    int r = pthread_condattr_init(&attr);

    if (r)
        return -r;
    r = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (!r)
        r = pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
    return -r;
}

int wd_queue_new(size_t item_bytes, size_t cap, struct wd_queue **ret_queue, struct wd_err *err)
{
    struct wd_queue *q;
    int r;

    if (!item_bytes || !cap || cap > SIZE_MAX / item_bytes)
        return wd_err_set(
            err, -EINVAL,
            "queue: an item size and a capacity above 0 and below the memory are needed");
    q = calloc(1, sizeof *q);
    if (q)
        q->items = calloc(cap, item_bytes);
    if (!q || !q->items) {
        free(q);
        return wd_err_set(err, -ENOMEM, "queue: no memory for %zu items of %zu bytes", cap,
                          item_bytes);
    }
    q->item_bytes = item_bytes;
    q->cap = cap;
    r = -pthread_mutex_init(&q->mutex, NULL);
    if (r < 0)
        goto fail;
    r = cond_init(&q->came);
    if (r < 0) {
        pthread_mutex_destroy(&q->mutex);
        goto fail;
    }
    *ret_queue = q;
    return 0;
fail:
    free(q->items);
    free(q);
    return wd_err_set(err, r, "queue: %s", strerror(-r));
}

struct wd_queue *wd_queue_free(struct wd_queue *q)
{
    if (!q)
        return NULL;
    pthread_cond_destroy(&q->came);
    pthread_mutex_destroy(&q->mutex);
    free(q->items);
    free(q);
    return NULL;
}

int wd_queue_push(struct wd_queue *q, const void *item)
{
    int r = 0;

    pthread_mutex_lock(&q->mutex);
    if (q->closed) {
        r = -EPIPE;
    } else if (q->count == q->cap) {
        r = -EAGAIN;
    } else {
        memcpy(q->items + (q->first + q->count) % q->cap * q->item_bytes, item, q->item_bytes);
        q->count++;
        pthread_cond_signal(&q->came);
    }
    pthread_mutex_unlock(&q->mutex);
    return r;
}

static struct timespec deadline_in(int64_t timeout_ns)
{
    struct timespec at;
    int64_t ns;

    clock_gettime(CLOCK_MONOTONIC, &at);
    ns = at.tv_nsec + timeout_ns % 1000000000;
    at.tv_sec += (time_t)(timeout_ns / 1000000000 + ns / 1000000000);
    at.tv_nsec = (long)(ns % 1000000000);
    return at;
}

int wd_queue_pop(struct wd_queue *q, void *item, int64_t timeout_ns)
{
    struct timespec at = {0};
    int r = 0;

    if (timeout_ns > 0)
        at = deadline_in(timeout_ns);
    pthread_mutex_lock(&q->mutex);
    while (!q->count && !q->closed && timeout_ns != 0) {
        if (timeout_ns < 0)
            pthread_cond_wait(&q->came, &q->mutex);
        else if (pthread_cond_timedwait(&q->came, &q->mutex, &at))
            break; /* late or broken: look once more, then say nothing came */
    }
    if (q->count) {
        memcpy(item, q->items + q->first * q->item_bytes, q->item_bytes);
        q->first = (q->first + 1) % q->cap;
        q->count--;
        r = 1;
    } else if (q->closed) {
        r = -EPIPE;
    }
    pthread_mutex_unlock(&q->mutex);
    return r;
}

void wd_queue_close(struct wd_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    q->closed = true;
    pthread_cond_broadcast(&q->came);
    pthread_mutex_unlock(&q->mutex);
}

size_t wd_queue_count(struct wd_queue *q)
{
    size_t n;

    pthread_mutex_lock(&q->mutex);
    n = q->count;
    pthread_mutex_unlock(&q->mutex);
    return n;
}
