/* model/shape.h - the sizes of one checkpoint of the gemma4_unified family.
 * Read from its file; nothing is compiled in. Source of the keys: docs/model.md, "Files".
 * Read-only after open, any thread. */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

#define WD_SHAPE_MAX_LAYERS 256
#define WD_SHAPE_MAX_IDS 16

struct wd_tensor_file;

struct wd_layer_shape {
    bool full;   /* attends to everything before it; otherwise to the sliding window */
    bool k_eq_v; /* V is the raw K projection: there is no v_proj */
    uint32_t n_kv_heads;
    uint32_t head_dim;
    uint32_t n_rotated; /* pairs (i, i + head_dim / 2) that rotate, the first n_rotated of head_dim
                           / 2 */
    float theta;
};

struct wd_shape {
    char name[128];  /* general.name, or the folder's last part */
    char family[64]; /* "gemma4_unified" */
    uint32_t d_model, n_layers, d_ff, n_heads, n_vocab, window, n_context;
    float eps;
    float softcap;     /* of the logits; 0 = none */
    float embed_scale; /* sqrt(d_model) */
    bool two_way_pictures;
    struct wd_layer_shape layers[WD_SHAPE_MAX_LAYERS];

    bool has_vision, has_audio;
    uint32_t mm_embed;     /* width inside the patch embedder */
    uint32_t mm_positions; /* length of the position table */
    float vision_eps, audio_eps;
    bool planar_patches; /* patch weights expect R, G, B planes (GGUF) instead of interleaved pixels
                          */

    int32_t bos, pad;
    int32_t boi, eoi, image, video, boa, eoa, audio; /* -1 = not there */
    int32_t stop[WD_SHAPE_MAX_IDS];
    uint32_t n_stop;
    int32_t suppress[WD_SHAPE_MAX_IDS];
    uint32_t n_suppress;
};

/* text: the text GGUF or the safetensors folder; media: the mmproj GGUF, or NULL (then `text` may
 * itself hold the media tensors, or there are none). Refuses what the engine cannot compute
 * (-ENOTSUP with the reason in words: per-layer embeddings, shared KV layers, experts, foreign
 * architecture, a vision tower) and what is damaged or impossible (-EINVAL naming the key): zero
 * sizes, heads that do not divide, odd head sizes, counts beyond bounds, arrays shorter than the
 * layers. */
int wd_shape_read(const struct wd_tensor_file *text, const struct wd_tensor_file *media,
                  struct wd_shape *ret, struct wd_err *err);
