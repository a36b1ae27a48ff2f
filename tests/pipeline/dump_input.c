/* tests/pipeline/dump_input.c - plays one source through the input and prints what came out, for media_matrix_test.sh.
 * dump_input TYPE BUDGET setting=value...: lines of "word=number"; exit status 0, or 1 when the source ended with an error. */
#include "pipeline/input.h"
#include "pipeline/sources.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SKIP 2400   /* samples at both ends that are not measured: codecs fade in and out, and pad */
#define MAX_PCM (16000 * 120)

struct dump {
    struct wd_input *in;
    float *pcm; /* what was heard, gaps left out */
    size_t n;
    int64_t first_ns, last_ns, overlap_ns;
    unsigned frames, pictures, gaps;
    int64_t gap_ns;
    char reason[256];
    int error;
    bool over;
};

static void on_state(void *ctx, enum wd_source_state state, const char *reason)
{
    struct dump *d = ctx;

    printf("state=%s %s\n", wd_source_state_name(state), reason);
    if (state == WD_SOURCE_ENDED)
        snprintf(d->reason, sizeof d->reason, "%s", reason);
}

static void on_gap(void *ctx, int64_t from_ns, int64_t to_ns, const char *reason)
{
    struct dump *d = ctx;

    d->gaps++;
    d->gap_ns += to_ns - from_ns;
    printf("gap=%.3f-%.3f %s\n", (double)from_ns / 1e9, (double)to_ns / 1e9, reason);
}

/* Where the picture's upper left quarter is brightest tells which way up it is. */
static void print_picture(const struct wd_picture *p)
{
    double sum[3] = {0};
    size_t n = 0;

    for (uint32_t y = 0; y < p->h / 2; y++) {
        for (uint32_t x = 0; x < p->w / 2; x++, n++) {
            for (int c = 0; c < 3; c++)
                sum[c] += p->rgb[((size_t)y * p->w + x) * 3 + (size_t)c];
        }
    }
    printf("picture=%.3f %ux%u %.0f,%.0f,%.0f\n", (double)p->t_ns / 1e9, p->w, p->h, sum[0] / (double)n, sum[1] / (double)n,
           sum[2] / (double)n);
}

static void on_ready(void *ctx)
{
    struct dump *d = ctx;
    float pcm[WD_FRAME_SAMPLES];
    struct wd_picture *p;
    int64_t t_ns;
    int r;

    while ((r = wd_input_audio(d->in, pcm, &t_ns)) > 0) {
        if (!d->frames)
            d->first_ns = t_ns;
        else if (t_ns < d->last_ns + WD_FRAME_NS)
            d->overlap_ns = d->last_ns + WD_FRAME_NS - t_ns;
        d->last_ns = t_ns;
        d->frames++;
        for (int i = 0; i < WD_FRAME_SAMPLES && d->n < MAX_PCM; i++)
            d->pcm[d->n++] = pcm[i];
        while ((p = wd_input_picture(d->in))) {
            d->pictures++;
            print_picture(p);
            wd_picture_unref(p);
        }
    }
    while ((p = wd_input_picture(d->in))) {
        d->pictures++;
        print_picture(p);
        wd_picture_unref(p);
    }
    if (wd_input_ended(d->in) && !d->over) {
        d->over = true;
        d->error = wd_input_error(d->in);
        printf("duration_s=%.3f\nhas_audio=%d\nhas_video=%d\n", wd_input_duration_s(d->in), wd_input_has_audio(d->in),
               wd_input_has_video(d->in));
        wd_input_close(d->in, NULL);
    }
}

/* Rising zero crossings, placed between samples. */
static double tone_hz(const float *pcm, size_t n)
{
    double first = -1, last = -1;
    size_t crossings = 0;

    for (size_t i = 1; i < n; i++) {
        if (pcm[i - 1] < 0 && pcm[i] >= 0) {
            last = (double)i - (double)pcm[i] / ((double)pcm[i] - (double)pcm[i - 1]);
            if (first < 0)
                first = last;
            else
                crossings++;
        }
    }
    return crossings ? 16000 * (double)crossings / (last - first) : 0;
}

static void print_sound(const struct dump *d)
{
    double sum = 0, peak = 0;
    size_t peak_at = 0;

    for (size_t i = 0; i < d->n; i++) {
        if (fabs((double)d->pcm[i]) > peak) {
            peak = fabs((double)d->pcm[i]);
            peak_at = i;
        }
    }
    for (size_t i = SKIP; i + SKIP < d->n; i++)
        sum += (double)d->pcm[i] * (double)d->pcm[i];
    printf("frames=%u\nfirst_s=%.6f\nend_s=%.3f\noverlap_ns=%lld\n", d->frames, (double)d->first_ns / 1e9,
           d->frames ? (double)(d->last_ns + WD_FRAME_NS) / 1e9 : 0, (long long)d->overlap_ns);
    printf("rms=%.4f\npeak=%.4f\npeak_at=%zu\n", d->n > 2 * SKIP ? sqrt(sum / (double)(d->n - 2 * SKIP)) : 0, peak, peak_at);
    printf("tone_hz=%.1f\n", d->n > 2 * SKIP ? tone_hz(d->pcm + SKIP, d->n - 2 * SKIP) : 0);
}

int main(int argc, char **argv)
{
    const struct wd_input_callbacks cb = {.ready = on_ready, .state = on_state, .gap = on_gap};
    struct wd_input_opts opts = {.name = "dump", .picture_interval_ns = INT64_C(1000000000)};
    struct dump d = {0};
    struct wd_err err = {0};
    void *source_opts;
    uv_loop_t loop;
    int r = 0;

    if (argc < 3 || !(opts.type = wd_source_type_find(argv[1])))
        return fprintf(stderr, "usage: dump_input TYPE BUDGET setting=value...\n"), 2;
    opts.picture_budget = (uint32_t)atoi(argv[2]);
    source_opts = calloc(1, opts.type->size);
    d.pcm = malloc(MAX_PCM * sizeof *d.pcm);
    if (!source_opts || !d.pcm)
        return 2;
    r = wd_opt_defaults(opts.type->opts, source_opts, &err);
    for (int i = 3; i < argc && r >= 0; i++) {
        char *value = strchr(argv[i], '=');
        const struct wd_opt *row;

        if (!value)
            return 2;
        *value++ = '\0';
        if (!strcmp(argv[i], "picture_interval_ms")) {
            opts.picture_interval_ns = atoll(value) * 1000000;
            continue;
        }
        row = wd_opt_find(opts.type->opts, argv[i]);
        r = row ? wd_opt_set(row, source_opts, value, &err) : wd_err_set(&err, -EINVAL, "no setting %s", argv[i]);
    }
    opts.source_opts = source_opts;
    uv_loop_init(&loop);
    if (r >= 0)
        r = wd_input_open(&loop, &opts, &cb, &d, &d.in, &err);
    if (r < 0)
        printf("error=%d %s\n", r, err.text);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    wd_opt_done(opts.type->opts, source_opts);
    free(source_opts);
    if (r >= 0) {
        print_sound(&d);
        printf("pictures=%u\ngaps=%u\ngap_s=%.3f\nerror=%d %s\n", d.pictures, d.gaps, (double)d.gap_ns / 1e9, d.error, d.reason);
    }
    free(d.pcm);
    return r < 0 || d.error < 0;
}
