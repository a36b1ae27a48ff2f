/* tests/model/shape_test.c - sizes are read, what cannot be computed is refused. */
#include "model/shape.h"

#include "model/tensor_file.h"
#include "tests/model/model_writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What a test changes in an otherwise good GGUF: keys left out or replaced. */
struct change {
    const char *drop;            /* key, or tensor */
    void (*add)(struct gguf *g); /* after everything else */
};

static const char *const words[] = {
    "<pad>",    "<eos>",     "<bos>",     "<unk>",    "<mask>",   "<turn|>",   "<|image>",
    "<image|>", "<|image|>", "<|video|>", "<|audio>", "<audio|>", "<|audio|>", "<|tool_response>"};
enum { N_WORDS = sizeof words / sizeof *words };

static bool kept(const struct change *c, const char *key)
{
    return !c->drop || strcmp(c->drop, key);
}

static void tensor(struct gguf *g, const struct change *c, const char *name, uint64_t a, uint64_t b,
                   const float *data)
{
    const uint64_t dims[2] = {a, b};

    if (kept(c, name))
        gguf_tensor(g, name, WD_TYPE_F32, dims, 2, data, a * b * sizeof(float));
}

#define U32(key, v) (kept(c, key) ? gguf_u32(&g, key, v) : (void)0)
#define F32(key, v) (kept(c, key) ? gguf_f32(&g, key, v) : (void)0)

/* Three layers: sliding, full, full; the last two with keys as values. */
static const char *name_of_model = "small";

static struct bytes text_gguf(const struct change *c)
{
    static const int32_t n_kv[] = {2, 1, 1};
    static const unsigned char sliding[] = {1, 0, 0};
    static const float divisors[4] = {1, 1, 1e30f, 1e30f};
    struct gguf g;

    gguf_init(&g);
    if (kept(c, "general.architecture"))
        gguf_str(&g, "general.architecture", "gemma4");
    gguf_str(&g, "general.name", name_of_model);
    U32("gemma4.block_count", 3);
    U32("gemma4.context_length", 512);
    U32("gemma4.embedding_length", 16);
    U32("gemma4.feed_forward_length", 24);
    U32("gemma4.attention.head_count", 4);
    if (kept(c, "gemma4.attention.head_count_kv"))
        gguf_i32s(&g, "gemma4.attention.head_count_kv", n_kv, 3);
    if (kept(c, "gemma4.attention.sliding_window_pattern"))
        gguf_bools(&g, "gemma4.attention.sliding_window_pattern", sliding, 3);
    F32("gemma4.attention.layer_norm_rms_epsilon", 1e-5f);
    U32("gemma4.attention.key_length", 8);
    U32("gemma4.attention.value_length", 8);
    U32("gemma4.attention.key_length_swa", 6);
    U32("gemma4.attention.value_length_swa", 6);
    U32("gemma4.attention.sliding_window", 12);
    U32("gemma4.rope.dimension_count", 8);
    U32("gemma4.rope.dimension_count_swa", 6);
    F32("gemma4.rope.freq_base", 5e5f);
    F32("gemma4.rope.freq_base_swa", 2e4f);
    F32("gemma4.final_logit_softcapping", 20);
    if (kept(c, "tokenizer.ggml.tokens"))
        gguf_strs(&g, "tokenizer.ggml.tokens", words, N_WORDS);
    if (c->add)
        c->add(&g);
    tensor(&g, c, "token_embd.weight", 16, N_WORDS, NULL);
    tensor(&g, c, "blk.0.attn_v.weight", 16, 12, NULL);
    tensor(&g, c, "rope_freqs.weight", 4, 1, divisors);
    return gguf_finish(&g);
}

static struct bytes media_gguf(const char *vision, const char *audio, uint32_t width,
                               uint32_t samples)
{
    static const uint64_t dims[] = {10, 7, 2};
    struct gguf g;

    gguf_init(&g);
    gguf_str(&g, "general.architecture", "clip");
    gguf_bool(&g, "clip.has_vision_encoder", vision != NULL);
    gguf_bool(&g, "clip.has_audio_encoder", audio != NULL);
    if (vision)
        gguf_str(&g, "clip.vision.projector_type", vision);
    if (audio)
        gguf_str(&g, "clip.audio.projector_type", audio);
    gguf_u32(&g, "clip.vision.projection_dim", width);
    gguf_u32(&g, "clip.vision.embedding_length", 10);
    gguf_f32(&g, "clip.vision.attention.layer_norm_epsilon", 2e-6f);
    gguf_u32(&g, "clip.audio.embedding_length", samples);
    gguf_tensor(&g, "v.position_embd.weight", WD_TYPE_F32, dims, 3, NULL,
                10 * 7 * 2 * sizeof(float));
    return gguf_finish(&g);
}

