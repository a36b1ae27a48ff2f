/* model/chat.c - a conversation -> the model's input. Source: docs/model.md, "Chat". */
#include "model/chat.h"

#include "base/utf8.h"
#include "model/chat_parts.h"
#include "model/tokenizer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *const wd_chat_control_text[WD_CHAT_CONTROLS] = {
    [WD_CHAT_BOS] = "<bos>",
    [WD_CHAT_TURN_OPEN] = "<|turn>",
    [WD_CHAT_TURN_CLOSE] = "<turn|>",
    [WD_CHAT_THINK] = "<|think|>",
    [WD_CHAT_CHANNEL_OPEN] = "<|channel>",
    [WD_CHAT_CHANNEL_CLOSE] = "<channel|>",
    [WD_CHAT_TOOL_OPEN] = "<|tool>",
    [WD_CHAT_TOOL_CLOSE] = "<tool|>",
    [WD_CHAT_CALL_OPEN] = "<|tool_call>",
    [WD_CHAT_CALL_CLOSE] = "<tool_call|>",
    [WD_CHAT_RESPONSE_OPEN] = "<|tool_response>",
    [WD_CHAT_RESPONSE_CLOSE] = "<tool_response|>",
    [WD_CHAT_QUOTE] = "<|\"|>",
    [WD_CHAT_EOS] = "<eos>",
};

void wd_chat_fail(struct wd_chat_writer *w, int r, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    if (w->r < 0)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    w->r = wd_err_set(w->err, r, "%s", text);
}

/* Room for `more` elements beyond n; doubles. */
static bool reserve(struct wd_chat_writer *w, void *array, size_t *cap, size_t n, size_t more,
                    size_t size)
{
    size_t to = *cap ? *cap : 64;
    void *at, *larger;

    if (w->r < 0)
        return false;
    if (more <= *cap - n)
        return true;
    while (to - n < more) {
        if (to > SIZE_MAX / 4 / size) {
            wd_chat_fail(w, -ENOMEM, "out of memory");
            return false;
        }
        to *= 2;
    }
    memcpy(&at, array, sizeof at);
    larger = realloc(at, to * size);
    if (!larger) {
        wd_chat_fail(w, -ENOMEM, "out of memory");
        return false;
    }
    memcpy(array, &larger, sizeof larger);
    *cap = to;
    return true;
}

void wd_chat_put(struct wd_chat_writer *w, const char *text, size_t len)
{
    if (len == 0 || !reserve(w, &w->text, &w->cap_text, w->n_text, len, 1))
        return;
    memcpy(w->text + w->n_text, text, len);
    w->n_text += len;
}

/* The text collected so far becomes ids. */
static void put_ids(struct wd_chat_writer *w)
{
    size_t room = w->max_ids - w->n_ids, want = w->n_text;
    int64_t n;

    if (w->r < 0 || w->n_text == 0)
        return;
    for (;;) { /* seldom more ids than bytes: three times as many are possible, and then known */
        if (want > room)
            want = room;
        if (!reserve(w, &w->ids, &w->cap_ids, w->n_ids, want, sizeof *w->ids))
            return;
        n = wd_tokenizer_encode(w->t, w->text, w->n_text, false, w->ids + w->n_ids, want);
        if (n < 0) {
            wd_chat_fail(w, (int)n, n == -E2BIG ? "a text of 2 GB or more" : "out of memory");
            return;
        }
        if ((uint64_t)n > room) {
            wd_chat_fail(w, -E2BIG, "more than %zu tokens", w->max_ids);
            return;
        }
        if ((uint64_t)n <= want)
            break;
        want = (size_t)n;
    }
    w->n_ids += (size_t)n;
    w->n_text = 0;
}

void wd_chat_put_control(struct wd_chat_writer *w, enum wd_chat_control c)
{
    int32_t id;

    put_ids(w);
    if (!reserve(w, &w->ids, &w->cap_ids, w->n_ids, 1, sizeof *w->ids))
        return;
    id = wd_tokenizer_find(w->t, wd_chat_control_text[c]);
    if (id < 0)
        wd_chat_fail(w, -ENOTSUP, "the vocabulary has no '%s'", wd_chat_control_text[c]);
    else if (w->n_ids == w->max_ids)
        wd_chat_fail(w, -E2BIG, "more than %zu tokens", w->max_ids);
    else
        w->ids[w->n_ids++] = id;
}

/* The ids since the last medium become a span. Their place is known at the end: ids may move. */
static void end_span(struct wd_chat_writer *w)
{
    put_ids(w);
    if (w->n_ids == w->from ||
        !reserve(w, &w->spans, &w->cap_spans, w->n_spans, 1, sizeof *w->spans))
        return;
    w->spans[w->n_spans++] =
        (struct wd_chat_span){.kind = WD_CHAT_TEXT, .n_ids = w->n_ids - w->from};
    w->from = w->n_ids;
}

