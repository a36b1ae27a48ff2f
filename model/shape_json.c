/* model/shape_json.c - a checkpoint's sizes from the config.json of a folder.
 * Source: docs/model.md, "Files". */
#include "model/gemma4.h"
#include "model/shape_parts.h"
#include "model/tensor_file.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CONFIG_BYTES (1u << 20) /* a tree costs many times its text */

struct reader {
    const struct wd_tensor_file *f;
    const char *file; /* config.json or generation_config.json */
    const char *relative; /* "Gemma 4 E2B: "; "" */
    struct wd_err *err;
};

static const char *path(const struct reader *r)
{
    return wd_tensor_file_path(r->f);
}

static int load(const struct reader *r, json_t **ret)
{
    json_error_t e;
    char *text;
    size_t len;
    int rc = wd_tensor_file_sidecar(r->f, r->file, &text, &len, r->err);

    if (rc < 0)
        return rc;
    if (len > MAX_CONFIG_BYTES) {
        rc = wd_err_set(r->err, -EFBIG, "%s/%s: %zu bytes, expected at most %u", path(r), r->file,
                        len, MAX_CONFIG_BYTES);
    } else {
        *ret = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
        if (!*ret)
            rc = wd_err_set(r->err, -EINVAL, "%s/%s:%d:%d: %s", path(r), r->file, e.line, e.column,
                            e.text);
        else if (!json_is_object(*ret))
            rc = wd_err_set(r->err, -EINVAL, "%s/%s: not an object", path(r), r->file);
    }
    free(text);
    return rc;
}

static int wrong(const struct reader *r, const char *key, const char *expected)
{
    return wd_err_set(r->err, -EINVAL, "%s/%s: '%s' is missing or wrong, expected %s", path(r),
                      r->file, key, expected);
}

static const json_t *get(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    return json_is_null(v) ? NULL : v;
}

/* A whole number below 2^32; `fallback` < 0: it must be there. null counts as absent. */
static int number(const struct reader *r, const json_t *o, const char *key, int64_t fallback,
                  uint32_t *ret)
{
    const json_t *v = get(o, key);

    if (!v && fallback >= 0) {
        *ret = (uint32_t)fallback;
        return 0;
    }
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > UINT32_MAX)
        return wrong(r, key, "a whole number");
    *ret = (uint32_t)json_integer_value(v);
    return 0;
}

static int real(const struct reader *r, const json_t *o, const char *key, double fallback,
                float *ret)
{
    const json_t *v = get(o, key);
    double d = v ? json_number_value(v) : fallback;

    if ((v && !json_is_number(v)) || !isfinite(d) || fabs(d) > 1e30)
        return wrong(r, key, "a number");
    *ret = (float)d;
    return 0;
}

static bool is(const json_t *v, const char *text)
{
    return json_is_string(v) && !strcmp(json_string_value(v), text);
}

static int refuse(const struct reader *r, const char *key, const char *why)
{
    return wd_err_set(r->err, -ENOTSUP, "%s/%s: %s%s ('%s'), which this engine cannot compute",
                      path(r), r->file, r->relative, why, key);
}

/* What tells relatives of this model from it. */
static int refuse_relatives(const struct reader *r, const json_t *t)
{
    static const struct {
        const char *key, *why;
    } counts[] =
        {
            {"hidden_size_per_layer_input", "embeddings for every layer"},
            {"num_kv_shared_layers", "layers that share keys and values"},
            {"num_experts", "a mixture of experts"},
        },
      flags[] = {
          {"enable_moe_block", "a mixture of experts"},
          {"use_double_wide_mlp", "feed-forward parts of double width"},
          {"attention_bias", "attention with biases"},
      };
    uint32_t v = 0;
    int rc;

    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        rc = number(r, t, counts[i].key, 0, &v);
        if (rc < 0)
            return rc;
        if (v)
            return refuse(r, counts[i].key, counts[i].why);
    }
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        const json_t *f = get(t, flags[i].key);

        if (f && !json_is_boolean(f))
            return wrong(r, flags[i].key, "true or false");
        if (json_is_true(f))
            return refuse(r, flags[i].key, flags[i].why);
    }
    if (get(t, "hidden_activation") && !is(get(t, "hidden_activation"), "gelu_pytorch_tanh"))
        return refuse(r, "hidden_activation", "another activation than gelu_pytorch_tanh");
    return 0;
}

static int layer_kinds(const struct reader *r, const json_t *t, struct wd_shape *s)
{
    const json_t *kinds = get(t, "layer_types");

    if (kinds && (!json_is_array(kinds) || json_array_size(kinds) < s->n_layers))
        return wrong(r, "layer_types", "an array with one string for each layer");
    for (uint32_t l = 0; l < s->n_layers; l++) {
        const json_t *kind = kinds ? json_array_get(kinds, l) : NULL;

        if (!kinds)
            s->layers[l].full = l % 6 == 5;
        else if (is(kind, "full_attention"))
            s->layers[l].full = true;
        else if (!is(kind, "sliding_attention"))
            return wrong(r, "layer_types",
                         "'sliding_attention' or 'full_attention' for each layer");
    }
    s->layers[s->n_layers - 1].full = true; /* as the reference does */
    return 0;
}

