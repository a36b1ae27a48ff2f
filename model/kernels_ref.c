/* model/kernels_ref.c - the kernels in plain C: what is right, and what runs where no other table
 * does. */
#include "model/kernels_tables.h"
#include <math.h>
#include <string.h>

#define BLOCK WD_Q16_BLOCK
#define LANES 8 /* independent sums that a compiler may put side by side in registers */

static int usable(void)
{
    return 1;
}

static uint16_t u16_at(const unsigned char *p)
{
    uint16_t h;

    memcpy(&h, p, sizeof h);
    return h;
}

static double dot_double(const float *a, const float *b, size_t n)
{
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lane[k] += (double)a[i + k] * (double)b[i + k];
    for (; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    for (size_t k = 0; k < LANES; k++)
        sum += lane[k];
    return sum;
}

/* Any type: a piece of the row is unpacked once and meets every activation row. */
static void rows_packed(enum wd_type type, const void *w, size_t w_row_bytes, size_t n_out,
                        size_t n_in, const float *x, size_t x_stride, size_t n_rows, float *y,
                        size_t y_stride)
{
    enum { PIECE = 256 }; /* a multiple of every block */
    size_t piece_bytes = PIECE / wd_type_block(type) * wd_type_block_bytes(type);
    float piece[PIECE];

    for (size_t o = 0; o < n_out; o++) {
        const unsigned char *row = (const unsigned char *)w + o * w_row_bytes;
        double sum[WD_KERNEL_MAX_ROWS] = {0};

        for (size_t i = 0; i < n_in; i += PIECE, row += piece_bytes) {
            size_t n = n_in - i < PIECE ? n_in - i : PIECE;

            wd_quant_unpack(type, row, piece, n);
            for (size_t r = 0; r < n_rows; r++)
                sum[r] += dot_double(piece, x + r * x_stride + i, n);
        }
        for (size_t r = 0; r < n_rows; r++)
            y[r * y_stride + o] = (float)sum[r];
    }
}

static void rows_f32(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in, const float *x,
                     size_t x_stride, size_t n_rows, float *y, size_t y_stride)
{
    rows_packed(WD_TYPE_F32, w, w_row_bytes, n_out, n_in, x, x_stride, n_rows, y, y_stride);
}

static void rows_f16(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in, const float *x,
                     size_t x_stride, size_t n_rows, float *y, size_t y_stride)
{
    rows_packed(WD_TYPE_F16, w, w_row_bytes, n_out, n_in, x, x_stride, n_rows, y, y_stride);
}

static void rows_bf16(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in, const float *x,
                      size_t x_stride, size_t n_rows, float *y, size_t y_stride)
{
    rows_packed(WD_TYPE_BF16, w, w_row_bytes, n_out, n_in, x, x_stride, n_rows, y, y_stride);
}

/* 32 products of at most 128 * 32767 stay far inside int32. */
static int32_t block_dot(const int16_t *w, const int16_t *x)
{
    int32_t sum = 0;

    for (size_t j = 0; j < BLOCK; j++)
        sum += w[j] * x[j];
    return sum;
}

static void widen_q8_0(const unsigned char *block, int16_t *w)
{
    for (size_t j = 0; j < BLOCK; j++)
        w[j] = (int8_t)block[2 + j];
}

static void widen_q4_0(const unsigned char *block, int16_t *w)
{
    for (size_t j = 0; j < BLOCK / 2; j++) {
        w[j] = (int16_t)((block[2 + j] & 15) - 8);
        w[j + BLOCK / 2] = (int16_t)((block[2 + j] >> 4) - 8);
    }
}

static void rows_blocks(void (*widen)(const unsigned char *block, int16_t *w), size_t block_bytes,
                        const void *w, size_t w_row_bytes, size_t n_out, size_t n_in,
                        const int16_t *xq, const float *xs, size_t n_rows, float *y,
                        size_t y_stride)
{
    size_t n_blocks = n_in / BLOCK;
    int16_t wide[BLOCK];

    for (size_t o = 0; o < n_out; o++) {
        const unsigned char *row = (const unsigned char *)w + o * w_row_bytes;
        double sum[WD_KERNEL_MAX_ROWS] = {0};

        for (size_t b = 0; b < n_blocks; b++, row += block_bytes) {
            double d = (double)wd_f16_to_f32(u16_at(row));

            widen(row, wide);
            for (size_t r = 0; r < n_rows; r++)
                sum[r] += d * (double)xs[r * n_blocks + b] *
                          (double)block_dot(wide, xq + r * n_in + b * BLOCK);
        }
        for (size_t r = 0; r < n_rows; r++)
            y[r * y_stride + o] = (float)sum[r];
    }
}

static void rows_q8_0(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in,
                      const int16_t *xq, const float *xs, size_t n_rows, float *y, size_t y_stride)
{
    rows_blocks(widen_q8_0, 34, w, w_row_bytes, n_out, n_in, xq, xs, n_rows, y, y_stride);
}

static void rows_q4_0(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in,
                      const int16_t *xq, const float *xs, size_t n_rows, float *y, size_t y_stride)
{
    rows_blocks(widen_q4_0, 18, w, w_row_bytes, n_out, n_in, xq, xs, n_rows, y, y_stride);
}

static void round_q16(const float *x, size_t n, int16_t *xq, float *xs)
{
    for (size_t b = 0; b < n / BLOCK; b++, x += BLOCK, xq += BLOCK) {
        float max = 0, inv;

        for (size_t j = 0; j < BLOCK; j++) {
            if (!isfinite(x[j])) {
                max = NAN;
                break;
            }
            max = fmaxf(max, fabsf(x[j]));
        }
        inv = max >= WD_Q16_LEAST ? 32767 / max : 0;
        xs[b] = max < WD_Q16_LEAST ? 0 : max / 32767;
        for (size_t j = 0; j < BLOCK; j++)
            xq[j] = inv > 0 ? (int16_t)lrintf(x[j] * inv) : 0;
    }
}

static float dot(const float *a, const float *b, size_t n)
{
    return (float)dot_double(a, b, n);
}

static void axpy(float a, const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

static void scale(float a, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] *= a;
}

static float sum_squares(const float *x, size_t n)
{
    return (float)dot_double(x, x, n);
}

static void gelu_mul(const float *gate, const float *up, float *out, size_t n)
{
    /* (1 + tanh u) / 2 = 1 / (1 + exp(-2u)), which does not cancel where u is far below zero. */
    for (size_t i = 0; i < n; i++) {
        double x = (double)gate[i], u = WD_GELU_ROOT * (x + WD_GELU_CUBE * x * x * x);

        out[i] = (float)(x / (1 + exp(-2 * u)) * (double)up[i]);
    }
}

static float exp_sum(float *x, size_t n, float max)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - max);
        sum += (double)x[i];
    }
    return (float)sum;
}

const struct wd_kernels wd_kernels_ref = {
    .name = "ref",
    .usable = usable,
    .rows_f32 = rows_f32,
    .rows_f16 = rows_f16,
    .rows_bf16 = rows_bf16,
    .rows_packed = rows_packed,
    .rows_q8_0 = rows_q8_0,
    .rows_q4_0 = rows_q4_0,
    .round_q16 = round_q16,
    .unpack = wd_quant_unpack,
    .dot = dot,
    .axpy = axpy,
    .scale = scale,
    .sum_squares = sum_squares,
    .gelu_mul = gelu_mul,
    .exp_sum = exp_sum,
};
