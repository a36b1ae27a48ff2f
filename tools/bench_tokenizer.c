/* tools/bench_tokenizer.c - how fast text becomes token ids on one core.
 * bench_tokenizer MODEL [TEXT-FILE...]; `make tools/bench_tokenizer`. Without files: text in many
 * scripts, and text made to be slow. */
#include "model/tensor_file.h"
#include "model/tokenizer.h"
#include "tests/model/many_scripts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXT_BYTES ((size_t)10 << 20)
#define HOSTILE_BYTES ((size_t)4 << 20)
#define TURNS 5 /* of which the best is printed: the others were disturbed */

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void measure(const struct wd_tokenizer *t, const char *name, const char *text, size_t len)
{
    size_t cap = 3 * len + 1;
    int32_t *ids = malloc(cap * sizeof *ids);
    char *back = malloc(len + 1);
    double best = 1e9, best_back = 1e9;
    int64_t n = -1;
    size_t same = 0;

    if (!ids || !back)
        exit(1);
    for (int i = 0; i < TURNS; i++) {
        double start = now_s(), passed;

        n = wd_tokenizer_encode(t, text, len, false, ids, cap);
        passed = now_s() - start;
        best = passed < best ? passed : best;
        if (n < 0)
            exit(1);
        start = now_s();
        same = wd_tokenizer_decode(t, ids, (size_t)n, true, back, len + 1);
        passed = now_s() - start;
        best_back = passed < best_back ? passed : best_back;
    }
    printf("%-28s %6.1f MB  %9" PRId64 " ids  %6.1f MB/s  back %6.1f MB/s%s\n", name,
           (double)len / 1e6, n, (double)len / 1e6 / best, (double)len / 1e6 / best_back,
           same == len && !memcmp(text, back, len) ? "" : "  (comes back different)");
    free(back);
    free(ids);
}

static void file(const struct wd_tokenizer *t, const char *path)
{
    FILE *f = fopen(path, "rb");
    char *text = malloc((size_t)1 << 28);
    size_t n;

    if (!f || !text) {
        perror(path);
        exit(1);
    }
    n = fread(text, 1, (size_t)1 << 28, f);
    fclose(f);
    measure(t, path, text, n);
    free(text);
}

static void repeated(const struct wd_tokenizer *t, const char *name, const char *unit, size_t n)
{
    size_t len = HOSTILE_BYTES / n * n;
    char *text = malloc(len);

    if (!text)
        exit(1);
    for (size_t i = 0; i < len; i++)
        text[i] = unit[i % n];
    measure(t, name, text, len);
    free(text);
}

static void noise(const struct wd_tokenizer *t, const char *name, unsigned from, unsigned letters)
{
    char *text = malloc(HOSTILE_BYTES);
    uint64_t x = 1;

    if (!text)
        exit(1);
    for (size_t i = 0; i < HOSTILE_BYTES; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        text[i] = (char)(from + (x >> 40) % letters);
    }
    measure(t, name, text, HOSTILE_BYTES);
    free(text);
}

int main(int argc, char **argv)
{
    struct wd_tensor_file *f;
    struct wd_tokenizer *t;
    struct wd_err err = {0};
    double start = now_s();

    if (argc < 2) {
        fprintf(stderr, "usage: bench_tokenizer MODEL [TEXT-FILE...]\n");
        return 2;
    }
    if (wd_tensor_file_open(argv[1], &f, &err) < 0 || wd_tokenizer_open(f, &t, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    wd_tensor_file_free(f);
    printf("opened in %.0f ms\n", (now_s() - start) * 1e3);
    for (int i = 2; i < argc; i++)
        file(t, argv[i]);
    if (argc == 2) {
        char *text = malloc(TEXT_BYTES);

        if (!text)
            return 1;
        measure(t, "many scripts", text, wd_many_scripts(1, text, TEXT_BYTES));
        free(text);
        repeated(t, "one letter", "a", 1);
        repeated(t, "blanks", " ", 1);
        repeated(t, "newlines", "\n", 1);
        repeated(t, "the same word", "the", 3);
        repeated(t, "ideographs", "\xe7\x9a\x84", 3);
        repeated(t, "bytes that are no UTF-8", "\xff", 1);
        repeated(t, "beginnings of markup", "<|turn", 6);
        noise(t, "random letters", 'a', 26);
        noise(t, "two random letters", 'a', 2);
        noise(t, "random bytes", 0, 256);
    }
    wd_tokenizer_free(t);
    return 0;
}
