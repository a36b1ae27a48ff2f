/* cli/model_eval.c - `witness model eval`: one prompt through the engine, its logits and layers written down, its next tokens printed. */
#include "base/paths.h"
#include "cli/cli.h"
#include "cli/eval_case.h"
#include "model/engine.h"
#include "model/sampler.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

struct args {
    const char *model, *path, *dump, *mmproj, *kernels;
    bool layers, exact;
    long greedy, threads;
};

static int usage(FILE *to)
{
    fprintf(to,
            "usage: witness model eval MODEL CASE.json [--dump OUT.safetensors] [--layers] [--greedy N]\n"
            "                          [--mmproj FILE] [--threads N] [--kernels NAME] [--exact]\n\n"
            "CASE is {\"items\": [2, 106, {\"audio\": \"a.wav\"}, {\"image\": \"p.png\"}, {\"text\": \"...\"}, ...]} in prompt order;\n"
            "file names are relative to it. An audio or image item brings its rows only, not its begin and end tokens.\n\n"
            "  --dump OUT     write logits [positions][vocabulary], F32\n"
            "  --layers       with --dump: also embeddings, layer.N and norm [positions][hidden]\n"
            "  --greedy N     print {\"ids\": [...], \"margins\": [...]}: the N next ids and the gap between the two best logits at each\n"
            "  --exact        unpack quantised weights to f32 instead of rounding activations to 16 bits\n");
    return to == stdout ? EX_OK : EX_USAGE;
}

