/* tests/model/tokenizer_test.c - text becomes the reference's ids, and ids text again. */
#include "model/tokenizer.h"

#include "model/tensor_file.h"
#include "model/tokenizer_parts.h"
#include "tests/model/many_scripts.h"
#include "tests/no_malloc.h"
#include "tests/model/model_writer.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_IDS 4096
#define NANO TEST_SRCDIR "/tests/model/data/nano-tokenizer"

static struct wd_tokenizer *nano;

static char *slurp(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    char *s;
    long n;

    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    n = ftell(f);
    rewind(f);
    s = malloc((size_t)n + 1);
    assert_int_equal(fread(s, 1, (size_t)n, f), n);
    s[n] = '\0';
    fclose(f);
    *ret_n = (size_t)n;
    return s;
}

static int open_nano(void **state)
{
    struct wd_err err = {0};
    size_t n;
    char *json = slurp(NANO ".json", &n);

    (void)state;
    if (wd_tokenizer_from_json("nano-tokenizer.json", json, n, &nano, &err) < 0)
        fail_msg("%s", err.text);
    free(json);
    return 0;
}

static int close_nano(void **state)
{
    (void)state;
    nano = wd_tokenizer_free(nano);
    return 0;
}

static json_t *load(const char *path)
{
    json_error_t e;
    json_t *j = json_load_file(path, JSON_ALLOW_NUL, &e);

    if (!j)
        fail_msg("%s: %s", path, e.text);
    return j;
}

static void expect_ids(const struct wd_tokenizer *t, const char *text, size_t len, bool special,
                       const json_t *want)
{
    static int32_t ids[MAX_IDS];
    /* Of exactly its size, so that a sanitizer sees the first byte read beyond. */
    char *exact = malloc(len ? len : 1);
    int64_t n;

    memcpy(exact, text, len);
    n = wd_tokenizer_encode(t, exact, len, special, ids, MAX_IDS);
    free(exact);
    if (n != (int64_t)json_array_size(want))
        fail_msg("'%s': %lld ids, expected %zu", text, (long long)n, json_array_size(want));
    for (int64_t i = 0; i < n; i++)
        if (ids[i] != json_integer_value(json_array_get(want, (size_t)i)))
            fail_msg("'%s': id %lld is %d, expected %d", text, (long long)i, ids[i],
                     (int)json_integer_value(json_array_get(want, (size_t)i)));
}

static void expect_all_ids(const struct wd_tokenizer *t, const json_t *cases, size_t at_least)
{
    const json_t *c;
    size_t i;

    assert_true(json_array_size(cases) >= at_least);
    json_array_foreach(cases, i, c)
    {
        const json_t *text = json_object_get(c, "text"), *ids = json_object_get(c, "ids"),
                     *plain = json_object_get(c, "plain");

        expect_ids(t, json_string_value(text), json_string_length(text), true, ids);
        expect_ids(t, json_string_value(text), json_string_length(text), false,
                   plain ? plain : ids);
    }
}

static size_t stream(const struct wd_tokenizer *t, const int32_t *ids, size_t n, bool show,
                     char *out)
{
    struct wd_detokenizer d;
    size_t total = 0;

    wd_detokenizer_init(&d, t, show);
    for (size_t i = 0; i < n; i++)
        total += wd_detokenizer_push(&d, ids[i], out + total);
    return total + wd_detokenizer_finish(&d, out + total);
}

static void expect_all_texts(const struct wd_tokenizer *t, const json_t *cases, size_t at_least)
{
    static char out[1 << 16], streamed[1 << 16];
    static int32_t ids[MAX_IDS];
    const json_t *c, *id;
    size_t i, k;

    assert_true(json_array_size(cases) >= at_least);
    json_array_foreach(cases, i, c)
    {
        const json_t *list = json_object_get(c, "ids");

        json_array_foreach(list, k, id) ids[k] = (int32_t)json_integer_value(id);
        for (int show = 0; show < 2; show++) {
            const json_t *want = json_object_get(c, show ? "text" : "skip_special");
            size_t n = wd_tokenizer_decode(t, ids, json_array_size(list), show, out, sizeof out);

            if (n != json_string_length(want) || memcmp(out, json_string_value(want), n))
                fail_msg("case %zu: '%s', expected '%s'", i, out, json_string_value(want));
            assert_int_equal(out[n], '\0');
            /* Streaming says the same, but for runs of bytes too long to be held back. */
            if (json_array_size(list) <= 64) {
                assert_int_equal(stream(t, ids, json_array_size(list), show, streamed), n);
                assert_memory_equal(streamed, out, n);
            }
        }
    }
}

