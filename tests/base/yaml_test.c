/* tests/base/yaml_test.c - a YAML text as a small bounded tree. */
#include "base/yaml.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct wd_yaml *parse(const char *text)
{
    struct wd_yaml *root = NULL;
    struct wd_err err = {0};

    if (wd_yaml_parse("t.yaml", text, strlen(text), &root, &err) < 0)
        fail_msg("%s", err.text);
    return root;
}

static void refused(const char *text, const char *says)
{
    struct wd_yaml *root = NULL;
    struct wd_err err = {0};

    if (wd_yaml_parse("t.yaml", text, strlen(text), &root, &err) == 0)
        fail_msg("taken: %s", text);
    assert_null(root);
    assert_string_equal(err.text, says);
}

static void every_node_knows_its_place(void **state)
{
    struct wd_yaml *root =
        parse("# a comment\nmodel: {path: nano, threads: 0}\nstreams:\n  - name: room\n"
              "    url: \"a b\"\n  - plain\nlast: |\n  one\n  two\n");
    const struct wd_yaml *model = wd_yaml_get(root, "model"),
                         *streams = wd_yaml_get(root, "streams"), *room;

    (void)state;
    assert_int_equal(wd_yaml_kind(root), WD_YAML_MAPPING);
    assert_int_equal(wd_yaml_count(root), 3);
    assert_null(wd_yaml_key(root));
    assert_null(wd_yaml_text(root));
    assert_string_equal(wd_yaml_file(root), "t.yaml");
    assert_int_equal(wd_yaml_line(model), 2);
    assert_int_equal(wd_yaml_column(model), 8);
    assert_int_equal(wd_yaml_key_column(model), 1);
    assert_string_equal(wd_yaml_text(wd_yaml_get(model, "path")), "nano");
    assert_int_equal(wd_yaml_column(wd_yaml_get(model, "threads")), 30);
    assert_int_equal(wd_yaml_key_column(wd_yaml_get(model, "threads")), 21);

    assert_int_equal(wd_yaml_kind(streams), WD_YAML_SEQUENCE);
    assert_int_equal(wd_yaml_count(streams), 2);
    room = wd_yaml_first(streams);
    assert_null(wd_yaml_key(room));
    assert_string_equal(wd_yaml_text(wd_yaml_get(room, "url")), "a b");
    assert_true(wd_yaml_quoted(wd_yaml_get(room, "url")));
    assert_int_equal(wd_yaml_key_line(wd_yaml_get(room, "url")), 5);
    assert_string_equal(wd_yaml_text(wd_yaml_next(room)), "plain");
    assert_null(wd_yaml_next(wd_yaml_next(room)));
    assert_null(wd_yaml_get(streams, "room"));
    assert_null(wd_yaml_get(NULL, "room"));
    assert_string_equal(wd_yaml_text(wd_yaml_get(root, "last")), "one\ntwo\n");
    wd_yaml_free(root);
}

static void nothing_is_not_the_empty_text(void **state)
{
    struct wd_yaml *root = parse("a:\nb: ~\nc: null\nd: ''\ne: \"null\"\nf: {}\n");

    (void)state;
    assert_true(wd_yaml_is_null(wd_yaml_get(root, "a")));
    assert_true(wd_yaml_is_null(wd_yaml_get(root, "b")));
    assert_true(wd_yaml_is_null(wd_yaml_get(root, "c")));
    assert_false(wd_yaml_is_null(wd_yaml_get(root, "d")));
    assert_false(wd_yaml_is_null(wd_yaml_get(root, "e")));
    assert_false(wd_yaml_is_null(wd_yaml_get(root, "f")));
    assert_string_equal(wd_yaml_is(wd_yaml_get(root, "a")), "nothing");
    assert_string_equal(wd_yaml_is(wd_yaml_get(root, "d")), "text");
    assert_string_equal(wd_yaml_is(wd_yaml_get(root, "f")), "a mapping");
    wd_yaml_free(root);
}

static void an_error_can_name_the_value_or_its_key(void **state)
{
    struct wd_yaml *root = parse("a: 1\nlong_name:   2\n");
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(wd_yaml_err(wd_yaml_get(root, "long_name"), &err, "bad %d", 5), -EINVAL);
    assert_string_equal(err.text, "t.yaml:2:14: bad 5");
    assert_int_equal(wd_yaml_key_err(wd_yaml_get(root, "long_name"), &err, "who?"), -EINVAL);
    assert_string_equal(err.text, "t.yaml:2:1: who?");
    wd_yaml_free(root);
}

static void a_key_twice_names_both_lines(void **state)
{
    (void)state;
    refused("a: 1\nb: 2\n\na: 3\n", "t.yaml:4:1: key 'a' is given twice, first on line 1");
    refused("x: {k: 1, k: 2}\n", "t.yaml:1:11: key 'k' is given twice, first on line 1");
    wd_yaml_free(parse("x: {k: 1}\ny: {k: 2}\n")); /* not in the same mapping */
}

