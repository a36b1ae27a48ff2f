/* tests/model/model_writer.h - writes small model files into memory, right or wrong, for tests. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct bytes {
    unsigned char *at;
    size_t n, cap;
};
void bytes_put(struct bytes *b, const void *p, size_t n);
void bytes_u32(struct bytes *b, uint32_t v);
void bytes_u64(struct bytes *b, uint64_t v);
void bytes_str(struct bytes *b, const char *s); /* u64 length, bytes */
void bytes_free(struct bytes *b);

/* Keys, descriptions of tensors and data are collected apart; finish() puts them together. The
 * counts and the version may be changed before. */
struct gguf {
    struct bytes keys, infos, data;
    uint32_t version;
    uint64_t n_keys, n_tensors;
    uint32_t alignment; /* of the data; general.alignment is not written by itself */
};
void gguf_init(struct gguf *g);
void gguf_u32(struct gguf *g, const char *key, uint32_t v);
void gguf_f32(struct gguf *g, const char *key, float v);
void gguf_bool(struct gguf *g, const char *key, int v);
void gguf_str(struct gguf *g, const char *key, const char *v);
void gguf_i32s(struct gguf *g, const char *key, const int32_t *v, size_t n);
void gguf_bools(struct gguf *g, const char *key, const unsigned char *v, size_t n);
void gguf_strs(struct gguf *g, const char *key, const char *const *v, size_t n);
/* Type and value as they are given, whatever they are. */
void gguf_raw(struct gguf *g, const char *key, uint32_t kind, const void *value, size_t n);
/* data NULL: zeros. */
void gguf_tensor(struct gguf *g, const char *name, uint32_t type, const uint64_t *dims,
                 uint32_t n_dims, const void *data, size_t n);
/* The same with an offset of one's own, and no data. */
void gguf_tensor_at(struct gguf *g, const char *name, uint32_t type, const uint64_t *dims,
                    uint32_t n_dims, uint64_t offset);
/* The file, malloc'ed to exactly its size; frees g's parts. */
struct bytes gguf_finish(struct gguf *g);

/* A safetensors file of this head and so many bytes of data (their values count up). */
struct bytes safetensors_file(const char *head, size_t n_data);

/* A folder of its own below the build tree, and files in it. */
char *temp_folder(void);
void temp_file(const char *folder, const char *name, const void *bytes, size_t n);
void temp_remove(char *folder); /* with its files; frees the name */
