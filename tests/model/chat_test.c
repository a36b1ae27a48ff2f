/* tests/model/chat_test.c - a conversation becomes the prompt that the reference makes of it. */
#include "model/chat.h"

#include "model/tensor_file.h"
#include "model/tokenizer.h"
#include "tests/model/chat_case.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_IDS 16384
#define STR(s) ((struct wd_chat_str){(s), strlen(s)})

static struct wd_tokenizer *nano;

static struct wd_tokenizer *open_tokenizer(const char *path)
{
    struct wd_tokenizer *t = NULL;
    struct wd_tensor_file *f = NULL;
    struct wd_err err = {0};

    if (wd_tensor_file_open(path, &f, &err) < 0 || wd_tokenizer_open(f, &t, &err) < 0)
        fail_msg("%s", err.text);
    wd_tensor_file_free(f);
    return t;
}

static int open_nano(void **state)
{
    (void)state;
    nano = open_tokenizer(TEST_SRCDIR "/models/nano.gguf");
    return 0;
}

static int close_nano(void **state)
{
    (void)state;
    nano = wd_tokenizer_free(nano);
    return 0;
}

static json_t *load(const char *path)
{
    json_error_t e;
    json_t *j = json_load_file(path, 0, &e);

    if (!j)
        fail_msg("%s: %s", path, e.text);
    return j;
}

/* Here a text spells control tokens. In the reference, which tokenises the whole prompt as one
 * text, it makes them; here it does not. */
static bool spells_control(const char *name)
{
    return !strcmp(name, "control-lookalikes") || !strcmp(name, "tool-arguments");
}

/* U+2581 is a blank to the tokenizer, and one when it comes back. */
static char *with_blanks(const char *text)
{
    char *copy = strdup(text), *at = copy;

    assert_non_null(copy);
    while ((at = strstr(at, "\xe2\x96\x81"))) {
        *at++ = ' ';
        memmove(at, at + 2, strlen(at + 2) + 1);
    }
    return copy;
}

static void expect_case(const struct wd_tokenizer *t, const json_t *json)
{
    static int32_t ids[MAX_IDS], whole[MAX_IDS];
    const json_t *want_ids = json_object_get(json, "ids");
    const char *want = json_string_value(json_object_get(json, "text"));
    struct wd_chat_prompt *p = NULL;
    struct chat_case c;
    char *text, *blank;
    size_t n;
    int r;

    chat_case_open(json, &c);
    r = c.r < 0 ? c.r : wd_chat_render(&c.chat, t, MAX_IDS, &p, &c.err);
    if (!strcmp(c.name, "tool-arguments-string")) {
        /* The reference wants it parsed before; here that is done. */
        assert_int_equal(r, 0);
        want = "<bos><|turn>user\ngo<turn|>\n<|turn>model\n"
               "<|tool_call>call:f{a:1}<tool_call|><|tool_response>";
    } else if (!want) {
        if (r != -EINVAL)
            fail_msg("%s: %d, but the reference refuses it", c.name, r);
        assert_true(c.err.text[0]);
        chat_case_close(&c);
        return;
    }
    if (r < 0)
        fail_msg("%s: %s", c.name, c.err.text);
    chat_case_close(&c); /* the prompt needs nothing of it */
    text = chat_prompt_text(p, t);
    blank = with_blanks(want);
    if (strcmp(text, blank))
        fail_msg("%s:\n%s\nexpected\n%s", c.name, text, blank);
    free(blank);
    free(text);
    n = chat_prompt_ids(p, t, ids, MAX_IDS);
    if (!spells_control(c.name)) {
        assert_int_equal(wd_tokenizer_encode(t, want, strlen(want), true, whole, MAX_IDS), n);
        assert_memory_equal(ids, whole, n * sizeof *ids);
        if (want_ids && n != json_array_size(want_ids))
            fail_msg("%s: %zu ids", c.name, n);
        for (size_t i = 0; want_ids && i < n; i++)
            assert_int_equal(ids[i], json_integer_value(json_array_get(want_ids, i)));
    }
    wd_chat_prompt_free(p);
}

static void nano_gets_the_text_that_the_reference_renders(void **state)
{
    json_t *all = load(TEST_SRCDIR "/tests/model/data/chat-rendered.json");
    const json_t *json;
    size_t i;

    (void)state;
    assert_true(json_array_size(all) >= 70);
    json_array_foreach(all, i, json) expect_case(nano, json);
    json_decref(all);
}

/* Path below the shared reference material, or NULL: it is not part of the project. */
static const char *shared(const char *relative)
{
    static char path[4096];
    const char *root = getenv("WITNESSD_SHARED");

    snprintf(path, sizeof path, "%s/%s", root ? root : TEST_SRCDIR "/../shared", relative);
    return access(path, R_OK) == 0 ? path : NULL;
}

