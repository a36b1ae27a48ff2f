/* tests/pipeline/window_test.c - where windows open, tick, close and are cut; every frame is
 * accounted for. */
#include "pipeline/window.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MS INT64_C(1000000)
#define FRAME WD_WINDOW_FRAME_NS
#define S WD_WINDOW_SILENCE
#define V WD_WINDOW_SPEECH
#define H WD_WINDOW_HANGOVER

static int64_t now; /* of the next frame */
static struct wd_window_job job;

static struct wd_window *window_of(struct wd_window_opts o)
{
    struct wd_window *w = NULL;
    struct wd_err err = {0};

    if (wd_window_new(&o, &w, &err) < 0)
        fail_msg("%s", err.text);
    now = 1000 * MS;
    memset(&job, 0, sizeof job);
    return w;
}

static int push(struct wd_window *w, enum wd_window_speech s, unsigned n)
{
    float pcm[WD_WINDOW_SAMPLES] = {0};
    int r = 0;

    for (unsigned i = 0; i < n && r == 0; i++) {
        pcm[0] = (float)(now / FRAME); /* the frame knows its time */
        r = wd_window_push(w, pcm, now, s, s == V ? 0.9f : 0.1f);
        now += FRAME;
    }
    return r;
}

/* The next job is this one. */
static void next_is(struct wd_window *w, enum wd_window_why why, bool open, uint32_t first,
                    uint32_t n)
{
    assert_true(wd_window_ready(w));
    assert_true(wd_window_next(w, &job));
    assert_int_equal(job.why, why);
    assert_int_equal(job.open, open);
    assert_int_equal(job.first, first);
    assert_int_equal(job.n, n);
    assert_int_equal(wd_window_frames(w), first + n);
    for (uint32_t i = 0; i < wd_window_frames(w); i++)
        assert_true(wd_window_pcm(w, i)[0] == (float)(wd_window_t0_ns(w) / FRAME) + (float)i);
}

static void nothing_next(struct wd_window *w)
{
    assert_false(wd_window_ready(w));
    assert_false(wd_window_next(w, &job));
}

static void silence_opens_nothing(void **state)
{
    struct wd_window *w = window_of((struct wd_window_opts){0});
    (void)state;

    assert_int_equal(push(w, S, 1000), 0);
    assert_int_equal(push(w, H, 1000), 0);
    nothing_next(w);
    assert_int_equal(wd_window_stats(w).silent_frames, 1995);
    wd_window_end(w);
    nothing_next(w);
    assert_int_equal(wd_window_stats(w).silent_frames, 2000);
    assert_int_equal(wd_window_waiting_ns(w), 0);
    wd_window_free(w);
}

static void a_window_opens_with_its_preroll_ticks_and_closes_at_a_pause(void **state)
{
    struct wd_window *w = window_of((struct wd_window_opts){0});
    (void)state;

    push(w, S, 50);
    push(w, V, 6);
    nothing_next(w); /* 11 frames: no group yet */
    push(w, V, 1);
    next_is(w, WD_WINDOW_TICK, true, 0, 12);
    assert_true(wd_window_t0_ns(w) == 1000 * MS + 45 * FRAME);
    assert_true(wd_window_speech_ns(w) == 7 * FRAME);
    assert_true(wd_window_p(w, 0) == 0.1f && wd_window_p(w, 5) == 0.9f);
    nothing_next(w);
    push(w, V, 12);
    next_is(w, WD_WINDOW_TICK, false, 12, 12);
    push(w, V, 1);
    push(w, H, 11);
    next_is(w, WD_WINDOW_TICK, false, 24, 12);
    push(w, H, 3);
    nothing_next(w);
    push(w, H, 1);
    next_is(w, WD_WINDOW_CLOSE, false, 36, 4);
    assert_true(wd_window_t1_ns(w) == now);
    push(w, V, 20); /* the next is not begun before this one is closed */
    nothing_next(w);
    assert_int_equal(wd_window_close(w), 0);
    next_is(w, WD_WINDOW_TICK, true, 0, 20);
    assert_int_equal(wd_window_stats(w).fed, 60);
    assert_int_equal(wd_window_stats(w).fed_twice, 0);
    assert_int_equal(wd_window_stats(w).windows, 2);
    assert_int_equal(wd_window_stats(w).silent_frames, 45);
    wd_window_free(w);
}

