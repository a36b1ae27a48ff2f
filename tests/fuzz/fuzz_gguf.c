/* tests/fuzz/fuzz_gguf.c - any bytes as a GGUF file.
 * It is opened and listed, its weights unpacked, its head written again, its shape and tokenizer asked for. */
#include "model/gguf_write.h"
#include "model/kernels.h"
#include "model/shape.h"
#include "model/tensor_file.h"
#include "model/tokenizer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Weights of every type, unpacked by plain C and by this processor's table: the same, or both NaN. */
static void unpack(const struct wd_tensor *t)
{
    size_t block = wd_type_block(t->type), piece = 256 / block * wd_type_block_bytes(t->type);
    const unsigned char *p = t->data;

    for (size_t at = 0; at < t->n_bytes && at < 64 * piece; at += piece) {
        size_t bytes = t->n_bytes - at < piece ? t->n_bytes - at : piece;
        size_t n = bytes / wd_type_block_bytes(t->type) * block;
        float a[256], b[256];

        wd_quant_unpack((enum wd_type)t->type, p + at, a, n);
        wd_kernels_best()->unpack((enum wd_type)t->type, p + at, b, n);
        for (size_t i = 0; i < n; i++)
            if (!(a[i] == b[i]) && (a[i] == a[i] || b[i] == b[i]))
                abort();
    }
}

/* The head of a file like this one. */
static void rewrite(const struct wd_tensor_file *f)
{
    size_t n = wd_tensor_file_count(f), len;
    uint32_t *types = calloc(n + 1, sizeof *types);
    struct wd_err err = {0};
    char *text = NULL;
    FILE *out = open_memstream(&text, &len);

    if (!types || !out)
        abort();
    for (size_t i = 0; i < n; i++)
        types[i] = wd_tensor_file_at(f, i)->type;
    if (wd_gguf_write_head(out, f, types, 0, &err) < 0)
        abort();
    fclose(out);
    free(text);
    free(types);
}

/* Reads all that is handed out. */
static unsigned touch(const struct wd_tensor_file *f)
{
    struct wd_str_iter it;
    char text[40];
    const char *key, *s;
    unsigned sum = 0;
    uint64_t n, v;
    size_t len;
    double d;

    for (size_t i = 0; i < wd_tensor_file_count(f); i++) {
        const struct wd_tensor *t = wd_tensor_file_at(f, i);
        const unsigned char *bytes = t->data;

        if (wd_tensor_file_find(f, t->name) != t || (uintptr_t)bytes % 4)
            abort();
        sum += bytes[0] + bytes[t->n_bytes - 1];
        unpack(t);
    }
    for (size_t i = 0; (key = wd_tensor_file_key(f, i, text, sizeof text)); i++) {
        sum += wd_tensor_file_u64(f, key, &v) + wd_tensor_file_f64(f, key, &d);
        if (wd_tensor_file_str(f, key, &s, &len) && len)
            sum += (unsigned char)s[0] + (unsigned char)s[len - 1];
        if (wd_tensor_file_array(f, key, &n) && n)
            sum += wd_tensor_file_array_f64(f, key, 0, &d) +
                   wd_tensor_file_array_f64(f, key, n - 1, &d);
        if (wd_tensor_file_strings(f, key, &it))
            while (wd_str_iter_next(&it, &s, &len))
                sum += len ? (unsigned char)s[len - 1] : 0;
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wd_shape shape;
    struct wd_tensor_file *f;
    struct wd_tokenizer *t;
    struct wd_err err = {0};
    int32_t ids[64];

    if (wd_tensor_file_from_memory("fuzz", data, size, &f, &err) < 0) {
        if (err.code >= 0 || !err.text[0])
            abort();
        return 0;
    }
    touch(f);
    rewrite(f);
    wd_shape_read(f, NULL, &shape, &err);
    if (wd_tokenizer_open(f, &t, &err) == 0) {
        char text[256];
        int64_t n =
            wd_tokenizer_encode(t, (const char *)data, size < 64 ? size : 64, true, ids, 64);

        if (n > 0)
            wd_tokenizer_decode(t, ids, n < 64 ? (size_t)n : 64, true, text, sizeof text);
        wd_tokenizer_free(t);
    }
    wd_tensor_file_free(f);
    return 0;
}