static void the_whole_vocabulary_gets_the_ids_of_the_reference(void **state)
{
    const char *path = shared("data/vocab/ggml-vocab-gemma-4.gguf");
    struct wd_tokenizer *t;
    const json_t *json;
    json_t *all;
    size_t i;

    (void)state;
    if (!path || !shared("golden/chat/rendered.json"))
        skip();
    t = open_tokenizer(shared("data/vocab/ggml-vocab-gemma-4.gguf"));
    all = load(shared("golden/chat/rendered.json"));
    assert_true(json_array_size(all) >= 70);
    json_array_foreach(all, i, json) expect_case(t, json);
    json_decref(all);
    wd_tokenizer_free(t);
}

/* A conversation in which everything that comes from outside is this text. */
static struct wd_chat_prompt *everywhere(const char *text)
{
    static char json[4096];
    struct wd_chat_part part = {.text = STR(text)}, picture = {.kind = WD_CHAT_IMAGE};
    struct wd_chat_part both[] = {part, picture, part};
    struct wd_chat_call call = {.id = STR(text), .name = STR(text), .arguments = STR(json)};
    struct wd_chat_result result = {.name = STR(text), .response = STR(json)};
    struct wd_chat_message messages[] = {
        {.role = STR("system"), .parts = &part, .n_parts = 1},
        {.role = STR(text), .parts = both, .n_parts = 3, .listed = true},
        {.role = STR("user"), .parts = both, .n_parts = 3, .listed = true},
        {.role = STR("assistant"),
         .parts = &part,
         .n_parts = 1,
         .reasoning = STR(text),
         .calls = &call,
         .n_calls = 1},
        {.role = STR("tool"), .parts = both, .n_parts = 3, .listed = true, .name = STR(text)},
        {.role = STR("assistant"),
         .calls = &call,
         .n_calls = 1,
         .results = &result,
         .n_results = 1},
    };
    struct wd_chat_tool tool = {.name = STR(text),
                                .description = STR(text),
                                .parameters = STR(json),
                                .response = STR(json)};
    struct wd_chat chat = {.messages = messages,
                           .n_messages = 6,
                           .tools = &tool,
                           .n_tools = 1,
                           .thinking = true,
                           .reply = true};
    struct wd_chat_prompt *p = NULL;
    struct wd_err err = {0};
    json_t *j = json_pack("{s:s,s:s,s:{s:{s:s,s:s,s:[s]},s:{s:s,s:{s:s,s:s,s:[s]}}},s:[s],s:{s:s}}",
                          "description", text, "type", text, "properties", text, "description",
                          text, "type", "string", "enum", text, "b", "type", "array", "items", text,
                          text, "type", text, "required", text, "required", text, text, text, text);

    assert_non_null(j);
    /* Wider than wanted is refused, so that no part of it is left out unseen. */
    assert_true(json_dumpb(j, json, sizeof json, 0) < sizeof json);
    json[json_dumpb(j, json, sizeof json, 0)] = '\0';
    json_decref(j);
    call.arguments = result.response = tool.parameters = tool.response = STR(json);
    if (wd_chat_render(&chat, nano, MAX_IDS, &p, &err) < 0)
        fail_msg("%s", err.text);
    return p;
}

static void no_text_from_outside_becomes_a_control_token(void **state)
{
    static const char *const hostile[] = {
        "<|turn>user",      "<turn|>",          "<bos>",        "<eos>",
        "<|think|>",        "<|tool_call>",     "<tool_call|>", "<|\"|>",
        "<|tool_response>", "<tool_response|>", "<|image|>",    "<|audio>",
        "<|tool>",          "<tool|>",          "<|video|>"};
    struct wd_chat_prompt *p = everywhere("harmless");
    size_t controls = chat_prompt_controls(p, nano), spans = p->n_spans;

    (void)state;
    assert_true(controls > 60);
    wd_chat_prompt_free(p);
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        p = everywhere(hostile[i]);
        if (chat_prompt_controls(p, nano) != controls)
            fail_msg("%s: %zu control tokens, expected %zu", hostile[i],
                     chat_prompt_controls(p, nano), controls);
        assert_int_equal(p->n_spans, spans);
        wd_chat_prompt_free(p);
    }
}

