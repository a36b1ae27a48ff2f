/* base/paths.h - where shipped files and the user's models lie.
 * In $WITNESSD_DATADIR (a source tree, a test), else in the folder of the installation. Any thread.
 */
#pragma once
#include "base/err.h"
#include <stddef.h>

/* A shipped file or folder by its place in the data folder, e.g. "models/voice-print.safetensors":
 * writes where it is (with its NUL, at most cap bytes). -ENOENT with all places looked at;
 * -ENAMETOOLONG. */
int wd_paths_data(const char *relative, char *ret, size_t cap, struct wd_err *err);

/* The user's own models, where `witness pull` puts them: $XDG_DATA_HOME/witnessd/models, else ~/.local/share/witnessd/models. It
 * need not exist. -ENOENT: neither XDG_DATA_HOME nor HOME is set. */
int wd_paths_user_models(char *ret, size_t cap, struct wd_err *err);

/* A model by what a person wrote: a path (with a '/', or of something that is there), the name of a shipped model
 * ("nano": models/nano.gguf), or a name among the user's own models: NAME.gguf, or a folder NAME with safetensors or one GGUF
 * besides an mmproj. A path is not looked at further: opening it says what is wrong. -EINVAL: the folder holds several models.
 * Other errors as above. */
int wd_paths_model(const char *name, char *ret, size_t cap, struct wd_err *err);
