/* tests/golden/checkpoint.c - the synthetic checkpoints behind the golden vectors, written anew from their seeds. */
#include "tests/golden/checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_VOCAB 1024
#define PATCH 6912
#define POSITIONS 1120
#define MAX_TENSORS 256

struct preset {
    const char *name;
    uint64_t seed;
    const char *pattern; /* s: sliding, f: full */
    bool own_v;          /* full layers have a v_proj */
    uint32_t hidden, ffn, heads, kv_heads, global_kv_heads, head_dim, global_head_dim, window, mm_embed, context;
    double softcap, partial, rope_local, rope_global, eps;
    double scalar[2], post[2]; /* mean and deviation of layer_scalar and of the two post norms */
};

static const struct preset presets[] = {
    {"tiny", 1, "ssfssf", false, 256, 768, 8, 4, 1, 64, 128, 32, 192, 8192, 30, 0.25, 1e4, 1e6, 1e-6, {0.8, 0.1}, {1.6, 0.25}},
    {"odd", 7, "sfssf", false, 168, 200, 3, 1, 1, 40, 72, 16, 104, 8192, 15, 0.25, 1e4, 1e6, 1e-6, {0.8, 0.1}, {5.0, 0.8}},
    {"wide", 23, "sssfsssf", false, 320, 448, 6, 2, 2, 32, 96, 24, 160, 4096, 50, 0.5, 2e4, 5e5, 1e-5, {0.8, 0.15}, {5.0, 0.8}},
    {"separate", 13, "fssfsf", true, 192, 512, 4, 2, 2, 48, 64, 20, 96, 8192, 0, 0.25, 1e4, 1e6, 1e-6, {0.8, 0.1}, {5.0, 0.8}},
    {"heads", 17, "sssssfsssssf", false, 192, 256, 16, 8, 1, 256, 512, 48, 128, 8192, 30, 0.25, 1e4, 1e6, 1e-6, {0.8, 0.1}, {5.0, 0.8}},
};

struct tensor {
    char hf[96], gguf[48];
    uint32_t shape[3], n_dims; /* outermost first, as safetensors has it */
    double mean, std;
    bool media, patch, position;
};

struct plan {
    struct tensor t[MAX_TENSORS];
    size_t n;
};

/* ---- values: splitmix64 over (seed, FNV-1a of the name, index), rounded to bfloat16 ---- */

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

