/* tests/model/kernels_check.c - odd shapes, odd addresses, a guard word behind every output. */
#include "tests/model/kernels_check.h"
#include "tests/model/random_blocks.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUARD 12345.5f

static const enum wd_type float_types[] = {WD_TYPE_F32, WD_TYPE_F16, WD_TYPE_BF16};
static const enum wd_type block_types[] = {WD_TYPE_Q8_0, WD_TYPE_Q4_0}; /* in whole numbers */
static const enum wd_type packed_types[] = RANDOM_BLOCK_TYPES;          /* in f32 */
#define N_PACKED (sizeof packed_types / sizeof *packed_types)

static uint64_t next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* In [-1, 1). */
static float uniform(uint64_t *s)
{
    return (float)(int32_t)(next(s) >> 32) * 0x1p-31f;
}

static void fill(uint64_t *s, float *x, size_t n, float size)
{
    for (size_t i = 0; i < n; i++)
        x[i] = size * uniform(s);
}

/* Exactly n bytes at an address that is odd for the given alignment, so that a checker sees reads
 * beyond either end. */
static void *room(size_t n, size_t align, void **ret_base)
{
    unsigned char *base = malloc(n + align);

    if (!base)
        abort();
    *ret_base = base;
    return base + align;
}

static unsigned wrong(const struct wd_kernels *k, const char *what, unsigned failed, double got,
                      double want, size_t a, size_t b, size_t c)
{
    if (!failed)
        fprintf(stderr, "%s: %s: got %.9g, not %.9g (shape %zu x %zu, row or index %zu)\n", k->name,
                what, got, want, a, b, c);
    return failed + 1;
}

/* A matrix with activations and results: weights at an odd address, outputs between guard words. */
struct product {
    enum wd_type type;
    size_t n_out, n_in, n_rows, x_stride, y_stride, w_row_bytes;
    void *w_base, *x_base, *xq_base, *xs_base, *y_base;
    unsigned char *w;
    float *dense; /* the weights as f32 */
    float *x, *xs, *y, *want;
    int16_t *xq;
};

static void product_init(struct product *p, enum wd_type type, size_t n_out, size_t n_in,
                         size_t n_rows, uint64_t *s)
{
    size_t pad = next(s) % 3 * 2; /* between rows of weights */

    *p = (struct product){.type = type, .n_out = n_out, .n_in = n_in, .n_rows = n_rows};
    p->x_stride = n_in + next(s) % 5;
    p->y_stride = n_out + 1 + next(s) % 3;
    p->w_row_bytes = wd_type_row_bytes(type, n_in) + (type == WD_TYPE_F32 ? 2 * pad : pad);
    p->w = room((n_out - 1) * p->w_row_bytes + wd_type_row_bytes(type, n_in),
                type == WD_TYPE_F32       ? 4
                : wd_type_block(type) > 1 ? 1
                                          : 2,
                &p->w_base);
    p->x = room(((n_rows - 1) * p->x_stride + n_in) * sizeof(float), 4, &p->x_base);
    p->xq = room(n_rows * n_in * sizeof(int16_t), 2, &p->xq_base);
    p->xs = room(n_rows * (n_in / WD_Q16_BLOCK) * sizeof(float), 4, &p->xs_base);
    p->y = room(n_rows * p->y_stride * sizeof(float), 4, &p->y_base);
    p->want = calloc(n_rows * p->y_stride, sizeof(float));
    p->dense = calloc(n_out * n_in, sizeof(float));
    if (!p->want || !p->dense)
        abort();
    fill(s, p->x, (n_rows - 1) * p->x_stride + n_in, 3);
    fill(s, p->dense, n_out * n_in, 0.5f);
    for (size_t o = 0; o < n_out; o++) {
        if (wd_type_block(type) > 1)
            random_blocks(type, p->w + o * p->w_row_bytes, n_in, s);
        else
            wd_quant_pack(type, p->dense + o * n_in, p->w + o * p->w_row_bytes, n_in);
        wd_quant_unpack(type, p->w + o * p->w_row_bytes, p->dense + o * n_in, n_in);
    }
    for (size_t i = 0; i < n_rows * p->y_stride; i++)
        p->y[i] = p->want[i] = GUARD;
    if (wd_type_block(type) > 1)
        for (size_t r = 0; r < n_rows; r++)
            wd_kernels_find("ref")->round_q16(p->x + r * p->x_stride, n_in, p->xq + r * n_in,
                                              p->xs + r * (n_in / WD_Q16_BLOCK));
}

