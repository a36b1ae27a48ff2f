/* tests/pipeline/worker_test.c - jobs go to the engine thread and come back with an answer or a reason; one at a time, none lost. */
#include "pipeline/worker.h"

#include "model/tokenizer.h"
#include "pipeline/prompt.h"
#include "tests/golden/drafter.h"
#include "tests/pipeline/nano.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SAID "S1: the product team needs twenty three more days."

static struct wd_nano nano;
static float *clip;
static uint32_t n_frames;
static struct {
    uv_loop_t loop;
    struct wd_worker *worker;
    struct wd_lane *lane;
    struct wd_job *job;
    unsigned n_done;
    bool closed, last; /* last: the lane goes with this job */
    pthread_t loop_thread;
} f;

static int open_model(void **state)
{
    size_t n;

    (void)state;
    wd_nano_open(&nano, 0);
    clip = wd_nano_clip("single00", &n);
    n_frames = (uint32_t)(n / 640);
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    free(clip);
    wd_nano_close(&nano);
    return 0;
}

static void done(void *ctx, struct wd_job *job)
{
    assert_ptr_equal(ctx, &f);
    assert_ptr_equal(job, f.job);
    assert_true(pthread_equal(pthread_self(), f.loop_thread));
    assert_false(f.closed);
    f.n_done++;
    if (f.last)
        f.lane = wd_lane_free(f.lane);
}

static void closed(void *ctx)
{
    assert_ptr_equal(ctx, &f);
    f.closed = true;
}

static void make(enum wd_job_kind kind, uint32_t capacity)
{
    struct wd_err err = {0};

    memset(&f, 0, sizeof f);
    f.loop_thread = pthread_self();
    uv_loop_init(&f.loop);
    if (wd_worker_new(&f.loop, nano.engine, nano.voice, &f.worker, &err) < 0 || wd_lane_new(f.worker, capacity, &f.lane, &err) < 0 ||
        wd_job_new(kind, &f.job, &err) < 0)
        fail_msg("%s", err.text);
    f.job->lane = f.lane;
    f.job->done = done;
    f.job->ctx = &f;
}

static void unmake(void)
{
    if (!f.closed) {
        wd_lane_free(f.lane);
        wd_worker_close(f.worker, closed, &f);
        uv_run(&f.loop, UV_RUN_DEFAULT);
    }
    assert_true(f.closed);
    wd_job_free(f.job);
    assert_int_equal(uv_loop_close(&f.loop), 0);
}

static void submit_and_wait(void)
{
    unsigned before = f.n_done;

    assert_int_equal(wd_worker_submit(f.worker, f.job), 0);
    while (f.n_done == before)
        uv_run(&f.loop, UV_RUN_ONCE);
}

/* The whole clip as one window. */
static void fill(void)
{
    const struct wd_tokenizer *t = wd_engine_tokenizer(nano.engine);
    struct wd_job *j = f.job;

    j->open = j->decode = true;
    j->before.n = (uint32_t)wd_prompt_transcribe_before(nano.profile, t, NULL, NULL, j->before.ids, WD_JOB_MAX_PROMPT);
    j->after.n = (uint32_t)wd_prompt_transcribe_after(nano.profile, t, j->after.ids, WD_JOB_MAX_PROMPT);
    j->forced.n = j->draft.n = j->n_pieces = 0;
    j->n_frames = n_frames;
    memcpy(j->pcm, clip, (size_t)n_frames * sizeof j->pcm[0]);
    j->max_tokens = 100;
}

static const char *answer(unsigned i)
{
    static char text[1024];
    int32_t ids[WD_JOB_MAX_TOKENS];
    const struct wd_answer *a = &f.job->answers[i];

    for (uint32_t k = 0; k < a->n; k++)
        ids[k] = a->tokens[k].id;
    memset(text, 0, sizeof text);
    wd_tokenizer_decode(wd_engine_tokenizer(nano.engine), ids, a->n, false, text, sizeof text - 1);
    return text;
}

static void an_answer_comes_back_on_the_loop(void **state)
{
    (void)state;
    make(WD_JOB_SOUND, 1024);
    assert_false(wd_worker_busy(f.worker));
    assert_int_equal(wd_worker_pass_ns(f.worker), 0);
    fill();
    submit_and_wait();
    assert_int_equal(f.job->code, 0);
    assert_string_equal(answer(0), SAID);
    assert_int_equal(f.job->frames_in_window, n_frames);
    assert_int_equal(f.job->count.frames, n_frames);
    assert_int_equal(f.job->count.prompt_tokens, f.job->before.n + f.job->after.n);
    assert_true(f.job->count.busy_ns > 0 && f.job->count.passes >= f.job->answers[0].n);
    assert_true(wd_worker_pass_ns(f.worker) > 0);
    unmake();
}

