/* model/gguf_split.c - joins a GGUF file that was split: "NAME-00001-of-00003.gguf" and its other
 * parts. Source: docs/model.md, "Files". */
#include "model/tensor_table.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAIL_BYTES (sizeof "-00001-of-00003.gguf" - 1)

/* A whole number among the keys from `first` on; false when it is not there. */
static bool number(const struct wd_tensor_file *f, size_t first, const char *key, uint64_t *ret)
{
    for (size_t i = first; i < f->n_metas; i++) {
        const struct wd_meta *m = &f->metas[i];
        size_t n = wd_meta_number_bytes(m->kind);

        if (strcmp(m->key, key) != 0 || m->array || n == 0 || m->kind == WD_META_F32 ||
            m->kind == WD_META_F64)
            continue;
        *ret = 0;
        while (n--)
            *ret = *ret << 8 | m->at[n];
        return true;
    }
    return false;
}

/* "-00001-of-00003.gguf" at the end of a path. */
static bool parse_tail(const char *path, uint64_t *ret_no, uint64_t *ret_count)
{
    size_t len = strlen(path);
    const char *t = path + len - TAIL_BYTES;

    if (len < TAIL_BYTES || t[0] != '-' || memcmp(t + 6, "-of-", 4) != 0 ||
        strcmp(t + 15, ".gguf") != 0)
        return false;
    for (int i = 1; i <= 5; i++)
        if (!isdigit((unsigned char)t[i]) || !isdigit((unsigned char)t[i + 9]))
            return false;
    *ret_no = strtoul(t + 1, NULL, 10);
    *ret_count = strtoul(t + 10, NULL, 10);
    return true;
}

static char *path_of_part(const char *first, uint64_t no, uint64_t count)
{
    size_t len = strlen(first);
    char *s = strdup(first);

    if (s)
        snprintf(s + len - TAIL_BYTES, TAIL_BYTES + 1, "-%05u-of-%05u.gguf", (unsigned)no,
                 (unsigned)count);
    return s;
}

/* Part number `no` from 1. Its keys say what part it is and nothing of the model: they are checked
 * and dropped. */
static int add_part(struct wd_tensor_file *f, uint64_t no, uint64_t count, uint64_t total,
                    struct wd_err *err)
{
    size_t first = f->n_metas;
    struct wd_err why = {0};
    uint64_t v;
    const char *path;
    int r = wd_table_map(f, path_of_part(f->path, no, count), &why);

    if (r < 0)
        return wd_err_set(err, r, "%s; it is part %u of %u of this model", why.text, (unsigned)no,
                          (unsigned)count);
    path = f->files[f->n_files - 1].path;
    if (f->files[f->n_files - 1].len < 4 || memcmp(f->files[f->n_files - 1].data, "GGUF", 4) != 0)
        return wd_err_set(err, -EINVAL,
                          "%s: not a GGUF file, but part %u of %u of a model is to be here", path,
                          (unsigned)no, (unsigned)count);
    r = wd_gguf_read(f, (uint32_t)f->n_files - 1, err);
    if (r == 0 && (!number(f, first, "split.count", &v) || v != count))
        r = wd_err_set(
            err, -EINVAL,
            "%s: key 'split.count' is not %u, as the first part has it: of another model", path,
            (unsigned)count);
    if (r == 0 && (!number(f, first, "split.no", &v) || v != no - 1))
        r = wd_err_set(err, -EINVAL, "%s: key 'split.no' is not %u, as its name says", path,
                       (unsigned)no - 1);
    if (r == 0 && total != UINT64_MAX && number(f, first, "split.tensors.count", &v) && v != total)
        r = wd_err_set(
            err, -EINVAL,
            "%s: key 'split.tensors.count' is %llu, but %llu in the first part: of another model",
            path, (unsigned long long)v, (unsigned long long)total);
    while (f->n_metas > first)
        free(f->metas[--f->n_metas].key);
    return r;
}

int wd_gguf_join(struct wd_tensor_file *f, struct wd_err *err)
{
    uint64_t no = 0, count = 0, total = UINT64_MAX, named_no, named_count;
    int r = 0;

    if (!number(f, 0, "split.count", &count) || count <= 1)
        return 0;
    if (count > WD_TABLE_MAX_FILES)
        return wd_err_set(err, -EINVAL, "%s: key 'split.count' is %llu, expected at most %d",
                          f->path, (unsigned long long)count, WD_TABLE_MAX_FILES);
    if (!number(f, 0, "split.no", &no) || no >= count)
        return wd_err_set(err, -EINVAL,
                          "%s: key 'split.no' is missing or not below split.count, %u", f->path,
                          (unsigned)count);
    if (no != 0)
        return wd_err_set(err, -EINVAL,
                          "%s: part %u of %u of a model; give the first, which names the others",
                          f->path, (unsigned)no + 1, (unsigned)count);
    if (!parse_tail(f->path, &named_no, &named_count) || named_no != 1 || named_count != count)
        return wd_err_set(
            err, -EINVAL,
            "%s: part 1 of %u of a model: its name must end in -00001-of-%05u.gguf, so that "
            "the others are found",
            f->path, (unsigned)count, (unsigned)count);
    number(f, 0, "split.tensors.count", &total);
    for (uint64_t i = 2; r == 0 && i <= count; i++)
        r = add_part(f, i, count, total, err);
    if (r == 0 && total != UINT64_MAX && total != f->n_tensors)
        r = wd_err_set(err, -EINVAL,
                       "%s: its %u parts hold %zu tensors, but key 'split.tensors.count' is %llu",
                       f->path, (unsigned)count, f->n_tensors, (unsigned long long)total);
    return r;
}
