/* tests/golden_test.c - the engine against what the reference implementation computes, at every tensor recorded in tests/golden. */
#include "model/decoder.h"
#include "model/embed.h"
#include "model/engine.h"
#include "model/gemma4.h"
#include "model/sampler.h"
#include "model/tensor_file.h"
#include "pipeline/clip.h"
#include "pipeline/picture.h"
#include "tests/golden/checkpoint.h"
#include "tests/golden/pictures.h"

#include <errno.h>
#include <jansson.h>
#include <libavutil/mem.h>
#include <libavutil/sha.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Relative: |a - b| / |b| over a tensor. */
#define BOUND 2e-5
/* From the first step whose margin is below it, the reference's own noise may choose another token. */
#define MARGIN 5e-3
#define MAX_ROWS 512
#define MAX_SPANS 32

static char work[256];
static const char *const form_names[2] = {"gguf", "hf"};

struct worst {
    double error;
    char name[96];
};
static struct worst worst[8]; /* embed, attn, mlp, layer, norm, logits, rows, other */
static const char *const worst_names[8] = {"embed", "attn", "mlp", "layer", "norm", "logits", "rows", "groups"};

static void note(unsigned kind, double error, const char *file, const char *tensor)
{
    if (error >= worst[kind].error) {
        worst[kind].error = error;
        snprintf(worst[kind].name, sizeof worst[kind].name, "%s %s", file, tensor);
    }
}

static double relative(const float *a, const float *b, size_t n)
{
    double d = 0, s = 0;

    for (size_t i = 0; i < n; i++) {
        d += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        s += (double)b[i] * (double)b[i];
    }
    /* Silence has zero rows: equal, or all wrong. */
    return s > 0 ? sqrt(d / s) : d > 0 ? 1 : 0;
}

static void check(unsigned kind, const char *file, const char *tensor, const float *got, const float *want, size_t n)
{
    double e = relative(got, want, n);

    note(kind, e, file, tensor);
    if (!(e <= BOUND))
        fail_msg("%s: %s is off by %.3g, allowed is %.3g", file, tensor, e, BOUND);
}

/* ---- checkpoints: written once a run ---- */

static const char *folder_of(const char *checkpoint, bool hf)
{
    static char path[512];

    snprintf(path, sizeof path, "%s/%s-%s", work, checkpoint, form_names[hf]);
    return path;
}

static struct wd_engine *open_checkpoint(const char *checkpoint, bool hf)
{
    struct wd_engine_opts opts = {.n_threads = 2};
    struct wd_engine *e;
    struct wd_err err = {0};
    char path[600];

    snprintf(path, sizeof path, "%s%s", folder_of(checkpoint, hf), hf ? "" : "/text.gguf");
    if (mkdir(folder_of(checkpoint, hf), 0700) == 0)
        if (wd_checkpoint_write(checkpoint, folder_of(checkpoint, hf), hf, &err) < 0)
            fail_msg("%s", err.text);
    if (wd_engine_open(path, &opts, &e, &err) < 0)
        fail_msg("%s", err.text);
    return e;
}

static json_t *load_cases(void)
{
    json_error_t je;
    json_t *j = json_load_file(TEST_SRCDIR "/tests/golden/cases.json", 0, &je);

    if (!j)
        fail_msg("cases.json: %s", je.text);
    return j;
}

static const char *str(const json_t *j, const char *key)
{
    return json_string_value(json_object_get(j, key));
}

static double num(const json_t *j, const char *key)
{
    return json_number_value(json_object_get(j, key));
}

struct vectors {
    struct wd_tensor_file *f;
    const char *name;
};

static struct vectors open_vectors(const json_t *c)
{
    struct vectors v = {.name = str(c, "file")};
    struct wd_err err = {0};
    char path[512];

    snprintf(path, sizeof path, TEST_SRCDIR "/tests/golden/vectors/%s", v.name);
    if (wd_tensor_file_open_data(path, &v.f, &err) < 0)
        fail_msg("%s", err.text);
    return v;
}

