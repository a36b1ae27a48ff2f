/* pipeline/speakers.c - one voice keeps one label: stretches of one voice are remembered, and
 * grouped anew with each window. */
#include "pipeline/speakers.h"
#include "pipeline/cluster.h"
#include "pipeline/speakers_window.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIM WD_VOICE_DIM
#define MAX_UNITS 256
#define LOG_CAP 4096
#define NO_UNIT UINT32_MAX
#define UNIT_WEIGHT_MAX 6.0f /* seconds: a long stretch says little more about a voice than this   \
                              */
#define JOINED_WEIGHT_MAX 60.0f

/* Of the band in which two voices begin, below the likeness of one voice with itself;
 * docs/voice.md. */
#define BAND_HIGH 0.04f
#define BAND_LOW 0.12f
#define BAND_BONUS 0.01f

/* Likeness of one voice with itself, from pieces 0.4 s apart: what neighbours differ by is this
 * part of what strangers in time do. */
#define NEIGHBOUR_PART 0.26f
#define LIKENESS_GUESS 0.84f
#define LIKENESS_GUESS_WEIGHT 3.0f
#define LIKENESS_LEAST 0.80f
#define BINS 512
#define BINS_TOTAL 4096 /* then all counts are halved: the sound of the last half hour counts */

struct unit { /* a stretch of one voice */
    float vec[DIM];
    float weight; /* seconds, bounded */
    uint32_t label, cluster;
};

struct logged {
    struct wd_turn turn;
    uint32_t unit; /* NO_UNIT: none was like it */
};

struct wd_speakers {
    struct wd_speakers_opts opts;
    struct wd_cluster *cluster;
    struct wd_speakers_window *window;

    struct unit *units;
    float *alike; /* [max_units][max_units] */
    float *weights;
    uint32_t *of;
    uint32_t n_units;

    uint32_t n_clusters;
    float (*centre)[DIM]; /* [max_units], of each cluster, length 1 */
    float *cluster_weight;
    uint32_t *cluster_label;
    float *votes;         /* [max_units] of one label by cluster */
    uint32_t *candidates; /* clusters that may speak in a window */

    uint32_t bins[BINS], n_bins;
    uint32_t last_label;
    int64_t end_ns;

    struct logged log[LOG_CAP]; /* a ring */
    uint32_t log_first, log_n, window_turns;
    struct wd_relabel *relabels;
    uint32_t n_relabels;
    struct wd_speakers_stats stats;
};

int wd_speakers_new(const struct wd_speakers_opts *opts, struct wd_speakers **ret,
                    struct wd_err *err)
{
    struct wd_speakers *s = calloc(1, sizeof *s);
    size_t n;
    int r;

    if (!s)
        return wd_err_set(err, -ENOMEM, "speakers: out of memory");
    if (opts)
        s->opts = *opts;
    s->opts.max_units = s->opts.max_units ? s->opts.max_units : MAX_UNITS;
    s->opts.margin = s->opts.margin == 0.0f ? 0.07f : s->opts.margin;
    s->opts.least_s = s->opts.least_s == 0.0f ? 1.0f : s->opts.least_s;
    n = s->opts.max_units;
    if (n < 16 || n > 1024)
        r = wd_err_set(err, -EINVAL, "speakers: %zu units, expected 16 to 1024", n);
    else if (!(s->opts.margin > 0.0f && s->opts.margin < 1.0f) ||
             !(s->opts.least_s >= 0.0f && s->opts.least_s <= 60.0f))
        r = wd_err_set(err, -EINVAL, "speakers: margin %g, least %g s: expected 0 to 1 and 0 to 60",
                       (double)s->opts.margin, (double)s->opts.least_s);
    else if ((r = wd_cluster_new((uint32_t)n, &s->cluster, err)) < 0 ||
             (r = wd_speakers_window_new(&s->window, err)) < 0)
        ;
    else if (!(s->units = calloc(n, sizeof *s->units)) ||
             !(s->alike = calloc(n * n, sizeof *s->alike)) ||
             !(s->weights = calloc(n, sizeof *s->weights)) || !(s->of = calloc(n, sizeof *s->of)) ||
             !(s->centre = calloc(n, sizeof *s->centre)) ||
             !(s->cluster_weight = calloc(n, sizeof *s->cluster_weight)) ||
             !(s->cluster_label = calloc(n, sizeof *s->cluster_label)) ||
             !(s->votes = calloc(n, sizeof *s->votes)) ||
             !(s->candidates = calloc(n, sizeof *s->candidates)) ||
             !(s->relabels = calloc(n, sizeof *s->relabels)))
        r = wd_err_set(err, -ENOMEM, "speakers: out of memory");
    if (r < 0) {
        wd_speakers_free(s);
        return r;
    }
    s->end_ns = INT64_MIN;
    s->stats.likeness = LIKENESS_GUESS;
    *ret = s;
    return 0;
}

