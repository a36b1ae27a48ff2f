/* tests/base/utf8_test.c - code points out of bytes and back, and where bytes are none. */
#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_code_point_survives_the_way_there_and_back(void **state)
{
    char out[4];
    uint32_t cp;
    size_t n;

    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        size_t k = wd_utf8_put(c, out);
        bool surrogate = c >= 0xd800 && c < 0xe000;

        assert_int_equal(wd_utf8_next(out, k, &cp, &n), !surrogate);
        if (!surrogate)
            assert_true(cp == c && n == k);
        for (size_t cut = 1; cut < k && !surrogate; cut++) {
            assert_false(wd_utf8_next(out, cut, &cp, &n));
            assert_int_equal(n, cut);
        }
    }
}

static void the_maximal_bad_part_is_one_step(void **state)
{
    static const struct {
        const char *bytes;
        size_t step;
    } cases[] = {
        {"\x80", 1},         {"\xbf\xbf", 1},         {"\xc0\x80", 1},     {"\xc1\xbf", 1},         {"\xc2" "A", 1},
        {"\xe0\x80\x80", 1}, {"\xe0\xa0" "A", 2},     {"\xed\xa0\x80", 1}, {"\xf0\x80\x80\x80", 1}, {"\xf0\x90\x80" "A", 3},
        {"\xf4\x90\x80\x80", 1}, {"\xf5\x80\x80\x80", 1}, {"\xff", 1},
    };
    uint32_t cp;
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_false(wd_utf8_next(cases[i].bytes, strlen(cases[i].bytes), &cp, &n));
        assert_int_equal(n, cases[i].step);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_survives_the_way_there_and_back),
        cmocka_unit_test(the_maximal_bad_part_is_one_step),
    };

    return cmocka_run_group_tests_name("base/utf8", tests, NULL, NULL);
}
