/* pipeline/voices.c - whose voice: which pieces of a window's sound are printed, and who said which words. */
#include "pipeline/voices.h"

#include "pipeline/speakers.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TURNS 64
/* A turn goes on over a pause of this length, also from part to part. */
#define TURN_PAUSE_NS INT64_C(800000000)
/* A single word shorter than this does not make a turn of its own inside a line. */
#define SHORT_WORD_NS INT64_C(400000000)

struct wd_voices {
    struct wd_publish *publish;
    struct wd_speakers *speakers;
    struct wd_speakers_plan plan;
    /* Prints of the window at hand, by their place in it: pieces of a stretch that goes on keep theirs from tick to tick. */
    struct wd_speakers_piece keys[WD_SPEAKERS_MAX_PIECES * 2];
    float prints[WD_SPEAKERS_MAX_PIECES * 2][WD_VOICE_DIM];
    uint32_t n_prints;
    float ordered[WD_SPEAKERS_MAX_PIECES][WD_VOICE_DIM];
    uint32_t n_known; /* speakers that were announced */
    int64_t end_ns;      /* of what was decided */
    struct wd_turn held; /* the last turn, which may go on in the next part; speaker 0: none */
};

int wd_voices_new(struct wd_publish *publish, struct wd_voices **ret, struct wd_err *err)
{
    struct wd_voices *v = calloc(1, sizeof *v);
    int r;

    if (!v)
        return wd_err_set(err, -ENOMEM, "voices: out of memory");
    v->publish = publish;
    r = wd_speakers_new(NULL, &v->speakers, err);
    if (r < 0) {
        free(v);
        return r;
    }
    *ret = v;
    return 0;
}

struct wd_voices *wd_voices_free(struct wd_voices *v)
{
    if (!v)
        return NULL;
    wd_speakers_free(v->speakers);
    free(v);
    return NULL;
}

static int find(const struct wd_voices *v, const struct wd_speakers_piece *p)
{
    for (uint32_t i = 0; i < v->n_prints; i++)
        if (v->keys[i].start == p->start && v->keys[i].n == p->n)
            return (int)i;
    return -1;
}

/* The print that shares most sound with a piece; -1: none does. */
static int nearest(const struct wd_voices *v, const struct wd_speakers_piece *p)
{
    uint32_t best = 0;
    int found = -1;

    for (uint32_t i = 0; i < v->n_prints; i++) {
        const struct wd_speakers_piece *k = &v->keys[i];
        uint32_t from = k->start > p->start ? k->start : p->start;
        uint32_t to = k->start + k->n < p->start + p->n ? k->start + k->n : p->start + p->n;

        if (to > from && to - from > best) {
            best = to - from;
            found = (int)i;
        }
    }
    return found;
}

/* What frames [from, to) need; its starts are samples from `from` on. */
static void plan(struct wd_voices *v, const struct wd_window *w, uint32_t from, uint32_t to)
{
    float p[WD_SPEAKERS_MAX_FRAMES];
    uint32_t n = to > from ? to - from : 0;

    if (n > WD_SPEAKERS_MAX_FRAMES)
        n = WD_SPEAKERS_MAX_FRAMES;
    for (uint32_t i = 0; i < n; i++)
        p[i] = wd_window_p(w, from + i);
    wd_speakers_plan(p, n, &v->plan);
}

/* A piece's place in the window. */
static struct wd_speakers_piece placed(const struct wd_speakers_piece *p, uint32_t from)
{
    return (struct wd_speakers_piece){.start = from * WD_WINDOW_SAMPLES + p->start, .n = p->n};
}

/* n samples of the window from `start`; what lies outside is silence. */
static void copy_samples(const struct wd_window *w, uint32_t start, uint32_t n, float *out)
{
    uint32_t have = wd_window_frames(w) * WD_WINDOW_SAMPLES;

    for (uint32_t at = 0, now; at < n; at += now) {
        uint32_t from = start + at, in = from % WD_WINDOW_SAMPLES;

        now = WD_WINDOW_SAMPLES - in < n - at ? WD_WINDOW_SAMPLES - in : n - at;
        if (from < have)
            memcpy(out + at, wd_window_pcm(w, from / WD_WINDOW_SAMPLES) + in, now * sizeof *out);
        else
            memset(out + at, 0, now * sizeof *out);
    }
}

