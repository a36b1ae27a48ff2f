/* model/kernels_avx512vnni.c - block weights with VNNI, which multiplies unsigned bytes with signed
 * ones and adds four products to a lane; all else as in kernels_avx512.c.
 * An activation of 16 bits is x = 256 (h - 128) + l with h and l in [0, 255], so that
 *     sum w x = 256 (sum w h - 128 sum w) + sum w l
 * exactly. Four blocks share a register: in lane 4 j + b stand weights 4 j to 4 j + 3 of block b,
 * of its first half in one register and of its second half in another, both summed into one lane. A
 * lane holds 8 products of at most 128 * 32768, 2^25. Blocks that do not fill a register, at the
 * end of a row, are multiplied as kernels_avx512.c does it. */
#include <immintrin.h>

#include "model/kernels_avx512.h"
#define OWN_BLOCKS
#include "model/kernels_tile.h"

#define QUAD 4
#define QUAD_BYTES 64 /* of one register: half the weights of four blocks */

/* The weights of four blocks, and -128 times the sum of those of a lane. */
struct quad {
    __m512i half[2], less;
};

/* Block weights of one type. */
struct blocks {
    struct quad (*quad)(const unsigned char *);
    vw (*block)(const unsigned char *);
    size_t bytes;
    float unit; /* what a weight of one stands for in the two above */
};

/* Two registers of two blocks each, in order, to the two halves of the order above. */
INLINE void order_halves(__m512i b01, __m512i b23, __m512i *ret)
{
    const __m512i first =
        _mm512_set_epi32(27, 19, 11, 3, 26, 18, 10, 2, 25, 17, 9, 1, 24, 16, 8, 0);
    const __m512i second = _mm512_add_epi32(first, _mm512_set1_epi32(4));

    ret[0] = _mm512_permutex2var_epi32(b01, first, b23);
    ret[1] = _mm512_permutex2var_epi32(b01, second, b23);
}

INLINE struct quad quad_of(__m512i half0, __m512i half1)
{
    __m512i c128 = _mm512_set1_epi8((char)0x80), sum;

    sum = _mm512_dpbusd_epi32(_mm512_setzero_si512(), c128, half0);
    sum = _mm512_dpbusd_epi32(sum, c128, half1);
    return (struct quad){{half0, half1}, _mm512_sub_epi32(_mm512_setzero_si512(), sum)};
}

INLINE struct quad quad_q8_0(const unsigned char *p)
{
    __m512i b01 = _mm512_castsi256_si512(load256(p + 2)), b23, half[2];

    b01 = _mm512_inserti64x4(b01, load256(p + 34 + 2), 1);
    b23 = _mm512_castsi256_si512(load256(p + 2 * 34 + 2));
    b23 = _mm512_inserti64x4(b23, load256(p + 3 * 34 + 2), 1);
    order_halves(b01, b23, half);
    return quad_of(half[0], half[1]);
}

INLINE __m512i pair_q4_0(const unsigned char *p)
{
    __m256i b0 = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(p + 2)));
    __m128i b1 = _mm_loadu_si128((const __m128i *)(const void *)(p + 18 + 2));

    return _mm512_castsi256_si512(_mm256_inserti128_si256(b0, b1, 1));
}

/* 16 times the weights: a half byte with its top bit turned over and zeros below it is 16 (q - 8)
 * as a signed byte. */
INLINE struct quad quad_q4_0(const unsigned char *p)
{
    const __m512i order = _mm512_set_epi32(23, 19, 7, 3, 22, 18, 6, 2, 21, 17, 5, 1, 20, 16, 4, 0);
    const __m512i top = _mm512_set1_epi8((char)0x80), high = _mm512_set1_epi8((char)0xf0);
    __m512i q = _mm512_permutex2var_epi32(pair_q4_0(p), order, pair_q4_0(p + 2 * 18));

    /* (a ^ b) & c */
    return quad_of(_mm512_ternarylogic_epi32(_mm512_slli_epi16(q, 4), top, high, 0x28),
                   _mm512_ternarylogic_epi32(q, top, high, 0x28));
}

INLINE vw sixteen_q4_0(const unsigned char *block)
{
    return _mm512_slli_epi16(vw_q4_0(block), 4);
}

/* Four blocks of activations as arrange() leaves them: h of both halves, then l. */
struct quad_x {
    __m512i h[2], l[2];
};

INLINE struct quad_x quad_x_load(const int16_t *xq)
{
    const unsigned char *p = (const unsigned char *)xq;

    return (struct quad_x){
        {_mm512_loadu_si512(p), _mm512_loadu_si512(p + QUAD_BYTES)},
        {_mm512_loadu_si512(p + 2 * QUAD_BYTES), _mm512_loadu_si512(p + 3 * QUAD_BYTES)}};
}

INLINE vf quad_dot(const struct quad *w, const struct quad_x *x)
{
    __m512i s = _mm512_dpbusd_epi32(w->less, x->h[0], w->half[0]);

    s = _mm512_slli_epi32(_mm512_dpbusd_epi32(s, x->h[1], w->half[1]), 8);
    s = _mm512_dpbusd_epi32(s, x->l[0], w->half[0]);
    s = _mm512_dpbusd_epi32(s, x->l[1], w->half[1]);
    return _mm512_cvtepi32_ps(s);
}

