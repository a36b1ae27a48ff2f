/* tests/model/kernels_test.c - every table that was built and runs here does what plain C does. */
#include "model/kernels.h"
#include "tests/model/kernels_check.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

static uint64_t seed;

static void on_every_table(unsigned (*check)(const struct wd_kernels *k, uint64_t seed))
{
    for (const struct wd_kernels *const *k = wd_kernels_all(); *k; k++)
        if ((*k)->usable())
            assert_int_equal(check(*k, seed), 0);
        else
            print_message("%s was built but does not run on this processor\n", (*k)->name);
}

static void products_with_float_weights_agree(void **state)
{
    (void)state;
    on_every_table(kernels_check_floats);
}

static void products_with_block_weights_agree(void **state)
{
    (void)state;
    on_every_table(kernels_check_blocks);
}

static void packed_products_agree_with_the_unpacked_weights(void **state)
{
    (void)state;
    on_every_table(kernels_check_packed);
}

static void every_activation_meets_its_own_weight(void **state)
{
    (void)state;
    on_every_table(kernels_check_places);
}

static void the_largest_weights_and_activations_do_not_run_over(void **state)
{
    (void)state;
    on_every_table(kernels_check_extremes);
}

static void a_row_gives_the_same_bits_alone_and_among_others(void **state)
{
    (void)state;
    on_every_table(kernels_check_same_bits);
}

static void a_nan_spoils_only_what_it_enters(void **state)
{
    (void)state;
    on_every_table(kernels_check_nan);
}

static void activations_round_to_the_nearest_step(void **state)
{
    (void)state;
    on_every_table(kernels_check_rounding);
}

static void unpacking_is_exact_for_every_bit_pattern(void **state)
{
    (void)state;
    on_every_table(kernels_check_unpacking);
}

static void row_steps_agree(void **state)
{
    (void)state;
    on_every_table(kernels_check_steps);
}

static void gelu_is_accurate_to_the_last_places(void **state)
{
    (void)state;
    on_every_table(kernels_check_gelu);
}

static void exp_is_accurate_to_the_last_places(void **state)
{
    (void)state;
    on_every_table(kernels_check_exp);
}

static void the_environment_names_the_table(void **state)
{
    (void)state;
    assert_int_equal(setenv("WITNESSD_KERNELS", "ref", 1), 0);
    assert_string_equal(wd_kernels_best()->name, "ref");
    assert_int_equal(setenv("WITNESSD_KERNELS", "abacus", 1), 0);
    assert_true(wd_kernels_best()->usable());
    assert_int_equal(unsetenv("WITNESSD_KERNELS"), 0);
    assert_true(wd_kernels_best()->usable());
    assert_null(wd_kernels_find("abacus"));
}

static void plain_c_is_last_and_always_usable(void **state)
{
    const struct wd_kernels *const *k = wd_kernels_all();

    (void)state;
    while (k[1])
        k++;
    assert_string_equal((*k)->name, "ref");
    assert_true((*k)->usable());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_with_float_weights_agree),
        cmocka_unit_test(products_with_block_weights_agree),
        cmocka_unit_test(packed_products_agree_with_the_unpacked_weights),
        cmocka_unit_test(every_activation_meets_its_own_weight),
        cmocka_unit_test(the_largest_weights_and_activations_do_not_run_over),
        cmocka_unit_test(a_row_gives_the_same_bits_alone_and_among_others),
        cmocka_unit_test(a_nan_spoils_only_what_it_enters),
        cmocka_unit_test(activations_round_to_the_nearest_step),
        cmocka_unit_test(unpacking_is_exact_for_every_bit_pattern),
        cmocka_unit_test(row_steps_agree),
        cmocka_unit_test(gelu_is_accurate_to_the_last_places),
        cmocka_unit_test(exp_is_accurate_to_the_last_places),
        cmocka_unit_test(the_environment_names_the_table),
        cmocka_unit_test(plain_c_is_last_and_always_usable),
    };
    const char *given = getenv("WD_TEST_SEED");

    seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u + 1;
    seed += seed == 0;
    print_message("WD_TEST_SEED=%llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