static const void *get(const struct vectors *v, const char *name, size_t *ret_n)
{
    const struct wd_tensor *t = wd_tensor_file_find(v->f, name);

    if (ret_n)
        *ret_n = 0;
    if (!t)
        return NULL;
    if (ret_n)
        *ret_n = t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3];
    return t->data;
}

static const void *need(const struct vectors *v, const char *name, size_t *ret_n)
{
    const void *p = get(v, name, ret_n);

    if (!p)
        fail_msg("%s has no %s", v->name, name);
    return p;
}

static struct wd_span ids_span(const int32_t *ids, size_t n)
{
    return (struct wd_span){.kind = WD_SPAN_TOKENS, .ids = ids, .n = (uint32_t)n};
}

static void feed(struct wd_engine *e, struct wd_decoder *d, const struct wd_span *spans, uint32_t n_spans, uint32_t n_logits,
                 float *logits, const struct wd_trace *trace)
{
    struct wd_pass_part part = {.decoder = d, .spans = spans, .n_spans = n_spans, .n_logits = n_logits, .ret_logits = logits,
                                .trace = trace};
    struct wd_err err = {0};

    if (wd_decoder_pass(e, &part, 1, &err) < 0)
        fail_msg("%s", err.text);
}

static struct wd_decoder *decoder(struct wd_engine *e)
{
    struct wd_decoder *d;
    struct wd_err err = {0};

    if (wd_decoder_new(e, 1024, 64, &d, &err) < 0)
        fail_msg("%s", err.text);
    return d;
}

/* Greedy tokens from the logits of the last row on, as the reference wrote them: no stop tokens, the suppressed left out. */
static void check_greedy(struct wd_engine *e, struct wd_decoder *d, const struct vectors *v, float *logits)
{
    const struct wd_shape *s = wd_engine_shape(e);
    size_t n;
    const int32_t *ids = need(v, "greedy.ids", &n);
    const float *margin = need(v, "greedy.margin", NULL);

    for (size_t i = 0; i < n && (double)margin[i] >= MARGIN; i++) {
        struct wd_choice c = wd_sampler_greedy(logits, s->n_vocab, s->suppress, s->n_suppress);
        struct wd_span span;

        if (c.id != ids[i])
            fail_msg("%s: greedy token %zu is %d, the reference has %d (margin %g)", v->name, i, c.id, ids[i], (double)margin[i]);
        assert_true(fabsf(c.margin - margin[i]) < 2e-3f);
        span = ids_span(&c.id, 1);
        feed(e, d, &span, 1, 1, logits, NULL);
    }
}

/* ---- text ---- */

static void text_case(const json_t *c, bool hf)
{
    struct vectors v = open_vectors(c);
    struct wd_engine *e = open_checkpoint(str(c, "checkpoint"), hf);
    const struct wd_shape *s = wd_engine_shape(e);
    struct wd_decoder *d = decoder(e);
    size_t n, dm = s->d_model, len;
    const int32_t *ids = need(&v, "ids", &n), *at = get(&v, "logits.at", &len);
    float *logits = malloc(n * s->n_vocab * sizeof *logits);
    struct wd_trace t = {
        .layers = malloc((s->n_layers + 2) * n * dm * sizeof(float)),
        .attn = malloc(s->n_layers * n * dm * sizeof(float)),
        .mlp = malloc(s->n_layers * n * dm * sizeof(float)),
    };
    struct wd_span span = ids_span(ids, n);
    const float *want;
    char name[32];

    feed(e, d, &span, 1, (uint32_t)n, logits, &t);
    if ((want = get(&v, "embed", NULL)))
        check(0, v.name, "embed", t.layers, want, n * dm);
    for (uint32_t l = 0; l < s->n_layers; l++) {
        const float *x = t.layers + (l + 1) * n * dm;

        snprintf(name, sizeof name, "attn.%u", l);
        if ((want = get(&v, name, NULL)))
            check(1, v.name, name, t.attn + l * n * dm, want, n * dm);
        snprintf(name, sizeof name, "mlp.%u", l);
        if ((want = get(&v, name, NULL)))
            check(2, v.name, name, t.mlp + l * n * dm, want, n * dm);
        snprintf(name, sizeof name, "layer.%u", l);
        if ((want = get(&v, name, NULL)))
            check(3, v.name, name, x, want, n * dm);
        snprintf(name, sizeof name, "layer.%u.last", l);
        if ((want = get(&v, name, NULL)))
            check(3, v.name, name, x + (n - 1) * dm, want, dm);
    }
    if ((want = get(&v, "norm", NULL)))
        check(4, v.name, "norm", t.layers + (s->n_layers + 1) * n * dm, want, n * dm);
    if ((want = get(&v, "norm.last", NULL)))
        check(4, v.name, "norm.last", t.layers + ((s->n_layers + 1) * n + n - 1) * dm, want, dm);
    want = need(&v, "logits", NULL);
    if (at)
        for (size_t i = 0; i < len; i++)
            check(5, v.name, "logits", logits + (size_t)at[i] * s->n_vocab, want + i * s->n_vocab, s->n_vocab);
    else
        check(5, v.name, "logits", logits, want, n * s->n_vocab);
    check_greedy(e, d, &v, logits + (n - 1) * s->n_vocab);

    free(logits);
    free(t.layers);
    free(t.attn);
    free(t.mlp);
    wd_decoder_free(d);
    wd_engine_free(e);
    wd_tensor_file_free(v.f);
}

