/* model/tensor_table.c - the list of tensors and keys, checked as a reader fills it in. */
#include "model/tensor_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DIM ((uint64_t)1 << 40)

/* Types of the container that have no product here yet: named, so that a person knows what to look
 * for. */
static const char *foreign_type(uint32_t type)
{
    static const char *const names[] = {
        [9] = "Q8_1",   [15] = "Q8_K",  [16] = "IQ2_XXS", [17] = "IQ2_XS", [18] = "IQ3_XXS",
        [19] = "IQ1_S", [21] = "IQ3_S", [22] = "IQ2_S",   [24] = "I8",     [25] = "I16",
        [26] = "I32",   [27] = "I64",   [28] = "F64",     [29] = "IQ1_M",  [34] = "TQ1_0",
        [35] = "TQ2_0", [39] = "MXFP4", [40] = "NVFP4",
    };

    return type < sizeof names / sizeof *names && names[type] ? names[type] : "unknown";
}

static size_t data_bytes(uint32_t type)
{
    switch (type) {
    case WD_DATA_I8:
    case WD_DATA_U8:
        return 1;
    case WD_DATA_I16:
        return 2;
    case WD_DATA_I32:
        return 4;
    case WD_DATA_I64:
    case WD_DATA_F64:
        return 8;
    default:
        return 0;
    }
}

const char *wd_table_bad_name(const char *name, size_t len)
{
    if (len == 0)
        return "an empty name";
    if (len > WD_TABLE_MAX_NAME)
        return "a name of more than 255 bytes";
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return "a control character in a name";
    return NULL;
}

static char *copy_name(const char *name, size_t len)
{
    char *s = malloc(len + 1);

    if (s) {
        memcpy(s, name, len);
        s[len] = '\0';
    }
    return s;
}

static int grow(void **items, size_t *cap, size_t n, size_t item_bytes)
{
    size_t want = *cap ? *cap * 2 : 64;
    void *p;

    if (n < *cap)
        return 0;
    p = realloc(*items, want * item_bytes);
    if (!p)
        return -ENOMEM;
    *items = p;
    *cap = want;
    return 0;
}

int wd_table_add(struct wd_tensor_file *f, const struct wd_table_claim *c, struct wd_err *err)
{
    const struct wd_table_file *file = &f->files[c->file];
    const char *bad = wd_table_bad_name(c->name, c->name_len);
    struct wd_table_tensor *e;
    uint64_t rows = 1, row_bytes, n_bytes;
    void *items = f->tensors;
    char *name;

    if (bad)
        return wd_err_set(err, -EINVAL, "%s: tensor %zu: %s", file->path, f->n_tensors, bad);
    if (f->n_tensors >= WD_TABLE_MAX_TENSORS)
        return wd_err_set(err, -EINVAL, "%s: more than %d tensors", file->path,
                          WD_TABLE_MAX_TENSORS);

#define SAYS "%s: tensor '%.*s': "
#define WHERE file->path, (int)c->name_len, c->name
    if (c->n_dims < 1 || c->n_dims > 4)
        return wd_err_set(err, -EINVAL, SAYS "%u dimensions, expected 1 to 4", WHERE, c->n_dims);
    for (uint32_t i = 0; i < c->n_dims; i++)
        if (c->dims[i] < 1 || c->dims[i] > MAX_DIM)
            return wd_err_set(err, -EINVAL, SAYS "dimension %u is %llu", WHERE, i,
                              (unsigned long long)c->dims[i]);
    if (wd_type_name(c->type)) {
        row_bytes = wd_type_row_bytes(c->type, c->dims[0]);
        if (!row_bytes)
            return wd_err_set(
                err, -EINVAL, SAYS "rows of %llu values, but %s comes in blocks of %zu", WHERE,
                (unsigned long long)c->dims[0], wd_type_name(c->type), wd_type_block(c->type));
    } else if (f->data_types && data_bytes(c->type)) {
        row_bytes = c->dims[0] * data_bytes(c->type);
    } else {
        return wd_err_set(err, -ENOTSUP, SAYS "type %u (%s) is not supported", WHERE, c->type,
                          foreign_type(c->type));
    }
    for (uint32_t i = 1; i < c->n_dims; i++)
        if (__builtin_mul_overflow(rows, c->dims[i], &rows))
            return wd_err_set(err, -EINVAL, SAYS "its dimensions overflow", WHERE);
    if (__builtin_mul_overflow(rows, row_bytes, &n_bytes))
        return wd_err_set(err, -EINVAL, SAYS "its dimensions overflow", WHERE);
    if (c->n_bytes != UINT64_MAX && c->n_bytes != n_bytes)
        return wd_err_set(err, -EINVAL, SAYS "%llu bytes, but its shape needs %llu", WHERE,
                          (unsigned long long)c->n_bytes, (unsigned long long)n_bytes);
    if (c->offset > file->len || n_bytes > file->len - c->offset)
        return wd_err_set(
            err, -EINVAL,
            SAYS "%llu bytes at offset %llu reach beyond the end of the file (%zu bytes)", WHERE,
            (unsigned long long)n_bytes, (unsigned long long)c->offset, file->len);
#undef SAYS
#undef WHERE

    if (grow(&items, &f->cap_tensors, f->n_tensors, sizeof *f->tensors) < 0)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", file->path);
    f->tensors = items;
    name = copy_name(c->name, c->name_len);
    if (!name)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", file->path);
    e = &f->tensors[f->n_tensors++];
    *e = (struct wd_table_tensor){
        .t = {.name = name,
              .type = c->type,
              .n_dims = c->n_dims,
              .dims = {1, 1, 1, 1},
              .data = file->data + c->offset,
              .n_bytes = n_bytes},
        .file = c->file,
        .offset = c->offset,
    };
    memcpy(e->t.dims, c->dims, c->n_dims * sizeof *c->dims);
    return 0;
}

