/* model/shape_gguf.c - a checkpoint's sizes from the keys of its GGUF files.
 * Source: docs/model.md, "Files". */
#include "model/gemma4.h"
#include "model/shape_parts.h"
#include "model/tensor_file.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define G "gemma4."

struct reader {
    const struct wd_tensor_file *f;
    struct wd_err *err;
};

static const char *path(const struct reader *r)
{
    return wd_tensor_file_path(r->f);
}

static bool has_key(const struct reader *r, const char *key)
{
    const char *s;
    size_t len;
    uint64_t u;
    double d;

    return wd_tensor_file_u64(r->f, key, &u) || wd_tensor_file_f64(r->f, key, &d) ||
           wd_tensor_file_array(r->f, key, &u) || wd_tensor_file_str(r->f, key, &s, &len);
}

/* A whole number below 2^32. `fallback` < 0: the key must be there. */
static int number(const struct reader *r, const char *key, int64_t fallback, uint32_t *ret)
{
    uint64_t v;

    if (!wd_tensor_file_u64(r->f, key, &v)) {
        if (has_key(r, key))
            return wd_err_set(r->err, -EINVAL, "%s: key '%s' is not a whole number", path(r), key);
        if (fallback < 0)
            return wd_err_set(r->err, -EINVAL, "%s: key '%s' is missing", path(r), key);
        v = (uint64_t)fallback;
    }
    if (v > UINT32_MAX)
        return wd_err_set(r->err, -EINVAL, "%s: key '%s' is %llu, which cannot be", path(r), key,
                          (unsigned long long)v);
    *ret = (uint32_t)v;
    return 0;
}

static int real(const struct reader *r, const char *key, double fallback, float *ret)
{
    double v;

    if (!wd_tensor_file_f64(r->f, key, &v)) {
        if (has_key(r, key))
            return wd_err_set(r->err, -EINVAL, "%s: key '%s' is not a real number", path(r), key);
        v = fallback;
    }
    if (!isfinite(v))
        return wd_err_set(r->err, -EINVAL, "%s: key '%s' is not finite", path(r), key);
    *ret = (float)v;
    return 0;
}

/* One number for all layers, or an array with one for each. */
static int per_layer(const struct reader *r, const char *key, uint32_t n_layers, uint32_t *ret)
{
    uint64_t n;
    double v;
    int rc;

    if (!wd_tensor_file_array(r->f, key, &n)) {
        rc = number(r, key, -1, &ret[0]);
        for (uint32_t l = 1; rc == 0 && l < n_layers; l++)
            ret[l] = ret[0];
        return rc;
    }
    if (n < n_layers)
        return wd_err_set(r->err, -EINVAL, "%s: key '%s' has %llu elements for %u layers", path(r),
                          key, (unsigned long long)n, n_layers);
    for (uint32_t l = 0; l < n_layers; l++) {
        if (!wd_tensor_file_array_f64(r->f, key, l, &v) || !(v >= 0) || v > UINT32_MAX ||
            floor(v) < v)
            return wd_err_set(r->err, -EINVAL, "%s: key '%s': element %u is not a whole number",
                              path(r), key, l);
        ret[l] = (uint32_t)v;
    }
    return 0;
}

/* As per_layer(), for what this decoder has only one of. */
static int same_everywhere(const struct reader *r, const char *key, uint32_t n_layers,
                           uint32_t *ret)
{
    uint32_t all[WD_SHAPE_MAX_LAYERS];
    int rc = per_layer(r, key, n_layers, all);

    if (rc < 0)
        return rc;
    for (uint32_t l = 1; l < n_layers; l++)
        if (all[l] != all[0])
            return wd_err_set(
                r->err, -ENOTSUP,
                "%s: key '%s' differs between layers (%u and %u): another member of the family",
                path(r), key, all[0], all[l]);
    *ret = all[0];
    return 0;
}

