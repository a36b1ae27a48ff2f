/* tests/model/chat_case.h - conversations and what the reference makes of them, from a JSON file.
 */
#pragma once
#include "model/chat_json.h"
#include <jansson.h>

struct wd_tokenizer;

/* One case: {"name", "messages", "options", "text" or "error", "ids"}. */
struct chat_case {
    const char *name;
    const json_t *json;
    struct wd_chat chat; /* its options set; parsed */
    char *messages, *tools;
    void *memory;
    int r; /* of wd_chat_from_json() */
    struct wd_err err;
};

void chat_case_open(const json_t *json, struct chat_case *ret);
void chat_case_close(struct chat_case *c);
/* A prompt as text: ids with their control tokens, media as their placeholders. To be freed. */
char *chat_prompt_text(const struct wd_chat_prompt *p, const struct wd_tokenizer *t);
/* All ids, those of placeholders too; returns how many. */
size_t chat_prompt_ids(const struct wd_chat_prompt *p, const struct wd_tokenizer *t, int32_t *ids,
                       size_t cap);
/* How many of its ids are control tokens. */
size_t chat_prompt_controls(const struct wd_chat_prompt *p, const struct wd_tokenizer *t);
