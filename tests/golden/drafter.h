/* tests/golden/drafter.h - the synthetic drafters behind the golden vectors, written anew from their seeds. */
#pragma once
#include "base/err.h"
#include <stdbool.h>

/* For the checkpoints "tiny" and "heads" (checkpoint.h), or for the shipped "nano", where it is hardly ever right; -EINVAL for another name. Into a folder that exists: config.json and model.safetensors, or
 * drafter.gguf. Values are F32. The embedding of the first two makes them guess the newest token again, so that some guesses are right. */
int wd_checkpoint_write_drafter(const char *name, const char *folder, bool hf, struct wd_err *err);
