/* tests/model/attention_test.c - attention against its formula in double: window, causality, pictures, grouped heads, probes, parts. */
#include "model/attention.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/model/small_model.h"

#define POSITIONS 150
#define HEADS 4
#define BOUND 2e-6

/* Layer 0 slides and has two key heads, layer 1 is full and has one. */
static struct wd_shape shape = {
    .n_layers = 2,
    .n_heads = HEADS,
    .window = 37,
    .two_way_pictures = true,
    .layers = {{.n_kv_heads = 2, .head_dim = 20}, {.full = true, .n_kv_heads = 1, .head_dim = 36}},
};

static struct {
    struct wd_threads *threads;
    struct wd_kv_pool *pool;
    struct wd_kv_cache *cache;
    float *scores;
    struct wd_attention a;
    float *q[2], *out[2]; /* [POSITIONS][HEADS * dim] */
    uint32_t block_end[POSITIONS];
} f;

static int set_up(void **state)
{
    uint32_t n;

    (void)state;
    memset(&f, 0, sizeof f);
    shape.two_way_pictures = true;
    assert_int_equal(wd_threads_new(3, &f.threads, NULL), 0);
    assert_int_equal(wd_kv_pool_new(&shape, &f.pool, NULL), 0);
    assert_int_equal(wd_kv_cache_new(f.pool, POSITIONS, POSITIONS, POSITIONS, &f.cache, NULL), 0);
    wd_kv_cache_grow(f.cache, POSITIONS);
    f.scores = malloc(3 * POSITIONS * sizeof *f.scores);
    f.a = (struct wd_attention){f.threads, wd_kernels_best(), &shape, f.scores, POSITIONS};
    for (uint32_t l = 0; l < 2; l++) {
        uint32_t dim = shape.layers[l].head_dim;

        f.q[l] = malloc(POSITIONS * HEADS * dim * sizeof *f.q[l]);
        f.out[l] = malloc(POSITIONS * HEADS * dim * sizeof *f.out[l]);
        wd_small_values(l + 1, f.q[l], POSITIONS * HEADS * dim);
        for (uint32_t h = 0; h < shape.layers[l].n_kv_heads; h++)
            for (uint32_t pos = 0; pos < POSITIONS; pos++) {
                wd_small_values(1000 + pos * 8 + h * 2 + l * 4, wd_kv_cache_k(f.cache, l, h, pos, &n), dim);
                wd_small_values(5000 + pos * 8 + h * 2 + l * 4, wd_kv_cache_v(f.cache, l, h, pos, &n), dim);
            }
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wd_kv_cache_free(f.cache);
    wd_kv_pool_free(f.pool);
    wd_threads_free(f.threads);
    free(f.scores);
    for (int l = 0; l < 2; l++) {
        free(f.q[l]);
        free(f.out[l]);
    }
    return 0;
}

/* Weights of one head of the query at `pos` on all positions, and its output; q points at the head's vector. */
static void formula(uint32_t layer, uint32_t head, uint32_t pos, const float *q, double w[POSITIONS], double *out)
{
    const struct wd_layer_shape *ls = &shape.layers[layer];
    uint32_t g = head * ls->n_kv_heads / HEADS, dim = ls->head_dim, n;
    double sum = 0;

    for (uint32_t k = 0; k < POSITIONS; k++) {
        bool same_picture = !ls->full && shape.two_way_pictures && f.block_end[pos] > k && k > pos;
        bool seen = k <= pos || same_picture;
        const float *key = wd_kv_cache_k(f.cache, layer, g, k, &n);

        if (!ls->full && k + shape.window <= pos)
            seen = false;
        w[k] = 0;
        for (uint32_t i = 0; i < dim && seen; i++)
            w[k] += (double)q[i] * (double)key[i];
        w[k] = seen ? exp(w[k]) : 0;
        sum += w[k];
    }
    memset(out, 0, dim * sizeof *out);
    for (uint32_t k = 0; k < POSITIONS; k++) {
        const float *v = wd_kv_cache_v(f.cache, layer, g, k, &n);

        w[k] /= sum;
        for (uint32_t i = 0; i < dim; i++)
            out[i] += w[k] * (double)v[i];
    }
}

static void check_rows(uint32_t layer, uint32_t first, uint32_t n)
{
    uint32_t dim = shape.layers[layer].head_dim;
    double w[POSITIONS], want[64];

    for (uint32_t row = 0; row < n; row++)
        for (uint32_t h = 0; h < HEADS; h++) {
            size_t at = (size_t)row * HEADS * dim + h * dim;

            formula(layer, h, first + row, f.q[layer] + at, w, want);
            for (uint32_t i = 0; i < dim; i++)
                if (!(fabs((double)f.out[layer][at + i] - want[i]) < BOUND))
                    fail_msg("layer %u, position %u, head %u: %g, expected %g", layer, first + row, h, (double)f.out[layer][at + i], want[i]);
        }
}

static struct wd_attention_rows rows(uint32_t layer, uint32_t first, uint32_t n)
{
    return (struct wd_attention_rows){
        .cache = f.cache, .first = first, .n = n, .block_end = f.block_end + first, .q = f.q[layer], .out = f.out[layer]};
}

static void every_query_sees_its_past_and_no_more(void **state)
{
    (void)state;
    for (uint32_t l = 0; l < 2; l++) {
        struct wd_attention_rows r = rows(l, 0, POSITIONS);

        wd_attention_run(&f.a, l, &r, 1);
        check_rows(l, 0, POSITIONS);
    }
}

static void rows_of_a_picture_see_each_other_on_sliding_layers_alone(void **state)
{
    (void)state;
    for (uint32_t pos = 50; pos < 80; pos++)
        f.block_end[pos] = 80;
    for (uint32_t l = 0; l < 2; l++) {
        struct wd_attention_rows r = rows(l, 0, POSITIONS);

        wd_attention_run(&f.a, l, &r, 1);
        check_rows(l, 0, POSITIONS);
    }
}

static void a_model_that_reads_pictures_one_way_does_so(void **state)
{
    struct wd_attention_rows r = rows(0, 40, 50);

    (void)state;
    shape.two_way_pictures = false;
    for (uint32_t pos = 50; pos < 80; pos++)
        f.block_end[pos] = 80;
    wd_attention_run(&f.a, 0, &r, 1);
    check_rows(0, 40, 50);
}

static void skipped_rows_have_no_query_and_the_rest_is_the_same(void **state)
{
    (void)state;
    for (uint32_t l = 0; l < 2; l++) {
        struct wd_attention_rows r = rows(l, 60, 90);

        r.skip = 83; /* q and out begin with row 83 */
        wd_attention_run(&f.a, l, &r, 1);
        check_rows(l, 60 + 83, 7);
    }
}

static void a_probe_adds_up_the_chosen_heads(void **state)
{
    static const uint16_t heads[2][2] = {{1, 0}, {1, 3}};
    float probe[4 * 60] = {0};
    struct wd_attention_rows r = rows(1, 100, 50);
    double w[POSITIONS], sum[60], out[64];

    (void)state;
    r.probe = probe;
    r.n_probe = 4;
    r.probe_first = 30;
    r.probe_n = 60;
    r.probe_heads = heads;
    r.n_probe_heads = 2;
    wd_attention_run(&f.a, 1, &r, 1);
    check_rows(1, 100, 50);
    for (uint32_t row = 0; row < 4; row++) {
        memset(sum, 0, sizeof sum);
        for (int i = 0; i < 2; i++) {
            uint32_t h = heads[i][1];

            formula(1, h, 146 + row, f.q[1] + (size_t)(46 + row) * HEADS * 36 + h * 36, w, out);
            for (uint32_t k = 0; k < 60; k++)
                sum[k] += w[30 + k] / 2;
        }
        for (uint32_t k = 0; k < 60; k++)
            assert_true(fabs((double)probe[row * 60 + k] - sum[k]) < BOUND);
    }
    /* Heads of another layer are not added. */
    memset(probe, 0, sizeof probe);
    r.q = f.q[0];
    r.out = f.out[0];
    wd_attention_run(&f.a, 0, &r, 1);
    for (int i = 0; i < 4 * 60; i++)
        assert_true(probe[i] == 0);
}

static void a_probe_on_a_sliding_layer_ends_with_the_window(void **state)
{
    static const uint16_t heads[1][2] = {{0, 2}};
    float probe[150] = {0};
    struct wd_attention_rows r = rows(0, 120, 1);
    double w[POSITIONS], out[64], all = 0;

    (void)state;
    r.probe = probe;
    r.n_probe = 1;
    r.probe_n = 150;
    r.probe_heads = heads;
    r.n_probe_heads = 1;
    wd_attention_run(&f.a, 0, &r, 1);
    formula(0, 2, 120, f.q[0] + 2 * 20, w, out);
    for (uint32_t k = 0; k < 150; k++) {
        assert_true(fabs((double)probe[k] - w[k]) < BOUND);
        assert_true(k + shape.window > 120 || probe[k] == 0);
        all += (double)probe[k];
    }
    assert_true(fabs(all - 1) < 1e-5);
}

static void parts_of_one_run_do_not_mix(void **state)
{
    struct wd_attention_rows r[2] = {rows(0, 10, 30), rows(0, 100, 20)};
    uint32_t width = HEADS * 20;

    (void)state;
    r[1].q = f.q[0] + 30 * width;
    r[1].out = f.out[0] + 30 * width;
    wd_attention_run(&f.a, 0, r, 2);
    check_rows(0, 10, 30);
    memmove(f.out[0], f.out[0] + 30 * width, 20 * width * sizeof(float));
    memmove(f.q[0], f.q[0] + 30 * width, 20 * width * sizeof(float));
    check_rows(0, 100, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_query_sees_its_past_and_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rows_of_a_picture_see_each_other_on_sliding_layers_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_model_that_reads_pictures_one_way_does_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(skipped_rows_have_no_query_and_the_rest_is_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_probe_adds_up_the_chosen_heads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_probe_on_a_sliding_layer_ends_with_the_window, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_of_one_run_do_not_mix, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
