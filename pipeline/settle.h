/* pipeline/settle.h - what two answers in a row agree on is settled and never taken back. Pure, any
 * thread. One struct a window. */
#pragma once
#include "pipeline/align.h"
#include "pipeline/parse.h"
#include <stdbool.h>
#include <stdint.h>

#define WD_SETTLE_HOLD_NS INT64_C(400000000)   /* the last of the sound settles nothing */
#define WD_SETTLE_EDGE_NS INT64_C(1000000000)  /* a window is cut so long before its end */
#define WD_SETTLE_PAUSE_NS INT64_C(120000000)  /* between two sentences: room for a cut */
#define WD_SETTLE_QUIET_NS INT64_C(3000000000) /* no word to cut at: the quietest of so much */

/* Zeroed is the state of a new window; all only grow. */
struct wd_settle {
    uint32_t n_words;  /* leading words of the hypothesis that are settled */
    uint32_t n_tokens; /* their tokens, labels included: the next decode is forced with these */
    uint32_t n_shown;  /* settled before the last call: these may have been published */
};

/* LocalAgreement-2. before: the last tick's answer, NULL at the first; now: this one's, which began
 * with the n_tokens tokens settled so far (the same struct may not be both); times [now->n_words].
 * A word settles when both answers say it at the same place under the same label, it is over, and
 * it ends hold_ns before audio_end_ns. Returns how many words are new. Bad answers settle nothing.
 */
uint32_t wd_settle_tick(struct wd_settle *s, const struct wd_parsed *before,
                        const struct wd_parsed *now, const struct wd_align_time *times,
                        int64_t audio_end_ns, int64_t hold_ns);
/* The last decode of a window: everything is settled. Returns how many words are new. */
uint32_t wd_settle_all(struct wd_settle *s, const struct wd_parsed *now);

enum wd_settle_at { WD_SETTLE_AT_SETTLED, WD_SETTLE_AT_COMPLETE, WD_SETTLE_AT_QUIET };
struct wd_settle_cut {
    enum wd_settle_at at;
    uint32_t frame;    /* of the window: the next one begins here; 1..n_frames - 1 */
    uint32_t n_words;  /* words before the cut */
    uint32_t n_tokens; /* their tokens */
};

/* Where to cut a window that is full: behind the last settled word whose end lies at least
 * edge_ns (WD_SETTLE_EDGE_NS) before its end (none in the second half of the window: the last that is over);
 * where there is none, at the quietest place of its last 3 s, between two words. Never before a
 * word of n_shown, and in the pause behind the word where there is one. speech [n_frames]:
 * probabilities, NULL: not known; n_frames >= 2. now and times may be NULL when the last answer was
 * bad. */
struct wd_settle_cut wd_settle_cut(const struct wd_settle *s, const struct wd_parsed *now,
                                   const struct wd_align_time *times, const float *speech,
                                   uint32_t n_frames, int64_t t0_ns, int64_t edge_ns);

/* A window that is nearly full may end sooner, where no word is hurt: behind the last settled word, when it ends a sentence or a
 * line, lies in the second half of the window, and WD_SETTLE_PAUSE_NS follow it. false: not now. Call after wd_settle_tick(). */
bool wd_settle_between_sentences(const struct wd_settle *s, const struct wd_parsed *now, const struct wd_align_time *times,
                                 const float *speech, uint32_t n_frames, int64_t t0_ns, struct wd_settle_cut *ret);