static void nano_encodes_as_the_reference(void **state)
{
    json_t *j = load(NANO "-vectors.json");

    (void)state;
    expect_all_ids(nano, json_object_get(j, "encode"), 200);
    json_decref(j);
}

static void nano_decodes_as_the_reference(void **state)
{
    json_t *j = load(NANO "-vectors.json");

    (void)state;
    expect_all_texts(nano, json_object_get(j, "decode"), 100);
    json_decref(j);
}

static void both_kinds_of_file_give_the_same_tokenizer(void **state)
{
    json_t *j = load(NANO "-vectors.json");
    struct wd_tokenizer *t = NULL;
    struct wd_tensor_file *f;
    struct wd_err err = {0};

    (void)state;
    if (wd_tensor_file_open(TEST_SRCDIR "/models/nano.gguf", &f, &err) < 0 ||
        wd_tokenizer_open(f, &t, &err) < 0)
        fail_msg("%s", err.text);
    wd_tensor_file_free(f); /* the tokenizer copied what it needs */
    assert_int_equal(wd_tokenizer_count(t), wd_tokenizer_count(nano));
    for (int32_t id = 0; id < (int32_t)wd_tokenizer_count(t); id++) {
        assert_string_equal(wd_tokenizer_piece(t, id), wd_tokenizer_piece(nano, id));
        assert_int_equal(wd_tokenizer_is_control(t, id), wd_tokenizer_is_control(nano, id));
    }
    expect_all_ids(t, json_object_get(j, "encode"), 200);
    expect_all_texts(t, json_object_get(j, "decode"), 100);
    wd_tokenizer_free(t);
    json_decref(j);
}

/* Path below the shared reference material, or NULL: it is not part of the project. */
static const char *shared(const char *relative)
{
    static char path[4096];
    const char *root = getenv("WITNESSD_SHARED");

    snprintf(path, sizeof path, "%s/%s", root ? root : TEST_SRCDIR "/../shared", relative);
    return access(path, R_OK) == 0 ? path : NULL;
}

/* The strings beside the vocabulary and, a line each, their ids. */
static void expect_vocabulary_file(const struct wd_tokenizer *t)
{
    static const char between[] = "\n__ggml_vocab_test__\n";
    const char *path = shared("data/vocab/ggml-vocab-gemma-4.gguf.inp");
    char *texts, *lines, *text, *line, *next;
    size_t n, count = 0;

    assert_non_null(path);
    texts = slurp(path, &n);
    path = shared("data/vocab/ggml-vocab-gemma-4.gguf.out");
    assert_non_null(path);
    lines = slurp(path, &n);
    line = lines;
    for (text = texts; text; text = next) {
        json_t *want = json_array();
        char *end = strstr(text, between);
        size_t len = end ? (size_t)(end - text) : strlen(text);

        next = end ? end + sizeof between - 1 : NULL;
        if (!next && len == 0)
            break; /* the file ends with a mark */
        while (*line && *line != '\n')
            json_array_append_new(want, json_integer(strtol(line, &line, 10)));
        line += *line == '\n';
        text[len] = '\0';
        expect_ids(t, text, len, false, want);
        json_decref(want);
        count++;
    }
    assert_true(count >= 40);
    assert_int_equal(*line, '\0');
    free(texts);
    free(lines);
}

/* 10 MB in many scripts: ids and back, and line by line the same ids, where words are not
 * remembered from line to line. */
