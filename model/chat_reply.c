/* model/chat_reply.c - what the model writes -> thoughts, text and calls. */
#include "model/chat_reply.h"

#include "base/utf8.h"
#include "model/chat_parts.h"
#include "model/json_scan.h"
#include "model/tokenizer.h"

#include <stdlib.h>

#define MAX_CHANNEL 32 /* bytes of a channel's name */
#define MAX_MARK 17    /* bytes of the longest mark, and one */
#define MAX_DEPTH 32   /* of arguments */
#define QUOTE '\xff'   /* the quote token in a kept call: a byte that no text has */
#define JSON_MAX (2 * WD_CHAT_CALL_MAX)

/* Marks that are left out wherever they stand, beside those the format has a meaning for. */
static const char *const media_marks[] = {"<|image>", "<image|>",  "<|image|>", "<|audio>",
                                          "<audio|>", "<|audio|>", "<|video|>"};
#define MEDIA_MARKS (sizeof media_marks / sizeof *media_marks)

enum mode {
    ANSWER,
    CHANNEL, /* the name of a channel, up to the end of its line */
    THOUGHT,
    CALL,
    ENDED,
};

struct wd_chat_reply {
    void (*on_event)(void *ctx, const struct wd_chat_event *e);
    void *ctx;
    enum mode mode;
    int32_t ids[WD_CHAT_CONTROLS]; /* -1: the vocabulary has none */
    struct wd_detokenizer d;
    const struct wd_tokenizer *t;
    char mark[MAX_MARK]; /* of bytes: what may be a mark */
    size_t n_mark;
    char channel[MAX_CHANNEL];
    size_t n_channel;
    bool newline; /* held back in a thought: the last one belongs to the closing mark */
    bool too_long;
    size_t n_call, n_json;
    char call[WD_CHAT_CALL_MAX], json[JSON_MAX];
};

struct wd_chat_reply *wd_chat_reply_new(const struct wd_tokenizer *t, bool within_thought,
                                        void (*on_event)(void *ctx, const struct wd_chat_event *e),
                                        void *ctx)
{
    struct wd_chat_reply *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->on_event = on_event;
    r->ctx = ctx;
    r->mode = within_thought ? THOUGHT : ANSWER;
    r->t = t;
    for (size_t i = 0; i < WD_CHAT_CONTROLS; i++)
        r->ids[i] = t ? wd_tokenizer_find(t, wd_chat_control_text[i]) : -1;
    if (t)
        wd_detokenizer_init(&r->d, t, false);
    return r;
}

struct wd_chat_reply *wd_chat_reply_free(struct wd_chat_reply *r)
{
    free(r);
    return NULL;
}

static void give(struct wd_chat_reply *r, enum wd_chat_event_kind kind, const char *text, size_t n)
{
    if (n)
        r->on_event(r->ctx, &(struct wd_chat_event){.kind = kind, .text = {text, n}});
}

/* ---- a whole call ---- */

/* Where a call is being read, and its arguments written as JSON. `why`: it is none. */
struct reading {
    const char *at, *end;
    struct wd_chat_reply *r;
    const char *why;
    unsigned depth;
};

static bool bad(struct reading *c, const char *why)
{
    if (!c->why)
        c->why = why;
    return false;
}

static bool json(struct reading *c, const char *text, size_t n)
{
    if (n > JSON_MAX - c->r->n_json)
        return bad(c, "too long");
    memcpy(c->r->json + c->r->n_json, text, n);
    c->r->n_json += n;
    return true;
}

static void blanks(struct reading *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r'))
        c->at++;
}

static bool next_is(struct reading *c, char what)
{
    blanks(c);
    if (c->at == c->end || *c->at != what)
        return false;
    c->at++;
    return true;
}

