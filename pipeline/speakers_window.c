/* pipeline/speakers_window.c - one window's voices: cuts where the voice changes, then the
 * likeliest course of speakers. */
#include "pipeline/speakers_window.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIM WD_VOICE_DIM
#define FRAME WD_ACTIVITY_SAMPLES
#define RATE 16000
#define STEP 6400   /* of the plan */
#define APART 25600 /* starts of two pieces that touch */
#define APART_SLACK 1600
#define CUT_LEVEL                                                                                  \
    0.07f /* so far below the likeness of one voice what stands before and behind a cut must be */
#define CUT_AROUND 19200 /* the least alike within so many samples is the cut */
#define CUT_NEXT 12800   /* no two cuts are closer */
#define CUT_HINT 4800    /* a cut this close to a hint needs half as much */
#define EDGE 3200        /* a piece may reach so far over a cut and still count as one voice's */
/* A print of 0.8 s is this much less like its own voice than one of a whole piece. */
#define SHORT_LOSS 0.045f
#define SHORT_SAMPLES 13040.0f

#define MAX_SPEAKERS 16 /* that may speak in a window */
#define CHANGE_COST 1.0f
#define CHANGE_LEAST 0.3f /* part of the cost that is left in a pause */
#define HINT_FRAMES 5
#define HINT_PART 0.4f /* of the cost at a hint */
#define FRAMES_OF_PIECE 40.0f
#define BRIDGE_FRAMES (WD_SPEAKERS_BRIDGE_NS / WD_ACTIVITY_FRAME_NS)

struct wd_speakers_window {
    int64_t t0_ns;
    uint32_t n_frames, n_stretches, n_pieces, n_units;
    struct wd_stretch stretches[WD_SPEAKERS_MAX_STRETCHES];
    struct wd_speakers_piece pieces[WD_SPEAKERS_MAX_PIECES];
    float prints[WD_SPEAKERS_MAX_PIECES][DIM];
    float p[WD_SPEAKERS_MAX_FRAMES];
    struct wd_speakers_unit units[WD_SPEAKERS_WINDOW_UNITS];

    float likely[WD_SPEAKERS_MAX_PIECES][MAX_SPEAKERS]; /* of each piece with each candidate */
    uint32_t speaker[MAX_SPEAKERS];
    uint8_t came_from[WD_SPEAKERS_MAX_FRAMES][MAX_SPEAKERS], path[WD_SPEAKERS_MAX_FRAMES];
    uint8_t piece_of[WD_SPEAKERS_MAX_FRAMES]; /* the piece whose middle is nearest */
    bool hinted[WD_SPEAKERS_MAX_FRAMES];
};

int wd_speakers_window_new(struct wd_speakers_window **ret, struct wd_err *err)
{
    struct wd_speakers_window *w = calloc(1, sizeof *w);

    if (!w)
        return wd_err_set(err, -ENOMEM, "speakers: out of memory");
    *ret = w;
    return 0;
}

struct wd_speakers_window *wd_speakers_window_free(struct wd_speakers_window *w)
{
    free(w);
    return NULL;
}

