/* model/chat_reply.h - what the model writes -> thoughts, text and calls, as they come.
 * Source: docs/model.md, "Chat". Pure; one thread; allocates only in _new().
 *
 * Trusts nothing: a reply of any length and shape costs what it weighs, and of a call at most
 * WD_CHAT_CALL_MAX bytes are kept. */
#pragma once
#include "model/chat.h"

struct wd_chat_reply;

#define WD_CHAT_CALL_MAX 65536 /* bytes of a call, name and arguments */

enum wd_chat_event_kind {
    WD_CHAT_THOUGHT,  /* `text`: a piece of the model's thinking */
    WD_CHAT_ANSWER,   /* `text`: a piece of what it says */
    WD_CHAT_CALLED,   /* `name` and `arguments`, a JSON object: a whole call */
    WD_CHAT_BAD_CALL, /* `text`: a call as it was written (the beginning, if it is long); `why` */
    WD_CHAT_ENDED,    /* the turn is over; with `calls` it goes on behind the results */
};

/* Its texts are good until the handler returns. Pieces are never empty. */
struct wd_chat_event {
    enum wd_chat_event_kind kind;
    struct wd_chat_str text;
    struct wd_chat_str name, arguments;
    const char *why;
    bool calls; /* the model waits for results: it stopped at <|tool_response> */
};

/* within_thought: as wd_chat_prompt says. `on_event` gets `ctx` and must not call the reader. NULL:
 * out of memory. */
struct wd_chat_reply *wd_chat_reply_new(const struct wd_tokenizer *t, bool within_thought,
                                        void (*on_event)(void *ctx, const struct wd_chat_event *e),
                                        void *ctx);
struct wd_chat_reply *wd_chat_reply_free(struct wd_chat_reply *r);

/* The next id. Only control tokens are marks; text that spells one is text. Behind the end nothing
 * is read. */
void wd_chat_reply_token(struct wd_chat_reply *r, int32_t id);
/* Instead, for a reply that came as text with its marks spelled out (t may be NULL then): the next
 * bytes, cut anywhere. What may be the beginning of a mark is held back until that is known. */
void wd_chat_reply_bytes(struct wd_chat_reply *r, const char *bytes, size_t n);
/* No more comes: gives what was held back; a call that is not closed is a bad one. */
void wd_chat_reply_finish(struct wd_chat_reply *r);
/* The turn is over: ENDED was given. */
bool wd_chat_reply_ended(const struct wd_chat_reply *r);
