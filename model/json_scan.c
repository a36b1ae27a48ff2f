/* model/json_scan.c - a strict forward reader of JSON text. */
#include "model/json_scan.h"

#include "base/utf8.h"

#include <string.h>

void wd_json_init(struct wd_json *j, const char *text, size_t len)
{
    *j = (struct wd_json){.start = text, .at = text, .end = text + len};
}

bool wd_json_fail(struct wd_json *j, const char *what)
{
    if (!j->error)
        j->error = what;
    return false;
}

static void space(struct wd_json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\t' || *j->at == '\r'))
        j->at++;
}

char wd_json_peek(struct wd_json *j)
{
    if (j->error)
        return 0;
    space(j);
    return j->at < j->end ? *j->at : 0;
}

static bool take(struct wd_json *j, char c, const char *expected)
{
    if (wd_json_peek(j) != c)
        return wd_json_fail(j, expected);
    j->at++;
    return true;
}

bool wd_json_enter(struct wd_json *j, char kind)
{
    if (!take(j, kind, kind == '{' ? "expected an object" : "expected an array"))
        return false;
    if (++j->depth > WD_JSON_MAX_DEPTH)
        return wd_json_fail(j, "nested too deeply");
    j->first = true;
    return true;
}

/* Stands before the next item, behind its comma; false at the closing bracket, which is consumed.
 */
static bool item(struct wd_json *j, char close)
{
    char c = wd_json_peek(j);

    if (j->error)
        return false;
    if (c == close) {
        j->at++;
        j->depth--;
        j->first = false;
        return false;
    }
    if (!j->first) {
        if (!take(j, ',', close == '}' ? "expected ',' or '}'" : "expected ',' or ']'"))
            return false;
        if (wd_json_peek(j) == close)
            return wd_json_fail(j, "expected a value after ','");
    }
    j->first = false;
    return true;
}

bool wd_json_member(struct wd_json *j, struct wd_json_str *ret_key)
{
    return item(j, '}') && wd_json_str(j, ret_key) && take(j, ':', "expected ':'");
}

bool wd_json_element(struct wd_json *j)
{
    return item(j, ']');
}

static int hex4(const char *p)
{
    int v = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];

        v <<= 4;
        if (c >= '0' && c <= '9')
            v |= c - '0';
        else if (c >= 'a' && c <= 'f')
            v |= c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
            v |= c - 'A' + 10;
        else
            return -1;
    }
    return v;
}

/* Checks the escape behind a backslash at p; its length without the backslash, or 0. */
static size_t check_escape(const char *p, const char *end)
{
    int u;

    if (p >= end)
        return 0;
    if (*p && strchr("\"\\/bfnrt", *p))
        return 1;
    if (*p != 'u' || end - p < 5)
        return 0;
    u = hex4(p + 1);
    if (u <= 0 || (u >= 0xdc00 && u < 0xe000))
        return 0;
    if (u < 0xd800 || u >= 0xe000)
        return 5;
    if (end - p < 11 || p[5] != '\\' || p[6] != 'u')
        return 0;
    u = hex4(p + 7);
    return u >= 0xdc00 && u < 0xe000 ? 11 : 0;
}

bool wd_json_str(struct wd_json *j, struct wd_json_str *ret)
{
    const char *p;

    if (!take(j, '"', "expected a string"))
        return false;
    p = j->at;
    for (;;) {
        unsigned char c;
        uint32_t cp;
        size_t n;

        if (p >= j->end) {
            j->at = p;
            return wd_json_fail(j, "a string does not end");
        }
        c = (unsigned char)*p;
        if (c == '"')
            break;
        if (c == '\\') {
            n = check_escape(p + 1, j->end);
            if (!n) {
                j->at = p;
                return wd_json_fail(j, "bad escape in a string");
            }
            p += 1 + n;
        } else if (c >= 0x80) {
            if (!wd_utf8_next(p, (size_t)(j->end - p), &cp, &n)) {
                j->at = p;
                return wd_json_fail(j, "a string is not UTF-8");
            }
            p += n;
        } else if (c < 0x20) {
            j->at = p;
            return wd_json_fail(j, "control character in a string");
        } else {
            p++;
        }
    }
    ret->raw = j->at;
    ret->len = (size_t)(p - j->at);
    j->at = p + 1;
    return true;
}

static bool digit(const struct wd_json *j)
{
    return j->at < j->end && *j->at >= '0' && *j->at <= '9';
}

