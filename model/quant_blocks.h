/* model/quant_blocks.h - blocks of 32 and 256 weights, taken apart; inline, so that each kernel
 * table compiles it for its processor. Pure.
 * Vectors are the compilers' own, of 16 bytes, which every processor has: one text serves all
 * tables. Source: docs/model.md, "Quantised blocks". */
#pragma once
#include "model/quant.h"
#include <stdint.h>
#include <string.h>
#if defined __SSSE3__
#include <immintrin.h>
#elif defined __aarch64__
#include <arm_neon.h>
#endif

#define WD_BLOCK 32
#define WD_SUPER 256 /* weights of a K block */

/* Bytes of a block. */
#define WD_Q4_0_BYTES 18   /* f16 d, 16 bytes of nibbles */
#define WD_Q4_1_BYTES 20   /* f16 d, f16 m, nibbles */
#define WD_Q5_0_BYTES 22   /* f16 d, 32 fifth bits, nibbles */
#define WD_Q5_1_BYTES 24   /* f16 d, f16 m, 32 fifth bits, nibbles */
#define WD_Q8_0_BYTES 34   /* f16 d, 32 int8 */
#define WD_IQ4_NL_BYTES 18 /* f16 d, nibbles */
#define WD_Q2_K_BYTES 84   /* 16 bytes of scale and least, 64 of bit pairs, f16 d, f16 dmin */
#define WD_Q3_K_BYTES 110  /* 32 bytes of third bits, 64 of bit pairs, 12 of scales, f16 d */
#define WD_Q4_K_BYTES 144  /* f16 d, f16 dmin, 12 bytes of scales, 128 of nibbles */
#define WD_Q5_K_BYTES 176  /* f16 d, f16 dmin, 12 of scales, 32 of fifth bits, 128 of nibbles */
#define WD_Q6_K_BYTES 210  /* 128 bytes of nibbles, 64 of upper bit pairs, 16 scales, f16 d */
#define WD_IQ4_XS_BYTES 136 /* f16 d, 16 upper scale bit pairs, 4 bytes of scales, 128 of nibbles */

/* At most 256 weights taken apart: w[i] = scale[i / 16] * q[i] + offset[i / 16]. */
struct wd_parts {
    signed char q[WD_SUPER];
    float scale[WD_SUPER / 16], offset[WD_SUPER / 16];
};

typedef uint8_t wd_bytes16 __attribute__((vector_size(16)));
typedef int8_t wd_signed16 __attribute__((vector_size(16)));
typedef uint16_t wd_words8 __attribute__((vector_size(16)));
typedef uint64_t wd_longs2 __attribute__((vector_size(16)));

#define WD_INLINE static inline __attribute__((always_inline))

WD_INLINE wd_bytes16 wd_bytes_load(const void *p)
{
    wd_bytes16 v;

    memcpy(&v, p, sizeof v);
    return v;
}

WD_INLINE void wd_bytes_store(signed char *q, wd_bytes16 v)
{
    memcpy(q, &v, sizeof v);
}

/* (v >> k) & mask, byte by byte; bits of a neighbour that come along must lie outside mask. */
WD_INLINE wd_bytes16 wd_bytes_field(wd_bytes16 v, unsigned k, uint8_t mask)
{
    return (wd_bytes16)((wd_words8)v >> (uint16_t)k) & mask;
}

/* 16 bytes to 32 numbers in [0, 15]: the low nibbles first. */
WD_INLINE void wd_blocks_nibbles(const unsigned char *p, wd_bytes16 *ret)
{
    wd_bytes16 v = wd_bytes_load(p);

    ret[0] = v & 15;
    ret[1] = wd_bytes_field(v, 4, 15);
}

/* 16 in each byte whose bit of the 16 at p is set. */
WD_INLINE wd_bytes16 wd_blocks_fifth(const unsigned char *p)
{
    const wd_longs2 bit = {0x8040201008040201, 0x8040201008040201};
    wd_longs2 each = {p[0] * (uint64_t)0x0101010101010101, p[1] * (uint64_t)0x0101010101010101};

    return (wd_bytes16)((wd_bytes16)(each & bit) == (wd_bytes16)bit) & 16;
}

/* What a nibble of IQ4_NL and IQ4_XS stands for. */
WD_INLINE wd_bytes16 wd_blocks_table(wd_bytes16 v)
{
    const wd_signed16 table = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};
#if defined __SSSE3__
    return (wd_bytes16)_mm_shuffle_epi8((__m128i)table, (__m128i)v);
#elif defined __aarch64__
    return (wd_bytes16)vqtbl1q_s8((int8x16_t)table, (uint8x16_t)v);
#else
    wd_bytes16 ret = v;

    for (unsigned i = 0; i < 16; i++)
        ret[i] = (uint8_t)table[v[i] & 15];
    return ret;
#endif
}

