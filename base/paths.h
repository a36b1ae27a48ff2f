/* base/paths.h - where shipped files lie.
 * In $WITNESSD_DATADIR (a source tree, a test), else in the folder of the installation. Any thread.
 */
#pragma once
#include "base/err.h"
#include <stddef.h>

/* A shipped file or folder by its place in the data folder, e.g. "models/voice-print.safetensors":
 * writes where it is (with its NUL, at most cap bytes). -ENOENT with all places looked at;
 * -ENAMETOOLONG. */
int wd_paths_data(const char *relative, char *ret, size_t cap, struct wd_err *err);

/* A model by what a person wrote: a path (with a '/', or of something that is there), or the name
 * of a shipped model
 * ("nano": models/nano.gguf). A path is not looked at further: opening it says what is wrong.
 * Errors as above. */
int wd_paths_model(const char *name, char *ret, size_t cap, struct wd_err *err);
