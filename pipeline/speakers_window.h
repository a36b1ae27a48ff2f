/* pipeline/speakers_window.h - one window's voices: where the voice changes, and who of those known
 * speaks when. Behind speakers.h; pure, nothing allocates but _new. */
#pragma once
#include "base/err.h"
#include "pipeline/speakers.h"
#include <stdint.h>

#define WD_SPEAKERS_WINDOW_UNITS (WD_SPEAKERS_MAX_STRETCHES + WD_SPEAKERS_MAX_PIECES)
#define WD_SPEAKERS_WINDOW_TURNS 256
#define WD_SPEAKERS_CONFIDENCE_SCALE 0.03f /* a likeness so much less is e times less probable */
#define WD_SPEAKERS_BRIDGE_NS INT64_C(800000000) /* a turn goes on over a pause this long */

struct wd_speakers_window;
int wd_speakers_window_new(struct wd_speakers_window **ret, struct wd_err *err);
struct wd_speakers_window *wd_speakers_window_free(struct wd_speakers_window *w);

/* As wd_speakers_add(). */
int wd_speakers_window_set(struct wd_speakers_window *w, int64_t t0_ns,
                           const struct wd_speakers_plan *plan, uint32_t n_frames,
                           const float (*prints)[WD_VOICE_DIM]);
/* 1 - cosine of whole pieces 0.4 s apart in a stretch: ret [WD_SPEAKERS_MAX_PIECES]; returns how
 * many. */
uint32_t wd_speakers_window_neighbours(const struct wd_speakers_window *w, float *ret);

/* A stretch, or a part of one, that one voice speaks. */
struct wd_speakers_unit {
    int64_t t0_ns, t1_ns;
    float weight_s;
    float vec[WD_VOICE_DIM]; /* mean of its prints, so that a product of two is the mean cosine of
                                their pieces; scaled up where they are short */
};
/* Cuts where the voice changes, more readily at hints. likeness: of one voice with itself. Returns
 * how many units there are. */
uint32_t wd_speakers_window_cut(struct wd_speakers_window *w, float likeness,
                                const int64_t *hints_ns, uint32_t n_hints);
const struct wd_speakers_unit *wd_speakers_window_unit(const struct wd_speakers_window *w,
                                                       uint32_t i);

struct wd_speakers_window_turn {
    int64_t t0_ns, t1_ns;
    uint32_t cluster;
    float confidence;
};
/* The likeliest course of speakers through the window. centres [..][256], of which candidates [n]
 * may speak; unknown: likeness from which on it might as well be somebody not heard yet; ret
 * [WD_SPEAKERS_WINDOW_TURNS]. */
uint32_t wd_speakers_window_turns(struct wd_speakers_window *w,
                                  const float (*centres)[WD_VOICE_DIM], const uint32_t *candidates,
                                  uint32_t n, float unknown, float margin, const int64_t *hints_ns,
                                  uint32_t n_hints, struct wd_speakers_window_turn *ret);
