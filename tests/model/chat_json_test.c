/* tests/model/chat_json_test.c - messages and functions are read from JSON, whatever else it is. */
#include "model/chat_json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STR(s) ((struct wd_chat_str){(s), strlen(s)})
#define expect_str(s, text)                                                                        \
    do {                                                                                           \
        assert_int_equal((s).len, strlen(text));                                                   \
        assert_memory_equal((s).at, text, strlen(text));                                           \
    } while (0)

static void everything_of_a_message_is_read(void **state)
{
    static const char json[] =
        "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\\n\\u00e4\"},{\"image_"
        "url\":{"
        "\"detail\":[1,{}],\"url\":\"file:///"
        "x.png\"},\"type\":\"image_url\"},{\"type\":\"hologram\"},{\"type\":"
        "\"input_audio\",\"input_audio\":{\"data\":\"UklGRg==\",\"format\":\"wav\"}},{\"type\":"
        "\"video\",\"video\":"
        "\"v.mp4\"}]},"
        " {\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"why\",\"tool_calls\":[{"
        "\"id\":\"c1\","
        "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": "
        "1}\"}},{\"function\":{"
        "\"arguments\":{\"b\": "
        "[2]},\"name\":\"g\"}}],\"tool_responses\":[{\"name\":\"f\",\"response\":{\"x\":1}}]},"
        " {\"role\":\"tool\",\"tool_call_id\":\"c1\",\"name\":\"f\",\"content\":\"12\",\"other\":{"
        "\"a\":[]}}]";
    static const char tools[] =
        "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","
        "\"parameters\":{\"type\":\"object\"},\"response\":null}},{\"name\":\"g\"}]";
    struct wd_chat c = {0};
    struct wd_err err = {0};
    const struct wd_chat_message *m;
    void *memory;

    (void)state;
    if (wd_chat_from_json(STR(json), STR(tools), &c, &memory, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(c.n_messages, 3);
    m = &c.messages[0];
    expect_str(m->role, "user");
    assert_true(m->listed);
    assert_int_equal(m->n_parts, 4); /* the unknown one is left out */
    expect_str(m->parts[0].text, "a\n\xc3\xa4");
    assert_int_equal(m->parts[1].kind, WD_CHAT_IMAGE);
    expect_str(m->parts[1].source, "file:///x.png");
    assert_int_equal(m->parts[2].kind, WD_CHAT_AUDIO);
    expect_str(m->parts[2].source, "UklGRg==");
    expect_str(m->parts[2].format, "wav");
    assert_int_equal(m->parts[3].kind, WD_CHAT_VIDEO);
    expect_str(m->parts[3].source, "v.mp4");
    m = &c.messages[1];
    assert_int_equal(m->n_parts, 0);
    expect_str(m->reasoning, "why");
    assert_int_equal(m->n_calls, 2);
    expect_str(m->calls[0].id, "c1");
    expect_str(m->calls[0].name, "f");
    expect_str(m->calls[0].arguments, "{\"a\": 1}");
    expect_str(m->calls[1].name, "g");
    expect_str(m->calls[1].arguments, "{\"b\": [2]}");
    assert_int_equal(m->calls[1].id.len, 0);
    assert_int_equal(m->n_results, 1);
    expect_str(m->results[0].response, "{\"x\":1}");
    m = &c.messages[2];
    expect_str(m->call_id, "c1");
    expect_str(m->name, "f");
    assert_int_equal(m->n_parts, 1);
    assert_false(m->listed);
    assert_int_equal(c.n_tools, 2);
    expect_str(c.tools[0].name, "f");
    expect_str(c.tools[0].description, "d");
    expect_str(c.tools[0].parameters, "{\"type\":\"object\"}");
    assert_int_equal(c.tools[0].response.len, 0);
    expect_str(c.tools[1].name, "g");
    free(memory);
}

static void json_of_another_shape_is_refused(void **state)
{
    static const char *const cases[][2] = {
        {"{}", "messages"},
        {"[1]", "messages"},
        {"[{}]", "role"},
        {"[{\"role\":1}]", "messages"},
        {"[{\"role\":\"user\",\"content\":{\"text\":\"a\"}}]", "content"},
        {"[{\"role\":\"user\",\"content\":[\"a\"]}]", "object"},
        {"[{\"role\":\"user\",\"content\":[{\"text\":\"a\"}]}]", "type"},
        {"[{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{}}]}]", "name"},
        {"[{\"role\":\"assistant\",\"tool_calls\":{}}]", "array"},
        {"[{\"role\":\"user\"}] x", "messages"},
        {"[{\"role\":\"a\\u0000\"}]", "messages"},
        {"", "messages"},
    };
    struct wd_chat c = {0};
    struct wd_err err;
    void *memory = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        err = (struct wd_err){0};
        assert_int_equal(wd_chat_from_json(STR(cases[i][0]), STR(""), &c, &memory, &err), -EINVAL);
        if (!strstr(err.text, cases[i][1]) || strncmp(err.text, "messages: at byte ", 18))
            fail_msg("%s: %s", cases[i][0], err.text);
        assert_null(memory);
    }
    assert_int_equal(wd_chat_from_json(STR("[]"), STR("[{\"name\":\"\"}]"), &c, &memory, &err),
                     -EINVAL);
    assert_non_null(strstr(err.text, "tools: at byte"));
}

static void a_text_cut_anywhere_is_refused(void **state)
{
    static const char json[] = "[{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":"
                               "\"\\u00e4\"}],\"tool_calls\":[{\"function\":"
                               "{\"name\":\"f\",\"arguments\":{\"a\":[1.5e3,null]}}}]}]";
    struct wd_chat c = {0};
    void *memory = NULL;

    (void)state;
    for (size_t n = 0; n < sizeof json - 1; n++) {
        char *exact =
            malloc(n ? n : 1); /* of its size, so that a sanitizer sees what is read beyond */

        memcpy(exact, json, n);
        assert_int_equal(
            wd_chat_from_json((struct wd_chat_str){exact, n}, STR(""), &c, &memory, NULL), -EINVAL);
        free(exact);
    }
    assert_int_equal(wd_chat_from_json(STR(json), STR(""), &c, &memory, NULL), 0);
    free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_of_a_message_is_read),
        cmocka_unit_test(json_of_another_shape_is_refused),
        cmocka_unit_test(a_text_cut_anywhere_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
