/* base/yaml.c - a YAML text as a small bounded tree in which every node knows its line and column.
 */
#include "base/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct document {
    char *name;
    struct wd_yaml *all; /* every node, newest first, for freeing */
    size_t n_nodes;
};

struct wd_yaml {
    struct document *doc;
    struct wd_yaml *older;
    enum wd_yaml_kind kind;
    unsigned line, column, key_line, key_column;
    char *key, *text;
    bool quoted;
    size_t n;
    struct wd_yaml *first, *last, *next;
};

/* The tree under construction: the open collections, outermost first. */
struct builder {
    struct document *doc;
    struct wd_yaml *root;
    struct wd_yaml *open[WD_YAML_MAX_DEPTH];
    unsigned depth;
    char *key; /* the mapping's key whose value comes next */
    unsigned key_line, key_column;
};

static unsigned from_one(size_t x)
{
    return x < 0x7fffffff ? (unsigned)x + 1 : 0x7fffffff;
}

static int __attribute__((format(printf, 5, 0)))
verr(const struct document *doc, unsigned line, unsigned column, struct wd_err *err,
     const char *fmt, va_list ap)
{
    char what[sizeof err->text];

    vsnprintf(what, sizeof what, fmt, ap);
    return wd_err_set(err, -EINVAL, "%s:%u:%u: %s", doc->name, line, column, what);
}

static int __attribute__((format(printf, 4, 5)))
at(const struct builder *b, const yaml_mark_t *mark, struct wd_err *err, const char *fmt, ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = verr(b->doc, from_one(mark->line), from_one(mark->column), err, fmt, ap);
    va_end(ap);
    return r;
}

static int check_key(const struct builder *b, const struct wd_yaml *map, const char *key,
                     const yaml_mark_t *mark, struct wd_err *err)
{
    if (map->n >= WD_YAML_MAX_KEYS)
        return at(b, mark, err, "expected at most %d keys in one mapping", WD_YAML_MAX_KEYS);
    for (const struct wd_yaml *c = map->first; c; c = c->next)
        if (!strcmp(c->key, key))
            return at(b, mark, err, "key '%.60s' is given twice, first on line %u", key,
                      c->key_line);
    return 0;
}

/* A new node in its place in the tree; `text` is copied. */
static int add(struct builder *b, enum wd_yaml_kind kind, const yaml_event_t *event,
               const char *text, struct wd_err *err)
{
    struct wd_yaml *parent = b->depth ? b->open[b->depth - 1] : NULL;
    struct wd_yaml *n;

    if (kind != WD_YAML_SCALAR && b->depth == WD_YAML_MAX_DEPTH)
        return at(b, &event->start_mark, err, "nested more than %d deep", WD_YAML_MAX_DEPTH);
    if (b->doc->n_nodes >= WD_YAML_MAX_NODES)
        return at(b, &event->start_mark, err, "more than %d values", WD_YAML_MAX_NODES);
    n = calloc(1, sizeof *n);
    if (!n)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", b->doc->name);
    n->doc = b->doc;
    n->older = b->doc->all;
    b->doc->all = n;
    b->doc->n_nodes++;
    n->kind = kind;
    n->line = from_one(event->start_mark.line);
    n->column = from_one(event->start_mark.column);
    n->key = b->key;
    n->key_line = b->key ? b->key_line : n->line;
    n->key_column = b->key ? b->key_column : n->column;
    b->key = NULL;
    if (text) {
        n->text = strdup(text);
        if (!n->text)
            return wd_err_set(err, -ENOMEM, "%s: out of memory", b->doc->name);
    }
    if (!parent) {
        b->root = n;
    } else {
        if (parent->last)
            parent->last->next = n;
        else
            parent->first = n;
        parent->last = n;
        parent->n++;
    }
    if (kind != WD_YAML_SCALAR)
        b->open[b->depth++] = n;
    return 0;
}

static int on_scalar(struct builder *b, const yaml_event_t *event, struct wd_err *err)
{
    const char *text = (const char *)event->data.scalar.value;
    struct wd_yaml *parent = b->depth ? b->open[b->depth - 1] : NULL;
    int r;

    if (strlen(text) != event->data.scalar.length)
        return at(b, &event->start_mark, err, "a zero byte in text");
    if (parent && parent->kind == WD_YAML_MAPPING && !b->key) {
        r = check_key(b, parent, text, &event->start_mark, err);
        if (r < 0)
            return r;
        b->key = strdup(text);
        if (!b->key)
            return wd_err_set(err, -ENOMEM, "%s: out of memory", b->doc->name);
        b->key_line = from_one(event->start_mark.line);
        b->key_column = from_one(event->start_mark.column);
        return 0;
    }
    r = add(b, WD_YAML_SCALAR, event, text, err);
    if (r == 0)
        b->doc->all->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return r;
}

