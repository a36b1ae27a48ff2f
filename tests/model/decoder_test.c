/* tests/model/decoder_test.c - feed, rewind, fork, full contexts, probes, and what is refused before anything was fed. */
#include "model/decoder.h"

#include "tests/model/small_model.h"
#include "tests/no_malloc.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Other groups are other orders of summation. */
#define BOUND 2e-5
#define WINDOW 16 /* of the checkpoint "odd" */
#define MAX_ROWS 96

static char folder[64];
static struct wd_engine *engine;
static uint32_t n_vocab;
static int32_t ids[256];
static float *pcm;    /* [40][640] */
static uint8_t *rgb;  /* 3 x 2 patches */
static float *logits[3];

static int open_model(void **state)
{
    (void)state;
    wd_small_write("odd", true, folder);
    engine = wd_small_open(folder, true, MAX_ROWS);
    n_vocab = wd_engine_shape(engine)->n_vocab;
    assert_int_equal(wd_engine_shape(engine)->window, WINDOW);
    wd_small_ids(1, ids, 256);
    pcm = malloc(40 * 640 * sizeof *pcm);
    wd_small_values(2, pcm, 40 * 640);
    rgb = malloc(6 * 6912);
    for (int i = 0; i < 6 * 6912; i++)
        rgb[i] = (uint8_t)(i * 2654435761u >> 24);
    for (int i = 0; i < 3; i++)
        logits[i] = malloc(4 * n_vocab * sizeof(float));
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        free(logits[i]);
    free(pcm);
    free(rgb);
    wd_engine_free(engine);
    wd_small_remove(folder);
    return 0;
}

static struct wd_decoder *decoder(uint32_t capacity, uint32_t branch)
{
    struct wd_decoder *d;
    struct wd_err err = {0};

    if (wd_decoder_new(engine, capacity, branch, &d, &err) < 0)
        fail_msg("%s", err.text);
    return d;
}

static void feed(struct wd_decoder *d, const int32_t *t, uint32_t n, float *ret_logits)
{
    assert_int_equal(wd_small_feed(engine, d, t, n, ret_logits), 0);
}

static void same_logits(const float *a, const float *b)
{
    double e = wd_small_error(a, b, n_vocab);

    if (!(e < BOUND))
        fail_msg("logits are off by %.3g", e);
}

static struct wd_span picture_span(void)
{
    return (struct wd_span){.kind = WD_SPAN_PICTURE, .n = 6, .rgb = rgb, .grid_w = 3, .grid_h = 2};
}

static void groups_of_any_size_give_the_same_logits(void **state)
{
    const uint32_t sizes[] = {1, 7, 12, 33};
    struct wd_decoder *d = decoder(200, 0);

    (void)state;
    feed(d, ids, 90, logits[0]);
    wd_decoder_free(d);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        d = decoder(200, 0);
        for (uint32_t at = 0, n; at < 90; at += n) {
            n = sizes[i] < 90 - at ? sizes[i] : 90 - at;
            feed(d, ids + at, n, at + n == 90 ? logits[1] : NULL);
        }
        assert_int_equal(wd_decoder_position(d), 90);
        same_logits(logits[1], logits[0]);
        wd_decoder_free(d);
    }
}

static void a_full_context_says_so_and_was_fed_nothing(void **state)
{
    struct wd_decoder *d = decoder(50, 0), *fresh = decoder(50, 0);
    struct wd_span span = {.kind = WD_SPAN_TOKENS, .n = 11, .ids = ids + 40};
    struct wd_pass_part part = {.decoder = d, .spans = &span, .n_spans = 1};
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(wd_decoder_capacity(d), 50);
    feed(d, ids, 40, NULL);
    feed(fresh, ids, 40, NULL);
    assert_int_equal(wd_decoder_pass(engine, &part, 1, &err), -ENOSPC);
    assert_non_null(strstr(err.text, "50"));
    assert_int_equal(wd_decoder_position(d), 40);
    feed(d, ids + 40, 10, logits[0]); /* what fits goes in, and is not disturbed */
    feed(fresh, ids + 40, 10, logits[1]);
    assert_memory_equal(logits[0], logits[1], n_vocab * sizeof(float));
    assert_int_equal(wd_small_feed(engine, d, ids, 1, NULL), -ENOSPC);
    wd_decoder_free(d);
    wd_decoder_free(fresh);
}

