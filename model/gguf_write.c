/* model/gguf_write.c - writes the head of a GGUF file. Source: docs/model.md, "Files". */
#include "model/gguf_write.h"

#include "model/tensor_table.h"

#include <errno.h>
#include <string.h>

#define ALIGNMENT 32
#define QUANT_VERSION 2 /* of the layouts of blocks */

static void put(FILE *out, const void *p, size_t n)
{
    fwrite(p, 1, n, out); /* ferror() at the end tells */
}

static void put_u32(FILE *out, uint32_t v)
{
    unsigned char b[4];

    for (unsigned i = 0; i < 4; i++)
        b[i] = (unsigned char)(v >> (8 * i));
    put(out, b, sizeof b);
}

static void put_u64(FILE *out, uint64_t v)
{
    put_u32(out, (uint32_t)v);
    put_u32(out, (uint32_t)(v >> 32));
}

static void put_str(FILE *out, const char *s)
{
    put_u64(out, strlen(s));
    put(out, s, strlen(s));
}

static void put_key_u32(FILE *out, const char *key, uint32_t v)
{
    put_str(out, key);
    put_u32(out, WD_META_U32);
    put_u32(out, v);
}

/* Of the old file's layout and types. */
static bool dropped(const char *key)
{
    return !strcmp(key, "general.file_type") || !strcmp(key, "general.quantization_version") ||
           !strcmp(key, "general.alignment") || !strncmp(key, "split.", 6);
}

static int failed(FILE *out, struct wd_err *err)
{
    if (!ferror(out))
        return 0;
    return wd_err_set(err, errno ? -errno : -EIO, "writing fails: %s",
                      strerror(errno ? errno : EIO));
}

int wd_gguf_write_head(FILE *out, const struct wd_tensor_file *f, const uint32_t *types,
                       uint32_t file_type, struct wd_err *err)
{
    uint64_t n_keys = 2, at = 0;
    long end;

    for (size_t i = 0; i < f->n_metas; i++)
        n_keys += !dropped(f->metas[i].key);
    put(out, "GGUF", 4);
    put_u32(out, 3);
    put_u64(out, f->n_tensors);
    put_u64(out, n_keys);
    for (size_t i = 0; i < f->n_metas; i++) {
        const struct wd_meta *m = &f->metas[i];

        if (dropped(m->key))
            continue;
        put_str(out, m->key);
        if (m->array) {
            put_u32(out, WD_META_ARRAY);
            put_u32(out, m->kind);
            put_u64(out, m->n);
        } else {
            put_u32(out, m->kind);
        }
        put(out, m->at, m->n_bytes);
    }
    put_key_u32(out, "general.file_type", file_type);
    put_key_u32(out, "general.quantization_version", QUANT_VERSION);
    for (size_t i = 0; i < f->n_tensors; i++) {
        const struct wd_tensor *t = &f->tensors[i].t;
        uint64_t rows = t->dims[1] * t->dims[2] * t->dims[3]; /* fits: its bytes lie in a file */

        put_str(out, t->name);
        put_u32(out, t->n_dims);
        for (uint32_t d = 0; d < t->n_dims; d++)
            put_u64(out, t->dims[d]);
        put_u32(out, types[i]);
        put_u64(out, at);
        at += rows * wd_type_row_bytes(types[i], t->dims[0]);
        at += -at % ALIGNMENT;
    }
    end = ftell(out);
    if (end < 0 && !ferror(out))
        return wd_err_set(err, -errno, "writing fails: %s", strerror(errno));
    return ferror(out) ? failed(out, err) : wd_gguf_write_pad(out, (uint64_t)end, err);
}

int wd_gguf_write_pad(FILE *out, uint64_t n, struct wd_err *err)
{
    static const unsigned char zeros[ALIGNMENT];

    put(out, zeros, -n % ALIGNMENT);
    return failed(out, err);
}