static int read_bytes(const struct bytes *text, const struct bytes *media, struct wd_shape *ret,
                      struct wd_err *err)
{
    struct wd_tensor_file *t = NULL, *m = NULL;
    int r;

    assert_int_equal(wd_tensor_file_from_memory("text", text->at, text->n, &t, err), 0);
    if (media)
        assert_int_equal(wd_tensor_file_from_memory("media", media->at, media->n, &m, err), 0);
    r = wd_shape_read(t, m, ret, err);
    wd_tensor_file_free(t);
    wd_tensor_file_free(m);
    return r;
}

static void says(const struct wd_err *err, const char *what)
{
    if (!strstr(err->text, what))
        fail_msg("'%s' does not say '%s'", err->text, what);
}

static void gguf_refused(const char *drop, void (*add)(struct gguf *), int code, const char *what)
{
    struct bytes text = text_gguf(&(struct change){.drop = drop, .add = add});
    struct wd_shape s = {.n_layers = 77};
    struct wd_err err = {0};

    assert_int_equal(read_bytes(&text, NULL, &s, &err), code);
    says(&err, what);
    assert_int_equal(s.n_layers, 77); /* untouched */
    bytes_free(&text);
}

static void a_gguf_says_all_sizes(void **state)
{
    struct bytes text = text_gguf(&(struct change){0});
    struct wd_shape s;

    (void)state;
    assert_int_equal(read_bytes(&text, NULL, &s, NULL), 0);
    assert_string_equal(s.name, "small");
    assert_string_equal(s.family, "gemma4_unified");
    assert_int_equal(s.d_model, 16);
    assert_int_equal(s.n_layers, 3);
    assert_int_equal(s.d_ff, 24);
    assert_int_equal(s.n_heads, 4);
    assert_int_equal(s.n_vocab, N_WORDS);
    assert_int_equal(s.window, 12);
    assert_int_equal(s.n_context, 512);
    assert_true(s.eps == 1e-5f && s.softcap == 20 && s.embed_scale == 4);
    assert_true(s.two_way_pictures);
    assert_false(s.has_vision || s.has_audio || s.planar_patches);
    assert_false(s.layers[0].full || s.layers[0].k_eq_v);
    assert_int_equal(s.layers[0].n_kv_heads, 2);
    assert_int_equal(s.layers[0].head_dim, 6);
    assert_int_equal(s.layers[0].n_rotated, 3);
    assert_true(s.layers[0].theta == 2e4f);
    assert_true(s.layers[2].full && s.layers[2].k_eq_v);
    assert_int_equal(s.layers[2].n_kv_heads, 1);
    assert_int_equal(s.layers[2].head_dim, 8);
    assert_int_equal(s.layers[2].n_rotated, 2);
    assert_true(s.layers[2].theta == 5e5f);
    assert_int_equal(s.bos, 2);
    assert_int_equal(s.pad, 0);
    bytes_free(&text);
}

static void ids_come_from_the_texts_of_the_vocabulary(void **state)
{
    struct bytes text = text_gguf(&(struct change){0});
    struct wd_shape s;

    (void)state;
    assert_int_equal(read_bytes(&text, NULL, &s, NULL), 0);
    assert_int_equal(s.boi, 6);
    assert_int_equal(s.eoi, 7);
    assert_int_equal(s.image, 8);
    assert_int_equal(s.video, 9);
    assert_int_equal(s.boa, 10);
    assert_int_equal(s.eoa, 11);
    assert_int_equal(s.audio, 12);
    assert_int_equal(s.n_stop, 3);
    assert_int_equal(s.stop[0], 1);
    assert_int_equal(s.stop[1], 5);
    assert_int_equal(s.stop[2], 13);
    assert_int_equal(s.n_suppress, 2);
    assert_int_equal(s.suppress[0], 7);
    assert_int_equal(s.suppress[1], 11);
    bytes_free(&text);
}

static void add_ids(struct gguf *g)
{
    static const int32_t media[] = {0, 1, 2, 3, 4, 5, -1}, stop[] = {9}, suppress[] = {8, 9, 10};

    gguf_i32s(g, "witnessd.media_ids", media, 7);
    gguf_i32s(g, "witnessd.stop_tokens", stop, 1);
    gguf_i32s(g, "tokenizer.ggml.suppress_tokens", suppress, 3);
    gguf_u32(g, "tokenizer.ggml.bos_token_id", 4);
    gguf_u32(g, "tokenizer.ggml.padding_token_id", 3);
}

