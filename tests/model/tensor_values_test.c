/* tests/model/tensor_values_test.c - infinities, NaNs and zeros are found in every type, whoever
 * looks. */
#include "model/tensor_values.h"

#include "model/quant.h"
#include "model/tensor_file.h"
#include "model/threads.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COLUMNS 256u
#define ROWS 100u /* three blocks and a piece */
#define N (COLUMNS * ROWS)

static const enum wd_type types[] = {WD_TYPE_F32,  WD_TYPE_F16,  WD_TYPE_BF16,
                                     WD_TYPE_Q8_0, WD_TYPE_Q4_0, WD_TYPE_Q6_K};
#define N_TYPES (sizeof types / sizeof *types)

/* A tensor of exactly its size, so that a sanitizer sees a read beyond. data is owned. */
static struct wd_tensor tensor_of(enum wd_type type, float value)
{
    size_t n_bytes = wd_type_row_bytes(type, N);
    float *values = malloc(N * sizeof *values);
    void *data = malloc(n_bytes);

    assert_non_null(values);
    assert_non_null(data);
    for (size_t i = 0; i < N; i++)
        values[i] = i % 2 ? value : -value;
    wd_quant_pack(type, values, data, N);
    free(values);
    return (struct wd_tensor){.name = "t",
                              .type = type,
                              .n_dims = 2,
                              .dims = {COLUMNS, ROWS, 1, 1},
                              .data = data,
                              .n_bytes = n_bytes};
}

static unsigned char *bytes_of(const struct wd_tensor *t)
{
    return (unsigned char *)(uintptr_t)t->data;
}

static struct wd_tensor_values look(const struct wd_tensor *t, struct wd_threads *team,
                                    uint64_t step)
{
    struct wd_tensor_values v = {.zero = true};

    for (uint64_t b = 0; b < wd_tensor_values_blocks(t); b += step)
        wd_tensor_values_add(t, b, step, team, &v);
    return v;
}

static void ordinary_numbers_are_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TYPES; i++) {
        struct wd_tensor t = tensor_of(types[i], 0.5f);
        struct wd_tensor_values v = look(&t, NULL, 1);

        assert_int_equal(v.n, N);
        assert_int_equal(v.n_not_finite, 0);
        assert_false(v.zero);
        free(bytes_of(&t));
    }
}

static void zeros_are_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TYPES; i++) {
        struct wd_tensor t = tensor_of(types[i], 0);

        assert_true(look(&t, NULL, 100).zero);
        free(bytes_of(&t));
    }
}

static void a_nan_and_an_infinity_are_found_at_their_place(void **state)
{
    (void)state;
    for (size_t team_size = 0; team_size < 2; team_size++) {
        struct wd_tensor t = tensor_of(WD_TYPE_F32, 0.5f);
        struct wd_threads *team = NULL;
        struct wd_tensor_values v;
        float bad[2] = {NAN, -INFINITY};

        if (team_size)
            assert_int_equal(wd_threads_new(3, &team, NULL), 0);
        memcpy(bytes_of(&t) + 4 * 20000, &bad[0], 4);
        memcpy(bytes_of(&t) + 4 * (N - 1), &bad[1], 4);
        v = look(&t, team, 2);
        assert_int_equal(v.n, N);
        assert_int_equal(v.n_not_finite, 2);
        assert_int_equal(v.first, 20000);
        wd_threads_free(team);
        free(bytes_of(&t));
    }
}

/* Half-precision infinity as the scale of one block. */
static void a_bad_scale_spoils_its_block(void **state)
{
    static const struct {
        enum wd_type type;
        size_t at; /* of the scale in its block */
    } cases[] = {{WD_TYPE_Q8_0, 0}, {WD_TYPE_Q4_0, 0}, {WD_TYPE_Q6_K, 208}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wd_tensor t = tensor_of(cases[i].type, 0.5f);
        size_t block = wd_type_block(t.type), bytes = wd_type_block_bytes(t.type);
        struct wd_tensor_values v;

        bytes_of(&t)[7 * bytes + cases[i].at] = 0;
        bytes_of(&t)[7 * bytes + cases[i].at + 1] = 0x7c;
        v = look(&t, NULL, 1);
        assert_true(v.n_not_finite > 0 && v.n_not_finite <= block);
        assert_int_equal(v.first / block, 7);
        free(bytes_of(&t));
    }
}

static void behind_the_end_there_is_nothing(void **state)
{
    struct wd_tensor t = tensor_of(WD_TYPE_F32, 1);
    struct wd_tensor_values v = {.zero = true};

    (void)state;
    assert_int_equal(wd_tensor_values_blocks(&t), 4);
    wd_tensor_values_add(&t, 4, UINT64_MAX, NULL, &v);
    assert_int_equal(v.n, 0);
    wd_tensor_values_add(&t, 3, UINT64_MAX, NULL, &v);
    assert_int_equal(v.n, N - 3 * WD_TENSOR_VALUES_BLOCK);
    free(bytes_of(&t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_numbers_are_right),
        cmocka_unit_test(zeros_are_told),
        cmocka_unit_test(a_nan_and_an_infinity_are_found_at_their_place),
        cmocka_unit_test(a_bad_scale_spoils_its_block),
        cmocka_unit_test(behind_the_end_there_is_nothing),
    };

    return cmocka_run_group_tests_name("model/tensor_values", tests, NULL, NULL);
}
