/* pipeline/resample.h - any rate, sample format and channels made into 16 kHz mono f32. One thread at a time. */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WD_RESAMPLE_MAX_CHANNELS 64

enum wd_sample_kind { WD_SAMPLE_U8, WD_SAMPLE_S16, WD_SAMPLE_S32, WD_SAMPLE_S64, WD_SAMPLE_F32, WD_SAMPLE_F64 };

struct wd_resample_format {
    enum wd_sample_kind kind; /* native byte order */
    bool planar;              /* one array a channel, not all channels of a moment side by side */
    uint32_t rate_hz;         /* 1000 to 768000 */
    uint32_t channels;        /* 1 to WD_RESAMPLE_MAX_CHANNELS */
    uint64_t speakers;        /* which channels, as in a WAVEFORMATEXTENSIBLE mask; 0: unknown, the usual ones for so many */
};

struct wd_resample;
int wd_resample_new(struct wd_resample **ret, struct wd_err *err);
struct wd_resample *wd_resample_free(struct wd_resample *r); /* takes NULL; returns NULL */

/* What comes from now on. Does nothing when it is what came before; otherwise what is still inside is lost (flush first).
 * -EINVAL: a format that cannot be. */
int wd_resample_set(struct wd_resample *r, const struct wd_resample_format *in, struct wd_err *err);

bool wd_resample_is(const struct wd_resample *r, const struct wd_resample_format *in); /* what it is set to */

/* n moments of sound captured from pts_ns on (WD_NO_PTS passes through) -> *ret_n samples at *ret_pcm, which stay good until
 * the next call; *ret_pts_ns is the capture time of the first: the filter's delay is taken off. planes NULL, n 0: what is
 * still inside, after which it starts anew. Channels are mixed so that full scale stays full scale. Allocates only for a chunk larger than any before. */
int wd_resample_run(struct wd_resample *r, const uint8_t *const *planes, size_t n, int64_t pts_ns, const float **ret_pcm,
                    size_t *ret_n, int64_t *ret_pts_ns, struct wd_err *err);

/* A capture clock that runs ahead of the samples by drift_ns (timeline.h): samples are stretched a little, by at most one in
 * a thousand, until both agree. Under 2 ms nothing is done. */
void wd_resample_follow(struct wd_resample *r, int64_t drift_ns);
