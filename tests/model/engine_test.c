/* tests/model/engine_test.c - what is opened, what is refused, and what it says of itself. */
#include "model/engine.h"

#include "model/decoder.h"
#include "model/kernels.h"
#include "model/tokenizer.h"
#include "tests/model/small_model.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], path[128];

static int write_model(void **state)
{
    (void)state;
    wd_small_write("odd", false, folder);
    snprintf(path, sizeof path, "%s/text.gguf", folder);
    return 0;
}

static int remove_model(void **state)
{
    (void)state;
    wd_small_remove(folder);
    return 0;
}

static void an_engine_says_what_it_opened(void **state)
{
    struct wd_engine_opts opts = {.n_threads = 3, .max_rows = 77, .kernels = "ref"};
    struct wd_engine *e;
    struct wd_engine_memory m;
    struct wd_err err = {0};

    (void)state;
    if (wd_engine_open(path, &opts, &e, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(wd_engine_shape(e)->d_model, 168);
    assert_true(wd_engine_shape(e)->has_vision);
    assert_int_equal(wd_engine_threads(e), 3);
    assert_int_equal(wd_engine_max_rows(e), 77);
    assert_string_equal(wd_engine_kernels(e), "ref");
    assert_int_equal(wd_tokenizer_count(wd_engine_tokenizer(e)), 1024);
    assert_int_equal(strlen(wd_engine_hash(e)), 16);
    m = wd_engine_memory(e);
    assert_true(m.weights_bytes > 1000000 && m.scratch_bytes > 77 * 168 * 4);
    assert_int_equal(m.kv_bytes, 0);
    wd_engine_free(e);
}

static void defaults_are_the_best_kernels_and_room_for_a_picture(void **state)
{
    struct wd_engine *e;
    struct wd_err err = {0};

    (void)state;
    if (wd_engine_open(path, NULL, &e, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(wd_engine_kernels(e), wd_kernels_best()->name);
    assert_int_equal(wd_engine_max_rows(e), 1536);
    assert_true(wd_engine_threads(e) >= 1);
    wd_engine_free(e);
}

static void kernels_nobody_built_are_refused_by_name(void **state)
{
    struct wd_engine_opts opts = {.kernels = "abacus"};
    struct wd_engine *e = NULL;
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(wd_engine_open(path, &opts, &e, &err), -EINVAL);
    assert_non_null(strstr(err.text, "abacus"));
    assert_null(e);
}

static void what_is_no_model_is_refused_by_path(void **state)
{
    struct wd_engine *e = NULL;
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(wd_engine_open("/nowhere/model.gguf", NULL, &e, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/model.gguf"));
    assert_int_equal(wd_engine_open(TEST_SRCDIR "/README.md", NULL, &e, &err), -EINVAL);
    assert_non_null(strstr(err.text, "README.md"));
    assert_null(e);
}

static void a_tokenizer_that_knows_more_words_than_the_embedding_is_refused(void **state)
{
    struct wd_engine *e = NULL;
    struct wd_err err = {0};
    const uint64_t rows = 1000;
    char small[64], file[128];

    (void)state;
    wd_small_write("odd", false, small);
    snprintf(file, sizeof file, "%s/text.gguf", small);
    wd_small_patch(small, "text.gguf", "token_embd.weight", 4 + 8, &rows, 8);
    assert_true(wd_engine_open(file, NULL, &e, &err) < 0);
    assert_non_null(strstr(err.text, "1024"));
    assert_non_null(strstr(err.text, "1000"));
    wd_small_remove(small);
}

static void the_memory_of_decoders_is_counted_while_they_live(void **state)
{
    struct wd_engine *e = wd_small_open(folder, false, 64);
    struct wd_decoder *a, *b;
    int32_t ids[64];
    size_t one;

    (void)state;
    wd_small_ids(1, ids, 64);
    assert_int_equal(wd_decoder_new(e, 200, 50, &a, NULL), 0);
    assert_int_equal(wd_engine_memory(e).kv_bytes, 0); /* nothing fed, nothing used */
    assert_int_equal(wd_small_feed(e, a, ids, 40, NULL), 0);
    one = wd_engine_memory(e).kv_bytes;
    assert_true(one > 0);
    assert_int_equal(wd_decoder_fork(a, &b, NULL), 0);
    assert_int_equal(wd_engine_memory(e).kv_bytes, one); /* what both share is there once */
    assert_int_equal(wd_small_feed(e, b, ids, 1, NULL), 0);
    assert_true(wd_engine_memory(e).kv_bytes > one && wd_engine_memory(e).kv_bytes < 2 * one);
    wd_decoder_free(a);
    assert_int_equal(wd_engine_memory(e).kv_bytes, one);
    wd_decoder_free(b);
    assert_int_equal(wd_engine_memory(e).kv_bytes, 0);
    wd_engine_free(e);
}

/* Only in a folder of its own: the file is cut. */
static void a_model_file_that_shrinks_ends_in_an_error(void **state)
{
    struct wd_engine_opts opts = {.n_threads = 2, .max_rows = 64};
    struct wd_engine *e;
    struct wd_decoder *d;
    struct wd_err err = {0};
    char own[64], file[128];
    int32_t ids[8];

    (void)state;
    wd_small_write("odd", false, own);
    snprintf(file, sizeof file, "%s/text.gguf", own);
    if (wd_engine_open(file, &opts, &e, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(wd_decoder_new(e, 64, 8, &d, &err), 0);
    wd_small_ids(1, ids, 8);
    assert_int_equal(wd_small_feed(e, d, ids, 8, NULL), 0);
    assert_int_equal(truncate(file, 4096), 0);
    for (int i = 0; i < 2; i++) {
        struct wd_span span = {.kind = WD_SPAN_TOKENS, .n = 8, .ids = ids};
        struct wd_pass_part part = {.decoder = d, .spans = &span, .n_spans = 1};

        err.code = 0;
        assert_int_equal(wd_decoder_pass(e, &part, 1, &err), -EIO);
        assert_non_null(strstr(err.text, "text.gguf"));
        assert_non_null(strstr(err.text, "shorter"));
    }
    wd_decoder_free(d);
    wd_engine_free(e);
    wd_small_remove(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_engine_says_what_it_opened),
        cmocka_unit_test(defaults_are_the_best_kernels_and_room_for_a_picture),
        cmocka_unit_test(kernels_nobody_built_are_refused_by_name),
        cmocka_unit_test(what_is_no_model_is_refused_by_path),
        cmocka_unit_test(a_tokenizer_that_knows_more_words_than_the_embedding_is_refused),
        cmocka_unit_test(the_memory_of_decoders_is_counted_while_they_live),
        cmocka_unit_test(a_model_file_that_shrinks_ends_in_an_error),
    };

    return cmocka_run_group_tests(tests, write_model, remove_model);
}