/* Members of the family are known by their layers. */
static const char *relative(const struct reader *r)
{
    uint64_t n = 0;

    wd_tensor_file_u64(r->f, G "block_count", &n);
    return n == 35 ? "Gemma 4 E2B: " : n == 42 ? "Gemma 4 E4B: " : n == 30 ? "Gemma 4 26B-A4B: " : "";
}

static int refuse_above_zero(const struct reader *r, const char *key, const char *why)
{
    uint32_t v = 0;
    int rc = number(r, key, 0, &v);

    if (rc < 0)
        return rc;
    return v ? wd_err_set(r->err, -ENOTSUP,
                          "%s: %s%s (key '%s' is %u), which this engine cannot compute", path(r),
                          relative(r), why, key, v)
             : 0;
}

/* What tells relatives of this model from it. */
static int refuse_relatives(const struct reader *r)
{
    const char *arch, *type;
    size_t len, type_len;
    int rc;

    if (!wd_tensor_file_str(r->f, "general.architecture", &arch, &len))
        return wd_err_set(r->err, -EINVAL, "%s: key 'general.architecture' is missing", path(r));
    if (len == 4 && !memcmp(arch, "clip", 4))
        return wd_err_set(r->err, -ENOTSUP,
                          "%s: the media part of a model (mmproj), not its text part", path(r));
    if (len != 6 || memcmp(arch, "gemma4", 6))
        return wd_err_set(r->err, -ENOTSUP,
                          "%s: a model of architecture '%.*s', expected 'gemma4' (Gemma 4 12B)%s",
                          path(r), len > 40 ? 40 : (int)len, arch,
                          len == 16 && !memcmp(arch, "gemma4-assistant", 16)
                              ? "; it is a drafter, which goes beside a model"
                              : "");
    if (wd_tensor_file_str(r->f, "general.type", &type, &type_len) && type_len == 7 &&
        !memcmp(type, "adapter", 7))
        return wd_err_set(r->err, -ENOTSUP, "%s: a LoRA adapter, not a model", path(r));
    rc = refuse_above_zero(r, G "expert_count", "a mixture of experts");
    if (rc == 0)
        rc = refuse_above_zero(r, G "embedding_length_per_layer_input",
                               "embeddings for every layer");
    if (rc == 0)
        rc = refuse_above_zero(r, G "attention.shared_kv_layers",
                               "layers that share keys and values");
    return rc;
}

/* true = sliding. An array; or one number, every how many layers one attends to everything. */
static int pattern(const struct reader *r, struct wd_shape *s)
{
    const char *key = G "attention.sliding_window_pattern";
    uint32_t sliding[WD_SHAPE_MAX_LAYERS];
    uint64_t n;
    int rc = per_layer(r, key, s->n_layers, sliding);

    if (rc < 0)
        return rc;
    for (uint32_t l = 0; l < s->n_layers; l++)
        s->layers[l].full = wd_tensor_file_array(r->f, key, &n)
                                ? !sliding[l]
                                : sliding[0] && (l + 1) % sliding[0] == 0;
    return 0;
}

/* rope_freqs.weight divides the angles of full layers: by 1 in the pairs that rotate, by something
 * huge in those that do not. */
static int rotating_pairs(const struct reader *r, uint32_t head_dim, uint32_t *ret)
{
    const struct wd_tensor *t = wd_tensor_file_find(r->f, "rope_freqs.weight");
    const float *v;
    uint32_t n = 0;

    *ret = head_dim / 2;
    if (!t)
        return 0;
    if (t->type != WD_TYPE_F32 || t->dims[0] != head_dim / 2 ||
        t->n_bytes != head_dim / 2 * sizeof(float))
        return wd_err_set(r->err, -EINVAL, "%s: tensor 'rope_freqs.weight' is not F32 of %u values",
                          path(r), head_dim / 2);
    v = t->data;
    while (n < head_dim / 2 && v[n] > 0.999999f && v[n] < 1.000001f)
        n++;
    for (uint32_t i = n; i < head_dim / 2; i++)
        if (!(v[i] > 1e20f))
            return wd_err_set(r->err, -ENOTSUP,
                              "%s: tensor 'rope_freqs.weight' divides pair %u by %g, expected 1 or "
                              "something huge",
                              path(r), i, (double)v[i]);
    *ret = n;
    return 0;
}