static int on_collection(struct builder *b, const yaml_event_t *event, enum wd_yaml_kind kind,
                         struct wd_err *err)
{
    const struct wd_yaml *parent = b->depth ? b->open[b->depth - 1] : NULL;

    if (parent && parent->kind == WD_YAML_MAPPING && !b->key)
        return at(b, &event->start_mark, err, "expected a name as the key, got %s",
                  kind == WD_YAML_MAPPING ? "a mapping" : "a list");
    return add(b, kind, event, NULL, err);
}

/* 1: the stream has ended. */
static int on_event(struct builder *b, const yaml_event_t *event, struct wd_err *err)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;

    switch (event->type) {
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_ALIAS_EVENT:
        anchor = event->data.alias.anchor;
        break;
    default:
        break;
    }
    if (anchor)
        return at(
            b, &event->start_mark, err,
            "anchors and aliases (& and *) are not supported; text that begins so needs quotes");
    if (tag)
        return at(b, &event->start_mark, err,
                  "tags (!) are not supported; text that begins so needs quotes");

    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->root)
            return at(b, &event->start_mark, err, "a second document; expected one");
        return 0;
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event, err);
    case YAML_MAPPING_START_EVENT:
        return on_collection(b, event, WD_YAML_MAPPING, err);
    case YAML_SEQUENCE_START_EVENT:
        return on_collection(b, event, WD_YAML_SEQUENCE, err);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        b->depth--;
        return 0;
    case YAML_STREAM_END_EVENT:
        return 1;
    default:
        return 0;
    }
}

/* The reader runs ahead of the marks: it knows only at which byte the text is no UTF-8. */
static int reader_err(const struct builder *b, const yaml_parser_t *p, const char *text,
                      struct wd_err *err)
{
    yaml_mark_t mark = {0};

    for (size_t i = 0; i < p->problem_offset; i++) {
        mark.column++;
        if (text[i] == '\n') {
            mark.line++;
            mark.column = 0;
        }
    }
    return at(b, &mark, err, "%s", p->problem ? p->problem : "not understood");
}

static int parser_err(const struct builder *b, const yaml_parser_t *p, struct wd_err *err)
{
    const char *what = p->problem ? p->problem : "not understood";

    if (p->error == YAML_MEMORY_ERROR)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", b->doc->name);
    if (p->context && p->context_mark.line != p->problem_mark.line)
        return at(b, &p->problem_mark, err, "%s, %s that began on line %u", what, p->context,
                  from_one(p->context_mark.line));
    return at(b, &p->problem_mark, err, "%s%s%s", what, p->context ? ", " : "",
              p->context ? p->context : "");
}

static int build(struct builder *b, const char *text, size_t len, struct wd_err *err)
{
    yaml_parser_t parser;
    int r;

    if (!yaml_parser_initialize(&parser))
        return wd_err_set(err, -ENOMEM, "%s: out of memory", b->doc->name);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    do {
        yaml_event_t event;

        if (!yaml_parser_parse(&parser, &event)) {
            r = parser.error == YAML_READER_ERROR && parser.problem_offset <= len
                    ? reader_err(b, &parser, text, err)
                    : parser_err(b, &parser, err);
            break;
        }
        r = on_event(b, &event, err);
        yaml_event_delete(&event);
    } while (r == 0);
    yaml_parser_delete(&parser);
    free(b->key);
    b->key = NULL;
    return r < 0 ? r : 0;
}

static void document_free(struct document *doc)
{
    struct wd_yaml *n;

    while ((n = doc->all)) {
        doc->all = n->older;
        free(n->key);
        free(n->text);
        free(n);
    }
    free(doc->name);
    free(doc);
}

int wd_yaml_parse(const char *name, const char *text, size_t len, struct wd_yaml **ret_root,
                  struct wd_err *err)
{
    struct builder b = {0};
    int r;

