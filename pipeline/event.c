/* pipeline/event.c - a pool of events that carry their own text, named by ULIDs that only go up. */
#include "pipeline/event.h"
#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

struct slot {
    struct wd_event event; /* first: a slot is its event */
    alignas(max_align_t) unsigned char space[WD_EVENT_SPACE];
};

struct wd_event_pool {
    struct slot *slots;
    struct wd_event *free; /* last back, first out: the same few pages stay warm */
    unsigned n, n_made, n_used;
    uint64_t ulid_ms;
    unsigned char ulid_random[10];
};

static const char *const kind_names[WD_EVENT_N_KINDS] = {
    [WD_EVENT_PARTIAL] = "partial", [WD_EVENT_FINAL] = "final",   [WD_EVENT_SCENE] = "scene",
    [WD_EVENT_ALERT] = "alert",     [WD_EVENT_ANSWER] = "answer", [WD_EVENT_SPEAKER] = "speaker",
    [WD_EVENT_SOURCE] = "source",   [WD_EVENT_GAP] = "gap",       [WD_EVENT_LAG] = "lag",
    [WD_EVENT_NOTICE] = "notice",   [WD_EVENT_TURN] = "turn",
};

const char *wd_event_kind_name(enum wd_event_kind k)
{
    return (unsigned)k < WD_EVENT_N_KINDS ? kind_names[k] : "unknown";
}

int wd_event_kind_find(const char *name)
{
    for (int k = 0; name && k < WD_EVENT_N_KINDS; k++)
        if (strcmp(kind_names[k], name) == 0)
            return k;
    return -1;
}

/* The top bit stays free, so that counting up within one millisecond cannot run over. */
static int draw_random(struct wd_event_pool *p)
{
    unsigned char fresh[sizeof p->ulid_random];

    if (getrandom(fresh, sizeof fresh, 0) != (ssize_t)sizeof fresh)
        return -EIO;
    memcpy(p->ulid_random, fresh, sizeof fresh);
    p->ulid_random[0] &= 0x7f;
    return 0;
}

int wd_event_pool_new(unsigned n, struct wd_event_pool **ret, struct wd_err *err)
{
    struct wd_event_pool *p;

    if (!n)
        return wd_err_set(err, -EINVAL, "event pool: at least one event is needed");
    p = calloc(1, sizeof *p);
    if (p)
        p->slots = calloc(n, sizeof *p->slots);
    if (!p || !p->slots) {
        free(p);
        return wd_err_set(err, -ENOMEM, "event pool: no memory for %u events of %zu bytes", n,
                          sizeof(struct slot));
    }
    p->n = n;
    if (draw_random(p) < 0) {
        wd_event_pool_free(p);
        return wd_err_set(err, -EIO, "event pool: the system gives no random numbers");
    }
    *ret = p;
    return 0;
}

struct wd_event_pool *wd_event_pool_free(struct wd_event_pool *p)
{
    if (!p)
        return NULL;
    assert(p->n_used == 0);
    free(p->slots);
    free(p);
    return NULL;
}

unsigned wd_event_pool_in_use(const struct wd_event_pool *p)
{
    return p->n_used;
}

/* 128 bits, five at a time from the right, in Crockford's alphabet. Source: the ULID
 * specification. */
static void ulid_write(uint64_t ms, const unsigned char random[10], char out[27])
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    unsigned char bytes[16];

    for (int i = 0; i < 6; i++)
        bytes[i] = (unsigned char)(ms >> (40 - 8 * i));
    memcpy(bytes + 6, random, 10);
    for (int i = 25; i >= 0; i--) {
        int bit = (25 - i) * 5; /* from the right */
        unsigned at = bytes[15 - bit / 8];

        if (bit / 8 < 15)
            at |= (unsigned)bytes[14 - bit / 8] << 8;
        out[i] = digits[at >> bit % 8 & 31];
    }
    out[26] = '\0';
}

/* Goes up even when two events fall into one millisecond or the clock is set back. */
static void ulid_next(struct wd_event_pool *p, int64_t now_utc_ns, char out[27])
{
    uint64_t ms = now_utc_ns > 0 ? (uint64_t)now_utc_ns / 1000000 : 0;

    if (ms > p->ulid_ms && draw_random(p) == 0) {
        p->ulid_ms = ms;
    } else {
        for (int i = 9; i >= 0 && ++p->ulid_random[i] == 0; i--)
            ;
    }
    ulid_write(p->ulid_ms, p->ulid_random, out);
}

struct wd_event *wd_event_new(struct wd_event_pool *p, enum wd_event_kind kind, int64_t now_utc_ns)
{
    struct wd_event *e = p->free;

    if (e)
        p->free = e->next;
    else if (p->n_made < p->n)
        e = &p->slots[p->n_made++].event;
    else
        return NULL;
    memset(e, 0, sizeof *e);
    e->kind = kind;
    e->pool = p;
    e->refs = 1;
    e->emitted_utc_ns = now_utc_ns;
    ulid_next(p, now_utc_ns, e->id);
    p->n_used++;
    return e;
}

struct wd_event *wd_event_ref(struct wd_event *e)
{
    assert(e->refs > 0);
    e->refs++;
    return e;
}

void wd_event_unref(struct wd_event *e)
{
    if (!e)
        return;
    assert(e->refs > 0);
    if (--e->refs)
        return;
    e->next = e->pool->free;
    e->pool->free = e;
    e->pool->n_used--;
}

void *wd_event_space(struct wd_event *e, size_t n_bytes)
{
    struct slot *s = (struct slot *)e;
    size_t at = (e->used + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);

    if (at > WD_EVENT_SPACE || n_bytes > WD_EVENT_SPACE - at) {
        e->cut = true;
        return NULL;
    }
    e->used = (uint32_t)(at + n_bytes);
    return memset(s->space + at, 0, n_bytes);
}

/* How much of text[0..room] ends with a whole character: back over at most three bytes that only
 * continue one. */
static size_t whole_characters(const char *text, size_t room)
{
    size_t n = room;

    while (n && room - n < 3 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return ((unsigned char)text[n] & 0xc0) == 0x80 ? room : n;
}

const char *wd_event_text(struct wd_event *e, const char *text, size_t len)
{
    struct slot *s = (struct slot *)e;
    size_t room = WD_EVENT_SPACE - e->used;
    char *out = (char *)s->space + e->used;

    if (!text)
        return NULL;
    len = strnlen(text, len);
    if (!room) {
        e->cut = e->cut || len > 0;
        return "";
    }
    if (len > room - 1) {
        len = whole_characters(text, room - 1);
        e->cut = true;
    }
    memcpy(out, text, len);
    out[len] = '\0';
    e->used += (uint32_t)(len + 1);
    return out;
}
