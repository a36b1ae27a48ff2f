/* model/drafter.c - a small model that guesses the tokens ahead from the decoder's hidden state and its keys and values. */
#include "model/drafter.h"

#include "model/decoder.h"
#include "model/engine_state.h"
#include "model/ops.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NEVER (WD_SHAPE_MAX_IDS + 3)

struct wd_drafter {
    struct wd_engine *engine;
    struct wd_drafter_weights weights;
    struct wd_linear *linear;
    struct wd_shape view; /* the model's, as attention from here sees it: other heads, and one key more */
    int32_t never[MAX_NEVER];
    uint32_t n_never;

    const struct wd_kv_cache *cache;
    uint32_t position; /* of the newest token; the same in all steps of a draft */
    float *space;
    float *in;                /* [2 * the model's d_model]: embedding, hidden state */
    float *hidden;            /* the second half of `in` */
    float *x, *norm;          /* [d_model] */
    float *q, *o;             /* [n_heads * the largest head_dim] */
    float *gate, *up;         /* [d_ff] */
    float *cos[2], *sin[2];   /* of `position`, [0] sliding, [1] full layers */
    float *logits;            /* [n_vocab] */
    struct wd_sampler_dist drawn[WD_DRAFTER_MOST];
};

static uint32_t largest(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t largest_head(const struct wd_shape *m)
{
    uint32_t n = 0;

    for (uint32_t l = 0; l < m->n_layers; l++)
        n = largest(n, m->layers[l].head_dim);
    return n;
}

/* Gives out the arrays; with space NULL it only counts floats. */
static size_t plan(struct wd_drafter *d, const struct wd_drafter_weights *w, const struct wd_shape *m, float *space)
{
    size_t dim = largest_head(m), q = (size_t)w->n_heads * dim, at = 0;
    struct {
        float **to;
        size_t n;
    } arrays[] = {
        {&d->in, 2 * (size_t)m->d_model}, {&d->x, w->d_model}, {&d->norm, w->d_model}, {&d->q, q},           {&d->o, q},
        {&d->gate, w->d_ff},              {&d->up, w->d_ff},   {&d->cos[0], dim / 2},  {&d->sin[0], dim / 2}, {&d->cos[1], dim / 2},
        {&d->sin[1], dim / 2},            {&d->logits, m->n_vocab},
    };

    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        if (space)
            *arrays[i].to = space + at;
        at += (arrays[i].n + 15) / 16 * 16; /* each on a cache line */
    }
    return at;
}

size_t wd_drafter_scratch_bytes(const struct wd_drafter_weights *w, const struct wd_shape *m)
{
    struct wd_drafter none;

    return sizeof none + plan(&none, w, m, NULL) * sizeof(float);
}

size_t wd_drafter_bytes(const struct wd_drafter *d)
{
    return d->weights.mapped_bytes + wd_drafter_scratch_bytes(&d->weights, &d->engine->weights.shape);
}

/* What the decoder refuses or never writes: no guess either. */
static void list_never(struct wd_drafter *d, const struct wd_shape *m)
{
    const int32_t slots[3] = {m->image, m->audio, m->video};

    for (uint32_t i = 0; i < m->n_suppress; i++)
        d->never[d->n_never++] = m->suppress[i];
    for (int i = 0; i < 3; i++)
        if (slots[i] >= 0)
            d->never[d->n_never++] = slots[i];
}

int wd_drafter_open(struct wd_engine *e, const char *path, bool exact, struct wd_drafter **ret, struct wd_err *err)
{
    const struct wd_shape *m = &e->weights.shape;
    struct wd_drafter *d = calloc(1, sizeof *d);
    const struct wd_drafter_weights *w;
    uint32_t in;
    int r;

    if (!d)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", path);
    d->engine = e;
    r = wd_drafter_weights_open(path, m, &d->weights, err);
    if (r < 0) {
        free(d);
        return r;
    }
    w = &d->weights;
    in = largest(largest(2 * m->d_model, w->d_ff), largest(w->d_model, w->n_heads * largest_head(m)));
    r = wd_linear_new(e->threads, wd_linear_kernels(e->linear), in, 1, &d->linear, err);
    if (r == 0) {
        d->space = aligned_alloc(64, plan(d, w, m, NULL) * sizeof *d->space);
        if (!d->space)
            r = wd_err_set(err, -ENOMEM, "%s: out of memory", path);
    }
    if (r < 0)
        return wd_drafter_free(d), r;
    wd_linear_set_exact(d->linear, exact);
    plan(d, w, m, d->space);
    d->hidden = d->in + m->d_model;
    d->view = *m;
    d->view.n_heads = w->n_heads;
    list_never(d, m);
    *ret = d;
    return 0;
}

struct wd_drafter *wd_drafter_free(struct wd_drafter *d)
{
    if (!d)
        return NULL;
    wd_drafter_weights_done(&d->weights);
    wd_linear_free(d->linear);
    free(d->space);
    free(d);
    return NULL;
}

void wd_drafter_begin(struct wd_drafter *d, const struct wd_decoder *decoder, const float *hidden)
{
    const struct wd_shape *m = &d->engine->weights.shape;
    uint32_t seen;

    d->cache = wd_decoder_cache(decoder);
    d->position = wd_kv_cache_length(d->cache);
    assert(d->position > 0);
    memcpy(d->hidden, hidden, m->d_model * sizeof *hidden);
    for (uint32_t i = 0; i < d->weights.n_layers; i++) {
        const struct wd_drafter_layer *l = &d->weights.layers[i];
        const struct wd_layer_shape *ls = &m->layers[l->source];

        wd_ops_rope_angles((double)ls->theta, ls->head_dim, ls->n_rotated, d->position, d->cos[l->full], d->sin[l->full]);
    }
    /* The window, and one key more as in the reference; after a rewind as far as the cache goes that one may be gone. */
    seen = d->position - wd_kv_cache_first(d->cache);
    d->view.window = seen < m->window + 1 ? seen : m->window + 1;
}

