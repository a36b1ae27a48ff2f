/* model/weights.c - names of a checkpoint's tensors -> typed views, every shape checked. */
#include "model/weights.h"

#include "model/gemma4.h"
#include "model/tensor_file.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The same tensor under the names of both kinds of file. %u is the layer. */
struct name {
    const char *gguf, *hf, *hf_newer;
};

#define LM "model.language_model."
#define LAYER LM "layers.%u."
#define VIS "model.vision_embedder."
#define VIS2 "model.embed_vision."

static const struct name embed_name = {"token_embd.weight", LM "embed_tokens.weight", NULL};
static const struct name head_name = {"output.weight", "lm_head.weight", NULL};
static const struct name norm_name = {"output_norm.weight", LM "norm.weight", NULL};

/* Finds a tensor under any of its names, also without the leading "model." of re-saved folders, and
 * with "model." alone. */
static const struct wd_tensor *find(const struct wd_tensor_file *f, const struct name *n, unsigned layer,
                                    char *ret_name, size_t cap)
{
    const char *tries[3] = {n->hf, n->hf_newer, NULL};
    const struct wd_tensor *t;
    size_t i;

    if (wd_tensor_file_form(f) == WD_FORM_GGUF) {
        tries[0] = n->gguf;
        tries[1] = NULL;
    }
    for (i = 0; tries[i]; i++) {
        char name[160];

/* Every format is one of the literals in this file. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(name, sizeof name, tries[i], layer);
#pragma GCC diagnostic pop
        if (i == 0)
            snprintf(ret_name, cap, "%s", name);
        t = wd_tensor_file_find(f, name);
        if (!t && strncmp(name, "model.", 6) == 0)
            t = wd_tensor_file_find(f, name + 6);
        if (!t && strncmp(name, LM, sizeof LM - 1) == 0) /* a text model by itself */
            t = wd_tensor_file_find(f, name + strlen("model.language_"));
        if (t)
            return t;
    }
    return NULL;
}

static int missing(const struct wd_tensor_file *f, const char *name, struct wd_err *err)
{
    return wd_err_set(err, -EINVAL, "%s: tensor '%s' is missing", wd_tensor_file_path(f), name);
}

static int wrong_shape(const struct wd_tensor_file *f, const struct wd_tensor *t, uint64_t in, uint64_t out,
                       struct wd_err *err)
{
    return wd_err_set(err, -EINVAL,
                      "%s: tensor '%s' is %llu x %llu x %llu (fastest first), expected %llu x %llu",
                      wd_tensor_file_path(f), t->name, (unsigned long long)t->dims[0],
                      (unsigned long long)t->dims[1], (unsigned long long)(t->dims[2] * t->dims[3]),
                      (unsigned long long)in, (unsigned long long)out);
}

/* It has a meaning: for wd_weights_unused(). */
static void mark(struct wd_weights *w, const struct wd_tensor_file *f, const struct wd_tensor *t)
{
    w->used[(f == w->text ? 0 : wd_tensor_file_count(w->text)) + wd_tensor_file_index(f, t)] = true;
}

/* A tensor that is wrong: said to whoever wants to hear of all of them, otherwise the end. */
static int wrong(const struct wd_weights *w, int r, struct wd_err *err)
{
    if ((r != -EINVAL && r != -ENOTSUP) || !w->problems)
        return r;
    w->problems->say(w->problems->ctx, err->text);
    err->code = 0;
    return 0;
}

static int matrix(struct wd_weights *w, const struct wd_tensor_file *f, const struct name *n, unsigned layer,
                  uint64_t out, uint64_t in, struct wd_matrix *ret, struct wd_err *err)
{
    char name[160];
    const struct wd_tensor *t = find(f, n, layer, name, sizeof name);

    if (!t)
        return wrong(w, missing(f, name, err), err);
    mark(w, f, t);
    if (t->dims[0] != in || t->dims[1] != out || t->dims[2] != 1 || t->dims[3] != 1)
        return wrong(w, wrong_shape(f, t, in, out, err), err);
    ret->type = (enum wd_type)t->type;
    ret->n_out = (uint32_t)out;
    ret->n_in = (uint32_t)in;
    ret->data = t->data;
    return 0;
}

/* A few numbers of every frame and picture pass through these matrices: they are not worth
 * rounding. */