bool wd_json_u64(struct wd_json *j, uint64_t *ret)
{
    uint64_t v = 0;
    const char *from;

    wd_json_peek(j);
    if (j->error || !digit(j))
        return wd_json_fail(j, "expected a whole number");
    from = j->at;
    for (; digit(j); j->at++) {
        unsigned d = (unsigned)(*j->at - '0');

        if (v > ((uint64_t)INT64_MAX - d) / 10)
            return wd_json_fail(j, "number too large");
        v = v * 10 + d;
    }
    if (*from == '0' && j->at - from > 1)
        return wd_json_fail(j, "number begins with 0");
    if (j->at < j->end && (*j->at == '.' || *j->at == 'e' || *j->at == 'E'))
        return wd_json_fail(j, "expected a whole number");
    *ret = v;
    return true;
}

static bool word(struct wd_json *j, const char *w)
{
    size_t n = strlen(w);

    if ((size_t)(j->end - j->at) < n || memcmp(j->at, w, n))
        return wd_json_fail(j, "expected a value");
    j->at += n;
    return true;
}

bool wd_json_bool(struct wd_json *j, bool *ret)
{
    char c = wd_json_peek(j);

    if (c != 't' && c != 'f')
        return wd_json_fail(j, "expected true or false");
    if (!word(j, c == 't' ? "true" : "false"))
        return false;
    *ret = c == 't';
    return true;
}

static bool skip_digits(struct wd_json *j)
{
    if (!digit(j))
        return wd_json_fail(j, "bad number");
    while (digit(j))
        j->at++;
    return true;
}

static bool skip_number(struct wd_json *j)
{
    if (*j->at == '-')
        j->at++;
    if (digit(j) && *j->at == '0')
        j->at++;
    else if (!skip_digits(j))
        return false;
    if (j->at < j->end && *j->at == '.') {
        j->at++;
        if (!skip_digits(j))
            return false;
    }
    if (j->at < j->end && (*j->at == 'e' || *j->at == 'E')) {
        j->at++;
        if (j->at < j->end && (*j->at == '+' || *j->at == '-'))
            j->at++;
        return skip_digits(j);
    }
    return true;
}

/* Recursion is bounded by WD_JSON_MAX_DEPTH. */
bool wd_json_skip(struct wd_json *j)
{
    struct wd_json_str s;
    char c = wd_json_peek(j);

    switch (c) {
    case '{':
        if (wd_json_enter(j, '{'))
            while (wd_json_member(j, &s))
                if (!wd_json_skip(j))
                    return false;
        return !j->error;
    case '[':
        if (wd_json_enter(j, '['))
            while (wd_json_element(j))
                if (!wd_json_skip(j))
                    return false;
        return !j->error;
    case '"':
        return wd_json_str(j, &s);
    case 't':
        return word(j, "true");
    case 'f':
        return word(j, "false");
    case 'n':
        return word(j, "null");
    default:
        if (c != '-' && (c < '0' || c > '9'))
            return wd_json_fail(j, "expected a value");
        return skip_number(j);
    }
}

bool wd_json_done(struct wd_json *j)
{
    if (wd_json_peek(j) || j->at < j->end)
        return wd_json_fail(j, "unexpected text at the end");
    return !j->error;
}

size_t wd_json_unescape(struct wd_json_str s, char *out)
{
    const char *p = s.raw, *end = s.raw + s.len;
    char utf8[4];
    size_t n = 0;

    while (p < end) {
        uint32_t cp;
        size_t k;

        if (*p != '\\') {
            if (out)
                out[n] = *p;
            n++;
            p++;
            continue;
        }
        p++;
        switch (*p) {
        case 'u':
            cp = (uint32_t)hex4(p + 1);
            p += 5;
            if (cp >= 0xd800 && cp < 0xdc00) {
                cp = 0x10000 + ((cp - 0xd800) << 10) + ((uint32_t)hex4(p + 2) - 0xdc00);
                p += 6;
            }
            k = wd_utf8_put(cp, utf8);
            if (out)
                memcpy(out + n, utf8, k);
            n += k;
            continue;
        case 'b':
            utf8[0] = '\b';
            break;
        case 'f':
            utf8[0] = '\f';
            break;
        case 'n':
            utf8[0] = '\n';
            break;
        case 'r':
            utf8[0] = '\r';
            break;
        case 't':
            utf8[0] = '\t';
            break;
        default:
            utf8[0] = *p;
        }
        if (out)
            out[n] = utf8[0];
        n++;
        p++;
    }
    return n;
}

bool wd_json_is(struct wd_json_str s, const char *text)
{
    return s.len == strlen(text) && !memcmp(s.raw, text, s.len);
}
