/* model/kernels_tile.h - the kernels written once over a vector type, for the files that define
 * one. The including file gives (all static inline, no alignment asked of any pointer): VL, vf
 * floats in a vector, and the vector vf_zero vf_set1 vf_load vf_store vf_add vf_sub vf_mul vf_div
 * vf_rint vf_sum vf_fma(a, b, c)         a * b + c vf_min(a, b) vf_max(a, b)   b where either is
 * NaN vf_pow2(n)              2^n for whole n in [-126, 127] vf_unless_below(x, limit, v)   v, but
 * 0 where x < limit vf_from_f16(p) vf_from_bf16(p) one_f16(p)   VL numbers, and one, widened
 *   vf_from_i8(p)           VL signed bytes, as floats
 *   scales8(p, step, ret)   eight f16 lying step bytes apart, widened
 *   vw              32 int16, one block of weights, in registers
 *   vw_load vw_store vw_q4_0(block) vw_q8_0(block)   the blocks' layout is quant.c's
 *   vf vw_dot(w, x)         products of two vw, summed in int32 to VL floats
 *   vf_keep(&v) vw_keep(&w) the compiler must not load it a second time: loads are what runs short
 *   round_block(x, ret)     32 floats to int16, returns the scale: kernels.h
 *   OWN_BLOCKS              defined: it has its own rows_q8_0 and rows_q4_0
 * Weight rows are taken four at a time so that what is loaded of the activations is used four
 * times; where rows are missing at the end, the last one is computed again and not stored. */
#pragma once
#include "model/kernels_tables.h"
#include "model/quant_blocks.h"
#include <stdalign.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#if defined __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define BLOCK WD_Q16_BLOCK
#ifndef CHUNK
#define CHUNK 16 /* blocks between two looks at the scales, a multiple of 8 */
#endif
#define PIECE 256  /* float weights unpacked at a time */
#define TILE 4     /* weight rows at a time with few activation rows */
#define BROAD 8    /* ... and with many */
#define FEW 4      /* activation rows up to which the weights stay in registers */
#define AHEAD 1024 /* bytes: far enough for main memory, near enough for the first cache */
#define MOST WD_KERNEL_MAX_ROWS

/* A matrix of either kind of weights with its activations, as the tables' functions take them. */
struct product {
    const unsigned char *w;
    size_t w_row_bytes, n_out, n_in;
    const float *x; /* float weights */
    size_t x_stride;
    const int16_t *xq; /* blocks */
    const float *xs;
    size_t n_rows;
    float *y;
    size_t y_stride;
};

INLINE size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

INLINE const unsigned char *weight_row(const struct product *p, size_t o)
{
    return p->w + least(o, p->n_out - 1) * p->w_row_bytes;
}

/* ---- Blocks of integers ---- */

/* sc[r][b] = unit * scale of weight block b * scale of activation block b of row r, b in [0, n). */
INLINE void chunk_scales(const unsigned char *row, size_t block_bytes, float unit, const float *xs,
                         size_t n_blocks, size_t n_rows, size_t n, float (*sc)[CHUNK])
{
    float d[CHUNK];
    size_t b = 0;

    for (; b + 8 <= n; b += 8)
        scales8(row + b * block_bytes, block_bytes, d + b);
    for (; b < n; b++)
        d[b] = one_f16(row + b * block_bytes);
    for (b = 0; b < n; b++)
        d[b] *= unit;
    for (size_t r = 0; r < n_rows; r++) {
        for (b = 0; b + VL <= n; b += VL)
            vf_store(sc[r] + b, vf_mul(vf_load(d + b), vf_load(xs + r * n_blocks + b)));
        for (; b < n; b++)
            sc[r][b] = d[b] * xs[r * n_blocks + b];
    }
}

/* Blocks [from, n). n_tile and n_rows are constants where this is inlined: the sums stay in
 * registers. */