static void every_layer_of_every_text_prompt_agrees(void **state)
{
    json_t *cases = load_cases(), *c;
    size_t i;

    (void)state;
    json_array_foreach(cases, i, c)
        if (strcmp(str(c, "kind"), "text") == 0) {
            text_case(c, true);
            if (strcmp(str(c, "checkpoint"), "separate") != 0) /* a GGUF cannot say that there is no soft cap */
                text_case(c, false);
        }
    json_decref(cases);
}

/* ---- pictures, video, sound ---- */

struct media {
    uint8_t *rgb[8];
    uint32_t w[8], h[8], budget[8];
    unsigned n, n_images; /* the frames of a video are behind the pictures */
    float *pcm[4];
    uint32_t frames[4];
    unsigned n_clips;
};

static void add_picture(struct media *m, const char *kind, uint32_t w, uint32_t h, uint64_t seed, uint32_t budget)
{
    uint8_t *src = malloc((size_t)w * h * 3);
    struct wd_picture_resizer *r;
    struct wd_err err = {0};
    unsigned i = m->n++;

    m->budget[i] = budget;
    assert_int_equal(wd_golden_picture(kind, w, h, seed, src), 0);
    assert_int_equal(wd_picture_size(w, h, budget, &m->w[i], &m->h[i]), 0);
    m->rgb[i] = malloc((size_t)m->w[i] * m->h[i] * 3);
    assert_int_equal(wd_picture_resizer_new(&r, &err), 0);
    assert_int_equal(wd_picture_resize(r, src, (size_t)w * 3, w, h, m->rgb[i], m->w[i], m->h[i], &err), 0);
    wd_picture_resizer_free(r);
    free(src);
}

static void load_media(const json_t *c, const struct vectors *v, struct media *m)
{
    const json_t *video = json_object_get(c, "video"), *p;
    uint32_t budget = (uint32_t)num(c, "budget");
    size_t i;

    memset(m, 0, sizeof *m);
    json_array_foreach(json_object_get(c, "pictures"), i, p)
        add_picture(m, str(p, "kind"), (uint32_t)num(p, "w"), (uint32_t)num(p, "h"), (uint64_t)num(p, "seed"), budget);
    m->n_images = m->n;
    if (video)
        for (unsigned k = 0, n = (unsigned)num(video, "num_frames"); k < n; k++)
            add_picture(m, str(video, "kind"), (uint32_t)num(video, "w"), (uint32_t)num(video, "h"),
                        (uint64_t)num(video, "seed") + wd_clip_frame(k, n, (uint64_t)num(video, "total")), WD_CLIP_BUDGET);
    for (;;) {
        char name[16];
        const struct wd_tensor *t;
        size_t n;

        snprintf(name, sizeof name, "pcm.%u", m->n_clips);
        t = wd_tensor_file_find(v->f, name);
        if (!t)
            return;
        n = t->dims[0];
        m->frames[m->n_clips] = (uint32_t)((n + 639) / 640);
        m->pcm[m->n_clips] = calloc((size_t)m->frames[m->n_clips] * 640, sizeof(float));
        for (size_t k = 0; k < n; k++)
            m->pcm[m->n_clips][k] =
                t->type == WD_DATA_I16 ? (float)((const int16_t *)t->data)[k] / 32768.0f : ((const float *)t->data)[k];
        m->n_clips++;
    }
}

