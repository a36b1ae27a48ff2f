/* base/mailbox.h - bounded hand-over from any thread to the loop: items are copied in, the loop is
 * woken, one call an item. */
#pragma once
#include "base/err.h"
#include <stddef.h>
#include <uv.h>

/* First in, first out. When full the post is refused and the poster decides (count it, try again,
 * merge). */
struct wd_mailbox;

/* `deliver(ctx, item)` is called on the loop's thread; `item` lies in the mailbox and is good until
 * deliver returns. Loop thread. -EINVAL, -ENOMEM or what libuv says. An open mailbox keeps the loop
 * running. */
int wd_mailbox_new(uv_loop_t *loop, size_t item_bytes, size_t cap,
                   void (*deliver)(void *ctx, void *item), void *ctx,
                   struct wd_mailbox **ret_mailbox, struct wd_err *err);

/* Any thread; never waits and never allocates: 0; -EAGAIN full. */
int wd_mailbox_post(struct wd_mailbox *m, const void *item);

/* Loop thread. Join every poster first: libuv's wake-up may still be running inside post. Delivers
 * what still waits, then closes; the mailbox is freed, and `closed(ctx)` called (may be NULL), once
 * the loop has let go of it. NULL is fine, and calls nothing. May be called from deliver: what
 * waits is then delivered after it returns. */
void wd_mailbox_close(struct wd_mailbox *m, void (*closed)(void *ctx));
