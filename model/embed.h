/* model/embed.h - what the decoder sees of words, sound and pictures. Engine thread only; nothing allocates. */
#pragma once
#include "model/linear.h"
#include "model/weights.h"
#include <stdbool.h>
#include <stddef.h>

#define WD_EMBED_CHUNK 64 /* patches or frames embedded at a time */

struct wd_embed {
    const struct wd_weights *weights;
    struct wd_linear *linear;
    float *wide; /* [WD_EMBED_CHUNK][6912] */
    float *mid;  /* [WD_EMBED_CHUNK][mm_embed] */
    float *pos;  /* [mm_embed] */
};

int wd_embed_init(struct wd_embed *e, const struct wd_weights *w, struct wd_linear *l, struct wd_err *err);
void wd_embed_done(struct wd_embed *e);
size_t wd_embed_bytes(const struct wd_embed *e);

/* ids [n], each below n_vocab -> out [n][d_model]: the table's row times sqrt(d_model). Source: docs/model.md, "Input rows". */
void wd_embed_tokens(const struct wd_embed *e, const int32_t *ids, size_t n, float *out);
/* Sound: RMSNorm without weight, then one linear map. pcm [n][640] f32 in [-1, 1] -> out [n][d_model]. Source: docs/model.md, "Audio". */
void wd_embed_audio(const struct wd_embed *e, const float *pcm, size_t n, float *out);
/* The 48 x 48 pixels at column gx and row gy of the grid, as values from 0 to 1 -> out [6912]: pixel by pixel, or planar, as the
 * columns of the weights are. */
void wd_embed_patch(const uint8_t *rgb, uint32_t grid_w, uint32_t gx, uint32_t gy, bool video, bool planar, float *out);
/* Picture: rgb [48 grid_h][48 grid_w][3] -> out [grid_w * grid_h][d_model], patches row by row. video: u8 / 255, otherwise u8 * (1/255).
 * grid_w, grid_h <= shape.mm_positions. Source: docs/model.md, "Vision". */
void wd_embed_picture(const struct wd_embed *e, const uint8_t *rgb, uint32_t grid_w, uint32_t grid_h, bool video, float *out);
