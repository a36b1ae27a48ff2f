/* tests/model/many_scripts.h - text of any length in twenty-two scripts, the same for the same seed. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define WD_MANY_SCRIPTS 22

/* Paragraphs, each in one script: common words of a language, every fourth word made up of that
 * script's letters, numbers and punctuation. Valid UTF-8 without U+2581; at most `len` bytes, fewer
 * than 4096 less. Writes into out [len], returns the bytes. */
size_t wd_many_scripts(uint64_t seed, char *out, size_t len);