static void what_is_not_supported_is_refused_in_words(void **state)
{
    (void)state;
    refused("a: &x 1\n", "t.yaml:1:4: anchors and aliases (& and *) are not supported; text that "
                         "begins so needs quotes");
    refused("a: *x\n", "t.yaml:1:4: anchors and aliases (& and *) are not supported; text that "
                       "begins so needs quotes");
    refused("a: !!int 1\n",
            "t.yaml:1:4: tags (!) are not supported; text that begins so needs quotes");
    refused("a: 1\n---\nb: 2\n", "t.yaml:2:1: a second document; expected one");
    refused("", "t.yaml:1:1: nothing in it");
    refused("# only this\n", "t.yaml:1:1: nothing in it");
    refused("? [a, b]\n: 1\n", "t.yaml:1:3: expected a name as the key, got a list");
    refused("? {a: b}\n: 1\n", "t.yaml:1:3: expected a name as the key, got a mapping");
    refused("a: \"x\\0y\"\n", "t.yaml:1:4: a zero byte in text");
}

static void what_is_no_yaml_names_its_place(void **state)
{
    (void)state;
    refused("a: [1, 2\nb: 3\n", "t.yaml:2:2: did not find expected ',' or ']', while parsing a "
                                "flow sequence that began on line 1");
    refused("a: \"open\n", "t.yaml:2:1: found unexpected end of stream, while scanning a quoted "
                           "scalar that began on line 1");
    refused("a: b: c\n", "t.yaml:1:5: mapping values are not allowed in this context");
    refused("a: 1\nb: \xff\n", "t.yaml:2:4: invalid leading UTF-8 octet");
}

static void depth_size_and_counts_are_bounded(void **state)
{
    size_t cap = WD_YAML_MAX_BYTES + 16, used = 0;
    char *big = malloc(cap);
    struct wd_yaml *root = NULL;
    struct wd_err err = {0};

    (void)state;
    assert_non_null(big);
    wd_yaml_free(parse("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"));
    refused("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "t.yaml:1:17: nested more than 16 deep");

    memset(big, ' ', cap);
    assert_int_equal(wd_yaml_parse("t.yaml", big, WD_YAML_MAX_BYTES + 1, &root, &err), -EFBIG);
    assert_string_equal(err.text, "t.yaml: expected at most 1048576 bytes, got 1048577");

    while (used < 5 * (WD_YAML_MAX_NODES + 1))
        used += (size_t)snprintf(big + used, cap - used, "- a \n");
    assert_int_equal(wd_yaml_parse("t.yaml", big, used, &root, &err), -EINVAL);
    assert_string_equal(err.text,
                        "t.yaml:32768:3: more than 32768 values"); /* the list itself is one */

    used = 0;
    for (int i = 0; i <= WD_YAML_MAX_KEYS; i++)
        used += (size_t)snprintf(big + used, cap - used, "k%d: 1\n", i);
    assert_int_equal(wd_yaml_parse("t.yaml", big, used, &root, &err), -EINVAL);
    assert_string_equal(err.text, "t.yaml:1025:1: expected at most 1024 keys in one mapping");
    free(big);
}

static void a_file_is_read_or_its_path_named(void **state)
{
    const char *path = TEST_BUILDDIR "/yaml_test.yaml";
    FILE *f = fopen(path, "w");
    struct wd_yaml *root = NULL;
    struct wd_err err = {0};
    char says[1024];

    (void)state;
    assert_non_null(f);
    fputs("a: 1\n", f);
    fclose(f);
    assert_int_equal(wd_yaml_read(path, &root, &err), 0);
    assert_string_equal(wd_yaml_text(wd_yaml_get(root, "a")), "1");
    wd_yaml_free(root);
    remove(path);
    root = NULL;
    assert_int_equal(wd_yaml_read(path, &root, &err), -ENOENT);
    snprintf(says, sizeof says, "%s: No such file or directory", path);
    assert_string_equal(err.text, says);
    assert_int_equal(wd_yaml_read(TEST_BUILDDIR, &root, &err), -EISDIR);
    assert_null(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_knows_its_place),
        cmocka_unit_test(nothing_is_not_the_empty_text),
        cmocka_unit_test(an_error_can_name_the_value_or_its_key),
        cmocka_unit_test(a_key_twice_names_both_lines),
        cmocka_unit_test(what_is_not_supported_is_refused_in_words),
        cmocka_unit_test(what_is_no_yaml_names_its_place),
        cmocka_unit_test(depth_size_and_counts_are_bounded),
        cmocka_unit_test(a_file_is_read_or_its_path_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
