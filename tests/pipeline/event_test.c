/* tests/pipeline/event_test.c - the pool, the ids and the text space of events. */
#include "pipeline/event.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define NOW 1760000000123456789LL

static struct wd_event_pool *pool_of(unsigned n)
{
    struct wd_event_pool *p = NULL;

    assert_int_equal(wd_event_pool_new(n, &p, NULL), 0);
    return p;
}

static void an_empty_pool_gives_null_until_one_comes_back(void **state)
{
    struct wd_event_pool *p = pool_of(2);
    struct wd_event *a = wd_event_new(p, WD_EVENT_FINAL, NOW),
                    *b = wd_event_new(p, WD_EVENT_FINAL, NOW);
    (void)state;

    assert_non_null(a);
    assert_non_null(b);
    assert_null(wd_event_new(p, WD_EVENT_FINAL, NOW));
    assert_int_equal(wd_event_pool_in_use(p), 2);
    wd_event_ref(a);
    wd_event_unref(a);
    assert_null(wd_event_new(p, WD_EVENT_FINAL, NOW));
    wd_event_unref(a);
    assert_int_equal(wd_event_pool_in_use(p), 1);
    a = wd_event_new(p, WD_EVENT_GAP, NOW);
    assert_non_null(a);
    wd_event_unref(a);
    wd_event_unref(b);
    wd_event_unref(NULL);
    wd_event_pool_free(p);
}

static void a_reused_event_starts_empty(void **state)
{
    struct wd_event_pool *p = pool_of(1);
    struct wd_event *e = wd_event_new(p, WD_EVENT_FINAL, NOW);
    unsigned char *space;
    (void)state;

    e->text = wd_event_text(e, "old words", 9);
    e->rev = 7;
    wd_event_unref(e);
    e = wd_event_new(p, WD_EVENT_SCENE, NOW);
    assert_int_equal(e->kind, WD_EVENT_SCENE);
    assert_null(e->text);
    assert_int_equal(e->rev, 0);
    assert_true(e->emitted_utc_ns == NOW);
    space = wd_event_space(e, 16);
    for (int i = 0; i < 16; i++)
        assert_int_equal(space[i], 0);
    wd_event_unref(e);
    wd_event_pool_free(p);
}

static void ids_are_ulids_of_their_time(void **state)
{
    struct wd_event_pool *p = pool_of(1);
    struct wd_event *e = wd_event_new(p, WD_EVENT_FINAL, 1469918176385LL * 1000000);
    (void)state;

    /* the ULID specification's example of a time: 01ARYZ6S41... is 1469918176385 ms */
    assert_int_equal(strlen(e->id), 26);
    assert_memory_equal(e->id, "01ARYZ6S41", 10);
    assert_int_equal(strspn(e->id, "0123456789ABCDEFGHJKMNPQRSTVWXYZ"), 26);
    wd_event_unref(e);
    wd_event_pool_free(p);
}

static void ids_only_go_up(void **state)
{
    struct wd_event_pool *p = pool_of(1);
    static const int64_t steps_ns[] = {0, 1, 1000, 2000000, -5000000000LL, 0, 40000000};
    char last[27] = "";
    int64_t now = NOW;
    (void)state;

    for (int i = 0; i < 20000; i++) {
        struct wd_event *e = wd_event_new(p, WD_EVENT_FINAL, now += steps_ns[i % 7]);

        assert_true(strcmp(last, e->id) < 0);
        strcpy(last, e->id);
        wd_event_unref(e);
    }
    wd_event_pool_free(p);
}

static void two_pools_give_different_ids(void **state)
{
    struct wd_event_pool *p = pool_of(1), *q = pool_of(1);
    struct wd_event *e = wd_event_new(p, WD_EVENT_FINAL, NOW),
                    *f = wd_event_new(q, WD_EVENT_FINAL, NOW);
    (void)state;

    assert_memory_equal(e->id, f->id, 10);
    assert_string_not_equal(e->id, f->id);
    wd_event_unref(e);
    wd_event_unref(f);
    wd_event_pool_free(p);
    wd_event_pool_free(q);
}

