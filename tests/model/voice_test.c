/* tests/model/voice_test.c - both networks against recorded values of every step; see
 * tests/voice/README.md. */
#include "model/voice.h"
#include "model/tensor_file.h"
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define PRINT_PATH TEST_SRCDIR "/models/voice-print.safetensors"
#define GATE_PATH TEST_SRCDIR "/models/speech-activity.safetensors"

static const int pieces[] = {0, 2, 5, 6, 7}; /* 0, 2, 5: people; 6, 7: made noises */
#define N_PIECES (sizeof pieces / sizeof pieces[0])

struct given {
    struct wd_voice *voice;
    struct wd_voice_scratch *scratch;
    struct wd_tensor_file *golden;
};

static int set_up(void **state)
{
    static struct given g;
    struct wd_err err = {0};

    if (wd_voice_open(PRINT_PATH, GATE_PATH, &g.voice, &err) < 0 ||
        wd_voice_scratch_new(g.voice, &g.scratch, &err) < 0 ||
        wd_tensor_file_open_data(TEST_SRCDIR "/tests/voice/golden.safetensors", &g.golden, &err) <
            0) {
        print_error("%s\n", err.text);
        return -1;
    }
    *state = &g;
    return 0;
}

static int tear_down(void **state)
{
    struct given *g = *state;

    wd_tensor_file_free(g->golden);
    wd_voice_scratch_free(g->scratch);
    wd_voice_free(g->voice);
    return 0;
}

static const struct wd_tensor *recorded(const struct given *g, int piece, const char *name)
{
    char full[64];
    const struct wd_tensor *t;

    snprintf(full, sizeof full, "%d.%s", piece, name);
    t = wd_tensor_file_find(g->golden, full);
    return t;
}

static void sound_of(const struct given *g, int piece, float pcm[WD_VOICE_PIECE])
{
    const struct wd_tensor *t = recorded(g, piece, "pcm");

    assert_non_null(t);
    assert_int_equal(t->n_bytes, WD_VOICE_PIECE * sizeof(int16_t));
    for (size_t i = 0; i < WD_VOICE_PIECE; i++)
        pcm[i] = (float)((const int16_t *)t->data)[i] / 32768.0f;
}

static double distance(const struct wd_tensor *t, const float *x, size_t n)
{
    double worst = 0.0;

    assert_int_equal(t->n_bytes, n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)x[i] - (double)((const float *)t->data)[i]));
    return worst;
}

struct comparison {
    const struct given *given;
    int piece;
    unsigned n_compared;
};

static void compare_step(void *ctx, const char *name, const float *x, size_t n)
{
    struct comparison *c = ctx;
    char full[32];
    const struct wd_tensor *t;
    double worst;

    snprintf(full, sizeof full, "print.%s", name);
    t = recorded(c->given, c->piece, full);
    if (!t)
        return; /* the steps between were recorded for speech only */
    worst = distance(t, x, n);
    /* The numbers between reach about 50, so that 1e-4 is a few units in their last place. */
    if (worst > 1e-4)
        fail_msg("piece %d, %s: off by %g", c->piece, name, worst);
    c->n_compared++;
}

static void every_step_of_the_print_is_as_recorded(void **state)
{
    const struct given *g = *state;
    static float pcm[WD_VOICE_PIECE];

    for (size_t i = 0; i < N_PIECES; i++) {
        struct comparison c = {g, pieces[i], 0};
        float print[WD_VOICE_DIM];

        sound_of(g, pieces[i], pcm);
        assert_int_equal(wd_voice_print_steps(g->voice, g->scratch, pcm, WD_VOICE_PIECE,
                                              compare_step, &c, print),
                         0);
        assert_int_equal(c.n_compared, pieces[i] < 6 ? 11 : 3);
        assert_true(distance(recorded(g, pieces[i], "print.out"), print, WD_VOICE_DIM) < 1e-5);
    }
}