INLINE void chunk_few(vw (*block)(const unsigned char *), size_t block_bytes,
                      const unsigned char *const *row, size_t n_tile, const int16_t *xq,
                      size_t n_in, size_t n_rows, float (*sc)[FEW][CHUNK], size_t from, size_t n,
                      vf *acc)
{
    for (size_t b = from; b < n; b++) {
        UNROLL
        for (size_t i = 0; i < n_tile; i++) {
            vw w = block(row[i] + b * block_bytes);

            UNROLL
            for (size_t r = 0; r < n_rows; r++)
                acc[i * n_rows + r] = vf_fma(vw_dot(w, vw_load(xq + r * n_in + b * BLOCK)),
                                             vf_set1(sc[i][r][b]), acc[i * n_rows + r]);
        }
    }
}

INLINE void blocks_few(const struct product *p, vw (*block)(const unsigned char *),
                       size_t block_bytes, size_t n_tile, size_t n_rows)
{
    size_t n_blocks = p->n_in / BLOCK;

    for (size_t o = 0; o < p->n_out; o += n_tile) {
        const unsigned char *row[TILE];
        float sc[TILE][FEW][CHUNK];
        vf acc[TILE * FEW];

        UNROLL
        for (size_t i = 0; i < n_tile; i++)
            row[i] = weight_row(p, o + i);
        UNROLL
        for (size_t i = 0; i < n_tile * n_rows; i++)
            acc[i] = vf_zero();
        for (size_t b = 0; b < n_blocks; b += CHUNK) {
            size_t n = least(n_blocks - b, CHUNK);

            UNROLL
            for (size_t i = 0; i < n_tile; i++) {
                for (size_t at = 0; at < CHUNK * block_bytes; at += 64)
                    __builtin_prefetch(row[i] + AHEAD + at);
                chunk_scales(row[i], block_bytes, 1, p->xs + b, n_blocks, n_rows, n, sc[i]);
            }
            if (n == CHUNK)
                chunk_few(block, block_bytes, row, n_tile, p->xq + b * BLOCK, p->n_in, n_rows, sc,
                          0, CHUNK, acc);
            else
                chunk_few(block, block_bytes, row, n_tile, p->xq + b * BLOCK, p->n_in, n_rows, sc,
                          0, n, acc);
            UNROLL
            for (size_t i = 0; i < n_tile; i++)
                row[i] += CHUNK * block_bytes;
        }
        UNROLL
        for (size_t i = 0; i < n_tile; i++)
            if (o + i < p->n_out)
                for (size_t r = 0; r < n_rows; r++)
                    p->y[r * p->y_stride + o + i] = vf_sum(acc[i * n_rows + r]);
    }
}

/* Two weight rows with n_rows activation rows (a constant): the sums are in registers here, in
 * memory between the chunks. */
INLINE void chunk_pair(const int16_t *w0, const int16_t *w1, const int16_t *xq, size_t n_in,
                       float (*sc0)[CHUNK], float (*sc1)[CHUNK], size_t n, size_t n_rows,
                       float (*acc0)[VL], float (*acc1)[VL])
{
    vf a0[FEW], a1[FEW];

    UNROLL
    for (size_t r = 0; r < n_rows; r++) {
        a0[r] = vf_load(acc0[r]);
        a1[r] = vf_load(acc1[r]);
    }
    for (size_t b = 0; b < n; b++) {
        vw v0 = vw_load(w0 + b * BLOCK), v1 = vw_load(w1 + b * BLOCK);

        UNROLL
        for (size_t r = 0; r < n_rows; r++) {
            vw x = vw_load(xq + r * n_in + b * BLOCK);

            vw_keep(&x);
            a0[r] = vf_fma(vw_dot(v0, x), vf_set1(sc0[r][b]), a0[r]);
            a1[r] = vf_fma(vw_dot(v1, x), vf_set1(sc1[r][b]), a1[r]);
        }
    }
    UNROLL
    for (size_t r = 0; r < n_rows; r++) {
        vf_store(acc0[r], a0[r]);
        vf_store(acc1[r], a1[r]);
    }
}