/* Runs of the same type become spans, each medium in turn. */
static uint32_t media_spans(const struct vectors *v, const struct media *m, struct wd_span *spans)
{
    size_t n;
    const int32_t *ids = need(v, "ids", &n), *types = need(v, "types", NULL);
    uint32_t n_spans = 0, picture = 0, clip = 0;

    for (size_t i = 0, end; i < n; i = end) {
        struct wd_span *s = &spans[n_spans++];

        for (end = i; end < n && types[end] == types[i]; end++)
            ;
        if (types[i] == 0) {
            *s = ids_span(ids + i, end - i);
        } else if (types[i] == 3) {
            *s = (struct wd_span){.kind = WD_SPAN_AUDIO, .n = (uint32_t)(end - i), .pcm = m->pcm[clip]};
            assert_int_equal(s->n, m->frames[clip++]);
        } else {
            *s = (struct wd_span){.kind = WD_SPAN_PICTURE, .n = (uint32_t)(end - i), .rgb = m->rgb[picture],
                                  .grid_w = m->w[picture] / 48, .grid_h = m->h[picture] / 48, .video = types[i] == 2};
            assert_int_equal(s->n, s->grid_w * s->grid_h);
            picture++;
        }
        assert_true(n_spans < MAX_SPANS);
    }
    return n_spans;
}

static void sha_is(const json_t *c, const char *key, const void *data, size_t n)
{
    struct AVSHA *sha = av_sha_alloc();
    uint8_t sum[32];
    char text[65];

    av_sha_init(sha, 256);
    av_sha_update(sha, data, n);
    av_sha_final(sha, sum);
    av_free(sha);
    for (int i = 0; i < 32; i++)
        snprintf(text + 2 * i, 3, "%02x", sum[i]);
    if (!str(c, key) || strcmp(text, str(c, key)) != 0)
        fail_msg("%s: %s is not the recorded one", str(c, "file"), key);
}

/* Values and places of the patches, bit for bit; the reference fills both up to the budget. */
static void check_pixels(const json_t *c, const struct media *m, bool video)
{
    unsigned from = video ? m->n_images : 0, to = video ? m->n : m->n_images;
    size_t at = 0, room = 0;
    float *values;
    int32_t *places;

    for (unsigned i = from; i < to; i++)
        room += m->budget[i];
    if (!room)
        return;
    values = calloc(room * WD_PATCH_VALUES, sizeof *values);
    places = malloc(room * 2 * sizeof *places);
    for (unsigned i = from; i < to; i++) {
        uint32_t gw = m->w[i] / 48, gh = m->h[i] / 48;

        for (uint32_t k = 0; k < m->budget[i]; k++, at++) {
            bool there = k < gw * gh;

            places[2 * at] = there ? (int32_t)(k % gw) : -1;
            places[2 * at + 1] = there ? (int32_t)(k / gw) : -1;
            if (there)
                wd_embed_patch(m->rgb[i], gw, k % gw, k / gw, video, false, values + at * WD_PATCH_VALUES);
        }
    }
    sha_is(c, video ? "pixel_values_videos_sha256" : "pixel_values_sha256", values, room * WD_PATCH_VALUES * sizeof *values);
    sha_is(c, video ? "video_position_ids_sha256" : "image_position_ids_sha256", places, room * 2 * sizeof *places);
    free(values);
    free(places);
}

