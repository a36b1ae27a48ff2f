/* model/gguf_write.h - the head of a GGUF file made from another: the same keys and tensors, in
 * other types. Any thread. */
#pragma once
#include "base/err.h"
#include <stdint.h>
#include <stdio.h>

struct wd_tensor_file;

/* Header, keys and descriptions, up to where the data begin. from: a GGUF file; types: one a
 * tensor, in file order. general.file_type becomes file_type; keys that say how the old file was
 * laid out are left out. -EIO and other errnos of writing. */
int wd_gguf_write_head(FILE *out, const struct wd_tensor_file *from, const uint32_t *types,
                       uint32_t file_type, struct wd_err *err);
/* Zeros behind n bytes of a tensor's data, up to where the next begins. */
int wd_gguf_write_pad(FILE *out, uint64_t n, struct wd_err *err);
