/* tests/golden/checkpoint.h - the synthetic checkpoints behind the golden vectors, written anew from their seeds: every value is a pure function of
 * (seed, tensor name, index), so that no weights need to be stored. */
#pragma once
#include "base/err.h"
#include <stdbool.h>

/* "tiny", "odd", "wide", "separate", "heads"; what each is: tests/golden/README.md. -EINVAL for another name.
 * folder exists. hf: config.json, generation_config.json, tokenizer.json, model.safetensors in it; otherwise text.gguf and mmproj.gguf.
 * Values are F32. */
int wd_checkpoint_write(const char *name, const char *folder, bool hf, struct wd_err *err);
