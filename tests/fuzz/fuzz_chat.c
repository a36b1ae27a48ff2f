/* tests/fuzz/fuzz_chat.c - any bytes as a conversation to render, as a reply in bytes, as a reply
 * in tokens. The first byte chooses. */
#include "model/chat_json.h"
#include "model/chat_reply.h"
#include "model/json_scan.h"
#include "model/tensor_file.h"
#include "model/tokenizer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TOKENS 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct wd_tokenizer *nano(void)
{
    static struct wd_tokenizer *t;
    struct wd_tensor_file *f;
    struct wd_err err = {0};

    if (t)
        return t;
    if (wd_tensor_file_open(TEST_SRCDIR "/models/nano.gguf", &f, &err) < 0 ||
        wd_tokenizer_open(f, &t, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    wd_tensor_file_free(f);
    return t;
}

/* All that was read, a number for each kind of piece between. */
struct seen {
    size_t n, cap, said;
    char *text;
    bool ended;
    enum wd_chat_event_kind last;
};

static void add(struct seen *s, const char *text, size_t n)
{
    if (s->n + n > s->cap) {
        s->cap = 2 * (s->n + n);
        s->text = realloc(s->text, s->cap);
        if (!s->text)
            abort();
    }
    if (n)
        memcpy(s->text + s->n, text, n);
    s->n += n;
}

static void on_event(void *ctx, const struct wd_chat_event *e)
{
    struct seen *s = ctx;
    bool piece = e->kind == WD_CHAT_THOUGHT || e->kind == WD_CHAT_ANSWER;
    struct wd_json j;

    if (s->ended || (piece && e->text.len == 0))
        abort();
    if (!piece || s->n == 0 || s->last != e->kind)
        add(s, (char[]){(char)e->kind}, 1);
    s->last = e->kind;
    add(s, e->text.at, e->text.len);
    s->said += piece ? e->text.len : 0;
    s->ended = e->kind == WD_CHAT_ENDED;
    if (e->kind != WD_CHAT_CALLED)
        return;
    wd_json_init(&j, e->arguments.at, e->arguments.len);
    if (wd_json_peek(&j) != '{' || !wd_json_skip(&j) || !wd_json_done(&j) || e->name.len == 0)
        abort();
    add(s, e->name.at, e->name.len);
    add(s, e->arguments.at, e->arguments.len);
}

/* The same events however the bytes are cut; no more text than there was. */
static void bytes(const char *text, size_t n, bool within_thought)
{
    struct seen whole = {0}, cut = {0};
    struct wd_chat_reply *r = wd_chat_reply_new(NULL, within_thought, on_event, &whole);

    wd_chat_reply_bytes(r, text, n);
    wd_chat_reply_finish(r);
    wd_chat_reply_free(r);
    if (whole.said > n)
        abort();
    r = wd_chat_reply_new(NULL, within_thought, on_event, &cut);
    for (size_t i = 0, k; i < n; i += k) {
        k = 1 + (size_t)(unsigned char)text[i] % 5;
        k = k > n - i ? n - i : k;
        wd_chat_reply_bytes(r, text + i, k);
    }
    wd_chat_reply_finish(r);
    wd_chat_reply_free(r);
    if (whole.n != cut.n || (whole.n && memcmp(whole.text, cut.text, whole.n)))
        abort();
    free(whole.text);
    free(cut.text);
}

static void tokens(const uint8_t *data, size_t n)
{
    struct seen s = {0};
    struct wd_chat_reply *r = wd_chat_reply_new(nano(), false, on_event, &s);

    for (size_t i = 0; i + 1 < n; i += 2)
        wd_chat_reply_token(r, (data[i] | data[i + 1] << 8) % 800 - 4); /* some are none */
    wd_chat_reply_finish(r);
    wd_chat_reply_free(r);
    free(s.text);
}

/* messages, a NUL, tools. What was rendered can be read as a reply. */
static void render(const char *text, size_t n, unsigned flags)
{
    const char *nul = memchr(text, 0, n);
    size_t n_messages = nul ? (size_t)(nul - text) : n, n_ids = 0;
    struct wd_chat_str messages = {text, n_messages},
                       tools = {text + n_messages + (nul != NULL), n - n_messages - (nul != NULL)};
    struct wd_chat c = {.thinking = flags & 1,
                        .preserve_thinking = flags & 2,
                        .reply = flags & 4,
                        .continue_last = flags & 8};
    struct wd_chat_prompt *p;
    struct wd_err err = {0};
    void *memory;
    int r = wd_chat_from_json(messages, tools, &c, &memory, &err);

    if (r == 0) {
        r = wd_chat_render(&c, nano(), MAX_TOKENS, &p, &err);
        free(memory);
    }
    if (r < 0) {
        if (err.code >= 0 || !err.text[0])
            abort();
        return;
    }
    if (p->n_ids > MAX_TOKENS || p->n_ids < 1 ||
        p->spans[0].ids[0] != wd_tokenizer_find(nano(), "<bos>"))
        abort();
    for (size_t k = 0; k < p->n_spans; k++) {
        const struct wd_chat_span *s = &p->spans[k];

        n_ids += s->n_ids;
        if ((s->kind == WD_CHAT_TEXT) != (s->n_ids > 0) ||
            (k && s->kind == WD_CHAT_TEXT && s[-1].kind == WD_CHAT_TEXT))
            abort();
        if (s->kind != WD_CHAT_TEXT && (s->message >= c.n_messages))
            abort();
    }
    if (n_ids != p->n_ids)
        abort();
    for (size_t k = 0; k < p->n_spans; k++) {
        struct seen seen = {0};
        struct wd_chat_reply *reply = wd_chat_reply_new(nano(), false, on_event, &seen);

        for (size_t i = 0; i < p->spans[k].n_ids; i++)
            wd_chat_reply_token(reply, p->spans[k].ids[i]);
        wd_chat_reply_finish(reply);
        wd_chat_reply_free(reply);
        free(seen.text);
        if (k == 8)
            break; /* a reader is large */
    }
    wd_chat_prompt_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    switch (data[0] % 4) {
    case 0:
        bytes((const char *)data + 1, size - 1, data[0] & 4);
        break;
    case 1:
        tokens(data + 1, size - 1);
        break;
    default:
        render((const char *)data + 1, size - 1, data[0] >> 2);
    }
    return 0;
}
