/* cli/model_quantize.c - `witness model quantize`: a GGUF file of floats, in blocks of few bits. */
#include "base/paths.h"
#include "cli/cli.h"
#include "model/gguf_write.h"
#include "model/tensor_file.h"
#include "model/threads.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define UNIT 256              /* weights: a multiple of every block */
#define PIECE ((size_t)1 << 20) /* weights in memory at a time */
#define MOST_F16 65504.0f     /* the scale of a block with more would be infinite */

static const struct {
    enum wd_type type;
    uint32_t file_type; /* general.file_type */
} targets[] = {{WD_TYPE_Q8_0, 7}, {WD_TYPE_Q6_K, 18}, {WD_TYPE_Q4_K, 14}, {WD_TYPE_Q4_0, 2}};

static volatile sig_atomic_t stopped;

static int usage(FILE *to)
{
    fprintf(to, "usage: witness model quantize IN OUT.gguf --type Q8_0|Q6_K|Q4_K|Q4_0 [--threads N]\n\n"
                "  IN             a GGUF file in F32, F16 or BF16, or a shipped name\n"
                "  OUT.gguf       must not be there yet\n"
                "  --type T       of the matrices; the embedding keeps 6 bits or more, those of sound and pictures stay\n"
                "  --threads N    0: the processor's cores\n");
    return to == stdout ? EX_OK : EX_USAGE;
}

struct args {
    const char *in, *out;
    uint32_t type, file_type;
    long threads;
};

