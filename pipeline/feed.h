/* pipeline/feed.h - the border with a capture thread: samples with their stream times, pictures, changes of state, wake-up.
 * One capture thread, the loop thread; each function says which. Bounded: the queue's rule depends on the mode. */
#pragma once
#include "base/err.h"
#include "pipeline/input.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wd_feed_mode {
    WD_FEED_LIVE,     /* a full feed drops its oldest sound, which becomes a gap, and shows the newest picture */
    WD_FEED_FLAT_OUT, /* a full feed makes the capture thread wait; pictures come in order */
};

struct wd_feed_opts {
    enum wd_feed_mode mode;
    bool audio;                  /* sound is wanted */
    uint32_t picture_budget;     /* patches; 0: no pictures are wanted */
    int64_t picture_interval_ns; /* between pictures */
    void (*wake)(void *ctx);     /* from the capture thread, never under a lock: something waits */
    void *ctx;
};

/* What a source found out when it opened. */
struct wd_feed_info {
    bool has_audio, has_video;
    bool endless;        /* no end is expected: if it ends, it was lost */
    int64_t duration_ns; /* 0: not known */
};

struct wd_feed;
int wd_feed_new(const struct wd_feed_opts *opts, struct wd_feed **ret, struct wd_err *err);
struct wd_feed *wd_feed_free(struct wd_feed *f); /* after the capture thread was joined; takes NULL, returns NULL */

/* ---- capture thread ---- */

/* The source is open: state becomes live. May be called again when more is known. */
void wd_feed_live(struct wd_feed *f, const struct wd_feed_info *info);
void wd_feed_base(struct wd_feed *f, int64_t pts_ns); /* capture time of stream time 0, if known before anything comes */
/* n samples at 16 kHz captured from pts_ns on (timeline.h). Flat-out it waits for room. -ECANCELED: stop now. */
int wd_feed_audio(struct wd_feed *f, const float *pcm, size_t n, int64_t pts_ns);
int64_t wd_feed_drift_ns(const struct wd_feed *f); /* timeline.h */
/* Is a picture taken at pts_ns due? Then its stream time, for wd_feed_picture; otherwise -1 and it need not even be
 * converted. */
int64_t wd_feed_picture_due(struct wd_feed *f, int64_t pts_ns);
/* RGB bytes [h][stride] of a picture that is shown_w x shown_h when its pixels are square: resized and queued. Flat-out it
 * waits for room; if sound runs dry meanwhile and for three seconds nobody takes a picture, the oldest is dropped, for one who
 * waits for sound only would wait for ever. -ECANCELED: stop now; -EINVAL: a size that cannot be. */
int wd_feed_picture(struct wd_feed *f, const uint8_t *rgb, size_t stride, uint32_t w, uint32_t h, uint32_t shown_w,
                    uint32_t shown_h, int64_t t_ns, struct wd_err *err);
bool wd_feed_wants_audio(const struct wd_feed *f);
bool wd_feed_wants_pictures(const struct wd_feed *f);
bool wd_feed_flat_out(const struct wd_feed *f);
/* Whether the source must return, soon: it was stopped or is to be started anew. */
bool wd_feed_interrupted(struct wd_feed *f);
/* Waits until uv_hrtime() is until_ns; false as soon as interrupted. */
bool wd_feed_sleep_until(struct wd_feed *f, uint64_t until_ns);
/* Of the loop that runs the source: a change of state; a new connection, whose times begin now; no more will come. */
void wd_feed_state(struct wd_feed *f, enum wd_source_state state, const char *reason);
void wd_feed_again(struct wd_feed *f, const char *reason);
void wd_feed_end(struct wd_feed *f);

/* ---- loop thread ---- */

void wd_feed_stop(struct wd_feed *f);      /* for good: whoever waits returns at once */
bool wd_feed_stopped(struct wd_feed *f);
void wd_feed_interrupt(struct wd_feed *f); /* this connection only */
/* The oldest change of state not yet told: true. reason: at least 256 bytes. */
bool wd_feed_next_state(struct wd_feed *f, enum wd_source_state *ret_state, char *ret_reason, size_t cap);
/* Up to n (at most 2^20) of the samples that come next and follow one another: how many, their stream time, and why they do
 * not follow the ones before, if they do not and it is known (else NULL). 0: none waits; -EPIPE: none will come; -ERANGE: the
 * next is not at only_ns (WD_NO_PTS: wherever it is), and was left. */
int wd_feed_read(struct wd_feed *f, int64_t only_ns, float *pcm, size_t n, int64_t *ret_t_ns, const char **ret_why);
/* The next picture not later than latest_ns: a reference, or NULL. (Later ones too where the file keeps its sound so far
 * behind its pictures that both would wait for each other.) */
struct wd_picture *wd_feed_take_picture(struct wd_feed *f, int64_t latest_ns);

struct wd_feed_status {
    struct wd_feed_info info;
    bool ended;               /* wd_feed_end() was called */
    size_t samples, pictures; /* that wait */
    uint64_t samples_dropped, pictures_dropped, clock_restarts;
    int64_t utc_ns;           /* of stream time 0; 0: nothing came yet */
    int64_t media_ns;         /* how far sound or pictures have come */
    uint64_t media_at_ns;     /* uv_hrtime() when they last moved, or when the source became live */
};
struct wd_feed_status wd_feed_status(struct wd_feed *f);
