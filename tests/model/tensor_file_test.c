/* tests/model/tensor_file_test.c - what is in a model file is found, a damaged one refused. */
#include "model/tensor_file.h"

#include "tests/model/model_writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const uint64_t two_by_three[] = {2, 3};

/* Every kind of value, and tensors of two types. */
static struct bytes good_gguf(void)
{
    static const char *const words[] = {"one", "", "three \xe2\x96\x81"};
    static const int32_t numbers[] = {-1, 0, 70000};
    static const unsigned char flags[] = {1, 0, 1};
    static const float values[] = {1, 2, 3, 4, 5, 6};
    static const uint64_t row[] = {64};
    const uint64_t big = UINT64_MAX;
    const int64_t below = -7;
    const double fine = 0.5;
    const uint16_t u16 = 65535;
    const int16_t i16 = -2;
    const int8_t i8 = -3;
    unsigned char q8[68];
    struct gguf g;

    memset(q8, 1, sizeof q8);
    gguf_init(&g);
    gguf_str(&g, "general.architecture", "test");
    gguf_u32(&g, "a.u32", 42);
    gguf_f32(&g, "a.f32", 1.5f);
    gguf_bool(&g, "a.bool", 1);
    gguf_raw(&g, "a.u64", 10, &big, 8);
    gguf_raw(&g, "a.i64", 11, &below, 8);
    gguf_raw(&g, "a.f64", 12, &fine, 8);
    gguf_raw(&g, "a.u16", 2, &u16, 2);
    gguf_raw(&g, "a.i16", 3, &i16, 2);
    gguf_raw(&g, "a.i8", 1, &i8, 1);
    gguf_i32s(&g, "a.numbers", numbers, 3);
    gguf_bools(&g, "a.flags", flags, 3);
    gguf_strs(&g, "a.words", words, 3);
    gguf_tensor(&g, "first", WD_TYPE_F32, two_by_three, 2, values, sizeof values);
    gguf_tensor(&g, "second", WD_TYPE_Q8_0, row, 1, q8, sizeof q8);
    return gguf_finish(&g);
}

static int open_bytes(const void *bytes, size_t n, struct wd_tensor_file **ret, struct wd_err *err)
{
    return wd_tensor_file_from_memory("test", bytes, n, ret, err);
}

/* Reads everything that an open file offers. */
static unsigned touch(const struct wd_tensor_file *f)
{
    struct wd_str_iter it;
    char text[64];
    const char *key, *s;
    size_t len;
    unsigned sum = 0;
    uint64_t n;
    double d;

    for (size_t i = 0; i < wd_tensor_file_count(f); i++) {
        const struct wd_tensor *t = wd_tensor_file_at(f, i);

        assert_ptr_equal(wd_tensor_file_find(f, t->name), t);
        assert_int_equal((uintptr_t)t->data % 4, 0);
        for (uint64_t k = 0; k < t->n_bytes; k++)
            sum += ((const unsigned char *)t->data)[k];
    }
    for (size_t i = 0; (key = wd_tensor_file_key(f, i, text, sizeof text)); i++) {
        if (wd_tensor_file_str(f, key, &s, &len))
            while (len)
                sum += (unsigned char)s[--len];
        if (wd_tensor_file_strings(f, key, &it))
            while (wd_str_iter_next(&it, &s, &len))
                while (len)
                    sum += (unsigned char)s[--len];
        if (wd_tensor_file_array(f, key, &n))
            for (uint64_t k = 0; k < n; k++)
                sum += wd_tensor_file_array_f64(f, key, k, &d);
    }
    return sum;
}

static void refused(struct bytes bytes, int code, const char *says)
{
    struct wd_tensor_file *f = NULL;
    struct wd_err err = {0};

    assert_int_equal(open_bytes(bytes.at, bytes.n, &f, &err), code);
    assert_null(f);
    assert_int_equal(err.code, code);
    if (!strstr(err.text, says))
        fail_msg("'%s' does not say '%s'", err.text, says);
    if (!strstr(err.text, "test"))
        fail_msg("'%s' does not name the file", err.text);
    bytes_free(&bytes);
}