/* The six-bit scale and least of each of the eight 32s of a Q4_K or Q5_K block. */
WD_INLINE void wd_blocks_scales(const unsigned char *s, float d, float dmin, struct wd_parts *ret)
{
    for (unsigned j = 0; j < 4; j++) {
        unsigned scale = s[j] & 63, least = s[j + 4] & 63;
        unsigned scale4 = (s[j + 8] & 15u) | (unsigned)s[j] >> 6 << 4;
        unsigned least4 = (unsigned)s[j + 8] >> 4 | (unsigned)s[j + 4] >> 6 << 4;

        ret->scale[2 * j] = ret->scale[2 * j + 1] = d * (float)scale;
        ret->offset[2 * j] = ret->offset[2 * j + 1] = -(dmin * (float)least);
        ret->scale[2 * j + 8] = ret->scale[2 * j + 9] = d * (float)scale4;
        ret->offset[2 * j + 8] = ret->offset[2 * j + 9] = -(dmin * (float)least4);
    }
}

WD_INLINE void wd_parts_scale(struct wd_parts *ret, unsigned group, float d, float m)
{
    ret->scale[group] = ret->scale[group + 1] = d;
    ret->offset[group] = ret->offset[group + 1] = m;
}

/* A block of 32, whose weights are number `at` and on. half widens the f16 at an address. */
WD_INLINE void wd_block_part(enum wd_type type, float (*half)(const unsigned char *),
                             const unsigned char *p, unsigned at, struct wd_parts *ret)
{
    wd_bytes16 q[2];
    float m = 0;

    switch ((unsigned)type) {
    case WD_TYPE_Q4_0:
        wd_blocks_nibbles(p + 2, q);
        q[0] -= 8;
        q[1] -= 8;
        break;
    case WD_TYPE_Q4_1:
        wd_blocks_nibbles(p + 4, q);
        m = half(p + 2);
        break;
    case WD_TYPE_Q5_0:
        wd_blocks_nibbles(p + 6, q);
        q[0] = (q[0] | wd_blocks_fifth(p + 2)) - 16;
        q[1] = (q[1] | wd_blocks_fifth(p + 4)) - 16;
        break;
    case WD_TYPE_Q5_1:
        wd_blocks_nibbles(p + 8, q);
        q[0] |= wd_blocks_fifth(p + 4);
        q[1] |= wd_blocks_fifth(p + 6);
        m = half(p + 2);
        break;
    case WD_TYPE_Q8_0:
        q[0] = wd_bytes_load(p + 2);
        q[1] = wd_bytes_load(p + 18);
        break;
    default: /* IQ4_NL */
        wd_blocks_nibbles(p + 2, q);
        q[0] = wd_blocks_table(q[0]);
        q[1] = wd_blocks_table(q[1]);
    }
    wd_bytes_store(ret->q + at, q[0]);
    wd_bytes_store(ret->q + at + 16, q[1]);
    wd_parts_scale(ret, at / 16, half(p), m);
}

/* d: of the block, widened. Eight 32s; a byte holds weights of 32s that are neighbours. */
WD_INLINE void wd_q4_k_parts(const unsigned char *p, float d, float dmin, struct wd_parts *ret)
{
    wd_blocks_scales(p + 4, d, dmin, ret);
    for (unsigned i = 0; i < 8; i++) {
        wd_bytes16 v = wd_bytes_load(p + 16 + 16 * i);
        signed char *q = ret->q + 64 * (i / 2) + 16 * (i % 2);

        wd_bytes_store(q, v & 15);
        wd_bytes_store(q + 32, wd_bytes_field(v, 4, 15));
    }
}

WD_INLINE void wd_q5_k_parts(const unsigned char *p, float d, float dmin, struct wd_parts *ret)
{
    wd_blocks_scales(p + 4, d, dmin, ret);
    for (unsigned i = 0; i < 8; i++) {
        unsigned g = i / 2;
        wd_bytes16 v = wd_bytes_load(p + 48 + 16 * i);
        wd_bytes16 high = wd_bytes_field(wd_bytes_load(p + 16 + 16 * (i % 2)), 2 * g, 3);
        signed char *q = ret->q + 64 * g + 16 * (i % 2);

        wd_bytes_store(q, (v & 15) | (high & 1) * 16);
        wd_bytes_store(q + 32, wd_bytes_field(v, 4, 15) | (high & 2) * 8);
    }
}

WD_INLINE void wd_q6_k_parts(const unsigned char *p, float d, struct wd_parts *ret)
{
    const signed char *scales = (const signed char *)p + 192;

    for (unsigned i = 0; i < 4; i++) { /* halves of the two 128s */
        wd_bytes16 low0 = wd_bytes_load(p + 64 * (i / 2) + 16 * (i % 2));
        wd_bytes16 low1 = wd_bytes_load(p + 64 * (i / 2) + 32 + 16 * (i % 2));
        wd_bytes16 high = wd_bytes_load(p + 128 + 16 * i);
        signed char *q = ret->q + 128 * (i / 2) + 16 * (i % 2);

        wd_bytes_store(q, ((low0 & 15) | (high & 3) * 16) - 32);
        wd_bytes_store(q + 32, ((low1 & 15) | (high & 12) * 4) - 32);
        wd_bytes_store(q + 64, (wd_bytes_field(low0, 4, 15) | (high & 48)) - 32);
        wd_bytes_store(q + 96, (wd_bytes_field(low1, 4, 15) | wd_bytes_field(high, 2, 48)) - 32);
    }
    for (unsigned s = 0; s < 16; s++) {
        ret->scale[s] = d * (float)scales[s];
        ret->offset[s] = 0;
    }
}

