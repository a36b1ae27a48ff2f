/* sinks/utf8.h - text from outside as characters: every byte sequence gives valid ones. Loop thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define WD_UTF8_REPLACEMENT UINT32_C(0xfffd)

/* The character at text[0] of n >= 1 bytes; returns the bytes it takes (1..4). What is not UTF-8 (stray, overlong, surrogate,
 * cut off) gives U+FFFD for its longest valid beginning. Source: Unicode 15, section 3.9, "maximal subpart". */
size_t wd_utf8_next(const char *text, size_t n, uint32_t *ret_character);

/* Writes a character below 0x110000 into out[4]; returns the bytes. */
size_t wd_utf8_put(uint32_t character, char out[4]);

/* Columns on a terminal: 0 (combining), 1 or 2; -1 for what must not reach one: control characters and those that turn the
 * writing direction around. */
int wd_utf8_columns(uint32_t character);