struct wd_speakers *wd_speakers_free(struct wd_speakers *s)
{
    if (!s)
        return NULL;
    free(s->relabels);
    free(s->candidates);
    free(s->votes);
    free(s->cluster_label);
    free(s->cluster_weight);
    free(s->centre);
    free(s->of);
    free(s->weights);
    free(s->alike);
    free(s->units);
    wd_speakers_window_free(s->window);
    wd_cluster_free(s->cluster);
    free(s);
    return NULL;
}

void wd_speakers_label(uint32_t speaker, char ret[16])
{
    snprintf(ret, 16, "spk_%u", (unsigned)speaker);
}

static float dot(const float *a, const float *b)
{
    float sum[8] = {0};

    for (uint32_t i = 0; i < DIM; i += 8)
        for (uint32_t k = 0; k < 8; k++)
            sum[k] += a[i + k] * b[i + k];
    return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

/* Likeness. */

static void count_neighbours(struct wd_speakers *s)
{
    float differences[WD_SPEAKERS_MAX_PIECES];
    uint32_t n = wd_speakers_window_neighbours(s->window, differences);

    for (uint32_t i = 0; i < n; i++) {
        float d = differences[i] / NEIGHBOUR_PART;

        s->bins[d >= 1.0f ? BINS - 1 : d <= 0.0f ? 0 : (uint32_t)(d * BINS)]++;
        s->n_bins++;
    }
    if (s->n_bins < BINS_TOTAL)
        return;
    s->n_bins = 0;
    for (uint32_t i = 0; i < BINS; i++)
        s->n_bins += s->bins[i] /= 2;
}

/* The middle one, so that neighbours of two voices do not count, drawn to a guess while few were
 * heard. */
static float likeness(const struct wd_speakers *s)
{
    float half = (float)s->n_bins / 2.0f, below = 0.0f, middle = 0.0f, w;

    for (uint32_t i = 0; s->n_bins && i < BINS; i++) {
        if (below + (float)s->bins[i] >= half) {
            middle = ((float)i + (half - below) / (float)s->bins[i]) / BINS;
            break;
        }
        below += (float)s->bins[i];
    }
    w = 1.0f - (LIKENESS_GUESS_WEIGHT * (1.0f - LIKENESS_GUESS) + (float)s->n_bins * middle) /
                   (LIKENESS_GUESS_WEIGHT + (float)s->n_bins);
    return w < LIKENESS_LEAST ? LIKENESS_LEAST : w;
}

/* Units. */

static float *alike(struct wd_speakers *s, uint32_t a, uint32_t b)
{
    return &s->alike[(size_t)a * s->opts.max_units + b];
}

static void compare_with_all(struct wd_speakers *s, uint32_t i)
{
    for (uint32_t j = 0; j < s->n_units; j++)
        *alike(s, i, j) = *alike(s, j, i) = dot(s->units[i].vec, s->units[j].vec);
}

static void move_in_log(struct wd_speakers *s, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < s->log_n; i++)
        if (s->log[(s->log_first + i) % LOG_CAP].unit == from)
            s->log[(s->log_first + i) % LOG_CAP].unit = to;
}

/* The last one takes the empty place. */
static void remove_unit(struct wd_speakers *s, uint32_t i)
{
    uint32_t last = --s->n_units;

    if (i == last)
        return;
    s->units[i] = s->units[last];
    for (uint32_t j = 0; j < s->n_units; j++)
        *alike(s, i, j) = *alike(s, j, i) = *alike(s, last, j == i ? last : j);
    move_in_log(s, last, i);
}

