/* tests/pipeline/feed_test.c - what crosses from a capture thread to the loop, and what happens when it is full. */
#include "pipeline/feed.h"
#include "pipeline/timeline.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define S INT64_C(1000000000)
#define MS INT64_C(1000000)

static struct wd_feed *feed_of(enum wd_feed_mode mode, bool audio, uint32_t budget)
{
    struct wd_feed_opts o = {.mode = mode, .audio = audio, .picture_budget = budget, .picture_interval_ns = S};
    struct wd_feed *f;

    assert_int_equal(wd_feed_new(&o, &f, NULL), 0);
    wd_feed_live(f, &(struct wd_feed_info){.has_audio = audio, .has_video = budget > 0});
    return f;
}

/* n samples whose values are their numbers, captured from their time on. */
static int put(struct wd_feed *f, size_t first, size_t n)
{
    float *pcm = malloc(n * sizeof *pcm);
    int r;

    assert_non_null(pcm);
    for (size_t i = 0; i < n; i++)
        pcm[i] = (float)(first + i);
    r = wd_feed_audio(f, pcm, n, (int64_t)first * WD_SAMPLE_NS);
    free(pcm);
    return r;
}

/* The next piece begins with sample number `first`; how many follow it. */
static size_t get(struct wd_feed *f, size_t first, const char **ret_why)
{
    float pcm[1000];
    int64_t t_ns;
    int n = wd_feed_read(f, WD_NO_PTS, pcm, 1000, &t_ns, ret_why);

    assert_true(n > 0);
    assert_int_equal(t_ns, (int64_t)first * WD_SAMPLE_NS);
    for (int i = 0; i < n; i++)
        assert_int_equal((long)pcm[i], (long)first + i);
    return (size_t)n;
}

static int put_picture(struct wd_feed *f, int64_t pts_ns)
{
    static const uint8_t rgb[48 * 48 * 3];
    int64_t t_ns = wd_feed_picture_due(f, pts_ns);

    return t_ns < 0 ? 1 : wd_feed_picture(f, rgb, 144, 48, 48, 48, 48, t_ns, NULL);
}

static void sound_comes_out_with_its_time_and_stops_at_a_hole(void **state)
{
    struct wd_feed *f = feed_of(WD_FEED_LIVE, true, 0);
    const char *why;
    float pcm[8];
    int64_t t_ns;

    (void)state;
    assert_int_equal(wd_feed_read(f, WD_NO_PTS, pcm, 8, &t_ns, &why), 0);
    put(f, 0, 900);
    put(f, 900, 50);
    put(f, 5000, 70);
    put(f, 5070, 30);
    assert_int_equal(get(f, 0, &why), 950);
    assert_null(why);
    assert_int_equal(wd_feed_read(f, 950 * WD_SAMPLE_NS, pcm, 8, &t_ns, &why), -ERANGE);
    assert_int_equal(get(f, 5000, &why), 100);
    assert_string_equal(why, "the source sent no sound");
    wd_feed_end(f);
    assert_int_equal(wd_feed_read(f, WD_NO_PTS, pcm, 8, &t_ns, &why), -EPIPE);
    wd_feed_free(f);
}

static void live_sound_that_waits_too_long_becomes_a_hole(void **state)
{
    struct wd_feed *f = feed_of(WD_FEED_LIVE, true, 0);
    const char *why;
    struct wd_feed_status s;
    size_t at = 0, dropped;

    (void)state;
    put(f, 0, 1000);
    assert_int_equal(get(f, 0, &why), 1000);
    for (at = 1000; at < 16000 * 35; at += 1000)
        assert_int_equal(put(f, at, 1000), 0); /* never waits */
    s = wd_feed_status(f);
    dropped = s.samples_dropped;
    assert_true(dropped > 0 && dropped % WD_FRAME_SAMPLES == 0);
    assert_int_equal(s.samples + dropped + 1000, at);
    assert_int_equal(get(f, 1000 + dropped, &why), 1000);
    assert_string_equal(why, "too much sound waited, the oldest was dropped");
    get(f, 2000 + dropped, &why);
    assert_null(why);
    wd_feed_free(f);
}

static void live_holes_without_end_are_bounded(void **state)
{
    struct wd_feed *f = feed_of(WD_FEED_LIVE, true, 0);
    struct wd_feed_status s;
    const char *why;
    size_t n = 0;
    int64_t last = -1, t_ns;
    float pcm[100];

    (void)state;
    for (size_t i = 0; i < 2000; i++)
        assert_int_equal(put(f, i * 2000, 10), 0);
    s = wd_feed_status(f);
    assert_int_equal(s.samples + s.samples_dropped, 20000);
    while (wd_feed_read(f, WD_NO_PTS, pcm, 100, &t_ns, &why) > 0) {
        assert_true(t_ns > last);
        last = t_ns;
        n++;
    }
    assert_in_range(n, 1, 256);
    assert_int_equal(last, 1999 * 2000 * WD_SAMPLE_NS);
    wd_feed_free(f);
}

struct flow {
    struct wd_feed *f;
    size_t total;
    atomic_size_t done;
    int result;
};

