/* tests/pipeline/picture_test.c - target sizes, alpha, turning and resizing, bit for bit those of the reference; the pool. */
#include "pipeline/picture.h"
#include "model/embed.h"
#include "model/gemma4.h"
#include <errno.h>
#include <jansson.h>
#include <libavutil/mem.h>
#include <libavutil/sha.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define DATA TEST_SRCDIR "/tests/pipeline/data/"

static json_t *load(const char *path)
{
    json_error_t e;
    json_t *j = json_load_file(path, 0, &e);

    if (!j)
        fail_msg("%s:%d: %s", path, e.line, e.text);
    return j;
}

static int64_t number(const json_t *row, const char *key)
{
    const json_t *v = json_object_get(row, key);

    assert_true(json_is_integer(v));
    return json_integer_value(v);
}

static const char *word(const json_t *row, const char *key)
{
    const char *s = json_string_value(json_object_get(row, key));

    assert_non_null(s);
    return s;
}

static void assert_sha(const uint8_t *data, size_t n, const char *expected)
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
    assert_string_equal(text, expected);
}

static uint32_t next_random(uint64_t *z)
{
    uint64_t x = *z += 0x9E3779B97F4A7C15;

    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
    return (uint32_t)((x ^ (x >> 31)) >> 32);
}

static int64_t at_least(int64_t v, int64_t least)
{
    return v > least ? v : least;
}

/* The pictures of the reference vectors: exact integer arithmetic. */
static uint8_t *make_picture(const char *kind, int64_t w, int64_t h, int64_t seed, int64_t channels)
{
    uint8_t *a = malloc((size_t)(w * h * channels)), *p = a;
    int64_t bits_w = w / 2 + 1, n_bits = (h / 3 + 1) * bits_w;
    uint8_t *bits = malloc((size_t)n_bits);
    uint64_t z = (uint64_t)seed;

    assert_non_null(a);
    assert_non_null(bits);
    if (!strcmp(kind, "text"))
        for (int64_t i = 0; i < n_bits; i++)
            bits[i] = next_random(&z) & 1;
    for (int64_t y = 0; y < h; y++) {
        for (int64_t x = 0; x < w; x++) {
            for (int64_t c = 0; c < channels; c++) {
                int64_t v = 0;

                if (!strcmp(kind, "noise"))
                    v = next_random(&z) & 255;
                else if (!strcmp(kind, "waves"))
                    v = (x * (3 + c) + y * (5 - c) + (x * y / 7) * (1 + c) + seed * 37) % 256;
                else if (!strcmp(kind, "checks"))
                    v = (x / (2 + seed % 5) + y / 3) % 2 == 0 ? 250 - 40 * c : 5 + 60 * c;
                else if (!strcmp(kind, "ramp"))
                    v = c == 0   ? x * 255 / at_least(w - 1, 1)
                        : c == 1 ? y * 255 / at_least(h - 1, 1)
                                 : (x + y) * 255 / at_least(w + h - 2, 1);
                else if (!strcmp(kind, "text"))
                    v = bits[y / 3 * bits_w + x / 2] * 255;
                else
                    fail_msg("unknown kind %s", kind);
                if (channels == 4 && c == 3)
                    v = (x * 11 + y * 7 + seed) % 256;
                *p++ = (uint8_t)v;
            }
        }
    }
    free(bits);
    return a;
}

/* What a decoder hands over: RGB, whatever the file had. */
static uint8_t *to_rgb(uint8_t *a, uint32_t w, uint32_t h, int64_t channels)
{
    uint8_t *rgb;

    if (channels == 3)
        return a;
    rgb = malloc((size_t)w * h * 3);
    assert_non_null(rgb);
    if (channels == 4)
        wd_picture_over_white(a, (size_t)w * 4, w, h, rgb);
    else
        for (size_t i = 0; i < (size_t)w * h; i++)
            memset(rgb + 3 * i, a[i], 3);
    free(a);
    return rgb;
}

static void target_sizes_are_those_of_the_reference(void **state)
{
    json_t *rows = load(DATA "sizes.json"), *row;
    size_t i;

    (void)state;
    assert_int_equal(json_array_size(rows), 200);
    json_array_foreach(rows, i, row)
    {
        uint32_t v[6], w = 0, h = 0;

        for (size_t k = 0; k < 6; k++)
            v[k] = (uint32_t)json_integer_value(json_array_get(row, k));
        if (v[3] == 0) {
            assert_int_equal(wd_picture_size(v[1], v[0], v[2], &w, &h), -EINVAL);
            continue;
        }
        assert_int_equal(wd_picture_size(v[1], v[0], v[2], &w, &h), 0);
        assert_int_equal(h, v[3]);
        assert_int_equal(w, v[4]);
        assert_int_equal(w / 48 * (h / 48), v[5]);
    }
    json_decref(rows);
}

