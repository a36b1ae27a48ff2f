/* tests/pipeline/align_test.c - word times, on attention that nano really paid and on none at all.
 */
#include "pipeline/align.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define LATE_NS INT64_C(60000000) /* as in models/nano.prompt.yaml */
#define DATA TEST_SRCDIR "/tests/pipeline/data/word_times"
#define SECOND INT64_C(1000000000)
#define T0 (100 * SECOND)

struct recording {
    const char *name;
    struct wd_parse_token tokens[WD_PARSE_MAX_TOKENS];
    uint32_t n_tokens, n_frames;
    float *attention, *speech;
    json_t *ends, *starts, *turn_words;
};

static json_t *index_of_all;
static uint16_t *all;
static size_t n_all;
static struct wd_align *align;
static struct wd_parsed parsed;
static struct wd_align_time times[WD_PARSE_MAX_WORDS];

static int open_data(void **state)
{
    FILE *f = fopen(DATA ".u16", "rb");
    long size;
    (void)state;

    index_of_all = json_load_file(DATA ".json", 0, NULL);
    if (!f || !index_of_all)
        return -1;
    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);
    all = malloc((size_t)size);
    n_all = (size_t)size / 2;
    if (!all || fread(all, 2, n_all, f) != n_all)
        return -1;
    fclose(f);
    return wd_align_new(800, &align, NULL);
}

static int close_data(void **state)
{
    (void)state;
    json_decref(index_of_all);
    free(all);
    align = wd_align_free(align);
    return 0;
}

/* The file is little endian, whatever the machine is. */
static float from_u16(const uint16_t *p)
{
    const unsigned char *b = (const unsigned char *)p;

    return (float)(b[0] | b[1] << 8) / 65535.0f;
}

static void open_recording(size_t i, struct recording *r)
{
    json_t *o = json_array_get(index_of_all, i), *tokens = json_object_get(o, "tokens"),
           *speech = json_object_get(o, "speech");
    size_t at = (size_t)json_integer_value(json_object_get(o, "at"));

    r->name = json_string_value(json_object_get(o, "name"));
    r->n_frames = (uint32_t)json_integer_value(json_object_get(o, "frames"));
    r->n_tokens = (uint32_t)json_array_size(tokens);
    assert_true(r->n_tokens > 0 && r->n_tokens < WD_PARSE_MAX_TOKENS);
    for (uint32_t t = 0; t < r->n_tokens; t++) {
        json_t *pair = json_array_get(tokens, t);

        r->tokens[t].text = json_string_value(json_array_get(pair, 0));
        r->tokens[t].len = (uint32_t)strlen(r->tokens[t].text);
        r->tokens[t].p = (float)json_number_value(json_array_get(pair, 1));
        r->tokens[t].control = false;
    }
    r->attention = malloc((size_t)r->n_tokens * r->n_frames * sizeof(float));
    r->speech = malloc(r->n_frames * sizeof(float));
    assert_non_null(r->attention);
    assert_non_null(r->speech);
    assert_true(at + (size_t)r->n_tokens * r->n_frames <= n_all);
    for (size_t k = 0; k < (size_t)r->n_tokens * r->n_frames; k++)
        r->attention[k] = from_u16(&all[at + k]);
    for (uint32_t f = 0; f < r->n_frames; f++)
        r->speech[f] = (float)json_number_value(json_array_get(speech, f));
    r->ends = json_object_get(o, "ends");
    r->starts = json_object_get(o, "turn_starts");
    r->turn_words = json_object_get(o, "turn_words");
    wd_parse(r->tokens, r->n_tokens, WD_PARSE_STOP,
             &(struct wd_parse_opts){.label = "S{n}: ", .speech_ns = -1}, &parsed);
}

static void close_recording(struct recording *r)
{
    free(r->attention);
    free(r->speech);
}

