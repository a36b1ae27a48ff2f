/* tests/model/chat_case.c - conversations and what the reference makes of them, from a JSON file.
 */
#include "tests/model/chat_case.h"
#include "model/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_IDS 16384

static bool flag(const json_t *options, const char *name, bool otherwise)
{
    const json_t *o = json_object_get(options, name);

    return o ? json_is_true(o) : otherwise;
}

void chat_case_open(const json_t *json, struct chat_case *ret)
{
    const json_t *options = json_object_get(json, "options"),
                 *tools = json_object_get(options, "tools");

    *ret =
        (struct chat_case){.json = json, .name = json_string_value(json_object_get(json, "name"))};
    ret->messages = json_dumps(json_object_get(json, "messages"), JSON_COMPACT);
    ret->tools = tools ? json_dumps(tools, 0) : NULL;
    assert_non_null(ret->messages);
    ret->r =
        wd_chat_from_json((struct wd_chat_str){ret->messages, strlen(ret->messages)},
                          (struct wd_chat_str){ret->tools, ret->tools ? strlen(ret->tools) : 0},
                          &ret->chat, &ret->memory, &ret->err);
    ret->chat.thinking = flag(options, "enable_thinking", false);
    ret->chat.preserve_thinking = flag(options, "preserve_thinking", false);
    ret->chat.reply = flag(options, "add_generation_prompt", true);
    ret->chat.continue_last = flag(options, "continue_final_message", false);
}

void chat_case_close(struct chat_case *c)
{
    free(c->memory);
    free(c->messages);
    free(c->tools);
}

size_t chat_prompt_ids(const struct wd_chat_prompt *p, const struct wd_tokenizer *t, int32_t *ids,
                       size_t cap)
{
    static const char *const placeholder[] = {NULL, "<|audio|>", "<|image|>", "<|video|>"};
    size_t n = 0;

    for (size_t k = 0; k < p->n_spans; k++) {
        const struct wd_chat_span *s = &p->spans[k];

        assert_true(n + s->n_ids < cap);
        if (s->kind == WD_CHAT_TEXT) {
            assert_true(s->n_ids > 0);
            memcpy(ids + n, s->ids, s->n_ids * sizeof *ids);
            n += s->n_ids;
        } else {
            ids[n++] = wd_tokenizer_find(t, placeholder[s->kind]);
        }
    }
    return n;
}

char *chat_prompt_text(const struct wd_chat_prompt *p, const struct wd_tokenizer *t)
{
    static int32_t ids[MAX_IDS];
    size_t n = chat_prompt_ids(p, t, ids, MAX_IDS), len;
    char *text;

    len = wd_tokenizer_decode(t, ids, n, true, NULL, 0);
    text = malloc(len + 1);
    assert_non_null(text);
    wd_tokenizer_decode(t, ids, n, true, text, len + 1);
    return text;
}

size_t chat_prompt_controls(const struct wd_chat_prompt *p, const struct wd_tokenizer *t)
{
    size_t n = 0;

    for (size_t k = 0; k < p->n_spans; k++)
        for (size_t i = 0; i < p->spans[k].n_ids; i++)
            n += wd_tokenizer_is_control(t, p->spans[k].ids[i]);
    return n;
}
