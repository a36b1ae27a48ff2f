/* tests/sinks/cues_test.c - where a text is cut into captions, and when they stand. */
#include "sinks/cues.h"
#include "base/utf8.h"
#include "tests/sinks/sample_events.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SECOND 1000000000LL

static const struct wd_cue_shape shape = {
    .n_lines = 2, .n_columns = 42, .longest_ns = 7 * SECOND, .shortest_ns = SECOND / 2};

static struct {
    int n;
    int64_t t0_ns[2000], t1_ns[2000];
    char text[2000][256];
    char all[70000]; /* joined by blanks */
} got;

static void on_cue(void *ctx, const struct wd_cue *c)
{
    (void)ctx;
    assert_true(got.n < 2000);
    assert_true(strlen(c->text) > 0);
    got.t0_ns[got.n] = c->t0_ns;
    got.t1_ns[got.n] = c->t1_ns;
    snprintf(got.text[got.n], sizeof got.text[0], "%s", c->text);
    if (got.n++)
        strcat(got.all, " ");
    strcat(got.all, c->text);
}

static unsigned columns_of(const char *s, size_t n)
{
    unsigned sum = 0;
    uint32_t c;

    for (size_t at = 0; at < n;) {
        int w;

        at += wd_utf8_read(s + at, n - at, &c);
        w = wd_utf8_columns(c);
        assert_true(w >= 0);
        sum += (unsigned)w;
    }
    return sum;
}

/* Every promise of the header that holds whatever the text is. */
static void assert_shape(int64_t after_ns, unsigned n_first)
{
    for (int i = 0; i < got.n; i++) {
        unsigned n_lines = 0;

        assert_true(got.t0_ns[i] >= after_ns);
        assert_true(got.t1_ns[i] > got.t0_ns[i]);
        assert_true(got.t1_ns[i] - got.t0_ns[i] <= shape.longest_ns);
        after_ns = got.t1_ns[i];
        for (const char *line = got.text[i]; line; n_lines++) {
            size_t n = strcspn(line, "\n");

            assert_true(n > 0);
            assert_true(columns_of(line, n) + (n_lines ? 0 : n_first) <= shape.n_columns);
            line = line[n] ? line + n + 1 : NULL;
        }
        assert_true(n_lines <= shape.n_lines);
    }
}

static int64_t split(const struct wd_event *e, int64_t after_ns)
{
    int64_t end_ns;

    got.n = 0;
    got.all[0] = '\0';
    end_ns = wd_cues_split(e, &shape, after_ns, on_cue, NULL);
    assert_true(end_ns == (got.n ? got.t1_ns[got.n - 1] : after_ns));
    assert_shape(after_ns, 0);
    for (char *c = got.all; *c; c++)
        if (*c == '\n')
            *c = ' ';
    return end_ns;
}

/* A word each half second, told in the text and by words. */
static struct wd_event speech(const char *text, struct wd_event_word *words, char *copy)
{
    struct wd_event e = {.kind = WD_EVENT_FINAL, .text = text, .words = words};
    char *save, *w;

    strcpy(copy, text);
    for (w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        words[e.n_words] = (struct wd_event_word){w, e.n_words * SECOND / 2,
                                                  e.n_words * SECOND / 2 + 400000000, 1};
        e.n_words++;
    }
    e.t1_ns = e.n_words * SECOND / 2;
    return e;
}

static struct wd_event_word words[100];
static char copy[4000];

static void a_short_text_is_one_cue_with_the_times_of_its_words(void **state)
{
    struct wd_event e = speech("good morning everybody", words, copy);
    (void)state;

    split(&e, 0);
    assert_int_equal(got.n, 1);
    assert_string_equal(got.text[0], "good morning everybody");
    assert_true(got.t0_ns[0] == 0 && got.t1_ns[0] == SECOND + 400000000);
}

static void a_long_text_becomes_cues_of_two_lines_at_most(void **state)
{
    struct wd_event e =
        speech("the first thing that we have to talk about this morning is the delivery of the new "
               "machines to the hall in the north which should have come last week already",
               words, copy);
    (void)state;

    split(&e, 0);
    assert_true(got.n >= 2);
    assert_string_equal(got.all, e.text);
    assert_true(got.t0_ns[1] % (SECOND / 2) == 0); /* begins with its word */
}

static void slow_speech_is_cut_by_time(void **state)
{
    struct wd_event e = speech("a b c d e f g h i j k l m n o p q r s t u v w x y z", words, copy);
    (void)state;

    split(&e, 0);
    assert_int_equal(got.n, 2);
    assert_string_equal(got.text[0], "a b c d e f g h i j k l m n");
    assert_true(got.t0_ns[1] == 7 * SECOND);
}

static void a_pause_begins_a_new_cue(void **state)
{
    struct wd_event e = speech("wait here", words, copy);
    (void)state;

    words[1].t0_ns = 4 * SECOND;
    words[1].t1_ns = 5 * SECOND;
    e.t1_ns = 5 * SECOND;
    split(&e, 0);
    assert_int_equal(got.n, 2);
    assert_true(got.t1_ns[0] == SECOND / 2); /* stretched to be seen */
    assert_true(got.t0_ns[1] == 4 * SECOND);
}

