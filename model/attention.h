/* model/attention.h - sliding and global attention over a paged cache; causal, but two-way inside a picture. Engine thread only. */
#pragma once
#include "model/kernels.h"
#include "model/kv_cache.h"
#include "model/threads.h"
#include <stdbool.h>
#include <stdint.h>

/* One decoder's rows of a pass. Row i stands at position first + i. */
struct wd_attention_rows {
    const struct wd_kv_cache *cache;
    uint32_t first, n;
    uint32_t skip;             /* the first rows of these n have no query (last layer: only rows whose result is wanted have) */
    const uint32_t *block_end; /* [n]: for a patch, the position behind its picture; otherwise 0 */
    const float *q;            /* [n - skip][n_heads * head_dim], rotated */
    float *out;                /* [n - skip][n_heads * head_dim] */
    /* Sums of attention weights of chosen heads, NULL: none. Row r of probe belongs to row n - n_probe + r. */
    float *probe;              /* [n_probe][probe_n], added to */
    uint32_t n_probe, probe_first, probe_n;
    const uint16_t (*probe_heads)[2];
    uint32_t n_probe_heads;    /* 0: every head of every layer */
};

struct wd_attention {
    struct wd_threads *threads;
    const struct wd_kernels *kernels;
    const struct wd_shape *shape;
    float *scores;        /* [members][max_keys] */
    size_t max_keys;
};

/* Keys and values of all n rows are in the cache already. Score scale 1, softmax in f32 (docs/model.md, "Attention"). */
void wd_attention_run(const struct wd_attention *a, uint32_t layer, const struct wd_attention_rows *parts, uint32_t n_parts);
