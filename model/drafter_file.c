/* model/drafter_file.c - a drafter's file: its sizes and tensors, every one checked against the model it drafts for. */
#include "model/drafter_file.h"

#include "model/tensor_file.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define G "gemma4-assistant."
#define MAX_CONFIG_BYTES (1u << 20)
#define MAX_TENSORS (WD_DRAFTER_MAX_LAYERS * 11 + 6)
#define MAX_WIDTH (1u << 17)

/* What a file says in numbers, whatever its form. */
enum key {
    LAYERS, WIDTH, FEED_FORWARD, HEADS, EPS, SOFTCAP,          /* its own */
    BACKBONE, VOCABULARY, WINDOW, DIM, DIM_FULL, KV, KV_FULL, THETA, THETA_FULL, /* as the model's */
    N_KEYS
};

static const struct {
    const char *gguf, *json; /* a dot: the object that it stands in */
} names[N_KEYS] = {
    [LAYERS] = {G "block_count", "num_hidden_layers"},
    [WIDTH] = {G "embedding_length", "hidden_size"},
    [FEED_FORWARD] = {G "feed_forward_length", "intermediate_size"},
    [HEADS] = {G "attention.head_count", "num_attention_heads"},
    [EPS] = {G "attention.layer_norm_rms_epsilon", "rms_norm_eps"},
    [SOFTCAP] = {G "final_logit_softcapping", "final_logit_softcapping"},
    [BACKBONE] = {G "embedding_length_out", "backbone_hidden_size"},
    [VOCABULARY] = {G "vocab_size", "vocab_size"},
    [WINDOW] = {G "attention.sliding_window", "sliding_window"},
    [DIM] = {G "attention.key_length_swa", "head_dim"},
    [DIM_FULL] = {G "attention.key_length", "global_head_dim"},
    [KV] = {G "attention.head_count_kv", "num_key_value_heads"},
    [KV_FULL] = {G "attention.head_count_kv", "num_global_key_value_heads"},
    [THETA] = {G "rope.freq_base_swa", "sliding_attention.rope_theta"},
    [THETA_FULL] = {G "rope.freq_base", "full_attention.rope_theta"},
};

struct reader {
    struct wd_drafter_weights *w;
    const struct wd_shape *model;
    bool gguf;
    double value[N_KEYS];
    bool has[N_KEYS];
    const struct wd_tensor *used[MAX_TENSORS];
    size_t n_used;
    size_t n_floats, cap_floats;
    struct wd_err *err;
};

static const char *path(const struct reader *r)
{
    return wd_tensor_file_path(r->w->file);
}

static const char *name_of(const struct reader *r, enum key k)
{
    return r->gguf ? names[k].gguf : names[k].json;
}

/* "FILE: key 'K'" or "FOLDER/config.json: 'K'", and what is wrong with it. */
static int wrong(const struct reader *r, int code, const char *key, const char *what)
{
    return wd_err_set(r->err, code, "%s%s: %s'%s' %s", path(r), r->gguf ? "" : "/config.json", r->gguf ? "key " : "", key, what);
}

static int differs(const struct reader *r, enum key k, double expected)
{
    char what[128];

    snprintf(what, sizeof what, "is %g, but the model it is to draft for has %g: a drafter of another model", r->value[k], expected);
    return wrong(r, -EINVAL, name_of(r, k), what);
}

/* Where the file says it, it must be what the model has. */
static int same(const struct reader *r, enum key k, double expected)
{
    return !r->has[k] || fabs(r->value[k] - expected) <= 1e-6 * fabs(expected) ? 0 : differs(r, k, expected);
}

static int whole(const struct reader *r, enum key k, uint32_t max, uint32_t *ret)
{
    char what[64];

    if (!r->has[k])
        return wrong(r, -EINVAL, name_of(r, k), "is missing or no number");
    if (!(r->value[k] >= 1 && r->value[k] <= max) || floor(r->value[k]) < r->value[k]) {
        snprintf(what, sizeof what, "is %g, expected 1 to %u", r->value[k], max);
        return wrong(r, -EINVAL, name_of(r, k), what);
    }
    *ret = (uint32_t)r->value[k];
    return 0;
}

/* ---- GGUF ---- */

/* A number, or that of one layer. */
static bool gguf_number(const struct wd_tensor_file *f, const char *key, uint64_t layer, double *ret)
{
    uint64_t u, n;

    if (wd_tensor_file_u64(f, key, &u)) {
        *ret = (double)u;
        return true;
    }
    if (wd_tensor_file_array(f, key, &n))
        return layer < n && wd_tensor_file_array_f64(f, key, layer, ret);
    return wd_tensor_file_f64(f, key, ret);
}