static void comes_back(const struct wd_tokenizer *t)
{
    const size_t cap = (size_t)10 << 20;
    char *text = malloc(cap), *again = malloc(cap + 1);
    int32_t *ids = malloc(3 * cap * sizeof *ids), *part = malloc(3 * 4096 * sizeof *part);
    size_t len = wd_many_scripts(2, text, cap), at = 0;
    int64_t n = wd_tokenizer_encode(t, text, len, false, ids, 3 * cap), k;

    assert_true(len > cap - 4096);
    assert_true(n > 0);
    assert_int_equal(wd_tokenizer_decode(t, ids, (size_t)n, false, again, cap + 1), len);
    assert_memory_equal(text, again, len);
    for (size_t i = 0; i < len;) {
        size_t line = (size_t)((char *)memchr(text + i, '\n', len - i) + 1 - (text + i));

        assert_true(line <= 4096);
        k = wd_tokenizer_encode(t, text + i, line, false, part, 3 * 4096);
        assert_true(k > 0 && at + (size_t)k <= (size_t)n);
        assert_memory_equal(ids + at, part, (size_t)k * sizeof *part);
        at += (size_t)k;
        i += line;
    }
    assert_int_equal(at, n);
    free(part);
    free(ids);
    free(again);
    free(text);
}

static void text_in_many_scripts_comes_back(void **state)
{
    (void)state;
    comes_back(nano);
}

static void the_whole_vocabulary_encodes_and_decodes_as_the_reference(void **state)
{
    const char *path = shared("data/vocab/ggml-vocab-gemma-4.gguf");
    struct wd_tokenizer *t = NULL;
    struct wd_tensor_file *f;
    struct wd_err err = {0};
    json_t *j;

    (void)state;
    if (!path)
        skip();
    if (wd_tensor_file_open(path, &f, &err) < 0 || wd_tokenizer_open(f, &t, &err) < 0)
        fail_msg("%s", err.text);
    wd_tensor_file_free(f);
    assert_int_equal(wd_tokenizer_count(t), 262144);
    assert_int_equal(wd_tokenizer_find(t, "<turn|>"), 106);
    assert_true(wd_tokenizer_is_control(t, 1));
    assert_false(wd_tokenizer_is_control(t, 212));
    path = shared("golden/tokenizer/encode.json");
    if (path) {
        j = load(path);
        expect_all_ids(t, j, 500);
        json_decref(j);
    }
    path = shared("golden/tokenizer/decode.json");
    if (path) {
        j = load(path);
        expect_all_texts(t, j, 30);
        json_decref(j);
    }
    expect_vocabulary_file(t);
    comes_back(t);
    /* The model page's own table, section 6.6, its less obvious lines. */
    j = json_pack("[{s:s,s:[i,i]},{s:s,s:[i,i,i,i,i,i,i,i,i,i]},{s:s,s:[i]},{s:s,s:[i,i,i,i,i]},{s:"
                  "s,s:[i,i]}]",
                  "text", " Hello world", "ids", 26352, 1902, "text",
                  " this is \xf0\x9f\xa6\x99.cpp", "ids", 672, 563, 236743, 478, 397, 404, 391,
                  236761, 12362, 0, "text", "\n\n\n", "ids", 109, "text", "    Hello\n    Hello",
                  "ids", 140, 9259, 107, 140, 9259, "text", "\n =", "ids", 107, 578);
    json_array_remove(json_object_get(json_array_get(j, 1), "ids"), 9);
    expect_all_ids(t, j, 5);
    json_decref(j);
    wd_tokenizer_free(t);
}

static void users_cannot_write_control_tokens(void **state)
{
    static const char *const hostile[] = {"<|turn>user", "<bos>",     "a<eos>b",
                                          "<turn|>",     "<|image|>", "<<|turn>>"};
    int32_t ids[64];

    (void)state;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        int64_t n = wd_tokenizer_encode(nano, hostile[i], strlen(hostile[i]), false, ids, 64);

        assert_true(n > 0 && n <= 64);
        for (int64_t k = 0; k < n; k++)
            assert_false(wd_tokenizer_is_control(nano, ids[k]));
    }
}

