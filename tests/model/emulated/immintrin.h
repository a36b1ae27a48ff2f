/* tests/model/emulated/immintrin.h - stands in for the compiler's header of that name: the AVX-512
 * instructions that model/kernels_avx512*.c use, one number at a time, so that those files run on
 * any processor. What each does is written after Intel's Software Developer's Manual, volume 2;
 * bits that it leaves undefined are set to nonsense here. */
#pragma once
#include "model/quant.h"
#include <limits.h>
#include <math.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The kernels' only assembler holds values in a register, which means nothing here. Behind the
 * headers of the C library, which has its own uses for the word. */
#define __asm__(...)

typedef struct {
    uint8_t b[16];
} __m128i;
typedef struct {
    uint8_t b[32];
} __m256i;
typedef struct {
    uint8_t b[64];
} __m512i;
typedef struct {
    float f[4];
} __m128;
typedef struct {
    float f[8];
} __m256;
typedef struct {
    float f[16];
} __m512;
typedef uint16_t __mmask16;

/* Called, not inlined: the kernels unroll their loops over registers, which is much code as it is.
 */
#define EMULATED static __attribute__((noinline, unused))

#define _MM_FROUND_TO_NEAREST_INT 0
#define _MM_FROUND_NO_EXC 8
#define _CMP_NLT_UQ 21
#define NONSENSE 0xa5

