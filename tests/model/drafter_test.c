/* tests/model/drafter_test.c - the drafter against what the reference computes, which files it takes, and that the answer stays what it was. */
#include "model/drafter.h"

#include "model/decoder.h"
#include "model/engine.h"
#include "model/engine_state.h"
#include "model/tensor_file.h"
#include "tests/golden/drafter.h"
#include "tests/model/small_model.h"
#include "tests/no_malloc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BOUND 2e-5 /* |a - b| / |b| over a tensor */
#define VOCAB 1024

/* Folders of tiny and heads, their drafters beside them: [][hf]. */
static const char *const checkpoints[2] = {"tiny", "heads"};
static char models[2][2][64], drafters[2][2][80];
static double worst;

static void drafter_path(int c, int hf, char path[128])
{
    snprintf(path, 128, "%s%s", drafters[c][hf], hf ? "" : "/drafter.gguf");
}

static int write_all(void **state)
{
    (void)state;
    for (int c = 0; c < 2; c++)
        for (int hf = 0; hf < 2; hf++) {
            struct wd_err err = {0};

            wd_small_write(checkpoints[c], hf, models[c][hf]);
            snprintf(drafters[c][hf], sizeof drafters[c][hf], "/tmp/witnessd-drafter-XXXXXX");
            assert_non_null(mkdtemp(drafters[c][hf]));
            if (wd_checkpoint_write_drafter(checkpoints[c], drafters[c][hf], hf, &err) < 0)
                fail_msg("%s", err.text);
        }
    return 0;
}

static int remove_all(void **state)
{
    (void)state;
    for (int c = 0; c < 2; c++)
        for (int hf = 0; hf < 2; hf++) {
            wd_small_remove(models[c][hf]);
            wd_small_remove(drafters[c][hf]);
        }
    print_message("largest relative error of what the reference recorded: %.2e\n", worst);
    return 0;
}

static struct wd_engine *open_both(int c, int hf)
{
    char model[128], drafter[128];
    struct wd_engine_opts opts = {.n_threads = 2, .max_rows = 256, .drafter = drafter};
    struct wd_engine *e;
    struct wd_err err = {0};

    snprintf(model, sizeof model, "%s%s", models[c][hf], hf ? "" : "/text.gguf");
    drafter_path(c, hf, drafter);
    if (wd_engine_open(model, &opts, &e, &err) < 0)
        fail_msg("%s", err.text);
    assert_non_null(wd_engine_drafter(e));
    return e;
}

static struct wd_decoder *decoder_of(struct wd_engine *e, uint32_t branch)
{
    struct wd_decoder *d;

    assert_int_equal(wd_decoder_new(e, 600, branch, &d, NULL), 0);
    return d;
}

/* Feeds ids; logits and hidden states of the last n_last rows. */
static void feed(struct wd_engine *e, struct wd_decoder *d, const int32_t *ids, uint32_t n, uint32_t n_last, float *logits, float *hidden)
{
    struct wd_span span = {.kind = WD_SPAN_TOKENS, .n = n, .ids = ids};
    struct wd_pass_part part = {.decoder = d, .spans = &span, .n_spans = 1, .n_logits = n_last, .ret_logits = logits, .ret_hidden = hidden};
    struct wd_err err = {0};

    if (wd_decoder_pass(e, &part, 1, &err) < 0)
        fail_msg("%s", err.text);
}

/* ---- the reference ---- */

static const void *get(const struct wd_tensor_file *f, const char *name, size_t *ret_n)
{
    const struct wd_tensor *t = wd_tensor_file_find(f, name);

    if (!t)
        fail_msg("there is no '%s'", name);
    *ret_n = t->dims[0] * t->dims[1] * t->dims[2];
    return t->data;
}

static void check(const char *set, const char *name, const float *got, const float *want, size_t n)
{
    double e = wd_small_error(got, want, n);

    worst = e > worst ? e : worst;
    if (!(e <= BOUND))
        fail_msg("%s: %s is off by %.3g", set, name, e);
}

