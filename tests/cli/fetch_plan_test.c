/* tests/cli/fetch_plan_test.c - what has arrived is remembered, and a state that is not of this file is not believed. */
#include "cli/fetch_plan.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], path[80];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/witnessd-plan-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/state", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void put(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void chunks_cover_the_file_and_no_more(void **state)
{
    static const uint64_t sizes[] = {1, 99, 100, 101, 1000, UINT64_C(6975879296), UINT64_C(1) << 44};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct wd_fetch_plan p;
        uint64_t sum = 0;

        assert_int_equal(wd_fetch_plan_init(&p, sizes[i], 100, NULL), 0);
        assert_in_range(p.n, 1, WD_FETCH_MAX_CHUNKS);
        for (uint32_t c = 0; c < p.n; c++) {
            assert_true(wd_fetch_plan_length(&p, c) >= 1);
            assert_true(wd_fetch_plan_length(&p, c) <= p.chunk_bytes);
            sum += wd_fetch_plan_length(&p, c);
        }
        assert_true(sum == sizes[i]);
        wd_fetch_plan_done(&p);
    }
}

static void what_has_arrived_is_found_again(void **state)
{
    struct wd_fetch_plan p, q;
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(wd_fetch_plan_init(&p, 1050, 100, NULL), 0);
    p.have[0] = 100;
    p.have[3] = 17;
    p.have[10] = 50;
    assert_int_equal(wd_fetch_plan_arrived(&p), 167);
    assert_int_equal(wd_fetch_plan_write(&p, path, "\"a b\"", &err), 0);
    assert_int_equal(wd_fetch_plan_init(&q, 1050, 400, NULL), 0); /* the former run's chunks are taken */
    assert_true(wd_fetch_plan_read(&q, path, "\"a b\""));
    assert_int_equal(q.n, p.n);
    assert_memory_equal(q.have, p.have, p.n * sizeof *p.have);
    assert_false(wd_fetch_plan_read(&q, path, "\"c\""));
    wd_fetch_plan_done(&q);
    assert_int_equal(wd_fetch_plan_init(&q, 1051, 100, NULL), 0);
    assert_false(wd_fetch_plan_read(&q, path, "\"a b\""));
    assert_int_equal(wd_fetch_plan_arrived(&q), 0);
    wd_fetch_plan_done(&q);
    wd_fetch_plan_done(&p);
}

static void a_damaged_state_is_none(void **state)
{
    static const char *const bad[] = {
        "", "\n", "witness pull 2\nsize 1050 100\ntag x\nend\n", "witness pull 1\nsize 1050 100\ntag x\n", "witness pull 1\nsize 1050 100\ntag x\nend",
        "witness pull 1\nsize 1050 0\ntag x\nend\n", "witness pull 1\nsize 1050\ntag x\nend\n", "witness pull 1\nsize -1 100\ntag x\nend\n",
        "witness pull 1\nsize 1050 100\ntag x\nchunk 0 101\nend\n", "witness pull 1\nsize 1050 100\ntag x\nchunk 11 1\nend\n",
        "witness pull 1\nsize 1050 100\ntag x\nchunk 10 51\nend\n", "witness pull 1\nsize 1050 100\ntag x\nchunk 99999999999999999999999 1\nend\n",
        "witness pull 1\nsize 1050 100\ntag x\nchunk 4294967296 1\nend\n", "witness pull 1\nsize 1050 100\ntag x\nchunk 1 -1\nend\n",
        "witness pull 1\nsize 1050 100\ntag x\nchunk 1 1 1\nend\n", "witness pull 1\nsize 1050 100\ntag x\nfoo\nend\n",
    };
    struct wd_fetch_plan p;

    (void)state;
    assert_int_equal(wd_fetch_plan_init(&p, 1050, 100, NULL), 0);
    assert_false(wd_fetch_plan_read(&p, "/nowhere/at/all", "x"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put(bad[i]);
        if (wd_fetch_plan_read(&p, path, "x"))
            fail_msg("believed: %s", bad[i]);
        assert_int_equal(wd_fetch_plan_arrived(&p), 0);
    }
    put("witness pull 1\nsize 1050 100\ntag x\nchunk 10 50\nend\n");
    assert_true(wd_fetch_plan_read(&p, path, "x"));
    assert_int_equal(wd_fetch_plan_arrived(&p), 50);
    wd_fetch_plan_done(&p);
}

static void a_state_that_cannot_be_written_is_an_error_with_its_path(void **state)
{
    struct wd_fetch_plan p;
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(wd_fetch_plan_init(&p, 10, 10, NULL), 0);
    assert_int_equal(wd_fetch_plan_write(&p, "/nowhere/state", "x", &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/state"));
    wd_fetch_plan_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_cover_the_file_and_no_more),
        cmocka_unit_test_setup_teardown(what_has_arrived_is_found_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_state_is_none, set_up, tear_down),
        cmocka_unit_test(a_state_that_cannot_be_written_is_an_error_with_its_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
