/* tests/pipeline/speakers_test.c - one voice keeps one label: with made prints, and with people's.
 */
#include "pipeline/speakers.h"
#include "model/tensor_file.h"
#include "tests/no_malloc.h"
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define SECOND INT64_C(1000000000)
#define FRAME WD_ACTIVITY_SAMPLES
#define NOBODY 0

static uint32_t seed = 1;

static float noise(void)
{
    float sum = 0.0f;

    for (int i = 0; i < 6; i++) {
        seed = seed * 1664525u + 1013904223u;
        sum += (float)(seed >> 8) / 16777216.0f - 0.5f;
    }
    return sum * 1.41f; /* deviation about 1 */
}

/* Adds one voice's direction: the same numbers for the same speaker. */
static void add_voice(int speaker, float scale, float *v)
{
    uint32_t keep = seed;

    seed = (uint32_t)speaker * 2654435761u + 17u;
    for (int i = 0; i < 50; i++)
        noise();
    for (int i = 0; i < WD_VOICE_DIM; i++)
        v[i] += scale * noise();
    seed = keep;
}

static void norm(float *v)
{
    float length = 0.0f;

    for (int i = 0; i < WD_VOICE_DIM; i++)
        length += v[i] * v[i];
    for (int i = 0; i < WD_VOICE_DIM; i++)
        v[i] /= sqrtf(length);
}

/* A made recording: who speaks in each 40 ms frame; a print is the mix of the voices under its
 * piece, and its own noise, which neighbours share as far as they overlap. All voices share a half,
 * as people's do in one room. */
struct recording {
    const int *who; /* [n] */
    uint32_t n;
    float likeness; /* of two pieces of one voice that do not overlap */
};

/* What is said just now: different for every frame, so that neighbouring pieces share it as far as
 * they overlap. */
static void add_own(uint32_t first, const struct wd_speakers_piece *p, float likeness, float *print)
{
    float own[WD_VOICE_DIM] = {0};

    for (uint32_t f = p->start / FRAME; f < (p->start + p->n) / FRAME; f++)
        add_voice(100000 + (int)(first + f), 1.0f, own);
    norm(own);
    norm(print);
    for (int i = 0; i < WD_VOICE_DIM; i++)
        print[i] = sqrtf(likeness) * print[i] + sqrtf(1.0f - likeness) * own[i];
    norm(print);
}

static void print_of(const struct recording *r, uint32_t first, const struct wd_speakers_piece *p,
                     float *ret)
{
    memset(ret, 0, WD_VOICE_DIM * sizeof *ret);
    for (uint32_t f = p->start / FRAME; f < (p->start + p->n) / FRAME; f++) {
        if (r->who[first + f] == NOBODY)
            continue;
        add_voice(r->who[first + f], 1.0f, ret);
        add_voice(99, 1.2f, ret); /* the room */
    }
    add_own(first, p, r->likeness, ret);
}

static void hear(struct wd_speakers *s, const struct recording *r, uint32_t first, uint32_t n,
                 const int64_t *hints, uint32_t n_hints)
{
    static float p[WD_SPEAKERS_MAX_FRAMES], prints[WD_SPEAKERS_MAX_PIECES][WD_VOICE_DIM];
    static struct wd_speakers_plan plan;

    for (uint32_t i = 0; i < n; i++)
        p[i] = r->who[first + i] == NOBODY ? 0.02f : 0.98f;
    wd_speakers_plan(p, n, &plan);
    for (uint32_t i = 0; i < plan.n_pieces; i++)
        print_of(r, first, &plan.pieces[i], prints[i]);
    assert_int_equal(wd_speakers_add(s, (int64_t)first * WD_ACTIVITY_FRAME_NS, &plan, n,
                                     (const float(*)[WD_VOICE_DIM])prints, hints, n_hints),
                     0);
}

static struct wd_speakers *speakers(void)
{
    struct wd_speakers *s = NULL;

    assert_int_equal(wd_speakers_new(NULL, &s, NULL), 0);
    return s;
}

/* who[first, first + n) = speaker */
static uint32_t say(int *who, uint32_t first, uint32_t n, int speaker)
{
    for (uint32_t i = 0; i < n; i++)
        who[first + i] = speaker;
    return first + n;
}

