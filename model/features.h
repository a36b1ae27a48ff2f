/* model/features.h - sound to log mel bands, as both voice networks read them. Pure; tables are
 * read-only, any thread. Definition: docs/voice.md, "Features". */
#pragma once
#include "base/err.h"
#include <stddef.h>

#define WD_FEATURES_WINDOW 400 /* samples of one frame at 16 kHz: 25 ms */
#define WD_FEATURES_HOP 160    /* samples from one frame to the next: 10 ms */
#define WD_FEATURES_FFT 512
#define WD_FEATURES_BINS (WD_FEATURES_FFT / 2 + 1)
#define WD_FEATURES_BANDS 40

struct wd_features; /* window, twiddles and band weights */

int wd_features_new(struct wd_features **ret, struct wd_err *err);
struct wd_features *wd_features_free(struct wd_features *f);

/* Power re^2 + im^2 of the windowed frame, not divided by the length.
 *   pcm  [400]    ret_power [257] */
void wd_features_power(const struct wd_features *f, const float *pcm, float *ret_power);
/* scale * ln(band power + floor) of the frame pcm [400], every sample times gain first -> ret [40].
 * Never allocates. */
void wd_features_frame(const struct wd_features *f, const float *pcm, float gain, float floor,
                       float scale, float *ret);
