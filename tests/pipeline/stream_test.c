/* tests/pipeline/stream_test.c - one input end to end: its end, its draining, its errors, and what is shed when nobody serves it. */
#include "pipeline/stream.h"

#include "model/engine.h"
#include "pipeline/sources.h"
#include "tests/pipeline/nano.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000000)
#define CLIP TEST_SRCDIR "/tests/nano/speech/single00.flac"
#define MEETING TEST_SRCDIR "/samples/meeting.mkv"

static struct wd_nano nano;

struct fact {
    enum wd_event_kind kind;
    char text[256], change[32], reason[128];
    int64_t t0_ns, t1_ns;
    double behind_s;
};

static struct {
    uv_loop_t loop;
    uv_timer_t bound;
    struct wd_worker *worker;
    struct wd_event_pool *events;
    struct wd_stream *stream;
    const struct wd_source_type *type;
    void *source_opts;
    bool serve;     /* jobs are started as they are wanted */
    bool too_long;
    unsigned ended;
    struct fact facts[512];
    unsigned n_facts;
    unsigned drain_after; /* events; 0: never */
} f;

static int open_model(void **state)
{
    (void)state;
    wd_nano_open(&nano, 0);
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    wd_nano_close(&nano);
    return 0;
}

static void on_event(void *ctx, struct wd_event *e)
{
    struct fact *to = &f.facts[f.n_facts];

    assert_ptr_equal(ctx, &f);
    assert_in_range(f.n_facts, 0, 511);
    f.n_facts++;
    to->kind = e->kind;
    to->t0_ns = e->t0_ns;
    to->t1_ns = e->t1_ns;
    to->behind_s = e->behind_s;
    snprintf(to->text, sizeof to->text, "%s", e->text ? e->text : "");
    snprintf(to->change, sizeof to->change, "%s", e->change ? e->change : "");
    snprintf(to->reason, sizeof to->reason, "%s", e->reason ? e->reason : "");
    assert_string_equal(e->stream, "room");
    if (f.drain_after && e->kind == WD_EVENT_PARTIAL && --f.drain_after == 0) {
        wd_stream_drain(f.stream);
        wd_stream_drain(f.stream); /* can be repeated */
    }
}

static void serve(void *ctx)
{
    (void)ctx;
    while (f.serve && !wd_worker_busy(f.worker) && wd_stream_want(f.stream).need != WD_SCHEDULE_NOTHING)
        if (wd_stream_start_job(f.stream))
            break;
}

static void stop_loop(void)
{
    uv_stop(&f.loop);
}

static void on_ended(void *ctx, struct wd_stream *s)
{
    assert_ptr_equal(ctx, &f);
    assert_ptr_equal(s, f.stream);
    f.ended++;
    stop_loop();
}

static void on_bound(uv_timer_t *t)
{
    (void)t;
    f.too_long = true;
    stop_loop();
}

static void on_pause(uv_timer_t *t)
{
    (void)t;
    stop_loop();
}