/* The ids between the frames of a video are its times: in these checkpoints a digit d is 946 + d, ':' is 959, a space 893. */
static void check_times(const json_t *c, const struct vectors *v)
{
    const json_t *video = json_object_get(c, "video");
    const int32_t *ids, *types;
    size_t n, at = 0;

    if (!video)
        return;
    ids = need(v, "ids", &n);
    types = need(v, "types", NULL);
    for (unsigned k = 0, frames = (unsigned)num(video, "num_frames"); k < frames; k++) {
        char time[16];
        size_t len;

        while (at < n && types[at] != 2)
            at++;
        wd_clip_time(wd_clip_frame(k, frames, (uint64_t)num(video, "total")), num(video, "fps"), time, sizeof time);
        len = strlen(time);
        assert_true(at < n && at >= len + 3);
        assert_int_equal(ids[at - 1], 1000);
        assert_int_equal(ids[at - 2], 893);
        for (size_t i = 0; i < len; i++)
            assert_int_equal(ids[at - 2 - len + i], time[i] == ':' ? 959 : 946 + (time[i] - '0'));
        assert_int_equal(ids[at - 3 - len], k == 0 && ids[at - 3 - len] == 107 ? 107 : 893);
        while (at < n && types[at] == 2)
            at++;
        assert_int_equal(ids[at], 1004);
    }
    while (at < n)
        assert_int_not_equal(types[at++], 2);
}

static void media_case(const json_t *c, bool hf)
{
    struct vectors v = open_vectors(c);
    struct wd_engine *e = open_checkpoint(str(c, "checkpoint"), hf);
    const struct wd_shape *s = wd_engine_shape(e);
    struct wd_decoder *d = decoder(e);
    struct media m;
    struct wd_span spans[MAX_SPANS];
    size_t n, n_last, dm = s->d_model, at = 0;
    const int32_t *types = need(&v, "types", &n);
    const float *want = need(&v, "logits.last", &n_last), *rows;
    float *logits, *soft = malloc(n * dm * sizeof *soft);
    struct wd_trace t = {.layers = malloc((s->n_layers + 2) * n * dm * sizeof(float))};
    uint32_t n_spans;

    load_media(c, &v, &m);
    check_times(c, &v);
    check_pixels(c, &m, false);
    check_pixels(c, &m, true);
    n_spans = media_spans(&v, &m, spans);
    n_last /= s->n_vocab;
    logits = malloc(n_last * s->n_vocab * sizeof *logits);
    feed(e, d, spans, n_spans, (uint32_t)n_last, logits, &t);

    for (size_t i = 0; i < n; i++)
        if (types[i] > 0) {
            memcpy(soft + at, t.layers + i * dm, dm * sizeof *soft);
            at += dm;
        }
    if ((rows = get(&v, "rows", NULL)))
        check(6, v.name, "rows", soft, rows, at);
    else
        for (unsigned k = 0, from = 0; k < m.n_clips; k++) {
            char name[16];

            snprintf(name, sizeof name, "rows.%u", k);
            check(6, v.name, name, soft + from, need(&v, name, NULL), m.frames[k] * dm);
            from += m.frames[k] * (unsigned)dm;
        }
    check(4, v.name, "norm.last", t.layers + ((s->n_layers + 1) * n + n - n_last) * dm, need(&v, "norm.last", NULL), n_last * dm);
    check(5, v.name, "logits.last", logits, want, n_last * s->n_vocab);
    check_greedy(e, d, &v, logits + (n_last - 1) * s->n_vocab);

    for (unsigned i = 0; i < m.n; i++)
        free(m.rgb[i]);
    for (unsigned i = 0; i < m.n_clips; i++)
        free(m.pcm[i]);
    free(logits);
    free(soft);
    free(t.layers);
    wd_decoder_free(d);
    wd_engine_free(e);
    wd_tensor_file_free(v.f);
}

static void pictures_video_and_sound_agree(void **state)
{
    json_t *cases = load_cases(), *c;
    size_t i;

    (void)state;
    json_array_foreach(cases, i, c)
        if (strcmp(str(c, "kind"), "media") == 0) {
            media_case(c, true);
            media_case(c, false);
        }
    json_decref(cases);
}