static float dot(const float *a, const float *b)
{
    float sum[8] = {0};

    for (uint32_t i = 0; i < DIM; i += 8)
        for (uint32_t k = 0; k < 8; k++)
            sum[k] += a[i + k] * b[i + k];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

static bool heard(const float *print)
{
    float length = dot(print, print);

    return length > 0.5f && length < 2.0f; /* false for what is no number */
}

static bool sound_plan(const struct wd_speakers_plan *plan)
{
    uint32_t end = 0;

    if (plan->n_frames > WD_SPEAKERS_MAX_FRAMES || plan->n_stretches > WD_SPEAKERS_MAX_STRETCHES ||
        plan->n_pieces > WD_SPEAKERS_MAX_PIECES)
        return false;
    for (uint32_t i = 0; i < plan->n_stretches; i++) {
        if (plan->stretches[i].first < end || plan->stretches[i].end <= plan->stretches[i].first)
            return false;
        end = plan->stretches[i].end;
    }
    if (end > plan->n_frames)
        return false;
    for (uint32_t i = 0; i < plan->n_pieces; i++) {
        const struct wd_speakers_piece *p = &plan->pieces[i];

        if (p->stretch >= plan->n_stretches || p->n > WD_VOICE_PIECE ||
            p->start > plan->n_frames * FRAME || (i && p->stretch < plan->pieces[i - 1].stretch))
            return false;
    }
    return true;
}

int wd_speakers_window_set(struct wd_speakers_window *w, int64_t t0_ns,
                           const struct wd_speakers_plan *plan, uint32_t n_frames,
                           const float (*prints)[WD_VOICE_DIM])
{
    if (!sound_plan(plan))
        return -EINVAL;
    w->t0_ns = t0_ns;
    w->n_frames = n_frames < plan->n_frames ? n_frames : plan->n_frames;
    w->n_stretches = w->n_pieces = w->n_units = 0;
    memcpy(w->p, plan->p, w->n_frames * sizeof *w->p);
    for (uint32_t i = 0; i < plan->n_stretches && plan->stretches[i].first < w->n_frames; i++) {
        w->stretches[i] = plan->stretches[i];
        w->stretches[i].end = w->stretches[i].end < w->n_frames ? w->stretches[i].end : w->n_frames;
        w->n_stretches++;
    }
    for (uint32_t i = 0; i < plan->n_pieces; i++) {
        const struct wd_speakers_piece *p = &plan->pieces[i];

        if (p->stretch >= w->n_stretches || p->start + p->n / 2 > w->n_frames * FRAME ||
            !heard(prints[i]))
            continue;
        memcpy(w->prints[w->n_pieces], prints[i], sizeof w->prints[0]);
        w->pieces[w->n_pieces++] = *p;
    }
    return 0;
}

uint32_t wd_speakers_window_neighbours(const struct wd_speakers_window *w, float *ret)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i + 1 < w->n_pieces; i++) {
        const struct wd_speakers_piece *a = &w->pieces[i], *b = a + 1;

        if (a->stretch == b->stretch && a->n == WD_VOICE_PIECE && b->n == WD_VOICE_PIECE &&
            b->start - a->start == STEP)
            ret[n++] = 1.0f - dot(w->prints[i], w->prints[i + 1]);
    }
    return n;
}

/* Where the voice changes. */

static int64_t time_of(const struct wd_speakers_window *w, uint32_t sample)
{
    return w->t0_ns + (int64_t)sample * INT64_C(1000000000) / RATE;
}

static bool near_hint(const struct wd_speakers_window *w, uint32_t sample, const int64_t *hints_ns,
                      uint32_t n_hints)
{
    int64_t t = time_of(w, sample), reach = (int64_t)CUT_HINT * INT64_C(1000000000) / RATE;

    for (uint32_t i = 0; i < n_hints; i++)
        if (hints_ns[i] >= t - reach && hints_ns[i] <= t + reach)
            return true;
    return false;
}

/* Likeness of the pieces that end and begin where `i` of a stretch's pieces [first, end) ends, and
 * that place; 2 when none begins there. */
static float across(const struct wd_speakers_window *w, uint32_t i, uint32_t end, uint32_t *ret_at)
{
    for (uint32_t j = i + 1; j < end; j++) {
        uint32_t apart = w->pieces[j].start - w->pieces[i].start;

        if (apart < APART - APART_SLACK || apart > APART + APART_SLACK)
            continue;
        *ret_at = w->pieces[j].start;
        return dot(w->prints[i], w->prints[j]);
    }
    *ret_at = 0;
    return 2.0f;
}

/* Cuts of a stretch whose pieces are [first, end), in samples; ret [cap]. */
static uint32_t find_cuts(const struct wd_speakers_window *w, uint32_t first, uint32_t end,
                          float likeness, const int64_t *hints_ns, uint32_t n_hints, uint32_t *ret)
{
    float alike[WD_SPEAKERS_MAX_PIECES] = {0};
    uint32_t at[WD_SPEAKERS_MAX_PIECES], n = 0;

    for (uint32_t i = first; i < end; i++)
        alike[i - first] = across(w, i, end, &at[i - first]);
    for (uint32_t i = 0; i < end - first; i++) {
        bool least = alike[i] <= 1.0f;
        float need = least && near_hint(w, at[i], hints_ns, n_hints) ? CUT_LEVEL / 2.0f : CUT_LEVEL;

        for (uint32_t j = 0; j < end - first && least; j++) {
            uint32_t a = w->pieces[first + i].start, b = w->pieces[first + j].start;

            least = (a > b ? a - b : b - a) > CUT_AROUND || alike[j] >= alike[i];
        }
        if (least && alike[i] < likeness - need && (!n || at[i] - ret[n - 1] >= CUT_NEXT))
            ret[n++] = at[i];
    }
    return n;
}

