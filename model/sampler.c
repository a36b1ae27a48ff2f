/* model/sampler.c - logits -> token: greedy, or sampled with temperature, top-k and top-p. */
#include "model/sampler.h"

#include <math.h>
#include <stdbool.h>

static bool is_in(const int32_t *ids, uint32_t n, uint32_t id)
{
    for (uint32_t i = 0; i < n; i++)
        if (ids[i] == (int32_t)id)
            return true;
    return false;
}

float wd_sampler_probability(const float *logits, uint32_t n, const int32_t *suppress, uint32_t n_suppress, int32_t id)
{
    float max = -INFINITY;
    double sum = 0;

    if (id < 0 || (uint32_t)id >= n || isnan(logits[id]) || is_in(suppress, n_suppress, (uint32_t)id))
        return 0;
    /* A suppressed logit may stand far above all others, and one that is no number says nothing: neither may enter the sum. */
    for (uint32_t i = 0; i < n; i++)
        if (logits[i] > max && !is_in(suppress, n_suppress, i))
            max = logits[i];
    if (!isfinite(max))
        return 0;
    for (uint32_t i = 0; i < n; i++)
        if (logits[i] <= max)
            sum += (double)expf(logits[i] - max);
    for (uint32_t i = 0; i < n_suppress; i++)
        if (suppress[i] >= 0 && (uint32_t)suppress[i] < n && logits[suppress[i]] <= max && !is_in(suppress, i, (uint32_t)suppress[i]))
            sum -= (double)expf(logits[suppress[i]] - max);
    /* Rounding may leave a sum below its own term. */
    return fminf(1.0f, expf(logits[id] - max) / (float)fmax(sum, 1e-30));
}

struct wd_choice wd_sampler_greedy(const float *logits, uint32_t n, const int32_t *suppress, uint32_t n_suppress)
{
    struct wd_choice c = {.id = -1};
    float best = -INFINITY, second = -INFINITY;

    for (uint32_t i = 0; i < n; i++) {
        float x = logits[i];

        if (!(x > second) || is_in(suppress, n_suppress, i))
            continue;
        if (x > best) {
            second = best;
            best = x;
            c.id = (int32_t)i;
        } else {
            second = x;
        }
    }
    c.margin = isfinite(second) ? best - second : 0;
    c.p = wd_sampler_probability(logits, n, suppress, n_suppress, c.id);
    return c;
}

static double next_unit(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

int32_t wd_sampler_next(struct wd_sampler *s, const float *logits, uint32_t n, const int32_t *suppress, uint32_t n_suppress)
{
    struct {
        float logit;
        uint32_t id;
    } top[WD_SAMPLER_MAX_TOP_K];
    uint32_t k = s->top_k, have = 0, i;
    double weight[WD_SAMPLER_MAX_TOP_K], sum = 0, kept = 0, at;

    if (s->temperature <= 0)
        return wd_sampler_greedy(logits, n, suppress, n_suppress).id;
    if (k < 1 || k > WD_SAMPLER_MAX_TOP_K)
        k = WD_SAMPLER_MAX_TOP_K;
    /* The k best, sorted by insertion: nearly every logit fails the first comparison. */
    for (i = 0; i < n; i++) {
        uint32_t j;

        if ((have == k && logits[i] <= top[have - 1].logit) || is_in(suppress, n_suppress, i) || isnan(logits[i]))
            continue;
        if (have < k)
            have++;
        for (j = have - 1; j > 0 && top[j - 1].logit < logits[i]; j--)
            top[j] = top[j - 1];
        top[j].logit = logits[i];
        top[j].id = i;
    }
    if (have == 0)
        return -1;
    for (i = 0; i < have; i++)
        sum += weight[i] = exp((double)(top[i].logit - top[0].logit) / (double)s->temperature);
    for (i = 0; i < have && (i == 0 || kept < (double)s->top_p * sum); i++)
        kept += weight[i];
    have = i;
    at = next_unit(&s->state) * kept;
    for (i = 0; i + 1 < have && at >= weight[i]; i++)
        at -= weight[i];
    return (int32_t)top[i].id;
}
