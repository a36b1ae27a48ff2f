/* model/shape_parts.h - the readers of shape.c. For model/shape*.c only. */
#pragma once
#include "model/shape.h"

#include <stddef.h>

/* Both fill in what the file says; ranges are checked afterwards, by wd_shape_read(). */
int wd_shape_from_gguf(const struct wd_tensor_file *text, const struct wd_tensor_file *media,
                       struct wd_shape *ret, struct wd_err *err);
int wd_shape_from_json(const struct wd_tensor_file *text, struct wd_shape *ret, struct wd_err *err);
