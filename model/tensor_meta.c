/* model/tensor_meta.c - the metadata of a GGUF file, asked for by key and kind. */
#include "model/tensor_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static float f32_at(const unsigned char *p)
{
    uint32_t u = wd_le32(p);
    float v;

    memcpy(&v, &u, sizeof v);
    return v;
}

static double f64_at(const unsigned char *p)
{
    uint64_t u = wd_le64(p);
    double v;

    memcpy(&v, &u, sizeof v);
    return v;
}

size_t wd_meta_number_bytes(uint32_t kind)
{
    switch (kind) {
    case WD_META_U8:
    case WD_META_I8:
    case WD_META_BOOL:
        return 1;
    case WD_META_U16:
    case WD_META_I16:
        return 2;
    case WD_META_U32:
    case WD_META_I32:
    case WD_META_F32:
        return 4;
    case WD_META_U64:
    case WD_META_I64:
    case WD_META_F64:
        return 8;
    default:
        return 0;
    }
}

/* A whole number of any width, as sign and 64 bits. False for floats and strings. */
static bool integer_at(uint32_t kind, const unsigned char *p, int64_t *ret, bool *ret_big)
{
    *ret_big = false;
    switch (kind) {
    case WD_META_U8:
        *ret = p[0];
        return true;
    case WD_META_I8:
        *ret = (int8_t)p[0];
        return true;
    case WD_META_BOOL:
        *ret = p[0] != 0;
        return true;
    case WD_META_U16:
        *ret = wd_le16(p);
        return true;
    case WD_META_I16:
        *ret = (int16_t)wd_le16(p);
        return true;
    case WD_META_U32:
        *ret = wd_le32(p);
        return true;
    case WD_META_I32:
        *ret = (int32_t)wd_le32(p);
        return true;
    case WD_META_U64:
        *ret = (int64_t)wd_le64(p);
        *ret_big = *ret < 0;
        return true;
    case WD_META_I64:
        *ret = (int64_t)wd_le64(p);
        return true;
    default:
        return false;
    }
}

static bool number_at(uint32_t kind, const unsigned char *p, double *ret)
{
    int64_t v;
    bool big;

    if (kind == WD_META_F32) {
        *ret = (double)f32_at(p);
        return true;
    }
    if (kind == WD_META_F64) {
        *ret = f64_at(p);
        return true;
    }
    if (!integer_at(kind, p, &v, &big))
        return false;
    *ret = big ? (double)(uint64_t)v : (double)v;
    return true;
}

bool wd_tensor_file_u64(const struct wd_tensor_file *f, const char *key, uint64_t *ret)
{
    const struct wd_meta *m = wd_table_meta(f, key);
    int64_t v;
    bool big;

    if (!m || m->array || !integer_at(m->kind, m->at, &v, &big) || (v < 0 && !big))
        return false;
    *ret = (uint64_t)v;
    return true;
}

bool wd_tensor_file_f64(const struct wd_tensor_file *f, const char *key, double *ret)
{
    const struct wd_meta *m = wd_table_meta(f, key);

    if (!m || m->array || (m->kind != WD_META_F32 && m->kind != WD_META_F64))
        return false;
    return number_at(m->kind, m->at, ret);
}

bool wd_tensor_file_str(const struct wd_tensor_file *f, const char *key, const char **ret,
                        size_t *ret_len)
{
    const struct wd_meta *m = wd_table_meta(f, key);

    if (!m || m->array || m->kind != WD_META_STR)
        return false;
    *ret = (const char *)m->at + 8;
    *ret_len = m->n_bytes - 8;
    return true;
}

bool wd_tensor_file_array(const struct wd_tensor_file *f, const char *key, uint64_t *ret_n)
{
    const struct wd_meta *m = wd_table_meta(f, key);

    if (!m || !m->array)
        return false;
    *ret_n = m->n;
    return true;
}

bool wd_tensor_file_array_f64(const struct wd_tensor_file *f, const char *key, uint64_t i,
                              double *ret)
{
    const struct wd_meta *m = wd_table_meta(f, key);

    if (!m || !m->array || i >= m->n || m->kind == WD_META_STR)
        return false;
    return number_at(m->kind, m->at + i * wd_meta_number_bytes(m->kind), ret);
}

bool wd_tensor_file_strings(const struct wd_tensor_file *f, const char *key,
                            struct wd_str_iter *ret)
{
    const struct wd_meta *m = wd_table_meta(f, key);

    if (!m || !m->array || m->kind != WD_META_STR)
        return false;
    *ret = (struct wd_str_iter){.at = m->at, .end = m->at + m->n_bytes, .left = m->n};
    return true;
}

/* Lengths were checked at open; checked again, because somebody may write into the file meanwhile.
 */
bool wd_str_iter_next(struct wd_str_iter *it, const char **ret, size_t *ret_len)
{
    uint64_t n;

    if (!it->left || it->end - it->at < 8)
        return false;
    n = wd_le64(it->at);
    if (n > (uint64_t)(it->end - it->at) - 8)
        return false;
    *ret = (const char *)it->at + 8;
    *ret_len = n;
    it->at += 8 + n;
    it->left--;
    return true;
}

/* Printable and short: control characters become '?'. */
static void show_string(const char *s, size_t len, char *out, size_t cap)
{
    size_t n = len < cap - 1 ? len : cap - 1;

    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)s[i] < 0x20 || s[i] == 0x7f ? '?' : s[i];
    out[n] = '\0';
}

const char *wd_tensor_file_key(const struct wd_tensor_file *f, size_t i, char *ret_text, size_t cap)
{
    const struct wd_meta *m;
    double number;
    int64_t v;
    bool big;

    if (i >= f->n_metas)
        return NULL;
    m = &f->metas[i];
    if (cap == 0)
        return m->key;
    if (m->array)
        snprintf(ret_text, cap, "[%" PRIu64 " elements]", m->n);
    else if (m->kind == WD_META_STR)
        show_string((const char *)m->at + 8, m->n_bytes - 8, ret_text, cap);
    else if (m->kind == WD_META_BOOL)
        snprintf(ret_text, cap, "%s", m->at[0] ? "true" : "false");
    else if (integer_at(m->kind, m->at, &v, &big))
        snprintf(ret_text, cap, big ? "%" PRIu64 : "%" PRId64, v);
    else if (number_at(m->kind, m->at, &number))
        snprintf(ret_text, cap, "%g", number);
    return m->key;
}
