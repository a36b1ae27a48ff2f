/* tests/model/small_model.h - a checkpoint of tests/golden in a temporary folder, whole or damaged on purpose. */
#pragma once
#include "model/decoder.h"
#include "model/engine.h"
#include <stdbool.h>
#include <stdint.h>

/* Makes a folder and writes the checkpoint "odd", "wide", ... into it (tests/golden/checkpoint.h); fails the test when it cannot. */
void wd_small_write(const char *name, bool hf, char ret_folder[64]);
/* Removes the files in it, and the folder. */
void wd_small_remove(const char *folder);
/* text.gguf of a folder, or the folder itself. max_rows as in struct wd_engine_opts. */
struct wd_engine *wd_small_open(const char *folder, bool hf, unsigned max_rows);

/* Overwrites n bytes that stand `offset` behind the end of the only place where `text` stands in the file. */
void wd_small_patch(const char *folder, const char *file, const char *text, long offset, const void *bytes, size_t n);

/* ids [n]: ordinary ones, the same for the same seed. */
void wd_small_ids(uint64_t seed, int32_t *ids, uint32_t n);
/* values in [-1, 1] */
void wd_small_values(uint64_t seed, float *x, size_t n);
/* |a - b| / |b| */
double wd_small_error(const float *a, const float *b, size_t n);
/* Feeds tokens; the logits of the last row into ret_logits [n_vocab], NULL: none. Returns what wd_decoder_pass() says. */
int wd_small_feed(struct wd_engine *e, struct wd_decoder *d, const int32_t *ids, uint32_t n, float *ret_logits);