/* The first cache holds the widened weights and a few activation rows. */
INLINE void chunk_many(int16_t (*wide)[CHUNK * BLOCK], const int16_t *xq, size_t n_in,
                       size_t n_rows, float (*sc)[MOST][CHUNK], size_t n, float (*acc)[MOST][VL])
{
    for (size_t r = 0; r < n_rows; r += FEW) {
        const int16_t *x = xq + r * n_in;

        for (size_t i = 0; i < BROAD; i += 2) {
#define PAIR(k)                                                                                    \
    chunk_pair(wide[i], wide[i + 1], x, n_in, sc[i] + r, sc[i + 1] + r, n, k, acc[i] + r,          \
               acc[i + 1] + r)
            switch (least(n_rows - r, FEW)) {
            case 1:
                PAIR(1);
                break;
            case 2:
                PAIR(2);
                break;
            case 3:
                PAIR(3);
                break;
            default:
                PAIR(4);
            }
#undef PAIR
        }
    }
}

/* A chunk of several weight rows is widened once and meets all activation rows. */
INLINE void blocks_many(const struct product *p, vw (*block)(const unsigned char *),
                        size_t block_bytes)
{
    alignas(64) int16_t wide[BROAD][CHUNK * BLOCK];
    alignas(64) float sc[BROAD][MOST][CHUNK];
    alignas(64) float acc[BROAD][MOST][VL];
    size_t n_blocks = p->n_in / BLOCK;

    for (size_t o = 0; o < p->n_out; o += BROAD) {
        const unsigned char *row[BROAD];

        for (size_t i = 0; i < BROAD; i++) {
            row[i] = weight_row(p, o + i);
            memset(acc[i], 0, p->n_rows * sizeof acc[i][0]);
        }
        for (size_t b = 0; b < n_blocks; b += CHUNK) {
            size_t n = least(n_blocks - b, CHUNK);

            for (size_t i = 0; i < BROAD; i++) {
                for (size_t at = 0; at < CHUNK * block_bytes; at += 64)
                    __builtin_prefetch(row[i] + CHUNK * block_bytes + at);
                for (size_t k = 0; k < n; k++)
                    vw_store(wide[i] + k * BLOCK, block(row[i] + k * block_bytes));
                chunk_scales(row[i], block_bytes, 1, p->xs + b, n_blocks, p->n_rows, n, sc[i]);
                row[i] += CHUNK * block_bytes;
            }
            if (n == CHUNK)
                chunk_many(wide, p->xq + b * BLOCK, p->n_in, p->n_rows, sc, CHUNK, acc);
            else
                chunk_many(wide, p->xq + b * BLOCK, p->n_in, p->n_rows, sc, n, acc);
        }
        for (size_t i = 0; i < BROAD && o + i < p->n_out; i++)
            for (size_t r = 0; r < p->n_rows; r++)
                p->y[r * p->y_stride + o + i] = vf_sum(vf_load(acc[i][r]));
    }
}

INLINE void rows_blocks(const struct product *p, vw (*block)(const unsigned char *),
                        size_t block_bytes)
{
    switch (p->n_rows) {
    case 0:
        break;
    case 1:
        blocks_few(p, block, block_bytes, 4, 1);
        break;
    case 2:
        blocks_few(p, block, block_bytes, 4, 2);
        break;
    case 3:
        blocks_few(p, block, block_bytes, 2, 3);
        break;
    case 4:
        blocks_few(p, block, block_bytes, 2, 4);
        break;
    default:
        blocks_many(p, block, block_bytes);
    }
}

#ifndef OWN_BLOCKS /* rows_q8_0 and rows_q4_0 come from the including file */
static void rows_q8_0(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in,
                      const int16_t *xq, const float *xs, size_t n_rows, float *y, size_t y_stride)
{
    struct product p = {.w = w,
                        .w_row_bytes = w_row_bytes,
                        .n_out = n_out,
                        .n_in = n_in,
                        .xq = xq,
                        .xs = xs,
                        .n_rows = n_rows,
                        .y = y,
                        .y_stride = y_stride};

    rows_blocks(&p, vw_q8_0, 34);
}

