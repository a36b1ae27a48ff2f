/* tests/pipeline/parse_test.c - what becomes of a model's words, however odd they are. */
#include "pipeline/parse.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct wd_parsed parsed;
static struct wd_parse_token toks[4096];
static char text[65536];
static uint32_t n_toks;

/* "S1: a|b|<x>": tokens between bars; one that begins with '^' is a control token. */
static void cut_up(const char *s)
{
    char *p = text;

    assert_true(strlen(s) < sizeof text);
    strcpy(text, s);
    n_toks = 0;
    for (;;) {
        char *bar = strchr(p, '|');
        bool control = *p == '^';

        /* "<|channel>" holds a bar itself */
        if (control && bar && bar[-1] == '<')
            bar = strchr(bar + 1, '|');
        if (control && bar && bar[1] == '>')
            bar = strchr(bar + 1, '|');
        if (bar)
            *bar = '\0';
        p += control;
        toks[n_toks++] = (struct wd_parse_token){
            .text = p, .len = (uint32_t)strlen(p), .p = 0.9f, .control = control};
        if (!bar)
            return;
        p = bar + 1;
    }
}

static const struct wd_parse_opts labelled = {.label = "S{n}: ", .speech_ns = -1};
static const struct wd_parse_opts plain = {.speech_ns = -1};

static struct wd_parsed *parse(const char *s, enum wd_parse_end end,
                               const struct wd_parse_opts *opts)
{
    cut_up(s);
    memset(&parsed, 0xa5, sizeof parsed);
    wd_parse(toks, n_toks, end, opts, &parsed);
    return &parsed;
}

static void has_line(uint32_t i, uint32_t label, const char *s)
{
    assert_true(i < parsed.n_utterances);
    assert_string_equal(parsed.utterances[i].text, s);
    assert_int_equal(parsed.utterances[i].len, strlen(s));
    assert_int_equal(parsed.utterances[i].label, label);
}

static void has_word(uint32_t i, const char *s, uint32_t first, uint32_t last)
{
    assert_true(i < parsed.n_words);
    assert_int_equal(parsed.words[i].len, strlen(s));
    assert_memory_equal(parsed.words[i].text, s, strlen(s));
    assert_int_equal(parsed.words[i].first_token, first);
    assert_int_equal(parsed.words[i].last_token, last);
}

static void labelled_lines_become_utterances(void **state)
{
    (void)state;
    parse("S|1|:| could| you|?|\n|S|2|:| yes|,| i| w|ill|.", WD_PARSE_STOP, &labelled);
    assert_int_equal(parsed.end, WD_PARSE_STOP);
    assert_int_equal(parsed.n_utterances, 2);
    has_line(0, 1, "could you?");
    has_line(1, 2, "yes, i will.");
    assert_int_equal(parsed.utterances[1].first_word, 2);
    assert_int_equal(parsed.utterances[1].n_words, 3);
    assert_int_equal(parsed.utterances[1].first_token, 7);
    has_word(0, "could", 3, 3);
    has_word(1, "you?", 4, 5);
    assert_int_equal(parsed.words[1].heard_token, 4);
    has_word(4, "will.", 13, 15);
    assert_int_equal(parsed.words[4].heard_token, 14);
    assert_int_equal(parsed.words[4].utterance, 1);
    assert_true(parsed.words[4].complete);
    assert_int_equal(parsed.n_tokens, n_toks);
    assert_false(parsed.cut);
}

static void an_empty_answer_has_no_words(void **state)
{
    (void)state;
    wd_parse(NULL, 0, WD_PARSE_STOP, &labelled, &parsed);
    assert_int_equal(parsed.n_words, 0);
    assert_int_equal(parsed.n_utterances, 0);
    assert_int_equal(parsed.end, WD_PARSE_STOP);
    parse(" |\n|\n| S1:|\nS2: |\n ... \n", WD_PARSE_STOP, &labelled);
    assert_int_equal(parsed.n_words, 0);
    assert_int_equal(parsed.n_utterances, 0);
    assert_int_equal(parsed.bad, WD_PARSE_FINE);
}

static void plain_text_has_no_labels(void **state)
{
    (void)state;
    parse("S1: hello\n  and  more", WD_PARSE_STOP, &plain);
    assert_int_equal(parsed.n_utterances, 2);
    has_line(0, 0, "S1: hello");
    has_line(1, 0, "and more");
}

