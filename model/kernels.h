/* model/kernels.h - processor-specific arithmetic: the first usable table wins, plain C says what
 * is right. Pure, any thread.
 * Pointers need no alignment, except that of the C type. No input makes a kernel write outside its
 * output; infinities and NaN in weights or activations give NaN or infinity in the sums they enter.
 * Source of the block layouts and of GELU: docs/model.md, "Quantised blocks", "Decoder layer". */
#pragma once
#include "model/quant.h"
#include <stddef.h>
#include <stdint.h>

/* Activations rounded for the integer kernels: int16 q with one f32 scale a block of 32, so that
 * x = scale * q, |q| <= 32767. A block whose largest magnitude is below WD_Q16_LEAST is rounded to
 * zero; one that holds an infinity or NaN gets the scale NaN. */
#define WD_Q16_BLOCK 32
#define WD_Q16_LEAST 1e-30f

/* Activation rows that meet the weights in one sweep over them. */
#define WD_KERNEL_MAX_ROWS 16

/* gelu_tanh(x) = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) */
#define WD_GELU_ROOT 0.79788456080286536
#define WD_GELU_CUBE 0.044715

struct wd_kernels {
    const char *name;    /* "ref", "avx2", "avx512", "avx512vnni", "neon" */
    int (*usable)(void); /* asks the processor */

    /* y[r * y_stride + o] = weight row o . activation row r, for o in [0, n_out) and r in
     * [0, n_rows <= WD_KERNEL_MAX_ROWS). Weight rows lie w_row_bytes apart, strides are in
     * elements. Float weights: any n_in. */
    void (*rows_f32)(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in, const float *x,
                     size_t x_stride, size_t n_rows, float *y, size_t y_stride);
    void (*rows_f16)(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in, const float *x,
                     size_t x_stride, size_t n_rows, float *y, size_t y_stride);
    void (*rows_bf16)(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in, const float *x,
                      size_t x_stride, size_t n_rows, float *y, size_t y_stride);
    /* Blocks of any type, unpacked piece by piece and multiplied in f32: n_in a multiple of the
     * type's block. A row's result is the same to the bit whatever n_rows. */
    void (*rows_packed)(enum wd_type type, const void *w, size_t w_row_bytes, size_t n_out,
                        size_t n_in, const float *x, size_t x_stride, size_t n_rows, float *y,
                        size_t y_stride);
    /* Blocks of integers: n_in a multiple of 32, xq [n_rows][n_in] arranged, xs [n_rows][n_in /
     * 32].
     */
    void (*rows_q8_0)(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in,
                      const int16_t *xq, const float *xs, size_t n_rows, float *y, size_t y_stride);
    void (*rows_q4_0)(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in,
                      const int16_t *xq, const float *xs, size_t n_rows, float *y, size_t y_stride);
    /* x [n] to xq [n], xs [n / 32]; n a multiple of 32. */
    void (*round_q16)(const float *x, size_t n, int16_t *xq, float *xs);
    /* A rounded row xq [n], in place, to the order of bytes in which rows_q8_0 and rows_q4_0 of
     * this table take it; NULL where they take it as it is. */
    void (*arrange_q16)(int16_t *xq, size_t n);
    /* n weights to f32, exactly as wd_quant_unpack. */
    void (*unpack)(enum wd_type type, const void *src, float *dst, size_t n);

    /* Attention and row-wise steps. */
    float (*dot)(const float *a, const float *b, size_t n);
    void (*axpy)(float a, const float *x, float *y, size_t n); /* y += a x */
    void (*scale)(float a, float *y, size_t n);                /* y *= a */
    float (*sum_squares)(const float *x, size_t n);
    /* out[i] = gelu_tanh(gate[i]) * up[i], finite |gate| < 1e12; out may be gate or up. */
    void (*gelu_mul)(const float *gate, const float *up, float *out, size_t n);
    /* In place exp(x[i] - max), 0 where that is below 1e-37; returns the sum. max >= every x[i]. */
    float (*exp_sum)(float *x, size_t n, float max);
};

/* The best table this processor can run. The environment variable WITNESSD_KERNELS names another; a
 * name that was not built or is not usable here is passed over. */
const struct wd_kernels *wd_kernels_best(void);
/* All that were built, best first, "ref" last, then NULL. */
const struct wd_kernels *const *wd_kernels_all(void);
/* By name, usable or not; NULL if it was not built. */
const struct wd_kernels *wd_kernels_find(const char *name);
