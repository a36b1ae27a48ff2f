/* pipeline/cluster.c - average linkage: all joins first, then how many of them hold. */
#include "pipeline/cluster.h"
#include <errno.h>
#include <math.h>
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
    float *alike; /* [max][max] */
    float *weight;
    uint32_t *best; /* the most alike of each that is still there */
    float *bound;   /* how alike: an upper bound where `stale` */
    bool *stale;
    uint32_t *live, n_live; /* those still there, in order */
    struct join *joins;
};

int wd_cluster_new(uint32_t max, struct wd_cluster **ret, struct wd_err *err)
{
    struct wd_cluster *c = calloc(1, sizeof *c);

    if (!c || !(c->alike = calloc((size_t)max * max, sizeof *c->alike)) ||
        !(c->weight = calloc(max, sizeof *c->weight)) ||
        !(c->best = calloc(max, sizeof *c->best)) || !(c->bound = calloc(max, sizeof *c->bound)) ||
        !(c->live = calloc(max, sizeof *c->live)) || !(c->stale = calloc(max, sizeof *c->stale)) ||
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
    free(c->stale);
    free(c->live);
    free(c->bound);
    free(c->best);
    free(c->weight);
    free(c->alike);
    free(c);
    return NULL;
}

static void find_best(struct wd_cluster *c, uint32_t i)
{
    const float *row = c->alike + (size_t)i * c->max;
    uint32_t best = NOBODY;
    float most = -INFINITY;

    for (uint32_t l = 0; l < c->n_live; l++) {
        uint32_t j = c->live[l];

        if (row[j] > most && j != i) {
            most = row[j];
            best = j;
        }
    }
    c->best[i] = best;
    c->bound[i] = most;
    c->stale[i] = false;
}

/* j goes into i: the mean over pairs of members. Nobody becomes more alike by it: what the others
 * know stays an upper bound. */
static void join(struct wd_cluster *c, uint32_t i, uint32_t j)
{
    float wi = c->weight[i], wj = c->weight[j];
    uint32_t at = 0;

    for (uint32_t l = 0; l < c->n_live; l++)
        if (c->live[l] != j)
            c->live[at++] = c->live[l];
    c->n_live = at;
    c->weight[i] = wi + wj;
    c->stale[i] = true;
    for (uint32_t l = 0; l < c->n_live; l++) {
        uint32_t k = c->live[l];
        float *to_i = &c->alike[(size_t)i * c->max + k];

        if (k == i)
            continue;
        *to_i = (wi * *to_i + wj * c->alike[(size_t)j * c->max + k]) / (wi + wj);
        c->alike[(size_t)k * c->max + i] = *to_i;
        c->stale[k] = c->stale[k] || c->best[k] == i || c->best[k] == j;
    }
}

static void join_all(struct wd_cluster *c, uint32_t n)
{
    for (uint32_t done = 0; done + 1 < n; done++) {
        uint32_t a, b;

        for (;;) { /* the greatest bound, until it is one that holds */
            a = c->live[0];
            for (uint32_t l = 1; l < c->n_live; l++)
                a = c->bound[c->live[l]] > c->bound[a] ? c->live[l] : a;
            if (!c->stale[a])
                break;
            find_best(c, a);
        }
        b = c->best[a];
        c->joins[done] = (struct join){a < b ? a : b, a < b ? b : a, c->bound[a]};
        join(c, c->joins[done].into, c->joins[done].from);
    }
}

static float clamp(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

/* How many joins hold: up to the widest gap, the ends of the band counting as joins. */
static uint32_t choose(const struct wd_cluster *c, uint32_t n_joins,
                       const struct wd_cluster_rule *rule)
{
    float above = rule->high, widest = -1.0f;
    uint32_t hold = 0;

    for (uint32_t i = 0; i <= n_joins; i++) {
        float below = i < n_joins ? clamp(c->joins[i].height, rule->low, rule->high) : rule->low;
        float gap =
            above - below + (below <= rule->middle && rule->middle < above ? rule->bonus : 0.0f);

        if (gap > widest) {
            widest = gap;
            hold = i;
        }
        above = below;
    }
    /* Joins above the band hold in any case: they are all alike there, and the first gap stands
     * before them. */
    while (hold < n_joins && c->joins[hold].height >= rule->high)
        hold++;
    return hold;
}

uint32_t wd_cluster_run(struct wd_cluster *c, const float *alike, uint32_t stride,
                        const float *weight, uint32_t n, const struct wd_cluster_rule *rule,
                        uint32_t *ret_of)
{
    uint32_t hold, count = 0;

    if (!n)
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(c->alike + (size_t)i * c->max, alike + (size_t)i * stride, n * sizeof *alike);
        c->weight[i] = weight[i];
        c->live[i] = i;
        ret_of[i] = i;
    }
    c->n_live = n;
    for (uint32_t i = 0; i < n; i++)
        find_best(c, i);
    join_all(c, n);
    hold = choose(c, n - 1, rule);

    /* Backwards: what a cluster went into is known before its members ask. */
    for (uint32_t i = hold; i-- > 0;)
        ret_of[c->joins[i].from] = c->joins[i].into;
    for (uint32_t i = 0; i < n;
         i++) { /* into < from always: whoever is pointed at has its number already */
        if (ret_of[i] == i)
            ret_of[i] = count++;
        else
            ret_of[i] = ret_of[ret_of[i]];
    }
    return count;
}
