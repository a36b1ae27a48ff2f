/* cli/bench.c - `witness bench`: what a pass over the weights costs, beside what this machine can read from memory in the same run. */
#include "base/paths.h"
#include "cli/cli.h"
#include "model/decoder.h"
#include "model/drafter.h"
#include "model/engine.h"
#include "model/threads.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define MAX_CASES 16
#define MAX_REPEATS 1000
#define READ_BYTES (512u << 20) /* larger than any cache */

struct args {
    const char *model, *mmproj, *drafter, *kernels;
    unsigned rows[MAX_CASES], n_rows;
    long threads, context, repeats;
    bool json, exact;
};

static int usage(FILE *to)
{
    fprintf(to, "usage: witness bench [MODEL] [--rows 1,12,25] [--context N] [--repeat N] [--threads N] [--kernels NAME] [--json]\n\n"
                "  MODEL          a shipped name (default nano) or a model file\n"
                "  --rows LIST    rows of a pass: 1 is a decoded token (with its logits), more are a prefill\n"
                "  --context N    positions in the cache before the pass (default 256)\n"
                "  --repeat N     passes timed for each case (default 9); medians are shown\n"
                "  --threads N    of the engine; 0: the processor's cores\n"
                "  --kernels K    a kernel table instead of the best\n"
                "  --drafter PATH also time its guesses, one after the other\n"
                "  --exact        unpack quantised weights to f32 instead of rounding activations to 16 bits\n");
    return to == stdout ? EX_OK : EX_USAGE;
}

static bool numbers(const char *text, unsigned *ret, unsigned *ret_n)
{
    *ret_n = 0;
    while (*text) {
        char *end;
        unsigned long v = strtoul(text, &end, 10);

        if (end == text || v == 0 || v > 1024 || *ret_n == MAX_CASES || (*end && *end != ','))
            return false;
        ret[(*ret_n)++] = (unsigned)v;
        text = *end ? end + 1 : end;
    }
    return *ret_n > 0;
}

/* < 0: go on; otherwise exit with it. */
static int parse(int argc, char **argv, struct args *a)
{
    static const struct option options[] = {
        {"rows", required_argument, NULL, 'r'},    {"context", required_argument, NULL, 'c'}, {"repeat", required_argument, NULL, 'n'},
        {"threads", required_argument, NULL, 't'}, {"kernels", required_argument, NULL, 'k'}, {"mmproj", required_argument, NULL, 'm'},
        {"exact", no_argument, NULL, 'x'},         {"json", no_argument, NULL, 'j'},          {"help", no_argument, NULL, 'h'},
        {"drafter", required_argument, NULL, 'd'},
        {NULL, 0, NULL, 0},
    };
    bool good = true;
    int c;

    *a = (struct args){.model = "nano", .rows = {1, 12, 25}, .n_rows = 3, .context = 256, .repeats = 9};
    optind = 1;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1 && good) {
        switch (c) {
        case 'r':
            good = numbers(optarg, a->rows, &a->n_rows);
            break;
        case 'c':
            good = wd_cli_number(optarg, 0, 100000, &a->context);
            break;
        case 'n':
            good = wd_cli_number(optarg, 1, MAX_REPEATS, &a->repeats);
            break;
        case 't':
            good = wd_cli_number(optarg, 0, 256, &a->threads);
            break;
        case 'k':
            a->kernels = optarg;
            break;
        case 'm':
            a->mmproj = optarg;
            break;
        case 'd':
            a->drafter = optarg;
            break;
        case 'x':
            a->exact = true;
            break;
        case 'j':
            a->json = true;
            break;
        case 'h':
            return usage(stdout);
        default:
            return usage(stderr);
        }
        if (!good)
            fprintf(stderr, "witness: a number is out of bounds: '%s'\n\n", optarg);
    }
    if (!good || argc - optind > 1)
        return usage(stderr);
    if (optind < argc)
        a->model = argv[optind];
    return -1;
}

