/* model/ops.h - small row-wise steps in plain C: norms, rotation, soft cap. Pure, any thread.
 * Source of the formulas: docs/model.md, "Decoder layer", "RoPE", "Pictures". */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* y = x * (mean(x^2) + eps)^(-1/2) * weight, the mean in double. weight [n], NULL: all ones; used
 * as stored, no "+ 1". y may be x. */
void wd_ops_rmsnorm(const float *x, const float *weight, size_t n, float eps, float *y);

/* y = (x - mean) * (variance + eps)^(-1/2) * weight + bias, variance with divisor n, both in
 * double. weight, bias [n], or NULL. y may be x. */
void wd_ops_layernorm(const float *x, const float *weight, const float *bias, size_t n, float eps,
                      float *y);

/* cos and sin [n_rotated] of pos * theta^(-2i / head_dim), i in [0, n_rotated): the product in
 * double, one rounding to f32. */
void wd_ops_rope_angles(double theta, uint32_t head_dim, uint32_t n_rotated, uint32_t pos,
                        float *cos_row, float *sin_row);
/* Rotates in each of n_heads vectors of x [n_heads][head_dim] the pairs (i, i + head_dim / 2) for i
 * in [0, n_rotated <= head_dim / 2) by the angles of wd_ops_rope_angles; the other elements stay.
 */
void wd_ops_rope(float *x, size_t n_heads, size_t head_dim, size_t n_rotated, const float *cos_row,
                 const float *sin_row);

/* x = cap * tanh(x / cap); cap 0: nothing. */
void wd_ops_softcap(float *x, size_t n, float cap);

/* y += x */
void wd_ops_add(const float *x, float *y, size_t n);