static void bytes_that_are_not_utf8_become_replacement_characters(void **state)
{
    static const struct {
        const char *bad, *like;
    } cases[] = {
        {"a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
        {"\xf0\x9f\xa6", "\xef\xbf\xbd"}, /* cut: one */
        {"\xf0\x9f"
         "a",
         "\xef\xbf\xbd"
         "a"},
        {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong: one for each byte */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\x80\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
    };
    int32_t a[64], b[64];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t len = strlen(cases[i].bad);
        char *exact = malloc(len);
        int64_t n;

        memcpy(exact, cases[i].bad, len);
        n = wd_tokenizer_encode(nano, exact, len, false, a, 64);
        assert_int_equal(
            n, wd_tokenizer_encode(nano, cases[i].like, strlen(cases[i].like), false, b, 64));
        assert_memory_equal(a, b, (size_t)n * sizeof *a);
        free(exact);
    }
}

/* The plain rule, slowly: the lowest rank first, leftmost first, over the whole text at once. What
 * encode() does by cutting and with a heap is the same. */
static size_t merge_slowly(const struct wd_tokenizer *t, const char *text, size_t len, int32_t *ids)
{
    size_t n = len;

    for (size_t i = 0; i < len; i++)
        ids[i] = wd_tokenizer_code_point(t, text[i] == ' ' ? 0x2581 : (unsigned char)text[i]);
    for (;;) {
        const struct wd_merge *best = NULL;
        size_t at = 0;

        for (size_t i = 0; i + 1 < n; i++) {
            const struct wd_merge *m =
                wd_tokenizer_merge(t, (uint32_t)ids[i], (uint32_t)ids[i + 1]);

            if (m && (!best || m->rank < best->rank)) {
                best = m;
                at = i;
            }
        }
        if (!best)
            return n;
        ids[at] = (int32_t)best->id;
        n--;
        memmove(ids + at + 1, ids + at + 2, (n - at - 1) * sizeof *ids);
    }
}

static void cutting_and_heap_give_what_the_plain_rule_gives(void **state)
{
    enum { N = 700 };
    static const char letters[] = "theinganow re\nst";
    static char text[N];
    static int32_t ids[N], slow[N];
    uint32_t seed = 7;

    (void)state;
    print_message("seed %u\n", seed);
    for (size_t round = 0; round < 24; round++) {
        /* Few letters make stretches that nothing cuts. */
        size_t len = round < 12 ? 10 + round * 7 : N - 20 * round,
               n_letters = round % 2 ? sizeof letters - 1 : 2 + round % 5;
        int64_t n;

        for (size_t i = 0; i < len; i++) {
            seed = seed * 1664525u + 1013904223u;
            text[i] = letters[(seed >> 24) % n_letters];
        }
        n = wd_tokenizer_encode(nano, text, len, false, ids, N);
        assert_int_equal(n, merge_slowly(nano, text, len, slow));
        assert_memory_equal(ids, slow, (size_t)n * sizeof *ids);
    }
}

static void a_long_run_is_no_slower_than_it_is_long(void **state)
{
    enum { N = 400000 };
    char *text = malloc(N), *again = malloc(N);
    int32_t *ids = malloc(N * sizeof *ids);
    static const char *const runs[] = {"a", "\n", " ", "<", "th", "<|turn"};

    (void)state;
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        size_t len = strlen(runs[i]);
        int64_t n;

        for (size_t k = 0; k < N; k++)
            text[k] = runs[i][k % len];
        n = wd_tokenizer_encode(nano, text, N, true, ids, N);
        assert_true(n > 0 && n <= N);
        assert_int_equal(wd_tokenizer_decode(nano, ids, (size_t)n, true, again, N), N);
        assert_memory_equal(text, again, N);
    }
    free(text);
    free(again);
    free(ids);
}

static void a_text_of_a_prompts_length_allocates_nothing(void **state)
{
    static char text[12000];
    static int32_t ids[3 * sizeof text];
    size_t len = wd_many_scripts(3, text, sizeof text);

    (void)state;
    if (!wd_no_malloc_active())
        skip();
    assert_true(len > 8192);
    wd_no_malloc_begin();
    assert_true(wd_tokenizer_encode(nano, text, len, false, ids, 3 * sizeof text) > 0);
    assert_int_equal(wd_no_malloc_end(), 0);
}

