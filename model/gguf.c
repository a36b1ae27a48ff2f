/* model/gguf.c - reads the head of a GGUF file: metadata and the list of tensors.
 * Source: docs/model.md, "Files". */
#include "model/tensor_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAX_ALIGNMENT (1u << 20)
/* The least a file must spend on one of them: what bounds the counts. */
#define MIN_TENSOR_BYTES (8 + 1 + 4 + 8 + 4 + 8)
#define MIN_KEY_BYTES (8 + 1 + 4 + 1)

struct cursor {
    const struct wd_table_file *file;
    size_t at;
    const char *what; /* being read, for errors */
    struct wd_err *err;
};

static size_t left(const struct cursor *c)
{
    return c->file->len - c->at;
}

static int cut(const struct cursor *c)
{
    return wd_err_set(c->err, -EINVAL, "%s: the file ends at byte %zu, in the middle of %s",
                      c->file->path, c->file->len, c->what);
}

/* n bytes, or NULL after setting err. */
static const unsigned char *take(struct cursor *c, uint64_t n)
{
    const unsigned char *p = c->file->data + c->at;

    if (n > left(c)) {
        cut(c);
        return NULL;
    }
    c->at += n;
    return p;
}

static int take_u32(struct cursor *c, uint32_t *ret)
{
    const unsigned char *p = take(c, 4);

    if (!p)
        return -EINVAL;
    *ret = wd_le32(p);
    return 0;
}

static int take_u64(struct cursor *c, uint64_t *ret)
{
    const unsigned char *p = take(c, 8);

    if (!p)
        return -EINVAL;
    *ret = wd_le64(p);
    return 0;
}

static int take_str(struct cursor *c, const char **ret, size_t *ret_len)
{
    size_t from = c->at;
    uint64_t n;
    int r = take_u64(c, &n);

    if (r < 0)
        return r;
    if (n > left(c))
        return wd_err_set(
            c->err, -EINVAL,
            "%s: %s: a string of %llu bytes at byte %zu reaches beyond the end (%zu bytes)",
            c->file->path, c->what, (unsigned long long)n, from, c->file->len);
    *ret = (const char *)take(c, n);
    *ret_len = n;
    return 0;
}

/* Walks n values of one kind. */
static int pass_values(struct cursor *c, uint32_t kind, uint64_t n)
{
    size_t bytes = wd_meta_number_bytes(kind), len;
    const char *s;

    if (bytes) {
        if (n > left(c) / bytes)
            return wd_err_set(
                c->err, -EINVAL,
                "%s: %s: %llu elements at byte %zu do not fit into the file (%zu bytes)",
                c->file->path, c->what, (unsigned long long)n, c->at, c->file->len);
        c->at += n * bytes;
        return 0;
    }
    if (kind == WD_META_ARRAY)
        return wd_err_set(c->err, -EINVAL, "%s: %s: an array of arrays", c->file->path, c->what);
    if (kind != WD_META_STR)
        return wd_err_set(c->err, -EINVAL, "%s: %s: value type %u is not known", c->file->path,
                          c->what, kind);
    if (n > 1 && n > left(c) / 8)
        return wd_err_set(c->err, -EINVAL,
                          "%s: %s: %llu strings at byte %zu do not fit into the file (%zu bytes)",
                          c->file->path, c->what, (unsigned long long)n, c->at, c->file->len);
    for (; n; n--)
        if (take_str(c, &s, &len) < 0)
            return -EINVAL;
    return 0;
}

static int read_key(struct wd_tensor_file *f, struct cursor *c, uint64_t i)
{
    char what[WD_TABLE_MAX_NAME + 32];
    struct wd_meta m = {.n = 1};
    const char *key, *bad;
    size_t key_len;
    int r;

    snprintf(what, sizeof what, "key %llu", (unsigned long long)i);
    c->what = what;
    r = take_str(c, &key, &key_len);
    if (r < 0)
        return r;
    bad = wd_table_bad_name(key, key_len);
    if (bad)
        return wd_err_set(c->err, -EINVAL, "%s: %s: %s", c->file->path, what, bad);
    snprintf(what, sizeof what, "key '%.*s'", (int)key_len, key);
    r = take_u32(c, &m.kind);
    if (r == 0 && m.kind == WD_META_ARRAY) {
        m.array = true;
        r = take_u32(c, &m.kind);
        if (r == 0)
            r = take_u64(c, &m.n);
    }
    if (r < 0)
        return r;
    m.at = c->file->data + c->at;
    m.n_bytes = c->at;
    r = pass_values(c, m.kind, m.n);
    if (r < 0)
        return r;
    m.n_bytes = c->at - m.n_bytes;
    return wd_table_add_meta(f, key, key_len, m, c->err);
}

