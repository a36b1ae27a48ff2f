/* model/safetensors.c - reads the head of a safetensors file: the list of tensors.
 * Source: docs/model.md, "Files". */
#include "model/json_scan.h"
#include "model/tensor_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEAD_BYTES (100u << 20) /* as the format's own library has it */
#define MAX_DIMS 8

struct head {
    struct wd_tensor_file *f;
    uint32_t file;
    uint64_t data; /* where the data begin in the file */
    struct wd_json j;
};

static bool dtype(struct wd_json_str s, uint32_t *ret)
{
    static const struct {
        const char *name;
        uint32_t type;
    } types[] = {
        {"F32", WD_TYPE_F32}, {"F16", WD_TYPE_F16}, {"BF16", WD_TYPE_BF16}, {"I8", WD_DATA_I8},
        {"I16", WD_DATA_I16}, {"I32", WD_DATA_I32}, {"I64", WD_DATA_I64},   {"F64", WD_DATA_F64},
        {"U8", WD_DATA_U8},   {"BOOL", WD_DATA_U8},
    };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (wd_json_is(s, types[i].name)) {
            *ret = types[i].type;
            return true;
        }
    return false;
}

/* shape, slowest first; n_dims counts on beyond MAX_DIMS. */
static bool shape(struct wd_json *j, uint64_t dims[MAX_DIMS], uint32_t *ret_n)
{
    uint64_t v;

    *ret_n = 0;
    if (!wd_json_enter(j, '['))
        return false;
    while (wd_json_element(j)) {
        if (!wd_json_u64(j, &v))
            return false;
        if (*ret_n >= MAX_DIMS)
            return wd_json_fail(j, "too many dimensions");
        dims[(*ret_n)++] = v;
    }
    return !j->error;
}

static bool offsets(struct wd_json *j, uint64_t ret[2])
{
    int n = 0;
    uint64_t v;

    if (!wd_json_enter(j, '['))
        return false;
    while (wd_json_element(j)) {
        if (!wd_json_u64(j, &v))
            return false;
        if (n == 2)
            return wd_json_fail(j, "expected two data_offsets");
        ret[n++] = v;
    }
    if (n < 2)
        return wd_json_fail(j, "expected two data_offsets");
    return !j->error;
}

/* One `"name": {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}`, behind the colon.
 * False: j.error, or *ret < 0. */
static bool entry(struct head *h, struct wd_json_str name, int *ret, struct wd_err *err)
{
    const char *path = h->f->files[h->file].path;
    struct wd_table_claim c = {.file = h->file};
    struct wd_json_str key, type = {0};
    char text[WD_TABLE_MAX_NAME + 1];
    uint64_t dims[MAX_DIMS], span[2] = {0};
    bool has_type = false, has_shape = false, has_span = false;
    struct wd_json *j = &h->j;
    uint32_t n = 0;

    if (name.len > 6 * (size_t)WD_TABLE_MAX_NAME ||
        (c.name_len = wd_json_unescape(name, NULL)) > WD_TABLE_MAX_NAME)
        return wd_json_fail(j, "a tensor's name of more than 255 bytes");
    wd_json_unescape(name, text);
    c.name = text;
    if (!wd_json_enter(j, '{'))
        return false;
    while (wd_json_member(j, &key)) {
        bool *seen = NULL, ok;

        if (wd_json_is(key, "dtype"))
            ok = wd_json_str(j, &type), seen = &has_type;
        else if (wd_json_is(key, "shape"))
            ok = shape(j, dims, &n), seen = &has_shape;
        else if (wd_json_is(key, "data_offsets"))
            ok = offsets(j, span), seen = &has_span;
        else
            ok = wd_json_skip(j);
        if (!ok)
            return false;
        if (seen && *seen)
            return wd_json_fail(j, "a key occurs twice");
        if (seen)
            *seen = true;
    }
    if (j->error)
        return false;
    if (!has_type || !has_shape || !has_span)
        return wd_json_fail(j, "dtype, shape or data_offsets is missing");

    if (wd_table_bad_name(text, c.name_len))
        return wd_json_fail(j, wd_table_bad_name(text, c.name_len));
    if (!dtype(type, &c.type) || (!wd_type_name(c.type) && !h->f->data_types)) {
        *ret =
            wd_err_set(err, -ENOTSUP,
                       "%s: tensor '%.*s': type %.*s is not supported, expected F32, F16 or BF16 "
                       "(weights quantised by another program? give the BF16 folder or a GGUF file)",
                       path, (int)c.name_len, text, type.len > 16 ? 16 : (int)type.len, type.raw);
        return false;
    }
    if (n > 4) {
        *ret = wd_err_set(err, -EINVAL, "%s: tensor '%.*s': %u dimensions, expected at most 4",
                          path, (int)c.name_len, text, n);
        return false;
    }
    if (span[0] > span[1] || span[1] > h->f->files[h->file].len - h->data) {
        *ret = wd_err_set(
            err, -EINVAL,
            "%s: tensor '%.*s': data_offsets %llu to %llu do not lie within the %llu bytes of data",
            path, (int)c.name_len, text, (unsigned long long)span[0], (unsigned long long)span[1],
            (unsigned long long)(h->f->files[h->file].len - h->data));
        return false;
    }
    /* A shape of no dimensions is one number. */
    c.n_dims = n ? n : 1;
    c.dims[0] = 1;
    for (uint32_t i = 0; i < n; i++)
        c.dims[i] = dims[n - 1 - i];
    c.offset = h->data + span[0];
    c.n_bytes = span[1] - span[0];
    *ret = wd_table_add(h->f, &c, err);
    return *ret == 0;
}

int wd_safetensors_read(struct wd_tensor_file *f, uint32_t index, struct wd_err *err)
{
    const struct wd_table_file *file = &f->files[index];
    struct head h = {.f = f, .file = index};
    struct wd_json_str key;
    char *text;
    uint64_t n;
    int r = 0;

    if (file->len < 8)
        return wd_err_set(err, -EINVAL, "%s: %zu bytes are no safetensors file", file->path,
                          file->len);
    n = wd_le64(file->data);
    if (n > MAX_HEAD_BYTES || n > file->len - 8)
        return wd_err_set(
            err, -EINVAL,
            "%s: a head of %llu bytes is claimed, which a file of %zu bytes cannot hold",
            file->path, (unsigned long long)n, file->len);
    h.data = 8 + n;
    /* A copy: lengths are counted first and used later, and the file may change in between. */
    text = malloc(n + 1);
    if (!text)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", file->path);
    memcpy(text, file->data + 8, n);
    wd_json_init(&h.j, text, n);
    if (wd_json_enter(&h.j, '{'))
        while (wd_json_member(&h.j, &key)) {
            bool ok =
                wd_json_is(key, "__metadata__") ? wd_json_skip(&h.j) : entry(&h, key, &r, err);

            if (!ok)
                break;
        }
    if (r == 0 && !wd_json_done(&h.j))
        r = wd_err_set(err, -EINVAL, "%s: byte %zu: %s", file->path,
                       8 + (size_t)(h.j.at - h.j.start), h.j.error);
    free(text);
    return r;
}
