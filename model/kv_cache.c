/* model/kv_cache.c - keys and values of one decoder, in pages that a fork shares. */
#include "model/kv_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum kind { SLIDING, FULL, N_KINDS };

#define NO_PAGE UINT32_MAX

/* Pages are mapped in slabs, so that untouched ones cost no memory; a slab lives as long as the engine. */
struct slab {
    float *at;
    size_t bytes;
};

struct page_kind {
    size_t page_floats;
    struct slab *slabs;
    size_t n_slabs;
    float **pages;    /* [n_pages] */
    uint32_t *refs;   /* [n_pages] */
    uint32_t *unused; /* stack of page numbers; the last freed is the next taken, and likely warm */
    uint32_t n_unused;
    uint32_t n_pages;
    uint64_t reserved; /* pages promised to caches */
};

struct wd_kv_pool {
    const struct wd_shape *shape;
    struct page_kind kinds[N_KINDS];
    size_t offset[WD_SHAPE_MAX_LAYERS]; /* floats from the start of a page to the layer's K */
};

struct wd_kv_cache {
    struct wd_kv_pool *pool;
    uint32_t length, capacity, branch, max_rows;
    uint32_t n_blocks;          /* of `capacity` */
    uint32_t first[N_KINDS];    /* blocks before it were given back */
    uint32_t end[N_KINDS];      /* blocks from here on have no page yet */
    uint32_t *table[N_KINDS];   /* [n_blocks] page numbers */
    uint32_t reserve[N_KINDS];
};

static enum kind kind_of(const struct wd_shape *s, uint32_t layer)
{
    return s->layers[layer].full ? FULL : SLIDING;
}

static size_t layer_floats(const struct wd_shape *s, uint32_t layer)
{
    return (size_t)s->layers[layer].n_kv_heads * s->layers[layer].head_dim;
}

void wd_kv_position_bytes(const struct wd_shape *s, size_t *ret_sliding, size_t *ret_full)
{
    size_t n[N_KINDS] = {0, 0};

    for (uint32_t l = 0; l < s->n_layers; l++)
        n[kind_of(s, l)] += 2 * layer_floats(s, l) * sizeof(float);
    *ret_sliding = n[SLIDING];
    *ret_full = n[FULL];
}

int wd_kv_pool_new(const struct wd_shape *s, struct wd_kv_pool **ret, struct wd_err *err)
{
    struct wd_kv_pool *p = calloc(1, sizeof *p);

    if (!p)
        return wd_err_set(err, -ENOMEM, "KV cache: out of memory");
    p->shape = s;
    for (uint32_t l = 0; l < s->n_layers; l++) {
        struct page_kind *k = &p->kinds[kind_of(s, l)];

        p->offset[l] = k->page_floats;
        k->page_floats += 2 * layer_floats(s, l) * WD_KV_PAGE;
    }
    *ret = p;
    return 0;
}

struct wd_kv_pool *wd_kv_pool_free(struct wd_kv_pool *p)
{
    if (!p)
        return NULL;
    for (int i = 0; i < N_KINDS; i++) {
        struct page_kind *k = &p->kinds[i];

        for (size_t j = 0; j < k->n_slabs; j++)
            munmap(k->slabs[j].at, k->slabs[j].bytes);
        free(k->slabs);
        free(k->pages);
        free(k->refs);
        free(k->unused);
    }
    free(p);
    return NULL;
}

size_t wd_kv_pool_bytes(const struct wd_kv_pool *p)
{
    size_t n = 0;

    for (int i = 0; i < N_KINDS; i++)
        n += (size_t)(p->kinds[i].n_pages - p->kinds[i].n_unused) * p->kinds[i].page_floats * sizeof(float);
    return n;
}

