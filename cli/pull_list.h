/* cli/pull_list.h - the models that `witness pull` knows by name: their files, sizes and checksums. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define WD_PULL_MAX_FILES 2

struct wd_pull_file {
    const char *path;   /* behind the base address; NULL ends the list */
    uint64_t size;      /* bytes; exact where there is a checksum, otherwise about */
    const char *sha256; /* NULL: not known here, as the server says */
};

struct wd_pull_model {
    const char *name, *help;
    struct wd_pull_file files[WD_PULL_MAX_FILES + 1];
};

/* All of them; the last has no name. */
extern const struct wd_pull_model wd_pull_list[];
/* NULL: not known. */
const struct wd_pull_model *wd_pull_find(const char *name);
uint64_t wd_pull_size(const struct wd_pull_model *m);
/* Are all checksums known, and so all sizes exact? */
bool wd_pull_is_exact(const struct wd_pull_model *m);
