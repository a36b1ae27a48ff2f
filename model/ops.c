/* model/ops.c - small row-wise steps in plain C: norms, rotation, soft cap. */
#include "model/ops.h"
#include <math.h>

/* Independent sums that a compiler may put side by side in registers. */
#define LANES 8

static double sum_of(const float *x, size_t n)
{
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lane[k] += (double)x[i + k];
    for (; i < n; i++)
        sum += (double)x[i];
    for (size_t k = 0; k < LANES; k++)
        sum += lane[k];
    return sum;
}

/* Of (x - mean)^2. */
static double squares_of(const float *x, size_t n, double mean)
{
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;

    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++) {
            double v = (double)x[i + k] - mean;

            lane[k] += v * v;
        }
    for (; i < n; i++)
        sum += ((double)x[i] - mean) * ((double)x[i] - mean);
    for (size_t k = 0; k < LANES; k++)
        sum += lane[k];
    return sum;
}

void wd_ops_rmsnorm(const float *x, const float *weight, size_t n, float eps, float *y)
{
    float inv = (float)(1 / sqrt(squares_of(x, n, 0) / (double)n + (double)eps));

    if (weight)
        for (size_t i = 0; i < n; i++)
            y[i] = x[i] * inv * weight[i];
    else
        for (size_t i = 0; i < n; i++)
            y[i] = x[i] * inv;
}

void wd_ops_layernorm(const float *x, const float *weight, const float *bias, size_t n, float eps,
                      float *y)
{
    double mean = sum_of(x, n) / (double)n;
    double inv = 1 / sqrt(squares_of(x, n, mean) / (double)n + (double)eps);

    for (size_t i = 0; i < n; i++) {
        float v = (float)(((double)x[i] - mean) * inv);

        if (weight)
            v *= weight[i];
        y[i] = bias ? v + bias[i] : v;
    }
}

void wd_ops_rope_angles(double theta, uint32_t head_dim, uint32_t n_rotated, uint32_t pos,
                        float *cos_row, float *sin_row)
{
    double log_step = -2 * log(theta) / head_dim;

    for (uint32_t i = 0; i < n_rotated; i++) {
        double angle = pos * exp(log_step * i);

        cos_row[i] = (float)cos(angle);
        sin_row[i] = (float)sin(angle);
    }
}

void wd_ops_rope(float *x, size_t n_heads, size_t head_dim, size_t n_rotated, const float *cos_row,
                 const float *sin_row)
{
    for (size_t h = 0; h < n_heads; h++, x += head_dim)
        for (size_t i = 0; i < n_rotated; i++) {
            float a = x[i], b = x[i + head_dim / 2];

            x[i] = a * cos_row[i] - b * sin_row[i];
            x[i + head_dim / 2] = b * cos_row[i] + a * sin_row[i];
        }
}

void wd_ops_softcap(float *x, size_t n, float cap)
{
    if (cap == 0)
        return;
    for (size_t i = 0; i < n; i++)
        x[i] = cap * tanhf(x[i] / cap);
}

void wd_ops_add(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}
