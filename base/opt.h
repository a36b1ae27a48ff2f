/* base/opt.h - one row a setting: its name, kind, place in a struct, default, bounds and help.
 * Parses, checks, documents. */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum wd_opt_kind {
    WD_OPT_KIND_BOOL,  /* bool: true, false (also yes, no, on, off) */
    WD_OPT_KIND_INT,   /* int64_t */
    WD_OPT_KIND_FLOAT, /* double */
    WD_OPT_KIND_STR,   /* char *, malloc'ed, may be NULL */
    WD_OPT_KIND_MS,    /* int64_t ns; written as a number of milliseconds */
    WD_OPT_KIND_S,     /* int64_t ns; written as a number of seconds, fractions allowed */
    WD_OPT_KIND_ENUM,  /* int, the index into choices */
    WD_OPT_KIND_LIST,  /* struct wd_opt_list: strings */
};

struct wd_opt_list {
    char **items; /* malloc'ed */
    size_t n;
};

struct wd_opt {
    const char *name; /* NULL ends a table */
    enum wd_opt_kind kind;
    size_t offset;
    const char *def;            /* default, as it would be written; NULL: none (zero) */
    double min, max;            /* in the unit written; min == max: unbounded */
    const char *const *choices; /* ENUM, NULL-terminated */
    bool required;
    const char *help;
};

#define WD_OPT_BOOL(S, f, d, h)                                                                    \
    {                                                                                              \
        .name = #f, .kind = WD_OPT_KIND_BOOL, .offset = offsetof(S, f), .def = d, .help = h        \
    }
#define WD_OPT_INT(S, f, d, lo, hi, h)                                                             \
    {                                                                                              \
        .name = #f, .kind = WD_OPT_KIND_INT, .offset = offsetof(S, f), .def = d, .min = lo,        \
        .max = hi, .help = h                                                                       \
    }
#define WD_OPT_FLOAT(S, f, d, lo, hi, h)                                                           \
    {                                                                                              \
        .name = #f, .kind = WD_OPT_KIND_FLOAT, .offset = offsetof(S, f), .def = d, .min = lo,      \
        .max = hi, .help = h                                                                       \
    }
#define WD_OPT_STR(S, f, d, h)                                                                     \
    {                                                                                              \
        .name = #f, .kind = WD_OPT_KIND_STR, .offset = offsetof(S, f), .def = d, .help = h         \
    }
#define WD_OPT_STR_REQUIRED(S, f, h)                                                               \
    {                                                                                              \
        .name = #f, .kind = WD_OPT_KIND_STR, .offset = offsetof(S, f), .required = true, .help = h \
    }
/* Times: the field is named ..._ns, the setting ..._ms or ..._s. */
#define WD_OPT_MS(S, f, n, d, lo, hi, h)                                                           \
    {                                                                                              \
        .name = n, .kind = WD_OPT_KIND_MS, .offset = offsetof(S, f), .def = d, .min = lo,          \
        .max = hi, .help = h                                                                       \
    }
#define WD_OPT_S(S, f, n, d, lo, hi, h)                                                            \
    {                                                                                              \
        .name = n, .kind = WD_OPT_KIND_S, .offset = offsetof(S, f), .def = d, .min = lo,           \
        .max = hi, .help = h                                                                       \
    }
#define WD_OPT_ENUM(S, f, d, c, h)                                                                 \
    {                                                                                              \
        .name = #f, .kind = WD_OPT_KIND_ENUM, .offset = offsetof(S, f), .def = d, .choices = c,    \
        .help = h                                                                                  \
    }
#define WD_OPT_LIST(S, f, h)                                                                       \
    {                                                                                              \
        .name = #f, .kind = WD_OPT_KIND_LIST, .offset = offsetof(S, f), .help = h                  \
    }
#define WD_OPT_END                                                                                 \
    {                                                                                              \
        .name = NULL                                                                               \
    }

/* Everywhere: rows NULL is a table without rows. */
const struct wd_opt *wd_opt_find(const struct wd_opt *rows, const char *name);
/* Fills `object` (zeroed) with the defaults; whether a required setting was given is for the caller
 * to see. */
int wd_opt_defaults(const struct wd_opt *rows, void *object, struct wd_err *err);
/* One value as text. Errors say what was expected ("expected a number from 0 to 64, got 'many'"). A
 * LIST appends. */
int wd_opt_set(const struct wd_opt *row, void *object, const char *text, struct wd_err *err);
/* Frees strings and lists and zeroes their fields. */
void wd_opt_done(const struct wd_opt *rows, void *object);
/* One line a row, for manuals and `--help`. */
void wd_opt_print(const struct wd_opt *rows, FILE *to, const char *indent);
/* The name in rows that `name` was probably meant to be, or NULL. */
const char *wd_opt_nearest(const struct wd_opt *rows, const char *name);
/* The same among `n` names: types, streams, choices. */
const char *wd_opt_nearest_name(const char *const *names, size_t n, const char *name);
