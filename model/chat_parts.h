/* model/chat_parts.h - writing a prompt piece by piece: control tokens, text, media, values.
 * For model/chat*.c only. */
#pragma once
#include "model/chat.h"
#include <string.h>

enum wd_chat_control {
    WD_CHAT_BOS,
    WD_CHAT_TURN_OPEN,
    WD_CHAT_TURN_CLOSE,
    WD_CHAT_THINK,
    WD_CHAT_CHANNEL_OPEN,
    WD_CHAT_CHANNEL_CLOSE,
    WD_CHAT_TOOL_OPEN,
    WD_CHAT_TOOL_CLOSE,
    WD_CHAT_CALL_OPEN,
    WD_CHAT_CALL_CLOSE,
    WD_CHAT_RESPONSE_OPEN,
    WD_CHAT_RESPONSE_CLOSE,
    WD_CHAT_QUOTE,
    WD_CHAT_EOS,
    WD_CHAT_CONTROLS
};

/* "<|turn>" and so on. */
extern const char *const wd_chat_control_text[WD_CHAT_CONTROLS];

/* Where a prompt is written. After the first error nothing more is written; `r` and `err` say what
 * it was. */
struct wd_chat_writer {
    const struct wd_tokenizer *t;
    size_t max_ids;
    int r;
    struct wd_err *err;
    int32_t *ids;
    size_t n_ids, cap_ids;
    struct wd_chat_span *spans;
    size_t n_spans, cap_spans;
    char *text; /* since the last control token: text between two of them is tokenised together */
    size_t n_text, cap_text;
    size_t from; /* ids of spans before the present one */
};

void wd_chat_put(struct wd_chat_writer *w, const char *text, size_t len);
void wd_chat_put_control(struct wd_chat_writer *w, enum wd_chat_control c);
void wd_chat_put_medium(struct wd_chat_writer *w, enum wd_chat_kind kind, size_t message,
                        size_t part);
/* Marks an error. */
void wd_chat_fail(struct wd_chat_writer *w, int r, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static inline void wd_chat_put_text(struct wd_chat_writer *w, const char *text)
{
    wd_chat_put(w, text, strlen(text));
}

static inline void wd_chat_put_str(struct wd_chat_writer *w, struct wd_chat_str s)
{
    wd_chat_put(w, s.at, s.len);
}

/* A text between two quote tokens. */
static inline void wd_chat_put_quoted(struct wd_chat_writer *w, struct wd_chat_str s)
{
    wd_chat_put_control(w, WD_CHAT_QUOTE);
    wd_chat_put_str(w, s);
    wd_chat_put_control(w, WD_CHAT_QUOTE);
}

/* model/chat_values.c. `what` names the JSON in errors. */
/* The members of a JSON object as key:value,... without the braces; nothing for an empty text. */
void wd_chat_put_members(struct wd_chat_writer *w, struct wd_chat_str json, const char *what);
/* A result: the members of an object, or value:... */
void wd_chat_put_result(struct wd_chat_writer *w, struct wd_chat_str json, const char *what);
/* model/chat_tools.c */
void wd_chat_put_tool(struct wd_chat_writer *w, const struct wd_chat_tool *tool, const char *what);
