/* tests/model/embed_test.c - words, sound and pictures become the rows that the formulas say. */
#include "model/embed.h"

#include "model/gemma4.h"
#include "tests/model/small_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BOUND 1e-5

static char gguf[64], hf[64];
static struct one {
    struct wd_weights weights;
    struct wd_threads *threads;
    struct wd_linear *linear;
    struct wd_embed embed;
} forms[2]; /* interleaved pixels (safetensors), planes (GGUF) */

static void open_form(struct one *o, const char *path)
{
    struct wd_err err = {0};

    if (wd_weights_open(path, NULL, &o->weights, &err) < 0 || wd_threads_new(2, &o->threads, &err) < 0 ||
        wd_linear_new(o->threads, NULL, WD_PATCH_VALUES, 256, &o->linear, &err) < 0 ||
        wd_embed_init(&o->embed, &o->weights, o->linear, &err) < 0)
        fail_msg("%s", err.text);
}

static int open_both(void **state)
{
    char path[128];

    (void)state;
    wd_small_write("odd", true, hf);
    wd_small_write("odd", false, gguf);
    open_form(&forms[0], hf);
    snprintf(path, sizeof path, "%s/text.gguf", gguf);
    open_form(&forms[1], path);
    return 0;
}

static int close_both(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        wd_embed_done(&forms[i].embed);
        wd_linear_free(forms[i].linear);
        wd_threads_free(forms[i].threads);
        wd_weights_done(&forms[i].weights);
    }
    wd_small_remove(gguf);
    wd_small_remove(hf);
    return 0;
}

static void a_token_is_its_row_times_the_root_of_the_width(void **state)
{
    const struct wd_weights *w = &forms[0].weights;
    const int32_t ids[] = {1023, 0, 517};
    uint32_t d = w->shape.d_model;
    float out[3 * 256];

    (void)state;
    assert_true(d <= 256);
    wd_embed_tokens(&forms[0].embed, ids, 3, out);
    for (int i = 0; i < 3; i++)
        for (uint32_t k = 0; k < d; k++) {
            double want = (double)((const float *)w->embed.data)[(size_t)ids[i] * d + k] * sqrt(d);

            assert_true(fabs((double)out[(uint32_t)i * d + k] - want) <= 1e-6 * fabs(want));
        }
}

/* y [n_out] = W x, in double. */
static void multiply(const struct wd_matrix *m, const double *x, double *y)
{
    const float *w = m->data;

    for (uint32_t o = 0; o < m->n_out; o++) {
        y[o] = 0;
        for (uint32_t i = 0; i < m->n_in; i++)
            y[o] += (double)w[(size_t)o * m->n_in + i] * x[i];
    }
}

static void rmsnorm(double *x, size_t n, double eps)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    for (size_t i = 0; i < n; i++)
        x[i] /= sqrt(sum / (double)n + eps);
}

static void layernorm(double *x, const float *w, const float *b, size_t n)
{
    double mean = 0, var = 0;

    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        var += (x[i] - mean) * (x[i] - mean) / (double)n;
    for (size_t i = 0; i < n; i++)
        x[i] = (x[i] - mean) / sqrt(var + (double)WD_PATCH_NORM_EPS) * (double)w[i] + (double)b[i];
}

static void close_to(const float *got, const double *want, size_t n, const char *what)
{
    double d = 0, s = 0;

    for (size_t i = 0; i < n; i++) {
        d += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        s += want[i] * want[i];
    }
    if (!(sqrt(d / s) < BOUND))
        fail_msg("%s is off by %.3g", what, sqrt(d / s));
}

static void sound_is_normalised_and_mapped_frame_by_frame(void **state)
{
    const struct wd_weights *w = &forms[0].weights;
    enum { FRAMES = WD_EMBED_CHUNK + 6 }; /* more than one chunk */
    uint32_t d = w->shape.d_model;
    float *pcm = malloc(FRAMES * 640 * sizeof *pcm), *out = malloc(FRAMES * d * sizeof *out);
    double x[640], *y = malloc(d * sizeof *y);

    (void)state;
    wd_small_values(4, pcm, FRAMES * 640);
    wd_embed_audio(&forms[0].embed, pcm, FRAMES, out);
    for (uint32_t f = 0; f < FRAMES; f += 23) {
        for (int i = 0; i < 640; i++)
            x[i] = (double)pcm[f * 640 + (uint32_t)i];
        rmsnorm(x, 640, (double)w->shape.audio_eps);
        multiply(&w->audio, x, y);
        close_to(out + (size_t)f * d, y, d, "a frame");
    }
    free(pcm);
    free(out);
    free(y);
}

