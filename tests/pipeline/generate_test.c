/* tests/pipeline/generate_test.c - where an answer ends, what is forced and drafted, how long inputs are fed. The recorded answers: tests/nano_test.c. */
#include "pipeline/generate.h"

#include "model/drafter.h"
#include "model/sampler.h"
#include "model/tokenizer.h"
#include "pipeline/prompt.h"
#include "tests/golden/drafter.h"
#include "tests/model/small_model.h"
#include "tests/pipeline/nano.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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
    g = (struct wd_generate){.engine = nano.engine, .decoder = d, .count = &counted, .logits = logits, .logit_rows = LOGIT_ROWS, .heads = heads, .n_heads = 2};
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
    g = (struct wd_generate){.engine = e, .decoder = d, .count = &counted, .logit_rows = LOGIT_ROWS};
    g.logits = malloc(LOGIT_ROWS * wd_engine_shape(e)->n_vocab * sizeof(float));
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

/* ---- a drafter: that of the checkpoint tiny, which is right now and then ---- */

static char tiny[64], guesser[64];
static struct wd_engine *drafting;
static struct wd_sampler sampler;

static void open_drafting(void)
{
    struct wd_engine_opts opts = {.n_threads = 1, .max_rows = 64, .drafter = guesser};
    struct wd_err err = {0};

    wd_small_write("tiny", true, tiny);
    snprintf(guesser, sizeof guesser, "/tmp/witnessd-drafter-XXXXXX");
    assert_non_null(mkdtemp(guesser));
    assert_int_equal(wd_checkpoint_write_drafter("tiny", guesser, true, &err), 0);
    if (wd_engine_open(tiny, &opts, &drafting, &err) < 0)
        fail_msg("%s", err.text);
}

static void close_drafting(void)
{
    wd_engine_free(drafting);
    wd_small_remove(tiny);
    wd_small_remove(guesser);
}

static void begin_drafting(bool guesses, uint32_t capacity)
{
    const struct wd_shape *s = wd_engine_shape(drafting);

    memset(&counted, 0, sizeof counted);
    g = (struct wd_generate){.engine = drafting, .count = &counted, .logit_rows = LOGIT_ROWS};
    assert_int_equal(wd_decoder_new(drafting, capacity, capacity, &g.decoder, NULL), 0);
    g.logits = malloc(LOGIT_ROWS * s->n_vocab * sizeof *g.logits);
    g.hidden = malloc(LOGIT_ROWS * s->d_model * sizeof *g.hidden);
    g.drafter = guesses ? wd_engine_drafter(drafting) : NULL;
}

static void end_drafting(void)
{
    free(g.logits);
    free(g.hidden);
    wd_decoder_free(g.decoder);
}

/* The answer to a prompt of twelve tokens, of which the context may hold the first `fed`. */
static void answer_to(uint64_t seed, uint32_t fed, const int32_t *draft, uint32_t n_draft, uint32_t max_tokens)
{
    int32_t ids[12];
    struct wd_span span = tokens(ids + fed, 12 - fed);
    struct wd_err err = {0};

    wd_small_ids(seed, ids, 12);
    memset(&answer, 0, offsetof(struct wd_answer, yes));
    assert_int_equal(wd_decoder_rewind(g.decoder, fed, NULL), 0);
    if (wd_generate_answer(&g, &span, 1, 0, draft, n_draft, max_tokens, &answer, NULL, 0, 0, &err) < 0)
        fail_msg("%s", err.text);
}

static void the_greedy_answer_is_the_same_with_a_drafter_and_takes_fewer_passes(void **state)
{
    static const uint32_t capacities[] = {18, 19, 20, 21, 22, 200};
    uint64_t passes[2] = {0, 0}, right = 0, wrong = 0;

    (void)state;
    open_drafting();
    for (uint64_t seed = 1; seed <= 3; seed++)
        for (size_t k = 0; k < sizeof capacities / sizeof capacities[0]; k++) {
            static struct wd_answer plain;
            const uint32_t capacity = capacities[k];
            int32_t draft[9];

            begin_drafting(false, capacity);
            answer_to(seed, 0, NULL, 0, 60);
            plain = answer;
            passes[0] += counted.passes;
            assert_int_equal(counted.guessed, 0);
            end_drafting();
            begin_drafting(true, capacity);
            /* Alone; behind a hypothesis that is right; behind one that is wrong from its fifth token on; to the last token allowed. */
            for (int kind = 0; kind < 4; kind++) {
                uint32_t n = kind == 0 || plain.n < 9 ? 0 : 9, most = kind == 3 && plain.n > 3 ? plain.n - 3 : 60;

                for (uint32_t i = 0; i < n; i++)
                    draft[i] = plain.tokens[i].id + (kind == 2 && i >= 4);
                memset(&counted, 0, sizeof counted);
                answer_to(seed, 0, draft, n, most);
                passes[1] += kind == 0 ? counted.passes : 0;
                right += counted.guessed_right;
                wrong += counted.guessed - counted.guessed_right;
                /* A hypothesis may be what fills the context: then the answer is a token longer. */
                if (kind == 0)
                    assert_int_equal(answer.n, plain.n);
                if (capacity > 40 && kind < 3)
                    assert_int_equal(answer.end, plain.end);
                if (capacity > 40)
                    assert_int_equal(answer.n, most < plain.n ? most : plain.n);
                for (uint32_t i = 0; i < answer.n && i < plain.n; i++)
                    assert_int_equal(answer.tokens[i].id, plain.tokens[i].id);
            }
            end_drafting();
        }
    assert_true(right > 100 && wrong > 100);
    assert_true(passes[1] * 10 < passes[0] * 9);
    close_drafting();
}

