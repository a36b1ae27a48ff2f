/* base/utf8.c - one code point out of UTF-8 bytes, and back; its width on a terminal. */
#include "base/utf8.h"

#include <locale.h>
#include <wchar.h>

bool wd_utf8_next(const char *p, size_t n, uint32_t *ret_cp, size_t *ret_n)
{
    const unsigned char *s = (const unsigned char *)p;
    unsigned char lo = 0x80, hi = 0xbf; /* bounds of the second byte */
    uint32_t cp;
    size_t need, i;

    *ret_n = 1;
    if (s[0] < 0x80) {
        *ret_cp = s[0];
        return true;
    }
    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        need = 2;
        cp = s[0] & 0x1fu;
    } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        need = 3;
        cp = s[0] & 0x0fu;
        if (s[0] == 0xe0)
            lo = 0xa0;
        else if (s[0] == 0xed)
            hi = 0x9f;
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        need = 4;
        cp = s[0] & 0x07u;
        if (s[0] == 0xf0)
            lo = 0x90;
        else if (s[0] == 0xf4)
            hi = 0x8f;
    } else {
        return false;
    }
    for (i = 1; i < need; i++) {
        if (i >= n || s[i] < lo || s[i] > hi) {
            *ret_n = i;
            return false;
        }
        cp = cp << 6 | (s[i] & 0x3fu);
        lo = 0x80;
        hi = 0xbf;
    }
    *ret_cp = cp;
    *ret_n = need;
    return true;
}

size_t wd_utf8_put(uint32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xc0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        out[0] = (char)(0xe0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        out[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    out[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}

size_t wd_utf8_read(const char *p, size_t n, uint32_t *ret_cp)
{
    size_t used;

    if (!wd_utf8_next(p, n, ret_cp, &used))
        *ret_cp = WD_UTF8_REPLACEMENT;
    return used;
}

/* wcwidth knows only what the locale's character set holds, and the daemon may run in "C": ask in
 * C.UTF-8. The object is made once and kept: a locale is no state of a sink. */
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
    if (c == 0x200e || c == 0x200f || c == 0x061c || (c >= 0x2028 && c <= 0x202e) ||
        (c >= 0x2066 && c <= 0x2069))
        return -1;
    width = width_of(c);
    return width < 0 ? -1 : width;
}
