/* model/chat_values.c - JSON values as the function syntax writes them.
 * Source: docs/model.md, "Chat". */
#include "model/chat_values.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_NUMBER 1024 /* bytes of one */

struct wd_json wd_chat_value_reader(const struct wd_chat_values *v, const char *at)
{
    struct wd_json j;

    wd_json_init(&j, at, (size_t)(v->end - at));
    return j;
}

char wd_chat_value_kind(const struct wd_chat_values *v, const char *at)
{
    struct wd_json j = wd_chat_value_reader(v, at);

    return wd_json_peek(&j);
}

static unsigned char as_is(char c)
{
    return (unsigned char)c;
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static int by_text(const struct wd_chat_member *a, const struct wd_chat_member *b,
                   unsigned char (*letter)(char))
{
    for (size_t i = 0; i < a->key.len && i < b->key.len; i++)
        if (letter(a->key.at[i]) != letter(b->key.at[i]))
            return letter(a->key.at[i]) < letter(b->key.at[i]) ? -1 : 1;
    return a->key.len < b->key.len ? -1 : a->key.len > b->key.len;
}

static int by_place(const struct wd_chat_member *a, const struct wd_chat_member *b)
{
    return a->at < b->at ? -1 : a->at > b->at;
}

static int exactly(const void *a, const void *b)
{
    int order = by_text(a, b, as_is);

    return order ? order : by_place(a, b);
}

/* Without regard to the case of ASCII letters; of the same, the first to come first. */
static int without_case(const void *a, const void *b)
{
    int order = by_text(a, b, lower);

    return order ? order : by_place(a, b);
}

/* Sorted, and of members with the same key the last. */
static void sort(struct wd_chat_object *o)
{
    size_t n = 0;

    qsort(o->members, o->n, sizeof *o->members, exactly);
    for (size_t i = 0; i < o->n; i++)
        if (i + 1 == o->n || by_text(&o->members[i], &o->members[i + 1], as_is))
            o->members[n++] = o->members[i];
    o->n = n;
    qsort(o->members, o->n, sizeof *o->members, without_case);
}

void wd_chat_object_close(struct wd_chat_object *o)
{
    free(o->members);
    free(o->keys);
}

bool wd_chat_object_open(struct wd_chat_values *v, const char *at, struct wd_chat_object *ret)
{
    struct wd_json j = wd_chat_value_reader(v, at), count = j;
    struct wd_json_str key;
    size_t n = 0, bytes = 0;

    if (v->w->r < 0)
        return false;
    if (wd_json_enter(&count, '{'))
        while (wd_json_member(&count, &key) && wd_json_skip(&count)) {
            n++;
            bytes += key.len;
        }
    if (count.error) {
        wd_chat_fail(v->w, -EINVAL, "%s: %s", v->what, count.error);
        return false;
    }
    *ret = (struct wd_chat_object){.members = malloc((n + 1) * sizeof *ret->members),
                                   .keys = malloc(bytes + 1)};
    if (!ret->members || !ret->keys) {
        wd_chat_object_close(ret);
        wd_chat_fail(v->w, -ENOMEM, "out of memory");
        return false;
    }
    bytes = 0;
    wd_json_enter(&j, '{');
    while (wd_json_member(&j, &key)) {
        struct wd_chat_member *m = &ret->members[ret->n++];

        m->key.at = ret->keys + bytes;
        m->key.len = wd_json_unescape(key, ret->keys + bytes);
        bytes += m->key.len;
        wd_json_peek(&j);
        m->at = j.at;
        wd_json_skip(&j);
    }
    sort(ret);
    return true;
}

bool wd_chat_member_is(const struct wd_chat_member *m, const char *key)
{
    return m->key.len == strlen(key) && !memcmp(m->key.at, key, m->key.len);
}

const char *wd_chat_object_member(const struct wd_chat_values *v, const struct wd_chat_object *o,
                                  const char *key)
{
    for (size_t i = 0; i < o->n; i++)
        if (wd_chat_member_is(&o->members[i], key))
            return wd_chat_value_kind(v, o->members[i].at) == 'n' ? NULL : o->members[i].at;
    return NULL;
}

bool wd_chat_value_filled(const struct wd_chat_values *v, const char *at, char kind)
{
    struct wd_json j;

    if (!at || wd_chat_value_kind(v, at) != kind)
        return false;
    j = wd_chat_value_reader(v, at);
    wd_json_enter(&j, kind);
    return wd_json_peek(&j) != (kind == '{' ? '}' : ']');
}

char *wd_chat_value_string(struct wd_chat_values *v, const char *at, size_t *ret_len)
{
    struct wd_json j = wd_chat_value_reader(v, at);
    struct wd_json_str s;
    char *text;

    if (!wd_json_str(&j, &s)) {
        wd_chat_fail(v->w, -EINVAL, "%s: %s", v->what, j.error);
        return NULL;
    }
    text = malloc(s.len + 1);
    if (!text)
        wd_chat_fail(v->w, -ENOMEM, "out of memory");
    else
        *ret_len = wd_json_unescape(s, text);
    return text;
}

void wd_chat_put_string(struct wd_chat_values *v, const char *at)
{
    size_t len;
    char *text = wd_chat_value_string(v, at, &len);

    if (text)
        wd_chat_put_quoted(v->w, (struct wd_chat_str){text, len});
    free(text);
}

/* A number with a fraction or an exponent: the shortest digits that mean it, with an exponent from
 * 1e16 and below 1e-4. `text` is made free of the decimal mark, which is the locale's. */
static void put_real(struct wd_chat_values *v, const char *number, size_t len)
{
    char text[MAX_NUMBER + 32], digits[32], out[48];
    const char *e = NULL, *mark = NULL;
    size_t n = 0, k = 0;
    long power;
    double x;

    for (size_t i = 0; i < len && !e; i++) {
        if (number[i] == '.')
            mark = number + i;
        else if (number[i] == 'e' || number[i] == 'E')
            e = number + i;
        else
            text[n++] = number[i];
    }
    power = e ? strtol(e + 1, NULL, 10) : 0;
    power = power > 9999 ? 9999 : power < -9999 ? -9999 : power;
    if (mark)
        power -= (e ? e : number + len) - mark - 1;
    snprintf(text + n, sizeof text - n, "e%ld", power);
    x = strtod(text, NULL);
    if (x - x != 0) {
        wd_chat_fail(v->w, -EINVAL, "%s: a number that is too large", v->what);
        return;
    }
    n = 0;
    if (text[0] == '-') {
        out[n++] = '-';
        x = -x;
    }
    for (int precision = 0; precision <= 16; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, x);
        if (strtod(text, NULL) == x)
            break;
    }
    power = strtol(strchr(text, 'e') + 1, NULL, 10);
    for (const char *p = text; *p != 'e'; p++)
        if (*p >= '0' && *p <= '9')
            digits[k++] = *p;
    digits[k] = '\0';
    if (power < -4 || power >= 16)
        n += (size_t)snprintf(out + n, sizeof out - n, "%c%s%se%c%02ld", digits[0],
                              k > 1 ? "." : "", digits + 1, power < 0 ? '-' : '+', labs(power));
    else if (power < 0)
        n +=
            (size_t)snprintf(out + n, sizeof out - n, "0.%.*s%s", (int)(-power - 1), "000", digits);
    else if ((size_t)power + 1 >= k)
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s.0", digits,
                              (int)(power + 1 - (long)k), "0000000000000000");
    else
        n += (size_t)snprintf(out + n, sizeof out - n, "%.*s.%s", (int)power + 1, digits,
                              digits + power + 1);
    wd_chat_put(v->w, out, n);
}