static void push_all(void *arg)
{
    struct flow *w = arg;

    while (w->done < w->total) {
        size_t n = 1 + w->done % 3000;

        n = n < w->total - w->done ? n : w->total - w->done;
        w->result = put(w->f, w->done, n);
        if (w->result < 0)
            return;
        w->done += n;
    }
    wd_feed_end(w->f);
}

static void flat_out_waits_and_loses_nothing(void **state)
{
    struct flow w = {.f = feed_of(WD_FEED_FLAT_OUT, true, 0), .total = 16000 * 30};
    uv_thread_t t;
    size_t got = 0;
    float pcm[777];
    const char *why;
    int64_t t_ns;
    int n;

    (void)state;
    assert_int_equal(uv_thread_create(&t, push_all, &w), 0);
    while ((n = wd_feed_read(w.f, WD_NO_PTS, pcm, 777, &t_ns, &why)) != -EPIPE) {
        if (n == 0) {
            uv_sleep(1);
            continue;
        }
        assert_int_equal(t_ns, (int64_t)got * WD_SAMPLE_NS);
        for (int i = 0; i < n; i++)
            if ((size_t)pcm[i] != got + (size_t)i)
                fail_msg("sample %zu is %f", got + (size_t)i, (double)pcm[i]);
        got += (size_t)n;
    }
    uv_thread_join(&t);
    assert_int_equal(got, w.total);
    assert_int_equal(wd_feed_status(w.f).samples_dropped, 0);
    wd_feed_free(w.f);
}

static void stop_frees_whoever_waits(void **state)
{
    struct flow w = {.f = feed_of(WD_FEED_FLAT_OUT, true, 0), .total = 16000 * 30};
    uv_thread_t t;

    (void)state;
    assert_int_equal(uv_thread_create(&t, push_all, &w), 0);
    while (wd_feed_status(w.f).samples < 7 * 16000)
        uv_sleep(1);
    assert_true(w.done < 9 * 16000); /* it waits: nobody reads */
    wd_feed_stop(w.f);
    uv_thread_join(&t); /* or this never ends */
    assert_int_equal(w.result, -ECANCELED);
    assert_true(wd_feed_interrupted(w.f));
    assert_false(wd_feed_sleep_until(w.f, UINT64_MAX));
    wd_feed_free(w.f);
}

static void one_picture_a_second_is_due(void **state)
{
    struct wd_feed *f = feed_of(WD_FEED_FLAT_OUT, false, 70);
    struct wd_picture *p;
    int due = 0;

    (void)state;
    for (int i = 0; i < 250; i++) /* 25 a second, times rounded to milliseconds and a little wrong */
        due += put_picture(f, 77 * S + i * 40 * MS - (i % 25 == 0 && i ? 900000 : 0)) == 0;
    assert_int_equal(due, 10);
    for (int i = 0; i < 10; i++) {
        p = wd_feed_take_picture(f, INT64_MAX);
        assert_non_null(p);
        assert_true(p->t_ns <= i * S && p->t_ns >= i * S - MS);
        assert_int_equal(p->w, 384);
        assert_int_equal(p->h, 384);
        wd_picture_unref(p);
    }
    assert_null(wd_feed_take_picture(f, INT64_MAX));
    wd_feed_free(f);
}

static void live_shows_the_newest_picture(void **state)
{
    struct wd_feed *f = feed_of(WD_FEED_LIVE, false, 70);
    struct wd_picture *p;

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(put_picture(f, i * S), 0);
    p = wd_feed_take_picture(f, INT64_MAX);
    assert_int_equal(p->t_ns, 4 * S);
    assert_null(wd_feed_take_picture(f, INT64_MAX));
    assert_int_equal(wd_feed_status(f).pictures_dropped, 4);
    wd_feed_free(f); /* while p is still looked at */
    assert_int_equal(p->w, 384);
    wd_picture_unref(p);
}

static void a_picture_ahead_of_the_sound_is_held_back(void **state)
{
    struct wd_feed *f = feed_of(WD_FEED_FLAT_OUT, true, 70);
    struct wd_picture *p;

    (void)state;
    put(f, 0, 16000);
    put_picture(f, 0);
    put_picture(f, 3 * S);
    p = wd_feed_take_picture(f, 2 * S);
    assert_int_equal(p->t_ns, 0);
    wd_picture_unref(p);
    assert_null(wd_feed_take_picture(f, 2 * S));
    p = wd_feed_take_picture(f, 3 * S);
    assert_int_equal(p->t_ns, 3 * S);
    wd_picture_unref(p);
    wd_feed_free(f);
}

/* A file that gives thirty pictures and, behind them, the sound. */
static void pictures_then_sound(void *arg)
{
    struct flow *w = arg;

    for (int i = 0; i < 30; i++)
        w->result = put_picture(w->f, i * S);
    put(w->f, 0, 16000);
    wd_feed_end(w->f);
}

