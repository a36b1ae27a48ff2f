/* tests/model/quant_test.c - the block layouts byte by byte, and rounding to them. */
#include "model/quant.h"
#include <math.h>
#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void sizes_are_those_of_the_formats(void **state)
{
    (void)state;
    assert_string_equal(wd_type_name(2), "Q4_0");
    assert_string_equal(wd_type_name(30), "BF16");
    assert_null(wd_type_name(9));
    assert_null(wd_type_name(UINT32_MAX));
    assert_int_equal(wd_type_block(WD_TYPE_Q8_0), 32);
    assert_int_equal(wd_type_block(WD_TYPE_F32), 1);
    assert_int_equal(wd_type_block(77), 0);
    assert_int_equal(wd_type_block_bytes(WD_TYPE_Q4_0), 18);
    assert_int_equal(wd_type_block_bytes(77), 0);
    assert_int_equal(wd_type_row_bytes(WD_TYPE_Q4_0, 3840), 2160);
    assert_int_equal(wd_type_row_bytes(WD_TYPE_Q8_0, 3840), 4080);
    assert_int_equal(wd_type_row_bytes(WD_TYPE_F16, 3), 6);
    assert_int_equal(wd_type_row_bytes(WD_TYPE_Q8_0, 33), 0);
    assert_int_equal(wd_type_row_bytes(77, 32), 0);
    assert_true(wd_type_row_bytes(WD_TYPE_Q8_0, (size_t)1 << 47) == ((size_t)1 << 42) * 34);
}

/* Every one of the 65536 halves, against arithmetic on its fields. */
static void every_half_widens_and_narrows_back(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        uint32_t e = h >> 10 & 31, f = h & 1023;
        double want = e ? ldexp(1024 + f, (int)e - 25) : ldexp(f, -24);
        float got = wd_f16_to_f32((uint16_t)h);

        if (e == 31 && f) {
            assert_true(isnan(got));
            assert_true(isnan(wd_f16_to_f32(wd_f32_to_f16(got))));
            continue;
        }
        if (e == 31)
            want = (double)INFINITY;
        assert_true((double)got == (h & 0x8000 ? -want : want));
        assert_int_equal(!!signbit(got), h >> 15);
        assert_int_equal(wd_f32_to_f16(got), h);
    }
}

static void narrowing_takes_the_nearest_half_and_ties_to_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7bff; h++) {
        float lo = wd_f16_to_f32((uint16_t)h), hi = wd_f16_to_f32((uint16_t)(h + 1)),
              mid = (lo + hi) / 2;

        assert_int_equal(wd_f32_to_f16(mid), h + (h & 1));
        assert_int_equal(wd_f32_to_f16(nextafterf(mid, 0)), h);
        assert_int_equal(wd_f32_to_f16(nextafterf(mid, INFINITY)), h + 1);
        assert_int_equal(wd_f32_to_f16(-nextafterf(mid, INFINITY)), 0x8000 | (h + 1));
    }
    assert_int_equal(wd_f32_to_f16(65519.99f), 0x7bff);
    assert_int_equal(wd_f32_to_f16(65520), 0x7c00);
    assert_int_equal(wd_f32_to_f16(-INFINITY), 0xfc00);
}

static void bf16_is_the_upper_half_rounded(void **state)
{
    static const float in[] = {1, -2.5f, 1.00390625f, 1.01171875f, 3.38e38f, 0, -0.0f, 1e-40f};
    uint16_t packed[8];
    float out[8];

    (void)state;
    wd_quant_pack(WD_TYPE_BF16, in, packed, 8);
    wd_quant_unpack(WD_TYPE_BF16, packed, out, 8);
    assert_true(out[0] == 1 && out[1] == -2.5f);
    assert_true(out[2] == 1);         /* halfway, down to even */
    assert_true(out[3] == 1.015625f); /* halfway, up to even */
    assert_true(out[4] > 3.3e38f && isfinite(out[4]));
    assert_true(out[5] == 0 && signbit(out[6]));
    assert_true(fabsf(out[7] - 1e-40f) < 5e-41f);
    packed[0] = 0x7f81;
    wd_quant_unpack(WD_TYPE_BF16, packed, out, 1);
    assert_true(isnan(out[0]));
    wd_quant_pack(WD_TYPE_BF16, out, packed, 1);
    wd_quant_unpack(WD_TYPE_BF16, packed, out, 1);
    assert_true(isnan(out[0]));
}