static int read_tensor(struct cursor *c, uint64_t i, struct wd_table_claim *ret)
{
    char what[64];
    int r;

    snprintf(what, sizeof what, "the description of tensor %llu", (unsigned long long)i);
    c->what = what;
    *ret = (struct wd_table_claim){.n_bytes = UINT64_MAX};
    r = take_str(c, &ret->name, &ret->name_len);
    if (r == 0)
        r = take_u32(c, &ret->n_dims);
    if (r < 0)
        return r;
    if (ret->n_dims < 1 || ret->n_dims > 4)
        return wd_err_set(c->err, -EINVAL, "%s: %s at byte %zu has %u dimensions, expected 1 to 4",
                          c->file->path, what, c->at - 4, ret->n_dims);
    for (uint32_t d = 0; r == 0 && d < ret->n_dims; d++)
        r = take_u64(c, &ret->dims[d]);
    if (r == 0)
        r = take_u32(c, &ret->type);
    if (r == 0)
        r = take_u64(c, &ret->offset);
    c->what = "the list of tensors";
    return r;
}

/* general.alignment may stand anywhere among the keys, so this comes after them. */
static int alignment(const struct wd_tensor_file *f, size_t first_key, const struct cursor *c,
                     uint64_t *ret)
{
    const struct wd_meta *m = NULL;
    uint64_t a = 32;

    for (size_t i = first_key; i < f->n_metas; i++)
        if (!strcmp(f->metas[i].key, "general.alignment"))
            m = &f->metas[i];
    if (m) {
        if (m->array || m->kind != WD_META_U32)
            return wd_err_set(c->err, -EINVAL, "%s: general.alignment is not a u32", c->file->path);
        a = wd_le32(m->at);
        if (a < 4 || a > MAX_ALIGNMENT || (a & (a - 1)))
            return wd_err_set(c->err, -EINVAL,
                              "%s: general.alignment is %llu, expected a power of two from 4 to %u",
                              c->file->path, (unsigned long long)a, MAX_ALIGNMENT);
    }
    *ret = a;
    return 0;
}

int wd_gguf_read(struct wd_tensor_file *f, uint32_t index, struct wd_err *err)
{
    struct cursor c = {.file = &f->files[index], .at = 4, .what = "the header", .err = err};
    const char *path = c.file->path;
    size_t first_key = f->n_metas; /* before it stand those of other parts */
    uint64_t n_tensors, n_keys, align = 0, data, at;
    struct wd_table_claim claim = {0};
    uint32_t version = 0;
    int r;

    r = take_u32(&c, &version);
    if (r < 0)
        return r;
    if (version == 0x02000000 || version == 0x03000000)
        return wd_err_set(err, -ENOTSUP, "%s: a big-endian GGUF file", path);
    if (version != 2 && version != 3) /* 2 and 3 are laid out alike */
        return wd_err_set(err, -ENOTSUP, "%s: GGUF version %u, expected 3 or 2", path, version);
    r = take_u64(&c, &n_tensors);
    if (r == 0)
        r = take_u64(&c, &n_keys);
    if (r < 0)
        return r;
    if (n_keys > WD_TABLE_MAX_KEYS || n_keys > left(&c) / MIN_KEY_BYTES)
        return wd_err_set(err, -EINVAL,
                          "%s: %llu keys are claimed, which a file of %zu bytes cannot hold", path,
                          (unsigned long long)n_keys, c.file->len);
    if (n_tensors > WD_TABLE_MAX_TENSORS || n_tensors > left(&c) / MIN_TENSOR_BYTES)
        return wd_err_set(err, -EINVAL,
                          "%s: %llu tensors are claimed, which a file of %zu bytes cannot hold",
                          path, (unsigned long long)n_tensors, c.file->len);
    for (uint64_t i = 0; i < n_keys; i++) {
        r = read_key(f, &c, i);
        if (r < 0)
            return r;
    }
    r = alignment(f, first_key, &c, &align);
    if (r < 0)
        return r;

    /* Where the data begin is known only behind the last description: walk them twice. */
    at = c.at;
    for (uint64_t i = 0; i < n_tensors; i++) {
        r = read_tensor(&c, i, &claim);
        if (r < 0)
            return r;
    }
    data = (c.at + align - 1) / align * align;
    c.at = at;
    for (uint64_t i = 0; i < n_tensors; i++) {
        r = read_tensor(&c, i, &claim);
        if (r < 0)
            return r;
        claim.file = index;
        if (claim.offset % align && !wd_table_bad_name(claim.name, claim.name_len))
            return wd_err_set(err, -EINVAL,
                              "%s: tensor '%.*s': offset %llu is no multiple of the alignment %llu",
                              path, (int)claim.name_len, claim.name,
                              (unsigned long long)claim.offset, (unsigned long long)align);
        if (__builtin_add_overflow(claim.offset, data, &claim.offset))
            claim.offset = UINT64_MAX;
        r = wd_table_add(f, &claim, err);
        if (r < 0)
            return r;
    }
    return 0;
}