static void tensors_and_keys_of_a_gguf_are_found(void **state)
{
    struct wd_tensor_file *f;
    const struct wd_tensor *t;
    struct bytes bytes;
    struct wd_str_iter it;
    char text[8];
    const char *s;
    size_t len;
    uint64_t u;
    double d;

    (void)state;
    bytes = good_gguf();
    assert_int_equal(open_bytes(bytes.at, bytes.n, &f, NULL), 0);
    assert_int_equal(wd_tensor_file_form(f), WD_FORM_GGUF);
    assert_int_equal(wd_tensor_file_bytes(f), bytes.n);
    assert_int_equal(wd_tensor_file_count(f), 2);
    t = wd_tensor_file_find(f, "first");
    assert_ptr_equal(t, wd_tensor_file_at(f, 0));
    assert_int_equal(t->dims[0], 2);
    assert_int_equal(t->dims[1], 3);
    assert_int_equal(t->dims[2], 1);
    assert_int_equal(t->n_bytes, 24);
    assert_true(((const float *)t->data)[5] == 6);
    assert_int_equal(wd_tensor_file_find(f, "second")->n_bytes, 68);
    assert_null(wd_tensor_file_find(f, "third"));
    assert_null(wd_tensor_file_at(f, 2));

    assert_true(wd_tensor_file_u64(f, "a.u32", &u) && u == 42);
    assert_true(wd_tensor_file_u64(f, "a.bool", &u) && u == 1);
    assert_true(wd_tensor_file_u64(f, "a.u64", &u) && u == UINT64_MAX);
    assert_true(wd_tensor_file_u64(f, "a.u16", &u) && u == 65535);
    assert_false(wd_tensor_file_u64(f, "a.i64", &u));
    assert_false(wd_tensor_file_u64(f, "a.i16", &u));
    assert_false(wd_tensor_file_u64(f, "a.f32", &u));
    assert_false(wd_tensor_file_u64(f, "a.numbers", &u));
    assert_false(wd_tensor_file_u64(f, "absent", &u));
    assert_true(wd_tensor_file_f64(f, "a.f32", &d) && d == 1.5);
    assert_true(wd_tensor_file_f64(f, "a.f64", &d) && d == 0.5);
    assert_false(wd_tensor_file_f64(f, "a.u32", &d));
    assert_true(wd_tensor_file_str(f, "general.architecture", &s, &len) && len == 4 &&
                !memcmp(s, "test", 4));
    assert_false(wd_tensor_file_str(f, "a.words", &s, &len));
    assert_true(wd_tensor_file_array(f, "a.numbers", &u) && u == 3);
    assert_true(wd_tensor_file_array_f64(f, "a.numbers", 0, &d) && d == -1);
    assert_true(wd_tensor_file_array_f64(f, "a.numbers", 2, &d) && d == 70000);
    assert_true(wd_tensor_file_array_f64(f, "a.flags", 2, &d) && d == 1);
    assert_false(wd_tensor_file_array_f64(f, "a.numbers", 3, &d));
    assert_false(wd_tensor_file_array_f64(f, "a.words", 0, &d));
    assert_false(wd_tensor_file_strings(f, "a.numbers", &it));
    assert_true(wd_tensor_file_strings(f, "a.words", &it));
    assert_true(wd_str_iter_next(&it, &s, &len) && len == 3 && !memcmp(s, "one", 3));
    assert_true(wd_str_iter_next(&it, &s, &len) && len == 0);
    assert_true(wd_str_iter_next(&it, &s, &len) && len == 9);
    assert_false(wd_str_iter_next(&it, &s, &len));
    assert_string_equal(wd_tensor_file_key(f, 1, text, sizeof text), "a.u32");
    assert_string_equal(text, "42");
    assert_null(wd_tensor_file_key(f, 13, text, sizeof text));
    touch(f);
    assert_null(wd_tensor_file_free(f));
    bytes_free(&bytes);
}