static void plan_pieces_lie_in_their_stretch_and_never_in_a_neighbour(void **state)
{
    static float p[375];
    static struct wd_speakers_plan plan;
    (void)state;

    for (int i = 0; i < 375; i++)
        p[i] = (i >= 20 && i < 120) || (i >= 140 && i < 160) || (i >= 300 && i < 330) ? 0.9f : 0.0f;
    wd_speakers_plan(p, 375, &plan);
    assert_int_equal(plan.n_stretches, 3);
    assert_true(plan.n_pieces >= 9);
    for (uint32_t i = 0; i < plan.n_pieces; i++) {
        const struct wd_speakers_piece *q = &plan.pieces[i];

        assert_in_range(q->n, WD_VOICE_MIN_SAMPLES, WD_VOICE_PIECE);
        assert_true(q->start + q->n <= 375 * FRAME);
        for (uint32_t k = 0; k < plan.n_stretches; k++)
            if (k != q->stretch)
                assert_true(q->start + q->n <= plan.stretches[k].first * FRAME ||
                            q->start >= plan.stretches[k].end * FRAME);
        if (q->stretch == 0)
            assert_true(q->start >= 18 * FRAME && q->start + q->n <= 120 * FRAME &&
                        q->n == WD_VOICE_PIECE);
    }
}

static void a_plan_is_bounded_whatever_the_sound(void **state)
{
    static float p[2000];
    static struct wd_speakers_plan plan;
    (void)state;

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2000; i++)
            p[i] = round == 0   ? 1.0f
                   : round == 1 ? (i % 8 < 6 ? 1.0f : 0.0f)
                                : (i % 40 < 35 ? 0.9f : 0.0f);
        wd_speakers_plan(p, 2000, &plan);
        assert_int_equal(plan.n_frames, WD_SPEAKERS_MAX_FRAMES);
        assert_true(plan.n_pieces > 0 && plan.n_pieces <= WD_SPEAKERS_MAX_PIECES);
        assert_true(plan.n_stretches <= WD_SPEAKERS_MAX_STRETCHES);
        for (uint32_t i = 0; i < plan.n_pieces; i++) {
            assert_in_range(plan.pieces[i].n, WD_VOICE_MIN_SAMPLES, WD_VOICE_PIECE);
            assert_true(plan.pieces[i].start + plan.pieces[i].n <= WD_SPEAKERS_MAX_FRAMES * FRAME);
        }
    }
    /* the whole of a long window is covered, only more thinly */
    for (int i = 0; i < 2000; i++)
        p[i] = 1.0f;
    wd_speakers_plan(p, 750, &plan);
    assert_int_equal(plan.pieces[plan.n_pieces - 1].start + WD_VOICE_PIECE, 750 * FRAME);
    wd_speakers_plan(p, 5, &plan);
    assert_int_equal(plan.n_pieces, 0);
}

static void a_voice_keeps_its_label_across_windows(void **state)
{
    struct wd_speakers *s = speakers();
    int who[1000] = {0};
    struct recording r = {who, 1000, 0.85f};
    struct wd_turn t[8];
    const int order[] = {1, 2, 1, 3, 2, 3, 1, 1};
    (void)state;

    for (uint32_t i = 0; i < 8; i++)
        say(who, i * 100 + 10, 60, order[i]);
    for (uint32_t i = 0; i < 8; i++) {
        hear(s, &r, i * 100, 100, NULL, 0);
        assert_int_equal(wd_speakers_turns(s, t, 8), 1);
        assert_int_equal(t[0].speaker, order[i]); /* numbered as they are heard */
        assert_true(t[0].confidence > 0.5f);
        assert_true(llabs(t[0].t0_ns - (int64_t)(i * 100 + 10) * WD_ACTIVITY_FRAME_NS) <=
                    2 * WD_ACTIVITY_FRAME_NS);
        assert_true(llabs(t[0].t1_ns - (int64_t)(i * 100 + 70) * WD_ACTIVITY_FRAME_NS) <=
                    2 * WD_ACTIVITY_FRAME_NS);
    }
    assert_int_equal(wd_speakers_stats(s).speakers, 3);
    wd_speakers_free(s);
}

static void a_change_without_a_pause_is_found_within_a_quarter_second(void **state)
{
    struct wd_speakers *s = speakers();
    int who[300] = {0};
    struct recording r = {who, 300, 0.85f};
    struct wd_turn t[8];
    int64_t change = 83 * WD_ACTIVITY_FRAME_NS;
    (void)state;

    say(who, say(who, 10, 73, 1), 90, 2);
    hear(s, &r, 0, 200, NULL, 0);
    assert_int_equal(wd_speakers_turns(s, t, 8), 2);
    assert_true(t[0].speaker == 1 && t[1].speaker == 2);
    assert_true(llabs(t[1].t0_ns - change) < SECOND / 4);
    assert_true(t[0].t1_ns <= t[1].t0_ns);
    assert_int_equal(wd_speakers_at(s, change - SECOND, change - SECOND / 2, NULL), 1);
    assert_int_equal(wd_speakers_at(s, change + SECOND / 2, change + SECOND, NULL), 2);
    assert_int_equal(wd_speakers_at(s, 0, SECOND / 10, NULL),
                     1); /* the nearest where nobody speaks */
    wd_speakers_free(s);
}

