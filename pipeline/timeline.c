/* pipeline/timeline.c - capture times and sample counts made into stream time. */
#include "pipeline/timeline.h"

#define SMOOTH_NS 5e9                  /* drift is averaged over this much sound */
#define SANE_NS (INT64_MAX / 4)        /* beyond it a capture time is nonsense, and sums could overflow */
#define PICTURE_STEP_NS INT64_C(40000000) /* from the last picture to the first of a new clock */

void wd_timeline_init(struct wd_timeline *t)
{
    *t = (struct wd_timeline){.picture_ns = -1};
}

static bool sane(int64_t pts_ns)
{
    return pts_ns > -SANE_NS && pts_ns < SANE_NS;
}

void wd_timeline_base(struct wd_timeline *t, int64_t pts_ns)
{
    if (!sane(pts_ns))
        return;
    t->offset_ns = t->start_ns - pts_ns;
    t->based = true;
}

void wd_timeline_restart(struct wd_timeline *t, int64_t now_ns)
{
    t->start_ns = now_ns;
    if (t->start_ns < t->audio_end_ns)
        t->start_ns = t->audio_end_ns;
    if (t->start_ns <= t->picture_ns)
        t->start_ns = t->picture_ns + 1;
    t->based = t->sounded = t->suspected = false;
    t->picture_shift_ns = 0;
    t->odd_pictures = 0;
    t->drift_ns = 0;
}

/* The first sound: it may begin after the pictures did, or reach back before the start. */
static int64_t first_sound(struct wd_timeline *t, int64_t at_ns, int64_t pts_ns, size_t n, size_t *ret_skip)
{
    int64_t early_ns = t->start_ns - at_ns;

    *ret_skip = 0;
    if (early_ns > WD_TIMELINE_MAX_GAP_NS || early_ns < -WD_TIMELINE_MAX_GAP_NS) {
        t->offset_ns = t->start_ns - pts_ns;
        t->restarts++;
        return t->start_ns;
    }
    if (early_ns <= 0)
        return at_ns;
    if ((uint64_t)(early_ns / WD_SAMPLE_NS) >= n) {
        *ret_skip = n;
        return t->start_ns;
    }
    *ret_skip = (size_t)((early_ns + WD_SAMPLE_NS - 1) / WD_SAMPLE_NS);
    return at_ns + (int64_t)*ret_skip * WD_SAMPLE_NS;
}

/* Where a chunk belongs that is not the first: at the end of the one before, or later. */
static int64_t next_sound(struct wd_timeline *t, int64_t pts_ns, size_t n)
{
    int64_t ahead_ns = pts_ns + t->offset_ns - t->audio_end_ns, other_ns;
    double chunk_ns = (double)((int64_t)n * WD_SAMPLE_NS);

    if (ahead_ns >= -WD_TIMELINE_JITTER_NS && ahead_ns <= WD_TIMELINE_JITTER_NS) {
        t->drift_ns += ((double)ahead_ns - t->drift_ns) * (chunk_ns / (SMOOTH_NS + chunk_ns));
        t->suspected = false;
        return t->audio_end_ns;
    }
    if (ahead_ns > 0 && ahead_ns <= WD_TIMELINE_MAX_GAP_NS) {
        t->drift_ns = 0;
        t->suspected = false;
        return t->audio_end_ns + ahead_ns;
    }
    /* Back, or absurdly far ahead: another clock once a second chunk agrees with it, one bad number until then. */
    other_ns = pts_ns + t->suspect_offset_ns - t->audio_end_ns;
    if (t->suspected && other_ns >= -WD_TIMELINE_JITTER_NS && other_ns <= WD_TIMELINE_JITTER_NS) {
        t->offset_ns = t->suspect_offset_ns;
        t->suspected = false;
        t->drift_ns = 0;
        t->restarts++;
    } else {
        t->suspect_offset_ns = t->audio_end_ns - pts_ns;
        t->suspected = true;
    }
    return t->audio_end_ns;
}

void wd_timeline_audio(struct wd_timeline *t, int64_t pts_ns, size_t n, int64_t *ret_t_ns, size_t *ret_skip)
{
    int64_t at_ns;

    *ret_skip = 0;
    if (!sane(pts_ns)) {
        at_ns = t->sounded ? t->audio_end_ns : t->start_ns;
    } else {
        if (!t->based)
            wd_timeline_base(t, pts_ns);
        at_ns = t->sounded ? next_sound(t, pts_ns, n) : first_sound(t, pts_ns + t->offset_ns, pts_ns, n, ret_skip);
    }
    *ret_t_ns = at_ns;
    if (*ret_skip >= n)
        return;
    t->sounded = true;
    t->audio_end_ns = at_ns + (int64_t)(n - *ret_skip) * WD_SAMPLE_NS;
}

int64_t wd_timeline_picture(struct wd_timeline *t, int64_t pts_ns)
{
    int64_t at_ns, last_ns = t->picture_ns, latest_ns;

    if (!sane(pts_ns))
        return -1;
    if (!t->based)
        wd_timeline_base(t, pts_ns);
    at_ns = pts_ns + t->offset_ns + t->picture_shift_ns;
    latest_ns = t->audio_end_ns > last_ns ? t->audio_end_ns : last_ns;
    if (latest_ns < t->start_ns)
        latest_ns = t->start_ns;
    if (at_ns > last_ns && at_ns >= t->start_ns && at_ns <= latest_ns + WD_TIMELINE_MAX_GAP_NS) {
        t->odd_pictures = 0;
        t->picture_ns = at_ns;
        return at_ns;
    }
    /* Pictures on a clock of their own: sound would have moved the offset for both, so it is given time to. */
    if (++t->odd_pictures < (t->sounded ? 100u : 25u))
        return -1;
    t->odd_pictures = 0;
    at_ns = latest_ns + PICTURE_STEP_NS;
    t->picture_shift_ns = at_ns - pts_ns - t->offset_ns;
    t->picture_ns = at_ns;
    t->restarts++;
    return at_ns;
}

int64_t wd_timeline_drift_ns(const struct wd_timeline *t)
{
    return (int64_t)t->drift_ns;
}