static int from_gguf(struct reader *r)
{
    const struct wd_tensor_file *f = r->w->file;
    const char *arch, *pattern = G "attention.sliding_window_pattern";
    uint64_t every = 0, n;
    double sliding, kv;
    size_t len;

    if (!wd_tensor_file_str(f, "general.architecture", &arch, &len))
        return wrong(r, -EINVAL, "general.architecture", "is missing");
    if (len != strlen("gemma4-assistant") || memcmp(arch, "gemma4-assistant", len))
        return wd_err_set(r->err, -ENOTSUP, "%s: a model of architecture '%.*s', expected a drafter ('gemma4-assistant')", path(r),
                          len > 40 ? 40 : (int)len, arch);
    for (int k = 0; k < N_KEYS; k++)
        r->has[k] = gguf_number(f, names[k].gguf, 0, &r->value[k]);
    r->has[KV] = r->has[KV_FULL] = false; /* by layer, below */
    if (whole(r, LAYERS, WD_DRAFTER_MAX_LAYERS, &r->w->n_layers) < 0)
        return -EINVAL;
    if (!wd_tensor_file_array(f, pattern, &n) && !wd_tensor_file_u64(f, pattern, &every))
        return wrong(r, -EINVAL, pattern, "is missing");
    for (uint32_t l = 0; l < r->w->n_layers; l++) {
        struct wd_drafter_layer *y = &r->w->layers[l];
        enum key k;

        if (every)
            y->full = (l + 1) % every == 0;
        else if (wd_tensor_file_array_f64(f, pattern, l, &sliding))
            y->full = !(sliding > 0);
        else
            return wrong(r, -EINVAL, pattern, "has fewer elements than there are layers");
        k = y->full ? KV_FULL : KV;
        if (gguf_number(f, names[k].gguf, l, &kv)) {
            r->has[k] = true;
            r->value[k] = kv;
        }
    }
    return 0;
}

/* ---- config.json ---- */

static const json_t *get(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    return json_is_null(v) ? NULL : v;
}

/* "object.key" stands in rope_parameters. */
static const json_t *at(const json_t *top, const json_t *text, enum key k)
{
    const char *name = names[k].json, *dot = strchr(name, '.');
    char part[32];

    if (k == BACKBONE)
        return get(top, name);
    if (!dot)
        return get(text, name);
    snprintf(part, sizeof part, "%.*s", (int)(dot - name), name);
    return get(get(get(text, "rope_parameters"), part), dot + 1);
}

static int refuse_json(const struct reader *r, const json_t *top, const json_t *text)
{
    const json_t *shared = get(text, "num_kv_shared_layers"), *share;
    const char *act = json_string_value(get(text, "hidden_activation"));

    if (json_is_true(get(top, "use_ordered_embeddings")))
        return wrong(r, -ENOTSUP, "use_ordered_embeddings", "is true: the drafter of another member of the family");
    if (json_is_true(get(text, "attention_bias")))
        return wrong(r, -ENOTSUP, "attention_bias", "is true: attention with biases, which this engine cannot compute");
    if (act && strcmp(act, "gelu_pytorch_tanh"))
        return wrong(r, -ENOTSUP, "hidden_activation", "is another activation than gelu_pytorch_tanh");
    if (shared && (!json_is_integer(shared) || json_integer_value(shared) != (json_int_t)r->w->n_layers))
        return wrong(r, -ENOTSUP, "num_kv_shared_layers", "is not the number of layers: every layer of a drafter reads the model's keys");
    share = get(get(get(text, "rope_parameters"), "full_attention"), "partial_rotary_factor");
    if (json_is_number(share))
        for (uint32_t l = 0; l < r->model->n_layers; l++) {
            const struct wd_layer_shape *y = &r->model->layers[l];

            if (y->full && fabs(floor(json_number_value(share) * y->head_dim / 2) - y->n_rotated) > 0.5)
                return wrong(r, -EINVAL, "partial_rotary_factor", "is not the model's: a drafter of another model");
        }
    return 0;
}

