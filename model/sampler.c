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

void wd_sampler_distribution(const struct wd_sampler *s, const float *logits, uint32_t n, const int32_t *suppress, uint32_t n_suppress,
                             struct wd_sampler_dist *ret)
{
    float top[WD_SAMPLER_MAX_TOP_K];
    uint32_t k = s->top_k, have = 0, i;
    double sum = 0, kept = 0;

    if (s->temperature <= 0) {
        ret->ids[0] = wd_sampler_greedy(logits, n, suppress, n_suppress).id;
        ret->p[0] = 1;
        ret->n = ret->ids[0] >= 0;
        return;
    }
    if (k < 1 || k > WD_SAMPLER_MAX_TOP_K)
        k = WD_SAMPLER_MAX_TOP_K;
    /* The k best, sorted by insertion: nearly every logit fails the first comparison. */
    for (i = 0; i < n; i++) {
        uint32_t j;

        if ((have == k && logits[i] <= top[have - 1]) || is_in(suppress, n_suppress, i) || isnan(logits[i]))
            continue;
        if (have < k)
            have++;
        for (j = have - 1; j > 0 && top[j - 1] < logits[i]; j--) {
            top[j] = top[j - 1];
            ret->ids[j] = ret->ids[j - 1];
        }
        top[j] = logits[i];
        ret->ids[j] = (int32_t)i;
    }
    for (i = 0; i < have; i++)
        sum += ret->p[i] = exp((double)(top[i] - top[0]) / (double)s->temperature);
    for (i = 0; i < have && (i == 0 || kept < (double)s->top_p * sum); i++)
        kept += ret->p[i];
    ret->n = i;
    for (i = 0; i < ret->n; i++)
        ret->p[i] /= kept;
}

int32_t wd_sampler_draw(struct wd_sampler *s, const struct wd_sampler_dist *d)
{
    double at;
    uint32_t i;

    if (d->n < 2) /* nothing to choose from: the state stays */
        return d->n ? d->ids[0] : -1;
    at = next_unit(&s->state);
    for (i = 0; i + 1 < d->n && at >= d->p[i]; i++)
        at -= d->p[i];
    return d->ids[i];
}

static double p_of(const struct wd_sampler_dist *d, int32_t id)
{
    for (uint32_t i = 0; i < d->n; i++)
        if (d->ids[i] == id)
            return d->p[i];
    return 0;
}

int32_t wd_sampler_verify(struct wd_sampler *s, const struct wd_sampler_dist *p, const struct wd_sampler_dist *q, int32_t draft)
{
    struct wd_sampler_dist rest = {0};
    double sum = 0;

    if (next_unit(&s->state) * (q ? p_of(q, draft) : 1) < p_of(p, draft))
        return draft;
    for (uint32_t i = 0; i < p->n; i++) {
        double more = p->p[i] - (q ? p_of(q, p->ids[i]) : p->ids[i] == draft);

        if (p->ids[i] == draft || !(more > 0))
            continue;
        rest.ids[rest.n] = p->ids[i];
        sum += rest.p[rest.n++] = more;
    }
    /* By rounding alone: where q has all that p has, the draft is kept. */
    if (rest.n == 0)
        return wd_sampler_draw(s, p);
    for (uint32_t i = 0; i < rest.n; i++)
        rest.p[i] /= sum;
    return wd_sampler_draw(s, &rest);
}

int32_t wd_sampler_next(struct wd_sampler *s, const float *logits, uint32_t n, const int32_t *suppress, uint32_t n_suppress)
{
    struct wd_sampler_dist d;

    wd_sampler_distribution(s, logits, n, suppress, n_suppress, &d);
    return wd_sampler_draw(s, &d);
}
