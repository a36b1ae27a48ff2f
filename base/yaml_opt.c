/* base/yaml_opt.c - fills a struct from a YAML mapping by its option rows. */
#include "base/yaml_opt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAX_NAMES 128 /* keys of one section */

static int set_one(const struct wd_yaml *value, const struct wd_opt *row, const char *key,
                   void *object, struct wd_err *err)
{
    int r = wd_opt_set(row, object, wd_yaml_text(value), err);

    if (r < 0)
        wd_err_prefix(err, "%s:%u:%u: %s", wd_yaml_file(value), wd_yaml_line(value),
                      wd_yaml_column(value), key);
    return r;
}

static int set_list(const struct wd_yaml *value, const struct wd_opt *row, void *object,
                    struct wd_err *err)
{
    const struct wd_opt only[] = {*row, WD_OPT_END};
    int r = 0;

    wd_opt_done(only, object);
    if (wd_yaml_kind(value) == WD_YAML_SCALAR)
        return set_one(value, row, row->name, object, err);
    for (const struct wd_yaml *c = wd_yaml_first(value); c && r == 0; c = wd_yaml_next(c)) {
        if (wd_yaml_kind(c) != WD_YAML_SCALAR || wd_yaml_is_null(c))
            return wd_yaml_err(c, err, "%s: expected text, got %s", row->name, wd_yaml_is(c));
        r = set_one(c, row, row->name, object, err);
    }
    return r;
}

int wd_yaml_opt_set(const struct wd_yaml *value, const struct wd_opt *row, void *object,
                    struct wd_err *err)
{
    bool text = row->kind == WD_OPT_KIND_STR || row->kind == WD_OPT_KIND_LIST;

    if (text && wd_yaml_is_null(value))
        return 0;
    if (row->kind == WD_OPT_KIND_LIST) {
        if (wd_yaml_kind(value) == WD_YAML_MAPPING)
            return wd_yaml_err(value, err, "%s: expected a list, got a mapping", row->name);
        return set_list(value, row, object, err);
    }
    if (wd_yaml_kind(value) != WD_YAML_SCALAR)
        return wd_yaml_err(value, err, "%s: expected %s, got %s", row->name,
                           text ? "text" : "one value", wd_yaml_is(value));
    return set_one(value, row, row->name, object, err);
}

/* All names that may stand there, in the order of the rows. */
static size_t names_of(const struct wd_opt *rows, const char *const *others,
                       const char *ret[MAX_NAMES])
{
    size_t n = 0;

    for (; rows && rows->name && n < MAX_NAMES; rows++)
        ret[n++] = rows->name;
    for (; others && *others && n < MAX_NAMES; others++)
        ret[n++] = *others;
    return n;
}

static int unknown_key(const struct wd_yaml *child, const char *what, const struct wd_opt *rows,
                       const char *const *others, struct wd_err *err)
{
    const char *names[MAX_NAMES], *near;
    size_t n = names_of(rows, others, names);
    char all[300] = "";

    near = wd_opt_nearest_name(names, n, wd_yaml_key(child));
    if (near)
        return wd_yaml_key_err(child, err, "unknown key '%.60s' in %s (did you mean '%s'?)",
                               wd_yaml_key(child), what, near);
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(all);

        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", names[i]);
    }
    return wd_yaml_key_err(child, err, "unknown key '%.60s' in %s (expected one of: %s)",
                           wd_yaml_key(child), what, all);
}

static bool listed(const char *const *others, const char *name)
{
    for (; others && *others; others++)
        if (!strcmp(*others, name))
            return true;
    return false;
}

int wd_yaml_opt_required(const struct wd_yaml *map, const char *what, const struct wd_opt *rows,
                         struct wd_err *err)
{
    for (const struct wd_opt *row = rows; row && row->name; row++) {
        const struct wd_yaml *given = row->required ? wd_yaml_get(map, row->name) : NULL;

        if (row->required && (!given || wd_yaml_is_null(given)))
            return wd_yaml_err(given ? given : map, err, "%s needs '%s': %s", what, row->name,
                               row->help ? row->help : "a value");
    }
    return 0;
}

int wd_yaml_opt_fill(const struct wd_yaml *map, const char *what, const struct wd_opt *rows,
                     const char *const *others, void *object, struct wd_err *err)
{
    if (wd_yaml_kind(map) != WD_YAML_MAPPING)
        return wd_yaml_err(map, err, "%s: expected a mapping (key: value), got %s", what,
                           wd_yaml_is(map));
    for (const struct wd_yaml *c = wd_yaml_first(map); c; c = wd_yaml_next(c)) {
        const struct wd_opt *row;
        int r;

        if (listed(others, wd_yaml_key(c)))
            continue;
        row = wd_opt_find(rows, wd_yaml_key(c));
        if (!row)
            return unknown_key(c, what, rows, others, err);
        r = wd_yaml_opt_set(c, row, object, err);
        if (r < 0)
            return r;
    }
    return wd_yaml_opt_required(map, what, rows, err);
}
