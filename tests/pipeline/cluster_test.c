/* tests/pipeline/cluster_test.c - average linkage against the slow way, and where it stops. */
#include "pipeline/cluster.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define MAX 40

static uint32_t seed = 3;

static float random_part(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (float)(seed >> 8) / 16777216.0f;
}

static uint32_t run(const float *alike, const float *weight, uint32_t n,
                    struct wd_cluster_rule rule, uint32_t *of)
{
    struct wd_cluster *c = NULL;
    uint32_t count;

    assert_int_equal(wd_cluster_new(MAX, &c, NULL), 0);
    count = wd_cluster_run(c, alike, MAX, weight, n, &rule, of);
    wd_cluster_free(c);
    return count;
}

/* Joins the two clusters with the greatest mean over pairs of members, computed anew each time. */
static uint32_t slowly(const float *alike, const float *weight, uint32_t n, float stop,
                       uint32_t *of)
{
    uint32_t count = 0, number[MAX];

    for (uint32_t i = 0; i < n; i++)
        of[i] = i;
    for (;;) {
        uint32_t a = 0, b = 0;
        double best = -9.0;

        for (uint32_t i = 0; i < n; i++)
            for (uint32_t j = 0; j < i; j++) {
                double sum = 0.0, pairs = 0.0;

                for (uint32_t k = 0; k < n; k++)
                    for (uint32_t l = 0; l < n; l++)
                        if (of[k] == i && of[l] == j) {
                            sum +=
                                (double)weight[k] * (double)weight[l] * (double)alike[k * MAX + l];
                            pairs += (double)weight[k] * (double)weight[l];
                        }
                if (pairs > 0.0 && sum / pairs > best) {
                    best = sum / pairs;
                    a = i;
                    b = j;
                }
            }
        if (best < (double)stop)
            break;
        for (uint32_t k = 0; k < n; k++)
            of[k] = of[k] == a ? b : of[k];
    }
    for (uint32_t i = 0; i < n; i++)
        number[i] = MAX;
    for (uint32_t i = 0; i < n; i++) {
        if (number[of[i]] == MAX)
            number[of[i]] = count++;
        of[i] = number[of[i]];
    }
    return count;
}

static void it_joins_as_the_slow_way_does(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        float alike[MAX * MAX] = {0}, weight[MAX];
        uint32_t n = 2 + (uint32_t)(random_part() * 14.0f), of[MAX], want[MAX];

        for (uint32_t i = 0; i < n; i++) {
            weight[i] = 0.3f + random_part();
            for (uint32_t j = 0; j < i; j++)
                alike[i * MAX + j] = alike[j * MAX + i] = random_part();
        }
        for (int k = 0; k < 4; k++) {
            float stop = 0.2f + 0.2f * (float)k;
            struct wd_cluster_rule rule = {stop, stop, stop, 0.0f};

            assert_int_equal(run(alike, weight, n, rule, of), slowly(alike, weight, n, stop, want));
            for (uint32_t i = 0; i < n; i++)
                assert_int_equal(of[i], want[i]);
        }
    }
}

/* Two groups whose members are `within` alike, and `between` each other. */
static uint32_t two_groups(float within, float between, struct wd_cluster_rule rule)
{
    float alike[MAX * MAX], weight[MAX];
    uint32_t of[MAX], n = 8;

    for (uint32_t i = 0; i < n; i++) {
        weight[i] = 1.0f;
        for (uint32_t j = 0; j < n; j++)
            alike[i * MAX + j] = i % 2 == j % 2 ? within : between;
    }
    return run(alike, weight, n, rule, of);
}

static void the_widest_gap_in_the_band_parts_voices(void **state)
{
    struct wd_cluster_rule rule = {0.80f, 0.77f, 0.70f, 0.01f};
    (void)state;

    assert_int_equal(two_groups(0.90f, 0.60f, rule), 2); /* beyond both ends of the band */
    assert_int_equal(two_groups(0.90f, 0.85f, rule), 1);
    assert_int_equal(two_groups(0.79f, 0.78f, rule), 1); /* the gap below is wider */
    assert_int_equal(two_groups(0.79f, 0.71f, rule), 2);
    assert_int_equal(two_groups(0.78f, 0.73f, rule), 2);
    assert_int_equal(two_groups(0.75f, 0.74f, rule),
                     8); /* nobody is alike enough: the gap above is the widest */
}

static void one_is_a_cluster_and_none_are_none(void **state)
{
    float alike[MAX * MAX] = {1.0f}, weight[MAX] = {1.0f};
    uint32_t of[MAX] = {7};
    struct wd_cluster_rule rule = {0.8f, 0.77f, 0.7f, 0.01f};
    (void)state;

    assert_int_equal(run(alike, weight, 1, rule, of), 1);
    assert_int_equal(of[0], 0);
    assert_int_equal(run(alike, weight, 0, rule, of), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_joins_as_the_slow_way_does),
        cmocka_unit_test(the_widest_gap_in_the_band_parts_voices),
        cmocka_unit_test(one_is_a_cluster_and_none_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
