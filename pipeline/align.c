/* pipeline/align.c - when was each word said: attention of the written tokens to the sound ->
 * times. */
#include "pipeline/align.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FRAMES 1024

/* A frame where nobody speaks costs a word so much of its attention (the whole of it is 1): as if a
 * third of the word had to lie there. */
#define SILENCE_COST 0.3
/* Any frame costs a little, so that a word does not reach out to where it looks at nothing; more
 * where nothing is known of silence. */
#define FRAME_COST 0.005
#define UNKNOWN_SILENCE 0.03

#define STEP_NS INT64_C(10000000) /* shortest word */

/* Attention says nothing: less than so much a token looks at sound, or nowhere more than so many
 * times the average. */
#define LEAST_MASS 0.02
#define LEAST_PEAK 2.0
#define SPEAKS 0.35f

struct wd_align {
    uint32_t max_frames, max_words;
    double *mass;    /* [max_frames + 1]: running sum of the word at hand */
    double *best;    /* [max_frames + 1]: most attention with the last word over by this frame */
    double *over;    /* [max_frames + 1] */
    double *weight;  /* [max_frames + 1]: running sum, of silence first, of speech then */
    uint16_t *start; /* [max_words][max_frames + 1]: where a word that ends here begins */
    uint16_t *end; /* [max_words][max_frames + 1]: where the last word that is over by here ends */
    uint16_t known[WD_PARSE_MAX_WORDS]; /* words whose attention says something */
    uint16_t from[WD_PARSE_MAX_WORDS], to[WD_PARSE_MAX_WORDS]; /* frames [from, to) of them */
    float sure[WD_PARSE_MAX_WORDS];
};

int wd_align_new(uint32_t max_frames, struct wd_align **ret, struct wd_err *err)
{
    struct wd_align *a;
    size_t row = (size_t)max_frames + 1;

    if (max_frames == 0 || max_frames > MAX_FRAMES)
        return wd_err_set(err, -EINVAL, "word times: windows of %u frames, expected 1..%d",
                          max_frames, MAX_FRAMES);
    a = calloc(1, sizeof *a);
    if (a) {
        a->max_frames = max_frames;
        a->max_words = max_frames < WD_PARSE_MAX_WORDS ? max_frames : WD_PARSE_MAX_WORDS;
        a->mass = calloc(row, sizeof *a->mass);
        a->best = calloc(row, sizeof *a->best);
        a->over = calloc(row, sizeof *a->over);
        a->weight = calloc(row, sizeof *a->weight);
        a->start = calloc(row * a->max_words, sizeof *a->start);
        a->end = calloc(row * a->max_words, sizeof *a->end);
    }
    if (!a || !a->mass || !a->best || !a->over || !a->weight || !a->start || !a->end) {
        wd_align_free(a);
        return wd_err_set(err, -ENOMEM, "word times: out of memory");
    }
    *ret = a;
    return 0;
}

struct wd_align *wd_align_free(struct wd_align *a)
{
    if (a) {
        free(a->mass);
        free(a->best);
        free(a->over);
        free(a->weight);
        free(a->start);
        free(a->end);
        free(a);
    }
    return NULL;
}

static double clamp01(float v)
{
    return v > 0 ? (v < 1 ? (double)v : 1) : 0; /* NaN is 0 */
}

/* Frames the word was heard in when it was first written: it is over by then. */
static uint32_t seen_by(const struct wd_align_in *in, uint32_t word)
{
    uint32_t seen = in->seen ? in->seen[word] : WD_ALIGN_NEVER;

    return seen == 0 || seen > in->n_frames ? in->n_frames : seen;
}

/* Attention of word i on each frame as a running sum, all of it 1. False: it says nothing. */
static bool word_mass(struct wd_align *a, const struct wd_align_in *in, uint32_t i)
{
    const struct wd_parse_word *w = &in->parsed->words[i];
    uint32_t by = seen_by(in, i), last = w->heard_token;
    double sum = 0, peak = 0;

    if (!in->attention || w->first_token >= in->n_rows)
        return false;
    if (last >= in->n_rows)
        last = in->n_rows - 1;
    memset(a->mass, 0, (in->n_frames + 1) * sizeof *a->mass);
    for (uint32_t t = w->first_token; t <= last; t++)
        for (uint32_t f = 0; f < by; f++)
            a->mass[f + 1] += clamp01(in->attention[(size_t)t * in->n_frames + f]);
    for (uint32_t f = 1; f <= in->n_frames; f++) {
        sum += a->mass[f];
        if (a->mass[f] > peak)
            peak = a->mass[f];
    }
    if (!(sum > LEAST_MASS * (last - w->first_token + 1)))
        return false;
    if (by >= 12 && peak * by < LEAST_PEAK * sum)
        return false;
    for (uint32_t f = 1; f <= in->n_frames; f++)
        a->mass[f] = a->mass[f - 1] + a->mass[f] / sum;
    return true;
}