static void put_number(struct wd_chat_values *v, const char *at)
{
    struct wd_json j = wd_chat_value_reader(v, at);
    size_t len;

    wd_json_peek(&j);
    at = j.at;
    if (!wd_json_skip(&j)) {
        wd_chat_fail(v->w, -EINVAL, "%s: %s", v->what, j.error);
        return;
    }
    len = (size_t)(j.at - at);
    if (len > MAX_NUMBER)
        wd_chat_fail(v->w, -EINVAL, "%s: a number of more than %d digits", v->what, MAX_NUMBER);
    else if (memchr(at, '.', len) || memchr(at, 'e', len) || memchr(at, 'E', len))
        put_real(v, at, len);
    else if (len == 2 && at[0] == '-' && at[1] == '0')
        wd_chat_put_text(v->w, "0");
    else
        wd_chat_put(v->w, at, len);
}

static void put_key(struct wd_chat_values *v, struct wd_chat_str key)
{
    if (v->quote_keys)
        wd_chat_put_quoted(v->w, key);
    else
        wd_chat_put_str(v->w, key);
    wd_chat_put_text(v->w, ":");
}

static void put_object(struct wd_chat_values *v, const char *at)
{
    struct wd_chat_object o;

    if (!wd_chat_object_open(v, at, &o))
        return;
    for (size_t i = 0; i < o.n; i++) {
        if (i)
            wd_chat_put_text(v->w, ",");
        put_key(v, o.members[i].key);
        wd_chat_put_value(v, o.members[i].at);
    }
    wd_chat_object_close(&o);
}