static void make_room(struct wd_speakers *s)
{
    uint32_t a = NO_UNIT, b = NO_UNIT, lightest = 0;
    struct unit *u, *v;

    for (uint32_t i = 0; i < s->n_units; i++) {
        if (s->units[i].weight < s->units[lightest].weight)
            lightest = i;
        for (uint32_t j = 0; s->units[i].label && j < i; j++)
            if (s->units[j].label == s->units[i].label &&
                (a == NO_UNIT || *alike(s, i, j) > *alike(s, a, b))) {
                a = i;
                b = j;
            }
    }
    if (a == NO_UNIT) {
        move_in_log(s, lightest, NO_UNIT);
        remove_unit(s, lightest);
        s->stats.forgotten++;
        return;
    }
    u = &s->units[b];
    v = &s->units[a];
    for (uint32_t k = 0; k < DIM; k++)
        u->vec[k] = (u->weight * u->vec[k] + v->weight * v->vec[k]) / (u->weight + v->weight);
    u->weight = fminf(u->weight + v->weight, JOINED_WEIGHT_MAX);
    move_in_log(s, a, b);
    remove_unit(s, a); /* a > b, so that b stays where it is */
    compare_with_all(s, b);
    s->stats.joined++;
}

static uint32_t add_unit(struct wd_speakers *s, const float *vec, float weight)
{
    struct unit *u;

    if (s->n_units == s->opts.max_units)
        make_room(s);
    u = &s->units[s->n_units++];
    memcpy(u->vec, vec, sizeof u->vec);
    u->weight = weight < UNIT_WEIGHT_MAX ? weight : UNIT_WEIGHT_MAX;
    u->label = 0;
    u->cluster = 0;
    compare_with_all(s, s->n_units - 1);
    return s->n_units - 1;
}

/* Clusters. */

static bool founds(const struct wd_speakers *s, uint32_t cluster)
{
    return s->cluster_weight[cluster] >= s->opts.least_s;
}

static void group(struct wd_speakers *s)
{
    float w = s->stats.likeness;
    struct wd_cluster_rule rule = {w - BAND_HIGH, w - s->opts.margin, w - BAND_LOW, BAND_BONUS};
    uint32_t heaviest = 0;
    bool any = false;

    for (uint32_t i = 0; i < s->n_units; i++)
        s->weights[i] = s->units[i].weight;
    s->n_clusters = wd_cluster_run(s->cluster, s->alike, s->opts.max_units, s->weights, s->n_units,
                                   &rule, s->of);
    memset(s->centre, 0, s->n_clusters * sizeof *s->centre);
    memset(s->cluster_weight, 0, s->n_clusters * sizeof *s->cluster_weight);
    memset(s->cluster_label, 0, s->n_clusters * sizeof *s->cluster_label);
    for (uint32_t i = 0; i < s->n_units; i++) {
        struct unit *u = &s->units[i];

        u->cluster = s->of[i];
        s->cluster_weight[u->cluster] += u->weight;
        for (uint32_t k = 0; k < DIM; k++)
            s->centre[u->cluster][k] += u->weight * u->vec[k];
    }
    for (uint32_t c = 0; c < s->n_clusters; c++) {
        float length = sqrtf(dot(s->centre[c], s->centre[c]));

        for (uint32_t k = 0; k < DIM && length > 0.0f; k++)
            s->centre[c][k] /= length;
        any = any || founds(s, c);
        heaviest = s->cluster_weight[c] > s->cluster_weight[heaviest] ? c : heaviest;
    }
    if (!any && s->n_clusters) /* the first words of a recording belong to somebody, however short
                                  they are */
        s->cluster_weight[heaviest] = s->opts.least_s;
}

