/* model/utf8.h - one code point out of UTF-8 bytes, and back. Pure, any thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads one code point of p [n >= 1]. True: *ret_cp, *ret_n bytes. False: the bytes are not UTF-8 (RFC 3629: no surrogates, no
 * overlong forms, nothing above U+10FFFF); *ret_n is the length of the maximal bad part, which reads as one U+FFFD (Unicode, section 3.9). */
bool wd_utf8_next(const char *p, size_t n, uint32_t *ret_cp, size_t *ret_n);
/* Writes a code point below 0x110000; its bytes, 1 to 4. */
size_t wd_utf8_put(uint32_t cp, char out[4]);