static void the_gates_silence_closes_at_once_and_is_no_part_of_the_window(void **state)
{
    struct wd_window *w = window_of((struct wd_window_opts){0});
    (void)state;

    push(w, V, 20);
    push(w, H, 2);
    push(w, S, 1);
    next_is(w, WD_WINDOW_CLOSE, true, 0, 22);
    assert_int_equal(wd_window_close(w), 0);
    /* The pre-roll of the next begins behind the window. */
    push(w, S, 2);
    push(w, V, 20);
    next_is(w, WD_WINDOW_TICK, true, 0, 23);
    wd_window_free(w);
}

static void too_little_speech_is_dropped_without_a_decode(void **state)
{
    struct wd_window *w = window_of((struct wd_window_opts){0});
    (void)state;

    push(w, S, 10);
    push(w, V, 2);
    push(w, H, 13);
    nothing_next(w);
    push(w, S, 5);
    nothing_next(w);
    assert_int_equal(wd_window_stats(w).dropped_windows, 1);
    assert_int_equal(wd_window_stats(w).dropped_frames, 20);
    assert_int_equal(wd_window_stats(w).windows, 0);
    push(w, V, 3);
    push(w, S, 1);
    next_is(w, WD_WINDOW_CLOSE, true, 0, 8);
    assert_int_equal(wd_window_close(w), 0);
    /* Two too short, one long enough, all there before anybody asks. */
    push(w, V, 1);
    push(w, S, 1);
    push(w, V, 2);
    push(w, S, 1);
    push(w, V, 9);
    push(w, S, 1);
    assert_true(wd_window_ready(w));
    next_is(w, WD_WINDOW_CLOSE, true, 0, 10);
    assert_int_equal(wd_window_stats(w).dropped_windows, 3);
    wd_window_free(w);
}

static void a_full_window_is_cut_and_its_tail_is_fed_twice(void **state)
{
    struct wd_window *w = window_of((struct wd_window_opts){.max_ns = 4000 * MS, .tick_ns = -1});
    (void)state;

    push(w, V, 130);
    next_is(w, WD_WINDOW_FULL, true, 0, 100);
    nothing_next(w);
    assert_int_equal(wd_window_cut(w, 0), -EINVAL);
    assert_int_equal(wd_window_cut(w, 100), -EINVAL);
    assert_int_equal(wd_window_cut(w, 80), 0);
    assert_int_equal(wd_window_cut(w, 10), -EINVAL);
    next_is(w, WD_WINDOW_FEED, true, 0, 50);
    assert_true(wd_window_t0_ns(w) == 1000 * MS + 80 * FRAME);
    assert_int_equal(wd_window_stats(w).fed, 150);
    assert_int_equal(wd_window_stats(w).fed_twice, 20);
    assert_int_equal(wd_window_stats(w).cuts, 1);
    assert_int_equal(wd_window_close(w), -EINVAL);
    push(w, S, 1);
    next_is(w, WD_WINDOW_CLOSE, false, 50, 0);
    assert_int_equal(wd_window_close(w), 0);
    nothing_next(w);
    wd_window_free(w);
}

static void a_full_window_may_be_closed_too(void **state)
{
    struct wd_window *w = window_of((struct wd_window_opts){.max_ns = 4000 * MS});
    (void)state;

    push(w, V, 100);
    next_is(w, WD_WINDOW_FULL, true, 0, 100);
    assert_int_equal(wd_window_close(w), 0);
    wd_window_end(w); /* the run goes on, but nothing of it is here */
    nothing_next(w);
    push(w, V, 12);
    next_is(w, WD_WINDOW_TICK, true, 0, 12);
    wd_window_free(w);
}