static int whole_head_rotates(const struct reader *r, const char *key, uint32_t head_dim)
{
    uint32_t v = 0;
    int rc = number(r, key, head_dim, &v);

    if (rc < 0)
        return rc;
    return v == head_dim ? 0
                         : wd_err_set(r->err, -ENOTSUP, "%s: key '%s' is %u, but heads are %u wide",
                                      path(r), key, v, head_dim);
}

static int same_length(const struct reader *r, const char *key, uint32_t head_dim)
{
    uint32_t v = 0;
    int rc = number(r, key, head_dim, &v);

    if (rc < 0)
        return rc;
    return v == head_dim ? 0
                         : wd_err_set(r->err, -ENOTSUP, "%s: key '%s' is %u, but keys are %u long",
                                      path(r), key, v, head_dim);
}

static int heads(const struct reader *r, struct wd_shape *s)
{
    uint32_t n_kv[WD_SHAPE_MAX_LAYERS], dim_full, dim_swa, pairs;
    float theta_full, theta_swa;
    char name[64];
    int rc;

    if ((rc = per_layer(r, G "attention.head_count_kv", s->n_layers, n_kv)) < 0 ||
        (rc = number(r, G "attention.key_length", -1, &dim_full)) < 0 ||
        (rc = number(r, G "attention.key_length_swa", dim_full, &dim_swa)) < 0 ||
        (rc = same_length(r, G "attention.value_length", dim_full)) < 0 ||
        (rc = same_length(r, G "attention.value_length_swa", dim_swa)) < 0 ||
        (rc = whole_head_rotates(r, G "rope.dimension_count", dim_full)) < 0 ||
        (rc = whole_head_rotates(r, G "rope.dimension_count_swa", dim_swa)) < 0 ||
        (rc = real(r, G "rope.freq_base", 1e6, &theta_full)) < 0 ||
        (rc = real(r, G "rope.freq_base_swa", 1e4, &theta_swa)) < 0 ||
        (rc = rotating_pairs(r, dim_full, &pairs)) < 0)
        return rc;
    for (uint32_t l = 0; l < s->n_layers; l++) {
        struct wd_layer_shape *y = &s->layers[l];

        y->n_kv_heads = n_kv[l];
        y->head_dim = y->full ? dim_full : dim_swa;
        y->theta = y->full ? theta_full : theta_swa;
        y->n_rotated = y->full ? pairs : dim_swa / 2;
        snprintf(name, sizeof name, "blk.%u.attn_v.weight", l);
        y->k_eq_v = !wd_tensor_file_find(r->f, name);
        if (y->k_eq_v && !y->full)
            return wd_err_set(r->err, -EINVAL, "%s: tensor '%s' is missing", path(r), name);
    }
    return 0;
}

/* At most WD_SHAPE_MAX_IDS ids. False: the key is not there. */
static bool id_array(const struct reader *r, const char *key, int32_t *ret, uint32_t *ret_n,
                     int *ret_rc)
{
    uint64_t n;
    double v;

    *ret_rc = 0;
    if (!wd_tensor_file_array(r->f, key, &n))
        return false;
    if (n > WD_SHAPE_MAX_IDS) {
        *ret_rc = wd_err_set(r->err, -EINVAL, "%s: key '%s' has %llu elements, expected at most %d",
                             path(r), key, (unsigned long long)n, WD_SHAPE_MAX_IDS);
        return true;
    }
    for (uint64_t i = 0; i < n; i++) {
        if (!wd_tensor_file_array_f64(r->f, key, i, &v) || !(v >= -1 && v <= INT32_MAX) ||
            floor(v) < v) {
            *ret_rc = wd_err_set(r->err, -EINVAL, "%s: key '%s': element %llu is no token id",
                                 path(r), key, (unsigned long long)i);
            return true;
        }
        ret[i] = (int32_t)v;
    }
    *ret_n = (uint32_t)n;
    return true;
}