static int from_config(struct reader *r, const json_t *top)
{
    const json_t *text = get(top, "text_config"), *kinds;
    const char *type = json_string_value(get(top, "model_type"));

    if (!type)
        return wrong(r, -EINVAL, "model_type", "is missing or no string");
    if (strcmp(type, "gemma4_unified_assistant"))
        return wd_err_set(r->err, -ENOTSUP, "%s/config.json: a model of type '%.64s', expected a drafter ('gemma4_unified_assistant')",
                          path(r), type);
    if (!json_is_object(text))
        return wrong(r, -EINVAL, "text_config", "is missing or no object");
    for (int k = 0; k < N_KEYS; k++) {
        const json_t *v = at(top, text, (enum key)k);

        r->has[k] = json_is_number(v);
        r->value[k] = json_number_value(v);
        if (v && !r->has[k])
            return wrong(r, -EINVAL, names[k].json, "is no number");
    }
    if (whole(r, LAYERS, WD_DRAFTER_MAX_LAYERS, &r->w->n_layers) < 0)
        return -EINVAL;
    kinds = get(text, "layer_types");
    if (!json_is_array(kinds) || json_array_size(kinds) != r->w->n_layers)
        return wrong(r, -EINVAL, "layer_types", "is not an array with one string for each layer");
    for (uint32_t l = 0; l < r->w->n_layers; l++) {
        const char *kind = json_string_value(json_array_get(kinds, l));

        r->w->layers[l].full = kind && strcmp(kind, "full_attention") == 0;
        if (!r->w->layers[l].full && (!kind || strcmp(kind, "sliding_attention")))
            return wrong(r, -EINVAL, "layer_types", "has a string that is neither 'sliding_attention' nor 'full_attention'");
    }
    return refuse_json(r, top, text);
}

static int from_json(struct reader *r)
{
    json_error_t e;
    json_t *top;
    char *text;
    size_t len;
    int rc = wd_tensor_file_sidecar(r->w->file, "config.json", &text, &len, r->err);

    if (rc < 0)
        return rc;
    top = len <= MAX_CONFIG_BYTES ? json_loadb(text, len, JSON_REJECT_DUPLICATES, &e) : NULL;
    if (top)
        rc = from_config(r, top);
    else if (len > MAX_CONFIG_BYTES)
        rc = wd_err_set(r->err, -EFBIG, "%s/config.json: %zu bytes, expected at most %u", path(r), len, MAX_CONFIG_BYTES);
    else
        rc = wd_err_set(r->err, -EINVAL, "%s/config.json:%d:%d: %s", path(r), e.line, e.column, e.text);
    json_decref(top);
    free(text);
    return rc;
}

/* ---- is it made for this model? ---- */

static int match(struct reader *r)
{
    struct wd_drafter_weights *w = r->w;
    const struct wd_shape *m = r->model;
    int rc;

    if ((rc = whole(r, WIDTH, MAX_WIDTH, &w->d_model)) < 0 || (rc = whole(r, FEED_FORWARD, 1u << 20, &w->d_ff)) < 0 ||
        (rc = whole(r, HEADS, 1024, &w->n_heads)) < 0)
        return rc;
    if (!r->has[BACKBONE])
        return wrong(r, -EINVAL, name_of(r, BACKBONE), "is missing");
    if ((rc = same(r, BACKBONE, m->d_model)) < 0 || (rc = same(r, VOCABULARY, m->n_vocab)) < 0 || (rc = same(r, WINDOW, m->window)) < 0)
        return rc;
    w->eps = r->has[EPS] ? (float)r->value[EPS] : 1e-6f;
    if (!(w->eps > 0 && w->eps < 1))
        return wrong(r, -EINVAL, name_of(r, EPS), "is not a small positive number");
    w->softcap = r->has[SOFTCAP] ? (float)r->value[SOFTCAP] : 0;
    if (!(w->softcap >= 0 && isfinite(w->softcap)))
        return wrong(r, -EINVAL, name_of(r, SOFTCAP), "is negative or not finite");
    for (uint32_t l = 0; l < w->n_layers; l++) {
        struct wd_drafter_layer *y = &w->layers[l];
        const struct wd_layer_shape *ls = NULL;

        for (uint32_t k = 0; k < m->n_layers; k++)
            if (m->layers[k].full == y->full) {
                ls = &m->layers[k];
                y->source = k;
            }
        if (!ls)
            return wd_err_set(r->err, -EINVAL, "%s: layer %u reads the keys of a %s layer, and the model has none", path(r), l,
                              y->full ? "full" : "sliding");
        if ((rc = same(r, y->full ? DIM_FULL : DIM, ls->head_dim)) < 0 || (rc = same(r, y->full ? KV_FULL : KV, ls->n_kv_heads)) < 0 ||
            (rc = same(r, y->full ? THETA_FULL : THETA, (double)ls->theta)) < 0)
            return rc;
        if (w->n_heads % ls->n_kv_heads)
            return wd_err_set(r->err, -EINVAL, "%s: layer %u: %u heads cannot share the model's %u key/value heads", path(r), l, w->n_heads,
                              ls->n_kv_heads);
    }
    return 0;
}