static void add_unit(struct wd_speakers_window *w, uint32_t first, uint32_t end, uint32_t a,
                     uint32_t b)
{
    struct wd_speakers_unit *u = &w->units[w->n_units];
    uint32_t nearest = first, n = 0;
    float samples = 0.0f, scale;

    memset(u, 0, sizeof *u);
    u->t0_ns = time_of(w, a);
    u->t1_ns = time_of(w, b);
    u->weight_s = (float)(b - a) / RATE;
    for (uint32_t i = first; i < end; i++) {
        const struct wd_speakers_piece *p = &w->pieces[i];
        int64_t off = 2 * (int64_t)p->start + p->n - a - b,
                best = 2 * (int64_t)w->pieces[nearest].start + w->pieces[nearest].n - a - b;

        nearest = llabs(off) < llabs(best) ? i : nearest;
        if (end - first > 1 && (p->start + EDGE < a || p->start + p->n > b + EDGE))
            continue;
        for (uint32_t k = 0; k < DIM; k++)
            u->vec[k] += w->prints[i][k];
        samples += (float)p->n;
        n++;
    }
    if (!n) {
        memcpy(u->vec, w->prints[nearest], sizeof u->vec);
        samples = (float)w->pieces[nearest].n;
        n = 1;
    }
    samples /= (float)n;
    scale = 1.0f / ((float)n *
                    (1.0f - SHORT_LOSS * fmaxf(0.0f, WD_VOICE_PIECE - samples) / SHORT_SAMPLES));
    for (uint32_t k = 0; k < DIM; k++)
        u->vec[k] *= scale;
    w->n_units++;
}

uint32_t wd_speakers_window_cut(struct wd_speakers_window *w, float likeness,
                                const int64_t *hints_ns, uint32_t n_hints)
{
    w->n_units = 0;
    for (uint32_t first = 0, end; first < w->n_pieces; first = end) {
        const struct wd_stretch *s = &w->stretches[w->pieces[first].stretch];
        uint32_t cuts[WD_SPEAKERS_MAX_PIECES], n, a = s->first * FRAME;

        for (end = first; end < w->n_pieces && w->pieces[end].stretch == w->pieces[first].stretch;
             end++)
            ;
        n = find_cuts(w, first, end, likeness, hints_ns, n_hints, cuts);
        for (uint32_t i = 0; i < n && cuts[i] < s->end * FRAME; i++) {
            add_unit(w, first, end, a, cuts[i]);
            a = cuts[i];
        }
        add_unit(w, first, end, a, s->end * FRAME);
    }
    return w->n_units;
}

const struct wd_speakers_unit *wd_speakers_window_unit(const struct wd_speakers_window *w,
                                                       uint32_t i)
{
    return &w->units[i];
}

/* Who speaks when. */

/* The candidates most alike to any piece of the window; returns how many. */
static uint32_t choose_speakers(struct wd_speakers_window *w, const float (*centres)[DIM],
                                const uint32_t *candidates, uint32_t n)
{
    float best[MAX_SPEAKERS] = {0};
    uint32_t count = 0;

    for (uint32_t c = 0; c < n; c++) {
        float most = -2.0f;
        uint32_t at;

        for (uint32_t i = 0; i < w->n_pieces; i++)
            most = fmaxf(most, dot(w->prints[i], centres[candidates[c]]));
        if (count == MAX_SPEAKERS && most <= best[count - 1])
            continue;
        at = count < MAX_SPEAKERS ? count++ : count - 1;
        for (; at > 0 && best[at - 1] < most; at--) {
            best[at] = best[at - 1];
            w->speaker[at] = w->speaker[at - 1];
        }
        best[at] = most;
        w->speaker[at] = candidates[c];
    }
    for (uint32_t i = 0; i < w->n_pieces; i++)
        for (uint32_t k = 0; k < count; k++)
            w->likely[i][k] = dot(w->prints[i], centres[w->speaker[k]]);
    return count;
}

