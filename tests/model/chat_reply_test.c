/* tests/model/chat_reply_test.c - what the model writes is read as thoughts, text and calls. */
#include "model/chat_reply.h"

#include "model/tensor_file.h"
#include "model/tokenizer.h"
#include "tests/model/chat_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_IDS 16384
#define MAX_LOG (1 << 20)
#define Q "<|\"|>"

static struct wd_tokenizer *nano;

static int open_nano(void **state)
{
    struct wd_tensor_file *f = NULL;
    struct wd_err err = {0};

    (void)state;
    if (wd_tensor_file_open(TEST_SRCDIR "/models/nano.gguf", &f, &err) < 0 ||
        wd_tokenizer_open(f, &nano, &err) < 0)
        fail_msg("%s", err.text);
    wd_tensor_file_free(f);
    return 0;
}

static int close_nano(void **state)
{
    (void)state;
    nano = wd_tokenizer_free(nano);
    return 0;
}

/* Events as text: pieces of one kind that follow each other are one. */
struct log {
    enum wd_chat_event_kind last;
    size_t n;
    char text[MAX_LOG];
};

static void put(struct log *l, struct wd_chat_str s)
{
    assert_true(l->n + s.len < MAX_LOG);
    if (s.len)
        memcpy(l->text + l->n, s.at, s.len);
    l->n += s.len;
    l->text[l->n] = '\0';
}

static void on_event(void *ctx, const struct wd_chat_event *e)
{
    static const char *const names[] = {[WD_CHAT_THOUGHT] = "[thought]",
                                        [WD_CHAT_ANSWER] = "[text]",
                                        [WD_CHAT_CALLED] = "[call]",
                                        [WD_CHAT_BAD_CALL] = "[bad call]",
                                        [WD_CHAT_ENDED] = "[end]"};
    struct log *l = ctx;
    bool piece = e->kind == WD_CHAT_THOUGHT || e->kind == WD_CHAT_ANSWER;

    assert_true(!piece || e->text.len > 0);
    assert_true(l->n == 0 || l->last != WD_CHAT_ENDED);
    if (l->n == 0 || !piece || l->last != e->kind)
        put(l, (struct wd_chat_str){names[e->kind], strlen(names[e->kind])});
    l->last = e->kind;
    put(l, e->text);
    if (e->kind == WD_CHAT_CALLED) {
        json_t *j = json_loadb(e->arguments.at, e->arguments.len, 0, NULL);

        if (!j || !json_is_object(j))
            fail_msg("no object: %.*s", (int)e->arguments.len, e->arguments.at);
        json_decref(j);
        put(l, e->name);
        put(l, e->arguments);
    }
    if (e->kind == WD_CHAT_BAD_CALL) {
        assert_non_null(e->why);
        put(l, (struct wd_chat_str){": ", 2});
        put(l, (struct wd_chat_str){e->why, strlen(e->why)});
    }
    if (e->kind == WD_CHAT_ENDED && e->calls)
        put(l, (struct wd_chat_str){"calls", 5});
}

/* In pieces of `step` bytes; 0: as tokens. */
static const char *read_reply(const char *reply, size_t n, bool within_thought, size_t step)
{
    static struct log l;
    struct wd_chat_reply *r = wd_chat_reply_new(step ? NULL : nano, within_thought, on_event, &l);

    assert_non_null(r);
    l.n = 0;
    l.text[0] = '\0';
    if (step == 0) {
        static int32_t ids[MAX_IDS];
        int64_t n_ids = wd_tokenizer_encode(nano, reply, n, true, ids, MAX_IDS);

        assert_true(n_ids >= 0 && n_ids <= MAX_IDS);
        for (int64_t i = 0; i < n_ids; i++)
            wd_chat_reply_token(r, ids[i]);
    }
    for (size_t i = 0; step && i < n; i += step) {
        size_t k = n - i < step ? n - i : step;
        char *exact = malloc(k);

        memcpy(exact, reply + i, k);
        wd_chat_reply_bytes(r, exact, k);
        free(exact);
    }
    wd_chat_reply_finish(r);
    wd_chat_reply_free(r);
    return l.text;
}

