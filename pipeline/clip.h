/* pipeline/clip.h - which frames of a clip the model sees, and the time that is written before each. Pure; any thread.
 * Source: docs/model.md, "Video". */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define WD_CLIP_FRAMES 32      /* of a clip, unless said otherwise */
#define WD_CLIP_MOST_FRAMES 1024
#define WD_CLIP_BUDGET 70      /* patches of one frame */
#define WD_CLIP_RATE 24.0      /* frames a second, where a file does not say */

/* How many of a clip's `total` frames are seen when n are wanted: all of a shorter one. */
uint32_t wd_clip_count(uint32_t n, uint64_t total);
/* The i-th seen of n: its number in the clip. n >= 1, i < n <= total. */
uint64_t wd_clip_frame(uint32_t i, uint32_t n, uint64_t total);
/* "mm:ss" of frame `number` at `rate` frames a second, cut off, not rounded; minutes go past 59, there are no hours. ret
 * takes at most cap bytes with its NUL. */
void wd_clip_time(uint64_t number, double rate, char *ret, size_t cap);
