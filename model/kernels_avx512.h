/* model/kernels_avx512.h - the vectors of x86-64 with AVX-512 F, BW, DQ and VL: 16 floats. For the
 * files that are built with those flags; what kernels_tile.h asks for, whose includer includes
 * <immintrin.h> and this before it. */
#pragma once
#include "model/kernels.h"
#include <math.h>
#include <stdint.h>
#include <string.h>

#define VL 16
typedef __m512 vf;

static inline vf vf_zero(void)
{
    return _mm512_setzero_ps();
}

static inline vf vf_set1(float x)
{
    return _mm512_set1_ps(x);
}

static inline vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void vf_keep(vf *v)
{
    __asm__("" : "+v"(*v));
}

static inline void vf_store(float *p, vf v)
{
    _mm512_storeu_ps(p, v);
}

static inline vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}

static inline vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}

static inline vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}

static inline vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}

static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}

static inline vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

static inline vf vf_rint(vf x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf vf_pow2(vf n)
{
    __m512i e = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));

    return _mm512_castsi512_ps(_mm512_slli_epi32(e, 23));
}

static inline vf vf_unless_below(vf x, float limit, vf v)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(limit), _CMP_NLT_UQ), v);
}

static inline float vf_sum(vf v)
{
    return _mm512_reduce_add_ps(v);
}

static inline __m256i load256(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline vf vf_from_f16(const unsigned char *p)
{
    return _mm512_cvtph_ps(load256(p));
}

static inline vf vf_from_bf16(const unsigned char *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load256(p)), 16));
}

static inline vf vf_from_i8(const signed char *p)
{
    __m128i q = _mm_loadu_si128((const __m128i *)(const void *)p);

    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q));
}

static inline uint16_t u16_at(const unsigned char *p)
{
    uint16_t h;

    __builtin_memcpy(&h, p, sizeof h);
    return h;
}

static inline float one_f16(const unsigned char *p)
{
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(u16_at(p))));
}

static inline void scales8(const unsigned char *p, size_t step, float *ret)
{
    __m128i h = _mm_cvtsi32_si128(u16_at(p));

    h = _mm_insert_epi16(h, u16_at(p + step), 1);
    h = _mm_insert_epi16(h, u16_at(p + 2 * step), 2);
    h = _mm_insert_epi16(h, u16_at(p + 3 * step), 3);
    h = _mm_insert_epi16(h, u16_at(p + 4 * step), 4);
    h = _mm_insert_epi16(h, u16_at(p + 5 * step), 5);
    h = _mm_insert_epi16(h, u16_at(p + 6 * step), 6);
    h = _mm_insert_epi16(h, u16_at(p + 7 * step), 7);
    _mm256_storeu_ps(ret, _mm256_cvtph_ps(h));
}

typedef __m512i vw;

static inline vw vw_load(const int16_t *p)
{
    return _mm512_loadu_si512(p);
}

static inline void vw_store(int16_t *p, vw w)
{
    _mm512_storeu_si512(p, w);
}

static inline void vw_keep(vw *w)
{
    __asm__("" : "+v"(*w));
}

static inline vw vw_q8_0(const unsigned char *block)
{
    return _mm512_cvtepi8_epi16(load256(block + 2));
}

static inline vw vw_q4_0(const unsigned char *block)
{
    /* Sixteen bytes, one in each 16-bit lane: the low halves are weights 0 to 15, the high ones the
     * others, both in order. */
    __m128i q = _mm_loadu_si128((const __m128i *)(const void *)(block + 2));
    __m256i both = _mm256_cvtepu8_epi16(q);
    __m256i lo = _mm256_and_si256(both, _mm256_set1_epi16(15)), hi = _mm256_srli_epi16(both, 4);
    __m512i w = _mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1);

    return _mm512_sub_epi16(w, _mm512_set1_epi16(8));
}

static inline vf vw_dot(vw w, vw x)
{
    return _mm512_cvtepi32_ps(_mm512_madd_epi16(w, x));
}

static float round_block(const float *x, int16_t *ret)
{
    __m512i sign_off = _mm512_set1_epi32(0x7fffffff);
    /* Magnitudes compare as integers, and so does NaN above infinity. */
    __m512i most = _mm512_max_epi32(_mm512_and_si512(_mm512_loadu_si512(x), sign_off),
                                    _mm512_and_si512(_mm512_loadu_si512(x + 16), sign_off));
    uint32_t bits = (uint32_t)_mm512_reduce_max_epi32(most);
    float max;
    vf inv;

    memcpy(&max, &bits, sizeof max);
    if (bits >= 0x7f800000 || max < WD_Q16_LEAST) {
        memset(ret, 0, WD_Q16_BLOCK * sizeof *ret);
        return bits >= 0x7f800000 ? NAN : 0;
    }
    inv = vf_set1(32767 / max);
    for (int i = 0; i < 2; i++) {
        __m512i q = _mm512_cvtps_epi32(vf_mul(vf_load(x + 16 * i), inv));

        _mm256_storeu_si256((__m256i *)(void *)(ret + 16 * i), _mm512_cvtsepi32_epi16(q));
    }
    return max / 32767;
}