/* Keys and values as the drafter reads them: of the last layer of each kind. */
static void check_cache(const char *set, const struct wd_tensor_file *f, struct wd_engine *e, const struct wd_decoder *d, size_t len)
{
    static const char *const names[2][2] = {{"k.sliding_attention", "v.sliding_attention"}, {"k.full_attention", "v.full_attention"}};
    const struct wd_shape *s = wd_engine_shape(e);

    for (int full = 0; full < 2; full++) {
        uint32_t layer = s->n_layers - 1, heads, dim, run;

        while (s->layers[layer].full != (full == 1))
            layer--;
        heads = s->layers[layer].n_kv_heads;
        dim = s->layers[layer].head_dim;
        for (int v = 0; v < 2; v++) {
            size_t n;
            const float *want = get(f, names[full][v], &n);
            float *got = malloc(n * sizeof *got);

            assert_int_equal(n, heads * len * dim);
            for (uint32_t h = 0; h < heads; h++)
                for (uint32_t p = 0; p < len; p++)
                    memcpy(got + (h * len + p) * dim,
                           (v ? wd_kv_cache_v : wd_kv_cache_k)(wd_decoder_cache(d), layer, h, p, &run), dim * sizeof *got);
            check(set, names[full][v], got, want, n);
            free(got);
        }
    }
}

static int32_t best(const float *logits)
{
    return wd_sampler_greedy(logits, VOCAB, NULL, 0).id;
}

/* Decodes on greedily; with the drafter, drafts are verified in passes of several rows. */
static uint32_t continue_greedily(struct wd_engine *e, struct wd_decoder *d, int32_t token, const float *hidden, bool drafted, int32_t *ids,
                                  uint32_t n, uint32_t *ret_right)
{
    const struct wd_shape *s = wd_engine_shape(e);
    float *logits = malloc((1 + WD_DRAFTER_MOST) * VOCAB * sizeof *logits), *rows = malloc((1 + WD_DRAFTER_MOST) * s->d_model * sizeof *rows);
    int32_t row[1 + WD_DRAFTER_MOST];
    uint32_t have = 0, passes = 0;

    *ret_right = 0;
    memcpy(rows, hidden, s->d_model * sizeof *rows);
    ids[have++] = token;
    while (have < n) {
        uint32_t k = 0, i;

        row[0] = ids[have - 1];
        if (drafted)
            k = wd_drafter_draft(wd_engine_drafter(e), d, row[0], rows, 5, NULL, row + 1);
        feed(e, d, row, 1 + k, 1 + k, logits, rows);
        passes++;
        for (i = 0; i <= k && have < n; i++) {
            ids[have++] = wd_sampler_greedy(logits + (size_t)i * VOCAB, VOCAB, s->suppress, s->n_suppress).id;
            if (i == k || ids[have - 1] != row[1 + i])
                break;
            ++*ret_right;
        }
        if (i < k)
            assert_int_equal(wd_decoder_rewind(d, wd_decoder_position(d) - (k - i), NULL), 0);
        i = i > k ? k : i;
        memmove(rows, rows + (size_t)i * s->d_model, s->d_model * sizeof *rows);
    }
    free(logits);
    free(rows);
    return passes;
}

static void golden_case(const char *set, int c, int hf)
{
    struct wd_engine *e = open_both(c, hf);
    struct wd_drafter *dr = wd_engine_drafter(e);
    const struct wd_shape *s = wd_engine_shape(e);
    struct wd_decoder *d = decoder_of(e, 64);
    struct wd_tensor_file *f;
    struct wd_err err = {0};
    char path[256];
    size_t n, steps, len, n_greedy;
    const int32_t *ids, *drafted, *greedy, *token;
    const float *hidden, *logits, *state;
    float *said = malloc(VOCAB * sizeof *said), *g = malloc(s->d_model * sizeof *g);
    int32_t t, plain[48], with[48];
    uint32_t right, none, passes;

    snprintf(path, sizeof path, TEST_SRCDIR "/tests/golden/vectors/mtp-%s.safetensors", set);
    if (wd_tensor_file_open_data(path, &f, &err) < 0)
        fail_msg("%s", err.text);
    ids = get(f, "ids", &len);
    feed(e, d, ids, (uint32_t)len, 1, said, g);
    hidden = get(f, "hidden", &n);
    assert_int_equal(n, s->d_model);
    check(set, "hidden", g, hidden, n);
    check_cache(set, f, e, d, len);
    token = get(f, "token", &n);
    assert_int_equal(best(said), *token);

    drafted = get(f, "draft.ids", &steps);
    logits = get(f, "draft.logits", &n);
    assert_int_equal(n, steps * VOCAB);
    state = get(f, "draft.hidden", &n);
    assert_int_equal(n, steps * s->d_model);
    wd_drafter_begin(dr, d, g);
    t = *token;
    for (size_t i = 0; i < steps; i++) {
        const float *z = wd_drafter_step(dr, t);

        check(set, "draft.logits", z, logits + i * VOCAB, VOCAB);
        check(set, "draft.hidden", wd_drafter_hidden(dr), state + i * s->d_model, s->d_model);
        t = best(z);
        assert_int_equal(t, drafted[i]);
    }

    greedy = get(f, "greedy.ids", &n_greedy);
    assert_int_equal(n_greedy, 48);
    assert_int_equal(continue_greedily(e, d, *token, g, false, plain, 48, &none), 47);
    assert_int_equal(wd_decoder_rewind(d, (uint32_t)len, NULL), 0);
    passes = continue_greedily(e, d, *token, g, true, with, 48, &right);
    for (int i = 0; i < 48; i++) {
        assert_int_equal(plain[i], greedy[i]);
        assert_int_equal(with[i], greedy[i]);
    }
    assert_true(right > 0 && passes < 47);
    print_message("%s %s: 48 tokens in %u passes, %u guesses right\n", set, hf ? "safetensors" : "GGUF", passes, right);
    free(said);
    free(g);
    wd_tensor_file_free(f);
    wd_decoder_free(d);
    wd_engine_free(e);
}

