/* pipeline/clip.c - which frames of a clip the model sees, and the time that is written before each. */
#include "pipeline/clip.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

uint32_t wd_clip_count(uint32_t n, uint64_t total)
{
    return total < n ? (uint32_t)total : n;
}

uint64_t wd_clip_frame(uint32_t i, uint32_t n, uint64_t total)
{
    /* i * total / n, without the product: i * (total mod n) stays below 2^64 */
    return i * (total / n) + i * (total % n) / n;
}

void wd_clip_time(uint64_t number, double rate, char *ret, size_t cap)
{
    double s = (double)number / (rate > 0 ? rate : WD_CLIP_RATE);
    uint64_t whole = s < 1e15 ? (uint64_t)floor(s) : UINT64_C(1000000000000000);

    snprintf(ret, cap, "%02" PRIu64 ":%02" PRIu64, whole / 60, whole % 60);
}
