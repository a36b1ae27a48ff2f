/* tests/model/kernels_check.h - holds a table of kernels against plain C. Needs no test library, so
 * that it also runs in a bare program for another processor. */
#pragma once
#include "model/kernels.h"
#include <stdint.h>

/* Each returns how many comparisons failed, and prints the first of them; 0 is right. */
unsigned kernels_check_floats(const struct wd_kernels *k, uint64_t seed);
unsigned kernels_check_blocks(const struct wd_kernels *k, uint64_t seed);
unsigned kernels_check_packed(const struct wd_kernels *k, uint64_t seed);
unsigned kernels_check_places(const struct wd_kernels *k, uint64_t seed);
unsigned kernels_check_extremes(const struct wd_kernels *k, uint64_t seed);
unsigned kernels_check_same_bits(const struct wd_kernels *k, uint64_t seed);
unsigned kernels_check_nan(const struct wd_kernels *k, uint64_t seed);
unsigned kernels_check_rounding(const struct wd_kernels *k, uint64_t seed);
unsigned kernels_check_unpacking(const struct wd_kernels *k, uint64_t seed);
unsigned kernels_check_steps(const struct wd_kernels *k, uint64_t seed);
unsigned kernels_check_gelu(const struct wd_kernels *k, uint64_t seed);
unsigned kernels_check_exp(const struct wd_kernels *k, uint64_t seed);
