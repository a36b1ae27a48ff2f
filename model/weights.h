/* model/weights.h - names of a checkpoint's tensors -> typed views, every shape checked. Read-only after open. */
#pragma once
#include "base/err.h"
#include "model/linear.h"
#include "model/shape.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wd_tensor_file;
struct wd_tensor;
struct wd_weights_problems;

struct wd_layer_weights {
    const float *input_norm, *post_attn_norm, *pre_ff_norm, *post_ff_norm; /* [d_model] */
    const float *q_norm, *k_norm;                                         /* [head_dim] */
    float scalar;
    struct wd_matrix q, k, v, o, gate, up, down; /* v.data NULL where V shares K */
};

struct wd_vision_weights {
    const float *ln1_w, *ln1_b;          /* [6912], in the order of the patch columns */
    struct wd_matrix dense;              /* [mm_embed][6912] */
    const float *dense_b;                /* [mm_embed] */
    const float *ln2_w, *ln2_b;          /* [mm_embed] */
    const float *ln3_w, *ln3_b;          /* [mm_embed]: pos_norm */
    struct wd_matrix pos;                /* rows of mm_embed: see wd_weights_pos_row() */
    bool pos_slabs;                      /* rows are [2][n] (GGUF) instead of [n][2] (safetensors) */
    struct wd_matrix proj;               /* [d_model][mm_embed] */
};

struct wd_weights {
    struct wd_tensor_file *text, *media; /* owned; media NULL when it is the text file or there is none */
    struct wd_shape shape;
    struct wd_matrix embed;              /* [n_vocab][d_model] */
    struct wd_matrix head;               /* the same, unless the file brings its own */
    const float *norm;                   /* [d_model] */
    struct wd_layer_weights *layers;
    struct wd_vision_weights vision;
    struct wd_matrix audio;              /* [d_model][640] */
    uint64_t mapped_bytes;
    char hash[17];                       /* hex, over names, types, shapes and the first bytes of each tensor */
    float *vectors;                      /* f32 copies of vectors that are stored otherwise */
    size_t n_vectors, used_vectors;
    bool *used;                          /* of each tensor, the text's and then the media's: it has a meaning here */
    const struct wd_weights_problems *problems; /* only while it is opened */
};

/* Who hears of every tensor that is missing or misshapen; `problem` names file and tensor and lives for the call. */
struct wd_weights_problems {
    void (*say)(void *ctx, const char *problem);
    void *ctx;
};

/* path: GGUF or safetensors folder. mmproj: see struct wd_engine_opts. Errors name the file, the tensor and both shapes. */
int wd_weights_open(const char *path, const char *mmproj, struct wd_weights *ret, struct wd_err *err);
/* 0; or -EIO when one of its files is torn: see wd_tensor_file_torn(). */
int wd_weights_torn(const struct wd_weights *w, struct wd_err *err);
/* The same, but goes on behind tensors that are missing or misshapen. If there were any, the result is good for looking
 * at, not for computing. */
int wd_weights_open_all(const char *path, const char *mmproj, const struct wd_weights_problems *problems,
                        struct wd_weights *ret, struct wd_err *err);
/* The i-th tensor of its files that has no meaning here; NULL behind the last. */
const struct wd_tensor *wd_weights_unused(const struct wd_weights *w, size_t i);
void wd_weights_done(struct wd_weights *w);
/* Row of the position table: axis 0 = x (column), 1 = y (row); writes mm_embed floats. index < shape.mm_positions. */
void wd_weights_pos_row(const struct wd_weights *w, unsigned axis, uint32_t index, float *ret);