/* The scales of four blocks, each where its lanes are. */
INLINE vf quad_scales(const float *sc)
{
    return _mm512_broadcast_f32x4(_mm_loadu_ps(sc));
}

/* Rounded activations, in place, to what quad_x_load takes; the end of the row stays as it is. */
static void arrange_q16(int16_t *xq, size_t n)
{
    for (; n >= QUAD * BLOCK; n -= QUAD * BLOCK, xq += QUAD * BLOCK) {
        __m512i h[QUAD / 2], l[QUAD / 2], half[2];

        UNROLL
        for (size_t i = 0; i < QUAD / 2; i++) {
            __m512i x0 = _mm512_loadu_si512(xq + 2 * i * BLOCK);
            __m512i x1 = _mm512_loadu_si512(xq + (2 * i + 1) * BLOCK);

            l[i] = _mm512_castsi256_si512(_mm512_cvtepi16_epi8(x0));
            l[i] = _mm512_inserti64x4(l[i], _mm512_cvtepi16_epi8(x1), 1);
            h[i] = _mm512_castsi256_si512(_mm512_cvtepi16_epi8(_mm512_srli_epi16(x0, 8)));
            h[i] = _mm512_inserti64x4(h[i], _mm512_cvtepi16_epi8(_mm512_srli_epi16(x1, 8)), 1);
            h[i] = _mm512_xor_si512(h[i], _mm512_set1_epi8((char)0x80));
        }
        order_halves(h[0], h[1], half);
        _mm512_storeu_si512(xq, half[0]);
        _mm512_storeu_si512(xq + BLOCK, half[1]);
        order_halves(l[0], l[1], half);
        _mm512_storeu_si512(xq + 2 * BLOCK, half[0]);
        _mm512_storeu_si512(xq + 3 * BLOCK, half[1]);
    }
}

/* n_tile and n_rows are constants where this is inlined, as in kernels_tile.h. */
INLINE void quads_few(struct blocks f, const unsigned char *const *row, size_t n_tile,
                      const int16_t *xq, size_t n_in, size_t n_rows, float (*sc)[FEW][CHUNK],
                      size_t n, vf *acc)
{
    for (size_t b = 0; b < n; b += QUAD) {
        UNROLL
        for (size_t i = 0; i < n_tile; i++) {
            struct quad w = f.quad(row[i] + b * f.bytes);

            UNROLL
            for (size_t r = 0; r < n_rows; r++) {
                struct quad_x x = quad_x_load(xq + r * n_in + b * BLOCK);

                acc[i * n_rows + r] =
                    vf_fma(quad_dot(&w, &x), quad_scales(sc[i][r] + b), acc[i * n_rows + r]);
            }
        }
    }
}

INLINE void rows_few(const struct product *p, struct blocks f, size_t n_tile, size_t n_rows)
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
            size_t n = least(n_blocks - b, CHUNK), n_quads = n / QUAD * QUAD;
            const int16_t *xq = p->xq + b * BLOCK;

            UNROLL
            for (size_t i = 0; i < n_tile; i++) {
                for (size_t at = 0; at < CHUNK * f.bytes; at += 64)
                    __builtin_prefetch(row[i] + AHEAD + at);
                chunk_scales(row[i], f.bytes, f.unit, p->xs + b, n_blocks, n_rows, n, sc[i]);
            }
            if (n == CHUNK) {
                quads_few(f, row, n_tile, xq, p->n_in, n_rows, sc, CHUNK, acc);
            } else {
                quads_few(f, row, n_tile, xq, p->n_in, n_rows, sc, n_quads, acc);
                chunk_few(f.block, f.bytes, row, n_tile, xq, p->n_in, n_rows, sc, n_quads, n, acc);
            }
            UNROLL
            for (size_t i = 0; i < n_tile; i++)
                row[i] += CHUNK * f.bytes;
        }
        UNROLL
        for (size_t i = 0; i < n_tile; i++)
            if (o + i < p->n_out)
                for (size_t r = 0; r < n_rows; r++)
                    p->y[r * p->y_stride + o + i] = vf_sum(acc[i * n_rows + r]);
    }
}

/* A chunk of one weight row, ordered once for all activation rows: registers of four blocks, then
 * single blocks. */
struct wide {
    struct quad quad[CHUNK / QUAD];
    vw block[QUAD - 1];
};

