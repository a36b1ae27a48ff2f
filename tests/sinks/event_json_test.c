/* tests/sinks/event_json_test.c - what a JSON library reads back is what the event said. */
#include "sinks/event_json.h"
#include "base/utf8.h"
#include "tests/sinks/sample_events.h"
#include <jansson.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char line[WD_EVENT_JSON_BYTES];

static int open_pool(void **state)
{
    return wd_event_pool_new(4, (struct wd_event_pool **)state, NULL);
}

static int close_pool(void **state)
{
    if (wd_event_pool_in_use(*state))
        return -1;
    *state = wd_event_pool_free(*state);
    return 0;
}

static json_t *read_back(const struct wd_event *e)
{
    size_t n = wd_event_json(e, line, sizeof line);
    json_error_t error;
    json_t *j;

    assert_true(n < sizeof line);
    assert_int_equal(strlen(line), n);
    for (size_t i = 0; i < n; i++)
        assert_true((unsigned char)line[i] >= ' ' && line[i] != 0x7f);
    j = json_loadb(line, n, JSON_REJECT_DUPLICATES, &error);
    if (!j)
        fail_msg("%s at %d: %.200s", error.text, error.position, line);
    return j;
}

static const char *text_of(json_t *j, const char *key)
{
    return json_string_value(json_object_get(j, key));
}

static double number_of(json_t *j, const char *key)
{
    json_t *v = json_object_get(j, key);

    assert_true(json_is_number(v));
    return json_number_value(v);
}

#define assert_near(a, b) assert_true((a) - (b) < 1e-9 && (b) - (a) < 1e-9)

static void every_kind_in_every_filling_is_json(void **state)
{
    for (int k = 0; k < WD_EVENT_N_KINDS; k++)
        for (int f = 0; f < SAMPLE_N_FILLINGS; f++) {
            struct wd_event *e =
                sample_event(*state, (enum wd_event_kind)k, (enum sample_filling)f);
            json_t *j = read_back(e);

            assert_string_equal(text_of(j, "kind"), wd_event_kind_name((enum wd_event_kind)k));
            assert_string_equal(text_of(j, "id"), e->id);
            assert_int_equal(json_integer_value(json_object_get(j, "schema")), WD_EVENT_SCHEMA);
            assert_int_equal(json_is_true(json_object_get(j, "cut")), f == SAMPLE_LONG);
            json_decref(j);
            wd_event_unref(e);
        }
}

static void a_final_tells_its_words_and_its_speaker(void **state)
{
    struct wd_event *e = sample_event(*state, WD_EVENT_FINAL, SAMPLE_PLAIN);
    json_t *j = read_back(e), *words, *speaker;

    assert_string_equal(text_of(j, "stream"), "room");
    assert_near(number_of(j, "t0"), 10.24);
    assert_near(number_of(j, "t1"), 12);
    assert_string_equal(text_of(j, "utc"), "2025-10-09T08:53:20.123Z");
    assert_string_equal(text_of(j, "emitted_utc"), "2025-10-09T08:53:22.123Z");
    assert_near(number_of(j, "rev"), 3);
    assert_string_equal(text_of(j, "supersedes"), "01ARYZ6S41TSV4RRFFQ69G5FAV");
    assert_string_equal(text_of(json_object_get(j, "model"), "name"), "nano");
    assert_string_equal(text_of(json_object_get(j, "model"), "hash"), "sha256:0123");
    assert_string_equal(text_of(j, "text"), "good morning");
    assert_string_equal(text_of(j, "lang"), "en");
    assert_null(json_object_get(j, "settled"));
    words = json_object_get(j, "words");
    assert_int_equal(json_array_size(words), 2);
    assert_string_equal(text_of(json_array_get(words, 1), "text"), "morning");
    assert_near(number_of(json_array_get(words, 1), "t0"), 10.74);
    assert_near(number_of(json_array_get(words, 1), "t1"), 11.24);
    assert_near(number_of(json_array_get(words, 1), "p"), 0.9);
    speaker = json_object_get(j, "speaker");
    assert_string_equal(text_of(speaker, "id"), "spk_1");
    assert_string_equal(text_of(speaker, "name"), "Anna");
    assert_near(number_of(speaker, "confidence"), 0.875);
    json_decref(j);
    wd_event_unref(e);
}

static void every_other_kind_tells_its_own(void **state)
{
    static const struct {
        enum wd_event_kind kind;
        const char *key, *value;
    } wanted[] = {
        {WD_EVENT_SCENE, "summary", "good morning"}, {WD_EVENT_SCENE, "title", "good morning"},
        {WD_EVENT_SCENE, "changes", "good morning"}, {WD_EVENT_SCENE, "concerns", "good morning"},
        {WD_EVENT_ALERT, "rule", "good morning"},    {WD_EVENT_ANSWER, "question", "good morning"},
        {WD_EVENT_SPEAKER, "change", "merged"},      {WD_EVENT_SPEAKER, "into", "spk_2"},
        {WD_EVENT_SOURCE, "state", "live"},          {WD_EVENT_SOURCE, "reason", "good morning"},
        {WD_EVENT_GAP, "reason", "good morning"},    {WD_EVENT_LAG, "step", "no partials"},
        {WD_EVENT_NOTICE, "code", "loop"},           {WD_EVENT_NOTICE, "text", "good morning"},
    };

    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct wd_event *e = sample_event(*state, wanted[i].kind, SAMPLE_PLAIN);
        json_t *j = read_back(e);

        assert_string_equal(text_of(j, wanted[i].key), wanted[i].value);
        if (wanted[i].kind == WD_EVENT_SCENE) {
            assert_near(number_of(j, "confidence"), 0.75);
            assert_near(json_number_value(json_array_get(json_object_get(j, "pictures"), 1)), 12);
        }
        if (wanted[i].kind == WD_EVENT_LAG)
            assert_near(number_of(j, "behind_s"), 4.25);
        json_decref(j);
        wd_event_unref(e);
    }
}

