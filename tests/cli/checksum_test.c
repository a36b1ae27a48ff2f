/* tests/cli/checksum_test.c - SHA-256 of files, and the ways in which it is written. */
#include "cli/checksum.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define MILLION_A "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"

/* The vectors of FIPS 180-4. */
static void files_have_the_checksums_of_the_standard(void **state)
{
    static const char *const sums[] = {EMPTY, ABC, MILLION_A};
    char path[] = "/tmp/witnessd-checksum-XXXXXX", sum[WD_CHECKSUM_TEXT], *a = malloc(1000000);
    struct wd_err err = {0};
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    memset(a, 'a', 1000000);
    for (int i = 0; i < 3; i++) {
        size_t n = i == 0 ? 0 : i == 1 ? 3 : 1000000;

        assert_int_equal(pwrite(fd, i == 1 ? "abc" : a, n, 0), n);
        assert_int_equal(wd_checksum_fd(fd, path, NULL, NULL, sum, &err), 0);
        assert_string_equal(sum, sums[i]);
    }
    free(a);
    close(fd);
    unlink(path);
}

static bool at_once(void *arg, uint64_t bytes)
{
    *(uint64_t *)arg = bytes;
    return true;
}

static void it_can_be_stopped_and_says_what_cannot_be_read(void **state)
{
    char sum[WD_CHECKSUM_TEXT];
    struct wd_err err = {0};
    FILE *f = tmpfile();
    uint64_t seen = 0;

    (void)state;
    fputs("abc", f);
    fflush(f);
    assert_int_equal(wd_checksum_fd(fileno(f), "name", at_once, &seen, sum, &err), -ECANCELED);
    assert_int_equal(seen, 3);
    fclose(f);
    assert_int_equal(wd_checksum_fd(-1, "name", NULL, NULL, sum, &err), -EBADF);
    assert_non_null(strstr(err.text, "name"));
}

static void only_64_hex_digits_are_one(void **state)
{
    char sum[WD_CHECKSUM_TEXT], text[65] = ABC;

    (void)state;
    assert_true(wd_checksum_parse("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD", 64, sum));
    assert_string_equal(sum, ABC);
    assert_false(wd_checksum_parse(ABC, 63, sum));
    assert_false(wd_checksum_parse(ABC "0", 65, sum));
    text[10] = 'g';
    assert_false(wd_checksum_parse(text, 64, sum));
}

static void base64_is_read_as_servers_write_it(void **state)
{
    static const char abc[] = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
    char sum[WD_CHECKSUM_TEXT], text[45];

    (void)state;
    assert_true(wd_checksum_parse_base64(abc, 44, sum));
    assert_string_equal(sum, ABC);
    assert_false(wd_checksum_parse_base64(abc, 43, sum));
    memcpy(text, abc, 45);
    text[43] = 'A';
    assert_false(wd_checksum_parse_base64(text, 44, sum));
    memcpy(text, abc, 45);
    text[5] = '*';
    assert_false(wd_checksum_parse_base64(text, 44, sum));
    memcpy(text, abc, 45);
    text[42] = '1'; /* bits that belong to no byte */
    assert_false(wd_checksum_parse_base64(text, 44, sum));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_have_the_checksums_of_the_standard),
        cmocka_unit_test(it_can_be_stopped_and_says_what_cannot_be_read),
        cmocka_unit_test(only_64_hex_digits_are_one),
        cmocka_unit_test(base64_is_read_as_servers_write_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