static void a_second_job_in_flight_is_refused(void **state)
{
    (void)state;
    make(WD_JOB_SOUND, 1024);
    fill();
    assert_int_equal(wd_worker_submit(f.worker, f.job), 0);
    assert_true(wd_worker_busy(f.worker));
    assert_int_equal(wd_worker_submit(f.worker, f.job), -EBUSY);
    while (!f.n_done)
        uv_run(&f.loop, UV_RUN_ONCE);
    assert_false(wd_worker_busy(f.worker));
    assert_int_equal(f.n_done, 1);
    unmake();
}

static void a_window_in_ticks_says_what_it_says_at_once(void **state)
{
    struct wd_job_count sum = {0};

    (void)state;
    make(WD_JOB_SOUND, 1024);
    fill();
    for (uint32_t at = 0, n; at < n_frames; at += n) {
        n = n_frames - at < 25 ? n_frames - at : 25;
        f.job->open = at == 0;
        f.job->decode = at + n == n_frames || at % 50 == 0; /* every other one is only fed */
        f.job->n_frames = n;
        memcpy(f.job->pcm, clip + (size_t)at * 640, (size_t)n * sizeof f.job->pcm[0]);
        submit_and_wait();
        assert_int_equal(f.job->code, 0);
        assert_int_equal(f.job->frames_in_window, f.job->decode ? at + n : 0);
        assert_true(f.job->decode || f.job->answers[0].n == 0);
        wd_job_count_add(&sum, &f.job->count);
    }
    assert_string_equal(answer(0), SAID);
    assert_int_equal(sum.frames, n_frames);
    assert_int_equal(wd_worker_count(f.worker).frames, sum.frames);
    assert_int_equal(wd_worker_count(f.worker).decoded, sum.decoded);
    assert_int_equal(wd_worker_count(f.worker).busy_ns, sum.busy_ns);
    unmake();
}

static void what_two_windows_begin_with_is_fed_once(void **state)
{
    (void)state;
    make(WD_JOB_SOUND, 1024);
    fill();
    submit_and_wait();
    fill();
    submit_and_wait();
    assert_int_equal(f.job->code, 0);
    assert_int_equal(f.job->count.prompt_tokens, f.job->after.n);
    assert_string_equal(answer(0), SAID);
    unmake();
}

static void settled_and_drafted_tokens_change_no_answer(void **state)
{
    struct wd_answer *first = malloc(sizeof *first);

    (void)state;
    make(WD_JOB_SOUND, 1024);
    fill();
    submit_and_wait();
    *first = f.job->answers[0];
    fill();
    for (uint32_t i = 0; i < first->n; i++) {
        struct wd_ids *to = i < 4 ? &f.job->forced : &f.job->draft;

        to->ids[to->n++] = first->tokens[i].id;
    }
    f.job->draft.ids[3] = 300; /* wrong */
    submit_and_wait();
    assert_int_equal(f.job->answers[0].n, first->n);
    assert_string_equal(answer(0), SAID);
    assert_int_equal(f.job->count.forced, 4);
    assert_int_equal(f.job->count.accepted, 3);
    free(first);
    unmake();
}

static void a_drafter_changes_no_answer_and_is_counted_apart(void **state)
{
    char folder[64] = "/tmp/witnessd-drafter-XXXXXX", path[96];
    struct wd_engine_opts opts = {.n_threads = 2, .drafter = path};
    struct wd_engine *plain = nano.engine;
    struct wd_answer *first = malloc(sizeof *first);
    float *attention = malloc(64 * (size_t)n_frames * sizeof *attention);
    struct wd_err err = {0};

    (void)state;
    make(WD_JOB_SOUND, 1024);
    fill();
    submit_and_wait();
    assert_int_equal(f.job->count.guessed, 0);
    *first = f.job->answers[0];
    assert_in_range(first->n, 10, 63);
    memcpy(attention, f.job->attention, (first->n + 1) * (size_t)n_frames * sizeof *attention);
    unmake();

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/drafter.gguf", folder);
    if (wd_checkpoint_write_drafter("nano", folder, false, &err) < 0 ||
        wd_engine_open(TEST_SRCDIR "/models/nano.gguf", &opts, &nano.engine, &err) < 0)
        fail_msg("%s", err.text);
    make(WD_JOB_SOUND, 1024);
    fill();
    submit_and_wait();
    assert_string_equal(answer(0), SAID);
    assert_int_equal(f.job->answers[0].n, first->n);
    assert_int_equal(f.job->count.drafted, 0);
    assert_true(f.job->count.guessed >= 4 * (first->n - 1) && f.job->count.guessed_right * 4 < f.job->count.guessed);
    /* Each word still looks where it did, whatever was guessed behind it. */
    for (size_t i = 0; i < (first->n + 1) * (size_t)n_frames; i++)
        assert_true(fabsf(f.job->attention[i] - attention[i]) < 1e-4f);
    /* A hypothesis goes first. */
    fill();
    for (uint32_t i = 0; i < first->n; i++)
        f.job->draft.ids[f.job->draft.n++] = first->tokens[i].id;
    submit_and_wait();
    assert_string_equal(answer(0), SAID);
    assert_int_equal(f.job->count.accepted, first->n);
    assert_int_equal(f.job->count.guessed, 0);
    unmake();

    wd_engine_free(nano.engine);
    nano.engine = plain;
    unlink(path);
    rmdir(folder);
    free(attention);
    free(first);
}

