/* model/tensor_table.h - what the readers of tensor_file.c fill in.
 * Files, tensors, metadata. For model/tensor_*.c, gguf*.c, safetensors.c only. */
#pragma once
#include "model/mapping.h"
#include "model/tensor_file.h"

#define WD_TABLE_MAX_NAME 255 /* bytes of a tensor's or key's name */
#define WD_TABLE_MAX_TENSORS 1000000
#define WD_TABLE_MAX_KEYS 65536
#define WD_TABLE_MAX_FILES 1000 /* shards */
#define WD_SIDECAR_MAX_BYTES (64u << 20)

struct wd_table_file {
    char *path;
    const unsigned char *data;
    size_t len;
    struct wd_mapping mapping; /* zeroed: the bytes are borrowed */
};

struct wd_table_tensor {
    struct wd_tensor t; /* t.name is owned */
    uint32_t file;
    uint64_t offset; /* in the file */
    void *copy;      /* owned; NULL: t.data lies in the file */
};

/* Value types of GGUF. */
enum wd_meta_kind {
    WD_META_U8,
    WD_META_I8,
    WD_META_U16,
    WD_META_I16,
    WD_META_U32,
    WD_META_I32,
    WD_META_F32,
    WD_META_BOOL,
    WD_META_STR,
    WD_META_ARRAY,
    WD_META_U64,
    WD_META_I64,
    WD_META_F64,
};
/* Bytes of a number; 0 for strings, arrays and what is not known. */
size_t wd_meta_number_bytes(uint32_t kind);

struct wd_meta {
    char *key;     /* owned */
    uint32_t kind; /* of the value, of its elements if `array` */
    bool array;
    uint64_t n;              /* elements; 1 for a single value */
    const unsigned char *at; /* the value or first element; strings with their length in front */
    uint64_t n_bytes;
};

struct wd_tensor_file {
    char *path;
    char *folder; /* where sidecars lie; NULL: nowhere */
    enum wd_tensor_form form;
    bool data_types; /* enum wd_data_type is welcome */
    struct wd_table_file *files;
    size_t n_files;
    struct wd_table_tensor *tensors;
    size_t n_tensors, cap_tensors;
    uint32_t *by_name; /* of tensors, sorted; after wd_table_finish() */
    struct wd_meta *metas;
    size_t n_metas, cap_metas;
    uint32_t *metas_by_name;
    uint64_t copied_bytes;
};

/* What a file says of a tensor; nothing of it is checked yet. */
struct wd_table_claim {
    const char *name;
    size_t name_len;
    uint32_t type;
    uint32_t n_dims;
    uint64_t dims[4];
    uint32_t file;
    uint64_t offset;  /* in the file */
    uint64_t n_bytes; /* UINT64_MAX: as its shape says */
};

/* Checks name, type, sizes and place; copies the name. */
int wd_table_add(struct wd_tensor_file *f, const struct wd_table_claim *c, struct wd_err *err);
/* A piece of metadata whose value lies checked in the file. Fills in m->key. */
int wd_table_add_meta(struct wd_tensor_file *f, const char *key, size_t key_len, struct wd_meta m,
                      struct wd_err *err);
/* Indices; refuses names that occur twice and tensors that overlap; copies unaligned tensors aside.
 */
int wd_table_finish(struct wd_tensor_file *f, struct wd_err *err);
/* Why a name of a tensor or key cannot be; NULL: it can. */
const char *wd_table_bad_name(const char *name, size_t len);

const struct wd_meta *wd_table_meta(const struct wd_tensor_file *f, const char *key);

/* Readers: of file number i. */
int wd_gguf_read(struct wd_tensor_file *f, uint32_t i, struct wd_err *err);
/* The other parts of a split one, when file 0 is the first of them: maps and reads them. */
int wd_gguf_join(struct wd_tensor_file *f, struct wd_err *err);
/* Takes path, NULL too: one file more, mapped. */
int wd_table_map(struct wd_tensor_file *f, char *path, struct wd_err *err);
int wd_safetensors_read(struct wd_tensor_file *f, uint32_t i, struct wd_err *err);

static inline uint16_t wd_le16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t wd_le32(const unsigned char *p)
{
    return wd_le16(p) | (uint32_t)wd_le16(p + 2) << 16;
}

static inline uint64_t wd_le64(const unsigned char *p)
{
    return wd_le32(p) | (uint64_t)wd_le32(p + 4) << 32;
}