struct rope {
    float theta, share; /* share of the pairs that rotate */
};

/* One of rope_parameters, or what the family has where it is not said. */
static int rope(const struct reader *r, const json_t *t, const char *kind, bool full,
                struct rope *ret)
{
    const json_t *all = get(t, "rope_parameters"), *p = all ? get(all, kind) : NULL, *type;
    float factor = 1;
    int rc;

    *ret = full ? (struct rope){1e6f, 0.25f} : (struct rope){1e4f, 1};
    if (!all)
        return 0;
    if (!json_is_object(p))
        return wrong(r, "rope_parameters",
                     "an object for 'full_attention' and one for 'sliding_attention'");
    type = get(p, "rope_type");
    if (!is(type, "proportional") && !is(type, "default"))
        return refuse(r, "rope_type",
                      "rotary positions of a kind other than 'default' and 'proportional'");
    if ((rc = real(r, p, "rope_theta", (double)ret->theta, &ret->theta)) < 0 ||
        (rc = real(r, p, "partial_rotary_factor", 1, &ret->share)) < 0 ||
        (rc = real(r, p, "factor", 1, &factor)) < 0)
        return rc;
    if (factor < 1 || factor > 1)
        return refuse(r, "factor", "stretched rotary positions");
    if (!(ret->share >= 0 && ret->share <= 1))
        return wrong(r, "partial_rotary_factor", "a number from 0 to 1");
    if (is(type, "default") && ret->share < 1)
        return refuse(r, "partial_rotary_factor",
                      "rotary positions of type 'default' on a part of the head");
    return 0;
}

static int heads(const struct reader *r, const json_t *t, struct wd_shape *s)
{
    const json_t *each = get(t, "per_layer_config"), *flag = get(t, "attention_k_eq_v");
    uint32_t dim, dim_full, n_kv, n_kv_full;
    bool k_eq_v = json_is_true(flag);
    struct rope ropes[2];
    int rc;

    if (flag && !json_is_boolean(flag))
        return wrong(r, "attention_k_eq_v", "true or false");
    if (each && !json_is_object(each))
        return wrong(r, "per_layer_config", "an object");
    if ((rc = number(r, t, "head_dim", -1, &dim)) < 0 ||
        (rc = number(r, t, "num_key_value_heads", -1, &n_kv)) < 0 ||
        (rc = number(r, t, "global_head_dim", dim, &dim_full)) < 0 ||
        (rc = number(r, t, "num_global_key_value_heads", n_kv, &n_kv_full)) < 0 ||
        (rc = rope(r, t, "sliding_attention", false, &ropes[0])) < 0 ||
        (rc = rope(r, t, "full_attention", true, &ropes[1])) < 0)
        return rc;
    for (uint32_t l = 0; l < s->n_layers; l++) {
        struct wd_layer_shape *y = &s->layers[l];
        const json_t *own = NULL;
        char index[16];

        snprintf(index, sizeof index, "%u", l);
        if (each)
            own = get(each, index);
        if (own && !json_is_object(own))
            return wrong(r, "per_layer_config", "an object for each layer");
        y->k_eq_v = y->full && k_eq_v;
        if ((rc = number(r, own, "head_dim", y->full ? dim_full : dim, &y->head_dim)) < 0 ||
            (rc = number(r, own, "num_key_value_heads", y->k_eq_v ? n_kv_full : n_kv,
                         &y->n_kv_heads)) < 0)
            return rc;
        /* A full layer with its own v_proj has as many key/value heads as the others, whatever else
         * is said. */
        if (y->full && !k_eq_v)
            y->n_kv_heads = n_kv;
        y->theta = ropes[y->full].theta;
        y->n_rotated = (uint32_t)floor((double)ropes[y->full].share * y->head_dim / 2);
    }
    return 0;
}

/* Absent or null: -1. */
static int id(const struct reader *r, const json_t *o, const char *key, int32_t *ret)
{
    const json_t *v = get(o, key);

    if (!v)
        return 0;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
        return wrong(r, key, "a token id");
    *ret = (int32_t)json_integer_value(v);
    return 0;
}

