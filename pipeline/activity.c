/* pipeline/activity.c - speech and pauses from the gate's probabilities; whether a picture changed.
 */
#include "pipeline/activity.h"
#include "model/voice.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define DEFAULT_THRESHOLD 0.4f
#define DEFAULT_PREROLL_NS INT64_C(200000000)
#define DEFAULT_HANGOVER_NS INT64_C(600000000)
#define MAX_NS INT64_C(60000000000)
/* Speech fades: once it has begun, a syllable may be this much less sure. */
#define STAY_FACTOR 0.3f

/* Stretches: chosen on the training meetings of docs/voice.md, against missed and false speech
 * together. */
#define STRETCH_ON 0.4f
#define STRETCH_STAY 0.3f
#define STRETCH_LEAST 5  /* frames; less is a blip */
#define STRETCH_BEFORE 2 /* the gate needs to hear a little before it is sure */

struct wd_activity {
    struct wd_gate *gate;
    float threshold;
    uint32_t preroll, hangover; /* frames */
    uint64_t since_speech;      /* frames */
    uint64_t since_kept; /* frames of silence before this one, which an onset may reach back into */
    uint32_t onset_preroll;
    enum wd_activity_state state;
};

static int frames_of(int64_t ns, int64_t otherwise, const char *name, uint32_t *ret,
                     struct wd_err *err)
{
    if (ns > MAX_NS)
        return wd_err_set(err, -EINVAL, "activity: %s is longer than a minute", name);
    ns = ns ? ns : otherwise;
    *ret = ns < 0 ? 0 : (uint32_t)((ns + WD_ACTIVITY_FRAME_NS - 1) / WD_ACTIVITY_FRAME_NS);
    return 0;
}

int wd_activity_new(const struct wd_voice *voice, const struct wd_activity_opts *opts,
                    struct wd_activity **ret, struct wd_err *err)
{
    struct wd_activity *a = calloc(1, sizeof *a);
    int r;

    if (!a)
        return wd_err_set(err, -ENOMEM, "activity: out of memory");
    a->threshold = opts->threshold == 0.0f ? DEFAULT_THRESHOLD : opts->threshold;
    if (!(a->threshold > 0.0f && a->threshold <= 1.0f)) {
        r = wd_err_set(err, -EINVAL, "activity: threshold is %g, expected a probability",
                       (double)opts->threshold);
        goto fail;
    }
    if ((r = frames_of(opts->preroll_ns, DEFAULT_PREROLL_NS, "preroll", &a->preroll, err)) < 0 ||
        (r = frames_of(opts->hangover_ns, DEFAULT_HANGOVER_NS, "hangover", &a->hangover, err)) <
            0 ||
        (r = wd_gate_new(voice, &a->gate, err)) < 0)
        goto fail;
    wd_activity_reset(a);
    *ret = a;
    return 0;
fail:
    wd_activity_free(a);
    return r;
}

struct wd_activity *wd_activity_free(struct wd_activity *a)
{
    if (a)
        wd_gate_free(a->gate);
    free(a);
    return NULL;
}

void wd_activity_reset(struct wd_activity *a)
{
    wd_gate_reset(a->gate);
    a->state = WD_ACTIVITY_SILENCE;
    a->since_speech = UINT64_MAX;
    a->since_kept = 0;
    a->onset_preroll = 0;
}

enum wd_activity_state wd_activity_push(struct wd_activity *a, const float pcm[WD_ACTIVITY_SAMPLES],
                                        float *ret_probability)
{
    float p = wd_gate_push(a->gate, pcm);

    if (ret_probability)
        *ret_probability = p;
    return wd_activity_decide(a, p);
}

enum wd_activity_state wd_activity_decide(struct wd_activity *a, float probability)
{
    bool speech =
        probability >= (a->state == WD_ACTIVITY_SPEECH ? STAY_FACTOR * a->threshold : a->threshold);

    a->onset_preroll = 0;
    if (speech) {
        if (a->state == WD_ACTIVITY_SILENCE)
            a->onset_preroll = a->since_kept < a->preroll ? (uint32_t)a->since_kept : a->preroll;
        a->state = WD_ACTIVITY_SPEECH;
        a->since_speech = 0;
        a->since_kept = 0;
        return a->state;
    }
    if (a->since_speech != UINT64_MAX)
        a->since_speech++;
    a->state = a->since_speech <= a->hangover ? WD_ACTIVITY_HANGOVER : WD_ACTIVITY_SILENCE;
    if (a->state == WD_ACTIVITY_SILENCE)
        a->since_kept++;
    return a->state;
}

uint32_t wd_activity_preroll(const struct wd_activity *a)
{
    return a->onset_preroll;
}

uint64_t wd_activity_since_speech(const struct wd_activity *a)
{
    return a->since_speech;
}

uint32_t wd_activity_stretches(const float *p, uint32_t n, struct wd_stretch *ret, uint32_t cap)
{
    uint32_t n_ret = 0, begin = 0;
    bool live = false;

    for (uint32_t i = 0; i <= n; i++) {
        bool now = i < n && p[i] > (live ? STRETCH_STAY : STRETCH_ON);

        if (now && !live)
            begin = i;
        if (!now && live && i - begin >= STRETCH_LEAST) {
            uint32_t first = begin > STRETCH_BEFORE ? begin - STRETCH_BEFORE : 0;

            if (n_ret && first <= ret[n_ret - 1].end)
                ret[n_ret - 1].end = i;
            else if (n_ret < cap)
                ret[n_ret++] = (struct wd_stretch){first, i};
        }
        live = now;
    }
    return n_ret;
}

/* Pictures. */

