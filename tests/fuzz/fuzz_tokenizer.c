/* tests/fuzz/fuzz_tokenizer.c - any bytes as a tokenizer.json, as text, as ids.
 * The first byte chooses; text and ids go to nano's tokenizer. */
#include "model/tensor_file.h"
#include "model/tokenizer.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct wd_tokenizer *nano(void)
{
    static struct wd_tokenizer *t;
    struct wd_tensor_file *f;
    struct wd_err err = {0};

    if (t)
        return t;
    if (wd_tensor_file_open(TEST_SRCDIR "/models/nano.gguf", &f, &err) < 0 ||
        wd_tokenizer_open(f, &t, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    wd_tensor_file_free(f);
    return t;
}

/* Text -> ids -> text: what comes back is what went in, as far as that was UTF-8. */
static void text(const struct wd_tokenizer *t, const char *s, size_t n, bool special)
{
    int32_t *ids = malloc((n + 1) * 4 * sizeof *ids);
    int64_t k;

    if (!ids)
        return;
    k = wd_tokenizer_encode(t, s, n, special, ids, (n + 1) * 4);
    if (k < 0 || k > (int64_t)(n + 1) * 4)
        abort();
    for (int64_t i = 0; i < k; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= wd_tokenizer_count(t) ||
            (!special && wd_tokenizer_is_control(t, ids[i]) && ids[i] != 3))
            abort();
    free(ids);
}

static void numbers(const struct wd_tokenizer *t, const uint8_t *data, size_t n, bool show)
{
    char piece[WD_DETOKENIZER_MAX], *all, *streamed;
    struct wd_detokenizer d;
    size_t count = n / 2, total = 0, want;
    int32_t *ids = malloc((count + 1) * sizeof *ids);

    for (size_t i = 0; i < count; i++)
        ids[i] = (data[2 * i] | data[2 * i + 1] << 8) % 800 - 4; /* some are none */
    want = wd_tokenizer_decode(t, ids, count, show, NULL, 0);
    all = malloc(want + 1);
    streamed = malloc(want + 3 * 64 + 64);
    if (wd_tokenizer_decode(t, ids, count, show, all, want + 1) != want || all[want])
        abort();
    wd_detokenizer_init(&d, t, show);
    for (size_t i = 0; i <= count; i++) {
        size_t k =
            i < count ? wd_detokenizer_push(&d, ids[i], piece) : wd_detokenizer_finish(&d, piece);

        if (k > sizeof piece)
            abort();
        if (count <= 64)
            memcpy(streamed + total, piece, k);
        total += k;
    }
    if (count <= 64 && (total != want || memcmp(streamed, all, want)))
        abort();
    free(streamed);
    free(all);
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wd_tokenizer *t;
    struct wd_err err = {0};

    if (size < 1)
        return 0;
    switch (data[0] % 4) {
    case 0:
        text(nano(), (const char *)data + 1, size - 1, data[0] & 4);
        break;
    case 1:
        numbers(nano(), data + 1, size - 1, data[0] & 4);
        break;
    default:
        if (wd_tokenizer_from_json("fuzz", (const char *)data + 1, size - 1, &t, &err) == 0) {
            wd_tokenizer_encode(t, (const char *)data, size, true, NULL, 0);
            wd_tokenizer_free(t);
        } else if (err.code >= 0 || !err.text[0]) {
            abort();
        }
    }
    return 0;
}