    if (len > WD_YAML_MAX_BYTES)
        return wd_err_set(err, -EFBIG, "%s: expected at most %u bytes, got %zu", name,
                          WD_YAML_MAX_BYTES, len);
    b.doc = calloc(1, sizeof *b.doc);
    if (!b.doc)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", name);
    b.doc->name = strdup(name);
    if (!b.doc->name) {
        free(b.doc);
        return wd_err_set(err, -ENOMEM, "%s: out of memory", name);
    }
    r = build(&b, text, len, err);
    if (r == 0 && !b.root)
        r = wd_err_set(err, -EINVAL, "%s:1:1: nothing in it", name);
    if (r < 0) {
        document_free(b.doc);
        return r;
    }
    *ret_root = b.root;
    return 0;
}

int wd_yaml_read(const char *path, struct wd_yaml **ret_root, struct wd_err *err)
{
    FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t len;
    int r;

    if (!f)
        return wd_err_set(err, -errno, "%s: %s", path, strerror(errno));
    text = malloc(WD_YAML_MAX_BYTES +
                  1); /* one more tells a file that is too long; a pipe has no size to ask */
    if (!text) {
        r = wd_err_set(err, -ENOMEM, "%s: out of memory", path);
        goto out;
    }
    errno = 0;
    len = fread(text, 1, WD_YAML_MAX_BYTES + 1, f);
    if (ferror(f)) {
        r = wd_err_set(err, errno ? -errno : -EIO, "%s: %s", path, strerror(errno ? errno : EIO));
        goto out;
    }
    r = wd_yaml_parse(path, text, len, ret_root, err);
out:
    free(text);
    fclose(f);
    return r;
}

struct wd_yaml *wd_yaml_free(struct wd_yaml *root)
{
    if (root)
        document_free(root->doc);
    return NULL;
}

enum wd_yaml_kind wd_yaml_kind(const struct wd_yaml *n)
{
    return n->kind;
}

const char *wd_yaml_file(const struct wd_yaml *n)
{
    return n->doc->name;
}

unsigned wd_yaml_line(const struct wd_yaml *n)
{
    return n->line;
}

unsigned wd_yaml_column(const struct wd_yaml *n)
{
    return n->column;
}

const char *wd_yaml_text(const struct wd_yaml *n)
{
    return n->text;
}

bool wd_yaml_quoted(const struct wd_yaml *n)
{
    return n->quoted;
}

bool wd_yaml_is_null(const struct wd_yaml *n)
{
    return n->kind == WD_YAML_SCALAR && !n->quoted &&
           (!*n->text || !strcmp(n->text, "~") || !strcmp(n->text, "null"));
}

size_t wd_yaml_count(const struct wd_yaml *n)
{
    return n->n;
}

const struct wd_yaml *wd_yaml_first(const struct wd_yaml *n)
{
    return n->first;
}

const struct wd_yaml *wd_yaml_next(const struct wd_yaml *child)
{
    return child->next;
}

const struct wd_yaml *wd_yaml_get(const struct wd_yaml *n, const char *key)
{
    if (!n || n->kind != WD_YAML_MAPPING)
        return NULL;
    for (const struct wd_yaml *c = n->first; c; c = c->next)
        if (!strcmp(c->key, key))
            return c;
    return NULL;
}

const char *wd_yaml_key(const struct wd_yaml *child)
{
    return child->key;
}

unsigned wd_yaml_key_line(const struct wd_yaml *child)
{
    return child->key_line;
}

unsigned wd_yaml_key_column(const struct wd_yaml *child)
{
    return child->key_column;
}

int wd_yaml_err(const struct wd_yaml *n, struct wd_err *err, const char *fmt, ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = verr(n->doc, n->line, n->column, err, fmt, ap);
    va_end(ap);
    return r;
}

int wd_yaml_key_err(const struct wd_yaml *child, struct wd_err *err, const char *fmt, ...)
{
    va_list ap;
    int r;

    va_start(ap, fmt);
    r = verr(child->doc, child->key_line, child->key_column, err, fmt, ap);
    va_end(ap);
    return r;
}

const char *wd_yaml_is(const struct wd_yaml *n)
{
    if (wd_yaml_is_null(n))
        return "nothing";
    return n->kind == WD_YAML_MAPPING    ? "a mapping"
           : n->kind == WD_YAML_SEQUENCE ? "a list"
                                         : "text";
}