/* Exactly: the probabilities of all answers of three tokens, each token one of three. */
#define TOP 3
#define PATHS (TOP * TOP * TOP)
#define DRAWS 500

struct path {
    int32_t ids[3];
    double p;
};

static void all_paths(uint64_t seed, struct path *ret)
{
    const struct wd_shape *s = wd_engine_shape(drafting);
    struct wd_sampler_dist d[3];
    int32_t ids[12], at[3];
    float *z = malloc(s->n_vocab * sizeof *z);
    size_t n = 0;

    wd_small_ids(seed, ids, 12);
    assert_int_equal(wd_decoder_rewind(g.decoder, 0, NULL), 0);
    assert_int_equal(wd_small_feed(drafting, g.decoder, ids, 12, z), 0);
    wd_sampler_distribution(&sampler, z, s->n_vocab, s->suppress, s->n_suppress, &d[0]);
    for (int a = 0; a < TOP; a++) {
        at[0] = d[0].ids[a];
        assert_int_equal(wd_small_feed(drafting, g.decoder, &at[0], 1, z), 0);
        wd_sampler_distribution(&sampler, z, s->n_vocab, s->suppress, s->n_suppress, &d[1]);
        for (int b = 0; b < TOP; b++) {
            at[1] = d[1].ids[b];
            assert_int_equal(wd_small_feed(drafting, g.decoder, &at[1], 1, z), 0);
            wd_sampler_distribution(&sampler, z, s->n_vocab, s->suppress, s->n_suppress, &d[2]);
            for (int c = 0; c < TOP; c++)
                ret[n++] = (struct path){{at[0], at[1], d[2].ids[c]}, d[0].p[a] * d[1].p[b] * d[2].p[c]};
            assert_int_equal(wd_decoder_rewind(g.decoder, 13, NULL), 0);
        }
        assert_int_equal(wd_decoder_rewind(g.decoder, 12, NULL), 0);
    }
    free(z);
}

/* Pearson's statistic of as many answers, against what all_paths() says. */
static double statistic(uint64_t seed, const struct path *paths, const int32_t *draft, uint32_t n_draft)
{
    unsigned count[PATHS] = {0};
    double x = 0;

    for (unsigned i = 0; i < DRAWS; i++) {
        size_t k = 0;

        answer_to(seed, i ? 11 : 0, draft, n_draft, 3);
        assert_int_equal(answer.n, 3);
        while (k < PATHS && (paths[k].ids[0] != answer.tokens[0].id || paths[k].ids[1] != answer.tokens[1].id ||
                             paths[k].ids[2] != answer.tokens[2].id))
            k++;
        assert_in_range(k, 0, PATHS - 1);
        count[k]++;
    }
    for (size_t k = 0; k < PATHS; k++)
        x += pow(count[k] - DRAWS * paths[k].p, 2) / (DRAWS * paths[k].p);
    return x;
}

static void sampled_answers_are_as_likely_with_a_drafter_as_without(void **state)
{
    struct path paths[PATHS];
    int32_t draft[3];
    double sum = 0;

    (void)state;
    open_drafting();
    sampler = (struct wd_sampler){.temperature = 6, .top_k = TOP, .top_p = 1, .state = 77};
    begin_drafting(true, 64);
    g.sampler = &sampler;
    all_paths(3, paths);
    for (size_t k = 0; k < PATHS; k++) {
        sum += paths[k].p;
        assert_true(paths[k].p * DRAWS > 5); /* so that the statistic means something */
    }
    assert_true(fabs(sum - 1) < 1e-9);
    /* 54.05: what chance exceeds once in a thousand, with 26 degrees of freedom; the seeds are fixed. */
    assert_true(statistic(3, paths, NULL, 0) < 54.05);
    assert_true(counted.guessed_right > 50 && counted.guessed_right < counted.guessed);
    print_message("of %u sampled guesses %u were right\n", (unsigned)counted.guessed, (unsigned)counted.guessed_right);
    /* A hypothesis, half of it likely, changes nothing either. */
    memcpy(draft, paths[0].ids, sizeof draft);
    draft[2] = 700;
    assert_true(statistic(3, paths, draft, 3) < 54.05);
    assert_true(counted.accepted > DRAWS / 6);
    end_drafting();
    close_drafting();
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
        cmocka_unit_test(the_greedy_answer_is_the_same_with_a_drafter_and_takes_fewer_passes),
        cmocka_unit_test(sampled_answers_are_as_likely_with_a_drafter_as_without),
    };

    return cmocka_run_group_tests(tests, open_model, close_model);
}
