/* model/chat_json.c - messages and functions as JSON -> a conversation to be rendered. */
#include "model/chat_json.h"

#include "model/json_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The text is walked twice: the first walk counts what memory is needed, the second takes it. */
struct memory {
    char *at;    /* NULL: only counting */
    size_t used; /* bytes */
};

struct walk {
    struct wd_json j;
    struct memory *m;
};

#define ALIGN _Alignof(max_align_t)

/* n objects of `size` bytes; NULL while counting. */
static void *take(struct walk *w, size_t n, size_t size)
{
    void *at;

    w->m->used = (w->m->used + ALIGN - 1) / ALIGN * ALIGN;
    at = w->m->at ? w->m->at + w->m->used : NULL;
    w->m->used += n * size;
    return at;
}

static bool is_null(struct walk *w)
{
    return wd_json_peek(&w->j) == 'n' && wd_json_skip(&w->j);
}

/* A string without its escapes. Null is an empty one. */
static bool string(struct walk *w, struct wd_chat_str *ret)
{
    struct wd_json_str s;
    char *text;

    *ret = (struct wd_chat_str){NULL, 0};
    if (is_null(w))
        return true;
    if (!wd_json_str(&w->j, &s))
        return false;
    ret->at = s.raw;
    ret->len = s.len;
    if (!memchr(s.raw, '\\', s.len))
        return true;
    ret->len = wd_json_unescape(s, NULL);
    text = take(w, ret->len, 1);
    ret->at = text;
    if (text)
        wd_json_unescape(s, text);
    return true;
}

/* Any value, as its JSON text. Null is an empty one. */
static bool raw(struct walk *w, struct wd_chat_str *ret)
{
    *ret = (struct wd_chat_str){NULL, 0};
    if (is_null(w))
        return true;
    wd_json_peek(&w->j);
    ret->at = w->j.at;
    if (!wd_json_skip(&w->j))
        return false;
    ret->len = (size_t)(w->j.at - ret->at);
    return true;
}

/* Elements of the array that comes next; the reader does not move. */
static size_t count(const struct walk *w)
{
    struct wd_json j = w->j;
    size_t n = 0;

    if (wd_json_enter(&j, '['))
        while (wd_json_element(&j) && wd_json_skip(&j))
            n++;
    return n; /* an error comes again when the elements are read */
}

/* An array of objects: `one` reads each, into its place of `size` bytes or, while counting, into a
 * place on its stack. Null is an empty array. */
static bool list(struct walk *w, size_t size, bool (*one)(struct walk *w, void *at),
                 const void **ret, size_t *ret_n)
{
    char *at;
    size_t n = 0;

    *ret = NULL;
    *ret_n = 0;
    if (is_null(w))
        return true;
    at = take(w, count(w), size);
    if (!wd_json_enter(&w->j, '['))
        return false;
    *ret = at;
    while (wd_json_element(&w->j)) {
        if (!one(w, at ? at + n * size : NULL))
            return false;
        n++;
    }
    *ret_n = n;
    return !w->j.error;
}

/* "image_url": "..." or {"url": "..."}; "input_audio": {"data": "...", "format": "wav"}. */
static bool source(struct walk *w, struct wd_chat_part *p)
{
    struct wd_json_str key;

    if (wd_json_peek(&w->j) != '{')
        return wd_json_peek(&w->j) == '"' ? string(w, &p->source) : wd_json_skip(&w->j);
    wd_json_enter(&w->j, '{');
    while (wd_json_member(&w->j, &key)) {
        bool is_source =
            wd_json_is(key, "url") || wd_json_is(key, "data") || wd_json_is(key, "path");

        if (is_source && !string(w, &p->source))
            return false;
        if (wd_json_is(key, "format") && !string(w, &p->format))
            return false;
        if (!is_source && !wd_json_is(key, "format") && !wd_json_skip(&w->j))
            return false;
    }
    return !w->j.error;
}

static const struct {
    const char *type;
    enum wd_chat_kind kind;
} types[] = {
    {"text", WD_CHAT_TEXT},   {"input_text", WD_CHAT_TEXT},   {"output_text", WD_CHAT_TEXT},
    {"audio", WD_CHAT_AUDIO}, {"input_audio", WD_CHAT_AUDIO}, {"audio_url", WD_CHAT_AUDIO},
    {"image", WD_CHAT_IMAGE}, {"image_url", WD_CHAT_IMAGE},   {"input_image", WD_CHAT_IMAGE},
    {"video", WD_CHAT_VIDEO}, {"video_url", WD_CHAT_VIDEO},   {"input_video", WD_CHAT_VIDEO},
};