float wd_checkpoint_value(uint64_t key, uint64_t i, double mean, double std)
{
    float x = (float)(mix(key + (i + 1) * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
    uint32_t u;

    x *= 0x1p-23f;
    x -= 1.0f;
    x *= (float)(std * sqrt(3.0));
    x += (float)mean;
    memcpy(&u, &x, sizeof u);
    u += ((u >> 16) & 1) + 0x7fff;
    u &= 0xffff0000;
    memcpy(&x, &u, sizeof x);
    return x;
}

uint64_t wd_checkpoint_key(uint64_t seed, const char *name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return h ^ mix(seed);
}

/* ---- which tensors there are ---- */

static struct tensor *add(struct plan *pl, const char *hf, const char *gguf, double mean, double std, uint32_t n_dims, uint32_t a,
                          uint32_t b, uint32_t c)
{
    struct tensor *t = &pl->t[pl->n++];

    memset(t, 0, sizeof *t);
    snprintf(t->hf, sizeof t->hf, "%s", hf);
    snprintf(t->gguf, sizeof t->gguf, "%s", gguf);
    t->shape[0] = a;
    t->shape[1] = b;
    t->shape[2] = c;
    t->n_dims = n_dims;
    t->mean = mean;
    t->std = std;
    return t;
}

static void add_layer(struct plan *pl, unsigned i, const char *hf, const char *gguf, double mean, double std,
                      uint32_t n_dims, uint32_t a, uint32_t b)
{
    char h[96], g[48];

    snprintf(h, sizeof h, "model.language_model.layers.%u.%s", i, hf);
    snprintf(g, sizeof g, "blk.%u.%s", i, gguf);
    add(pl, h, g, mean, std, n_dims, a, b, 0);
}

static double fan(double n)
{
    return 1.0 / sqrt(n);
}

static void plan_text(struct plan *pl, const struct preset *p)
{
    uint32_t h = p->hidden;

    add(pl, "model.language_model.embed_tokens.weight", "token_embd.weight", 0, fan(h), 2, N_VOCAB, h, 0);
    for (unsigned i = 0; p->pattern[i]; i++) {
        bool full = p->pattern[i] == 'f';
        uint32_t hd = full ? p->global_head_dim : p->head_dim, q = p->heads * hd,
                 kv = (full ? p->global_kv_heads : p->kv_heads) * hd;
        double qk = 1.22 * pow(hd, -0.25);

        add_layer(pl, i, "input_layernorm.weight", "attn_norm.weight", 1, 0.15, 1, h, 0);
        add_layer(pl, i, "self_attn.q_proj.weight", "attn_q.weight", 0, fan(h), 2, q, h);
        add_layer(pl, i, "self_attn.q_norm.weight", "attn_q_norm.weight", qk, 0.15 * qk, 1, hd, 0);
        add_layer(pl, i, "self_attn.k_proj.weight", "attn_k.weight", 0, fan(h), 2, kv, h);
        add_layer(pl, i, "self_attn.k_norm.weight", "attn_k_norm.weight", qk, 0.15 * qk, 1, hd, 0);
        if (!full || p->own_v)
            add_layer(pl, i, "self_attn.v_proj.weight", "attn_v.weight", 0, fan(h), 2, kv, h);
        add_layer(pl, i, "self_attn.o_proj.weight", "attn_output.weight", 0, fan(q), 2, h, q);
        add_layer(pl, i, "post_attention_layernorm.weight", "post_attention_norm.weight", p->post[0], p->post[1], 1, h, 0);
        add_layer(pl, i, "pre_feedforward_layernorm.weight", "ffn_norm.weight", 1, 0.15, 1, h, 0);
        add_layer(pl, i, "mlp.gate_proj.weight", "ffn_gate.weight", 0, fan(h), 2, p->ffn, h);
        add_layer(pl, i, "mlp.up_proj.weight", "ffn_up.weight", 0, fan(h), 2, p->ffn, h);
        add_layer(pl, i, "mlp.down_proj.weight", "ffn_down.weight", 0, fan(p->ffn), 2, h, p->ffn);
        add_layer(pl, i, "post_feedforward_layernorm.weight", "post_ffw_norm.weight", p->post[0], p->post[1], 1, h, 0);
        add_layer(pl, i, "layer_scalar", "layer_output_scale.weight", p->scalar[0], p->scalar[1], 1, 1, 0);
    }
    add(pl, "model.language_model.norm.weight", "output_norm.weight", 6, 0.9, 1, h, 0, 0);
}

static void plan_media(struct plan *pl, const struct preset *p)
{
    uint32_t h = p->hidden, d = p->mm_embed;
    size_t first = pl->n;

    add(pl, "model.vision_embedder.patch_ln1.weight", "v.patch_norm.1.weight", 1, 0.1, 1, PATCH, 0, 0)->patch = true;
    add(pl, "model.vision_embedder.patch_ln1.bias", "v.patch_norm.1.bias", 0, 0.05, 1, PATCH, 0, 0)->patch = true;
    add(pl, "model.vision_embedder.patch_dense.weight", "v.patch_embd.weight", 0, fan(PATCH), 2, d, PATCH, 0)->patch = true;
    add(pl, "model.vision_embedder.patch_dense.bias", "v.patch_embd.bias", 0, 0.1, 1, d, 0, 0);
    add(pl, "model.vision_embedder.patch_ln2.weight", "v.patch_norm.2.weight", 1, 0.1, 1, d, 0, 0);
    add(pl, "model.vision_embedder.patch_ln2.bias", "v.patch_norm.2.bias", 0, 0.05, 1, d, 0, 0);
    add(pl, "model.vision_embedder.pos_embedding", "v.position_embd.weight", 0, 0.4, 3, POSITIONS, 2, d)->position = true;
    add(pl, "model.vision_embedder.pos_norm.weight", "v.patch_norm.3.weight", 1, 0.1, 1, d, 0, 0);
    add(pl, "model.vision_embedder.pos_norm.bias", "v.patch_norm.3.bias", 0, 0.05, 1, d, 0, 0);
    add(pl, "model.embed_vision.embedding_projection.weight", "mm.input_projection.weight", 0, fan(d), 2, h, d, 0);
    add(pl, "model.embed_audio.embedding_projection.weight", "mm.a.input_projection.weight", 0, fan(640), 2, h, 640, 0);
    for (size_t i = first; i < pl->n; i++)
        pl->t[i].media = true;
}

static uint64_t count(const struct tensor *t)
{
    uint64_t n = 1;

    for (uint32_t i = 0; i < t->n_dims; i++)
        n *= t->shape[i];
    return n;
}

/* Index in the safetensors order of the element that stands at i in the GGUF. */
static uint64_t source_index(const struct tensor *t, uint64_t i)
{
    if (t->patch) { /* planes there, pixels here */
        uint64_t row = i / PATCH, j = i % PATCH;

        return row * PATCH + j % 2304 * 3 + j / 2304;
    }
    if (t->position) { /* [2][positions][d] there, [positions][2][d] here */
        uint64_t d = t->shape[2], slab = i / (d * POSITIONS), pos = i / d % POSITIONS;

        return (pos * 2 + slab) * d + i % d;
    }
    return i;
}

static void put_values(FILE *f, const struct preset *p, const struct tensor *t, bool hf)
{
    uint64_t key = wd_checkpoint_key(p->seed, t->hf), n = count(t);

    for (uint64_t i = 0; i < n; i++) {
        float x = wd_checkpoint_value(key, hf ? i : source_index(t, i), t->mean, t->std);

        fwrite(&x, sizeof x, 1, f);
    }
}

/* ---- vocabulary: bytes, controls at the media ids, plain words; the vectors give ids, not text ---- */

static const char *piece(uint32_t id, char buf[32])
{
    static const struct {
        uint32_t id;
        const char *text;
    } fixed[] = {
        {0, "<pad>"},       {1, "<eos>"},       {2, "<bos>"},       {3, "<unk>"},        {4, "<mask>"},
        {50, "<|tool_response>"}, {105, "<|turn>"}, {106, "<turn|>"}, {1000, "<|image>"}, {1001, "<|audio>"},
        {1002, "<|image|>"}, {1003, "<|audio|>"}, {1004, "<image|>"}, {1005, "<audio|>"}, {1006, "<|video|>"},
    };

    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (fixed[i].id == id)
            return fixed[i].text;
    if (id >= 238 && id < 494)
        snprintf(buf, 32, "<0x%02X>", id - 238);
    else
        snprintf(buf, 32, "w%u", id);
    return buf;
}

static bool is_control(uint32_t id)
{
    char buf[32];
    const char *s = piece(id, buf);

    return s[0] == '<' && !(id >= 238 && id < 494);
}

/* ---- safetensors folder ---- */

static FILE *create(const char *folder, const char *name, struct wd_err *err)
{
    char path[4096];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "wb");
    if (!f)
        wd_err_set(err, -errno, "%s: %s", path, strerror(errno));
    return f;
}

static int finish(FILE *f, struct wd_err *err)
{
    int bad = ferror(f);

    if (fclose(f) || bad)
        return wd_err_set(err, -EIO, "a checkpoint could not be written");
    return 0;
}

static int write_config(const struct preset *p, const char *folder, struct wd_err *err)
{
    FILE *f = create(folder, "config.json", err);

    if (!f)
        return -EIO;
    fprintf(f,
            "{\"model_type\": \"gemma4_unified\", \"dtype\": \"float32\", \"tie_word_embeddings\": true,\n"
            " \"boi_token_id\": 1000, \"boa_token_id\": 1001, \"image_token_id\": 1002, \"audio_token_id\": 1003,\n"
            " \"eoi_token_id\": 1004, \"eoa_token_index\": 1005, \"video_token_id\": 1006, \"eos_token_id\": [1, 106],\n"
            " \"text_config\": {\"model_type\": \"gemma4_unified_text\", \"vocab_size\": %d, \"hidden_size\": %u, \"intermediate_size\": %u,\n"
            "  \"num_hidden_layers\": %zu, \"num_attention_heads\": %u, \"num_key_value_heads\": %u, \"num_global_key_value_heads\": %u,\n"
            "  \"head_dim\": %u, \"global_head_dim\": %u, \"attention_k_eq_v\": %s, \"hidden_size_per_layer_input\": 0, \"num_kv_shared_layers\": 0,\n"
            "  \"hidden_activation\": \"gelu_pytorch_tanh\", \"rms_norm_eps\": %g, \"sliding_window\": %u, \"max_position_embeddings\": %u,\n",
            N_VOCAB, p->hidden, p->ffn, strlen(p->pattern), p->heads, p->kv_heads, p->global_kv_heads, p->head_dim,
            p->global_head_dim, p->own_v ? "false" : "true", p->eps, p->window, p->context);
    if (p->softcap > 0)
        fprintf(f, "  \"final_logit_softcapping\": %g,\n", p->softcap);
    else
        fprintf(f, "  \"final_logit_softcapping\": null,\n");
    fprintf(f, "  \"layer_types\": [");
    for (unsigned i = 0; p->pattern[i]; i++)
        fprintf(f, "%s\"%s\"", i ? ", " : "", p->pattern[i] == 'f' ? "full_attention" : "sliding_attention");
    fprintf(f,
            "],\n  \"rope_parameters\": {\"full_attention\": {\"rope_type\": \"proportional\", \"partial_rotary_factor\": %g, \"rope_theta\": %g},\n"
            "   \"sliding_attention\": {\"rope_type\": \"default\", \"rope_theta\": %g}},\n"
            "  \"use_bidirectional_attention\": \"vision\", \"pad_token_id\": 0, \"bos_token_id\": 2, \"eos_token_id\": 1},\n"
            " \"vision_config\": {\"model_type\": \"gemma4_unified_vision\", \"patch_size\": 16, \"pooling_kernel_size\": 3, \"model_patch_size\": 48,\n"
            "  \"mm_embed_dim\": %u, \"mm_posemb_size\": %d, \"num_soft_tokens\": 280, \"output_proj_dims\": %u, \"rms_norm_eps\": %g},\n"
            " \"audio_config\": {\"model_type\": \"gemma4_unified_audio\", \"hidden_size\": 640, \"audio_embed_dim\": 640,\n"
            "  \"audio_samples_per_token\": 640, \"output_proj_dims\": 640, \"rms_norm_eps\": %g}}\n",
            p->partial, p->rope_global, p->rope_local, p->mm_embed, POSITIONS, p->mm_embed, p->eps, p->eps);
    if (finish(f, err) < 0)
        return -EIO;

    f = create(folder, "generation_config.json", err);
    if (!f)
        return -EIO;
    fprintf(f, "{\"bos_token_id\": 2, \"eos_token_id\": [1, 106, 50], \"pad_token_id\": 0, \"suppress_tokens\": [1005, 1004]}\n");
    if (finish(f, err) < 0)
        return -EIO;

    f = create(folder, "tokenizer.json", err);
    if (!f)
        return -EIO;
    fprintf(f, "{\"version\": \"1.0\", \"added_tokens\": [");
    for (uint32_t i = 0, n = 0; i < N_VOCAB; i++) {
        char buf[32];

        if (is_control(i))
            fprintf(f, "%s{\"id\": %u, \"content\": \"%s\", \"special\": true}", n++ ? ", " : "", i, piece(i, buf));
    }
    fprintf(f, "],\n\"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"\xe2\x96\x81\"},\n"
               "\"model\": {\"type\": \"BPE\", \"unk_token\": \"<unk>\", \"byte_fallback\": true, \"vocab\": {");
    for (uint32_t i = 0; i < N_VOCAB; i++) {
        char buf[32];

        fprintf(f, "%s\"%s\": %u", i ? ", " : "", piece(i, buf), i);
    }
    fprintf(f, "}, \"merges\": []}}\n");
    return finish(f, err);
}

static int write_hf(const struct preset *p, const struct plan *pl, const char *folder, struct wd_err *err)
{
    char *header = NULL;
    size_t header_len = 0;
    FILE *m = open_memstream(&header, &header_len), *f;
    uint64_t at = 0, len;

    if (!m)
        return wd_err_set(err, -ENOMEM, "out of memory");
    fprintf(m, "{\"__metadata__\": {\"format\": \"pt\"}");
    for (size_t i = 0; i < pl->n; i++) {
        const struct tensor *t = &pl->t[i];
        uint64_t end = at + count(t) * 4;

        fprintf(m, ", \"%s\": {\"dtype\": \"F32\", \"shape\": [%u", t->hf, t->shape[0]);
        for (uint32_t k = 1; k < t->n_dims; k++)
            fprintf(m, ", %u", t->shape[k]);
        fprintf(m, "], \"data_offsets\": [%" PRIu64 ", %" PRIu64 "]}", at, end);
        at = end;
    }
    fprintf(m, "}");
    fflush(m);
    while (ftell(m) % 8)
        fputc(' ', m);
    fclose(m);
    f = create(folder, "model.safetensors", err);
    if (!f) {
        free(header);
        return -EIO;
    }
    len = header_len;
    fwrite(&len, sizeof len, 1, f);
    fwrite(header, 1, header_len, f);
    free(header);
    for (size_t i = 0; i < pl->n; i++)
        put_values(f, p, &pl->t[i], true);
    if (finish(f, err) < 0)
        return -EIO;
    return write_config(p, folder, err);
}

/* ---- GGUF ---- */

enum { U32 = 4, I32 = 5, F32 = 6, BOOL = 7, STR = 8, ARRAY = 9 };

struct gguf {
    FILE *f; /* keys */
    char *keys;
    size_t len;
    uint64_t n_keys;
};

static void put_str(FILE *f, const char *s)
{
    uint64_t n = strlen(s);

    fwrite(&n, sizeof n, 1, f);
    fwrite(s, 1, n, f);
}

static void put_u32(FILE *f, uint32_t x)
{
    fwrite(&x, sizeof x, 1, f);
}

static void put_u64(FILE *f, uint64_t x)
{
    fwrite(&x, sizeof x, 1, f);
}

static void key(struct gguf *g, const char *name, uint32_t type)
{
    put_str(g->f, name);
    put_u32(g->f, type);
    g->n_keys++;
}

static void key_u32(struct gguf *g, const char *name, uint32_t x)
{
    key(g, name, U32);
    put_u32(g->f, x);
}

static void key_f32(struct gguf *g, const char *name, double x)
{
    float v = (float)x;

    key(g, name, F32);
    fwrite(&v, sizeof v, 1, g->f);
}

static void key_str(struct gguf *g, const char *name, const char *s)
{
    key(g, name, STR);
    put_str(g->f, s);
}

static void key_array(struct gguf *g, const char *name, uint32_t type, uint64_t n)
{
    key(g, name, ARRAY);
    put_u32(g->f, type);
    put_u64(g->f, n);
}

static void text_keys(struct gguf *g, const struct preset *p)
{
    size_t n = strlen(p->pattern);
    char buf[32];

    key_str(g, "general.architecture", "gemma4");
    key_str(g, "general.type", "model");
    key_str(g, "general.name", p->name);
    key_u32(g, "gemma4.block_count", (uint32_t)n);
    key_u32(g, "gemma4.context_length", p->context);
    key_u32(g, "gemma4.embedding_length", p->hidden);
    key_u32(g, "gemma4.feed_forward_length", p->ffn);
    key_u32(g, "gemma4.attention.head_count", p->heads);
    key_array(g, "gemma4.attention.head_count_kv", I32, n);
    for (size_t i = 0; i < n; i++)
        put_u32(g->f, p->pattern[i] == 'f' ? p->global_kv_heads : p->kv_heads);
    key_f32(g, "gemma4.rope.freq_base", p->rope_global);
    key_f32(g, "gemma4.rope.freq_base_swa", p->rope_local);
    key_f32(g, "gemma4.attention.layer_norm_rms_epsilon", p->eps);
    key_u32(g, "gemma4.attention.key_length", p->global_head_dim);
    key_u32(g, "gemma4.attention.value_length", p->global_head_dim);
    key_u32(g, "gemma4.attention.key_length_swa", p->head_dim);
    key_u32(g, "gemma4.attention.value_length_swa", p->head_dim);
    key_f32(g, "gemma4.final_logit_softcapping", p->softcap);
    key_u32(g, "gemma4.attention.sliding_window", p->window);
    key_u32(g, "gemma4.attention.shared_kv_layers", 0);
    key_u32(g, "gemma4.embedding_length_per_layer_input", 0);
    key_array(g, "gemma4.attention.sliding_window_pattern", BOOL, n);
    for (size_t i = 0; i < n; i++)
        fputc(p->pattern[i] == 's', g->f);
    key_u32(g, "gemma4.rope.dimension_count", p->global_head_dim);
    key_u32(g, "gemma4.rope.dimension_count_swa", p->head_dim);
    key_str(g, "tokenizer.ggml.model", "gemma4");
    key_array(g, "tokenizer.ggml.tokens", STR, N_VOCAB);
    for (uint32_t i = 0; i < N_VOCAB; i++)
        put_str(g->f, piece(i, buf));
    key_array(g, "tokenizer.ggml.token_type", I32, N_VOCAB);
    for (uint32_t i = 0; i < N_VOCAB; i++)
        put_u32(g->f, is_control(i) ? 3 : i >= 238 && i < 494 ? 6 : 1);
    key_array(g, "tokenizer.ggml.merges", STR, 0);
    key_u32(g, "tokenizer.ggml.bos_token_id", 2);
    key_u32(g, "tokenizer.ggml.eos_token_id", 1);
    key_u32(g, "tokenizer.ggml.unknown_token_id", 3);
    key_u32(g, "tokenizer.ggml.padding_token_id", 0);
    key_array(g, "tokenizer.ggml.suppress_tokens", I32, 2);
    put_u32(g->f, 1005);
    put_u32(g->f, 1004);
}

static void media_keys(struct gguf *g, const struct preset *p)
{
    static const char *const which[2] = {"vision", "audio"};
    char name[96];

    key_str(g, "general.architecture", "clip");
    key_str(g, "general.type", "mmproj");
    for (int i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "clip.has_%s_encoder", which[i]);
        key(g, name, BOOL);
        fputc(1, g->f);
        snprintf(name, sizeof name, "clip.%s.projector_type", which[i]);
        key_str(g, name, i ? "gemma4ua" : "gemma4uv");
        snprintf(name, sizeof name, "clip.%s.projection_dim", which[i]);
        key_u32(g, name, p->hidden);
        snprintf(name, sizeof name, "clip.%s.embedding_length", which[i]);
        key_u32(g, name, i ? 640 : p->mm_embed);
        snprintf(name, sizeof name, "clip.%s.attention.layer_norm_epsilon", which[i]);
        key_f32(g, name, p->eps);
    }
    key_u32(g, "clip.vision.patch_size", 16);
}

