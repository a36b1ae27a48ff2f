/* pipeline/picture.c - one picture as the model wants it: RGB, sides multiples of 48, within a budget of patches. */
#include "pipeline/picture.h"
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SIDE 48

int wd_picture_size(uint32_t w, uint32_t h, uint32_t budget, uint32_t *ret_w, uint32_t *ret_h)
{
    double pixels = (double)budget * SIDE * SIDE, f, tw, th;

    if (!w || !h || !budget || budget > WD_PICTURE_MAX_PATCHES || w > WD_PICTURE_MAX_SIDE || h > WD_PICTURE_MAX_SIDE)
        return -EINVAL;
    f = sqrt(pixels / ((double)w * h));
    th = floor(f * h / SIDE) * SIDE;
    tw = floor(f * w / SIDE) * SIDE;
    if (th < 1 && tw < 1)
        return -EINVAL;
    if (th < 1) {
        th = SIDE;
        tw = fmin(floor((double)w / h) * SIDE, (double)budget * SIDE);
    } else if (tw < 1) {
        tw = SIDE;
        th = fmin(floor((double)h / w) * SIDE, (double)budget * SIDE);
    }
    if (th * tw > pixels)
        return -EINVAL;
    *ret_w = (uint32_t)tw;
    *ret_h = (uint32_t)th;
    return 0;
}

void wd_picture_over_white(const uint8_t *src, size_t stride, uint32_t w, uint32_t h, uint8_t *dst)
{
    for (uint32_t y = 0; y < h; y++) {
        const uint8_t *s = src + y * stride;

        for (uint32_t x = 0; x < w; x++, s += 4, dst += 3) {
            uint32_t share = s[3] * 128u; /* of the picture; white has the rest of 255 * 128 */
            uint8_t rgb[3];

            for (int c = 0; c < 3; c++) {
                uint32_t t = s[c] * share + 255 * (32640 - share) + 16384;

                rgb[c] = (uint8_t)((((t >> 8) + t) >> 8) >> 7);
            }
            memcpy(dst, rgb, 3);
        }
    }
}

void wd_picture_turn(const uint8_t *src, uint32_t w, uint32_t h, enum wd_picture_turn turn, int mirror, uint8_t *dst)
{
    bool across = turn == WD_PICTURE_TURN_90 || turn == WD_PICTURE_TURN_270;
    size_t dst_w = across ? h : w;

    for (uint32_t y = 0; y < h; y++) {
        for (uint32_t i = 0; i < w; i++) {
            uint32_t x = mirror ? w - 1 - i : i;
            size_t to_x = x, to_y = y;

            if (turn == WD_PICTURE_TURN_90) {
                to_x = h - 1 - y;
                to_y = x;
            } else if (turn == WD_PICTURE_TURN_180) {
                to_x = w - 1 - x;
                to_y = h - 1 - y;
            } else if (turn == WD_PICTURE_TURN_270) {
                to_x = y;
                to_y = w - 1 - x;
            }
            memcpy(dst + (to_y * dst_w + to_x) * 3, src + ((size_t)y * w + i) * 3, 3);
        }
    }
}

/* ---- resizing: two separable passes, across first, the picture between them rounded to bytes ---- */

/* What each output sample of one axis is made of. */
struct axis {
    uint32_t in, out;
    uint32_t cap; /* taps an output sample has room for */
    int prec;     /* taps are weights times 2^prec */
    uint32_t *first, *n;
    int16_t *taps; /* [out][cap] */
};

struct wd_picture_resizer {
    struct axis across, down;
    uint8_t *between; /* [h][dst_w][3] */
    size_t between_bytes;
    int32_t *sums; /* one row of dst */
    size_t n_sums;
};

static double cubic(double t)
{
    const double a = -0.5;

    t = fabs(t);
    if (t < 1)
        return ((a + 2) * t - (a + 3)) * t * t + 1;
    if (t < 2)
        return (((t - 5) * t + 8) * t - 4) * a;
    return 0;
}

static void axis_done(struct axis *a)
{
    free(a->first);
    free(a->n);
    free(a->taps);
    *a = (struct axis){0};
}

