/* tests/pipeline/voices_test.c - which pieces are printed, whose turn it was, and whose each word is; on clips with known turns. */
#include "pipeline/voices.h"

#include "pipeline/activity.h"
#include "tests/pipeline/nano.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000000)

#define SECONDS(s) ((s) * INT64_C(1000000000))

static struct wd_nano nano;
static struct wd_voice_scratch *scratch;

struct fact {
    enum wd_event_kind kind;
    char speaker[16], change[16];
    int64_t t0_ns, t1_ns;
    float confidence;
};

static struct {
    struct wd_event_pool *events;
    struct wd_publish publish;
    struct wd_voices *voices;
    struct wd_activity *activity;
    struct wd_window *window;
    struct wd_job *job;
    int64_t now_ns;
    struct fact facts[64];
    unsigned n_facts;
} f;

static int open_model(void **state)
{
    (void)state;
    wd_nano_open(&nano, 0);
    return wd_voice_scratch_new(nano.voice, &scratch, NULL);
}

static int close_model(void **state)
{
    (void)state;
    wd_voice_scratch_free(scratch);
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
    snprintf(to->speaker, sizeof to->speaker, "%s", e->speaker.id ? e->speaker.id : "");
    snprintf(to->change, sizeof to->change, "%s", e->change ? e->change : "");
    to->t0_ns = e->t0_ns;
    to->t1_ns = e->t1_ns;
    to->confidence = e->speaker.confidence;
}

