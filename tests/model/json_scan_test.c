/* tests/model/json_scan_test.c - JSON is read strictly, one value after the other. */
#include "model/json_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct wd_json reader(const char *text)
{
    struct wd_json j;

    wd_json_init(&j, text, strlen(text));
    return j;
}

static void values_are_read_one_by_one(void **state)
{
    struct wd_json j = reader(" { \"a\" : [1, 9223372036854775807, true] , \"b\":{}, \"c\":[] , "
                              "\"d\":\"\\u00e9\\ud83e\\udd99\\n\\/\" } ");
    struct wd_json_str key, s = {0};
    uint64_t v;
    char out[32];
    bool flag;

    (void)state;
    assert_true(wd_json_enter(&j, '{'));
    assert_true(wd_json_member(&j, &key) && wd_json_is(key, "a"));
    assert_true(wd_json_enter(&j, '['));
    assert_true(wd_json_element(&j) && wd_json_u64(&j, &v) && v == 1);
    assert_true(wd_json_element(&j) && wd_json_u64(&j, &v) && v == INT64_MAX);
    assert_true(wd_json_element(&j) && wd_json_peek(&j) == 't' && wd_json_bool(&j, &flag) && flag);
    assert_false(wd_json_element(&j));
    assert_null(j.error);
    assert_true(wd_json_member(&j, &key) && wd_json_is(key, "b") && wd_json_skip(&j));
    assert_true(wd_json_member(&j, &key) && wd_json_is(key, "c") && wd_json_enter(&j, '[') &&
                !wd_json_element(&j));
    assert_true(wd_json_member(&j, &key) && wd_json_str(&j, &s));
    assert_int_equal(wd_json_unescape(s, NULL), 8);
    assert_int_equal(wd_json_unescape(s, out), 8);
    assert_memory_equal(out, "\xc3\xa9\xf0\x9f\xa6\x99\n/", 8);
    assert_false(wd_json_member(&j, &key));
    assert_true(wd_json_done(&j));
    assert_int_equal(j.depth, 0);
}

static void good_values_are_skipped_whole(void **state)
{
    static const char *const good[] = {
        "0",
        "-0",
        "12",
        "-1.5e+10",
        "1E-2",
        "0.0",
        "true",
        "false",
        "null",
        "\"\"",
        "\"\\\"\\\\\\b\\f\\r\\t\"",
        "[]",
        "{}",
        "[[],[{}],{\"a\":[1,2,{\"b\":null}]}]",
        "\"\xf0\x9f\xa6\x99\"",
        " [ 1 , 2 ] ",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct wd_json j = reader(good[i]);

        if (!wd_json_skip(&j) || !wd_json_done(&j))
            fail_msg("'%s': %s", good[i], j.error);
    }
}

static void anything_else_is_an_error(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "[",
        "]",
        "{",
        "}",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "{\"a\" 1}",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "tru",
        "nul",
        "True",
        "NaN",
        "Infinity",
        "'a'",
        "\"a",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\u0000\"",
        "\"a\nb\"",
        "\"\x01\"",
        "\"\xff\"",
        "\"\xc3\"",
        "1 1",
        "[1]]",
        "// a\n1",
        "{\"a\":1 \"b\":2}",
        "[}",
        "{]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t len = strlen(bad[i]);
        char *exact = malloc(len ? len : 1);
        struct wd_json j;

        memcpy(exact, bad[i], len);
        wd_json_init(&j, exact, len);
        if (wd_json_skip(&j) && wd_json_done(&j))
            fail_msg("'%s' is no JSON", bad[i]);
        assert_non_null(j.error);
        assert_true(j.at >= j.start && j.at <= j.end);
        assert_int_equal(wd_json_peek(&j), 0); /* nothing more is read */
        free(exact);
    }
}

static void whole_numbers_are_whole(void **state)
{
    static const char *const bad[] = {
        "-1", "1.0", "1e3", "00", "9223372036854775808", "99999999999999999999", "\"1\"", "null"};
    uint64_t v;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct wd_json j = reader(bad[i]);

        assert_false(wd_json_u64(&j, &v));
        assert_non_null(j.error);
    }
}

static void nesting_is_bounded(void **state)
{
    char text[2 * WD_JSON_MAX_DEPTH + 3];
    struct wd_json j;

    (void)state;
    for (size_t depth = WD_JSON_MAX_DEPTH; depth <= WD_JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        wd_json_init(&j, text, 2 * depth);
        assert_int_equal(wd_json_skip(&j), depth == WD_JSON_MAX_DEPTH);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_read_one_by_one),
        cmocka_unit_test(good_values_are_skipped_whole),
        cmocka_unit_test(anything_else_is_an_error),
        cmocka_unit_test(whole_numbers_are_whole),
        cmocka_unit_test(nesting_is_bounded),
    };

    return cmocka_run_group_tests_name("model/json_scan", tests, NULL, NULL);
}