/* What the model is given: values and places of the patches, row by row. */
static void assert_patches(const json_t *row, const uint8_t *rgb, uint32_t grid_w, uint32_t grid_h)
{
    size_t n = (size_t)grid_w * grid_h;
    float *values = malloc(n * WD_PATCH_VALUES * sizeof *values);
    int32_t *places = malloc(n * 2 * sizeof *places);

    assert_non_null(values);
    assert_non_null(places);
    for (uint32_t i = 0; i < n; i++) {
        wd_embed_patch(rgb, grid_w, i % grid_w, i / grid_w, false, false, values + i * WD_PATCH_VALUES);
        places[2 * i] = (int32_t)(i % grid_w);
        places[2 * i + 1] = (int32_t)(i / grid_w);
    }
    assert_sha((const uint8_t *)values, n * WD_PATCH_VALUES * sizeof *values, word(row, "patches_f32_sha256"));
    assert_sha((const uint8_t *)places, n * 2 * sizeof *places, word(row, "positions_i32_sha256"));
    free(values);
    free(places);
}

static void pictures_become_those_of_the_reference(void **state)
{
    json_t *rows = load(DATA "pictures.json"), *row;
    struct wd_picture_resizer *r;
    size_t i;

    (void)state;
    assert_int_equal(wd_picture_resizer_new(&r, NULL), 0);
    assert_int_equal(json_array_size(rows), 49);
    json_array_foreach(rows, i, row)
    {
        uint32_t w = (uint32_t)number(row, "w"), h = (uint32_t)number(row, "h"), tw, th;
        int64_t channels = number(row, "channels");
        uint8_t *src = to_rgb(make_picture(word(row, "kind"), w, h, number(row, "seed"), channels), w, h, channels), *dst;

        assert_sha(src, (size_t)w * h * 3, word(row, "rgb_sha256"));
        assert_int_equal(wd_picture_size(w, h, (uint32_t)number(row, "budget"), &tw, &th), 0);
        assert_int_equal(th, json_integer_value(json_array_get(json_object_get(row, "target"), 0)));
        assert_int_equal(tw, json_integer_value(json_array_get(json_object_get(row, "target"), 1)));
        dst = malloc((size_t)tw * th * 3);
        assert_non_null(dst);
        assert_int_equal(wd_picture_resize(r, src, (size_t)w * 3, w, h, dst, tw, th, NULL), 0);
        assert_sha(dst, (size_t)tw * th * 3, word(row, "resized_u8_sha256"));
        assert_patches(row, dst, tw / 48, th / 48);
        free(src);
        free(dst);
    }
    json_decref(rows);
    wd_picture_resizer_free(r);
}

static void any_size_becomes_any_size_bit_for_bit(void **state)
{
    json_t *rows = load(DATA "resize.json"), *row;
    struct wd_picture_resizer *r;
    size_t i;

    (void)state;
    assert_int_equal(wd_picture_resizer_new(&r, NULL), 0);
    assert_int_equal(json_array_size(rows), 22);
    json_array_foreach(rows, i, row)
    {
        uint32_t w = (uint32_t)number(row, "w"), h = (uint32_t)number(row, "h");
        uint32_t tw = (uint32_t)number(row, "tw"), th = (uint32_t)number(row, "th");
        size_t stride = (size_t)w * 3 + 13; /* decoders pad their rows */
        uint8_t *src = make_picture(word(row, "kind"), w, h, number(row, "seed"), 3);
        uint8_t *padded = malloc(stride * h), *dst = malloc((size_t)tw * th * 3 + 1);

        assert_non_null(padded);
        assert_non_null(dst);
        assert_sha(src, (size_t)w * h * 3, word(row, "in_sha256"));
        memset(padded, 0xaa, stride * h);
        for (uint32_t y = 0; y < h; y++)
            memcpy(padded + y * stride, src + (size_t)y * w * 3, (size_t)w * 3);
        dst[(size_t)tw * th * 3] = 0x5a;
        assert_int_equal(wd_picture_resize(r, padded, stride, w, h, dst, tw, th, NULL), 0);
        assert_sha(dst, (size_t)tw * th * 3, word(row, "out_sha256"));
        assert_int_equal(dst[(size_t)tw * th * 3], 0x5a);
        free(src);
        free(padded);
        free(dst);
    }
    json_decref(rows);
    wd_picture_resizer_free(r);
}

static void sizes_out_of_bounds_are_refused(void **state)
{
    struct wd_picture_resizer *r;
    uint8_t px[48] = {0};
    uint32_t w, h;
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(wd_picture_resizer_new(&r, NULL), 0);
    assert_int_equal(wd_picture_resize(r, px, 3, 0, 1, px, 1, 1, &err), -EINVAL);
    assert_int_equal(wd_picture_resize(r, px, 3, 1, 1, px, 0, 1, &err), -EINVAL);
    assert_int_equal(wd_picture_resize(r, px, 3, 2, 1, px, 1, 1, &err), -EINVAL); /* stride too short */
    assert_int_equal(wd_picture_resize(r, px, 3 * 70000, 70000, 1, px, 1, 1, &err), -EINVAL);
    assert_non_null(strstr(err.text, "70000 x 1"));
    assert_int_equal(wd_picture_resize(r, px, 3 * 60000, 60000, 60000, px, 1, 1, &err), -EINVAL);
    wd_picture_resizer_free(r);

    assert_int_equal(wd_picture_size(0, 10, 70, &w, &h), -EINVAL);
    assert_int_equal(wd_picture_size(10, 0, 70, &w, &h), -EINVAL);
    assert_int_equal(wd_picture_size(10, 10, 0, &w, &h), -EINVAL);
    assert_int_equal(wd_picture_size(10, 10, WD_PICTURE_MAX_PATCHES + 1, &w, &h), -EINVAL);
    assert_int_equal(wd_picture_size(100000, 10, 70, &w, &h), -EINVAL);
}

