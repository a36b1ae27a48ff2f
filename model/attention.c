/* model/attention.c - sliding and global attention over a paged cache; causal, but two-way inside a picture. */
#include "model/attention.h"

#include <string.h>

struct job {
    const struct wd_attention *a;
    uint32_t layer;
    const struct wd_attention_rows *parts;
    uint32_t n_parts;
    bool by_row; /* a member takes whole rows, so that probed heads of one row are summed by one member */
};

/* Keys [*lo, *hi) that the query at `pos` may see: docs/model.md, "Masks". */
static void span_of(const struct wd_shape *s, bool full, uint32_t pos, uint32_t block_end, uint32_t *lo, uint32_t *hi)
{
    *hi = pos + 1;
    *lo = 0;
    if (full)
        return;
    if (s->two_way_pictures && block_end > *hi)
        *hi = block_end;
    if (pos + 1 > s->window)
        *lo = pos + 1 - s->window;
}

static float probe_share(const struct wd_shape *s, const struct wd_attention_rows *p, uint32_t layer, uint32_t head)
{
    if (p->n_probe_heads == 0)
        return 1.0f / (float)(s->n_layers * s->n_heads);
    for (uint32_t i = 0; i < p->n_probe_heads; i++)
        if (p->probe_heads[i][0] == layer && p->probe_heads[i][1] == head)
            return 1.0f / (float)p->n_probe_heads;
    return 0;
}

static void add_probe(const struct wd_attention_rows *p, uint32_t row, float share, const float *w, uint32_t lo, uint32_t hi)
{
    uint32_t from = p->probe_first > lo ? p->probe_first : lo;
    uint32_t to = p->probe_first + p->probe_n < hi ? p->probe_first + p->probe_n : hi;
    float *out = p->probe + (size_t)(row - (p->n - p->n_probe)) * p->probe_n;

    for (uint32_t k = from; k < to; k++)
        out[k - p->probe_first] += share * w[k - lo];
}

static void one_head(const struct job *j, const struct wd_attention_rows *p, uint32_t row, uint32_t head, float *w)
{
    const struct wd_shape *s = j->a->shape;
    const struct wd_kernels *kn = j->a->kernels;
    const struct wd_layer_shape *ls = &s->layers[j->layer];
    uint32_t dim = ls->head_dim, g = head / (s->n_heads / ls->n_kv_heads), lo, hi, n;
    size_t width = (size_t)s->n_heads * dim;
    const float *q = p->q + (size_t)(row - p->skip) * width + (size_t)head * dim;
    float *out = p->out + (size_t)(row - p->skip) * width + (size_t)head * dim;
    float max = -3.4e38f, inv;

    span_of(s, ls->full, p->first + row, p->block_end[row], &lo, &hi);
    for (uint32_t k = lo; k < hi; k += n) {
        const float *key = wd_kv_cache_k(p->cache, j->layer, g, k, &n);

        n = n < hi - k ? n : hi - k;
        for (uint32_t i = 0; i < n; i++) {
            float x = kn->dot(q, key + (size_t)i * dim, dim);

            w[k - lo + i] = x;
            max = x > max ? x : max;
        }
    }
    inv = 1.0f / kn->exp_sum(w, hi - lo, max);
    kn->scale(inv, w, hi - lo);
    memset(out, 0, dim * sizeof *out);
    for (uint32_t k = lo; k < hi; k += n) {
        const float *v = wd_kv_cache_v(p->cache, j->layer, g, k, &n);

        n = n < hi - k ? n : hi - k;
        for (uint32_t i = 0; i < n; i++)
            kn->axpy(w[k - lo + i], v + (size_t)i * dim, out, dim);
    }
    if (p->probe && row + p->n_probe >= p->n) {
        float share = probe_share(s, p, j->layer, head);

        if (share > 0)
            add_probe(p, row, share, w, lo, hi);
    }
}

static void member_run(void *ctx, unsigned member, unsigned count)
{
    const struct job *j = ctx;
    uint32_t heads = j->a->shape->n_heads;
    float *w = j->a->scores + (size_t)member * j->a->max_keys;
    size_t at = 0;

    /* Dealt round: late rows see more keys than early ones. */
    for (uint32_t i = 0; i < j->n_parts; i++) {
        const struct wd_attention_rows *p = &j->parts[i];

        for (uint32_t row = p->skip; row < p->n; row++) {
            if (j->by_row) {
                if (at++ % count == member)
                    for (uint32_t h = 0; h < heads; h++)
                        one_head(j, p, row, h, w);
                continue;
            }
            for (uint32_t h = 0; h < heads; h++)
                if (at++ % count == member)
                    one_head(j, p, row, h, w);
        }
    }
}

void wd_attention_run(const struct wd_attention *a, uint32_t layer, const struct wd_attention_rows *parts, uint32_t n_parts)
{
    struct job j = {.a = a, .layer = layer, .parts = parts, .n_parts = n_parts};

    for (uint32_t i = 0; i < n_parts; i++) {
        j.by_row |= parts[i].probe && parts[i].n_probe_heads == 0;
        for (uint32_t k = 0; parts[i].probe && k < parts[i].n_probe_heads; k++)
            j.by_row |= parts[i].probe_heads[k][0] == layer;
    }
    wd_threads_run(a->threads, member_run, &j);
}
