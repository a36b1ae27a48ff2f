/* tests/pipeline/activity_test.c - when speech begins and ends; when a picture has changed. */
#include "pipeline/activity.h"
#include "model/tensor_file.h"
#include "model/voice.h"
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SILENCE WD_ACTIVITY_SILENCE
#define SPEECH WD_ACTIVITY_SPEECH
#define HANGOVER WD_ACTIVITY_HANGOVER

static struct wd_voice *voice;
static struct wd_tensor_file *golden;

static int set_up(void **state)
{
    struct wd_err err = {0};
    (void)state;

    if (wd_voice_open(TEST_SRCDIR "/models/voice-print.safetensors",
                      TEST_SRCDIR "/models/speech-activity.safetensors", &voice, &err) < 0 ||
        wd_tensor_file_open_data(TEST_SRCDIR "/tests/voice/golden.safetensors", &golden, &err) <
            0) {
        print_error("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wd_tensor_file_free(golden);
    wd_voice_free(voice);
    return 0;
}

static struct wd_activity *activity(struct wd_activity_opts opts)
{
    struct wd_activity *a = NULL;

    assert_int_equal(wd_activity_new(voice, &opts, &a, NULL), 0);
    return a;
}

static enum wd_activity_state decide(struct wd_activity *a, float p, unsigned n)
{
    enum wd_activity_state s = SILENCE;

    for (unsigned i = 0; i < n; i++)
        s = wd_activity_decide(a, p);
    return s;
}

static void speech_begins_at_the_threshold_and_goes_on_below_it(void **state)
{
    struct wd_activity *a = activity((struct wd_activity_opts){.threshold = 0.5f});
    (void)state;

    assert_int_equal(decide(a, 0.49f, 20), SILENCE);
    assert_int_equal(decide(a, 0.5f, 1), SPEECH);
    assert_int_equal(decide(a, 0.16f, 50), SPEECH);
    assert_int_equal(decide(a, 0.14f, 1), HANGOVER);
    /* once it was interrupted, the full threshold counts again */
    assert_int_equal(decide(a, 0.16f, 1), HANGOVER);
    assert_int_equal(decide(a, 0.5f, 1), SPEECH);
    wd_activity_free(a);
}

static void a_pause_of_600_ms_is_kept(void **state)
{
    struct wd_activity *a = activity((struct wd_activity_opts){0});
    (void)state;

    assert_true(wd_activity_since_speech(a) == UINT64_MAX);
    assert_int_equal(decide(a, 0.9f, 3), SPEECH);
    assert_int_equal(wd_activity_since_speech(a), 0);
    assert_int_equal(decide(a, 0.0f, 15), HANGOVER);
    assert_int_equal(wd_activity_since_speech(a), 15);
    assert_int_equal(decide(a, 0.0f, 1), SILENCE);
    assert_int_equal(decide(a, 0.0f, 100), SILENCE);
    assert_int_equal(wd_activity_since_speech(a), 116);
    wd_activity_free(a);
}

static void an_onset_reaches_back_200_ms_but_not_into_earlier_speech(void **state)
{
    struct wd_activity *a = activity((struct wd_activity_opts){0});
    (void)state;

    decide(a, 0.0f, 3);
    decide(a, 0.9f, 1);
    assert_int_equal(wd_activity_preroll(a), 3); /* no more was heard */
    decide(a, 0.9f, 1);
    assert_int_equal(wd_activity_preroll(a), 0); /* only the frame that begins has one */
    decide(a, 0.0f, 17);                         /* 15 are hang-over, 2 silence */
    decide(a, 0.9f, 1);
    assert_int_equal(wd_activity_preroll(a), 2);
    decide(a, 0.0f, 60);
    decide(a, 0.9f, 1);
    assert_int_equal(wd_activity_preroll(a), 5);
    decide(a, 0.0f, 5);
    decide(a, 0.9f, 1);
    assert_int_equal(wd_activity_preroll(a), 0); /* the pause belonged to the speech already */
    wd_activity_free(a);
}

static void pauses_and_preroll_can_be_switched_off(void **state)
{
    struct wd_activity *a =
        activity((struct wd_activity_opts){.preroll_ns = -1, .hangover_ns = -1});
    (void)state;

    decide(a, 0.0f, 30);
    assert_int_equal(decide(a, 0.9f, 1), SPEECH);
    assert_int_equal(wd_activity_preroll(a), 0);
    assert_int_equal(decide(a, 0.0f, 1), SILENCE);
    wd_activity_free(a);
}

static void a_setting_out_of_range_is_named(void **state)
{
    struct wd_activity *a = NULL;
    struct wd_err err = {0};
    (void)state;

    assert_int_equal(
        wd_activity_new(voice, &(struct wd_activity_opts){.threshold = 1.5f}, &a, &err), -EINVAL);
    assert_non_null(strstr(err.text, "threshold"));
    assert_int_equal(
        wd_activity_new(voice, &(struct wd_activity_opts){.threshold = (float)NAN}, &a, &err),
        -EINVAL);
    assert_int_equal(
        wd_activity_new(voice, &(struct wd_activity_opts){.hangover_ns = INT64_MAX}, &a, &err),
        -EINVAL);
    assert_non_null(strstr(err.text, "hangover"));
    assert_null(a);
}

static unsigned speech_frames(struct wd_activity *a, const char *piece, float gain)
{
    const struct wd_tensor *t = wd_tensor_file_find(golden, piece);
    unsigned n = 0;

    assert_non_null(t);
    for (size_t at = 0; at + WD_ACTIVITY_SAMPLES <= t->dims[0]; at += WD_ACTIVITY_SAMPLES) {
        float pcm[WD_ACTIVITY_SAMPLES];

        for (size_t i = 0; i < WD_ACTIVITY_SAMPLES; i++)
            pcm[i] = gain * (float)((const int16_t *)t->data)[at + i] / 32768.0f;
        n += wd_activity_push(a, pcm, NULL) == SPEECH;
    }
    return n;
}

static void people_are_heard_and_noise_is_not(void **state)
{
    struct wd_activity *a = activity((struct wd_activity_opts){0});
    (void)state;

    assert_in_range(speech_frames(a, "0.pcm", 1.0f), 15, 40);
    wd_activity_reset(a);
    assert_in_range(speech_frames(a, "2.pcm", 0.3f), 15, 40);
    wd_activity_reset(a);
    assert_in_range(speech_frames(a, "5.pcm", 1.0f), 15, 40);
    wd_activity_reset(a);
    assert_int_equal(speech_frames(a, "6.pcm", 1.0f), 0);
    wd_activity_reset(a);
    assert_int_equal(speech_frames(a, "7.pcm", 1.0f), 0);
    wd_activity_free(a);
}

static void a_tone_is_no_speech(void **state)
{
    struct wd_activity *a = activity((struct wd_activity_opts){0});
    (void)state;

    for (unsigned t = 0; t < 100; t++) {
        float pcm[WD_ACTIVITY_SAMPLES];

        for (unsigned i = 0; i < WD_ACTIVITY_SAMPLES; i++)
            pcm[i] = (float)(0.2 * sin(2.0 * acos(-1.0) * 1000.0 * (t * WD_ACTIVITY_SAMPLES + i) /
                                       16000.0));
        assert_int_equal(wd_activity_push(a, pcm, NULL), SILENCE);
    }
    wd_activity_free(a);
}

static void stretches_leave_out_blips_and_pauses(void **state)
{
    float p[100] = {0};
    struct wd_stretch s[8];
    (void)state;

    for (int i = 10; i < 14; i++)
        p[i] = 0.9f; /* 160 ms: a blip */
    for (int i = 20; i < 30; i++)
        p[i] = 0.9f;
    for (int i = 30; i < 35; i++)
        p[i] = 0.35f; /* fades, and still belongs */
    for (int i = 60; i < 65; i++)
        p[i] = 0.3f; /* never begins */
    for (int i = 90; i < 100; i++)
        p[i] = 0.9f; /* goes on to the end */
    assert_int_equal(wd_activity_stretches(p, 100, s, 8), 2);
    assert_int_equal(s[0].first, 18);
    assert_int_equal(s[0].end, 35);
    assert_int_equal(s[1].first, 88);
    assert_int_equal(s[1].end, 100);
    assert_int_equal(wd_activity_stretches(p, 100, s, 1), 1);
    assert_int_equal(wd_activity_stretches(p, 0, s, 8), 0);
}

/* Pictures. */

#define W 528
#define H 288

static uint32_t seed = 5;

static int noise(int amplitude)
{
    seed = seed * 1664525u + 1013904223u;
    return (int)(seed >> 16) % (2 * amplitude + 1) - amplitude;
}

/* A room: wall, floor, and a box of w x h at x, y when w is not 0. */
static void draw(uint8_t *rgb, int light, int amplitude, int x, int y, int w, int h)
{
    for (int j = 0; j < H; j++)
        for (int i = 0; i < W; i++)
            for (int k = 0; k < 3; k++) {
                int v = j < 190 ? 170 - 10 * k : 110 - 25 * k;

                if (i >= x && i < x + w && j >= y && j < y + h)
                    v = k == 0 ? 180 : 60;
                v = v * light / 100 + (amplitude ? noise(amplitude) : 0);
                rgb[(j * W + i) * 3 + k] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
}

static uint8_t rgb[W * H * 3];

static struct wd_activity_picture *looking_at_the_room(int amplitude)
{
    struct wd_activity_picture *a = NULL;

    assert_int_equal(wd_activity_picture_new(0.02, &a, NULL), 0);
    for (int i = 0; i < 5; i++) {
        draw(rgb, 100, amplitude, 0, 0, 0, 0);
        assert_true(
            wd_activity_picture_push(a, rgb, W, H)); /* as long as none was accepted, each is new */
    }
    wd_activity_picture_accept(a);
    return a;
}

static void the_same_scene_with_noise_has_not_changed(void **state)
{
    struct wd_activity_picture *a = looking_at_the_room(25);
    (void)state;

    for (int i = 0; i < 10; i++) {
        draw(rgb, 100, 25, 0, 0, 0, 0);
        assert_false(wd_activity_picture_push(a, rgb, W, H));
        assert_true(wd_activity_picture_score(a) < 0.001f);
    }
    wd_activity_picture_free(a);
}

static void a_box_that_appears_is_a_change_until_accepted(void **state)
{
    struct wd_activity_picture *a = looking_at_the_room(8);
    (void)state;

    for (int i = 0; i < 5; i++) { /* it stays a change however long it stands there */
        draw(rgb, 100, 8, 300, 200, 70, 60);
        assert_true(wd_activity_picture_push(a, rgb, W, H));
    }
    assert_true(wd_activity_picture_score(a) < 0.2f);
    wd_activity_picture_accept(a);
    draw(rgb, 100, 8, 300, 200, 70, 60);
    assert_false(wd_activity_picture_push(a, rgb, W, H));
    draw(rgb, 100, 8, 0, 0, 0, 0);
    assert_true(wd_activity_picture_push(a, rgb, W, H));
    wd_activity_picture_free(a);
}

static void dusk_is_no_change_and_a_lamp_is(void **state)
{
    struct wd_activity_picture *a = looking_at_the_room(4);
    (void)state;

    for (int light = 99; light >= 80; light--) {
        draw(rgb, light, 4, 0, 0, 0, 0);
        assert_false(wd_activity_picture_push(a, rgb, W, H));
    }
    draw(rgb, 40, 4, 0, 0, 0, 0);
    assert_true(wd_activity_picture_push(a, rgb, W, H));
    assert_true(wd_activity_picture_score(a) > 0.8f);
    wd_activity_picture_free(a);
}

static void what_always_moves_is_soon_expected(void **state)
{
    struct wd_activity_picture *a = looking_at_the_room(4);
    bool changed = true;
    (void)state;

    for (int i = 0; i < 40; i++) { /* a flag that shifts a little in every picture */
        draw(rgb, 100, 4, 100 + i % 2 * 4, 40, 60, 60);
        changed = wd_activity_picture_push(a, rgb, W, H);
        wd_activity_picture_accept(a);
    }
    assert_false(changed);
    wd_activity_picture_free(a);
}

static void a_picture_of_another_size_is_compared_too(void **state)
{
    struct wd_activity_picture *a = looking_at_the_room(0);
    static uint8_t small[W / 2 * (H / 2) * 3];
    (void)state;

    draw(rgb, 100, 0, 0, 0, 0, 0);
    for (int j = 0; j < H / 2; j++)
        for (int i = 0; i < W / 2; i++)
            memcpy(small + (j * (W / 2) + i) * 3, rgb + (2 * j * W + 2 * i) * 3, 3);
    assert_false(wd_activity_picture_push(a, small, W / 2, H / 2));
    assert_false(wd_activity_picture_push(a, small, 15, 9)); /* too small to say anything */
    wd_activity_picture_free(a);
}

static void a_part_beyond_one_is_refused(void **state)
{
    struct wd_activity_picture *a = NULL;
    struct wd_err err = {0};
    (void)state;

    assert_int_equal(wd_activity_picture_new(1.5, &a, &err), -EINVAL);
    assert_int_equal(wd_activity_picture_new(-0.1, &a, &err), -EINVAL);
    assert_null(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speech_begins_at_the_threshold_and_goes_on_below_it),
        cmocka_unit_test(a_pause_of_600_ms_is_kept),
        cmocka_unit_test(an_onset_reaches_back_200_ms_but_not_into_earlier_speech),
        cmocka_unit_test(pauses_and_preroll_can_be_switched_off),
        cmocka_unit_test(a_setting_out_of_range_is_named),
        cmocka_unit_test(people_are_heard_and_noise_is_not),
        cmocka_unit_test(a_tone_is_no_speech),
        cmocka_unit_test(stretches_leave_out_blips_and_pauses),
        cmocka_unit_test(the_same_scene_with_noise_has_not_changed),
        cmocka_unit_test(a_box_that_appears_is_a_change_until_accepted),
        cmocka_unit_test(dusk_is_no_change_and_a_lamp_is),
        cmocka_unit_test(what_always_moves_is_soon_expected),
        cmocka_unit_test(a_picture_of_another_size_is_compared_too),
        cmocka_unit_test(a_part_beyond_one_is_refused),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