static void weigh(struct axis *a, double *w)
{
    double scale = (double)a->in / a->out, wide = fmax(scale, 1), support = 2 * wide, inv = 1 / wide, most = 0;

    for (uint32_t o = 0; o < a->out; o++) {
        double c = scale * (o + 0.5), sum = 0, *row = w + (size_t)o * a->cap;
        int64_t x0 = (int64_t)(c - support + 0.5), x1 = (int64_t)(c + support + 0.5);
        uint32_t n;

        x0 = x0 < 0 ? 0 : x0;
        x1 = x1 > (int64_t)a->in ? (int64_t)a->in : x1;
        n = x1 > x0 ? (uint32_t)(x1 - x0) : 0;
        if (n > a->cap)
            n = a->cap;
        for (uint32_t j = 0; j < n; j++) {
            row[j] = cubic(((double)(j + x0) - c + 0.5) * inv);
            sum += row[j];
        }
        for (uint32_t j = 0; j < n; j++) {
            if (sum < 0 || sum > 0)
                row[j] /= sum;
            most = fmax(most, row[j]);
        }
        a->first[o] = (uint32_t)x0;
        a->n[o] = n;
    }
    /* 0 in the reference; weights sum to 1, so it always ends far above */
    for (a->prec = 1; a->prec < 22 && (int64_t)(0.5 + most * (double)(INT64_C(2) << a->prec)) < 32768; a->prec++)
        ;
    for (uint32_t o = 0; o < a->out; o++) {
        for (uint32_t j = 0; j < a->n[o]; j++) {
            double v = w[(size_t)o * a->cap + j] * (double)(INT64_C(1) << a->prec);

            a->taps[(size_t)o * a->cap + j] = (int16_t)(v < 0 ? v - 0.5 : v + 0.5);
        }
    }
}

static int axis_set(struct axis *a, uint32_t in, uint32_t out)
{
    size_t cap = 2 * (size_t)ceil(2 * fmax((double)in / out, 1)) + 1;
    double *w;

    if (a->in == in && a->out == out)
        return 0;
    axis_done(a);
    w = malloc(out * cap * sizeof *w);
    a->first = malloc(out * sizeof *a->first);
    a->n = malloc(out * sizeof *a->n);
    a->taps = malloc(out * cap * sizeof *a->taps);
    if (!w || !a->first || !a->n || !a->taps) {
        free(w);
        axis_done(a);
        return -ENOMEM;
    }
    a->in = in;
    a->out = out;
    a->cap = (uint32_t)cap;
    weigh(a, w);
    free(w);
    return 0;
}