static void rows_q4_0(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in,
                      const int16_t *xq, const float *xs, size_t n_rows, float *y, size_t y_stride)
{
    struct product p = {.w = w,
                        .w_row_bytes = w_row_bytes,
                        .n_out = n_out,
                        .n_in = n_in,
                        .xq = xq,
                        .xs = xs,
                        .n_rows = n_rows,
                        .y = y,
                        .y_stride = y_stride};

    rows_blocks(&p, vw_q4_0, 18);
}
#endif

static float round_block(const float *x, int16_t *ret);

static void round_q16(const float *x, size_t n, int16_t *xq, float *xs)
{
    for (size_t b = 0; b < n / BLOCK; b++)
        xs[b] = round_block(x + b * BLOCK, xq + b * BLOCK);
}

/* ---- Float weights ---- */

INLINE vf vec_f32(const unsigned char *p)
{
    return vf_load((const float *)(const void *)p);
}

INLINE float one_f32(const unsigned char *p)
{
    float f;

    memcpy(&f, p, sizeof f);
    return f;
}

INLINE float one_bf16(const unsigned char *p)
{
    uint16_t h;

    memcpy(&h, p, sizeof h);
    return wd_bf16_to_f32(h);
}

/* One float format: a vector of it, one of it, and its bytes. */
struct format {
    vf (*vec)(const unsigned char *);
    float (*one)(const unsigned char *);
    size_t bytes;
};

/* What does not fill a vector at the end of a row of weights, and zeros. */
INLINE vf vec_end(struct format f, const unsigned char *p, size_t n)
{
    float end[VL] = {0};

    for (size_t k = 0; k < n; k++)
        end[k] = f.one(p + k * f.bytes);
    return vf_load(end);
}

/* The same of the activations. */
INLINE void ends_of(const struct product *p, size_t n_whole, float (*ret)[VL])
{
    for (size_t r = 0; r < p->n_rows; r++) {
        memset(ret[r], 0, sizeof ret[r]);
        memcpy(ret[r], p->x + r * p->x_stride + n_whole, (p->n_in - n_whole) * sizeof(float));
    }
}

INLINE void floats_few(const struct product *p, struct format f, size_t n_tile, size_t n_rows)
{
    size_t n_whole = p->n_in / VL * VL;
    float x_end[FEW][VL];

    ends_of(p, n_whole, x_end);
    for (size_t o = 0; o < p->n_out; o += n_tile) {
        const unsigned char *row[TILE];
        vf acc[TILE * FEW];

        UNROLL
        for (size_t i = 0; i < n_tile; i++)
            row[i] = weight_row(p, o + i);
        UNROLL
        for (size_t i = 0; i < n_tile * n_rows; i++)
            acc[i] = vf_zero();
        for (size_t k = 0; k < n_whole; k += VL) {
            UNROLL
            for (size_t i = 0; i < n_tile; i++) {
                vf w = f.vec(row[i] + k * f.bytes);

                __builtin_prefetch(row[i] + k * f.bytes + AHEAD);
                UNROLL
                for (size_t r = 0; r < n_rows; r++)
                    acc[i * n_rows + r] =
                        vf_fma(w, vf_load(p->x + r * p->x_stride + k), acc[i * n_rows + r]);
            }
        }
        if (n_whole < p->n_in) { /* as floats_many does it, so that both give the same bits */
            UNROLL
            for (size_t i = 0; i < n_tile; i++) {
                vf w = vec_end(f, row[i] + n_whole * f.bytes, p->n_in - n_whole);

                UNROLL
                for (size_t r = 0; r < n_rows; r++)
                    acc[i * n_rows + r] = vf_fma(w, vf_load(x_end[r]), acc[i * n_rows + r]);
            }
        }
        UNROLL
        for (size_t i = 0; i < n_tile; i++)
            for (size_t r = 0; r < n_rows && o + i < p->n_out; r++)
                p->y[r * p->y_stride + o + i] = vf_sum(acc[i * n_rows + r]);
    }
}