void wd_voices_fill(struct wd_voices *v, const struct wd_window *w, uint32_t from, uint32_t to, struct wd_job *job)
{
    plan(v, w, from, to);
    for (uint32_t i = 0; i < v->plan.n_pieces && job->n_pieces < WD_JOB_MAX_PIECES; i++) {
        struct wd_speakers_piece p = placed(&v->plan.pieces[i], from);
        struct wd_piece *to_print = &job->pieces[job->n_pieces];

        if (find(v, &p) >= 0)
            continue;
        to_print->start = p.start;
        to_print->n_samples = p.n;
        copy_samples(w, p.start, p.n, to_print->pcm);
        job->n_pieces++;
    }
}

bool wd_voices_ready(struct wd_voices *v, const struct wd_window *w, uint32_t from, uint32_t to)
{
    plan(v, w, from, to);
    for (uint32_t i = 0; i < v->plan.n_pieces; i++) {
        struct wd_speakers_piece p = placed(&v->plan.pieces[i], from);

        if (find(v, &p) < 0)
            return false;
    }
    return true;
}

void wd_voices_take(struct wd_voices *v, const struct wd_job *job)
{
    for (uint32_t i = 0; i < job->n_pieces; i++) {
        struct wd_speakers_piece key = {.start = job->pieces[i].start, .n = job->pieces[i].n_samples};

        /* Pieces that ended a stretch which then went on are of no use any more: the oldest make room. */
        if (v->n_prints == WD_SPEAKERS_MAX_PIECES * 2) {
            uint32_t half = WD_SPEAKERS_MAX_PIECES;

            memmove(v->keys, v->keys + half, half * sizeof *v->keys);
            memmove(v->prints, v->prints + half, half * sizeof *v->prints);
            v->n_prints = half;
        }
        v->keys[v->n_prints] = key;
        memcpy(v->prints[v->n_prints++], job->pieces[i].print, sizeof v->prints[0]);
    }
}

static struct wd_event *speaker_event(struct wd_voices *v, enum wd_event_kind kind, int64_t t0, int64_t t1, uint32_t speaker)
{
    struct wd_event *e = wd_publish_event(v->publish, kind, t0, t1);
    char label[16];

    if (!e)
        return NULL;
    wd_speakers_label(speaker, label);
    e->speaker.id = wd_event_text(e, label, strlen(label));
    return e;
}

static void publish_relabels(struct wd_voices *v, int64_t t)
{
    struct wd_relabel l;
    char label[16];

    while (wd_speakers_relabel(v->speakers, &l)) {
        struct wd_event *e = speaker_event(v, WD_EVENT_SPEAKER, t, t, l.from);

        if (!e)
            continue;
        wd_speakers_label(l.into, label);
        e->change = wd_event_text(e, "merged", 6);
        e->into = wd_event_text(e, label, strlen(label));
        wd_publish_send(v->publish, e);
    }
}

static void publish_held(struct wd_voices *v)
{
    struct wd_event *e;

    if (v->held.speaker == 0)
        return;
    e = speaker_event(v, WD_EVENT_TURN, v->held.t0_ns, v->held.t1_ns, v->held.speaker);
    if (e)
        e->speaker.confidence = v->held.confidence;
    wd_publish_send(v->publish, e);
    v->held.speaker = 0;
}

static void publish_turns(struct wd_voices *v)
{
    struct wd_turn turns[MAX_TURNS];
    uint32_t n = wd_speakers_turns(v->speakers, turns, MAX_TURNS);

    for (uint32_t i = 0; i < n; i++) {
        if (v->held.speaker == turns[i].speaker && turns[i].t0_ns - v->held.t1_ns <= TURN_PAUSE_NS) {
            v->held.t1_ns = turns[i].t1_ns;
            if (v->held.confidence > turns[i].confidence)
                v->held.confidence = turns[i].confidence;
            continue;
        }
        publish_held(v);
        v->held = turns[i];
        /* Speakers are numbered in the order in which they are heard. */
        for (; v->n_known < turns[i].speaker; v->n_known++) {
            struct wd_event *e = speaker_event(v, WD_EVENT_SPEAKER, turns[i].t0_ns, turns[i].t0_ns, v->n_known + 1);

            if (e)
                e->change = wd_event_text(e, "new", 3);
            wd_publish_send(v->publish, e);
        }
    }
}