static void odd_labels_are_read_and_stray_ones_are_text(void **state)
{
    (void)state;
    parse("S1:hello\ns 2 :  there\nS12: twelve\nS0: zero\nS123: many\nS3 no colon", WD_PARSE_STOP,
          &labelled);
    assert_int_equal(parsed.n_utterances, 6);
    has_line(0, 1, "hello");
    has_line(1, 2, "there");
    has_line(2, 12, "twelve");
    has_line(3, 12, "S0: zero");
    has_line(4, 12, "S123: many");
    has_line(5, 12, "S3 no colon");
    parse("S1: S2: hello S3: you. And.S1: me\nagain", WD_PARSE_STOP, &labelled);
    assert_int_equal(parsed.n_utterances, 4);
    has_line(0, 2, "hello");
    has_line(1, 3, "you. And.");
    has_line(2, 1, "me");
    has_line(3, 1, "again");
    parse("no label\nS2: one", WD_PARSE_STOP, &labelled);
    has_line(0, 0, "no label");
    has_line(1, 2, "one");
}

static void a_label_that_is_not_whole_is_not_shown(void **state)
{
    (void)state;
    parse("S1: yes\n|S|2", WD_PARSE_LIMIT, &labelled);
    assert_int_equal(parsed.n_utterances, 1);
    has_line(0, 1, "yes");
    parse("S1: yes\n|S", WD_PARSE_LIMIT, &labelled);
    assert_int_equal(parsed.n_words, 1);
    parse("S1: yes\n|So", WD_PARSE_LIMIT, &labelled);
    assert_int_equal(parsed.n_words, 2);
    parse("S1: yes\n|S", WD_PARSE_STOP, &labelled);
    assert_int_equal(parsed.n_words, 2);
}

static void the_last_word_is_over_only_when_the_model_stopped(void **state)
{
    (void)state;
    parse("S1: one| two", WD_PARSE_LIMIT, &labelled);
    assert_true(parsed.words[0].complete);
    assert_false(parsed.words[1].complete);
    assert_int_equal(parsed.end, WD_PARSE_LIMIT);
    parse("S1: one| two|\n", WD_PARSE_LIMIT, &labelled);
    assert_true(parsed.words[1].complete);
    parse("S1: one| two", WD_PARSE_STOP, &labelled);
    assert_true(parsed.words[1].complete);
    parse("S1: one| two|^<turn|>| three", WD_PARSE_LIMIT, &labelled);
    assert_int_equal(parsed.n_words, 2);
    assert_int_equal(parsed.end, WD_PARSE_STOP);
    assert_true(parsed.words[1].complete);
    assert_int_equal(parsed.n_tokens, 2);
}

static void thoughts_are_left_out(void **state)
{
    (void)state;
    parse("^<|channel>|thought\n|they speak|^<channel|>|S1: hi|^<pad>| you", WD_PARSE_STOP,
          &labelled);
    assert_int_equal(parsed.n_utterances, 1);
    has_line(0, 1, "hi you");
    has_word(0, "hi", 4, 4);
    parse("^<|channel>|thought\n|and on", WD_PARSE_LIMIT, &labelled);
    assert_int_equal(parsed.end, WD_PARSE_BAD);
    assert_int_equal(parsed.bad, WD_PARSE_THOUGHT);
    assert_int_equal(parsed.n_words, 0);
}

static void characters_may_be_spread_over_tokens_and_bad_bytes_are_replaced(void **state)
{
    (void)state;
    parse("caf\xc3|\xa9 \xff\xfe x\xe2\x82| y\xf0\x9f\x98|\x80", WD_PARSE_STOP, &plain);
    has_line(0, 0, "caf\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd x\xef\xbf\xbd y\xf0\x9f\x98\x80");
    has_word(0, "caf\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd", 0, 1);
    parse("a\xed\xa0\x80z", WD_PARSE_STOP, &plain); /* a surrogate: three bad bytes */
    has_line(0, 0, "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");
    parse("half\xe2\x82", WD_PARSE_LIMIT, &plain); /* more may have been to come */
    has_line(0, 0, "half");
    parse("half\xe2\x82", WD_PARSE_STOP, &plain);
    has_line(0, 0, "half\xef\xbf\xbd");
}

static void control_characters_do_not_get_through(void **state)
{
    (void)state;
    parse("a\x1b[31mb\x07 \xe2\x80\xaeright\xc2\x85\xef\xbb\xbf\tc\r\nd\xc2\xa0"
          "e",
          WD_PARSE_STOP, &plain);
    assert_int_equal(parsed.n_utterances, 2);
    has_line(0, 0, "a[31mb right c");
    has_line(1, 0, "d e");
}

static void marks_alone_belong_to_the_word_before(void **state)
{
    (void)state;
    parse("S1: one| ,| two| .", WD_PARSE_STOP, &labelled);
    has_line(0, 1, "one, two.");
    assert_int_equal(parsed.n_words, 2);
    has_word(0, "one,", 0, 1);
    assert_int_equal(parsed.words[0].heard_token, 0);
}