static void one_full_decoder_stops_the_whole_pass(void **state)
{
    struct wd_decoder *a = decoder(50, 0), *b = decoder(8, 0);
    struct wd_span span = {.kind = WD_SPAN_TOKENS, .n = 9, .ids = ids};
    struct wd_pass_part parts[2] = {{.decoder = a, .spans = &span, .n_spans = 1}, {.decoder = b, .spans = &span, .n_spans = 1}};

    (void)state;
    assert_int_equal(wd_decoder_pass(engine, parts, 2, NULL), -ENOSPC);
    assert_int_equal(wd_decoder_position(a), 0);
    assert_int_equal(wd_decoder_position(b), 0);
    wd_decoder_free(a);
    wd_decoder_free(b);
}

static void a_context_longer_than_the_models_is_refused(void **state)
{
    struct wd_decoder *d = NULL;
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(wd_decoder_new(engine, wd_engine_shape(engine)->n_context + 1, 0, &d, &err), -EINVAL);
    assert_non_null(strstr(err.text, "8192"));
    assert_int_equal(wd_decoder_new(engine, 0, 0, &d, NULL), -EINVAL);
    assert_null(d);
}

static void after_a_rewind_it_is_as_if_nothing_had_been_said(void **state)
{
    struct wd_decoder *d = decoder(200, 200);
    const uint32_t back[] = {89, 64, 33, 32, 5, 0};

    (void)state;
    feed(d, ids, 90, logits[0]);
    for (size_t i = 0; i < sizeof back / sizeof back[0]; i++) {
        feed(d, ids + 100, 40, NULL); /* something else */
        assert_int_equal(wd_decoder_rewind(d, back[i], NULL), 0);
        assert_int_equal(wd_decoder_position(d), back[i]);
        feed(d, ids + back[i], 90 - back[i], logits[1]);
        same_logits(logits[1], logits[0]);
    }
    wd_decoder_free(d);
}

static void a_rewind_to_the_future_is_refused(void **state)
{
    struct wd_decoder *d = decoder(50, 50);
    struct wd_err err = {0};

    (void)state;
    feed(d, ids, 10, NULL);
    assert_int_equal(wd_decoder_rewind(d, 11, &err), -EINVAL);
    assert_non_null(strstr(err.text, "11"));
    assert_int_equal(wd_decoder_rewind(d, 10, NULL), 0);
    wd_decoder_free(d);
}

static void a_rewind_beyond_the_window_is_refused_in_words(void **state)
{
    struct wd_decoder *d = decoder(2000, 8);
    struct wd_err err = {0};

    (void)state;
    for (int i = 0; i < 5; i++)
        feed(d, ids, 90, NULL);
    assert_int_equal(wd_decoder_rewind(d, 100, &err), -EINVAL);
    assert_non_null(strstr(err.text, "450"));
    assert_int_equal(wd_decoder_position(d), 450);
    assert_int_equal(wd_decoder_rewind(d, 442, NULL), 0);
    wd_decoder_free(d);
}

static void a_picture_is_never_cut_by_a_rewind(void **state)
{
    struct wd_decoder *d = decoder(100, 100);
    struct wd_span spans[3] = {{.kind = WD_SPAN_TOKENS, .n = 4, .ids = ids}, picture_span(), {.kind = WD_SPAN_TOKENS, .n = 3, .ids = ids + 4}};
    struct wd_pass_part part = {.decoder = d, .spans = spans, .n_spans = 3, .n_logits = 1, .ret_logits = logits[0]};
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(wd_decoder_pass(engine, &part, 1, NULL), 0);
    for (uint32_t at = 5; at < 10; at++) {
        assert_int_equal(wd_decoder_rewind(d, at, &err), -EINVAL);
        assert_non_null(strstr(err.text, "picture at 4 to 9"));
    }
    assert_int_equal(wd_decoder_rewind(d, 10, NULL), 0); /* behind it */
    feed(d, ids + 4, 3, logits[1]);
    same_logits(logits[1], logits[0]);
    assert_int_equal(wd_decoder_rewind(d, 4, NULL), 0); /* before it: then it is gone */
    feed(d, ids, 10, NULL);
    assert_int_equal(wd_decoder_rewind(d, 7, NULL), 0);
    wd_decoder_free(d);
}

