/* model/layer.c - one decoder layer over the rows of a pass, readable beside docs/model.md. */
#include "model/layer.h"

#include "model/ops.h"

#include <string.h>

struct rows_job {
    void (*fn)(void *ctx, uint32_t row);
    void *ctx;
    uint32_t n;
};

static void rows_member(void *ctx, unsigned member, unsigned count)
{
    const struct rows_job *j = ctx;

    for (uint32_t r = member; r < j->n; r += count)
        j->fn(j->ctx, r);
}

void wd_layer_rows(struct wd_layer_run *run, uint32_t n_rows, void (*fn)(void *ctx, uint32_t row), void *ctx)
{
    struct rows_job j = {fn, ctx, n_rows};

    /* One row's work is less than waking the team costs. */
    if (n_rows < 2)
        rows_member(&j, 0, 1);
    else
        wd_threads_run(run->threads, rows_member, &j);
}

struct step {
    struct wd_layer_run *run;
    uint32_t layer;
    const struct wd_layer_shape *shape;
    const struct wd_layer_weights *w;
    const float *weight; /* of the norm at hand */
    bool scale;          /* second half: layer_scalar follows */
};

static size_t width(const struct step *st)
{
    return st->run->weights->shape.d_model;
}

/* a = RMSNorm(x; weight) */
static void norm_row(void *ctx, uint32_t r)
{
    const struct step *st = ctx;
    struct wd_scratch *s = st->run->scratch;
    size_t d = width(st);

    wd_ops_rmsnorm(s->x + r * d, st->weight, d, st->run->weights->shape.eps, s->norm + r * d);
}

/* x += RMSNorm(sub-layer's output; weight), and after the second sub-layer x *= layer_scalar */
static void add_row(void *ctx, uint32_t r)
{
    const struct step *st = ctx;
    struct wd_scratch *s = st->run->scratch;
    size_t d = width(st);
    float *x = s->x + r * d, *y = s->norm + r * d;

    wd_ops_rmsnorm(y, st->weight, d, st->run->weights->shape.eps, y);
    wd_ops_add(y, x, d);
    if (st->scale)
        st->run->kernels->scale(st->w->scalar, x, d);
}

static const struct wd_layer_part *part_of(const struct wd_layer_run *run, uint32_t row)
{
    const struct wd_layer_part *p = run->parts;

    while (row >= p->row + p->n)
        p++;
    return p;
}

/* q: norm and rotation by head. k: norm and rotation, v: norm without weight, both into the cache. */
static void heads_row(void *ctx, uint32_t r)
{
    const struct step *st = ctx;
    struct wd_layer_run *run = st->run;
    struct wd_scratch *s = run->scratch;
    const struct wd_layer_part *p = part_of(run, r);
    size_t dim = st->shape->head_dim, n_q = run->weights->shape.n_heads, n_kv = st->shape->n_kv_heads;
    const float *cos = s->cos[st->shape->full] + (size_t)r * s->rotated[st->shape->full];
    const float *sin = s->sin[st->shape->full] + (size_t)r * s->rotated[st->shape->full];
    float eps = run->weights->shape.eps;
    float *q = s->q + r * n_q * dim, *k0 = s->k + r * n_kv * dim;
    /* On K = V layers the value is the raw projection that the key is made of. */
    const float *v0 = st->shape->k_eq_v ? k0 : s->v + r * n_kv * dim;
    uint32_t pos = p->first + (r - p->row), n;

    for (size_t h = 0; h < n_q; h++)
        wd_ops_rmsnorm(q + h * dim, st->w->q_norm, dim, eps, q + h * dim);
    wd_ops_rope(q, n_q, dim, st->shape->n_rotated, cos, sin);
    for (size_t h = 0; h < n_kv; h++) {
        float *k = wd_kv_cache_k(p->cache, st->layer, (uint32_t)h, pos, &n);
        float *v = wd_kv_cache_v(p->cache, st->layer, (uint32_t)h, pos, &n);

        wd_ops_rmsnorm(v0 + h * dim, NULL, dim, eps, v);
        wd_ops_rmsnorm(k0 + h * dim, st->w->k_norm, dim, eps, k);
        wd_ops_rope(k, 1, dim, st->shape->n_rotated, cos, sin);
    }
}

