/* tests/base/utf8_columns_test.c - decoding against what Unicode prescribes, and the widths. */
#include "base/utf8.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void every_character_survives_the_round_trip(void **state)
{
    (void)state;
    for (uint32_t c = 1; c < 0x110000; c++) {
        char b[4];
        uint32_t back;
        size_t n;

        if (c >= 0xd800 && c < 0xe000)
            continue;
        n = wd_utf8_put(c, b);
        assert_int_equal(wd_utf8_read(b, n, &back), n);
        assert_int_equal(back, c);
        for (size_t cut = 1; cut < n;
             cut++) { /* a cut-off character is one replacement, all of it */
            assert_int_equal(wd_utf8_read(b, cut, &back), cut);
            assert_int_equal(back, WD_UTF8_REPLACEMENT);
        }
    }
}

/* Source of the cases: Unicode 15, tables 3-8 to 3-11. */
static void broken_text_gives_one_replacement_per_longest_beginning(void **state)
{
    static const struct {
        const char *text;
        int n_replacements, n_others;
    } cases[] = {
        {"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", 8, 1}, /* overlong */
        {"\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", 8, 1}, /* surrogates */
        {"\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", 7, 2}, /* beyond, stray */
        {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", 4, 1}, /* cut off by the next one */
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = strlen(cases[i].text), at = 0;
        int n_replacements = 0, n_others = 0;

        while (at < n) {
            uint32_t c;

            at += wd_utf8_read(cases[i].text + at, n - at, &c);
            if (c == WD_UTF8_REPLACEMENT)
                n_replacements++;
            else
                n_others++;
        }
        assert_int_equal(at, n);
        assert_int_equal(n_replacements, cases[i].n_replacements);
        assert_int_equal(n_others, cases[i].n_others);
    }
}

static void widths_are_those_of_a_terminal(void **state)
{
    (void)state;
    assert_int_equal(wd_utf8_columns('a'), 1);
    assert_int_equal(wd_utf8_columns(0xe4), 1);
    assert_int_equal(wd_utf8_columns(0x4f1a), 2);  /* a Han character */
    assert_int_equal(wd_utf8_columns(0x1f3a4), 2); /* a microphone */
    assert_int_equal(wd_utf8_columns(0x301), 0);   /* a combining accent */
}

static void what_moves_a_terminal_has_no_width(void **state)
{
    static const uint32_t never[] = {0x07,   0x0a,   0x1b,   0x7f,   0x85,  0x9b,
                                     0x200e, 0x2028, 0x202e, 0x2066, 0x2069};
    (void)state;

    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        assert_int_equal(wd_utf8_columns(never[i]), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_survives_the_round_trip),
        cmocka_unit_test(broken_text_gives_one_replacement_per_longest_beginning),
        cmocka_unit_test(widths_are_those_of_a_terminal),
        cmocka_unit_test(what_moves_a_terminal_has_no_width),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
