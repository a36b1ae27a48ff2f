/* model/chat_tools.c - a function's declaration as the model is told of it: name, description,
 * schemas. Source: docs/model.md, "Chat". */
#include "model/chat_values.h"

#include <errno.h>
#include <stdlib.h>

static void put_properties(struct wd_chat_values *v, const char *at);

/* "string" -> STRING; ["string", "null"] -> ['STRING', 'NULL']: in `list` between quote tokens
 * each, otherwise as the reference's language prints a list. */
static void put_type_name(struct wd_chat_values *v, const char *at, const char *mark)
{
    size_t len;
    char *text = wd_chat_value_string(v, at, &len);

    if (!text)
        return;
    for (size_t i = 0; i < len; i++)
        if (text[i] >= 'a' && text[i] <= 'z')
            text[i] = (char)(text[i] - 'a' + 'A');
    wd_chat_put_text(v->w, mark);
    wd_chat_put(v->w, text, len);
    wd_chat_put_text(v->w, mark);
    free(text);
}

static void put_type_list(struct wd_chat_values *v, const char *at, bool quoted)
{
    struct wd_json j = wd_chat_value_reader(v, at);

    wd_chat_put_text(v->w, "[");
    wd_json_enter(&j, '[');
    for (bool first = true; v->w->r == 0 && wd_json_element(&j); first = false) {
        if (!first)
            wd_chat_put_text(v->w, quoted ? "," : ", ");
        wd_json_peek(&j);
        at = j.at;
        wd_json_skip(&j);
        if (quoted)
            wd_chat_put_control(v->w, WD_CHAT_QUOTE);
        put_type_name(v, at, quoted ? "" : "'");
        if (quoted)
            wd_chat_put_control(v->w, WD_CHAT_QUOTE);
    }
    wd_chat_put_text(v->w, "]");
}

/* type:QTYPEQ; without a type nothing stands between the quotes. */
static void put_type(struct wd_chat_values *v, const char *at)
{
    wd_chat_put_text(v->w, "type:");
    wd_chat_put_control(v->w, WD_CHAT_QUOTE);
    if (at && wd_chat_value_kind(v, at) == '[')
        put_type_list(v, at, false);
    else if (at)
        put_type_name(v, at, "");
    wd_chat_put_control(v->w, WD_CHAT_QUOTE);
}

static bool type_is(struct wd_chat_values *v, const char *at, const char *name)
{
    struct wd_json j;
    struct wd_json_str s;
    char text[16];

    if (!at || wd_chat_value_kind(v, at) != '"')
        return false;
    j = wd_chat_value_reader(v, at);
    if (!wd_json_str(&j, &s) || wd_json_unescape(s, NULL) != strlen(name))
        return false;
    wd_json_unescape(s, text); /* no longer than the name */
    for (size_t i = 0; name[i]; i++)
        if ((text[i] | 0x20) != name[i])
            return false;
    return true;
}

/* required:[...] */
static void put_required(struct wd_chat_values *v, const char *at)
{
    wd_chat_put_text(v->w, "required:");
    wd_chat_put_array(v, at);
}

/* A comma, but not before the first. */
static void comma(struct wd_chat_values *v, bool *any)
{
    if (*any)
        wd_chat_put_text(v->w, ",");
    *any = true;
}

static void put_description(struct wd_chat_values *v, const struct wd_chat_object *o, bool *any)
{
    const char *at = wd_chat_object_member(v, o, "description");
    struct wd_json j;
    struct wd_json_str s;

    if (!at)
        return;
    j = wd_chat_value_reader(v, at);
    if (!wd_json_str(&j, &s)) {
        wd_chat_fail(v->w, -EINVAL, "%s: a description that is no string", v->what);
        return;
    }
    if (s.len == 0)
        return;
    comma(v, any);
    wd_chat_put_text(v->w, "description:");
    wd_chat_put_string(v, at);
}

/* What stands in the braces of an array's items. */
static void put_items(struct wd_chat_values *v, const char *at)
{
    struct wd_chat_object o;
    bool any = false;

    if (!wd_chat_object_open(v, at, &o))
        return;
    for (size_t i = 0; i < o.n; i++) {
        const struct wd_chat_member *m = &o.members[i];
        char kind = wd_chat_value_kind(v, m->at);

        if (kind == 'n')
            continue;
        comma(v, &any);
        if (wd_chat_member_is(m, "properties")) {
            wd_chat_put_text(v->w, "properties:{");
            if (kind == '{')
                put_properties(v, m->at);
            wd_chat_put_text(v->w, "}");
        } else if (wd_chat_member_is(m, "required") && kind == '[') {
            put_required(v, m->at);
        } else if (wd_chat_member_is(m, "type") && kind == '[') {
            wd_chat_put_text(v->w, "type:");
            put_type_list(v, m->at, true);
        } else if (wd_chat_member_is(m, "type") && kind == '"') {
            put_type(v, m->at);
        } else {
            wd_chat_put_str(v->w, m->key);
            wd_chat_put_text(v->w, ":");
            wd_chat_put_value(v, m->at);
        }
    }
    wd_chat_object_close(&o);
}