static const struct {
    const char *reply, *want;
    bool within_thought;
} cases[] = {
    {"Hello.<turn|>", "[text]Hello.[end]", false},
    {"Hello.<eos>ignored", "[text]Hello.[end]", false},
    {"Hello.<turn|>\n<|turn>user\nI say", "[text]Hello.[end]", false},
    {"Hello.<|turn>user\nI say", "[text]Hello.[end]", false},
    {"", "", false},
    {"no end", "[text]no end", false},
    {"<|channel>thought\nbecause\n<channel|>so<turn|>", "[thought]because[text]so[end]", false},
    {"<|channel>thought\n<channel|>so<turn|>", "[text]so[end]", false},
    {"<|channel>thought<channel|>so", "[text]so", false},
    {"<|channel>thought\n<channel|><|channel>thought\n<channel|>so<channel|><turn|>",
     "[text]so[end]", false},
    {"<|channel>thought\na\n\nb\n\n<channel|> so", "[thought]a\n\nb\n[text] so", false},
    {"<|channel>thought\nnever closed", "[thought]never closed", false},
    {"<|channel>thought\nnever closed<turn|>", "[thought]never closed[end]", false},
    {"<|channel>analysis\nx<channel|>y", "[thought]x[text]y", false},
    {"<|channel>a line that is too long to be a name\nx<channel|>y",
     "[thought]a line that is too long to be a name\nx[text]y", false},
    {"because\n<channel|>so", "[thought]because[text]so", true},
    {"<|channel>thought\nbecause\n<channel|>so", "[thought]because[text]so", true},
    {"a<|channel>thought\nb<channel|>c<|channel>thought\nd<channel|>e",
     "[text]a[thought]b[text]c[thought]d[text]e", false},
    {"<|tool_call>call:f{}<tool_call|><|tool_response>", "[call]f{}[end]calls", false},
    {"<|channel>thought\nlet me<|tool_call>call:f{}<tool_call|>", "[thought]let me[call]f{}",
     false},
    {"I look. <|tool_call>call:get_weather{city:" Q "Bonn" Q
     ",days:2}<tool_call|><|tool_call>call:now{}<tool_call|><|tool_response>",
     "[text]I look. [call]get_weather{\"city\":\"Bonn\",\"days\":2}[call]now{}[end]calls", false},
    {"<|tool_call>call:f{e:{},i:-3,l:[1,[2," Q "x" Q "]],n:1.5e-05,o:{a:{k:[]},B:1},s:" Q
     "a\"b\\\n{},:" Q ",t:true,z:null}<tool_call|>",
     "[call]f{\"e\":{},\"i\":-3,\"l\":[1,[2,\"x\"]],\"n\":1.5e-05,\"o\":{\"a\":{\"k\":[]},\"B\":1},"
     "\"s\":\"a\\\"b\\\\\\n{},:\",\"t\":true,\"z\":null}",
     false},
    {"<|tool_call> call: f { a : 1 , " Q "b c" Q " : [ ] , d e : false } <tool_call|>",
     "[call]f{\"a\":1,\"b c\":[],\"d e\":false}", false},
    {"<|tool_call>call:f{a:" Q Q "}<tool_call|>", "[call]f{\"a\":\"\"}", false},
    {"<|tool_call>f{}<tool_call|>", "[bad call]f{}: no 'call:' at its beginning", false},
    {"<|tool_call><tool_call|>", "[bad call]: no 'call:' at its beginning", false},
    {"<|tool_call>call:{}<tool_call|>", "[bad call]call:{}: no name", false},
    {"<|tool_call>call:f<tool_call|>", "[bad call]call:f: no arguments", false},
    {"<|tool_call>call:f{a:Bonn}<tool_call|>", "[bad call]call:f{a:Bonn}: a value that is none",
     false},
    {"<|tool_call>call:f{a:\"Bonn\"}<tool_call|>",
     "[bad call]call:f{a:\"Bonn\"}: a string in other quotes", false},
    {"<|tool_call>call:f{a:01}<tool_call|>", "[bad call]call:f{a:01}: a value that is none", false},
    {"<|tool_call>call:f{a}<tool_call|>", "[bad call]call:f{a}: a key without a value", false},
    {"<|tool_call>call:f{a:1<tool_call|>", "[bad call]call:f{a:1: an object without its end",
     false},
    {"<|tool_call>call:f{a:1,}<tool_call|>", "[bad call]call:f{a:1,}: a comma before the end",
     false},
    {"<|tool_call>call:f{a:[1,]}<tool_call|>", "[bad call]call:f{a:[1,]}: a value that is none",
     false},
    {"<|tool_call>call:f{a:[1}<tool_call|>", "[bad call]call:f{a:[1}: a list without its end",
     false},
    {"<|tool_call>call:f{a:" Q "x}<tool_call|>",
     "[bad call]call:f{a:" Q "x}: a string without its end", false},
    {"<|tool_call>call:f{}}<tool_call|>", "[bad call]call:f{}}: more behind the arguments", false},
    {"<|tool_call>call:f{a:1<turn|>", "[bad call]call:f{a:1: not closed[end]", false},
    {"<|tool_call>call:f{a:1", "[bad call]call:f{a:1: not closed", false},
    {"<|tool_call>call:f{<|tool_call>call:g{}<tool_call|>",
     "[bad call]call:f{: not closed[call]g{}", false},
    {"a<tool_call|>b<tool_response|>c" Q "d<|image|>e<|think|>f<|audio>g", "[text]abcdefg", false},
};

