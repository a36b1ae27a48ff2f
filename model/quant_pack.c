/* model/quant_pack.c - f32 to the number formats of weights, not knowing what they meet. */
#include "model/quant.h"
#include "model/quant_blocks.h"
#include <assert.h>
#include <math.h>
#include <string.h>

#define BLOCK WD_BLOCK
#define Q4_0_BYTES WD_Q4_0_BYTES
#define Q8_0_BYTES WD_Q8_0_BYTES

static uint16_t bf16_of(float f)
{
    uint32_t u;

    memcpy(&u, &f, sizeof u);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

/* The value of the block that is largest in magnitude, with its sign. */
static float extreme_of(const float *x)
{
    float best = 0;

    for (size_t j = 0; j < BLOCK; j++)
        if (fabsf(x[j]) > fabsf(best))
            best = x[j];
    return best;
}

/* Rounds x / d; a NaN, or d = 0, gives 0. */
static int quotient(float x, float d, int least, int most)
{
    float q = d != 0 ? nearbyintf(x / d) : 0;

    if (!(q > (float)least))
        return q == q ? least : 0;
    return q < (float)most ? (int)q : most;
}

static void pack_q4_0(const float *x, unsigned char *p)
{
    /* Eight steps below zero, seven above: the largest value lies on the side with eight. */
    uint16_t h = wd_f32_to_f16(extreme_of(x) / -8);
    float d = wd_f16_to_f32(h);

    memcpy(p, &h, sizeof h);
    for (size_t j = 0; j < BLOCK / 2; j++) {
        int lo = quotient(x[j], d, -8, 7) + 8, hi = quotient(x[j + BLOCK / 2], d, -8, 7) + 8;

        p[2 + j] = (unsigned char)(lo | hi << 4);
    }
}

static void pack_q8_0(const float *x, unsigned char *p)
{
    uint16_t h = wd_f32_to_f16(fabsf(extreme_of(x)) / 127);
    float d = wd_f16_to_f32(h);

    memcpy(p, &h, sizeof h);
    for (size_t j = 0; j < BLOCK; j++)
        p[2 + j] = (unsigned char)quotient(x[j], d, -127, 127);
}

/* A scale for each 16, itself in 8 bits of the block's scale. */
static void pack_q6_k(const float *x, unsigned char *p)
{
    float scale[16], most = 0, d;
    uint16_t h;

    for (size_t s = 0; s < 16; s++) {
        scale[s] = 0;
        for (size_t k = 0; k < 16; k++)
            scale[s] = fmaxf(scale[s], fabsf(x[s * 16 + k]));
        scale[s] /= 31;
        most = fmaxf(most, scale[s]);
    }
    h = wd_f32_to_f16(most / 127);
    d = wd_f16_to_f32(h);
    memset(p, 0, 192);
    memcpy(p + 208, &h, sizeof h);
    for (size_t s = 0; s < 16; s++) {
        int step = quotient(scale[s], d, 0, 127);

        p[192 + s] = (unsigned char)step;
        for (size_t k = 0; k < 16; k++) {
            size_t i = s * 16 + k, half = i / 128, j = i % 128, l = j % 32, part = j / 32;
            unsigned q = (unsigned)(quotient(x[i], d * (float)step, -32, 31) + 32);

            p[64 * half + l + 32 * (part & 1)] |= (unsigned char)((q & 15) << (part < 2 ? 0 : 4));
            p[128 + 32 * half + l] |= (unsigned char)((q >> 4) << (2 * part));
        }
    }
}

/* 32 numbers as a step times [0, 15], less `least` >= 0: by turns the nearest whole numbers and the
 * least squares for them, as long as the error shrinks. */
static void fit_q4_k(const float *x, float *ret_step, float *ret_least)
{
    float low = 0, high = 0, step, error = INFINITY;

    for (size_t j = 0; j < BLOCK; j++) {
        low = fminf(low, x[j]);
        high = fmaxf(high, x[j]);
    }
    step = (high - low) / 15;
    *ret_step = step;
    *ret_least = -low;
    for (int turn = 0; turn < 8 && step > 0; turn++) {
        double q1 = 0, q2 = 0, x1 = 0, xq = 0, off = 0, d;

        for (size_t j = 0; j < BLOCK; j++) {
            int q = quotient(x[j] - low, step, 0, 15);
            float missed = step * (float)q + low - x[j];

            off += (double)missed * (double)missed;
            q1 += q;
            q2 += q * q;
            x1 += (double)x[j];
            xq += q * (double)x[j];
        }
        if (!(off < (double)error))
            return;
        error = (float)off;
        *ret_step = step;
        *ret_least = -low;
        d = BLOCK * q2 - q1 * q1;
        if (!(d > 0))
            return;
        step = (float)((BLOCK * xq - q1 * x1) / d);
        low = (float)((x1 - (double)step * q1) / BLOCK);
        if (low > 0) { /* the format takes off, it does not add */
            low = 0;
            step = (float)(xq / q2);
        }
    }
}

/* Steps and leasts of the 32s in six bits of the block's. */
static void pack_q4_k(const float *x, unsigned char *p)
{
    float step[8], least[8], most_step = 0, most_least = 0, d, dmin;
    unsigned s[8], m[8];
    uint16_t h[2];

    for (size_t k = 0; k < 8; k++) {
        fit_q4_k(x + BLOCK * k, &step[k], &least[k]);
        most_step = fmaxf(most_step, step[k]);
        most_least = fmaxf(most_least, least[k]);
    }
    h[0] = wd_f32_to_f16(most_step / 63);
    h[1] = wd_f32_to_f16(most_least / 63);
    d = wd_f16_to_f32(h[0]);
    dmin = wd_f16_to_f32(h[1]);
    memcpy(p, h, sizeof h);
    for (size_t k = 0; k < 8; k++) {
        s[k] = (unsigned)quotient(step[k], d, 0, 63);
        m[k] = (unsigned)quotient(least[k], dmin, 0, 63);
    }
    for (size_t k = 0; k < 4; k++) {
        p[4 + k] = (unsigned char)(s[k] | s[k + 4] >> 4 << 6);
        p[8 + k] = (unsigned char)(m[k] | m[k + 4] >> 4 << 6);
        p[12 + k] = (unsigned char)((s[k + 4] & 15) | (m[k + 4] & 15) << 4);
    }
    for (size_t k = 0; k < 8; k++)
        for (size_t j = 0; j < BLOCK; j++) {
            float up = x[BLOCK * k + j] + dmin * (float)m[k];
            int q = quotient(up, d * (float)s[k], 0, 15);
            unsigned char *to = p + 16 + 32 * (k / 2) + j;

            *to = (unsigned char)(k % 2 ? *to | q << 4 : q);
        }
}

int wd_quant_packs(uint32_t type)
{
    return wd_type_block(type) == 1 || type == WD_TYPE_Q4_0 || type == WD_TYPE_Q8_0 ||
           type == WD_TYPE_Q4_K || type == WD_TYPE_Q6_K;
}

void wd_quant_pack(enum wd_type type, const float *src, void *dst, size_t n)
{
    unsigned char *p = dst;

    switch (type) {
    case WD_TYPE_F32:
        memcpy(dst, src, n * sizeof *src);
        break;
    case WD_TYPE_F16:
    case WD_TYPE_BF16:
        for (size_t i = 0; i < n; i++) {
            uint16_t h = type == WD_TYPE_F16 ? wd_f32_to_f16(src[i]) : bf16_of(src[i]);

            memcpy(p + 2 * i, &h, sizeof h);
        }
        break;
    case WD_TYPE_Q4_0:
        assert(n % BLOCK == 0);
        for (size_t b = 0; b < n / BLOCK; b++)
            pack_q4_0(src + b * BLOCK, p + b * Q4_0_BYTES);
        break;
    case WD_TYPE_Q8_0:
        assert(n % BLOCK == 0);
        for (size_t b = 0; b < n / BLOCK; b++)
            pack_q8_0(src + b * BLOCK, p + b * Q8_0_BYTES);
        break;
    case WD_TYPE_Q6_K:
        assert(n % WD_SUPER == 0);
        for (size_t b = 0; b < n / WD_SUPER; b++)
            pack_q6_k(src + b * WD_SUPER, p + b * WD_Q6_K_BYTES);
        break;
    case WD_TYPE_Q4_K:
        assert(n % WD_SUPER == 0);
        for (size_t b = 0; b < n / WD_SUPER; b++)
            pack_q4_k(src + b * WD_SUPER, p + b * WD_Q4_K_BYTES);
        break;
    default:
        assert(wd_quant_packs(type));
    }
}
