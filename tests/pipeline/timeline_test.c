/* tests/pipeline/timeline_test.c - capture times that jump, wander and start anew, and the stream time that comes of them. */
#include "pipeline/timeline.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define MS INT64_C(1000000)
#define S (1000 * MS)
#define CHUNK 320 /* 20 ms */

/* One chunk; its stream time. */
static int64_t put(struct wd_timeline *t, int64_t pts_ns)
{
    int64_t at;
    size_t skip;

    wd_timeline_audio(t, pts_ns, CHUNK, &at, &skip);
    assert_int_equal(skip, 0);
    return at;
}

static struct wd_timeline fresh(void)
{
    struct wd_timeline t;

    wd_timeline_init(&t);
    return t;
}

static void the_first_sample_is_time_zero(void **state)
{
    struct wd_timeline t = fresh();

    (void)state;
    assert_int_equal(put(&t, 123 * S), 0);
    assert_int_equal(put(&t, 123 * S + 20 * MS), 20 * MS);
    assert_int_equal(wd_timeline_picture(&t, 123 * S + 30 * MS), 30 * MS);
}

static void the_first_picture_is_time_zero_and_sound_follows_it(void **state)
{
    struct wd_timeline t = fresh();

    (void)state;
    assert_int_equal(wd_timeline_picture(&t, 7 * S), 0);
    assert_int_equal(put(&t, 7 * S + 500 * MS), 500 * MS);
}

static void sound_from_before_the_start_is_skipped(void **state)
{
    struct wd_timeline t = fresh();
    int64_t at;
    size_t skip;

    (void)state;
    wd_timeline_base(&t, 10 * S);
    wd_timeline_audio(&t, 10 * S - 25 * MS, CHUNK, &at, &skip);
    assert_int_equal(skip, CHUNK);
    wd_timeline_audio(&t, 10 * S - 5 * MS, CHUNK, &at, &skip);
    assert_int_equal(skip, 80);
    assert_int_equal(at, 0);
    assert_int_equal(put(&t, 10 * S + 15 * MS), 15 * MS);
}

static void rounded_times_make_no_holes(void **state)
{
    struct wd_timeline t = fresh();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t pts = i * 20 * MS + (i % 7 - 3) * 2 * MS;

        assert_int_equal(put(&t, i ? pts : 0), i * 20 * MS);
    }
    assert_true(llabs(wd_timeline_drift_ns(&t)) < 2 * MS);
}

static void missing_sound_is_a_hole(void **state)
{
    struct wd_timeline t = fresh();

    (void)state;
    put(&t, 0);
    assert_int_equal(put(&t, 61 * MS), 61 * MS);
    assert_int_equal(put(&t, 81 * MS), 81 * MS);
    assert_int_equal(put(&t, 5 * S), 5 * S);
    assert_int_equal(t.restarts, 0);
}

static void one_wrong_time_moves_nothing(void **state)
{
    struct wd_timeline t = fresh();

    (void)state;
    put(&t, 10 * S);
    assert_int_equal(put(&t, 0), 20 * MS);
    assert_int_equal(put(&t, 10 * S + 40 * MS), 40 * MS);
    assert_int_equal(t.restarts, 0);
}

static void a_clock_that_jumps_back_goes_on_without_a_hole(void **state)
{
    struct wd_timeline t = fresh();

    (void)state;
    for (int i = 0; i < 50; i++)
        put(&t, 100 * S + i * 20 * MS);
    for (int i = 0; i < 50; i++)
        assert_int_equal(put(&t, i * 20 * MS), 1 * S + i * 20 * MS);
    assert_int_equal(t.restarts, 1);
    /* pictures of the new clock stand beside its sound */
    assert_int_equal(wd_timeline_picture(&t, 1 * S), 2 * S);
}