static void silence_stays_silent(void **state)
{
    const float zero[640] = {0};
    float out[256];

    (void)state;
    wd_embed_audio(&forms[0].embed, zero, 1, out);
    for (uint32_t i = 0; i < forms[0].weights.shape.d_model; i++)
        assert_true(out[i] == 0);
}

static uint8_t *picture(uint32_t grid_w, uint32_t grid_h)
{
    size_t n = (size_t)grid_w * grid_h * WD_PATCH_VALUES;
    uint8_t *rgb = malloc(n);
    float *x = malloc(n * sizeof *x);

    assert_non_null(rgb);
    wd_small_values(8, x, n);
    for (size_t i = 0; i < n; i++)
        rgb[i] = (uint8_t)((x[i] + 1) * 127.5f);
    free(x);
    return rgb;
}

/* Formula of docs/model.md, with the interleaved weights. */
static void one_patch(const uint8_t *rgb, uint32_t grid_w, uint32_t gx, uint32_t gy, double *ret)
{
    const struct wd_weights *w = &forms[0].weights;
    const struct wd_vision_weights *v = &w->vision;
    uint32_t m = w->shape.mm_embed;
    const float *pos = v->pos.data;
    double *x = malloc(WD_PATCH_VALUES * sizeof *x), *u = malloc(m * sizeof *u);

    for (uint32_t row = 0; row < 48; row++)
        for (uint32_t i = 0; i < 144; i++)
            x[row * 144 + i] = rgb[((size_t)(gy * 48 + row) * grid_w + gx) * 144 + i] / 255.0;
    layernorm(x, v->ln1_w, v->ln1_b, WD_PATCH_VALUES);
    multiply(&v->dense, x, u);
    for (uint32_t k = 0; k < m; k++)
        u[k] += (double)v->dense_b[k];
    layernorm(u, v->ln2_w, v->ln2_b, m);
    for (uint32_t k = 0; k < m; k++)
        u[k] += (double)pos[(size_t)(2 * gx) * m + k] + (double)pos[(size_t)(2 * gy + 1) * m + k];
    layernorm(u, v->ln3_w, v->ln3_b, m);
    rmsnorm(u, m, (double)w->shape.vision_eps);
    multiply(&v->proj, u, ret);
    free(x);
    free(u);
}

static void patches_know_their_column_and_row(void **state)
{
    enum { W = 11, H = 7 }; /* more than one chunk */
    uint32_t d = forms[0].weights.shape.d_model;
    uint8_t *rgb = picture(W, H);
    float *out = malloc(W * H * d * sizeof *out);
    double *want = malloc(d * sizeof *want);

    (void)state;
    wd_embed_picture(&forms[0].embed, rgb, W, H, false, out);
    for (uint32_t at = 0; at < W * H; at += 19) {
        one_patch(rgb, W, at % W, at / W, want);
        close_to(out + (size_t)at * d, want, d, "a patch");
    }
    free(rgb);
    free(out);
    free(want);
}

static void planes_and_pixels_give_the_same_rows(void **state)
{
    enum { W = 3, H = 2 };
    uint32_t d = forms[0].weights.shape.d_model;
    uint8_t *rgb = picture(W, H);
    float *a = malloc(W * H * d * sizeof *a), *b = malloc(W * H * d * sizeof *b);

    (void)state;
    assert_false(forms[0].weights.shape.planar_patches);
    assert_true(forms[1].weights.shape.planar_patches);
    for (int video = 0; video < 2; video++) {
        wd_embed_picture(&forms[0].embed, rgb, W, H, video, a);
        wd_embed_picture(&forms[1].embed, rgb, W, H, video, b);
        assert_true(wd_small_error(a, b, W * H * d) < BOUND);
    }
    free(rgb);
    free(a);
    free(b);
}

static void the_room_taken_is_told(void **state)
{
    size_t m = forms[0].weights.shape.mm_embed;

    (void)state;
    assert_int_equal(wd_embed_bytes(&forms[0].embed), (WD_EMBED_CHUNK * WD_PATCH_VALUES + (WD_EMBED_CHUNK + 1) * m) * sizeof(float));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_its_row_times_the_root_of_the_width),
        cmocka_unit_test(sound_is_normalised_and_mapped_frame_by_frame),
        cmocka_unit_test(silence_stays_silent),
        cmocka_unit_test(patches_know_their_column_and_row),
        cmocka_unit_test(planes_and_pixels_give_the_same_rows),
        cmocka_unit_test(the_room_taken_is_told),
    };

    return cmocka_run_group_tests(tests, open_both, close_both);
}