static void long_runs_and_ideographs_become_glued_words(void **state)
{
    char s[300];
    (void)state;

    for (size_t i = 0; i < 250; i++)
        s[i] = (char)('a' + i * 7 % 26);
    s[250] = '\0';
    parse(s, WD_PARSE_STOP, &plain);
    assert_int_equal(parsed.n_words, 3);
    assert_int_equal(parsed.words[0].len, WD_PARSE_MAX_WORD);
    assert_false(parsed.words[0].glued);
    assert_true(parsed.words[1].glued && parsed.words[2].glued);
    assert_string_equal(parsed.utterances[0].text, s);
    parse("\xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82 ok\xe4\xbd\xa0", WD_PARSE_STOP, &plain);
    assert_int_equal(parsed.n_words, 4);
    has_word(1, "\xe5\xa5\xbd\xe3\x80\x82", 0, 0);
    assert_true(parsed.words[1].glued);
    assert_false(parsed.words[2].glued);
    assert_true(parsed.words[3].glued);
}

static void a_words_probability_is_its_least(void **state)
{
    (void)state;
    cut_up(" re|port| x| y");
    toks[0].p = 0.5f;
    toks[1].p = 0.25f;
    toks[2].p = NAN;
    toks[3].p = 7;
    wd_parse(toks, n_toks, WD_PARSE_STOP, &plain, &parsed);
    assert_true(parsed.words[0].p == 0.25f);
    assert_true(parsed.words[1].p == 0);
    assert_true(parsed.words[2].p == 1);
}

static void too_many_words_and_lines_are_cut(void **state)
{
    (void)state;
    n_toks = 0;
    for (uint32_t i = 0; i < 1500; i++) {
        char *s = text + i * 16;

        snprintf(s, 16, " w%ux%u", i, i % 7);
        toks[n_toks++] = (struct wd_parse_token){.text = s, .len = (uint32_t)strlen(s), .p = 1};
    }
    wd_parse(toks, n_toks, WD_PARSE_STOP, &plain, &parsed);
    assert_int_equal(parsed.n_words, WD_PARSE_MAX_WORDS);
    assert_true(parsed.cut);
    for (uint32_t i = 0; i < 1500; i++)
        text[i * 16] = '\n';
    wd_parse(toks, n_toks, WD_PARSE_STOP, &plain, &parsed);
    assert_int_equal(parsed.n_utterances, WD_PARSE_MAX_UTTERANCES);
    assert_true(parsed.cut);
    for (uint32_t i = 0; i < 4096; i++)
        toks[i] = (struct wd_parse_token){.text = text + i, .len = 1, .p = 1};
    for (uint32_t i = 0; i < sizeof text; i++)
        text[i] = (char)('!' + i * i % 89);
    wd_parse(toks, 4096, WD_PARSE_STOP, &plain, &parsed);
    assert_true(parsed.cut);
    assert_true(parsed.n_tokens <= WD_PARSE_MAX_TOKENS);
    toks[0] = (struct wd_parse_token){.text = text, .len = sizeof text, .p = 1};
    wd_parse(toks, 1, WD_PARSE_STOP, &plain, &parsed);
    assert_true(parsed.cut);
    assert_true(parsed.text_len <= WD_PARSE_MAX_TEXT);
    assert_int_equal(parsed.end, WD_PARSE_LIMIT);
}

static void a_repeated_phrase_ends_the_answer_where_it_began(void **state)
{
    char s[2000] = "S1: we start|";
    (void)state;

    for (int i = 0; i < 4; i++)
        strcat(s, " thank| you| so| much|.|");
    s[strlen(s) - 1] = '\0';
    parse(s, WD_PARSE_STOP, &labelled);
    assert_int_equal(parsed.end, WD_PARSE_LOOP);
    has_line(0, 1, "we start thank you so much.");
    assert_int_equal(parsed.loop_token, 6);
    parse("S1: no,| no| no|, no| no.", WD_PARSE_STOP, &labelled);
    assert_int_equal(parsed.end, WD_PARSE_STOP);
    assert_int_equal(parsed.n_words, 5);
    /* The same words, cut into tokens in many ways. */
    parse("S1: a b c a| b c a b c| a b| c", WD_PARSE_STOP, &labelled);
    assert_int_equal(parsed.end, WD_PARSE_LOOP);
    has_line(0, 1, "a b c");
    /* Across lines; the label of what is taken away goes too. */
    parse("S1: yes.\nS2: yes.\nS1: yes.\nS2: yes.\nS1: yes.\nS2: yes.\nS1: yes.\nS2: yes.\nS1: "
          "yes.\nS2: yes.\nS1: yes.\nS2: yes.",
          WD_PARSE_STOP, &labelled);
    assert_int_equal(parsed.end, WD_PARSE_LOOP);
    assert_int_equal(parsed.n_utterances, 1);
}

