/* tests/model/ops_test.c - the row-wise steps against their formulas in double, and the
 * specification's check values. */
#include "model/ops.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define WIDTH 3840

static float x[WIDTH], w[WIDTH], b[WIDTH], y[WIDTH + 1];

static void fill(float *p, size_t n, float size, float middle, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = middle + size * (float)(int32_t)seed * 0x1p-31f;
    }
}

static void assert_near(double got, double want, double most)
{
    if (!(fabs(got - want) <= most))
        fail_msg("%.10g is not within %.3g of %.10g", got, most, want);
}

static void rmsnorm_agrees_with_the_formula(void **state)
{
    static const size_t widths[] = {1, 7, 8, 256, 641, WIDTH};

    (void)state;
    for (size_t k = 0; k < 6; k++)
        for (int weighted = 0; weighted < 2; weighted++) {
            size_t n = widths[k];
            double mean = 0;

            fill(x, n, 30, 1, 5);
            fill(w, n, 2, 0, 6);
            for (size_t i = 0; i < n; i++)
                mean += (double)x[i] * (double)x[i] / (double)n;
            y[n] = 77;
            wd_ops_rmsnorm(x, weighted ? w : NULL, n, 1e-6f, y);
            for (size_t i = 0; i < n; i++) {
                double want = (double)x[i] / sqrt(mean + 1e-6) * (weighted ? (double)w[i] : 1);

                assert_near((double)y[i], want, 3e-7 * fabs(want));
            }
            assert_true(y[n] == 77);
            wd_ops_rmsnorm(x, weighted ? w : NULL, n, 1e-6f, x);
            assert_memory_equal(x, y, n * sizeof *x);
        }
}

static void rmsnorm_of_silence_is_silence(void **state)
{
    (void)state;
    memset(x, 0, sizeof x);
    wd_ops_rmsnorm(x, NULL, WIDTH, 1e-6f, y);
    for (size_t i = 0; i < WIDTH; i++)
        assert_true(y[i] == 0);
    x[3] = 1e-4f; /* small sound: eps counts */
    wd_ops_rmsnorm(x, NULL, 640, 1e-6f, y);
    assert_near((double)y[3], 1e-4 / sqrt(1e-8 / 640 + 1e-6), 1e-7);
}

static void layernorm_agrees_with_the_formula(void **state)
{
    static const size_t widths[] = {2, 9, 640, WIDTH};

    (void)state;
    for (size_t k = 0; k < 4; k++) {
        size_t n = widths[k];
        double mean = 0, var = 0;

        fill(x, n, 1, 50, 8); /* a mean far from zero: a one-pass variance would lose it */
        fill(w, n, 2, 0, 9);
        fill(b, n, 1, 0, 10);
        for (size_t i = 0; i < n; i++)
            mean += (double)x[i] / (double)n;
        for (size_t i = 0; i < n; i++)
            var += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
        y[n] = 77;
        wd_ops_layernorm(x, w, b, n, 1e-5f, y);
        for (size_t i = 0; i < n; i++)
            assert_near((double)y[i],
                        ((double)x[i] - mean) / sqrt(var + 1e-5) * (double)w[i] + (double)b[i],
                        1e-6);
        assert_true(y[n] == 77);
        wd_ops_layernorm(x, NULL, NULL, n, 1e-5f, x);
        assert_near((double)x[n - 1], ((double)y[n - 1] - (double)b[n - 1]) / (double)w[n - 1],
                    1e-4);
    }
}

/* The frequency of pair i, back from what position 1 is rotated by. */
static double frequency(double theta, uint32_t head_dim, uint32_t n, uint32_t i)
{
    float c[256], s[256];

    wd_ops_rope_angles(theta, head_dim, n, 1, c, s);
    return atan2((double)s[i], (double)c[i]);
}

static void rope_frequencies_are_the_specified_ones(void **state)
{
    (void)state;
    assert_near(frequency(10000, 256, 128, 0), 1, 1e-7);
    assert_near(frequency(10000, 256, 128, 1), 0.930572041, 1e-7);
    assert_near(frequency(10000, 256, 128, 64), 0.01, 1e-9);
    assert_near(frequency(10000, 256, 128, 127), 1.07460783e-4, 1e-11);
    assert_near(frequency(1000000, 512, 64, 1), 0.947463526, 1e-7);
    assert_near(frequency(1000000, 512, 64, 32), 0.177827941, 2e-8);
    assert_near(frequency(1000000, 512, 64, 63), 0.0333762469, 4e-9);
}

static void rope_angles_stay_exact_at_far_positions(void **state)
{
    float c[128], s[128];

    (void)state;
    wd_ops_rope_angles(10000, 256, 128, 262143, c, s);
    for (uint32_t i = 0; i < 128; i++) {
        long double angle = 262143 * powl(10000, -2.0L * i / 256);

        assert_near((double)c[i], (double)cosl(angle), 1e-7);
        assert_near((double)s[i], (double)sinl(angle), 1e-7);
    }
}

static void rope_turns_split_halves_of_each_head(void **state)
{
    enum { HEADS = 3, DIM = 16, ROTATED = 5 };
    float v[HEADS * DIM], was[HEADS * DIM], c[ROTATED], s[ROTATED];

    (void)state;
    fill(v, HEADS * DIM, 1, 0, 11);
    memcpy(was, v, sizeof v);
    wd_ops_rope_angles(10000, DIM, ROTATED, 19, c, s);
    wd_ops_rope(v, HEADS, DIM, ROTATED, c, s);
    for (size_t h = 0; h < HEADS; h++)
        for (size_t i = 0; i < DIM / 2; i++) {
            double a = (double)was[h * DIM + i], z = (double)was[h * DIM + i + DIM / 2];
            double angle = i < ROTATED ? 19 * pow(10000, -2.0 * (double)i / DIM) : 0;

            assert_near((double)v[h * DIM + i], a * cos(angle) - z * sin(angle),
                        i < ROTATED ? 2e-7 : 0);
            assert_near((double)v[h * DIM + i + DIM / 2], z * cos(angle) + a * sin(angle),
                        i < ROTATED ? 2e-7 : 0);
        }
}

static void softcap_bends_towards_the_cap(void **state)
{
    float v[5] = {0, 1, -29, 1000, -1000};

    (void)state;
    wd_ops_softcap(v, 5, 30);
    assert_true(v[0] == 0);
    assert_near((double)v[1], 30 * tanh(1.0 / 30), 2e-7);
    assert_near((double)v[2], 30 * tanh(-29.0 / 30), 4e-6);
    assert_near((double)v[3], 30, 0);
    assert_near((double)v[4], -30, 0);
    v[0] = 500;
    wd_ops_softcap(v, 1, 0);
    assert_true(v[0] == 500);
}

static void add_adds(void **state)
{
    float a[3] = {1, 2, 3}, sum[4] = {10, 20, 30, 77};

    (void)state;
    wd_ops_add(a, sum, 3);
    assert_true(sum[0] == 11 && sum[1] == 22 && sum[2] == 33 && sum[3] == 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rmsnorm_agrees_with_the_formula),
        cmocka_unit_test(rmsnorm_of_silence_is_silence),
        cmocka_unit_test(layernorm_agrees_with_the_formula),
        cmocka_unit_test(rope_frequencies_are_the_specified_ones),
        cmocka_unit_test(rope_angles_stay_exact_at_far_positions),
        cmocka_unit_test(rope_turns_split_halves_of_each_head),
        cmocka_unit_test(softcap_bends_towards_the_cap),
        cmocka_unit_test(add_adds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
