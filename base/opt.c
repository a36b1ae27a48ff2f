/* base/opt.c - one row a setting: its name, kind, place in a struct, default, bounds and help.
 * Parses, checks, documents. */
#include "base/opt.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_ITEMS 1024 /* of a list: a configuration is written by a person */
#define MAX_NAME 64    /* of names compared for a suggestion */
#define QUOTED 60      /* bytes of a wrong value that an error repeats */

static void *field(const struct wd_opt *row, void *object)
{
    return (char *)object + row->offset;
}

static bool bounded(const struct wd_opt *row)
{
    return row->min < row->max;
}

/* "a number", "a whole number from 0 to 64": what a person has to write. */
static void expected(const struct wd_opt *row, char *out, size_t cap)
{
    const char *what = row->kind == WD_OPT_KIND_INT  ? "a whole number"
                       : row->kind == WD_OPT_KIND_MS ? "a number of milliseconds"
                       : row->kind == WD_OPT_KIND_S  ? "a number of seconds"
                                                     : "a number";

    if (bounded(row))
        snprintf(out, cap, "%s from %.15g to %.15g", what, row->min, row->max);
    else
        snprintf(out, cap, "%s", what);
}

static int not_expected(const struct wd_opt *row, const char *text, struct wd_err *err)
{
    char what[128];

    expected(row, what, sizeof what);
    return wd_err_set(err, -EINVAL, "expected %s, got '%.*s'", what, QUOTED, text);
}

static int set_bool(const char *text, bool *ret, struct wd_err *err)
{
    static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no", "off"};

    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (!strcasecmp(text, yes[i])) {
            *ret = true;
            return 0;
        }
        if (!strcasecmp(text, no[i])) {
            *ret = false;
            return 0;
        }
    }
    return wd_err_set(err, -EINVAL, "expected true or false, got '%.*s'", QUOTED, text);
}

static int set_int(const struct wd_opt *row, const char *text, int64_t *ret, struct wd_err *err)
{
    char *end;
    long long v;

    if (!*text || text[strspn(text, "+-0123456789")]) /* strtoll would take leading blanks */
        return not_expected(row, text, err);
    errno = 0;
    v = strtoll(text, &end, 10);
    if (errno || *end || (bounded(row) && ((double)v < row->min || (double)v > row->max)))
        return not_expected(row, text, err);
    *ret = v;
    return 0;
}

static int set_number(const struct wd_opt *row, const char *text, double *ret, struct wd_err *err)
{
    char *end;
    double v;

    if (!*text || text[strspn(text, "+-.eE0123456789")]) /* no blanks, no hexadecimal, no nan */
        return not_expected(row, text, err);
    v = strtod(text, &end);
    if (end == text || *end || !isfinite(v) || (bounded(row) && (v < row->min || v > row->max)))
        return not_expected(row, text, err);
    *ret = v;
    return 0;
}

static int set_time(const struct wd_opt *row, const char *text, double unit_ns, int64_t *ret,
                    struct wd_err *err)
{
    double v = 0;
    int r = set_number(row, text, &v, err);

    if (r < 0)
        return r;
    if (fabs(v * unit_ns) > 9e18)
        return wd_err_set(err, -ERANGE, "expected a time below 285 years, got '%.*s'", QUOTED,
                          text);
    *ret = llround(v * unit_ns);
    return 0;
}

static int set_enum(const struct wd_opt *row, const char *text, int *ret, struct wd_err *err)
{
    char all[256] = "";
    const char *near;
    size_t n;

    for (n = 0; row->choices[n]; n++) {
        size_t used = strlen(all);

        if (!strcmp(text, row->choices[n])) {
            *ret = (int)n;
            return 0;
        }
        snprintf(all + used, sizeof all - used, "%s%s", n ? ", " : "", row->choices[n]);
    }
    near = wd_opt_nearest_name(row->choices, n, text);
    if (near)
        return wd_err_set(err, -EINVAL, "expected one of %s, got '%.*s' (did you mean '%s'?)", all,
                          QUOTED, text, near);
    return wd_err_set(err, -EINVAL, "expected one of %s, got '%.*s'", all, QUOTED, text);
}

static int set_str(const char *text, char **ret, struct wd_err *err)
{
    char *copy = strdup(text);

    if (!copy)
        return wd_err_set(err, -ENOMEM, "out of memory");
    free(*ret);
    *ret = copy;
    return 0;
}

static int append(struct wd_opt_list *list, const char *text, struct wd_err *err)
{
    char **items;
    char *copy;

    if (list->n >= MAX_ITEMS)
        return wd_err_set(err, -E2BIG, "expected at most %d items", MAX_ITEMS);
    items = realloc(list->items, (list->n + 1) * sizeof *items);
    if (!items)
        return wd_err_set(err, -ENOMEM, "out of memory");
    list->items = items;
    copy = strdup(text);
    if (!copy)
        return wd_err_set(err, -ENOMEM, "out of memory");
    items[list->n++] = copy;
    return 0;
}