static uint8_t byte_of(int32_t sum, int prec)
{
    int32_t v = sum >> prec;

    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void resize_across(const struct axis *a, const uint8_t *src, size_t stride, uint32_t h, uint8_t *dst)
{
    const int32_t half = 1 << (a->prec - 1);

    for (uint32_t y = 0; y < h; y++, src += stride) {
        for (uint32_t o = 0; o < a->out; o++, dst += 3) {
            const int16_t *tap = a->taps + (size_t)o * a->cap;
            const uint8_t *s = src + (size_t)a->first[o] * 3;
            int32_t r = half, g = half, b = half;

            for (uint32_t j = 0; j < a->n[o]; j++, s += 3) {
                r += tap[j] * s[0];
                g += tap[j] * s[1];
                b += tap[j] * s[2];
            }
            dst[0] = byte_of(r, a->prec);
            dst[1] = byte_of(g, a->prec);
            dst[2] = byte_of(b, a->prec);
        }
    }
}

static void resize_down(const struct axis *a, const uint8_t *src, size_t stride, size_t row_bytes, int32_t *sums,
                        uint8_t *dst)
{
    for (uint32_t o = 0; o < a->out; o++, dst += row_bytes) {
        const int16_t *tap = a->taps + (size_t)o * a->cap;

        for (size_t i = 0; i < row_bytes; i++)
            sums[i] = 1 << (a->prec - 1);
        for (uint32_t j = 0; j < a->n[o]; j++) {
            const uint8_t *s = src + (size_t)(a->first[o] + j) * stride;
            int32_t t = tap[j];

            for (size_t i = 0; i < row_bytes; i++)
                sums[i] += t * s[i];
        }
        for (size_t i = 0; i < row_bytes; i++)
            dst[i] = byte_of(sums[i], a->prec);
    }
}

int wd_picture_resizer_new(struct wd_picture_resizer **ret, struct wd_err *err)
{
    struct wd_picture_resizer *r = calloc(1, sizeof *r);

    if (!r)
        return wd_err_set(err, -ENOMEM, "picture: out of memory");
    *ret = r;
    return 0;
}

struct wd_picture_resizer *wd_picture_resizer_free(struct wd_picture_resizer *r)
{
    if (r) {
        axis_done(&r->across);
        axis_done(&r->down);
        free(r->between);
        free(r->sums);
        free(r);
    }
    return NULL;
}

/* Room for what stands between the passes; it only grows. */
static int make_room(struct wd_picture_resizer *r, size_t bytes, size_t n_sums)
{
    if (bytes > r->between_bytes) {
        free(r->between);
        r->between_bytes = 0;
        r->between = malloc(bytes);
        if (!r->between)
            return -ENOMEM;
        r->between_bytes = bytes;
    }
    if (n_sums > r->n_sums) {
        free(r->sums);
        r->n_sums = 0;
        r->sums = malloc(n_sums * sizeof *r->sums);
        if (!r->sums)
            return -ENOMEM;
        r->n_sums = n_sums;
    }
    return 0;
}

int wd_picture_resize(struct wd_picture_resizer *r, const uint8_t *src, size_t stride, uint32_t w, uint32_t h,
                      uint8_t *dst, uint32_t dst_w, uint32_t dst_h, struct wd_err *err)
{
    const uint32_t most = WD_PICTURE_MAX_SIDE;
    size_t row_bytes = (size_t)dst_w * 3;
    bool across = w != dst_w, down = h != dst_h;

    if (!w || !h || !dst_w || !dst_h || w > most || h > most || dst_w > most || dst_h > most ||
        (uint64_t)w * h > WD_PICTURE_MAX_PIXELS || stride < (size_t)w * 3)
        return wd_err_set(err, -EINVAL, "picture of %u x %u: expected sides of 1 to %u and at most %u pixels", w, h, most,
                          WD_PICTURE_MAX_PIXELS);
    if ((across && axis_set(&r->across, w, dst_w) < 0) || (down && axis_set(&r->down, h, dst_h) < 0) ||
        make_room(r, across && down ? row_bytes * h : 0, down ? row_bytes : 0) < 0)
        return wd_err_set(err, -ENOMEM, "picture of %u x %u: out of memory", w, h);
    if (across && down) {
        resize_across(&r->across, src, stride, h, r->between);
        resize_down(&r->down, r->between, row_bytes, row_bytes, r->sums, dst);
    } else if (across) {
        resize_across(&r->across, src, stride, h, dst);
    } else if (down) {
        resize_down(&r->down, src, stride, row_bytes, r->sums, dst);
    } else {
        for (uint32_t y = 0; y < h; y++)
            memcpy(dst + y * row_bytes, src + y * stride, row_bytes);
    }
    return 0;
}

/* ---- the pool ---- */

struct wd_picture_pool {
    pthread_mutex_t mutex;
    struct wd_picture *free;
    unsigned n, n_free;
    bool closed;
    struct wd_picture pictures[];
};

static void pool_destroy(struct wd_picture_pool *p)
{
    for (unsigned i = 0; i < p->n; i++)
        free(p->pictures[i].space);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

int wd_picture_pool_new(unsigned n, uint32_t max_patches, struct wd_picture_pool **ret, struct wd_err *err)
{
    struct wd_picture_pool *p;

    if (!n || n > 1024 || !max_patches || max_patches > WD_PICTURE_MAX_PATCHES)
        return wd_err_set(err, -EINVAL, "picture pool: %u pictures of %u patches are not to be had", n, max_patches);
    p = calloc(1, sizeof *p + n * sizeof *p->pictures);
    if (!p || pthread_mutex_init(&p->mutex, NULL)) {
        free(p);
        return wd_err_set(err, -ENOMEM, "picture pool: out of memory");
    }
    p->n = p->n_free = n;
    for (unsigned i = 0; i < n; i++) {
        struct wd_picture *pic = &p->pictures[i];

        pic->space = malloc((size_t)max_patches * SIDE * SIDE * 3);
        if (!pic->space) {
            pool_destroy(p);
            return wd_err_set(err, -ENOMEM, "picture pool: out of memory");
        }
        pic->rgb = pic->space;
        pic->pool = p;
        pic->next = p->free;
        p->free = pic;
    }
    *ret = p;
    return 0;
}

struct wd_picture_pool *wd_picture_pool_free(struct wd_picture_pool *p)
{
    bool last;

    if (!p)
        return NULL;
    pthread_mutex_lock(&p->mutex);
    p->closed = true;
    last = p->n_free == p->n;
    pthread_mutex_unlock(&p->mutex);
    if (last)
        pool_destroy(p);
    return NULL;
}

struct wd_picture *wd_picture_get(struct wd_picture_pool *p)
{
    struct wd_picture *pic;

    pthread_mutex_lock(&p->mutex);
    pic = p->free;
    if (pic) {
        p->free = pic->next;
        p->n_free--;
    }
    pthread_mutex_unlock(&p->mutex);
    if (pic) {
        pic->t_ns = 0;
        pic->w = pic->h = 0;
        atomic_store_explicit(&pic->refs, 1, memory_order_relaxed);
    }
    return pic;
}

struct wd_picture *wd_picture_ref(struct wd_picture *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void wd_picture_unref(struct wd_picture *p)
{
    struct wd_picture_pool *pool;
    bool last;

    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) > 1)
        return;
    pool = p->pool;
    pthread_mutex_lock(&pool->mutex);
    p->next = pool->free;
    pool->free = p;
    pool->n_free++;
    last = pool->closed && pool->n_free == pool->n;
    pthread_mutex_unlock(&pool->mutex);
    if (last)
        pool_destroy(pool);
}
