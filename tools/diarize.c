/* tools/diarize.c - who spoke when, without the decoder: raw f32 samples (16 kHz, mono) from stdin
 * -> RTTM on stdout. For measuring.
 *
 *     ffmpeg -v error -i meeting.flac -f f32le -ac 1 -ar 16000 - | diarize MODELS [--name meeting]
 * [--online] [--times]
 *
 * MODELS: the folder with the two voice networks. Windows open and close as the daemon's do.
 * --online: each turn as it was first published, relabels applied; otherwise as seen at the end.
 * --times: what the prints and the speakers cost, on stderr. */
#include "model/voice.h"
#include "pipeline/activity.h"
#include "pipeline/speakers.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FRAME WD_ACTIVITY_SAMPLES
#define MAX_FRAMES 375   /* 15 s */
#define CUT_FRAMES 75    /* a window that is full is cut at the quietest place in its last 3 s */
#define PREROLL_FRAMES 5 /* 200 ms */
#define MAX_TURNS 4096

struct diarize {
    struct wd_voice *voice;
    struct wd_voice_scratch *scratch;
    struct wd_activity *activity;
    struct wd_speakers *speakers;
    float pcm[MAX_FRAMES][FRAME], p[MAX_FRAMES];
    int64_t first; /* frame of the recording that is pcm[0] */
    uint32_t n;
    struct wd_speakers_plan plan;
    float prints[WD_SPEAKERS_MAX_PIECES][WD_VOICE_DIM];
    struct wd_turn turns[MAX_TURNS]; /* as first published */
    uint32_t n_turns;
    double print_s, speakers_s, worst_s;
    uint64_t n_prints, n_windows;
};

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int finish_window(struct diarize *d, uint32_t n_frames)
{
    double start = seconds(), printed;
    struct wd_relabel l;
    int r;

    wd_speakers_plan(d->p, d->n, &d->plan);
    for (uint32_t i = 0; i < d->plan.n_pieces; i++) {
        r = wd_voice_print(d->voice, d->scratch, d->pcm[0] + d->plan.pieces[i].start,
                           d->plan.pieces[i].n, d->prints[i]);
        if (r < 0)
            memset(d->prints[i], 0, sizeof d->prints[i]);
    }
    printed = seconds();
    d->print_s += printed - start;
    d->n_prints += d->plan.n_pieces;
    r = wd_speakers_add(d->speakers, d->first * WD_ACTIVITY_FRAME_NS, &d->plan, n_frames,
                        (const float(*)[WD_VOICE_DIM])d->prints, NULL, 0);
    if (r < 0)
        return r;
    while (wd_speakers_relabel(d->speakers, &l))
        for (uint32_t i = 0; i < d->n_turns; i++)
            if (d->turns[i].speaker == l.from)
                d->turns[i].speaker = l.into;
    d->n_turns += wd_speakers_turns(d->speakers, d->turns + d->n_turns, MAX_TURNS - d->n_turns);
    printed = seconds() - printed;
    d->speakers_s += printed;
    d->worst_s = printed > d->worst_s ? printed : d->worst_s;
    d->n_windows++;
    return 0;
}

/* The window ends before frame `at`; what follows, if anything, begins the next. */
static int cut(struct diarize *d, uint32_t at)
{
    int r = finish_window(d, at);

    memmove(d->pcm, d->pcm + at, (d->n - at) * sizeof *d->pcm);
    memmove(d->p, d->p + at, (d->n - at) * sizeof *d->p);
    d->first += at;
    d->n -= at;
    return r;
}

static uint32_t quietest(const struct diarize *d)
{
    uint32_t best = d->n - 1;

    for (uint32_t i = d->n - CUT_FRAMES; i < d->n; i++)
        best = d->p[i] < d->p[best] ? i : best;
    return best;
}

static int push(struct diarize *d, const float *pcm)
{
    float p;
    enum wd_activity_state state = wd_activity_push(d->activity, pcm, &p);
    bool open = d->n > PREROLL_FRAMES || state == WD_ACTIVITY_SPEECH;
    int r = 0;

    memcpy(d->pcm[d->n], pcm, sizeof d->pcm[0]);
    d->p[d->n++] = p;
    if (!open &&
        d->n > PREROLL_FRAMES) { /* silence: only what an onset may reach back to is kept */
        memmove(d->pcm, d->pcm + 1, PREROLL_FRAMES * sizeof *d->pcm);
        memmove(d->p, d->p + 1, PREROLL_FRAMES * sizeof *d->p);
        d->first++;
        d->n = PREROLL_FRAMES;
    } else if (open && state == WD_ACTIVITY_SILENCE) {
        r = cut(d, d->n);
    } else if (d->n == MAX_FRAMES) {
        r = cut(d, quietest(d));
    }
    return r;
}

