/* model/decoder.c - one line of tokens being read or written: KV cache, position, logits; feed, rewind, fork. */
#include "model/decoder.h"

#include "model/engine_state.h"
#include "model/gemma4.h"
#include "model/ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PICTURES 256 /* remembered, so that no rewind cuts one */

struct wd_decoder {
    struct wd_engine *engine;
    struct wd_kv_cache *cache;
    struct {
        uint32_t from, to;
    } pictures[MAX_PICTURES];
    uint32_t n_pictures;
};

int wd_decoder_new(struct wd_engine *e, uint32_t capacity, uint32_t longest_branch, struct wd_decoder **ret,
                   struct wd_err *err)
{
    struct wd_decoder *d;
    int r;

    if (capacity == 0 || capacity > e->weights.shape.n_context)
        return wd_err_set(err, -EINVAL, "a context of %u positions was asked for, the model has %u", capacity,
                          e->weights.shape.n_context);
    r = wd_engine_reserve_keys(e, capacity, err);
    if (r < 0)
        return r;
    d = calloc(1, sizeof *d);
    if (!d)
        return wd_err_set(err, -ENOMEM, "decoder: out of memory");
    d->engine = e;
    r = wd_kv_cache_new(e->kv, capacity, longest_branch, e->max_rows, &d->cache, err);
    if (r < 0) {
        free(d);
        return r;
    }
    *ret = d;
    return 0;
}

struct wd_decoder *wd_decoder_free(struct wd_decoder *d)
{
    if (!d)
        return NULL;
    wd_kv_cache_free(d->cache);
    free(d);
    return NULL;
}

int wd_decoder_fork(const struct wd_decoder *d, struct wd_decoder **ret, struct wd_err *err)
{
    struct wd_decoder *f = malloc(sizeof *f);
    int r;

    if (!f)
        return wd_err_set(err, -ENOMEM, "decoder: out of memory");
    *f = *d;
    r = wd_kv_cache_fork(d->cache, &f->cache, err);
    if (r < 0) {
        free(f);
        return r;
    }
    *ret = f;
    return 0;
}

uint32_t wd_decoder_position(const struct wd_decoder *d)
{
    return wd_kv_cache_length(d->cache);
}

uint32_t wd_decoder_capacity(const struct wd_decoder *d)
{
    return wd_kv_cache_capacity(d->cache);
}

const struct wd_kv_cache *wd_decoder_cache(const struct wd_decoder *d)
{
    return d->cache;
}

int wd_decoder_rewind(struct wd_decoder *d, uint32_t position, struct wd_err *err)
{
    uint32_t length = wd_kv_cache_length(d->cache), left = 0;

    if (position > length)
        return wd_err_set(err, -EINVAL, "rewind to %u: only %u positions were fed", position, length);
    for (uint32_t i = 0; i < d->n_pictures; i++)
        if (position > d->pictures[i].from && position < d->pictures[i].to)
            return wd_err_set(err, -EINVAL, "rewind to %u: inside the picture at %u to %u", position,
                              d->pictures[i].from, d->pictures[i].to - 1);
    if (wd_kv_cache_rewind(d->cache, position) < 0)
        return wd_err_set(err, -EINVAL, "rewind from %u to %u: the sliding window's keys before it are gone", length,
                          position);
    while (left < d->n_pictures && d->pictures[left].from < position)
        left++;
    d->n_pictures = left;
    return 0;
}

static int check_ids(const struct wd_shape *s, const struct wd_span *sp, struct wd_err *err)
{
    for (uint32_t i = 0; i < sp->n; i++) {
        int32_t id = sp->ids[i];

        if (id < 0 || (uint32_t)id >= s->n_vocab)
            return wd_err_set(err, -EINVAL, "token %d is not in the vocabulary of %u", id, s->n_vocab);
        /* The reference would embed such a slot as padding: a mistake in the prompt, never meant. */
        if (id == s->image || id == s->audio || id == s->video)
            return wd_err_set(err, -EINVAL, "token %d is the slot of a picture or sound, which must come as such", id);
    }
    return 0;
}

static int check_span(const struct wd_engine *e, const struct wd_span *sp, struct wd_err *err)
{
    const struct wd_shape *s = &e->weights.shape;

    switch (sp->kind) {
    case WD_SPAN_TOKENS:
        return check_ids(s, sp, err);
    case WD_SPAN_AUDIO:
        if (!s->has_audio)
            return wd_err_set(err, -EINVAL, "this model has no weights for sound");
        return 0;
    case WD_SPAN_PICTURE:
        if (!s->has_vision)
            return wd_err_set(err, -EINVAL, "this model has no weights for pictures");
        if (sp->grid_w == 0 || sp->grid_h == 0 || (uint64_t)sp->grid_w * sp->grid_h != sp->n)
            return wd_err_set(err, -EINVAL, "a picture of %u x %u patches cannot be %u rows", sp->grid_w, sp->grid_h,
                              sp->n);
        if (sp->grid_w > s->mm_positions || sp->grid_h > s->mm_positions)
            return wd_err_set(err, -EINVAL, "a picture of %u x %u patches: this model has places for %u a side",
                              sp->grid_w, sp->grid_h, s->mm_positions);
        return 0;
    }
    return wd_err_set(err, -EINVAL, "unknown kind of input %d", (int)sp->kind);
}