static void an_absurd_leap_is_another_clock(void **state)
{
    struct wd_timeline t = fresh();

    (void)state;
    put(&t, 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(put(&t, 86400 * S + i * 20 * MS), 20 * MS + i * 20 * MS);
    assert_int_equal(t.restarts, 1);
}

static void a_clock_that_runs_fast_is_measured(void **state)
{
    struct wd_timeline t = fresh();

    (void)state;
    for (int i = 0; i < 3000; i++) /* a minute; 200 parts in a million fast */
        assert_int_equal(put(&t, i * (20 * MS + 4000)), i * 20 * MS);
    assert_in_range(wd_timeline_drift_ns(&t), 10 * MS, 12 * MS);
    /* nobody follows it: at a frame's length it becomes a hole */
    for (int i = 3000; i < 12000; i++)
        put(&t, i * (20 * MS + 4000));
    assert_true(t.audio_end_ns > 12000 * 20 * MS);
}

static void sound_without_times_is_counted(void **state)
{
    struct wd_timeline t = fresh();

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(put(&t, WD_NO_PTS), i * 20 * MS);
    assert_int_equal(put(&t, INT64_MAX), 200 * MS);
    assert_int_equal(put(&t, INT64_MIN + 1), 220 * MS);
}

static void a_late_picture_is_not_shown(void **state)
{
    struct wd_timeline t = fresh();

    (void)state;
    put(&t, 0);
    assert_int_equal(wd_timeline_picture(&t, 40 * MS), 40 * MS);
    assert_int_equal(wd_timeline_picture(&t, 40 * MS), -1);
    assert_int_equal(wd_timeline_picture(&t, 30 * MS), -1);
    assert_int_equal(wd_timeline_picture(&t, WD_NO_PTS), -1);
    assert_int_equal(wd_timeline_picture(&t, 80 * MS), 80 * MS);
}

static void pictures_on_a_clock_that_jumped_come_back(void **state)
{
    struct wd_timeline t = fresh();
    int64_t at = -1, last = 0;
    int i;

    (void)state;
    for (i = 0; i < 100; i++)
        last = wd_timeline_picture(&t, 500 * S + i * 40 * MS);
    assert_int_equal(last, 99 * 40 * MS);
    for (i = 0; i < 100 && at < 0; i++)
        at = wd_timeline_picture(&t, i * 40 * MS);
    assert_in_range(i, 1, 30);
    assert_true(at > last);
    assert_int_equal(wd_timeline_picture(&t, i * 40 * MS), at + 40 * MS);
}

static void after_a_loss_time_goes_on_with_the_wall_clock(void **state)
{
    struct wd_timeline t = fresh();

    (void)state;
    put(&t, 5 * S);
    assert_int_equal(wd_timeline_picture(&t, 5 * S), 0);
    wd_timeline_restart(&t, 9 * S);
    assert_int_equal(put(&t, 777 * S), 9 * S);
    assert_int_equal(wd_timeline_picture(&t, 777 * S + MS), 9 * S + MS);
    wd_timeline_restart(&t, 1 * S); /* a clock on the wall that went back */
    assert_int_equal(put(&t, 3 * S), 9 * S + 20 * MS);
}

static void time_never_goes_back_whatever_comes(void **state)
{
    struct wd_timeline t = fresh();
    uint64_t z = 42;
    int64_t end = 0, picture = -1;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        int64_t pts, at;
        size_t n, skip;

        z = z * 6364136223846793005u + 1442695040888963407u;
        n = 1 + (z >> 33) % 2000;
        z = z * 6364136223846793005u + 1442695040888963407u;
        pts = (z >> 60) < 12 ? end + (int64_t)(z >> 36) - (1 << 27) : (int64_t)z;
        if ((z >> 20) % 3 == 0) {
            at = wd_timeline_picture(&t, pts);
            assert_true(at == -1 || at > picture);
            picture = at == -1 ? picture : at;
        } else {
            wd_timeline_audio(&t, pts, n, &at, &skip);
            assert_true(skip <= n);
            if (skip < n) {
                assert_true(at >= end);
                end = at + (int64_t)(n - skip) * WD_SAMPLE_NS;
            }
        }
        if (i % 1000 == 999)
            wd_timeline_restart(&t, (int64_t)(z >> 25));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_sample_is_time_zero),
        cmocka_unit_test(the_first_picture_is_time_zero_and_sound_follows_it),
        cmocka_unit_test(sound_from_before_the_start_is_skipped),
        cmocka_unit_test(rounded_times_make_no_holes),
        cmocka_unit_test(missing_sound_is_a_hole),
        cmocka_unit_test(one_wrong_time_moves_nothing),
        cmocka_unit_test(a_clock_that_jumps_back_goes_on_without_a_hole),
        cmocka_unit_test(an_absurd_leap_is_another_clock),
        cmocka_unit_test(a_clock_that_runs_fast_is_measured),
        cmocka_unit_test(sound_without_times_is_counted),
        cmocka_unit_test(a_late_picture_is_not_shown),
        cmocka_unit_test(pictures_on_a_clock_that_jumped_come_back),
        cmocka_unit_test(after_a_loss_time_goes_on_with_the_wall_clock),
        cmocka_unit_test(time_never_goes_back_whatever_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
