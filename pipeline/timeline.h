/* pipeline/timeline.h - capture times and sample counts made into stream time: from 0, never back; gaps, restarts, drift.
 * Pure; of one thread at a time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WD_SAMPLE_NS INT64_C(62500)                   /* at 16 kHz */
#define WD_NO_PTS INT64_MIN                           /* the source does not know */
#define WD_TIMELINE_JITTER_NS INT64_C(40000000)       /* less is no gap: clocks and rounding wander */
#define WD_TIMELINE_MAX_GAP_NS (INT64_C(600000000000)) /* more is no gap but another clock */

/* Sound leads: its samples are counted, and stream time of sound is where the last chunk ended unless its capture time says
 * that something is missing. Pictures take their capture time. Fields are for the functions below. */
struct wd_timeline {
    bool based;     /* offset_ns is known */
    bool sounded;   /* since the start or restart */
    bool suspected; /* the last chunk's capture time made no sense */
    int64_t start_ns;
    int64_t offset_ns; /* stream time minus capture time */
    int64_t suspect_offset_ns;
    int64_t audio_end_ns;
    int64_t picture_ns; /* of the last picture; -1: none yet */
    int64_t picture_shift_ns;
    unsigned odd_pictures; /* in a row */
    double drift_ns;
    uint64_t restarts; /* clocks that jumped */
};

void wd_timeline_init(struct wd_timeline *t);
/* Says which capture time is the start, where the source knows it; otherwise it is the first that comes. */
void wd_timeline_base(struct wd_timeline *t, int64_t pts_ns);
/* The source comes back after a loss, with capture times of its own: they begin at stream time now_ns, or at the end of
 * what there was if that is later. */
void wd_timeline_restart(struct wd_timeline *t, int64_t now_ns);

/* n samples at 16 kHz, the first captured at pts_ns. ret_t_ns: stream time of the first one that counts, never before the end
 * of the chunk before; later means that sound is missing between. ret_skip: samples in front that do not count because they
 * lie before the start; n of them: nothing is left, and the chunk leaves no trace. */
void wd_timeline_audio(struct wd_timeline *t, int64_t pts_ns, size_t n, int64_t *ret_t_ns, size_t *ret_skip);
/* Stream time of a picture, later than the one before, or -1: it is late and is not shown. */
int64_t wd_timeline_picture(struct wd_timeline *t, int64_t pts_ns);

/* How far capture times run ahead of the counted samples (> 0: there are too few samples), smoothed over some seconds. */
int64_t wd_timeline_drift_ns(const struct wd_timeline *t);
