/* tests/pipeline/source_portaudio_test.c - the path from an audio callback to its capture thread, and devices that are not there. */
#include "pipeline/source_portaudio.h"
#include "pipeline/sources.h"
#include "tests/pipeline/play.h"
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MS INT64_C(1000000)
#define S (1000 * MS)

static struct wd_portaudio_tap *tap_of(uint32_t rate, uint32_t channels)
{
    struct wd_portaudio_tap *t;

    assert_int_equal(wd_portaudio_tap_new(rate, channels, &t, NULL), 0);
    return t;
}

static void times_follow_the_count_of_samples(void **state)
{
    struct wd_portaudio_tap *t = tap_of(48000, 2);
    float in[960] = {0}, out[960];
    int64_t pts, last = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) { /* callbacks up to 9 ms late */
        wd_portaudio_tap_put(t, in, 480, false);
        assert_int_equal(wd_portaudio_tap_get(t, out, 480, 5 * S + (i + 1) * 10 * MS + i % 10 * MS, &pts), 480);
        if (i)
            assert_true(llabs(pts - last - 10 * MS) < 50000); /* a late callback moves time by microseconds */
        else
            assert_int_equal(pts, 5 * S);
        last = pts;
    }
    assert_int_equal(wd_portaudio_tap_get(t, out, 480, 20 * S, &pts), 0);
    wd_portaudio_tap_free(t);
}

static void a_slow_device_clock_is_seen(void **state)
{
    struct wd_portaudio_tap *t = tap_of(16000, 1);
    float in[160] = {0}, out[160];
    int64_t pts = 0;

    (void)state;
    for (int i = 0; i < 12000; i++) { /* 160 samples take 10.002 ms: 200 parts in a million */
        wd_portaudio_tap_put(t, in, 160, false);
        wd_portaudio_tap_get(t, out, 160, (int64_t)(i + 1) * 10002000, &pts);
    }
    assert_true(llabs(pts - INT64_C(11999) * 10002000) < 6 * MS); /* 24 ms if it were only counted */
    wd_portaudio_tap_free(t);
}

static void what_finds_no_room_is_counted_and_time_jumps(void **state)
{
    struct wd_portaudio_tap *t = tap_of(16000, 1);
    float in[1600] = {0}, out[1600];
    int64_t pts, first;
    size_t n, got;

    (void)state;
    for (int i = 0; i < 60; i++) /* six seconds nobody takes */
        wd_portaudio_tap_put(t, in, 1600, false);
    assert_true(wd_portaudio_tap_dropped(t) > 0);
    assert_int_equal(wd_portaudio_tap_get(t, out, 1600, 6 * S, &first), 1600);
    n = 1600;
    while ((got = wd_portaudio_tap_get(t, out, 1600, 6 * S, &pts)) > 0)
        n += got;
    assert_int_equal(n + wd_portaudio_tap_dropped(t), 96000);
    wd_portaudio_tap_put(t, in, 1600, true);
    assert_int_equal(wd_portaudio_tap_get(t, out, 1600, 20 * S, &pts), 1600);
    assert_int_equal(pts, 20 * S - 100 * MS);
    wd_portaudio_tap_put(t, NULL, 160, false); /* a device may have nothing to give */
    assert_int_equal(wd_portaudio_tap_get(t, out, 1600, 20 * S, &pts), 0);
    wd_portaudio_tap_free(t);
    assert_null(wd_portaudio_tap_free(NULL));
}

#define MANY 200000

static void *call_back(void *arg)
{
    float in[2 * 64];

    for (size_t at = 0; at < MANY; at += 64) {
        for (size_t i = 0; i < 64; i++)
            in[2 * i] = in[2 * i + 1] = (float)(at + i);
        wd_portaudio_tap_put(arg, in, 64, false);
        if (at % 4096 == 0)
            sched_yield();
    }
    return NULL;
}

static void channels_of_one_moment_stay_together(void **state)
{
    struct wd_portaudio_tap *t = tap_of(8000, 2); /* small: some will be dropped */
    float out[2 * 100], last = -1;
    size_t got = 0;
    int64_t pts;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, call_back, t), 0);
    while (got + wd_portaudio_tap_dropped(t) < MANY) {
        size_t n = wd_portaudio_tap_get(t, out, 100, (int64_t)got, &pts);

        for (size_t i = 0; i < n; i++) {
            assert_true(fabsf(out[2 * i] - out[2 * i + 1]) < 0.5f);
            assert_true(out[2 * i] > last);
            last = out[2 * i];
        }
        got += n;
    }
    pthread_join(thread, NULL);
    wd_portaudio_tap_free(t);
}

static void count_device(void *ctx, int index, const char *name, int channels, double rate_hz)
{
    (void)index;
    assert_non_null(name);
    assert_true(channels > 0 && rate_hz > 0);
    ++*(int *)ctx;
}

static void devices_are_listed(void **state)
{
    struct wd_err err = {0};
    int n = 0, r = wd_source_portaudio_list(count_device, &n, &err);

    (void)state;
    if (r >= 0)
        assert_int_equal(r, n);
    else
        assert_true(err.text[0]); /* a machine without any sound system */
}

static void close_when_lost(struct play *p, enum wd_source_state state)
{
    if (state == WD_SOURCE_LOST)
        play_close(p);
}

static void a_device_that_is_not_there_is_named_beside_those_that_are(void **state)
{
    static const char *const settings[] = {"device", "no such microphone", NULL};
    struct play p = {.on_state = close_when_lost};
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(play_open(&p, wd_source_type_find("portaudio"), settings, 0, &err), 0);
    play_run(&p, 20000);
    assert_false(p.too_long);
    assert_true(p.error < 0);
    assert_int_equal(p.states[p.n_states - 1], WD_SOURCE_LOST);
    if (p.error == -ENODEV)
        assert_non_null(strstr(p.reasons[p.n_states - 1], "no device 'no such microphone'; there are: "));
    else
        assert_true(p.reasons[p.n_states - 1][0]);
    play_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_follow_the_count_of_samples),
        cmocka_unit_test(a_slow_device_clock_is_seen),
        cmocka_unit_test(what_finds_no_room_is_counted_and_time_jumps),
        cmocka_unit_test(channels_of_one_moment_stay_together),
        cmocka_unit_test(devices_are_listed),
        cmocka_unit_test(a_device_that_is_not_there_is_named_beside_those_that_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