static void gelu_row(void *ctx, uint32_t r)
{
    const struct step *st = ctx;
    struct wd_scratch *s = st->run->scratch;
    size_t ff = st->run->weights->shape.d_ff;

    st->run->kernels->gelu_mul(s->gate + r * ff, s->up + r * ff, s->gate + r * ff, ff);
}

/* Copies this step's output rows of the parts that want them. */
static void trace(const struct step *st, bool attn)
{
    const struct wd_layer_run *run = st->run;
    size_t d = width(st);

    for (uint32_t i = 0; i < run->n_parts; i++) {
        float *to = attn ? run->parts[i].trace_attn : run->parts[i].trace_mlp;

        if (to)
            memcpy(to, run->scratch->norm + run->parts[i].row * d, run->parts[i].n * d * sizeof *to);
    }
}

/* Moves rows of `at` ([rows][w]) that go on to the front; returns how many there are. */
static uint32_t compact(const struct wd_layer_run *run, float *at, size_t w)
{
    uint32_t to = 0;

    for (uint32_t i = 0; i < run->n_parts; i++) {
        const struct wd_layer_part *p = &run->parts[i];

        memmove(at + to * w, at + (p->row + p->n - p->n_keep) * w, p->n_keep * w * sizeof *at);
        to += p->n_keep;
    }
    return to;
}

static void attend(const struct step *st, bool last)
{
    struct wd_layer_run *run = st->run;
    struct wd_scratch *s = run->scratch;
    size_t w = (size_t)run->weights->shape.n_heads * st->shape->head_dim;
    uint32_t at = 0;

    for (uint32_t i = 0; i < run->n_parts; i++) {
        const struct wd_layer_part *p = &run->parts[i];

        run->attention_rows[i] = (struct wd_attention_rows){
            .cache = p->cache,
            .first = p->first,
            .n = p->n,
            .skip = last ? p->n - p->n_keep : 0,
            .block_end = s->block_end + p->row,
            .q = s->q + at * w,
            .out = s->o + at * w,
            .probe = p->probe,
            .n_probe = p->n_probe,
            .probe_first = p->probe_first,
            .probe_n = p->probe_n,
            .probe_heads = p->probe_heads,
            .n_probe_heads = p->n_probe_heads,
        };
        at += last ? p->n_keep : p->n;
    }
    wd_attention_run(&run->attention, st->layer, run->attention_rows, run->n_parts);
}

uint32_t wd_layer_apply(struct wd_layer_run *run, uint32_t layer, bool last)
{
    const struct wd_shape *shape = &run->weights->shape;
    struct step st = {.run = run, .layer = layer, .shape = &shape->layers[layer], .w = &run->weights->layers[layer]};
    struct wd_scratch *s = run->scratch;
    size_t d = shape->d_model, q = (size_t)shape->n_heads * st.shape->head_dim,
           kv = (size_t)st.shape->n_kv_heads * st.shape->head_dim;
    uint32_t n = run->n_rows;

    st.weight = st.w->input_norm;
    wd_layer_rows(run, n, norm_row, &st);
    wd_linear_apply(run->linear, &st.w->q, s->norm, d, n, s->q, q);
    wd_linear_apply(run->linear, &st.w->k, s->norm, d, n, s->k, kv);
    if (!st.shape->k_eq_v)
        wd_linear_apply(run->linear, &st.w->v, s->norm, d, n, s->v, kv);
    wd_layer_rows(run, n, heads_row, &st);
    if (last) {
        compact(run, s->q, q);
        n = compact(run, s->x, d);
        if (n == 0)
            return 0;
    }
    attend(&st, last);
    wd_linear_apply(run->linear, &st.w->o, s->o, q, n, s->norm, d);
    trace(&st, true);
    st.weight = st.w->post_attn_norm;
    wd_layer_rows(run, n, add_row, &st);

    st.weight = st.w->pre_ff_norm;
    wd_layer_rows(run, n, norm_row, &st);
    wd_linear_apply(run->linear, &st.w->gate, s->norm, d, n, s->gate, shape->d_ff);
    wd_linear_apply(run->linear, &st.w->up, s->norm, d, n, s->up, shape->d_ff);
    wd_layer_rows(run, n, gelu_row, &st);
    wd_linear_apply(run->linear, &st.w->down, s->gate, shape->d_ff, n, s->norm, d);
    trace(&st, false);
    st.weight = st.w->post_ff_norm;
    st.scale = true;
    wd_layer_rows(run, n, add_row, &st);
    return n;
}
