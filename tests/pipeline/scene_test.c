/* tests/pipeline/scene_test.c - when a picture is looked at, what is asked, and what is said of it by the shipped model. */
#include "pipeline/scene.h"

#include "model/tokenizer.h"
#include "pipeline/worker.h"
#include "tests/no_malloc.h"
#include "tests/pipeline/nano.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000000)

static struct wd_nano nano;

struct fact {
    enum wd_event_kind kind;
    char summary[512], title[256], changes[256], text[256], code[32];
    float confidence;
    uint32_t n_pictures;
    int64_t t0_ns, pictures[2];
};

static struct {
    uv_loop_t loop;
    struct wd_worker *worker;
    struct wd_lane *lane;
    struct wd_job *job;
    struct wd_event_pool *events;
    struct wd_publish publish;
    struct wd_picture_pool *pictures;
    struct wd_scene *scene;
    struct wd_profile profile; /* nano's, to be changed */
    bool done;
    struct fact facts[64];
    unsigned n_facts;
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

    (void)ctx;
    assert_in_range(f.n_facts, 0, 63);
    f.n_facts++;
    to->kind = e->kind;
    to->t0_ns = e->t0_ns;
    to->confidence = e->confidence;
    to->n_pictures = e->n_pictures;
    for (uint32_t i = 0; i < e->n_pictures && i < 2; i++)
        to->pictures[i] = e->picture_ns[i];
    snprintf(to->summary, sizeof to->summary, "%s", e->summary ? e->summary : "");
    snprintf(to->title, sizeof to->title, "%s", e->title ? e->title : "");
    snprintf(to->changes, sizeof to->changes, "%s", e->changes ? e->changes : "");
    snprintf(to->text, sizeof to->text, "%s", e->text ? e->text : "");
    snprintf(to->code, sizeof to->code, "%s", e->change ? e->change : "");
}

static void job_done(void *ctx, struct wd_job *job)
{
    (void)ctx;
    (void)job;
    f.done = true;
}

static void make(int64_t period_ns, uint32_t capacity)
{
    struct wd_scene_opts opts = {.profile = &f.profile, .tokenizer = wd_engine_tokenizer(nano.engine), .period_ns = period_ns, .change = 0.02};
    struct wd_err err = {0};

    memset(&f, 0, sizeof f);
    f.profile = *nano.profile;
    uv_loop_init(&f.loop);
    f.publish = (struct wd_publish){.stream = "test", .send = on_event};
    if (wd_worker_new(&f.loop, nano.engine, nano.voice, &f.worker, &err) < 0 || wd_lane_new(f.worker, capacity, &f.lane, &err) < 0 ||
        wd_job_new(WD_JOB_SCENE, &f.job, &err) < 0 || wd_event_pool_new(4, &f.events, &err) < 0 ||
        wd_picture_pool_new(8, 280, &f.pictures, &err) < 0)
        fail_msg("%s", err.text);
    f.publish.pool = f.events;
    if (wd_scene_new(&opts, &f.publish, &f.scene, &err) < 0)
        fail_msg("%s", err.text);
}

static void closed(void *ctx)
{
    (void)ctx;
}

static void unmake(void)
{
    struct wd_picture *all[8];

    wd_scene_free(f.scene);
    for (int i = 0; i < 8; i++) { /* every reference came back */
        all[i] = wd_picture_get(f.pictures);
        assert_non_null(all[i]);
    }
    for (int i = 0; i < 8; i++)
        wd_picture_unref(all[i]);
    wd_picture_pool_free(f.pictures);
    assert_int_equal(wd_event_pool_in_use(f.events), 0);
    wd_event_pool_free(f.events);
    wd_job_free(f.job);
    wd_lane_free(f.lane);
    wd_worker_close(f.worker, closed, NULL);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f.loop), 0);
}

static void push(const char *name, double seconds)
{
    wd_scene_push(f.scene, wd_nano_picture(f.pictures, name, (int64_t)(seconds * 1e9)));
}