int wd_table_add_meta(struct wd_tensor_file *f, const char *key, size_t key_len, struct wd_meta m,
                      struct wd_err *err)
{
    void *items = f->metas;

    if (grow(&items, &f->cap_metas, f->n_metas, sizeof *f->metas) < 0)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", f->path);
    f->metas = items;
    m.key = copy_name(key, key_len);
    if (!m.key)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", f->path);
    f->metas[f->n_metas++] = m;
    return 0;
}

/* qsort has no context; sorting pointers to the entries needs none. */
static int by_name(const void *a, const void *b)
{
    const struct wd_table_tensor *const *x = a, *const *y = b;

    return strcmp((*x)->t.name, (*y)->t.name);
}

static int by_key(const void *a, const void *b)
{
    const struct wd_meta *const *x = a, *const *y = b;

    return strcmp((*x)->key, (*y)->key);
}

static int by_place(const void *a, const void *b)
{
    const struct wd_table_tensor *const *x = a, *const *y = b;

    if ((*x)->file != (*y)->file)
        return (*x)->file < (*y)->file ? -1 : 1;
    return ((*x)->offset > (*y)->offset) - ((*x)->offset < (*y)->offset);
}

static int finish_tensors(struct wd_tensor_file *f, const struct wd_table_tensor **order,
                          struct wd_err *err)
{
    for (size_t i = 0; i < f->n_tensors; i++)
        order[i] = &f->tensors[i];
    qsort(order, f->n_tensors, sizeof *order, by_place);
    for (size_t i = 1; i < f->n_tensors; i++)
        if (order[i]->file == order[i - 1]->file &&
            order[i]->offset - order[i - 1]->offset < order[i - 1]->t.n_bytes)
            return wd_err_set(err, -EINVAL, "%s: tensors '%s' and '%s' overlap",
                              f->files[order[i]->file].path, order[i - 1]->t.name,
                              order[i]->t.name);
    qsort(order, f->n_tensors, sizeof *order, by_name);
    for (size_t i = 0; i < f->n_tensors; i++) {
        if (i && !strcmp(order[i]->t.name, order[i - 1]->t.name))
            return wd_err_set(err, -EINVAL, "%s: tensor '%s' occurs twice", f->path,
                              order[i]->t.name);
        f->by_name[i] = (uint32_t)(order[i] - f->tensors);
    }
    return 0;
}

static int finish_metas(struct wd_tensor_file *f, const struct wd_meta **order, struct wd_err *err)
{
    for (size_t i = 0; i < f->n_metas; i++)
        order[i] = &f->metas[i];
    qsort(order, f->n_metas, sizeof *order, by_key);
    for (size_t i = 0; i < f->n_metas; i++) {
        if (i && !strcmp(order[i]->key, order[i - 1]->key))
            return wd_err_set(err, -EINVAL, "%s: key '%s' occurs twice", f->path, order[i]->key);
        f->metas_by_name[i] = (uint32_t)(order[i] - f->metas);
    }
    return 0;
}

/* Nothing overlaps, so all copies together are no larger than the files. */
static int copy_unaligned(struct wd_tensor_file *f, struct wd_err *err)
{
    for (size_t i = 0; i < f->n_tensors; i++) {
        struct wd_table_tensor *e = &f->tensors[i];
        uintptr_t align = data_bytes(e->t.type) == 8 ? 8 : 4;

        if ((uintptr_t)e->t.data % align == 0)
            continue;
        e->copy = malloc(e->t.n_bytes);
        if (!e->copy)
            return wd_err_set(err, -ENOMEM, "%s: out of memory", f->path);
        memcpy(e->copy, e->t.data, e->t.n_bytes);
        e->t.data = e->copy;
        f->copied_bytes += e->t.n_bytes;
    }
    return 0;
}

int wd_table_finish(struct wd_tensor_file *f, struct wd_err *err)
{
    size_t n = f->n_tensors > f->n_metas ? f->n_tensors : f->n_metas;
    void *order = calloc(n + 1, sizeof(void *));
    int r;

    f->by_name = calloc(f->n_tensors + 1, sizeof *f->by_name);
    f->metas_by_name = calloc(f->n_metas + 1, sizeof *f->metas_by_name);
    if (!order || !f->by_name || !f->metas_by_name)
        r = wd_err_set(err, -ENOMEM, "%s: out of memory", f->path);
    else
        r = finish_tensors(f, order, err);
    if (r == 0)
        r = finish_metas(f, order, err);
    if (r == 0)
        r = copy_unaligned(f, err);
    free(order);
    return r;
}

const struct wd_meta *wd_table_meta(const struct wd_tensor_file *f, const char *key)
{
    size_t lo = 0, hi = f->n_metas;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct wd_meta *m = &f->metas[f->metas_by_name[mid]];
        int c = strcmp(key, m->key);

        if (c == 0)
            return m;
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}