static double silence(const struct wd_align_in *in, uint32_t f)
{
    return FRAME_COST + (in->speech ? 1 - clamp01(in->speech[f]) : UNKNOWN_SILENCE);
}

/* Frames for the words whose attention says something: in order, none shared, as much of each
 * word's attention in its own frames as can be. best_k(e) = max over s < e of  over_k-1(s) + sum of
 * [s, e) (attention_k - SILENCE_COST * silence) over_k(s) = max over e <= s of best_k(e) Words
 * without attention between two others keep a frame each. Returns how many there are. */
static uint32_t place(struct wd_align *a, const struct wd_align_in *in)
{
    uint32_t n = in->n_frames, row = n + 1, k = 0, at, before = 0;

    if (in->parsed->n_words > n || in->parsed->n_words > a->max_words)
        return 0;
    for (uint32_t f = 0; f <= n; f++) {
        a->over[f] = 0;
        a->weight[f] = f ? a->weight[f - 1] + silence(in, f - 1) : 0;
    }
    for (uint32_t i = 0; i < in->parsed->n_words; i++) {
        uint16_t *start = a->start + (size_t)k * row, *end = a->end + (size_t)k * row;
        double most = -1e30;
        uint32_t arg = 0, apart;

        if (!word_mass(a, in, i))
            continue;
        apart = i - before; /* words in between */
        before = i + 1;
        for (uint32_t f = 0; f <= n; f++)
            a->mass[f] -= SILENCE_COST * a->weight[f];
        for (uint32_t e = 0; e <= n; e++) { /* start[e]: the best s < e */
            a->best[e] = most + a->mass[e];
            start[e] = (uint16_t)arg;
            if (e >= apart && a->over[e - apart] - a->mass[e] > most + 1e-12) {
                most = a->over[e - apart] - a->mass[e];
                arg = e;
            }
        }
        most = -1e30;
        arg = 0;
        for (uint32_t s = 0; s <= n; s++) {
            if (a->best[s] >= most) {
                most = a->best[s];
                arg = s;
            }
            a->over[s] = most;
            end[s] = (uint16_t)arg;
        }
        a->known[k++] = (uint16_t)i;
    }
    /* Words without attention behind the last need room too. */
    at = n - (in->parsed->n_words - before);
    for (uint32_t i = k; i-- > 0;) {
        uint32_t apart = a->known[i] - (i ? a->known[i - 1] + 1u : 0);

        a->to[i] = a->end[(size_t)i * row + at];
        a->from[i] = a->start[(size_t)i * row + a->to[i]];
        at = a->from[i] >= apart ? a->from[i] - apart : 0;
    }
    return k;
}

/* Time of the place where `share` of the speech between frames a and b has been heard. */
static int64_t at_share(const struct wd_align *al, uint32_t a, uint32_t b, double share)
{
    double want = al->weight[a] + share * (al->weight[b] - al->weight[a]);
    uint32_t f = a;
    double in_frame;

    while (f + 1 < b && al->weight[f + 1] <= want)
        f++;
    in_frame = al->weight[f + 1] - al->weight[f];
    return f * WD_ALIGN_FRAME_NS +
           (int64_t)((double)WD_ALIGN_FRAME_NS *
                     (in_frame > 0 ? (want - al->weight[f]) / in_frame : 0));
}

/* Words [first, end) whose attention says nothing share the speech in frames [from, to) by their
 * letters. */
