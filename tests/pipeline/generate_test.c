/* tests/pipeline/generate_test.c - where an answer ends, what is forced and drafted, how long inputs are fed. The recorded answers: tests/nano_test.c. */
#include "pipeline/generate.h"

#include "model/tokenizer.h"
#include "pipeline/prompt.h"
#include "tests/model/small_model.h"
#include "tests/pipeline/nano.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_ROWS 64
#define LOGIT_ROWS 8

static struct wd_nano nano;
static const uint16_t heads[2][2] = {{5, 0}, {5, 1}};
static float *logits, *pcm;
static size_t n_pcm;
static int32_t before[64], after[64];
static uint32_t n_before, n_after, n_frames;
static struct wd_answer answer;
static struct wd_job_count counted;
static struct wd_generate g;

static int open_model(void **state)
{
    (void)state;
    wd_nano_open(&nano, MAX_ROWS);
    logits = malloc(LOGIT_ROWS * wd_engine_shape(nano.engine)->n_vocab * sizeof *logits);
    pcm = wd_nano_clip("single00", &n_pcm);
    n_frames = (uint32_t)(n_pcm / 640);
    n_before = (uint32_t)wd_prompt_transcribe_before(nano.profile, wd_engine_tokenizer(nano.engine), NULL, NULL, before, 64);
    n_after = (uint32_t)wd_prompt_transcribe_after(nano.profile, wd_engine_tokenizer(nano.engine), after, 64);
    assert_true(n_before > 3 && n_before < 64 && n_after > 3 && n_after < 64 && n_frames > MAX_ROWS);
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    free(logits);
    free(pcm);
    wd_nano_close(&nano);
    return 0;
}

static void begin(uint32_t capacity)
{
    struct wd_decoder *d;
    struct wd_err err = {0};

    if (wd_decoder_new(nano.engine, capacity, capacity, &d, &err) < 0)
        fail_msg("%s", err.text);
    memset(&counted, 0, sizeof counted);
    memset(&answer, 0, sizeof answer);
    g = (struct wd_generate){nano.engine, d, &counted, logits, LOGIT_ROWS, heads, 2};
}

static void end(void)
{
    wd_decoder_free(g.decoder);
}

static struct wd_span tokens(const int32_t *ids, uint32_t n)
{
    return (struct wd_span){.kind = WD_SPAN_TOKENS, .n = n, .ids = ids};
}

static void feed_clip(void)
{
    struct wd_span spans[2] = {tokens(before, n_before), {.kind = WD_SPAN_AUDIO, .n = n_frames, .pcm = pcm}};
    struct wd_err err = {0};

    if (wd_generate_feed(&g, spans, 2, &err) < 0)
        fail_msg("%s", err.text);
}

static void ask(const int32_t *draft, uint32_t n_draft, uint32_t max_tokens)
{
    struct wd_span span = tokens(after, n_after);
    struct wd_err err = {0};

    if (wd_generate_answer(&g, &span, 1, 0, draft, n_draft, max_tokens, &answer, NULL, 0, 0, &err) < 0)
        fail_msg("%s", err.text);
}

static void more_than_a_pass_carries_is_fed_in_several(void **state)
{
    uint32_t rows = n_before + n_frames, n;
    int32_t ids[2][200];

    (void)state;
    begin(400);
    feed_clip();
    assert_int_equal(wd_decoder_position(g.decoder), rows);
    assert_int_equal(counted.passes, (rows + MAX_ROWS - 1) / MAX_ROWS);
    ask(NULL, 0, 100);
    assert_int_equal(answer.end, WD_JOB_END_STOP);
    n = answer.n;
    for (uint32_t i = 0; i < n; i++)
        ids[0][i] = answer.tokens[i].id;
    end();
    /* By hand, in other pieces. */
    begin(400);
    for (uint32_t at = 0; at < n_before; at += 2) {
        struct wd_span span = tokens(before + at, at + 2 <= n_before ? 2 : 1);

        assert_int_equal(wd_generate_feed(&g, &span, 1, NULL), 0);
    }
    for (uint32_t at = 0; at < n_frames; at += 11) {
        struct wd_span span = {.kind = WD_SPAN_AUDIO, .n = 11 < n_frames - at ? 11 : n_frames - at, .pcm = pcm + (size_t)at * 640};

        assert_int_equal(wd_generate_feed(&g, &span, 1, NULL), 0);
    }
    ask(NULL, 0, 100);
    assert_int_equal(answer.n, n);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(answer.tokens[i].id, ids[0][i]);
    end();
}

