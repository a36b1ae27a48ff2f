/* tests/model/small_model.c - a checkpoint of tests/golden in a temporary folder, whole or damaged on purpose. */
#include "tests/model/small_model.h"

#include "tests/golden/checkpoint.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void wd_small_write(const char *name, bool hf, char folder[64])
{
    struct wd_err err = {0};

    snprintf(folder, 64, "/tmp/witnessd-model-XXXXXX");
    assert_non_null(mkdtemp(folder));
    if (wd_checkpoint_write(name, folder, hf, &err) < 0)
        fail_msg("%s", err.text);
}

void wd_small_remove(const char *folder)
{
    DIR *d = opendir(folder);
    const struct dirent *e;
    char path[512];

    assert_non_null(d);
    while ((e = readdir(d))) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] != '.')
            unlink(path);
    }
    closedir(d);
    assert_int_equal(rmdir(folder), 0);
}

struct wd_engine *wd_small_open(const char *folder, bool hf, unsigned max_rows)
{
    struct wd_engine_opts opts = {.n_threads = 2, .max_rows = max_rows};
    struct wd_engine *e;
    struct wd_err err = {0};
    char path[128];

    snprintf(path, sizeof path, "%s%s", folder, hf ? "" : "/text.gguf");
    if (wd_engine_open(path, &opts, &e, &err) < 0)
        fail_msg("%s", err.text);
    return e;
}

void wd_small_patch(const char *folder, const char *file, const char *text, long offset, const void *bytes, size_t n)
{
    size_t len = strlen(text), size, at = 0, found = 0;
    char path[128], *head;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, file);
    f = fopen(path, "r+b");
    assert_non_null(f);
    head = malloc(1 << 18); /* names and sizes stand before the weights */
    assert_non_null(head);
    size = fread(head, 1, 1 << 18, f);
    for (size_t i = 0; i + len <= size; i++)
        if (memcmp(head + i, text, len) == 0) {
            at = i;
            found++;
        }
    free(head);
    if (found != 1)
        fail_msg("%s: '%s' stands there %zu times", path, text, found);
    assert_int_equal(fseek(f, (long)(at + len) + offset, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static uint64_t next(uint64_t *z)
{
    return *z = *z * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
}

void wd_small_ids(uint64_t seed, int32_t *ids, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        ids[i] = 500 + (int32_t)(next(&seed) >> 40) % 480; /* behind the bytes, before the media */
}

void wd_small_values(uint64_t seed, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(next(&seed) >> 40) / 8388608.0f - 1.0f;
}

double wd_small_error(const float *a, const float *b, size_t n)
{
    double d = 0, s = 0;

    for (size_t i = 0; i < n; i++) {
        d += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        s += (double)b[i] * (double)b[i];
    }
    return sqrt(d / s);
}

int wd_small_feed(struct wd_engine *e, struct wd_decoder *d, const int32_t *ids, uint32_t n, float *ret_logits)
{
    struct wd_span span = {.kind = WD_SPAN_TOKENS, .n = n, .ids = ids};
    struct wd_pass_part part = {.decoder = d, .spans = &span, .n_spans = 1, .n_logits = ret_logits ? 1 : 0, .ret_logits = ret_logits};

    return wd_decoder_pass(e, &part, 1, NULL);
}