static void settled_counts_characters(void **state)
{
    struct wd_event *e = sample_event(*state, WD_EVENT_PARTIAL, SAMPLE_PLAIN);
    static const struct {
        const char *text;
        uint32_t n_bytes;
        int n_characters;
    } cases[] = {
        {"caf\xc3\xa9 noir", 6, 5},
        {"caf\xc3\xa9 noir", 0, 0},
        {"abc", 99, 3},
        {"\xff\xff"
         "a",
         2, 2},
        {"", 0, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *j;

        e->text = cases[i].text;
        e->n_settled = cases[i].n_bytes;
        j = read_back(e);
        assert_int_equal(json_integer_value(json_object_get(j, "settled")), cases[i].n_characters);
        json_decref(j);
    }
    wd_event_unref(e);
}

static void what_is_not_known_is_null(void **state)
{
    struct wd_event *e = sample_event(*state, WD_EVENT_FINAL, SAMPLE_BARE);
    static const char *const keys[] = {"stream", "utc", "supersedes", "model", "lang", "speaker"};
    json_t *j = read_back(e);

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        assert_true(json_is_null(json_object_get(j, keys[i])));
    assert_string_equal(text_of(j, "text"), "");
    json_decref(j);
    wd_event_unref(e);
}

static void seconds_are_rounded_to_three_decimals(void **state)
{
    struct wd_event *e = sample_event(*state, WD_EVENT_TURN, SAMPLE_BARE);
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "\"t0\":0.000,"},
        {499999, "\"t0\":0.000,"},
        {500000, "\"t0\":0.001,"},
        {1999500000, "\"t0\":2.000,"},
        {-1500000, "\"t0\":-0.001,"},
        {86400LL * 1000000000, "\"t0\":86400.000,"},
        {INT64_MAX, "\"t0\":9223372036.855,"},
        {INT64_MIN, "\"t0\":-9223372036.855,"},
    };

    setlocale(LC_ALL, "de_DE.UTF-8"); /* where it is there: its decimal mark is a comma */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        e->t0_ns = cases[i].ns;
        wd_event_json(e, line, sizeof line);
        assert_non_null(strstr(line, cases[i].text));
    }
    setlocale(LC_ALL, "C");
    wd_event_unref(e);
}

static void broken_utf8_becomes_replacement_characters(void **state)
{
    struct wd_event *e = sample_event(*state, WD_EVENT_NOTICE, SAMPLE_PLAIN);
    json_t *j;

    e->text = "a\xc3(\xe2\x82 \xf0\x9f\x8e\xa4\xed\xa0\x80\x7f";
    j = read_back(e);
    assert_string_equal(
        text_of(j, "text"),
        "a\xef\xbf\xbd(\xef\xbf\xbd \xf0\x9f\x8e\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\x7f");
    json_decref(j);
    wd_event_unref(e);
}

static void random_bytes_are_always_json(void **state)
{
    char text[200];
    uint32_t seed = 12345;

    for (int round = 0; round < 3000; round++) {
        struct wd_event *e = sample_event(*state, WD_EVENT_FINAL, SAMPLE_PLAIN);
        size_t n;

        for (n = 0; n < sizeof text - 1; n++) {
            seed = seed * 1664525u + 1013904223u;
            text[n] = (char)(seed >> 24);
        }
        text[n] = '\0';
        e->text = text;
        json_decref(read_back(e));
        wd_event_unref(e);
    }
}

static void too_little_room_gives_the_length_and_nothing_else(void **state)
{
    struct wd_event *e = sample_event(*state, WD_EVENT_FINAL, SAMPLE_NASTY);
    size_t n = wd_event_json(e, line, sizeof line);

    for (size_t cap = 1; cap <= n; cap += 7) {
        char *small = malloc(cap);

        assert_int_equal(wd_event_json(e, small, cap), n);
        assert_string_equal(small, "");
        free(small);
    }
    assert_int_equal(wd_event_json(e, NULL, 0), n);
    wd_event_unref(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind_in_every_filling_is_json, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(a_final_tells_its_words_and_its_speaker, open_pool,
                                        close_pool),
        cmocka_unit_test_setup_teardown(every_other_kind_tells_its_own, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(settled_counts_characters, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(what_is_not_known_is_null, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(seconds_are_rounded_to_three_decimals, open_pool,
                                        close_pool),
        cmocka_unit_test_setup_teardown(broken_utf8_becomes_replacement_characters, open_pool,
                                        close_pool),
        cmocka_unit_test_setup_teardown(random_bytes_are_always_json, open_pool, close_pool),
        cmocka_unit_test_setup_teardown(too_little_room_gives_the_length_and_nothing_else,
                                        open_pool, close_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
