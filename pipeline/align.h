/* pipeline/align.h - when was each word said: attention of the written tokens to the sound ->
 * times. Pure; an aligner belongs to one thread; nothing allocates but _new. In short: the row
 * whose logits gave a token looks at the sound of that token's letters; a word's weight on each
 * frame is the sum of its rows; dynamic programming finds the ends, in order, that give each frame
 * to the word that looks at it. */
#pragma once
#include "base/err.h"
#include "pipeline/parse.h"
#include <stdint.h>

#define WD_ALIGN_FRAME_NS INT64_C(40000000)
#define WD_ALIGN_NEVER UINT32_MAX

struct wd_align;
/* Room for windows of up to max_frames frames (1..1024). */
int wd_align_new(uint32_t max_frames, struct wd_align **ret, struct wd_err *err);
struct wd_align *wd_align_free(struct wd_align *a);

struct wd_align_time {
    int64_t t0_ns, t1_ns; /* t0 < t1 <= the next word's t0, within the window */
    float confidence; /* 0..1: share of the word's attention in its frames; 0: it says nothing */
};

struct wd_align_in {
    const struct wd_parsed *parsed;
    const float *attention; /* [n_rows][n_frames]; row i: whose logits gave token i. NULL: none */
    uint32_t n_rows;        /* tokens behind them have none */
    uint32_t n_frames;      /* of the window, <= max_frames */
    const float *speech;    /* [n_frames] probability that somebody speaks; NULL: not known */
    const uint32_t *seen;   /* [parsed->n_words] see wd_align_seen(); NULL: not known */
    int64_t t0_ns;          /* stream time of frame 0 */
    int64_t late_ns;        /* attention arrives so much after the sound: the model has to hear a little of what follows to know that a
                             * word is over */
};

/* Times of all words of in->parsed into ret [n_words]. -EINVAL: more frames than room, or none
 * while there are words. */
int wd_align_words(struct wd_align *a, const struct wd_align_in *in, struct wd_align_time *ret,
                   struct wd_err *err);

/* In how many frames each word was first heard: of a word that stood at the same place before, what
 * it was then, otherwise n_frames. before, seen_before: the tick before, NULL at the first. ret
 * [now->n_words], may be seen_before. */
void wd_align_seen(const struct wd_parsed *before, const uint32_t *seen_before,
                   const struct wd_parsed *now, uint32_t n_frames, uint32_t *ret);
