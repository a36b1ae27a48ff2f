/* tests/flow_test.c - the whole core on the sample recording: a configuration goes in, events come out, and the counters say how. */
#include "daemon/config.h"
#include "daemon/core.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_EVENTS 2048

struct fact {
    enum wd_event_kind kind;
    char stream[32], text[1024], speaker[16], summary[1024], change[32], into[16];
    int64_t t0_ns, t1_ns;
    uint32_t n_words;
};

static struct fact facts[MAX_EVENTS];
static unsigned n_facts;

static void copy(char *to, size_t cap, const char *from)
{
    snprintf(to, cap, "%s", from ? from : "");
}

static void on_event(void *ctx, const struct wd_event *e)
{
    struct fact *f = &facts[n_facts];

    (void)ctx;
    if (n_facts == MAX_EVENTS)
        return;
    n_facts++;
    f->kind = e->kind;
    copy(f->stream, sizeof f->stream, e->stream);
    copy(f->text, sizeof f->text, e->text);
    copy(f->speaker, sizeof f->speaker, e->speaker.id);
    copy(f->summary, sizeof f->summary, e->summary);
    copy(f->change, sizeof f->change, e->change);
    copy(f->into, sizeof f->into, e->into);
    f->t0_ns = e->t0_ns;
    f->t1_ns = e->t1_ns;
    f->n_words = e->n_words;
}

struct outcome {
    struct wd_stream_status status[4];
    struct wd_job_count jobs;
    int error;
    char reason[256];
};

/* drain_after: events after which an operator asks for the end; 0: never. */
struct draining {
    struct wd_core *core;
    unsigned after, seen;
};

static void on_event_then_drain(void *ctx, const struct wd_event *e)
{
    struct draining *d = ctx;

    on_event(NULL, e);
    if (d->after && e->kind == WD_EVENT_PARTIAL && ++d->seen == d->after)
        wd_core_drain(d->core);
}

static struct outcome run(const char *yaml, unsigned drain_after)
{
    struct wd_config *config;
    struct outcome o = {0};
    struct wd_err err = {0};
    struct draining d = {.after = drain_after};
    const char *reason;
    uv_loop_t loop;

    n_facts = 0;
    uv_loop_init(&loop);
    if (wd_config_parse("test.yaml", yaml, strlen(yaml), &config, &err) < 0 || wd_core_new(&loop, config, &d.core, &err) < 0)
        fail_msg("%s", err.text);
    wd_core_observe(d.core, on_event_then_drain, &d);
    if (wd_core_start(d.core, &err) < 0)
        fail_msg("%s", err.text);
    wd_core_run(d.core);
    for (size_t i = 0; i < wd_core_stream_count(d.core) && i < 4; i++)
        o.status[i] = wd_core_stream_status(d.core, i);
    o.jobs = wd_core_jobs(d.core);
    o.error = wd_core_stream_error(d.core, 0, &reason);
    copy(o.reason, sizeof o.reason, reason);
    wd_core_free(d.core);
    wd_config_free(config);
    assert_int_equal(uv_loop_close(&loop), 0);
    return o;
}

#define HEAD "model: {path: " TEST_SRCDIR "/models/nano.gguf, threads: 2}\n"
#define NULL_SINK "sinks:\n  - {type: null}\n"
#define MEETING "{type: ffmpeg, url: " TEST_SRCDIR "/samples/meeting.mkv, realtime: false}"

/* Words of the truth that stand, in order, in what was heard: longest common subsequence. */
static unsigned words_of(const char *text, char words[][32], unsigned cap)
{
    unsigned n = 0, len = 0;

    for (const char *p = text;; p++) {
        if ((*p >= 'a' && *p <= 'z') || *p == '\'') {
            if (len < 31 && n < cap)
                words[n][len++] = *p;
        } else if (len) {
            words[n++][len] = '\0';
            len = 0;
        }
        if (!*p || n == cap)
            return n;
    }
}

