/* base/yaml_opt.h - fills a struct from a YAML mapping by its option rows. Any thread. */
#pragma once
#include "base/err.h"
#include "base/opt.h"
#include "base/yaml.h"

/* One value, which a LIST takes from a sequence or from a single scalar (what stood in it before is
 * replaced). Nothing (`key:`, ~) leaves text and lists as they are and is an error for the other
 * kinds. Errors name file, line, column, key and what was expected. */
int wd_yaml_opt_set(const struct wd_yaml *value, const struct wd_opt *row, void *object,
                    struct wd_err *err);

/* Every value of `map` (a mapping, or it is an error; `what` says what it is for) into `object`,
 * which holds the defaults. Names in `others` (NULL-terminated, or NULL) are left to the caller; a
 * key that is neither there nor in a row is an error with the nearest name, and so is a required
 * row that was not given. `rows` may be NULL: only others. */
int wd_yaml_opt_fill(const struct wd_yaml *map, const char *what, const struct wd_opt *rows,
                     const char *const *others, void *object, struct wd_err *err);

/* Only that: -EINVAL where a required row is not in `map` (where `map` is no mapping, nothing is in
 * it). */
int wd_yaml_opt_required(const struct wd_yaml *map, const char *what, const struct wd_opt *rows,
                         struct wd_err *err);
