/* tests/model/weights_test.c - a checkpoint's tensors under both kinds of names; what is missing or misshapen is named. */
#include "model/weights.h"

#include "model/tensor_file.h"
#include "tests/golden/checkpoint.h"
#include "tests/model/small_model.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char gguf[64], hf[64]; /* the same checkpoint in both forms */
static char damaged[64];

static int write_both(void **state)
{
    (void)state;
    wd_small_write("odd", false, gguf);
    wd_small_write("odd", true, hf);
    return 0;
}

static int remove_both(void **state)
{
    (void)state;
    wd_small_remove(gguf);
    wd_small_remove(hf);
    return 0;
}

static void copy(const char *from, const char *to, const char *name)
{
    static char block[1 << 16];
    char path[512];
    FILE *in, *out;
    size_t n;

    snprintf(path, sizeof path, "%s/%s", from, name);
    in = fopen(path, "rb");
    assert_non_null(in);
    snprintf(path, sizeof path, "%s/%s", to, name);
    out = fopen(path, "wb");
    assert_non_null(out);
    while ((n = fread(block, 1, sizeof block, in)) > 0)
        assert_int_equal(fwrite(block, 1, n, out), n);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

/* A copy to be damaged. */
static int set_up(void **state)
{
    (void)state;
    snprintf(damaged, sizeof damaged, "/tmp/witnessd-model-XXXXXX");
    return mkdtemp(damaged) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    wd_small_remove(damaged);
    return 0;
}

static void copy_gguf(void)
{
    copy(gguf, damaged, "text.gguf");
    copy(gguf, damaged, "mmproj.gguf");
}

static int open_in(const char *folder, const char *file, const char *mmproj, struct wd_weights *w, struct wd_err *err)
{
    char path[256], media[256];

    snprintf(path, sizeof path, "%s%s%s", folder, file ? "/" : "", file ? file : "");
    snprintf(media, sizeof media, "%s/%s", folder, mmproj ? mmproj : "");
    return wd_weights_open(path, mmproj ? media : NULL, w, err);
}

static void refused(const char *file, const char *mmproj, const char *tensor, const char *why)
{
    struct wd_weights w;
    struct wd_err err = {0};

    if (open_in(damaged, file, mmproj, &w, &err) == 0)
        fail_msg("a file with a bad %s was taken", tensor);
    assert_true(err.code < 0);
    if (!strstr(err.text, tensor) || !strstr(err.text, why) || !strstr(err.text, damaged))
        fail_msg("'%s' does not name %s, %s and the file", err.text, tensor, why);
}

static void same_matrix(const struct wd_matrix *a, const struct wd_matrix *b)
{
    assert_int_equal(a->n_out, b->n_out);
    assert_int_equal(a->n_in, b->n_in);
    assert_int_equal(a->type, WD_TYPE_F32);
    assert_int_equal(b->type, WD_TYPE_F32);
    assert_memory_equal(a->data, b->data, (size_t)a->n_out * a->n_in * 4);
}

static void both_forms_hold_the_same_weights(void **state)
{
    struct wd_weights a, b;
    struct wd_err err = {0};
    float rows[2][128];

    (void)state;
    if (open_in(gguf, "text.gguf", NULL, &a, &err) < 0 || open_in(hf, NULL, NULL, &b, &err) < 0)
        fail_msg("%s", err.text);
    assert_non_null(a.media); /* found beside the text file */
    assert_null(b.media);
    assert_true(a.shape.has_vision && a.shape.has_audio && b.shape.has_vision && b.shape.has_audio);
    same_matrix(&a.embed, &b.embed);
    assert_ptr_equal(a.head.data, a.embed.data); /* tied */
    same_matrix(&a.audio, &b.audio);
    same_matrix(&a.vision.proj, &b.vision.proj);
    assert_int_equal(a.shape.n_layers, 5);
    for (unsigned i = 0; i < 5; i++) {
        const struct wd_layer_weights *la = &a.layers[i], *lb = &b.layers[i];

        same_matrix(&la->q, &lb->q);
        same_matrix(&la->down, &lb->down);
        assert_true(la->scalar == lb->scalar);
        assert_memory_equal(la->post_ff_norm, lb->post_ff_norm, a.shape.d_model * sizeof(float));
        assert_int_equal(la->v.data == NULL, a.shape.layers[i].full); /* V shares K on full layers */
    }
    assert_true(a.vision.pos_slabs && !b.vision.pos_slabs);
    for (unsigned axis = 0; axis < 2; axis++)
        for (uint32_t at = 0; at < a.shape.mm_positions; at += 373) {
            assert_true(a.shape.mm_embed <= 128);
            wd_weights_pos_row(&a, axis, at, rows[0]);
            wd_weights_pos_row(&b, axis, at, rows[1]);
            assert_memory_equal(rows[0], rows[1], a.shape.mm_embed * sizeof(float));
        }
    assert_int_equal(strlen(a.hash), 16);
    assert_string_not_equal(a.hash, b.hash); /* names count too */
    assert_true(a.mapped_bytes > 4u * 1024 * a.shape.d_model);
    wd_weights_done(&a);
    wd_weights_done(&b);
}

static void a_changed_weight_changes_the_digest(void **state)
{
    struct wd_weights a, b;
    struct wd_err err = {0};
    const float x = 0.125f;
    char path[128], *all, *at;
    size_t n;
    FILE *f;

    (void)state;
    copy_gguf();
    if (open_in(gguf, "text.gguf", NULL, &a, &err) < 0)
        fail_msg("%s", err.text);
    n = wd_tensor_file_bytes(a.text);
    snprintf(path, sizeof path, "%s/text.gguf", damaged);
    f = fopen(path, "r+b");
    all = malloc(n);
    assert_true(f && all && fread(all, 1, n, f) == n);
    at = memmem(all, n, a.norm, 64);
    assert_non_null(at);
    assert_int_equal(fseek(f, at - all, SEEK_SET), 0);
    fwrite(&x, sizeof x, 1, f);
    fclose(f);
    free(all);
    if (open_in(damaged, "text.gguf", NULL, &b, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(b.norm[0] == x && b.norm[1] == a.norm[1]);
    assert_string_not_equal(a.hash, b.hash);
    wd_weights_done(&a);
    wd_weights_done(&b);
}

static void a_missing_tensor_is_named(void **state)
{
    static const char *const text[] = {"blk.3.attn_q.weight", "blk.0.ffn_norm.weight", "blk.4.layer_output_scale.weight", "output_norm.weight"};
    static const char *const media[] = {"v.patch_norm.2.bias", "v.patch_embd.weight"};

    (void)state;
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        copy_gguf();
        wd_small_patch(damaged, "text.gguf", text[i], -1, "X", 1);
        refused("text.gguf", NULL, text[i], "missing");
    }
    for (size_t i = 0; i < sizeof media / sizeof media[0]; i++) {
        copy_gguf();
        wd_small_patch(damaged, "mmproj.gguf", media[i], -1, "X", 1);
        refused("text.gguf", NULL, media[i], "missing");
    }
    copy(hf, damaged, "config.json");
    copy(hf, damaged, "generation_config.json");
    copy(hf, damaged, "tokenizer.json");
    copy(hf, damaged, "model.safetensors");
    wd_small_patch(damaged, "model.safetensors", "model.language_model.layers.2.mlp.up_proj.weight", -1, "X", 1);
    refused(NULL, NULL, "model.language_model.layers.2.mlp.up_proj.weight", "missing");
}

static void a_wrong_shape_is_named_with_both_shapes(void **state)
{
    const uint64_t fewer = 100, one = 1;

    (void)state;
    /* Behind a name: u32 number of dimensions, then u64 each. */
    copy_gguf();
    wd_small_patch(damaged, "text.gguf", "blk.1.ffn_up.weight", 4 + 8, &fewer, 8);
    refused("text.gguf", NULL, "blk.1.ffn_up.weight", "168 x 100 x 1 (fastest first), expected 168 x 200");
    copy_gguf();
    wd_small_patch(damaged, "text.gguf", "blk.2.attn_k_norm.weight", 4, &one, 8);
    refused("text.gguf", NULL, "blk.2.attn_k_norm.weight", "expected 40");
    copy_gguf();
    wd_small_patch(damaged, "mmproj.gguf", "v.position_embd.weight", 4 + 16, &one, 8);
    refused("text.gguf", NULL, "v.position_embd.weight", "");
    copy_gguf();
    wd_small_patch(damaged, "mmproj.gguf", "v.patch_norm.3.bias", 4, &fewer, 8);
    refused("text.gguf", NULL, "v.patch_norm.3.bias", "expected 104");
}

static void matrices_of_the_front_end_keep_sixteen_bits(void **state)
{
    static const char *const names[] = {"mm.a.input_projection.weight", "v.patch_embd.weight"};
    const uint32_t q8_0 = WD_TYPE_Q8_0, f16 = WD_TYPE_F16;
    struct wd_weights w;
    struct wd_err err = {0};

    (void)state;
    for (size_t i = 0; i < 2; i++) { /* behind the name: u32 2, two u64, u32 type */
        copy_gguf();
        wd_small_patch(damaged, "mmproj.gguf", names[i], 4 + 16, &q8_0, 4);
        refused("text.gguf", "mmproj.gguf", names[i], "is Q8_0: matrices of sound and pictures must have 16 bits");
        wd_small_patch(damaged, "mmproj.gguf", names[i], 4 + 16, &f16, 4);
        assert_int_equal(open_in(damaged, "text.gguf", "mmproj.gguf", &w, &err), 0);
        wd_weights_done(&w);
    }
}

static void a_media_file_of_another_width_is_refused_when_named(void **state)
{
    char other[64];
    struct wd_weights w;
    struct wd_err err = {0};

    (void)state;
    wd_small_write("wide", false, other);
    copy(gguf, damaged, "text.gguf");
    copy(other, damaged, "mmproj.gguf");
    wd_small_remove(other);
    assert_true(open_in(damaged, "text.gguf", "mmproj.gguf", &w, &err) < 0);
    assert_non_null(strstr(err.text, "mmproj.gguf"));
    assert_non_null(strstr(err.text, "320")); /* it projects to */
    assert_non_null(strstr(err.text, "168"));
}

static void beside_the_text_only_a_media_file_of_its_width_is_taken(void **state)
{
    char other[64], from[128], to[128];
    struct wd_weights w;
    struct wd_err err = {0};

    (void)state;
    copy(gguf, damaged, "text.gguf");
    wd_small_write("wide", false, other);
    copy(other, damaged, "mmproj.gguf");
    wd_small_remove(other);
    snprintf(from, sizeof from, "%s/mmproj.gguf", damaged);
    snprintf(to, sizeof to, "%s/another-mmproj.gguf", damaged);
    assert_int_equal(rename(from, to), 0);
    if (open_in(damaged, "text.gguf", NULL, &w, &err) < 0)
        fail_msg("%s", err.text);
    assert_null(w.media);
    assert_false(w.shape.has_vision || w.shape.has_audio);
    wd_weights_done(&w);
    copy(gguf, damaged, "mmproj.gguf"); /* behind the other one in the order of names */
    if (open_in(damaged, "text.gguf", NULL, &w, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(w.shape.has_vision && w.shape.has_audio);
    wd_weights_done(&w);
}

static void a_media_file_that_is_none_is_an_error_only_when_named(void **state)
{
    struct wd_weights w;
    struct wd_err err = {0};
    char path[128];
    FILE *f;

    (void)state;
    copy(gguf, damaged, "text.gguf");
    snprintf(path, sizeof path, "%s/mmproj.gguf", damaged);
    f = fopen(path, "wb");
    assert_non_null(f);
    fputs("no model", f);
    fclose(f);
    assert_true(open_in(damaged, "text.gguf", "mmproj.gguf", &w, &err) < 0);
    assert_non_null(strstr(err.text, "mmproj.gguf"));
    assert_int_equal(open_in(damaged, "text.gguf", "absent.gguf", &w, NULL), -ENOENT);
    err = (struct wd_err){0};
    assert_int_equal(open_in(damaged, "text.gguf", NULL, &w, &err), 0);
    assert_int_equal(err.code, 0);
    wd_weights_done(&w);
}

struct heard {
    unsigned n;
    char text[4][512];
};

static void hear(void *ctx, const char *problem)
{
    struct heard *h = ctx;

    snprintf(h->text[h->n % 4], sizeof h->text[0], "%s", problem);
    h->n++;
}

static void all_that_is_wrong_is_said(void **state)
{
    struct heard heard = {0};
    struct wd_weights_problems problems = {hear, &heard};
    const struct wd_tensor *t;
    struct wd_weights w;
    struct wd_err err = {0};
    char path[256];

    (void)state;
    copy_gguf();
    wd_small_patch(damaged, "text.gguf", "blk.0.attn_q.weight", -2, "X", 1);
    wd_small_patch(damaged, "text.gguf", "blk.1.layer_output_scale.weight", -2, "X", 1);
    snprintf(path, sizeof path, "%s/text.gguf", damaged);
    if (wd_weights_open_all(path, NULL, &problems, &w, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(heard.n, 2);
    assert_non_null(strstr(heard.text[0], "'blk.0.attn_q.weight' is missing"));
    assert_non_null(strstr(heard.text[1], "'blk.1.layer_output_scale.weight' is missing"));
    t = wd_weights_unused(&w, 0);
    assert_non_null(t);
    assert_non_null(wd_weights_unused(&w, 1));
    assert_null(wd_weights_unused(&w, 2));
    assert_non_null(strchr(t->name, 'X'));
    wd_weights_done(&w);
    assert_true(wd_weights_open(path, NULL, &w, &err) == -EINVAL);
}

static void no_tensor_of_a_whole_model_is_left_over(void **state)
{
    struct wd_weights w;
    struct wd_err err = {0};
    char path[256];

    (void)state;
    snprintf(path, sizeof path, "%s/text.gguf", gguf);
    assert_int_equal(wd_weights_open(path, NULL, &w, &err), 0);
    assert_non_null(w.media);
    assert_null(wd_weights_unused(&w, 0));
    wd_weights_done(&w);
    assert_int_equal(wd_weights_open(hf, NULL, &w, &err), 0);
    assert_null(wd_weights_unused(&w, 0));
    wd_weights_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_hold_the_same_weights),
        cmocka_unit_test_setup_teardown(a_changed_weight_changes_the_digest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_tensor_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wrong_shape_is_named_with_both_shapes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(matrices_of_the_front_end_keep_sixteen_bits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_media_file_of_another_width_is_refused_when_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(beside_the_text_only_a_media_file_of_its_width_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_media_file_that_is_none_is_an_error_only_when_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(all_that_is_wrong_is_said, set_up, tear_down),
        cmocka_unit_test(no_tensor_of_a_whole_model_is_left_over),
    };

    return cmocka_run_group_tests(tests, write_both, remove_both);
}
