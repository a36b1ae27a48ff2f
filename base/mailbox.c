/* base/mailbox.c - a ring of copied items under one mutex, and a uv_async to wake the loop. */
#include "base/mailbox.h"
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct wd_mailbox {
    uv_async_t async;
    uv_mutex_t mutex;
    size_t item_bytes, cap;
    size_t first, count;
    bool delivering, closing; /* loop thread only */
    void (*deliver)(void *ctx, void *item);
    void (*closed)(void *ctx);
    void *ctx;
    unsigned char *items; /* cap + 1 items: the last place is where deliver reads */
};

static bool take(struct wd_mailbox *m, void *item)
{
    bool any;

    uv_mutex_lock(&m->mutex);
    any = m->count > 0;
    if (any) {
        memcpy(item, m->items + m->first * m->item_bytes, m->item_bytes);
        m->first = (m->first + 1) % m->cap;
        m->count--;
    }
    uv_mutex_unlock(&m->mutex);
    return any;
}

static void on_closed(uv_handle_t *handle)
{
    struct wd_mailbox *m = handle->data;
    void (*closed)(void *ctx) = m->closed;
    void *ctx = m->ctx;

    uv_mutex_destroy(&m->mutex);
    free(m->items);
    free(m);
    if (closed)
        closed(ctx);
}

/* Up to `most` items, then the loop's other work has its turn; all of them once the mailbox closes.
 */
static void drain(struct wd_mailbox *m, size_t most)
{
    unsigned char *item = m->items + m->cap * m->item_bytes;
    size_t n = 0;

    m->delivering = true;
    while ((n < most || m->closing) && take(m, item)) {
        m->deliver(m->ctx, item);
        n++;
    }
    m->delivering = false;
    if (m->closing)
        uv_close((uv_handle_t *)&m->async, on_closed);
    else if (n == most)
        uv_async_send(&m->async);
}

static void on_async(uv_async_t *async)
{
    struct wd_mailbox *m = async->data;

    drain(m, m->cap);
}

int wd_mailbox_new(uv_loop_t *loop, size_t item_bytes, size_t cap,
                   void (*deliver)(void *ctx, void *item), void *ctx,
                   struct wd_mailbox **ret_mailbox, struct wd_err *err)
{
    struct wd_mailbox *m;
    int r;

    if (!item_bytes || !cap || cap >= SIZE_MAX / item_bytes || !deliver)
        return wd_err_set(err, -EINVAL,
                          "mailbox: an item size, a capacity above 0 and a receiver are needed");
    m = calloc(1, sizeof *m);
    if (m)
        m->items = calloc(cap + 1, item_bytes);
    if (!m || !m->items) {
        free(m);
        return wd_err_set(err, -ENOMEM, "mailbox: no memory for %zu items of %zu bytes", cap,
                          item_bytes);
    }
    m->item_bytes = item_bytes;
    m->cap = cap;
    m->deliver = deliver;
    m->ctx = ctx;
    r = uv_mutex_init(&m->mutex);
    if (r < 0)
        goto fail;
    r = uv_async_init(loop, &m->async, on_async);
    if (r < 0) {
        uv_mutex_destroy(&m->mutex);
        goto fail;
    }
    m->async.data = m;
    *ret_mailbox = m;
    return 0;
fail:
    free(m->items);
    free(m);
    return wd_err_set(err, r, "mailbox: %s", uv_strerror(r));
}

int wd_mailbox_post(struct wd_mailbox *m, const void *item)
{
    int r = -EAGAIN;

    uv_mutex_lock(&m->mutex);
    if (m->count < m->cap) {
        memcpy(m->items + (m->first + m->count) % m->cap * m->item_bytes, item, m->item_bytes);
        m->count++;
        r = 0;
    }
    uv_mutex_unlock(&m->mutex);
    if (r == 0)
        r = uv_async_send(&m->async);
    return r;
}

void wd_mailbox_close(struct wd_mailbox *m, void (*closed)(void *ctx))
{
    if (!m)
        return;
    assert(!m->closing);
    m->closing = true;
    m->closed = closed;
    if (!m->delivering)
        drain(m, 0);
}
