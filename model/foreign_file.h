/* model/foreign_file.h - what a file is that is no model of ours, in words for an error. Pure. */
#pragma once
#include <stddef.h>

/* Told by its first bytes; NULL: nothing that is known. */
const char *wd_foreign_file(const unsigned char *bytes, size_t n);
/* The most telling name among the files of a folder that holds no safetensors of a model: what it
 * is. Call for each; NULL: says nothing. */
const char *wd_foreign_name(const char *name);