static void rename_all(struct wd_speakers *s, uint32_t from, uint32_t into)
{
    for (uint32_t i = 0; i < s->n_units; i++)
        if (s->units[i].label == from)
            s->units[i].label = into;
    for (uint32_t i = 0; i < s->log_n; i++) {
        struct logged *l = &s->log[(s->log_first + i) % LOG_CAP];

        if (l->turn.speaker == from)
            l->turn.speaker = into;
    }
    /* Not told yet: said at once with where it ended. */
    for (uint32_t i = 0; i < s->n_relabels; i++)
        if (s->relabels[i].into == from)
            s->relabels[i].into = into;
    if (s->n_relabels < s->opts.max_units)
        s->relabels[s->n_relabels++] = (struct wd_relabel){from, into};
    s->stats.relabels++;
}

/* The label most of whose weight lies in a cluster without one, heaviest first; false when there is
 * none. */
static bool next_label(struct wd_speakers *s, uint32_t *ret_label, uint32_t *ret_cluster)
{
    float most = 0.0f;

    /* One pass a unit that stands first for its label: labels in use are few, units bounded. */
    for (uint32_t i = 0; i < s->n_units; i++) {
        uint32_t label = s->units[i].label;
        bool first = label != 0;

        for (uint32_t j = 0; j < i && first; j++)
            first = s->units[j].label != label;
        for (uint32_t c = 0; c < s->n_clusters && first; c++)
            first = s->cluster_label[c] != label;
        if (!first)
            continue;
        memset(s->votes, 0, s->n_clusters * sizeof *s->votes);
        for (uint32_t j = i; j < s->n_units; j++)
            if (s->units[j].label == label)
                s->votes[s->units[j].cluster] += s->units[j].weight;
        for (uint32_t c = 0; c < s->n_clusters; c++)
            if (!s->cluster_label[c] && s->votes[c] > most) {
                most = s->votes[c];
                *ret_label = label;
                *ret_cluster = c;
            }
    }
    return most > 0.0f;
}

/* A label none of whose speech stands alone any more has become one with the one where most of it
 * is now. */
static void merge_labels(struct wd_speakers *s)
{
    for (uint32_t i = 0; i < s->n_units; i++) {
        uint32_t label = s->units[i].label, most = 0;
        float all = 0.0f;
        bool alone = label == 0;

        for (uint32_t c = 0; c < s->n_clusters && !alone; c++)
            alone = s->cluster_label[c] == label;
        if (alone)
            continue;
        memset(s->votes, 0, s->n_clusters * sizeof *s->votes);
        for (uint32_t j = 0; j < s->n_units; j++)
            if (s->units[j].label == label) {
                s->votes[s->units[j].cluster] += s->units[j].weight;
                all += s->units[j].weight;
            }
        for (uint32_t c = 1; c < s->n_clusters; c++)
            most = s->votes[c] > s->votes[most] ? c : most;
        if (2.0f * s->votes[most] > all && s->cluster_label[most])
            rename_all(s, label, s->cluster_label[most]);
    }
}

static void carry_labels(struct wd_speakers *s)
{
    uint32_t label, cluster;

    while (next_label(s, &label, &cluster))
        s->cluster_label[cluster] = label;
    merge_labels(s);
    for (uint32_t i = 0; i < s->n_units; i++)
        if (s->cluster_label[s->units[i].cluster])
            s->units[i].label = s->cluster_label[s->units[i].cluster];
}

/* Turns. */

static void log_turn(struct wd_speakers *s, const struct wd_turn *turn, uint32_t unit)
{
    if (s->log_n == LOG_CAP) {
        s->log_first = (s->log_first + 1) % LOG_CAP;
        s->log_n--;
    }
    s->log[(s->log_first + s->log_n++) % LOG_CAP] = (struct logged){*turn, unit};
    s->window_turns = s->window_turns < LOG_CAP ? s->window_turns + 1 : LOG_CAP;
}

static const struct logged *logged(const struct wd_speakers *s, uint32_t i)
{
    return &s->log[(s->log_first + i) % LOG_CAP];
}