INLINE void piece_pair(const float *w0, const float *w1, const float *x, size_t x_stride, size_t n,
                       size_t n_rows, float (*acc0)[VL], float (*acc1)[VL])
{
    vf a0[FEW], a1[FEW];

    UNROLL
    for (size_t r = 0; r < n_rows; r++) {
        a0[r] = vf_load(acc0[r]);
        a1[r] = vf_load(acc1[r]);
    }
    for (size_t k = 0; k < n; k += VL) {
        vf v0 = vf_load(w0 + k), v1 = vf_load(w1 + k);

        UNROLL
        for (size_t r = 0; r < n_rows; r++) {
            vf v = vf_load(x + r * x_stride + k);

            vf_keep(&v);
            a0[r] = vf_fma(v0, v, a0[r]);
            a1[r] = vf_fma(v1, v, a1[r]);
        }
    }
    UNROLL
    for (size_t r = 0; r < n_rows; r++) {
        vf_store(acc0[r], a0[r]);
        vf_store(acc1[r], a1[r]);
    }
}

/* n is a multiple of VL here. */
INLINE void piece_many(float (*wide)[PIECE], const float *x, size_t x_stride, size_t n,
                       size_t n_rows, float (*acc)[MOST][VL])
{
    for (size_t r = 0; r < n_rows; r += FEW)
        for (size_t i = 0; i < TILE; i += 2) {
            const float *xr = x + r * x_stride;

#define PAIR(k) piece_pair(wide[i], wide[i + 1], xr, x_stride, n, k, acc[i] + r, acc[i + 1] + r)
            switch (least(n_rows - r, FEW)) {
            case 1:
                PAIR(1);
                break;
            case 2:
                PAIR(2);
                break;
            case 3:
                PAIR(3);
                break;
            default:
                PAIR(4);
            }
#undef PAIR
        }
}

INLINE void floats_many(const struct product *p, struct format f)
{
    alignas(64) float wide[TILE][PIECE];
    alignas(64) float acc[TILE][MOST][VL];
    alignas(64) float x_end[MOST][VL];
    size_t n_whole = p->n_in / VL * VL, n_end = p->n_in - n_whole;

    ends_of(p, n_whole, x_end);
    for (size_t o = 0; o < p->n_out; o += TILE) {
        const unsigned char *row[TILE];

        for (size_t i = 0; i < TILE; i++)
            row[i] = weight_row(p, o + i);
        memset(acc, 0, sizeof acc);
        for (size_t at = 0; at < n_whole; at += PIECE) {
            size_t n = least(n_whole - at, PIECE);

            for (size_t i = 0; i < TILE; i++)
                for (size_t k = 0; k < n; k += VL) {
                    __builtin_prefetch(row[i] + (at + k) * f.bytes + AHEAD);
                    vf_store(wide[i] + k, f.vec(row[i] + (at + k) * f.bytes));
                }
            piece_many(wide, p->x + at, p->x_stride, n, p->n_rows, acc);
        }
        if (n_end) {
            for (size_t i = 0; i < TILE; i++)
                vf_store(wide[i], vec_end(f, row[i] + n_whole * f.bytes, n_end));
            piece_many(wide, x_end[0], VL, VL, p->n_rows, acc);
        }
        for (size_t i = 0; i < TILE && o + i < p->n_out; i++)
            for (size_t r = 0; r < p->n_rows; r++)
                p->y[r * p->y_stride + o + i] = vf_sum(vf_load(acc[i][r]));
    }
}

INLINE void rows_floats(const struct product *p, struct format f)
{
    switch (p->n_rows) {
    case 0:
        break;
    case 1:
        floats_few(p, f, 4, 1);
        break;
    case 2:
        floats_few(p, f, 4, 2);
        break;
    case 3:
        floats_few(p, f, 2, 3);
        break;
    case 4:
        floats_few(p, f, 2, 4);
        break;
    default:
        floats_many(p, f);
    }
}

#define ROWS_FLOATS(type, vector, single, size)                                                    \
    static void rows_##type(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in,          \
                            const float *x, size_t x_stride, size_t n_rows, float *y,              \
                            size_t y_stride)                                                       \
    {                                                                                              \
        struct product p = {.w = w,                                                                \
                            .w_row_bytes = w_row_bytes,                                            \
                            .n_out = n_out,                                                        \
                            .n_in = n_in,                                                          \
                            .x = x,                                                                \
                            .x_stride = x_stride,                                                  \
                            .n_rows = n_rows,                                                      \
                            .y = y,                                                                \
                            .y_stride = y_stride};                                                 \
                                                                                                   \
        rows_floats(&p, (struct format){vector, single, size});                                    \
    }