static void a_gap_closes_the_window(void **state)
{
    struct wd_window *w = window_of((struct wd_window_opts){0});
    (void)state;

    push(w, V, 20);
    next_is(w, WD_WINDOW_TICK, true, 0, 20);
    now += 19 * MS; /* less than half a frame is none */
    push(w, V, 1);
    now += 21 * MS;
    push(w, V, 11);
    assert_true(wd_window_next(w, &job));
    assert_int_equal(job.why, WD_WINDOW_CLOSE);
    assert_int_equal(job.n, 1);
    assert_int_equal(wd_window_stats(w).gaps, 1);
    assert_int_equal(wd_window_close(w), 0);
    nothing_next(w);
    push(w, V, 1);
    assert_true(wd_window_next(w, &job));
    assert_int_equal(job.why, WD_WINDOW_TICK);
    assert_int_equal(job.n, 12);
    /* A gap behind a window fed whole: only the last decode is left. */
    now += 1000 * MS;
    push(w, S, 1);
    assert_true(wd_window_next(w, &job));
    assert_int_equal(job.why, WD_WINDOW_CLOSE);
    assert_int_equal(job.n, 0);
    now -= 2000 * MS;
    assert_int_equal(push(w, V, 1), -ERANGE);
    assert_int_equal(wd_window_stats(w).refused, 1);
    wd_window_free(w);
}

static void the_end_closes_and_time_may_begin_anew(void **state)
{
    struct wd_window *w = window_of((struct wd_window_opts){0});
    (void)state;

    push(w, V, 5);
    wd_window_end(w);
    wd_window_end(w);
    next_is(w, WD_WINDOW_CLOSE, true, 0, 5);
    assert_int_equal(wd_window_close(w), 0);
    now = 0;
    assert_int_equal(push(w, V, 12), 0);
    next_is(w, WD_WINDOW_TICK, true, 0, 12);
    assert_int_equal(wd_window_stats(w).gaps, 0);
    wd_window_free(w);
}

static void once_more_feeds_everything_again(void **state)
{
    struct wd_window *w = window_of((struct wd_window_opts){0});
    (void)state;

    push(w, V, 30);
    next_is(w, WD_WINDOW_TICK, true, 0, 30);
    push(w, S, 1);
    next_is(w, WD_WINDOW_CLOSE, false, 30, 0);
    wd_window_again(w, false);
    next_is(w, WD_WINDOW_CLOSE, true, 0, 30);
    assert_int_equal(wd_window_stats(w).again, 1);
    assert_int_equal(wd_window_stats(w).windows, 1);
    assert_int_equal(wd_window_stats(w).fed, 60);
    assert_int_equal(wd_window_stats(w).fed_twice, 30);
    assert_int_equal(wd_window_close(w), 0);
    wd_window_again(w, false);
    nothing_next(w);
    wd_window_free(w);
}

static void once_more_as_a_whole_waits_for_the_end(void **state)
{
    struct wd_window *w = window_of((struct wd_window_opts){0});
    (void)state;

    push(w, V, 30);
    next_is(w, WD_WINDOW_TICK, true, 0, 30);
    wd_window_again(w, true);
    nothing_next(w);
    push(w, V, 30);
    nothing_next(w);
    wd_window_end(w);
    next_is(w, WD_WINDOW_CLOSE, true, 0, 60);
    assert_int_equal(wd_window_close(w), 0);
    push(w, V, 30); /* the next window is as ever */
    next_is(w, WD_WINDOW_TICK, true, 0, 30);
    wd_window_free(w);
}