static void a_bad_prompt_comes_back_as_a_reason_and_the_next_job_is_fine(void **state)
{
    (void)state;
    make(WD_JOB_SOUND, 1024);
    fill();
    f.job->before.ids[2] = 1 << 20;
    submit_and_wait();
    assert_int_equal(f.job->code, -EINVAL);
    assert_non_null(strstr(f.job->err, "1048576"));
    assert_int_equal(f.job->answers[0].n, 0);
    fill();
    submit_and_wait();
    assert_int_equal(f.job->code, 0);
    assert_string_equal(f.job->err, "");
    assert_string_equal(answer(0), SAID);
    unmake();
}

static void a_lane_that_is_full_says_so_and_can_begin_anew(void **state)
{
    (void)state;
    make(WD_JOB_SOUND, 120);
    fill();
    for (int i = 0; i < 3; i++) {
        f.job->open = i == 0;
        f.job->decode = false;
        f.job->n_frames = 60;
        submit_and_wait();
        assert_int_equal(f.job->code, i < 1 ? 0 : -ENOSPC);
    }
    assert_non_null(strstr(f.job->err, "120"));
    fill();
    submit_and_wait();
    assert_int_equal(f.job->code, 0);
    assert_non_null(strstr(answer(0), "the product team"));
    unmake();
}

static void prints_are_made_of_the_pieces_or_refused(void **state)
{
    double len = 0;

    (void)state;
    make(WD_JOB_SOUND, 1024);
    fill();
    f.job->n_pieces = 2;
    for (int i = 0; i < 2; i++) {
        f.job->pieces[i].n_samples = WD_VOICE_PIECE;
        memcpy(f.job->pieces[i].pcm, clip + i * 3200, WD_VOICE_PIECE * sizeof *clip);
    }
    submit_and_wait();
    assert_int_equal(f.job->code, 0);
    assert_int_equal(f.job->count.prints, 2);
    for (int i = 0; i < WD_VOICE_DIM; i++)
        len += (double)f.job->pieces[1].print[i] * (double)f.job->pieces[1].print[i];
    assert_true(fabs(len - 1) < 1e-4);
    fill();
    f.job->n_pieces = 1;
    f.job->pieces[0].n_samples = WD_VOICE_MIN_SAMPLES - 1;
    submit_and_wait();
    assert_int_equal(f.job->code, -EINVAL);
    assert_non_null(strstr(f.job->err, "9839"));
    unmake();
}

static void a_job_in_flight_is_delivered_before_the_worker_is_gone(void **state)
{
    (void)state;
    make(WD_JOB_SOUND, 1024);
    fill();
    f.last = true;
    assert_int_equal(wd_worker_submit(f.worker, f.job), 0);
    wd_worker_close(f.worker, closed, &f);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    assert_int_equal(f.n_done, 1);
    assert_true(f.closed);
    assert_int_equal(f.job->code, 0);
    assert_string_equal(answer(0), SAID);
    unmake();
}

static void lanes_do_not_hear_each_other(void **state)
{
    struct wd_lane *other;
    float *more;
    size_t n;

    (void)state;
    make(WD_JOB_SOUND, 1024);
    assert_int_equal(wd_lane_new(f.worker, 1024, &other, NULL), 0);
    more = wd_nano_clip("single03", &n);
    fill();
    f.job->decode = false;
    submit_and_wait();
    f.job->lane = other;
    f.job->n_frames = (uint32_t)(n / 640);
    memcpy(f.job->pcm, more, f.job->n_frames * sizeof f.job->pcm[0]);
    f.job->decode = true;
    submit_and_wait();
    assert_int_equal(f.job->code, 0);
    assert_string_not_equal(answer(0), SAID);
    f.job->lane = f.lane;
    f.job->open = false;
    f.job->n_frames = 0;
    submit_and_wait();
    assert_string_equal(answer(0), SAID);
    free(more);
    wd_lane_free(other);
    unmake();
}

static void a_lane_longer_than_the_models_context_is_refused(void **state)
{
    struct wd_lane *l = NULL;
    struct wd_err err = {0};

    (void)state;
    make(WD_JOB_SOUND, 64);
    assert_int_equal(wd_lane_new(f.worker, 1u << 30, &l, &err), -EINVAL);
    assert_null(l);
    assert_non_null(strstr(err.text, "context"));
    unmake();
}