static void a_small_buffer_gets_the_first_ids(void **state)
{
    static const char text[] = "the cat and the dog";
    int32_t all[64], some[3] = {-7, -7, -7};
    int64_t n;

    (void)state;
    n = wd_tokenizer_encode(nano, text, strlen(text), false, all, 64);
    assert_true(n > 3);
    assert_int_equal(wd_tokenizer_encode(nano, text, strlen(text), false, some, 2), n);
    assert_memory_equal(some, all, 2 * sizeof *all);
    assert_int_equal(some[2], -7);
    assert_int_equal(wd_tokenizer_encode(nano, text, strlen(text), false, NULL, 0), n);
    assert_int_equal(wd_tokenizer_encode(nano, "", 0, false, NULL, 0), 0);
}

static void a_small_buffer_gets_the_beginning_of_the_text(void **state)
{
    int32_t ids[64];
    char out[8] = {0, 0, 0, 0, 0, 0, 0, 'x'};
    int64_t n = wd_tokenizer_encode(nano, "hello \xf0\x9f\xa6\x99", 10, false, ids, 64);

    (void)state;
    assert_int_equal(wd_tokenizer_decode(nano, ids, (size_t)n, false, out, 7), 10);
    assert_memory_equal(out,
                        "hello \xf0"
                        "x",
                        8);
    assert_int_equal(wd_tokenizer_decode(nano, ids, (size_t)n, false, NULL, 0), 10);
}

static void ids_that_are_none_give_nothing(void **state)
{
    const int32_t bad[] = {-1, INT32_MIN, INT32_MAX, 784};
    struct wd_detokenizer d;
    char out[WD_DETOKENIZER_MAX];

    (void)state;
    assert_int_equal(wd_tokenizer_decode(nano, bad, 4, true, out, sizeof out), 0);
    wd_detokenizer_init(&d, nano, true);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(wd_detokenizer_push(&d, bad[i], out), 0);
        assert_null(wd_tokenizer_piece(nano, bad[i]));
        assert_false(wd_tokenizer_is_control(nano, bad[i]));
    }
    assert_int_equal(wd_tokenizer_find(nano, "no such piece"), -1);
    assert_int_equal(wd_tokenizer_find(nano, "<bos>"), 2);
}

static int32_t byte_id(unsigned byte)
{
    char piece[8];

    snprintf(piece, sizeof piece, "<0x%02X>", byte);
    return wd_tokenizer_find(nano, piece);
}

static void an_incomplete_character_is_held_back(void **state)
{
    static const unsigned char llama[] = {0xf0, 0x9f, 0xa6, 0x99};
    struct wd_detokenizer d;
    char out[WD_DETOKENIZER_MAX];

    (void)state;
    wd_detokenizer_init(&d, nano, false);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(wd_detokenizer_push(&d, byte_id(llama[i]), out), 0);
    assert_int_equal(wd_detokenizer_push(&d, wd_tokenizer_find(nano, "a"), out), 5);
    assert_memory_equal(out,
                        "\xf0\x9f\xa6\x99"
                        "a",
                        5);
    wd_detokenizer_push(&d, byte_id(0xf0), out);
    assert_int_equal(wd_detokenizer_push(&d, wd_tokenizer_find(nano, "<bos>"), out),
                     0); /* hidden: does not end the run */
    wd_detokenizer_push(&d, byte_id(0x9f), out);
    assert_int_equal(wd_detokenizer_finish(&d, out), 6);
    assert_memory_equal(out, "\xef\xbf\xbd\xef\xbf\xbd", 6);
    assert_int_equal(wd_detokenizer_finish(&d, out), 0);
}

static void a_long_run_of_bytes_is_shown_as_far_as_it_is_whole(void **state)
{
    static const unsigned char e_acute[] = {0xc3, 0xa9};
    struct wd_detokenizer d;
    char out[WD_DETOKENIZER_MAX], all[4096];
    size_t n = 0;

    (void)state;
    wd_detokenizer_init(&d, nano, false);
    for (size_t i = 0; i < 401; i++) {
        size_t k = wd_detokenizer_push(&d, byte_id(e_acute[i % 2]), out);

        memcpy(all + n, out, k);
        n += k;
    }
    assert_true(n >= 401 - 64);
    for (size_t i = 0; i < n; i++)
        assert_int_equal((unsigned char)all[i], e_acute[i % 2]);
    assert_true(wd_detokenizer_finish(&d, out) > 0);
    /* And of one that is not whole, no push gives more than it may. */
    for (size_t i = 0; i < 500; i++)
        assert_true(wd_detokenizer_push(&d, byte_id(0xff), out) <= WD_DETOKENIZER_MAX);
    assert_true(wd_detokenizer_push(&d, wd_tokenizer_find(nano, "a"), out) <= WD_DETOKENIZER_MAX);
}

