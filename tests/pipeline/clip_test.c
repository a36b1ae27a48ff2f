/* tests/pipeline/clip_test.c - which frames of a clip are seen, and the times before them. */
#include "pipeline/clip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void frames_are_spread_evenly_from_the_first_on(void **state)
{
    static const uint64_t nine_in_four[] = {0, 2, 4, 6}, seven_in_three[] = {0, 2, 4};

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(wd_clip_frame(i, 4, 9), nine_in_four[i]);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(wd_clip_frame(i, 3, 7), seven_in_three[i]);
    for (uint64_t total = 1; total < 400; total++) {
        uint32_t n = wd_clip_count(WD_CLIP_FRAMES, total);

        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(wd_clip_frame(i, n, total), i * total / n);
            assert_true(i == 0 || wd_clip_frame(i, n, total) > wd_clip_frame(i - 1, n, total));
        }
    }
    assert_true(wd_clip_frame(1023, 1024, UINT64_MAX) < UINT64_MAX);
}

static void a_shorter_clip_is_seen_whole(void **state)
{
    (void)state;
    assert_int_equal(wd_clip_count(32, 0), 0);
    assert_int_equal(wd_clip_count(32, 5), 5);
    assert_int_equal(wd_clip_count(32, 32), 32);
    assert_int_equal(wd_clip_count(32, 100000), 32);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(wd_clip_frame(i, 5, 5), i);
}

static void a_time_is_minutes_and_seconds_cut_off(void **state)
{
    static const struct {
        uint64_t number;
        double rate;
        const char *text;
    } cases[] = {
        {0, 1, "00:00"},      {2, 0.05, "00:40"},          {4, 0.05, "01:20"}, {6, 0.05, "02:00"},
        {4, 2.5, "00:01"},    {1799, 30, "00:59"},         {1800, 30, "01:00"}, {59, 30000.0 / 1001, "00:01"},
        {60, 30000.0 / 1001, "00:02"}, {216000, 60, "60:00"}, {375000, 25, "250:00"}, {48, 0, "00:02"},
        {47, -1, "00:01"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[32];

        wd_clip_time(cases[i].number, cases[i].rate, text, sizeof text);
        assert_string_equal(text, cases[i].text);
    }
}

static void a_time_never_overflows_its_text(void **state)
{
    char text[8] = "xxxxxxx";

    (void)state;
    wd_clip_time(UINT64_MAX, 1e-300, text, 6);
    assert_int_equal(text[5], '\0');
    assert_int_equal(text[6], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_spread_evenly_from_the_first_on),
        cmocka_unit_test(a_shorter_clip_is_seen_whole),
        cmocka_unit_test(a_time_is_minutes_and_seconds_cut_off),
        cmocka_unit_test(a_time_never_overflows_its_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
