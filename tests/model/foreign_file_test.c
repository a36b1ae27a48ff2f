/* tests/model/foreign_file_test.c - files that people take for models are called what they are. */
#include "model/foreign_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* From memory of exactly this size, so that a sanitizer sees a read beyond. */
static const char *told(const char *bytes, size_t n)
{
    unsigned char *copy = malloc(n + !n);
    const char *what;

    assert_non_null(copy);
    if (n)
        memcpy(copy, bytes, n);
    what = wd_foreign_file(copy, n);
    free(copy);
    return what;
}

static void known_files_are_told_by_their_first_bytes(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *says;
    } cases[] = {
        {"PK\3\4\0\0", 6, "PyTorch"},
        {"\x80\2}q", 4, "pickle"},
        {"tjgg\1\0\0\0", 8, "older than GGUF"},
        {"\0\0\0\0TFL3", 8, "TensorFlow Lite"},
        {"\x08\x07\x12\x07pytorch", 11, "ONNX"},
        {"version https://git-lfs.github.com/spec/v1\n", 43, "Git LFS"},
        {"<!DOCTYPE html>", 15, "web page"},
        {"{\"model_type\":1}", 16, "JSON"},
        {"\x1f\x8b\x08", 3, "gzip"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *what = told(cases[i].bytes, cases[i].n);

        assert_non_null(what);
        if (!strstr(what, cases[i].says))
            fail_msg("'%s' does not say '%s'", what, cases[i].says);
        /* Cut in the middle of the mark it is unknown or something shorter, never read beyond. */
        for (size_t n = 0; n < cases[i].n; n++)
            told(cases[i].bytes, n);
    }
}

static void other_bytes_say_nothing(void **state)
{
    (void)state;
    assert_null(told("", 0));
    assert_null(told("RIFF....WAVE", 12));
    assert_null(told("\x08\x07\xff\xff", 4));
}

static void a_folder_is_told_by_the_names_in_it(void **state)
{
    (void)state;
    assert_non_null(strstr(wd_foreign_name("pytorch_model-00001-of-00002.bin"), "PyTorch"));
    assert_non_null(strstr(wd_foreign_name("x-Q4_0.gguf"), "GGUF"));
    assert_non_null(strstr(wd_foreign_name("adapter_model.safetensors"), "LoRA"));
    assert_non_null(strstr(wd_foreign_name("model-00001-of-00005.safetensors"), "index"));
    assert_null(wd_foreign_name("config.json"));
    assert_null(wd_foreign_name(".."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_files_are_told_by_their_first_bytes),
        cmocka_unit_test(other_bytes_say_nothing),
        cmocka_unit_test(a_folder_is_told_by_the_names_in_it),
    };

    return cmocka_run_group_tests_name("model/foreign_file", tests, NULL, NULL);
}