int wd_opt_set(const struct wd_opt *row, void *object, const char *text, struct wd_err *err)
{
    void *at = field(row, object);

    switch (row->kind) {
    case WD_OPT_KIND_BOOL:
        return set_bool(text, at, err);
    case WD_OPT_KIND_INT:
        return set_int(row, text, at, err);
    case WD_OPT_KIND_FLOAT:
        return set_number(row, text, at, err);
    case WD_OPT_KIND_STR:
        return set_str(text, at, err);
    case WD_OPT_KIND_MS:
        return set_time(row, text, 1e6, at, err);
    case WD_OPT_KIND_S:
        return set_time(row, text, 1e9, at, err);
    case WD_OPT_KIND_ENUM:
        return set_enum(row, text, at, err);
    case WD_OPT_KIND_LIST:
        return append(at, text, err);
    }
    return wd_err_set(err, -EINVAL, "%s: a kind of setting that does not exist", row->name);
}

int wd_opt_defaults(const struct wd_opt *rows, void *object, struct wd_err *err)
{
    for (; rows && rows->name; rows++) {
        int r = rows->def ? wd_opt_set(rows, object, rows->def, err) : 0;

        if (r < 0) {
            wd_err_prefix(err, "default of %s", rows->name);
            return r;
        }
    }
    return 0;
}

void wd_opt_done(const struct wd_opt *rows, void *object)
{
    if (!object)
        return;
    for (; rows && rows->name; rows++) {
        if (rows->kind == WD_OPT_KIND_STR) {
            char **at = field(rows, object);

            free(*at);
            *at = NULL;
        } else if (rows->kind == WD_OPT_KIND_LIST) {
            struct wd_opt_list *at = field(rows, object);

            for (size_t i = 0; i < at->n; i++)
                free(at->items[i]);
            free(at->items);
            *at = (struct wd_opt_list){0};
        }
    }
}

const struct wd_opt *wd_opt_find(const struct wd_opt *rows, const char *name)
{
    for (; rows && rows->name; rows++)
        if (!strcmp(rows->name, name))
            return rows;
    return NULL;
}

void wd_opt_print(const struct wd_opt *rows, FILE *to, const char *indent)
{
    static const char *const kinds[] = {[WD_OPT_KIND_BOOL] = "true or false",
                                        [WD_OPT_KIND_STR] = "text",
                                        [WD_OPT_KIND_ENUM] = "one of",
                                        [WD_OPT_KIND_LIST] = "list of text"};

    for (; rows && rows->name; rows++) {
        char what[128];

        if (kinds[rows->kind])
            snprintf(what, sizeof what, "%s", kinds[rows->kind]);
        else
            expected(rows, what, sizeof what);
        /* An article reads badly in a table: "whole number from 0 to 64". */
        fprintf(to, "%s%s: %s", indent, rows->name, strncmp(what, "a ", 2) ? what : what + 2);
        if (rows->kind == WD_OPT_KIND_ENUM)
            for (size_t i = 0; rows->choices[i]; i++)
                fprintf(to, "%s%s", i ? ", " : " ", rows->choices[i]);
        if (rows->required)
            fputs("; required", to);
        else if (rows->def)
            fprintf(to, "; default %s", *rows->def ? rows->def : "''");
        if (rows->help)
            fprintf(to, " - %s", rows->help);
        fputc('\n', to);
    }
}

/* Edits (insert, drop, change, swap of neighbours) that make b of a, case ignored; MAX_NAME for
 * long names. */
static unsigned distance(const char *a, const char *b)
{
    unsigned rows[3][MAX_NAME + 1];
    size_t na = strlen(a), nb = strlen(b);

    if (na > MAX_NAME || nb > MAX_NAME)
        return MAX_NAME;
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned *now = rows[i % 3], *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];

        now[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned best = before[j - 1] + (strncasecmp(a + i - 1, b + j - 1, 1) != 0);

            best = before[j] + 1 < best ? before[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                two_before[j - 2] + 1 < best)
                best = two_before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[na % 3][nb];
}

/* Smaller is nearer; UINT_MAX: nobody would mistake one for the other. */
static unsigned nearness(const char *name, const char *candidate)
{
    size_t n = strlen(name);
    unsigned d = distance(name, candidate), most = n < 4 ? 1 : n < 9 ? 2 : 3;

    if (d <= most && d < strlen(candidate))
        return d;
    /* "lag_target" for "lag_target_s": a name cut short is common and far in edits */
    if (n >= 3 && n <= MAX_NAME && (!strncasecmp(name, candidate, n)))
        return MAX_NAME + d;
    return (unsigned)-1;
}

const char *wd_opt_nearest_name(const char *const *names, size_t n, const char *name)
{
    const char *found = NULL;
    unsigned best = (unsigned)-1;

    for (size_t i = 0; i < n; i++) {
        unsigned d = nearness(name, names[i]);

        if (d < best) {
            best = d;
            found = names[i];
        }
    }
    return found;
}

const char *wd_opt_nearest(const struct wd_opt *rows, const char *name)
{
    const char *found = NULL;
    unsigned best = (unsigned)-1;

    for (; rows && rows->name; rows++) {
        unsigned d = nearness(name, rows->name);

        if (d < best) {
            best = d;
            found = rows->name;
        }
    }
    return found;
}
