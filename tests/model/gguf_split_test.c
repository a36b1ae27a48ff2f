/* tests/model/gguf_split_test.c - a split GGUF file is one model; a part that is missing or of
 * another is named. */
#include "model/tensor_file.h"

#include "tests/model/model_writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char *folder;

static int set_up(void **state)
{
    (void)state;
    folder = temp_folder();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    temp_remove(folder);
    return 0;
}

/* A part with one tensor of four numbers counting from `no`, of the name given. */
static void put(const char *file, uint16_t no, uint16_t count, int32_t total, const char *name)
{
    static const uint64_t four = 4;
    const float values[4] = {no, no + 1, no + 2, no + 3};
    struct bytes bytes;
    struct gguf g;

    gguf_init(&g);
    gguf_raw(&g, "split.no", 2, &no, sizeof no);
    gguf_raw(&g, "split.count", 2, &count, sizeof count);
    gguf_raw(&g, "split.tensors.count", 5, &total, sizeof total);
    if (no == 0)
        gguf_str(&g, "general.name", "whole");
    else if (no == 1) { /* of this part alone */
        g.alignment = 64;
        gguf_u32(&g, "general.alignment", 64);
    }
    gguf_tensor(&g, name, WD_TYPE_F32, &four, 1, values, sizeof values);
    bytes = gguf_finish(&g);
    temp_file(folder, file, bytes.at, bytes.n);
    bytes_free(&bytes);
}

static int open_file(const char *name, struct wd_tensor_file **ret, struct wd_err *err)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return wd_tensor_file_open(path, ret, err);
}

static void refused(const char *name, int code, const char *says, const char *says_too)
{
    struct wd_tensor_file *f = NULL;
    struct wd_err err = {0};

    assert_int_equal(open_file(name, &f, &err), code);
    assert_null(f);
    if (!strstr(err.text, says) || !strstr(err.text, says_too))
        fail_msg("'%s' does not say '%s' and '%s'", err.text, says, says_too);
}

static void put_three(void)
{
    put("m-00001-of-00003.gguf", 0, 3, 3, "a");
    put("m-00002-of-00003.gguf", 1, 3, 3, "b");
    put("m-00003-of-00003.gguf", 2, 3, 3, "c");
}

static void the_parts_of_a_split_file_are_one(void **state)
{
    struct wd_tensor_file *f = NULL;
    struct wd_err err = {0};
    const char *s;
    size_t len;
    uint64_t v;

    (void)state;
    put_three();
    if (open_file("m-00001-of-00003.gguf", &f, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(wd_tensor_file_count(f), 3);
    assert_true(((const float *)wd_tensor_file_find(f, "a")->data)[0] == 0);
    assert_true(((const float *)wd_tensor_file_find(f, "b")->data)[3] == 4);
    assert_true(((const float *)wd_tensor_file_find(f, "c")->data)[0] == 2);
    assert_true(wd_tensor_file_str(f, "general.name", &s, &len) && len == 5);
    assert_true(wd_tensor_file_u64(f, "split.no", &v) && v == 0);
    assert_false(wd_tensor_file_u64(f, "general.alignment", &v));
    wd_tensor_file_free(f);
}

static void one_part_of_one_is_a_file_like_others(void **state)
{
    struct wd_tensor_file *f = NULL;

    (void)state;
    put("any.gguf", 0, 1, 1, "a");
    assert_int_equal(open_file("any.gguf", &f, NULL), 0);
    wd_tensor_file_free(f);
}

static void a_missing_part_is_named(void **state)
{
    char path[4096];

    (void)state;
    put_three();
    snprintf(path, sizeof path, "%s/m-00002-of-00003.gguf", folder);
    assert_int_equal(unlink(path), 0);
    refused("m-00001-of-00003.gguf", -ENOENT, "m-00002-of-00003.gguf", "part 2 of 3");
}

static void another_part_than_the_first_says_so(void **state)
{
    (void)state;
    put_three();
    refused("m-00002-of-00003.gguf", -EINVAL, "part 2 of 3", "give the first");
}

static void parts_that_do_not_belong_together_are_refused(void **state)
{
    const char *const first = "m-00001-of-00003.gguf", *const second = "m-00002-of-00003.gguf";

    (void)state;
    put_three();
    put(second, 1, 4, 3, "b");
    refused(first, -EINVAL, second, "split.count");
    put(second, 2, 3, 3, "b");
    refused(first, -EINVAL, second, "split.no");
    put(second, 1, 3, 9, "b");
    refused(first, -EINVAL, second, "split.tensors.count");
    put(second, 1, 3, 3, "a");
    refused(first, -EINVAL, "'a'", "twice");
    temp_file(folder, second, "no model", 8);
    refused(first, -EINVAL, second, "not a GGUF file");
    temp_file(folder, second, "GGUF", 4);
    refused(first, -EINVAL, second, "ends at byte 4");
}

static void counts_that_cannot_be_are_refused(void **state)
{
    (void)state;
    put("m-00001-of-00003.gguf", 0, 3, 4, "a");
    put("m-00002-of-00003.gguf", 1, 3, 4, "b");
    put("m-00003-of-00003.gguf", 2, 3, 4, "c");
    refused("m-00001-of-00003.gguf", -EINVAL, "hold 3 tensors", "is 4");
    put("m-00001-of-65535.gguf", 0, 65535, 4, "a");
    refused("m-00001-of-65535.gguf", -EINVAL, "65535", "at most 1000");
    put("m-00001-of-00002.gguf", 5, 2, 4, "a");
    refused("m-00001-of-00002.gguf", -EINVAL, "split.no", "split.count");
    put("renamed.gguf", 0, 2, 2, "a");
    refused("renamed.gguf", -EINVAL, "part 1 of 2", "-00001-of-00002.gguf");
    put("m-00001-of-00003.gguf", 0, 2, 2, "a");
    refused("m-00001-of-00003.gguf", -EINVAL, "part 1 of 2", "-00001-of-00002.gguf");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_parts_of_a_split_file_are_one),
        TEST(one_part_of_one_is_a_file_like_others),
        TEST(a_missing_part_is_named),
        TEST(another_part_than_the_first_says_so),
        TEST(parts_that_do_not_belong_together_are_refused),
        TEST(counts_that_cannot_be_are_refused),
    };

    return cmocka_run_group_tests_name("model/gguf_split", tests, NULL, NULL);
}
