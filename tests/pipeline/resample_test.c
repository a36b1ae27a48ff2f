/* tests/pipeline/resample_test.c - every rate and format: impulses stay where they are, tones stay what they are. */
#include "pipeline/resample.h"
#include "pipeline/timeline.h"
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PI 3.14159265358979323846
#define MAX_OUT (16000 * 12)

static const uint32_t rates[] = {8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000, 192000};
#define N_RATES (sizeof rates / sizeof *rates)

struct result {
    float *pcm;
    size_t n;
    int64_t pts_ns;      /* of the first */
    int64_t worst_ns;    /* how far a chunk's time is off the count of samples */
};

static void take(struct result *o, const float *pcm, size_t n, int64_t pts)
{
    if (!n)
        return;
    if (!o->n)
        o->pts_ns = pts;
    else if (pts != WD_NO_PTS && llabs(pts - o->pts_ns - (int64_t)o->n * WD_SAMPLE_NS) > o->worst_ns)
        o->worst_ns = llabs(pts - o->pts_ns - (int64_t)o->n * WD_SAMPLE_NS);
    assert_true(o->n + n <= MAX_OUT);
    memcpy(o->pcm + o->n, pcm, n * sizeof *pcm);
    o->n += n;
}

/* n moments of packed f32 in chunks of some hundreds, from capture time 1 s on. */
static struct result resample(const float *in, size_t n, uint32_t rate, uint32_t channels)
{
    struct wd_resample_format format = {.kind = WD_SAMPLE_F32, .rate_hz = rate, .channels = channels};
    struct result o = {.pcm = malloc(MAX_OUT * sizeof(float))};
    struct wd_resample *r;
    const float *pcm;
    size_t n_pcm;
    int64_t pts;

    assert_non_null(o.pcm);
    assert_int_equal(wd_resample_new(&r, NULL), 0);
    assert_int_equal(wd_resample_set(r, &format, NULL), 0);
    for (size_t at = 0; at < n;) {
        size_t piece = 700 + at % 333 < n - at ? 700 + at % 333 : n - at;
        const uint8_t *planes[] = {(const uint8_t *)(in + at * channels)};
        int64_t pts_in = 1000000000 + (int64_t)((double)at * 1e9 / rate);

        assert_int_equal(wd_resample_run(r, planes, piece, pts_in, &pcm, &n_pcm, &pts, NULL), 0);
        take(&o, pcm, n_pcm, pts);
        at += piece;
    }
    assert_int_equal(wd_resample_run(r, NULL, 0, WD_NO_PTS, &pcm, &n_pcm, &pts, NULL), 0);
    take(&o, pcm, n_pcm, pts);
    wd_resample_free(r);
    return o;
}

static void an_impulse_stays_where_it_is(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_RATES; k++) {
        size_t n = rates[k] * 2, at = rates[k], peak = 0;
        float *in = calloc(n, sizeof *in);
        struct result o;
        double when_s;

        assert_non_null(in);
        in[at] = 1;
        o = resample(in, n, rates[k], 1);
        for (size_t i = 0; i < o.n; i++)
            if (fabsf(o.pcm[i]) > fabsf(o.pcm[peak]))
                peak = i;
        when_s = (double)(o.pts_ns + (int64_t)peak * WD_SAMPLE_NS) / 1e9;
        if (fabs(when_s - 2.0) > 1.0 / 16000)
            fail_msg("%u Hz: the impulse at 2 s came out at %.6f s", rates[k], when_s);
        if (o.worst_ns > WD_SAMPLE_NS)
            fail_msg("%u Hz: a chunk's time is %lld ns off", rates[k], (long long)o.worst_ns);
        if (llabs((long long)o.n - 32000) > 2)
            fail_msg("%u Hz: 2 s became %zu samples", rates[k], o.n);
        free(in);
        free(o.pcm);
    }
}

static double rms(const float *pcm, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)pcm[i] * (double)pcm[i];
    return sqrt(sum / (double)n);
}