static void put_property(struct wd_chat_values *v, const char *at)
{
    struct wd_chat_object o;
    const char *type, *x;
    bool any = false;

    if (wd_chat_value_kind(v, at) != '{') {
        wd_chat_fail(v->w, -EINVAL, "%s: a property that is no object", v->what);
        return;
    }
    if (!wd_chat_object_open(v, at, &o))
        return;
    type = wd_chat_object_member(v, &o, "type");
    put_description(v, &o, &any);
    if (type_is(v, type, "string") &&
        wd_chat_value_filled(v, x = wd_chat_object_member(v, &o, "enum"), '[')) {
        comma(v, &any);
        wd_chat_put_text(v->w, "enum:");
        wd_chat_put_value(v, x);
    }
    if (type_is(v, type, "array") &&
        wd_chat_value_filled(v, x = wd_chat_object_member(v, &o, "items"), '{')) {
        comma(v, &any);
        wd_chat_put_text(v->w, "items:{");
        put_items(v, x);
        wd_chat_put_text(v->w, "}");
    }
    x = wd_chat_object_member(v, &o, "nullable");
    if (x && wd_chat_value_kind(v, x) == 't') {
        comma(v, &any);
        wd_chat_put_text(v->w, "nullable:true");
    }
    if (type_is(v, type, "object")) {
        x = wd_chat_object_member(v, &o, "properties");
        if (x && wd_chat_value_kind(v, x) == '{') {
            comma(v, &any);
            wd_chat_put_text(v->w, "properties:{");
            put_properties(v, x);
            wd_chat_put_text(v->w, "}");
        }
        x = wd_chat_object_member(v, &o, "required");
        if (wd_chat_value_filled(v, x, '[')) {
            comma(v, &any);
            put_required(v, x);
        }
    }
    comma(v, &any);
    put_type(v, type);
    wd_chat_object_close(&o);
}

static void put_properties(struct wd_chat_values *v, const char *at)
{
    struct wd_chat_object o;

    if (!wd_chat_deeper(v))
        return;
    if (wd_chat_object_open(v, at, &o)) {
        for (size_t i = 0; i < o.n; i++) {
            if (i)
                wd_chat_put_text(v->w, ",");
            wd_chat_put_str(v->w, o.members[i].key);
            wd_chat_put_text(v->w, ":{");
            put_property(v, o.members[i].at);
            wd_chat_put_text(v->w, "}");
        }
        wd_chat_object_close(&o);
    }
    v->depth--;
}

/* properties, required, type: in this order, without the braces. */
static void put_parameters(struct wd_chat_values *v, const char *at)
{
    struct wd_chat_object o;
    const char *x;

    if (!wd_chat_object_open(v, at, &o))
        return;
    x = wd_chat_object_member(v, &o, "properties");
    if (wd_chat_value_filled(v, x, '{')) {
        wd_chat_put_text(v->w, "properties:{");
        put_properties(v, x);
        wd_chat_put_text(v->w, "},");
    }
    x = wd_chat_object_member(v, &o, "required");
    if (wd_chat_value_filled(v, x, '[')) {
        put_required(v, x);
        wd_chat_put_text(v->w, ",");
    }
    x = wd_chat_object_member(v, &o, "type");
    if (x) {
        put_type(v, x);
    } else { /* without a type the reference leaves the brace open */
        wd_chat_put_text(v->w, "type:");
        wd_chat_put_quoted(v->w, (struct wd_chat_str){"OBJECT", 6});
    }
    wd_chat_object_close(&o);
}

/* description, type. */
static void put_response(struct wd_chat_values *v, const char *at)
{
    struct wd_chat_object o;
    const char *x;
    bool any = false;

    if (!wd_chat_object_open(v, at, &o))
        return;
    put_description(v, &o, &any);
    x = wd_chat_object_member(v, &o, "type");
    if (x) {
        comma(v, &any);
        put_type(v, x);
    }
    wd_chat_object_close(&o);
}

/* A schema: an object with something in it. */
static bool schema(struct wd_chat_values *v, struct wd_chat_str json, const char **ret_at)
{
    if (json.len == 0 || v->w->r < 0 || !wd_chat_values_check(v, json, ret_at))
        return false;
    if (wd_chat_value_kind(v, *ret_at) != '{') {
        wd_chat_fail(v->w, -EINVAL, "%s: a schema that is no object", v->what);
        return false;
    }
    return wd_chat_value_filled(v, *ret_at, '{');
}

void wd_chat_put_tool(struct wd_chat_writer *w, const struct wd_chat_tool *tool, const char *what)
{
    struct wd_chat_values v = {.w = w, .what = what, .quote_keys = true};
    const char *at;

    wd_chat_put_control(w, WD_CHAT_TOOL_OPEN);
    wd_chat_put_text(w, "declaration:");
    wd_chat_put_str(w, tool->name);
    wd_chat_put_text(w, "{description:");
    wd_chat_put_quoted(w, tool->description);
    if (schema(&v, tool->parameters, &at)) {
        wd_chat_put_text(w, ",parameters:{");
        put_parameters(&v, at);
        wd_chat_put_text(w, "}");
    }
    if (schema(&v, tool->response, &at)) {
        wd_chat_put_text(w, ",response:{");
        put_response(&v, at);
        wd_chat_put_text(w, "}");
    }
    wd_chat_put_text(w, "}");
    wd_chat_put_control(w, WD_CHAT_TOOL_CLOSE);
}
