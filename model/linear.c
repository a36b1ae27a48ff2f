/* model/linear.c - y = x W^T: how the work is cut into pieces for the team, the kernels and BLAS.
 */
#include "model/linear.h"
#include "model/kernels.h"
#include <assert.h>
#include <cblas.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Activation rows up to which a kernel is faster than unpacking and BLAS; tools/bench_linear.c. */
#define MOST_F32_ROWS 12
#define MOST_HALF_ROWS 48                   /* F16, BF16, and blocks when exact */
#define MOST_BLOCK_ROWS WD_LINEAR_SAME_BITS /* also how many are rounded at a time */

#define STRIP_BYTES (128 << 10) /* weights the second cache keeps while groups of rows pass */
#define TILE_OUT 128            /* unpacked for BLAS: weight rows ... */
#define TILE_IN 1024            /* ... and columns, a multiple of every block */
#define ALONE (48 << 10)        /* products below which waking the team costs more than it saves */
#define CUT 8 /* shares and strips are multiples of what the kernels take at once */

struct wd_linear {
    struct wd_threads *threads;
    const struct wd_kernels *kernels;
    uint32_t max_in, max_rows;
    int exact;
    size_t tile_floats; /* of one member */
    int16_t *xq;        /* [MOST_BLOCK_ROWS][max_in] */
    float *xs;          /* [MOST_BLOCK_ROWS][max_in / 32] */
    float *tiles;       /* [members][tile_floats] */
};

/* One call, as every member sees it. */
struct job {
    struct wd_linear *l;
    const struct wd_matrix *w;
    size_t w_row_bytes;
    const float *x;
    size_t x_stride;
    size_t n_rows;
    float *y;
    size_t y_stride;
};

static size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int is_blocks(enum wd_type type)
{
    return wd_type_block(type) > 1;
}

/* Has it a kernel that multiplies in whole numbers? */
static int by_numbers(enum wd_type type)
{
    return type == WD_TYPE_Q4_0 || type == WD_TYPE_Q8_0;
}

static void *aligned(size_t bytes)
{
    void *p;

    bytes = (bytes + 63) & ~(size_t)63;
    p = aligned_alloc(64, bytes ? bytes : 64);
    if (p)
        memset(p, 0, bytes); /* the pages are there before the first token */
    return p;
}

/* BLAS sets up its own buffers on a thread's first product. */
static void first_product(void *ctx, unsigned member, unsigned count)
{
    struct wd_linear *l = ctx;
    float *t = l->tiles + member * l->tile_floats;

    (void)count;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, 64, 64, 64, 1, t, 64, t, 64, 0, t + 4096,
                64);
    memset(t, 0, 8192 * sizeof *t);
}

int wd_linear_new(struct wd_threads *threads, const struct wd_kernels *kernels, uint32_t max_in,
                  uint32_t max_rows, struct wd_linear **ret, struct wd_err *err)
{
    struct wd_linear *l;
    size_t rounded = lesser(max_rows, MOST_BLOCK_ROWS);

    if (!kernels)
        kernels = wd_kernels_best();
    if (!kernels->usable())
        return wd_err_set(err, -ENOTSUP, "kernels: this processor cannot run \"%s\"",
                          kernels->name);
    l = calloc(1, sizeof *l);
    if (!l)
        return wd_err_set(err, -ENOMEM, "linear: out of memory");
    l->threads = threads;
    l->kernels = kernels;
    l->max_in = max_in;
    l->max_rows = max_rows;
    l->tile_floats = (size_t)TILE_OUT * TILE_IN;
    if (l->tile_floats < CUT * (size_t)max_in)
        l->tile_floats = (CUT * (size_t)max_in + 15) & ~(size_t)15;
    l->xq = aligned(rounded * max_in * sizeof *l->xq);
    l->xs = aligned(rounded * (max_in / WD_Q16_BLOCK) * sizeof *l->xs);
    l->tiles = aligned(wd_threads_count(threads) * l->tile_floats * sizeof *l->tiles);
    if (!l->xq || !l->xs || !l->tiles) {
        wd_linear_free(l);
        return wd_err_set(err, -ENOMEM, "linear: out of memory");
    }
    openblas_set_num_threads(1);
    wd_threads_run(threads, first_product, l);
    *ret = l;
    return 0;
}

struct wd_linear *wd_linear_free(struct wd_linear *l)
{
    if (!l)
        return NULL;
    free(l->xq);
    free(l->xs);
    free(l->tiles);
    free(l);
    return NULL;
}

void wd_linear_set_exact(struct wd_linear *l, int exact)
{
    l->exact = exact;
}

const struct wd_kernels *wd_linear_kernels(const struct wd_linear *l)
{
    return l->kernels;
}

/* The output rows of a member: always the same of a matrix, so that each keeps to its own pages. */
static void share_of(const struct job *j, unsigned member, unsigned count, size_t *ret_lo,
                     size_t *ret_hi)
{
    size_t cuts = ((size_t)j->w->n_out + CUT - 1) / CUT;

    *ret_lo = lesser(cuts * member / count * CUT, j->w->n_out);
    *ret_hi = lesser(cuts * (member + 1) / count * CUT, j->w->n_out);
}

static const unsigned char *weight_row(const struct job *j, size_t o)
{
    return (const unsigned char *)j->w->data + o * j->w_row_bytes;
}

static void float_rows(const struct wd_kernels *k, enum wd_type type, const void *w,
                       size_t w_row_bytes, size_t n_out, size_t n_in, const float *x,
                       size_t x_stride, size_t n_rows, float *y, size_t y_stride)
{
    if (type == WD_TYPE_F16)
        k->rows_f16(w, w_row_bytes, n_out, n_in, x, x_stride, n_rows, y, y_stride);
    else if (type == WD_TYPE_BF16)
        k->rows_bf16(w, w_row_bytes, n_out, n_in, x, x_stride, n_rows, y, y_stride);
    else
        k->rows_f32(w, w_row_bytes, n_out, n_in, x, x_stride, n_rows, y, y_stride);
}

