/* tests/pipeline/settle_test.c - what is settled, when, and where a full window is cut. */
#include "pipeline/settle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#define MS INT64_C(1000000)
#define T0 (50 * 1000 * MS)

static struct wd_parsed one, two;
static struct wd_align_time times[WD_PARSE_MAX_WORDS];
static const struct wd_parse_opts opts = {.label = "S{n}: ", .speech_ns = -1};

/* A token a blank: "S1: a b" is " S1:", " a", " b". */
static struct wd_parsed *answer_as(struct wd_parsed *p, const char *s, enum wd_parse_end end)
{
    static struct wd_parse_token t[256];
    uint32_t n = 0;

    while (*s) {
        size_t len = 1 + strcspn(s + 1, " \n+");

        t[n++] = (struct wd_parse_token){s, (uint32_t)len, 1, false};
        s += len;
        if (*s == '+') /* a token border inside a word */
            s++;
    }
    wd_parse(t, n, end, &opts, p);
    return p;
}

static struct wd_parsed *answer(struct wd_parsed *p, const char *s)
{
    return answer_as(p, s, WD_PARSE_STOP);
}

/* Word i is said in [i, i + 0.9) half seconds. */
static void say(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        times[i] = (struct wd_align_time){T0 + i * 500 * MS, T0 + i * 500 * MS + 450 * MS, 1};
}

static int64_t at(int64_t ms)
{
    return T0 + ms * MS;
}

static void what_two_answers_agree_on_is_settled(void **state)
{
    struct wd_settle s = {0};
    (void)state;

    say(10);
    answer(&one, "S1: we meet at");
    assert_int_equal(wd_settle_tick(&s, NULL, &one, times, at(5000), WD_SETTLE_HOLD_NS), 0);
    answer(&two, "S1: we meet in town");
    assert_int_equal(wd_settle_tick(&s, &one, &two, times, at(5000), WD_SETTLE_HOLD_NS), 2);
    assert_int_equal(s.n_words, 2);
    assert_int_equal(s.n_tokens, 3);
    assert_int_equal(s.n_shown, 0);
    answer(&one, "S1: we meet in town now");
    assert_int_equal(wd_settle_tick(&s, &two, &one, times, at(5000), WD_SETTLE_HOLD_NS), 2);
    assert_int_equal(s.n_tokens, 5);
    assert_int_equal(s.n_shown, 2);
}

static void the_end_of_the_sound_settles_nothing(void **state)
{
    struct wd_settle s = {0};
    (void)state;

    say(4);
    answer(&one, "S1: a b c");
    answer(&two, "S1: a b c");
    assert_int_equal(wd_settle_tick(&s, &one, &two, times, at(950 + 399), WD_SETTLE_HOLD_NS), 1);
    assert_int_equal(wd_settle_tick(&s, &one, &two, times, at(950 + 400), WD_SETTLE_HOLD_NS), 1);
    assert_int_equal(s.n_words, 2);
}

static void a_word_that_is_not_over_does_not_settle(void **state)
{
    struct wd_settle s = {0};
    (void)state;

    say(4);
    answer_as(&one, "S1: a b", WD_PARSE_LIMIT);
    answer_as(&two, "S1: a b", WD_PARSE_LIMIT);
    assert_int_equal(wd_settle_tick(&s, &one, &two, times, at(9000), WD_SETTLE_HOLD_NS), 1);
}

static void another_label_or_line_is_no_agreement(void **state)
{
    struct wd_settle s = {0};
    (void)state;

    say(6);
    answer(&one, "S1: a b\nS2: c d");
    answer(&two, "S1: a b\nS1: c d");
    assert_int_equal(wd_settle_tick(&s, &one, &two, times, at(9000), WD_SETTLE_HOLD_NS), 2);
    memset(&s, 0, sizeof s);
    answer(&two, "S1: a b c d");
    assert_int_equal(wd_settle_tick(&s, &one, &two, times, at(9000), WD_SETTLE_HOLD_NS), 2);
    memset(&s, 0, sizeof s);
    answer(&two, "S1: a\nS2: b c d");
    assert_int_equal(wd_settle_tick(&s, &one, &two, times, at(9000), WD_SETTLE_HOLD_NS), 1);
    memset(&s, 0, sizeof s);
    answer(&two, "S1: a b\nS2: c d");
    assert_int_equal(wd_settle_tick(&s, &one, &two, times, at(9000), WD_SETTLE_HOLD_NS), 4);
    assert_int_equal(s.n_tokens, two.n_tokens);
}