enum { BOI, BOA, IMAGE, AUDIO, EOI, EOA, VIDEO, EOS, TURN_END, TOOL_RESPONSE, N_TEXTS };

/* Looks the control strings up in the vocabulary; -1 where there is none. One walk for all. */
static void find_texts(const struct reader *r, int32_t ids[N_TEXTS])
{
    static const char *const texts[N_TEXTS] = {
        [BOI] = "<|image>",     [BOA] = "<|audio>",
        [IMAGE] = "<|image|>",  [AUDIO] = "<|audio|>",
        [EOI] = "<image|>",     [EOA] = "<audio|>",
        [VIDEO] = "<|video|>",  [EOS] = "<eos>",
        [TURN_END] = "<turn|>", [TOOL_RESPONSE] = "<|tool_response>",
    };
    struct wd_str_iter it;
    const char *s;
    size_t len;

    for (int k = 0; k < N_TEXTS; k++)
        ids[k] = -1;
    if (!wd_tensor_file_strings(r->f, "tokenizer.ggml.tokens", &it))
        return;
    for (int32_t id = 0; id < INT32_MAX && wd_str_iter_next(&it, &s, &len); id++) {
        if (len < 5 || s[0] != '<' || s[len - 1] != '>')
            continue;
        for (int k = 0; k < N_TEXTS; k++)
            if (ids[k] < 0 && strlen(texts[k]) == len && !memcmp(texts[k], s, len))
                ids[k] = id;
    }
}

static int single_id(const struct reader *r, const char *key, int32_t *ret)
{
    uint32_t v = 0;
    int rc;

    if (!has_key(r, key))
        return 0;
    rc = number(r, key, -1, &v);
    if (rc == 0 && v > INT32_MAX)
        rc = wd_err_set(r->err, -EINVAL, "%s: key '%s' is no token id", path(r), key);
    if (rc == 0)
        *ret = (int32_t)v;
    return rc;
}

static int tokens(const struct reader *r, struct wd_shape *s)
{
    const struct wd_tensor *t = wd_tensor_file_find(r->f, "token_embd.weight");
    int32_t at[N_TEXTS], ids[WD_SHAPE_MAX_IDS], eos = -1;
    uint32_t n = 0;
    uint64_t count;
    int rc;

    if (!wd_tensor_file_array(r->f, "tokenizer.ggml.tokens", &count))
        return wd_err_set(r->err, -EINVAL, "%s: key 'tokenizer.ggml.tokens' is missing", path(r));
    if (count > INT32_MAX)
        return wd_err_set(r->err, -EINVAL, "%s: a vocabulary of %llu", path(r),
                          (unsigned long long)count);
    if (t && t->dims[1] != count)
        return wd_err_set(r->err, -EINVAL,
                          "%s: tensor 'token_embd.weight' has %llu rows for a vocabulary of %llu",
                          path(r), (unsigned long long)t->dims[1], (unsigned long long)count);
    s->n_vocab = (uint32_t)count;
    find_texts(r, at);

    if (id_array(r, "witnessd.media_ids", ids, &n, &rc)) {
        if (rc < 0)
            return rc;
        if (n != VIDEO + 1)
            return wd_err_set(r->err, -EINVAL,
                              "%s: key 'witnessd.media_ids' has %u elements, expected 7", path(r),
                              n);
        memcpy(at, ids, n * sizeof *ids);
    }
    s->boi = at[BOI];
    s->boa = at[BOA];
    s->image = at[IMAGE];
    s->audio = at[AUDIO];
    s->eoi = at[EOI];
    s->eoa = at[EOA];
    s->video = at[VIDEO];

    s->bos = 2;
    s->pad = 0;
    if ((rc = single_id(r, "tokenizer.ggml.bos_token_id", &s->bos)) < 0 ||
        (rc = single_id(r, "tokenizer.ggml.padding_token_id", &s->pad)) < 0 ||
        (rc = single_id(r, "tokenizer.ggml.eos_token_id", &eos)) < 0)
        return rc;
    if (!id_array(r, "witnessd.stop_tokens", s->stop, &s->n_stop, &rc)) {
        for (int k = EOS; k <= TOOL_RESPONSE; k++)
            if (at[k] >= 0)
                s->stop[s->n_stop++] = at[k];
        if (s->n_stop == 0 && eos >= 0)
            s->stop[s->n_stop++] = eos;
    }
    if (rc < 0)
        return rc;
    /* Rows of these two are no words (docs/model.md): never to be written. */
    if (!id_array(r, "tokenizer.ggml.suppress_tokens", s->suppress, &s->n_suppress, &rc)) {
        if (s->eoi >= 0)
            s->suppress[s->n_suppress++] = s->eoi;
        if (s->eoa >= 0)
            s->suppress[s->n_suppress++] = s->eoa;
    }
    return rc;
}