static void a_q4_0_block_lies_as_documented(void **state)
{
    /* f16 0.5, then byte j: weight j below, weight j + 16 above, both eight too large */
    unsigned char block[18] = {0x00, 0x38, 0xf0, 0x9a};
    float w[32];

    (void)state;
    wd_quant_unpack(WD_TYPE_Q4_0, block, w, 32);
    assert_true(w[0] == -4.0f && w[16] == 3.5f);
    assert_true(w[1] == 1.0f && w[17] == 0.5f);
    assert_true(w[2] == -4.0f && w[31] == -4.0f);
}

static void a_q8_0_block_lies_as_documented(void **state)
{
    unsigned char block[34] = {0x00, 0xc0, 0x7f, 0x80, 0xff}; /* f16 -2 */
    float w[32];

    (void)state;
    wd_quant_unpack(WD_TYPE_Q8_0, block, w, 32);
    assert_true(w[0] == -254 && w[1] == 256 && w[2] == 2 && w[3] == 0);
}

static void blocks_are_packed_to_the_nearest_step(void **state)
{
    static const struct {
        enum wd_type type;
        float steps; /* from zero to the largest magnitude */
    } kinds[] = {{WD_TYPE_Q4_0, 8}, {WD_TYPE_Q8_0, 127}};
    uint32_t seed = 3;

    (void)state;
    for (size_t k = 0; k < 2; k++)
        for (int turn = 0; turn < 200; turn++) {
            float x[64], back[64];
            unsigned char packed[68];

            for (size_t i = 0; i < 64; i++) {
                seed = seed * 1664525u + 1013904223u;
                x[i] = (float)(int32_t)seed * 0x1p-31f * (i < 32 ? 0.01f : 40.0f);
            }
            wd_quant_pack(kinds[k].type, x, packed, 64);
            wd_quant_unpack(kinds[k].type, packed, back, 64);
            for (size_t b = 0; b < 64; b += 32) {
                float most = 0;

                for (size_t i = b; i < b + 32; i++)
                    most = fmaxf(most, fabsf(x[i]));
                /* Half a step; a whole one where the side with seven steps is cut; and the scale's
                 * own rounding. */
                for (size_t i = b; i < b + 32; i++)
                    assert_true(fabsf(back[i] - x[i]) <=
                                most / kinds[k].steps * (k == 0 ? 1.01f : 0.51f) + most * 0.0006f);
            }
        }
}

static void silence_and_nan_pack_without_harm(void **state)
{
    float x[32] = {0}, back[32];
    unsigned char packed[34];

    (void)state;
    for (int k = 0; k < 2; k++) {
        enum wd_type type = k ? WD_TYPE_Q4_0 : WD_TYPE_Q8_0;

        memset(x, 0, sizeof x);
        wd_quant_pack(type, x, packed, 32);
        wd_quant_unpack(type, packed, back, 32);
        for (size_t i = 0; i < 32; i++)
            assert_true(back[i] == 0);
        x[4] = NAN;
        x[9] = 1;
        wd_quant_pack(type, x, packed, 32);
        wd_quant_unpack(type, packed, back, 32);
        assert_true(back[4] == 0 && fabsf(back[9] - 1) < 0.01f);
    }
}

/* Element i of a block, straight from the definition (docs/model.md, "Quantised blocks"). */
static float q6_k_element(const unsigned char *p, unsigned i)
{
    unsigned half = i / 128, part = i % 128 / 32, l = i % 32;
    unsigned char low = p[64 * half + l + 32 * (part & 1)], high = p[128 + 32 * half + l];
    int q = ((part < 2 ? low & 15 : low >> 4) | (high >> (2 * part) & 3) << 4) - 32;
    uint16_t h;

    memcpy(&h, p + 208, sizeof h);
    return wd_f16_to_f32(h) * (float)(signed char)p[192 + 8 * half + l / 16 + 2 * part] * (float)q;
}

static void six_bit_blocks_unpack_as_defined(void **state)
{
    unsigned char block[210];
    float w[256];
    uint32_t z = 7;

    (void)state;
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < sizeof block; i++) {
            z = z * 1664525u + 1013904223u;
            block[i] = (unsigned char)(z >> 24);
        }
        block[209] = 0x2c; /* an ordinary scale */
        wd_quant_unpack(WD_TYPE_Q6_K, block, w, 256);
        for (unsigned i = 0; i < 256; i++)
            assert_true(w[i] == q6_k_element(block, i));
    }
}