#define NORMALIZER                                                                                 \
    "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\" "                             \
    "\"},\"content\":\"\xe2\x96\x81\"}"
#define JSON(added, model)                                                                         \
    "{" NORMALIZER ",\"added_tokens\":[" added "],\"model\":{\"type\":\"BPE\"," model "}}"

static void a_tokenizer_json_that_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *json;
        int code;
        const char *says;
    } cases[] = {
        {"", -EINVAL, "expected an object"},
        {"{}", -EINVAL, "model"},
        {"{\"model\":{}}", -ENOTSUP, "BPE"},
        {"{\"model\":{\"type\":\"Unigram\"}}", -ENOTSUP, "BPE"},
        {JSON("", "\"vocab\":{\"a\":0}"), -EINVAL, "merges is missing"},
        {JSON("", "\"vocab\":{},\"merges\":[]"), -EINVAL, "empty vocabulary"},
        {JSON("", "\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]"), -EINVAL, "two pieces"},
        {JSON("", "\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]"), -EINVAL, "occurs twice"},
        {JSON("", "\"vocab\":{\"a\":4000000000},\"merges\":[]"), -EINVAL, "larger than"},
        {JSON("", "\"vocab\":{\"a\":-1},\"merges\":[]"), -EINVAL, "whole number"},
        {JSON("", "\"vocab\":{\"a\":0,\"b\":1},\"merges\":[\"a b\"]"), -EINVAL, "merge 0"},
        {JSON("", "\"vocab\":{\"a\":0,\"b\":1},\"merges\":[\"ab\"]"), -EINVAL, "without a space"},
        {JSON("", "\"vocab\":{\"a\":0,\"b\":1},\"merges\":[[\"a\"]]"), -EINVAL,
         "two pieces to merge"},
        {JSON("", "\"vocab\":{\"a\":0,\"b\":1},\"merges\":[[\"a\",\"b\",\"c\"]]"), -EINVAL,
         "two pieces to merge"},
        {JSON("", "\"vocab\":{\"a\":0},\"merges\":[7]"), -EINVAL, "expected"},
        {JSON("{\"id\":0}", "\"vocab\":{\"a\":0},\"merges\":[]"), -EINVAL, "without id or content"},
        {JSON("{\"id\":0,\"content\":\"b\"}", "\"vocab\":{\"a\":0},\"merges\":[]"), -EINVAL,
         "another piece"},
        {JSON("{\"id\":0,\"content\":\"bb\"}", "\"vocab\":{\"a\":0},\"merges\":[]"), -EINVAL,
         "another piece"},
        {JSON("{\"id\":1,\"content\":\"\"}", "\"vocab\":{\"a\":0},\"merges\":[]"), -EINVAL,
         "empty"},
        {JSON("{\"id\":1,\"content\":\"b\",\"lstrip\":true}", "\"vocab\":{\"a\":0},\"merges\":[]"),
         -EINVAL, "strips"},
        {JSON("", "\"vocab\":{\"a\":0},\"merges\":[],\"ignore_merges\":true"), -ENOTSUP,
         "ignore_merges"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}", -ENOTSUP,
         "normalizer"},
        {"{" NORMALIZER ",\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\","
         "\"vocab\":{\"a\":0},"
         "\"merges\":[]}}",
         -ENOTSUP, "pre-tokenizer"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wd_tokenizer *t = NULL;
        struct wd_err err = {0};

        assert_int_equal(wd_tokenizer_from_json("tokenizer.json", cases[i].json,
                                                strlen(cases[i].json), &t, &err),
                         cases[i].code);
        assert_null(t);
        if (!strstr(err.text, cases[i].says) || !strstr(err.text, "tokenizer.json"))
            fail_msg("'%s' does not say '%s'", err.text, cases[i].says);
    }
}

