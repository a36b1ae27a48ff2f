/* tests/base/yaml_opt_test.c - fills a struct from a YAML mapping by its option rows. */
#include "base/yaml_opt.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct thing {
    char *name, *prompts;
    int64_t tick_ns;
    bool partials;
    struct wd_opt_list tags;
};

static const struct wd_opt rows[] = {
    WD_OPT_STR_REQUIRED(struct thing, name, "what it is called"),
    WD_OPT_STR(struct thing, prompts, NULL, "a profile"),
    WD_OPT_MS(struct thing, tick_ns, "tick_ms", "480", 40, 60000, "pause"),
    WD_OPT_BOOL(struct thing, partials, "true", "while somebody speaks"),
    WD_OPT_LIST(struct thing, tags, "words"),
    WD_OPT_END,
};
static const char *const others[] = {"window", NULL};

static int fill(const char *text, struct thing *t, struct wd_err *err)
{
    struct wd_yaml *root = NULL;
    int r;

    assert_int_equal(wd_opt_defaults(rows, t, err), 0);
    r = wd_yaml_parse("t.yaml", text, strlen(text), &root, err);
    if (r == 0)
        r = wd_yaml_opt_fill(root, "a stream", rows, others, t, err);
    wd_yaml_free(root);
    return r;
}

static void refused(const char *text, const char *says)
{
    struct thing t = {0};
    struct wd_err err = {0};

    assert_int_equal(fill(text, &t, &err), -EINVAL);
    assert_string_equal(err.text, says);
    wd_opt_done(rows, &t);
}

static void a_mapping_fills_a_struct(void **state)
{
    struct thing t = {0};
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(
        fill("name: room\ntick_ms: 240\npartials: no\ntags: [a, 'b']\nprompts:\nwindow: {any: 1}\n",
             &t, &err),
        0);
    assert_string_equal(t.name, "room");
    assert_int_equal(t.tick_ns, 240000000);
    assert_false(t.partials);
    assert_int_equal(t.tags.n, 2);
    assert_string_equal(t.tags.items[1], "b");
    assert_null(t.prompts);
    wd_opt_done(rows, &t);
}

static void a_list_of_one_needs_no_brackets(void **state)
{
    struct thing t = {0};
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(fill("name: room\ntags: only\n", &t, &err), 0);
    assert_int_equal(t.tags.n, 1);
    assert_string_equal(t.tags.items[0], "only");
    wd_opt_done(rows, &t);
}

static void errors_name_the_place_and_what_was_expected(void **state)
{
    (void)state;
    refused("tick_ms: 240\n", "t.yaml:1:1: a stream needs 'name': what it is called");
    refused("name: ~\n", "t.yaml:1:7: a stream needs 'name': what it is called");
    refused("name: a\ntick_ms: soon\n",
            "t.yaml:2:10: tick_ms: expected a number of milliseconds from 40 to 60000, got 'soon'");
    refused("name: a\ntick_ms:\n",
            "t.yaml:2:9: tick_ms: expected a number of milliseconds from 40 to 60000, got ''");
    refused("name: a\ntick_ms: [1]\n", "t.yaml:2:10: tick_ms: expected one value, got a list");
    refused("name: {a: b}\n", "t.yaml:1:7: name: expected text, got a mapping");
    refused("name: a\ntags: {a: b}\n", "t.yaml:2:7: tags: expected a list, got a mapping");
    refused("name: a\ntags: [a, [b]]\n", "t.yaml:2:11: tags: expected text, got a list");
    refused("name: a\nwindov: {}\n",
            "t.yaml:2:1: unknown key 'windov' in a stream (did you mean 'window'?)");
    refused("name: a\n  \nxyzzy: 1\n",
            "t.yaml:3:1: unknown key 'xyzzy' in a stream (expected one of: name, prompts, "
            "tick_ms, partials, tags, window)");
    refused("[a]\n", "t.yaml:1:1: a stream: expected a mapping (key: value), got a list");
    refused("text\n", "t.yaml:1:1: a stream: expected a mapping (key: value), got text");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mapping_fills_a_struct),
        cmocka_unit_test(a_list_of_one_needs_no_brackets),
        cmocka_unit_test(errors_name_the_place_and_what_was_expected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
