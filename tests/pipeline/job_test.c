/* tests/pipeline/job_test.c - a job brings the room its kind needs; counters add up. */
#include "pipeline/job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void a_sound_job_has_room_for_prints_and_attention(void **state)
{
    struct wd_job *job;

    (void)state;
    assert_int_equal(wd_job_new(WD_JOB_SOUND, &job, NULL), 0);
    assert_int_equal(job->kind, WD_JOB_SOUND);
    memset(job->pieces, 1, WD_JOB_MAX_PIECES * sizeof *job->pieces);
    memset(job->attention, 1, (size_t)(WD_JOB_MAX_TOKENS + 1) * WD_JOB_MAX_FRAMES * sizeof *job->attention);
    assert_null(wd_job_free(job));
}

static void a_scene_job_has_none(void **state)
{
    struct wd_job *job;

    (void)state;
    assert_int_equal(wd_job_new(WD_JOB_SCENE, &job, NULL), 0);
    assert_null(job->pieces);
    assert_null(job->attention);
    wd_job_free(job);
    assert_null(wd_job_free(NULL));
}

static void every_counter_adds_up(void **state)
{
    struct wd_job_count a, b;
    uint64_t *x = (uint64_t *)(void *)&a, *y = (uint64_t *)(void *)&b;
    size_t n = sizeof a / sizeof *x;

    (void)state;
    assert_int_equal(sizeof a, n * sizeof(uint64_t)); /* counters and nothing else */
    for (size_t i = 0; i < n; i++) {
        x[i] = i + 1;
        y[i] = 100 * (i + 1);
    }
    wd_job_count_add(&a, &b);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(x[i], 101 * (i + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_job_has_room_for_prints_and_attention),
        cmocka_unit_test(a_scene_job_has_none),
        cmocka_unit_test(every_counter_adds_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