/* ---- the same prompt in pieces, cut and continued, in a fork ---- */

static void in_groups(struct wd_engine *e, struct wd_decoder *d, const int32_t *ids, size_t n, size_t group, float *logits)
{
    const struct wd_shape *s = wd_engine_shape(e);

    for (size_t at = 0; at < n; at += group) {
        size_t now = n - at < group ? n - at : group;
        struct wd_span span = ids_span(ids + at, now);

        feed(e, d, &span, 1, (uint32_t)now, logits + at * s->n_vocab, NULL);
    }
}

static void cache_case(const json_t *c, bool hf)
{
    static const size_t groups[] = {1, 7, 12, MAX_ROWS};
    struct vectors v = open_vectors(c);
    struct wd_engine *e = open_checkpoint(str(c, "checkpoint"), hf);
    const struct wd_shape *s = wd_engine_shape(e);
    size_t n, len;
    const int32_t *ids = need(&v, "ids", &n);
    const float *want = need(&v, "logits", NULL);
    float *logits = malloc(n * s->n_vocab * sizeof *logits), *whole = malloc(n * s->n_vocab * sizeof *whole);
    struct wd_err err = {0};
    struct wd_decoder *d, *fork;

    d = decoder(e);
    in_groups(e, d, ids, n, MAX_ROWS, whole);
    check(5, v.name, "logits", whole, want, n * s->n_vocab);

    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        struct wd_decoder *p = decoder(e);
        char what[32];

        snprintf(what, sizeof what, "groups of %zu", groups[g]);
        in_groups(e, p, ids, n, groups[g], logits);
        check(7, v.name, what, logits, whole, n * s->n_vocab);
        /* Back by every part of the longest branch, and the same again. */
        for (uint32_t back = 1; back <= 64 && back < n; back += 9) {
            assert_int_equal(wd_decoder_rewind(p, (uint32_t)n - back, &err), 0);
            in_groups(e, p, ids + n - back, back, groups[g], logits);
            check(7, v.name, "after a rewind", logits, whole + (n - back) * s->n_vocab, back * s->n_vocab);
        }
        wd_decoder_free(p);
    }

    /* A fork goes another way; neither notices the other. */
    assert_int_equal(wd_decoder_rewind(d, (uint32_t)n - 20, &err), 0);
    assert_int_equal(wd_decoder_fork(d, &fork, &err), 0);
    in_groups(e, fork, ids, 20, 3, logits);
    in_groups(e, d, ids + n - 20, 20, 7, logits);
    check(7, v.name, "beside a fork", logits, whole + (n - 20) * s->n_vocab, 20 * s->n_vocab);
    assert_int_equal(wd_decoder_rewind(fork, (uint32_t)n - 20, &err), 0);
    wd_decoder_free(d);
    in_groups(e, fork, ids + n - 20, 20, 5, logits);
    check(7, v.name, "in a fork that outlived its parent", logits, whole + (n - 20) * s->n_vocab, 20 * s->n_vocab);
    wd_decoder_free(fork);

    /* Cut and continued another way, as recorded. */
    for (uint32_t crop = 1; crop < n; crop++) {
        char name[32];
        const int32_t *tail;

        snprintf(name, sizeof name, "crop.%u.tail", crop);
        tail = get(&v, name, &len);
        if (!tail)
            continue;
        /* A branch this long must have been announced. */
        if (wd_decoder_new(e, 1024, (uint32_t)n, &d, &err) < 0)
            fail_msg("%s", err.text);
        in_groups(e, d, ids, n, 12, logits);
        assert_int_equal(wd_decoder_rewind(d, crop, &err), 0);
        in_groups(e, d, tail, len, 4, logits);
        snprintf(name, sizeof name, "crop.%u.logits", crop);
        check(5, v.name, name, logits, need(&v, name, NULL), len * s->n_vocab);
        wd_decoder_free(d);
    }
    free(logits);
    free(whole);
    wd_engine_free(e);
    wd_tensor_file_free(v.f);
}

