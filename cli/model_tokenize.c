/* cli/model_tokenize.c - `witness model tokenize`: text to ids, or back, line by line. */
#include "base/paths.h"
#include "cli/cli.h"
#include "model/tensor_file.h"
#include "model/tokenizer.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define MAX_LINE_BYTES ((size_t)64 << 20)

static int usage(FILE *to)
{
    fprintf(to, "usage: witness model tokenize MODEL [--special] [--decode]\n\n"
                "Reads one JSON string a line from standard input and prints a JSON array of its "
                "token ids.\n\n"
                "  --decode    read arrays of ids, print strings\n"
                "  --special   control strings (<|turn>, ...) become control tokens; with "
                "--decode: control tokens are shown\n");
    return to == stdout ? EX_OK : EX_USAGE;
}

struct line {
    char *text;
    size_t len, cap;
};

/* One line without its end. 1: read; 0: no more; -EFBIG, -ENOMEM, -EIO. */
static int read_line(FILE *from, struct line *l)
{
    int c;

    l->len = 0;
    while ((c = getc(from)) != EOF && c != '\n') {
        if (l->len == MAX_LINE_BYTES)
            return -EFBIG;
        if (l->len == l->cap) {
            size_t cap = l->cap ? 2 * l->cap : 4096;
            char *text = realloc(l->text, cap);

            if (!text)
                return -ENOMEM;
            l->text = text;
            l->cap = cap;
        }
        l->text[l->len++] = (char)c;
    }
    if (ferror(from))
        return -EIO;
    return c == '\n' || l->len > 0;
}

static int encode(const struct wd_tokenizer *t, const json_t *in, bool special, struct wd_err *err)
{
    const char *text = json_string_value(in);
    size_t len = json_string_length(in),
           cap = len * 4 + 1; /* no byte becomes more than three tokens: U+FFFD in bytes */
    int32_t *ids;
    int64_t n;

    if (!text)
        return wd_err_set(err, -EINVAL, "expected a JSON string");
    ids = malloc(cap * sizeof *ids);
    n = ids ? wd_tokenizer_encode(t, text, len, special, ids, cap) : -ENOMEM;
    if (n < 0) {
        free(ids);
        return wd_err_set(err, (int)n, "out of memory");
    }
    putchar('[');
    for (int64_t i = 0; i < n; i++)
        printf(i ? ", %" PRId32 : "%" PRId32, ids[i]);
    puts("]");
    free(ids);
    return 0;
}

static int decode(const struct wd_tokenizer *t, const json_t *in, bool special, struct wd_err *err)
{
    size_t n = json_array_size(in), len;
    int32_t *ids = calloc(n + 1, sizeof *ids);
    char *text = NULL, *quoted = NULL;
    json_t *out = NULL;
    int r = 0;

    if (!ids)
        r = wd_err_set(err, -ENOMEM, "out of memory");
    else if (!json_is_array(in))
        r = wd_err_set(err, -EINVAL, "expected a JSON array of token ids");
    for (size_t i = 0; r == 0 && i < n; i++) {
        const json_t *id = json_array_get(in, i);

        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            json_integer_value(id) >= wd_tokenizer_count(t))
            r = wd_err_set(err, -EINVAL, "element %zu is no token id (0 to %" PRIu32 ")", i,
                           wd_tokenizer_count(t) - 1);
        else
            ids[i] = (int32_t)json_integer_value(id);
    }
    if (r == 0) {
        len = wd_tokenizer_decode(t, ids, n, special, NULL, 0);
        text = malloc(len + 1);
        if (text) {
            wd_tokenizer_decode(t, ids, n, special, text, len + 1);
            out = json_stringn(
                text,
                len); /* NULL also where a damaged vocabulary gives something that is not UTF-8 */
        }
        quoted = out ? json_dumps(out, JSON_ENCODE_ANY) : NULL;
        if (quoted)
            puts(quoted);
        else
            r = wd_err_set(err, text ? -EILSEQ : -ENOMEM,
                           text ? "the pieces of these ids are not UTF-8" : "out of memory");
    }
    json_decref(out);
    free(quoted);
    free(text);
    free(ids);
    return r;
}

static int one_line(const struct wd_tokenizer *t, const struct line *l, bool back, bool special,
                    struct wd_err *err)
{
    json_error_t e;
    json_t *in = json_loadb(l->text ? l->text : "", l->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    int r;

    if (!in)
        return wd_err_set(err, -EINVAL, "column %d: %s", e.column, e.text);
    r = back ? decode(t, in, special, err) : encode(t, in, special, err);
    json_decref(in);
    return r;
}

static int all_lines(const struct wd_tokenizer *t, bool back, bool special, struct wd_err *err)
{
    struct line l = {0};
    uint64_t n = 0;
    int r;

    while ((r = read_line(stdin, &l)) > 0) {
        n++;
        r = one_line(t, &l, back, special, err);
        if (r < 0) {
            wd_err_prefix(err, "line %" PRIu64, n);
            break;
        }
        if (fflush(stdout) ||
            ferror(stdout)) { /* somebody may be waiting for this one before sending the next */
            r = wd_err_set(err, -EIO, "cannot write to standard output");
            break;
        }
    }
    if (r < 0 && err->code == 0)
        wd_err_set(err, r, "line %" PRIu64 ": %s", n + 1,
                   r == -EFBIG ? "longer than 64 MB" : strerror(-r));
    free(l.text);
    return r;
}

int wd_cli_model_tokenize(int argc, char **argv)
{
    static const struct option options[] = {{"special", no_argument, NULL, 's'},
                                            {"decode", no_argument, NULL, 'd'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct wd_tensor_file *f = NULL;
    struct wd_tokenizer *t = NULL;
    struct wd_err err = {0};
    bool special = false, back = false;
    char path[PATH_MAX];
    int c, r;

    optind = 1;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'h')
            return usage(stdout);
        if (c == 's')
            special = true;
        else if (c == 'd')
            back = true;
        else
            return usage(stderr);
    }
    if (optind + 1 != argc)
        return usage(stderr);
    r = wd_paths_model(argv[optind], path, sizeof path, &err);
    if (r == 0)
        r = wd_tensor_file_open(path, &f, &err);
    if (r == 0)
        r = wd_tokenizer_open(f, &t, &err);
    wd_tensor_file_free(f); /* the tokenizer copied what it needs */
    if (r == 0)
        r = all_lines(t, back, special, &err);
    wd_tokenizer_free(t);
    return r < 0 ? wd_cli_fail(&err) : EX_OK;
}