static void keys_say_ids_before_texts_do(void **state)
{
    struct bytes text = text_gguf(&(struct change){.add = add_ids});
    struct wd_shape s;

    (void)state;
    assert_int_equal(read_bytes(&text, NULL, &s, NULL), 0);
    assert_int_equal(s.boi, 0);
    assert_int_equal(s.boa, 1);
    assert_int_equal(s.image, 2);
    assert_int_equal(s.audio, 3);
    assert_int_equal(s.eoi, 4);
    assert_int_equal(s.eoa, 5);
    assert_int_equal(s.video, -1);
    assert_int_equal(s.n_stop, 1);
    assert_int_equal(s.stop[0], 9);
    assert_int_equal(s.n_suppress, 3);
    assert_int_equal(s.bos, 4);
    assert_int_equal(s.pad, 3);
    bytes_free(&text);
}

static void add_single_kv(struct gguf *g)
{
    gguf_u32(g, "gemma4.attention.head_count_kv", 2);
}

static void add_period(struct gguf *g)
{
    gguf_u32(g, "gemma4.attention.sliding_window_pattern", 3);
}

static void one_number_can_stand_for_all_layers(void **state)
{
    struct bytes text =
        text_gguf(&(struct change){.drop = "gemma4.attention.head_count_kv", .add = add_single_kv});
    struct wd_err err = {0};
    struct wd_shape s;

    (void)state;
    assert_int_equal(read_bytes(&text, NULL, &s, &err), 0);
    assert_int_equal(s.layers[0].n_kv_heads, 2);
    assert_int_equal(s.layers[2].n_kv_heads, 2);
    bytes_free(&text);
    /* Every third layer is full, so layer 1 now slides, and misses its v. */
    gguf_refused("gemma4.attention.sliding_window_pattern", add_period, -EINVAL,
                 "blk.1.attn_v.weight");
}

static void what_is_not_said_has_defaults(void **state)
{
    struct bytes text;
    struct wd_shape s;

    (void)state;
    text = text_gguf(&(struct change){.drop = "rope_freqs.weight"});
    assert_int_equal(read_bytes(&text, NULL, &s, NULL), 0);
    assert_int_equal(s.layers[2].n_rotated, 4);
    bytes_free(&text);
    text = text_gguf(&(struct change){.drop = "gemma4.final_logit_softcapping"});
    assert_int_equal(read_bytes(&text, NULL, &s, NULL), 0);
    assert_true(s.softcap == 30);
    bytes_free(&text);
    text = text_gguf(&(struct change){.drop = "gemma4.rope.freq_base"});
    assert_int_equal(read_bytes(&text, NULL, &s, NULL), 0);
    assert_true(s.layers[2].theta == 1e6f);
    bytes_free(&text);
}

static void a_missing_key_is_named(void **state)
{
    static const char *const keys[] = {
        "general.architecture",           "gemma4.block_count",
        "gemma4.context_length",          "gemma4.embedding_length",
        "gemma4.feed_forward_length",     "gemma4.attention.head_count",
        "gemma4.attention.head_count_kv", "gemma4.attention.sliding_window_pattern",
        "gemma4.attention.key_length",    "gemma4.attention.sliding_window",
        "tokenizer.ggml.tokens",
    };

    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        gguf_refused(keys[i], NULL, -EINVAL, keys[i]);
    gguf_refused("blk.0.attn_v.weight", NULL, -EINVAL, "blk.0.attn_v.weight");
}

#define ADD(name, ...)                                                                             \
    static void name(struct gguf *g)                                                               \
    {                                                                                              \
        __VA_ARGS__;                                                                               \
    }
ADD(add_llama, gguf_str(g, "general.architecture", "llama"))
ADD(add_drafter, gguf_str(g, "general.architecture", "gemma4-assistant"))
ADD(add_adapter, gguf_str(g, "general.type", "adapter"))
ADD(add_e2b, gguf_u32(g, "gemma4.block_count", 35);
    gguf_u32(g, "gemma4.embedding_length_per_layer_input", 256))