static void sound_and_pictures_in_pieces_give_what_they_give_at_once(void **state)
{
    struct wd_decoder *a = decoder(100, 0), *b = decoder(100, 0);
    struct wd_span all[4] = {{.kind = WD_SPAN_TOKENS, .n = 3, .ids = ids},
                             {.kind = WD_SPAN_AUDIO, .n = 40, .pcm = pcm},
                             picture_span(),
                             {.kind = WD_SPAN_TOKENS, .n = 2, .ids = ids + 3}};
    struct wd_pass_part part = {.decoder = a, .spans = all, .n_spans = 4, .n_logits = 1, .ret_logits = logits[0]};

    (void)state;
    assert_int_equal(wd_decoder_pass(engine, &part, 1, NULL), 0);
    part.decoder = b;
    part.n_spans = 1;
    for (int i = 0; i < 4; i++) {
        for (uint32_t at = 0, n; at < all[i].n; at += n) {
            struct wd_span piece = all[i];

            n = piece.kind == WD_SPAN_PICTURE ? piece.n : 3 < piece.n - at ? 3 : piece.n - at;
            piece.n = n;
            if (piece.kind == WD_SPAN_TOKENS)
                piece.ids += at;
            else if (piece.kind == WD_SPAN_AUDIO)
                piece.pcm += at * 640;
            part.spans = &piece;
            part.n_logits = i == 3 && at + n == all[i].n;
            part.ret_logits = logits[1];
            assert_int_equal(wd_decoder_pass(engine, &part, 1, NULL), 0);
        }
    }
    assert_int_equal(wd_decoder_position(a), 51);
    assert_int_equal(wd_decoder_position(b), 51);
    same_logits(logits[1], logits[0]);
    wd_decoder_free(a);
    wd_decoder_free(b);
}

static void forks_go_their_own_ways(void **state)
{
    struct wd_decoder *a = decoder(200, 200), *b, *alone = decoder(200, 200);

    (void)state;
    feed(a, ids, 40, NULL);
    assert_int_equal(wd_decoder_fork(a, &b, NULL), 0);
    assert_int_equal(wd_decoder_position(b), 40);
    feed(a, ids + 40, 20, NULL);
    feed(b, ids + 80, 20, NULL);
    feed(a, ids + 60, 1, logits[0]);
    feed(b, ids + 100, 1, logits[1]);
    feed(alone, ids, 40, NULL);
    feed(alone, ids + 80, 21, logits[2]);
    same_logits(logits[1], logits[2]);
    assert_int_equal(wd_decoder_rewind(alone, 40, NULL), 0);
    feed(alone, ids + 40, 21, logits[2]);
    same_logits(logits[0], logits[2]);
    assert_true(wd_small_error(logits[0], logits[1], n_vocab) > 0.01);
    wd_decoder_free(a);
    wd_decoder_free(b);
    wd_decoder_free(alone);
}

static void a_fork_remembers_the_pictures(void **state)
{
    struct wd_decoder *a = decoder(100, 100), *b;
    struct wd_span span = picture_span();
    struct wd_pass_part part = {.decoder = a, .spans = &span, .n_spans = 1};

    (void)state;
    assert_int_equal(wd_decoder_pass(engine, &part, 1, NULL), 0);
    assert_int_equal(wd_decoder_fork(a, &b, NULL), 0);
    assert_int_equal(wd_decoder_rewind(b, 3, NULL), -EINVAL);
    wd_decoder_free(a);
    wd_decoder_free(b);
}

static void decoders_of_one_pass_are_as_if_alone(void **state)
{
    struct wd_decoder *d[3] = {decoder(100, 0), decoder(100, 0), decoder(100, 0)}, *alone = decoder(100, 0);
    struct wd_span spans[3] = {{.kind = WD_SPAN_TOKENS, .n = 5, .ids = ids + 50},
                               {.kind = WD_SPAN_AUDIO, .n = 7, .pcm = pcm},
                               {.kind = WD_SPAN_TOKENS, .n = 1, .ids = ids + 90}};
    struct wd_pass_part parts[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        feed(d[i], ids + i, 20 + (uint32_t)i, NULL);
        parts[i] = (struct wd_pass_part){.decoder = d[i], .spans = &spans[i], .n_spans = 1, .n_logits = 1, .ret_logits = logits[i]};
    }
    parts[1].n_logits = 0; /* one wants none */
    assert_int_equal(wd_decoder_pass(engine, parts, 3, NULL), 0);
    for (int i = 0; i < 3; i += 2) {
        assert_int_equal(wd_decoder_rewind(alone, 0, NULL), 0);
        feed(alone, ids + i, 20 + (uint32_t)i, NULL);
        feed(alone, spans[i].ids, spans[i].n, logits[1]);
        same_logits(logits[i], logits[1]);
    }
    assert_int_equal(wd_decoder_position(d[1]), 28);
    for (int i = 0; i < 3; i++)
        wd_decoder_free(d[i]);
    wd_decoder_free(alone);
}