/* Is there something to look at? Then the engine does. */
static bool look(void)
{
    if (!wd_scene_ready(f.scene))
        return false;
    if (!wd_scene_fill(f.scene, f.job))
        return false;
    f.job->lane = f.lane;
    f.job->done = job_done;
    f.done = false;
    assert_int_equal(wd_worker_submit(f.worker, f.job), 0);
    while (!f.done)
        uv_run(&f.loop, UV_RUN_ONCE);
    wd_scene_take(f.scene, f.job);
    return true;
}

static const struct fact *last(void)
{
    assert_true(f.n_facts > 0);
    return &f.facts[f.n_facts - 1];
}

static void the_first_picture_is_looked_at_and_described(void **state)
{
    (void)state;
    make(0, 1024);
    assert_false(wd_scene_ready(f.scene));
    assert_false(wd_scene_fill(f.scene, f.job));
    push("p24a", 990);
    assert_true(look());
    assert_int_equal(last()->kind, WD_EVENT_SCENE);
    assert_string_equal(last()->summary, "a person in a purple shirt stands in the middle. there is a car. the door is closed. the light is on.");
    assert_string_equal(last()->title, "a person in a purple shirt stands in the middle");
    assert_string_equal(last()->changes, "");
    assert_int_equal(last()->t0_ns, 990 * SECOND);
    assert_int_equal(last()->n_pictures, 1);
    assert_true(last()->pictures[0] == 990 * SECOND);
    assert_true(last()->confidence > 0.5f && last()->confidence <= 1); /* the model's own certainty */
    assert_false(look());
    unmake();
}

static void a_change_is_looked_at_when_it_is_steady_and_what_changed_is_asked(void **state)
{
    struct wd_scene_stats s;

    (void)state;
    make(0, 1024);
    push("p03a", 56);
    assert_true(look());
    push("p03a", 57);
    push("p03a", 58);
    assert_false(wd_scene_ready(f.scene)); /* nothing new */
    push("p03b", 61);
    assert_false(wd_scene_ready(f.scene)); /* it may still move */
    push("p03b", 62);
    assert_true(look());
    assert_string_equal(last()->changes, "a person came in.");
    assert_int_equal(last()->n_pictures, 2);
    assert_true(last()->pictures[0] == 56 * SECOND && last()->pictures[1] == 62 * SECOND);
    s = wd_scene_stats(f.scene);
    assert_int_equal(s.pictures, 5);
    assert_int_equal(s.looked_at, 2);
    assert_int_equal(s.events, 2);
    assert_int_equal(s.prefilled_twice, 0);
    assert_int_equal(s.failed, 0);
    unmake();
}

static void what_goes_back_to_what_was_described_is_not_looked_at(void **state)
{
    (void)state;
    make(0, 1024);
    push("p03a", 1);
    assert_true(look());
    push("p03b", 2); /* somebody walks through */
    push("p03a", 3);
    push("p03a", 4);
    wd_scene_end(f.scene);
    assert_false(wd_scene_ready(f.scene));
    unmake();
}

static void where_everything_moves_a_picture_is_looked_at_all_the_same(void **state)
{
    static const char *const names[] = {"p00a", "p12a", "p24a", "p15a", "p33a", "p27a"};
    int at;

    (void)state;
    make(0, 1024);
    push("p03a", 0);
    assert_true(look());
    for (at = 1; at < 6 && !wd_scene_ready(f.scene); at++)
        push(names[at], at);
    assert_in_range(at, 4, 5); /* after 3 s */
    assert_true(look());
    unmake();
}

static void the_newest_picture_wins(void **state)
{
    (void)state;
    make(1 * SECOND, 1024);
    push("p03a", 1);
    push("p24a", 2);
    push("p24a", 990);
    assert_true(look());
    assert_int_equal(f.n_facts, 1);
    assert_string_equal(last()->summary, "a person in a purple shirt stands in the middle. there is a car. the door is closed. the light is on.");
    assert_int_equal(wd_scene_stats(f.scene).looked_at, 1);
    unmake();
}