static void product_done(struct product *p)
{
    free(p->w_base);
    free(p->x_base);
    free(p->xq_base);
    free(p->xs_base);
    free(p->y_base);
    free(p->want);
    free(p->dense);
}

/* A copy of n rows of xq in the table's order. */
static int16_t *arranged(const struct wd_kernels *k, const int16_t *xq, size_t n_in, size_t n,
                         void **ret_base)
{
    int16_t *copy = room(n * n_in * sizeof *copy, 2, ret_base);

    memcpy(copy, xq, n * n_in * sizeof *copy);
    for (size_t r = 0; k->arrange_q16 && r < n; r++)
        k->arrange_q16(copy + r * n_in, n_in);
    return copy;
}

/* The same as product_run() for any block type, in f32. */
static void product_run_packed(const struct product *p, const struct wd_kernels *k, float *y,
                               size_t from, size_t n)
{
    k->rows_packed(p->type, p->w, p->w_row_bytes, p->n_out, p->n_in, p->x + from * p->x_stride,
                   p->x_stride, n, y + from * p->y_stride, p->y_stride);
}

/* Rows [from, from + n). */
static void product_run(const struct product *p, const struct wd_kernels *k, float *y, size_t from,
                        size_t n)
{
    const float *x = p->x + from * p->x_stride, *xs = p->xs + from * (p->n_in / WD_Q16_BLOCK);
    int16_t *xq = NULL;
    void *xq_base = NULL;

    if (wd_type_block(p->type) > 1)
        xq = arranged(k, p->xq + from * p->n_in, p->n_in, n, &xq_base);
    y += from * p->y_stride;
    switch (p->type) {
    case WD_TYPE_F32:
        k->rows_f32(p->w, p->w_row_bytes, p->n_out, p->n_in, x, p->x_stride, n, y, p->y_stride);
        break;
    case WD_TYPE_F16:
        k->rows_f16(p->w, p->w_row_bytes, p->n_out, p->n_in, x, p->x_stride, n, y, p->y_stride);
        break;
    case WD_TYPE_BF16:
        k->rows_bf16(p->w, p->w_row_bytes, p->n_out, p->n_in, x, p->x_stride, n, y, p->y_stride);
        break;
    case WD_TYPE_Q8_0:
        k->rows_q8_0(p->w, p->w_row_bytes, p->n_out, p->n_in, xq, xs, n, y, p->y_stride);
        break;
    case WD_TYPE_Q4_0:
        k->rows_q4_0(p->w, p->w_row_bytes, p->n_out, p->n_in, xq, xs, n, y, p->y_stride);
        break;
    default:
        abort();
    }
    free(xq_base);
}

/* |w| . |x|: what rounding errors of a sum are measured by. */
static double size_of(const struct product *p, size_t r, size_t o)
{
    double s = 0;

    for (size_t i = 0; i < p->n_in; i++)
        s += fabs((double)p->dense[o * p->n_in + i] * (double)p->x[r * p->x_stride + i]);
    return s;
}

static unsigned check_product(const struct wd_kernels *k, enum wd_type type, size_t n_out,
                              size_t n_in, size_t n_rows, uint64_t *s)
{
    struct product p;
    unsigned failed = 0;

    product_init(&p, type, n_out, n_in, n_rows, s);
    product_run(&p, wd_kernels_find("ref"), p.want, 0, n_rows);
    product_run(&p, k, p.y, 0, n_rows);
    for (size_t r = 0; r < n_rows; r++)
        for (size_t o = 0; o < p.y_stride; o++) {
            float got = p.y[r * p.y_stride + o], want = p.want[r * p.y_stride + o];
            double most = o < n_out ? 1e-6 * size_of(&p, r, o) + 1e-30 : 0;

            if (!(fabs((double)got - (double)want) <= most))
                failed =
                    wrong(k, wd_type_name(type), failed, (double)got, (double)want, n_out, n_in, r);
        }
    product_done(&p);
    return failed;
}

