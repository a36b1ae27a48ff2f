/* cli/model_check.c - `witness model check`: whether every tensor of a model is there, of its
 * shape, and holds numbers. */
#include "base/paths.h"
#include "cli/cli.h"
#include "model/tensor_file.h"
#include "model/tensor_values.h"
#include "model/threads.h"
#include "model/tokenizer.h"
#include "model/weights.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define WRONG 1           /* exit code: the model can be read, and is wrong */
#define STEP_BLOCKS 2048u /* 16.8 million values between two looks at the clock of progress */

struct check {
    uint64_t n_wrong, n_tensors;
    uint64_t done_bytes, all_bytes;
    int shown; /* percent; -1: no line of progress stands there */
    bool terminal;
};

static int usage(FILE *to)
{
    fprintf(
        to,
        "usage: witness model check FILE|DIR [--mmproj FILE] [--threads N]\n\n"
        "Reads a whole model: whether each tensor is there, has its shape, has a meaning, and "
        "whether its "
        "numbers are finite.\nPrints a line for each that is wrong, then the exit code is 1.\n\n"
        "  --mmproj FILE   its media part, where it does not lie beside it\n"
        "  --threads N     processors to use; default all\n");
    return to == stdout ? EX_OK : EX_USAGE;
}

static void wipe(struct check *c)
{
    if (c->shown >= 0)
        fprintf(stderr, "\r\033[K");
    c->shown = -1;
}

static void progress(struct check *c, const char *name)
{
    int percent =
        c->all_bytes ? (int)(100 * (c->done_bytes / 100) / (c->all_bytes / 100 + 1)) : 100;

    if (!c->terminal || percent == c->shown)
        return;
    c->shown = percent;
    fprintf(stderr, "\r\033[K%3d %%  %.60s", percent, name);
}

/* Names hold no control characters (tensor_table.c), paths may. */
static void complain(void *ctx, const char *problem)
{
    struct check *c = ctx;

    wipe(c);
    c->n_wrong++;
    for (const char *p = problem; *p; p++)
        putchar((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p);
    putchar('\n');
}

static void say_values(struct check *c, const char *path, const struct wd_tensor *t,
                       const struct wd_tensor_values *v)
{
    char text[1024];

    if (v->n_not_finite) {
        snprintf(text, sizeof text,
                 "%s: tensor '%s': %" PRIu64 " of %" PRIu64
                 " values are not finite, the first in row %" PRIu64 ", column %" PRIu64,
                 path, t->name, v->n_not_finite, v->n, v->first / t->dims[0],
                 v->first % t->dims[0]);
        complain(c, text);
    } else if (v->zero && v->n > t->dims[0]) { /* a vector of zeros may be meant: a bias */
        snprintf(text, sizeof text, "%s: tensor '%s': all of its %" PRIu64 " values are 0", path,
                 t->name, v->n);
        complain(c, text);
    }
}

static int check_values(struct check *c, const struct wd_tensor_file *f, struct wd_threads *team,
                        struct wd_err *err)
{
    for (size_t i = 0; i < wd_tensor_file_count(f); i++) {
        const struct wd_tensor *t = wd_tensor_file_at(f, i);
        uint64_t blocks = wd_tensor_values_blocks(t);
        struct wd_tensor_values v = {.zero = true};

        for (uint64_t b = 0; b < blocks; b += STEP_BLOCKS) {
            uint64_t n = blocks - b < STEP_BLOCKS ? blocks - b : STEP_BLOCKS;

            progress(c, t->name);
            wd_tensor_values_add(t, b, n, team, &v);
            c->done_bytes += t->n_bytes / blocks * n;
        }
        if (wd_tensor_file_torn(f, err) < 0) /* zeros, not its numbers */
            return -EIO;
        say_values(c, wd_tensor_file_path(f), t, &v);
        c->n_tensors++;
    }
    return 0;
}

static int check(struct check *c, const struct wd_weights *w, struct wd_threads *team,
                 struct wd_err *err)
{
    struct wd_tokenizer *tokenizer = NULL;
    const struct wd_tensor *t;
    char text[1024];
    int r;

    for (size_t i = 0; (t = wd_weights_unused(w, i)); i++) {
        if (!w->shape.has_vision && (strstr(t->name, "vision") || strstr(t->name, "multi_modal")))
            continue; /* of a relative's tower, which is left out (docs/model.md) */
        snprintf(text, sizeof text, "%s: tensor '%s' has no meaning in this model",
                 wd_tensor_file_path(w->text), t->name);
        complain(c, text);
    }
    r = wd_tokenizer_open(w->text, &tokenizer, err);
    if (r == -EINVAL || r == -ENOTSUP || r == -ENOENT)
        complain(c, err->text);
    else if (r < 0)
        return r;
    wd_tokenizer_free(tokenizer);
    c->all_bytes = w->mapped_bytes;
    r = check_values(c, w->text, team, err);
    if (r == 0 && w->media)
        r = check_values(c, w->media, team, err);
    return r;
}

/* What cannot be read at all is an error as everywhere; what can be read and is wrong is the
 * answer. */
static int verdict(struct check *c, const struct wd_weights *w, int r, const struct wd_err *err)
{
    wipe(c);
    if (r == -EINVAL || r == -ENOTSUP) {
        complain(c, err->text);
        return WRONG;
    }
    if (r < 0)
        return wd_cli_fail(err);
    if (c->n_wrong)
        printf("%" PRIu64 " wrong, %" PRIu64 " tensors read\n", c->n_wrong, c->n_tensors);
    else
        printf("%s: %" PRIu64 " tensors, all of them right\n", w->shape.name, c->n_tensors);
    return c->n_wrong ? WRONG : EX_OK;
}

int wd_cli_model_check(int argc, char **argv)
{
    static const struct option options[] = {{"mmproj", required_argument, NULL, 'm'},
                                            {"threads", required_argument, NULL, 't'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct check c = {.shown = -1, .terminal = isatty(STDERR_FILENO)};
    struct wd_weights_problems problems = {.say = complain, .ctx = &c};
    const char *mmproj = NULL;
    struct wd_threads *team = NULL;
    struct wd_err err = {0};
    struct wd_weights *w;
    char path[PATH_MAX];
    long n_threads = 0;
    int o, r, code;

    optind = 1;
    while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (o == 'h')
            return usage(stdout);
        if (o == 'm')
            mmproj = optarg;
        else if (o != 't' || !wd_cli_number(optarg, 1, 256, &n_threads))
            return usage(stderr);
    }
    if (optind + 1 != argc)
        return usage(stderr);
    w = calloc(1, sizeof *w);
    if (!w)
        return EX_OSERR;
    r = wd_paths_model(argv[optind], path, sizeof path, &err);
    if (r == 0)
        r = wd_weights_open_all(path, mmproj, &problems, w, &err);
    if (r == 0) {
        r = wd_threads_new((unsigned)n_threads, &team, &err);
        if (r == 0)
            r = check(&c, w, team, &err);
    }
    code = verdict(&c, w, r, &err);
    wd_threads_free(team);
    if (w->text)
        wd_weights_done(w);
    free(w);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "witness: cannot write to standard output\n");
        return EX_IOERR;
    }
    return code;
}