/* o = Attention(q) on the keys and values of the model's layer. */
static void attend(struct wd_drafter *d, const struct wd_drafter_layer *l)
{
    static const uint32_t no_block[1] = {0};
    const struct wd_engine *e = d->engine;
    const struct wd_attention a = {e->threads, wd_linear_kernels(d->linear), &d->view, e->scores, e->max_keys};
    /* The newest token has no key yet: the last one is that of the position before. */
    const struct wd_attention_rows rows = {.cache = d->cache, .first = d->position - 1, .n = 1, .block_end = no_block, .q = d->q, .out = d->o};

    wd_attention_run(&a, l->source, &rows, 1);
}

static void layer(struct wd_drafter *d, const struct wd_drafter_layer *l)
{
    const struct wd_drafter_weights *w = &d->weights;
    const struct wd_kernels *kn = wd_linear_kernels(d->linear);
    const struct wd_layer_shape *ls = &d->view.layers[l->source];
    uint32_t dim = ls->head_dim, q = w->n_heads * dim;
    float eps = w->eps;

    wd_ops_rmsnorm(d->x, l->input_norm, w->d_model, eps, d->norm);
    wd_linear_apply(d->linear, &l->q, d->norm, w->d_model, 1, d->q, q);
    for (uint32_t h = 0; h < w->n_heads; h++)
        wd_ops_rmsnorm(d->q + (size_t)h * dim, l->q_norm, dim, eps, d->q + (size_t)h * dim);
    wd_ops_rope(d->q, w->n_heads, dim, ls->n_rotated, d->cos[l->full], d->sin[l->full]);
    attend(d, l);
    wd_linear_apply(d->linear, &l->o, d->o, q, 1, d->norm, w->d_model);
    wd_ops_rmsnorm(d->norm, l->post_attn_norm, w->d_model, eps, d->norm);
    wd_ops_add(d->norm, d->x, w->d_model);

    wd_ops_rmsnorm(d->x, l->pre_ff_norm, w->d_model, eps, d->norm);
    wd_linear_apply(d->linear, &l->gate, d->norm, w->d_model, 1, d->gate, w->d_ff);
    wd_linear_apply(d->linear, &l->up, d->norm, w->d_model, 1, d->up, w->d_ff);
    kn->gelu_mul(d->gate, d->up, d->gate, w->d_ff);
    wd_linear_apply(d->linear, &l->down, d->gate, w->d_ff, 1, d->norm, w->d_model);
    wd_ops_rmsnorm(d->norm, l->post_ff_norm, w->d_model, eps, d->norm);
    wd_ops_add(d->norm, d->x, w->d_model);
    kn->scale(l->scalar, d->x, w->d_model);
}

const float *wd_drafter_step(struct wd_drafter *d, int32_t token)
{
    const struct wd_drafter_weights *w = &d->weights;
    const struct wd_shape *m = &d->engine->weights.shape;

    wd_embed_tokens(&d->engine->embed, &token, 1, d->in);
    wd_linear_apply(d->linear, &w->pre, d->in, 2 * (size_t)m->d_model, 1, d->x, w->d_model);
    for (uint32_t i = 0; i < w->n_layers; i++)
        layer(d, &w->layers[i]);
    wd_ops_rmsnorm(d->x, w->norm, w->d_model, w->eps, d->norm);
    wd_linear_apply(d->linear, &w->head, d->norm, w->d_model, 1, d->logits, m->n_vocab);
    if (w->softcap > 0)
        wd_ops_softcap(d->logits, m->n_vocab, w->softcap);
    wd_linear_apply(d->linear, &w->post, d->norm, w->d_model, 1, d->hidden, m->d_model);
    return d->logits;
}

const float *wd_drafter_hidden(const struct wd_drafter *d)
{
    return d->hidden;
}

uint32_t wd_drafter_draft(struct wd_drafter *d, const struct wd_decoder *decoder, int32_t token, const float *hidden, uint32_t n,
                          struct wd_sampler *sampler, int32_t *ret_ids)
{
    const struct wd_shape *m = &d->engine->weights.shape;
    bool drawn = sampler && sampler->temperature > 0;
    uint32_t have = 0;

    if (n > WD_DRAFTER_MOST)
        n = WD_DRAFTER_MOST;
    if (n)
        wd_drafter_begin(d, decoder, hidden);
    while (have < n) {
        const float *logits = wd_drafter_step(d, token);

        if (drawn) {
            wd_sampler_distribution(sampler, logits, m->n_vocab, d->never, d->n_never, &d->drawn[have]);
            token = wd_sampler_draw(sampler, &d->drawn[have]);
        } else {
            token = wd_sampler_greedy(logits, m->n_vocab, d->never, d->n_never).id;
        }
        if (token < 0)
            break;
        for (uint32_t i = 0; i < m->n_stop; i++)
            if (token == m->stop[i])
                return have; /* what follows an answer is not wanted, and that it ends the model says itself */
        ret_ids[have++] = token;
    }
    return have;
}

const struct wd_sampler_dist *wd_drafter_drawn_from(const struct wd_drafter *d, uint32_t i)
{
    return &d->drawn[i];
}