static float *tone(uint32_t rate, size_t n, double hz, double level)
{
    float *in = malloc(n * sizeof *in);

    assert_non_null(in);
    for (size_t i = 0; i < n; i++)
        in[i] = (float)(level * sin(2 * PI * hz * (double)i / rate));
    return in;
}

static void speech_passes_and_what_would_fold_into_it_does_not(void **state)
{
    (void)state;
    for (size_t k = 0; k < N_RATES; k++) {
        size_t n = rates[k] * 2;
        float *in = tone(rates[k], n, 3000, 0.5);
        struct result o = resample(in, n, rates[k], 1);
        double level = rms(o.pcm + 1000, o.n - 2000);

        if (fabs(level - 0.5 / sqrt(2)) > 0.002)
            fail_msg("%u Hz: 3 kHz at level %.4f", rates[k], level);
        free(in);
        free(o.pcm);
        if (rates[k] < 22050)
            continue;
        in = tone(rates[k], n, 9500, 0.5);
        o = resample(in, n, rates[k], 1);
        level = rms(o.pcm + 1000, o.n - 2000);
        if (level > 0.5 / sqrt(2) * 1e-3) /* 60 dB down */
            fail_msg("%u Hz: 9.5 kHz is left at level %.6f", rates[k], level);
        free(in);
        free(o.pcm);
    }
}

static void full_scale_on_every_channel_stays_full_scale(void **state)
{
    static const uint32_t channels[] = {1, 2, 3, 4, 6, 8, 11, 16, 64};

    (void)state;
    for (size_t k = 0; k < sizeof channels / sizeof *channels; k++) {
        size_t n = 48000;
        float *in = malloc(n * channels[k] * sizeof *in);
        struct result o;
        double peak = 0;

        assert_non_null(in);
        for (size_t i = 0; i < n; i++)
            for (uint32_t c = 0; c < channels[k]; c++)
                in[i * channels[k] + c] = (float)sin(2 * PI * 500 * (double)i / 48000);
        o = resample(in, n, 48000, channels[k]);
        for (size_t i = 1000; i + 1000 < o.n; i++)
            peak = fmax(peak, fabs((double)o.pcm[i]));
        if (peak < 0.8 || peak > 1)
            fail_msg("%u channels: peak %.3f", channels[k], peak);
        free(in);
        free(o.pcm);
    }
}

static void every_sample_format_gives_the_same_sound(void **state)
{
    enum { N = 16000 };
    static uint8_t u8[N];
    static int16_t s16[N];
    static int32_t s32[N];
    static int64_t s64[N];
    static float f32[N];
    static double f64[N];
    const void *data[] = {u8, s16, s32, s64, f32, f64};

    (void)state;
    for (int i = 0; i < N; i++) {
        f64[i] = 0.5 * sin(2 * PI * 300 * i / 16000);
        f32[i] = (float)f64[i];
        s64[i] = (int64_t)(f64[i] * 9.223372036854775e18);
        s32[i] = (int32_t)(f64[i] * 2147483647);
        s16[i] = (int16_t)(f64[i] * 32767);
        u8[i] = (uint8_t)(128 + lround(f64[i] * 127));
    }
    for (int planar = 0; planar < 2; planar++) {
        for (enum wd_sample_kind k = WD_SAMPLE_U8; k <= WD_SAMPLE_F64; k++) {
            struct wd_resample_format format = {.kind = k, .planar = planar, .rate_hz = 16000, .channels = 1};
            const uint8_t *planes[] = {data[k]};
            struct wd_resample *r;
            const float *pcm;
            size_t n;
            int64_t pts;

            assert_int_equal(wd_resample_new(&r, NULL), 0);
            assert_int_equal(wd_resample_set(r, &format, NULL), 0);
            assert_true(wd_resample_is(r, &format));
            assert_int_equal(wd_resample_run(r, planes, N, 0, &pcm, &n, &pts, NULL), 0);
            assert_int_equal(n, N);
            assert_int_equal(pts, 0);
            for (int i = 0; i < N; i++)
                assert_true(fabs((double)pcm[i] - f64[i]) < (k == WD_SAMPLE_U8 ? 0.01 : 0.0001));
            wd_resample_free(r);
        }
    }
}