static void media_say_where_they_stand(void **state)
{
    struct wd_chat_part parts[] = {{.kind = WD_CHAT_IMAGE},
                                   {.text = STR("a")},
                                   {.kind = WD_CHAT_AUDIO},
                                   {.kind = WD_CHAT_VIDEO}};
    struct wd_chat_message messages[] = {{.role = STR("user"), .parts = parts, .n_parts = 2},
                                         {.role = STR("user"), .parts = parts, .n_parts = 4}};
    struct wd_chat chat = {.messages = messages, .n_messages = 2};
    static const struct {
        enum wd_chat_kind kind;
        size_t message, part;
    } want[] = {
        {WD_CHAT_IMAGE, 0, 0}, {WD_CHAT_IMAGE, 1, 0}, {WD_CHAT_AUDIO, 1, 2}, {WD_CHAT_VIDEO, 1, 3}};
    struct wd_chat_prompt *p;
    size_t n = 0, n_ids = 0;

    (void)state;
    assert_int_equal(wd_chat_render(&chat, nano, MAX_IDS, &p, NULL), 0);
    for (size_t i = 0; i < p->n_spans; i++) {
        const struct wd_chat_span *s = &p->spans[i];

        n_ids += s->n_ids;
        if (s->kind == WD_CHAT_TEXT)
            continue;
        assert_true(n < 4);
        assert_int_equal(s->kind, want[n].kind);
        assert_int_equal(s->message, want[n].message);
        assert_int_equal(s->part, want[n].part);
        assert_int_equal(s->n_ids, 0);
        n++;
    }
    assert_int_equal(n, 4);
    assert_int_equal(n_ids, p->n_ids);
    wd_chat_prompt_free(p);
}

static void a_prompt_has_no_more_ids_than_allowed(void **state)
{
    struct wd_chat_part part = {.text = STR("some words, and \xff\xff\xff\xff\xff\xff bytes")};
    struct wd_chat_message m = {.role = STR("user"), .parts = &part, .n_parts = 1};
    struct wd_chat chat = {.messages = &m, .n_messages = 1, .reply = true};
    struct wd_chat_prompt *p;
    struct wd_err err = {0};
    size_t n;

    (void)state;
    assert_int_equal(wd_chat_render(&chat, nano, MAX_IDS, &p, &err), 0);
    n = p->n_ids;
    wd_chat_prompt_free(p);
    for (size_t max = 0; max < n; max++) {
        assert_int_equal(wd_chat_render(&chat, nano, max, &p, &err), -E2BIG);
        assert_non_null(strstr(err.text, "tokens"));
    }
    assert_int_equal(wd_chat_render(&chat, nano, n, &p, &err), 0);
    assert_int_equal(p->n_ids, n);
    wd_chat_prompt_free(p);
}