static void who_only_takes_sound_does_not_wait_for_ever(void **state)
{
    struct flow w = {.f = feed_of(WD_FEED_FLAT_OUT, true, 70)};
    const char *why;
    float pcm[1000];
    int64_t t_ns;
    uv_thread_t t;
    size_t got = 0;
    int n;

    (void)state;
    assert_int_equal(uv_thread_create(&t, pictures_then_sound, &w), 0);
    while ((n = wd_feed_read(w.f, WD_NO_PTS, pcm, 1000, &t_ns, &why)) != -EPIPE) {
        got += (size_t)n;
        if (!n)
            uv_sleep(1);
    }
    uv_thread_join(&t);
    assert_int_equal(got, 16000);
    assert_int_equal(wd_feed_status(w.f).pictures_dropped, 14);
    wd_feed_free(w.f);
}

static void who_takes_both_gets_all_of_both(void **state)
{
    struct flow w = {.f = feed_of(WD_FEED_FLAT_OUT, true, 70)};
    struct wd_picture *p;
    const char *why;
    float pcm[1000];
    int64_t t_ns;
    uv_thread_t t;
    size_t got = 0, pictures = 0;
    int n;

    (void)state;
    assert_int_equal(uv_thread_create(&t, pictures_then_sound, &w), 0);
    do {
        n = wd_feed_read(w.f, WD_NO_PTS, pcm, 1000, &t_ns, &why);
        got += n > 0 ? (size_t)n : 0;
        while ((p = wd_feed_take_picture(w.f, n == -EPIPE ? INT64_MAX : (int64_t)got * WD_SAMPLE_NS + S))) {
            assert_int_equal(p->t_ns, (int64_t)pictures++ * S);
            wd_picture_unref(p);
        }
        if (!n)
            uv_sleep(1);
    } while (n != -EPIPE);
    uv_thread_join(&t);
    assert_int_equal(got, 16000);
    assert_int_equal(pictures, 30);
    wd_feed_free(w.f);
}

static void states_come_in_order_and_the_last_survives(void **state)
{
    struct wd_feed *f = feed_of(WD_FEED_LIVE, true, 0);
    enum wd_source_state s = WD_SOURCE_CONNECTING;
    char reason[256];
    int n = 0;

    (void)state;
    assert_true(wd_feed_next_state(f, &s, reason, sizeof reason));
    assert_int_equal(s, WD_SOURCE_LIVE);
    wd_feed_live(f, &(struct wd_feed_info){.has_audio = true}); /* told once */
    assert_false(wd_feed_next_state(f, &s, reason, sizeof reason));
    for (int i = 0; i < 100; i++)
        wd_feed_state(f, i % 2 ? WD_SOURCE_LOST : WD_SOURCE_CONNECTING, "again");
    wd_feed_state(f, WD_SOURCE_ENDED, "the end");
    while (wd_feed_next_state(f, &s, reason, sizeof reason))
        n++;
    assert_in_range(n, 2, 32);
    assert_int_equal(s, WD_SOURCE_ENDED);
    assert_string_equal(reason, "the end");
    wd_feed_free(f);
}

static void what_is_not_wanted_is_not_kept(void **state)
{
    struct wd_feed *f = feed_of(WD_FEED_FLAT_OUT, false, 0);

    (void)state;
    assert_int_equal(put(f, 0, 100), 0);
    assert_int_equal(wd_feed_status(f).samples, 0);
    assert_int_equal(wd_feed_picture_due(f, 0), -1);
    assert_false(wd_feed_wants_audio(f));
    assert_false(wd_feed_wants_pictures(f));
    wd_feed_free(f);
    assert_null(wd_feed_free(NULL));
}

static void after_a_loss_the_hole_has_its_reason(void **state)
{
    struct wd_feed *f = feed_of(WD_FEED_LIVE, true, 0);
    const char *why;
    int64_t t_ns;
    float pcm[100];

    (void)state;
    put(f, 0, 100);
    get(f, 0, &why);
    uv_sleep(100);
    wd_feed_interrupt(f);
    assert_int_equal(put(f, 100, 100), -ECANCELED);
    wd_feed_again(f, "the source was lost");
    assert_int_equal(put(f, 7, 100), 0); /* a clock of its own */
    assert_int_equal(wd_feed_read(f, WD_NO_PTS, pcm, 100, &t_ns, &why), 100);
    assert_string_equal(why, "the source was lost");
    assert_true(t_ns >= 100 * MS);
    wd_feed_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_comes_out_with_its_time_and_stops_at_a_hole),
        cmocka_unit_test(live_sound_that_waits_too_long_becomes_a_hole),
        cmocka_unit_test(live_holes_without_end_are_bounded),
        cmocka_unit_test(flat_out_waits_and_loses_nothing),
        cmocka_unit_test(stop_frees_whoever_waits),
        cmocka_unit_test(one_picture_a_second_is_due),
        cmocka_unit_test(live_shows_the_newest_picture),
        cmocka_unit_test(a_picture_ahead_of_the_sound_is_held_back),
        cmocka_unit_test(who_only_takes_sound_does_not_wait_for_ever),
        cmocka_unit_test(who_takes_both_gets_all_of_both),
        cmocka_unit_test(states_come_in_order_and_the_last_survives),
        cmocka_unit_test(what_is_not_wanted_is_not_kept),
        cmocka_unit_test(after_a_loss_the_hole_has_its_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
