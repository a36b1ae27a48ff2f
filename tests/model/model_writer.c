/* tests/model/model_writer.c - writes small model files into memory, right or wrong. */
#include "tests/model/model_writer.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

void bytes_put(struct bytes *b, const void *p, size_t n)
{
    if (b->n + n > b->cap) {
        b->cap = 2 * (b->n + n);
        b->at = must(realloc(b->at, b->cap));
    }
    if (n && p)
        memcpy(b->at + b->n, p, n);
    else if (n)
        memset(b->at + b->n, 0, n);
    b->n += n;
}

void bytes_u32(struct bytes *b, uint32_t v)
{
    bytes_put(b, &v, sizeof v);
}

void bytes_u64(struct bytes *b, uint64_t v)
{
    bytes_put(b, &v, sizeof v);
}

void bytes_str(struct bytes *b, const char *s)
{
    bytes_u64(b, strlen(s));
    bytes_put(b, s, strlen(s));
}

void bytes_free(struct bytes *b)
{
    free(b->at);
    *b = (struct bytes){0};
}

void gguf_init(struct gguf *g)
{
    *g = (struct gguf){.version = 3, .alignment = 32};
}

void gguf_raw(struct gguf *g, const char *key, uint32_t kind, const void *value, size_t n)
{
    bytes_str(&g->keys, key);
    bytes_u32(&g->keys, kind);
    bytes_put(&g->keys, value, n);
    g->n_keys++;
}

void gguf_u32(struct gguf *g, const char *key, uint32_t v)
{
    gguf_raw(g, key, 4, &v, sizeof v);
}

void gguf_f32(struct gguf *g, const char *key, float v)
{
    gguf_raw(g, key, 6, &v, sizeof v);
}

void gguf_bool(struct gguf *g, const char *key, int v)
{
    unsigned char c = v != 0;

    gguf_raw(g, key, 7, &c, 1);
}

void gguf_str(struct gguf *g, const char *key, const char *v)
{
    gguf_raw(g, key, 8, NULL, 0);
    bytes_str(&g->keys, v);
}

static void array(struct gguf *g, const char *key, uint32_t kind, size_t n)
{
    gguf_raw(g, key, 9, NULL, 0);
    bytes_u32(&g->keys, kind);
    bytes_u64(&g->keys, n);
}

void gguf_i32s(struct gguf *g, const char *key, const int32_t *v, size_t n)
{
    array(g, key, 5, n);
    bytes_put(&g->keys, v, n * sizeof *v);
}

void gguf_bools(struct gguf *g, const char *key, const unsigned char *v, size_t n)
{
    array(g, key, 7, n);
    bytes_put(&g->keys, v, n);
}

void gguf_strs(struct gguf *g, const char *key, const char *const *v, size_t n)
{
    array(g, key, 8, n);
    for (size_t i = 0; i < n; i++)
        bytes_str(&g->keys, v[i]);
}

static void pad(struct bytes *b, size_t align)
{
    while (b->n % align)
        bytes_put(b, NULL, 1);
}

void gguf_tensor_at(struct gguf *g, const char *name, uint32_t type, const uint64_t *dims,
                    uint32_t n_dims, uint64_t offset)
{
    bytes_str(&g->infos, name);
    bytes_u32(&g->infos, n_dims);
    bytes_put(&g->infos, dims, n_dims * sizeof *dims);
    bytes_u32(&g->infos, type);
    bytes_u64(&g->infos, offset);
    g->n_tensors++;
}

void gguf_tensor(struct gguf *g, const char *name, uint32_t type, const uint64_t *dims,
                 uint32_t n_dims, const void *data, size_t n)
{
    pad(&g->data, g->alignment);
    gguf_tensor_at(g, name, type, dims, n_dims, g->data.n);
    bytes_put(&g->data, data, n);
}

struct bytes gguf_finish(struct gguf *g)
{
    struct bytes all = {0};

    bytes_put(&all, "GGUF", 4);
    bytes_u32(&all, g->version);
    bytes_u64(&all, g->n_tensors);
    bytes_u64(&all, g->n_keys);
    bytes_put(&all, g->keys.at, g->keys.n);
    bytes_put(&all, g->infos.at, g->infos.n);
    if (g->data.n)
        pad(&all, g->alignment);
    bytes_put(&all, g->data.at, g->data.n);
    bytes_free(&g->keys);
    bytes_free(&g->infos);
    bytes_free(&g->data);
    /* Of exactly its size, so that a sanitizer sees the first byte read beyond. */
    all.at = must(realloc(all.at, all.n));
    all.cap = all.n;
    return all;
}

struct bytes safetensors_file(const char *head, size_t n_data)
{
    size_t n = strlen(head);
    struct bytes b = {
        .at = must(malloc(8 + n + n_data)), .n = 8 + n + n_data, .cap = 8 + n + n_data};
    uint64_t n64 = n;

    memcpy(b.at, &n64, 8);
    memcpy(b.at + 8, head, n);
    for (size_t i = 0; i < n_data; i++)
        b.at[8 + n + i] = (unsigned char)i;
    return b;
}

char *temp_folder(void)
{
    char *s = must(strdup(TEST_BUILDDIR "/test-folder-XXXXXX"));

    return must(mkdtemp(s));
}

void temp_file(const char *folder, const char *name, const void *bytes, size_t n)
{
    char path[4096];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = must(fopen(path, "wb"));
    if (n && fwrite(bytes, 1, n, f) != n)
        abort();
    if (fclose(f))
        abort();
}

void temp_remove(char *folder)
{
    DIR *d = must(opendir(folder));
    struct dirent *e;
    char path[4096];

    while ((e = readdir(d)))
        if (e->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
            unlink(path);
        }
    closedir(d);
    rmdir(folder);
    free(folder);
}