static void text_lies_in_the_event(void **state)
{
    struct wd_event_pool *p = pool_of(1);
    struct wd_event *e = wd_event_new(p, WD_EVENT_FINAL, NOW);
    char text[] = "hello world";
    struct wd_event_word *words;
    (void)state;

    e->text = wd_event_text(e, text, 5);
    words = wd_event_space(e, 2 * sizeof *words);
    assert_int_equal((uintptr_t)words % sizeof(void *), 0);
    words[1].text = wd_event_text(e, text + 6, 100);
    memset(text, 'x', sizeof text - 1);
    assert_string_equal(e->text, "hello");
    assert_string_equal(words[1].text, "world");
    assert_string_equal(wd_event_text(e, "", 0), "");
    assert_null(wd_event_text(e, NULL, 3));
    assert_false(e->cut);
    wd_event_unref(e);
    wd_event_pool_free(p);
}

static void a_long_text_is_cut_between_characters(void **state)
{
    struct wd_event_pool *p = pool_of(1);
    size_t n = WD_EVENT_SPACE + 10;
    char *text = malloc(n + 1);
    (void)state;

    for (int shift = 0; shift < 4; shift++) {
        struct wd_event *e = wd_event_new(p, WD_EVENT_FINAL, NOW);
        const char *in;
        size_t len;

        memset(text, 'a', n);
        for (size_t i = (size_t)shift; i + 4 <= n; i += 4)
            memcpy(text + i, "\xf0\x9f\x8e\xa4", 4);
        in = wd_event_text(e, text, n);
        len = strlen(in);
        assert_true(e->cut);
        assert_true(len > WD_EVENT_SPACE - 5 && len < WD_EVENT_SPACE);
        assert_int_equal((len - (size_t)shift) % 4, 0);
        wd_event_unref(e);
    }
    free(text);
    wd_event_pool_free(p);
}

static void rubbish_is_cut_without_looking_far(void **state)
{
    struct wd_event_pool *p = pool_of(1);
    struct wd_event *e = wd_event_new(p, WD_EVENT_FINAL, NOW);
    size_t n = WD_EVENT_SPACE * 2;
    char *text = malloc(n);
    (void)state;

    memset(text, 0x80, n);
    assert_int_equal(strlen(wd_event_text(e, text, n)), WD_EVENT_SPACE - 1);
    free(text);
    wd_event_unref(e);
    wd_event_pool_free(p);
}

static void a_full_event_refuses_space(void **state)
{
    struct wd_event_pool *p = pool_of(1);
    struct wd_event *e = wd_event_new(p, WD_EVENT_FINAL, NOW);
    (void)state;

    assert_null(wd_event_space(e, WD_EVENT_SPACE + 1));
    assert_true(e->cut);
    assert_null(wd_event_space(e, SIZE_MAX));
    assert_non_null(wd_event_space(e, WD_EVENT_SPACE));
    assert_null(wd_event_space(e, 1));
    assert_string_equal(wd_event_text(e, "no room", 7), "");
    wd_event_unref(e);
    wd_event_pool_free(p);
}

static void kinds_are_found_by_their_names(void **state)
{
    (void)state;
    for (int k = 0; k < WD_EVENT_N_KINDS; k++)
        assert_int_equal(wd_event_kind_find(wd_event_kind_name((enum wd_event_kind)k)), k);
    assert_int_equal(wd_event_kind_find("Final"), -1);
    assert_int_equal(wd_event_kind_find(NULL), -1);
    assert_int_equal(WD_EVENT_ALL_KINDS, 0x7ff);
}

static void a_pool_of_nothing_is_refused(void **state)
{
    struct wd_event_pool *p = NULL;
    (void)state;

    assert_int_equal(wd_event_pool_new(0, &p, NULL), -EINVAL);
    assert_null(p);
    assert_null(wd_event_pool_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_pool_gives_null_until_one_comes_back),
        cmocka_unit_test(a_reused_event_starts_empty),
        cmocka_unit_test(ids_are_ulids_of_their_time),
        cmocka_unit_test(ids_only_go_up),
        cmocka_unit_test(two_pools_give_different_ids),
        cmocka_unit_test(text_lies_in_the_event),
        cmocka_unit_test(a_long_text_is_cut_between_characters),
        cmocka_unit_test(rubbish_is_cut_without_looking_far),
        cmocka_unit_test(a_full_event_refuses_space),
        cmocka_unit_test(kinds_are_found_by_their_names),
        cmocka_unit_test(a_pool_of_nothing_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