static void a_probe_is_the_same_for_the_whole_and_in_chunks(void **state)
{
    static const uint16_t heads[3][2] = {{1, 0}, {4, 2}, {0, 1}};
    float whole[6 * 12], pieces[6 * 12], sum;
    struct wd_decoder *a = decoder(100, 0), *b = decoder(100, 0);
    struct wd_span span = {.kind = WD_SPAN_TOKENS, .n = 40, .ids = ids};
    struct wd_attention_probe probe = {.first = 20, .n = 12, .heads = heads, .n_heads = 3, .n_rows = 6, .ret = whole};
    struct wd_pass_part part = {.decoder = a, .spans = &span, .n_spans = 1, .n_logits = 1, .ret_logits = logits[0], .probe = &probe};

    (void)state;
    memset(whole, 0x55, sizeof whole); /* it is written, not added to */
    assert_int_equal(wd_decoder_pass(engine, &part, 1, NULL), 0);
    feed(b, ids, 34, NULL);
    part.decoder = b;
    part.ret_logits = logits[1];
    span.n = 1;
    probe.n_rows = 1;
    for (uint32_t row = 0; row < 6; row++) {
        span.ids = ids + 34 + row;
        probe.ret = pieces + row * 12;
        assert_int_equal(wd_decoder_pass(engine, &part, 1, NULL), 0);
    }
    same_logits(logits[1], logits[0]);
    for (uint32_t row = 0; row < 6; row++) {
        sum = 0;
        for (int k = 0; k < 12; k++) {
            assert_true(whole[row * 12 + (uint32_t)k] >= 0);
            sum += whole[row * 12 + (uint32_t)k];
        }
        assert_true(sum > 0 && sum <= 1.0001f);
    }
    assert_true(wd_small_error(pieces, whole, 6 * 12) < BOUND);
    wd_decoder_free(a);
    wd_decoder_free(b);
}

static void a_probe_of_no_heads_is_the_mean_of_all(void **state)
{
    const struct wd_shape *s = wd_engine_shape(engine);
    static uint16_t heads[256][2];
    float all[6 * 12], mean[6 * 12];
    struct wd_decoder *a = decoder(100, 0), *b = decoder(100, 0);
    struct wd_span span = {.kind = WD_SPAN_TOKENS, .n = 40, .ids = ids};
    struct wd_attention_probe probe = {.first = 20, .n = 12, .n_rows = 6, .ret = all};
    struct wd_pass_part part = {.decoder = a, .spans = &span, .n_spans = 1, .n_logits = 1, .ret_logits = logits[0], .probe = &probe};

    (void)state;
    memset(all, 0x55, sizeof all);
    assert_int_equal(wd_decoder_pass(engine, &part, 1, NULL), 0);
    for (uint16_t l = 0; l < s->n_layers; l++)
        for (uint16_t h = 0; h < s->n_heads; h++, probe.n_heads++) {
            heads[probe.n_heads][0] = l;
            heads[probe.n_heads][1] = h;
        }
    probe.heads = (const uint16_t(*)[2])heads;
    probe.ret = mean;
    part.decoder = b;
    assert_int_equal(wd_decoder_pass(engine, &part, 1, NULL), 0);
    assert_true(wd_small_error(all, mean, 6 * 12) < BOUND);
    assert_true(mean[0] > 0);
    wd_decoder_free(a);
    wd_decoder_free(b);
}

