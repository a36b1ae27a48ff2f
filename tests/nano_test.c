/* tests/nano_test.c - the shipped model gives the recorded ids on held-out clips and pictures, whole and in ticks, with drafts and without. */
#include "cli/eval_case.h"
#include "model/engine.h"
#include "model/sampler.h"
#include "pipeline/generate.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CASES TEST_SRCDIR "/tests/nano/cases.jsonl"
/* From the first step whose margin is below it, another order of summation may choose another token. */
#define MARGIN 1e-3

static struct wd_engine *engine;

static int open_model(void **state)
{
    struct wd_engine_opts opts = {.n_threads = 2};
    struct wd_err err = {0};

    (void)state;
    if (wd_engine_open(TEST_SRCDIR "/models/nano.gguf", &opts, &engine, &err) < 0) {
        print_error("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    wd_engine_free(engine);
    return 0;
}

/* Calls fn for every case. */
static unsigned each_case(void (*fn)(const json_t *c, const struct wd_eval_case *e))
{
    FILE *f = fopen(CASES, "r");
    char *line = NULL;
    size_t cap = 0;
    unsigned n = 0;

    assert_non_null(f);
    while (getline(&line, &cap, f) > 0) {
        json_t *c = json_loads(line, 0, NULL);
        char *text = json_dumps(json_object_get(c, "case"), 0);
        struct wd_eval_case *e;
        struct wd_err err = {0};

        if (wd_eval_case_parse(CASES, text, engine, &e, &err) < 0)
            fail_msg("%s", err.text);
        fn(c, e);
        wd_eval_case_free(e);
        free(text);
        json_decref(c);
        n++;
    }
    free(line);
    fclose(f);
    return n;
}

static struct wd_decoder *decoder(void)
{
    struct wd_decoder *d;
    struct wd_err err = {0};

    if (wd_decoder_new(engine, 2048, 512, &d, &err) < 0)
        fail_msg("%s", err.text);
    return d;
}

struct answer_of {
    struct wd_generate g;
    struct wd_job_count count;
    struct wd_answer *answer;
    float *logits;
};

static void begin(struct answer_of *a, uint32_t logit_rows)
{
    memset(a, 0, sizeof *a);
    a->logits = malloc((size_t)logit_rows * wd_engine_shape(engine)->n_vocab * sizeof *a->logits);
    a->answer = calloc(1, sizeof *a->answer);
    a->g = (struct wd_generate){.engine = engine, .decoder = decoder(), .count = &a->count, .logits = a->logits, .logit_rows = logit_rows};
}

static void finish(struct answer_of *a)
{
    wd_decoder_free(a->g.decoder);
    free(a->answer);
    free(a->logits);
}

/* The recorded ids, without the stop id, up to the first uncertain step. */
static void check_answer(const json_t *c, const struct wd_answer *a)
{
    const json_t *ids = json_object_get(c, "greedy"), *margins = json_object_get(c, "margin");
    size_t n = json_array_size(ids);

    for (size_t i = 0; i + 1 < n; i++) {
        if (json_number_value(json_array_get(margins, i)) < MARGIN)
            return;
        if (i >= a->n || a->tokens[i].id != json_integer_value(json_array_get(ids, i)))
            fail_msg("%s: token %zu is %d, recorded was %d", json_string_value(json_object_get(c, "name")), i,
                     i < a->n ? a->tokens[i].id : -1, (int)json_integer_value(json_array_get(ids, i)));
    }
    assert_int_equal(a->n, n - 1);
    assert_int_equal(a->end, WD_JOB_END_STOP);
}

static void whole(const json_t *c, const struct wd_eval_case *e)
{
    struct answer_of a;
    struct wd_err err = {0};
    uint32_t n;
    const struct wd_span *spans = wd_eval_case_spans(e, &n);

    begin(&a, 4);
    assert_int_equal(wd_generate_answer(&a.g, spans, n, 0, NULL, 0, 512, a.answer, NULL, 0, 0, &err), 0);
    check_answer(c, a.answer);
    finish(&a);
}

static void every_case_gives_the_recorded_ids(void **state)
{
    (void)state;
    assert_true(each_case(whole) >= 40);
}

/* A draft is verified, not believed: the right one, one with a wrong token at each place in turn, and one that goes on too long give the same answer. */
static void drafted(const json_t *c, const struct wd_eval_case *e)
{
    struct answer_of a;
    struct wd_err err = {0};
    const json_t *ids = json_object_get(c, "greedy");
    int32_t draft[512];
    uint32_t n, n_draft = (uint32_t)json_array_size(ids) - 1;
    const struct wd_span *spans = wd_eval_case_spans(e, &n);

    if (n_draft > 500)
        return;
    for (uint32_t wrong = 0; wrong <= n_draft; wrong += 1 + n_draft / 4) {
        for (uint32_t i = 0; i < n_draft; i++)
            draft[i] = (int32_t)json_integer_value(json_array_get(ids, i));
        for (uint32_t i = 0; i < 3; i++) /* behind its end */
            draft[n_draft + i] = 300;
        if (wrong < n_draft)
            draft[wrong] = draft[wrong] == 301 ? 302 : 301;
        begin(&a, 8);
        assert_int_equal(wd_generate_answer(&a.g, spans, n, 0, draft, n_draft + 3, 512, a.answer, NULL, 0, 0, &err), 0);
        check_answer(c, a.answer);
        assert_true(a.count.accepted <= a.count.drafted);
        if (wrong >= n_draft)
            assert_true(a.count.accepted >= n_draft);
        finish(&a);
    }
}

static void a_draft_changes_nothing_but_the_number_of_passes(void **state)
{
    (void)state;
    each_case(drafted);
}

static void a_repeated_gram_is_a_loop(void **state)
{
    struct wd_token t[80];

    (void)state;
    for (unsigned i = 0; i < 80; i++)
        t[i].id = (int32_t)i;
    assert_int_equal(wd_generate_loop(t, 80), 0);
    for (unsigned i = 40; i < 80; i++)
        t[i].id = 40 + (int32_t)(i % 4);
    assert_int_equal(wd_generate_loop(t, 80), 36);
    /* "no no no no" is speech. */
    for (unsigned i = 76; i < 80; i++)
        t[i].id = 7;
    assert_int_equal(wd_generate_loop(t, 80), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_gives_the_recorded_ids),
        cmocka_unit_test(a_draft_changes_nothing_but_the_number_of_passes),
        cmocka_unit_test(a_repeated_gram_is_a_loop),
    };

    return cmocka_run_group_tests(tests, open_model, close_model);
}