static void without_a_change_a_period_brings_the_next_look(void **state)
{
    (void)state;
    make(10 * SECOND, 1024);
    push("p21a", 43);
    assert_true(look());
    for (int t = 44; t < 53; t++) {
        push("p21a", t);
        assert_false(wd_scene_ready(f.scene));
    }
    push("p21a", 53);
    assert_true(look());
    push("p21a", 54);
    assert_false(wd_scene_ready(f.scene));
    assert_int_equal(f.n_facts, 2);
    unmake();
}

static void what_still_moved_at_the_end_is_looked_at(void **state)
{
    (void)state;
    make(0, 1024);
    push("p03a", 56);
    assert_true(look());
    push("p03b", 61);
    assert_false(wd_scene_ready(f.scene));
    wd_scene_end(f.scene);
    assert_true(look());
    assert_string_equal(last()->changes, "a person came in.");
    wd_scene_end(f.scene);
    assert_false(wd_scene_ready(f.scene));
    unmake();
}

static void a_context_that_is_full_begins_again_with_the_last_picture(void **state)
{
    static const char *const names[] = {"p24a", "p15a", "p36a", "p27a", "p09a"}; /* 8 x 8 patches each */

    (void)state;
    make(0, 1024);
    for (int i = 0; i < 5; i++) {
        push(names[i], 10 * i);
        push(names[i], 10 * i + 1);
        assert_true(look());
        assert_int_equal(last()->kind, WD_EVENT_SCENE);
        assert_int_equal(last()->n_pictures, i == 0 ? 1 : 2);
    }
    /* Two pictures a context: the third, fourth and fifth begin one with the picture before them. */
    assert_int_equal(wd_scene_stats(f.scene).prefilled_twice, 3);
    assert_int_equal(wd_worker_count(f.worker).patches, (5 + 3) * 64);
    unmake();
}

static void a_picture_of_another_size_begins_a_context_of_its_own(void **state)
{
    (void)state;
    make(0, 1024);
    push("p24a", 0);
    assert_true(look());
    push("p03a", 10);
    push("p03a", 11);
    assert_true(look());
    assert_true(f.job->restart);
    assert_int_equal(f.job->n_pictures, 1);
    assert_int_equal(last()->n_pictures, 1);
    assert_int_equal(wd_scene_stats(f.scene).prefilled_twice, 0);
    unmake();
}

static void an_engine_that_fails_is_told_and_the_next_picture_begins_anew(void **state)
{
    (void)state;
    make(0, 120); /* one picture and its question, not two */
    push("p03a", 1);
    assert_true(look());
    assert_int_equal(last()->kind, WD_EVENT_SCENE);
    push("p03b", 2);
    push("p03b", 3);
    assert_true(look());
    assert_int_equal(last()->kind, WD_EVENT_NOTICE);
    assert_string_equal(last()->code, "scene");
    assert_non_null(strstr(last()->text, "full"));
    assert_int_equal(wd_scene_stats(f.scene).failed, 1);
    push("p24a", 4);
    push("p24a", 5);
    assert_true(look());
    assert_int_equal(last()->kind, WD_EVENT_SCENE);
    assert_int_equal(last()->n_pictures, 1);
    unmake();
}

static void a_question_that_cannot_be_written_is_told_once_a_picture(void **state)
{
    struct wd_profile_part *part;
    char *text;

    (void)state;
    make(0, 1024);
    part = &f.profile.tasks[WD_PROFILE_DESCRIBE].question.parts[0];
    text = part->text;
    part->kind = WD_PROFILE_CONTROL;
    part->text = (char *)(uintptr_t)"<|nowhere|>"; /* no token of this vocabulary */
    push("p03a", 1);
    assert_true(wd_scene_ready(f.scene));
    assert_false(look());
    assert_int_equal(last()->kind, WD_EVENT_NOTICE);
    assert_non_null(strstr(last()->text, "cannot be written"));
    assert_int_equal(wd_scene_stats(f.scene).failed, 1);
    assert_false(wd_scene_ready(f.scene));
    part->kind = WD_PROFILE_TEXT;
    part->text = text;
    push("p03a", 2);
    assert_true(look());
    assert_int_equal(last()->kind, WD_EVENT_SCENE);
    unmake();
}

