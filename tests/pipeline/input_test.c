/* tests/pipeline/input_test.c - frames, gaps, losses, stalls and ends, with sources that do what a test needs. */
#include "pipeline/input.h"
#include "pipeline/timeline.h"
#include "tests/pipeline/play.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MS INT64_C(1000000)
#define S (1000 * MS)

/* A source written by a test: what it does on its capture thread. */
struct script {
    enum wd_source_pace pace;
    int (*run)(struct script *s, struct wd_feed *f, struct wd_err *err);
    int connections;
};

static enum wd_source_pace script_pace(const void *opts)
{
    return (*(struct script *const *)opts)->pace;
}

static int script_run(const void *opts, struct wd_feed *feed, struct wd_err *err)
{
    struct script *s = *(struct script *const *)opts;

    s->connections++;
    return s->run(s, feed, err);
}

static const struct wd_opt no_rows[] = {WD_OPT_END};
static const struct wd_source_type scripted = {
    .name = "scripted", .size = sizeof(struct script *), .opts = no_rows, .pace = script_pace, .run = script_run};

static struct play *play_script(struct script **s, uint32_t budget, unsigned bound_ms, struct play *p)
{
    struct wd_input_opts opts = {.name = "test",
                                 .type = &scripted,
                                 .source_opts = s,
                                 .picture_budget = budget,
                                 .picture_interval_ns = S,
                                 .stall_ns = 300 * MS};
    struct wd_err err = {0};

    if (play_open_with(p, &opts, &err) < 0)
        fail_msg("%s", err.text);
    play_run(p, bound_ms);
    assert_true(p->closed);
    return p;
}

static int sound(struct wd_feed *f, int64_t from_ns, size_t n)
{
    static float pcm[16000];

    for (size_t i = 0; i < n; i++)
        pcm[i] = 0.25f;

    return wd_feed_audio(f, pcm, n, from_ns);
}

static void live(struct wd_feed *f, bool video)
{
    wd_feed_live(f, &(struct wd_feed_info){.has_audio = true, .has_video = video, .duration_ns = 2 * S});
}

/* ---- a file ---- */

static int a_file(struct script *s, struct wd_feed *f, struct wd_err *err)
{
    (void)s;
    (void)err;
    live(f, false);
    sound(f, 50 * S, 1000);
    sound(f, 52 * S, 1000);
    return 0;
}

static void a_hole_becomes_a_gap_and_frames_beside_it_are_filled_up(void **state)
{
    struct script s = {.pace = WD_SOURCE_FLAT_OUT, .run = a_file}, *ps = &s;
    struct play p = {0};

    (void)state;
    play_script(&ps, 0, 10000, &p);
    assert_true(p.ended);
    assert_int_equal(p.n_frames, 4);
    assert_int_equal(p.t0_ns[0], 0);
    assert_int_equal(p.t0_ns[1], 40 * MS);
    assert_int_equal(p.t0_ns[2], 2 * S);
    assert_int_equal(p.t0_ns[3], 2 * S + 40 * MS);
    assert_true(p.pcm[WD_FRAME_SAMPLES + 359] > 0.2f);
    for (size_t i = 360; i < WD_FRAME_SAMPLES; i++)
        assert_true(p.pcm[WD_FRAME_SAMPLES + i] == 0); /* NOLINT: written as zero */
    assert_int_equal(p.n_gaps, 1);
    assert_int_equal(p.gap_from_ns, 1000 * WD_SAMPLE_NS);
    assert_int_equal(p.gap_to_ns, 2 * S);
    assert_string_equal(p.gap_reason, "the source sent no sound");
    assert_int_equal(p.error, 0);
    assert_int_equal(p.stats.frames, 4);
    assert_int_equal(p.stats.gaps, 1);
    assert_true(p.has_audio);
    assert_false(p.has_video);
    assert_true(p.duration_s > 1.99 && p.duration_s < 2.01);
    assert_int_equal(p.n_states, 3);
    assert_int_equal(p.states[0], WD_SOURCE_CONNECTING);
    assert_int_equal(p.states[1], WD_SOURCE_LIVE);
    assert_int_equal(p.states[2], WD_SOURCE_ENDED);
    assert_int_equal(s.connections, 1);
    play_done(&p);
}

static int no_file(struct script *s, struct wd_feed *f, struct wd_err *err)
{
    (void)s;
    (void)f;
    return wd_err_set(err, -ENOENT, "x.wav: no such file");
}

