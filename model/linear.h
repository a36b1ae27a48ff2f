/* model/linear.h - y = x W^T: BLAS for many rows, a kernel on the packed weights for few. Engine
 * thread only. */
#pragma once
#include "base/err.h"
#include "model/quant.h"
#include "model/threads.h"
#include <stddef.h>
#include <stdint.h>

/* A matrix as it lies in the mapped file, row-major [n_out][n_in]; borrowed. */
struct wd_matrix {
    enum wd_type type;
    uint32_t n_out, n_in;
    const void *data;
};

struct wd_kernels;
struct wd_linear; /* the team, the chosen kernels, scratch for unpacked tiles and rounded
                     activations */

/* max_in, max_rows bound every later call. kernels NULL: the best table of this machine; -ENOTSUP
 * if this processor cannot run the given one. threads is borrowed. OpenBLAS is set to one thread,
 * for the whole process: the team's members call it side by side. */
int wd_linear_new(struct wd_threads *threads, const struct wd_kernels *kernels, uint32_t max_in,
                  uint32_t max_rows, struct wd_linear **ret, struct wd_err *err);
struct wd_linear *wd_linear_free(struct wd_linear *l);

/* y [n_rows][y_stride] (first n_out of each row written) = x [n_rows][x_stride] W^T.
 * Products and sums are in f32 on the exact weights, but for Q8_0 and Q4_0: activations are
 * rounded to 16 bits with one scale a block of 32 (relative error of a product below 5e-5;
 * docs/model.md), or with `exact` set by wd_linear_set_exact, in f32 on the unpacked weights.
 * Strides in floats. y does not overlap x. Up to
 * WD_LINEAR_SAME_BITS rows of Q8_0 or Q4_0 (not exact), a row's result is the same to the bit
 * whatever other rows are in the call. More rows, more than 12 of F32 and more than 48 of the rest
 * go to BLAS, which sums in another order. Never allocates. */
#define WD_LINEAR_SAME_BITS 64
void wd_linear_apply(struct wd_linear *l, const struct wd_matrix *w, const float *x,
                     size_t x_stride, size_t n_rows, float *y, size_t y_stride);
void wd_linear_set_exact(struct wd_linear *l, int exact);
const struct wd_kernels *wd_linear_kernels(const struct wd_linear *l);