/* < 0: go on; otherwise exit with it. */
static int parse(int argc, char **argv, struct args *a)
{
    static const struct option options[] = {{"type", required_argument, NULL, 't'},
                                            {"threads", required_argument, NULL, 'n'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int c;

    *a = (struct args){0};
    optind = 1;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (c) {
        case 't':
            a->type = 0;
            for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
                if (strcmp(optarg, wd_type_name(targets[i].type)) == 0) {
                    a->type = targets[i].type;
                    a->file_type = targets[i].file_type;
                }
            if (!a->type) {
                fprintf(stderr, "witness: type '%s', expected Q8_0, Q6_K, Q4_K or Q4_0\n", optarg);
                return EX_USAGE;
            }
            break;
        case 'n':
            if (!wd_cli_number(optarg, 0, 256, &a->threads)) {
                fprintf(stderr, "witness: a number is out of bounds: '%s'\n", optarg);
                return EX_USAGE;
            }
            break;
        case 'h':
            return usage(stdout);
        default:
            return usage(stderr);
        }
    }
    if (argc - optind != 2 || !a->type)
        return usage(stderr);
    a->in = argv[optind];
    a->out = argv[optind + 1];
    return -1;
}

/* What becomes of a tensor. Matrices of the front end and all that is no matrix stay as they are. */
static uint32_t type_of(const struct wd_tensor *t, uint32_t wanted)
{
    bool table = !strcmp(t->name, "token_embd.weight") || !strcmp(t->name, "output.weight");

    if (t->dims[1] == 1 || t->dims[2] != 1 || t->dims[3] != 1 || !strncmp(t->name, "v.", 2) ||
        !strncmp(t->name, "a.", 2) || !strncmp(t->name, "mm.", 3))
        return t->type;
    if (table && wanted != WD_TYPE_Q8_0)
        wanted = WD_TYPE_Q6_K;
    if (t->dims[0] % wd_type_block(wanted))
        wanted = WD_TYPE_Q8_0;
    return t->dims[0] % wd_type_block(wanted) ? t->type : wanted;
}

struct work {
    struct wd_threads *threads;
    float *plain;           /* [PIECE] */
    unsigned char *packed;  /* of PIECE weights in the largest type */
    const unsigned char *from;
    uint32_t from_type, to_type;
    size_t n;               /* weights of the piece */
    atomic_bool bad;        /* a value that has no place in a block */
    uint64_t done_bytes, all_bytes;
    double shown_s;
};

static void pack_share(void *ctx, unsigned member, unsigned count)
{
    struct work *w = ctx;
    size_t units = (w->n + UNIT - 1) / UNIT, at = units * member / count * UNIT, end = units * (member + 1) / count * UNIT;

    if (end > w->n)
        end = w->n;
    if (at >= end)
        return;
    wd_quant_unpack(w->from_type, w->from + wd_type_row_bytes(w->from_type, at), w->plain + at, end - at);
    for (size_t i = at; i < end; i++)
        if (!(fabsf(w->plain[i]) <= MOST_F16))
            w->bad = true;
    wd_quant_pack(w->to_type, w->plain + at, w->packed + wd_type_row_bytes(w->to_type, at), end - at);
}

static void show(struct work *w, const char *name, bool last)
{
    struct timespec ts;
    double s;

    if (!isatty(STDERR_FILENO))
        return;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    s = (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
    if (last)
        fprintf(stderr, "\r\033[K");
    else if (s - w->shown_s > 0.2) {
        fprintf(stderr, "\r\033[K%3.0f %%  %.60s", 100 * (double)w->done_bytes / (double)w->all_bytes, name);
        w->shown_s = s;
    }
}

static int write_failed(struct wd_err *err)
{
    int e = errno ? errno : EIO;

    return wd_err_set(err, -e, "writing fails: %s", strerror(e));
}

/* Blocks do not reach over rows, so a tensor is one run of blocks, cut anywhere between two. */
static int one_tensor(struct work *w, FILE *out, const struct wd_tensor *t, uint32_t type, struct wd_err *err)
{
    uint64_t all = t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3];
    uint64_t at, to_bytes = 0;
    size_t bytes;

    for (at = 0; at < all; at += w->n) {
        w->n = all - at < PIECE ? (size_t)(all - at) : PIECE;
        w->from = (const unsigned char *)t->data + wd_type_row_bytes(t->type, at);
        w->from_type = t->type;
        w->to_type = type;
        bytes = wd_type_row_bytes(type, w->n);
        if (stopped)
            return wd_err_set(err, -ECANCELED, "stopped");
        if (type != t->type) {
            wd_threads_run(w->threads, pack_share, w);
            if (w->bad)
                return wd_err_set(err, -EINVAL, "tensor '%s' has a value that is not finite or beyond 65504", t->name);
        }
        if (fwrite(type == t->type ? w->from : w->packed, 1, bytes, out) != bytes)
            return write_failed(err);
        to_bytes += bytes;
        w->done_bytes += wd_type_row_bytes(t->type, w->n);
        show(w, t->name, false);
    }
    return wd_gguf_write_pad(out, to_bytes, err);
}

static int check_in(const struct args *a, const struct wd_tensor_file *f, uint32_t *types, struct wd_err *err)
{
    bool any = false;

    if (wd_tensor_file_form(f) != WD_FORM_GGUF)
        return wd_err_set(err, -ENOTSUP, "%s: a folder or file of safetensors cannot be quantised yet; expected a GGUF file",
                          a->in);
    for (size_t i = 0; i < wd_tensor_file_count(f); i++) {
        const struct wd_tensor *t = wd_tensor_file_at(f, i);

        if (wd_type_block(t->type) > 1)
            return wd_err_set(err, -EINVAL, "%s: tensor '%s' is %s already; expected a file of F32, F16 or BF16", a->in,
                              t->name, wd_type_name(t->type));
        types[i] = type_of(t, a->type);
        any |= types[i] != t->type;
    }
    return any ? 0 : wd_err_set(err, -EINVAL, "%s: there is no matrix to quantise", a->in);
}

static int write_out(struct work *w, const struct args *a, const struct wd_tensor_file *f, const uint32_t *types, FILE *out,
                     struct wd_err *err)
{
    int r = wd_gguf_write_head(out, f, types, a->file_type, err);

    for (size_t i = 0; i < wd_tensor_file_count(f); i++)
        w->all_bytes += wd_tensor_file_at(f, i)->n_bytes;
    for (size_t i = 0; r == 0 && i < wd_tensor_file_count(f); i++)
        r = one_tensor(w, out, wd_tensor_file_at(f, i), types[i], err);
    if (r == 0 && (fflush(out) != 0 || fsync(fileno(out)) < 0))
        r = write_failed(err);
    return r;
}

/* Into a file of another name, which takes its own when it is whole. */
static int quantize(struct work *w, const struct args *a, const struct wd_tensor_file *f, const uint32_t *types,
                    struct wd_err *err)
{
    char temp[PATH_MAX];
    mode_t mask = umask(0);
    FILE *out = NULL;
    int fd, r;

    umask(mask);
    if ((size_t)snprintf(temp, sizeof temp, "%s.XXXXXX", a->out) >= sizeof temp)
        return wd_err_set(err, -ENAMETOOLONG, "%s: the name is too long", a->out);
    fd = mkstemp(temp);
    if (fd < 0)
        return wd_err_set(err, -errno, "%s: %s", temp, strerror(errno));
    if (fchmod(fd, 0666 & ~mask) < 0 || !(out = fdopen(fd, "wb"))) {
        r = wd_err_set(err, -errno, "%s: %s", temp, strerror(errno));
        close(fd);
    } else {
        r = write_out(w, a, f, types, out, err);
        if (fclose(out) != 0 && r == 0)
            r = write_failed(err);
    }
    show(w, "", true);
    if (r == 0 && link(temp, a->out) < 0) /* unlike rename(), never over another file */
        r = errno == EEXIST ? wd_err_set(err, -EEXIST, "%s: is there already", a->out)
            : rename(temp, a->out) < 0 ? wd_err_set(err, -errno, "%s: %s", a->out, strerror(errno)) : 0;
    unlink(temp);
    return r;
}

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

static void report(const struct args *a, const struct wd_tensor_file *f, const uint32_t *types)
{
    uint64_t from = 0, to = 0;
    size_t kept = 0, other = 0, n = wd_tensor_file_count(f);

    for (size_t i = 0; i < n; i++) {
        const struct wd_tensor *t = wd_tensor_file_at(f, i);

        from += t->n_bytes;
        to += t->dims[1] * t->dims[2] * t->dims[3] * wd_type_row_bytes(types[i], t->dims[0]);
        kept += types[i] == t->type;
        other += types[i] != t->type && types[i] != a->type;
    }
    printf("%s: %.1f MB of weights to %.1f MB; %zu tensors in %s, %zu in more bits, %zu as they were\n", a->out,
           (double)from / 1e6, (double)to / 1e6, n - kept - other, wd_type_name(a->type), other, kept);
}

int wd_cli_model_quantize(int argc, char **argv)
{
    const struct sigaction on_stop = {.sa_handler = stop};
    struct wd_tensor_file *f = NULL;
    struct wd_err err = {0};
    struct work w = {0};
    uint32_t *types = NULL;
    char path[PATH_MAX];
    struct stat st;
    struct args a;
    int r = parse(argc, argv, &a);

    if (r >= 0)
        return r;
    if (lstat(a.out, &st) == 0) {
        fprintf(stderr, "witness: %s: is there already\n", a.out);
        return EX_CANTCREAT;
    }
    r = wd_paths_model(a.in, path, sizeof path, &err);
    if (r == 0)
        r = wd_tensor_file_open(path, &f, &err);
    if (r == 0) {
        w.plain = malloc(PIECE * sizeof *w.plain);
        w.packed = malloc(PIECE * sizeof *w.plain);
        types = malloc((wd_tensor_file_count(f) + 1) * sizeof *types);
        r = w.plain && w.packed && types ? 0 : wd_err_set(&err, -ENOMEM, "out of memory");
    }
    if (r == 0)
        r = check_in(&a, f, types, &err);
    if (r == 0)
        r = wd_threads_new((unsigned)a.threads, &w.threads, &err);
    if (r == 0) {
        sigaction(SIGINT, &on_stop, NULL);
        sigaction(SIGTERM, &on_stop, NULL);
        r = quantize(&w, &a, f, types, &err);
    }
    if (r == 0)
        report(&a, f, types);
    wd_threads_free(w.threads);
    wd_tensor_file_free(f);
    free(types);
    free(w.plain);
    free(w.packed);
    return r == -EEXIST ? (wd_cli_fail(&err), EX_CANTCREAT) : r < 0 ? wd_cli_fail(&err) : EX_OK;
}
