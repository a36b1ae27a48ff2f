/* sinks/utf8.c - decoding that trusts nothing, and the width of a character. */
#include "sinks/utf8.h"
#include <locale.h>
#include <stdbool.h>
#include <wchar.h>

/* What the second byte may be, by the first: this keeps out overlong forms, surrogates and what lies above U+10FFFF. */
static bool second_fits(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0 && second <= 0xbf;
    case 0xed:
        return second >= 0x80 && second <= 0x9f;
    case 0xf0:
        return second >= 0x90 && second <= 0xbf;
    case 0xf4:
        return second >= 0x80 && second <= 0x8f;
    default:
        return second >= 0x80 && second <= 0xbf;
    }
}

size_t wd_utf8_next(const char *text, size_t n, uint32_t *ret_character)
{
    const unsigned char *b = (const unsigned char *)text;
    size_t want;
    uint32_t c;

    if (b[0] < 0x80) {
        *ret_character = b[0];
        return 1;
    }
    *ret_character = WD_UTF8_REPLACEMENT;
    if (b[0] < 0xc2 || b[0] > 0xf4)
        return 1;
    want = b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
    c = b[0] & (0x7fu >> want);
    for (size_t i = 1; i < want; i++) {
        if (i == n || (i == 1 ? !second_fits(b[0], b[1]) : (b[i] & 0xc0) != 0x80))
            return i;
        c = c << 6 | (b[i] & 0x3fu);
    }
    *ret_character = c;
    return want;
}

size_t wd_utf8_put(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* wcwidth knows only what the locale's character set holds, and the daemon may run in "C": ask in C.UTF-8. The object is
 * made once and kept: a locale is no state of a sink. */
static int width_of(uint32_t c)
{
    static locale_t utf8;
    locale_t before;
    int width;

    if (!utf8)
        utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (!utf8)
        return 1;
    before = uselocale(utf8);
    width = wcwidth((wchar_t)c);
    uselocale(before);
    return width;
}

int wd_utf8_columns(uint32_t c)
{
    int width;

    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return -1;
    if (c < 0x7f)
        return 1;
    if (c == 0x200e || c == 0x200f || c == 0x061c || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
        return -1;
    width = width_of(c);
    return width < 0 ? -1 : width;
}
