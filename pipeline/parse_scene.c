/* pipeline/parse_scene.c - an answer about pictures -> title, summary, changes, concerns: a JSON
 * object however broken, or sentences. */
#include "base/utf8.h"
#include "pipeline/parse.h"

#include <string.h>

#define MAX_DEPTH 8

struct reader {
    const char *p, *end;
};

/* A field of the answer being written: single blanks, nothing that is no text. */
struct field {
    char *text; /* NULL: read over it */
    size_t size, n;
    bool blank; /* one is owed before the next character */
};

static struct field field_of(char *text, size_t size)
{
    return (struct field){.text = text, .size = size};
}

static void put(struct field *f, uint32_t c)
{
    char bytes[4];
    size_t n;

    if (!f->text)
        return;
    if (c <= ' ' || c == 0xa0 || c == 0x2028 || c == 0x2029) {
        f->blank = f->n > 0;
        return;
    }
    if ((c >= 0x7f && c <= 0x9f) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
        c == 0xfeff)
        return;
    n = wd_utf8_put(c, bytes);
    if (f->n + f->blank + n + 1 > f->size) {
        f->size = 0; /* a hole in the middle would read as if it were said so */
        return;
    }
    if (f->blank)
        f->text[f->n++] = ' ';
    f->blank = false;
    memcpy(f->text + f->n, bytes, n);
    f->n += n;
    f->text[f->n] = '\0';
}

static uint32_t next_character(struct reader *r)
{
    uint32_t c;
    size_t n;
    bool ok = wd_utf8_next(r->p, (size_t)(r->end - r->p), &c, &n);

    r->p += n ? n : 1;
    return ok ? c : 0xfffd;
}