unsigned kernels_check_floats(const struct wd_kernels *k, uint64_t seed)
{
    static const size_t outs[] = {1, 2, 3, 4, 5, 7, 9};
    static const size_t ins[] = {1,  3,  7,  8,   9,   15,  16,  17, 31,
                                 32, 33, 64, 255, 256, 257, 300, 519};
    unsigned failed = 0;

    for (size_t t = 0; t < 3; t++)
        for (size_t o = 0; o < sizeof outs / sizeof *outs; o++)
            for (size_t i = 0; i < sizeof ins / sizeof *ins; i++)
                for (size_t r = 1; r <= WD_KERNEL_MAX_ROWS; r++)
                    failed += check_product(k, float_types[t], outs[o], ins[i], r, &seed);
    return failed;
}

unsigned kernels_check_blocks(const struct wd_kernels *k, uint64_t seed)
{
    static const size_t outs[] = {1, 2, 3, 4, 5, 7, 9};
    static const size_t ins[] = {32, 64, 96, 224, 256, 288, 480, 512, 544, 1056};
    unsigned failed = 0;

    for (size_t t = 0; t < 2; t++)
        for (size_t o = 0; o < sizeof outs / sizeof *outs; o++)
            for (size_t i = 0; i < sizeof ins / sizeof *ins; i++)
                for (size_t r = 1; r <= WD_KERNEL_MAX_ROWS; r++)
                    failed += check_product(k, block_types[t], outs[o], ins[i], r, &seed);
    return failed;
}

/* Against the sum in double over the unpacked weights; and a row alone against the same row among
 * others, to the bit. */
static unsigned check_packed(const struct wd_kernels *k, enum wd_type type, size_t n_out,
                             size_t n_in, size_t n_rows, uint64_t *s)
{
    struct product p;
    unsigned failed = 0;

    product_init(&p, type, n_out, n_in, n_rows, s);
    product_run_packed(&p, k, p.y, 0, n_rows);
    for (size_t r = 0; r < n_rows; r++) {
        for (size_t o = 0; o < n_out; o++) {
            double want = 0;
            float got = p.y[r * p.y_stride + o];

            for (size_t i = 0; i < n_in; i++)
                want += (double)p.dense[o * n_in + i] * (double)p.x[r * p.x_stride + i];
            if (!(fabs((double)got - want) <= 1e-6 * size_of(&p, r, o) + 1e-30))
                failed = wrong(k, wd_type_name(type), failed, (double)got, want, n_out, n_in, r);
        }
        product_run_packed(&p, k, p.want, r, 1);
    }
    for (size_t i = 0; i < n_rows * p.y_stride; i++) /* the guards between the rows, too */
        if (memcmp(&p.y[i], &p.want[i], sizeof *p.y) != 0)
            failed = wrong(k, "packed, alone and among others", failed, (double)p.y[i],
                           (double)p.want[i], n_rows, n_in, i);
    product_done(&p);
    return failed;
}

unsigned kernels_check_packed(const struct wd_kernels *k, uint64_t seed)
{
    static const size_t outs[] = {1, 3, 7, 8, 9, 17};
    static const size_t ins[] = {32, 96, 224, 256, 288, 512, 544, 768, 1056, 1280};
    unsigned failed = 0;

    for (size_t t = 0; t < N_PACKED; t++)
        for (size_t i = 0; i < sizeof ins / sizeof *ins; i++)
            for (size_t r = ins[i] % wd_type_block(packed_types[t]) ? WD_KERNEL_MAX_ROWS + 1 : 1;
                 r <= WD_KERNEL_MAX_ROWS; r++)
                failed += check_packed(k, packed_types[t], outs[(i + r) % 6], ins[i], r, &seed);
    return failed;
}

/* One activation at a time, all bits of it in turn, meets its own weight: of the exact product
 * nothing is lost. */