static void it_never_shrinks(void **state)
{
    struct wd_settle s = {0};
    (void)state;

    say(6);
    answer(&one, "S1: a b c d");
    answer(&two, "S1: a b c d");
    wd_settle_tick(&s, &one, &two, times, at(9000), WD_SETTLE_HOLD_NS);
    assert_int_equal(s.n_words, 4);
    answer(&one, "S1: x");
    assert_int_equal(wd_settle_tick(&s, &two, &one, times, at(9000), WD_SETTLE_HOLD_NS), 0);
    assert_int_equal(s.n_words, 4);
    assert_int_equal(wd_settle_all(&s, &one), 0);
    assert_int_equal(s.n_words, 4);
    assert_int_equal(s.n_tokens, 5);
    answer(&one, "S1: a b c d, e");
    assert_int_equal(wd_settle_all(&s, &one), 1);
    assert_int_equal(s.n_words, 5);
}

static void bad_answers_settle_nothing(void **state)
{
    struct wd_settle s = {0};
    struct wd_parse_opts silent = {.speech_ns = 0};
    struct wd_parse_token t = {"a", 1, 1, false};
    (void)state;

    say(4);
    wd_parse(&t, 1, WD_PARSE_STOP, &silent, &one);
    assert_int_equal(one.end, WD_PARSE_BAD);
    answer(&two, "S1: a");
    assert_int_equal(wd_settle_tick(&s, &one, &two, times, at(9000), WD_SETTLE_HOLD_NS), 0);
    assert_int_equal(wd_settle_tick(&s, &two, &one, times, at(9000), WD_SETTLE_HOLD_NS), 0);
    assert_int_equal(wd_settle_all(&s, &one), 0);
}

static void a_token_shared_by_two_words_is_not_torn(void **state)
{
    static const struct wd_parse_token t[] = {
        {"S1:", 3, 1, false}, {" a b", 4, 1, false}, {" c", 2, 1, false}, {"d e", 3, 1, false}};
    struct wd_settle s = {0};
    (void)state;

    wd_parse(t, 4, WD_PARSE_STOP, &opts, &one);
    wd_parse(t, 4, WD_PARSE_STOP, &opts, &two);
    say(4);
    times[1].t1_ns = at(9000); /* "b" is too new: "a", in the same token, has to wait */
    assert_int_equal(wd_settle_tick(&s, &one, &two, times, at(9000), WD_SETTLE_HOLD_NS), 0);
    say(4);
    times[2].t1_ns = at(9000);
    assert_int_equal(wd_settle_tick(&s, &one, &two, times, at(9000), WD_SETTLE_HOLD_NS), 2);
    assert_int_equal(s.n_tokens, 2);
}

/* 15 s of 375 frames, a word every half second. */
static const char full[] = "S1: a b c d e f g h i j k l m n o p q r s t u v w x y z aa bb cc dd";

static void a_full_window_is_cut_behind_the_last_settled_word(void **state)
{
    struct wd_settle s = {0};
    struct wd_settle_cut c;
    (void)state;

    answer(&one, full);
    answer(&two, full);
    say(30);
    wd_settle_tick(&s, &one, &two, times, at(15000), WD_SETTLE_HOLD_NS);
    assert_int_equal(s.n_words, 29);
    c = wd_settle_cut(&s, &two, times, NULL, 375, T0, WD_SETTLE_EDGE_NS);
    assert_int_equal(c.at, WD_SETTLE_AT_SETTLED);
    assert_int_equal(c.n_words, 28); /* ends at 13.95 s */
    assert_int_equal(c.n_tokens, 29);
    assert_true(c.frame >= 348 && c.frame <= 350);
    /* Settled by the tick before: it may have been shown, so it stays in this window. */
    s.n_shown = 29;
    c = wd_settle_cut(&s, &two, times, NULL, 375, T0, WD_SETTLE_EDGE_NS);
    assert_int_equal(c.n_words, 29);
}

static void the_cut_lies_in_the_pause_behind_the_word(void **state)
{
    struct wd_settle s = {0};
    struct wd_settle_cut c;
    float speech[375];
    (void)state;

    for (int i = 0; i < 375; i++)
        speech[i] = i >= 340 && i < 345 ? 0.1f : 1;
    answer(&one, full);
    answer(&two, full);
    say(30);
    times[26].t1_ns = at(13520); /* frame 338 */
    for (int i = 27; i < 30; i++)
        times[i] =
            (struct wd_align_time){at(13840 + (i - 27) * 300), at(13840 + (i - 27) * 300 + 290), 1};
    wd_settle_tick(&s, &one, &two, times, at(15000), 1300 * MS);
    assert_int_equal(s.n_words, 27);
    c = wd_settle_cut(&s, &two, times, speech, 375, T0, WD_SETTLE_EDGE_NS);
    assert_int_equal(c.n_words, 27);
    assert_true(c.frame >= 341 && c.frame <= 343);
}

static bool ends_between_sentences(const char *said, uint32_t n_settled, uint32_t n_shown, struct wd_settle_cut *ret)
{
    struct wd_settle s = {.n_words = n_settled, .n_shown = n_shown};

    answer_as(&one, said, WD_PARSE_LIMIT);
    return wd_settle_between_sentences(&s, &one, times, NULL, 100, T0, ret);
}

