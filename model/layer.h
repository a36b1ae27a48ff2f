/* model/layer.h - one decoder layer over the rows of a pass, readable beside docs/model.md. Engine thread only. */
#pragma once
#include "model/attention.h"
#include "model/linear.h"
#include "model/scratch.h"
#include "model/weights.h"
#include <stdint.h>

/* One decoder's rows within the pass. */
struct wd_layer_part {
    const struct wd_kv_cache *cache;
    uint32_t row;      /* of the pass: where its rows begin */
    uint32_t n;
    uint32_t first;    /* position of its first row */
    uint32_t n_keep;   /* its last rows, which are needed after the last layer's keys and values: logits or a probe are wanted of them */
    float *probe;      /* sums over the last n_probe rows */
    uint32_t n_probe;
    uint32_t probe_first, probe_n;
    const uint16_t (*probe_heads)[2];
    uint32_t n_probe_heads;
    float *trace_attn, *trace_mlp; /* this layer's [n][d_model], NULL: not wanted */
};

struct wd_layer_run {
    const struct wd_weights *weights;
    struct wd_linear *linear;
    struct wd_threads *threads;
    const struct wd_kernels *kernels;
    struct wd_scratch *scratch;
    struct wd_attention attention;
    const struct wd_layer_part *parts;
    uint32_t n_parts, n_rows;
    struct wd_attention_rows *attention_rows; /* [n_parts], room */
};

/* scratch->x in and out. With `last`, keys and values of all rows are stored, but only the last n_keep rows of each part go on: they are moved
 * together to the front of x. Returns how many rows x holds then. */
uint32_t wd_layer_apply(struct wd_layer_run *run, uint32_t layer, bool last);

/* fn(ctx, row) for every row, spread over the team where that pays. */
void wd_layer_rows(struct wd_layer_run *run, uint32_t n_rows, void (*fn)(void *ctx, uint32_t row), void *ctx);