static void a_model_that_knows_no_changes_is_asked_for_descriptions_alone(void **state)
{
    struct wd_scene_opts opts = {.profile = &f.profile, .tokenizer = wd_engine_tokenizer(nano.engine), .change = 0.02};

    (void)state;
    make(0, 1024);
    wd_scene_free(f.scene);
    f.profile.tasks[WD_PROFILE_CHANGES].question.n = 0;
    assert_int_equal(wd_scene_new(&opts, &f.publish, &f.scene, NULL), 0);
    push("p03a", 1);
    assert_true(look());
    push("p03b", 2);
    push("p03b", 3);
    assert_true(look());
    assert_int_equal(f.job->n_questions, 1);
    assert_true(f.job->restart);
    assert_string_equal(last()->changes, "");
    assert_int_equal(last()->n_pictures, 1);
    assert_int_equal(wd_scene_stats(f.scene).prefilled_twice, 0);
    unmake();
}

static void a_part_that_must_differ_beyond_the_whole_is_refused(void **state)
{
    struct wd_scene_opts opts = {.profile = nano.profile, .tokenizer = wd_engine_tokenizer(nano.engine), .change = 1.5};
    struct wd_scene *s = NULL;
    struct wd_publish p = {0};

    (void)state;
    assert_int_equal(wd_scene_new(&opts, &p, &s, NULL), -EINVAL);
    assert_null(s);
}

static void looking_allocates_nothing(void **state)
{
    struct wd_picture *p[3];
    unsigned long calls;

    (void)state;
    if (!wd_no_malloc_active())
        skip();
    make(0, 1024);
    push("p03a", 1);
    assert_true(look());
    for (int i = 0; i < 3; i++)
        p[i] = wd_nano_picture(f.pictures, i < 2 ? "p03b" : "p03a", (2 + i) * SECOND);
    wd_no_malloc_begin();
    wd_scene_push(f.scene, p[0]);
    wd_scene_push(f.scene, p[1]);
    assert_true(look());
    wd_scene_push(f.scene, p[2]);
    calls = wd_no_malloc_end();
    assert_int_equal(calls, 0);
    assert_int_equal(f.n_facts, 2);
    unmake();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_picture_is_looked_at_and_described),
        cmocka_unit_test(a_change_is_looked_at_when_it_is_steady_and_what_changed_is_asked),
        cmocka_unit_test(what_goes_back_to_what_was_described_is_not_looked_at),
        cmocka_unit_test(where_everything_moves_a_picture_is_looked_at_all_the_same),
        cmocka_unit_test(the_newest_picture_wins),
        cmocka_unit_test(without_a_change_a_period_brings_the_next_look),
        cmocka_unit_test(what_still_moved_at_the_end_is_looked_at),
        cmocka_unit_test(a_context_that_is_full_begins_again_with_the_last_picture),
        cmocka_unit_test(a_picture_of_another_size_begins_a_context_of_its_own),
        cmocka_unit_test(an_engine_that_fails_is_told_and_the_next_picture_begins_anew),
        cmocka_unit_test(a_question_that_cannot_be_written_is_told_once_a_picture),
        cmocka_unit_test(a_model_that_knows_no_changes_is_asked_for_descriptions_alone),
        cmocka_unit_test(a_part_that_must_differ_beyond_the_whole_is_refused),
        cmocka_unit_test(looking_allocates_nothing),
    };

    return cmocka_run_group_tests(tests, open_model, close_model);
}