static void share_out(struct wd_align *a, const struct wd_align_in *in, uint32_t first,
                      uint32_t end, uint32_t from, uint32_t to, struct wd_align_time *ret)
{
    uint64_t letters = 0, at = 0;
    uint32_t earliest = from;

    if (first == end)
        return;
    /* Seen in so many frames: over by then, and not there yet at the tick before. */
    if (in->seen) {
        uint32_t by = seen_by(in, end - 1);

        if (by > from && by < to)
            to = by;
        for (uint32_t i = 0; i < first; i++)
            if (seen_by(in, i) < seen_by(in, first) && seen_by(in, i) > earliest)
                earliest = seen_by(in, i);
        /* A word is written a little after it was said: what is new since the last tick may have
         * begun half a second before it. */
        earliest = earliest > from + 12 ? earliest - 12 : from;
        if (earliest + (end - first) <= to)
            from = earliest;
    }
    while (in->speech && from + (end - first) < to && !(in->speech[from] >= SPEAKS))
        from++;
    while (in->speech && from + (end - first) < to && !(in->speech[to - 1] >= SPEAKS))
        to--;
    if (to <= from) {
        from = from < in->n_frames ? from : in->n_frames - 1;
        to = from + 1;
    }
    for (uint32_t i = first; i < end; i++)
        letters += in->parsed->words[i].len + 1;
    for (uint32_t i = first; i < end; i++) {
        ret[i].t0_ns = at_share(a, from, to, (double)at / (double)letters);
        at += in->parsed->words[i].len + 1;
        ret[i].t1_ns = i + 1 == end ? to * WD_ALIGN_FRAME_NS
                                    : at_share(a, from, to, (double)at / (double)letters);
        ret[i].confidence = 0;
    }
}

/* In order, not empty, within the window; times become stream time. */
static void tidy(const struct wd_align_in *in, struct wd_align_time *t)
{
    int64_t length = in->n_frames * WD_ALIGN_FRAME_NS, at = 0;
    uint32_t n = in->parsed->n_words;
    int64_t step = length / 2 / n < STEP_NS ? length / 2 / n : STEP_NS;

    for (uint32_t i = 0; i < n; i++) {
        if (t[i].t0_ns < at)
            t[i].t0_ns = at;
        if (t[i].t1_ns < t[i].t0_ns + step)
            t[i].t1_ns = t[i].t0_ns + step;
        at = t[i].t1_ns;
    }
    at = length;
    for (uint32_t i = n; i-- > 0;) {
        if (t[i].t1_ns > at)
            t[i].t1_ns = at;
        if (t[i].t0_ns > t[i].t1_ns - step)
            t[i].t0_ns = t[i].t1_ns - step;
        at = t[i].t0_ns;
        t[i].t0_ns += in->t0_ns;
        t[i].t1_ns += in->t0_ns;
    }
}

int wd_align_words(struct wd_align *a, const struct wd_align_in *in, struct wd_align_time *ret,
                   struct wd_err *err)
{
    uint32_t n_words = in->parsed->n_words, known, at = 0, word = 0;

    if (n_words == 0)
        return 0;
    if (in->n_frames == 0 || in->n_frames > a->max_frames)
        return wd_err_set(err, -EINVAL, "word times: a window of %u frames, expected 1..%u",
                          in->n_frames, a->max_frames);
    known = place(a, in);
    for (uint32_t k = 0; k < known; k++) {
        uint32_t i = a->known[k];

        word_mass(a, in, i);
        ret[i].t0_ns = a->from[k] * WD_ALIGN_FRAME_NS - in->late_ns;
        ret[i].t1_ns = a->to[k] * WD_ALIGN_FRAME_NS - in->late_ns;
        ret[i].confidence = (float)(a->mass[a->to[k]] - a->mass[a->from[k]]);
    }
    a->weight[0] = 0;
    for (uint32_t f = 0; f < in->n_frames; f++) /* a little everywhere: every word gets a place */
        a->weight[f + 1] = a->weight[f] + (!in->speech || in->speech[f] >= SPEAKS ? 1 : 0.02);
    for (uint32_t k = 0; k < known; k++) {
        share_out(a, in, word, a->known[k], at, a->from[k], ret);
        word = a->known[k] + 1u;
        at = a->to[k];
    }
    share_out(a, in, word, n_words, at, in->n_frames, ret);
    tidy(in, ret);
    return 0;
}

static uint32_t spoken_length(const struct wd_parse_word *w)
{
    uint32_t n = w->len;

    while (n > 1 && strchr(".,?!;:", w->text[n - 1]))
        n--;
    return n;
}

void wd_align_seen(const struct wd_parsed *before, const uint32_t *seen_before,
                   const struct wd_parsed *now, uint32_t n_frames, uint32_t *ret)
{
    for (uint32_t i = 0; i < now->n_words; i++) {
        const struct wd_parse_word *w = &now->words[i],
                                   *b = before && i < before->n_words ? &before->words[i] : NULL;
        uint32_t n = spoken_length(w);
        bool same = b && seen_before && spoken_length(b) == n && memcmp(w->text, b->text, n) == 0;

        ret[i] = same ? seen_before[i] : n_frames;
    }
}
