/* base/yaml.h - a YAML text as a small bounded tree in which every node knows its line and column.
 * Any thread. */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

/* Files here are written by persons: more than this is a mistake or an attack. */
#define WD_YAML_MAX_BYTES (1u << 20)
#define WD_YAML_MAX_NODES 32768
#define WD_YAML_MAX_DEPTH 16
#define WD_YAML_MAX_KEYS 1024 /* of one mapping */

enum wd_yaml_kind { WD_YAML_SCALAR, WD_YAML_MAPPING, WD_YAML_SEQUENCE };

struct wd_yaml; /* one node; the root owns all of them */

/* One document in UTF-8. `name` stands in errors: "name:line:column: what". Refused besides what is
 * no YAML: anchors and aliases, tags, a second document, keys that are no scalars, a key twice in
 * one mapping (both lines are named), zero bytes in text, anything beyond the bounds above. */
int wd_yaml_parse(const char *name, const char *text, size_t len, struct wd_yaml **ret_root,
                  struct wd_err *err);
/* The same from a file; -ENOENT and its like come with the path. */
int wd_yaml_read(const char *path, struct wd_yaml **ret_root, struct wd_err *err);
struct wd_yaml *wd_yaml_free(struct wd_yaml *root); /* takes NULL; returns NULL */

enum wd_yaml_kind wd_yaml_kind(const struct wd_yaml *n);
const char *wd_yaml_file(const struct wd_yaml *n);
unsigned wd_yaml_line(const struct wd_yaml *n);   /* from 1 */
unsigned wd_yaml_column(const struct wd_yaml *n); /* from 1 */
const char *
wd_yaml_text(const struct wd_yaml *n);        /* of a scalar, NUL-terminated; NULL for the others */
bool wd_yaml_quoted(const struct wd_yaml *n); /* was written in quotes or as a block */
bool wd_yaml_is_null(const struct wd_yaml *n); /* nothing, ~ or null, without quotes */

size_t wd_yaml_count(const struct wd_yaml *n); /* values of a mapping, items of a sequence */
const struct wd_yaml *
wd_yaml_first(const struct wd_yaml *n); /* in the order of the text; NULL: there are none */
const struct wd_yaml *wd_yaml_next(const struct wd_yaml *child);
const struct wd_yaml *
wd_yaml_get(const struct wd_yaml *n,
            const char *key); /* of a mapping; NULL: not there, or n is none */
const char *wd_yaml_key(
    const struct wd_yaml *child); /* under which it stands; NULL in a sequence and for the root */
unsigned wd_yaml_key_line(const struct wd_yaml *child);
unsigned wd_yaml_key_column(const struct wd_yaml *child);

/* "file:line:column: ..." with the place of the node, or of its key; -EINVAL. */
int wd_yaml_err(const struct wd_yaml *n, struct wd_err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int wd_yaml_key_err(const struct wd_yaml *child, struct wd_err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* What a node is, for "expected a mapping, got ...": "a list", "text", "nothing". */
const char *wd_yaml_is(const struct wd_yaml *n);
