/* tests/pipeline/schedule_test.c - who is served next. */
#include "pipeline/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MS INT64_C(1000000)

static void nobody_is_served_who_needs_nothing(void **state)
{
    const struct wd_schedule_want wants[] = {{WD_SCHEDULE_NOTHING, 0}, {WD_SCHEDULE_NOTHING, 100 * WD_SCHEDULE_PATIENCE_NS}};

    (void)state;
    assert_int_equal(wd_schedule_pick(NULL, 0), -1);
    assert_int_equal(wd_schedule_pick(wants, 2), -1);
}

static void live_sound_goes_before_last_decodes_before_pictures(void **state)
{
    const struct wd_schedule_want wants[] = {{WD_SCHEDULE_SCENE, 900 * MS}, {WD_SCHEDULE_FINAL, 500 * MS}, {WD_SCHEDULE_LIVE, 1 * MS}};

    (void)state;
    assert_int_equal(wd_schedule_pick(wants, 3), 2);
    assert_int_equal(wd_schedule_pick(wants, 2), 1);
    assert_int_equal(wd_schedule_pick(wants, 1), 0);
}

static void among_equals_the_longest_waiting_then_the_first(void **state)
{
    const struct wd_schedule_want wants[] = {
        {WD_SCHEDULE_LIVE, 3 * MS}, {WD_SCHEDULE_LIVE, 8 * MS}, {WD_SCHEDULE_NOTHING, 9 * MS}, {WD_SCHEDULE_LIVE, 8 * MS}};

    (void)state;
    assert_int_equal(wd_schedule_pick(wants, 4), 1);
}

static void who_waited_beyond_patience_goes_before_all(void **state)
{
    struct wd_schedule_want wants[] = {
        {WD_SCHEDULE_LIVE, WD_SCHEDULE_PATIENCE_NS - 1}, {WD_SCHEDULE_SCENE, WD_SCHEDULE_PATIENCE_NS}, {WD_SCHEDULE_FINAL, 10 * MS}};

    (void)state;
    assert_int_equal(wd_schedule_pick(wants, 3), 1);
    wants[2].waiting_ns = WD_SCHEDULE_PATIENCE_NS + 1; /* of several the longest */
    assert_int_equal(wd_schedule_pick(wants, 3), 2);
    wants[0].waiting_ns = WD_SCHEDULE_PATIENCE_NS + 2;
    assert_int_equal(wd_schedule_pick(wants, 3), 0);
}

/* Every 100 ms one is served and three live streams want something again: the pictures of a fourth are looked at all the same. */
static void nobody_starves(void **state)
{
    struct wd_schedule_want wants[4] = {{WD_SCHEDULE_LIVE, 0}, {WD_SCHEDULE_LIVE, 0}, {WD_SCHEDULE_LIVE, 0}, {WD_SCHEDULE_SCENE, 0}};
    unsigned served[4] = {0};
    int64_t longest = 0;

    (void)state;
    for (int i = 0; i < 600; i++) {
        int k = wd_schedule_pick(wants, 4);

        assert_in_range(k, 0, 3);
        served[k]++;
        longest = wants[3].waiting_ns > longest ? wants[3].waiting_ns : longest;
        for (int j = 0; j < 4; j++)
            wants[j].waiting_ns = j == k ? 0 : wants[j].waiting_ns + 100 * MS;
    }
    assert_in_range(served[3], 10, 12);
    assert_true(longest <= WD_SCHEDULE_PATIENCE_NS + 300 * MS);
    for (int j = 0; j < 3; j++)
        assert_in_range(served[j], 190, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_served_who_needs_nothing),
        cmocka_unit_test(live_sound_goes_before_last_decodes_before_pictures),
        cmocka_unit_test(among_equals_the_longest_waiting_then_the_first),
        cmocka_unit_test(who_waited_beyond_patience_goes_before_all),
        cmocka_unit_test(nobody_starves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
