/* base/ring.c - samples handed from one thread to one other without a lock. */
#include "base/ring.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SAMPLES ((size_t)1 << 28)

/* Both counters only grow; their difference is what waits. */
struct wd_ring {
    size_t mask;
    _Alignas(64) atomic_size_t written; /* each on its own cache line: two threads write them */
    _Alignas(64) atomic_size_t read;
    float samples[];
};

int wd_ring_new(size_t n_samples, struct wd_ring **ret_ring, struct wd_err *err)
{
    struct wd_ring *r;
    size_t cap = 1, bytes;

    if (!n_samples || n_samples > MAX_SAMPLES)
        return wd_err_set(err, -EINVAL, "ring: expected 1 to %zu samples, got %zu", MAX_SAMPLES, n_samples);
    while (cap < n_samples)
        cap *= 2;
    bytes = (sizeof *r + cap * sizeof(float) + 63) / 64 * 64;
    r = aligned_alloc(64, bytes);
    if (!r)
        return wd_err_set(err, -ENOMEM, "ring: out of memory");
    memset(r, 0, bytes);
    r->mask = cap - 1;
    atomic_init(&r->written, 0);
    atomic_init(&r->read, 0);
    *ret_ring = r;
    return 0;
}

struct wd_ring *wd_ring_free(struct wd_ring *r)
{
    free(r);
    return NULL;
}

size_t wd_ring_write(struct wd_ring *r, const float *samples, size_t n, size_t group)
{
    size_t at = atomic_load_explicit(&r->written, memory_order_relaxed);
    size_t room = r->mask + 1 - (at - atomic_load_explicit(&r->read, memory_order_acquire));
    size_t first = r->mask + 1 - (at & r->mask);

    if (n > room)
        n = group ? room - room % group : room;
    if (first > n)
        first = n;
    memcpy(r->samples + (at & r->mask), samples, first * sizeof *samples);
    memcpy(r->samples, samples + first, (n - first) * sizeof *samples);
    atomic_store_explicit(&r->written, at + n, memory_order_release);
    return n;
}

size_t wd_ring_read(struct wd_ring *r, float *samples, size_t n)
{
    size_t at = atomic_load_explicit(&r->read, memory_order_relaxed);
    size_t waiting = atomic_load_explicit(&r->written, memory_order_acquire) - at;
    size_t first = r->mask + 1 - (at & r->mask);

    if (n > waiting)
        n = waiting;
    if (first > n)
        first = n;
    memcpy(samples, r->samples + (at & r->mask), first * sizeof *samples);
    memcpy(samples + first, r->samples, (n - first) * sizeof *samples);
    atomic_store_explicit(&r->read, at + n, memory_order_release);
    return n;
}

size_t wd_ring_count(const struct wd_ring *r)
{
    size_t read = atomic_load_explicit(&r->read, memory_order_acquire);

    return atomic_load_explicit(&r->written, memory_order_acquire) - read;
}
