/* pipeline/voices.h - whose voice: which pieces of a window's sound are printed, and who said which words. Joins window, engine jobs and
 * speakers.h for one stream. Loop thread; nothing allocates but _new. */
#pragma once
#include "base/err.h"
#include "pipeline/align.h"
#include "pipeline/job.h"
#include "pipeline/parse.h"
#include "pipeline/publish.h"
#include "pipeline/window.h"
#include <stdbool.h>
#include <stdint.h>

struct wd_voices;
int wd_voices_new(struct wd_publish *publish, struct wd_voices **ret, struct wd_err *err);
struct wd_voices *wd_voices_free(struct wd_voices *v);

/* A window is heard in parts: [0, from) was decided before. Puts into the job those pieces of frames [from, to) that were not printed yet. */
void wd_voices_fill(struct wd_voices *v, const struct wd_window *w, uint32_t from, uint32_t to, struct wd_job *job);
/* Prints have come. */
void wd_voices_take(struct wd_voices *v, const struct wd_job *job);
/* Are all prints of this part there? */
bool wd_voices_ready(struct wd_voices *v, const struct wd_window *w, uint32_t from, uint32_t to);

/* Frames [from, to) are over: who spoke in them is decided, turns and changes of speakers are published. parsed, times: what was said, NULL when that is
 * not known; where a line begins somebody else may. */
void wd_voices_part(struct wd_voices *v, const struct wd_window *w, uint32_t from, uint32_t to, const struct wd_parsed *parsed,
                    const struct wd_align_time *times);
/* The window is given back: its prints are of no use any more. pause: nobody speaks on where it ended. */
void wd_voices_forget(struct wd_voices *v, bool pause);
/* A speaker for each of words [first, end), which lie in that part; 0: not known. A word is never cut, and a single short one at the border of a line
 * does not change hands. */
void wd_voices_words(const struct wd_voices *v, const struct wd_parsed *parsed, const struct wd_align_time *times, uint32_t first, uint32_t end,
                     uint32_t *ret_speakers);
/* The event's speaker: one of wd_voices_words(), as sure as the sound between the event's times is. */
void wd_voices_name(const struct wd_voices *v, uint32_t speaker, struct wd_event *e);
/* Who seems to speak between two times of the window at hand, of which nothing is decided yet: one of those known, or 0. before: the
 * answer when less was heard, 0: none. */
uint32_t wd_voices_guess(const struct wd_voices *v, const struct wd_window *w, int64_t t0_ns, int64_t t1_ns, uint32_t before,
                         float *ret_confidence);
/* Puts that guess into a partial. */
void wd_voices_suppose(uint32_t speaker, float confidence, struct wd_event *e);
/* The stream is over: one last look at all voices. */
void wd_voices_end(struct wd_voices *v);
uint32_t wd_voices_count(const struct wd_voices *v);