static void replies_are_read_however_they_are_cut(void **state)
{
    static const size_t steps[] = {0, 1, 2, 3, 5, 7, 4096};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
            const char *got = read_reply(cases[i].reply, strlen(cases[i].reply),
                                         cases[i].within_thought, steps[k]);

            if (strcmp(got, cases[i].want))
                fail_msg("%s\nin steps of %zu:\n%s\nexpected\n%s", cases[i].reply, steps[k], got,
                         cases[i].want);
        }
}

static void what_only_looks_like_a_mark_is_text(void **state)
{
    static const char *const texts[] = {
        "<",           "<|",      "<|tur",     "<turn|", "a < b <= c <<",     "<|turn |>",
        "<|tool_cal>", "<<|turn", "</b><turn", "<|\"|",  "1<2<|channe<|chann"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (size_t step = 0; step < 4; step++) {
            char want[64];

            snprintf(want, sizeof want, "[text]%s", texts[i]);
            assert_string_equal(read_reply(texts[i], strlen(texts[i]), false, step), want);
        }
}

static void tokens_that_spell_a_mark_are_text(void **state)
{
    static const char text[] = "<turn|> <|tool_call>call:f{}<tool_call|> <|channel>thought\n";
    static struct log l;
    struct wd_chat_reply *r = wd_chat_reply_new(nano, false, on_event, &l);
    int32_t ids[256];
    int64_t n = wd_tokenizer_encode(nano, text, sizeof text - 1, false, ids, 256);

    (void)state;
    assert_true(n > 0 && n <= 256);
    for (int64_t i = 0; i < n; i++)
        wd_chat_reply_token(r, ids[i]);
    wd_chat_reply_finish(r);
    wd_chat_reply_free(r);
    assert_int_equal(strncmp(l.text, "[text]", 6), 0);
    assert_string_equal(l.text + 6, text);
}

static void bytes_that_are_not_utf8_leave_the_arguments_json(void **state)
{
    static const char reply[] = "<|tool_call>call:f{a:" Q "x\xff\x80\xc3\x01y" Q "}<tool_call|>";

    (void)state;
    for (size_t step = 1; step < 4; step++)
        assert_string_equal(read_reply(reply, sizeof reply - 1, false, step),
                            "[call]f{\"a\":\"x?\xef\xbf\xbd\xef\xbf\xbd\\u0001y\"}");
}

static void a_call_without_end_is_bounded(void **state)
{
    enum { N = 400000 };
    static const char *const units[] = {"a", "[", Q, "{a:", "\x01"};
    char *reply = malloc(N);

    (void)state;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        static const char begin[] = "<|tool_call>call:f{a:";
        const char *got;

        memcpy(reply, begin, sizeof begin - 1);
        for (size_t k = sizeof begin - 1, n = 0; k < N; k++, n++)
            reply[k] = units[i][n % strlen(units[i])];
        memcpy(reply + N - 12, "<tool_call|>", 12);
        got = read_reply(reply, N, false, 4096);
        assert_int_equal(strncmp(got, "[bad call]call:f{a:", 19), 0);
        assert_non_null(strstr(got, ": too long"));
        assert_true(strlen(got) < (size_t)(2 * WD_CHAT_CALL_MAX + 64));
    }
    /* Not too long, but too deep; and one that becomes too long as JSON. */
    memset(reply, '[', 1000);
    memcpy(reply, "<|tool_call>call:f{a:", 21);
    memcpy(reply + 1000, "<tool_call|>", 12);
    assert_non_null(strstr(read_reply(reply, 1012, false, 7), ": nested too deeply"));
    memset(reply, '\x01', WD_CHAT_CALL_MAX);
    memcpy(reply, "<|tool_call>call:f{a:" Q, 26);
    memcpy(reply + WD_CHAT_CALL_MAX - 8, Q "}<tool_call|>", 18);
    assert_non_null(strstr(read_reply(reply, WD_CHAT_CALL_MAX + 10, false, 4096), ": too long"));
    free(reply);
}

