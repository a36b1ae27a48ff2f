/* cli/checksum.h - SHA-256 of a file, as text. Any thread. */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WD_CHECKSUM_TEXT 65 /* 64 hex digits and a NUL */

/* Called now and then with the bytes read so far; true: stop (-ECANCELED). */
typedef bool (*wd_checksum_watch)(void *arg, uint64_t bytes);

/* Of all bytes behind the descriptor, from its beginning; its position does not matter and does not change. `name` is for errors. */
int wd_checksum_fd(int fd, const char *name, wd_checksum_watch watch, void *arg, char ret[WD_CHECKSUM_TEXT], struct wd_err *err);
/* 64 hex digits and nothing else -> the same in lower case. */
bool wd_checksum_parse(const char *text, size_t len, char ret[WD_CHECKSUM_TEXT]);
/* The digest as base64 (RFC 9530: 32 bytes, 44 characters) -> hex. */
bool wd_checksum_parse_base64(const char *text, size_t len, char ret[WD_CHECKSUM_TEXT]);