static void groups_rewinds_and_forks_give_the_same_logits(void **state)
{
    json_t *cases = load_cases(), *c;
    size_t i;

    (void)state;
    json_array_foreach(cases, i, c)
        if (strcmp(str(c, "kind"), "cache") == 0)
            cache_case(c, true);
    json_decref(cases);
}

/* Several decoders in one pass read the weights once and get what each would get alone. */
static void decoders_in_one_pass_do_not_see_each_other(void **state)
{
    struct wd_engine *e = open_checkpoint("tiny", true);
    const struct wd_shape *s = wd_engine_shape(e);
    struct wd_decoder *d[3];
    static const int32_t ids[3][9] = {{2, 500, 501, 502, 503, 504, 505, 506, 507},
                                      {2, 700, 700, 699, 698, 611, 612, 613, 614},
                                      {2, 999, 998, 900, 901, 902, 903, 904, 905}};
    float *alone = malloc(3 * s->n_vocab * sizeof *alone), *together = malloc(3 * s->n_vocab * sizeof *together);
    struct wd_pass_part parts[3];
    struct wd_span spans[3];
    struct wd_err err = {0};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct wd_decoder *one = decoder(e);

        spans[i] = ids_span(ids[i], (size_t)(5 + 2 * i));
        feed(e, one, &spans[i], 1, 1, alone + i * s->n_vocab, NULL);
        wd_decoder_free(one);
        d[i] = decoder(e);
        parts[i] = (struct wd_pass_part){.decoder = d[i], .spans = &spans[i], .n_spans = 1, .n_logits = 1,
                                         .ret_logits = together + i * s->n_vocab};
    }
    assert_int_equal(wd_decoder_pass(e, parts, 3, &err), 0);
    check(7, "tiny", "three in one pass", together, alone, 3 * s->n_vocab);
    for (int i = 0; i < 3; i++)
        wd_decoder_free(d[i]);
    free(alone);
    free(together);
    wd_engine_free(e);
}

static void a_bad_input_is_refused_and_feeds_nothing(void **state)
{
    struct wd_engine *e = open_checkpoint("tiny", true);
    struct wd_decoder *d = decoder(e);
    static const int32_t good[3] = {2, 500, 501}, outside[3] = {2, 1024, 5}, slot[3] = {2, 1002, 5}, negative[3] = {2, -1, 5};
    const int32_t *bad[3] = {outside, slot, negative};
    struct wd_span span = ids_span(good, 3);
    struct wd_pass_part part = {.decoder = d, .spans = &span, .n_spans = 1};
    struct wd_err err = {0};

    (void)state;
    for (int i = 0; i < 3; i++) {
        span = ids_span(bad[i], 3);
        assert_int_equal(wd_decoder_pass(e, &part, 1, &err), -EINVAL);
        assert_int_equal(wd_decoder_position(d), 0);
    }
    span = ids_span(good, 3);
    assert_int_equal(wd_decoder_pass(e, &part, 1, &err), 0);
    assert_int_equal(wd_decoder_position(d), 3);
    assert_int_equal(wd_decoder_rewind(d, 4, &err), -EINVAL);
    assert_int_equal(wd_decoder_rewind(d, 1, &err), 0);
    wd_decoder_free(d);
    wd_engine_free(e);
}

static int make_work(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    snprintf(work, sizeof work, "%s/witnessd-golden-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(work) ? 0 : -1;
}

static int drop_work(void **state)
{
    char command[300];

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        print_message("largest relative error of %-7s %.2e  (%s)\n", worst_names[i], worst[i].error, worst[i].name);
    snprintf(command, sizeof command, "rm -r '%s'", work);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_of_every_text_prompt_agrees),
        cmocka_unit_test(pictures_video_and_sound_agree),
        cmocka_unit_test(groups_rewinds_and_forks_give_the_same_logits),
        cmocka_unit_test(decoders_in_one_pass_do_not_see_each_other),
        cmocka_unit_test(a_bad_input_is_refused_and_feeds_nothing),
    };

    return cmocka_run_group_tests(tests, make_work, drop_work);
}
