/* tests/golden/checkpoint.h - the synthetic checkpoints behind the golden vectors, written anew from their seeds: every value is a pure function of
 * (seed, tensor name, index), so that no weights need to be stored. */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

/* "tiny", "odd", "wide", "separate", "heads"; what each is: tests/golden/README.md. -EINVAL for another name.
 * folder exists. hf: config.json, generation_config.json, tokenizer.json, model.safetensors in it; otherwise text.gguf and mmproj.gguf.
 * Values are F32. */
int wd_checkpoint_write(const char *name, const char *folder, bool hf, struct wd_err *err);

/* The rule that all values follow: element i of the tensor of this name, rounded to bfloat16. */
uint64_t wd_checkpoint_key(uint64_t seed, const char *name);
float wd_checkpoint_value(uint64_t key, uint64_t i, double mean, double std);
