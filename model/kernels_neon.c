/* model/kernels_neon.c - the vectors of 64-bit ARM, which every such processor has: 4 floats. */
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

#define VL 4
typedef float32x4_t vf;

static inline vf vf_zero(void)
{
    return vdupq_n_f32(0);
}

static inline vf vf_set1(float x)
{
    return vdupq_n_f32(x);
}

static inline vf vf_load(const float *p)
{
    return vld1q_f32(p);
}

static inline void vf_keep(vf *v)
{
    __asm__("" : "+w"(*v));
}

static inline void vf_store(float *p, vf v)
{
    vst1q_f32(p, v);
}

static inline vf vf_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}

static inline vf vf_sub(vf a, vf b)
{
    return vsubq_f32(a, b);
}

static inline vf vf_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}

static inline vf vf_div(vf a, vf b)
{
    return vdivq_f32(a, b);
}

static inline vf vf_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}

static inline vf vf_min(vf a, vf b)
{
    return vminq_f32(a, b);
}

static inline vf vf_max(vf a, vf b)
{
    return vmaxq_f32(a, b);
}

static inline vf vf_rint(vf x)
{
    return vrndnq_f32(x);
}

static inline vf vf_pow2(vf n)
{
    int32x4_t e = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));

    return vreinterpretq_f32_s32(vshlq_n_s32(e, 23));
}

static inline vf vf_unless_below(vf x, float limit, vf v)
{
    uint32x4_t below = vcltq_f32(x, vdupq_n_f32(limit));

    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(v), below));
}

static inline float vf_sum(vf v)
{
    return vaddvq_f32(v);
}

/* By bytes: the numbers of a block need not be aligned. */
static inline uint16x4_t load_u16x4(const unsigned char *p)
{
    return vreinterpret_u16_u8(vld1_u8(p));
}

static inline vf vf_from_f16(const unsigned char *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(load_u16x4(p)));
}

static inline vf vf_from_bf16(const unsigned char *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(load_u16x4(p), 16));
}

static inline vf vf_from_i8(const signed char *p)
{
    uint32_t four;

    __builtin_memcpy(&four, p, sizeof four);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four))))));
}

static inline float one_f16(const unsigned char *p)
{
    uint16_t h;

    __builtin_memcpy(&h, p, sizeof h);
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(h))), 0);
}

static inline void scales8(const unsigned char *p, size_t step, float *ret)
{
    uint16_t h[8];

    for (size_t i = 0; i < 8; i++)
        __builtin_memcpy(&h[i], p + i * step, sizeof h[i]);
    vst1q_f32(ret, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(h))));
    vst1q_f32(ret + 4, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(h + 4))));
}

typedef struct {
    int16x8_t a, b, c, d;
} vw;

static inline vw vw_load(const int16_t *p)
{
    return (vw){vld1q_s16(p), vld1q_s16(p + 8), vld1q_s16(p + 16), vld1q_s16(p + 24)};
}

static inline void vw_store(int16_t *p, vw w)
{
    vst1q_s16(p, w.a);
    vst1q_s16(p + 8, w.b);
    vst1q_s16(p + 16, w.c);
    vst1q_s16(p + 24, w.d);
}

static inline void vw_keep(vw *w)
{
    __asm__("" : "+w"(w->a), "+w"(w->b), "+w"(w->c), "+w"(w->d));
}

/* Weights 0 to 15 and 16 to 31. */
static inline vw widen(int8x16_t lo, int8x16_t hi)
{
    return (vw){vmovl_s8(vget_low_s8(lo)), vmovl_high_s8(lo), vmovl_s8(vget_low_s8(hi)),
                vmovl_high_s8(hi)};
}

static inline vw vw_q8_0(const unsigned char *block)
{
    return widen(vreinterpretq_s8_u8(vld1q_u8(block + 2)),
                 vreinterpretq_s8_u8(vld1q_u8(block + 18)));
}

static inline vw vw_q4_0(const unsigned char *block)
{
    uint8x16_t q = vld1q_u8(block + 2);
    int8x16_t lo = vreinterpretq_s8_u8(vandq_u8(q, vdupq_n_u8(15)));
    int8x16_t hi = vreinterpretq_s8_u8(vshrq_n_u8(q, 4)), eight = vdupq_n_s8(8);

    return widen(vsubq_s8(lo, eight), vsubq_s8(hi, eight));
}

static inline vf vw_dot(vw w, vw x)
{
    int32x4_t s = vmull_s16(vget_low_s16(w.a), vget_low_s16(x.a));
    int32x4_t t = vmull_high_s16(w.a, x.a);

    s = vmlal_s16(s, vget_low_s16(w.b), vget_low_s16(x.b));
    t = vmlal_high_s16(t, w.b, x.b);
    s = vmlal_s16(s, vget_low_s16(w.c), vget_low_s16(x.c));
    t = vmlal_high_s16(t, w.c, x.c);
    s = vmlal_s16(s, vget_low_s16(w.d), vget_low_s16(x.d));
    t = vmlal_high_s16(t, w.d, x.d);
    return vcvtq_f32_s32(vaddq_s32(s, t));
}

#include "model/kernels_tile.h"
#include <math.h>

static float round_block(const float *x, int16_t *ret)
{
    uint32x4_t most = vdupq_n_u32(0);
    uint32_t bits;
    float max, inv;

    /* Magnitudes compare as integers, and so does NaN above infinity. */
    for (int i = 0; i < BLOCK; i += 4)
        most = vmaxq_u32(most, vreinterpretq_u32_f32(vabsq_f32(vf_load(x + i))));
    bits = vmaxvq_u32(most);
    memcpy(&max, &bits, sizeof max);
    if (bits >= 0x7f800000 || max < WD_Q16_LEAST) {
        memset(ret, 0, BLOCK * sizeof *ret);
        return bits >= 0x7f800000 ? NAN : 0;
    }
    inv = 32767 / max;
    for (int i = 0; i < BLOCK; i += 4)
        vst1_s16(ret + i, vqmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(vf_load(x + i), inv))));
    return max / 32767;
}

static int usable(void)
{
    return 1;
}

const struct wd_kernels wd_kernels_neon = {.name = "neon", .usable = usable, TILE_KERNELS};