static void skip_space(struct reader *r)
{
    while (r->p < r->end &&
           (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t' || *r->p == ','))
        r->p++;
}

static int32_t hex4(struct reader *r)
{
    int32_t v = 0;

    if (r->end - r->p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = r->p[i];

        v = v * 16 + (c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1000000);
        if (v < 0)
            return -1;
    }
    r->p += 4;
    return v;
}

/* Behind \u: one character, a surrogate pair together. */
static uint32_t escape_u(struct reader *r)
{
    int32_t a = hex4(r), b;
    struct reader pair;

    if (a < 0)
        return 0xfffd;
    if (a < 0xd800 || a > 0xdfff)
        return (uint32_t)a;
    pair = *r;
    if (a <= 0xdbff && pair.end - pair.p >= 2 && pair.p[0] == '\\' && pair.p[1] == 'u') {
        pair.p += 2;
        b = hex4(&pair);
        if (b >= 0xdc00 && b <= 0xdfff) {
            *r = pair;
            return 0x10000 + (((uint32_t)a & 0x3ff) << 10) + ((uint32_t)b & 0x3ff);
        }
    }
    return 0xfffd;
}

/* r->p is behind the opening quote; ends behind the closing one, or where the text ends. */
static void read_string(struct reader *r, struct field *f)
{
    while (r->p < r->end && *r->p != '"') {
        if (*r->p != '\\' || r->end - r->p < 2) {
            uint32_t c = next_character(r);

            if (c != '\\')
                put(f, c);
            continue;
        }
        r->p += 2;
        switch (r->p[-1]) {
        case 'n':
        case 't':
        case 'r':
        case 'b':
        case 'f':
            put(f, ' ');
            break;
        case 'u':
            put(f, escape_u(r));
            break;
        default:
            r->p--; /* a quote, a slash, or a character that needed no escape */
            put(f, next_character(r));
        }
    }
    if (r->p < r->end)
        r->p++;
}

/* A number, true, null, or words without quotes: up to what ends a value. */
static size_t read_bare(struct reader *r, char *ret, size_t size)
{
    size_t n = 0;

    while (r->p < r->end && !strchr(",]}\n\"", *r->p)) {
        if (n + 1 < size)
            ret[n++] = *r->p;
        r->p++;
    }
    while (n && (ret[n - 1] == ' ' || ret[n - 1] == '\r' || ret[n - 1] == '\t'))
        n--;
    ret[n] = '\0';
    return n;
}

/* Any value, its texts into f, one after the other with "; " between. */
static void read_value(struct reader *r, struct field *f, unsigned depth)
{
    char bare[64];
    size_t n;

    skip_space(r);
    if (r->p == r->end)
        return;
    if (*r->p == '"') {
        r->p++;
        read_string(r, f);
    } else if (*r->p == '[' || *r->p == '{') {
        char close = *r->p == '[' ? ']' : '}';

        r->p++;
        for (;;) {
            const char *before;

            skip_space(r);
            if (r->p == r->end)
                return;
            if (*r->p == close) {
                r->p++;
                return;
            }
            before = r->p;
            if (*r->p == ':') { /* a key of an object inside: its value goes on */
                r->p++;
                put(f, ':');
                put(f, ' ');
            } else if (depth == MAX_DEPTH) {
                r->p++;
            } else {
                if (f->n && f->text[f->n - 1] != ':')
                    put(f, ';');
                put(f, ' ');
                read_value(r, f, depth + 1);
            }
            if (r->p == before) /* a bracket that closes something else */
                r->p++;
        }
    } else {
        n = read_bare(r, bare, sizeof bare);
        if (strcmp(bare, "null") == 0)
            return;
        for (struct reader b = {bare, bare + n}; b.p < b.end;)
            put(f, next_character(&b));
    }
}

/* 0.8, "0.8", 80, "80 %", "high". */
static float confidence_of(const char *s)
{
    static const struct {
        const char *word;
        float value;
    } words[] = {{"very high", 0.95f}, {"high", 0.9f},     {"medium", 0.6f},
                 {"moderate", 0.6f},   {"very low", 0.1f}, {"low", 0.3f}};
    float v = 0, unit = 1;
    size_t n = 0;

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t k = 0;

        while (words[i].word[k] && (s[k] | 0x20) == words[i].word[k])
            k++;
        if (!words[i].word[k])
            return words[i].value;
    }
    for (; s[n] >= '0' && s[n] <= '9' && n < 4; n++)
        v = v * 10 + (float)(s[n] - '0');
    if (n == 0 && s[0] != '.')
        return -1;
    if (s[n] == '.')
        for (size_t i = n + 1; s[i] >= '0' && s[i] <= '9' && i < n + 9; i++)
            v += (float)(s[i] - '0') * (unit /= 10);
    if (strchr(s, '%') || v > 1)
        v /= 100;
    return v <= 1 ? v : -1;
}

static bool is_key(const char *key, const char *name)
{
    size_t i = 0;

    while (name[i] && (key[i] | 0x20) == name[i])
        i++;
    return !name[i] && !key[i];
}

static void read_object(struct reader *r, struct wd_scene_answer *a)
{
    r->p++;
    for (;;) {
        char key[32] = "", value[64] = "";
        struct field k = field_of(key, sizeof key), v = {.text = NULL};
        bool confidence = false;
        const char *before;

        skip_space(r);
        if (r->p == r->end || *r->p == '}')
            return;
        before = r->p;
        if (*r->p == '"') {
            r->p++;
            read_string(r, &k);
        } else { /* a key without quotes */
            while (r->p < r->end && !strchr(":,}\"", *r->p))
                put(&k, next_character(r));
        }
        skip_space(r);
        if (r->p < r->end && *r->p == ':') {
            r->p++;
            if (is_key(key, "title") && !a->title[0])
                v = field_of(a->title, sizeof a->title);
            else if ((is_key(key, "summary") || is_key(key, "description")) && !a->summary[0])
                v = field_of(a->summary, sizeof a->summary);
            else if ((is_key(key, "changes") || is_key(key, "change")) && !a->changes[0])
                v = field_of(a->changes, sizeof a->changes);
            else if ((is_key(key, "concerns") || is_key(key, "concern")) && !a->concerns[0])
                v = field_of(a->concerns, sizeof a->concerns);
            else if ((confidence = is_key(key, "confidence")))
                v = field_of(value, sizeof value);
            read_value(r, &v, 0);
            if (confidence)
                a->confidence = confidence_of(value);
        }
        if (r->p == before)
            r->p++;
    }
}

/* The first sentence of `from` without its end mark. */
static void title_from(const char *from, char *ret, size_t size)
{
    struct reader r = {from, from + strlen(from)};
    struct field f = field_of(ret, size);

    while (r.p < r.end) {
        if (strchr(".!?", *r.p) && (r.p + 1 == r.end || r.p[1] == ' '))
            break;
        put(&f, next_character(&r));
    }
}

/* The text itself begins one, or one stands behind some words: a brace, then a quote. */
static const char *find_object(struct reader r)
{
    if (r.p < r.end && *r.p == '{')
        return r.p;
    while (r.p < r.end && (r.p = memchr(r.p, '{', (size_t)(r.end - r.p)))) {
        const char *brace = r.p++;

        skip_space(&r);
        if (r.p < r.end && *r.p == '"')
            return brace;
    }
    return NULL;
}

void wd_parse_scene(const char *text, size_t len, struct wd_scene_answer *ret)
{
    struct reader r = {text ? text : "", NULL};
    const char *object;
    struct field f;

    r.end = r.p + (text ? len : 0);
    ret->title[0] = ret->summary[0] = ret->changes[0] = ret->concerns[0] = '\0';
    ret->confidence = -1;
    ret->json = false;
    skip_space(&r);
    if (r.end - r.p >= 3 &&
        memcmp(r.p, "```", 3) == 0) { /* a fence, the name of a language behind it */
        r.p += 3;
        while (r.p < r.end && ((*r.p | 0x20) >= 'a') && ((*r.p | 0x20) <= 'z'))
            r.p++;
        skip_space(&r);
        while (r.end - r.p > 0 && (r.end[-1] == '`' || r.end[-1] == '\n' || r.end[-1] == ' '))
            r.end--;
    }
    object = find_object(r);
    if (object) {
        ret->json = true;
        r.p = object;
        read_object(&r, ret);
    } else {
        f = field_of(ret->summary, sizeof ret->summary);
        while (r.p < r.end)
            put(&f, next_character(&r));
    }
    if (!ret->title[0])
        title_from(ret->summary, ret->title, sizeof ret->title);
}