/* One id, or an array of at most WD_SHAPE_MAX_IDS. *ret_n stays where the key is absent. */
static int id_list(const struct reader *r, const json_t *o, const char *key, int32_t *ret,
                   uint32_t *ret_n)
{
    const json_t *v = get(o, key);
    size_t n = json_is_array(v) ? json_array_size(v) : 1;

    if (!v)
        return 0;
    if (n > WD_SHAPE_MAX_IDS)
        return wrong(r, key, "at most 16 token ids");
    for (size_t i = 0; i < n; i++) {
        const json_t *e = json_is_array(v) ? json_array_get(v, i) : v;

        if (!json_is_integer(e) || json_integer_value(e) < 0 || json_integer_value(e) > INT32_MAX)
            return wrong(r, key, "token ids");
        ret[i] = (int32_t)json_integer_value(e);
    }
    *ret_n = (uint32_t)n;
    return 0;
}

static int tokens(const struct reader *r, const json_t *top, const json_t *t, struct wd_shape *s)
{
    struct reader g = {.f = r->f, .file = "generation_config.json", .relative = "", .err = r->err};
    struct wd_err absent = {0};
    json_t *gen = NULL;
    bool has_suppress = false;
    int rc;

    s->bos = 2;
    s->pad = 0;
    if ((rc = id(r, t, "bos_token_id", &s->bos)) < 0 ||
        (rc = id(r, t, "pad_token_id", &s->pad)) < 0 ||
        (rc = id(r, top, "boi_token_id", &s->boi)) < 0 ||
        (rc = id(r, top, "eoi_token_id", &s->eoi)) < 0 ||
        (rc = id(r, top, "image_token_id", &s->image)) < 0 ||
        (rc = id(r, top, "video_token_id", &s->video)) < 0 ||
        (rc = id(r, top, "boa_token_id", &s->boa)) < 0 ||
        (rc = id(r, top, "eoa_token_id", &s->eoa)) < 0 ||
        (rc = id(r, top, "eoa_token_index", &s->eoa)) < 0 ||
        (rc = id(r, top, "audio_token_id", &s->audio)) < 0 ||
        (rc = id_list(r, t, "eos_token_id", s->stop, &s->n_stop)) < 0 ||
        (rc = id_list(r, top, "eos_token_id", s->stop, &s->n_stop)) < 0)
        return rc;

    g.err = &absent;
    rc = load(&g, &gen);
    g.err = r->err;
    if (rc < 0 && rc != -ENOENT) {
        json_decref(gen);
        return wd_err_set(r->err, rc, "%s", absent.text);
    }
    if (rc == 0) {
        rc = id_list(&g, gen, "eos_token_id", s->stop, &s->n_stop);
        if (rc == 0)
            rc = id_list(&g, gen, "suppress_tokens", s->suppress, &s->n_suppress);
        has_suppress = get(gen, "suppress_tokens") != NULL;
        json_decref(gen);
        if (rc < 0)
            return rc;
    }
    /* Rows of these two are no words (docs/model.md): never to be written. */
    if (!has_suppress) {
        if (s->eoi >= 0)
            s->suppress[s->n_suppress++] = s->eoi;
        if (s->eoa >= 0)
            s->suppress[s->n_suppress++] = s->eoa;
    }
    return 0;
}

static bool holds(const struct wd_tensor_file *f, const char *part)
{
    for (size_t i = 0; i < wd_tensor_file_count(f); i++)
        if (strstr(wd_tensor_file_at(f, i)->name, part))
            return true;
    return false;
}

static int expect(const struct reader *r, const json_t *o, const char *key, uint32_t expected)
{
    uint32_t v = 0;
    int rc = number(r, o, key, expected, &v);

    if (rc < 0)
        return rc;
    return v == expected ? 0
                         : wd_err_set(r->err, -ENOTSUP, "%s/%s: '%s' is %u, expected %u", path(r),
                                      r->file, key, v, expected);
}

/* A front end is there when the configuration says so and any of its tensors is there: texts are
 * re-saved without. */
static int media_part(const struct reader *r, const json_t *top, struct wd_shape *s)
{
    const json_t *v = get(top, "vision_config"), *a = get(top, "audio_config");
    int rc;

    if ((v && !json_is_object(v)) || (a && !json_is_object(a)))
        return wrong(r, "vision_config or audio_config", "an object");
    if (v && (holds(r->f, "vision_embedder.") || holds(r->f, "embed_vision."))) {
        if ((rc = expect(r, v, "patch_size", 16)) < 0 ||
            (rc = expect(r, v, "pooling_kernel_size", 3)) < 0 ||
            (rc = expect(r, v, "model_patch_size", WD_PATCH_SIDE)) < 0 ||
            (rc = number(r, v, "mm_embed_dim", -1, &s->mm_embed)) < 0 ||
            (rc = number(r, v, "mm_posemb_size", WD_MAX_PATCHES, &s->mm_positions)) < 0 ||
            (rc = real(r, v, "rms_norm_eps", 1e-6, &s->vision_eps)) < 0)
            return rc;
        s->has_vision = true;
    }
    if (a && holds(r->f, "embed_audio.")) {
        if ((rc = expect(r, a, "audio_samples_per_token", WD_AUDIO_SAMPLES)) < 0 ||
            (rc = expect(r, a, "audio_embed_dim", WD_AUDIO_SAMPLES)) < 0 ||
            (rc = real(r, a, "rms_norm_eps", 1e-6, &s->audio_eps)) < 0)
            return rc;
        s->has_audio = true;
    }
    return 0;
}