ROWS_FLOATS(f32, vec_f32, one_f32, 4)
ROWS_FLOATS(f16, vf_from_f16, one_f16, 2)
ROWS_FLOATS(bf16, vf_from_bf16, one_bf16, 2)

INLINE void unpack_floats(struct format f, const unsigned char *p, float *dst, size_t n)
{
    size_t i = 0;

    for (; i + VL <= n; i += VL)
        vf_store(dst + i, f.vec(p + i * f.bytes));
    for (; i < n; i++)
        dst[i] = f.one(p + i * f.bytes);
}

INLINE void parts_scaled(const struct wd_parts *parts, unsigned n, float *dst)
{
    for (unsigned i = 0; i < n; i += 16) {
        vf d = vf_set1(parts->scale[i / 16]);

        UNROLL
        for (unsigned k = 0; k < 16; k += VL)
            vf_store(dst + i + k, vf_mul(d, vf_from_i8(parts->q + i + k)));
    }
}

/* Rounded twice, as wd_quant_unpack() does it. */
INLINE void parts_affine(const struct wd_parts *parts, unsigned n, float *dst)
{
    for (unsigned i = 0; i < n; i += 16) {
        vf d = vf_set1(parts->scale[i / 16]), m = vf_set1(parts->offset[i / 16]);

        UNROLL
        for (unsigned k = 0; k < 16; k += VL) {
            vf scaled = vf_mul(d, vf_from_i8(parts->q + i + k));

            vf_keep(&scaled);
            vf_store(dst + i + k, vf_add(scaled, m));
        }
    }
}

static void unpack(enum wd_type type, const void *src, float *dst, size_t n)
{
    const unsigned char *p = src;

    switch (type) {
    case WD_TYPE_F32:
        memcpy(dst, src, n * sizeof *dst);
        break;
    case WD_TYPE_F16:
        unpack_floats((struct format){vf_from_f16, one_f16, 2}, p, dst, n);
        break;
    case WD_TYPE_BF16:
        unpack_floats((struct format){vf_from_bf16, one_bf16, 2}, p, dst, n);
        break;
    default: {
        size_t super_bytes = WD_SUPER / wd_type_block(type) * wd_type_block_bytes(type);

        for (size_t at = 0; at < n; at += WD_SUPER, p += super_bytes) {
            unsigned some = (unsigned)least(n - at, WD_SUPER);
            struct wd_parts parts;

            if (wd_blocks_parts(type, one_f16, p, some, &parts))
                parts_affine(&parts, some, dst + at);
            else
                parts_scaled(&parts, some, dst + at);
        }
    }
    }
}

/* ---- Blocks of any type, in f32 ---- */

/* n_tile weight rows, already unpacked, with n_rows activation rows (both constants): the sums are
 * in registers here, in memory between the pieces. */
INLINE void piece_tile(float (*wide)[PIECE], size_t n_tile, const float *x, size_t x_stride,
                       size_t n, size_t n_rows, float (*acc)[MOST][VL], size_t from)
{
    vf sum[BROAD];

    UNROLL
    for (size_t i = 0; i < n_tile; i++) {
        UNROLL
        for (size_t r = 0; r < n_rows; r++)
            sum[i * n_rows + r] = vf_load(acc[i][from + r]);
    }
    for (size_t k = 0; k < n; k += VL) {
        vf v[FEW];

        UNROLL
        for (size_t r = 0; r < n_rows; r++) {
            v[r] = vf_load(x + r * x_stride + k);
            vf_keep(&v[r]);
        }
        UNROLL
        for (size_t i = 0; i < n_tile; i++) {
            vf w = vf_load(wide[i] + k);

            UNROLL
            for (size_t r = 0; r < n_rows; r++)
                sum[i * n_rows + r] = vf_fma(w, v[r], sum[i * n_rows + r]);
        }
    }
    UNROLL
    for (size_t i = 0; i < n_tile; i++) {
        UNROLL
        for (size_t r = 0; r < n_rows; r++)
            vf_store(acc[i][from + r], sum[i * n_rows + r]);
    }
}