static void print_turns(const struct wd_turn *turns, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++) {
        char label[16];

        wd_speakers_label(turns[i].speaker, label);
        printf("SPEAKER %s 1 %.3f %.3f <NA> <NA> %s %.2f <NA>\n", name,
               (double)turns[i].t0_ns * 1e-9, (double)(turns[i].t1_ns - turns[i].t0_ns) * 1e-9,
               label, (double)turns[i].confidence);
    }
}

static int run(struct diarize *d, const char *models, const char *name, bool online, bool times)
{
    struct wd_err err = {0};
    struct wd_activity_opts activity = {0};
    char print_path[4096], gate_path[4096];
    float pcm[FRAME];
    size_t got;
    int r;

    if ((size_t)snprintf(print_path, sizeof print_path, "%s/voice-print.safetensors", models) >=
            sizeof print_path ||
        (size_t)snprintf(gate_path, sizeof gate_path, "%s/speech-activity.safetensors", models) >=
            sizeof gate_path) {
        fprintf(stderr, "diarize: %s: the path is too long\n", models);
        return 1;
    }
    if ((r = wd_voice_open(print_path, gate_path, &d->voice, &err)) < 0 ||
        (r = wd_voice_scratch_new(d->voice, &d->scratch, &err)) < 0 ||
        (r = wd_activity_new(d->voice, &activity, &d->activity, &err)) < 0 ||
        (r = wd_speakers_new(NULL, &d->speakers, &err)) < 0) {
        fprintf(stderr, "diarize: %s\n", err.text);
        return 1;
    }
    while (r >= 0 && (got = fread(pcm, sizeof *pcm, FRAME, stdin)) > 0) {
        memset(pcm + got, 0, (FRAME - got) * sizeof *pcm);
        r = push(d, pcm);
    }
    if (r >= 0 && d->n)
        r = cut(d, d->n);
    if (r < 0 || ferror(stdin)) {
        fprintf(stderr, "diarize: %s\n", ferror(stdin) ? "stdin cannot be read" : strerror(-r));
        return 1;
    }
    if (!online) {
        wd_speakers_finish(d->speakers);
        d->n_turns = wd_speakers_all(d->speakers, d->turns, MAX_TURNS);
    }
    print_turns(d->turns, d->n_turns, name);
    if (times)
        fprintf(stderr,
                "diarize: %.2f ms a print (%llu), %.3f ms a window for the speakers, at most %.3f "
                "(%llu); likeness %.3f, %u speakers\n",
                d->print_s * 1e3 / (double)(d->n_prints ? d->n_prints : 1),
                (unsigned long long)d->n_prints,
                d->speakers_s * 1e3 / (double)(d->n_windows ? d->n_windows : 1), d->worst_s * 1e3,
                (unsigned long long)d->n_windows, (double)wd_speakers_stats(d->speakers).likeness,
                wd_speakers_stats(d->speakers).speakers);
    return 0;
}

int main(int argc, char **argv)
{
    struct diarize *d;
    const char *models = NULL, *name = "stdin";
    bool online = false, times = false;
    int r;

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--name") && i + 1 < argc)
            name = argv[++i];
        else if (!strcmp(argv[i], "--online"))
            online = true;
        else if (!strcmp(argv[i], "--times"))
            times = true;
        else
            models = argv[i];
    }
    if (!models || *models == '-') {
        fputs("usage: diarize MODELS [--name NAME] [--online] [--times] < samples.f32\n", stderr);
        return 2;
    }
    d = calloc(1, sizeof *d);
    if (!d) {
        fputs("diarize: out of memory\n", stderr);
        return 1;
    }
    r = run(d, models, name, online, times);
    wd_speakers_free(d->speakers);
    wd_activity_free(d->activity);
    wd_voice_scratch_free(d->scratch);
    wd_voice_free(d->voice);
    free(d);
    return r;
}