/* A register read as numbers of one type. */
#define AS(type, n, reg)                                                                           \
    type reg##_[n];                                                                                \
    memcpy(reg##_, &reg, sizeof reg##_)

#define LOAD(name, reg, pointer)                                                                   \
    EMULATED reg name(pointer p)                                                                   \
    {                                                                                              \
        reg r;                                                                                     \
                                                                                                   \
        memcpy(&r, p, sizeof r);                                                                   \
        return r;                                                                                  \
    }
LOAD(_mm_loadu_ps, __m128, const float *)
LOAD(_mm_loadu_si128, __m128i, const __m128i *)
LOAD(_mm256_loadu_si256, __m256i, const __m256i *)
LOAD(_mm512_loadu_ps, __m512, const float *)
LOAD(_mm512_loadu_si512, __m512i, const void *)

#define STORE(name, reg, pointer)                                                                  \
    EMULATED void name(pointer p, reg r)                                                           \
    {                                                                                              \
        memcpy(p, &r, sizeof r);                                                                   \
    }
STORE(_mm256_storeu_ps, __m256, float *)
STORE(_mm256_storeu_si256, __m256i, __m256i *)
STORE(_mm512_storeu_ps, __m512, float *)
STORE(_mm512_storeu_si512, __m512i, void *)

/* n numbers, each by an expression in k and the arguments. */
#define MAKE(name, reg, type, n, args, value)                                                      \
    EMULATED reg name args                                                                         \
    {                                                                                              \
        type r_[n];                                                                                \
        reg r;                                                                                     \
                                                                                                   \
        for (int k = 0; k < n; k++)                                                                \
            r_[k] = (type)(value);                                                                 \
        memcpy(&r, r_, sizeof r);                                                                  \
        return r;                                                                                  \
    }
MAKE(_mm512_setzero_ps, __m512, float, 16, (void), 0)
MAKE(_mm512_setzero_si512, __m512i, uint32_t, 16, (void), 0)
MAKE(_mm512_set1_ps, __m512, float, 16, (float x), x)
MAKE(_mm512_set1_epi32, __m512i, int32_t, 16, (int x), x)
MAKE(_mm512_set1_epi16, __m512i, int16_t, 32, (short x), x)
MAKE(_mm512_set1_epi8, __m512i, int8_t, 64, (char x), x)
MAKE(_mm256_set1_epi16, __m256i, int16_t, 16, (short x), x)
MAKE(_mm_cvtsi32_si128, __m128i, int32_t, 4, (int x), k ? 0 : x)

EMULATED __m512i _mm512_set_epi32(int e15, int e14, int e13, int e12, int e11, int e10, int e9,
                                  int e8, int e7, int e6, int e5, int e4, int e3, int e2, int e1,
                                  int e0)
{
    int32_t e[16] = {e0, e1, e2, e3, e4, e5, e6, e7, e8, e9, e10, e11, e12, e13, e14, e15};

    return _mm512_loadu_si512(e);
}

/* From one register, or two or three, number by number. */
#define ONE(name, from, type, n, to, to_type, value)                                               \
    EMULATED to name(from a)                                                                       \
    {                                                                                              \
        AS(type, n, a);                                                                            \
        to_type r_[n];                                                                             \
        to r;                                                                                      \
                                                                                                   \
        for (int k = 0; k < n; k++)                                                                \
            r_[k] = (to_type)(value);                                                              \
        memcpy(&r, r_, sizeof r);                                                                  \
        return r;                                                                                  \
    }
#define TWO(name, reg, type, n, value)                                                             \
    EMULATED reg name(reg a, reg b)                                                                \
    {                                                                                              \
        AS(type, n, a);                                                                            \
        AS(type, n, b);                                                                            \
        type r_[n];                                                                                \
        reg r;                                                                                     \
                                                                                                   \
        for (int k = 0; k < n; k++)                                                                \
            r_[k] = (type)(value);                                                                 \
        memcpy(&r, r_, sizeof r);                                                                  \
        return r;                                                                                  \
    }
#define SHIFT(name, reg, type, n, operator)                                                        \
    EMULATED reg name(reg a, unsigned count)                                                       \
    {                                                                                              \
        AS(type, n, a);                                                                            \
        reg r;                                                                                     \
                                                                                                   \
        for (int k = 0; k < n; k++)                                                                \
            a_[k] = (type)(count < 8 * sizeof *a_ ? a_[k] operator count : 0);                     \
        memcpy(&r, a_, sizeof r);                                                                  \
        return r;                                                                                  \
    }
ONE(_mm256_cvtepu8_epi16, __m128i, uint8_t, 16, __m256i, int16_t, a_[k])
ONE(_mm512_cvtepi8_epi16, __m256i, int8_t, 32, __m512i, int16_t, a_[k])
ONE(_mm512_cvtepi8_epi32, __m128i, int8_t, 16, __m512i, int32_t, a_[k])
ONE(_mm512_cvtepi16_epi8, __m512i, uint16_t, 32, __m256i, uint8_t, a_[k] & 255)
ONE(_mm512_cvtepi16_epi32, __m256i, int16_t, 16, __m512i, int32_t, a_[k])
ONE(_mm512_cvtepu16_epi32, __m256i, uint16_t, 16, __m512i, int32_t, a_[k])
ONE(_mm512_cvtepi32_ps, __m512i, int32_t, 16, __m512, float, a_[k])
ONE(_mm512_cvtps_epi32, __m512, float, 16, __m512i, int32_t,
    fabsf(a_[k]) < 0x1p31f ? (int32_t)lrintf(a_[k]) : INT32_MIN)
ONE(_mm512_cvtsepi32_epi16, __m512i, int32_t, 16, __m256i, int16_t,
    a_[k] > INT16_MAX   ? INT16_MAX
    : a_[k] < INT16_MIN ? INT16_MIN
                        : a_[k])
ONE(_mm256_cvtph_ps, __m128i, uint16_t, 8, __m256, float, wd_f16_to_f32(a_[k]))
ONE(_mm512_cvtph_ps, __m256i, uint16_t, 16, __m512, float, wd_f16_to_f32(a_[k]))

TWO(_mm512_add_ps, __m512, float, 16, a_[k] + b_[k])
TWO(_mm512_sub_ps, __m512, float, 16, a_[k] - b_[k])
TWO(_mm512_mul_ps, __m512, float, 16, a_[k] * b_[k])
TWO(_mm512_div_ps, __m512, float, 16, a_[k] / b_[k])
TWO(_mm512_min_ps, __m512, float, 16, a_[k] < b_[k] ? a_[k] : b_[k])
TWO(_mm512_max_ps, __m512, float, 16, a_[k] > b_[k] ? a_[k] : b_[k])
TWO(_mm512_add_epi32, __m512i, uint32_t, 16, a_[k] + b_[k])
TWO(_mm512_sub_epi32, __m512i, uint32_t, 16, a_[k] - b_[k])
TWO(_mm512_sub_epi16, __m512i, uint16_t, 32, a_[k] - b_[k])
TWO(_mm512_max_epi32, __m512i, int32_t, 16, a_[k] > b_[k] ? a_[k] : b_[k])
TWO(_mm512_and_si512, __m512i, uint8_t, 64, a_[k] & b_[k])
TWO(_mm512_xor_si512, __m512i, uint8_t, 64, a_[k] ^ b_[k])
TWO(_mm256_and_si256, __m256i, uint8_t, 32, a_[k] & b_[k])

SHIFT(_mm512_slli_epi32, __m512i, uint32_t, 16, <<)
SHIFT(_mm512_slli_epi16, __m512i, uint16_t, 32, <<)
SHIFT(_mm512_srli_epi16, __m512i, uint16_t, 32, >>)
SHIFT(_mm256_srli_epi16, __m256i, uint16_t, 16, >>)

EMULATED __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c)
{
    for (int k = 0; k < 16; k++)
        c.f[k] = fmaf(a.f[k], b.f[k], c.f[k]);
    return c;
}

EMULATED __m512 _mm512_roundscale_ps(__m512 a, int mode)
{
    if (mode != (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC))
        abort();
    for (int k = 0; k < 16; k++)
        a.f[k] = nearbyintf(a.f[k]);
    return a;
}

