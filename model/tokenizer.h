/* model/tokenizer.h - text <-> token ids.
 * BPE over code points with byte fallback, control tokens, a streaming detokenizer. Source:
 * docs/model.md, "Tokenizer". A tokenizer is read-only after open, any thread. */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wd_tensor_file;
struct wd_tokenizer;

/* From GGUF metadata or a folder's tokenizer.json. Copies what it needs. */
int wd_tokenizer_open(const struct wd_tensor_file *f, struct wd_tokenizer **ret,
                      struct wd_err *err);
/* From the text of a tokenizer.json; `name` stands in errors. */
int wd_tokenizer_from_json(const char *name, const char *json, size_t len,
                           struct wd_tokenizer **ret, struct wd_err *err);
struct wd_tokenizer *wd_tokenizer_free(struct wd_tokenizer *t);

/* text [len] bytes, any (invalid UTF-8 is read as U+FFFD, one for each maximal bad part). With
 * `special`, strings of control tokens in the text become those tokens; without, they are ordinary
 * text: use that for everything that comes from a user. BOS is not added. Writes at most `cap` ids,
 * returns how many there are in all (more than cap: not all were written), -ENOMEM, or -E2BIG for 2
 * GB and more. Time O(n log n) in the length, whatever the text. Allocates 256 KB for a text of 16 KB
 * and more, and 50 bytes for each byte of a stretch of more than 48 symbols that no merge rule cuts
 * (hardly a word is so long; in hostile text all of it may be); otherwise nothing. */
int64_t wd_tokenizer_encode(const struct wd_tokenizer *t, const char *text, size_t len,
                            bool special, int32_t *ret_ids, size_t cap);

uint32_t wd_tokenizer_count(const struct wd_tokenizer *t);
/* The id whose piece is exactly this string, or -1. */
int32_t wd_tokenizer_find(const struct wd_tokenizer *t, const char *piece);
/* Raw piece as it stands in the vocabulary (U+2581 for spaces, "<0x41>" for bytes); NULL for a bad
 * id. */
const char *wd_tokenizer_piece(const struct wd_tokenizer *t, int32_t id);
bool wd_tokenizer_is_control(const struct wd_tokenizer *t, int32_t id);

/* Streaming: what can be shown after each id. A run of byte tokens is held back until it ends; one
 * that is not valid UTF-8 as a whole becomes one U+FFFD for each of its bytes, as the reference
 * does. Of a run of more than 64 bytes the characters that are whole by then are shown early.
 * Control tokens that are not shown do not end a run. Never allocates. */
struct wd_detokenizer {
    const struct wd_tokenizer *t;
    bool show_control;
    unsigned n_held;
    unsigned char held[64];
};
#define WD_DETOKENIZER_MAX 1024 /* bytes one push can give at most */
void wd_detokenizer_init(struct wd_detokenizer *d, const struct wd_tokenizer *t, bool show_control);
size_t wd_detokenizer_push(struct wd_detokenizer *d, int32_t id, char out[WD_DETOKENIZER_MAX]);
size_t wd_detokenizer_finish(struct wd_detokenizer *d,
                             char out[WD_DETOKENIZER_MAX]); /* what was held back, as U+FFFD */
/* All at once: bytes of the text (NUL-terminated if it fits); returns the length it has or would
 * have. */
size_t wd_tokenizer_decode(const struct wd_tokenizer *t, const int32_t *ids, size_t n,
                           bool show_control, char *out, size_t cap);
