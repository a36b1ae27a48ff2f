/* model/json_scan.h - a strict forward reader of JSON text: no tree, no allocation.
 * A large hostile file costs what it weighs. Used for the big files beside a model (tensor index,
 * tokenizer); small ones are read as a tree. Pure, any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WD_JSON_MAX_DEPTH 64

/* Where the reader stands. After the first error every call returns false and `error` says what was
 * expected at byte `at - start`. */
struct wd_json {
    const char *start, *at, *end;
    const char *error; /* NULL: none */
    unsigned depth;
    bool first; /* nothing was read yet in the object or array just entered */
};

/* A string as it stands between its quotes; checked: escapes are well formed, text is UTF-8, no
 * NUL, no lone surrogate. */
struct wd_json_str {
    const char *raw;
    size_t len;
};

void wd_json_init(struct wd_json *j, const char *text, size_t len);

/* The first byte of the next value: one of { [ " t f n - 0..9, or 0 at the end or after an error.
 */
char wd_json_peek(struct wd_json *j);

/* `if (wd_json_enter(j, '{')) while (wd_json_member(j, &key)) { read exactly one value }`, likewise
 * '[' and wd_json_element. */
bool wd_json_enter(struct wd_json *j, char kind);
bool wd_json_member(struct wd_json *j, struct wd_json_str *ret_key);
bool wd_json_element(struct wd_json *j);

bool wd_json_str(struct wd_json *j, struct wd_json_str *ret);
bool wd_json_u64(
    struct wd_json *j,
    uint64_t *ret); /* a non-negative integer below 2^63, written without fraction or exponent */
bool wd_json_bool(struct wd_json *j, bool *ret);
bool wd_json_skip(struct wd_json *j); /* any one value */
bool wd_json_done(struct wd_json *j); /* nothing but white space is left */

/* Marks an error at the present place (the first one stays). Returns false. */
bool wd_json_fail(struct wd_json *j, const char *what);

/* Bytes of the string; at most s.len. `out` may be NULL to count. No NUL is written. */
size_t wd_json_unescape(struct wd_json_str s, char *out);
/* Is the string this text? */
bool wd_json_is(struct wd_json_str s, const char *text);