static void version_2_is_read_like_version_3(void **state)
{
    struct wd_tensor_file *f;
    struct bytes bytes;

    (void)state;
    bytes = good_gguf();
    bytes.at[4] = 2;
    assert_int_equal(open_bytes(bytes.at, bytes.n, &f, NULL), 0);
    wd_tensor_file_free(f);
    bytes_free(&bytes);
}

static void a_gguf_cut_anywhere_is_refused(void **state)
{
    struct bytes bytes;

    (void)state;
    bytes = good_gguf();
    for (size_t cut = 0; cut < bytes.n; cut++) {
        unsigned char *part = malloc(cut ? cut : 1);
        struct wd_tensor_file *f = NULL;
        struct wd_err err = {0};

        memcpy(part, bytes.at, cut);
        assert_int_equal(open_bytes(part, cut, &f, &err), -EINVAL);
        assert_true(err.text[0] != '\0');
        free(part);
    }
    bytes_free(&bytes);
}

static void a_flipped_byte_never_reads_outside(void **state)
{
    static const unsigned char flips[] = {0x01, 0x80, 0xff};
    struct bytes bytes;
    size_t opened = 0;

    (void)state;
    bytes = good_gguf();
    for (size_t i = 0; i < bytes.n; i++)
        for (size_t k = 0; k < sizeof flips; k++) {
            struct wd_tensor_file *f = NULL;
            struct wd_err err = {0};

            bytes.at[i] ^= flips[k];
            if (open_bytes(bytes.at, bytes.n, &f, &err) == 0) {
                touch(f);
                opened++;
            } else {
                assert_true(err.text[0] != '\0');
            }
            wd_tensor_file_free(f);
            bytes.at[i] ^= flips[k];
        }
    assert_true(opened > 0);
    bytes_free(&bytes);
}

static void counts_that_cannot_be_are_refused(void **state)
{
    struct gguf g;

    (void)state;
    gguf_init(&g);
    gguf_u32(&g, "a", 1);
    g.n_keys = UINT64_MAX;
    refused(gguf_finish(&g), -EINVAL, "keys are claimed");
    gguf_init(&g);
    gguf_u32(&g, "a", 1);
    g.n_tensors = 1u << 31;
    refused(gguf_finish(&g), -EINVAL, "tensors are claimed");
    gguf_init(&g);
    gguf_u32(&g, "a.rather.long.key.that.leaves.room", 1);
    g.n_tensors = 1;
    refused(gguf_finish(&g), -EINVAL, "tensor 0");
    gguf_init(&g);
    g.version = 4;
    refused(gguf_finish(&g), -ENOTSUP, "version 4");
    gguf_init(&g);
    g.version = 0x03000000;
    refused(gguf_finish(&g), -ENOTSUP, "big-endian");
}