static void a_vocabulary_without_the_marks_is_refused_by_name(void **state)
{
    static const char json[] =
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"<bos>\":0,\"<|turn>\":1,\"a\":2},\"merges\":[]},"
        "\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\" "
        "\"},\"content\":\"\xe2\x96\x81\"}}";
    struct wd_chat_message m = {.role = STR("user")};
    struct wd_chat chat = {.messages = &m, .n_messages = 1};
    struct wd_tokenizer *t = NULL;
    struct wd_chat_prompt *p;
    struct wd_err err = {0};

    (void)state;
    if (wd_tokenizer_from_json("small", json, sizeof json - 1, &t, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(wd_chat_render(&chat, t, MAX_IDS, &p, &err), -ENOTSUP);
    assert_non_null(strstr(err.text, "'<turn|>'"));
    wd_tokenizer_free(t);
}

/* What stands in the braces of a call with these arguments; NULL: refused. */
static char *arguments(const char *json, struct wd_err *err)
{
    struct wd_chat_call call = {.name = STR("f"), .arguments = STR(json)};
    struct wd_chat_message m = {.role = STR("assistant"), .calls = &call, .n_calls = 1};
    struct wd_chat chat = {.messages = &m, .n_messages = 1};
    struct wd_chat_prompt *p;
    char *text, *from, *to;

    if (wd_chat_render(&chat, nano, MAX_IDS, &p, err) < 0)
        return NULL;
    text = chat_prompt_text(p, nano);
    wd_chat_prompt_free(p);
    from = strstr(text, "call:f{") + 7;
    to = strstr(text, "}<tool_call|>");
    memmove(text, from, (size_t)(to - from));
    text[to - from] = '\0';
    return text;
}

static void numbers_are_written_as_the_reference_writes_them(void **state)
{
    static const char *const cases[][2] = {
        {"0", "0"},
        {"-0", "0"},
        {"-12", "-12"},
        {"123456789012345678901234567890", "123456789012345678901234567890"},
        {"0.0", "0.0"},
        {"-0.0", "-0.0"},
        {"1.0", "1.0"},
        {"1.50", "1.5"},
        {"1e0", "1.0"},
        {"1E5", "100000.0"},
        {"0.1", "0.1"},
        {"0.30000000000000004", "0.30000000000000004"},
        {"100.25e2", "10025.0"},
        {"0.0001", "0.0001"},
        {"0.00012345", "0.00012345"},
        {"0.00001", "1e-05"},
        {"1.5e-5", "1.5e-05"},
        {"123456.789e10", "1234567890000000.0"},
        {"1e15", "1000000000000000.0"},
        {"9999999999999998.0", "9999999999999998.0"},
        {"1e16", "1e+16"},
        {"12345678901234567.0", "1.2345678901234568e+16"},
        {"1e22", "1e+22"},
        {"1.7976931348623157e308", "1.7976931348623157e+308"},
        {"5e-324", "5e-324"},
        {"1e-99999999999999999999", "0.0"},
        {"-2.5e+100", "-2.5e+100"},
        {"0.000000000000000000001e21", "1.0"},
    };
    struct wd_err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[128], want[128], *got;

        snprintf(json, sizeof json, "{\"n\":%s}", cases[i][0]);
        snprintf(want, sizeof want, "n:%s", cases[i][1]);
        got = arguments(json, &err);
        if (!got)
            fail_msg("%s: %s", json, err.text);
        assert_string_equal(got, want);
        free(got);
    }
    assert_null(arguments("{\"n\":1e309}", &err));
    assert_non_null(strstr(err.text, "too large"));
}

static void members_are_sorted_without_case_and_the_last_of_doubles_counts(void **state)
{
    struct wd_err err = {0};
    char *text = arguments("{ \"b\" : 1, \"a\":1,\"B\":2,\"a\": [ ] "
                           ",\"A\":3,\"ab\":{\"\\u007a\":true,\"y\":null},\"a\":{}}",
                           &err);

    (void)state;
    assert_string_equal(text, "A:3,a:{},ab:{y:null,z:true},b:1,B:2");
    free(text);
}

static void arguments_that_are_no_object_are_refused(void **state)
{
    static const char *const cases[] = {"[]",         "1",     "\"a\"",
                                        "null",       "{",     "{\"a\"}",
                                        "{\"a\":}",   "{} {}", "{\"a\":\"\\ud800\"}",
                                        "{\"a\":01}", "x",     "{\"a\":tru}"};
    struct wd_err err;
    char deep[512] = "{\"a\":";

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err = (struct wd_err){0};
        if (arguments(cases[i], &err))
            fail_msg("%s was taken", cases[i]);
        assert_int_equal(err.code, -EINVAL);
        assert_non_null(strstr(err.text, "message 1, call 1: arguments"));
    }
    for (size_t i = 0; i < 200; i++)
        strcat(deep, "[");
    assert_null(arguments(deep, &err));
    assert_non_null(strstr(err.text, "deep"));
}

static void a_reply_within_a_thought_says_so(void **state)
{
    struct wd_chat_call call = {.name = STR("f")};
    struct wd_chat_part part = {.text = STR("r")};
    struct wd_chat_message messages[] = {{.role = STR("user")},
                                         {.role = STR("assistant"), .calls = &call, .n_calls = 1},
                                         {.role = STR("tool"), .parts = &part, .n_parts = 1}};
    struct wd_chat chat = {.messages = messages, .n_messages = 3, .thinking = true, .reply = true};
    struct wd_chat_prompt *p;

    (void)state;
    assert_int_equal(wd_chat_render(&chat, nano, MAX_IDS, &p, NULL), 0);
    assert_true(p->within_thought);
    wd_chat_prompt_free(p);
    chat.n_messages = 1;
    assert_int_equal(wd_chat_render(&chat, nano, MAX_IDS, &p, NULL), 0);
    assert_false(p->within_thought);
    wd_chat_prompt_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nano_gets_the_text_that_the_reference_renders),
        cmocka_unit_test(the_whole_vocabulary_gets_the_ids_of_the_reference),
        cmocka_unit_test(no_text_from_outside_becomes_a_control_token),
        cmocka_unit_test(media_say_where_they_stand),
        cmocka_unit_test(a_prompt_has_no_more_ids_than_allowed),
        cmocka_unit_test(a_vocabulary_without_the_marks_is_refused_by_name),
        cmocka_unit_test(numbers_are_written_as_the_reference_writes_them),
        cmocka_unit_test(members_are_sorted_without_case_and_the_last_of_doubles_counts),
        cmocka_unit_test(arguments_that_are_no_object_are_refused),
        cmocka_unit_test(a_reply_within_a_thought_says_so),
    };

    return cmocka_run_group_tests(tests, open_nano, close_nano);
}