static void what_cannot_be_opened_ends_with_its_reason(void **state)
{
    struct script s = {.pace = WD_SOURCE_PACED, .run = no_file}, *ps = &s;
    struct play p = {0};

    (void)state;
    play_script(&ps, 70, 10000, &p);
    assert_true(p.ended);
    assert_int_equal(p.n_states, 3);
    assert_int_equal(p.states[1], WD_SOURCE_LOST);
    assert_int_equal(p.states[2], WD_SOURCE_ENDED);
    assert_string_equal(p.reasons[2], "x.wav: no such file");
    assert_int_equal(p.error, -ENOENT);
    play_done(&p);
}

/* ---- pictures and sound ---- */

static int both(struct script *s, struct wd_feed *f, struct wd_err *err)
{
    static const uint8_t rgb[96 * 48 * 3];

    (void)s;
    live(f, true);
    for (int i = 0; i < 40; i++) {
        int64_t t_ns = wd_feed_picture_due(f, i * S / 2);
        int r = t_ns < 0 ? 0 : wd_feed_picture(f, rgb, 288, 96, 48, 96, 48, t_ns, err);

        if (r < 0 || (r = sound(f, i * S / 2, 8000)) < 0)
            return r;
    }
    return 0;
}

static size_t most_ahead;

static void check_pictures(struct play *p)
{
    int64_t heard_ns = p->t0_ns[p->n_frames - 1] + WD_FRAME_NS;

    if (p->n_pictures && p->picture_ns[p->n_pictures - 1] > heard_ns + 2 * S)
        most_ahead++;
}

static void pictures_come_beside_their_sound(void **state)
{
    struct script s = {.pace = WD_SOURCE_FLAT_OUT, .run = both}, *ps = &s;
    struct play p = {.on_frame = check_pictures};

    (void)state;
    play_script(&ps, 70, 20000, &p);
    assert_true(p.ended);
    assert_int_equal(p.n_frames, 500);
    assert_int_equal(p.n_pictures, 20);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(p.picture_ns[i], (int64_t)i * S);
    assert_int_equal(most_ahead, 0);
    assert_int_equal(p.picture_w, 528);
    assert_int_equal(p.picture_h, 240);
    assert_int_equal(p.stats.pictures_dropped, 0);
    assert_int_equal(p.stats.samples_dropped, 0);
    play_done(&p);
}

/* ---- peers ---- */

static int lost_once(struct script *s, struct wd_feed *f, struct wd_err *err)
{
    live(f, false);
    sound(f, s->connections * 1000 * S, 3200);
    if (s->connections == 1)
        return wd_err_set(err, -ECONNRESET, "the peer hung up");
    while (wd_feed_sleep_until(f, uv_hrtime() + 10000000))
        ;
    return -ECANCELED;
}

static void close_when_heard_twice(struct play *p)
{
    if (p->n_frames == 10)
        play_close(p);
}

static void a_lost_peer_is_called_again_and_time_goes_on(void **state)
{
    struct script s = {.pace = WD_SOURCE_ONLINE, .run = lost_once}, *ps = &s;
    struct play p = {.on_frame = close_when_heard_twice};

    (void)state;
    play_script(&ps, 0, 20000, &p);
    assert_false(p.too_long);
    assert_int_equal(p.n_frames, 10);
    assert_int_equal(s.connections, 2);
    assert_int_equal(p.states[0], WD_SOURCE_CONNECTING);
    assert_int_equal(p.states[1], WD_SOURCE_LIVE);
    assert_int_equal(p.states[2], WD_SOURCE_LOST);
    assert_string_equal(p.reasons[2], "the peer hung up");
    assert_int_equal(p.states[3], WD_SOURCE_CONNECTING);
    assert_int_equal(p.states[4], WD_SOURCE_LIVE);
    assert_int_equal(p.error, -ECONNRESET);
    assert_int_equal(p.n_gaps, 1);
    assert_string_equal(p.gap_reason, "the source was lost");
    assert_int_equal(p.gap_from_ns, 200 * MS);
    assert_true(p.gap_to_ns > 900 * MS && p.gap_to_ns == p.t0_ns[5]); /* the pause before the second call */
    play_done(&p);
}

static int wrong_settings(struct script *s, struct wd_feed *f, struct wd_err *err)
{
    (void)s;
    (void)f;
    return wd_err_set(err, -EINVAL, "no such format");
}