static void many_short_spans_are_fed_all_the_same(void **state)
{
    struct wd_span spans[50];

    (void)state;
    begin(400);
    for (int i = 0; i < 50; i++)
        spans[i] = i == 20 ? tokens(before, 0) : tokens(before + i % 4, 1);
    assert_int_equal(wd_generate_feed(&g, spans, 50, NULL), 0);
    assert_int_equal(wd_decoder_position(g.decoder), 49);
    assert_int_equal(wd_generate_answer(&g, spans, 50, 0, NULL, 0, 9, &answer, NULL, 0, 0, NULL), -EINVAL);
    end();
}

static void a_picture_goes_whole_or_is_refused_in_words(void **state)
{
    static uint8_t rgb[70 * 6912];
    struct wd_span spans[2] = {tokens(before, 4), {.kind = WD_SPAN_PICTURE, .n = 63, .rgb = rgb, .grid_w = 9, .grid_h = 7}};
    struct wd_err err = {0};

    (void)state;
    begin(400);
    assert_int_equal(wd_generate_feed(&g, spans, 2, &err), 0);
    assert_int_equal(counted.passes, 2); /* 4 + 63 rows do not fit one */
    assert_int_equal(wd_decoder_position(g.decoder), 67);
    spans[1].n = 70;
    spans[1].grid_w = 10;
    for (int first = 0; first < 2; first++) {
        err = (struct wd_err){0};
        assert_int_equal(wd_generate_feed(&g, spans + first, 2u - (unsigned)first, &err), -EINVAL);
        assert_non_null(strstr(err.text, "a picture of 70 rows, a pass carries 64"));
    }
    end();
}

static void an_answer_of_the_length_allowed_ends_there(void **state)
{
    (void)state;
    begin(400);
    feed_clip();
    ask(NULL, 0, 5);
    assert_int_equal(answer.end, WD_JOB_END_LIMIT);
    assert_int_equal(answer.n, 5);
    for (uint32_t i = 0; i < 5; i++)
        assert_true(answer.tokens[i].p > 0 && answer.tokens[i].p <= 1 && answer.tokens[i].margin >= 0);
    end();
}

static void a_full_context_ends_the_answer_with_and_without_a_draft(void **state)
{
    uint32_t filled = n_before + n_frames + n_after, plain;
    int32_t draft[40];

    (void)state;
    begin(400);
    feed_clip();
    ask(NULL, 0, 100);
    assert_true(answer.n > 12);
    for (uint32_t i = 0; i < 12; i++)
        draft[i] = answer.tokens[i].id;
    end();
    for (uint32_t room = 0; room < 8; room++) {
        begin(filled + room);
        feed_clip();
        ask(NULL, 0, 100);
        assert_int_equal(answer.end, WD_JOB_END_LIMIT);
        plain = answer.n;
        assert_in_range(plain, 1, room + 1);
        for (uint32_t i = 0; i < plain; i++)
            assert_int_equal(answer.tokens[i].id, draft[i]);
        end();
        begin(filled + room);
        feed_clip();
        ask(draft, 12, 100);
        assert_int_equal(answer.end, WD_JOB_END_LIMIT);
        assert_in_range(answer.n, plain, room + 2);
        for (uint32_t i = 0; i < answer.n; i++)
            assert_int_equal(answer.tokens[i].id, draft[i]);
        end();
    }
}

static void what_does_not_fit_the_context_is_an_error(void **state)
{
    struct wd_span span = tokens(after, n_after);
    struct wd_err err = {0};

    (void)state;
    begin(n_before + n_frames + n_after - 1);
    feed_clip();
    assert_int_equal(wd_generate_answer(&g, &span, 1, 0, NULL, 0, 9, &answer, NULL, 0, 0, &err), -ENOSPC);
    assert_non_null(strstr(err.text, "full"));
    end();
}