#define COLUMNS 16
#define ROWS 9
#define CELLS (COLUMNS * ROWS)
#define PLANES 3          /* luma, blue - luma, red - luma */
#define TOLERANCE 2.0f    /* levels that always may differ */
#define NOISE_FACTOR 3.0f /* and so many times the usual difference */
#define NOISE_MAX 12.0f
#define NOISE_RATE 0.1f
#define FULL_CHANGE 8.0f /* levels beyond the tolerance at which a cell has changed altogether */
#define DRIFT_MAX                                                                                  \
    0.02f /* part by which light may change from picture to picture as if nothing had happened */
#define DARK 16.0f /* levels below which a cell says nothing about the light */

struct cells {
    float mean[PLANES][CELLS];
};

struct wd_activity_picture {
    float threshold, score;
    bool accepted, seen;
    struct cells reference, last;
    float noise[CELLS];
};

int wd_activity_picture_new(double threshold, struct wd_activity_picture **ret, struct wd_err *err)
{
    struct wd_activity_picture *a;

    if (!(threshold >= 0.0 && threshold <= 1.0))
        return wd_err_set(err, -EINVAL, "picture change: threshold is %g, expected 0 to 1",
                          threshold);
    a = calloc(1, sizeof *a);
    if (!a)
        return wd_err_set(err, -ENOMEM, "picture change: out of memory");
    a->threshold = (float)threshold;
    *ret = a;
    return 0;
}

struct wd_activity_picture *wd_activity_picture_free(struct wd_activity_picture *a)
{
    free(a);
    return NULL;
}

static void average(const uint8_t *rgb, uint32_t width, uint32_t height, struct cells *ret)
{
    for (uint32_t row = 0; row < ROWS; row++) {
        uint32_t y0 = (uint32_t)((uint64_t)height * row / ROWS),
                 y1 = (uint32_t)((uint64_t)height * (row + 1) / ROWS);

        for (uint32_t col = 0; col < COLUMNS; col++) {
            uint32_t x0 = (uint32_t)((uint64_t)width * col / COLUMNS),
                     x1 = (uint32_t)((uint64_t)width * (col + 1) / COLUMNS);
            uint64_t sum[3] = {0};
            float n = (float)(x1 - x0) * (float)(y1 - y0), r, g, b, luma;

            for (uint32_t y = y0; y < y1; y++) {
                const uint8_t *at = rgb + ((size_t)y * width + x0) * 3;

                for (uint32_t x = x0; x < x1; x++, at += 3) {
                    sum[0] += at[0];
                    sum[1] += at[1];
                    sum[2] += at[2];
                }
            }
            r = (float)sum[0] / n;
            g = (float)sum[1] / n;
            b = (float)sum[2] / n;
            luma = 0.299f * r + 0.587f * g + 0.114f * b;
            ret->mean[0][row * COLUMNS + col] = luma;
            ret->mean[1][row * COLUMNS + col] = b - luma;
            ret->mean[2][row * COLUMNS + col] = r - luma;
        }
    }
}

static float cell_difference(const struct cells *a, const struct cells *b, unsigned cell)
{
    float worst = 0.0f;

    for (unsigned k = 0; k < PLANES; k++)
        worst = fmaxf(worst, fabsf(a->mean[k][cell] - b->mean[k][cell]));
    return worst;
}

/* By insertion: qsort() may allocate. */
static void sort(float *x, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        float v = x[i];
        size_t k = i;

        for (; k > 0 && x[k - 1] > v; k--)
            x[k] = x[k - 1];
        x[k] = v;
    }
}

/* How many times as light as in the last picture most of this one is. */
static float light_change(const struct cells *now, const struct cells *last)
{
    float ratio[CELLS] = {0};
    size_t n = 0;

    for (unsigned i = 0; i < CELLS; i++)
        if (last->mean[0][i] >= DARK)
            ratio[n++] = now->mean[0][i] / last->mean[0][i];
    sort(ratio, n);
    return n ? ratio[n / 2] : 1.0f;
}

bool wd_activity_picture_push(struct wd_activity_picture *a, const uint8_t *rgb, uint32_t width,
                              uint32_t height)
{
    struct cells now;
    float changed = 0.0f;

    if (width < COLUMNS || height < ROWS)
        return false;
    average(rgb, width, height, &now);
    if (a->seen) {
        float light = light_change(&now, &a->last);

        /* Daylight comes and goes slowly: what was accepted is thought of in the new light. A lamp
         * is switched at once. */
        for (unsigned i = 0; fabsf(light - 1.0f) <= DRIFT_MAX && i < CELLS; i++)
            for (unsigned k = 0; k < PLANES; k++)
                a->reference.mean[k][i] *= light;
        for (unsigned i = 0; i < CELLS; i++)
            a->noise[i] +=
                NOISE_RATE * (fminf(cell_difference(&now, &a->last, i), NOISE_MAX) - a->noise[i]);
    }
    for (unsigned i = 0; a->accepted && i < CELLS; i++) {
        float over =
            cell_difference(&now, &a->reference, i) - TOLERANCE - NOISE_FACTOR * a->noise[i];

        changed += fminf(fmaxf(over / FULL_CHANGE, 0.0f), 1.0f);
    }
    a->score = a->accepted ? changed / CELLS : 1.0f;
    a->last = now;
    a->seen = true;
    return !a->accepted || a->score > a->threshold;
}

float wd_activity_picture_score(const struct wd_activity_picture *a)
{
    return a->score;
}

void wd_activity_picture_accept(struct wd_activity_picture *a)
{
    if (!a->seen)
        return;
    a->reference = a->last;
    a->accepted = true;
}