/* Strip by strip of weights, group by group of activation rows; the groups are of nearly one size.
 */
static void sweep(void *ctx, unsigned member, unsigned count)
{
    const struct job *j = ctx;
    const struct wd_kernels *k = j->l->kernels;
    size_t lo, hi, n_in = j->w->n_in, n_blocks = n_in / WD_Q16_BLOCK;
    size_t groups = (j->n_rows + WD_KERNEL_MAX_ROWS - 1) / WD_KERNEL_MAX_ROWS;
    size_t strip = groups > 1 ? STRIP_BYTES / j->w_row_bytes / CUT * CUT : j->w->n_out;

    share_of(j, member, count, &lo, &hi);
    if (strip < CUT)
        strip = CUT;
    for (size_t o = lo; o < hi; o += strip)
        for (size_t g = 0; g < groups; g++) {
            size_t r = j->n_rows * g / groups, n = j->n_rows * (g + 1) / groups - r;
            size_t n_out = lesser(strip, hi - o);
            float *y = j->y + r * j->y_stride + o;

            if (!is_blocks(j->w->type))
                float_rows(k, j->w->type, weight_row(j, o), j->w_row_bytes, n_out, n_in,
                           j->x + r * j->x_stride, j->x_stride, n, y, j->y_stride);
            else if (j->l->exact || !by_numbers(j->w->type))
                k->rows_packed(j->w->type, weight_row(j, o), j->w_row_bytes, n_out, n_in,
                               j->x + r * j->x_stride, j->x_stride, n, y, j->y_stride);
            else if (j->w->type == WD_TYPE_Q4_0)
                k->rows_q4_0(weight_row(j, o), j->w_row_bytes, n_out, n_in, j->l->xq + r * n_in,
                             j->l->xs + r * n_blocks, n, y, j->y_stride);
            else
                k->rows_q8_0(weight_row(j, o), j->w_row_bytes, n_out, n_in, j->l->xq + r * n_in,
                             j->l->xs + r * n_blocks, n, y, j->y_stride);
        }
}

static void round_rows(void *ctx, unsigned member, unsigned count)
{
    const struct job *j = ctx;
    const struct wd_kernels *k = j->l->kernels;
    size_t n_in = j->w->n_in;

    for (size_t r = j->n_rows * member / count; r < j->n_rows * (member + 1) / count; r++) {
        int16_t *xq = j->l->xq + r * n_in;

        k->round_q16(j->x + r * j->x_stride, n_in, xq, j->l->xs + r * (n_in / WD_Q16_BLOCK));
        if (k->arrange_q16)
            k->arrange_q16(xq, n_in);
    }
}

/* F32 weights go to BLAS as they lie; others tile by tile, its sums growing over the columns. */
static void by_blas(void *ctx, unsigned member, unsigned count)
{
    const struct job *j = ctx;
    float *tile = j->l->tiles + member * j->l->tile_floats;
    size_t lo, hi, n_in = j->w->n_in, block = wd_type_block(j->w->type);
    size_t block_bytes = wd_type_block_bytes(j->w->type);

    share_of(j, member, count, &lo, &hi);
    if (j->w->type == WD_TYPE_F32) {
        if (hi > lo)
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)j->n_rows,
                        (blasint)(hi - lo), (blasint)n_in, 1, j->x, (blasint)j->x_stride,
                        (const float *)(const void *)weight_row(j, lo), (blasint)n_in, 0, j->y + lo,
                        (blasint)j->y_stride);
        return;
    }
    for (size_t o = lo; o < hi; o += TILE_OUT)
        for (size_t i = 0; i < n_in; i += TILE_IN) {
            size_t n_out = lesser(TILE_OUT, hi - o), n = lesser(TILE_IN, n_in - i);

            for (size_t k = 0; k < n_out; k++)
                j->l->kernels->unpack(j->w->type, weight_row(j, o + k) + i / block * block_bytes,
                                      tile + k * n, n);
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)j->n_rows, (blasint)n_out,
                        (blasint)n, 1, j->x + i, (blasint)j->x_stride, tile, (blasint)n, i ? 1 : 0,
                        j->y + o, (blasint)j->y_stride);
        }
}

static size_t most_rows(const struct wd_linear *l, enum wd_type type)
{
    if (type == WD_TYPE_F32)
        return MOST_F32_ROWS;
    return by_numbers(type) && !l->exact ? MOST_BLOCK_ROWS : MOST_HALF_ROWS;
}

void wd_linear_apply(struct wd_linear *l, const struct wd_matrix *w, const float *x,
                     size_t x_stride, size_t n_rows, float *y, size_t y_stride)
{
    struct job j = {l, w, wd_type_row_bytes(w->type, w->n_in), x, x_stride, n_rows, y, y_stride};
    int alone;

    assert(w->n_in && w->n_in <= l->max_in && n_rows <= l->max_rows);
    if (!n_rows || !w->n_out)
        return;
    alone = (uint64_t)w->n_in * w->n_out * n_rows < ALONE;
    if (n_rows > most_rows(l, w->type)) {
        wd_threads_run(alone ? NULL : l->threads, by_blas, &j);
    } else if (!by_numbers(w->type) || l->exact) {
        wd_threads_run(alone ? NULL : l->threads, sweep, &j);
    } else {
        wd_threads_run(n_rows * w->n_in < ALONE ? NULL : l->threads, round_rows, &j);
        wd_threads_run(alone ? NULL : l->threads, sweep, &j);
    }
}