static void a_tokenizer_json_cut_anywhere_is_refused(void **state)
{
    size_t n;
    char *json = slurp(NANO ".json", &n);

    (void)state;
    for (size_t cut = 0; cut < n; cut += cut < 3000 || cut > n - 3000 ? 61 : 997) {
        char *part = malloc(cut ? cut : 1);
        struct wd_tokenizer *t = NULL;
        struct wd_err err = {0};

        memcpy(part, json, cut);
        assert_int_equal(wd_tokenizer_from_json("t", part, cut, &t, &err), -EINVAL);
        assert_true(err.text[0] != '\0');
        free(part);
    }
    free(json);
}

static void characters_without_piece_or_bytes_are_unknown_once(void **state)
{
    static const char json[] =
        JSON("", "\"unk_token\":\"?\",\"vocab\":{\"?\":0,\"a\":1},\"merges\":[]");
    struct wd_tokenizer *t = NULL;
    int32_t ids[8];

    (void)state;
    assert_int_equal(wd_tokenizer_from_json("t", json, strlen(json), &t, NULL), 0);
    assert_int_equal(wd_tokenizer_encode(t, "axyzax", 6, false, ids, 8), 4);
    assert_memory_equal(ids, ((const int32_t[]){1, 0, 1, 0}), 16);
    wd_tokenizer_free(t);
}

/* Some files have ordinary strings among their added tokens, which are found in any text; markup
 * never is, whatever they call it. */
static void added_tokens_that_are_not_special_are_found_in_any_text(void **state)
{
    static const char json[] =
        JSON("{\"id\":4,\"content\":\"aa\",\"special\":false},{\"id\":5,\"content\":\"<|x>\","
             "\"special\":false}",
             "\"vocab\":{\"a\":0,\"<\":1,\"|\":2,\">\":3,\"x\":6},\"merges\":[]");
    struct wd_tokenizer *t = NULL;
    int32_t ids[8];

    (void)state;
    assert_int_equal(wd_tokenizer_from_json("t", json, strlen(json), &t, NULL), 0);
    assert_int_equal(wd_tokenizer_encode(t, "aaa<|x>", 7, false, ids, 8), 6);
    assert_memory_equal(ids, ((const int32_t[]){4, 0, 1, 2, 6, 3}), 24);
    assert_int_equal(wd_tokenizer_encode(t, "aaa<|x>", 7, true, ids, 8), 3);
    assert_int_equal(ids[2], 5);
    wd_tokenizer_free(t);
}

/* A file may hold its types as anything; what is not 3 or 4 is no control token. */
static void types_that_are_no_whole_numbers_are_harmless(void **state)
{
    static const char *const pieces[] = {"a", "b", "c"}, *const none[] = {""};
    static const float types[] = {(float)(0.0 / 0.0), 1e30f, 3};
    struct wd_tensor_file *f;
    struct wd_tokenizer *t = NULL;
    struct bytes b;
    struct gguf g;

    (void)state;
    gguf_init(&g);
    gguf_str(&g, "tokenizer.ggml.model", "gemma4");
    gguf_strs(&g, "tokenizer.ggml.tokens", pieces, 3);
    gguf_strs(&g, "tokenizer.ggml.merges", none, 0);
    gguf_raw(&g, "tokenizer.ggml.token_type", 9, NULL, 0);
    bytes_u32(&g.keys, 6);
    bytes_u64(&g.keys, 3);
    bytes_put(&g.keys, types, sizeof types);
    b = gguf_finish(&g);
    assert_int_equal(wd_tensor_file_from_memory("small", b.at, b.n, &f, NULL), 0);
    assert_int_equal(wd_tokenizer_open(f, &t, NULL), 0);
    assert_false(wd_tokenizer_is_control(t, 0) || wd_tokenizer_is_control(t, 1));
    assert_true(wd_tokenizer_is_control(t, 2));
    wd_tokenizer_free(t);
    wd_tensor_file_free(f);
    bytes_free(&b);
}

struct gguf_case {
    const char *model;
    size_t n_types;
    const char *const *merges;
    size_t n_merges;
    int code;
    const char *says;
};

