/* model/drafter_file.h - a drafter's file: its sizes and tensors, every one checked against the model it drafts for.
 * Read-only after open. Source of keys and names: docs/model.md, "Drafter". */
#pragma once
#include "base/err.h"
#include "model/linear.h"
#include "model/shape.h"
#include <stdbool.h>
#include <stdint.h>

#define WD_DRAFTER_MAX_LAYERS 16

struct wd_tensor_file;

struct wd_drafter_layer {
    bool full;       /* reads the keys and values of the model's last full layer; otherwise of its last sliding one */
    uint32_t source; /* that layer of the model */
    const float *input_norm, *post_attn_norm, *pre_ff_norm, *post_ff_norm; /* [d_model] */
    const float *q_norm;                                                   /* [head_dim] */
    float scalar;
    struct wd_matrix q, o, gate, up, down;
};

struct wd_drafter_weights {
    struct wd_tensor_file *file; /* owned */
    uint32_t d_model, d_ff, n_heads, n_layers;
    float eps;
    float softcap;           /* 0 = none */
    struct wd_matrix pre;    /* [d_model][2 * the model's d_model] */
    struct wd_matrix post;   /* [the model's d_model][d_model] */
    struct wd_matrix head;   /* [n_vocab][d_model] */
    const float *norm;       /* [d_model] */
    struct wd_drafter_layer layers[WD_DRAFTER_MAX_LAYERS];
    float *vectors;          /* f32 copies of all vectors */
    uint64_t mapped_bytes;
};

/* path: a GGUF of architecture gemma4-assistant, or a safetensors folder of type gemma4_unified_assistant. -EINVAL when it is damaged or made for
 * another model than `model` (err names the key or tensor, and both numbers), -ENOTSUP when it is no drafter or one that cannot be computed. */
int wd_drafter_weights_open(const char *path, const struct wd_shape *model, struct wd_drafter_weights *ret, struct wd_err *err);
void wd_drafter_weights_done(struct wd_drafter_weights *w);