static void make(const char *url, const char *realtime, const struct wd_stream_opts *more)
{
    struct wd_stream_shared shared = {.loop = &f.loop, .engine = nano.engine, .voice = nano.voice, .model = "nano", .send = on_event,
                                      .work = serve, .ended = on_ended, .ctx = &f};
    struct wd_stream_opts opts = *more;
    struct wd_err err = {0};

    memset(&f, 0, sizeof f);
    f.serve = true;
    uv_loop_init(&f.loop);
    uv_timer_init(&f.loop, &f.bound);
    uv_timer_start(&f.bound, on_bound, 60000, 0);
    f.type = wd_source_type_find("ffmpeg");
    f.source_opts = calloc(1, f.type->size);
    if (wd_opt_defaults(f.type->opts, f.source_opts, &err) < 0 || wd_opt_set(wd_opt_find(f.type->opts, "url"), f.source_opts, url, &err) < 0 ||
        wd_opt_set(wd_opt_find(f.type->opts, "realtime"), f.source_opts, realtime, &err) < 0 ||
        wd_worker_new(&f.loop, nano.engine, nano.voice, &f.worker, &err) < 0 || wd_event_pool_new(32, &f.events, &err) < 0)
        fail_msg("%s", err.text);
    opts.name = "room";
    opts.source = f.type;
    opts.source_opts = f.source_opts;
    opts.language = "en";
    opts.partials = opts.speakers = true;
    shared.worker = f.worker;
    shared.events = f.events;
    if (wd_stream_new(&opts, &shared, nano.profile, &f.stream, &err) < 0 || wd_stream_start(f.stream, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(wd_stream_name(f.stream), "room");
}

static void worker_closed(void *ctx)
{
    (void)ctx;
    uv_close((uv_handle_t *)&f.bound, NULL);
}

static void stream_closed(void *ctx)
{
    (void)ctx;
    f.stream = wd_stream_free(f.stream);
    wd_worker_close(f.worker, worker_closed, NULL);
}

static void unmake(void)
{
    assert_false(f.too_long);
    wd_stream_close(f.stream, stream_closed, NULL);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    assert_null(f.stream);
    assert_int_equal(wd_event_pool_in_use(f.events), 0);
    assert_int_equal(uv_loop_close(&f.loop), 0);
    wd_opt_done(f.type->opts, f.source_opts);
    free(f.source_opts);
    wd_event_pool_free(f.events);
}

static unsigned count(enum wd_event_kind kind, const char *change)
{
    unsigned n = 0;

    for (unsigned i = 0; i < f.n_facts; i++)
        n += f.facts[i].kind == kind && (!change || strcmp(f.facts[i].change, change) == 0);
    return n;
}

static const struct fact *last(enum wd_event_kind kind)
{
    for (unsigned i = f.n_facts; i-- > 0;)
        if (f.facts[i].kind == kind)
            return &f.facts[i];
    fail_msg("there is no such event");
    return NULL;
}

static const struct wd_stream_opts recording = {.window_max_ns = 15 * SECOND, .lag_target_ns = 3 * SECOND, .tick_ns = 480000000};

static void a_recording_is_heard_to_its_end_and_ends_once(void **state)
{
    struct wd_stream_status s;

    (void)state;
    make(CLIP, "false", &recording);
    assert_int_equal(wd_stream_want(f.stream).need, WD_SCHEDULE_NOTHING);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    assert_int_equal(f.ended, 1);
    assert_int_equal(count(WD_EVENT_FINAL, NULL), 1);
    assert_string_equal(last(WD_EVENT_FINAL)->text, "the product team needs twenty three more days.");
    assert_int_equal(count(WD_EVENT_SOURCE, "live"), 1);
    assert_string_equal(last(WD_EVENT_SOURCE)->change, "ended");
    assert_int_equal(count(WD_EVENT_LAG, NULL), 0);
    assert_int_equal(wd_stream_error(f.stream), 0);
    assert_false(wd_stream_busy(f.stream));
    assert_int_equal(wd_stream_want(f.stream).need, WD_SCHEDULE_NOTHING);
    assert_false(wd_stream_start_job(f.stream));
    s = wd_stream_status(f.stream);
    assert_int_equal(s.state, WD_SOURCE_ENDED);
    assert_true(s.duration_s > 2.5 && s.duration_s < 4);
    assert_true(s.heard_ns > 5 * SECOND / 2 && s.done_ns == s.heard_ns);
    assert_int_equal(s.jobs.frames, s.window.fed);
    assert_int_equal(s.transcript.finals, 1);
    assert_int_equal(s.transcript.n_speakers, 1);
    assert_int_equal(s.events_lost, 0);
    unmake();
}

static void a_recording_waits_for_the_engine_and_loses_nothing(void **state)
{
    struct wd_stream_status s;

    (void)state;
    make(MEETING, "false", &recording);
    f.serve = false;
    while (!f.too_long && wd_stream_want(f.stream).need == WD_SCHEDULE_NOTHING)
        uv_run(&f.loop, UV_RUN_ONCE);
    uv_timer_start(&f.bound, on_pause, 500, 0); /* time to run ahead, if it did */
    uv_run(&f.loop, UV_RUN_DEFAULT);
    uv_timer_start(&f.bound, on_bound, 60000, 0);
    s = wd_stream_status(f.stream);
    assert_int_equal(wd_stream_want(f.stream).need, WD_SCHEDULE_FINAL);
    assert_true(s.heard_ns < 10 * SECOND); /* not all of its 70 s */
    assert_int_equal(s.window.refused, 0);
    f.serve = true;
    f.drain_after = 3;
    serve(NULL);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    assert_int_equal(f.ended, 1);
    assert_int_equal(count(WD_EVENT_GAP, NULL), 0);
    assert_true(count(WD_EVENT_FINAL, NULL) >= 1); /* what was heard before it was drained */
    assert_true(wd_stream_status(f.stream).heard_ns < 60 * SECOND);
    unmake();
}

static void a_live_stream_nobody_serves_sheds_then_says_what_was_lost(void **state)
{
    struct wd_stream_opts live = recording;
    struct wd_stream_status s;
    const struct fact *gap;

    (void)state;
    live.live = true;
    live.lag_target_ns = 1000000; /* steps follow each other at once */
    make(MEETING, "false", &live);
    f.serve = false;
    while (!f.too_long && wd_stream_status(f.stream).state != WD_SOURCE_ENDED)
        uv_run(&f.loop, UV_RUN_ONCE);
    assert_int_equal(wd_stream_want(f.stream).need, WD_SCHEDULE_LIVE);
    assert_true(count(WD_EVENT_LAG, "wider ticks") >= 1);
    assert_true(last(WD_EVENT_LAG)->behind_s > 1);
    s = wd_stream_status(f.stream);
    assert_true(s.window.refused > 100); /* 70 s do not fit 30 s of backlog and one window */
    assert_int_equal(f.ended, 0);
    f.serve = true;
    serve(NULL);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    assert_int_equal(f.ended, 1);
    gap = last(WD_EVENT_GAP);
    assert_string_equal(gap->reason, "the engine is too far behind");
    assert_true(gap->t1_ns > gap->t0_ns);
    /* One event a stretch, not one a frame. */
    assert_in_range(count(WD_EVENT_GAP, NULL), 1, 20);
    assert_true(count(WD_EVENT_FINAL, NULL) >= 3);
    assert_int_equal(wd_stream_status(f.stream).lag_s * 1000, 0);
    unmake();
}

static void what_is_shed_first_are_ticks_then_partials(void **state)
{
    struct wd_stream_opts live = recording;
    int64_t wider = -1, none = -1;

    (void)state;
    live.live = true;
    live.lag_target_ns = SECOND / 10;
    make(CLIP, "true", &live);
    f.serve = false; /* so the lag grows with the sound, however fast the machine is */
    while (!f.too_long && !count(WD_EVENT_LAG, "no partials"))
        uv_run(&f.loop, UV_RUN_ONCE);
    for (unsigned i = 0; i < f.n_facts; i++) {
        if (strcmp(f.facts[i].change, "wider ticks") == 0)
            wider = i;
        if (strcmp(f.facts[i].change, "no partials") == 0)
            none = i;
    }
    assert_true(wider >= 0 && none > wider);
    assert_true(f.facts[none].behind_s >= f.facts[wider].behind_s);
    f.serve = true;
    serve(NULL);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    assert_int_equal(f.ended, 1);
    assert_string_equal(last(WD_EVENT_FINAL)->text, "the product team needs twenty three more days.");
    unmake();
}

static void a_source_that_cannot_be_opened_ends_the_stream_with_a_reason(void **state)
{
    (void)state;
    make("/nowhere/a.mkv", "false", &recording);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    assert_int_equal(f.ended, 1);
    assert_int_equal(wd_stream_error(f.stream), -ENOENT);
    assert_non_null(strstr(wd_stream_reason(f.stream), "/nowhere/a.mkv"));
    assert_non_null(strstr(last(WD_EVENT_SOURCE)->reason, "/nowhere/a.mkv"));
    assert_int_equal(count(WD_EVENT_FINAL, NULL), 0);
    unmake();
}

static void one_job_is_in_flight_at_a_time(void **state)
{
    (void)state;
    make(CLIP, "false", &recording);
    f.serve = false;
    while (!f.too_long && wd_stream_want(f.stream).need == WD_SCHEDULE_NOTHING)
        uv_run(&f.loop, UV_RUN_ONCE);
    assert_true(wd_stream_start_job(f.stream));
    assert_true(wd_stream_busy(f.stream));
    assert_true(wd_worker_busy(f.worker));
    f.serve = true;
    uv_run(&f.loop, UV_RUN_DEFAULT);
    assert_int_equal(f.ended, 1);
    assert_string_equal(last(WD_EVENT_FINAL)->text, "the product team needs twenty three more days.");
    unmake();
}

static void pictures_become_scenes_beside_the_words(void **state)
{
    struct wd_stream_opts both = recording;
    struct wd_stream_status s;

    (void)state;
    both.scenes = true;
    both.picture_budget = 70;
    both.scene_change = 0.02;
    make(MEETING, "false", &both);
    f.drain_after = 12;
    uv_run(&f.loop, UV_RUN_DEFAULT);
    assert_int_equal(f.ended, 1);
    s = wd_stream_status(f.stream);
    assert_true(count(WD_EVENT_SCENE, NULL) >= 1);
    assert_int_equal(count(WD_EVENT_SCENE, NULL), s.scene.events);
    assert_int_equal(s.scene.failed, 0);
    assert_true(s.jobs.patches > 0 && s.jobs.frames > 0);
    assert_int_equal(count(WD_EVENT_NOTICE, NULL), 0);
    unmake();
}

static void an_impossible_setting_is_named_with_the_stream(void **state)
{
    struct wd_stream_opts bad = recording;
    struct wd_stream_shared shared = {.engine = nano.engine, .voice = nano.voice, .ctx = &f};
    struct wd_stream *s = NULL;
    struct wd_err err = {0};

    (void)state;
    memset(&f, 0, sizeof f);
    uv_loop_init(&f.loop);
    uv_timer_init(&f.loop, &f.bound);
    assert_int_equal(wd_worker_new(&f.loop, nano.engine, nano.voice, &f.worker, NULL), 0);
    shared.worker = f.worker;
    bad.name = "room";
    bad.threshold = 7;
    assert_int_equal(wd_stream_new(&bad, &shared, nano.profile, &s, &err), -EINVAL);
    assert_null(s);
    assert_non_null(strstr(err.text, "room"));
    assert_non_null(strstr(err.text, "threshold"));
    bad = recording;
    bad.name = "hall";
    bad.scenes = true;
    bad.picture_budget = 560; /* nano has 16 x 16 places */
    assert_int_equal(wd_stream_new(&bad, &shared, nano.profile, &s, &err), -EINVAL);
    assert_null(s);
    assert_non_null(strstr(err.text, "stream hall"));
    assert_non_null(strstr(err.text, "560 rows"));
    wd_worker_close(f.worker, worker_closed, NULL);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f.loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recording_is_heard_to_its_end_and_ends_once),
        cmocka_unit_test(a_recording_waits_for_the_engine_and_loses_nothing),
        cmocka_unit_test(a_live_stream_nobody_serves_sheds_then_says_what_was_lost),
        cmocka_unit_test(what_is_shed_first_are_ticks_then_partials),
        cmocka_unit_test(a_source_that_cannot_be_opened_ends_the_stream_with_a_reason),
        cmocka_unit_test(one_job_is_in_flight_at_a_time),
        cmocka_unit_test(pictures_become_scenes_beside_the_words),
        cmocka_unit_test(an_impossible_setting_is_named_with_the_stream),
    };

    return cmocka_run_group_tests(tests, open_model, close_model);
}