/* Members of the family are known by their layers. */
static const char *relative(const json_t *t)
{
    json_int_t n = json_integer_value(get(t, "num_hidden_layers"));

    return n == 35 ? "Gemma 4 E2B: " : n == 42 ? "Gemma 4 E4B: " : n == 30 ? "Gemma 4 26B-A4B: " : "";
}

static int from_config(struct reader *r, const json_t *top, struct wd_shape *s)
{
    const json_t *t = top, *two_way, *quantised = get(top, "quantization_config");
    const char *type = json_string_value(get(top, "model_type")), *method;
    bool unified = true;
    int rc;

    if (!type)
        return wrong(r, "model_type", "a string");
    if (!strcmp(type, "gemma4_unified")) {
        t = get(top, "text_config");
        if (!json_is_object(t))
            return wrong(r, "text_config", "an object");
    } else if (!strcmp(type, "gemma4") && json_is_object(get(top, "text_config"))) {
        /* Its text part is this decoder where none of the reasons below says otherwise (31B); what it
         * sees with is a tower, which is left out. */
        t = get(top, "text_config");
        unified = false;
    } else if (!strcmp(type, "gemma4_text")) {
        unified = false;
    } else if (!strcmp(type, "gemma4_unified_assistant")) {
        return wd_err_set(r->err, -ENOTSUP, "%s/%s: a drafter ('%s'), which goes beside a model",
                          path(r), r->file, type);
    } else if (strcmp(type, "gemma4_unified_text")) {
        return wd_err_set(r->err, -ENOTSUP,
                          "%s/%s: a model of type '%.64s', expected 'gemma4_unified'", path(r),
                          r->file, type);
    }
    r->relative = unified ? "" : relative(t);
    rc = refuse_relatives(r, t);
    if (rc == 0 && quantised) {
        method = json_string_value(get(quantised, "quant_method"));
        rc = wd_err_set(r->err, -ENOTSUP,
                        "%s/%s: weights quantised by '%.40s' ('quantization_config'): give the BF16 "
                        "folder or a GGUF file",
                        path(r), r->file, method ? method : "another program");
    }
    if (rc == 0)
        rc = number(r, t, "num_hidden_layers", -1, &s->n_layers);
    if (rc < 0)
        return rc;
    if (s->n_layers < 1 || s->n_layers > WD_SHAPE_MAX_LAYERS)
        return wrong(r, "num_hidden_layers", "1 to 256");
    if ((rc = number(r, t, "hidden_size", -1, &s->d_model)) < 0 ||
        (rc = number(r, t, "intermediate_size", -1, &s->d_ff)) < 0 ||
        (rc = number(r, t, "num_attention_heads", -1, &s->n_heads)) < 0 ||
        (rc = number(r, t, "vocab_size", -1, &s->n_vocab)) < 0 ||
        (rc = number(r, t, "sliding_window", -1, &s->window)) < 0 ||
        (rc = number(r, t, "max_position_embeddings", -1, &s->n_context)) < 0 ||
        (rc = real(r, t, "rms_norm_eps", 1e-6, &s->eps)) < 0 ||
        (rc = real(r, t, "final_logit_softcapping", 0, &s->softcap)) < 0 ||
        (rc = layer_kinds(r, t, s)) < 0 || (rc = heads(r, t, s)) < 0 ||
        (rc = tokens(r, top, t, s)) < 0 ||
        (unified && (rc = media_part(r, top, s)) < 0))
        return rc;
    /* null means causal everywhere; where the key is not there at all, the family sees pictures
     * both ways. */
    two_way = json_object_get(t, "use_bidirectional_attention");
    s->two_way_pictures = !two_way || is(two_way, "vision");
    if (two_way && !json_is_null(two_way) && !json_is_false(two_way) && !is(two_way, "vision"))
        return refuse(r, "use_bidirectional_attention", "attention both ways outside pictures");
    snprintf(s->family, sizeof s->family, "gemma4_unified");
    return 0;
}

int wd_shape_from_json(const struct wd_tensor_file *text, struct wd_shape *s, struct wd_err *err)
{
    struct reader r = {.f = text, .file = "config.json", .relative = "", .err = err};
    json_t *top = NULL;
    int rc = load(&r, &top);

    if (rc == 0)
        rc = from_config(&r, top, s);
    json_decref(top);
    return rc;
}