static void every_step_of_the_gate_is_as_recorded(void **state)
{
    const struct given *g = *state;
    static float pcm[WD_VOICE_PIECE];

    for (size_t i = 0; i < N_PIECES; i++) {
        const size_t n_frames = WD_VOICE_PIECE / WD_GATE_FRAME;
        struct wd_gate *gate = NULL;
        static float features[64 * WD_GATE_INPUT], states[64 * WD_GATE_STATE], p[64];

        sound_of(g, pieces[i], pcm);
        assert_int_equal(wd_gate_new(g->voice, &gate, NULL), 0);
        for (int again = 0; again < 2; again++) {
            for (size_t t = 0; t < n_frames; t++) {
                p[t] = wd_gate_push(gate, pcm + t * WD_GATE_FRAME);
                memcpy(features + t * WD_GATE_INPUT, wd_gate_features(gate),
                       WD_GATE_INPUT * sizeof(float));
                memcpy(states + t * WD_GATE_STATE, wd_gate_state(gate),
                       WD_GATE_STATE * sizeof(float));
            }
            assert_true(distance(recorded(g, pieces[i], "gate.features"), features,
                                 n_frames * WD_GATE_INPUT) < 1e-4);
            assert_true(distance(recorded(g, pieces[i], "gate.states"), states,
                                 n_frames * WD_GATE_STATE) < 1e-5);
            assert_true(distance(recorded(g, pieces[i], "gate.probability"), p, n_frames) < 1e-5);
            wd_gate_reset(gate); /* and once more from the start */
        }
        wd_gate_free(gate);
    }
}

static void a_print_does_not_depend_on_what_was_printed_before(void **state)
{
    const struct given *g = *state;
    static float pcm[WD_VOICE_PIECE];
    float first[WD_VOICE_DIM], then[WD_VOICE_DIM], longer[WD_VOICE_DIM];

    sound_of(g, 2, pcm);
    assert_int_equal(wd_voice_print(g->voice, g->scratch, pcm, WD_VOICE_MIN_SAMPLES, first), 0);
    assert_int_equal(wd_voice_print(g->voice, g->scratch, pcm, WD_VOICE_PIECE, longer), 0);
    assert_int_equal(wd_voice_print(g->voice, g->scratch, pcm, WD_VOICE_MIN_SAMPLES, then), 0);
    assert_memory_equal(first, then, sizeof first);
    assert_memory_not_equal(first, longer, sizeof first);
}

static void a_print_does_not_depend_on_how_loud_it_is(void **state)
{
    const struct given *g = *state;
    static float pcm[WD_VOICE_PIECE];
    float loud[WD_VOICE_DIM], soft[WD_VOICE_DIM], cosine = 0.0f;

    sound_of(g, 0, pcm);
    assert_int_equal(wd_voice_print(g->voice, g->scratch, pcm, WD_VOICE_PIECE, loud), 0);
    for (size_t i = 0; i < WD_VOICE_PIECE; i++)
        pcm[i] *= 0.25f;
    assert_int_equal(wd_voice_print(g->voice, g->scratch, pcm, WD_VOICE_PIECE, soft), 0);
    for (size_t i = 0; i < WD_VOICE_DIM; i++)
        cosine += loud[i] * soft[i];
    assert_true(cosine > 0.999f);
}

static void a_print_of_another_length_is_refused(void **state)
{
    const struct given *g = *state;
    static float pcm[WD_VOICE_PIECE + 1];
    float print[WD_VOICE_DIM];

    assert_int_equal(wd_voice_print(g->voice, g->scratch, pcm, WD_VOICE_MIN_SAMPLES - 1, print),
                     -EINVAL);
    assert_int_equal(wd_voice_print(g->voice, g->scratch, pcm, WD_VOICE_PIECE + 1, print), -EINVAL);
    assert_int_equal(wd_voice_print(g->voice, g->scratch, pcm, 0, print), -EINVAL);
}

static void silence_has_a_print_of_length_one(void **state)
{
    const struct given *g = *state;
    static float pcm[WD_VOICE_PIECE];
    float print[WD_VOICE_DIM], length = 0.0f;

    memset(pcm, 0, sizeof pcm);
    assert_int_equal(wd_voice_print(g->voice, g->scratch, pcm, WD_VOICE_PIECE, print), 0);
    for (size_t i = 0; i < WD_VOICE_DIM; i++)
        length += print[i] * print[i];
    assert_true(fabsf(length - 1.0f) < 1e-5f);
}