static double now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double *x, long n)
{
    qsort(x, (size_t)n, sizeof *x, by_size);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

struct reading {
    const uint64_t *at;
    size_t n;
    uint64_t sums[256];
};

static void read_share(void *ctx, unsigned member, unsigned count)
{
    struct reading *r = ctx;
    size_t from = r->n * member / count / 8 * 8, to = r->n * (member + 1) / count / 8 * 8;
    uint64_t s[8] = {0};

    for (size_t i = from; i < to; i += 8)
        for (size_t k = 0; k < 8; k++)
            s[k] += r->at[i + k];
    for (size_t k = 0; k < 8; k++)
        r->sums[member % 256] += s[k];
}

/* Bytes a second that as many threads read from memory: the limit of a pass of one row. */
static double read_rate(unsigned n_threads, long repeats, struct wd_err *err)
{
    struct wd_threads *t = NULL;
    struct reading r = {.n = READ_BYTES / sizeof(uint64_t)};
    uint64_t *space = malloc(READ_BYTES);
    double times[MAX_REPEATS], rate = 0;

    if (space && wd_threads_new(n_threads, &t, err) == 0) {
        memset(space, 1, READ_BYTES);
        r.at = space;
        for (long i = 0; i < repeats; i++) {
            double begun = now_s();

            wd_threads_run(t, read_share, &r);
            times[i] = now_s() - begun;
        }
        rate = (double)READ_BYTES / median(times, repeats);
    }
    wd_threads_free(t);
    free(space);
    return rate;
}

static size_t resident_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long all, resident = 0;

    if (f) {
        if (fscanf(f, "%lu %lu", &all, &resident) != 2)
            resident = 0;
        fclose(f);
    }
    return (size_t)resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* Ordinary tokens, the same in every run. */
static void fill_ids(const struct wd_shape *s, int32_t *ids, size_t n)
{
    uint32_t z = 12345;

    for (size_t i = 0; i < n; i++) {
        do {
            z = z * 1664525u + 1013904223u;
            ids[i] = (int32_t)((z >> 8) % s->n_vocab);
        } while (ids[i] == s->image || ids[i] == s->audio || ids[i] == s->video);
    }
}

static int time_case(const struct args *a, struct wd_engine *e, struct wd_decoder *d, const int32_t *ids, unsigned rows, float *logits,
                     double *ret_s, struct wd_err *err)
{
    struct wd_span span = {.kind = WD_SPAN_TOKENS, .n = rows, .ids = ids};
    struct wd_pass_part part = {.decoder = d, .spans = &span, .n_spans = 1, .n_logits = rows == 1, .ret_logits = logits};
    uint32_t at = wd_decoder_position(d);
    double times[MAX_REPEATS];
    int r = 0;

    /* The first is not counted: pages and caches. */
    for (long i = -1; i < a->repeats && r == 0; i++) {
        double begun = now_s();

        r = wd_decoder_pass(e, &part, 1, err);
        if (i >= 0)
            times[i] = now_s() - begun;
        if (r == 0)
            r = wd_decoder_rewind(d, at, err);
    }
    if (r == 0)
        *ret_s = median(times, a->repeats);
    return r;
}

/* Seconds of a guess: the median of drafts of the longest kind, behind the context. The cache's contents do not matter, nor does the hidden state. */
static int time_guess(const struct args *a, struct wd_engine *e, struct wd_decoder *d, double *ret_s, struct wd_err *err)
{
    struct wd_drafter *drafter = wd_engine_drafter(e);
    const struct wd_shape *s = wd_engine_shape(e);
    float *hidden = calloc(s->d_model, sizeof *hidden);
    double times[MAX_REPEATS];
    int32_t id;

    if (!hidden)
        return wd_err_set(err, -ENOMEM, "out of memory");
    for (long i = -1; i < a->repeats; i++) {
        double begun = now_s();

        wd_drafter_begin(drafter, d, hidden);
        id = s->bos >= 0 ? s->bos : 0;
        for (int k = 0; k < WD_DRAFTER_MOST; k++) {
            id = wd_sampler_greedy(wd_drafter_step(drafter, id), s->n_vocab, s->suppress, s->n_suppress).id;
            id = id < 0 ? 0 : id;
        }
        if (i >= 0)
            times[i] = (now_s() - begun) / WD_DRAFTER_MOST;
    }
    free(hidden);
    *ret_s = median(times, a->repeats);
    return 0;
}

static int run(const struct args *a, struct wd_engine *e, struct wd_err *err)
{
    const struct wd_shape *s = wd_engine_shape(e);
    int32_t *ids = malloc(((size_t)a->context + 1025) * sizeof *ids);
    float *logits = malloc((size_t)s->n_vocab * sizeof *logits);
    struct wd_decoder *d = NULL;
    struct wd_span before = {.kind = WD_SPAN_TOKENS, .ids = ids};
    struct wd_pass_part part = {.spans = &before, .n_spans = 1};
    double seconds = 0, guess = 0, limit;
    int r = ids && logits ? 0 : wd_err_set(err, -ENOMEM, "out of memory");

    if (r == 0)
        r = wd_decoder_new(e, (uint32_t)a->context + 1024, 1024, &d, err);
    if (r == 0)
        fill_ids(s, ids, (size_t)a->context + 1024);
    for (long at = 0; r == 0 && at < a->context; at += before.n) {
        before.n = a->context - at < 512 ? (uint32_t)(a->context - at) : 512;
        before.ids = ids + at;
        part.decoder = d;
        r = wd_decoder_pass(e, &part, 1, err);
    }
    if (r == 0) {
        struct wd_engine_memory m = wd_engine_memory(e);

        limit = read_rate(wd_engine_threads(e), a->repeats, err);
        if (a->json)
            printf("{\"model\": \"%s\", \"hash\": \"%s\", \"kernels\": \"%s\", \"threads\": %u, \"weights_bytes\": %zu, \"read_bytes_per_s\": %.4g, "
                   "\"context\": %ld, \"cases\": [",
                   s->name, wd_engine_hash(e), wd_engine_kernels(e), wd_engine_threads(e), m.weights_bytes, limit, a->context);
        else
            printf("%s (%s), %s kernels, %u threads; %.2f GB of weights; this machine reads %.1f GB/s\n"
                   "%8s %12s %12s %14s %10s\n",
                   s->name, wd_engine_hash(e), wd_engine_kernels(e), wd_engine_threads(e), (double)m.weights_bytes / 1e9, limit / 1e9, "rows",
                   "ms a pass", "tokens/s", "weights GB/s", "of limit");
    }
    for (unsigned i = 0; r == 0 && i < a->n_rows; i++) {
        double rate;

        r = time_case(a, e, d, ids, a->rows[i], logits, &seconds, err);
        if (r < 0)
            break;
        rate = (double)wd_engine_memory(e).weights_bytes / seconds;
        if (a->json)
            printf("%s{\"rows\": %u, \"s\": %.6g, \"tokens_per_s\": %.6g, \"of_limit\": %.4g}", i ? ", " : "", a->rows[i], seconds,
                   a->rows[i] / seconds, rate / limit);
        else
            printf("%8u %12.2f %12.2f %14.1f %9.0f%%\n", a->rows[i], seconds * 1e3, a->rows[i] / seconds, rate / 1e9, 100 * rate / limit);
        fflush(stdout);
    }
    if (r == 0 && wd_engine_drafter(e) && a->context > 0) {
        r = time_guess(a, e, d, &guess, err);
        if (r == 0 && !a->json)
            printf("%8s %12.2f %12.2f\n", "a guess", guess * 1e3, 1 / guess);
    }
    if (r == 0) {
        struct wd_engine_memory m = wd_engine_memory(e);

        if (a->json && guess > 0)
            printf("], \"guess_s\": %.6g, \"drafter_bytes\": %zu, \"resident_bytes\": %zu, \"kv_bytes\": %zu}\n", guess, m.drafter_bytes,
                   resident_bytes(), m.kv_bytes);
        else if (a->json)
            printf("], \"resident_bytes\": %zu, \"kv_bytes\": %zu}\n", resident_bytes(), m.kv_bytes);
        else
            printf("resident %.2f GB (mapped weights included), KV cache %.1f MB for %ld positions\n", (double)resident_bytes() / 1e9,
                   (double)m.kv_bytes / 1e6, a->context);
    }
    wd_decoder_free(d);
    free(ids);
    free(logits);
    return r;
}

int wd_cli_bench(int argc, char **argv)
{
    struct args a;
    struct wd_engine *e = NULL;
    struct wd_err err = {0};
    char model[PATH_MAX];
    int r = parse(argc, argv, &a);

    if (r >= 0)
        return r;
    r = wd_paths_model(a.model, model, sizeof model, &err);
    if (r == 0) {
        struct wd_engine_opts opts = {.n_threads = (unsigned)a.threads, .mmproj = a.mmproj, .drafter = a.drafter, .kernels = a.kernels, .exact = a.exact};

        r = wd_engine_open(model, &opts, &e, &err);
    }
    if (r == 0)
        r = run(&a, e, &err);
    wd_engine_free(e);
    return r < 0 ? wd_cli_fail(&err) : EX_OK;
}