static void every_tensor_of_the_reference_agrees(void **state)
{
    (void)state;
    for (int hf = 0; hf < 2; hf++) {
        golden_case("tiny-n9", 0, hf);
        golden_case("tiny-n60", 0, hf);
        golden_case("heads-n12", 1, hf);
        golden_case("heads-n90", 1, hf);
    }
}

/* ---- drafts ---- */

static void a_rewound_decoder_is_drafted_for_as_one_that_never_went_further(void **state)
{
    struct wd_engine *e = open_both(0, true);
    struct wd_decoder *one = decoder_of(e, 64), *other = decoder_of(e, 64);
    int32_t ids[200], a[8], b[8];
    float logits[VOCAB], hidden[256], wrong[256];
    uint32_t n, m;

    (void)state;
    wd_small_ids(4, ids, 200);
    /* By 64 the ring has nothing more than the window, and the one key beyond it is gone. */
    for (uint32_t back = 1; back <= 63; back += 31) {
        feed(e, one, ids, 200 - back, 1, logits, hidden);
        feed(e, other, ids, 200 - back, 0, NULL, NULL);
        feed(e, other, ids + 200 - back, back, 1, logits, wrong);
        assert_int_equal(wd_decoder_rewind(other, 200 - back, NULL), 0);
        n = wd_drafter_draft(wd_engine_drafter(e), one, 700, hidden, 8, NULL, a);
        m = wd_drafter_draft(wd_engine_drafter(e), other, 700, hidden, 8, NULL, b);
        assert_true(n == m && n > 0);
        assert_memory_equal(a, b, n * sizeof *a);
        wd_decoder_free(one);
        wd_decoder_free(other);
        one = decoder_of(e, 64);
        other = decoder_of(e, 64);
    }
    /* As far as it goes, and from the first position on: whatever is guessed, nothing outside is read. */
    feed(e, one, ids, 200, 1, logits, hidden);
    assert_int_equal(wd_decoder_rewind(one, 136, NULL), 0);
    wd_drafter_draft(wd_engine_drafter(e), one, 700, hidden, 8, NULL, a);
    feed(e, other, ids, 1, 1, logits, hidden);
    wd_drafter_draft(wd_engine_drafter(e), other, 700, hidden, 8, NULL, a);
    wd_decoder_free(one);
    wd_decoder_free(other);
    wd_engine_free(e);
}

static void a_draft_is_as_long_as_asked_and_holds_nothing_the_decoder_refuses(void **state)
{
    struct wd_engine *e = open_both(0, true);
    struct wd_decoder *d = decoder_of(e, 64);
    struct wd_sampler hot = {.temperature = 50, .top_k = 256, .top_p = 1, .state = 5};
    int32_t ids[20], got[8];
    float logits[VOCAB], hidden[256];
    uint32_t full = 0;

    (void)state;
    wd_small_ids(9, ids, 20);
    feed(e, d, ids, 20, 1, logits, hidden);
    assert_int_equal(wd_drafter_draft(wd_engine_drafter(e), d, 600, hidden, 0, NULL, got), 0);
    for (uint32_t n = 1; n <= 8; n++)
        assert_int_equal(wd_drafter_draft(wd_engine_drafter(e), d, 600, hidden, n, NULL, got), n);
    assert_int_equal(wd_drafter_draft(wd_engine_drafter(e), d, 600, hidden, 99, NULL, got), 8);
    for (int i = 0; i < 300; i++) {
        uint32_t n = wd_drafter_draft(wd_engine_drafter(e), d, 600, hidden, 8, &hot, got);

        full += n == 8;
        for (uint32_t k = 0; k < n; k++) {
            assert_in_range(got[k], 0, VOCAB - 1);
            assert_true(got[k] < 1002 || got[k] > 1006); /* slots, and the two that are suppressed */
            assert_true(got[k] != 1 && got[k] != 106 && got[k] != 50);
        }
    }
    assert_true(full > 100);
    wd_decoder_free(d);
    wd_engine_free(e);
}

