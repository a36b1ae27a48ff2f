/* model/quant.c - number formats of weights, in plain C: every other unpacking is held against this
 * one. */
#include "model/quant.h"
#include "model/quant_blocks.h"
#include <assert.h>
#include <string.h>

#define BLOCK WD_BLOCK

static const struct {
    uint32_t type;
    const char *name;
    size_t block, bytes;
} formats[] = {
    {WD_TYPE_F32, "F32", 1, 4},
    {WD_TYPE_F16, "F16", 1, 2},
    {WD_TYPE_Q4_0, "Q4_0", BLOCK, WD_Q4_0_BYTES},
    {WD_TYPE_Q4_1, "Q4_1", BLOCK, WD_Q4_1_BYTES},
    {WD_TYPE_Q5_0, "Q5_0", BLOCK, WD_Q5_0_BYTES},
    {WD_TYPE_Q5_1, "Q5_1", BLOCK, WD_Q5_1_BYTES},
    {WD_TYPE_Q8_0, "Q8_0", BLOCK, WD_Q8_0_BYTES},
    {WD_TYPE_Q2_K, "Q2_K", WD_SUPER, WD_Q2_K_BYTES},
    {WD_TYPE_Q3_K, "Q3_K", WD_SUPER, WD_Q3_K_BYTES},
    {WD_TYPE_Q4_K, "Q4_K", WD_SUPER, WD_Q4_K_BYTES},
    {WD_TYPE_Q5_K, "Q5_K", WD_SUPER, WD_Q5_K_BYTES},
    {WD_TYPE_Q6_K, "Q6_K", WD_SUPER, WD_Q6_K_BYTES},
    {WD_TYPE_IQ4_NL, "IQ4_NL", BLOCK, WD_IQ4_NL_BYTES},
    {WD_TYPE_IQ4_XS, "IQ4_XS", WD_SUPER, WD_IQ4_XS_BYTES},
    {WD_TYPE_BF16, "BF16", 1, 2},
};

/* Index into formats, -1 if unknown. */
static int format_of(uint32_t type)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i].type == type)
            return (int)i;
    return -1;
}

const char *wd_type_name(uint32_t type)
{
    int i = format_of(type);

    return i < 0 ? NULL : formats[i].name;
}

size_t wd_type_block(uint32_t type)
{
    int i = format_of(type);

    return i < 0 ? 0 : formats[i].block;
}

size_t wd_type_block_bytes(uint32_t type)
{
    int i = format_of(type);

    return i < 0 ? 0 : formats[i].bytes;
}

size_t wd_type_row_bytes(uint32_t type, size_t n)
{
    int i = format_of(type);

    if (i < 0 || n % formats[i].block)
        return 0;
    return n / formats[i].block * formats[i].bytes;
}

static uint32_t bits_of(float f)
{
    uint32_t u;

    memcpy(&u, &f, sizeof u);
    return u;
}

static float float_of(uint32_t u)
{
    float f;

    memcpy(&f, &u, sizeof f);
    return f;
}

float wd_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16;
    uint32_t exponent = h >> 10 & 31, fraction = h & 0x3ff;

    if (exponent == 31) /* infinity and NaN; a NaN is made quiet, as processors do */
        return float_of(sign | 0x7f800000 | fraction << 13 | (fraction ? 0x400000 : 0));
    if (exponent == 0) /* zero and subnormal: fraction * 2^-24, exact */
        return float_of(sign | bits_of((float)fraction * 0x1p-24f));
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t wd_f32_to_f16(float f)
{
    uint32_t u = bits_of(f), sign = u >> 16 & 0x8000, mag = u & 0x7fffffff;

    if (mag > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (mag >> 13 & 0x3ff));
    if (mag >= 0x477ff000) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (mag <
        0x38800000) { /* below 2^-14: the result counts in 2^-24; the addition rounds to even */
        float shifted = float_of(mag) + 0.5f;

        return (uint16_t)(sign | (bits_of(shifted) - bits_of(0.5f)));
    }
    mag += 0xfff + (mag >> 13 & 1); /* half, less one where the result is even: ties to even */
    return (uint16_t)(sign | ((mag >> 13) - (112 << 10)));
}

static uint16_t u16_at(const unsigned char *p)
{
    uint16_t h;

    memcpy(&h, p, sizeof h);
    return h;
}

static float half_at(const unsigned char *p)
{
    return wd_f16_to_f32(u16_at(p));
}

void wd_quant_unpack(enum wd_type type, const void *src, float *dst, size_t n)
{
    const unsigned char *p = src;

    switch (type) {
    case WD_TYPE_F32:
        memcpy(dst, src, n * sizeof *dst);
        break;
    case WD_TYPE_F16:
        for (size_t i = 0; i < n; i++)
            dst[i] = wd_f16_to_f32(u16_at(p + 2 * i));
        break;
    case WD_TYPE_BF16:
        for (size_t i = 0; i < n; i++)
            dst[i] = wd_bf16_to_f32(u16_at(p + 2 * i));
        break;
    default:
        assert(n % wd_type_block(type) == 0);
        for (size_t at = 0; at < n; at += WD_SUPER) {
            unsigned some = (unsigned)(n - at < WD_SUPER ? n - at : WD_SUPER);
            struct wd_parts parts;

            wd_blocks_parts(type, half_at, p, some, &parts);
            for (unsigned i = 0; i < some; i++) {
                /* Two statements, or a compiler may round once where another rounds twice. */
                float scaled = parts.scale[i / 16] * (float)parts.q[i];

                dst[at + i] = scaled + parts.offset[i / 16];
            }
            p += wd_type_row_bytes(type, some);
        }
    }
}
