/* cli/fetch_plan.h - what of a file that is being fetched has arrived, and the small file that remembers it. */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

#define WD_FETCH_MAX_CHUNKS 65536u
#define WD_FETCH_TAG 256 /* bytes of a validator, its NUL included */

struct wd_fetch_plan {
    uint64_t size, chunk_bytes; /* the last chunk may be shorter */
    uint32_t n;
    uint64_t *have; /* [n] bytes of each chunk that are there, from its beginning on */
};

/* Nothing has arrived. chunk_bytes grows where a file would have too many chunks. -ENOMEM. */
int wd_fetch_plan_init(struct wd_fetch_plan *p, uint64_t size, uint64_t chunk_bytes, struct wd_err *err);
void wd_fetch_plan_done(struct wd_fetch_plan *p);
uint64_t wd_fetch_plan_length(const struct wd_fetch_plan *p, uint32_t chunk);
uint64_t wd_fetch_plan_arrived(const struct wd_fetch_plan *p);

/* What a former run remembered of the same file: same size, same tag. False, and the plan as it was: there is nothing usable. */
bool wd_fetch_plan_read(struct wd_fetch_plan *p, const char *path, const char *tag);
/* Writes it beside and renames it, so that a crash leaves the old one or the new one. */
int wd_fetch_plan_write(const struct wd_fetch_plan *p, const char *path, const char *tag, struct wd_err *err);
