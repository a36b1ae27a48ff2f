/* pipeline/source_portaudio.h - between an audio callback and its capture thread: samples without locks, a smooth clock. */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One callback thread puts, one capture thread gets. */
struct wd_portaudio_tap;
int wd_portaudio_tap_new(uint32_t rate_hz, uint32_t channels, struct wd_portaudio_tap **ret, struct wd_err *err);
struct wd_portaudio_tap *wd_portaudio_tap_free(struct wd_portaudio_tap *t); /* takes NULL; returns NULL */

/* Callback: n moments, channels side by side. Takes no lock and no memory; what finds no room is counted and dropped.
 * lost: the device says that it lost sound before this. */
void wd_portaudio_tap_put(struct wd_portaudio_tap *t, const float *samples, size_t n, bool lost);
/* Capture thread: up to n moments -> how many, and the time of the first on the clock that now_ns is read from. Times follow
 * the count of samples and only slowly the clock, so that a late callback makes no hole; they jump where sound was lost. */
size_t wd_portaudio_tap_get(struct wd_portaudio_tap *t, float *samples, size_t n, int64_t now_ns, int64_t *ret_pts_ns);
uint64_t wd_portaudio_tap_dropped(const struct wd_portaudio_tap *t); /* moments that found no room */
