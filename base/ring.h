/* base/ring.h - samples handed from one thread to one other without a lock: what an audio callback may use. */
#pragma once
#include "base/err.h"
#include <stddef.h>

/* One writer thread, one reader thread; nothing waits, nothing allocates after new. */
struct wd_ring;

/* Room for at least n_samples (rounded up to a power of two). -EINVAL: 0 or more than 2^28; -ENOMEM. */
int wd_ring_new(size_t n_samples, struct wd_ring **ret_ring, struct wd_err *err);
struct wd_ring *wd_ring_free(struct wd_ring *r); /* takes NULL; returns NULL; no thread may be inside any more */

/* Writer: all n samples, or as many as there is room for in whole groups of `group` (the channels of one moment belong
 * together). Returns how many were written. */
size_t wd_ring_write(struct wd_ring *r, const float *samples, size_t n, size_t group);
/* Reader: up to n samples; returns how many. */
size_t wd_ring_read(struct wd_ring *r, float *samples, size_t n);
/* Either: waiting samples, at least (reader) or at most (writer) that many. */
size_t wd_ring_count(const struct wd_ring *r);