static void six_bit_blocks_lose_at_most_half_a_step(void **state)
{
    float x[256], y[256];
    unsigned char block[210];
    uint32_t z = 9;

    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        z = z * 1664525u + 1013904223u;
        x[i] = ((float)(z >> 8) / 8388608.0f - 1.0f) * (i / 16 % 2 ? 1.0f : 0.3f);
    }
    wd_quant_pack(WD_TYPE_Q6_K, x, block, 256);
    wd_quant_unpack(WD_TYPE_Q6_K, block, y, 256);
    for (unsigned s = 0; s < 16; s++) {
        float most = 0;

        for (unsigned k = 0; k < 16; k++)
            most = fmaxf(most, fabsf(x[s * 16 + k]));
        /* The scale of sixteen is itself rounded to a 127th of the block's largest. */
        for (unsigned k = 0; k < 16; k++)
            assert_true(fabsf(x[s * 16 + k] - y[s * 16 + k]) <= most / 31 * 0.5f + 1.0f / 127 + 1e-3f);
    }
}

/* Sums of squares, not single steps: the scales of the 32s are rounded themselves. */
static void four_bit_k_blocks_lose_little(void **state)
{
    static float x[2560], y[2560];
    static unsigned char packed[1440];
    double off = 0, size = 0;
    uint32_t z = 5;

    (void)state;
    for (size_t i = 0; i < 2560; i++) { /* nearly normal, not all around zero */
        x[i] = i / 64 % 3 ? 0 : 0.3f;
        for (int k = 0; k < 6; k++) {
            z = z * 1664525u + 1013904223u;
            x[i] += (float)(int32_t)z * 0x1p-33f;
        }
    }
    wd_quant_pack(WD_TYPE_Q4_K, x, packed, 2560);
    wd_quant_unpack(WD_TYPE_Q4_K, packed, y, 2560);
    for (size_t i = 0; i < 2560; i++) {
        off += pow((double)(x[i] - y[i]), 2);
        size += pow((double)x[i], 2);
    }
    assert_true(sqrt(off / size) < 0.08);
    for (size_t i = 0; i < 2560; i++) /* all of one sign, nothing, and one that stands out */
        x[i] = i < 256    ? 2.5f
               : i < 512  ? -2.5f
               : i == 600 ? 1000
               : i < 768  ? 0
                          : NAN;
    wd_quant_pack(WD_TYPE_Q4_K, x, packed, 2560);
    wd_quant_unpack(WD_TYPE_Q4_K, packed, y, 2560);
    for (size_t i = 0; i < 2560; i++) {
        assert_true(isfinite(y[i]));
        if (i < 768)
            assert_true(fabsf(x[i] - y[i]) <= 0.002f * fabsf(x[i]));
    }
    assert_true(wd_quant_packs(WD_TYPE_Q4_K) && wd_quant_packs(WD_TYPE_BF16));
    assert_false(wd_quant_packs(WD_TYPE_Q5_K) || wd_quant_packs(77));
}

/* data/blocks.bin: what another implementation unpacks, data/README.md. */
static void every_block_type_unpacks_as_the_reference_does(void **state)
{
    FILE *f = fopen(TEST_SRCDIR "/tests/model/data/blocks.bin", "rb");
    unsigned types = 0;
    uint32_t head[3];

    (void)state;
    assert_non_null(f);
    while (fread(head, sizeof head, 1, f) == 1) {
        static unsigned char blocks[512 * 34 / 32];
        static float want[512], got[512];

        assert_int_equal(head[1], 512);
        assert_int_equal(head[2], wd_type_row_bytes(head[0], 512));
        assert_int_equal(fread(blocks, 1, head[2], f), head[2]);
        assert_int_equal(fread(want, sizeof *want, 512, f), 512);
        wd_quant_unpack((enum wd_type)head[0], blocks, got, 512);
        for (size_t i = 0; i < 512; i++) /* the order of roundings is not the format's */
            assert_true(fabsf(got[i] - want[i]) <= 4e-7f * fmaxf(1, fabsf(want[i])));
        types++;
    }
    assert_int_equal(types, 12);
    fclose(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_those_of_the_formats),
        cmocka_unit_test(every_half_widens_and_narrows_back),
        cmocka_unit_test(narrowing_takes_the_nearest_half_and_ties_to_even),
        cmocka_unit_test(bf16_is_the_upper_half_rounded),
        cmocka_unit_test(a_q4_0_block_lies_as_documented),
        cmocka_unit_test(a_q8_0_block_lies_as_documented),
        cmocka_unit_test(blocks_are_packed_to_the_nearest_step),
        cmocka_unit_test(silence_and_nan_pack_without_harm),
        cmocka_unit_test(six_bit_blocks_unpack_as_defined),
        cmocka_unit_test(four_bit_k_blocks_lose_little),
        cmocka_unit_test(every_block_type_unpacks_as_the_reference_does),
        cmocka_unit_test(six_bit_blocks_lose_at_most_half_a_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