static void keys_that_cannot_be_are_refused(void **state)
{
    static const unsigned char huge_string[] = {0xff, 0xff, 0xff, 0xff, 0xff,
                                                0xff, 0xff, 0x7f, 'x'};
    static const unsigned char nested[] = {9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
                                           4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const unsigned char huge_array[] = {10,   0,    0,    0,    0xff, 0xff,
                                               0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const unsigned char huge_words[] = {8,    0,    0,    0,    0xff, 0xff,
                                               0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    char long_name[300];
    struct gguf g;

    (void)state;
    memset(long_name, 'n', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    gguf_init(&g);
    gguf_raw(&g, "a.key", 13, "", 1);
    refused(gguf_finish(&g), -EINVAL, "key 'a.key': value type 13");
    gguf_init(&g);
    gguf_raw(&g, "a.key", 8, huge_string, sizeof huge_string);
    refused(gguf_finish(&g), -EINVAL, "key 'a.key': a string of");
    gguf_init(&g);
    gguf_raw(&g, "a.key", 9, nested, sizeof nested);
    refused(gguf_finish(&g), -EINVAL, "key 'a.key': an array of arrays");
    gguf_init(&g);
    gguf_raw(&g, "a.key", 9, huge_array, sizeof huge_array);
    refused(gguf_finish(&g), -EINVAL, "do not fit");
    gguf_init(&g);
    gguf_raw(&g, "a.key", 9, huge_words, sizeof huge_words);
    refused(gguf_finish(&g), -EINVAL, "do not fit");
    gguf_init(&g);
    gguf_u32(&g, "twice", 1);
    gguf_u32(&g, "twice", 2);
    refused(gguf_finish(&g), -EINVAL, "key 'twice' occurs twice");
    gguf_init(&g);
    gguf_u32(&g, "a\nb", 1);
    refused(gguf_finish(&g), -EINVAL, "control character");
    gguf_init(&g);
    gguf_u32(&g, "", 1);
    refused(gguf_finish(&g), -EINVAL, "empty name");
    gguf_init(&g);
    gguf_u32(&g, long_name, 1);
    refused(gguf_finish(&g), -EINVAL, "more than 255");
}

static void alignments_that_cannot_be_are_refused(void **state)
{
    static const uint32_t wrong[] = {0, 1, 2, 24, 0x80000000u};
    struct gguf g;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        gguf_init(&g);
        gguf_u32(&g, "general.alignment", wrong[i]);
        refused(gguf_finish(&g), -EINVAL, "general.alignment");
    }
    gguf_init(&g);
    gguf_str(&g, "general.alignment", "32");
    refused(gguf_finish(&g), -EINVAL, "general.alignment");
}

static void another_alignment_is_heeded(void **state)
{
    static const float values[] = {1, 2, 3, 4, 5, 6};
    struct wd_tensor_file *f;
    struct bytes bytes;
    struct gguf g;

    (void)state;
    gguf_init(&g);
    g.alignment = 128;
    gguf_u32(&g, "general.alignment", 128);
    gguf_tensor(&g, "t", WD_TYPE_F32, two_by_three, 2, values, sizeof values);
    bytes = gguf_finish(&g);
    assert_int_equal(open_bytes(bytes.at, bytes.n, &f, NULL), 0);
    assert_memory_equal(wd_tensor_file_at(f, 0)->data, values, sizeof values);
    wd_tensor_file_free(f);
    bytes_free(&bytes);
}

/* One tensor of these dimensions, with 24 bytes of data behind it. */
static struct bytes one_tensor(const char *name, uint32_t type, const uint64_t *dims,
                               uint32_t n_dims, uint64_t offset)
{
    struct gguf g;

    gguf_init(&g);
    gguf_tensor_at(&g, name, type, dims, n_dims, offset);
    bytes_put(&g.data, NULL, 24);
    return gguf_finish(&g);
}

static void tensors_that_cannot_be_are_refused(void **state)
{
    static const uint64_t zero[] = {2, 0}, huge[] = {1u << 30, 1u << 30, 1u << 30, 1u << 30},
                          wide[] = {UINT64_MAX}, odd[] = {33}, five[] = {1, 1, 1, 1, 1},
                          bits61[] = {(uint64_t)1 << 39, (uint64_t)1 << 23};

    (void)state;
    refused(one_tensor("t", WD_TYPE_F32, zero, 2, 0), -EINVAL, "tensor 't': dimension 1 is 0");
    refused(one_tensor("t", WD_TYPE_F32, huge, 4, 0), -EINVAL,
            "tensor 't': its dimensions overflow");
    refused(one_tensor("t", WD_TYPE_F32, bits61, 2, 0), -EINVAL,
            "tensor 't': its dimensions overflow");
    refused(one_tensor("t", WD_TYPE_F32, wide, 1, 0), -EINVAL, "tensor 't': dimension 0");
    refused(one_tensor("t", WD_TYPE_Q4_0, odd, 1, 0), -EINVAL, "tensor 't': rows of 33 values");
    refused(one_tensor("t", WD_TYPE_F32, five, 5, 0), -EINVAL, "5 dimensions");
    refused(one_tensor("t", WD_TYPE_F32, five, 0, 0), -EINVAL, "0 dimensions");
    refused(one_tensor("t", 99, two_by_three, 2, 0), -ENOTSUP, "tensor 't': type 99 (unknown)");
    refused(one_tensor("t", 26, two_by_three, 2, 0), -ENOTSUP, "tensor 't': type 26 (I32)");
    refused(one_tensor("t", WD_TYPE_F32, two_by_three, 2, 32), -EINVAL,
            "tensor 't': 24 bytes at offset");
    refused(one_tensor("t", WD_TYPE_F32, two_by_three, 2, 4), -EINVAL,
            "tensor 't': offset 4 is no multiple");
    refused(one_tensor("t", WD_TYPE_F32, two_by_three, 2, UINT64_MAX - 31), -EINVAL,
            "beyond the end");
    refused(one_tensor("", WD_TYPE_F32, two_by_three, 2, 0), -EINVAL, "empty name");
    refused(one_tensor("a\tb", WD_TYPE_F32, two_by_three, 2, 0), -EINVAL, "control character");
}

static void tensors_of_one_name_or_one_place_are_refused(void **state)
{
    struct gguf g;

    (void)state;
    gguf_init(&g);
    gguf_tensor(&g, "same", WD_TYPE_F32, two_by_three, 2, NULL, 24);
    gguf_tensor(&g, "same", WD_TYPE_F32, two_by_three, 2, NULL, 24);
    refused(gguf_finish(&g), -EINVAL, "tensor 'same' occurs twice");
    gguf_init(&g);
    gguf_tensor(&g, "one", WD_TYPE_F32, two_by_three, 2, NULL, 24);
    gguf_tensor_at(&g, "two", WD_TYPE_F32, two_by_three, 2, 0);
    refused(gguf_finish(&g), -EINVAL, "overlap");
}

static void other_files_are_refused(void **state)
{
    struct wd_tensor_file *f = NULL;
    struct wd_err err = {0};
    char *folder = temp_folder(), path[4096];

    (void)state;
    assert_int_equal(wd_tensor_file_open("/no/such/file", &f, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/no/such/file"));
    temp_file(folder, "empty", "", 0);
    snprintf(path, sizeof path, "%s/empty", folder);
    assert_int_equal(wd_tensor_file_open(path, &f, &err), -EINVAL);
    assert_non_null(strstr(err.text, "empty"));
    temp_file(folder, "text", "RIFF, or some other text", 24);
    snprintf(path, sizeof path, "%s/text", folder);
    assert_int_equal(wd_tensor_file_open(path, &f, &err), -EINVAL);
    assert_non_null(strstr(err.text, "neither a GGUF nor a safetensors"));
    snprintf(path, sizeof path, "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(wd_tensor_file_open(path, &f, &err), -EINVAL);
    assert_non_null(strstr(err.text, "not a regular file"));
    assert_int_equal(wd_tensor_file_open(folder, &f, &err), -ENOENT);
    assert_non_null(strstr(err.text, "model.safetensors"));
    temp_file(folder, "pytorch_model.bin", "PK\3\4 and so on", 15);
    assert_int_equal(wd_tensor_file_open(folder, &f, &err), -ENOENT);
    assert_non_null(strstr(err.text, "PyTorch"));
    snprintf(path, sizeof path, "%s/pytorch_model.bin", folder);
    assert_int_equal(wd_tensor_file_open(path, &f, &err), -EINVAL);
    assert_non_null(strstr(err.text, "zip archive"));
    assert_null(f);
    temp_remove(folder);
}

#define HEAD_A                                                                                     \
    "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_"       \
    "offsets\":[0,24]},"                                                                           \
    "\"b\\u00e9\":{\"shape\":[],\"dtype\":\"BF16\",\"data_offsets\":[24,26],\"more\":[1,{}]}}"

static void tensors_of_a_safetensors_file_are_found(void **state)
{
    struct wd_tensor_file *f;
    const struct wd_tensor *t;
    struct bytes bytes;

    (void)state;
    bytes = safetensors_file(HEAD_A, 26);
    assert_int_equal(open_bytes(bytes.at, bytes.n, &f, NULL), 0);
    assert_int_equal(wd_tensor_file_form(f), WD_FORM_SAFETENSORS);
    assert_int_equal(wd_tensor_file_count(f), 2);
    t = wd_tensor_file_find(f, "a");
    assert_int_equal(t->n_dims, 2);
    assert_int_equal(t->dims[0], 2); /* fastest first */
    assert_int_equal(t->dims[1], 3);
    assert_memory_equal(t->data, bytes.at + bytes.n - 26, 24);
    t = wd_tensor_file_find(f, "b\xc3\xa9");
    assert_int_equal(t->type, WD_TYPE_BF16);
    assert_int_equal(t->n_dims, 1);
    assert_int_equal(t->dims[0], 1);
    touch(f);
    wd_tensor_file_free(f);
    bytes_free(&bytes);
}

static void unaligned_tensors_are_copied_aside(void **state)
{
    struct wd_tensor_file *f;
    const struct wd_tensor *t;
    struct bytes bytes;
    unsigned char *data;

    (void)state;
    bytes = safetensors_file("{\"a\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[0,2]},"
                             "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[2,10]}}   ",
                             10);
    data = bytes.at + bytes.n - 10;
    assert_int_equal(open_bytes(bytes.at, bytes.n, &f, NULL), 0);
    t = wd_tensor_file_find(f, "b");
    assert_int_equal((uintptr_t)t->data % 4, 0);
    assert_memory_equal(t->data, data + 2, 8);
    assert_true(wd_tensor_file_copied_bytes(f) >= 2);
    wd_tensor_file_free(f);
    bytes_free(&bytes);
}

static void whole_numbers_are_for_test_vectors_only(void **state)
{
    static const char head[] = "{\"ids\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
    struct wd_tensor_file *f = NULL;
    char *folder = temp_folder(), path[4096];
    struct bytes bytes;

    (void)state;
    bytes = safetensors_file(head, 8);
    temp_file(folder, "v.safetensors", bytes.at, bytes.n);
    snprintf(path, sizeof path, "%s/v.safetensors", folder);
    assert_int_equal(wd_tensor_file_open_data(path, &f, NULL), 0);
    assert_int_equal(wd_tensor_file_find(f, "ids")->type, WD_DATA_I32);
    assert_int_equal(wd_tensor_file_find(f, "ids")->n_bytes, 8);
    wd_tensor_file_free(f);
    temp_remove(folder);
    refused(bytes, -ENOTSUP, "tensor 'ids': type I32");
}

static void a_safetensors_head_that_cannot_be_is_refused(void **state)
{
    static const struct {
        const char *head;
        int code;
        const char *says;
    } cases[] = {
        {"{", -EINVAL, "expected"},
        {"{}x", -EINVAL, "unexpected text"},
        {"{\"a\":1}", -EINVAL, "expected an object"},
        {"{\"a\":{}}", -EINVAL, "is missing"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", -EINVAL,
         "two data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", -EINVAL,
         "two data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", -EINVAL,
         "tensor 'a': data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[16,20]}}", -EINVAL,
         "tensor 'a': data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", -EINVAL,
         "its shape needs 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", -EINVAL,
         "dimension 0 is 0"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", -EINVAL,
         "whole number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", -EINVAL,
         "whole number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]}}",
         -EINVAL, "too large"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807],\"data_offsets\":[0,4]}}",
         -EINVAL, "dimension 0"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1],\"data_offsets\":[0,4]}}", -EINVAL,
         "5 dimensions"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}",
         -EINVAL, "too many"},
        {"{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}", -ENOTSUP,
         "tensor 'a': type F8_E4M3"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
         -EINVAL, "twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
         -EINVAL, "tensor 'a' occurs twice"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[2,6]}}",
         -EINVAL, "overlap"},
        {"{\"a\\u0000b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", -EINVAL,
         "bad escape"},
        {"{\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", -EINVAL, "empty name"},
        {"{\"a\xff\":{}}", -EINVAL, "not UTF-8"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        refused(safetensors_file(cases[i].head, 16), cases[i].code, cases[i].says);
    }
}

static void a_safetensors_file_cut_anywhere_is_refused(void **state)
{
    struct bytes bytes;

    (void)state;
    bytes = safetensors_file(HEAD_A, 26);
    for (size_t cut = 0; cut < bytes.n; cut++) {
        unsigned char *part = malloc(cut ? cut : 1);
        struct wd_tensor_file *f = NULL;
        struct wd_err err = {0};

        memcpy(part, bytes.at, cut);
        assert_int_equal(open_bytes(part, cut, &f, &err), -EINVAL);
        assert_true(err.text[0] != '\0');
        free(part);
    }
    for (size_t i = 0; i < bytes.n; i++) {
        struct wd_tensor_file *f = NULL;

        bytes.at[i] ^= 0x11;
        if (open_bytes(bytes.at, bytes.n, &f, NULL) == 0)
            touch(f);
        wd_tensor_file_free(f);
        bytes.at[i] ^= 0x11;
    }
    bytes_free(&bytes);
}

static void put_shard(const char *folder, const char *name, const char *tensor)
{
    char head[256];
    struct bytes bytes;

    snprintf(head, sizeof head, "{\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
             tensor);
    bytes = safetensors_file(head, 4);
    temp_file(folder, name, bytes.at, bytes.n);
    bytes_free(&bytes);
}

static int open_index(const char *folder, const char *index, struct wd_tensor_file **ret,
                      struct wd_err *err)
{
    temp_file(folder, "model.safetensors.index.json", index, strlen(index));
    return wd_tensor_file_open(folder, ret, err);
}

static void put_head(const char *folder, const char *name, const char *head)
{
    struct bytes b = safetensors_file(head, 4);

    temp_file(folder, name, b.at, b.n);
    bytes_free(&b);
}

static void shards_are_tied_together_by_their_index(void **state)
{
    struct wd_tensor_file *f = NULL;
    struct wd_err err = {0};
    char *folder = temp_folder(), *text;
    size_t n;

    (void)state;
    put_shard(folder, "one.safetensors", "a");
    put_shard(folder, "two.safetensors", "b");
    assert_int_equal(
        open_index(folder,
                   "{\"metadata\":{\"total_size\":8},\"weight_map\":{\"a\":\"one.safetensors\","
                   "\"b\":\"two.safetensors\"}}",
                   &f, &err),
        0);
    assert_int_equal(wd_tensor_file_count(f), 2);
    assert_non_null(wd_tensor_file_find(f, "b"));
    temp_file(folder, "config.json", "{}", 2);
    assert_int_equal(wd_tensor_file_sidecar(f, "config.json", &text, &n, &err), 0);
    assert_string_equal(text, "{}");
    assert_int_equal(n, 2);
    free(text);
    assert_int_equal(wd_tensor_file_sidecar(f, "absent.json", &text, &n, &err), -ENOENT);
    wd_tensor_file_free(f);
    temp_remove(folder);
}

static void an_index_that_lies_is_refused(void **state)
{
    static const struct {
        const char *index;
        int code;
        const char *says;
    } cases[] = {
        {"{\"weight_map\":{\"a\":\"../one.safetensors\"}}", -EINVAL, "no name of a file"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", -EINVAL, "no name of a file"},
        {"{\"weight_map\":{\"a\":\"\"}}", -EINVAL, "no name of a file"},
        {"{\"weight_map\":{\"a\":\"..\"}}", -EINVAL, "no name of a file"},
        {"{\"weight_map\":{\"a\":\"three.safetensors\"}}", -ENOENT, "three.safetensors"},
        {"{\"weight_map\":{\"c\":\"one.safetensors\"}}", -EINVAL, "tensor 'c' is missing"},
        {"{\"weight_map\":{\"a\":\"two.safetensors\",\"b\":\"one.safetensors\"}}", -EINVAL,
         "is missing"},
        {"{\"weight_map\":{}}", -EINVAL, "weight_map"},
        {"{}", -EINVAL, "weight_map"},
        {"[]", -EINVAL, "expected an object"},
        {"{\"weight_map\":{\"a\":1}}", -EINVAL, "expected a string"},
        {"{\"weight_map\":{\"a\":\"text\"}}", -EINVAL, "text"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"a\":\"again.safetensors\"}}", -EINVAL,
         "'a' occurs twice"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"q\":\"int4.safetensors\"}}", -ENOTSUP,
         "'q': type I32"},
        {"{\"weight_map\":{\"a\":\"one.safetensors\",\"s\":\"short.safetensors\"}}", -EINVAL,
         "'s': 4 bytes, but its shape needs 8"},
    };
    char *folder = temp_folder();

    (void)state;
    put_shard(folder, "one.safetensors", "a");
    put_shard(folder, "two.safetensors", "b");
    put_shard(folder, "again.safetensors", "a");
    put_head(folder, "int4.safetensors",
             "{\"q\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[0,4]}}");
    put_head(folder, "short.safetensors",
             "{\"s\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}");
    temp_file(folder, "text", "some text, no tensors", 21);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wd_tensor_file *f = NULL;
        struct wd_err err = {0};

        assert_int_equal(open_index(folder, cases[i].index, &f, &err), cases[i].code);
        if (!strstr(err.text, cases[i].says))
            fail_msg("'%s' does not say '%s'", err.text, cases[i].says);
    }
    temp_remove(folder);
}

static void a_file_on_disk_is_mapped(void **state)
{
    struct wd_tensor_file *f = NULL;
    char *folder = temp_folder(), path[4096], *text;
    struct bytes bytes;
    size_t n;

    (void)state;
    bytes = good_gguf();
    temp_file(folder, "m.gguf", bytes.at, bytes.n);
    snprintf(path, sizeof path, "%s/m.gguf", folder);
    assert_int_equal(wd_tensor_file_open(path, &f, NULL), 0);
    assert_string_equal(wd_tensor_file_path(f), path);
    assert_int_equal(wd_tensor_file_copied_bytes(f), 0);
    touch(f);
    assert_int_equal(wd_tensor_file_sidecar(f, "config.json", &text, &n, NULL), -ENOENT);
    wd_tensor_file_free(f);
    bytes_free(&bytes);
    temp_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_and_keys_of_a_gguf_are_found),
        cmocka_unit_test(version_2_is_read_like_version_3),
        cmocka_unit_test(a_gguf_cut_anywhere_is_refused),
        cmocka_unit_test(a_flipped_byte_never_reads_outside),
        cmocka_unit_test(counts_that_cannot_be_are_refused),
        cmocka_unit_test(keys_that_cannot_be_are_refused),
        cmocka_unit_test(alignments_that_cannot_be_are_refused),
        cmocka_unit_test(another_alignment_is_heeded),
        cmocka_unit_test(tensors_that_cannot_be_are_refused),
        cmocka_unit_test(tensors_of_one_name_or_one_place_are_refused),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(tensors_of_a_safetensors_file_are_found),
        cmocka_unit_test(unaligned_tensors_are_copied_aside),
        cmocka_unit_test(whole_numbers_are_for_test_vectors_only),
        cmocka_unit_test(a_safetensors_head_that_cannot_be_is_refused),
        cmocka_unit_test(a_safetensors_file_cut_anywhere_is_refused),
        cmocka_unit_test(shards_are_tied_together_by_their_index),
        cmocka_unit_test(an_index_that_lies_is_refused),
        cmocka_unit_test(a_file_on_disk_is_mapped),
    };

    return cmocka_run_group_tests_name("model/tensor_file", tests, NULL, NULL);
}
