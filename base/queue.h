/* base/queue.h - bounded hand-over from the loop to a waiting thread: items are copied in and out,
 * nothing allocates after new. */
#pragma once
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

/* First in, first out. Any thread may call anything but free. When full the push is refused: the
 * caller knows what the item is worth and counts what it drops. */
struct wd_queue;

/* Room for `cap` items of `item_bytes` each. -EINVAL, -ENOMEM or what the threads library says. */
int wd_queue_new(size_t item_bytes, size_t cap, struct wd_queue **ret_queue, struct wd_err *err);

/* NULL is fine. No thread may be inside any more; items still waiting are forgotten, so pop them
 * first if they own something. */
struct wd_queue *wd_queue_free(struct wd_queue *q);

/* Copies `item` in. Never waits for room: 0; -EAGAIN full; -EPIPE closed. */
int wd_queue_push(struct wd_queue *q, const void *item);

/* Copies the oldest item out: 1. Waits up to `timeout_ns` (0: not at all, below 0: for ever): 0
 * when nothing came, -EPIPE when the queue is closed and empty. */
int wd_queue_pop(struct wd_queue *q, void *item, int64_t timeout_ns);

/* No more pushes; whoever waits wakes, and gets what is left before -EPIPE. Can be repeated. */
void wd_queue_close(struct wd_queue *q);

size_t wd_queue_count(struct wd_queue *q);
