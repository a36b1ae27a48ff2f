/* tests/fuzz/fuzz_safetensors.c - any bytes as a safetensors file.
 * The length in front is made to fit, or fuzzing would never get beyond it; every eighth input
 * keeps its own. */
#include "model/tensor_file.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wd_tensor_file *f;
    struct wd_err err = {0};
    uint8_t *file;
    uint64_t n = 0;

    if (size < 9)
        return 0;
    file = malloc(size);
    if (!file)
        return 0;
    memcpy(file, data, size);
    if (data[0] % 8) {
        const uint8_t *end =
            memchr(data + 8, '\n', size - 8); /* the head ends at a new line, if there is one */

        n = end ? (uint64_t)(end - data) - 8 : size - 8;
        memcpy(file, &n, sizeof n);
    }
    if (wd_tensor_file_from_memory("fuzz", file, size, &f, &err) == 0) {
        volatile unsigned sum = 0;

        if (wd_tensor_file_copied_bytes(f) > size)
            abort();
        for (size_t i = 0; i < wd_tensor_file_count(f); i++) {
            const struct wd_tensor *t = wd_tensor_file_at(f, i);

            if (wd_tensor_file_find(f, t->name) != t || (uintptr_t)t->data % 4)
                abort();
            for (uint64_t k = 0; k < t->n_bytes; k++)
                sum += ((const uint8_t *)t->data)[k];
        }
        (void)sum;
        wd_tensor_file_free(f);
    } else if (err.code >= 0 || !err.text[0]) {
        abort();
    }
    free(file);
    return 0;
}