/* Eight, four or two weight rows at a time, as many sums as keep the multipliers busy. */
INLINE void piece_all(float (*wide)[PIECE], const float *x, size_t x_stride, size_t n,
                      size_t n_rows, float (*acc)[MOST][VL])
{
    for (size_t r = 0; r < n_rows; r += FEW) {
        const float *xr = x + r * x_stride;

#define TILES(n_tile, k)                                                                           \
    for (size_t i = 0; i < BROAD; i += (n_tile))                                                   \
    piece_tile(wide + i, n_tile, xr, x_stride, n, k, acc + i, r)
        switch (least(n_rows - r, FEW)) {
        case 1:
            TILES(8, 1);
            break;
        case 2:
            TILES(4, 2);
            break;
        case 3:
            TILES(2, 3);
            break;
        default:
            TILES(2, 4);
        }
#undef TILES
    }
}

/* A piece of several weight rows is unpacked once and meets all activation rows while it is in the
 * first cache. */
static void rows_packed(enum wd_type type, const void *w, size_t w_row_bytes, size_t n_out,
                        size_t n_in, const float *x, size_t x_stride, size_t n_rows, float *y,
                        size_t y_stride)
{
    alignas(64) float wide[BROAD][PIECE];
    alignas(64) float acc[BROAD][MOST][VL];
    struct product p = {.w = w, .w_row_bytes = w_row_bytes, .n_out = n_out};
    size_t piece_bytes = PIECE / wd_type_block(type) * wd_type_block_bytes(type);

    for (size_t o = 0; o < n_out; o += BROAD) {
        const unsigned char *row[BROAD];

        for (size_t i = 0; i < BROAD; i++) {
            row[i] = weight_row(&p, o + i);
            memset(acc[i], 0, n_rows * sizeof acc[i][0]);
        }
        for (size_t at = 0; at < n_in; at += PIECE) {
            size_t n = least(n_in - at, PIECE);

            for (size_t i = 0; i < BROAD; i++) {
                for (size_t k = 0; k < piece_bytes; k += 64)
                    __builtin_prefetch(row[i] + AHEAD + k);
                unpack(type, row[i], wide[i], n);
                row[i] += piece_bytes;
            }
            piece_all(wide, x + at, x_stride, n, n_rows, acc);
        }
        for (size_t i = 0; i < BROAD && o + i < n_out; i++)
            for (size_t r = 0; r < n_rows; r++)
                y[r * y_stride + o + i] = vf_sum(vf_load(acc[i][r]));
    }
}

/* ---- Row-wise steps ---- */