void wd_chat_put_medium(struct wd_chat_writer *w, enum wd_chat_kind kind, size_t message,
                        size_t part)
{
    end_span(w);
    if (!reserve(w, &w->spans, &w->cap_spans, w->n_spans, 1, sizeof *w->spans))
        return;
    w->spans[w->n_spans++] = (struct wd_chat_span){.kind = kind, .message = message, .part = part};
}

static bool is(struct wd_chat_str s, const char *text)
{
    return s.len == strlen(text) && !memcmp(s.at, text, s.len);
}

static bool same(struct wd_chat_str a, struct wd_chat_str b)
{
    return a.len == b.len && (a.len == 0 || !memcmp(a.at, b.at, a.len));
}

/* What the reference's language takes for white space. */
static bool is_space(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || (cp >= 28 && cp <= 32) || cp == 0x85 || cp == 0xa0 ||
           cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 ||
           cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

static struct wd_chat_str trim(struct wd_chat_str s)
{
    uint32_t cp;
    size_t used, from;

    while (s.len) {
        used = wd_utf8_read(s.at, s.len, &cp);
        if (!is_space(cp))
            break;
        s.at += used;
        s.len -= used;
    }
    while (s.len) {
        for (from = s.len - 1; from > 0 && s.len - from < 4 && (s.at[from] & 0xc0) == 0x80; from--)
            ;
        used = wd_utf8_read(s.at + from, s.len - from, &cp);
        if (from + used != s.len || !is_space(cp))
            break;
        s.len = from;
    }
    return s;
}

/* The first place of `what` at or behind `from`, or the end. */
static size_t find(struct wd_chat_str s, size_t from, const char *what)
{
    const char *at = from < s.len ? memmem(s.at + from, s.len - from, what, strlen(what)) : NULL;

    return at ? (size_t)(at - s.at) : s.len;
}

/* What the model said, without its thoughts: between two closing marks everything behind an opening
 * one is left out. Trimmed. Returns whether something is left. */
static bool put_said(struct wd_chat_writer *w, struct wd_chat_str s)
{
    const char *open = wd_chat_control_text[WD_CHAT_CHANNEL_OPEN],
               *close = wd_chat_control_text[WD_CHAT_CHANNEL_CLOSE];
    struct wd_chat_str left;
    size_t n = 0, next, start, opened = find(s, 0, open);
    char *text;

    if (opened == s.len && find(s, 0, close) == s.len) { /* nearly always */
        left = trim(s);
        wd_chat_put_str(w, left);
        return left.len > 0;
    }
    text = malloc(s.len);
    if (!text) {
        wd_chat_fail(w, -ENOMEM, "out of memory");
        return false;
    }
    for (start = 0; start < s.len; start = next + strlen(close)) {
        size_t end;

        next = find(s, start, close);
        if (opened < start)
            opened = find(s, start, open);
        end = opened < next ? opened : next;
        memcpy(text + n, s.at + start, end - start);
        n += end - start;
    }
    left = trim((struct wd_chat_str){text, n});
    wd_chat_put_str(w, left);
    free(text);
    return left.len > 0;
}

/* The content of a message; whether it has any. */
static bool put_content(struct wd_chat_writer *w, const struct wd_chat *c, size_t i, bool said)
{
    const struct wd_chat_message *m = &c->messages[i];
    bool any = false;

    for (size_t k = 0; k < m->n_parts; k++) {
        const struct wd_chat_part *p = &m->parts[k];

        if (p->kind != WD_CHAT_TEXT) {
            wd_chat_put_medium(w, p->kind, i, k);
            any = true;
        } else if (said) {
            any |= put_said(w, p->text);
        } else {
            struct wd_chat_str s = trim(p->text);

            wd_chat_put_str(w, s);
            any |= s.len > 0;
        }
    }
    return any;
}

static void open_turn(struct wd_chat_writer *w, struct wd_chat_str role)
{
    wd_chat_put_control(w, WD_CHAT_TURN_OPEN);
    wd_chat_put_str(w, role);
    wd_chat_put_text(w, "\n");
}

static void close_turn(struct wd_chat_writer *w)
{
    wd_chat_put_control(w, WD_CHAT_TURN_CLOSE);
    wd_chat_put_text(w, "\n");
}

static const struct wd_chat_str model_role = {"model", 5}, system_role = {"system", 6};

static bool is_model(const struct wd_chat_message *m)
{
    return is(m->role, "assistant") || is(m->role, "model");
}

static bool is_tool(const struct wd_chat_message *m)
{
    return is(m->role, "tool");
}

/* The first turn: thinking, instruction, functions. `first`: the message with the instruction. */
static void put_system(struct wd_chat_writer *w, const struct wd_chat *c,
                       const struct wd_chat_message *first)
{
    char what[64];

    open_turn(w, system_role);
    if (c->thinking) {
        wd_chat_put_control(w, WD_CHAT_THINK);
        wd_chat_put_text(w, "\n");
    }
    for (size_t k = 0; first && k < first->n_parts; k++) {
        if (first->parts[k].kind != WD_CHAT_TEXT) {
            wd_chat_fail(w, -EINVAL, "message 1: an instruction with a medium in it");
            return;
        }
        wd_chat_put_str(w, trim(first->parts[k].text));
        if (first->listed)
            wd_chat_put_text(w, " ");
    }
    for (size_t k = 0; k < c->n_tools; k++) {
        snprintf(what, sizeof what, "function %zu", k + 1);
        wd_chat_put_tool(w, &c->tools[k], what);
    }
    close_turn(w);
}

static void put_calls(struct wd_chat_writer *w, const struct wd_chat *c, size_t i)
{
    const struct wd_chat_message *m = &c->messages[i];
    char what[96];

    for (size_t k = 0; k < m->n_calls; k++) {
        snprintf(what, sizeof what, "message %zu, call %zu: arguments", i + 1, k + 1);
        wd_chat_put_control(w, WD_CHAT_CALL_OPEN);
        wd_chat_put_text(w, "call:");
        wd_chat_put_str(w, m->calls[k].name);
        wd_chat_put_text(w, "{");
        wd_chat_put_members(w, m->calls[k].arguments, what);
        wd_chat_put_text(w, "}");
        wd_chat_put_control(w, WD_CHAT_CALL_CLOSE);
    }
}

static void open_result(struct wd_chat_writer *w, struct wd_chat_str name)
{
    wd_chat_put_control(w, WD_CHAT_RESPONSE_OPEN);
    wd_chat_put_text(w, "response:");
    wd_chat_put_str(w, name);
    wd_chat_put_text(w, "{");
}

static void close_result(struct wd_chat_writer *w)
{
    wd_chat_put_text(w, "}");
    wd_chat_put_control(w, WD_CHAT_RESPONSE_CLOSE);
}

/* Message i of the role "tool" answers a call of message m. */
static void put_tool_message(struct wd_chat_writer *w, const struct wd_chat *c, size_t i,
                             const struct wd_chat_message *m)
{
    const struct wd_chat_message *answer = &c->messages[i];
    struct wd_chat_str name = answer->name;

    if (name.len == 0)
        name = (struct wd_chat_str){"unknown", 7};
    for (size_t k = 0; k < m->n_calls; k++)
        if (same(m->calls[k].id, answer->call_id))
            name = m->calls[k].name; /* the last one that matches */
    open_result(w, name);
    wd_chat_put_text(w, "value:");
    wd_chat_put_control(w, WD_CHAT_QUOTE);
    for (size_t k = 0; k < answer->n_parts; k++)
        if (answer->parts[k].kind == WD_CHAT_TEXT)
            wd_chat_put_str(w, answer->parts[k].text);
    wd_chat_put_control(w, WD_CHAT_QUOTE);
    close_result(w);
    for (size_t k = 0; k < answer->n_parts; k++)
        if (answer->parts[k].kind != WD_CHAT_TEXT)
            wd_chat_put_medium(w, answer->parts[k].kind, i, k);
}

/* The results of message i's calls; whether there are any. */
static bool put_results(struct wd_chat_writer *w, const struct wd_chat *c, size_t i)
{
    const struct wd_chat_message *m = &c->messages[i];
    char what[96];
    size_t k;

    for (k = 0; k < m->n_results; k++) {
        snprintf(what, sizeof what, "message %zu, result %zu", i + 1, k + 1);
        open_result(w, m->results[k].name);
        wd_chat_put_result(w, m->results[k].response, what);
        close_result(w);
    }
    if (m->n_results || !m->n_calls)
        return m->n_results > 0;
    for (k = i + 1; k < c->n_messages && is_tool(&c->messages[k]); k++)
        put_tool_message(w, c, k, m);
    return k > i + 1;
}

/* How the text so far ends. */
enum end {
    CLOSED,   /* no turn is open */
    CALLED,   /* a call waits for its results */
    ANSWERED, /* behind a result, in the model's turn */
    OPEN,     /* in the model's turn, which the next message continues */
};

static enum end put_model(struct wd_chat_writer *w, const struct wd_chat *c, size_t i,
                          bool since_question, enum end before)
{
    const struct wd_chat_message *m = &c->messages[i];
    bool results, text;
    size_t next;

    for (next = i + 1; next < c->n_messages && is_tool(&c->messages[next]); next++)
        ;
    if (before == CLOSED)
        open_turn(w, model_role);
    if (m->reasoning.len && (since_question || (c->preserve_thinking && m->n_calls))) {
        wd_chat_put_control(w, WD_CHAT_CHANNEL_OPEN);
        wd_chat_put_text(w, "thought\n");
        wd_chat_put_str(w, m->reasoning);
        wd_chat_put_text(w, "\n");
        wd_chat_put_control(w, WD_CHAT_CHANNEL_CLOSE);
    }
    put_calls(w, c, i);
    results = put_results(w, c, i);
    text = put_content(w, c, i, true);
    if (m->n_calls && !results) {
        wd_chat_put_control(w, WD_CHAT_RESPONSE_OPEN);
        return CALLED;
    }
    if (next < c->n_messages && is_model(&c->messages[next]))
        return OPEN;
    if (next == c->n_messages && c->continue_last)
        return OPEN;
    if (next == c->n_messages && results && !text)
        return ANSWERED;
    close_turn(w);
    return CLOSED;
}

static void put_reply(struct wd_chat_writer *w, const struct wd_chat *c, enum end end,
                      bool *ret_within_thought)
{
    if (end == ANSWERED && c->thinking) {
        wd_chat_put_control(w, WD_CHAT_CHANNEL_OPEN);
        wd_chat_put_text(w, "thought\n");
        *ret_within_thought = true;
    }
    if (end != CLOSED)
        return;
    open_turn(w, model_role);
    if (c->thinking)
        return;
    wd_chat_put_control(w, WD_CHAT_CHANNEL_OPEN);
    wd_chat_put_text(w, "thought\n");
    wd_chat_put_control(w, WD_CHAT_CHANNEL_CLOSE);
}

static void put_all(struct wd_chat_writer *w, const struct wd_chat *c, bool *ret_within_thought)
{
    const struct wd_chat_message *first = &c->messages[0];
    size_t i = 0, question = 0; /* messages from here on came after the last question */
    enum end end = CLOSED;

    for (size_t k = 0; k < c->n_messages; k++)
        if (is(c->messages[k].role, "user"))
            question = k + 1;
    wd_chat_put_control(w, WD_CHAT_BOS);
    if (is(first->role, "system") || is(first->role, "developer"))
        i = 1;
    if (i == 1 || c->thinking || c->n_tools)
        put_system(w, c, i == 1 ? first : NULL);
    for (; i < c->n_messages && w->r == 0; i++) {
        const struct wd_chat_message *m = &c->messages[i];
        bool last = i + 1 == c->n_messages;

        if (is_tool(m)) /* written with its call; without one it vanishes, as in the reference */
            continue;
        if (is_model(m)) {
            end = put_model(w, c, i, i >= question, end);
            continue;
        }
        open_turn(w, m->role);
        put_content(w, c, i, false);
        if (last && c->continue_last) {
            end = OPEN;
            break;
        }
        close_turn(w);
        end = CLOSED;
    }
    if (c->reply && !c->continue_last)
        put_reply(w, c, end, ret_within_thought);
    end_span(w);
}

/* The prompt, its spans and its ids are one piece of memory each; the spans own the ids. */
struct prompt {
    struct wd_chat_prompt p;
    struct wd_chat_span *spans;
    int32_t *ids;
};

int wd_chat_render(const struct wd_chat *chat, const struct wd_tokenizer *t, size_t max_ids,
                   struct wd_chat_prompt **ret, struct wd_err *err)
{
    struct wd_chat_writer w = {.t = t, .max_ids = max_ids, .err = err};
    struct prompt *p;
    size_t at = 0;

    if (chat->n_messages == 0)
        return wd_err_set(err, -EINVAL, "a conversation without a message");
    p = calloc(1, sizeof *p);
    if (!p)
        return wd_err_set(err, -ENOMEM, "out of memory");
    put_all(&w, chat, &p->p.within_thought);
    free(w.text);
    p->spans = w.spans;
    p->ids = w.ids;
    if (w.r < 0) {
        wd_chat_prompt_free(&p->p);
        return w.r;
    }
    for (size_t k = 0; k < w.n_spans; k++) {
        if (w.spans[k].kind != WD_CHAT_TEXT)
            continue;
        w.spans[k].ids = w.ids + at;
        at += w.spans[k].n_ids;
    }
    p->p.spans = w.spans;
    p->p.n_spans = w.n_spans;
    p->p.n_ids = w.n_ids;
    *ret = &p->p;
    return 0;
}

struct wd_chat_prompt *wd_chat_prompt_free(struct wd_chat_prompt *prompt)
{
    struct prompt *p = (struct prompt *)prompt; /* its first member */

    if (p) {
        free(p->spans);
        free(p->ids);
        free(p);
    }
    return NULL;
}
