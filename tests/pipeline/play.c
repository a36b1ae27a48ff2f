/* tests/pipeline/play.c - plays a source through the input and keeps what came out. */
#include "tests/pipeline/play.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void keep_frame(struct play *p, const float *pcm, int64_t t0_ns)
{
    if (p->n_frames == p->cap_frames) {
        p->cap_frames = p->cap_frames ? p->cap_frames * 2 : 256;
        p->pcm = realloc(p->pcm, p->cap_frames * WD_FRAME_SAMPLES * sizeof *p->pcm);
        p->t0_ns = realloc(p->t0_ns, p->cap_frames * sizeof *p->t0_ns);
        assert_non_null(p->pcm);
        assert_non_null(p->t0_ns);
    }
    memcpy(p->pcm + p->n_frames * WD_FRAME_SAMPLES, pcm, WD_FRAME_SAMPLES * sizeof *pcm);
    if (p->n_frames)
        assert_true(t0_ns >= p->t0_ns[p->n_frames - 1] + WD_FRAME_NS); /* never back, never over another */
    p->t0_ns[p->n_frames++] = t0_ns;
    if (p->on_frame)
        p->on_frame(p);
}

static void keep_pictures(struct play *p)
{
    struct wd_picture *pic;

    while ((pic = wd_input_picture(p->in))) {
        assert_true(p->n_pictures < PLAY_MAX_PICTURES);
        if (p->n_pictures)
            assert_true(pic->t_ns > p->picture_ns[p->n_pictures - 1]);
        p->picture_ns[p->n_pictures++] = pic->t_ns;
        p->picture_w = pic->w;
        p->picture_h = pic->h;
        wd_picture_unref(pic);
    }
}

static void closed(void *ctx)
{
    struct play *p = ctx;

    p->closed = true;
    uv_close((uv_handle_t *)&p->bound, NULL);
}

void play_close(struct play *p)
{
    p->stats = wd_input_stats(p->in);
    p->error = wd_input_error(p->in);
    p->has_audio = wd_input_has_audio(p->in);
    p->has_video = wd_input_has_video(p->in);
    p->duration_s = wd_input_duration_s(p->in);
    wd_input_close(p->in, closed);
    p->in = NULL;
}

static void on_ready(void *ctx)
{
    struct play *p = ctx;
    float pcm[WD_FRAME_SAMPLES];
    int64_t t0_ns;

    while (p->in && !p->leave && wd_input_audio(p->in, pcm, &t0_ns) > 0) {
        keep_frame(p, pcm, t0_ns);
        if (p->in)
            keep_pictures(p);
    }
    if (p->in && !p->leave)
        keep_pictures(p);
    if (p->in && wd_input_ended(p->in)) {
        p->ended = true;
        play_close(p);
    }
}

static void on_state(void *ctx, enum wd_source_state state, const char *reason)
{
    struct play *p = ctx;

    assert_true(p->n_states < PLAY_MAX_STATES);
    p->states[p->n_states] = state;
    snprintf(p->reasons[p->n_states++], sizeof p->reasons[0], "%s", reason);
    if (p->on_state)
        p->on_state(p, state);
}

static void on_gap(void *ctx, int64_t from_ns, int64_t to_ns, const char *reason)
{
    struct play *p = ctx;

    p->n_gaps++;
    p->gap_from_ns = from_ns;
    p->gap_to_ns = to_ns;
    snprintf(p->gap_reason, sizeof p->gap_reason, "%s", reason);
}

static void on_bound(uv_timer_t *timer)
{
    struct play *p = timer->data;

    p->too_long = true;
    if (p->in)
        play_close(p);
}

int play_open_with(struct play *p, const struct wd_input_opts *opts, struct wd_err *err)
{
    static const struct wd_input_callbacks cb = {on_ready, on_state, on_gap};
    int r;

    assert_int_equal(uv_loop_init(&p->loop), 0);
    uv_timer_init(&p->loop, &p->bound);
    p->bound.data = p;
    r = wd_input_open(&p->loop, opts, &cb, p, &p->in, err);
    if (r < 0)
        uv_close((uv_handle_t *)&p->bound, NULL);
    return r;
}

int play_open(struct play *p, const struct wd_source_type *type, const char *const *settings, uint32_t budget,
              struct wd_err *err)
{
    struct wd_input_opts opts = {
        .name = "test", .type = type, .picture_budget = budget, .picture_interval_ns = INT64_C(1000000000)};

    p->type = type;
    p->source_opts = calloc(1, type->size);
    assert_non_null(p->source_opts);
    assert_int_equal(wd_opt_defaults(type->opts, p->source_opts, err), 0);
    for (; *settings; settings += 2) {
        const struct wd_opt *row = wd_opt_find(type->opts, settings[0]);

        assert_non_null(row);
        assert_int_equal(wd_opt_set(row, p->source_opts, settings[1], err), 0);
    }
    opts.source_opts = p->source_opts;
    return play_open_with(p, &opts, err);
}

void play_run(struct play *p, unsigned bound_ms)
{
    if (p->in)
        uv_timer_start(&p->bound, on_bound, bound_ms, 0);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&p->loop), 0);
}

void play_done(struct play *p)
{
    if (p->type)
        wd_opt_done(p->type->opts, p->source_opts);
    free(p->source_opts);
    free(p->pcm);
    free(p->t0_ns);
}

struct play play(const struct wd_source_type *type, const char *const *settings, uint32_t budget, unsigned bound_ms)
{
    struct play *p = calloc(1, sizeof *p), result;
    struct wd_err err = {0};

    assert_non_null(p);
    if (play_open(p, type, settings, budget, &err) < 0)
        fail_msg("%s", err.text);
    play_run(p, bound_ms);
    assert_false(p->too_long);
    assert_true(p->closed);
    result = *p;
    free(p);
    return result;
}