static int parse(int argc, char **argv, struct args *a)
{
    static const struct option options[] = {
        {"dump", required_argument, NULL, 'd'},    {"layers", no_argument, NULL, 'l'},
        {"greedy", required_argument, NULL, 'g'},  {"mmproj", required_argument, NULL, 'm'},
        {"threads", required_argument, NULL, 't'}, {"kernels", required_argument, NULL, 'k'},
        {"exact", no_argument, NULL, 'x'},         {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;

    memset(a, 0, sizeof *a);
    optind = 1;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (c) {
        case 'd':
            a->dump = optarg;
            break;
        case 'l':
            a->layers = true;
            break;
        case 'g':
            if (!wd_cli_number(optarg, 1, 100000, &a->greedy)) {
                fprintf(stderr, "witness: --greedy: expected a number from 1 to 100000, got '%s'\n", optarg);
                return EX_USAGE;
            }
            break;
        case 'm':
            a->mmproj = optarg;
            break;
        case 't':
            if (!wd_cli_number(optarg, 0, 256, &a->threads)) {
                fprintf(stderr, "witness: --threads: expected a number from 0 to 256, got '%s'\n", optarg);
                return EX_USAGE;
            }
            break;
        case 'k':
            a->kernels = optarg;
            break;
        case 'x':
            a->exact = true;
            break;
        case 'h':
            usage(stdout);
            return -1;
        default:
            return usage(stderr);
        }
    }
    if (argc - optind != 2 || (a->layers && !a->dump))
        return usage(stderr);
    a->model = argv[optind];
    a->path = argv[optind + 1];
    return EX_OK;
}

/* Header of a safetensors file: one F32 matrix after another. */
struct dump {
    FILE *f;
    char *header;
    size_t len;
    FILE *to;
    uint64_t at;
};

static void declare(struct dump *d, const char *name, uint64_t rows, uint64_t cols)
{
    uint64_t end = d->at + rows * cols * 4;

    fprintf(d->to, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%" PRIu64 ",%" PRIu64 "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
            d->at ? "," : "{", name, rows, cols, d->at, end);
    d->at = end;
}

static int write_dump(const struct args *a, const struct wd_shape *s, uint32_t rows, const float *logits, const float *layers,
                      struct wd_err *err)
{
    struct dump d = {0};
    uint64_t len;
    char name[32];
    bool good;

    d.to = open_memstream(&d.header, &d.len);
    if (!d.to)
        return wd_err_set(err, -ENOMEM, "out of memory");
    declare(&d, "logits", rows, s->n_vocab);
    for (uint32_t i = 0; a->layers && i < s->n_layers + 2; i++) {
        if (i == 0 || i == s->n_layers + 1)
            snprintf(name, sizeof name, "%s", i ? "norm" : "embeddings");
        else
            snprintf(name, sizeof name, "layer.%u", i - 1);
        declare(&d, name, rows, s->d_model);
    }
    fputc('}', d.to);
    fflush(d.to);
    while (d.len % 8) {
        fputc(' ', d.to);
        fflush(d.to);
    }
    fclose(d.to);
    len = d.len;
    d.f = fopen(a->dump, "wb");
    good = d.f && fwrite(&len, sizeof len, 1, d.f) == 1 && fwrite(d.header, 1, len, d.f) == len &&
           fwrite(logits, sizeof *logits * s->n_vocab, rows, d.f) == rows;
    if (good && a->layers)
        good = fwrite(layers, sizeof *layers * s->d_model, (size_t)rows * (s->n_layers + 2), d.f) == (size_t)rows * (s->n_layers + 2);
    free(d.header);
    if (d.f && fclose(d.f))
        good = false;
    return good ? 0 : wd_err_set(err, errno ? -errno : -EIO, "%s: %s", a->dump, strerror(errno ? errno : EIO));
}

static int print_greedy(struct wd_engine *e, struct wd_decoder *d, float *last, long n, struct wd_err *err)
{
    const struct wd_shape *s = wd_engine_shape(e);
    float *margins = calloc((size_t)n, sizeof *margins);
    int32_t *ids = calloc((size_t)n, sizeof *ids);
    int r = margins && ids ? 0 : wd_err_set(err, -ENOMEM, "out of memory");

    for (long i = 0; i < n && r == 0; i++) {
        struct wd_choice c = wd_sampler_greedy(last, s->n_vocab, s->suppress, s->n_suppress);
        struct wd_span span = {.kind = WD_SPAN_TOKENS, .n = 1, .ids = &ids[i]};
        struct wd_pass_part part = {.decoder = d, .spans = &span, .n_spans = 1, .n_logits = 1, .ret_logits = last};

        ids[i] = c.id;
        margins[i] = c.margin;
        if (c.id < 0)
            r = wd_err_set(err, -EINVAL, "the model gave no number for any token");
        else if (i + 1 < n)
            r = wd_decoder_pass(e, &part, 1, err);
    }
    if (r == 0) {
        printf("{\"ids\": [");
        for (long i = 0; i < n; i++)
            printf("%s%d", i ? ", " : "", ids[i]);
        printf("], \"margins\": [");
        for (long i = 0; i < n; i++)
            printf("%s%.6g", i ? ", " : "", (double)margins[i]);
        printf("]}\n");
    }
    free(margins);
    free(ids);
    return r;
}

static int run(const struct args *a, struct wd_engine *e, const struct wd_eval_case *c, struct wd_err *err)
{
    const struct wd_shape *s = wd_engine_shape(e);
    uint32_t n_spans, rows = wd_eval_case_rows(c), n_logits = a->dump ? rows : 1;
    const struct wd_span *spans = wd_eval_case_spans(c, &n_spans);
    uint64_t capacity = (uint64_t)rows + (uint64_t)a->greedy + 1;
    struct wd_decoder *d;
    float *logits = malloc((size_t)n_logits * s->n_vocab * sizeof *logits);
    float *layers = a->layers ? malloc((size_t)(s->n_layers + 2) * rows * s->d_model * sizeof *layers) : NULL;
    struct wd_trace trace = {.layers = layers};
    struct wd_pass_part part = {.spans = spans, .n_spans = n_spans, .n_logits = n_logits, .ret_logits = logits,
                                .trace = a->layers ? &trace : NULL};
    int r;

    if (!logits || (a->layers && !layers)) {
        r = wd_err_set(err, -ENOMEM, "out of memory");
        goto out;
    }
    if (capacity > s->n_context) {
        r = wd_err_set(err, -EINVAL, "%s: %" PRIu64 " positions are wanted, the model has %u", a->path, capacity, s->n_context);
        goto out;
    }
    r = wd_decoder_new(e, (uint32_t)capacity, 0, &d, err);
    if (r < 0)
        goto out;
    part.decoder = d;
    r = wd_decoder_pass(e, &part, 1, err);
    if (r < 0)
        wd_err_prefix(err, "%s", a->path);
    if (r == 0 && a->dump)
        r = write_dump(a, s, rows, logits, layers, err);
    if (r == 0 && a->greedy)
        r = print_greedy(e, d, logits + (size_t)(n_logits - 1) * s->n_vocab, a->greedy, err);
    wd_decoder_free(d);
out:
    free(logits);
    free(layers);
    return r;
}

int wd_cli_model_eval(int argc, char **argv)
{
    struct args a;
    struct wd_engine *e = NULL;
    struct wd_eval_case *c = NULL;
    struct wd_err err = {0};
    char model[PATH_MAX];
    int r = parse(argc, argv, &a);

    if (r)
        return r < 0 ? EX_OK : r;
    r = wd_paths_model(a.model, model, sizeof model, &err);
    if (r == 0) {
        struct wd_engine_opts opts = {.n_threads = (unsigned)a.threads, .mmproj = a.mmproj, .kernels = a.kernels, .exact = a.exact,
                                      .max_rows = 8192};

        r = wd_engine_open(model, &opts, &e, &err);
    }
    if (r == 0)
        r = wd_eval_case_read(a.path, e, &c, &err);
    if (r == 0)
        r = run(&a, e, c, &err);
    wd_eval_case_free(c);
    wd_engine_free(e);
    return r < 0 ? wd_cli_fail(&err) : EX_OK;
}