static void forced_tokens_begin_the_answer_and_everything_looks_at_the_sound(void **state)
{
    float *attention;
    int32_t said[200];
    uint32_t n, peak[2] = {0, 0};
    struct wd_span spans[2];
    struct wd_err err = {0};

    (void)state;
    begin(400);
    feed_clip();
    ask(NULL, 0, 100);
    n = answer.n;
    for (uint32_t i = 0; i < n; i++)
        said[i] = answer.tokens[i].id;
    end();

    begin(400);
    feed_clip();
    attention = malloc((n + 1) * n_frames * sizeof *attention);
    for (size_t i = 0; i < (size_t)(n + 1) * n_frames; i++)
        attention[i] = -1;
    spans[0] = tokens(after, n_after);
    spans[1] = tokens(said, 6);
    for (uint32_t i = 0; i < 6; i++)
        answer.tokens[answer.n++] = (struct wd_token){said[i], 1, 0};
    if (wd_generate_answer(&g, spans, 2, 6, said + 6, n - 6, 100, &answer, attention, n_before, n_frames, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(answer.n, n);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(answer.tokens[i].id, said[i]);
    assert_int_equal(counted.forced, 6);
    assert_int_equal(counted.accepted, n - 6);
    /* Every row is filled: no more than one in all, and later words look later. */
    for (uint32_t row = 0; row < n + 1; row++) {
        float sum = 0;

        for (uint32_t k = 0; k < n_frames; k++) {
            float w = attention[row * n_frames + k];

            assert_true(w >= 0);
            sum += w;
            if (row == 5 && w > attention[row * n_frames + peak[0]])
                peak[0] = k;
            if (row == n - 3 && w > attention[row * n_frames + peak[1]])
                peak[1] = k;
        }
        assert_true(sum <= 1.0001f);
    }
    assert_true(peak[1] > peak[0] + 10);
    free(attention);
    end();
}

static void an_answer_that_repeats_itself_is_cut_where_it_does(void **state)
{
    /* A model of random numbers soon says the same again and again. */
    char folder[64];
    int32_t ids[8];
    struct wd_engine *e;
    struct wd_decoder *d;
    struct wd_span span = tokens(ids, 8);

    (void)state;
    wd_small_write("odd", true, folder);
    e = wd_small_open(folder, true, 64);
    wd_small_ids(5, ids, 8);
    assert_int_equal(wd_decoder_new(e, 1100, 1100, &d, NULL), 0);
    memset(&counted, 0, sizeof counted);
    memset(&answer, 0, sizeof answer);
    g = (struct wd_generate){e, d, &counted, malloc(LOGIT_ROWS * wd_engine_shape(e)->n_vocab * sizeof(float)), LOGIT_ROWS, NULL, 0};
    assert_int_equal(wd_generate_answer(&g, &span, 1, 0, NULL, 0, WD_JOB_MAX_TOKENS, &answer, NULL, 0, 0, NULL), 0);
    assert_int_equal(answer.end, WD_JOB_END_LOOP);
    assert_true(answer.n < 500);
    assert_int_equal(wd_generate_loop(answer.tokens, answer.n), 0);
    free(g.logits);
    wd_decoder_free(d);
    wd_engine_free(e);
    wd_small_remove(folder);
}

static void yes_and_no_share_one(void **state)
{
    struct wd_span span = tokens(before, n_before);
    uint32_t n_vocab = wd_engine_shape(nano.engine)->n_vocab;
    float yes, no;
    struct wd_err err = {0};

    (void)state;
    begin(400);
    assert_int_equal(wd_generate_yes(&g, &span, 1, 300, 301, &yes, NULL), 0);
    assert_int_equal(wd_decoder_rewind(g.decoder, 0, NULL), 0);
    assert_int_equal(wd_generate_yes(&g, &span, 1, 301, 300, &no, NULL), 0);
    assert_true(yes > 0 && no > 0 && yes + no > 0.9999f && yes + no < 1.0001f);
    assert_int_equal(wd_generate_yes(&g, &span, 1, (int32_t)n_vocab, 300, &no, &err), -EINVAL);
    assert_non_null(strstr(err.text, "vocabulary"));
    assert_int_equal(wd_generate_yes(&g, &span, 1, 300, -1, &no, NULL), -EINVAL);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_than_a_pass_carries_is_fed_in_several),
        cmocka_unit_test(many_short_spans_are_fed_all_the_same),
        cmocka_unit_test(a_picture_goes_whole_or_is_refused_in_words),
        cmocka_unit_test(an_answer_of_the_length_allowed_ends_there),
        cmocka_unit_test(a_full_context_ends_the_answer_with_and_without_a_draft),
        cmocka_unit_test(what_does_not_fit_the_context_is_an_error),
        cmocka_unit_test(forced_tokens_begin_the_answer_and_everything_looks_at_the_sound),
        cmocka_unit_test(an_answer_that_repeats_itself_is_cut_where_it_does),
        cmocka_unit_test(yes_and_no_share_one),
    };

    return cmocka_run_group_tests(tests, open_model, close_model);
}