/* ---- tensors ---- */

/* The same tensor under the names of both kinds of file; `layer` stands for the %u of what is in a layer. */
static int find(struct reader *r, const char *gguf, const char *hf, int layer, uint64_t in, uint64_t out, const struct wd_tensor **ret)
{
    const struct wd_tensor *t;
    char name[96];

    if (layer < 0)
        snprintf(name, sizeof name, "%s", r->gguf ? gguf : hf);
    else
        snprintf(name, sizeof name, r->gguf ? "blk.%d.%s" : "model.layers.%d.%s", layer, r->gguf ? gguf : hf);
    t = wd_tensor_file_find(r->w->file, name);
    if (!t && strncmp(name, "model.", 6) == 0)
        t = wd_tensor_file_find(r->w->file, name + 6);
    if (!t)
        return wd_err_set(r->err, -EINVAL, "%s: tensor '%s' is missing", path(r), name);
    if (t->dims[0] != in || t->dims[1] != out || t->dims[2] != 1 || t->dims[3] != 1)
        return wd_err_set(r->err, -EINVAL, "%s: tensor '%s' is %llu x %llu x %llu (fastest first), expected %llu x %llu", path(r), t->name,
                          (unsigned long long)t->dims[0], (unsigned long long)t->dims[1], (unsigned long long)(t->dims[2] * t->dims[3]),
                          (unsigned long long)in, (unsigned long long)out);
    r->used[r->n_used++] = t;
    *ret = t;
    return 0;
}

static int matrix(struct reader *r, const char *gguf, const char *hf, int layer, uint32_t out, uint32_t in, struct wd_matrix *ret)
{
    const struct wd_tensor *t;
    int rc = find(r, gguf, hf, layer, in, out, &t);

    if (rc == 0)
        *ret = (struct wd_matrix){.type = (enum wd_type)t->type, .n_out = out, .n_in = in, .data = t->data};
    return rc;
}

static int vector(struct reader *r, const char *gguf, const char *hf, int layer, uint32_t len, const float **ret)
{
    float *to = r->w->vectors + r->n_floats;
    const struct wd_tensor *t;
    int rc = find(r, gguf, hf, layer, len, 1, &t);

    if (rc < 0)
        return rc;
    if (r->cap_floats - r->n_floats < len || len % wd_type_block((enum wd_type)t->type))
        return wd_err_set(r->err, -EINVAL, "%s: tensor '%s' is no vector of whole blocks", path(r), t->name);
    wd_quant_unpack((enum wd_type)t->type, t->data, to, len);
    r->n_floats += len;
    *ret = to;
    return 0;
}

static int one_layer(struct reader *r, int i)
{
    struct wd_drafter_layer *l = &r->w->layers[i];
    uint32_t d = r->w->d_model, ff = r->w->d_ff, dim = r->model->layers[l->source].head_dim, q = r->w->n_heads * dim;
    const float *scalar;
    int rc;

    if ((rc = vector(r, "attn_norm.weight", "input_layernorm.weight", i, d, &l->input_norm)) < 0 ||
        (rc = vector(r, "post_attention_norm.weight", "post_attention_layernorm.weight", i, d, &l->post_attn_norm)) < 0 ||
        (rc = vector(r, "ffn_norm.weight", "pre_feedforward_layernorm.weight", i, d, &l->pre_ff_norm)) < 0 ||
        (rc = vector(r, "post_ffw_norm.weight", "post_feedforward_layernorm.weight", i, d, &l->post_ff_norm)) < 0 ||
        (rc = vector(r, "attn_q_norm.weight", "self_attn.q_norm.weight", i, dim, &l->q_norm)) < 0 ||
        (rc = vector(r, "layer_output_scale.weight", "layer_scalar", i, 1, &scalar)) < 0 ||
        (rc = matrix(r, "attn_q.weight", "self_attn.q_proj.weight", i, q, d, &l->q)) < 0 ||
        (rc = matrix(r, "attn_output.weight", "self_attn.o_proj.weight", i, d, q, &l->o)) < 0 ||
        (rc = matrix(r, "ffn_gate.weight", "mlp.gate_proj.weight", i, ff, d, &l->gate)) < 0 ||
        (rc = matrix(r, "ffn_up.weight", "mlp.up_proj.weight", i, ff, d, &l->up)) < 0 ||
        (rc = matrix(r, "ffn_down.weight", "mlp.down_proj.weight", i, d, ff, &l->down)) < 0)
        return rc;
    l->scalar = *scalar;
    return 0;
}