static int front_end(const struct wd_tensor_file *f, const struct wd_tensor *t, struct wd_err *err)
{
    if (wd_type_block(t->type) > 1)
        return wd_err_set(err, -ENOTSUP,
                          "%s: tensor '%s' is %s: matrices of sound and pictures must have 16 bits or more",
                          wd_tensor_file_path(f), t->name, wd_type_name(t->type));
    return 0;
}

static int front_matrix(struct wd_weights *w, const struct wd_tensor_file *f, const struct name *n, uint64_t out,
                        uint64_t in, struct wd_matrix *ret, struct wd_err *err)
{
    char name[160];
    const struct wd_tensor *t = find(f, n, 0, name, sizeof name);
    int r = matrix(w, f, n, 0, out, in, ret, err);

    return r < 0 || !t ? r : wrong(w, front_end(f, t, err), err);
}

static int vector(struct wd_weights *w, const struct wd_tensor_file *f, const struct name *n, unsigned layer,
                  uint64_t len, const float **ret, struct wd_err *err)
{
    char name[160];
    const struct wd_tensor *t = find(f, n, layer, name, sizeof name);
    float *copy;

    if (!t)
        return wrong(w, missing(f, name, err), err);
    mark(w, f, t);
    if (t->dims[0] != len || t->dims[1] != 1 || t->dims[2] != 1 || t->dims[3] != 1)
        return wrong(w, wrong_shape(f, t, len, 1, err), err);
    if (t->type == WD_TYPE_F32) {
        *ret = t->data;
        return 0;
    }
    if (w->n_vectors - w->used_vectors < len)
        return wd_err_set(err, -EINVAL, "%s: tensor '%s': no room for its %llu numbers",
                          wd_tensor_file_path(f), t->name, (unsigned long long)len);
    copy = w->vectors + w->used_vectors;
    wd_quant_unpack((enum wd_type)t->type, t->data, copy, len);
    w->used_vectors += len;
    *ret = copy;
    return 0;
}