/* What the reference renders of a model's turn is read back as the message it was. */
static void rendered_calls_are_read_back(void **state)
{
    json_error_t e;
    json_t *all = json_load_file(TEST_SRCDIR "/tests/model/data/chat-rendered.json", 0, &e);
    const json_t *json;
    size_t i, n = 0;

    (void)state;
    json_array_foreach(all, i, json)
    {
        const json_t *m;
        struct chat_case c;
        struct wd_chat_prompt *p = NULL;
        size_t k;

        if (!json_object_get(json, "text"))
            continue;
        chat_case_open(json, &c);
        assert_int_equal(c.r, 0);
        json_array_foreach(json_object_get(json, "messages"), k, m)
        {
            static int32_t ids[MAX_IDS];
            static struct log l;
            struct wd_chat_message one = c.chat.messages[k];
            struct wd_chat chat = {.messages = &one, .n_messages = 1};
            struct wd_chat_reply *r;
            const char *at = l.text;
            size_t n_ids, from;

            if (!one.n_calls)
                continue;
            one.n_parts = 0;
            one.n_results = 0;
            assert_int_equal(wd_chat_render(&chat, nano, MAX_IDS, &p, NULL), 0);
            n_ids = chat_prompt_ids(p, nano, ids, MAX_IDS);
            wd_chat_prompt_free(p);
            l.n = 0;
            r = wd_chat_reply_new(nano, false, on_event, &l);
            assert_int_equal(ids[1], wd_tokenizer_find(nano, "<|turn>"));
            for (from = 2; !wd_tokenizer_is_control(nano, ids[from]); from++)
                ; /* "model\n" */
            for (; from < n_ids; from++)
                wd_chat_reply_token(r, ids[from]);
            assert_true(wd_chat_reply_ended(r));
            wd_chat_reply_free(r);
            if (one.reasoning.len) {
                char want[256];

                snprintf(want, sizeof want, "[thought]%.*s", (int)one.reasoning.len,
                         one.reasoning.at);
                assert_int_equal(strncmp(at, want, strlen(want)), 0);
                at += strlen(want);
            }
            for (size_t q = 0; q < one.n_calls; q++) {
                const struct wd_chat_call *call = &one.calls[q];
                json_t *want = json_loadb(call->arguments.len ? call->arguments.at : "{}",
                                          call->arguments.len ? call->arguments.len : 2, 0, &e);
                json_t *got;

                assert_int_equal(strncmp(at, "[call]", 6), 0);
                at += 6;
                assert_int_equal(strncmp(at, call->name.at, call->name.len), 0);
                at += call->name.len;
                got = json_loads(at, JSON_DISABLE_EOF_CHECK, &e);
                assert_non_null(got);
                assert_true(json_equal(want, got));
                at += e.position;
                json_decref(want);
                json_decref(got);
                n++;
            }
            assert_string_equal(at, "[end]calls");
        }
        chat_case_close(&c);
    }
    json_decref(all);
    assert_true(n >= 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_read_however_they_are_cut),
        cmocka_unit_test(what_only_looks_like_a_mark_is_text),
        cmocka_unit_test(tokens_that_spell_a_mark_are_text),
        cmocka_unit_test(bytes_that_are_not_utf8_leave_the_arguments_json),
        cmocka_unit_test(a_call_without_end_is_bounded),
        cmocka_unit_test(rendered_calls_are_read_back),
    };

    return cmocka_run_group_tests(tests, open_nano, close_nano);
}