static void a_nearly_full_window_ends_between_two_sentences(void **state)
{
    struct wd_settle_cut cut;
    (void)state;

    say(8);
    times[6].t0_ns = times[5].t1_ns + 300 * MS; /* of a window of 4 s */
    assert_true(ends_between_sentences("S1: we met there. so it was. then he", 6, 5, &cut));
    assert_int_equal(cut.n_words, 6);
    assert_int_equal(cut.n_tokens, 7);
    assert_in_range(cut.frame, 73, 83); /* 2.95 s to 3.25 s */
    /* What was shown as settled is never left to the next window. */
    assert_false(ends_between_sentences("S1: we met there. so it was. then he", 8, 7, &cut));
    /* No end of a sentence, an ellipsis, no pause, too early. */
    assert_false(ends_between_sentences("S1: we met there so it was then he", 6, 0, &cut));
    assert_false(ends_between_sentences("S1: we met there so it was... then he", 6, 0, &cut));
    assert_false(ends_between_sentences("S1: we met. there so it was then he", 6, 0, &cut));
    times[6].t0_ns = times[5].t1_ns + 100 * MS;
    assert_false(ends_between_sentences("S1: we met there. so it was. then he", 6, 0, &cut));
    say(8);
    times[6].t0_ns = times[5].t1_ns + 300 * MS;
    assert_true(ends_between_sentences("S1: we met there. so it was\nS2: then he", 6, 0, &cut)); /* a line's end is one too */
    assert_true(ends_between_sentences("S1: a b c d e was\xe3\x80\x82 then he", 6, 0, &cut));
}

static void without_settled_words_the_last_that_is_over_counts(void **state)
{
    struct wd_settle s = {0};
    struct wd_settle_cut c;
    (void)state;

    answer(&one, full);
    say(30);
    c = wd_settle_cut(&s, &one, times, NULL, 375, T0, WD_SETTLE_EDGE_NS);
    assert_int_equal(c.at, WD_SETTLE_AT_COMPLETE);
    assert_int_equal(c.n_words, 28);
    /* Settled only at the very beginning: that would carry nearly all of it over. */
    s.n_words = s.n_shown = 3;
    s.n_tokens = 4;
    c = wd_settle_cut(&s, &one, times, NULL, 375, T0, WD_SETTLE_EDGE_NS);
    assert_int_equal(c.at, WD_SETTLE_AT_COMPLETE);
    assert_int_equal(c.n_words, 28);
}

static void without_words_the_quietest_place_counts(void **state)
{
    struct wd_settle s = {0};
    struct wd_settle_cut c;
    float speech[375];
    (void)state;

    for (int i = 0; i < 375; i++)
        speech[i] = i == 100 ? 0 : i >= 330 && i <= 332 ? 0.3f : 1;
    c = wd_settle_cut(&s, NULL, NULL, speech, 375, T0, WD_SETTLE_EDGE_NS);
    assert_int_equal(c.at, WD_SETTLE_AT_QUIET);
    assert_int_equal(c.frame, 331);
    assert_int_equal(c.n_words, 0);
    assert_int_equal(c.n_tokens, 0);
    /* One word that goes on to the end, behind one that was shown. */
    answer(&one, "S1: a b");
    times[0] = (struct wd_align_time){at(100), at(13600), 1};
    times[1] = (struct wd_align_time){at(14200), at(15000), 1};
    s.n_words = s.n_shown = 1;
    s.n_tokens = 2;
    c = wd_settle_cut(&s, &one, times, speech, 375, T0, WD_SETTLE_EDGE_NS);
    assert_int_equal(c.n_words, 1);
    assert_true(c.frame >= 340 && c.frame < 375);
    /* Nothing is known at all. */
    c = wd_settle_cut(&s, NULL, NULL, NULL, 375, T0, WD_SETTLE_EDGE_NS);
    assert_true(c.frame >= 300 && c.frame < 375);
    c = wd_settle_cut(&s, NULL, NULL, NULL, 2, T0, WD_SETTLE_EDGE_NS);
    assert_int_equal(c.frame, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_two_answers_agree_on_is_settled),
        cmocka_unit_test(the_end_of_the_sound_settles_nothing),
        cmocka_unit_test(a_word_that_is_not_over_does_not_settle),
        cmocka_unit_test(another_label_or_line_is_no_agreement),
        cmocka_unit_test(it_never_shrinks),
        cmocka_unit_test(bad_answers_settle_nothing),
        cmocka_unit_test(a_token_shared_by_two_words_is_not_torn),
        cmocka_unit_test(a_full_window_is_cut_behind_the_last_settled_word),
        cmocka_unit_test(a_nearly_full_window_ends_between_two_sentences),
        cmocka_unit_test(the_cut_lies_in_the_pause_behind_the_word),
        cmocka_unit_test(without_settled_words_the_last_that_is_over_counts),
        cmocka_unit_test(without_words_the_quietest_place_counts),
    };

    return cmocka_run_group_tests_name("pipeline/settle", tests, NULL, NULL);
}
