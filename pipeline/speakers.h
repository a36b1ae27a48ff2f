/* pipeline/speakers.h - one voice keeps one label across windows: prints -> turns. Pure, one
 * thread; nothing allocates but _new. How it decides, and the figures: docs/voice.md.
 *
 *     wd_speakers_plan() on a window's probabilities -> the engine prints the pieces it names ->
 * wd_speakers_add() -> wd_speakers_turns()
 *     ... -> wd_speakers_relabel() until false -> the next window; after the last one
 * wd_speakers_finish(), and relabel again.
 *
 * A window is heard once; what is known of all earlier ones is weighed anew with each, so that
 * labels may turn out to be one voice. */
#pragma once
#include "base/err.h"
#include "model/voice.h"
#include "pipeline/activity.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WD_SPEAKERS_MAX_PIECES 48    /* of a window */
#define WD_SPEAKERS_MAX_STRETCHES 96 /* of a window */
#define WD_SPEAKERS_MAX_FRAMES 750   /* 30 s */

struct wd_speakers_opts { /* 0 takes what stands behind */
    uint32_t max_units;   /* 256, 16 to 1024: stretches of one voice that are remembered. When there
                           * is no room, two of one label that are   most alike become one; where there
                           * are none, the lightest is forgotten. Both are counted */
    float margin;  /* 0.07: how far below the likeness of one voice with itself two voices begin */
    float least_s; /* 1.0: speech that founds a new speaker; less goes to the nearest */
};

struct wd_speakers;
/* opts NULL: all defaults. -EINVAL names the setting. */
int wd_speakers_new(const struct wd_speakers_opts *opts, struct wd_speakers **ret,
                    struct wd_err *err);
struct wd_speakers *wd_speakers_free(struct wd_speakers *s);

/* What of a window must be printed. */
struct wd_speakers_piece {
    uint32_t start, n; /* samples of the window: WD_VOICE_MIN_SAMPLES <= n <= WD_VOICE_PIECE */
    uint32_t stretch;
};
struct wd_speakers_plan {
    uint32_t n_frames, n_stretches, n_pieces;
    struct wd_stretch stretches[WD_SPEAKERS_MAX_STRETCHES];
    struct wd_speakers_piece pieces[WD_SPEAKERS_MAX_PIECES]; /* by stretch, then by start */
    float p[WD_SPEAKERS_MAX_FRAMES];
};
/* p [n_frames]: the gate's probabilities of the window's 40 ms frames. A piece every 0.4 s, fewer
 * where a window would have too many. Of stretches too short for a piece the quiet around is taken
 * in, never the neighbour. n_frames beyond 30 s are left out. */
void wd_speakers_plan(const float *p, uint32_t n_frames, struct wd_speakers_plan *ret);

/* The prints of a plan's pieces, [n_pieces][256]; t0: stream time of the window's first frame.
 * n_frames: how much of the window counts (less than planned when it was cut since). hints: times
 * at which somebody else may begin, for instance where the model began a new line; they only make a
 * change cheaper there. A piece whose print is all zeros was not heard. -ERANGE: the window lies
 * before one that was added; -EINVAL: the plan was not made by wd_speakers_plan(). */
int wd_speakers_add(struct wd_speakers *s, int64_t t0_ns, const struct wd_speakers_plan *plan,
                    uint32_t n_frames, const float (*prints)[WD_VOICE_DIM], const int64_t *hints_ns,
                    uint32_t n_hints);

struct wd_turn {
    int64_t t0_ns, t1_ns;
    uint32_t speaker; /* 1, 2, ...: spk_1, spk_2, ... */
    float confidence; /* 0 .. 1: that it is this one rather than another or one not heard yet */
};
/* Of the window added last, in order, without overlap; a turn goes on over a pause of up to 0.8 s.
 * Returns how many; dropped beyond cap. */
uint32_t wd_speakers_turns(const struct wd_speakers *s, struct wd_turn *ret, uint32_t cap);
/* Who speaks most between two times of the window added last; the nearest turn where nobody does.
 * 0: there are no turns. ret_confidence may be NULL. */
uint32_t wd_speakers_at(const struct wd_speakers *s, int64_t t0_ns, int64_t t1_ns,
                        float *ret_confidence);

/* Whose known voice a print is while its speaker still talks: nothing is learnt from it. print [256], length 1; before: who it was
 * taken for when less of it was heard, 0: nobody. Returns 0 when none is near enough, or two are about as near. */
uint32_t wd_speakers_guess(const struct wd_speakers *s, const float *print, uint32_t before, float *ret_confidence);

/* `from` has turned out to be `into`: everything said by `from` was said by `into`, and `from` will
 * not be used again. */
struct wd_relabel {
    uint32_t from, into;
};
/* The next one not yet told; false: no more. */
bool wd_speakers_relabel(struct wd_speakers *s, struct wd_relabel *ret);

/* The recording is over: everything is weighed once more, and speech too short to found a speaker
 * goes to the nearest. */
void wd_speakers_finish(struct wd_speakers *s);
/* Turns of the whole recording, the last 4096 of them, as they are seen now: a turn may have
 * changed hands since wd_speakers_turns() gave it, and this is the better answer. */
uint32_t wd_speakers_all(const struct wd_speakers *s, struct wd_turn *ret, uint32_t cap);

/* "spk_7" */
void wd_speakers_label(uint32_t speaker, char ret[16]);

struct wd_speakers_stats {
    uint32_t speakers; /* labels in use */
    uint32_t units;
    uint64_t joined, forgotten; /* units, because there was no room */
    uint64_t relabels;
    float likeness; /* of one voice with itself, as measured so far */
};
struct wd_speakers_stats wd_speakers_stats(const struct wd_speakers *s);