/* Two weight rows with n_rows activation rows (a constant), as chunk_pair. */
INLINE void quads_pair(const struct wide *w, const int16_t *xq, size_t n_in, float (*sc0)[CHUNK],
                       float (*sc1)[CHUNK], size_t n, size_t n_rows, float (*acc0)[VL],
                       float (*acc1)[VL])
{
    size_t n_quads = n / QUAD * QUAD;
    vf a0[FEW], a1[FEW];

    UNROLL
    for (size_t r = 0; r < n_rows; r++) {
        a0[r] = vf_load(acc0[r]);
        a1[r] = vf_load(acc1[r]);
    }
    for (size_t b = 0; b < n_quads; b += QUAD) {
        struct quad w0 = w[0].quad[b / QUAD], w1 = w[1].quad[b / QUAD];

        UNROLL
        for (size_t r = 0; r < n_rows; r++) {
            struct quad_x x = quad_x_load(xq + r * n_in + b * BLOCK);

            a0[r] = vf_fma(quad_dot(&w0, &x), quad_scales(sc0[r] + b), a0[r]);
            a1[r] = vf_fma(quad_dot(&w1, &x), quad_scales(sc1[r] + b), a1[r]);
        }
    }
    for (size_t b = n_quads; b < n; b++) {
        UNROLL
        for (size_t r = 0; r < n_rows; r++) {
            vw x = vw_load(xq + r * n_in + b * BLOCK);

            a0[r] = vf_fma(vw_dot(w[0].block[b - n_quads], x), vf_set1(sc0[r][b]), a0[r]);
            a1[r] = vf_fma(vw_dot(w[1].block[b - n_quads], x), vf_set1(sc1[r][b]), a1[r]);
        }
    }
    UNROLL
    for (size_t r = 0; r < n_rows; r++) {
        vf_store(acc0[r], a0[r]);
        vf_store(acc1[r], a1[r]);
    }
}

INLINE void quads_many(const struct wide *w, const int16_t *xq, size_t n_in, size_t n_rows,
                       float (*sc)[MOST][CHUNK], size_t n, float (*acc)[MOST][VL])
{
    for (size_t r = 0; r < n_rows; r += FEW) {
        const int16_t *x = xq + r * n_in;

        for (size_t i = 0; i < BROAD; i += 2) {
#define PAIR(k)                                                                                    \
    quads_pair(w + i, x, n_in, sc[i] + r, sc[i + 1] + r, n, k, acc[i] + r, acc[i + 1] + r)
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

INLINE void rows_many(const struct product *p, struct blocks f)
{
    struct wide wide[BROAD];
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
            size_t n = least(n_blocks - b, CHUNK), n_quads = n / QUAD * QUAD;

            for (size_t i = 0; i < BROAD; i++) {
                for (size_t at = 0; at < CHUNK * f.bytes; at += 64)
                    __builtin_prefetch(row[i] + CHUNK * f.bytes + at);
                for (size_t k = 0; k < n_quads; k += QUAD)
                    wide[i].quad[k / QUAD] = f.quad(row[i] + k * f.bytes);
                for (size_t k = n_quads; k < n; k++)
                    wide[i].block[k - n_quads] = f.block(row[i] + k * f.bytes);
                chunk_scales(row[i], f.bytes, f.unit, p->xs + b, n_blocks, p->n_rows, n, sc[i]);
                row[i] += CHUNK * f.bytes;
            }
            if (n == CHUNK)
                quads_many(wide, p->xq + b * BLOCK, p->n_in, p->n_rows, sc, CHUNK, acc);
            else
                quads_many(wide, p->xq + b * BLOCK, p->n_in, p->n_rows, sc, n, acc);
        }
        for (size_t i = 0; i < BROAD && o + i < p->n_out; i++)
            for (size_t r = 0; r < p->n_rows; r++)
                p->y[r * p->y_stride + o + i] = vf_sum(vf_load(acc[i][r]));
    }
}

INLINE void rows_of(const struct product *p, struct blocks f)
{
    switch (p->n_rows) {
    case 0:
        break;
    case 1:
        rows_few(p, f, 4, 1);
        break;
    case 2:
        rows_few(p, f, 4, 2);
        break;
    case 3:
        rows_few(p, f, 2, 3);
        break;
    case 4:
        rows_few(p, f, 2, 4);
        break;
    default:
        rows_many(p, f);
    }
}

#define ROWS_BLOCKS(type, four, one, size, step)                                                   \
    static void rows_##type(const void *w, size_t w_row_bytes, size_t n_out, size_t n_in,          \
                            const int16_t *xq, const float *xs, size_t n_rows, float *y,           \
                            size_t y_stride)                                                       \
    {                                                                                              \
        struct product p = {.w = w,                                                                \
                            .w_row_bytes = w_row_bytes,                                            \
                            .n_out = n_out,                                                        \
                            .n_in = n_in,                                                          \
                            .xq = xq,                                                              \
                            .xs = xs,                                                              \
                            .n_rows = n_rows,                                                      \
                            .y = y,                                                                \
                            .y_stride = y_stride};                                                 \
                                                                                                   \
        rows_of(&p, (struct blocks){four, one, size, step});                                       \
    }

ROWS_BLOCKS(q8_0, quad_q8_0, vw_q8_0, 34, 1)
ROWS_BLOCKS(q4_0, quad_q4_0, sixteen_q4_0, 18, 1.0f / 16)

const struct wd_kernels wd_kernels_avx512vnni = {
    .name = "avx512vnni",
    .usable = wd_kernels_has_avx512vnni,
    TILE_KERNELS,
    .arrange_q16 = arrange_q16,
};
