/* model/chat_values.h - walking JSON text and writing its values in the function syntax.
 * For model/chat*.c only. `at` is where a value of checked JSON begins. */
#pragma once
#include "model/chat_parts.h"
#include "model/json_scan.h"

/* What is being written, and in whose JSON. */
struct wd_chat_values {
    struct wd_chat_writer *w;
    const char *what, *end; /* of the JSON text */
    bool quote_keys;
    unsigned depth;
};

/* Checks that the JSON as a whole is one value, and says where it begins. False: an error is
 * marked. */
bool wd_chat_values_check(struct wd_chat_values *v, struct wd_chat_str json, const char **ret_at);

struct wd_json wd_chat_value_reader(const struct wd_chat_values *v, const char *at);
char wd_chat_value_kind(const struct wd_chat_values *v, const char *at); /* as wd_json_peek() */
/* Is it a list ('[') or object ('{') with something in it? `at` may be NULL. */
bool wd_chat_value_filled(const struct wd_chat_values *v, const char *at, char kind);
/* The text of a string, to be freed; NULL: an error is marked. */
char *wd_chat_value_string(struct wd_chat_values *v, const char *at, size_t *ret_len);

struct wd_chat_member {
    struct wd_chat_str key; /* unescaped, in the object's `keys` */
    const char *at;
};

struct wd_chat_object {
    struct wd_chat_member *members; /* sorted as the reference sorts, none twice */
    size_t n;
    char *keys;
};

/* False: an error is marked, and there is nothing to close. */
bool wd_chat_object_open(struct wd_chat_values *v, const char *at, struct wd_chat_object *ret);
void wd_chat_object_close(struct wd_chat_object *o);
/* The value of a member that is there and not null, else NULL. */
const char *wd_chat_object_member(const struct wd_chat_values *v, const struct wd_chat_object *o,
                                  const char *key);
bool wd_chat_member_is(const struct wd_chat_member *m, const char *key);

void wd_chat_put_value(struct wd_chat_values *v, const char *at);
void wd_chat_put_string(struct wd_chat_values *v, const char *at);
void wd_chat_put_array(struct wd_chat_values *v, const char *at);
/* One level deeper, if that may be; come back with v->depth--. */
bool wd_chat_deeper(struct wd_chat_values *v);