static void sound_that_is_no_number_is_refused_and_forgotten(void **state)
{
    const struct given *g = *state;
    static float pcm[WD_VOICE_PIECE];
    float print[WD_VOICE_DIM], bad[WD_GATE_FRAME] = {0}, p;
    struct wd_gate *gate = NULL, *fresh = NULL;

    sound_of(g, 0, pcm);
    assert_int_equal(wd_gate_new(g->voice, &gate, NULL), 0);
    assert_int_equal(wd_gate_new(g->voice, &fresh, NULL), 0);
    wd_gate_push(gate, pcm);
    for (int i = 0; i < 2; i++) {
        bad[17] = i ? (float)INFINITY : (float)NAN;
        assert_true(wd_gate_push(gate, bad) == 0.0f);
    }
    for (int t = 0; t < 10; t++) {
        p = wd_gate_push(gate, pcm + t * WD_GATE_FRAME);
        assert_true(p == wd_gate_push(fresh, pcm + t * WD_GATE_FRAME));
    }
    wd_gate_free(fresh);
    wd_gate_free(gate);
    pcm[100] = (float)NAN;
    assert_int_equal(wd_voice_print(g->voice, g->scratch, pcm, WD_VOICE_PIECE, print), -EDOM);
}

static void a_damaged_weight_file_is_named(void **state)
{
    struct wd_voice *v = NULL;
    struct wd_err err = {0};
    (void)state;

    assert_int_equal(wd_voice_open(TEST_SRCDIR "/models/no-such-file", GATE_PATH, &v, &err),
                     -ENOENT);
    assert_non_null(strstr(err.text, "no-such-file"));
    err = (struct wd_err){0};
    /* the two files changed about: each lacks the other's tensors */
    assert_int_equal(wd_voice_open(GATE_PATH, PRINT_PATH, &v, &err), -EINVAL);
    assert_non_null(strstr(err.text, "speech-activity"));
    assert_non_null(strstr(err.text, "stem.weight"));
    assert_null(v);
}

/* Copies the gate's file with one text in its header exchanged for another of the same length. */
static void changed_copy(const char *from, const char *to, char path[], size_t cap)
{
    FILE *in = fopen(GATE_PATH, "rb"), *out;
    static char bytes[200000];
    size_t n, len = strlen(from);
    bool done = false;
    int fd;

    assert_non_null(in);
    n = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    for (size_t i = 0; i + len < 2000 && i + len < n && !done; i++) {
        if (!memcmp(bytes + i, from, len)) {
            memcpy(bytes + i, to, len);
            done = true;
        }
    }
    assert_true(done);
    snprintf(path, cap, "voice_test_XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    out = fdopen(fd, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

static void a_tensor_of_another_shape_is_named_with_both_shapes(void **state)
{
    char path[64];
    struct wd_voice *v = NULL;
    struct wd_err err = {0};
    (void)state;

    changed_copy("[48,160]", "[160,48]", path, sizeof path);
    assert_int_equal(wd_voice_open(PRINT_PATH, path, &v, &err), -EINVAL);
    unlink(path);
    assert_non_null(strstr(err.text, "inp.weight"));
    assert_non_null(strstr(err.text, "160 x 48"));
    assert_non_null(strstr(err.text, "48 x 160"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_of_the_print_is_as_recorded),
        cmocka_unit_test(every_step_of_the_gate_is_as_recorded),
        cmocka_unit_test(a_print_does_not_depend_on_what_was_printed_before),
        cmocka_unit_test(a_print_does_not_depend_on_how_loud_it_is),
        cmocka_unit_test(a_print_of_another_length_is_refused),
        cmocka_unit_test(silence_has_a_print_of_length_one),
        cmocka_unit_test(sound_that_is_no_number_is_refused_and_forgotten),
        cmocka_unit_test(a_damaged_weight_file_is_named),
        cmocka_unit_test(a_tensor_of_another_shape_is_named_with_both_shapes),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
