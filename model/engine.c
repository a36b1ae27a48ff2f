/* model/engine.c - the public face of the model: opens weights once. */
#include "model/engine_state.h"

#include "model/drafter.h"

#include <errno.h>
#include <stdlib.h>

#define DEFAULT_MAX_ROWS 1536

static uint32_t largest_input(const struct wd_shape *s)
{
    uint32_t n = s->d_model > s->d_ff ? s->d_model : s->d_ff;

    for (uint32_t l = 0; l < s->n_layers; l++)
        if (s->n_heads * s->layers[l].head_dim > n)
            n = s->n_heads * s->layers[l].head_dim;
    if (s->has_vision && n < 6912)
        n = 6912;
    if (s->has_vision && n < s->mm_embed)
        n = s->mm_embed;
    return n < 640 ? 640 : n;
}

int wd_engine_open(const char *path, const struct wd_engine_opts *opts, struct wd_engine **ret, struct wd_err *err)
{
    static const struct wd_engine_opts defaults;
    struct wd_engine *e = calloc(1, sizeof *e);
    const struct wd_kernels *kernels = NULL;
    int r;

    if (!e)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", path);
    if (!opts)
        opts = &defaults;
    if (opts->kernels) {
        kernels = wd_kernels_find(opts->kernels);
        if (!kernels || !kernels->usable()) {
            r = wd_err_set(err, -EINVAL, "kernels '%s': %s", opts->kernels,
                           kernels ? "this processor cannot run them" : "no such table was built");
            goto fail;
        }
    }
    e->max_rows = opts->max_rows ? opts->max_rows : DEFAULT_MAX_ROWS;
    r = wd_weights_open(path, opts->mmproj, &e->weights, err);
    if (r == 0)
        r = wd_tokenizer_open(e->weights.text, &e->tokenizer, err);
    if (e->weights.text && wd_weights_torn(&e->weights, NULL) < 0)
        r = wd_weights_torn(&e->weights, err);
    if (r == 0 && wd_tokenizer_count(e->tokenizer) > e->weights.shape.n_vocab)
        r = wd_err_set(err, -EINVAL, "%s: the tokenizer has %u pieces, the embedding %u rows", path,
                       wd_tokenizer_count(e->tokenizer), e->weights.shape.n_vocab);
    if (r == 0)
        r = wd_threads_new(opts->n_threads, &e->threads, err);
    if (r == 0)
        r = wd_linear_new(e->threads, kernels, largest_input(&e->weights.shape), e->max_rows, &e->linear, err);
    if (r == 0)
        r = wd_embed_init(&e->embed, &e->weights, e->linear, err);
    if (r == 0)
        r = wd_scratch_init(&e->scratch, &e->weights.shape, e->max_rows, err);
    if (r == 0)
        r = wd_kv_pool_new(&e->weights.shape, &e->kv, err);
    if (r == 0 && opts->drafter)
        r = wd_drafter_open(e, opts->drafter, opts->exact, &e->drafter, err);
    if (r < 0)
        goto fail;
    wd_linear_set_exact(e->linear, opts->exact);
    *ret = e;
    return 0;
fail:
    wd_engine_free(e);
    return r;
}

struct wd_engine *wd_engine_free(struct wd_engine *e)
{
    if (!e)
        return NULL;
    wd_drafter_free(e->drafter);
    wd_kv_pool_free(e->kv);
    wd_scratch_done(&e->scratch);
    wd_embed_done(&e->embed);
    wd_linear_free(e->linear);
    wd_threads_free(e->threads);
    wd_tokenizer_free(e->tokenizer);
    wd_weights_done(&e->weights);
    free(e->scores);
    free(e);
    return NULL;
}

int wd_engine_reserve_keys(struct wd_engine *e, size_t n, struct wd_err *err)
{
    float *s;

    if (n <= e->max_keys)
        return 0;
    n = (n + 15) / 16 * 16;
    s = realloc(e->scores, n * wd_threads_count(e->threads) * sizeof *s);
    if (!s)
        return wd_err_set(err, -ENOMEM, "attention weights: out of memory");
    e->scores = s;
    e->max_keys = n;
    return 0;
}

const struct wd_shape *wd_engine_shape(const struct wd_engine *e)
{
    return &e->weights.shape;
}

const struct wd_tokenizer *wd_engine_tokenizer(const struct wd_engine *e)
{
    return e->tokenizer;
}

struct wd_drafter *wd_engine_drafter(const struct wd_engine *e)
{
    return e->drafter;
}

const char *wd_engine_kernels(const struct wd_engine *e)
{
    return wd_linear_kernels(e->linear)->name;
}

uint32_t wd_engine_max_rows(const struct wd_engine *e)
{
    return e->max_rows;
}

unsigned wd_engine_threads(const struct wd_engine *e)
{
    return wd_threads_count(e->threads);
}

const char *wd_engine_hash(const struct wd_engine *e)
{
    return e->weights.hash;
}

struct wd_engine_memory wd_engine_memory(const struct wd_engine *e)
{
    return (struct wd_engine_memory){
        .weights_bytes = e->weights.mapped_bytes,
        .scratch_bytes = e->scratch.bytes + wd_embed_bytes(&e->embed) +
                         e->max_keys * wd_threads_count(e->threads) * sizeof(float),
        .kv_bytes = wd_kv_pool_bytes(e->kv),
        .drafter_bytes = e->drafter ? wd_drafter_bytes(e->drafter) : 0,
    };
}
