/* pipeline/framer.h - samples cut into 40 ms frames; the last before a gap or the end is filled up with zeros. Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WD_FRAMER_SAMPLES 640 /* 16 kHz mono */

/* One frame being filled. Zeroed is empty. */
struct wd_framer {
    float pcm[WD_FRAMER_SAMPLES];
    size_t n;
    int64_t t0_ns; /* stream time of pcm[0] */
};

/* Room in the frame: what may be pushed. */
size_t wd_framer_room(const struct wd_framer *f);
/* n <= room samples that begin at stream time t_ns. -ERANGE where they do not continue what is there (flush first): they
 * begin more than half a sample before or after its end. */
int wd_framer_push(struct wd_framer *f, const float *pcm, size_t n, int64_t t_ns);
/* The frame when it is full: true, and the framer is empty again. */
bool wd_framer_take(struct wd_framer *f, float ret_pcm[WD_FRAMER_SAMPLES], int64_t *ret_t0_ns);
/* The frame, filled up with zeros, if there is anything in it. */
bool wd_framer_flush(struct wd_framer *f, float ret_pcm[WD_FRAMER_SAMPLES], int64_t *ret_t0_ns);
int64_t wd_framer_end_ns(const struct wd_framer *f); /* stream time behind the last sample pushed */