/* Text as a JSON string; what is not UTF-8, and NUL, as U+FFFD. */
static bool json_string(struct reading *c, const char *text, size_t n)
{
    bool good = json(c, "\"", 1);

    for (size_t i = 0, used; good && i < n; i += used) {
        static const char hex[] = "0123456789abcdef";
        char utf8[4];
        uint32_t cp;

        used = wd_utf8_read(text + i, n - i, &cp);
        if (cp == 0)
            cp = WD_UTF8_REPLACEMENT;
        if (cp == '"' || cp == '\\')
            good = json(c, (char[]){'\\', (char)cp}, 2);
        else if (cp == '\n')
            good = json(c, "\\n", 2);
        else if (cp < 0x20 || cp == 0x7f)
            good = json(c, (char[]){'\\', 'u', '0', '0', hex[cp >> 4], hex[cp & 15]}, 6);
        else
            good = json(c, utf8, wd_utf8_put(cp, utf8));
    }
    return good && json(c, "\"", 1);
}

/* Up to the closing quote; the opening one is read. */
static bool quoted(struct reading *c)
{
    const char *end = memchr(c->at, (unsigned char)QUOTE, (size_t)(c->end - c->at));

    if (!end)
        return bad(c, "a string without its end");
    if (!json_string(c, c->at, (size_t)(end - c->at)))
        return false;
    c->at = end + 1;
    return true;
}

/* A number, true, false or null. */
static bool word(struct reading *c)
{
    const char *from = c->at;
    struct wd_json j;
    size_t n;

    while (c->at < c->end && *c->at != QUOTE && !strchr(",:[]{} \n\t\r", *c->at))
        c->at++;
    n = (size_t)(c->at - from);
    wd_json_init(&j, from, n);
    if (n == 0 || !wd_json_skip(&j) || !wd_json_done(&j))
        return bad(c, "a value that is none");
    if (*from == '"')
        return bad(c, "a string in other quotes");
    return json(c, from, n);
}

static bool members(struct reading *c);

static bool value(struct reading *c)
{
    bool good;

    blanks(c);
    if (c->depth == MAX_DEPTH)
        return bad(c, "nested too deeply");
    if (next_is(c, QUOTE))
        return quoted(c);
    if (next_is(c, '{')) {
        c->depth++;
        good = members(c);
        c->depth--;
        return good;
    }
    if (!next_is(c, '['))
        return word(c);
    c->depth++;
    good = json(c, "[", 1);
    if (good && !next_is(c, ']')) {
        do
            good = value(c) &&
                   (next_is(c, ']') ||
                    (next_is(c, ',') ? json(c, ",", 1) : bad(c, "a list without its end")));
        while (good && c->at[-1] == ',');
    }
    c->depth--;
    return good && json(c, "]", 1);
}

/* A key: text up to the colon, or a string. */
static bool key(struct reading *c)
{
    const char *from, *to;

    if (next_is(c, QUOTE))
        return quoted(c) && (next_is(c, ':') || bad(c, "a key without a value"));
    from = c->at;
    while (c->at < c->end && *c->at != QUOTE && !strchr(":,[]{}", *c->at))
        c->at++;
    to = c->at;
    while (to > from && (to[-1] == ' ' || to[-1] == '\n'))
        to--;
    if (to == from || !next_is(c, ':'))
        return bad(c, "a key without a value");
    return json_string(c, from, (size_t)(to - from));
}

/* Behind the opening brace, to the closing one. */
static bool members(struct reading *c)
{
    bool more;

    if (!json(c, "{", 1))
        return false;
    for (more = !next_is(c, '}'); more; more = !next_is(c, '}')) {
        if (!key(c) || !json(c, ":", 1) || !value(c))
            return false;
        if (next_is(c, ',')) {
            if (!json(c, ",", 1))
                return false;
            if (next_is(c, '}'))
                return bad(c, "a comma before the end");
            continue;
        }
        if (next_is(c, '}'))
            break;
        return bad(c, "an object without its end");
    }
    return json(c, "}", 1);
}

/* call:NAME{...} */
static bool whole_call(struct reading *c, struct wd_chat_str *ret_name)
{
    const char *from, *to;

    blanks(c);
    if (c->end - c->at < 5 || memcmp(c->at, "call:", 5))
        return bad(c, "no 'call:' at its beginning");
    c->at += 5;
    blanks(c);
    from = c->at;
    while (c->at < c->end && *c->at != '{' && *c->at != QUOTE && (unsigned char)*c->at > ' ')
        c->at++;
    to = c->at;
    if (to == from)
        return bad(c, "no name");
    if (!next_is(c, '{'))
        return bad(c, "no arguments");
    if (!members(c))
        return false;
    blanks(c);
    if (c->at != c->end)
        return bad(c, "more behind the arguments");
    *ret_name = (struct wd_chat_str){from, (size_t)(to - from)};
    return true;
}