static int set_up(void **state)
{
    struct wd_activity_opts activity = {0};
    struct wd_window_opts window = {.pause_ns = 5 * SECOND, .max_ns = 20 * SECOND, .tick_ns = -1};
    struct wd_err err = {0};

    (void)state;
    memset(&f, 0, sizeof f);
    f.publish = (struct wd_publish){.stream = "test", .send = on_event};
    if (wd_event_pool_new(8, &f.events, &err) < 0 || wd_activity_new(nano.voice, &activity, &f.activity, &err) < 0 ||
        wd_window_new(&window, &f.window, &err) < 0 || wd_job_new(WD_JOB_SOUND, &f.job, &err) < 0)
        fail_msg("%s", err.text);
    f.publish.pool = f.events;
    if (wd_voices_new(&f.publish, &f.voices, &err) < 0)
        fail_msg("%s", err.text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wd_voices_free(f.voices);
    wd_activity_free(f.activity);
    wd_window_free(f.window);
    wd_job_free(f.job);
    assert_int_equal(wd_event_pool_in_use(f.events), 0);
    wd_event_pool_free(f.events);
    return 0;
}

/* All of a sound into the window at hand. */
static void hear(const float *pcm, size_t n)
{
    struct wd_window_job what;
    float p;

    for (size_t at = 0; at + 640 <= n; at += 640, f.now_ns += WD_WINDOW_FRAME_NS) {
        enum wd_activity_state s = wd_activity_push(f.activity, pcm + at, &p);

        assert_int_equal(wd_window_push(f.window, pcm + at, f.now_ns, s == WD_ACTIVITY_SILENCE ? WD_WINDOW_HANGOVER : WD_WINDOW_SPEECH, p), 0);
    }
    while (wd_window_next(f.window, &what) && what.why == WD_WINDOW_FEED)
        ;
}

static uint32_t hear_clip(const char *name)
{
    size_t n;
    float *pcm = wd_nano_clip(name, &n);

    hear(pcm, n);
    free(pcm);
    return wd_window_frames(f.window);
}

/* What the engine thread does with the pieces. Returns how many there were. */
static uint32_t print(uint32_t from, uint32_t to)
{
    f.job->n_pieces = 0;
    wd_voices_fill(f.voices, f.window, from, to, f.job);
    for (uint32_t i = 0; i < f.job->n_pieces; i++) {
        struct wd_piece *p = &f.job->pieces[i];

        assert_in_range(p->n_samples, WD_VOICE_MIN_SAMPLES, WD_VOICE_PIECE);
        assert_int_equal(wd_voice_print(nano.voice, scratch, p->pcm, p->n_samples, p->print), 0);
    }
    wd_voices_take(f.voices, f.job);
    return f.job->n_pieces;
}

static const struct fact *turn_at(double seconds)
{
    for (unsigned i = 0; i < f.n_facts; i++)
        if (f.facts[i].kind == WD_EVENT_TURN && (double)f.facts[i].t0_ns <= seconds * 1e9 && (double)f.facts[i].t1_ns >= seconds * 1e9)
            return &f.facts[i];
    for (unsigned i = 0; i < f.n_facts; i++)
        print_message("%d %s %s %.2f to %.2f\n", (int)f.facts[i].kind, f.facts[i].speaker, f.facts[i].change, (double)f.facts[i].t0_ns / 1e9,
                      (double)f.facts[i].t1_ns / 1e9);
    fail_msg("nobody speaks at %.2f s", seconds);
    return NULL;
}

static unsigned count(enum wd_event_kind kind)
{
    unsigned n = 0;

    for (unsigned i = 0; i < f.n_facts; i++)
        n += f.facts[i].kind == kind;
    return n;
}

static void one_voice_is_one_speaker_announced_once(void **state)
{
    uint32_t n = hear_clip("single00");

    (void)state;
    assert_true(print(0, n) > 2);
    wd_voices_part(f.voices, f.window, 0, n, NULL, NULL);
    wd_voices_end(f.voices);
    assert_int_equal(wd_voices_count(f.voices), 1);
    assert_int_equal(count(WD_EVENT_SPEAKER), 1);
    assert_string_equal(f.facts[0].change, "new");
    assert_string_equal(f.facts[0].speaker, "spk_1");
    assert_string_equal(turn_at(1.5)->speaker, "spk_1");
    assert_true(turn_at(1.5)->confidence > 0 && turn_at(1.5)->confidence <= 1);
}

static void two_voices_are_two_speakers(void **state)
{
    uint32_t n = hear_clip("turns00"); /* 0.1 to 2.4 s, 2.5 to 5.2 s */

    (void)state;
    print(0, n);
    wd_voices_part(f.voices, f.window, 0, n, NULL, NULL);
    wd_voices_end(f.voices);
    assert_int_equal(wd_voices_count(f.voices), 2);
    assert_string_equal(turn_at(1.2)->speaker, "spk_1");
    assert_string_equal(turn_at(4.0)->speaker, "spk_2");
}

static void a_voice_that_comes_back_keeps_its_label_in_the_next_window(void **state)
{
    uint32_t n = hear_clip("turns00");
    double begins;

    (void)state;
    print(0, n);
    wd_voices_part(f.voices, f.window, 0, n - 1, NULL, NULL);
    wd_voices_forget(f.voices, true);
    assert_int_equal(wd_window_cut(f.window, n - 1), 0);
    begins = (double)f.now_ns / 1e9;
    n = hear_clip("turns00");
    print(0, n);
    wd_voices_part(f.voices, f.window, 0, n, NULL, NULL);
    wd_voices_end(f.voices);
    assert_int_equal(wd_voices_count(f.voices), 2);
    assert_string_equal(turn_at(begins + 1.2)->speaker, "spk_1");
    assert_string_equal(turn_at(begins + 4.0)->speaker, "spk_2");
    assert_int_equal(count(WD_EVENT_SPEAKER), 2);
}

static void a_guess_knows_known_voices_only_and_teaches_nothing(void **state)
{
    uint32_t n = hear_clip("turns00");
    int64_t begins;
    float sure = 0;

    (void)state;
    print(0, n);
    assert_int_equal(wd_voices_guess(f.voices, f.window, 0, SECONDS(10), 0, &sure), 0); /* nobody is known yet */
    wd_voices_part(f.voices, f.window, 0, n - 1, NULL, NULL);
    wd_voices_forget(f.voices, true);
    assert_int_equal(wd_window_cut(f.window, n - 1), 0);
    assert_int_equal(wd_voices_guess(f.voices, f.window, 0, SECONDS(10), 0, &sure), 0); /* nothing was printed of this window */
    begins = f.now_ns;
    n = hear_clip("turns00");
    print(0, n);
    assert_int_equal(wd_voices_guess(f.voices, f.window, begins + SECONDS(1), begins + SECONDS(2), 0, &sure), 1);
    assert_true(sure > 0.5f && sure <= 1.0f);
    assert_int_equal(wd_voices_guess(f.voices, f.window, begins + SECONDS(4), begins + SECONDS(5), 0, &sure), 2);
    assert_int_equal(wd_voices_guess(f.voices, f.window, begins + SECONDS(4), begins + SECONDS(5), 1, &sure), 2); /* it was wrong before */
    assert_int_equal(wd_voices_guess(f.voices, f.window, begins + SECONDS(30), begins + SECONDS(31), 0, &sure), 0);
    assert_int_equal(wd_voices_count(f.voices), 2);
    assert_int_equal(count(WD_EVENT_SPEAKER), 2);
}

static void a_piece_is_printed_once_however_often_it_is_asked_for(void **state)
{
    uint32_t n = hear_clip("single00"), half = n / 2, first;

    (void)state;
    assert_false(wd_voices_ready(f.voices, f.window, 0, n));
    first = print(0, n);
    assert_true(first > 0);
    assert_true(wd_voices_ready(f.voices, f.window, 0, n));
    assert_int_equal(print(0, n), 0);
    /* A part that ends elsewhere needs other pieces at its end, not all of them. */
    assert_in_range(print(0, half), 0, first - 1);
    wd_voices_forget(f.voices, false);
    assert_int_equal(print(0, n), first);
}

static void parts_decided_early_name_the_same_speakers(void **state)
{
    uint32_t n = hear_clip("turns00"), cut = (uint32_t)(2.45 * 25);

    (void)state;
    print(0, cut);
    print(cut, n);
    wd_voices_part(f.voices, f.window, 0, cut, NULL, NULL);
    assert_string_equal(f.facts[0].change, "new");
    assert_int_equal(wd_voices_count(f.voices), 1);
    wd_voices_part(f.voices, f.window, cut, n, NULL, NULL);
    wd_voices_end(f.voices);
    assert_int_equal(wd_voices_count(f.voices), 2);
    assert_string_equal(turn_at(1.2)->speaker, "spk_1");
    assert_string_equal(turn_at(4.0)->speaker, "spk_2");
}

static void an_empty_part_decides_nothing(void **state)
{
    (void)state;
    hear_clip("single00");
    wd_voices_part(f.voices, f.window, 10, 10, NULL, NULL);
    wd_voices_part(f.voices, f.window, 11, 10, NULL, NULL);
    wd_voices_end(f.voices);
    assert_int_equal(f.n_facts, 0);
    assert_int_equal(wd_voices_count(f.voices), 0);
}

static void pieces_without_a_print_spoil_nothing(void **state)
{
    uint32_t n = hear_clip("single00");

    (void)state;
    wd_voices_part(f.voices, f.window, 0, n, NULL, NULL);
    wd_voices_end(f.voices);
    assert_in_range(wd_voices_count(f.voices), 0, 1);
}

/* A line of words, one token each, said at these times. */
static void parse_line(struct wd_parsed *p, const char *const *words, uint32_t n)
{
    struct wd_parse_token tokens[16];
    struct wd_parse_opts opts = {.label = "S{n}: ", .speech_ns = -1};

    for (uint32_t i = 0; i < n; i++)
        tokens[i] = (struct wd_parse_token){.text = words[i], .len = (uint32_t)strlen(words[i]), .p = 1};
    wd_parse(tokens, n, WD_PARSE_STOP, &opts, p);
}

static void a_line_is_cut_where_the_voice_changes_and_no_short_word_changes_hands_alone(void **state)
{
    static const char *const words[] = {"S1: one", " two", " three", " four", " five", " six"};
    static const double at[6][2] = {{0.3, 0.9}, {1.0, 1.5}, {1.6, 2.3}, {2.7, 3.4}, {3.5, 4.1}, {4.2, 4.9}};
    struct wd_parsed *p = calloc(1, sizeof *p);
    struct wd_align_time times[6];
    uint32_t n = hear_clip("turns00"), who[6];
    struct wd_event *e;

    (void)state;
    parse_line(p, words, 6);
    assert_int_equal(p->n_words, 6);
    assert_int_equal(p->n_utterances, 1);
    for (int i = 0; i < 6; i++)
        times[i] = (struct wd_align_time){(int64_t)(at[i][0] * 1e9), (int64_t)(at[i][1] * 1e9), 1};
    print(0, n);
    wd_voices_part(f.voices, f.window, 0, n, p, times);
    wd_voices_words(f.voices, p, times, 0, 6, who);
    for (int i = 0; i < 6; i++)
        assert_int_equal(who[i], i < 3 ? 1 : 2);
    /* A short word whose place says otherwise than its neighbours on both sides. */
    times[1] = (struct wd_align_time){4 * SECOND, 4 * SECOND + SECOND / 10, 1};
    wd_voices_words(f.voices, p, times, 0, 3, who);
    assert_int_equal(who[1], 1);
    /* The first of a line goes with what follows. */
    times[3] = (struct wd_align_time){1 * SECOND, SECOND + SECOND / 10, 1};
    wd_voices_words(f.voices, p, times, 3, 6, who);
    assert_int_equal(who[0], 2);
    /* A long one is believed. */
    times[4] = (struct wd_align_time){1 * SECOND, 2 * SECOND, 1};
    wd_voices_words(f.voices, p, times, 3, 6, who);
    assert_int_equal(who[1], 1);

    e = wd_publish_event(&f.publish, WD_EVENT_FINAL, 3 * SECOND, 4 * SECOND);
    wd_voices_name(f.voices, 2, e);
    assert_string_equal(e->speaker.id, "spk_2");
    assert_true(e->speaker.confidence > 0 && e->speaker.confidence <= 1);
    wd_event_unref(e);
    e = wd_publish_event(&f.publish, WD_EVENT_FINAL, 3 * SECOND, 4 * SECOND);
    wd_voices_name(f.voices, 0, e);
    assert_null(e->speaker.id); /* not known */
    wd_event_unref(e);
    free(p);
}

static void when_no_event_is_free_speakers_are_counted_all_the_same(void **state)
{
    struct wd_event *held[8];
    uint32_t n = hear_clip("turns00");

    (void)state;
    print(0, n);
    for (int i = 0; i < 8; i++)
        held[i] = wd_publish_event(&f.publish, WD_EVENT_GAP, 0, 0);
    wd_voices_part(f.voices, f.window, 0, n, NULL, NULL);
    wd_voices_end(f.voices);
    assert_int_equal(f.n_facts, 0);
    assert_true(f.publish.lost >= 4);
    assert_int_equal(wd_voices_count(f.voices), 2);
    for (int i = 0; i < 8; i++)
        wd_event_unref(held[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_voice_is_one_speaker_announced_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(two_voices_are_two_speakers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_voice_that_comes_back_keeps_its_label_in_the_next_window, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_guess_knows_known_voices_only_and_teaches_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_piece_is_printed_once_however_often_it_is_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_decided_early_name_the_same_speakers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_part_decides_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pieces_without_a_print_spoil_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_is_cut_where_the_voice_changes_and_no_short_word_changes_hands_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(when_no_event_is_free_speakers_are_counted_all_the_same, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, open_model, close_model);
}
