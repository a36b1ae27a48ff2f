/* tests/fuzz/fuzz_gguf.c - any bytes as a GGUF file.
 * It is opened and listed, its shape and tokenizer asked for. */
#include "model/shape.h"
#include "model/tensor_file.h"
#include "model/tokenizer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
