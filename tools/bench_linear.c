/* tools/bench_linear.c - how fast this machine multiplies with the matrices of the 12B, beside how
 * fast it reads memory. bench_linear [threads [table]]; `make tools/bench_linear`. */
#include "model/kernels.h"
#include "model/linear.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST_ROWS 64
#define LEAST_NS 150000000 /* of each measurement */
#define TURNS 5            /* of which the median is printed */

static const struct {
    uint32_t n_out, n_in;
} shapes[] = {{15360, 3840}, {3840, 15360}, {4096, 3840}};
static const enum wd_type types[] = {
    WD_TYPE_Q4_0, WD_TYPE_Q8_0, WD_TYPE_Q4_1,   WD_TYPE_Q5_0,   WD_TYPE_Q5_1,
    WD_TYPE_Q4_K, WD_TYPE_Q5_K, WD_TYPE_Q6_K,   WD_TYPE_Q3_K,   WD_TYPE_Q2_K,
    WD_TYPE_IQ4_NL, WD_TYPE_IQ4_XS, WD_TYPE_BF16, WD_TYPE_F16, WD_TYPE_F32};
static const size_t rows[] = {1, 2, 4, 8, 12, 16, 25, 64};

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Seconds of one call, the median of TURNS. */
static double seconds_of(void (*fn)(void *ctx), void *ctx)
{
    double turn[TURNS];

    fn(ctx);
    for (int t = 0; t < TURNS; t++) {
        int64_t start = now_ns(), passed;
        int n = 0;

        do {
            fn(ctx);
            n++;
            passed = now_ns() - start;
        } while (passed < LEAST_NS);
        turn[t] = (double)passed / 1e9 / n;
    }
    qsort(turn, TURNS, sizeof *turn, by_size);
    return turn[TURNS / 2];
}

struct product {
    struct wd_linear *l;
    struct wd_matrix w[2]; /* in turn: more than the caches hold */
    const float *x;
    float *y;
    size_t n_rows;
    unsigned turn;
};

static void multiply(void *ctx)
{
    struct product *p = ctx;
    const struct wd_matrix *w = &p->w[p->turn++ % 2];

    wd_linear_apply(p->l, w, p->x, w->n_in, p->n_rows, p->y, w->n_out);
}

struct reading {
    struct wd_threads *threads;
    const uint64_t *data;
    size_t n;
    uint64_t sum[256];
};

static void read_part(void *ctx, unsigned member, unsigned count)
{
    struct reading *r = ctx;
    uint64_t s[8] = {0};

    for (size_t i = r->n / 8 * member / count; i < r->n / 8 * (member + 1) / count; i++)
        for (size_t k = 0; k < 8; k++)
            s[k] += r->data[8 * i + k];
    r->sum[member] = s[0] + s[1] + s[2] + s[3] + s[4] + s[5] + s[6] + s[7];
}

static void read_all(void *ctx)
{
    struct reading *r = ctx;

    wd_threads_run(r->threads, read_part, r);
}

static void bench(struct product *p, enum wd_type type, uint32_t n_out, uint32_t n_in,
                  unsigned char *data)
{
    size_t bytes = wd_type_row_bytes(type, n_in) * n_out;

    for (int i = 0; i < 2; i++)
        p->w[i] = (struct wd_matrix){type, n_out, n_in, data + (size_t)i * bytes};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double s;

        p->n_rows = rows[i];
        s = seconds_of(multiply, p);
        printf("%-6s %5u x %-5u %-5s rows %2zu  %8.3f ms  %6.2f GB/s  %6.1f GFLOP/s\n",
               wd_linear_kernels(p->l)->name, n_out, n_in, wd_type_name(type), rows[i], s * 1e3,
               (double)bytes / s / 1e9, 2.0 * n_out * n_in * (double)rows[i] / s / 1e9);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    size_t room = 2 * (size_t)15360 * 3840 * 4, n_x = (size_t)MOST_ROWS * 15360;
    unsigned char *data = malloc(room);
    float *x = malloc(n_x * sizeof *x), *y = malloc(n_x * sizeof *y);
    static struct reading reading;
    struct wd_threads *threads = NULL;
    struct wd_err err = {0};
    uint32_t seed = 1;

    if (!data || !x || !y)
        return 1;
    if (wd_threads_new(argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0, &threads, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    for (size_t i = 0; i < n_x; i++)
        x[i] = (float)(int32_t)(seed = seed * 1664525u + 1013904223u) * 0x1p-31f;
    /* Numbers of no meaning but small: every byte 0x2x, which is a sound f16, bf16, f32 and scale.
     */
    for (size_t i = 0; i < room; i++)
        data[i] = (unsigned char)(0x20 | (i * 7 & 15));
    reading = (struct reading){threads, (const uint64_t *)(const void *)data, room / 8, {0}};
    printf("%u threads; reading memory: %.2f GB/s\n", wd_threads_count(threads),
           (double)room / seconds_of(read_all, &reading) / 1e9);
    for (const struct wd_kernels *const *k = wd_kernels_all(); *k; k++) {
        struct product p = {.x = x, .y = y};

        if (!(*k)->usable() || (argc > 2 && strcmp(argv[2], (*k)->name) != 0))
            continue;
        if (wd_linear_new(threads, *k, 15360, MOST_ROWS, &p.l, &err) < 0) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        for (size_t t = 0; t < sizeof types / sizeof *types; t++)
            for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
                bench(&p, types[t], shapes[s].n_out, shapes[s].n_in, data);
        wd_linear_free(p.l);
    }
    wd_threads_free(threads);
    free(data);
    free(x);
    free(y);
    return 0;
}