static void traces_hold_embeddings_layers_and_the_norm_of_the_logits_rows(void **state)
{
    const struct wd_shape *s = wd_engine_shape(engine);
    size_t rows = (size_t)(s->n_layers + 2) * 10 * s->d_model;
    struct wd_decoder *a = decoder(50, 0), *b = decoder(50, 0);
    float *layers = malloc(rows * sizeof *layers), *attn = malloc(rows * sizeof *attn), *mlp = malloc(rows * sizeof *mlp);
    struct wd_trace trace = {layers, attn, mlp};
    struct wd_span span = {.kind = WD_SPAN_TOKENS, .n = 10, .ids = ids};
    struct wd_pass_part part = {.decoder = a, .spans = &span, .n_spans = 1, .n_logits = 1, .ret_logits = logits[0], .trace = &trace};

    (void)state;
    for (size_t i = 0; i < rows; i++)
        layers[i] = attn[i] = mlp[i] = -12345;
    assert_int_equal(wd_decoder_pass(engine, &part, 1, NULL), 0);
    feed(b, ids, 10, logits[1]);
    same_logits(logits[0], logits[1]); /* looking on changes nothing */
    for (size_t i = 0; i < rows; i++) {
        assert_true(layers[i] != -12345);
        if (i < (size_t)s->n_layers * 10 * s->d_model)
            assert_true(attn[i] != -12345 && mlp[i] != -12345);
    }
    wd_decoder_free(a);
    wd_decoder_free(b);
    free(layers);
    free(attn);
    free(mlp);
}

/* A pass of one part that must be refused, and leave the decoder where it was. */
static void refused(struct wd_decoder *d, const struct wd_span *spans, uint32_t n, uint32_t n_logits, const char *why)
{
    struct wd_pass_part part = {.decoder = d, .spans = spans, .n_spans = n, .n_logits = n_logits, .ret_logits = logits[0]};
    uint32_t before = wd_decoder_position(d);
    struct wd_err err = {0};

    if (wd_decoder_pass(engine, &part, 1, &err) != -EINVAL)
        fail_msg("expected a refusal because of '%s'", why);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
    assert_int_equal(wd_decoder_position(d), before);
}

static void what_cannot_be_read_is_refused_before_anything_is_fed(void **state)
{
    struct wd_decoder *d = decoder(400, 0);
    int32_t one = -1;
    struct wd_span token = {.kind = WD_SPAN_TOKENS, .n = 1, .ids = &one}, picture = picture_span(), many = {.kind = WD_SPAN_TOKENS, .n = MAX_ROWS + 1, .ids = ids},
                   none = {.kind = WD_SPAN_TOKENS, .n = 0, .ids = ids}, both[2] = {{.kind = WD_SPAN_TOKENS, .n = 4, .ids = ids}, token},
                   odd = {.kind = (enum wd_span_kind)9, .n = 1};

    (void)state;
    feed(d, ids, 5, NULL);
    refused(d, &token, 1, 0, "token -1");
    one = (int32_t)n_vocab;
    refused(d, &token, 1, 0, "not in the vocabulary");
    refused(d, both, 2, 0, "not in the vocabulary");
    one = wd_engine_shape(engine)->image;
    refused(d, &token, 1, 0, "slot");
    one = wd_engine_shape(engine)->audio;
    refused(d, &token, 1, 0, "slot");
    one = 600;
    refused(d, &token, 1, 2, "2 rows of logits");
    refused(d, &none, 1, 0, "without input");
    refused(d, &token, 0, 0, "without input");
    refused(d, &many, 1, 0, "more than 96 rows");
    refused(d, &odd, 1, 0, "unknown kind");
    picture.n = 5;
    refused(d, &picture, 1, 0, "3 x 2");
    picture.grid_w = 0;
    refused(d, &picture, 1, 0, "0 x 2");
    picture.grid_w = picture.n = 1121;
    picture.grid_h = 1;
    refused(d, &picture, 1, 0, "1120 a side");
    wd_decoder_free(d);
}

static void a_decoder_stands_once_in_a_pass(void **state)
{
    struct wd_decoder *d = decoder(50, 0);
    struct wd_span span = {.kind = WD_SPAN_TOKENS, .n = 1, .ids = ids};
    struct wd_pass_part parts[65];
    struct wd_err err = {0};

    (void)state;
    for (int i = 0; i < 65; i++)
        parts[i] = (struct wd_pass_part){.decoder = d, .spans = &span, .n_spans = 1};
    assert_int_equal(wd_decoder_pass(engine, parts, 2, &err), -EINVAL);
    assert_non_null(strstr(err.text, "twice"));
    assert_int_equal(wd_decoder_pass(engine, parts, 0, NULL), -EINVAL);
    assert_int_equal(wd_decoder_pass(engine, parts, 65, NULL), -EINVAL);
    assert_int_equal(wd_decoder_position(d), 0);
    wd_decoder_free(d);
}