static void the_sample_meeting_is_written_down(void **state)
{
    static char want[512][32], got[512][32], all[16384];
    static unsigned lcs[513][513];
    unsigned n_want = 0, n_got, scenes = 0, exact = 0;
    json_t *truth = json_load_file(TEST_SRCDIR "/samples/meeting.truth.json", 0, NULL), *turn, *scene;
    struct outcome o = run(HEAD "streams:\n  - {name: room, source: " MEETING ", language: en}\n" NULL_SINK, 0);
    size_t i, n = 0;

    (void)state;
    assert_int_equal(o.error, 0);
    json_array_foreach(json_object_get(truth, "turns"), i, turn)
        n_want += words_of(json_string_value(json_object_get(turn, "text")), want + n_want, 512 - n_want);
    for (unsigned k = 0; k < n_facts; k++)
        if (facts[k].kind == WD_EVENT_FINAL)
            n += (size_t)snprintf(all + n, sizeof all - n, "%s ", facts[k].text);
    n_got = words_of(all, got, 512);
    for (unsigned a = n_want; a-- > 0;)
        for (unsigned b = n_got; b-- > 0;)
            lcs[a][b] = strcmp(want[a], got[b]) == 0       ? lcs[a + 1][b + 1] + 1
                        : lcs[a + 1][b] > lcs[a][b + 1] ? lcs[a + 1][b]
                                                        : lcs[a][b + 1];
    print_message("%u of %u words, %u heard\n", lcs[0][0], n_want, n_got);
    assert_true(lcs[0][0] * 100 >= n_want * 92);
    assert_true(n_got * 100 <= n_want * 108);

    json_array_foreach(json_object_get(truth, "scenes"), i, scene) {
        const char *text = json_string_value(json_object_get(scene, "text"));

        scenes++;
        for (unsigned k = 0; k < n_facts; k++)
            if (facts[k].kind == WD_EVENT_SCENE && strcmp(facts[k].summary, text) == 0 &&
                (double)facts[k].t0_ns / 1e9 >= json_number_value(json_object_get(scene, "t0")) - 0.1 &&
                (double)facts[k].t0_ns / 1e9 <= json_number_value(json_object_get(scene, "t1"))) {
                exact++;
                break;
            }
    }
    print_message("%u of %u scenes\n", exact, scenes);
    assert_int_equal(exact, scenes);
    json_decref(truth);

    /* Every frame was prefilled once, but for the tails after cuts, which are counted. */
    assert_int_equal(o.jobs.frames, o.status[0].window.fed);
    assert_true(o.status[0].window.fed_twice * 20 < o.jobs.frames);
    assert_true(o.jobs.accepted * 2 > o.jobs.drafted);
    assert_int_equal(o.status[0].events_lost, 0);
    assert_int_equal(o.status[0].transcript.bad, 0);
    assert_int_equal(o.status[0].transcript.n_speakers, 4);
}

static void finals_have_times_words_and_a_speaker_in_order(void **state)
{
    int64_t last = 0;

    (void)state; /* of the run before */
    for (unsigned k = 0; k < n_facts; k++) {
        const struct fact *f = &facts[k];

        if (f->kind != WD_EVENT_FINAL)
            continue;
        assert_true(f->t0_ns >= last && f->t1_ns > f->t0_ns);
        assert_true(f->n_words > 0);
        assert_memory_equal(f->speaker, "spk_", 4);
        last = f->t0_ns;
    }
    assert_true(last > 0);
}

static void streams_share_one_engine_and_keep_apart(void **state)
{
    struct outcome o = run(HEAD "streams:\n"
                                "  - {name: a, scenes: {enabled: false}, source: {type: ffmpeg, url: " TEST_SRCDIR
                                "/tests/nano/speech/single00.flac, realtime: false}}\n"
                                "  - {name: b, scenes: {enabled: false}, source: {type: ffmpeg, url: " TEST_SRCDIR
                                "/tests/nano/speech/single03.flac, realtime: false}}\n"
                                "  - {name: c, scenes: {enabled: false}, source: {type: ffmpeg, url: " TEST_SRCDIR
                                "/tests/nano/speech/nothing00.flac, realtime: false}}\n" NULL_SINK,
                           0);
    unsigned of[3] = {0, 0, 0};

    (void)state;
    for (unsigned k = 0; k < n_facts; k++)
        if (facts[k].kind == WD_EVENT_FINAL) {
            of[facts[k].stream[0] - 'a']++;
            if (facts[k].stream[0] == 'a')
                assert_string_equal(facts[k].text, "the product team needs twenty three more days.");
        }
    assert_int_equal(of[0], 1);
    assert_int_equal(of[1], 1);
    assert_int_equal(of[2], 0);
    assert_int_equal(o.error, 0);
}

static void what_was_heard_before_a_drain_is_written(void **state)
{
    unsigned finals = 0, ended = 0;
    struct outcome o = run(HEAD "streams:\n  - {name: room, scenes: {enabled: false}, source: {type: ffmpeg, url: " TEST_SRCDIR
                                "/samples/meeting.mkv, realtime: true}}\n" NULL_SINK,
                           5);

    (void)state;
    for (unsigned k = 0; k < n_facts; k++) {
        finals += facts[k].kind == WD_EVENT_FINAL;
        ended += facts[k].kind == WD_EVENT_SOURCE && strcmp(facts[k].change, "ended") == 0;
    }
    assert_true(finals >= 1);
    assert_int_equal(ended, 1);
    assert_true(o.status[0].heard_ns > 0 && o.status[0].heard_ns < INT64_C(40000000000));
    assert_int_equal(o.error, 0);
}

static void an_empty_file_is_an_error_in_words(void **state)
{
    char path[] = "/tmp/witnessd-flow-XXXXXX", yaml[512];
    int fd = mkstemp(path);
    struct outcome o;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    snprintf(yaml, sizeof yaml, HEAD "streams:\n  - {name: room, source: {type: ffmpeg, url: %s, realtime: false}}\n" NULL_SINK, path);
    o = run(yaml, 0);
    unlink(path);
    assert_true(o.error < 0);
    assert_true(strlen(o.reason) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_meeting_is_written_down),
        cmocka_unit_test(finals_have_times_words_and_a_speaker_in_order),
        cmocka_unit_test(streams_share_one_engine_and_keep_apart),
        cmocka_unit_test(what_was_heard_before_a_drain_is_written),
        cmocka_unit_test(an_empty_file_is_an_error_in_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
