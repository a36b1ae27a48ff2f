/* model/sampler.h - logits -> token: greedy, or sampled with temperature, top-k and top-p. Pure; nothing allocates. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* What greedy decoding saw at one step. */
struct wd_choice {
    int32_t id;   /* best logit; the lowest id on a tie */
    float margin; /* gap to the second best */
    float p;      /* softmax probability of id at temperature 1, suppressed ids left out */
};

/* suppress [n_suppress]: ids never chosen. logits [n] is not changed. */
struct wd_choice wd_sampler_greedy(const float *logits, uint32_t n, const int32_t *suppress, uint32_t n_suppress);
/* p of a given id, as above. */
float wd_sampler_probability(const float *logits, uint32_t n, const int32_t *suppress, uint32_t n_suppress, int32_t id);

#define WD_SAMPLER_MAX_TOP_K 256

struct wd_sampler {
    float temperature; /* 0: greedy */
    uint32_t top_k;    /* 1..WD_SAMPLER_MAX_TOP_K */
    float top_p;       /* (0, 1] */
    uint64_t state;    /* splitmix64; the seed */
};

/* Top-k, then temperature, then top-p (docs/model.md, "Sampling"). */
int32_t wd_sampler_next(struct wd_sampler *s, const float *logits, uint32_t n, const int32_t *suppress, uint32_t n_suppress);
