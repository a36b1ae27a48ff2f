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

/* What wd_sampler_next() draws from: the ids left, the likeliest first, and their probabilities, which add up to 1. n 0: nothing can be chosen. */
struct wd_sampler_dist {
    uint32_t n;
    int32_t ids[WD_SAMPLER_MAX_TOP_K];
    double p[WD_SAMPLER_MAX_TOP_K];
};

/* temperature 0: all of it on the greedy choice. */
void wd_sampler_distribution(const struct wd_sampler *s, const float *logits, uint32_t n, const int32_t *suppress, uint32_t n_suppress,
                             struct wd_sampler_dist *ret);
int32_t wd_sampler_draw(struct wd_sampler *s, const struct wd_sampler_dist *d); /* -1 where d is empty */
/* A token distributed as p says, which is `draft`, drawn from q, as often as can be: draft is kept with probability min(1, p/q), otherwise another one is
 * drawn from what p has more than q. q NULL: draft was not drawn but given (q is 1 there and 0 elsewhere). */
int32_t wd_sampler_verify(struct wd_sampler *s, const struct wd_sampler_dist *p, const struct wd_sampler_dist *q, int32_t draft);