/* rope_freqs.weight divides the angles of full layers: by 1 in the pairs that rotate, by something huge in those that do not. */
static int rope_freqs(struct reader *r, const struct wd_tensor *t)
{
    const struct wd_layer_shape *ls = NULL;
    const float *v = t->data;

    for (uint32_t l = 0; l < r->model->n_layers; l++)
        if (r->model->layers[l].full)
            ls = &r->model->layers[l];
    if (!ls || t->type != WD_TYPE_F32 || t->dims[0] != ls->head_dim / 2 || t->n_bytes != ls->head_dim / 2 * sizeof *v)
        return wd_err_set(r->err, -EINVAL, "%s: tensor '%s' is not F32 of as many values as the model's full heads have pairs", path(r), t->name);
    for (uint32_t i = 0; i < ls->head_dim / 2; i++)
        if (i < ls->n_rotated ? !(fabsf(v[i] - 1) < 1e-6f) : !(v[i] > 1e20f))
            return wd_err_set(r->err, -EINVAL, "%s: tensor '%s' divides pair %u by %g, which is not what the model does", path(r), t->name, i,
                              (double)v[i]);
    return 0;
}

/* What is left over would be computed by others, and not here. */
static int nothing_left(struct reader *r)
{
    for (size_t i = 0; i < wd_tensor_file_count(r->w->file); i++) {
        const struct wd_tensor *t = wd_tensor_file_at(r->w->file, i);
        size_t k = 0;

        while (k < r->n_used && r->used[k] != t)
            k++;
        if (k < r->n_used)
            continue;
        if (!r->gguf || strcmp(t->name, "rope_freqs.weight"))
            return wd_err_set(r->err, -ENOTSUP, "%s: tensor '%s' is none that a drafter has", path(r), t->name);
        if (rope_freqs(r, t) < 0)
            return -EINVAL;
    }
    return 0;
}

static int tensors(struct reader *r)
{
    struct wd_drafter_weights *w = r->w;
    const char *own = r->gguf ? "output.weight" : "lm_head.weight";
    uint32_t d = w->d_model, model = r->model->d_model;
    int rc;

    r->cap_floats = (size_t)d * (4 * w->n_layers + 1) + w->n_layers;
    for (uint32_t l = 0; l < w->n_layers; l++)
        r->cap_floats += r->model->layers[w->layers[l].source].head_dim;
    w->vectors = malloc(r->cap_floats * sizeof *w->vectors);
    if (!w->vectors)
        return wd_err_set(r->err, -ENOMEM, "%s: out of memory", path(r));
    if ((rc = matrix(r, "nextn.pre_projection.weight", "pre_projection.weight", -1, d, 2 * model, &w->pre)) < 0 ||
        (rc = matrix(r, "nextn.post_projection.weight", "post_projection.weight", -1, model, d, &w->post)) < 0 ||
        (rc = matrix(r, "token_embd.weight", "model.embed_tokens.weight", -1, r->model->n_vocab, d, &w->head)) < 0 ||
        (rc = vector(r, "output_norm.weight", "model.norm.weight", -1, d, &w->norm)) < 0)
        return rc;
    if (wd_tensor_file_find(w->file, own))
        rc = matrix(r, own, own, -1, r->model->n_vocab, d, &w->head);
    for (uint32_t l = 0; rc == 0 && l < w->n_layers; l++)
        rc = one_layer(r, (int)l);
    return rc ? rc : nothing_left(r);
}

int wd_drafter_weights_open(const char *file, const struct wd_shape *model, struct wd_drafter_weights *w, struct wd_err *err)
{
    struct reader r = {.w = w, .model = model, .err = err};
    int rc;

    memset(w, 0, sizeof *w);
    rc = wd_tensor_file_open(file, &w->file, err);
    if (rc < 0)
        return rc;
    r.gguf = wd_tensor_file_form(w->file) == WD_FORM_GGUF;
    w->mapped_bytes = wd_tensor_file_bytes(w->file);
    rc = r.gguf ? from_gguf(&r) : from_json(&r);
    if (rc == 0)
        rc = match(&r);
    if (rc == 0)
        rc = tensors(&r);
    if (rc < 0)
        wd_drafter_weights_done(w);
    return rc;
}

void wd_drafter_weights_done(struct wd_drafter_weights *w)
{
    wd_tensor_file_free(w->file);
    free(w->vectors);
    memset(w, 0, sizeof *w);
}