ADD(add_26b, gguf_u32(g, "gemma4.block_count", 30); gguf_u32(g, "gemma4.expert_count", 128))
ADD(add_clip, gguf_str(g, "general.architecture", "clip"))
ADD(add_experts, gguf_u32(g, "gemma4.expert_count", 128))
ADD(add_per_layer, gguf_u32(g, "gemma4.embedding_length_per_layer_input", 256))
ADD(add_shared, gguf_u32(g, "gemma4.attention.shared_kv_layers", 18))
ADD(add_ff_array, gguf_i32s(g, "gemma4.feed_forward_length", (const int32_t[]){24, 24, 48}, 3))
ADD(add_short_array, gguf_i32s(g, "gemma4.attention.head_count_kv", (const int32_t[]){1, 1}, 2))
ADD(add_below_zero, gguf_i32s(g, "gemma4.attention.head_count_kv", (const int32_t[]){1, -1, 1}, 3))
ADD(add_no_kv, gguf_i32s(g, "gemma4.attention.head_count_kv", (const int32_t[]){1, 0, 1}, 3))
ADD(add_3_kv, gguf_i32s(g, "gemma4.attention.head_count_kv", (const int32_t[]){3, 1, 1}, 3))
ADD(add_no_layers, gguf_u32(g, "gemma4.block_count", 0))
ADD(add_many_layers, gguf_u32(g, "gemma4.block_count", 257))
ADD(add_most_layers, gguf_u32(g, "gemma4.block_count", 4294967295u))
ADD(add_wide, gguf_u32(g, "gemma4.embedding_length", 4000000000u))
ADD(add_no_window, gguf_u32(g, "gemma4.attention.sliding_window", 0))
ADD(add_text_width, gguf_str(g, "gemma4.embedding_length", "16"))
ADD(add_odd_head, gguf_u32(g, "gemma4.attention.key_length_swa", 7))
ADD(add_long_value, gguf_u32(g, "gemma4.attention.value_length", 16))
ADD(add_part_rotates, gguf_u32(g, "gemma4.rope.dimension_count", 4))
ADD(add_nan, gguf_f32(g, "gemma4.rope.freq_base", (float)(0.0 / 0.0 * 1.0)))
ADD(add_zero_eps, gguf_f32(g, "gemma4.attention.layer_norm_rms_epsilon", 0))
ADD(add_bad_cap, gguf_f32(g, "gemma4.final_logit_softcapping", -3))
ADD(add_far_stop, gguf_i32s(g, "witnessd.stop_tokens", (const int32_t[]){14}, 1))
ADD(add_below_stop, gguf_i32s(g, "witnessd.stop_tokens", (const int32_t[]){-2}, 1))
ADD(add_few_media, gguf_i32s(g, "witnessd.media_ids", (const int32_t[]){1, 2}, 2))
ADD(add_far_bos, gguf_u32(g, "tokenizer.ggml.bos_token_id", 4294967295u))
ADD(add_many_stops, int32_t v[17] = {0}; gguf_i32s(g, "witnessd.stop_tokens", v, 17))
ADD(add_divisor, const uint64_t n = 4; const float v[4] = {1, 2, 1e30f, 1e30f};
    gguf_tensor(g, "rope_freqs.weight", WD_TYPE_F32, &n, 1, v, sizeof v))
ADD(add_short_divisors, const uint64_t n = 3;
    gguf_tensor(g, "rope_freqs.weight", WD_TYPE_F32, &n, 1, NULL, 12))
ADD(add_small_table, const uint64_t n[2] = {16, 5};
    gguf_tensor(g, "token_embd.weight", WD_TYPE_F32, n, 2, NULL, 16 * 5 * 4))

static void relatives_are_refused_in_words(void **state)
{
    (void)state;
    gguf_refused("general.architecture", add_llama, -ENOTSUP, "'llama'");
    gguf_refused("general.architecture", add_clip, -ENOTSUP, "mmproj");
    gguf_refused("general.architecture", add_drafter, -ENOTSUP, "a drafter");
    gguf_refused(NULL, add_adapter, -ENOTSUP, "LoRA adapter");
    gguf_refused("gemma4.block_count", add_e2b, -ENOTSUP, "Gemma 4 E2B: embeddings for every layer");
    gguf_refused("gemma4.block_count", add_26b, -ENOTSUP, "Gemma 4 26B-A4B: a mixture of experts");
    gguf_refused(NULL, add_experts, -ENOTSUP, "mixture of experts");
    gguf_refused(NULL, add_per_layer, -ENOTSUP, "embeddings for every layer");
    gguf_refused(NULL, add_shared, -ENOTSUP, "share keys and values");
    gguf_refused("gemma4.feed_forward_length", add_ff_array, -ENOTSUP, "differs between layers");
    gguf_refused("gemma4.attention.value_length", add_long_value, -ENOTSUP, "value_length");
    gguf_refused("gemma4.rope.dimension_count", add_part_rotates, -ENOTSUP, "rope.dimension_count");
    gguf_refused("rope_freqs.weight", add_divisor, -ENOTSUP, "divides pair 1 by 2");
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    gguf_refused("gemma4.attention.head_count_kv", add_short_array, -EINVAL,
                 "2 elements for 3 layers");
    gguf_refused("gemma4.attention.head_count_kv", add_below_zero, -EINVAL, "element 1");
    gguf_refused("gemma4.attention.head_count_kv", add_no_kv, -EINVAL, "layer 1");
    gguf_refused("gemma4.attention.head_count_kv", add_3_kv, -EINVAL, "layer 0");
    gguf_refused("gemma4.block_count", add_no_layers, -EINVAL, "block_count");
    gguf_refused("gemma4.block_count", add_many_layers, -EINVAL, "block_count");
    gguf_refused("gemma4.block_count", add_most_layers, -EINVAL, "block_count");
    gguf_refused("gemma4.embedding_length", add_wide, -EINVAL, "width");
    gguf_refused("gemma4.embedding_length", add_text_width, -EINVAL, "not a whole number");
    gguf_refused("gemma4.attention.sliding_window", add_no_window, -EINVAL, "window");
    gguf_refused("gemma4.attention.key_length_swa", add_odd_head, -ENOTSUP, "value_length_swa");
    gguf_refused("gemma4.rope.freq_base", add_nan, -EINVAL, "freq_base");
    gguf_refused("gemma4.attention.layer_norm_rms_epsilon", add_zero_eps, -EINVAL, "epsilon");
    gguf_refused("gemma4.final_logit_softcapping", add_bad_cap, -EINVAL, "soft cap");
    gguf_refused(NULL, add_far_stop, -EINVAL, "id 14");
    gguf_refused(NULL, add_below_stop, -EINVAL, "witnessd.stop_tokens");
    gguf_refused(NULL, add_many_stops, -EINVAL, "17 elements");
    gguf_refused(NULL, add_few_media, -EINVAL, "witnessd.media_ids");
    gguf_refused(NULL, add_far_bos, -EINVAL, "bos_token_id");
    gguf_refused("rope_freqs.weight", add_short_divisors, -EINVAL, "rope_freqs.weight");
    gguf_refused("token_embd.weight", add_small_table, -EINVAL, "5 rows for a vocabulary of 14");
}