static void pad32(FILE *f)
{
    while (ftell(f) % 32)
        fputc(0, f);
}

static int write_gguf(const struct preset *p, const struct plan *pl, const char *folder, bool media, struct wd_err *err)
{
    struct gguf g = {0};
    uint32_t pairs = p->global_head_dim / 2, turning = (uint32_t)(p->global_head_dim * p->partial / 2);
    uint64_t n_tensors = media ? 0 : 1, at = 0;
    FILE *f = create(folder, media ? "mmproj.gguf" : "text.gguf", err);

    if (!f)
        return -EIO;
    g.f = open_memstream(&g.keys, &g.len);
    if (media)
        media_keys(&g, p);
    else
        text_keys(&g, p);
    fclose(g.f);
    for (size_t i = 0; i < pl->n; i++)
        n_tensors += pl->t[i].media == media;
    fwrite("GGUF", 1, 4, f);
    put_u32(f, 3);
    put_u64(f, n_tensors);
    put_u64(f, g.n_keys);
    fwrite(g.keys, 1, g.len, f);
    free(g.keys);
    for (size_t i = 0; i < pl->n; i++) {
        const struct tensor *t = &pl->t[i];

        if (t->media != media)
            continue;
        put_str(f, t->gguf);
        put_u32(f, t->n_dims);
        if (t->position) {
            put_u64(f, t->shape[2]);
            put_u64(f, t->shape[0]);
            put_u64(f, t->shape[1]);
        } else {
            for (uint32_t k = t->n_dims; k-- > 0;)
                put_u64(f, t->shape[k]);
        }
        put_u32(f, 0);
        put_u64(f, at);
        at += (count(t) * 4 + 31) / 32 * 32;
    }
    if (!media) {
        put_str(f, "rope_freqs.weight");
        put_u32(f, 1);
        put_u64(f, pairs);
        put_u32(f, 0);
        put_u64(f, at);
    }
    pad32(f);
    for (size_t i = 0; i < pl->n; i++) {
        if (pl->t[i].media != media)
            continue;
        put_values(f, p, &pl->t[i], false);
        pad32(f);
    }
    for (uint32_t i = 0; !media && i < pairs; i++) {
        float x = i < turning ? 1.0f : 1e30f;

        fwrite(&x, sizeof x, 1, f);
    }
    return finish(f, err);
}

int wd_checkpoint_write(const char *name, const char *folder, bool hf, struct wd_err *err)
{
    struct plan *pl = calloc(1, sizeof *pl);
    const struct preset *p = NULL;
    int r;

    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++)
        if (strcmp(presets[i].name, name) == 0)
            p = &presets[i];
    if (!p || !pl) {
        free(pl);
        return wd_err_set(err, -EINVAL, "no checkpoint is called '%s'", name);
    }
    plan_text(pl, p);
    plan_media(pl, p);
    if (hf) {
        r = write_hf(p, pl, folder, err);
    } else {
        r = write_gguf(p, pl, folder, false, err);
        if (r == 0)
            r = write_gguf(p, pl, folder, true, err);
    }
    free(pl);
    return r;
}