static void a_gguf_without_a_whole_tokenizer_is_refused(void **state)
{
    static const char *const pieces[] = {"<pad>", "<eos>", "a", "b", "ab"}, *const good[] = {"a b"},
                             *const bad[] = {"a c"}, *const joined[] = {"ab"};
    static const int32_t types[] = {3, 1, 1, 1, 1};
    static const struct gguf_case cases[] = {
        {NULL, 5, good, 1, -EINVAL, "tokenizer.ggml.model"},
        {"llama", 5, good, 1, -ENOTSUP, "'llama'"},
        {"gemma4", 4, good, 1, -EINVAL, "token_type"},
        {"gemma4", 5, bad, 1, -EINVAL, "merge 0"},
        {"gemma4", 5, joined, 1, -EINVAL, "has no space"},
        {"gemma4", 5, NULL, 0, -EINVAL, "merges' is missing"},
        {"gemma4", 5, good, 1, 0, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct gguf_case *c = &cases[i];
        struct wd_tensor_file *f;
        struct wd_tokenizer *t = NULL;
        struct wd_err err = {0};
        struct bytes b;
        struct gguf g;

        gguf_init(&g);
        if (c->model)
            gguf_str(&g, "tokenizer.ggml.model", c->model);
        gguf_strs(&g, "tokenizer.ggml.tokens", pieces, 5);
        gguf_i32s(&g, "tokenizer.ggml.token_type", types, c->n_types);
        if (c->merges)
            gguf_strs(&g, "tokenizer.ggml.merges", c->merges, c->n_merges);
        b = gguf_finish(&g);
        assert_int_equal(wd_tensor_file_from_memory("small", b.at, b.n, &f, NULL), 0);
        assert_int_equal(wd_tokenizer_open(f, &t, &err), c->code);
        if (!strstr(err.text, c->says))
            fail_msg("'%s' does not say '%s'", err.text, c->says);
        if (c->code == 0) {
            int32_t ids[4];

            assert_true(wd_tokenizer_is_control(t, 1)); /* <eos>, typed as an ordinary piece */
            assert_int_equal(wd_tokenizer_encode(t, "abba", 4, false, ids, 4), 3);
            assert_memory_equal(ids, ((const int32_t[]){4, 3, 2}), 12);
        }
        wd_tokenizer_free(t);
        wd_tensor_file_free(f);
        bytes_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nano_encodes_as_the_reference),
        cmocka_unit_test(nano_decodes_as_the_reference),
        cmocka_unit_test(both_kinds_of_file_give_the_same_tokenizer),
        cmocka_unit_test(text_in_many_scripts_comes_back),
        cmocka_unit_test(the_whole_vocabulary_encodes_and_decodes_as_the_reference),
        cmocka_unit_test(users_cannot_write_control_tokens),
        cmocka_unit_test(bytes_that_are_not_utf8_become_replacement_characters),
        cmocka_unit_test(cutting_and_heap_give_what_the_plain_rule_gives),
        cmocka_unit_test(a_long_run_is_no_slower_than_it_is_long),
        cmocka_unit_test(a_text_of_a_prompts_length_allocates_nothing),
        cmocka_unit_test(a_small_buffer_gets_the_first_ids),
        cmocka_unit_test(a_small_buffer_gets_the_beginning_of_the_text),
        cmocka_unit_test(ids_that_are_none_give_nothing),
        cmocka_unit_test(an_incomplete_character_is_held_back),
        cmocka_unit_test(a_long_run_of_bytes_is_shown_as_far_as_it_is_whole),
        cmocka_unit_test(a_tokenizer_json_that_cannot_be_is_refused),
        cmocka_unit_test(a_tokenizer_json_cut_anywhere_is_refused),
        cmocka_unit_test(characters_without_piece_or_bytes_are_unknown_once),
        cmocka_unit_test(added_tokens_that_are_not_special_are_found_in_any_text),
        cmocka_unit_test(types_that_are_no_whole_numbers_are_harmless),
        cmocka_unit_test(a_gguf_without_a_whole_tokenizer_is_refused),
    };

    return cmocka_run_group_tests_name("model/tokenizer", tests, open_nano, close_nano);
}