static void wild_numbers_do_not_pass(void **state)
{
    float in[4] = {NAN, INFINITY, -INFINITY, 1e30f};
    const uint8_t *planes[] = {(const uint8_t *)in};
    struct wd_resample_format format = {.kind = WD_SAMPLE_F32, .rate_hz = 16000, .channels = 1};
    struct wd_resample *r;
    const float *pcm;
    size_t n;
    int64_t pts;

    (void)state;
    assert_int_equal(wd_resample_new(&r, NULL), 0);
    assert_int_equal(wd_resample_set(r, &format, NULL), 0);
    assert_int_equal(wd_resample_run(r, planes, 4, 0, &pcm, &n, &pts, NULL), 0);
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++)
        assert_true(pcm[i] >= -1 && pcm[i] <= 1);
    wd_resample_free(r);
}

static void formats_that_cannot_be_are_refused(void **state)
{
    struct wd_resample_format f = {.kind = WD_SAMPLE_S16, .rate_hz = 48000, .channels = 2};
    struct wd_err err = {0};
    struct wd_resample *r;
    const float *pcm;
    size_t n = 7;
    int64_t pts;

    (void)state;
    assert_int_equal(wd_resample_new(&r, NULL), 0);
    assert_int_equal(wd_resample_run(r, NULL, 0, 0, &pcm, &n, &pts, NULL), 0); /* nothing set yet */
    assert_int_equal(n, 0);
    f.rate_hz = 0;
    assert_int_equal(wd_resample_set(r, &f, &err), -EINVAL);
    f.rate_hz = 10000000;
    assert_int_equal(wd_resample_set(r, &f, &err), -EINVAL);
    assert_non_null(strstr(err.text, "10000000"));
    f.rate_hz = 48000;
    f.channels = 0;
    assert_int_equal(wd_resample_set(r, &f, &err), -EINVAL);
    f.channels = 65;
    assert_int_equal(wd_resample_set(r, &f, &err), -EINVAL);
    f.channels = 6;
    f.speakers = 3; /* says two, are six: the usual six */
    assert_int_equal(wd_resample_set(r, &f, &err), 0);
    wd_resample_free(r);
}

/* A device that gives 200 parts in a million too few samples: after some time, samples and clock agree. */
static void a_drifting_clock_is_followed(void **state)
{
    struct wd_resample_format format = {.kind = WD_SAMPLE_F32, .rate_hz = 48000, .channels = 1};
    struct wd_timeline t;
    static float in[960];
    const uint8_t *planes[] = {(const uint8_t *)in};
    struct wd_resample *r;

    (void)state;
    wd_timeline_init(&t);
    assert_int_equal(wd_resample_new(&r, NULL), 0);
    assert_int_equal(wd_resample_set(r, &format, NULL), 0);
    for (int i = 0; i < 50 * 600; i++) {
        const float *pcm;
        int64_t pts, at, end = t.audio_end_ns;
        size_t n, skip;

        assert_int_equal(wd_resample_run(r, planes, 960, i * INT64_C(20004000), &pcm, &n, &pts, NULL), 0);
        if (!n)
            continue;
        wd_timeline_audio(&t, pts, n, &at, &skip);
        if (i > 10)
            assert_int_equal(at, end); /* never a hole */
        wd_resample_follow(r, wd_timeline_drift_ns(&t));
    }
    assert_true(llabs(wd_timeline_drift_ns(&t)) < 20000000);
    /* ten minutes of the clock are ten minutes of sound, where the device alone is 120 ms short */
    assert_in_range(t.audio_end_ns, INT64_C(600120000000) - 30000000, INT64_C(600120000000) + 30000000);
    wd_resample_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_impulse_stays_where_it_is),
        cmocka_unit_test(speech_passes_and_what_would_fold_into_it_does_not),
        cmocka_unit_test(full_scale_on_every_channel_stays_full_scale),
        cmocka_unit_test(every_sample_format_gives_the_same_sound),
        cmocka_unit_test(wild_numbers_do_not_pass),
        cmocka_unit_test(formats_that_cannot_be_are_refused),
        cmocka_unit_test(a_drifting_clock_is_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