/* As it was written, in the place of the JSON: the quotes are tokens again. */
static void give_bad(struct wd_chat_reply *r, const char *why)
{
    const char *quote = wd_chat_control_text[WD_CHAT_QUOTE];
    size_t n = 0;

    for (size_t i = 0; i < r->n_call && JSON_MAX - n >= strlen(quote); i++) {
        if (r->call[i] == QUOTE) {
            memcpy(r->json + n, quote, strlen(quote));
            n += strlen(quote);
        } else {
            r->json[n++] = r->call[i];
        }
    }
    r->on_event(r->ctx, &(struct wd_chat_event){
                            .kind = WD_CHAT_BAD_CALL, .text = {r->json, n}, .why = why});
}

static void end_call(struct wd_chat_reply *r, bool closed)
{
    struct reading c = {.at = r->call, .end = r->call + r->n_call, .r = r};
    struct wd_chat_event e = {.kind = WD_CHAT_CALLED};

    r->mode = ANSWER;
    r->n_json = 0;
    if (r->too_long)
        bad(&c, "too long");
    else if (!closed)
        bad(&c, "not closed");
    else if (whole_call(&c, &e.name)) {
        e.arguments = (struct wd_chat_str){r->json, r->n_json};
        r->on_event(r->ctx, &e);
        return;
    }
    give_bad(r, c.why);
}

/* ---- text and marks ---- */

static void thought(struct wd_chat_reply *r, const char *text, size_t n)
{
    if (n == 0)
        return;
    if (r->newline)
        give(r, WD_CHAT_THOUGHT, "\n", 1);
    r->newline = text[n - 1] == '\n';
    give(r, WD_CHAT_THOUGHT, text, n - r->newline);
}

/* "thought\n" is not part of the thought; of a line that is no name nothing is lost. */
static size_t channel(struct wd_chat_reply *r, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n') {
            r->mode = THOUGHT;
            r->n_channel = 0;
            return i + 1;
        }
        if (r->n_channel == MAX_CHANNEL) {
            r->mode = THOUGHT;
            thought(r, r->channel, r->n_channel);
            r->n_channel = 0;
            return i;
        }
        r->channel[r->n_channel++] = text[i];
    }
    return n;
}

static void end_channel(struct wd_chat_reply *r)
{
    if (r->mode == CHANNEL && (r->n_channel > 7 || memcmp(r->channel, "thought", r->n_channel)))
        thought(r, r->channel, r->n_channel);
    r->newline = false;
    r->n_channel = 0;
    r->mode = ANSWER;
}

static void keep(struct wd_chat_reply *r, char c)
{
    if (r->n_call == sizeof r->call)
        r->too_long = true;
    else
        r->call[r->n_call++] = c;
}

static void text(struct wd_chat_reply *r, const char *text, size_t n)
{
    if (r->mode == CHANNEL) {
        size_t used = channel(r, text, n);

        text += used;
        n -= used;
    }
    switch (r->mode) {
    case ANSWER:
        give(r, WD_CHAT_ANSWER, text, n);
        break;
    case THOUGHT:
        thought(r, text, n);
        break;
    case CALL:
        for (size_t i = 0; i < n; i++)
            keep(r, text[i] == QUOTE ? '?' : text[i]);
        break;
    case CHANNEL:
    case ENDED:
        break;
    }
}

/* Whatever is open is over. */
static void leave(struct wd_chat_reply *r)
{
    if (r->mode == CALL)
        end_call(r, false);
    else if (r->mode == CHANNEL || r->mode == THOUGHT)
        end_channel(r);
}

static void end(struct wd_chat_reply *r, bool calls)
{
    leave(r);
    r->mode = ENDED;
    r->on_event(r->ctx, &(struct wd_chat_event){.kind = WD_CHAT_ENDED, .calls = calls});
}

