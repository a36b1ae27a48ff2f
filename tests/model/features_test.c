/* tests/model/features_test.c - the FFT against the sum that defines it, and the bands. */
#include "model/features.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define RATE_HZ 16000.0

static struct wd_features *features(void)
{
    struct wd_features *f = NULL;

    assert_int_equal(wd_features_new(&f, NULL), 0);
    return f;
}

static float noise(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(*seed >> 8) / 8388608.0f - 1.0f;
}

static void the_power_is_that_of_the_slow_sum(void **state)
{
    struct wd_features *f = features();
    float pcm[WD_FEATURES_WINDOW], power[WD_FEATURES_BINS];
    const double two_pi = 2.0 * acos(-1.0);
    uint32_t seed = 7;
    (void)state;

    for (int i = 0; i < WD_FEATURES_WINDOW; i++)
        pcm[i] = noise(&seed);
    wd_features_power(f, pcm, power);
    for (int k = 0; k < WD_FEATURES_BINS; k++) {
        double re = 0.0, im = 0.0, want;

        for (int i = 0; i < WD_FEATURES_WINDOW; i++) {
            double x = (double)pcm[i] * (0.5 - 0.5 * cos(two_pi * i / WD_FEATURES_WINDOW));

            re += x * cos(two_pi * i * k / WD_FEATURES_FFT);
            im -= x * sin(two_pi * i * k / WD_FEATURES_FFT);
        }
        want = re * re + im * im;
        assert_true(fabs((double)power[k] - want) < 1e-5 * (want + 1.0));
    }
    wd_features_free(f);
}

static void a_tone_is_loudest_in_its_own_band(void **state)
{
    struct wd_features *f = features();
    (void)state;

    for (int band = 0; band < WD_FEATURES_BANDS; band++) {
        double low = 2595.0 * log10(1.0 + 60.0 / 700.0),
               high = 2595.0 * log10(1.0 + 7600.0 / 700.0);
        double mel = low + (high - low) * (band + 1) / (WD_FEATURES_BANDS + 1);
        double hz = 700.0 * (pow(10.0, mel / 2595.0) - 1.0);
        float pcm[WD_FEATURES_WINDOW], out[WD_FEATURES_BANDS];
        int loudest = 0;

        for (int i = 0; i < WD_FEATURES_WINDOW; i++)
            pcm[i] = (float)(0.1 * sin(2.0 * acos(-1.0) * hz * i / RATE_HZ));
        wd_features_frame(f, pcm, 1.0f, 1e-5f, 1.0f, out);
        for (int i = 1; i < WD_FEATURES_BANDS; i++)
            loudest = out[i] > out[loudest] ? i : loudest;
        /* Below 300 Hz two bands share a bin of 31 Hz. */
        assert_true(abs(loudest - band) <= (hz < 300.0 ? 1 : 0));
    }
    wd_features_free(f);
}

static void silence_gives_the_floor(void **state)
{
    struct wd_features *f = features();
    float pcm[WD_FEATURES_WINDOW] = {0}, out[WD_FEATURES_BANDS];
    (void)state;

    wd_features_frame(f, pcm, 3.0f, 1e-4f, 0.25f, out);
    for (int i = 0; i < WD_FEATURES_BANDS; i++)
        assert_true(fabs((double)out[i] - 0.25 * log(1e-4)) < 1e-6);
    wd_features_free(f);
}

static void a_gain_is_as_if_the_sound_were_louder(void **state)
{
    struct wd_features *f = features();
    float pcm[WD_FEATURES_WINDOW], louder[WD_FEATURES_WINDOW], a[WD_FEATURES_BANDS],
        b[WD_FEATURES_BANDS];
    uint32_t seed = 11;
    (void)state;

    for (int i = 0; i < WD_FEATURES_WINDOW; i++) {
        pcm[i] = 0.1f * noise(&seed);
        louder[i] = 4.0f * pcm[i];
    }
    wd_features_frame(f, pcm, 4.0f, 1e-4f, 0.25f, a);
    wd_features_frame(f, louder, 1.0f, 1e-4f, 0.25f, b);
    for (int i = 0; i < WD_FEATURES_BANDS; i++)
        assert_true(fabs((double)a[i] - (double)b[i]) < 1e-6);
    wd_features_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_power_is_that_of_the_slow_sum),
        cmocka_unit_test(a_tone_is_loudest_in_its_own_band),
        cmocka_unit_test(silence_gives_the_floor),
        cmocka_unit_test(a_gain_is_as_if_the_sound_were_louder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
