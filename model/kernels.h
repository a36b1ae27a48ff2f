/* model/kernels.h - processor-specific arithmetic: the first usable table wins; plain C says what is right. Pure, any thread. */
#pragma once
#include "model/quant.h"
#include <stddef.h>
#include <stdint.h>

/* Activations rounded for the integer kernels: int16 q with one f32 scale a block of 32, x = scale * q. */
#define WD_Q16_BLOCK 32
#define WD_KERNEL_MAX_ROWS 8 /* a multi-row kernel handles up to this many activation rows in one sweep over the weights */

struct wd_kernels {
    const char *name;    /* "ref", "avx2", "avx512", "avx512vnni", "neon" */
    int (*usable)(void); /* asks the processor */

    /* y[r * y_stride + o] for o in [0, n_out), r in [0, n_rows <= WD_KERNEL_MAX_ROWS): dot of weight row o (starting at w, rows
     * w_row_bytes apart) with activation row r. Float kernels: */
    void (*rows_f32)(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in, const float *x, size_t x_stride, size_t n_rows,
                     float *y, size_t y_stride);
    void (*rows_f16)(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in, const float *x, size_t x_stride, size_t n_rows,
                     float *y, size_t y_stride);
    void (*rows_bf16)(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in, const float *x, size_t x_stride, size_t n_rows,
                      float *y, size_t y_stride);
    /* Integer kernels: xq [n_rows][n_in] int16, xs [n_rows][n_in / 32] scales, strides in elements. */
    void (*rows_q8_0)(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in, const int16_t *xq, const float *xs, size_t n_rows,
                      float *y, size_t y_stride);
    void (*rows_q4_0)(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in, const int16_t *xq, const float *xs, size_t n_rows,
                      float *y, size_t y_stride);
    /* x [n] to xq, xs; n a multiple of 32. */
    void (*round_q16)(const float *x, size_t n, int16_t *xq, float *xs);
    /* Weights to f32, for the BLAS path; any type. */
    void (*unpack)(enum wd_type type, const void *src, float *dst, size_t n);

    /* Attention and row-wise steps. */
    float (*dot)(const float *a, const float *b, size_t n);
    void (*axpy)(float a, const float *x, float *y, size_t n); /* y += a x */
    void (*scale)(float a, float *y, size_t n);
    float (*sum_squares)(const float *x, size_t n);
    /* out[i] = gelu_tanh(gate[i]) * up[i]; out may be gate */
    void (*gelu_mul)(const float *gate, const float *up, float *out, size_t n);
    /* In place exp(x[i] - max), returns the sum; max must be >= every x. */
    float (*exp_sum)(float *x, size_t n, float max);
};

/* The best table this processor can run; NULL-terminated list of all that were built, best first ("ref" last). */
const struct wd_kernels *wd_kernels_best(void);
const struct wd_kernels *const *wd_kernels_all(void);
/* By name, usable or not; NULL if it was not built. The environment variable WITNESSD_KERNELS names the table that wd_kernels_best() gives. */
const struct wd_kernels *wd_kernels_find(const char *name);