/* Viterbi over the frames of one stretch, whose pieces are [first, end). */
static void find_path(struct wd_speakers_window *w, const struct wd_stretch *s, uint32_t first,
                      uint32_t end, uint32_t n, float margin)
{
    float score[MAX_SPEAKERS] = {0};
    uint32_t best = 0;

    for (uint32_t t = s->first; t < s->end; t++) {
        uint32_t nearest = first;
        float cost = CHANGE_COST *
                     (CHANGE_LEAST + (1.0f - CHANGE_LEAST) * fminf(fmaxf(w->p[t], 0.0f), 1.0f));
        float from = score[best];
        uint32_t was = best;

        for (uint32_t i = first + 1; i < end; i++) {
            int64_t middle = (int64_t)t * 2 * FRAME + FRAME;
            int64_t a = 2 * (int64_t)w->pieces[i].start + w->pieces[i].n - middle;
            int64_t b = 2 * (int64_t)w->pieces[nearest].start + w->pieces[nearest].n - middle;

            nearest = llabs(a) < llabs(b) ? i : nearest;
        }
        w->piece_of[t] = (uint8_t)nearest;
        cost *= w->hinted[t] ? HINT_PART : 1.0f;
        for (uint32_t k = 0; k < n; k++) {
            bool change = t > s->first && k != was && from - cost > score[k];

            w->came_from[t][k] = (uint8_t)(change ? was : k);
            score[k] = (change ? from - cost : score[k]) +
                       w->likely[nearest][k] / (margin * FRAMES_OF_PIECE);
            best = score[k] > score[best] || k == 0 ? k : best;
        }
    }
    for (uint32_t t = s->end; t-- > s->first;) {
        w->path[t] = (uint8_t)best;
        best = w->came_from[t][best];
    }
}

static void mark_hints(struct wd_speakers_window *w, const int64_t *hints_ns, uint32_t n_hints)
{
    memset(w->hinted, 0, sizeof w->hinted);
    for (uint32_t i = 0; i < n_hints; i++) {
        int64_t frame = (hints_ns[i] - w->t0_ns) / WD_ACTIVITY_FRAME_NS;

        for (int64_t t = frame - HINT_FRAMES; t <= frame + HINT_FRAMES; t++)
            if (t >= 0 && t < w->n_frames)
                w->hinted[t] = true;
    }
}

/* How sure it is that k speaks here rather than another or somebody unknown. */
static float surely(const struct wd_speakers_window *w, uint32_t piece, uint32_t k, uint32_t n,
                    float unknown)
{
    float all = expf((unknown - w->likely[piece][k]) / WD_SPEAKERS_CONFIDENCE_SCALE);

    for (uint32_t j = 0; j < n; j++)
        all += expf((w->likely[piece][j] - w->likely[piece][k]) / WD_SPEAKERS_CONFIDENCE_SCALE);
    return 1.0f / all;
}

uint32_t wd_speakers_window_turns(struct wd_speakers_window *w,
                                  const float (*centres)[WD_VOICE_DIM], const uint32_t *candidates,
                                  uint32_t n, float unknown, float margin, const int64_t *hints_ns,
                                  uint32_t n_hints, struct wd_speakers_window_turn *ret)
{
    uint32_t n_speakers = choose_speakers(w, centres, candidates, n), n_ret = 0, last_end = 0,
             last_frames = 0;

    if (!n_speakers)
        return 0;
    mark_hints(w, hints_ns, n_hints);
    for (uint32_t first = 0, end; first < w->n_pieces; first = end) {
        const struct wd_stretch *s = &w->stretches[w->pieces[first].stretch];

        for (end = first; end < w->n_pieces && w->pieces[end].stretch == w->pieces[first].stretch;
             end++)
            ;
        find_path(w, s, first, end, n_speakers, margin);
        for (uint32_t t = s->first, to; t < s->end; t = to) {
            uint32_t k = w->path[t];
            float sure = 0.0f;
            struct wd_speakers_window_turn *last = n_ret ? &ret[n_ret - 1] : NULL;

            for (to = t; to < s->end && w->path[to] == k; to++)
                sure += surely(w, w->piece_of[to], k, n_speakers, unknown);
            if (last && last->cluster == w->speaker[k] && t - last_end <= BRIDGE_FRAMES) {
                last->t1_ns = time_of(w, to * FRAME);
                last->confidence =
                    (last->confidence * (float)last_frames + sure) / (float)(last_frames + to - t);
                last_frames += to - t;
            } else if (n_ret < WD_SPEAKERS_WINDOW_TURNS) {
                ret[n_ret++] =
                    (struct wd_speakers_window_turn){time_of(w, t * FRAME), time_of(w, to * FRAME),
                                                     w->speaker[k], sure / (float)(to - t)};
                last_frames = to - t;
            }
            last_end = to;
        }
    }
    return n_ret;
}
