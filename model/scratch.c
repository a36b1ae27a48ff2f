/* model/scratch.c - activations of one pass, planned once when the engine opens. */
#include "model/scratch.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

int wd_scratch_init(struct wd_scratch *s, const struct wd_shape *shape, uint32_t max_rows, struct wd_err *err)
{
    size_t q = 0, kv = 0, n = max_rows, at = 0;
    struct {
        float **to;
        size_t width;
    } plan[12];
    size_t n_plan = 0;

    memset(s, 0, sizeof *s);
    for (uint32_t l = 0; l < shape->n_layers; l++) {
        const struct wd_layer_shape *ls = &shape->layers[l];

        q = larger(q, (size_t)shape->n_heads * ls->head_dim);
        kv = larger(kv, (size_t)ls->n_kv_heads * ls->head_dim);
        s->rotated[ls->full] = (uint32_t)larger(s->rotated[ls->full], ls->n_rotated);
    }
#define PLAN(field, w) (plan[n_plan].to = &s->field, plan[n_plan++].width = (w))
    PLAN(x, shape->d_model);
    PLAN(norm, shape->d_model);
    PLAN(q, q);
    PLAN(o, q);
    PLAN(k, kv);
    PLAN(v, kv);
    PLAN(gate, shape->d_ff);
    PLAN(up, shape->d_ff);
    PLAN(cos[0], s->rotated[0]);
    PLAN(sin[0], s->rotated[0]);
    PLAN(cos[1], s->rotated[1]);
    PLAN(sin[1], s->rotated[1]);
#undef PLAN
    /* Each array begins on a cache line. Mapped, so that rows no pass ever had cost nothing. */
    for (size_t i = 0; i < n_plan; i++)
        s->bytes += (n * plan[i].width * sizeof(float) + 63) / 64 * 64;
    s->bytes += n * sizeof *s->block_end;
    s->space = mmap(NULL, s->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s->space == MAP_FAILED) {
        s->space = NULL;
        return wd_err_set(err, -ENOMEM, "activations: no room for %zu MiB", s->bytes >> 20);
    }
    for (size_t i = 0; i < n_plan; i++) {
        *plan[i].to = (float *)((char *)s->space + at);
        at += (n * plan[i].width * sizeof(float) + 63) / 64 * 64;
    }
    s->block_end = (uint32_t *)((char *)s->space + at);
    return 0;
}

void wd_scratch_done(struct wd_scratch *s)
{
    if (s->space)
        munmap(s->space, s->bytes);
    memset(s, 0, sizeof *s);
}