static void take_turns(struct wd_speakers *s, const uint32_t *unit_of, uint32_t n_window_units,
                       const int64_t *hints_ns, uint32_t n_hints)
{
    const float(*centres)[DIM] = (const float(*)[DIM])s->centre;
    struct wd_speakers_window_turn found[WD_SPEAKERS_WINDOW_TURNS];
    uint32_t n_candidates = 0, n;

    for (uint32_t c = 0; c < s->n_clusters; c++)
        if (founds(s, c))
            s->candidates[n_candidates++] = c;
    n = wd_speakers_window_turns(s->window, centres, s->candidates, n_candidates,
                                 s->stats.likeness - s->opts.margin, s->opts.margin, hints_ns,
                                 n_hints, found);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t cluster = found[i].cluster, unit = NO_UNIT;
        int64_t most = 0;
        struct wd_turn turn = {found[i].t0_ns, found[i].t1_ns, 0, found[i].confidence};

        if (!s->cluster_label[cluster]) {
            s->cluster_label[cluster] = ++s->last_label;
            for (uint32_t j = 0; j < s->n_units; j++)
                if (s->units[j].cluster == cluster)
                    s->units[j].label = s->last_label;
        }
        turn.speaker = s->cluster_label[cluster];
        for (uint32_t k = 0; k < n_window_units; k++) {
            const struct wd_speakers_unit *u = wd_speakers_window_unit(s->window, k);
            int64_t a = u->t0_ns > turn.t0_ns ? u->t0_ns : turn.t0_ns,
                    b = u->t1_ns < turn.t1_ns ? u->t1_ns : turn.t1_ns;

            if (unit_of[k] != NO_UNIT && s->units[unit_of[k]].cluster == cluster && b - a > most) {
                most = b - a;
                unit = unit_of[k];
            }
        }
        log_turn(s, &turn, unit);
    }
}

static void count_speakers(struct wd_speakers *s)
{
    s->stats.speakers = 0;
    for (uint32_t c = 0; c < s->n_clusters; c++)
        s->stats.speakers += s->cluster_label[c] != 0;
    s->stats.units = s->n_units;
}

int wd_speakers_add(struct wd_speakers *s, int64_t t0_ns, const struct wd_speakers_plan *plan,
                    uint32_t n_frames, const float (*prints)[WD_VOICE_DIM], const int64_t *hints_ns,
                    uint32_t n_hints)
{
    uint32_t unit_of[WD_SPEAKERS_WINDOW_UNITS], n;
    int r;

    if (t0_ns < s->end_ns)
        return -ERANGE;
    r = wd_speakers_window_set(s->window, t0_ns, plan, n_frames, prints);
    if (r < 0)
        return r;
    s->end_ns = t0_ns + (int64_t)(n_frames < plan->n_frames ? n_frames : plan->n_frames) *
                            WD_ACTIVITY_FRAME_NS;
    s->window_turns = 0;
    count_neighbours(s);
    s->stats.likeness = likeness(s);
    n = wd_speakers_window_cut(s->window, s->stats.likeness, hints_ns, n_hints);
    for (uint32_t i = 0; i < n; i++) {
        const struct wd_speakers_unit *u = wd_speakers_window_unit(s->window, i);
        uint64_t gone = s->stats.joined + s->stats.forgotten;

        unit_of[i] = add_unit(s, u->vec, u->weight_s);
        /* Room was made: places moved. The window's own units have no label yet and only the
         * lightest can be forgotten. */
        for (uint32_t k = 0; k < i && gone != s->stats.joined + s->stats.forgotten; k++)
            unit_of[k] = NO_UNIT;
    }
    if (n) {
        group(s);
        carry_labels(s);
        take_turns(s, unit_of, n, hints_ns, n_hints);
    }
    count_speakers(s);
    return 0;
}

uint32_t wd_speakers_turns(const struct wd_speakers *s, struct wd_turn *ret, uint32_t cap)
{
    uint32_t n = s->window_turns < cap ? s->window_turns : cap;

    for (uint32_t i = 0; i < n; i++)
        ret[i] = logged(s, s->log_n - s->window_turns + i)->turn;
    return n;
}