static void the_media_part_comes_from_its_own_file(void **state)
{
    struct bytes text = text_gguf(&(struct change){0}),
                 media = media_gguf("gemma4uv", "gemma4ua", 16, 640);
    struct wd_shape s;

    (void)state;
    assert_int_equal(read_bytes(&text, &media, &s, NULL), 0);
    assert_true(s.has_vision && s.has_audio && s.planar_patches);
    assert_int_equal(s.mm_embed, 10);
    assert_int_equal(s.mm_positions, 7);
    assert_true(s.vision_eps == 2e-6f && s.audio_eps == 1e-6f);
    bytes_free(&media);
    media = media_gguf(NULL, "gemma4ua", 16, 640);
    assert_int_equal(read_bytes(&text, &media, &s, NULL), 0);
    assert_true(!s.has_vision && s.has_audio);
    bytes_free(&media);
    bytes_free(&text);
}

static void a_media_part_of_another_model_is_refused(void **state)
{
    static const struct {
        const char *vision, *audio;
        uint32_t width, samples;
        int code;
        const char *what;
    } cases[] = {
        {"gemma4v", "gemma4ua", 16, 640, -ENOTSUP, "'gemma4v'"},
        {"gemma4uv", "gemma4a", 16, 640, -ENOTSUP, "'gemma4a'"},
        {"gemma4uv", NULL, 32, 640, -ENOTSUP, "projection_dim"},
        {NULL, "gemma4ua", 16, 128, -ENOTSUP, "embedding_length"},
        {NULL, NULL, 16, 640, -EINVAL, "neither"},
    };
    struct bytes text = text_gguf(&(struct change){0});

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes media =
            media_gguf(cases[i].vision, cases[i].audio, cases[i].width, cases[i].samples);
        struct wd_err err = {0};
        struct wd_shape s;

        assert_int_equal(read_bytes(&text, &media, &s, &err), cases[i].code);
        says(&err, cases[i].what);
        says(&err, "media");
        bytes_free(&media);
    }
    bytes_free(&text);
}

static void a_name_is_made_printable(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"a\x1b[31mb\n", "a?[31mb?"},
        {"\xc2\x9b"
         "c\xff",
         "??c?"},
        {"Gr\xc3\xb6\xc3\x9f"
         "e",
         "Gr\xc3\xb6\xc3\x9f"
         "e"},
    };
    char long_name[200];
    struct bytes text;
    struct wd_shape s;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        name_of_model = cases[i].in;
        text = text_gguf(&(struct change){0});
        assert_int_equal(read_bytes(&text, NULL, &s, NULL), 0);
        assert_string_equal(s.name, cases[i].out);
        bytes_free(&text);
    }
    /* 127 bytes fit: 63 characters of two, and no half of the next. */
    for (size_t i = 0; i + 2 < sizeof long_name; i += 2)
        memcpy(long_name + i, "\xc3\xb6", 3);
    name_of_model = long_name;
    text = text_gguf(&(struct change){0});
    assert_int_equal(read_bytes(&text, NULL, &s, NULL), 0);
    assert_int_equal(strlen(s.name), 126);
    bytes_free(&text);
    name_of_model = "small";
}

