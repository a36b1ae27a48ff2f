/* model/tensor_values.h - whether the numbers of a tensor can be weights. One caller at a time. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct wd_tensor;
struct wd_threads;

struct wd_tensor_values {
    uint64_t n; /* values looked at */
    uint64_t
        n_not_finite; /* infinities and NaNs, after unpacking: a bad scale spoils its whole block */
    uint64_t first;   /* index of the first of them, fastest dimension first; if there is one */
    bool zero;        /* all are 0 */
};

/* Adds what blocks [first, first + n) of WD_TENSOR_VALUES_BLOCK values hold to *sum, which is
 * zeroed before the first call of a tensor except zero = true. Beyond the end of the tensor there
 * is nothing. Every type of wd_type. team NULL: alone. Reads the tensor's bytes once. */
#define WD_TENSOR_VALUES_BLOCK 8192u
void wd_tensor_values_add(const struct wd_tensor *t, uint64_t first, uint64_t n,
                          struct wd_threads *team, struct wd_tensor_values *sum);
/* How many blocks a tensor has. */
uint64_t wd_tensor_values_blocks(const struct wd_tensor *t);