static void one_voice_with_pauses_is_one_turn(void **state)
{
    struct wd_speakers *s = speakers();
    int who[300] = {0};
    struct recording r = {who, 300, 0.8f};
    struct wd_turn t[8];
    int64_t hint = 60 * WD_ACTIVITY_FRAME_NS;
    (void)state;

    say(who, 10, 250, 4);
    say(who, 100, 15, NOBODY);
    hear(s, &r, 0, 300, &hint, 1); /* a wrong hint cuts nothing */
    assert_int_equal(wd_speakers_turns(s, t, 8), 1);
    assert_int_equal(t[0].speaker, 1);
    wd_speakers_free(s);
}

static void the_border_follows_the_sound_at_hand(void **state)
{
    int who[1200] = {0};
    struct recording r = {who, 1200, 0.0f};
    (void)state;

    /* Clear sound and a bad room: the same two people, and one alone, are counted right in both. */
    for (int alone = 0; alone < 2; alone++)
        for (int bad = 0; bad < 2; bad++) {
            struct wd_speakers *s = speakers();

            r.likeness = bad ? 0.80f : 0.93f;
            for (uint32_t i = 0; i < 10; i++)
                say(who, i * 120 + 5, 80, alone ? 1 : 1 + (int)(i % 2));
            for (uint32_t i = 0; i < 10; i++)
                hear(s, &r, i * 120, 120, NULL, 0);
            assert_int_equal(wd_speakers_stats(s).speakers, alone ? 1 : 2);
            assert_true(fabsf(wd_speakers_stats(s).likeness - r.likeness) < 0.06f);
            wd_speakers_free(s);
        }
}

static void after_a_cut_only_what_lies_before_it_counts(void **state)
{
    struct wd_speakers *s = speakers();
    static float p[200], prints[WD_SPEAKERS_MAX_PIECES][WD_VOICE_DIM];
    static struct wd_speakers_plan plan;
    int who[400] = {0};
    struct recording r = {who, 400, 0.85f};
    struct wd_turn t[8];
    (void)state;

    say(who, say(who, 0, 120, 1), 200, 2);
    for (int i = 0; i < 200; i++)
        p[i] = 0.9f;
    wd_speakers_plan(p, 200, &plan);
    for (uint32_t i = 0; i < plan.n_pieces; i++)
        print_of(&r, 0, &plan.pieces[i], prints[i]);
    assert_int_equal(
        wd_speakers_add(s, 0, &plan, 100, (const float(*)[WD_VOICE_DIM])prints, NULL, 0), 0);
    assert_int_equal(wd_speakers_turns(s, t, 8), 1);
    assert_int_equal(t[0].t1_ns, 100 * WD_ACTIVITY_FRAME_NS);
    hear(s, &r, 100, 200, NULL, 0);
    assert_int_equal(wd_speakers_turns(s, t, 8), 2);
    assert_true(t[0].speaker == 1 && t[1].speaker == 2);
    wd_speakers_free(s);
}

static void wrong_input_is_refused_and_bad_prints_are_not_heard(void **state)
{
    struct wd_speakers *s = speakers();
    static float p[100], prints[WD_SPEAKERS_MAX_PIECES][WD_VOICE_DIM];
    static struct wd_speakers_plan plan, bad;
    struct wd_err err = {0};
    struct wd_speakers *none = NULL;
    struct wd_turn t[4];
    (void)state;

    for (int i = 0; i < 100; i++)
        p[i] = 0.9f;
    wd_speakers_plan(p, 100, &plan);
    for (uint32_t i = 0; i < plan.n_pieces; i++)
        prints[i][0] = i ? (float)NAN : 0.0f;
    assert_int_equal(
        wd_speakers_add(s, SECOND, &plan, 100, (const float(*)[WD_VOICE_DIM])prints, NULL, 0), 0);
    assert_int_equal(wd_speakers_turns(s, t, 4), 0);
    assert_int_equal(wd_speakers_at(s, 0, SECOND, NULL), 0);
    assert_int_equal(
        wd_speakers_add(s, 0, &plan, 100, (const float(*)[WD_VOICE_DIM])prints, NULL, 0), -ERANGE);
    bad = plan;
    bad.pieces[0].stretch = 7;
    assert_int_equal(
        wd_speakers_add(s, 10 * SECOND, &bad, 100, (const float(*)[WD_VOICE_DIM])prints, NULL, 0),
        -EINVAL);
    bad = plan;
    bad.n_pieces = WD_SPEAKERS_MAX_PIECES + 1;
    assert_int_equal(
        wd_speakers_add(s, 10 * SECOND, &bad, 100, (const float(*)[WD_VOICE_DIM])prints, NULL, 0),
        -EINVAL);
    bad = plan;
    bad.stretches[0].end = 101;
    assert_int_equal(
        wd_speakers_add(s, 10 * SECOND, &bad, 100, (const float(*)[WD_VOICE_DIM])prints, NULL, 0),
        -EINVAL);
    wd_speakers_finish(s);
    wd_speakers_free(s);
    assert_int_equal(wd_speakers_new(&(struct wd_speakers_opts){.max_units = 3}, &none, &err),
                     -EINVAL);
    assert_int_equal(wd_speakers_new(&(struct wd_speakers_opts){.margin = (float)NAN}, &none, &err),
                     -EINVAL);
    assert_null(none);
}