static void a_draft_allocates_nothing(void **state)
{
    struct wd_engine *e = open_both(1, true);
    struct wd_decoder *d = decoder_of(e, 64);
    struct wd_sampler warm = {.temperature = 1, .top_k = 50, .top_p = 0.9f, .state = 5};
    int32_t ids[70], got[8];
    float logits[VOCAB], hidden[192];

    (void)state;
    if (!wd_no_malloc_active()) {
        wd_decoder_free(d);
        wd_engine_free(e);
        skip();
    }
    wd_small_ids(9, ids, 70);
    feed(e, d, ids, 70, 1, logits, hidden);
    wd_no_malloc_begin();
    for (int i = 0; i < 10; i++)
        wd_drafter_draft(wd_engine_drafter(e), d, 600, hidden, 8, i % 2 ? &warm : NULL, got);
    assert_int_equal(wd_no_malloc_end(), 0);
    wd_decoder_free(d);
    wd_engine_free(e);
}

static void its_memory_is_told(void **state)
{
    struct wd_engine *e = open_both(0, false), *without = wd_small_open(models[0][0], false, 64);
    struct wd_engine_memory m = wd_engine_memory(e);

    (void)state;
    assert_int_equal(m.drafter_bytes, wd_drafter_bytes(wd_engine_drafter(e)));
    assert_true(m.drafter_bytes > 128 * VOCAB * 4); /* its embedding alone */
    assert_int_equal(wd_engine_memory(without).drafter_bytes, 0);
    assert_null(wd_engine_drafter(without));
    wd_engine_free(e);
    wd_engine_free(without);
}

/* ---- files ---- */

static void refused(const char *path, int code, const char *one, const char *two)
{
    struct wd_drafter_weights w;
    struct wd_engine *e = wd_small_open(models[0][1], true, 64);
    struct wd_err err = {0};
    int r = wd_drafter_weights_open(path, wd_engine_shape(e), &w, &err);

    if (r != code || !strstr(err.text, one) || !strstr(err.text, two))
        fail_msg("%d, expected %d with '%s' and '%s': %s", r, code, one, two, err.text);
    wd_engine_free(e);
}

static void a_drafter_of_another_model_is_refused(void **state)
{
    char path[128];
    struct wd_engine_opts opts = {.n_threads = 1, .max_rows = 64, .drafter = drafters[1][1]};
    struct wd_engine *e;
    struct wd_err err = {0};

    (void)state;
    refused(drafters[1][1], -EINVAL, "config.json: 'backbone_hidden_size' is 192", "has 256");
    drafter_path(1, false, path);
    refused(path, -EINVAL, "key 'gemma4-assistant.embedding_length_out' is 192", "has 256");
    assert_int_equal(wd_engine_open(models[0][1], &opts, &e, &err), -EINVAL);
    assert_non_null(strstr(err.text, "backbone_hidden_size"));
}

static void what_is_no_drafter_is_refused(void **state)
{
    char path[128];

    (void)state;
    refused(models[0][1], -ENOTSUP, "'gemma4_unified'", "expected a drafter");
    snprintf(path, sizeof path, "%s/text.gguf", models[0][0]);
    refused(path, -ENOTSUP, "'gemma4'", "expected a drafter");
    refused("/nowhere/at/all.gguf", -ENOENT, "/nowhere/at/all.gguf", "");
}

/* Writes the drafter of tiny anew, changes it in one place, and takes it back. */
static void changed(bool hf, const char *file, const char *text, long offset, const void *bytes, size_t n, int code, const char *one, const char *two)
{
    char folder[64] = "/tmp/witnessd-drafter-XXXXXX", path[128];

    assert_non_null(mkdtemp(folder));
    assert_int_equal(wd_checkpoint_write_drafter("tiny", folder, hf, NULL), 0);
    wd_small_patch(folder, file, text, offset, bytes, n);
    snprintf(path, sizeof path, "%s%s", folder, hf ? "" : "/drafter.gguf");
    refused(path, code, one, two);
    wd_small_remove(folder);
}

static void config(const char *text, const char *to, int code, const char *one, const char *two)
{
    changed(true, "config.json", text, -(long)strlen(to), to, strlen(to), code, one, two);
}

