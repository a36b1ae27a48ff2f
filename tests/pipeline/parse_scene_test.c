/* tests/pipeline/parse_scene_test.c - answers about pictures: objects whole and broken, and
 * sentences. */
#include "pipeline/parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct wd_scene_answer a;

static void read(const char *s)
{
    /* Exactly as long as it is, so that a sanitizer sees a step beyond. */
    size_t n = strlen(s);
    char *copy = malloc(n ? n : 1);

    assert_non_null(copy);
    memcpy(copy, s, n);
    memset(&a, 0xa5, sizeof a);
    wd_parse_scene(copy, n, &a);
    free(copy);
}

static void sentences_are_the_summary_and_the_first_is_the_title(void **state)
{
    (void)state;
    read(" a person in a red shirt stands on the left.\nthe door  is open. the light is on. ");
    assert_string_equal(
        a.summary,
        "a person in a red shirt stands on the left. the door is open. the light is on.");
    assert_string_equal(a.title, "a person in a red shirt stands on the left");
    assert_string_equal(a.changes, "");
    assert_true(a.confidence == -1);
    assert_false(a.json);
    read("");
    assert_string_equal(a.title, "");
    assert_string_equal(a.summary, "");
    wd_parse_scene(NULL, 0, &a);
    assert_string_equal(a.summary, "");
}

static void an_object_is_read(void **state)
{
    (void)state;
    read("{\"title\": \"Loading bay\", \"summary\": \"Two \\\"men\\\"\\nlift\\u00e9 "
         "\\ud83d\\ude00.\", \"changes\": [\"one came\", \"one left\"],"
         " \"confidence\": 0.75, \"concerns\": null, \"more\": {\"x\": [1, {\"y\": 2}]}}");
    assert_true(a.json);
    assert_string_equal(a.title, "Loading bay");
    assert_string_equal(a.summary, "Two \"men\" lift\xc3\xa9 \xf0\x9f\x98\x80.");
    assert_string_equal(a.changes, "one came; one left");
    assert_true(a.confidence == 0.75f);
    assert_string_equal(a.concerns, "");
}

static void fences_and_words_around_an_object_are_left_out(void **state)
{
    (void)state;
    read("```json\n{\"title\": \"A\", \"summary\": \"b.\"}\n```");
    assert_true(a.json);
    assert_string_equal(a.title, "A");
    read("Sure! { \"Summary\" : \"A dog. It sleeps.\" } I hope this helps.");
    assert_true(a.json);
    assert_string_equal(a.summary, "A dog. It sleeps.");
    assert_string_equal(a.title, "A dog");
    read("```\na dog sleeps.\n```");
    assert_false(a.json);
    assert_string_equal(a.summary, "a dog sleeps.");
}

static void an_object_cut_off_anywhere_gives_what_it_has(void **state)
{
    const char *s = "{\"title\": \"T\\u00e9\", \"summary\": \"S one.\", \"changes\": [\"c\", "
                    "{\"k\": \"v\"}], \"confidence\": \"80 %\"}";
    char part[200];
    (void)state;

    for (size_t n = 0; n <= strlen(s); n++) {
        memcpy(part, s, n);
        part[n] = '\0';
        read(part);
        assert_true(strncmp(a.title, "T\xc3\xa9", strlen(a.title)) == 0 || n < 20);
    }
    assert_true(a.confidence == 0.8f);
    read("{\"title\": \"A man wa");
    assert_string_equal(a.title, "A man wa");
    read("{title: man, summary: he walks}");
    assert_string_equal(a.title, "man");
    assert_string_equal(a.summary, "he walks");
}

static void confidence_has_many_spellings(void **state)
{
    static const struct {
        const char *text;
        float value;
    } cases[] = {{"0.5", 0.5f},      {"\".25\"", 0.25f},     {"90", 0.9f}, {"1", 1},
                 {"\"High\"", 0.9f}, {"\"very low\"", 0.1f}, {"-3", -1},   {"1e9", 1},
                 {"123456", -1},     {"\"?\"", -1},          {"null", -1}};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char s[100] = "{\"confidence\": ";

        strcat(s, cases[i].text);
        strcat(s, "}");
        read(s);
        if (a.confidence != cases[i].value)
            fail_msg("%s: %g", cases[i].text, (double)a.confidence);
    }
}

static void what_is_too_long_ends_at_a_character(void **state)
{
    char s[6000];
    size_t n;
    (void)state;

    for (size_t i = 0; i < sizeof s - 1; i += 2)
        memcpy(s + i, "\xc3\xa9", 2);
    s[5998] = '\0';
    read(s);
    n = strlen(a.summary);
    assert_true(n < sizeof a.summary && n >= sizeof a.summary - 3 && n % 2 == 0);
    assert_true(strlen(a.title) < sizeof a.title && strlen(a.title) % 2 == 0);
    read("a\x1b[0m b\xff\xc2\x9b c\xe2\x80\xae d");
    assert_string_equal(a.summary, "a [0m b\xef\xbf\xbd c d");
}

static void deep_nesting_ends(void **state)
{
    char s[4001] = "{\"a\":";
    (void)state;

    memset(s + 5, '[', 3995);
    s[4000] = '\0';
    read(s);
    memset(s + 5, '{', 3995);
    read(s);
    assert_true(a.json);
    assert_string_equal(a.summary, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences_are_the_summary_and_the_first_is_the_title),
        cmocka_unit_test(an_object_is_read),
        cmocka_unit_test(fences_and_words_around_an_object_are_left_out),
        cmocka_unit_test(an_object_cut_off_anywhere_gives_what_it_has),
        cmocka_unit_test(confidence_has_many_spellings),
        cmocka_unit_test(what_is_too_long_ends_at_a_character),
        cmocka_unit_test(deep_nesting_ends),
    };

    return cmocka_run_group_tests_name("pipeline/parse_scene", tests, NULL, NULL);
}