/* Pairs of products of int16, added. */
EMULATED __m512i _mm512_madd_epi16(__m512i a, __m512i b)
{
    AS(int16_t, 32, a);
    AS(int16_t, 32, b);
    uint32_t r[16];

    for (int k = 0; k < 16; k++)
        r[k] = (uint32_t)(a_[2 * k] * b_[2 * k]) + (uint32_t)(a_[2 * k + 1] * b_[2 * k + 1]);
    return _mm512_loadu_si512(r);
}

/* VPDPBUSD: the bytes of a are unsigned, those of b signed; nothing saturates. */
EMULATED __m512i _mm512_dpbusd_epi32(__m512i sum, __m512i a, __m512i b)
{
    AS(uint32_t, 16, sum);
    AS(uint8_t, 64, a);
    AS(int8_t, 64, b);

    for (int k = 0; k < 64; k++)
        sum_[k / 4] += (uint32_t)((int32_t)a_[k] * b_[k]);
    return _mm512_loadu_si512(sum_);
}

EMULATED __m512i _mm512_ternarylogic_epi32(__m512i a, __m512i b, __m512i c, int table)
{
    __m512i r = {{0}};

    for (int k = 0; k < 64; k++)
        for (int i = 0; i < 8; i++) {
            int at = (a.b[k] >> i & 1) << 2 | (b.b[k] >> i & 1) << 1 | (c.b[k] >> i & 1);

            r.b[k] = (uint8_t)(r.b[k] | (table >> at & 1) << i);
        }
    return r;
}

EMULATED __m512i _mm512_permutex2var_epi32(__m512i a, __m512i index, __m512i b)
{
    AS(uint32_t, 16, index);
    __m512i r;

    for (int k = 0; k < 16; k++)
        memcpy(r.b + 4 * k, (index_[k] & 16 ? &b : &a)->b + 4 * (index_[k] & 15), 4);
    return r;
}

EMULATED __m256i _mm256_castsi128_si256(__m128i a)
{
    __m256i r;

    memset(&r, NONSENSE, sizeof r);
    memcpy(&r, &a, sizeof a);
    return r;
}

EMULATED __m256i _mm256_inserti128_si256(__m256i a, __m128i b, int at)
{
    memcpy(a.b + 16 * (at & 1), &b, sizeof b);
    return a;
}

EMULATED __m512i _mm512_castsi256_si512(__m256i a)
{
    __m512i r;

    memset(&r, NONSENSE, sizeof r);
    memcpy(&r, &a, sizeof a);
    return r;
}

EMULATED __m256i _mm512_extracti64x4_epi64(__m512i a, int at)
{
    __m256i r;

    memcpy(&r, a.b + 32 * (at & 1), sizeof r);
    return r;
}

EMULATED __m256i _mm512_castsi512_si256(__m512i a)
{
    return _mm512_extracti64x4_epi64(a, 0);
}

EMULATED __m512i _mm512_inserti64x4(__m512i a, __m256i b, int at)
{
    memcpy(a.b + 32 * (at & 1), &b, sizeof b);
    return a;
}

EMULATED __m512 _mm512_castsi512_ps(__m512i a)
{
    __m512 r;

    memcpy(&r, &a, sizeof r);
    return r;
}

EMULATED __m512 _mm512_broadcast_f32x4(__m128 a)
{
    __m512 r;

    for (int k = 0; k < 16; k++)
        r.f[k] = a.f[k & 3];
    return r;
}

EMULATED __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, int relation)
{
    unsigned mask = 0;

    if (relation != _CMP_NLT_UQ)
        abort();
    for (int k = 0; k < 16; k++)
        mask |= (unsigned)!(a.f[k] < b.f[k]) << k;
    return (__mmask16)mask;
}

EMULATED __m512 _mm512_maskz_mov_ps(__mmask16 mask, __m512 a)
{
    for (int k = 0; k < 16; k++)
        if (!(mask >> k & 1))
            a.f[k] = 0;
    return a;
}

/* The order is the compiler's to choose. */
EMULATED float _mm512_reduce_add_ps(__m512 a)
{
    for (int n = 8; n; n /= 2)
        for (int k = 0; k < n; k++)
            a.f[k] += a.f[k + n];
    return a.f[0];
}

EMULATED int _mm512_reduce_max_epi32(__m512i a)
{
    AS(int32_t, 16, a);

    for (int k = 1; k < 16; k++)
        a_[0] = a_[k] > a_[0] ? a_[k] : a_[0];
    return a_[0];
}

EMULATED __m128i _mm_insert_epi16(__m128i a, int x, int at)
{
    uint16_t low = (uint16_t)x;

    memcpy(a.b + 2 * (at & 7), &low, sizeof low);
    return a;
}

EMULATED __m128 _mm_cvtph_ps(__m128i a)
{
    AS(uint16_t, 8, a);
    __m128 r;

    for (int k = 0; k < 4; k++)
        r.f[k] = wd_f16_to_f32(a_[k]);
    return r;
}

EMULATED float _mm_cvtss_f32(__m128 a)
{
    return a.f[0];
}