/* Two labels that turn out to be one voice: what was heard at first, half of each, was too
 * different. */
static void labels_that_grow_together_are_told_once(void **state)
{
    struct wd_speakers *s = speakers();
    static float p[100], prints[WD_SPEAKERS_MAX_PIECES][WD_VOICE_DIM];
    static struct wd_speakers_plan plan;
    struct wd_relabel l = {0};
    struct wd_turn t[64];
    uint32_t n;
    (void)state;

    for (int i = 0; i < 100; i++)
        p[i] = i >= 10 && i < 90 ? 0.9f : 0.0f;
    wd_speakers_plan(p, 100, &plan);
    for (int w = 0; w < 12; w++) {
        /* the voice at its two extremes, then between them */
        float part = w == 0 ? 0.0f : w == 1 ? 1.0f : 0.5f;

        for (uint32_t i = 0; i < plan.n_pieces; i++) {
            memset(prints[i], 0, sizeof prints[i]);
            add_voice(1, 2.0f, prints[i]);
            add_voice(2, 1.0f - part, prints[i]);
            add_voice(3, part, prints[i]);
            add_own((uint32_t)w * 100, &plan.pieces[i], 0.85f, prints[i]);
        }
        assert_int_equal(wd_speakers_add(s, w * 4 * SECOND, &plan, 100,
                                         (const float(*)[WD_VOICE_DIM])prints, NULL, 0),
                         0);
        if (w == 1)
            assert_int_equal(wd_speakers_stats(s).speakers, 2);
    }
    assert_int_equal(wd_speakers_stats(s).speakers, 1);
    assert_true(wd_speakers_relabel(s, &l));
    assert_true((l.from == 1 && l.into == 2) || (l.from == 2 && l.into == 1));
    assert_false(wd_speakers_relabel(s, &l));
    wd_speakers_finish(s);
    n = wd_speakers_all(s, t, 64);
    assert_true(n > 0);
    for (uint32_t i = 1; i < n; i++)
        assert_int_equal(t[i].speaker, t[0].speaker);
    wd_speakers_free(s);
}

static void memory_is_bounded_and_nothing_allocates(void **state)
{
    struct wd_speakers *s = NULL;
    static int who[60000];
    struct recording r = {who, 60000, 0.9f};
    struct wd_speakers_stats st;
    static struct wd_turn t[8192];
    struct wd_relabel l;
    unsigned long calls;
    uint32_t n;
    (void)state;

    /* 600 windows of 120 voices, each of which comes back, with room for 64 stretches. */
    assert_int_equal(wd_speakers_new(&(struct wd_speakers_opts){.max_units = 64}, &s, NULL), 0);
    for (uint32_t i = 0; i < 600; i++)
        say(who, i * 100 + 10, 60, 1 + (int)(i * 7 % 120));
    wd_no_malloc_begin();
    for (uint32_t i = 0; i < 600; i++) {
        hear(s, &r, i * 100, 100, NULL, 0);
        while (wd_speakers_relabel(s, &l))
            assert_true(l.from != l.into);
    }
    wd_speakers_finish(s);
    n = wd_speakers_all(s, t, 8192);
    calls = wd_no_malloc_end();
    st = wd_speakers_stats(s);
    assert_true(st.units <= 64);
    assert_true(st.forgotten > 0);
    assert_in_range(n, 500, 600);
    if (wd_no_malloc_active())
        assert_int_equal(calls, 0);
    wd_speakers_free(s);

    /* Few voices for long: their stretches are put together, and nobody is forgotten. */
    assert_int_equal(wd_speakers_new(&(struct wd_speakers_opts){.max_units = 64}, &s, NULL), 0);
    for (uint32_t i = 0; i < 600; i++)
        say(who, i * 100 + 10, 60, 1 + (int)(i * 7 % 5));
    for (uint32_t i = 0; i < 600; i++)
        hear(s, &r, i * 100, 100, NULL, 0);
    st = wd_speakers_stats(s);
    assert_int_equal(st.forgotten, 0);
    assert_true(st.joined > 500);
    assert_int_equal(st.speakers, 5);
    n = wd_speakers_all(s, t, 8192);
    assert_int_equal(n, 600);
    for (uint32_t i = 5; i < n; i++)
        assert_int_equal(t[i].speaker, t[i - 5].speaker);
    wd_speakers_free(s);
}