unsigned kernels_check_places(const struct wd_kernels *k, uint64_t seed)
{
    static const int16_t values[] = {1,   -1,   127,  -128, 128,    -129,   255,
                                     256, -256, -257, 511,  -32767, -32640, 32767};
    static const size_t ins[] = {32, 96, 128, 160, 384, 480, 512, 736};
    unsigned failed = 0;

    for (size_t t = 0; t < 2; t++)
        for (size_t i = 0; i < sizeof ins / sizeof *ins; i++)
            for (size_t n_rows = 1; n_rows <= 6; n_rows++) {
                struct product p;
                size_t block_bytes = wd_type_block_bytes(block_types[t]);

                product_init(&p, block_types[t], 3, ins[i], n_rows, &seed);
                for (size_t o = 0; o < 3; o++) {
                    unsigned char *w = p.w + o * p.w_row_bytes;

                    for (size_t b = 0; b < ins[i] / WD_Q16_BLOCK; b++, w += block_bytes) {
                        const uint16_t one = 0x3c00;

                        memcpy(w, &one, sizeof one);
                        for (size_t at = 2; at < block_bytes; at++) /* -128 and 127 too */
                            w[at] = (unsigned char)(next(&seed) >> 40);
                    }
                    wd_quant_unpack(p.type, p.w + o * p.w_row_bytes, p.dense + o * ins[i], ins[i]);
                }
                for (size_t b = 0; b < n_rows * (ins[i] / WD_Q16_BLOCK); b++)
                    p.xs[b] = 1;
                for (size_t at = 0; at < ins[i]; at++) {
                    memset(p.xq, 0, n_rows * ins[i] * sizeof *p.xq);
                    for (size_t r = 0; r < n_rows; r++)
                        p.xq[r * ins[i] + (at + r) % ins[i]] =
                            values[(at + r) % (sizeof values / sizeof *values)];
                    product_run(&p, k, p.y, 0, n_rows);
                    for (size_t r = 0; r < n_rows; r++)
                        for (size_t o = 0; o < 3; o++) {
                            size_t j = (at + r) % ins[i];
                            double want = (double)p.dense[o * ins[i] + j] * p.xq[r * ins[i] + j];
                            float got = p.y[r * p.y_stride + o];

                            if (!((double)got == want))
                                failed = wrong(k, "one activation", failed, (double)got, want,
                                               n_rows, ins[i], j);
                        }
                }
                product_done(&p);
            }
    return failed;
}

/* The largest weights and activations, of one sign and of both: nothing runs over. */
unsigned kernels_check_extremes(const struct wd_kernels *k, uint64_t seed)
{
    unsigned failed = 0;

    for (size_t t = 0; t < 2; t++)
        for (int turn = 0; turn < 16; turn++)
            for (size_t n_rows = 1; n_rows <= 6; n_rows++) {
                struct product p;
                const uint16_t one = 0x3c00;
                size_t block_bytes = wd_type_block_bytes(block_types[t]);

                product_init(&p, block_types[t], 1, 224, n_rows, &seed);
                for (size_t b = 0; b < 7; b++) {
                    unsigned char *w = p.w + b * block_bytes;

                    memcpy(w, &one, sizeof one);
                    for (size_t at = 2; at < block_bytes; at++) {
                        int low = turn & 4 ? (int)(next(&seed) >> 40 & 1) : turn & 1;

                        w[at] = t ? (low ? 0x00 : 0xff) : (low ? 0x80 : 0x7f);
                    }
                }
                wd_quant_unpack(p.type, p.w, p.dense, 224);
                for (size_t j = 0; j < n_rows * 224; j++) {
                    int low = turn & 8 ? (int)(next(&seed) >> 40 & 1) : turn & 2;

                    p.xq[j] = low ? -32767 : 32767;
                }
                for (size_t b = 0; b < n_rows * 7; b++)
                    p.xs[b] = 1;
                product_run(&p, k, p.y, 0, n_rows);
                for (size_t r = 0; r < n_rows; r++) {
                    double want = 0, size = 0;

                    for (size_t j = 0; j < 224; j++) {
                        want += (double)p.dense[j] * p.xq[r * 224 + j];
                        size += fabs((double)p.dense[j] * p.xq[r * 224 + j]);
                    }
                    if (!(fabs((double)p.y[r * p.y_stride] - want) <= 5e-7 * size))
                        failed = wrong(k, "extremes", failed, (double)p.y[r * p.y_stride], want, t,
                                       n_rows, r);
                }
                product_done(&p);
            }
    return failed;
}