/* Fills parts[], checks everything: after this nothing can fail. */
static int plan(struct wd_engine *e, const struct wd_pass_part *parts, uint32_t n_parts, uint32_t *ret_rows,
                struct wd_err *err)
{
    uint64_t rows = 0;
    int r;

    if (n_parts == 0 || n_parts > WD_ENGINE_MAX_PARTS)
        return wd_err_set(err, -EINVAL, "a pass of %u decoders, expected 1 to %d", n_parts, WD_ENGINE_MAX_PARTS);
    for (uint32_t i = 0; i < n_parts; i++) {
        const struct wd_pass_part *p = &parts[i];
        uint32_t first = wd_kv_cache_length(p->decoder->cache);
        uint64_t n = 0, pictures = p->decoder->n_pictures;

        for (uint32_t k = 0; k < i; k++)
            if (parts[k].decoder == p->decoder)
                return wd_err_set(err, -EINVAL, "a decoder stands twice in one pass");
        for (uint32_t k = 0; k < p->n_spans; k++) {
            r = check_span(e, &p->spans[k], err);
            if (r < 0)
                return r;
            n += p->spans[k].n;
            pictures += p->spans[k].kind == WD_SPAN_PICTURE;
        }
        if (n == 0)
            return wd_err_set(err, -EINVAL, "a pass without input");
        if (first + n > wd_kv_cache_capacity(p->decoder->cache) || pictures > MAX_PICTURES)
            return wd_err_set(err, -ENOSPC, "the context of %u positions is full: %u are used, %llu more came",
                              wd_kv_cache_capacity(p->decoder->cache), first, (unsigned long long)n);
        if (rows + n > e->max_rows)
            return wd_err_set(err, -EINVAL, "a pass of more than %u rows", e->max_rows);
        if (p->n_logits > n)
            return wd_err_set(err, -EINVAL, "%u rows of logits of %llu rows", p->n_logits, (unsigned long long)n);
        e->parts[i] = (struct wd_layer_part){
            .cache = p->decoder->cache,
            .row = (uint32_t)rows,
            .n = (uint32_t)n,
            .first = first,
            .n_keep = p->n_logits,
        };
        if (p->probe && p->probe->n_rows) {
            if (p->probe->n_rows > n)
                return wd_err_set(err, -EINVAL, "a probe of %u rows of %llu", p->probe->n_rows, (unsigned long long)n);
            if (e->parts[i].n_keep < p->probe->n_rows)
                e->parts[i].n_keep = p->probe->n_rows;
            e->parts[i].n_probe = p->probe->n_rows;
            e->parts[i].probe = p->probe->ret;
            e->parts[i].probe_first = p->probe->first;
            e->parts[i].probe_n = p->probe->n;
            e->parts[i].probe_heads = p->probe->heads;
            e->parts[i].n_probe_heads = p->probe->n_heads;
            memset(p->probe->ret, 0, (size_t)p->probe->n_rows * p->probe->n * sizeof(float));
        }
        rows += n;
    }
    *ret_rows = (uint32_t)rows;
    return 0;
}

static void embed_part(struct wd_engine *e, const struct wd_pass_part *p, const struct wd_layer_part *lp)
{
    size_t d = e->weights.shape.d_model;
    uint32_t row = lp->row;

    for (uint32_t k = 0; k < p->n_spans; k++) {
        const struct wd_span *sp = &p->spans[k];
        uint32_t pos = lp->first + (row - lp->row), end = 0;
        float *x = e->scratch.x + row * d;

        switch (sp->kind) {
        case WD_SPAN_TOKENS:
            wd_embed_tokens(&e->embed, sp->ids, sp->n, x);
            break;
        case WD_SPAN_AUDIO:
            wd_embed_audio(&e->embed, sp->pcm, sp->n, x);
            break;
        case WD_SPAN_PICTURE:
            wd_embed_picture(&e->embed, sp->rgb, sp->grid_w, sp->grid_h, sp->video, x);
            end = pos + sp->n;
            p->decoder->pictures[p->decoder->n_pictures].from = pos;
            p->decoder->pictures[p->decoder->n_pictures++].to = end;
            break;
        }
        for (uint32_t i = 0; i < sp->n; i++)
            e->scratch.block_end[row + i] = end;
        row += sp->n;
    }
}

/* cos and sin of every row's position, for both kinds of layer. */
struct rotation {
    struct wd_engine *e;
    uint32_t n_parts;
};