static void a_probe_of_more_rows_than_came_is_refused(void **state)
{
    static const uint16_t heads[1][2] = {{1, 0}};
    float room[4] = {0};
    struct wd_decoder *d = decoder(50, 0);
    struct wd_span span = {.kind = WD_SPAN_TOKENS, .n = 1, .ids = ids};
    struct wd_attention_probe probe = {.first = 0, .n = 1, .heads = heads, .n_heads = 1, .n_rows = 2, .ret = room};
    struct wd_pass_part part = {.decoder = d, .spans = &span, .n_spans = 1, .probe = &probe};

    (void)state;
    assert_int_equal(wd_decoder_pass(engine, &part, 1, NULL), -EINVAL);
    assert_int_equal(wd_decoder_position(d), 0);
    wd_decoder_free(d);
}

static void a_model_without_media_refuses_them(void **state)
{
    char text_only[64], file[128];
    struct wd_engine *e;
    struct wd_decoder *d;
    struct wd_span sound = {.kind = WD_SPAN_AUDIO, .n = 1, .pcm = pcm}, picture = picture_span();
    struct wd_pass_part part = {.spans = &sound, .n_spans = 1};
    struct wd_err err = {0};

    (void)state;
    wd_small_write("odd", false, text_only);
    snprintf(file, sizeof file, "%s/mmproj.gguf", text_only);
    assert_int_equal(remove(file), 0);
    e = wd_small_open(text_only, false, 32);
    assert_int_equal(wd_decoder_new(e, 20, 0, &d, NULL), 0);
    part.decoder = d;
    assert_int_equal(wd_decoder_pass(e, &part, 1, &err), -EINVAL);
    assert_non_null(strstr(err.text, "sound"));
    part.spans = &picture;
    assert_int_equal(wd_decoder_pass(e, &part, 1, &err), -EINVAL);
    assert_non_null(strstr(err.text, "pictures"));
    assert_int_equal(wd_small_feed(e, d, ids, 4, logits[0]), 0); /* words go on */
    wd_decoder_free(d);
    wd_engine_free(e);
    wd_small_remove(text_only);
}

static void a_pass_allocates_nothing(void **state)
{
    struct wd_decoder *d;
    unsigned long calls;

    (void)state;
    if (!wd_no_malloc_active())
        skip();
    d = decoder(200, 100);
    feed(d, ids, 60, logits[0]); /* the libraries' own first-time tables */
    wd_no_malloc_begin();
    feed(d, ids, 60, logits[0]);
    for (uint32_t i = 0; i < 20; i++)
        feed(d, ids + i, 1, logits[0]);
    wd_decoder_rewind(d, 100, NULL);
    feed(d, ids, 3, logits[0]);
    calls = wd_no_malloc_end();
    assert_int_equal(calls, 0);
    wd_decoder_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_of_any_size_give_the_same_logits),
        cmocka_unit_test(a_full_context_says_so_and_was_fed_nothing),
        cmocka_unit_test(one_full_decoder_stops_the_whole_pass),
        cmocka_unit_test(a_context_longer_than_the_models_is_refused),
        cmocka_unit_test(after_a_rewind_it_is_as_if_nothing_had_been_said),
        cmocka_unit_test(a_rewind_to_the_future_is_refused),
        cmocka_unit_test(a_rewind_beyond_the_window_is_refused_in_words),
        cmocka_unit_test(a_picture_is_never_cut_by_a_rewind),
        cmocka_unit_test(sound_and_pictures_in_pieces_give_what_they_give_at_once),
        cmocka_unit_test(forks_go_their_own_ways),
        cmocka_unit_test(a_fork_remembers_the_pictures),
        cmocka_unit_test(decoders_of_one_pass_are_as_if_alone),
        cmocka_unit_test(a_probe_is_the_same_for_the_whole_and_in_chunks),
        cmocka_unit_test(a_probe_of_no_heads_is_the_mean_of_all),
        cmocka_unit_test(traces_hold_embeddings_layers_and_the_norm_of_the_logits_rows),
        cmocka_unit_test(what_cannot_be_read_is_refused_before_anything_is_fed),
        cmocka_unit_test(a_decoder_stands_once_in_a_pass),
        cmocka_unit_test(a_probe_of_more_rows_than_came_is_refused),
        cmocka_unit_test(a_model_without_media_refuses_them),
        cmocka_unit_test(a_pass_allocates_nothing),
    };

    return cmocka_run_group_tests(tests, open_model, close_model);
}