static bool source_key(struct wd_json_str key)
{
    static const char *const keys[] = {"url",       "path",       "data",      "audio",
                                       "image",     "video",      "audio_url", "image_url",
                                       "video_url", "input_audio"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (wd_json_is(key, keys[i]))
            return true;
    return false;
}

/* One part; *ret_known: its type is one of ours. */
static bool part(struct walk *w, struct wd_chat_part *p, bool *ret_known)
{
    struct wd_json_str key, type;
    bool typed = false;

    *ret_known = false;
    *p = (struct wd_chat_part){.kind = WD_CHAT_TEXT};
    if (!wd_json_enter(&w->j, '{'))
        return false;
    while (wd_json_member(&w->j, &key)) {
        if (wd_json_is(key, "type")) {
            if (!wd_json_str(&w->j, &type))
                return false;
            typed = true;
            *ret_known = false;
            for (size_t i = 0; i < sizeof types / sizeof *types; i++)
                if (wd_json_is(type, types[i].type)) {
                    p->kind = types[i].kind;
                    *ret_known = true;
                }
        } else if (wd_json_is(key, "text")) {
            if (!string(w, &p->text))
                return false;
        } else if (wd_json_is(key, "format")) {
            if (!string(w, &p->format))
                return false;
        } else if (!(source_key(key) ? source(w, p) : wd_json_skip(&w->j))) {
            return false;
        }
    }
    return !w->j.error && (typed || wd_json_fail(&w->j, "a part without a type"));
}

static bool content(struct walk *w, struct wd_chat_message *m)
{
    struct wd_chat_part here, *parts;
    size_t n = 0;
    bool known;

    m->parts = NULL;
    m->n_parts = 0;
    m->listed = false;
    if (is_null(w))
        return true;
    if (wd_json_peek(&w->j) == '"') {
        parts = take(w, 1, sizeof *parts);
        here = (struct wd_chat_part){.kind = WD_CHAT_TEXT};
        if (!string(w, &here.text))
            return false;
        if (parts)
            *parts = here;
        m->parts = parts;
        m->n_parts = 1;
        return true;
    }
    if (wd_json_peek(&w->j) != '[')
        return wd_json_fail(&w->j, "expected the content: a string, an array of parts, or null");
    parts = take(w, count(w), sizeof *parts);
    wd_json_enter(&w->j, '[');
    while (wd_json_element(&w->j)) {
        if (!part(w, &here, &known))
            return false;
        if (known && parts)
            parts[n] = here;
        n += known;
    }
    m->parts = parts;
    m->n_parts = n;
    m->listed = true;
    return !w->j.error;
}

static bool function(struct walk *w, struct wd_chat_call *c)
{
    struct wd_json_str key;

    if (!wd_json_enter(&w->j, '{'))
        return false;
    while (wd_json_member(&w->j, &key)) {
        bool good;

        if (wd_json_is(key, "name"))
            good = string(w, &c->name);
        else if (wd_json_is(key, "arguments"))
            good = wd_json_peek(&w->j) == '"' ? string(w, &c->arguments) : raw(w, &c->arguments);
        else
            good = wd_json_skip(&w->j);
        if (!good)
            return false;
    }
    return !w->j.error;
}

/* {"id": ..., "type": "function", "function": {"name": ..., "arguments": ...}} */
static bool call(struct walk *w, void *at)
{
    struct wd_chat_call c = {0};
    struct wd_json_str key;

    if (!wd_json_enter(&w->j, '{'))
        return false;
    while (wd_json_member(&w->j, &key)) {
        bool good;

        if (wd_json_is(key, "id"))
            good = string(w, &c.id);
        else if (wd_json_is(key, "function"))
            good = function(w, &c);
        else
            good = wd_json_skip(&w->j);
        if (!good)
            return false;
    }
    if (w->j.error)
        return false;
    if (c.name.len == 0)
        return wd_json_fail(&w->j, "a call without a function's name");
    if (at)
        *(struct wd_chat_call *)at = c;
    return true;
}

/* {"name": ..., "response": any} */
static bool result(struct walk *w, void *at)
{
    struct wd_chat_result r = {0};
    struct wd_json_str key;

    if (!wd_json_enter(&w->j, '{'))
        return false;
    while (wd_json_member(&w->j, &key)) {
        bool good;

        if (wd_json_is(key, "name"))
            good = string(w, &r.name);
        else if (wd_json_is(key, "response"))
            good = raw(w, &r.response);
        else
            good = wd_json_skip(&w->j);
        if (!good)
            return false;
    }
    if (w->j.error)
        return false;
    if (r.response.len == 0)
        r.response = (struct wd_chat_str){"null", 4};
    if (at)
        *(struct wd_chat_result *)at = r;
    return true;
}

static bool message(struct walk *w, void *at)
{
    struct wd_chat_message m = {0};
    struct wd_chat_str reasoning = {0}, also = {0};
    struct wd_json_str key;
    const void *items;

    if (!wd_json_enter(&w->j, '{'))
        return false;
    while (wd_json_member(&w->j, &key)) {
        bool good;

        if (wd_json_is(key, "role")) {
            good = string(w, &m.role);
        } else if (wd_json_is(key, "content")) {
            good = content(w, &m);
        } else if (wd_json_is(key, "reasoning")) {
            good = string(w, &reasoning);
        } else if (wd_json_is(key, "reasoning_content")) {
            good = string(w, &also);
        } else if (wd_json_is(key, "tool_calls")) {
            good = list(w, sizeof *m.calls, call, &items, &m.n_calls);
            m.calls = items;
        } else if (wd_json_is(key, "tool_responses")) {
            good = list(w, sizeof *m.results, result, &items, &m.n_results);
            m.results = items;
        } else if (wd_json_is(key, "tool_call_id")) {
            good = string(w, &m.call_id);
        } else if (wd_json_is(key, "name")) {
            good = string(w, &m.name);
        } else {
            good = wd_json_skip(&w->j);
        }
        if (!good)
            return false;
    }
    if (w->j.error)
        return false;
    if (m.role.len == 0)
        return wd_json_fail(&w->j, "a message without a role");
    m.reasoning = reasoning.len ? reasoning : also;
    if (at)
        *(struct wd_chat_message *)at = m;
    return true;
}

/* The members of a function's declaration. `nested`: they may stand below "function". */
static bool declaration(struct walk *w, struct wd_chat_tool *t, bool nested)
{
    struct wd_json_str key;

    if (!wd_json_enter(&w->j, '{'))
        return false;
    while (wd_json_member(&w->j, &key)) {
        bool good;

        if (wd_json_is(key, "name"))
            good = string(w, &t->name);
        else if (wd_json_is(key, "description"))
            good = string(w, &t->description);
        else if (wd_json_is(key, "parameters"))
            good = raw(w, &t->parameters);
        else if (wd_json_is(key, "response"))
            good = raw(w, &t->response);
        else if (nested && wd_json_is(key, "function"))
            good = declaration(w, t, false);
        else
            good = wd_json_skip(&w->j);
        if (!good)
            return false;
    }
    return !w->j.error;
}

static bool tool(struct walk *w, void *at)
{
    struct wd_chat_tool t = {0};

    if (!declaration(w, &t, true))
        return false;
    if (t.name.len == 0)
        return wd_json_fail(&w->j, "a function without a name");
    if (at)
        *(struct wd_chat_tool *)at = t;
    return true;
}

static int array(struct memory *m, const char *what, struct wd_chat_str json, size_t size,
                 bool (*one)(struct walk *w, void *at), const void **ret, size_t *ret_n,
                 struct wd_err *err)
{
    struct walk w = {.m = m};

    wd_json_init(&w.j, json.at, json.len);
    if (list(&w, size, one, ret, ret_n) && wd_json_done(&w.j))
        return 0;
    return wd_err_set(err, -EINVAL, "%s: at byte %zu: %s", what, (size_t)(w.j.at - w.j.start),
                      w.j.error ? w.j.error : "more behind the array");
}

int wd_chat_from_json(struct wd_chat_str messages, struct wd_chat_str tools, struct wd_chat *ret,
                      void **ret_memory, struct wd_err *err)
{
    struct memory m = {0};
    const void *at_messages = NULL, *at_tools = NULL;
    size_t n_messages = 0, n_tools = 0;
    int r;

    for (;;) {
        m.used = 0;
        r = array(&m, "messages", messages, sizeof *ret->messages, message, &at_messages,
                  &n_messages, err);
        if (r == 0 && tools.len)
            r = array(&m, "tools", tools, sizeof *ret->tools, tool, &at_tools, &n_tools, err);
        if (r < 0 || m.at)
            break;
        m.at = malloc(m.used + 1);
        if (!m.at)
            return wd_err_set(err, -ENOMEM, "out of memory");
    }
    if (r < 0) {
        free(m.at);
        return r;
    }
    ret->messages = at_messages;
    ret->n_messages = n_messages;
    ret->tools = at_tools;
    ret->n_tools = n_tools;
    *ret_memory = m.at;
    return 0;
}
