/* model/chat.h - a conversation -> the model's input: token ids, and the places of its media.
 * Source: docs/model.md, "Chat". Pure; any thread; allocates.
 *
 * What the format itself writes between texts becomes control tokens; what stands in a message, a
 * function's declaration or a result never does, whatever it spells. Everything that is not said to
 * be JSON is any bytes (invalid UTF-8 reads as U+FFFD). */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wd_tokenizer;

struct wd_chat_str {
    const char *at; /* not NUL-terminated; NULL only with len 0 */
    size_t len;
};

enum wd_chat_kind { WD_CHAT_TEXT, WD_CHAT_AUDIO, WD_CHAT_IMAGE, WD_CHAT_VIDEO };

struct wd_chat_part {
    enum wd_chat_kind kind;
    struct wd_chat_str text; /* of a text */
    /* Of a medium, for whoever fetches it; the renderer does not look: a URL, a path or data in
     * base 64, as it came, and what it is encoded as ("wav"), if that was said. */
    struct wd_chat_str source, format;
};

/* A function that the model called. */
struct wd_chat_call {
    struct wd_chat_str id, name;
    struct wd_chat_str arguments; /* a JSON object; empty: none */
};

/* What it gave, where that stands in the message with the call. */
struct wd_chat_result {
    struct wd_chat_str name;
    struct wd_chat_str response; /* a JSON value */
};

struct wd_chat_message {
    struct wd_chat_str role; /* "system", "developer", "user", "assistant", "tool"; others are
                                written as they are */
    const struct wd_chat_part *parts;
    size_t n_parts;
    bool listed; /* the content was a list of parts, not one text */
    /* Of the assistant. */
    struct wd_chat_str reasoning;
    const struct wd_chat_call *calls;
    size_t n_calls;
    const struct wd_chat_result *results; /* instead of "tool" messages behind it */
    size_t n_results;
    /* Of a "tool" message: which call it answers; the function's name where no call has this id. */
    struct wd_chat_str call_id, name;
};

/* A function that the model may call. */
struct wd_chat_tool {
    struct wd_chat_str name, description;
    struct wd_chat_str parameters, response; /* JSON schemas, objects; empty: none */
};

struct wd_chat {
    const struct wd_chat_message *messages;
    size_t n_messages;
    const struct wd_chat_tool *tools;
    size_t n_tools;
    bool thinking;          /* the model may think before it answers */
    bool preserve_thinking; /* reasoning is shown again with every call, not only since the last
                               question */
    bool reply;             /* ends where the model's reply begins */
    bool continue_last; /* ends within the last message, which the model continues; `reply` is not
                           heeded */
};

/* A run of ids, or one medium: the caller puts its markers, frames or patches there. */
struct wd_chat_span {
    enum wd_chat_kind kind;
    const int32_t *ids; /* WD_CHAT_TEXT */
    size_t n_ids;
    size_t message, part; /* of a medium: where it stands in the conversation, from 0 */
};

struct wd_chat_prompt {
    const struct wd_chat_span *spans; /* never two texts in a row */
    size_t n_spans;
    size_t n_ids;        /* of all spans together; media not counted */
    bool within_thought; /* the reply begins inside a thought: tell the reader of the reply */
};

/* Begins with <bos>. At most max_ids ids: -E2BIG beyond. -EINVAL: no message, or JSON that is none
 * or has another shape (err says in which message or function); -ENOTSUP: the vocabulary lacks a
 * control token that is needed (err names it); -ENOMEM. `chat` is not needed afterwards. */
int wd_chat_render(const struct wd_chat *chat, const struct wd_tokenizer *t, size_t max_ids,
                   struct wd_chat_prompt **ret, struct wd_err *err);
/* NULL is fine; returns NULL. */
struct wd_chat_prompt *wd_chat_prompt_free(struct wd_chat_prompt *p);
