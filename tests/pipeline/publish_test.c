/* tests/pipeline/publish_test.c - what every event of a stream says of itself, and that none leaks. */
#include "pipeline/publish.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct {
    unsigned n;
    enum wd_event_kind kind;
    char stream[32], model[32], hash[32], change[32], text[1024];
    int64_t t0_ns, t1_ns, utc_ns, emitted;
} seen;

static void copy(char *to, size_t cap, const char *from)
{
    snprintf(to, cap, "%s", from ? from : "");
}

static void send(void *ctx, struct wd_event *e)
{
    *(unsigned *)ctx += 1;
    seen.n++;
    seen.kind = e->kind;
    copy(seen.stream, sizeof seen.stream, e->stream);
    copy(seen.model, sizeof seen.model, e->model);
    copy(seen.hash, sizeof seen.hash, e->model_hash);
    copy(seen.change, sizeof seen.change, e->change);
    copy(seen.text, sizeof seen.text, e->text);
    seen.t0_ns = e->t0_ns;
    seen.t1_ns = e->t1_ns;
    seen.utc_ns = e->utc_ns;
    seen.emitted = e->emitted_utc_ns;
}

static struct wd_event_pool *pool(unsigned n)
{
    struct wd_event_pool *p;

    memset(&seen, 0, sizeof seen);
    assert_int_equal(wd_event_pool_new(n, &p, NULL), 0);
    return p;
}

static void an_event_says_stream_model_times_and_utc(void **state)
{
    unsigned sent = 0;
    struct wd_publish p = {.pool = pool(2), .stream = "room", .model = "nano", .model_hash = "0123456789abcdef",
                           .utc_ns = 1000, .send = send, .ctx = &sent};
    int64_t now = wd_publish_now_utc_ns();

    (void)state;
    wd_publish_send(&p, wd_publish_event(&p, WD_EVENT_GAP, 20, 30));
    assert_int_equal(sent, 1);
    assert_int_equal(seen.kind, WD_EVENT_GAP);
    assert_string_equal(seen.stream, "room");
    assert_string_equal(seen.model, "nano");
    assert_string_equal(seen.hash, "0123456789abcdef");
    assert_int_equal(seen.t0_ns, 20);
    assert_int_equal(seen.t1_ns, 30);
    assert_int_equal(seen.utc_ns, 1020);
    assert_true(seen.emitted >= now && seen.emitted <= wd_publish_now_utc_ns());
    assert_true(now / 1000000000 >= 1700000000); /* since 1970, in nanoseconds */
    assert_int_equal(wd_event_pool_in_use(p.pool), 0);
    wd_event_pool_free(p.pool);
}

static void without_a_clock_or_a_model_an_event_claims_none(void **state)
{
    unsigned sent = 0;
    struct wd_publish p = {.pool = pool(2), .stream = "room", .send = send, .ctx = &sent};

    (void)state;
    wd_publish_send(&p, wd_publish_event(&p, WD_EVENT_LAG, 20, 20));
    assert_int_equal(seen.utc_ns, 0);
    assert_string_equal(seen.model, "");
    assert_string_equal(seen.hash, "");
    wd_event_pool_free(p.pool);
}

static void when_no_event_is_free_the_loss_is_counted(void **state)
{
    unsigned sent = 0;
    struct wd_publish p = {.pool = pool(1), .stream = "room", .send = send, .ctx = &sent};
    struct wd_event *held = wd_publish_event(&p, WD_EVENT_GAP, 0, 0);

    (void)state;
    assert_non_null(held);
    assert_null(wd_publish_event(&p, WD_EVENT_GAP, 0, 0));
    wd_publish_notice(&p, 0, "code", "lost too");
    assert_int_equal(p.lost, 2);
    wd_publish_send(&p, NULL);
    assert_int_equal(sent, 0);
    wd_publish_send(&p, held);
    assert_int_equal(sent, 1);
    assert_int_equal(wd_event_pool_in_use(p.pool), 0);
    wd_event_pool_free(p.pool);
}

static void a_notice_is_a_code_and_a_sentence_of_bounded_length(void **state)
{
    unsigned sent = 0;
    struct wd_publish p = {.pool = pool(1), .stream = "room", .send = send, .ctx = &sent};
    char longest[2000];

    (void)state;
    wd_publish_notice(&p, 77, "again", "window %d of %s", 3, "this");
    assert_int_equal(seen.kind, WD_EVENT_NOTICE);
    assert_int_equal(seen.t0_ns, 77);
    assert_string_equal(seen.change, "again");
    assert_string_equal(seen.text, "window 3 of this");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    wd_publish_notice(&p, 0, "long", "%s", longest);
    assert_int_equal(strlen(seen.text), 511);
    wd_event_pool_free(p.pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_says_stream_model_times_and_utc),
        cmocka_unit_test(without_a_clock_or_a_model_an_event_claims_none),
        cmocka_unit_test(when_no_event_is_free_the_loss_is_counted),
        cmocka_unit_test(a_notice_is_a_code_and_a_sentence_of_bounded_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
