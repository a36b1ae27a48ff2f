/* pipeline/activity.h - does anybody speak? The gate's probabilities made into speech and pauses.
 * Pure: frames are the only clock. The network behind it: model/voice.h. One thread; nothing
 * allocates but _new. */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

#define WD_ACTIVITY_SAMPLES 640 /* of a frame: 40 ms at 16 kHz */
#define WD_ACTIVITY_FRAME_NS INT64_C(40000000)

struct wd_voice;

struct wd_activity_opts { /* 0 takes what stands behind */
    float
        threshold; /* 0.4: probability at which speech begins; it goes on while above 0.3 of this */
    int64_t preroll_ns;  /* 200 ms of sound before the onset belong to it; < 0: none */
    int64_t hangover_ns; /* 600 ms after the last speech are kept; < 0: none */
};

enum wd_activity_state {
    WD_ACTIVITY_SILENCE,
    WD_ACTIVITY_SPEECH,
    WD_ACTIVITY_HANGOVER, /* a pause that is not yet long enough to end the speech */
};

struct wd_activity;
/* voice is borrowed. -EINVAL names the setting. */
int wd_activity_new(const struct wd_voice *voice, const struct wd_activity_opts *opts,
                    struct wd_activity **ret, struct wd_err *err);
struct wd_activity *wd_activity_free(struct wd_activity *a);
void wd_activity_reset(struct wd_activity *a); /* after a gap: what came before says nothing */

/* The next 40 ms. ret_probability may be NULL. */
enum wd_activity_state wd_activity_push(struct wd_activity *a, const float pcm[WD_ACTIVITY_SAMPLES],
                                        float *ret_probability);
/* The same for a probability that is known already. */
enum wd_activity_state wd_activity_decide(struct wd_activity *a, float probability);

/* Frames before the last one pushed that belong to an onset; 0 unless the last frame began speech.
 * Fewer than the setting when an earlier speech ended, or the stream began, so short a time ago. */
uint32_t wd_activity_preroll(const struct wd_activity *a);
/* Frames pushed since the last one with speech, 0 if that was the last; UINT64_MAX when none had
 * any. */
uint64_t wd_activity_since_speech(const struct wd_activity *a);

/* Stretches of speech among probabilities [n], for who speaks when: tighter than the states above,
 * without pre-roll and hang-over, since a pause belongs to nobody. Blips are left out. ret [cap];
 * returns how many; the last ones are dropped when there are more. */
struct wd_stretch {
    uint32_t first, end; /* frames */
};
uint32_t wd_activity_stretches(const float *p, uint32_t n, struct wd_stretch *ret, uint32_t cap);

/* Does anything move? A picture against the one that was last looked at. */
struct wd_activity_picture;
/* threshold: part of the picture, 0 .. 1, that must differ to count as a change; 0.02 is three
 * cells of 16 x 9. -EINVAL: out of range. */
int wd_activity_picture_new(double threshold, struct wd_activity_picture **ret, struct wd_err *err);
struct wd_activity_picture *wd_activity_picture_free(struct wd_activity_picture *a);
/* rgb [height][width][3]. Has it changed against the one accepted (true when there is none yet)?
 * Pictures smaller than 16 x 9 say false. Every picture pushed also teaches how much two pictures
 * of one scene differ by noise, cell by cell; light that changes slowly is followed. */
bool wd_activity_picture_push(struct wd_activity_picture *a, const uint8_t *rgb, uint32_t width,
                              uint32_t height);
/* Of the last picture pushed: the part of it that differs. */
float wd_activity_picture_score(const struct wd_activity_picture *a);
/* The last picture pushed is the one to compare with from now on. */
void wd_activity_picture_accept(struct wd_activity_picture *a);