WD_INLINE void wd_q3_k_parts(const unsigned char *p, float d, struct wd_parts *ret)
{
    const unsigned char *s = p + 96;

    for (unsigned j = 0; j < 16; j++) {
        unsigned low = j < 8 ? s[j] & 15u : (unsigned)s[j - 8] >> 4;
        unsigned high = (unsigned)s[8 + j % 4] >> (2 * (j / 4)) & 3;

        ret->scale[j] = d * (float)((int)(low | high << 4) - 32);
        ret->offset[j] = 0;
    }
    for (unsigned k = 0; k < 16; k++) { /* 16s: two bits in halves of 32 bytes, the third apart */
        wd_bytes16 two = wd_bytes_load(p + 32 + 32 * (k / 8) + 16 * (k % 2));
        wd_bytes16 third = wd_bytes_load(p + 16 * (k % 2));

        two = wd_bytes_field(two, 2 * (k / 2 % 4), 3);
        third = wd_bytes_field(third, k / 2, 1);
        wd_bytes_store(ret->q + 16 * k, two + third * 4 - 4);
    }
}

WD_INLINE void wd_q2_k_parts(const unsigned char *p, float d, float dmin, struct wd_parts *ret)
{
    for (unsigned k = 0; k < 16; k++) {
        wd_bytes16 two = wd_bytes_load(p + 16 + 32 * (k / 8) + 16 * (k % 2));

        wd_bytes_store(ret->q + 16 * k, wd_bytes_field(two, 2 * (k / 2 % 4), 3));
        ret->scale[k] = d * (float)(p[k] & 15);
        ret->offset[k] = -(dmin * (float)(p[k] >> 4));
    }
}

WD_INLINE void wd_iq4_xs_parts(const unsigned char *p, float d, struct wd_parts *ret)
{
    unsigned upper = (unsigned)p[2] | (unsigned)p[3] << 8;

    for (unsigned b = 0; b < 8; b++) {
        unsigned low = (unsigned)p[4 + b / 2] >> (4 * (b & 1)) & 15;
        unsigned scale = low | (upper >> (2 * b) & 3) << 4;
        wd_bytes16 q[2];

        wd_blocks_nibbles(p + 8 + 16 * b, q);
        wd_bytes_store(ret->q + 32 * b, wd_blocks_table(q[0]));
        wd_bytes_store(ret->q + 32 * b + 16, wd_blocks_table(q[1]));
        wd_parts_scale(ret, 2 * b, d * (float)((int)scale - 32), 0);
    }
}

/* n <= 256 weights, whole blocks of any block type. half is a constant where this is inlined.
 * Returns whether there are offsets. */
WD_INLINE int wd_blocks_parts(enum wd_type type, float (*half)(const unsigned char *),
                              const unsigned char *p, unsigned n, struct wd_parts *ret)
{
#define EACH(kind, bytes)                                                                          \
    case kind:                                                                                     \
        for (unsigned at = 0; at < n; at += WD_BLOCK, p += (bytes))                                \
            wd_block_part(kind, half, p, at, ret);                                                 \
        break

    switch ((unsigned)type) {
        EACH(WD_TYPE_Q4_0, WD_Q4_0_BYTES);
        EACH(WD_TYPE_Q4_1, WD_Q4_1_BYTES);
        EACH(WD_TYPE_Q5_0, WD_Q5_0_BYTES);
        EACH(WD_TYPE_Q5_1, WD_Q5_1_BYTES);
        EACH(WD_TYPE_Q8_0, WD_Q8_0_BYTES);
        EACH(WD_TYPE_IQ4_NL, WD_IQ4_NL_BYTES);
    case WD_TYPE_Q2_K:
        wd_q2_k_parts(p, half(p + 80), half(p + 82), ret);
        break;
    case WD_TYPE_Q3_K:
        wd_q3_k_parts(p, half(p + 108), ret);
        break;
    case WD_TYPE_Q4_K:
        wd_q4_k_parts(p, half(p), half(p + 2), ret);
        break;
    case WD_TYPE_Q5_K:
        wd_q5_k_parts(p, half(p), half(p + 2), ret);
        break;
    case WD_TYPE_Q6_K:
        wd_q6_k_parts(p, half(p + 208), ret);
        break;
    case WD_TYPE_IQ4_XS:
        wd_iq4_xs_parts(p, half(p), ret);
        break;
    default: /* no block type */
        memset(ret, 0, sizeof *ret);
    }
#undef EACH
    switch ((unsigned)type) {
    case WD_TYPE_Q4_1:
    case WD_TYPE_Q5_1:
    case WD_TYPE_Q2_K:
    case WD_TYPE_Q4_K:
    case WD_TYPE_Q5_K:
        return 1;
    default:
        return 0;
    }
}
