/* base/utf8.h - one code point out of UTF-8 bytes, and back; its width on a terminal. Pure, any thread but where said. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WD_UTF8_REPLACEMENT UINT32_C(0xfffd)

/* Reads one code point of p [n >= 1]. True: *ret_cp, *ret_n bytes. False: the bytes are not UTF-8 (RFC 3629: no surrogates, no
 * overlong forms, nothing above U+10FFFF); *ret_n is the length of the maximal bad part, which reads as one U+FFFD (Unicode, section 3.9). */
bool wd_utf8_next(const char *p, size_t n, uint32_t *ret_cp, size_t *ret_n);
/* The same with U+FFFD for the bad part; returns the bytes read. */
size_t wd_utf8_read(const char *p, size_t n, uint32_t *ret_cp);
/* Writes a code point below 0x110000; its bytes, 1 to 4. */
size_t wd_utf8_put(uint32_t cp, char out[4]);

/* Columns on a terminal: 0 (combining), 1 or 2; -1 for what must not reach one: control characters and those that turn the writing direction
 * around. Loop thread: asks the C library in a locale that is made at the first call. */
int wd_utf8_columns(uint32_t cp);