void wd_chat_put_array(struct wd_chat_values *v, const char *at)
{
    struct wd_json j = wd_chat_value_reader(v, at);
    bool first = true;

    wd_chat_put_text(v->w, "[");
    if (wd_json_enter(&j, '['))
        for (; v->w->r == 0 && wd_json_element(&j); first = false) {
            if (!first)
                wd_chat_put_text(v->w, ",");
            wd_json_peek(&j);
            at = j.at;
            if (wd_json_skip(&j))
                wd_chat_put_value(v, at);
        }
    if (j.error)
        wd_chat_fail(v->w, -EINVAL, "%s: %s", v->what, j.error);
    wd_chat_put_text(v->w, "]");
}

bool wd_chat_deeper(struct wd_chat_values *v)
{
    if (v->w->r < 0)
        return false;
    if (v->depth == WD_JSON_MAX_DEPTH) {
        wd_chat_fail(v->w, -EINVAL, "%s: nested too deeply", v->what);
        return false;
    }
    v->depth++;
    return true;
}

void wd_chat_put_value(struct wd_chat_values *v, const char *at)
{
    if (!wd_chat_deeper(v))
        return;
    switch (wd_chat_value_kind(v, at)) {
    case '{':
        wd_chat_put_text(v->w, "{");
        put_object(v, at);
        wd_chat_put_text(v->w, "}");
        break;
    case '[':
        wd_chat_put_array(v, at);
        break;
    case '"':
        wd_chat_put_string(v, at);
        break;
    case 't':
        wd_chat_put_text(v->w, "true");
        break;
    case 'f':
        wd_chat_put_text(v->w, "false");
        break;
    case 'n':
        wd_chat_put_text(v->w, "null");
        break;
    default:
        put_number(v, at);
    }
    v->depth--;
}

bool wd_chat_values_check(struct wd_chat_values *v, struct wd_chat_str json, const char **ret_at)
{
    struct wd_json j;

    v->end = json.at + json.len;
    wd_json_init(&j, json.at, json.len);
    wd_json_peek(&j);
    *ret_at = j.at;
    if (wd_json_skip(&j) && wd_json_done(&j))
        return true;
    wd_chat_fail(v->w, -EINVAL, "%s: at byte %zu: %s", v->what, (size_t)(j.at - j.start), j.error);
    return false;
}

void wd_chat_put_members(struct wd_chat_writer *w, struct wd_chat_str json, const char *what)
{
    struct wd_chat_values v = {.w = w, .what = what};
    const char *at;

    if (json.len && w->r == 0 && wd_chat_values_check(&v, json, &at))
        put_object(&v, at);
}

void wd_chat_put_result(struct wd_chat_writer *w, struct wd_chat_str json, const char *what)
{
    struct wd_chat_values v = {.w = w, .what = what};
    const char *at;

    if (w->r < 0 || !wd_chat_values_check(&v, json, &at))
        return;
    if (wd_chat_value_kind(&v, at) == '{') {
        put_object(&v, at);
        return;
    }
    wd_chat_put_text(w, "value:");
    wd_chat_put_value(&v, at);
}