static void mark(struct wd_chat_reply *r, enum wd_chat_control c)
{
    switch (c) {
    case WD_CHAT_CHANNEL_OPEN:
        leave(r);
        r->mode = CHANNEL;
        break;
    case WD_CHAT_CHANNEL_CLOSE: /* also one too many */
        if (r->mode == CHANNEL || r->mode == THOUGHT)
            end_channel(r);
        break;
    case WD_CHAT_CALL_OPEN:
        leave(r);
        r->mode = CALL;
        r->n_call = 0;
        r->too_long = false;
        break;
    case WD_CHAT_CALL_CLOSE:
        if (r->mode == CALL)
            end_call(r, true);
        break;
    case WD_CHAT_QUOTE:
        if (r->mode == CALL)
            keep(r, QUOTE);
        break;
    case WD_CHAT_RESPONSE_OPEN:
        end(r, true);
        break;
    case WD_CHAT_TURN_OPEN: /* it goes on for somebody else */
    case WD_CHAT_TURN_CLOSE:
    case WD_CHAT_EOS:
        end(r, false);
        break;
    case WD_CHAT_BOS:
    case WD_CHAT_THINK:
    case WD_CHAT_TOOL_OPEN:
    case WD_CHAT_TOOL_CLOSE:
    case WD_CHAT_RESPONSE_CLOSE:
    case WD_CHAT_CONTROLS:
        break;
    }
}

void wd_chat_reply_token(struct wd_chat_reply *r, int32_t id)
{
    char out[WD_DETOKENIZER_MAX];

    if (r->mode == ENDED)
        return;
    if (wd_tokenizer_is_control(r->t, id)) {
        size_t c = 0;

        while (c < WD_CHAT_CONTROLS && r->ids[c] != id)
            c++;
        if (c == WD_CHAT_CONTROLS)
            return; /* a medium's, or one without a meaning here */
        text(r, out, wd_detokenizer_finish(&r->d, out));
        mark(r, (enum wd_chat_control)c);
        return;
    }
    text(r, out, wd_detokenizer_push(&r->d, id, out));
}

/* Is what was held back a mark (its number, from 0; those of media behind the others), the
 * beginning of one (-1), or neither (-2)? */
static int known(const char *s, size_t n)
{
    int found = -2;

    for (int i = 0; i < (int)(WD_CHAT_CONTROLS + MEDIA_MARKS); i++) {
        const char *m =
            i < WD_CHAT_CONTROLS ? wd_chat_control_text[i] : media_marks[i - WD_CHAT_CONTROLS];

        if (strlen(m) < n || memcmp(m, s, n))
            continue;
        if (strlen(m) == n)
            return i;
        found = -1;
    }
    return found;
}

void wd_chat_reply_bytes(struct wd_chat_reply *r, const char *bytes, size_t n)
{
    size_t from = 0; /* text not given yet */

    for (size_t i = 0; i < n && r->mode != ENDED; i++) {
        int k;

        if (r->n_mark == 0 && bytes[i] != '<')
            continue;
        if (r->n_mark == 0) {
            text(r, bytes + from, i - from);
            from = i;
        }
        if (bytes[i] == '<' &&
            r->n_mark) { /* no mark has another '<' in it: what was held is text */
            text(r, r->mark, r->n_mark);
            r->n_mark = 0;
        }
        r->mark[r->n_mark++] = bytes[i];
        from = i + 1;
        k = known(r->mark, r->n_mark);
        if (k == -1)
            continue;
        if (k == -2)
            text(r, r->mark, r->n_mark);
        r->n_mark = 0;
        if (k >= 0 && k < WD_CHAT_CONTROLS)
            mark(r, (enum wd_chat_control)k);
    }
    if (r->mode != ENDED)
        text(r, bytes + from, n - from);
}

void wd_chat_reply_finish(struct wd_chat_reply *r)
{
    char out[WD_DETOKENIZER_MAX];

    if (r->mode == ENDED)
        return;
    if (r->t)
        text(r, out, wd_detokenizer_finish(&r->d, out));
    text(r, r->mark, r->n_mark);
    r->n_mark = 0;
    leave(r);
}

bool wd_chat_reply_ended(const struct wd_chat_reply *r)
{
    return r->mode == ENDED;
}
