/* tests/golden/drafter.c - the synthetic drafters behind the golden vectors, written anew from their seeds. */
#include "tests/golden/drafter.h"

#include "tests/golden/checkpoint.h"
#include "tests/model/model_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYERS 4
#define MAX_TENSORS (LAYERS * 11 + 5)

struct preset {
    const char *name;
    uint64_t seed, model_seed; /* 0: not a model made of a seed */
    uint32_t n_vocab, hidden, ffn;                                                   /* its own */
    uint32_t model_hidden, heads, kv_heads, global_kv_heads, head_dim, global_head_dim, window; /* its model's */
};

static const struct preset presets[] = {
    {"tiny", 21, 1, 1024, 128, 192, 256, 8, 4, 1, 64, 128, 32},
    {"heads", 22, 17, 1024, 96, 160, 192, 16, 8, 1, 256, 512, 48},
    {"nano", 23, 0, 784, 64, 96, 256, 4, 2, 1, 64, 128, 512},
};

struct tensor {
    char hf[64], gguf[48];
    uint32_t out, in; /* in 0: a vector */
    float *x;
};

struct plan {
    const struct preset *p;
    struct tensor t[MAX_TENSORS];
    size_t n;
};

static size_t count(const struct tensor *t)
{
    return (size_t)t->out * (t->in ? t->in : 1);
}

static struct tensor *add(struct plan *pl, const char *hf, const char *gguf, uint32_t out, uint32_t in, double mean, double std)
{
    struct tensor *t = &pl->t[pl->n++];
    uint64_t key = wd_checkpoint_key(pl->p->seed, hf);

    snprintf(t->hf, sizeof t->hf, "%s", hf);
    snprintf(t->gguf, sizeof t->gguf, "%s", gguf);
    t->out = out;
    t->in = in;
    t->x = malloc(count(t) * sizeof *t->x);
    if (!t->x)
        abort();
    for (size_t i = 0; i < count(t); i++)
        t->x[i] = wd_checkpoint_value(key, i, mean, std);
    return t;
}

static void add_layer(struct plan *pl, int i, const char *hf, const char *gguf, uint32_t out, uint32_t in, double mean, double std)
{
    char h[64], g[48];

    snprintf(h, sizeof h, "model.layers.%d.%s", i, hf);
    snprintf(g, sizeof g, "blk.%d.%s", i, gguf);
    add(pl, h, g, out, in, mean, std);
}

