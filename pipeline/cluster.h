/* pipeline/cluster.h - average linkage down to where the sound at hand parts best. Pure; nothing
 * allocates but _new. Why the border is where it is: docs/voice.md, "Who speaks". */
#pragma once
#include "base/err.h"
#include <stdint.h>

struct wd_cluster; /* room for one run */
int wd_cluster_new(uint32_t max, struct wd_cluster **ret, struct wd_err *err);
struct wd_cluster *wd_cluster_free(struct wd_cluster *c);

/* Joining goes on while two clusters are more alike than `high` and ends where none are more alike
 * than `low`; between, at the widest gap between one join and the next, a gap at `middle` counting
 * as `bonus` wider. */
struct wd_cluster_rule {
    float high, middle, low, bonus;
};

/* alike [n][stride], symmetric and finite; weight [n] > 0. ret_of [n]: to which cluster each
 * belongs, numbered from 0 by first member. Returns how many there are. */
uint32_t wd_cluster_run(struct wd_cluster *c, const float *alike, uint32_t stride,
                        const float *weight, uint32_t n, const struct wd_cluster_rule *rule,
                        uint32_t *ret_of);
