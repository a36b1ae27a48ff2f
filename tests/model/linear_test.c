/* tests/model/linear_test.c - whole products, whichever way they are computed. */
#include "model/linear.h"
#include "model/kernels.h"
#include "tests/model/random_blocks.h"
#include "tests/no_malloc.h"
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MOST_IN 1216
#define MOST_OUT 150
#define MOST_ROWS 140
#define STRIDE 160
#define GUARD 12345.5f

static const enum wd_type types[] = {WD_TYPE_F32, WD_TYPE_F16, WD_TYPE_BF16, WD_TYPE_Q8_0,
                                     WD_TYPE_Q4_0};

static struct wd_threads *threads;
static float x[MOST_ROWS * (MOST_IN + 3)], y[MOST_ROWS * STRIDE], dense[MOST_OUT * MOST_IN];
static unsigned char packed[MOST_OUT * MOST_IN * 4];

static float uniform(uint32_t *s)
{
    *s = *s * 1664525u + 1013904223u;
    return (float)(int32_t)*s * 0x1p-31f;
}

static struct wd_matrix matrix_of(enum wd_type type, uint32_t n_out, uint32_t n_in)
{
    uint32_t s = 7 + type;

    for (size_t i = 0; i < (size_t)n_out * n_in; i++)
        dense[i] = 0.1f * (uniform(&s) + uniform(&s) + uniform(&s));
    wd_quant_pack(type, dense, packed, (size_t)n_out * n_in);
    wd_quant_unpack(type, packed, dense, (size_t)n_out * n_in);
    return (struct wd_matrix){type, n_out, n_in, packed};
}

static struct wd_linear *linear_of(const struct wd_kernels *k)
{
    struct wd_linear *l = NULL;
    struct wd_err err = {0};

    assert_int_equal(wd_linear_new(threads, k, MOST_IN, MOST_ROWS, &l, &err), 0);
    return l;
}

/* The error of all results together, relative to what sums of such products come to; guards must
 * stand. */
static double error_of(struct wd_linear *l, const struct wd_matrix *w, size_t n_rows,
                       size_t x_stride)
{
    double off = 0, size = 0;

    for (size_t i = 0; i < sizeof y / sizeof *y; i++)
        y[i] = GUARD;
    wd_linear_apply(l, w, x, x_stride, n_rows, y, STRIDE);
    for (size_t r = 0; r < MOST_ROWS; r++)
        for (size_t o = 0; o < STRIDE; o++) {
            double want = 0;

            if (r >= n_rows || o >= w->n_out) {
                assert_true(y[r * STRIDE + o] == GUARD);
                continue;
            }
            for (size_t i = 0; i < w->n_in; i++)
                want += (double)dense[o * w->n_in + i] * (double)x[r * x_stride + i];
            for (size_t i = 0; i < w->n_in; i++)
                size += pow((double)dense[o * w->n_in + i] * (double)x[r * x_stride + i], 2);
            off += (want - (double)y[r * STRIDE + o]) * (want - (double)y[r * STRIDE + o]);
        }
    return sqrt(off / size);
}

static void on_every_table(void (*check)(struct wd_linear *l))
{
    for (const struct wd_kernels *const *k = wd_kernels_all(); *k; k++)
        if ((*k)->usable()) {
            struct wd_linear *l = linear_of(*k);

            assert_ptr_equal(wd_linear_kernels(l), *k);
            check(l);
            wd_linear_free(l);
        }
}

static void check_shapes(struct wd_linear *l)
{
    static const uint32_t outs[] = {1, 3, 4, 9, 150}, ins[] = {32, 96, 1056, 1216};
    static const size_t rows[] = {1, 2, 5, 8, 12, 17, 25, 33, 64, 65, 140};

    for (size_t t = 0; t < 5; t++)
        for (size_t o = 0; o < 5; o++)
            for (size_t i = 0; i < 4; i++) {
                struct wd_matrix w = matrix_of(types[t], outs[o], ins[i]);

                for (size_t r = 0; r < (outs[o] * ins[i] > 60000 ? 7 : 11); r++) {
                    size_t x_stride = ins[i] + (r % 2) * 3;

                    wd_linear_set_exact(l, 0);
                    assert_true(error_of(l, &w, rows[r], x_stride) <
                                (wd_type_block(types[t]) > 1 ? 5e-5 : 2e-6));
                    if (wd_type_block(types[t]) > 1) {
                        wd_linear_set_exact(l, 1);
                        assert_true(error_of(l, &w, rows[r], x_stride) < 2e-6);
                    }
                }
            }
}

static void products_agree_with_the_sum_in_double(void **state)
{
    (void)state;
    on_every_table(check_shapes);
}

static void check_odd_widths(struct wd_linear *l)
{
    static const uint32_t ins[] = {1, 7, 33, 1027};

    for (size_t t = 0; t < 3; t++)
        for (size_t i = 0; i < 4; i++) {
            struct wd_matrix w = matrix_of(types[t], 31, ins[i]);

            for (size_t n = 1; n <= 41; n += 4)
                assert_true(error_of(l, &w, n, ins[i]) < 2e-6);
        }
}

static void float_weights_may_have_any_width(void **state)
{
    (void)state;
    on_every_table(check_odd_widths);
}