static void a_busy_engine_gets_fewer_larger_jobs_and_a_bound(void **state)
{
    struct wd_window *w = window_of(
        (struct wd_window_opts){.max_ns = 4000 * MS, .preroll_ns = -1, .backlog_ns = 2000 * MS});
    (void)state;

    assert_int_equal(push(w, V, 90), 0);
    next_is(w, WD_WINDOW_TICK, true, 0, 90);
    assert_int_equal(push(w, V, 60), 0);
    assert_int_equal(push(w, V, 1), -ENOSPC);
    assert_int_equal(push(w, V, 1), -ENOSPC);
    assert_int_equal(wd_window_stats(w).refused, 2);
    assert_true(wd_window_waiting_ns(w) == 60 * FRAME);
    next_is(w, WD_WINDOW_FULL, false, 90, 10);
    assert_int_equal(wd_window_cut(w, 95), 0);
    next_is(w, WD_WINDOW_CLOSE, true, 0, 55); /* what was lost ends it */
    assert_int_equal(wd_window_close(w), 0);
    assert_int_equal(push(w, V, 12), 0);
    next_is(w, WD_WINDOW_TICK, true, 0, 12);
    assert_int_equal(wd_window_stats(w).gaps, 1);
    wd_window_free(w);
}

static void a_recording_is_ticked_as_if_it_came_in_time(void **state)
{
    struct wd_window *w = window_of((struct wd_window_opts){.preroll_ns = -1, .every_tick = true});
    (void)state;

    push(w, V, 30);
    push(w, S, 20);
    next_is(w, WD_WINDOW_TICK, true, 0, 12);
    next_is(w, WD_WINDOW_TICK, false, 12, 12);
    next_is(w, WD_WINDOW_CLOSE, false, 24, 6);
    assert_int_equal(wd_window_close(w), 0);
    nothing_next(w);
    wd_window_free(w);
}

static void ticks_can_be_wider_or_none(void **state)
{
    struct wd_window *w = window_of((struct wd_window_opts){.tick_ns = 960 * MS});
    (void)state;

    push(w, V, 12);
    next_is(w, WD_WINDOW_FEED, true, 0, 12);
    push(w, V, 12);
    next_is(w, WD_WINDOW_TICK, false, 12, 12);
    wd_window_set_tick(w, -1);
    push(w, V, 100);
    next_is(w, WD_WINDOW_FEED, false, 24, 100);
    wd_window_set_tick(w, 40 * MS);
    next_is(w, WD_WINDOW_TICK, false, 124, 0); /* they have waited for a decode */
    nothing_next(w);
    wd_window_free(w);
}

static void settings_out_of_bounds_are_named(void **state)
{
    struct wd_window *w = NULL;
    struct wd_err err = {0};
    (void)state;

    assert_int_equal(wd_window_new(&(struct wd_window_opts){.max_ns = 31000 * MS}, &w, &err),
                     -EINVAL);
    assert_string_equal(err.text, "window: max_s is 31000 ms, expected 1000 to 30000");
    assert_int_equal(wd_window_new(&(struct wd_window_opts){.pause_ns = -1}, &w, &err), -EINVAL);
    assert_non_null(strstr(err.text, "pause_ms"));
    assert_int_equal(wd_window_new(&(struct wd_window_opts){.preroll_ns = 20000 * MS}, &w, &err),
                     -EINVAL);
    assert_non_null(strstr(err.text, "preroll_ms"));
    assert_null(w);
}

static uint32_t seed;