static void a_sentence_ends_a_cue_that_is_long_enough(void **state)
{
    struct wd_event e = speech("Yes. No. This sentence has some length to it. Next.", words, copy);
    (void)state;

    split(&e, 0);
    assert_int_equal(got.n, 2);
    assert_string_equal(got.text[1], "Next.");
}

static void words_that_are_not_in_the_text_are_ignored(void **state)
{
    struct wd_event e = speech("one two three four", words, copy);
    (void)state;

    words[2].text = "something else";
    e.t0_ns = 10 * SECOND;
    e.t1_ns = 12 * SECOND;
    split(&e, 0);
    assert_int_equal(got.n, 1);
    assert_true(got.t0_ns[0] == 10 * SECOND && got.t1_ns[0] == 12 * SECOND);
}

static void words_without_their_punctuation_still_give_the_times(void **state)
{
    struct wd_event e = speech("Well, (perhaps) \"tomorrow\".", words, copy);
    (void)state;

    words[0].text = "Well";
    words[1].text = "perhaps";
    words[2].text = "tomorrow";
    split(&e, 0);
    assert_string_equal(got.all, e.text);
    assert_true(got.t1_ns[0] == SECOND + 400000000);
}

static void cues_never_begin_before_the_last_one_ended(void **state)
{
    struct wd_event e = speech("two people at the same time", words, copy);
    int64_t end_ns;
    (void)state;

    end_ns = split(&e, 2 * SECOND);
    assert_true(got.t0_ns[0] == 2 * SECOND);
    split(&e, end_ns);
    assert_true(got.t0_ns[0] == end_ns);
    split(&e, 3600 * SECOND);
    assert_true(got.t1_ns[0] == 3600 * SECOND + SECOND / 2);
}

static void a_language_without_blanks_is_cut_between_characters(void **state)
{
    struct wd_event e = {.kind = WD_EVENT_FINAL, .t0_ns = SECOND, .t1_ns = 15 * SECOND};
    char text[600] = "";
    (void)state;

    for (int i = 0; i < 100; i++)
        strcat(text, "\xe4\xbc\x9a");
    e.text = text;
    split(&e, 0);
    assert_int_equal(got.n, 3); /* 200 columns, 84 a cue */
    assert_true(got.t0_ns[1] > 6 * SECOND && got.t0_ns[1] < 8 * SECOND);
}

static void the_speaker_takes_room_in_the_first_line(void **state)
{
    struct wd_cue_shape with = shape;
    struct wd_event e = speech(
        "the quick brown fox jumps over the lazy dog and so on until the end of it", words, copy);
    (void)state;

    with.n_first = 15;
    got.n = 0;
    got.all[0] = '\0';
    wd_cues_split(&e, &with, 0, on_cue, NULL);
    assert_true(got.n > 0);
    assert_shape(0, 15);
}

static void nothing_but_blanks_is_no_cue(void **state)
{
    static const char *const texts[] = {NULL, "", " ", "\n\t \r\n"};
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct wd_event e = {.kind = WD_EVENT_FINAL, .text = texts[i], .t1_ns = SECOND};

        assert_true(split(&e, 5) == 5);
    }
}

static void hostile_text_keeps_the_shape(void **state)
{
    struct wd_event_pool *p = NULL;
    uint32_t seed = 2024;
    (void)state;

    wd_event_pool_new(1, &p, NULL);
    for (int f = 0; f < SAMPLE_N_FILLINGS; f++) {
        struct wd_event *e = sample_event(p, WD_EVENT_FINAL, (enum sample_filling)f);

        split(e, 0);
        wd_event_unref(e);
    }
    wd_event_pool_free(p);
    for (int round = 0; round < 2000; round++) {
        static const char *const bits[] = {
            "a", " ", "\n", "\xff", "\xcc\x81", "\xe4\xbc\x9a", "word", ".", "\x1b[2J", "-->"};
        char text[400] = "";
        struct wd_event e = {
            .kind = WD_EVENT_FINAL, .text = text, .t0_ns = -SECOND, .t1_ns = 3 * SECOND};

        for (int i = 0; i < 80; i++) {
            seed = seed * 1664525u + 1013904223u;
            strcat(text, bits[(seed >> 16) % 10]);
        }
        if (round % 3 == 0) { /* times that jump */
            e.words = words;
            e.n_words = 3;
            for (int i = 0; i < 3; i++)
                words[i] = (struct wd_event_word){"a", (seed >> i) % 20 * SECOND,
                                                  (seed >> 2 * i) % 20 * SECOND, 1};
        }
        split(&e, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_text_is_one_cue_with_the_times_of_its_words),
        cmocka_unit_test(a_long_text_becomes_cues_of_two_lines_at_most),
        cmocka_unit_test(slow_speech_is_cut_by_time),
        cmocka_unit_test(a_pause_begins_a_new_cue),
        cmocka_unit_test(a_sentence_ends_a_cue_that_is_long_enough),
        cmocka_unit_test(words_that_are_not_in_the_text_are_ignored),
        cmocka_unit_test(words_without_their_punctuation_still_give_the_times),
        cmocka_unit_test(cues_never_begin_before_the_last_one_ended),
        cmocka_unit_test(a_language_without_blanks_is_cut_between_characters),
        cmocka_unit_test(the_speaker_takes_room_in_the_first_line),
        cmocka_unit_test(nothing_but_blanks_is_no_cue),
        cmocka_unit_test(hostile_text_keeps_the_shape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