/* Whatever the size, the result fits the pool's pictures. */
static void no_size_exceeds_its_budget(void **state)
{
    static const uint32_t budgets[] = {70, 140, 280, 560, 1120};
    uint64_t z = 7;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint32_t w = 1 + next_random(&z) % (i % 2 ? 65535 : 300), h = 1 + next_random(&z) % (i % 3 ? 4000 : 65535);
        uint32_t budget = budgets[i % 5], tw, th;

        if (wd_picture_size(w, h, budget, &tw, &th) < 0)
            continue;
        assert_true(tw && th && tw % 48 == 0 && th % 48 == 0);
        assert_true((tw / 48) * (th / 48) <= budget);
    }
}

static void turning_moves_corners_where_they_belong(void **state)
{
    /* 1 2 3
     * 4 5 6, each three bytes */
    uint8_t src[18], dst[18];
    static const uint8_t expected[2][4][6] = {
        {{1, 2, 3, 4, 5, 6}, {4, 1, 5, 2, 6, 3}, {6, 5, 4, 3, 2, 1}, {3, 6, 2, 5, 1, 4}},
        {{3, 2, 1, 6, 5, 4}, {6, 3, 5, 2, 4, 1}, {4, 5, 6, 1, 2, 3}, {1, 4, 2, 5, 3, 6}},
    };

    (void)state;
    for (int i = 0; i < 18; i++)
        src[i] = (uint8_t)(i / 3 + 1);
    for (int mirror = 0; mirror < 2; mirror++) {
        for (int turn = 0; turn < 4; turn++) {
            wd_picture_turn(src, 3, 2, (enum wd_picture_turn)turn, mirror, dst);
            for (int i = 0; i < 18; i++)
                assert_int_equal(dst[i], expected[mirror][turn][i / 3]);
        }
    }
}

static void alpha_goes_over_white_in_place(void **state)
{
    uint8_t px[8] = {10, 20, 30, 0, 10, 20, 30, 255};

    (void)state;
    wd_picture_over_white(px, 8, 2, 1, px);
    assert_memory_equal(px, ((uint8_t[]){255, 255, 255, 10, 20, 30}), 6);
}

static void the_pool_gives_what_it_has_and_takes_it_back(void **state)
{
    struct wd_picture_pool *p;
    struct wd_picture *a, *b;

    (void)state;
    assert_int_equal(wd_picture_pool_new(0, 70, &p, NULL), -EINVAL);
    assert_int_equal(wd_picture_pool_new(2, WD_PICTURE_MAX_PATCHES + 1, &p, NULL), -EINVAL);
    assert_int_equal(wd_picture_pool_new(2, 70, &p, NULL), 0);
    a = wd_picture_get(p);
    b = wd_picture_get(p);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(wd_picture_get(p));
    memset(a->space, 1, 70 * 48 * 48 * 3);
    wd_picture_ref(a);
    wd_picture_unref(a);
    assert_null(wd_picture_get(p));
    wd_picture_unref(a);
    assert_ptr_equal(wd_picture_get(p), a);
    wd_picture_unref(b);
    wd_picture_unref(NULL);
    wd_picture_pool_free(p); /* a is still out: its space must stay */
    assert_int_equal(a->rgb[0], 1);
    wd_picture_unref(a);
}

static void *ref_and_unref(void *arg)
{
    for (int i = 0; i < 100000; i++)
        wd_picture_unref(wd_picture_ref(arg));
    return NULL;
}

static void references_are_counted_by_any_thread(void **state)
{
    struct wd_picture_pool *p;
    struct wd_picture *a;
    pthread_t t[2];

    (void)state;
    assert_int_equal(wd_picture_pool_new(1, 1, &p, NULL), 0);
    a = wd_picture_get(p);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&t[i], NULL, ref_and_unref, a), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(t[i], NULL);
    assert_null(wd_picture_get(p));
    wd_picture_unref(a);
    assert_ptr_equal(wd_picture_get(p), a);
    wd_picture_unref(a);
    wd_picture_pool_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(target_sizes_are_those_of_the_reference),
        cmocka_unit_test(pictures_become_those_of_the_reference),
        cmocka_unit_test(any_size_becomes_any_size_bit_for_bit),
        cmocka_unit_test(sizes_out_of_bounds_are_refused),
        cmocka_unit_test(no_size_exceeds_its_budget),
        cmocka_unit_test(turning_moves_corners_where_they_belong),
        cmocka_unit_test(alpha_goes_over_white_in_place),
        cmocka_unit_test(the_pool_gives_what_it_has_and_takes_it_back),
        cmocka_unit_test(references_are_counted_by_any_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