static float dot(const float *a, const float *b, size_t n)
{
    vf s[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
    size_t i = 0;
    float sum;

    for (; i + 4 * VL <= n; i += 4 * VL) {
        UNROLL
        for (size_t k = 0; k < 4; k++)
            s[k] = vf_fma(vf_load(a + i + k * VL), vf_load(b + i + k * VL), s[k]);
    }
    for (; i + VL <= n; i += VL)
        s[0] = vf_fma(vf_load(a + i), vf_load(b + i), s[0]);
    sum = vf_sum(vf_add(vf_add(s[0], s[1]), vf_add(s[2], s[3])));
    for (; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static float sum_squares(const float *x, size_t n)
{
    return dot(x, x, n);
}

static void axpy(float a, const float *x, float *y, size_t n)
{
    vf va = vf_set1(a);
    size_t i = 0;

    for (; i + VL <= n; i += VL)
        vf_store(y + i, vf_fma(va, vf_load(x + i), vf_load(y + i)));
    for (; i < n; i++)
        y[i] += a * x[i];
}

static void scale(float a, float *y, size_t n)
{
    vf va = vf_set1(a);
    size_t i = 0;

    for (; i + VL <= n; i += VL)
        vf_store(y + i, vf_mul(va, vf_load(y + i)));
    for (; i < n; i++)
        y[i] *= a;
}

/* e^x = 2^n e^r with n whole and |r| <= ln 2 / 2: of the series for e^r the first term left out is
 * r^8 / 8!, below 6e-9. ln 2 in two parts, the first short enough that n times it is exact. Below
 * EXP_LEAST, where 2^n would be subnormal, the result is 0; above EXP_MOST it stays near 2.4e38. */
#define EXP_LEAST -87.3f
#define EXP_MOST 88.37f

INLINE vf vf_exp(vf x)
{
    vf in = vf_max(vf_set1(EXP_LEAST), vf_min(vf_set1(EXP_MOST), x));
    vf n = vf_rint(vf_mul(in, vf_set1(1.44269504f)));
    vf r = vf_fma(n, vf_set1(-0x1.62e4p-1f), in);
    vf e = vf_set1(1.0f / 5040);

    r = vf_fma(n, vf_set1(-1.42860677e-6f), r);
    e = vf_fma(e, r, vf_set1(1.0f / 720));
    e = vf_fma(e, r, vf_set1(1.0f / 120));
    e = vf_fma(e, r, vf_set1(1.0f / 24));
    e = vf_fma(e, r, vf_set1(1.0f / 6));
    e = vf_fma(e, r, vf_set1(0.5f));
    e = vf_fma(e, r, vf_set1(1));
    e = vf_fma(e, r, vf_set1(1));
    return vf_unless_below(x, EXP_LEAST, vf_mul(e, vf_pow2(n)));
}

/* As in kernels_ref.c: x / (1 + exp(-2u)) does not cancel. */
INLINE vf vf_gelu(vf x)
{
    vf x2 = vf_mul(x, x);
    vf u2 = vf_mul(x, vf_fma(x2, vf_set1((float)(-2 * WD_GELU_ROOT * WD_GELU_CUBE)),
                             vf_set1((float)(-2 * WD_GELU_ROOT))));

    return vf_div(x, vf_add(vf_set1(1), vf_exp(u2)));
}

static void gelu_mul(const float *gate, const float *up, float *out, size_t n)
{
    float g[VL] = {0}, u[VL] = {0};
    size_t i = 0;

    for (; i + VL <= n; i += VL)
        vf_store(out + i, vf_mul(vf_gelu(vf_load(gate + i)), vf_load(up + i)));
    if (i == n)
        return;
    memcpy(g, gate + i, (n - i) * sizeof *g);
    memcpy(u, up + i, (n - i) * sizeof *u);
    vf_store(g, vf_mul(vf_gelu(vf_load(g)), vf_load(u)));
    memcpy(out + i, g, (n - i) * sizeof *g);
}

static float exp_sum(float *x, size_t n, float max)
{
    vf m = vf_set1(max);
    float end[VL] = {0};
    double sum = 0;
    size_t i = 0;

    while (i + VL <= n) {
        /* A float sum of a few terms a lane, then a double: the last of 100000 keys still counts.
         */
        size_t to = least(i + 16 * VL, n / VL * VL);
        vf s = vf_zero();

        for (; i < to; i += VL) {
            vf e = vf_exp(vf_sub(vf_load(x + i), m));

            vf_store(x + i, e);
            s = vf_add(s, e);
        }
        sum += (double)vf_sum(s);
    }
    memcpy(end, x + i, (n - i) * sizeof *end);
    vf_store(end, vf_exp(vf_sub(vf_load(end), m)));
    for (size_t k = 0; k < n - i; k++)
        sum += (double)end[k];
    memcpy(x + i, end, (n - i) * sizeof *end);
    return (float)sum;
}

/* What every table of this header's functions holds. */
#define TILE_KERNELS                                                                               \
    .rows_f32 = rows_f32, .rows_f16 = rows_f16, .rows_bf16 = rows_bf16,                            \
    .rows_packed = rows_packed, .rows_q8_0 = rows_q8_0, .rows_q4_0 = rows_q4_0,                    \
    .round_q16 = round_q16, .unpack = unpack, .dot = dot, .axpy = axpy,    \
    .scale = scale, .sum_squares = sum_squares, .gelu_mul = gelu_mul, .exp_sum = exp_sum
