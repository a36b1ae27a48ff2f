/* pipeline/event.h - the published fact: kind, ids, times, text; immutable once published, counted
 * references, from a pool. */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WD_EVENT_SCHEMA 1

enum wd_event_kind {
    WD_EVENT_PARTIAL,
    WD_EVENT_FINAL,
    WD_EVENT_SCENE,
    WD_EVENT_ALERT,
    WD_EVENT_ANSWER,
    WD_EVENT_SPEAKER,
    WD_EVENT_SOURCE,
    WD_EVENT_GAP,
    WD_EVENT_LAG,
    WD_EVENT_NOTICE,
    WD_EVENT_TURN, /* who spoke when, from the sound alone, whether or not there are words */
    WD_EVENT_N_KINDS
};
#define WD_EVENT_BIT(kind) (UINT32_C(1) << (kind))
#define WD_EVENT_ALL_KINDS (WD_EVENT_BIT(WD_EVENT_N_KINDS) - 1)

const char *wd_event_kind_name(enum wd_event_kind k);
int wd_event_kind_find(const char *name); /* -1 */

struct wd_event_word {
    const char *text;
    int64_t t0_ns, t1_ns;
    float p; /* 0..1 */
};

struct wd_event_speaker {
    const char *id;   /* "spk_1"; NULL = unknown */
    const char *name; /* given by the user; NULL */
    float confidence; /* 0..1 */
};

/* Strings and arrays lie in the event itself (wd_event_text, wd_event_space) or are literals: a slow
 * sink may read them long after they were published. NULL / 0 where a kind has no such field. Times
 * are stream time. */
struct wd_event {
    enum wd_event_kind kind;
    char id[27]; /* ULID: sorts by time, unique */
    const char *stream;
    int64_t t0_ns, t1_ns;
    int64_t utc_ns; /* of t0, ns since 1970; 0 = not known */
    int64_t emitted_utc_ns;
    uint32_t rev;           /* of the same utterance: partials count up, the final is the last */
    const char *supersedes; /* id of the first event of what this one replaces; NULL */
    const char *model, *model_hash;

    const char *text;   /* partial, final, answer, notice (the sentence) */
    uint32_t n_settled; /* partial: bytes of text that will not change any more */
    const char *lang;
    const struct wd_event_word *words;
    uint32_t n_words;
    struct wd_event_speaker speaker; /* partial, final, turn, speaker */

    /* scene; alert: title is the rule; answer: title is the question */
    const char *title, *summary, *changes, *concerns;
    float confidence;          /* scene, alert: 0..1 */
    const int64_t *picture_ns; /* scene, alert: times of the pictures it rests on */
    uint32_t n_pictures;

    /* speaker: "new", "named", "merged", "split"; source: "connecting", "live", "stalled", "lost",
     * "ended"; lag: the shedding step, NULL when nothing is shed; notice: a short code */
    const char *change;
    const char *reason; /* source, gap: in words */
    const char *into;   /* speaker merged: the id that stays */
    double behind_s;    /* lag */

    /* private below */
    struct wd_event_pool *pool;
    int refs;
    struct wd_event *next;
    uint32_t used;
    bool cut; /* something did not fit */
};

#define WD_EVENT_SPACE 32768 /* bytes of strings and arrays in one event */

/* A fixed number of events. Memory is touched only as events are in use at the same time, so `n`
 * can be generous: what waits in a slow sink's queue (1024 a sink, see sinks/router.h) stays out of
 * the pool. Loop thread. */
struct wd_event_pool;
int wd_event_pool_new(unsigned n, struct wd_event_pool **ret, struct wd_err *err);
/* After all events were given back. */
struct wd_event_pool *wd_event_pool_free(struct wd_event_pool *p);
unsigned wd_event_pool_in_use(const struct wd_event_pool *p);

/* A zeroed event with id and emitted_utc set (from `now_utc_ns`), one reference; NULL when the pool
 * is empty. Loop thread. */
struct wd_event *wd_event_new(struct wd_event_pool *p, enum wd_event_kind kind, int64_t now_utc_ns);
struct wd_event *wd_event_ref(struct wd_event *e);
void wd_event_unref(struct wd_event *e);
/* Room inside the event: a copy of the text, up to its first NUL (cut at a character boundary when
 * full, then e->cut; NULL for NULL), or zeroed space aligned for anything (NULL when full, then
 * e->cut). */
const char *wd_event_text(struct wd_event *e, const char *text, size_t len);
void *wd_event_space(struct wd_event *e, size_t n_bytes);