/* The shipped model holds text and media in one file. */
static void nano_is_read_whole(void **state)
{
    struct wd_tensor_file *f;
    struct wd_err err = {0};
    struct wd_shape s;

    (void)state;
    if (wd_tensor_file_open(TEST_SRCDIR "/models/nano.gguf", &f, &err) < 0)
        fail_msg("%s", err.text);
    if (wd_shape_read(f, NULL, &s, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(s.name, "nano");
    assert_true(s.has_vision && s.has_audio && s.two_way_pictures);
    assert_int_equal(s.d_model, 256);
    assert_int_equal(s.n_vocab, 784);
    assert_int_equal(s.window, 512);
    assert_true(s.layers[5].full && s.layers[5].k_eq_v);
    assert_int_equal(s.layers[5].n_rotated, 16);
    assert_int_equal(s.audio, 9);
    assert_int_equal(s.n_stop, 3);
    assert_int_equal(s.stop[2], 770);
    wd_tensor_file_free(f);
}

#define TEXT_HEAD                                                                                  \
    "\"model_type\":\"gemma4_unified_text\",\"hidden_size\":16,\"num_hidden_layers\":3,"           \
    "\"intermediate_size\":24,"                                                                    \
    "\"num_attention_heads\":4,\"vocab_size\":20,\"sliding_window\":12,\"max_position_"            \
    "embeddings\":512,\"head_dim\":6,"                                                             \
    "\"num_key_value_heads\":2"
#define ROPE                                                                                       \
    ",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"proportional\",\"partial_rotary_"   \
    "factor\":0.5,"                                                                                \
    "\"rope_theta\":500000},\"sliding_attention\":{\"rope_type\":\"default\",\"rope_theta\":"      \
    "20000.0}}"
#define LAYERS ",\"layer_types\":[\"sliding_attention\",\"full_attention\",\"sliding_attention\"]"
#define KEQV ",\"attention_k_eq_v\":true,\"global_head_dim\":8,\"num_global_key_value_heads\":1"
#define TOP(text) "{\"model_type\":\"gemma4_unified\",\"text_config\":{" text "}"
#define TENSOR(name) "\"" name "\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":"

/* Reads a folder of these files (generation NULL: none). */
static int read_folder(const char *config, const char *generation, struct wd_shape *ret,
                       struct wd_err *err)
{
    struct bytes weights =
        safetensors_file("{" TENSOR("model.vision_embedder.patch_dense.bias") "[0,4]}," TENSOR(
                             "model.embed_audio.embedding_projection.weight") "[4,8]}}",
                         8);
    char *folder = temp_folder();
    struct wd_tensor_file *f;
    int r;

    temp_file(folder, "model.safetensors", weights.at, weights.n);
    if (config)
        temp_file(folder, "config.json", config, strlen(config));
    if (generation)
        temp_file(folder, "generation_config.json", generation, strlen(generation));
    assert_int_equal(wd_tensor_file_open(folder, &f, err), 0);
    r = wd_shape_read(f, NULL, ret, err);
    if (r == 0)
        assert_true(strstr(folder, ret->name) != NULL);
    wd_tensor_file_free(f);
    bytes_free(&weights);
    temp_remove(folder);
    return r;
}

static void a_folder_says_all_sizes(void **state)
{
    struct wd_err err = {0};
    struct wd_shape s;

    (void)state;
    if (read_folder(
            TOP(TEXT_HEAD LAYERS KEQV ROPE
                ",\"final_logit_softcapping\":15.0,\"rms_norm_eps\":1e-05,"
                "\"use_bidirectional_attention\":\"vision\",\"num_experts\":null,\"enable_moe_"
                "block\":false,\"eos_token_id\":1") ",\"boi_token_id\":5,\"eoi_token_id\":6,"
                                                    "\"image_token_id\":7,\"video_token_id\":8,"
                                                    "\"boa_token_id\":9,"
                                                    "\"eoa_token_index\":10,\"audio_token_id\":11,"
                                                    "\"vision_config\":{\"mm_embed_dim\":10,\"mm_"
                                                    "posemb_size\":7,"
                                                    "\"model_patch_size\":48},\"audio_config\":{"
                                                    "\"audio_samples_per_token\":640}}",
            "{\"eos_token_id\":[1,3],\"suppress_tokens\":[10,6,4]}", &s, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(s.d_model, 16);
    assert_int_equal(s.n_layers, 3);
    assert_int_equal(s.n_vocab, 20);
    assert_true(s.softcap == 15 && s.eps == 1e-5f);
    assert_false(s.layers[0].full || s.layers[0].k_eq_v);
    assert_int_equal(s.layers[0].n_kv_heads, 2);
    assert_int_equal(s.layers[0].n_rotated, 3);
    assert_true(s.layers[0].theta == 2e4f);
    assert_true(s.layers[1].full && s.layers[1].k_eq_v);
    assert_int_equal(s.layers[1].head_dim, 8);
    assert_int_equal(s.layers[1].n_kv_heads, 1);
    assert_int_equal(s.layers[1].n_rotated, 2);
    assert_true(s.layers[1].theta == 5e5f);
    assert_true(s.layers[2].full); /* the last is, whatever is said */
    assert_true(s.has_vision && s.has_audio && !s.planar_patches && s.two_way_pictures);
    assert_int_equal(s.mm_embed, 10);
    assert_int_equal(s.mm_positions, 7);
    assert_int_equal(s.eoa, 10);
    assert_int_equal(s.video, 8);
    assert_int_equal(s.n_stop, 2);
    assert_int_equal(s.stop[1], 3);
    assert_int_equal(s.n_suppress, 3);
}

static void both_spellings_of_full_layers_are_read(void **state)
{
    struct wd_err err = {0};
    struct wd_shape s;

    (void)state;
    if (read_folder(
            TOP(TEXT_HEAD LAYERS ROPE
                ",\"attention_k_eq_v\":true,\"per_layer_config\":{\"1\":{\"head_dim\":8,"
                "\"num_key_value_heads\":1},\"2\":{\"head_dim\":8,\"num_key_value_heads\":1}}") "}",
            NULL, &s, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(s.layers[0].head_dim, 6);
    assert_int_equal(s.layers[1].head_dim, 8);
    assert_int_equal(s.layers[1].n_kv_heads, 1);
    assert_int_equal(s.layers[1].n_rotated, 2);
    assert_false(s.has_vision || s.has_audio);
    assert_int_equal(s.n_suppress, 0);
    assert_true(s.softcap == 0);
}

static void full_layers_with_their_own_values_have_as_many_heads_as_the_others(void **state)
{
    struct wd_err err = {0};
    struct wd_shape s;

    (void)state;
    if (read_folder(
            TOP(TEXT_HEAD LAYERS
                ",\"attention_k_eq_v\":false,\"global_head_dim\":8,"
                "\"num_global_key_value_heads\":1,\"use_bidirectional_attention\":null") "}",
            NULL, &s, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(s.layers[1].n_kv_heads, 2);
    assert_int_equal(s.layers[1].head_dim, 8);
    assert_int_equal(s.layers[1].n_rotated, 1); /* a quarter of four pairs */
    assert_false(s.layers[1].k_eq_v);
    assert_false(s.two_way_pictures);
}

static void a_config_that_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *config;
        int code;
        const char *what;
    } cases[] = {
        {NULL, -ENOENT, "config.json"},
        {"{\"model_type\":", -EINVAL, "config.json:1"},
        {"[]", -EINVAL, "not an object"},
        {"{}", -EINVAL, "model_type"},
        {"{\"model_type\":\"llama\"}", -ENOTSUP, "'llama'"},
        {"{\"model_type\":\"gemma4\"}", -ENOTSUP, "'gemma4'"},
        {"{\"model_type\":\"gemma4_unified\"}", -EINVAL, "text_config"},
        {"{\"model_type\":\"gemma4_unified\",\"text_config\":{}}", -EINVAL, "num_hidden_layers"},
        {"{\"model_type\":\"gemma4_unified_assistant\"}", -ENOTSUP, "a drafter"},
        {"{\"model_type\":\"gemma4\",\"text_config\":{\"num_hidden_layers\":42,"
         "\"num_kv_shared_layers\":18}}",
         -ENOTSUP, "Gemma 4 E4B: layers that share keys"},
        {TOP(TEXT_HEAD) ",\"quantization_config\":{\"quant_method\":\"compressed-tensors\"}}", -ENOTSUP,
         "quantised by 'compressed-tensors'"},
        {TOP(TEXT_HEAD ",\"num_experts\":4") "}", -ENOTSUP, "mixture of experts"},
        {TOP(TEXT_HEAD ",\"enable_moe_block\":true") "}", -ENOTSUP, "mixture of experts"},
        {TOP(TEXT_HEAD ",\"hidden_size_per_layer_input\":256") "}", -ENOTSUP, "every layer"},
        {TOP(TEXT_HEAD ",\"num_kv_shared_layers\":1") "}", -ENOTSUP, "share keys"},
        {TOP(TEXT_HEAD ",\"use_double_wide_mlp\":true") "}", -ENOTSUP, "double width"},
        {TOP(TEXT_HEAD ",\"attention_bias\":true") "}", -ENOTSUP, "biases"},
        {TOP(TEXT_HEAD ",\"hidden_activation\":\"silu\"") "}", -ENOTSUP, "activation"},
        {TOP(TEXT_HEAD ",\"use_bidirectional_attention\":\"all\"") "}", -ENOTSUP, "both ways"},
        {TOP(TEXT_HEAD ",\"layer_types\":[\"full_attention\"]") "}", -EINVAL, "layer_types"},
        {TOP(TEXT_HEAD ",\"layer_types\":[\"full_attention\",\"linear\",\"full_attention\"]") "}",
         -EINVAL, "layer_types"},
        {TOP(TEXT_HEAD ",\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"yarn\"},"
                       "\"sliding_attention\":{\"rope_type\":\"default\"}}") "}",
         -ENOTSUP, "rope_type"},
        {TOP(TEXT_HEAD ",\"rope_parameters\":{}") "}", -EINVAL, "rope_parameters"},
        {TOP(TEXT_HEAD ",\"global_head_dim\":9") "}", -EINVAL, "head size 9"},
        {TOP(TEXT_HEAD ",\"global_head_dim\":-8") "}", -EINVAL, "global_head_dim"},
        {TOP(TEXT_HEAD ",\"rms_norm_eps\":1") "}", -EINVAL, "epsilon"},
        {TOP(TEXT_HEAD ",\"bos_token_id\":20") "}", -EINVAL, "bos is id 20"},
        {TOP(TEXT_HEAD) ",\"eos_token_id\":[1,99]}", -EINVAL, "id 99"},
        {TOP(TEXT_HEAD) ",\"eos_token_id\":[\"x\"]}", -EINVAL, "eos_token_id"},
        {TOP(TEXT_HEAD) ",\"image_token_id\":-5}", -EINVAL, "image_token_id"},
        {TOP(TEXT_HEAD) ",\"vision_config\":{\"mm_embed_dim\":4,\"mm_posemb_size\":4}}", -EINVAL,
         "no id for an image"},
        {TOP(TEXT_HEAD) ",\"vision_config\":{\"mm_embed_dim\":4,\"patch_size\":14}}", -ENOTSUP,
         "patch_size"},
        {TOP(TEXT_HEAD) ",\"audio_config\":{\"audio_samples_per_token\":320}}", -ENOTSUP,
         "audio_samples_per_token"},
        {TOP(TEXT_HEAD) ",\"audio_config\":[]}", -EINVAL, "audio_config"},
        {TOP(TEXT_HEAD ",\"hidden_size\":16") "}", -EINVAL, "duplicate"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wd_shape s = {.n_layers = 77};
        struct wd_err err = {0};

        assert_int_equal(read_folder(cases[i].config, NULL, &s, &err), cases[i].code);
        says(&err, cases[i].what);
        assert_int_equal(s.n_layers, 77);
    }
}

/* 31B: the same decoder, but it sees with a tower. */
static void a_relative_with_this_decoder_is_read_without_what_it_sees_with(void **state)
{
    struct wd_err err = {0};
    struct wd_shape s;

    (void)state;
    if (read_folder("{\"model_type\":\"gemma4\",\"text_config\":{" TEXT_HEAD LAYERS KEQV ROPE
                    "},\"vision_config\":{\"hidden_size\":1152}}",
                    NULL, &s, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(s.d_model, 16);
    assert_true(s.layers[1].k_eq_v);
    assert_false(s.has_vision || s.has_audio);
}

static void a_bad_generation_config_is_refused(void **state)
{
    struct wd_err err = {0};
    struct wd_shape s;

    (void)state;
    assert_int_equal(read_folder(TOP(TEXT_HEAD) "}", "{\"suppress_tokens\":3.5}", &s, &err),
                     -EINVAL);
    says(&err, "generation_config.json");
    assert_int_equal(read_folder(TOP(TEXT_HEAD) "}", "nothing", &s, &err), -EINVAL);
    says(&err, "generation_config.json:1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gguf_says_all_sizes),
        cmocka_unit_test(ids_come_from_the_texts_of_the_vocabulary),
        cmocka_unit_test(keys_say_ids_before_texts_do),
        cmocka_unit_test(one_number_can_stand_for_all_layers),
        cmocka_unit_test(what_is_not_said_has_defaults),
        cmocka_unit_test(a_missing_key_is_named),
        cmocka_unit_test(relatives_are_refused_in_words),
        cmocka_unit_test(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(the_media_part_comes_from_its_own_file),
        cmocka_unit_test(a_media_part_of_another_model_is_refused),
        cmocka_unit_test(a_name_is_made_printable),
        cmocka_unit_test(nano_is_read_whole),
        cmocka_unit_test(a_folder_says_all_sizes),
        cmocka_unit_test(both_spellings_of_full_layers_are_read),
        cmocka_unit_test(full_layers_with_their_own_values_have_as_many_heads_as_the_others),
        cmocka_unit_test(a_config_that_cannot_be_is_refused),
        cmocka_unit_test(a_relative_with_this_decoder_is_read_without_what_it_sees_with),
        cmocka_unit_test(a_bad_generation_config_is_refused),
    };

    return cmocka_run_group_tests_name("model/shape", tests, NULL, NULL);
}
