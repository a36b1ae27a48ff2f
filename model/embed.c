/* model/embed.c - what the decoder sees of words, sound and pictures. */
#include "model/embed.h"

#include "model/gemma4.h"
#include "model/ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static size_t wide_floats(void)
{
    return (size_t)WD_EMBED_CHUNK * WD_PATCH_VALUES;
}

int wd_embed_init(struct wd_embed *e, const struct wd_weights *w, struct wd_linear *l, struct wd_err *err)
{
    size_t m = w->shape.mm_embed;

    memset(e, 0, sizeof *e);
    e->weights = w;
    e->linear = l;
    e->wide = malloc(wide_floats() * sizeof *e->wide);
    e->mid = malloc((WD_EMBED_CHUNK * m + 1) * sizeof *e->mid);
    e->pos = malloc((m + 1) * sizeof *e->pos);
    if (e->wide && e->mid && e->pos)
        return 0;
    wd_embed_done(e);
    return wd_err_set(err, -ENOMEM, "embedders: out of memory");
}

void wd_embed_done(struct wd_embed *e)
{
    free(e->wide);
    free(e->mid);
    free(e->pos);
    memset(e, 0, sizeof *e);
}

size_t wd_embed_bytes(const struct wd_embed *e)
{
    return (wide_floats() + (WD_EMBED_CHUNK + 1) * (size_t)e->weights->shape.mm_embed) * sizeof(float);
}

void wd_embed_tokens(const struct wd_embed *e, const int32_t *ids, size_t n, float *out)
{
    const struct wd_matrix *m = &e->weights->embed;
    size_t row_bytes = wd_type_row_bytes(m->type, m->n_in), d = m->n_in;
    float scale = e->weights->shape.embed_scale;

    for (size_t i = 0; i < n; i++, out += d) {
        wd_quant_unpack(m->type, (const unsigned char *)m->data + (size_t)ids[i] * row_bytes, out, d);
        for (size_t k = 0; k < d; k++)
            out[k] *= scale;
    }
}

void wd_embed_audio(const struct wd_embed *e, const float *pcm, size_t n, float *out)
{
    const struct wd_weights *w = e->weights;
    size_t d = w->shape.d_model;

    for (size_t at = 0; at < n; at += WD_EMBED_CHUNK) {
        size_t now = n - at < WD_EMBED_CHUNK ? n - at : WD_EMBED_CHUNK;

        for (size_t i = 0; i < now; i++)
            wd_ops_rmsnorm(pcm + (at + i) * WD_AUDIO_SAMPLES, NULL, WD_AUDIO_SAMPLES, w->shape.audio_eps,
                           e->wide + i * WD_AUDIO_SAMPLES);
        wd_linear_apply(e->linear, &w->audio, e->wide, WD_AUDIO_SAMPLES, now, out + at * d, d);
    }
}

void wd_embed_patch(const uint8_t *rgb, uint32_t grid_w, uint32_t gx, uint32_t gy, bool video, bool planar, float *out)
{
    size_t stride = (size_t)grid_w * WD_PATCH_SIDE * 3;
    const float inv = 1.0f / 255.0f;

    for (size_t row = 0; row < WD_PATCH_SIDE; row++) {
        const uint8_t *p = rgb + ((size_t)gy * WD_PATCH_SIDE + row) * stride + (size_t)gx * WD_PATCH_SIDE * 3;

        for (size_t col = 0; col < WD_PATCH_SIDE; col++)
            for (size_t c = 0; c < 3; c++) {
                float x = video ? (float)p[col * 3 + c] / 255.0f : (float)p[col * 3 + c] * inv;

                out[planar ? (c * WD_PATCH_SIDE + row) * WD_PATCH_SIDE + col : (row * WD_PATCH_SIDE + col) * 3 + c] = x;
            }
    }
}

void wd_embed_picture(const struct wd_embed *e, const uint8_t *rgb, uint32_t grid_w, uint32_t grid_h, bool video, float *out)
{
    const struct wd_weights *w = e->weights;
    const struct wd_vision_weights *v = &w->vision;
    size_t n = (size_t)grid_w * grid_h, m = w->shape.mm_embed, d = w->shape.d_model;

    for (size_t at = 0; at < n; at += WD_EMBED_CHUNK) {
        size_t now = n - at < WD_EMBED_CHUNK ? n - at : WD_EMBED_CHUNK;

        for (size_t i = 0; i < now; i++) {
            float *patch = e->wide + i * WD_PATCH_VALUES;

            wd_embed_patch(rgb, grid_w, (uint32_t)((at + i) % grid_w), (uint32_t)((at + i) / grid_w), video, w->shape.planar_patches,
                           patch);
            wd_ops_layernorm(patch, v->ln1_w, v->ln1_b, WD_PATCH_VALUES, WD_PATCH_NORM_EPS, patch);
        }
        wd_linear_apply(e->linear, &v->dense, e->wide, WD_PATCH_VALUES, now, e->mid, m);
        for (size_t i = 0; i < now; i++) {
            float *u = e->mid + i * m;

            for (size_t k = 0; k < m; k++)
                u[k] += v->dense_b[k];
            wd_ops_layernorm(u, v->ln2_w, v->ln2_b, m, WD_PATCH_NORM_EPS, u);
            for (unsigned axis = 0; axis < 2; axis++) {
                wd_weights_pos_row(w, axis, (uint32_t)(axis ? (at + i) / grid_w : (at + i) % grid_w), e->pos);
                for (size_t k = 0; k < m; k++)
                    u[k] += e->pos[k];
            }
            wd_ops_layernorm(u, v->ln3_w, v->ln3_b, m, WD_PATCH_NORM_EPS, u);
            wd_ops_rmsnorm(u, NULL, m, w->shape.vision_eps, u);
        }
        wd_linear_apply(e->linear, &v->proj, e->mid, m, now, out + at * d, d);
    }
}