static void every_size_is_checked_against_the_model_and_named(void **state)
{
    (void)state;
    config("\"vocab_size\": 1024", "1025", -EINVAL, "'vocab_size' is 1025", "has 1024");
    config("\"sliding_window\": 32", "33", -EINVAL, "'sliding_window' is 33", "has 32");
    config("\"head_dim\": 64", "65", -EINVAL, "'head_dim' is 65", "has 64");
    config("\"global_head_dim\": 128", "129", -EINVAL, "'global_head_dim' is 129", "has 128");
    config("\"num_key_value_heads\": 4", "8", -EINVAL, "'num_key_value_heads' is 8", "has 4");
    config("\"num_global_key_value_heads\": 1", "2", -EINVAL, "'num_global_key_value_heads' is 2", "has 1");
    config("\"rope_theta\": 10000.0", "9", -EINVAL, "rope_theta' is 10000.9", "has 10000");
    config("\"partial_rotary_factor\": 0.25", "0.50", -EINVAL, "'partial_rotary_factor'", "drafter of another model");
}

static void damaged_files_are_refused_with_what_is_wrong(void **state)
{
    static const uint32_t other = 300, many = 17, none = 0;
    static const float nan = 0.0f / 0.0f, tenth = 0.1f;

    (void)state;
    config("\"num_kv_shared_layers\": 4", "3", -ENOTSUP, "num_kv_shared_layers", "reads the model's keys");
    config("\"num_hidden_layers\": 4", "0", -EINVAL, "num_hidden_layers", "expected 1 to 16");
    config("\"num_hidden_layers\": 4", "3", -EINVAL, "layer_types", "one string for each layer");
    config("\"use_ordered_embeddings\": false", " true", -ENOTSUP, "use_ordered_embeddings", "another member");
    config("\"rms_norm_eps\": 1e-06", "1e+06", -EINVAL, "rms_norm_eps", "small positive");
    config("\"gelu_pytorch_tanh\"", "gelu_pytorch_tanx\"", -ENOTSUP, "hidden_activation", "");
    config("\"hidden_size\": 128", "129", -EINVAL, "pre_projection.weight", "expected 512 x 129");
    config("\"intermediate_size\": 192", "191", -EINVAL, "mlp.gate_proj.weight", "expected 128 x 191");
    changed(true, "model.safetensors", "post_projection.weigh", 0, "s", 1, -EINVAL, "tensor 'post_projection.weight' is missing", "");
    changed(true, "model.safetensors", "model.layers.2.layer_scala", 0, "x", 1, -EINVAL, "tensor 'model.layers.2.layer_scalar' is missing", "");

    changed(false, "drafter.gguf", "gemma4-assistant.block_count", 4, &many, 4, -EINVAL, "block_count' is 17", "1 to 16");
    changed(false, "drafter.gguf", "gemma4-assistant.block_count", 4, &none, 4, -EINVAL, "block_count' is 0", "1 to 16");
    changed(false, "drafter.gguf", "gemma4-assistant.attention.head_count\x04", 3, &other, 4, -EINVAL, "tensor 'blk.0.attn_q.weight'", "19200");
    changed(false, "drafter.gguf", "gemma4-assistant.attention.key_length_swa", 4, &other, 4, -EINVAL, "key_length_swa' is 300", "has 64");
    changed(false, "drafter.gguf", "gemma4-assistant.rope.freq_base_swa", 4, &tenth, 4, -EINVAL, "freq_base_swa' is 0.1", "has 10000");
    changed(false, "drafter.gguf", "gemma4-assistant.attention.layer_norm_rms_epsilon", 4, &nan, 4, -EINVAL, "epsilon", "small positive");
    changed(false, "drafter.gguf", "rope_freqs.weigh", 0, "s", 1, -ENOTSUP, "tensor 'rope_freqs.weighs'", "none that a drafter has");
    changed(false, "drafter.gguf", "blk.3.ffn_down.weigh", 0, "s", 1, -EINVAL, "tensor 'blk.3.ffn_down.weight' is missing", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tensor_of_the_reference_agrees),
        cmocka_unit_test(a_rewound_decoder_is_drafted_for_as_one_that_never_went_further),
        cmocka_unit_test(a_draft_is_as_long_as_asked_and_holds_nothing_the_decoder_refuses),
        cmocka_unit_test(a_draft_allocates_nothing),
        cmocka_unit_test(its_memory_is_told),
        cmocka_unit_test(a_drafter_of_another_model_is_refused),
        cmocka_unit_test(what_is_no_drafter_is_refused),
        cmocka_unit_test(every_size_is_checked_against_the_model_and_named),
        cmocka_unit_test(damaged_files_are_refused_with_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, write_all, remove_all);
}