/* Promises n more pages; maps a slab when there are not enough. */
static int reserve(struct page_kind *k, uint32_t n, struct wd_err *err)
{
    uint64_t need = k->reserved + n;
    uint32_t more, i;
    struct slab slab, *slabs;
    float **pages;
    uint32_t *refs, *unused;

    if (k->page_floats == 0)
        return 0;
    if (need <= k->n_pages) {
        k->reserved = need;
        return 0;
    }
    if (need > UINT32_MAX / 2)
        return wd_err_set(err, -ENOMEM, "KV cache: %llu pages are too many", (unsigned long long)need);
    more = (uint32_t)(need - k->n_pages);
    slab.bytes = (size_t)more * k->page_floats * sizeof(float);
    slabs = realloc(k->slabs, (k->n_slabs + 1) * sizeof *slabs);
    if (slabs)
        k->slabs = slabs;
    pages = realloc(k->pages, need * sizeof *pages);
    if (pages)
        k->pages = pages;
    refs = realloc(k->refs, need * sizeof *refs);
    if (refs)
        k->refs = refs;
    unused = realloc(k->unused, need * sizeof *unused);
    if (unused)
        k->unused = unused;
    if (!slabs || !pages || !refs || !unused)
        return wd_err_set(err, -ENOMEM, "KV cache: out of memory");
    slab.at = mmap(NULL, slab.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (slab.at == MAP_FAILED)
        return wd_err_set(err, -ENOMEM, "KV cache: no room for %zu MiB", slab.bytes >> 20);
    k->slabs[k->n_slabs++] = slab;
    for (i = 0; i < more; i++) {
        k->pages[k->n_pages + i] = slab.at + (size_t)i * k->page_floats;
        k->refs[k->n_pages + i] = 0;
        k->unused[k->n_unused++] = k->n_pages + more - 1 - i;
    }
    k->n_pages += more;
    k->reserved = need;
    return 0;
}

static uint32_t take_page(struct page_kind *k)
{
    /* Every cache reserved its worst case, so there is always one. */
    uint32_t n = k->unused[--k->n_unused];

    k->refs[n] = 1;
    return n;
}

static void drop_page(struct page_kind *k, uint32_t n)
{
    if (--k->refs[n] == 0)
        k->unused[k->n_unused++] = n;
}

static uint32_t blocks_of(uint64_t positions)
{
    return (uint32_t)((positions + WD_KV_PAGE - 1) / WD_KV_PAGE);
}

static struct wd_kv_cache *cache_alloc(uint32_t capacity)
{
    struct wd_kv_cache *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->capacity = capacity;
    c->n_blocks = blocks_of(capacity);
    for (int i = 0; i < N_KINDS; i++) {
        c->table[i] = malloc((c->n_blocks + 1) * sizeof *c->table[i]);
        if (!c->table[i])
            return wd_kv_cache_free(c);
    }
    return c;
}

static int cache_reserve(struct wd_kv_cache *c, struct wd_err *err)
{
    uint64_t ring = (uint64_t)c->pool->shape->window + c->branch + c->max_rows;
    uint32_t want[N_KINDS];
    int r;

    /* Two more than the span: it may begin and end inside a page. */
    want[SLIDING] = blocks_of(ring < c->capacity ? ring : c->capacity) + 2;
    want[FULL] = c->n_blocks + 1;
    for (int i = 0; i < N_KINDS; i++) {
        r = reserve(&c->pool->kinds[i], want[i], err);
        if (r < 0)
            return r;
        c->reserve[i] = want[i];
    }
    return 0;
}

int wd_kv_cache_new(struct wd_kv_pool *p, uint32_t capacity, uint32_t longest_branch, uint32_t max_rows,
                    struct wd_kv_cache **ret, struct wd_err *err)
{
    struct wd_kv_cache *c = cache_alloc(capacity);
    int r;

    if (!c)
        return wd_err_set(err, -ENOMEM, "KV cache: out of memory");
    c->pool = p;
    c->branch = longest_branch;
    c->max_rows = max_rows;
    r = cache_reserve(c, err);
    if (r < 0) {
        wd_kv_cache_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

struct wd_kv_cache *wd_kv_cache_free(struct wd_kv_cache *c)
{
    if (!c)
        return NULL;
    for (int i = 0; i < N_KINDS; i++) {
        for (uint32_t b = c->first[i]; b < c->end[i]; b++)
            drop_page(&c->pool->kinds[i], c->table[i][b]);
        if (c->pool && c->pool->kinds[i].page_floats)
            c->pool->kinds[i].reserved -= c->reserve[i];
        free(c->table[i]);
    }
    free(c);
    return NULL;
}

int wd_kv_cache_fork(const struct wd_kv_cache *c, struct wd_kv_cache **ret, struct wd_err *err)
{
    struct wd_kv_cache *f = cache_alloc(c->capacity);
    int r;

    if (!f)
        return wd_err_set(err, -ENOMEM, "KV cache: out of memory");
    f->pool = c->pool;
    f->branch = c->branch;
    f->max_rows = c->max_rows;
    r = cache_reserve(f, err);
    if (r < 0) {
        wd_kv_cache_free(f);
        return r;
    }
    f->length = c->length;
    for (int i = 0; i < N_KINDS; i++) {
        f->first[i] = c->first[i];
        f->end[i] = c->end[i];
        for (uint32_t b = c->first[i]; b < c->end[i]; b++) {
            f->table[i][b] = c->table[i][b];
            f->pool->kinds[i].refs[f->table[i][b]]++;
        }
    }
    *ret = f;
    return 0;
}

uint32_t wd_kv_cache_length(const struct wd_kv_cache *c)
{
    return c->length;
}

uint32_t wd_kv_cache_capacity(const struct wd_kv_cache *c)
{
    return c->capacity;
}

uint32_t wd_kv_cache_first(const struct wd_kv_cache *c)
{
    return c->first[SLIDING] * WD_KV_PAGE;
}

void wd_kv_cache_grow(struct wd_kv_cache *c, uint32_t n)
{
    uint32_t block = c->length / WD_KV_PAGE, end = blocks_of((uint64_t)c->length + n);

    for (int i = 0; i < N_KINDS; i++) {
        struct page_kind *k = &c->pool->kinds[i];

        if (k->page_floats == 0)
            continue;
        /* The page that is partly filled may be seen by a fork: write into a copy. */
        if (c->length % WD_KV_PAGE && block < c->end[i] && k->refs[c->table[i][block]] > 1) {
            uint32_t old = c->table[i][block], new = take_page(k);

            memcpy(k->pages[new], k->pages[old], k->page_floats * sizeof(float));
            drop_page(k, old);
            c->table[i][block] = new;
        }
        while (c->end[i] < end)
            c->table[i][c->end[i]++] = take_page(k);
    }
    c->length += n;
}

void wd_kv_cache_settle(struct wd_kv_cache *c)
{
    uint64_t keep = (uint64_t)c->pool->shape->window + c->branch;
    struct page_kind *k = &c->pool->kinds[SLIDING];

    if (k->page_floats == 0 || c->length <= keep)
        return;
    for (uint32_t first = (uint32_t)((c->length - keep) / WD_KV_PAGE); c->first[SLIDING] < first; c->first[SLIDING]++)
        drop_page(k, c->table[SLIDING][c->first[SLIDING]]);
}

int wd_kv_cache_rewind(struct wd_kv_cache *c, uint32_t length)
{
    uint32_t window = c->pool->shape->window, need = length > window ? length - window : 0;
    uint32_t end = blocks_of(length);

    if (c->first[SLIDING] && need < c->first[SLIDING] * WD_KV_PAGE)
        return -ERANGE;
    for (int i = 0; i < N_KINDS; i++)
        while (c->end[i] > end)
            drop_page(&c->pool->kinds[i], c->table[i][--c->end[i]]);
    c->length = length;
    return 0;
}

static float *at(const struct wd_kv_cache *c, uint32_t layer, size_t run, uint32_t pos, uint32_t *ret_n)
{
    const struct wd_shape *s = c->pool->shape;
    enum kind i = kind_of(s, layer);
    size_t dim = s->layers[layer].head_dim;
    float *page = c->pool->kinds[i].pages[c->table[i][pos / WD_KV_PAGE]];

    *ret_n = WD_KV_PAGE - pos % WD_KV_PAGE;
    return page + c->pool->offset[layer] + (run * WD_KV_PAGE + pos % WD_KV_PAGE) * dim;
}

float *wd_kv_cache_k(const struct wd_kv_cache *c, uint32_t layer, uint32_t head, uint32_t pos, uint32_t *ret_n)
{
    return at(c, layer, head, pos, ret_n);
}

float *wd_kv_cache_v(const struct wd_kv_cache *c, uint32_t layer, uint32_t head, uint32_t pos, uint32_t *ret_n)
{
    return at(c, layer, c->pool->shape->layers[layer].n_kv_heads + (size_t)head, pos, ret_n);
}