static uint32_t any(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

/* Whatever comes: windows lie in time one behind the other, each of its frames is fed once in
 * order, and every frame that was taken is fed, dropped, silent, or still here. */
static void every_frame_is_accounted_for(void **state)
{
    (void)state;
    for (uint32_t round = 1; round <= 60; round++) {
        struct wd_window *w =
            window_of((struct wd_window_opts){.max_ns = 2000 * MS,
                                              .backlog_ns = 3000 * MS,
                                              .tick_ns = round % 3 ? 480 * MS : -1,
                                              .preroll_ns = round % 5 ? 200 * MS : -1});
        struct wd_window_stats st;
        int64_t fed_to = 0; /* no later window begins before what this one ended with */
        uint64_t speech_in = 0, speech_out = 0, closed = 0;
        enum wd_window_speech s = S;
        bool ready;

        seed = round;
        for (uint32_t i = 0; i < 6000; i++) {
            if (any(12) == 0)
                s = (enum wd_window_speech)any(3);
            if (any(700) == 0)
                now += 40 * MS * any(50);
            if (push(w, s, 1) == 0)
                speech_in += s == V;
            if (any(900) == 0)
                wd_window_end(w);
            /* The engine is busy for a while, now and then for long. */
            if (i % 500 >= 400 || any(4))
                continue;
            ready = wd_window_ready(w);
            while (wd_window_next(w, &job)) {
                assert_true(ready);
                assert_int_equal(job.first + job.n, wd_window_frames(w));
                assert_true(wd_window_frames(w) <= 50);
                if (job.open) {
                    assert_int_equal(job.first, 0);
                    assert_true(wd_window_t0_ns(w) >= fed_to);
                }
                for (uint32_t k = 0; k < wd_window_frames(w); k++)
                    assert_true(wd_window_pcm(w, k)[0] ==
                                (float)(wd_window_t0_ns(w) / FRAME) + (float)k);
                if (job.why == WD_WINDOW_FULL) {
                    uint32_t at = 1 + any(49);

                    for (uint32_t k = 0; k < at; k++)
                        speech_out += wd_window_p(w, k) > 0.5f;
                    fed_to = wd_window_t0_ns(w) + at * FRAME;
                    assert_int_equal(wd_window_cut(w, at), 0);
                } else if (job.why == WD_WINDOW_CLOSE) {
                    if (any(5) == 0) {
                        wd_window_again(w, false);
                        ready = true;
                        continue;
                    }
                    speech_out += (uint64_t)(wd_window_speech_ns(w) / FRAME);
                    fed_to = wd_window_t1_ns(w);
                    closed++;
                    assert_int_equal(wd_window_close(w), 0);
                }
                ready = wd_window_ready(w);
            }
            assert_false(ready);
        }
        wd_window_end(w);
        while (wd_window_next(w, &job)) {
            if (job.why == WD_WINDOW_CLOSE || job.why == WD_WINDOW_FULL) {
                speech_out += (uint64_t)(wd_window_speech_ns(w) / FRAME);
                assert_int_equal(wd_window_close(w), 0);
            }
        }
        st = wd_window_stats(w);
        assert_true(closed > 0 && st.cuts > 0);
        assert_int_equal(wd_window_waiting_ns(w), 0);
        assert_int_equal(st.frames, st.fed - st.fed_twice + st.dropped_frames + st.silent_frames);
        assert_true(speech_out <= speech_in && speech_in - speech_out <= 2 * st.dropped_windows);
        wd_window_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_opens_nothing),
        cmocka_unit_test(a_window_opens_with_its_preroll_ticks_and_closes_at_a_pause),
        cmocka_unit_test(the_gates_silence_closes_at_once_and_is_no_part_of_the_window),
        cmocka_unit_test(too_little_speech_is_dropped_without_a_decode),
        cmocka_unit_test(a_full_window_is_cut_and_its_tail_is_fed_twice),
        cmocka_unit_test(a_full_window_may_be_closed_too),
        cmocka_unit_test(a_gap_closes_the_window),
        cmocka_unit_test(the_end_closes_and_time_may_begin_anew),
        cmocka_unit_test(once_more_feeds_everything_again),
        cmocka_unit_test(once_more_as_a_whole_waits_for_the_end),
        cmocka_unit_test(a_busy_engine_gets_fewer_larger_jobs_and_a_bound),
        cmocka_unit_test(a_recording_is_ticked_as_if_it_came_in_time),
        cmocka_unit_test(ticks_can_be_wider_or_none),
        cmocka_unit_test(settings_out_of_bounds_are_named),
        cmocka_unit_test(every_frame_is_accounted_for),
    };

    return cmocka_run_group_tests_name("pipeline/window", tests, NULL, NULL);
}