void wd_voices_part(struct wd_voices *v, const struct wd_window *w, uint32_t from, uint32_t to, const struct wd_parsed *parsed,
                    const struct wd_align_time *times)
{
    int64_t hints[WD_PARSE_MAX_UTTERANCES], t0 = wd_window_t0_ns(w) + from * WD_WINDOW_FRAME_NS, t1 = wd_window_t0_ns(w) + to * WD_WINDOW_FRAME_NS;
    uint32_t n_hints = 0;

    if (to <= from)
        return;
    plan(v, w, from, to);
    for (uint32_t i = 0; i < v->plan.n_pieces; i++) {
        struct wd_speakers_piece p = placed(&v->plan.pieces[i], from);
        int k = find(v, &p);

        /* Only after a cut, which moves the end of the last stretch: the print of the nearest place. */
        if (k < 0)
            k = nearest(v, &p);
        if (k < 0)
            memset(v->ordered[i], 0, sizeof v->ordered[i]);
        else
            memcpy(v->ordered[i], v->prints[k], sizeof v->ordered[i]);
    }
    for (uint32_t i = 0; parsed && i < parsed->n_utterances; i++) {
        int64_t begins = parsed->utterances[i].n_words ? times[parsed->utterances[i].first_word].t0_ns : t0;

        if (begins > t0 && begins < t1)
            hints[n_hints++] = begins;
    }
    if (wd_speakers_add(v->speakers, t0, &v->plan, to - from, (const float(*)[WD_VOICE_DIM])v->ordered, hints, n_hints) < 0)
        return;
    v->end_ns = t1;
    publish_relabels(v, t0);
    publish_turns(v);
}

void wd_voices_forget(struct wd_voices *v, bool pause)
{
    v->n_prints = 0;
    if (pause)
        publish_held(v);
}

void wd_voices_words(const struct wd_voices *v, const struct wd_parsed *parsed, const struct wd_align_time *times, uint32_t first, uint32_t end,
                     uint32_t *ret)
{
    for (uint32_t i = first; i < end; i++)
        ret[i - first] = wd_speakers_at(v->speakers, times[i].t0_ns, times[i].t1_ns, NULL);
    for (uint32_t i = first; i < end; i++) {
        uint16_t line = parsed->words[i].utterance;
        bool begins = i == first || parsed->words[i - 1].utterance != line, ends = i + 1 == end || parsed->words[i + 1].utterance != line;
        uint32_t *who = &ret[i - first];

        if (times[i].t1_ns - times[i].t0_ns >= SHORT_WORD_NS)
            continue;
        if (!begins && who[-1] != who[0] && (ends || who[1] != who[0]))
            who[0] = who[-1];
        else if (begins && !ends && who[1] != who[0])
            who[0] = who[1];
    }
}

void wd_voices_name(const struct wd_voices *v, uint32_t speaker, struct wd_event *e)
{
    char label[16];

    if (speaker == 0)
        return;
    wd_speakers_label(speaker, label);
    e->speaker.id = wd_event_text(e, label, strlen(label));
    wd_speakers_at(v->speakers, e->t0_ns, e->t1_ns, &e->speaker.confidence);
}

uint32_t wd_voices_guess(const struct wd_voices *v, const struct wd_window *w, int64_t t0_ns, int64_t t1_ns, uint32_t before,
                         float *ret_confidence)
{
    float mean[WD_VOICE_DIM] = {0}, length = 0.0f;

    for (uint32_t i = 0; i < v->n_prints; i++) {
        int64_t middle = wd_window_t0_ns(w) + (int64_t)(v->keys[i].start + v->keys[i].n / 2) * WD_WINDOW_FRAME_NS / WD_WINDOW_SAMPLES;

        for (uint32_t k = 0; k < WD_VOICE_DIM && middle >= t0_ns && middle < t1_ns; k++)
            mean[k] += v->prints[i][k];
    }
    for (uint32_t k = 0; k < WD_VOICE_DIM; k++)
        length += mean[k] * mean[k];
    if (length <= 0.0f)
        return 0;
    for (uint32_t k = 0; k < WD_VOICE_DIM; k++)
        mean[k] /= sqrtf(length);
    return wd_speakers_guess(v->speakers, mean, before, ret_confidence);
}

void wd_voices_suppose(uint32_t speaker, float confidence, struct wd_event *e)
{
    char label[16];

    if (speaker == 0)
        return;
    wd_speakers_label(speaker, label);
    e->speaker.id = wd_event_text(e, label, strlen(label));
    e->speaker.confidence = confidence;
}

void wd_voices_end(struct wd_voices *v)
{
    publish_held(v);
    wd_speakers_finish(v->speakers);
    publish_relabels(v, v->end_ns);
}

uint32_t wd_voices_count(const struct wd_voices *v)
{
    return wd_speakers_stats(v->speakers).speakers;
}