static void rotate_row(void *ctx, uint32_t r)
{
    const struct rotation *rot = ctx;
    struct wd_scratch *s = &rot->e->scratch;
    const struct wd_shape *shape = &rot->e->weights.shape;
    const struct wd_layer_part *p = rot->e->parts;

    while (r >= p->row + p->n)
        p++;
    for (int kind = 0; kind < 2; kind++)
        for (uint32_t l = 0; l < shape->n_layers; l++)
            if (shape->layers[l].full == (kind == 1)) {
                const struct wd_layer_shape *ls = &shape->layers[l];

                wd_ops_rope_angles((double)ls->theta, ls->head_dim, ls->n_rotated, p->first + (r - p->row),
                                   s->cos[kind] + (size_t)r * s->rotated[kind],
                                   s->sin[kind] + (size_t)r * s->rotated[kind]);
                break;
            }
}

/* Copies rows of x to where the parts want them traced: index 0 is the embeddings, 1.. the layers, the last the final norm. */
static void trace_x(const struct wd_engine *e, const struct wd_pass_part *parts, uint32_t n_parts, uint32_t index)
{
    size_t d = e->weights.shape.d_model;

    for (uint32_t i = 0; i < n_parts; i++) {
        const struct wd_layer_part *lp = &e->parts[i];

        if (parts[i].trace && parts[i].trace->layers)
            memcpy(parts[i].trace->layers + (size_t)index * lp->n * d, e->scratch.x + lp->row * d,
                   lp->n * d * sizeof(float));
    }
}

static void trace_sublayers(struct wd_engine *e, const struct wd_pass_part *parts, uint32_t n_parts, uint32_t layer)
{
    size_t d = e->weights.shape.d_model;

    for (uint32_t i = 0; i < n_parts; i++) {
        const struct wd_trace *t = parts[i].trace;
        size_t at = (size_t)layer * e->parts[i].n * d;

        e->parts[i].trace_attn = t && t->attn ? t->attn + at : NULL;
        e->parts[i].trace_mlp = t && t->mlp ? t->mlp + at : NULL;
    }
}

static void final_norm_row(void *ctx, uint32_t r)
{
    struct wd_engine *e = ctx;
    size_t d = e->weights.shape.d_model;
    float *x = e->scratch.x + r * d;

    wd_ops_rmsnorm(x, e->weights.norm, d, e->weights.shape.eps, x);
}

static void head(struct wd_engine *e, const struct wd_pass_part *parts, uint32_t n_parts, bool compacted)
{
    const struct wd_shape *s = &e->weights.shape;
    uint32_t end = 0;

    for (uint32_t i = 0; i < n_parts; i++) {
        uint32_t n = parts[i].n_logits, row;

        end = compacted ? end + e->parts[i].n_keep : e->parts[i].row + e->parts[i].n;
        row = end - n;
        if (n) {
            wd_linear_apply(e->linear, &e->weights.head, e->scratch.x + (size_t)row * s->d_model, s->d_model, n,
                            parts[i].ret_logits, s->n_vocab);
            if (s->softcap > 0)
                wd_ops_softcap(parts[i].ret_logits, (size_t)n * s->n_vocab, s->softcap);
        }
        if (n && parts[i].ret_hidden)
            memcpy(parts[i].ret_hidden, e->scratch.x + (size_t)row * s->d_model, (size_t)n * s->d_model * sizeof(float));
    }
}

int wd_decoder_pass(struct wd_engine *e, const struct wd_pass_part *parts, uint32_t n_parts, struct wd_err *err)
{
    const struct wd_shape *s = &e->weights.shape;
    struct wd_layer_run run;
    struct rotation rot = {e, n_parts};
    bool traced = false;
    uint32_t rows = 0, left;
    int r;

    r = wd_weights_torn(&e->weights, err);
    if (r == 0)
        r = plan(e, parts, n_parts, &rows, err);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < n_parts; i++) {
        embed_part(e, &parts[i], &e->parts[i]);
        wd_kv_cache_grow(parts[i].decoder->cache, e->parts[i].n);
        traced |= parts[i].trace != NULL;
    }
    run = (struct wd_layer_run){
        .weights = &e->weights,
        .linear = e->linear,
        .threads = e->threads,
        .kernels = wd_linear_kernels(e->linear),
        .scratch = &e->scratch,
        .attention = {e->threads, wd_linear_kernels(e->linear), s, e->scores, e->max_keys},
        .parts = e->parts,
        .n_parts = n_parts,
        .n_rows = rows,
        .attention_rows = e->attention_rows,
    };
    wd_layer_rows(&run, rows, rotate_row, &rot);
    trace_x(e, parts, n_parts, 0);
    left = rows;
    for (uint32_t l = 0; l < s->n_layers; l++) {
        trace_sublayers(e, parts, n_parts, l);
        left = wd_layer_apply(&run, l, l + 1 == s->n_layers && !traced);
        trace_x(e, parts, n_parts, l + 1);
    }
    wd_layer_rows(&run, left, final_norm_row, e);
    trace_x(e, parts, n_parts, s->n_layers + 1);
    head(e, parts, n_parts, !traced);
    for (uint32_t i = 0; i < n_parts; i++)
        wd_kv_cache_settle(parts[i].decoder->cache);
    return wd_weights_torn(&e->weights, err);
}
