/* pipeline/cluster.c - average linkage: all joins first, then how many of them hold. */
#include "pipeline/cluster.h"
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NOBODY UINT32_MAX

struct join {
    uint32_t into, from;
    float height;
};

struct wd_cluster {
    uint32_t max;
    float *alike;    /* [max][max] */
    float *weight;
    uint32_t *best;  /* the most alike of each that is still there */
    bool *gone;
    struct join *joins;
};

int wd_cluster_new(uint32_t max, struct wd_cluster **ret, struct wd_err *err)
{
    struct wd_cluster *c = calloc(1, sizeof *c);

    if (!c || !(c->alike = calloc((size_t)max * max, sizeof *c->alike)) || !(c->weight = calloc(max, sizeof *c->weight)) ||
        !(c->best = calloc(max, sizeof *c->best)) || !(c->gone = calloc(max, sizeof *c->gone)) ||
        !(c->joins = calloc(max, sizeof *c->joins))) {
        wd_cluster_free(c);
        return wd_err_set(err, -ENOMEM, "speakers: out of memory");
    }
    c->max = max;
    *ret = c;
    return 0;
}

struct wd_cluster *wd_cluster_free(struct wd_cluster *c)
{
    if (!c)
        return NULL;
    free(c->joins);
    free(c->gone);
    free(c->best);
    free(c->weight);
    free(c->alike);
    free(c);
    return NULL;
}

static void find_best(struct wd_cluster *c, uint32_t i, uint32_t n)
{
    const float *row = c->alike + (size_t)i * c->max;

    c->best[i] = NOBODY;
    for (uint32_t j = 0; j < n; j++)
        if (j != i && !c->gone[j] && (c->best[i] == NOBODY || row[j] > row[c->best[i]]))
            c->best[i] = j;
}

/* j goes into i: the mean over pairs of members. Nobody becomes more alike by it, so that only those whose best it was must look again. */
static void join(struct wd_cluster *c, uint32_t i, uint32_t j, uint32_t n)
{
    float wi = c->weight[i], wj = c->weight[j];

    c->gone[j] = true;
    c->weight[i] = wi + wj;
    for (uint32_t k = 0; k < n; k++) {
        float *to_i = &c->alike[(size_t)i * c->max + k];

        if (c->gone[k] || k == i)
            continue;
        *to_i = (wi * *to_i + wj * c->alike[(size_t)j * c->max + k]) / (wi + wj);
        c->alike[(size_t)k * c->max + i] = *to_i;
    }
    find_best(c, i, n);
    for (uint32_t k = 0; k < n; k++)
        if (!c->gone[k] && k != i && (c->best[k] == i || c->best[k] == j))
            find_best(c, k, n);
}

static void join_all(struct wd_cluster *c, uint32_t n)
{
    for (uint32_t done = 0; done + 1 < n; done++) {
        uint32_t a = NOBODY, b;
        float height = 0.0f;

        for (uint32_t i = 0; i < n; i++) {
            float h = c->gone[i] ? 0.0f : c->alike[(size_t)i * c->max + c->best[i]];

            if (!c->gone[i] && (a == NOBODY || h > height)) {
                a = i;
                height = h;
            }
        }
        b = c->best[a];
        c->joins[done] = (struct join){a < b ? a : b, a < b ? b : a, height};
        join(c, c->joins[done].into, c->joins[done].from, n);
    }
}

static float clamp(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

/* How many joins hold: up to the widest gap, the ends of the band counting as joins. */
static uint32_t choose(const struct wd_cluster *c, uint32_t n_joins, const struct wd_cluster_rule *rule)
{
    float above = rule->high, widest = -1.0f;
    uint32_t hold = 0;

    for (uint32_t i = 0; i <= n_joins; i++) {
        float below = i < n_joins ? clamp(c->joins[i].height, rule->low, rule->high) : rule->low;
        float gap = above - below + (below <= rule->middle && rule->middle < above ? rule->bonus : 0.0f);

        if (gap > widest) {
            widest = gap;
            hold = i;
        }
        above = below;
    }
    /* Joins above the band hold in any case: they are all alike there, and the first gap stands before them. */
    while (hold < n_joins && c->joins[hold].height >= rule->high)
        hold++;
    return hold;
}

uint32_t wd_cluster_run(struct wd_cluster *c, const float *alike, uint32_t stride, const float *weight, uint32_t n,
                        const struct wd_cluster_rule *rule, uint32_t *ret_of)
{
    uint32_t hold, count = 0;

    if (!n)
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(c->alike + (size_t)i * c->max, alike + (size_t)i * stride, n * sizeof *alike);
        c->weight[i] = weight[i];
        c->gone[i] = false;
        ret_of[i] = i;
    }
    for (uint32_t i = 0; i < n; i++)
        find_best(c, i, n);
    join_all(c, n);
    hold = choose(c, n - 1, rule);

    /* Backwards: what a cluster went into is known before its members ask. */
    for (uint32_t i = hold; i-- > 0;)
        ret_of[c->joins[i].from] = c->joins[i].into;
    for (uint32_t i = 0; i < n; i++) { /* into < from always: whoever is pointed at has its number already */
        if (ret_of[i] == i)
            ret_of[i] = count++;
        else
            ret_of[i] = ret_of[ret_of[i]];
    }
    return count;
}