/* What a row gives must not hang on how many others it came with. */
unsigned kernels_check_same_bits(const struct wd_kernels *k, uint64_t seed)
{
    static const enum wd_type types[] = {WD_TYPE_F32, WD_TYPE_F16, WD_TYPE_BF16, WD_TYPE_Q8_0,
                                         WD_TYPE_Q4_0};
    unsigned failed = 0;

    for (size_t t = 0; t < 5; t++)
        for (size_t n_rows = 2; n_rows <= WD_KERNEL_MAX_ROWS; n_rows++) {
            size_t n_in = t < 3 ? 333 : 352;
            struct product p;

            product_init(&p, types[t], 6, n_in, n_rows, &seed);
            product_run(&p, k, p.y, 0, n_rows);
            for (size_t r = 0; r < n_rows; r++)
                product_run(&p, k, p.want, r, 1);
            for (size_t i = 0; i < n_rows * p.y_stride; i++)
                if (memcmp(&p.y[i], &p.want[i], sizeof *p.y) != 0)
                    failed = wrong(k, "alone and among others", failed, (double)p.y[i],
                                   (double)p.want[i], n_rows, n_in, i);
            product_done(&p);
        }
    return failed;
}

/* A NaN in one row of weights or activations spoils what it enters, nothing else. */
unsigned kernels_check_nan(const struct wd_kernels *k, uint64_t seed)
{
    static const enum wd_type types[] = {WD_TYPE_F32, WD_TYPE_F16, WD_TYPE_BF16, WD_TYPE_Q8_0,
                                         WD_TYPE_Q4_0};
    unsigned failed = 0;

    for (size_t t = 0; t < 5; t++)
        for (size_t n_rows = 1; n_rows <= WD_KERNEL_MAX_ROWS; n_rows++) {
            struct product p;
            const uint16_t nan16 = types[t] == WD_TYPE_BF16 ? 0x7fc0 : 0x7e00;
            const float nan32 = NAN;

            product_init(&p, types[t], 5, 96, n_rows, &seed);
            if (types[t] == WD_TYPE_F32)
                memcpy(p.w + 2 * p.w_row_bytes, &nan32, sizeof nan32);
            else
                memcpy(p.w + 2 * p.w_row_bytes, &nan16, sizeof nan16);
            p.x[(n_rows - 1) * p.x_stride + 40] = NAN;
            if (wd_type_block(types[t]) > 1)
                k->round_q16(p.x + (n_rows - 1) * p.x_stride, 96, p.xq + (n_rows - 1) * 96,
                             p.xs + (n_rows - 1) * 3);
            product_run(&p, k, p.y, 0, n_rows);
            for (size_t r = 0; r < n_rows; r++)
                for (size_t o = 0; o < 5; o++) {
                    float got = p.y[r * p.y_stride + o];

                    if (!isnan(got) != !(o == 2 || r == n_rows - 1))
                        failed = wrong(k, "NaN", failed, (double)got, (double)NAN, o, r, 0);
                }
            product_done(&p);
        }
    return failed;
}

unsigned kernels_check_rounding(const struct wd_kernels *k, uint64_t seed)
{
    enum { N = 8 * WD_Q16_BLOCK };
    unsigned failed = 0;

    for (int turn = 0; turn < 50; turn++) {
        void *base;
        float *x = room(N * sizeof *x, 4, &base), xs[N / WD_Q16_BLOCK + 1],
              want_s[N / WD_Q16_BLOCK];
        int16_t q[N + 1], want[N];

        fill(&seed, x, N, turn % 2 ? 1e4f : 1e-3f);
        memset(x, 0, WD_Q16_BLOCK * sizeof *x);              /* silence */
        fill(&seed, x + WD_Q16_BLOCK, WD_Q16_BLOCK, 1e-38f); /* too small to divide by */
        x[2 * WD_Q16_BLOCK + turn % WD_Q16_BLOCK] = NAN;
        x[3 * WD_Q16_BLOCK + turn % WD_Q16_BLOCK] = turn % 2 ? INFINITY : -INFINITY;
        fill(&seed, x + 4 * WD_Q16_BLOCK, WD_Q16_BLOCK, 3.4e38f);
        q[N] = 77;
        xs[N / WD_Q16_BLOCK] = GUARD;
        k->round_q16(x, N, q, xs);
        wd_kernels_find("ref")->round_q16(x, N, want, want_s);
        for (size_t i = 0; i < N; i++)
            if (q[i] != want[i])
                failed = wrong(k, "round_q16", failed, q[i], want[i], i, 0, 0);
        for (size_t b = 0; b < N / WD_Q16_BLOCK; b++) {
            if (isnan(xs[b]) ? !isnan(want_s[b]) : !(xs[b] == want_s[b]))
                failed = wrong(k, "scale of round_q16", failed, (double)xs[b], (double)want_s[b], b,
                               0, 0);
            for (size_t i = b * WD_Q16_BLOCK; i < (b + 1) * WD_Q16_BLOCK && !isnan(xs[b]); i++)
                if (!(fabs((double)xs[b] * q[i] - (double)x[i]) <=
                      0.506 * (double)xs[b] + 1.01e-30))
                    failed = wrong(k, "back from round_q16", failed, (double)xs[b] * q[i],
                                   (double)x[i], i, 0, 0);
        }
        if (q[N] != 77 || xs[N / WD_Q16_BLOCK] != GUARD)
            failed = wrong(k, "guard of round_q16", failed, q[N], 77, 0, 0, 0);
        free(base);
    }
    return failed;
}