static int projector(const struct reader *r, const char *key, const char *expected)
{
    const char *v;
    size_t len;

    if (!wd_tensor_file_str(r->f, key, &v, &len) &&
        !wd_tensor_file_str(r->f, "clip.projector_type", &v, &len))
        return wd_err_set(r->err, -EINVAL, "%s: key '%s' is missing", path(r), key);
    if (len == strlen(expected) && !memcmp(v, expected, len))
        return 0;
    return wd_err_set(
        r->err, -ENOTSUP,
        "%s: a media part of type '%.*s' (another member of the family), expected '%s'", path(r),
        len > 40 ? 40 : (int)len, v, expected);
}

static int expect(const struct reader *r, const char *key, int64_t fallback, uint32_t expected)
{
    uint32_t v = 0;
    int rc = number(r, key, fallback, &v);

    if (rc < 0)
        return rc;
    return v == expected ? 0
                         : wd_err_set(r->err, -ENOTSUP, "%s: key '%s' is %u, expected %u", path(r),
                                      key, v, expected);
}

static int vision(const struct reader *r, struct wd_shape *s)
{
    const struct wd_tensor *t = wd_tensor_file_find(r->f, "v.position_embd.weight");
    int rc;

    if ((rc = projector(r, "clip.vision.projector_type", "gemma4uv")) < 0 ||
        (rc = expect(r, "clip.vision.projection_dim", s->d_model, s->d_model)) < 0 ||
        (rc = expect(r, "clip.vision.patch_size", 16, 16)) < 0 ||
        (rc = expect(r, "clip.vision.projector.scale_factor", 3, 3)) < 0 ||
        (rc = number(r, "clip.vision.embedding_length", -1, &s->mm_embed)) < 0 ||
        (rc = real(r, "clip.vision.attention.layer_norm_epsilon", 1e-6, &s->vision_eps)) < 0)
        return rc;
    if (!t)
        return wd_err_set(r->err, -EINVAL, "%s: tensor 'v.position_embd.weight' is missing",
                          path(r));
    if (t->dims[1] > UINT32_MAX)
        return wd_err_set(r->err, -EINVAL, "%s: tensor 'v.position_embd.weight' has %llu rows",
                          path(r), (unsigned long long)t->dims[1]);
    s->mm_positions = (uint32_t)t->dims[1];
    s->has_vision = true;
    s->planar_patches = true;
    return 0;
}