static int one_layer(struct wd_weights *w, unsigned i, struct wd_err *err)
{
    const struct wd_shape *s = &w->shape;
    const struct wd_layer_shape *ls = &s->layers[i];
    struct wd_layer_weights *l = &w->layers[i];
    uint64_t d = s->d_model, hd = ls->head_dim, q = s->n_heads * hd, kv = ls->n_kv_heads * hd;
    const float one = 1, *scalar = &one;
    int r;
    const struct {
        struct name name;
        const float **to;
        uint64_t len;
    } vectors[] = {
        {{"blk.%u.attn_norm.weight", LAYER "input_layernorm.weight", NULL}, &l->input_norm, d},
        {{"blk.%u.post_attention_norm.weight", LAYER "post_attention_layernorm.weight", NULL},
         &l->post_attn_norm,
         d},
        {{"blk.%u.ffn_norm.weight", LAYER "pre_feedforward_layernorm.weight", NULL}, &l->pre_ff_norm, d},
        {{"blk.%u.post_ffw_norm.weight", LAYER "post_feedforward_layernorm.weight", NULL},
         &l->post_ff_norm,
         d},
        {{"blk.%u.attn_q_norm.weight", LAYER "self_attn.q_norm.weight", NULL}, &l->q_norm, hd},
        {{"blk.%u.attn_k_norm.weight", LAYER "self_attn.k_norm.weight", NULL}, &l->k_norm, hd},
        {{"blk.%u.layer_output_scale.weight", LAYER "layer_scalar", NULL}, &scalar, 1},
    };
    const struct {
        struct name name;
        struct wd_matrix *to;
        uint64_t out, in;
        bool wanted;
    } matrices[] = {
        {{"blk.%u.attn_q.weight", LAYER "self_attn.q_proj.weight", NULL}, &l->q, q, d, true},
        {{"blk.%u.attn_k.weight", LAYER "self_attn.k_proj.weight", NULL}, &l->k, kv, d, true},
        {{"blk.%u.attn_v.weight", LAYER "self_attn.v_proj.weight", NULL}, &l->v, kv, d, !ls->k_eq_v},
        {{"blk.%u.attn_output.weight", LAYER "self_attn.o_proj.weight", NULL}, &l->o, d, q, true},
        {{"blk.%u.ffn_gate.weight", LAYER "mlp.gate_proj.weight", NULL}, &l->gate, s->d_ff, d, true},
        {{"blk.%u.ffn_up.weight", LAYER "mlp.up_proj.weight", NULL}, &l->up, s->d_ff, d, true},
        {{"blk.%u.ffn_down.weight", LAYER "mlp.down_proj.weight", NULL}, &l->down, d, s->d_ff, true},
    };

    for (size_t k = 0; k < sizeof vectors / sizeof vectors[0]; k++) {
        r = vector(w, w->text, &vectors[k].name, i, vectors[k].len, vectors[k].to, err);
        if (r < 0)
            return r;
    }
    l->scalar = *scalar;
    for (size_t k = 0; k < sizeof matrices / sizeof matrices[0]; k++) {
        if (!matrices[k].wanted)
            continue;
        r = matrix(w, w->text, &matrices[k].name, i, matrices[k].out, matrices[k].in, matrices[k].to, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Some re-packers number the patch norms 0, 1, 2 instead of 1, 2, 3: the first is known by its length. */
static bool norms_from_zero(const struct wd_tensor_file *f)
{
    const struct wd_tensor *t = wd_tensor_file_find(f, "v.patch_norm.0.weight");

    return t && t->dims[0] == WD_PATCH_VALUES;
}

static int vision(struct wd_weights *w, const struct wd_tensor_file *f, struct wd_err *err)
{
    struct wd_vision_weights *v = &w->vision;
    const struct wd_shape *s = &w->shape;
    uint64_t m = s->mm_embed, p = WD_PATCH_VALUES;
    unsigned base = norms_from_zero(f) ? 0 : 1;
    static const struct name pos_name = {"v.position_embd.weight", VIS "pos_embedding", VIS2 "pos_embedding"};
    static const struct name dense = {"v.patch_embd.weight", VIS "patch_dense.weight", VIS2 "patch_dense.weight"};
    static const struct name proj = {"mm.input_projection.weight", VIS2 "embedding_projection.weight",
                                     VIS2 "multimodal_embedder.embedding_projection.weight"};
    char ln[6][32], name[160];
    const struct wd_tensor *t;
    int r;

    for (unsigned i = 0; i < 6; i++)
        snprintf(ln[i], sizeof ln[i], "v.patch_norm.%u.%s", base + i / 2, i % 2 ? "bias" : "weight");
    const struct {
        struct name name;
        const float **to;
        uint64_t len;
    } vectors[] = {
        {{ln[0], VIS "patch_ln1.weight", VIS2 "patch_ln1.weight"}, &v->ln1_w, p},
        {{ln[1], VIS "patch_ln1.bias", VIS2 "patch_ln1.bias"}, &v->ln1_b, p},
        {{ln[2], VIS "patch_ln2.weight", VIS2 "patch_ln2.weight"}, &v->ln2_w, m},
        {{ln[3], VIS "patch_ln2.bias", VIS2 "patch_ln2.bias"}, &v->ln2_b, m},
        {{ln[4], VIS "pos_norm.weight", VIS2 "pos_norm.weight"}, &v->ln3_w, m},
        {{ln[5], VIS "pos_norm.bias", VIS2 "pos_norm.bias"}, &v->ln3_b, m},
        {{"v.patch_embd.bias", VIS "patch_dense.bias", VIS2 "patch_dense.bias"}, &v->dense_b, m},
    };
    for (size_t k = 0; k < sizeof vectors / sizeof vectors[0]; k++) {
        r = vector(w, f, &vectors[k].name, 0, vectors[k].len, vectors[k].to, err);
        if (r < 0)
            return r;
    }
    r = front_matrix(w, f, &dense, m, p, &v->dense, err);
    if (r == 0)
        r = front_matrix(w, f, &proj, s->d_model, m, &v->proj, err);
    if (r < 0)
        return r;

    t = find(f, &pos_name, 0, name, sizeof name);
    if (!t)
        return wrong(w, missing(f, name, err), err);
    mark(w, f, t);
    v->pos_slabs = wd_tensor_file_form(f) == WD_FORM_GGUF;
    if (t->dims[0] != m || t->dims[3] != 1 || t->dims[v->pos_slabs ? 1 : 2] != s->mm_positions ||
        t->dims[v->pos_slabs ? 2 : 1] != 2)
        return wrong(w, wrong_shape(f, t, m, 2 * (uint64_t)s->mm_positions, err), err);
    r = wrong(w, front_end(f, t, err), err);
    if (r < 0)
        return r;
    v->pos.type = (enum wd_type)t->type;
    v->pos.n_in = s->mm_embed;
    v->pos.n_out = 2 * s->mm_positions;
    v->pos.data = t->data;
    return 0;
}

void wd_weights_pos_row(const struct wd_weights *w, unsigned axis, uint32_t index, float *ret)
{
    const struct wd_matrix *m = &w->vision.pos;
    size_t row = w->vision.pos_slabs ? (size_t)axis * w->shape.mm_positions + index : 2 * (size_t)index + axis;

    wd_quant_unpack(m->type, (const unsigned char *)m->data + row * wd_type_row_bytes(m->type, m->n_in), ret,
                    m->n_in);
}

static void digest(struct wd_weights *w)
{
    const struct wd_tensor_file *files[2] = {w->text, w->media};
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a, 64 bits */

    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; files[k] && i < wd_tensor_file_count(files[k]); i++) {
            const struct wd_tensor *t = wd_tensor_file_at(files[k], i);
            const unsigned char *parts[3] = {(const unsigned char *)t->name, (const unsigned char *)t->dims, t->data};
            size_t len[3] = {strlen(t->name), sizeof t->dims, t->n_bytes < 64 ? t->n_bytes : 64};

            for (size_t p = 0; p < 3; p++)
                for (size_t b = 0; b < len[p]; b++)
                    h = (h ^ parts[p][b]) * UINT64_C(0x100000001b3);
            h = (h ^ t->type) * UINT64_C(0x100000001b3);
        }
    }
    snprintf(w->hash, sizeof w->hash, "%016llx", (unsigned long long)h);
}

static bool holds_media(const struct wd_tensor_file *f)
{
    return wd_tensor_file_form(f) != WD_FORM_GGUF || wd_tensor_file_find(f, "mm.input_projection.weight") ||
           wd_tensor_file_find(f, "mm.a.input_projection.weight");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_mmproj(const struct dirent *e)
{
    return fnmatch("*mmproj*.gguf", e->d_name, 0) == 0;
}

static bool says(const struct wd_tensor_file *f, const char *key, const char *expected)
{
    const char *s;
    size_t len;

    return wd_tensor_file_str(f, key, &s, &len) && len == strlen(expected) && !memcmp(s, expected, len);
}

/* Of this width, and no tower of a relative: with one of those the text is used alone. */
static bool fits_beside(const struct wd_tensor_file *f, uint64_t d_model)
{
    uint64_t got;

    if (!wd_tensor_file_u64(f, "clip.vision.projection_dim", &got) &&
        !wd_tensor_file_u64(f, "clip.audio.projection_dim", &got))
        return false;
    return got == d_model && !says(f, "clip.vision.projector_type", "gemma4v") &&
           !says(f, "clip.projector_type", "gemma4v") && !says(f, "clip.audio.projector_type", "gemma4a");
}

/* The media file beside a text GGUF: the first in the folder that projects to the same width. */
static int find_beside(struct wd_weights *w, const char *path, struct wd_err *err)
{
    struct dirent **list = NULL;
    const char *slash = strrchr(path, '/');
    char folder[4096], file[4096 + 300];
    uint64_t want = 0;
    int n, i;

    if (!wd_tensor_file_u64(w->text, "gemma4.embedding_length", &want))
        return 0;
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    if (slash == path)
        snprintf(folder, sizeof folder, "/");
    n = scandir(folder, &list, is_mmproj, by_name);
    for (i = 0; i < n; i++) {
        struct wd_tensor_file *f = NULL;

        snprintf(file, sizeof file, "%s/%s", folder, list[i]->d_name);
        if (!w->media && wd_tensor_file_open(file, &f, err) == 0) {
            if (fits_beside(f, want))
                w->media = f;
            else
                wd_tensor_file_free(f);
        }
        free(list[i]);
    }
    free(list);
    if (err)
        err->code = 0;
    return 0;
}

/* f32 copies are needed of vectors stored in 16 bits: count them before asking for the room. */
static size_t count_vectors(const struct wd_tensor_file *f)
{
    size_t n = 0;

    for (size_t i = 0; f && i < wd_tensor_file_count(f); i++) {
        const struct wd_tensor *t = wd_tensor_file_at(f, i);

        if (t->type != WD_TYPE_F32 && t->dims[1] == 1 && t->dims[2] == 1 && t->dims[3] == 1)
            n += t->dims[0];
    }
    return n;
}

static int open_all(const char *path, const char *mmproj, const struct wd_weights_problems *problems,
                    struct wd_weights *w, struct wd_err *err)
{
    const struct wd_tensor_file *media;
    static const struct name audio_name = {"mm.a.input_projection.weight", "model.embed_audio.embedding_projection.weight",
                                           NULL};
    char name[160];
    int r;

    memset(w, 0, sizeof *w);
    w->problems = problems;
    r = wd_tensor_file_open(path, &w->text, err);
    if (r < 0)
        return r;
    if (mmproj)
        r = wd_tensor_file_open(mmproj, &w->media, err);
    else if (!holds_media(w->text))
        r = find_beside(w, path, err);
    if (r == 0)
        r = wd_shape_read(w->text, w->media, &w->shape, err);
    if (r < 0)
        goto fail;
    media = w->media ? w->media : w->text;
    w->mapped_bytes = wd_tensor_file_bytes(w->text) + (w->media ? wd_tensor_file_bytes(w->media) : 0);

    w->n_vectors = count_vectors(w->text) + count_vectors(w->media);
    w->vectors = malloc((w->n_vectors + 1) * sizeof *w->vectors);
    w->layers = calloc(w->shape.n_layers, sizeof *w->layers);
    w->used = calloc(wd_tensor_file_count(w->text) + (w->media ? wd_tensor_file_count(w->media) : 0) + 1, sizeof *w->used);
    if (!w->vectors || !w->layers || !w->used) {
        r = wd_err_set(err, -ENOMEM, "%s: out of memory", path);
        goto fail;
    }
    r = matrix(w, w->text, &embed_name, 0, w->shape.n_vocab, w->shape.d_model, &w->embed, err);
    if (r < 0)
        goto fail;
    w->head = w->embed;
    if (find(w->text, &head_name, 0, name, sizeof name)) {
        r = matrix(w, w->text, &head_name, 0, w->shape.n_vocab, w->shape.d_model, &w->head, err);
        if (r < 0)
            goto fail;
    }
    r = vector(w, w->text, &norm_name, 0, w->shape.d_model, &w->norm, err);
    for (unsigned i = 0; r == 0 && i < w->shape.n_layers; i++)
        r = one_layer(w, i, err);
    if (r == 0 && w->shape.has_vision)
        r = vision(w, media, err);
    if (r == 0 && w->shape.has_audio)
        r = front_matrix(w, media, &audio_name, w->shape.d_model, WD_AUDIO_SAMPLES, &w->audio, err);
    if (r < 0)
        goto fail;
    digest(w);
    w->problems = NULL;
    return 0;
fail:
    wd_weights_done(w);
    return r;
}

int wd_weights_open(const char *path, const char *mmproj, struct wd_weights *w, struct wd_err *err)
{
    return open_all(path, mmproj, NULL, w, err);
}

int wd_weights_open_all(const char *path, const char *mmproj, const struct wd_weights_problems *problems,
                        struct wd_weights *w, struct wd_err *err)
{
    return open_all(path, mmproj, problems, w, err);
}

const struct wd_tensor *wd_weights_unused(const struct wd_weights *w, size_t i)
{
    size_t n_text = wd_tensor_file_count(w->text), n = n_text + (w->media ? wd_tensor_file_count(w->media) : 0);

    for (size_t k = 0; k < n; k++) {
        const struct wd_tensor *t =
            k < n_text ? wd_tensor_file_at(w->text, k) : wd_tensor_file_at(w->media, k - n_text);

        /* The one that is read with the sizes (shape_gguf.c). */
        if (!w->used[k] && strcmp(t->name, "rope_freqs.weight") != 0 && i-- == 0)
            return t;
    }
    return NULL;
}

int wd_weights_torn(const struct wd_weights *w, struct wd_err *err)
{
    int r = wd_tensor_file_torn(w->text, err);

    return r == 0 && w->media ? wd_tensor_file_torn(w->media, err) : r;
}

void wd_weights_done(struct wd_weights *w)
{
    wd_tensor_file_free(w->text);
    wd_tensor_file_free(w->media);
    free(w->layers);
    free(w->used);
    free(w->vectors);
    memset(w, 0, sizeof *w);
}