static void a_repeated_token_ends_the_answer_too(void **state)
{
    char s[400] = "S1: well|";
    (void)state;

    for (int i = 0; i < 30; i++)
        strcat(s, "ha|");
    s[strlen(s) - 1] = '\0';
    parse(s, WD_PARSE_LIMIT, &labelled);
    assert_int_equal(parsed.end, WD_PARSE_LOOP);
    assert_int_equal(parsed.loop_token, 2);
    has_line(0, 1, "wellha");
    assert_false(parsed.words[0].complete);
}

static void an_answer_is_no_transcript(void **state)
{
    struct wd_parse_opts o = {.label = "S{n}: ",
                              .speech_ns = 4000000000,
                              .answered = wd_parse_answers,
                              .n_answered = wd_parse_n_answers};
    (void)state;

    parse("S1: \"Here is the| transcription| of the audio: x", WD_PARSE_STOP, &o);
    assert_int_equal(parsed.end, WD_PARSE_BAD);
    assert_int_equal(parsed.bad, WD_PARSE_ANSWERED);
    assert_int_equal(parsed.n_words, 0);
    assert_non_null(strstr(wd_parse_bad_name(parsed.bad), "answered"));
    parse("well, as a large language model i", WD_PARSE_STOP, &o);
    assert_int_equal(parsed.bad, WD_PARSE_ANSWERED);
    parse("S1: sure, here is the transcriptionist", WD_PARSE_STOP, &o);
    assert_int_equal(parsed.end, WD_PARSE_STOP);
    parse("S1: he said no speech detected, here is the transcript", WD_PARSE_STOP, &o);
    assert_int_equal(parsed.end, WD_PARSE_STOP);
}

static void more_text_than_can_be_said_is_no_transcript(void **state)
{
    struct wd_parse_opts o = {.speech_ns = 1000000000};
    const char *s =
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen";
    (void)state;

    parse(s, WD_PARSE_STOP, &o);
    assert_int_equal(parsed.end, WD_PARSE_BAD);
    assert_int_equal(parsed.bad, WD_PARSE_TOO_MUCH);
    o.speech_ns = 2000000000;
    parse(s, WD_PARSE_STOP, &o);
    assert_int_equal(parsed.end, WD_PARSE_STOP);
    o.speech_ns = 0;
    parse("yes", WD_PARSE_STOP, &o);
    assert_int_equal(parsed.bad, WD_PARSE_NO_SPEECH);
    assert_int_equal(parsed.n_words, 0);
    o.speech_ns = 40000000;
    parse("yes", WD_PARSE_STOP, &o);
    assert_int_equal(parsed.n_words, 1);
}

static void a_label_pattern_is_checked(void **state)
{
    struct wd_err err = {0};
    (void)state;

    assert_int_equal(wd_parse_check_label("label", "S{n}: ", &err), 0);
    assert_int_equal(wd_parse_check_label("label", "[Speaker {n}]", &err), 0);
    assert_int_equal(wd_parse_check_label("label", "S: ", &err), -EINVAL);
    assert_non_null(strstr(err.text, "label: expected one {n}"));
    assert_int_equal(wd_parse_check_label("label", "{n}: ", &err), -EINVAL);
    assert_int_equal(wd_parse_check_label("label", "S{n}{n}:", &err), -EINVAL);
    assert_int_equal(wd_parse_check_label("label", "S{n} ", &err), -EINVAL);
    parse("[Speaker 2] hello", WD_PARSE_STOP,
          &(struct wd_parse_opts){.label = "[Speaker {n}]", .speech_ns = -1});
    has_line(0, 2, "hello");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labelled_lines_become_utterances),
        cmocka_unit_test(an_empty_answer_has_no_words),
        cmocka_unit_test(plain_text_has_no_labels),
        cmocka_unit_test(odd_labels_are_read_and_stray_ones_are_text),
        cmocka_unit_test(a_label_that_is_not_whole_is_not_shown),
        cmocka_unit_test(the_last_word_is_over_only_when_the_model_stopped),
        cmocka_unit_test(thoughts_are_left_out),
        cmocka_unit_test(characters_may_be_spread_over_tokens_and_bad_bytes_are_replaced),
        cmocka_unit_test(control_characters_do_not_get_through),
        cmocka_unit_test(marks_alone_belong_to_the_word_before),
        cmocka_unit_test(long_runs_and_ideographs_become_glued_words),
        cmocka_unit_test(a_words_probability_is_its_least),
        cmocka_unit_test(too_many_words_and_lines_are_cut),
        cmocka_unit_test(a_repeated_phrase_ends_the_answer_where_it_began),
        cmocka_unit_test(a_repeated_token_ends_the_answer_too),
        cmocka_unit_test(an_answer_is_no_transcript),
        cmocka_unit_test(more_text_than_can_be_said_is_no_transcript),
        cmocka_unit_test(a_label_pattern_is_checked),
    };

    return cmocka_run_group_tests_name("pipeline/parse", tests, NULL, NULL);
}