unsigned kernels_check_unpacking(const struct wd_kernels *k, uint64_t seed)
{
    static const enum wd_type types[] = {
        WD_TYPE_F32,  WD_TYPE_F16,  WD_TYPE_BF16,  WD_TYPE_Q8_0,  WD_TYPE_Q4_0,
        WD_TYPE_Q4_1, WD_TYPE_Q5_0, WD_TYPE_Q5_1,  WD_TYPE_Q2_K,  WD_TYPE_Q3_K,
        WD_TYPE_Q4_K, WD_TYPE_Q5_K, WD_TYPE_Q6_K, WD_TYPE_IQ4_NL, WD_TYPE_IQ4_XS};
    unsigned failed = 0;

    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (size_t n = 1; n <= 768; n++) {
            size_t bytes = wd_type_row_bytes(types[t], n);
            float got[769], want[769];
            unsigned char *src;
            void *base;

            if (!bytes)
                continue;
            src = room(bytes, types[t] == WD_TYPE_F32 ? 4 : 2, &base);
            for (size_t i = 0; i < bytes; i++) /* every bit pattern, NaN and infinity too */
                src[i] = (unsigned char)next(&seed);
            got[n] = want[n] = GUARD;
            k->unpack(types[t], src, got, n);
            wd_quant_unpack(types[t], src, want, n);
            for (size_t i = 0; i <= n; i++)
                if (isnan(want[i]) ? !isnan(got[i]) : !(got[i] == want[i]))
                    failed = wrong(k, wd_type_name(types[t]), failed, (double)got[i],
                                   (double)want[i], n, i, 0);
            free(base);
        }
    return failed;
}

unsigned kernels_check_steps(const struct wd_kernels *k, uint64_t seed)
{
    unsigned failed = 0;

    for (size_t n = 0; n <= 600; n += n < 70 ? 1 : 53) {
        void *base_a, *base_b;
        float *a = room(n * sizeof *a, 4, &base_a), *b = room(n * sizeof *b, 4, &base_b), y[601],
              f = uniform(&seed);
        double dot = 0, squares = 0, size = 0;

        fill(&seed, a, n, 2);
        fill(&seed, b, n, 2);
        for (size_t i = 0; i < n; i++) {
            dot += (double)a[i] * (double)b[i];
            size += fabs((double)a[i] * (double)b[i]);
            squares += (double)a[i] * (double)a[i];
        }
        if (!(fabs((double)k->dot(a, b, n) - dot) <= 1e-6 * size))
            failed = wrong(k, "dot", failed, (double)k->dot(a, b, n), dot, n, 0, 0);
        if (!(fabs((double)k->sum_squares(a, n) - squares) <= 1e-6 * squares))
            failed =
                wrong(k, "sum_squares", failed, (double)k->sum_squares(a, n), squares, n, 0, 0);
        memcpy(y, b, n * sizeof *y);
        y[n] = GUARD;
        k->axpy(f, a, y, n);
        for (size_t i = 0; i < n; i++)
            if (!(fabs((double)y[i] - ((double)b[i] + (double)f * (double)a[i])) <= 1e-6))
                failed = wrong(k, "axpy", failed, (double)y[i],
                               (double)b[i] + (double)f * (double)a[i], n, i, 0);
        memcpy(y, b, n * sizeof *y);
        k->scale(f, y, n);
        for (size_t i = 0; i < n; i++)
            if (!(y[i] == f * b[i]))
                failed = wrong(k, "scale", failed, (double)y[i], (double)(f * b[i]), n, i, 0);
        if (y[n] != GUARD)
            failed = wrong(k, "guard", failed, (double)y[n], (double)GUARD, n, 0, 0);
        free(base_a);
        free(base_b);
    }
    return failed;
}