static float to_bf16(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    u += ((u >> 16) & 1) + 0x7fff;
    u &= 0xffff0000;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* The row of a token is bfloat16(A e): A the first half of pre_projection, e the token's row in the model. */
static void fill_embedding(const struct plan *pl, struct tensor *embed, const struct tensor *pre)
{
    const struct preset *p = pl->p;
    uint64_t key = wd_checkpoint_key(p->model_seed, "model.language_model.embed_tokens.weight");

    for (uint32_t v = 0; v < p->n_vocab; v++) {
        double e[512];

        for (uint32_t i = 0; i < p->model_hidden; i++)
            e[i] = (double)wd_checkpoint_value(key, (uint64_t)v * p->model_hidden + i, 0, 1 / sqrt(p->model_hidden));
        for (uint32_t o = 0; o < p->hidden; o++) {
            double sum = 0;

            for (uint32_t i = 0; i < p->model_hidden; i++)
                sum += (double)pre->x[(size_t)o * pre->in + i] * e[i];
            embed->x[(size_t)v * p->hidden + o] = to_bf16((float)sum);
        }
    }
}

static void fill(struct plan *pl)
{
    const struct preset *p = pl->p;
    uint32_t h = p->hidden, f = p->ffn, b = p->model_hidden;
    struct tensor *pre;

    for (int i = 0; i < LAYERS; i++) {
        uint32_t dim = i == LAYERS - 1 ? p->global_head_dim : p->head_dim, q = p->heads * dim;
        double qk = 1.22 * pow(dim, -0.25);

        add_layer(pl, i, "self_attn.q_proj.weight", "attn_q.weight", q, h, 0, pow(h, -0.5));
        add_layer(pl, i, "self_attn.q_norm.weight", "attn_q_norm.weight", dim, 0, qk, 0.15 * qk);
        add_layer(pl, i, "self_attn.o_proj.weight", "attn_output.weight", h, q, 0, pow(q, -0.5));
        add_layer(pl, i, "mlp.gate_proj.weight", "ffn_gate.weight", f, h, 0, pow(h, -0.5));
        add_layer(pl, i, "mlp.up_proj.weight", "ffn_up.weight", f, h, 0, pow(h, -0.5));
        add_layer(pl, i, "mlp.down_proj.weight", "ffn_down.weight", h, f, 0, pow(f, -0.5));
        add_layer(pl, i, "input_layernorm.weight", "attn_norm.weight", h, 0, 1, 0.15);
        add_layer(pl, i, "post_attention_layernorm.weight", "post_attention_norm.weight", h, 0, 0.2, 0.15 * 0.2);
        add_layer(pl, i, "pre_feedforward_layernorm.weight", "ffn_norm.weight", h, 0, 1, 0.15);
        add_layer(pl, i, "post_feedforward_layernorm.weight", "post_ffw_norm.weight", h, 0, 0.2, 0.15 * 0.2);
        add_layer(pl, i, "layer_scalar", "layer_output_scale.weight", 1, 0, 0.8, 0.1);
    }
    add(pl, "model.norm.weight", "output_norm.weight", h, 0, 3, 0.4);
    pre = add(pl, "pre_projection.weight", "nextn.pre_projection.weight", h, 2 * b, 0, pow(b, -0.5));
    add(pl, "post_projection.weight", "nextn.post_projection.weight", b, h, 0, pow(h, -0.5));
    for (uint32_t o = 0; o < h; o++) /* what it sees of the hidden state is made small */
        for (uint32_t i = b; i < 2 * b; i++)
            pre->x[(size_t)o * 2 * b + i] /= 16;
    add(pl, "model.embed_tokens.weight", "token_embd.weight", p->n_vocab, h, 0, pow(h, -0.5));
    if (p->model_seed)
        fill_embedding(pl, &pl->t[pl->n - 1], pre);
}

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

    return fclose(f) || bad ? wd_err_set(err, -EIO, "a drafter could not be written") : 0;
}

static int write_hf(const struct plan *pl, const char *folder, struct wd_err *err)
{
    const struct preset *p = pl->p;
    char head[16384];
    uint64_t n = 0, at = 0;
    FILE *f = create(folder, "config.json", err);

    if (!f)
        return -EIO;
    fprintf(f,
            "{\"model_type\": \"gemma4_unified_assistant\", \"dtype\": \"float32\", \"backbone_hidden_size\": %u,\n"
            " \"use_ordered_embeddings\": false, \"tie_word_embeddings\": true,\n"
            " \"text_config\": {\"model_type\": \"gemma4_unified_text\", \"vocab_size\": %u, \"hidden_size\": %u, \"intermediate_size\": %u,\n"
            "  \"num_hidden_layers\": %d, \"num_kv_shared_layers\": %d, \"num_attention_heads\": %u, \"num_key_value_heads\": %u,\n"
            "  \"num_global_key_value_heads\": %u, \"head_dim\": %u, \"global_head_dim\": %u, \"sliding_window\": %u, \"rms_norm_eps\": 1e-06,\n"
            "  \"hidden_activation\": \"gelu_pytorch_tanh\", \"final_logit_softcapping\": null,\n"
            "  \"layer_types\": [\"sliding_attention\", \"sliding_attention\", \"sliding_attention\", \"full_attention\"],\n"
            "  \"rope_parameters\": {\"full_attention\": {\"rope_type\": \"proportional\", \"partial_rotary_factor\": 0.25, \"rope_theta\": 1000000.0},\n"
            "   \"sliding_attention\": {\"rope_type\": \"default\", \"rope_theta\": 10000.0}}}}\n",
            p->model_hidden, p->n_vocab, p->hidden, p->ffn, LAYERS, LAYERS, p->heads, p->kv_heads, p->global_kv_heads, p->head_dim,
            p->global_head_dim, p->window);
    if (finish(f, err) < 0)
        return -EIO;
    for (size_t i = 0; i < pl->n; i++) {
        const struct tensor *t = &pl->t[i];
        uint64_t end = at + count(t) * sizeof *t->x;
        char shape[32];

        snprintf(shape, sizeof shape, t->in ? "%u, %u" : "%u", t->out, t->in);
        n += (uint64_t)snprintf(head + n, sizeof head - n, "%c\"%s\": {\"dtype\": \"F32\", \"shape\": [%s], \"data_offsets\": [%" PRIu64 ", %" PRIu64 "]}",
                                i ? ',' : '{', t->hf, shape, at, end);
        at = end;
    }
    n += (uint64_t)snprintf(head + n, sizeof head - n, "}");
    while (n % 8)
        head[n++] = ' ';
    f = create(folder, "model.safetensors", err);
    if (!f)
        return -EIO;
    fwrite(&n, sizeof n, 1, f);
    fwrite(head, 1, n, f);
    for (size_t i = 0; i < pl->n; i++)
        fwrite(pl->t[i].x, sizeof(float), count(&pl->t[i]), f);
    return finish(f, err);
}