/* Two pictures, a question to each, as the recorded cases have them: what changed, and is it dark. */
static void look(struct wd_picture_pool *pool, const char *a, int64_t a_s, const char *b, int64_t b_s)
{
    const struct wd_tokenizer *t = wd_engine_tokenizer(nano.engine);
    struct wd_job *j = f.job;
    const int64_t at[2] = {a_s * 1000000000, b_s * 1000000000};

    j->restart = true;
    j->n_pictures = 2;
    j->picture_after.n = (uint32_t)wd_prompt_picture_after(nano.profile, t, j->picture_after.ids, WD_JOB_MAX_PROMPT);
    for (uint32_t i = 0; i < 2; i++) {
        j->pictures[i].picture = wd_nano_picture(pool, i ? b : a, at[i]);
        j->pictures[i].before.n = (uint32_t)wd_prompt_picture_before(nano.profile, t, i, at[i], j->pictures[i].before.ids, WD_JOB_MAX_PROMPT);
    }
    j->n_questions = 2;
    j->questions[0].ids.n = (uint32_t)wd_prompt_question(nano.profile, t, WD_PROFILE_CHANGES, NULL, j->questions[0].ids.ids, WD_JOB_MAX_PROMPT);
    j->questions[0].max_tokens = 60;
    j->questions[0].yes = j->questions[0].no = -1;
    j->questions[1].ids.n =
        (uint32_t)wd_prompt_question(nano.profile, t, WD_PROFILE_YES_NO, "Is it dark?", j->questions[1].ids.ids, WD_JOB_MAX_PROMPT);
    assert_int_equal(wd_prompt_yes_no(nano.profile, t, &j->questions[1].yes, &j->questions[1].no), 0);
    submit_and_wait();
    wd_picture_unref(j->pictures[0].picture);
    wd_picture_unref(j->pictures[1].picture);
}

static void questions_about_pictures_are_answered_from_one_context(void **state)
{
    struct wd_picture_pool *pool;

    (void)state;
    make(WD_JOB_SCENE, 1024);
    assert_int_equal(wd_picture_pool_new(2, 280, &pool, NULL), 0);
    look(pool, "p03a", 56, "p03b", 61);
    assert_int_equal(f.job->code, 0);
    assert_string_equal(answer(0), "a person came in.");
    assert_true(f.job->answers[0].yes < 0);
    assert_true(f.job->answers[1].yes >= 0 && f.job->answers[1].yes <= 1);
    assert_int_equal(f.job->answers[1].n, 0);
    assert_true(f.job->count.patches > 10 && f.job->count.frames == 0);
    look(pool, "p18a", 25 * 60 + 39, "p18b", 25 * 60 + 40);
    assert_int_equal(f.job->code, 0);
    /* The recorded margin of yes over no is 1.548. */
    assert_true(fabs((double)f.job->answers[1].yes - 1 / (1 + exp(-1.54799))) < 1e-3);
    wd_picture_pool_free(pool);
    unmake();
}

static void a_scene_that_does_not_fit_comes_back_as_a_reason(void **state)
{
    struct wd_picture_pool *pool;

    (void)state;
    make(WD_JOB_SCENE, 64);
    assert_int_equal(wd_picture_pool_new(2, 280, &pool, NULL), 0);
    look(pool, "p03a", 56, "p03b", 61);
    assert_int_equal(f.job->code, -ENOSPC);
    assert_non_null(strstr(f.job->err, "full"));
    wd_picture_pool_free(pool);
    unmake();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_back_on_the_loop),
        cmocka_unit_test(a_second_job_in_flight_is_refused),
        cmocka_unit_test(a_window_in_ticks_says_what_it_says_at_once),
        cmocka_unit_test(what_two_windows_begin_with_is_fed_once),
        cmocka_unit_test(settled_and_drafted_tokens_change_no_answer),
        cmocka_unit_test(a_drafter_changes_no_answer_and_is_counted_apart),
        cmocka_unit_test(a_bad_prompt_comes_back_as_a_reason_and_the_next_job_is_fine),
        cmocka_unit_test(a_lane_that_is_full_says_so_and_can_begin_anew),
        cmocka_unit_test(prints_are_made_of_the_pieces_or_refused),
        cmocka_unit_test(a_job_in_flight_is_delivered_before_the_worker_is_gone),
        cmocka_unit_test(lanes_do_not_hear_each_other),
        cmocka_unit_test(a_lane_longer_than_the_models_context_is_refused),
        cmocka_unit_test(questions_about_pictures_are_answered_from_one_context),
        cmocka_unit_test(a_scene_that_does_not_fit_comes_back_as_a_reason),
    };

    return cmocka_run_group_tests(tests, open_model, close_model);
}