static double gelu(double x)
{
    return x / (1 + exp(-2 * WD_GELU_ROOT * (x + WD_GELU_CUBE * x * x * x)));
}

unsigned kernels_check_gelu(const struct wd_kernels *k, uint64_t seed)
{
    static const float ends[] = {0.0f, -0.0f, 1e-30f, -1e-30f, 100,
                                 -100, 1e6f,  -1e6f,  1e11f,   -1e11f};
    unsigned failed = 0;

    for (size_t n = 0; n <= 1000; n += n < 40 ? 1 : 97) {
        float gate[1001], up[1001] = {0}, out[1001];

        fill(&seed, gate, n, n % 3 ? 3 : 12);
        fill(&seed, up, n, 2);
        for (size_t i = 0; i < n && i < sizeof ends / sizeof *ends; i++)
            gate[n - 1 - i] = ends[i];
        out[n] = gate[n] = GUARD;
        k->gelu_mul(gate, up, out, n);
        for (size_t i = 0; i < n; i++) {
            double g = gelu((double)gate[i]), want = g * (double)up[i];
            /* Two units in the last place, and what rounding u does to exp(-2u) where that
             * dominates. */
            double most =
                3e-7 * fabs(want) +
                1.2e-7 * fmin(fabs((double)gate[i]), 20) * fabs(want) * fabs((double)gate[i]) +
                5e-39 * fabs((double)gate[i] * (double)up[i]) + 1e-38;

            if (!(fabs((double)out[i] - want) <= most))
                failed = wrong(k, "gelu_mul", failed, (double)out[i], want, n, i, 0);
        }
        k->gelu_mul(gate, up, gate, n); /* in place */
        if (n && memcmp(gate, out, n * sizeof *gate) != 0)
            failed = wrong(k, "gelu_mul in place", failed, 0, 0, n, 0, 0);
        if (out[n] != GUARD || gate[n] != GUARD)
            failed = wrong(k, "guard of gelu_mul", failed, (double)out[n], (double)GUARD, n, 0, 0);
    }
    return failed;
}

unsigned kernels_check_exp(const struct wd_kernels *k, uint64_t seed)
{
    static float x[20001], want[20001];
    unsigned failed = 0;

    for (size_t n = 1; n <= 20000; n += n < 70 ? 1 : 3989) {
        double sum = 0;
        float max = -INFINITY, got;

        fill(&seed, x, n, n % 2 ? 60 : 4);
        if (n > 40) {
            x[3] = -INFINITY; /* a masked key */
            x[33] = -3e38f;
        }
        for (size_t i = 0; i < n; i++)
            max = x[i] > max ? x[i] : max;
        for (size_t i = 0; i < n; i++) {
            double e = exp((double)(x[i] - max));

            want[i] = (float)e;
            sum += e;
        }
        x[n] = GUARD;
        got = k->exp_sum(x, n, max);
        if (!(fabs((double)got - sum) <= 3e-7 * sum))
            failed = wrong(k, "sum of exp_sum", failed, (double)got, sum, n, 0, 0);
        for (size_t i = 0; i < n; i++)
            if (!(fabs((double)x[i] - (double)want[i]) <= 2.5e-7 * (double)want[i] + 1.3e-38))
                failed = wrong(k, "exp_sum", failed, (double)x[i], (double)want[i], n, i, 0);
        if (x[n] != GUARD)
            failed = wrong(k, "guard of exp_sum", failed, (double)x[n], (double)GUARD, n, 0, 0);
    }
    return failed;
}
