/* model/scratch.h - activations of one pass, planned once when the engine opens. Engine thread only. */
#pragma once
#include "base/err.h"
#include "model/shape.h"
#include <stddef.h>
#include <stdint.h>

/* All [max_rows][...] f32. */
struct wd_scratch {
    float *x;        /* d_model: the residual stream */
    float *norm;     /* d_model: its normed copy, then a sub-layer's output */
    float *q, *o;    /* n_heads * the largest head_dim */
    float *k, *v;    /* the largest n_kv_heads * head_dim */
    float *gate, *up; /* d_ff */
    float *cos[2], *sin[2]; /* rotation of each row, [0] sliding, [1] full layers: the largest n_rotated */
    uint32_t *block_end;    /* max_rows: for a patch the position behind its picture, otherwise 0 */
    uint32_t rotated[2];    /* row length of cos and sin */
    void *space;
    size_t bytes;
};

int wd_scratch_init(struct wd_scratch *s, const struct wd_shape *shape, uint32_t max_rows, struct wd_err *err);
void wd_scratch_done(struct wd_scratch *s);
