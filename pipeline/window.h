/* pipeline/window.h - one stream's frames -> windows: where they open, tick, close and are cut.
 * Pure: audio time is the only time. One thread; nothing allocates but _new. Keeps the sound of the
 * window at hand and of what arrives while the engine is busy.
 *
 *     push, push, ... -> next: a job (feed these frames; decode?), ...
 *                     -> next: CLOSE, then wd_window_close()
 *                          or FULL, then wd_window_cut(): the rest opens the next window
 *
 * Frames are numbered from 0 within the window. Each is fed once; what is fed again after a cut or
 * wd_window_again() is counted. */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

#define WD_WINDOW_SAMPLES 640 /* of a frame: 40 ms at 16 kHz */
#define WD_WINDOW_FRAME_NS INT64_C(40000000)
#define WD_WINDOW_MAX_FRAMES 750 /* 30 s, what the model may hear at once */

enum wd_window_speech { WD_WINDOW_SILENCE, WD_WINDOW_SPEECH, WD_WINDOW_HANGOVER };

struct wd_window_opts {    /* 0 takes what stands behind */
    int64_t max_ns;        /* 15 s: longest window, pre-roll included */
    int64_t preroll_ns;    /* 200 ms before the onset; < 0: none */
    int64_t pause_ns;      /* 600 ms without speech close a window, or the gate's SILENCE does */
    int64_t min_speech_ns; /* 120 ms: windows with less are dropped; < 0: none are */
    int64_t tick_ns;       /* 480 ms of new sound between two decodes; < 0: only the last */
    int64_t group_ns;      /* 480 ms of sound are fed at once */
    int64_t backlog_ns;    /* 30 s: what may wait besides the window; then frames are refused */
    bool every_tick;       /* no tick is passed over, however much sound waits: what comes out of a recording must not depend on the
                            * machine's speed */
};

struct wd_window;
/* -EINVAL names the setting. */
int wd_window_new(const struct wd_window_opts *opts, struct wd_window **ret, struct wd_err *err);
struct wd_window *wd_window_free(struct wd_window *w);

/* The next 40 ms. p: probability of speech. A t0 further than half a frame from where the last one
 * ended is a gap: the window closes before it. -ERANGE: t0 goes back; -ENOSPC: the backlog is full.
 * In both cases the frame is lost and counted (a later one makes it a gap). */
int wd_window_push(struct wd_window *w, const float pcm[WD_WINDOW_SAMPLES], int64_t t0_ns,
                   enum wd_window_speech speech, float p);
/* No more frames will come (or none for now: a source was lost): what is open closes. push() begins
 * anew. */
void wd_window_end(struct wd_window *w);

enum wd_window_why {
    WD_WINDOW_FEED,  /* only prefill */
    WD_WINDOW_TICK,  /* a partial is due */
    WD_WINDOW_CLOSE, /* the last decode: then wd_window_close() */
    WD_WINDOW_FULL,  /* decode, choose where to cut, then wd_window_cut() (or wd_window_close()) */
};

struct wd_window_job {
    enum wd_window_why why; /* all but FEED decode */
    bool open;              /* the window begins with these frames */
    uint32_t first, n; /* frames to feed: first is how many were fed before; n may be 0 (CLOSE) */
};

/* What the engine should do now: true and the job, which counts as done from here on; false: wait
 * for more frames, or for close/cut. */
bool wd_window_next(struct wd_window *w, struct wd_window_job *ret);
/* Would next() say something? */
bool wd_window_ready(const struct wd_window *w);
/* The decode went wrong: the window once more, from its first frame; `whole`: not before it is over
 * or full, all at once. Not after close/cut. */
void wd_window_again(struct wd_window *w, bool whole);
uint32_t wd_window_max_frames(const struct wd_window *w); /* of a window that is full */
/* After CLOSE or FULL: the window is over, its frames are given back. -EINVAL otherwise. */
int wd_window_close(struct wd_window *w);
/* After FULL, and after any other job of an open window: it ends before `frame` (1..n - 1), which is
 * the first of the next. -EINVAL otherwise. */
int wd_window_cut(struct wd_window *w, uint32_t frame);

/* Partials every so often; as tick_ns above. */
void wd_window_set_tick(struct wd_window *w, int64_t tick_ns);

/* The window at hand, until close/cut. i < wd_window_frames(). */
uint32_t wd_window_frames(const struct wd_window *w); /* fed so far */
const float *wd_window_pcm(const struct wd_window *w, uint32_t i);
float wd_window_p(const struct wd_window *w, uint32_t i);
int64_t wd_window_t0_ns(const struct wd_window *w);         /* of its first frame */
int64_t wd_window_t1_ns(const struct wd_window *w);         /* end of the last frame fed */
int64_t wd_window_speech_ns(const struct wd_window *w);     /* speech in it, fed so far */
int64_t wd_window_waiting_ns(const struct wd_window *w);    /* sound that waits to be fed */

struct wd_window_stats {
    uint64_t frames;         /* taken by push() */
    uint64_t fed, fed_twice; /* told to feed; of these, frames that had been fed before */
    uint64_t windows, cuts, again;
    uint64_t dropped_windows, dropped_frames; /* too little speech: not decoded */
    uint64_t silent_frames;                   /* silence: kept from the engine */
    uint64_t refused;                         /* backlog full, or time went back */
    uint64_t gaps;
};
struct wd_window_stats wd_window_stats(const struct wd_window *w);
