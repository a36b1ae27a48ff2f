/* tests/pipeline/framer_test.c - samples cut into frames. */
#include "pipeline/framer.h"
#include "pipeline/timeline.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static float samples[2000];

static int ramp(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++)
        samples[i] = (float)(i + 1);
    return 0;
}

static void pieces_become_whole_frames(void **state)
{
    struct wd_framer f = {0};
    float out[WD_FRAMER_SAMPLES];
    size_t at = 0, frames = 0;
    int64_t t0;

    (void)state;
    while (at < 1920) {
        size_t n = 77 < wd_framer_room(&f) ? 77 : wd_framer_room(&f);

        assert_int_equal(wd_framer_push(&f, samples + at, n, 5000 + (int64_t)at * WD_SAMPLE_NS), 0);
        at += n;
        if (wd_framer_take(&f, out, &t0)) {
            assert_int_equal(t0, 5000 + (int64_t)frames * 40000000);
            assert_memory_equal(out, samples + frames * WD_FRAMER_SAMPLES, sizeof out);
            frames++;
        }
    }
    assert_int_equal(frames, 3);
    assert_false(wd_framer_flush(&f, out, &t0));
}

static void the_last_frame_is_filled_up_with_zeros(void **state)
{
    struct wd_framer f = {0};
    float out[WD_FRAMER_SAMPLES];
    int64_t t0;

    (void)state;
    memset(out, 1, sizeof out);
    assert_int_equal(wd_framer_push(&f, samples, 100, 77), 0);
    assert_false(wd_framer_take(&f, out, &t0));
    assert_true(wd_framer_flush(&f, out, &t0));
    assert_int_equal(t0, 77);
    assert_memory_equal(out, samples, 100 * sizeof *out);
    for (int i = 100; i < WD_FRAMER_SAMPLES; i++)
        assert_true(out[i] == 0); /* NOLINT: written as zero */
    assert_false(wd_framer_flush(&f, out, &t0));
    assert_int_equal(wd_framer_room(&f), WD_FRAMER_SAMPLES);
}

static void what_does_not_follow_is_refused(void **state)
{
    struct wd_framer f = {0};

    (void)state;
    assert_int_equal(wd_framer_push(&f, samples, 16, 0), 0);
    assert_int_equal(wd_framer_end_ns(&f), 1000000);
    assert_int_equal(wd_framer_push(&f, samples, 16, 2000000), -ERANGE);
    assert_int_equal(wd_framer_push(&f, samples, 16, 0), -ERANGE);
    assert_int_equal(wd_framer_push(&f, samples, 625, 1000000), -ERANGE);
    assert_int_equal(wd_framer_push(&f, samples, 624, 1000001), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_become_whole_frames),
        cmocka_unit_test(the_last_frame_is_filled_up_with_zeros),
        cmocka_unit_test(what_does_not_follow_is_refused),
    };

    return cmocka_run_group_tests(tests, ramp, NULL);
}
