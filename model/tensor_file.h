/* model/tensor_file.h - a model file mapped read-only: its tensors by name, its metadata.
 * GGUF v3 (and v2) or safetensors. Every offset, count and shape is checked before a view is
 * handed out. After open: read-only, any thread. */
#pragma once
#include "base/err.h"
#include "model/quant.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wd_tensor {
    const char *name;
    uint32_t type;    /* enum wd_type; open refuses others, naming the tensor.
                         wd_tensor_file_open_data() also enum wd_data_type */
    uint32_t n_dims;  /* 1..4 */
    uint64_t dims[4]; /* fastest first, as GGUF writes them; unused ones are 1. safetensors shapes
                         are turned round */
    const void *data; /* in the mapping; aligned to 4 bytes at least */
    uint64_t n_bytes;
};

/* Numbers that are no weights, in files of test vectors. The first five are GGUF's. */
enum wd_data_type {
    WD_DATA_I8 = 24,
    WD_DATA_I16 = 25,
    WD_DATA_I32 = 26,
    WD_DATA_I64 = 27,
    WD_DATA_F64 = 28,
    WD_DATA_U8 = 1000, /* also BOOL */
};

enum wd_tensor_form { WD_FORM_GGUF, WD_FORM_SAFETENSORS };

struct wd_tensor_file;

/* path: a GGUF file, or the first part of a split one, whose others lie beside it; a .safetensors file; or a folder with model.safetensors or
 * model.safetensors.index.json and its shards. The kind of file is told by its first bytes, not by
 * its name. Errors: -ENOENT and other errnos of open, -EINVAL for a file that is no model or is
 * damaged (err names file, tensor or key, offset, what was expected), -ENOTSUP for types or
 * versions not known. */
int wd_tensor_file_open(const char *path, struct wd_tensor_file **ret, struct wd_err *err);
/* The same for files that may also hold whole numbers: test vectors, not weights. */
int wd_tensor_file_open_data(const char *path, struct wd_tensor_file **ret, struct wd_err *err);
/* From bytes, which are borrowed and must outlive it; `name` stands in errors. One file, no folder
 * beside it. For tests. */
int wd_tensor_file_from_memory(const char *name, const void *bytes, size_t len,
                               struct wd_tensor_file **ret, struct wd_err *err);
struct wd_tensor_file *wd_tensor_file_free(struct wd_tensor_file *f);

const char *wd_tensor_file_path(const struct wd_tensor_file *f); /* as given */
enum wd_tensor_form wd_tensor_file_form(const struct wd_tensor_file *f);
size_t wd_tensor_file_count(const struct wd_tensor_file *f);
const struct wd_tensor *wd_tensor_file_at(const struct wd_tensor_file *f,
                                          size_t i); /* in file order */
/* Of one that came from wd_tensor_file_at() or _find(). */
size_t wd_tensor_file_index(const struct wd_tensor_file *f, const struct wd_tensor *t);
const struct wd_tensor *wd_tensor_file_find(const struct wd_tensor_file *f,
                                            const char *name); /* O(log n); NULL if absent */
uint64_t wd_tensor_file_bytes(const struct wd_tensor_file *f); /* size of the mapping(s) */
/* 0; or -EIO, naming the file, when bytes of a mapping were no longer there as somebody read them: zeros
 * were read instead (model/mapping.h), and what was computed from them is worth nothing. */
int wd_tensor_file_torn(const struct wd_tensor_file *f, struct wd_err *err);
uint64_t wd_tensor_file_copied_bytes(
    const struct wd_tensor_file *f); /* of tensors that lay unaligned and were copied aside */

/* GGUF metadata; all return false (and leave *ret alone) when the key is absent or of another kind.
 * Integers of every width and bool count as u64/i64; f32 and f64 as f64. Strings are not
 * NUL-terminated and live in the mapping. */
bool wd_tensor_file_u64(const struct wd_tensor_file *f, const char *key, uint64_t *ret);
bool wd_tensor_file_f64(const struct wd_tensor_file *f, const char *key, double *ret);
bool wd_tensor_file_str(const struct wd_tensor_file *f, const char *key, const char **ret,
                        size_t *ret_len);
/* Array length; element access is O(1) for numbers, sequential for strings (use the iterator). */
bool wd_tensor_file_array(const struct wd_tensor_file *f, const char *key, uint64_t *ret_n);
bool wd_tensor_file_array_f64(const struct wd_tensor_file *f, const char *key, uint64_t i,
                              double *ret); /* ints, bools too */
struct wd_str_iter {
    const unsigned char *at, *end;
    uint64_t left;
};
bool wd_tensor_file_strings(const struct wd_tensor_file *f, const char *key,
                            struct wd_str_iter *ret);
bool wd_str_iter_next(struct wd_str_iter *it, const char **ret, size_t *ret_len);
/* The i-th key, for listings: NULL past the end. `ret_text` (cap bytes) gets the value in short,
 * printable form. */
const char *wd_tensor_file_key(const struct wd_tensor_file *f, size_t i, char *ret_text,
                               size_t cap);

/* A JSON file beside the weights of a folder ("config.json"), read whole (at most 64 MB):
 * malloc'ed, NUL-terminated, caller frees. -ENOENT when it is not there, and for a GGUF file, which
 * has none. */
int wd_tensor_file_sidecar(const struct wd_tensor_file *f, const char *name, char **ret,
                           size_t *ret_len, struct wd_err *err);