static int write_gguf(const struct plan *pl, const char *folder, struct wd_err *err)
{
    static const unsigned char sliding[LAYERS] = {1, 1, 1, 0};
    const struct preset *p = pl->p;
    const int32_t kv[LAYERS] = {(int32_t)p->kv_heads, (int32_t)p->kv_heads, (int32_t)p->kv_heads, (int32_t)p->global_kv_heads};
    uint64_t pairs = p->global_head_dim / 2;
    float freqs[512];
    struct bytes b;
    struct gguf g;
    FILE *f;

    gguf_init(&g);
#define K "gemma4-assistant."
    gguf_str(&g, "general.architecture", "gemma4-assistant");
    gguf_u32(&g, K "block_count", LAYERS);
    gguf_u32(&g, K "embedding_length", p->hidden);
    gguf_u32(&g, K "embedding_length_out", p->model_hidden);
    gguf_u32(&g, K "nextn_predict_layers", LAYERS);
    gguf_u32(&g, K "feed_forward_length", p->ffn);
    gguf_u32(&g, K "attention.head_count", p->heads);
    gguf_i32s(&g, K "attention.head_count_kv", kv, LAYERS);
    gguf_u32(&g, K "attention.key_length", p->global_head_dim);
    gguf_u32(&g, K "attention.key_length_swa", p->head_dim);
    gguf_u32(&g, K "attention.sliding_window", p->window);
    gguf_bools(&g, K "attention.sliding_window_pattern", sliding, LAYERS);
    gguf_f32(&g, K "attention.layer_norm_rms_epsilon", 1e-6f);
    gguf_f32(&g, K "rope.freq_base", 1e6f);
    gguf_f32(&g, K "rope.freq_base_swa", 1e4f);
#undef K
    for (size_t i = 0; i < pl->n; i++) {
        const struct tensor *t = &pl->t[i];
        uint64_t dims[2] = {t->in ? t->in : t->out, t->out};

        gguf_tensor(&g, t->gguf, 0, dims, t->in ? 2 : 1, t->x, count(t) * sizeof *t->x);
    }
    for (uint64_t i = 0; i < pairs; i++)
        freqs[i] = i < pairs / 4 ? 1.0f : 1e30f;
    gguf_tensor(&g, "rope_freqs.weight", 0, &pairs, 1, freqs, pairs * sizeof *freqs);
    b = gguf_finish(&g);
    f = create(folder, "drafter.gguf", err);
    if (f)
        fwrite(b.at, 1, b.n, f);
    bytes_free(&b);
    return f ? finish(f, err) : -EIO;
}

int wd_checkpoint_write_drafter(const char *name, const char *folder, bool hf, struct wd_err *err)
{
    struct plan pl = {0};
    int r;

    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++)
        if (strcmp(presets[i].name, name) == 0)
            pl.p = &presets[i];
    if (!pl.p)
        return wd_err_set(err, -EINVAL, "no drafter is called '%s'", name);
    fill(&pl);
    r = hf ? write_hf(&pl, folder, err) : write_gguf(&pl, folder, err);
    for (size_t i = 0; i < pl.n; i++)
        free(pl.t[i].x);
    return r;
}