static void in_order_and_within(uint32_t n_frames)
{
    int64_t at = T0;

    for (uint32_t i = 0; i < parsed.n_words; i++) {
        assert_true(times[i].t0_ns >= at);
        assert_true(times[i].t1_ns > times[i].t0_ns);
        assert_true(times[i].confidence >= 0 && times[i].confidence <= 1.0001f);
        at = times[i].t1_ns;
    }
    assert_true(at <= T0 + n_frames * WD_ALIGN_FRAME_NS);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

struct errors {
    double v[8192];
    size_t n;
};

static double quantile(struct errors *e, double q)
{
    qsort(e->v, e->n, sizeof *e->v, by_size);
    return e->v[(size_t)(q * (double)(e->n - 1))];
}

static void add_errors(const struct recording *r, struct errors *ends, struct errors *starts)
{
    uint32_t word = 0;

    for (uint32_t i = 0; i < parsed.n_words && i < json_array_size(r->ends); i++) {
        double truth = json_number_value(json_array_get(r->ends, i));

        if (truth >= 0)
            ends->v[ends->n++] = fabs((double)(times[i].t1_ns - T0) / 1e9 - truth);
    }
    for (size_t t = 0; t < json_array_size(r->starts) && word < parsed.n_words; t++) {
        starts->v[starts->n++] = fabs((double)(times[word].t0_ns - T0) / 1e9 -
                                      json_number_value(json_array_get(r->starts, t)));
        word += (uint32_t)json_integer_value(json_array_get(r->turn_words, t));
    }
}

static struct errors ends, starts;
static struct recording rec;

/* How well the recordings are met with what is given; says so. */
static void measure(const char *what, bool attention, bool speech, double *ret_median,
                    double *ret_p90)
{
    ends.n = starts.n = 0;
    for (size_t i = 0; i < json_array_size(index_of_all); i++) {
        struct wd_align_in in;

        open_recording(i, &rec);
        in = (struct wd_align_in){.late_ns = LATE_NS, .parsed = &parsed,
                                  .attention = attention ? rec.attention : NULL,
                                  .n_rows = rec.n_tokens,
                                  .n_frames = rec.n_frames,
                                  .speech = speech ? rec.speech : NULL,
                                  .t0_ns = T0};
        assert_int_equal(wd_align_words(align, &in, times, NULL), 0);
        in_order_and_within(rec.n_frames);
        add_errors(&rec, &ends, &starts);
        close_recording(&rec);
    }
    *ret_median = quantile(&ends, 0.5);
    *ret_p90 = quantile(&ends, 0.9);
    print_message("%s: %zu word ends, off by %.0f ms (median), %.0f ms (nine in ten), %.0f ms (99 "
                  "in 100); %zu first words, off by %.0f, %.0f ms\n",
                  what, ends.n, 1e3 * *ret_median, 1e3 * *ret_p90, 1e3 * quantile(&ends, 0.99),
                  starts.n, 1e3 * quantile(&starts, 0.5), 1e3 * quantile(&starts, 0.9));
}

static void word_ends_are_where_they_were_said(void **state)
{
    double median, p90;
    (void)state;

    measure("attention and gate", true, true, &median, &p90);
    assert_true(ends.n >= 100);
    assert_true(median <= 0.035);
    assert_true(p90 <= 0.120);
    assert_true(quantile(&starts, 0.9) <= 0.120);
}

static void without_the_gate_they_still_are(void **state)
{
    double median, p90;
    (void)state;

    measure("attention alone", true, false, &median, &p90);
    assert_true(median <= 0.05);
    assert_true(p90 <= 0.2);
}

static void without_attention_letters_share_the_speech(void **state)
{
    double median, p90;
    (void)state;

    measure("gate alone", false, true, &median, &p90);
    assert_true(median <= 0.25);
}

static void a_word_does_not_lie_in_silence(void **state)
{
    float speech[100] = {0};
    struct wd_parse_token t[] = {{"one", 3, 1, false}, {" two", 4, 1, false}};
    struct wd_align_in in = {.late_ns = LATE_NS, .parsed = &parsed, .n_frames = 100, .speech = speech, .t0_ns = T0};
    (void)state;

    wd_parse(t, 2, WD_PARSE_STOP, &(struct wd_parse_opts){.speech_ns = -1}, &parsed);
    for (int i = 20; i < 30; i++)
        speech[i] = speech[i + 40] = 1;
    assert_int_equal(wd_align_words(align, &in, times, NULL), 0);
    in_order_and_within(100);
    assert_true(times[0].t0_ns == T0 + 20 * WD_ALIGN_FRAME_NS);
    assert_true(times[0].t1_ns <= T0 + 61 * WD_ALIGN_FRAME_NS);
    assert_true(times[1].t1_ns == T0 + 70 * WD_ALIGN_FRAME_NS);
}

static void a_word_without_attention_lies_between_its_neighbours(void **state)
{
    static float attention[3][100];
    struct wd_parse_token t[] = {
        {"one", 3, 1, false}, {" two", 4, 1, false}, {" three", 6, 1, false}};
    struct wd_align_in in = {.late_ns = LATE_NS, .parsed = &parsed,
                             .attention = &attention[0][0],
                             .n_rows = 3,
                             .n_frames = 100,
                             .t0_ns = T0};
    (void)state;

    wd_parse(t, 3, WD_PARSE_STOP, &(struct wd_parse_opts){.speech_ns = -1}, &parsed);
    for (int i = 0; i < 10; i++)
        attention[0][10 + i] = attention[2][60 + i] = 0.09f;
    for (int i = 0; i < 100; i++)
        attention[1][i] = 0.01f; /* everywhere alike: says nothing */
    assert_int_equal(wd_align_words(align, &in, times, NULL), 0);
    in_order_and_within(100);
    assert_true(times[0].confidence > 0.99f && times[2].confidence > 0.99f);
    assert_true(times[1].confidence == 0);
    assert_true(times[1].t0_ns >= times[0].t1_ns && times[1].t1_ns <= times[2].t0_ns + 100000000);
    /* Only the last has any. */
    memset(attention, 0, sizeof attention[0] * 2);
    assert_int_equal(wd_align_words(align, &in, times, NULL), 0);
    in_order_and_within(100);
    assert_true(times[1].t1_ns <= times[2].t0_ns && times[2].t0_ns >= T0 + 55 * WD_ALIGN_FRAME_NS);
    /* Fewer rows than tokens. */
    in.n_rows = 1;
    assert_int_equal(wd_align_words(align, &in, times, NULL), 0);
    in_order_and_within(100);
}

static void a_word_is_over_in_the_tick_that_first_heard_it(void **state)
{
    struct wd_parse_token t[] = {
        {"one", 3, 1, false}, {" two", 4, 1, false}, {" three", 6, 1, false}};
    uint32_t seen[3] = {12, 12, 100};
    struct wd_align_in in = {.late_ns = LATE_NS, .parsed = &parsed, .n_frames = 100, .seen = seen, .t0_ns = T0};
    static float attention[3][100];
    (void)state;

    wd_parse(t, 3, WD_PARSE_STOP, &(struct wd_parse_opts){.speech_ns = -1}, &parsed);
    for (int i = 0; i < 10; i++)
        attention[0][i] = attention[2][90 + i] = attention[1][80 + i] = 0.09f;
    attention[1][8] = 0.03f;
    in.attention = &attention[0][0];
    in.n_rows = 3;
    assert_int_equal(wd_align_words(align, &in, times, NULL), 0);
    in_order_and_within(100);
    assert_true(times[1].t1_ns <= T0 + 12 * WD_ALIGN_FRAME_NS);
}

static void seen_goes_on_while_a_word_stays(void **state)
{
    static struct wd_parsed before;
    struct wd_parse_token a[] = {{"one", 3, 1, false}, {" to", 3, 1, false}};
    struct wd_parse_token b[] = {
        {"one", 3, 1, false}, {",", 1, 1, false}, {" two", 4, 1, false}, {" three", 6, 1, false}};
    uint32_t seen[3] = {0};
    (void)state;

    wd_parse(a, 2, WD_PARSE_STOP, &(struct wd_parse_opts){.speech_ns = -1}, &before);
    wd_parse(b, 4, WD_PARSE_STOP, &(struct wd_parse_opts){.speech_ns = -1}, &parsed);
    wd_align_seen(NULL, NULL, &before, 12, seen);
    assert_int_equal(seen[0], 12);
    assert_int_equal(seen[1], 12);
    wd_align_seen(&before, seen, &parsed, 24, seen);
    assert_int_equal(seen[0], 12);
    assert_int_equal(seen[1], 24);
    assert_int_equal(seen[2], 24);
}

static void odd_numbers_do_no_harm(void **state)
{
    static struct wd_parse_token t[600];
    static float attention[600 * 40], speech[40];
    static char text[600][8];
    uint32_t seed = 20251125;
    (void)state;

    for (int round = 0; round < 400; round++) {
        uint32_t n = seed % 600, frames = 1 + (seed >> 10) % 40;
        static uint32_t seen[WD_PARSE_MAX_WORDS];
        struct wd_align_in in = {.late_ns = LATE_NS, .parsed = &parsed,
                                 .attention = attention,
                                 .n_rows = n,
                                 .n_frames = frames,
                                 .speech = speech,
                                 .seen = seen,
                                 .t0_ns = T0};

        if (round % 2)
            n %= 20;
        in.n_rows = n;
        for (uint32_t i = 0; i < n; i++) {
            snprintf(text[i], sizeof text[i], "%s%u", i % 3 ? " x" : "y", i);
            t[i] = (struct wd_parse_token){text[i], (uint32_t)strlen(text[i]), 1, false};
        }
        for (uint32_t i = 0; i < n * frames && i < 600 * 40; i++) {
            seed = seed * 1664525 + 1013904223;
            attention[i] = seed >> 28 == 0   ? NAN
                           : seed >> 28 == 1 ? INFINITY
                           : seed >> 28 == 2 ? -1
                           : seed >> 28 < 12 ? 0
                                             : (float)(seed >> 8) / 1.7e7f;
        }
        for (uint32_t i = 0; i < frames; i++)
            speech[i] = i % 5 == 0 ? NAN : (float)(i % 3);
        for (uint32_t i = 0; i < WD_PARSE_MAX_WORDS; i++)
            seen[i] = (seed >> (i % 20)) % 50;
        wd_parse(t, n, WD_PARSE_STOP, &(struct wd_parse_opts){.speech_ns = -1}, &parsed);
        assert_int_equal(wd_align_words(align, &in, times, NULL), 0);
        in_order_and_within(frames);
        seed = seed * 1664525 + 1013904223;
    }
}

static void a_window_too_long_is_refused(void **state)
{
    struct wd_parse_token t = {"one", 3, 1, false};
    struct wd_align_in in = {.late_ns = LATE_NS, .parsed = &parsed, .n_frames = 801};
    struct wd_align *a = NULL;
    struct wd_err err = {0};
    (void)state;

    wd_parse(&t, 1, WD_PARSE_STOP, &(struct wd_parse_opts){.speech_ns = -1}, &parsed);
    assert_int_equal(wd_align_words(align, &in, times, &err), -EINVAL);
    assert_non_null(strstr(err.text, "801 frames"));
    in.n_frames = 0;
    assert_int_equal(wd_align_words(align, &in, times, &err), -EINVAL);
    parsed.n_words = 0;
    assert_int_equal(wd_align_words(align, &in, times, &err), 0);
    assert_int_equal(wd_align_new(0, &a, &err), -EINVAL);
    assert_int_equal(wd_align_new(2000, &a, &err), -EINVAL);
    assert_null(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(word_ends_are_where_they_were_said),
        cmocka_unit_test(without_the_gate_they_still_are),
        cmocka_unit_test(without_attention_letters_share_the_speech),
        cmocka_unit_test(a_word_does_not_lie_in_silence),
        cmocka_unit_test(a_word_without_attention_lies_between_its_neighbours),
        cmocka_unit_test(a_word_is_over_in_the_tick_that_first_heard_it),
        cmocka_unit_test(seen_goes_on_while_a_word_stays),
        cmocka_unit_test(odd_numbers_do_no_harm),
        cmocka_unit_test(a_window_too_long_is_refused),
    };

    return cmocka_run_group_tests_name("pipeline/align", tests, open_data, close_data);
}