static void what_can_never_work_is_not_tried_again(void **state)
{
    struct script s = {.pace = WD_SOURCE_ONLINE, .run = wrong_settings}, *ps = &s;
    struct play p = {0};

    (void)state;
    play_script(&ps, 0, 20000, &p);
    assert_true(p.ended);
    assert_int_equal(s.connections, 1);
    assert_int_equal(p.error, -EINVAL);
    play_done(&p);
}

/* Bytes may still arrive: the time in them stands still. */
static int stands_still(struct script *s, struct wd_feed *f, struct wd_err *err)
{
    (void)s;
    (void)err;
    live(f, false);
    sound(f, 0, 640);
    while (wd_feed_sleep_until(f, uv_hrtime() + 10000000))
        ;
    return -ECANCELED;
}

static void close_when_lost(struct play *p, enum wd_source_state state)
{
    if (state == WD_SOURCE_LOST)
        play_close(p);
}

static void a_peer_that_stands_still_is_stalled_then_lost(void **state)
{
    struct script s = {.pace = WD_SOURCE_ONLINE, .run = stands_still}, *ps = &s;
    struct play p = {.on_state = close_when_lost};

    (void)state;
    play_script(&ps, 0, 20000, &p);
    assert_false(p.too_long);
    assert_int_equal(p.n_states, 4);
    assert_int_equal(p.states[1], WD_SOURCE_LIVE);
    assert_int_equal(p.states[2], WD_SOURCE_STALLED);
    assert_int_equal(p.states[3], WD_SOURCE_LOST);
    assert_non_null(strstr(p.reasons[3], "stood still"));
    play_done(&p);
}

/* ---- stopping ---- */

static int endless(struct script *s, struct wd_feed *f, struct wd_err *err)
{
    int r = 0;

    (void)s;
    (void)err;
    live(f, false);
    for (int64_t t = 0; r >= 0; t += 100 * MS)
        r = sound(f, t, 1600);
    return r;
}

static void stop_soon(struct play *p)
{
    if (p->n_frames == 50)
        wd_input_stop(p->in);
}

static void what_was_captured_before_a_stop_can_still_be_pulled(void **state)
{
    struct script s = {.pace = WD_SOURCE_FLAT_OUT, .run = endless}, *ps = &s;
    struct play p = {.on_frame = stop_soon};

    (void)state;
    play_script(&ps, 0, 20000, &p);
    assert_true(p.ended);
    assert_true(p.n_frames >= 50 && p.n_frames < 1000);
    assert_int_equal(p.error, 0);
    assert_int_equal(p.states[p.n_states - 1], WD_SOURCE_ENDED);
    assert_string_equal(p.reasons[p.n_states - 1], "stopped");
    play_done(&p);
}

static void a_full_input_can_be_closed(void **state)
{
    struct script s = {.pace = WD_SOURCE_FLAT_OUT, .run = endless}, *ps = &s;
    struct play p = {.leave = true};

    (void)state;
    play_script(&ps, 0, 300, &p); /* the bound closes it while its capture thread waits for room */
    assert_true(p.too_long);
    assert_int_equal(p.n_frames, 0);
    play_done(&p);
}

static void an_input_can_be_closed_at_once(void **state)
{
    struct script s = {.pace = WD_SOURCE_ONLINE, .run = endless}, *ps = &s;
    struct wd_input_opts opts = {.name = "test", .type = &scripted, .source_opts = &ps};

    (void)state;
    for (int i = 0; i < 50; i++) {
        struct play p = {0};

        assert_int_equal(play_open_with(&p, &opts, NULL), 0);
        play_close(&p);
        play_run(&p, 10000);
        assert_true(p.closed);
        play_done(&p);
    }
}

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(wd_source_state_name(WD_SOURCE_STALLED), "stalled");
    assert_string_equal(wd_source_state_name(WD_SOURCE_CONNECTING), "connecting");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hole_becomes_a_gap_and_frames_beside_it_are_filled_up),
        cmocka_unit_test(what_cannot_be_opened_ends_with_its_reason),
        cmocka_unit_test(pictures_come_beside_their_sound),
        cmocka_unit_test(a_lost_peer_is_called_again_and_time_goes_on),
        cmocka_unit_test(what_can_never_work_is_not_tried_again),
        cmocka_unit_test(a_peer_that_stands_still_is_stalled_then_lost),
        cmocka_unit_test(what_was_captured_before_a_stop_can_still_be_pulled),
        cmocka_unit_test(a_full_input_can_be_closed),
        cmocka_unit_test(an_input_can_be_closed_at_once),
        cmocka_unit_test(states_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