uint32_t wd_speakers_at(const struct wd_speakers *s, int64_t t0_ns, int64_t t1_ns,
                        float *ret_confidence)
{
    struct wd_turn best = {0};
    int64_t most = INT64_MIN;

    /* Speech inside counts up, the distance to the nearest down; turns of one speaker inside are
     * added by asking for the most. */
    for (uint32_t i = s->log_n - s->window_turns; i < s->log_n; i++) {
        const struct wd_turn *t = &logged(s, i)->turn;
        int64_t inside = 0;

        for (uint32_t j = s->log_n - s->window_turns; j < s->log_n; j++) {
            const struct wd_turn *u = &logged(s, j)->turn;
            int64_t a = u->t0_ns > t0_ns ? u->t0_ns : t0_ns,
                    b = u->t1_ns < t1_ns ? u->t1_ns : t1_ns;

            if (u->speaker == t->speaker && b > a)
                inside += b - a;
        }
        if (!inside)
            inside = t->t0_ns >= t1_ns ? t1_ns - t->t0_ns - 1 : t->t1_ns - t0_ns - 1;
        if (inside > most) {
            most = inside;
            best = *t;
        }
    }
    if (ret_confidence)
        *ret_confidence = best.confidence;
    return best.speaker;
}

uint32_t wd_speakers_guess(const struct wd_speakers *s, const float *print, uint32_t before, float *ret_confidence)
{
    float unknown = s->stats.likeness - s->opts.margin, best = -1.0f, second = -1.0f;
    uint32_t label = 0;

    for (uint32_t c = 0; c < s->n_clusters; c++) {
        float near = s->cluster_label[c] ? dot(s->centre[c], print) : -1.0f;

        /* Who was named stays so until another is clearly nearer. */
        if (before && s->cluster_label[c] == before)
            near += s->opts.margin;
        if (near > best) {
            second = best;
            best = near;
            label = s->cluster_label[c];
        } else if (near > second) {
            second = near;
        }
    }
    if (best < unknown || best - second < s->opts.margin)
        return 0;
    *ret_confidence = 1.0f / (1.0f + expf((unknown - best) / WD_SPEAKERS_CONFIDENCE_SCALE) +
                              expf((second - best) / WD_SPEAKERS_CONFIDENCE_SCALE));
    return label;
}

bool wd_speakers_relabel(struct wd_speakers *s, struct wd_relabel *ret)
{
    if (!s->n_relabels)
        return false;
    *ret = s->relabels[0];
    memmove(s->relabels, s->relabels + 1, --s->n_relabels * sizeof *s->relabels);
    return true;
}

void wd_speakers_finish(struct wd_speakers *s)
{
    if (!s->n_units)
        return;
    group(s);
    carry_labels(s);
    for (uint32_t i = 0; i < s->n_units; i++) {
        uint32_t best = 0;

        if (s->cluster_label[s->units[i].cluster] && founds(s, s->units[i].cluster))
            continue;
        for (uint32_t c = 0; c < s->n_clusters; c++)
            if (s->cluster_label[c] && founds(s, c) &&
                (!s->cluster_label[best] || !founds(s, best) ||
                 dot(s->centre[c], s->units[i].vec) > dot(s->centre[best], s->units[i].vec)))
                best = c;
        if (s->cluster_label[best])
            s->units[i].label = s->cluster_label[best];
    }
    count_speakers(s);
}

uint32_t wd_speakers_all(const struct wd_speakers *s, struct wd_turn *ret, uint32_t cap)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->log_n; i++) {
        const struct logged *l = logged(s, i);
        struct wd_turn turn = l->turn;

        if (l->unit != NO_UNIT && s->units[l->unit].label)
            turn.speaker = s->units[l->unit].label;
        /* What was two turns, of two windows or of two speakers, may be one now. */
        if (n && ret[n - 1].speaker == turn.speaker &&
            turn.t0_ns - ret[n - 1].t1_ns <= WD_SPEAKERS_BRIDGE_NS) {
            double before = (double)(ret[n - 1].t1_ns - ret[n - 1].t0_ns),
                   now = (double)(turn.t1_ns - turn.t0_ns);

            ret[n - 1].confidence =
                (float)((before * (double)ret[n - 1].confidence + now * (double)turn.confidence) /
                        (before + now));
            ret[n - 1].t1_ns = turn.t1_ns;
        } else if (n < cap) {
            ret[n++] = turn;
        } else {
            break;
        }
    }
    return n;
}

struct wd_speakers_stats wd_speakers_stats(const struct wd_speakers *s)
{
    return s->stats;
}
