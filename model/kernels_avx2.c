/* model/kernels_avx2.c - the vectors of x86-64 with AVX2, FMA and F16C: 8 floats. */
#include <immintrin.h>
#include <stdint.h>

#define VL 8
typedef __m256 vf;

static inline vf vf_zero(void)
{
    return _mm256_setzero_ps();
}

static inline vf vf_set1(float x)
{
    return _mm256_set1_ps(x);
}

static inline vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void vf_keep(vf *v)
{
    __asm__("" : "+x"(*v));
}

static inline void vf_store(float *p, vf v)
{
    _mm256_storeu_ps(p, v);
}

static inline vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}

static inline vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}

static inline vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}

static inline vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}

static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}

static inline vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}

static inline vf vf_rint(vf x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf vf_pow2(vf n)
{
    __m256i e = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));

    return _mm256_castsi256_ps(_mm256_slli_epi32(e, 23));
}

static inline vf vf_unless_below(vf x, float limit, vf v)
{
    return _mm256_andnot_ps(_mm256_cmp_ps(x, _mm256_set1_ps(limit), _CMP_LT_OQ), v);
}

static inline float vf_sum(vf v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline vf vf_from_f16(const unsigned char *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

static inline vf vf_from_bf16(const unsigned char *p)
{
    __m256i h = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));

    return _mm256_castsi256_ps(_mm256_slli_epi32(h, 16));
}

static inline vf vf_from_i8(const signed char *p)
{
    __m128i q = _mm_loadl_epi64((const __m128i *)(const void *)p);

    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q));
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

typedef struct {
    __m256i lo, hi;
} vw;

static inline __m256i load256(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline vw vw_load(const int16_t *p)
{
    return (vw){load256(p), load256(p + 16)};
}

static inline void vw_store(int16_t *p, vw w)
{
    _mm256_storeu_si256((__m256i *)(void *)p, w.lo);
    _mm256_storeu_si256((__m256i *)(void *)(p + 16), w.hi);
}

static inline vw vw_q8_0(const unsigned char *block)
{
    const __m128i *q = (const __m128i *)(const void *)(block + 2);

    return (vw){_mm256_cvtepi8_epi16(_mm_loadu_si128(q)),
                _mm256_cvtepi8_epi16(_mm_loadu_si128(q + 1))};
}

static inline vw vw_q4_0(const unsigned char *block)
{
    /* Sixteen bytes, one in each 16-bit lane: the low halves are weights 0 to 15, the high ones
     * the others, both in order. */
    const __m128i *q = (const __m128i *)(const void *)(block + 2);
    __m256i both = _mm256_cvtepu8_epi16(_mm_loadu_si128(q)), eight = _mm256_set1_epi16(8);

    return (vw){_mm256_sub_epi16(_mm256_and_si256(both, _mm256_set1_epi16(15)), eight),
                _mm256_sub_epi16(_mm256_srli_epi16(both, 4), eight)};
}

static inline void vw_keep(vw *w)
{
    __asm__("" : "+x"(w->lo), "+x"(w->hi));
}

static inline vf vw_dot(vw w, vw x)
{
    __m256i s = _mm256_add_epi32(_mm256_madd_epi16(w.lo, x.lo), _mm256_madd_epi16(w.hi, x.hi));

    return _mm256_cvtepi32_ps(s);
}

#include "model/kernels_tile.h"
#include <math.h>

static float round_block(const float *x, int16_t *ret)
{
    __m256i most = _mm256_setzero_si256(), q[4];
    __m128i m;
    uint32_t bits;
    float max, inv;

    /* Magnitudes compare as integers, and so does NaN above infinity. */
    for (int i = 0; i < 4; i++)
        most = _mm256_max_epi32(
            most, _mm256_and_si256(load256(x + 8 * i), _mm256_set1_epi32(0x7fffffff)));
    m = _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
    bits = (uint32_t)_mm_cvtsi128_si32(m);
    max = _mm_cvtss_f32(_mm_castsi128_ps(m));
    if (bits >= 0x7f800000 || max < WD_Q16_LEAST) {
        memset(ret, 0, BLOCK * sizeof *ret);
        return bits >= 0x7f800000 ? NAN : 0;
    }
    inv = 32767 / max;
    for (int i = 0; i < 4; i++)
        q[i] = _mm256_cvtps_epi32(vf_mul(vf_load(x + 8 * i), vf_set1(inv)));
    for (int i = 0; i < 2; i++) {
        /* packs works by 128-bit halves: 0xd8 puts the quarters back in order */
        __m256i p = _mm256_packs_epi32(q[2 * i], q[2 * i + 1]);

        _mm256_storeu_si256((__m256i *)(void *)(ret + 16 * i), _mm256_permute4x64_epi64(p, 0xd8));
    }
    return max / 32767;
}

const struct wd_kernels wd_kernels_avx2 = {
    .name = "avx2", .usable = wd_kernels_has_avx2, TILE_KERNELS};