static void check_huge_and_tiny(struct wd_linear *l)
{
    struct wd_matrix w = matrix_of(WD_TYPE_Q4_0, 150, 1056);
    float *saved = malloc(sizeof x);

    assert_non_null(saved);
    memcpy(saved, x, sizeof x);
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] *= i / 1056 % 3 == 0 ? 1e20f : i / 1056 % 3 == 1 ? 1e-12f : 1;
    assert_true(error_of(l, &w, 12, 1056) < 5e-5);
    memcpy(x, saved, sizeof x);
    /* One value that stands out costs its own block precision, not the row. */
    for (size_t r = 0; r < 12; r++)
        x[r * 1056 + 40] = 800;
    assert_true(error_of(l, &w, 12, 1056) < 5e-5);
    memcpy(x, saved, sizeof x);
    free(saved);
}

static void rounded_activations_stay_close_whatever_their_size(void **state)
{
    (void)state;
    on_every_table(check_huge_and_tiny);
}

static void check_groups(struct wd_linear *l)
{
    struct wd_matrix w = matrix_of(WD_TYPE_Q4_0, 150, 1056);
    static float alone[STRIDE];

    for (size_t n = 2; n <= WD_LINEAR_SAME_BITS; n += 31) {
        error_of(l, &w, n, 1056);
        for (size_t r = 0; r < n; r++) {
            wd_linear_apply(l, &w, x + r * 1056, 1056, 1, alone, STRIDE);
            assert_memory_equal(alone, y + r * STRIDE, w.n_out * sizeof *alone);
        }
    }
}

/* A drafter's draft: few rows, whatever the type. */
static void check_few(struct wd_linear *l)
{
    static float alone[STRIDE];

    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        struct wd_matrix w = matrix_of(types[t], 150, 1024);

        for (size_t n = 2; n <= 9; n++) {
            error_of(l, &w, n, 1024);
            for (size_t r = 0; r < n; r++) {
                wd_linear_apply(l, &w, x + r * 1024, 1024, 1, alone, STRIDE);
                assert_memory_equal(alone, y + r * STRIDE, w.n_out * sizeof *alone);
            }
        }
    }
}

static void a_drafted_token_gets_the_bits_of_a_decoded_one(void **state)
{
    (void)state;
    on_every_table(check_groups);
    on_every_table(check_few);
}

static void applying_never_allocates(void **state)
{
    struct wd_linear *l;

    (void)state;
    if (!wd_no_malloc_active())
        skip();
    l = linear_of(NULL);
    for (size_t t = 0; t < 5; t++)
        for (int exact = 0; exact < 2; exact++) {
            struct wd_matrix w = matrix_of(types[t], 150, 1216);

            wd_linear_set_exact(l, exact);
            wd_no_malloc_begin();
            for (size_t n = 1; n <= MOST_ROWS; n += 9)
                wd_linear_apply(l, &w, x, 1216, n, y, STRIDE);
            assert_int_equal(wd_no_malloc_end(), 0);
        }
    wd_linear_free(l);
}

static int never(void)
{
    return 0;
}

static void kernels_of_another_processor_are_refused(void **state)
{
    struct wd_kernels foreign = *wd_kernels_find("ref");
    struct wd_linear *l = NULL;
    struct wd_err err = {0};

    (void)state;
    foreign.name = "abacus";
    foreign.usable = never;
    assert_int_equal(wd_linear_new(threads, &foreign, 32, 1, &l, &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "abacus"));
    assert_null(l);
    assert_null(wd_linear_free(NULL));
}

static int start(void **state)
{
    uint32_t s = 99;
    struct wd_err err;

    (void)state;
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = 2 * (uniform(&s) + uniform(&s));
    return wd_threads_new(3, &threads, &err);
}

static int stop(void **state)
{
    (void)state;
    threads = wd_threads_free(threads);
    return 0;
}

/* 1e-5 is what is promised; in f32 it is less. Beyond 48 rows BLAS takes over. */
static void every_block_type_multiplies_as_its_unpacked_weights(void **state)
{
    static const enum wd_type all[] = RANDOM_BLOCK_TYPES;
    static const uint32_t outs[] = {1, 7, 150}, ins[] = {32, 96, 256, 768, 1056};
    static const size_t rows[] = {1, 3, 5, 17, 48, 49, 90};

    (void)state;
    for (size_t k = 0; wd_kernels_all()[k]; k++) {
        struct wd_linear *l;

        if (!wd_kernels_all()[k]->usable())
            continue;
        l = linear_of(wd_kernels_all()[k]);
        for (size_t t = 0; t < sizeof all / sizeof *all; t++)
            for (size_t i = 0; i < 5; i++) {
                uint32_t n_out = outs[(t + i) % 3];
                struct wd_matrix w = {all[t], n_out, ins[i], packed};
                uint64_t s = 77 + t;

                if (ins[i] % wd_type_block(all[t]))
                    continue;
                random_blocks(all[t], packed, (size_t)n_out * ins[i], &s);
                wd_quant_unpack(all[t], packed, dense, (size_t)n_out * ins[i]);
                wd_linear_set_exact(l, all[t] == WD_TYPE_Q4_0 || all[t] == WD_TYPE_Q8_0);
                for (size_t r = 0; r < 7; r++)
                    assert_true(error_of(l, &w, rows[r], ins[i] + r % 2 * 3) < 2e-6);
            }
        wd_linear_free(l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_agree_with_the_sum_in_double),
        cmocka_unit_test(float_weights_may_have_any_width),
        cmocka_unit_test(rounded_activations_stay_close_whatever_their_size),
        cmocka_unit_test(a_drafted_token_gets_the_bits_of_a_decoded_one),
        cmocka_unit_test(applying_never_allocates),
        cmocka_unit_test(kernels_of_another_processor_are_refused),
        cmocka_unit_test(every_block_type_multiplies_as_its_unpacked_weights),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