static int audio(const struct reader *r, struct wd_shape *s)
{
    int rc;

    if ((rc = projector(r, "clip.audio.projector_type", "gemma4ua")) < 0 ||
        (rc = expect(r, "clip.audio.projection_dim", s->d_model, s->d_model)) < 0 ||
        (rc = expect(r, "clip.audio.embedding_length", WD_AUDIO_SAMPLES, WD_AUDIO_SAMPLES)) < 0 ||
        (rc = real(r, "clip.audio.attention.layer_norm_epsilon", 1e-6, &s->audio_eps)) < 0)
        return rc;
    s->has_audio = true;
    return 0;
}

/* The media part: a file of its own, or keys and tensors beside the text's. */
static int media_part(const struct reader *r, bool own_file, struct wd_shape *s)
{
    uint64_t v = 0, a = 0;
    const char *arch;
    size_t len;
    int rc = 0;

    if (own_file) {
        if (wd_tensor_file_form(r->f) != WD_FORM_GGUF ||
            !wd_tensor_file_str(r->f, "general.architecture", &arch, &len) || len != 4 ||
            memcmp(arch, "clip", 4))
            return wd_err_set(r->err, -EINVAL,
                              "%s: not the media part of a model (a GGUF of architecture 'clip')",
                              path(r));
    }
    wd_tensor_file_u64(r->f, "clip.has_vision_encoder", &v);
    wd_tensor_file_u64(r->f, "clip.has_audio_encoder", &a);
    if (own_file && !v && !a)
        return wd_err_set(r->err, -EINVAL, "%s: holds neither a vision nor an audio part", path(r));
    if (v)
        rc = vision(r, s);
    if (rc == 0 && a)
        rc = audio(r, s);
    return rc;
}

int wd_shape_from_gguf(const struct wd_tensor_file *text, const struct wd_tensor_file *media,
                       struct wd_shape *s, struct wd_err *err)
{
    struct reader r = {.f = text, .err = err}, m = {.f = media ? media : text, .err = err};
    const char *name;
    size_t len;
    int rc = refuse_relatives(&r);

    if (rc < 0 || (rc = number(&r, G "block_count", -1, &s->n_layers)) < 0)
        return rc;
    if (s->n_layers < 1 || s->n_layers > WD_SHAPE_MAX_LAYERS)
        return wd_err_set(err, -EINVAL, "%s: key '" G "block_count' is %u, expected 1 to %d",
                          path(&r), s->n_layers, WD_SHAPE_MAX_LAYERS);
    if ((rc = number(&r, G "embedding_length", -1, &s->d_model)) < 0 ||
        (rc = number(&r, G "context_length", -1, &s->n_context)) < 0 ||
        (rc = number(&r, G "attention.sliding_window", -1, &s->window)) < 0 ||
        (rc = same_everywhere(&r, G "feed_forward_length", s->n_layers, &s->d_ff)) < 0 ||
        (rc = same_everywhere(&r, G "attention.head_count", s->n_layers, &s->n_heads)) < 0 ||
        (rc = real(&r, G "attention.layer_norm_rms_epsilon", 1e-6, &s->eps)) < 0 ||
        (rc = real(&r, G "final_logit_softcapping", 30, &s->softcap)) < 0 ||
        (rc = pattern(&r, s)) < 0 || (rc = heads(&r, s)) < 0 || (rc = tokens(&r, s)) < 0 ||
        (rc = media_part(&m, media != NULL, s)) < 0)
        return rc;
    /* There is no key for it; it is what sets this model apart from those with embeddings for every
     * layer. */
    s->two_way_pictures = true;
    snprintf(s->family, sizeof s->family, "gemma4_unified");
    if (wd_tensor_file_str(text, "general.name", &name, &len))
        snprintf(s->name, sizeof s->name, "%.*s",
                 len > sizeof s->name ? (int)sizeof s->name : (int)len, name);
    return 0;
}