static void three_people_are_told_apart_and_known_again(void **state)
{
    struct wd_voice *voice = NULL;
    struct wd_voice_scratch *scratch = NULL;
    struct wd_tensor_file *golden = NULL;
    struct wd_speakers *s = speakers();
    static float p[41], prints[WD_SPEAKERS_MAX_PIECES][WD_VOICE_DIM], pcm[WD_VOICE_PIECE];
    static struct wd_speakers_plan plan;
    const char *pieces[] = {"0.pcm", "2.pcm", "5.pcm", "0.pcm", "5.pcm", "2.pcm"};
    const uint32_t from[] = {0, 0, 0, 12, 12, 12}, want[] = {1, 2, 3, 1, 3, 2};
    (void)state;

    assert_int_equal(wd_voice_open(TEST_SRCDIR "/models/voice-print.safetensors",
                                   TEST_SRCDIR "/models/speech-activity.safetensors", &voice, NULL),
                     0);
    assert_int_equal(wd_voice_scratch_new(voice, &scratch, NULL), 0);
    assert_int_equal(
        wd_tensor_file_open_data(TEST_SRCDIR "/tests/voice/golden.safetensors", &golden, NULL), 0);
    for (int w = 0; w < 6; w++) {
        const struct wd_tensor *t = wd_tensor_file_find(golden, pieces[w]);
        struct wd_turn turn;

        assert_non_null(t);
        for (size_t i = 0; i < WD_VOICE_PIECE; i++)
            pcm[i] = (float)((const int16_t *)t->data)[i] / 32768.0f;
        for (uint32_t i = 0; i < 40; i++) /* the second time only their last second is heard */
            p[i] = i >= from[w] ? 0.9f : 0.0f;
        wd_speakers_plan(p, 40, &plan);
        assert_true(plan.n_pieces > 0);
        for (uint32_t i = 0; i < plan.n_pieces; i++)
            assert_int_equal(wd_voice_print(voice, scratch, pcm + plan.pieces[i].start,
                                            plan.pieces[i].n, prints[i]),
                             0);
        assert_int_equal(wd_speakers_add(s, w * 2 * SECOND, &plan, 40,
                                         (const float(*)[WD_VOICE_DIM])prints, NULL, 0),
                         0);
        assert_int_equal(wd_speakers_turns(s, &turn, 1), 1);
        assert_int_equal(turn.speaker, want[w]);
    }
    assert_int_equal(wd_speakers_stats(s).speakers, 3);
    wd_speakers_free(s);
    wd_tensor_file_free(golden);
    wd_voice_scratch_free(scratch);
    wd_voice_free(voice);
}

static void a_label_reads_spk_n(void **state)
{
    char label[16];
    (void)state;

    wd_speakers_label(1, label);
    assert_string_equal(label, "spk_1");
    wd_speakers_label(UINT32_MAX, label);
    assert_string_equal(label, "spk_4294967295");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_pieces_lie_in_their_stretch_and_never_in_a_neighbour),
        cmocka_unit_test(a_plan_is_bounded_whatever_the_sound),
        cmocka_unit_test(a_voice_keeps_its_label_across_windows),
        cmocka_unit_test(a_change_without_a_pause_is_found_within_a_quarter_second),
        cmocka_unit_test(one_voice_with_pauses_is_one_turn),
        cmocka_unit_test(the_border_follows_the_sound_at_hand),
        cmocka_unit_test(after_a_cut_only_what_lies_before_it_counts),
        cmocka_unit_test(wrong_input_is_refused_and_bad_prints_are_not_heard),
        cmocka_unit_test(labels_that_grow_together_are_told_once),
        cmocka_unit_test(memory_is_bounded_and_nothing_allocates),
        cmocka_unit_test(three_people_are_told_apart_and_known_again),
        cmocka_unit_test(a_label_reads_spk_n),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
