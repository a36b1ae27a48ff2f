/* cli/checksum.c - SHA-256 of a file, as text. */
#include "cli/checksum.h"

#include <errno.h>
#include <libavutil/mem.h>
#include <libavutil/sha.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE (1u << 20)

static void to_hex(const uint8_t digest[32], char ret[WD_CHECKSUM_TEXT])
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < 32; i++) {
        ret[2 * i] = digits[digest[i] >> 4];
        ret[2 * i + 1] = digits[digest[i] & 15];
    }
    ret[64] = '\0';
}

int wd_checksum_fd(int fd, const char *name, wd_checksum_watch watch, void *arg, char ret[WD_CHECKSUM_TEXT], struct wd_err *err)
{
    struct AVSHA *sha = av_sha_alloc();
    uint8_t *piece = malloc(PIECE), digest[32];
    uint64_t at = 0;
    int code = 0;

    if (!sha || !piece || av_sha_init(sha, 256) < 0)
        code = wd_err_set(err, -ENOMEM, "%s: out of memory", name);
    while (code == 0) {
        ssize_t n = pread(fd, piece, PIECE, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            code = wd_err_set(err, -errno, "%s: %s", name, strerror(errno));
        if (n <= 0)
            break;
        av_sha_update(sha, piece, (size_t)n);
        at += (uint64_t)n;
        if (watch && watch(arg, at))
            code = wd_err_set(err, -ECANCELED, "%s: stopped", name);
    }
    if (code == 0) {
        av_sha_final(sha, digest);
        to_hex(digest, ret);
    }
    av_free(sha);
    free(piece);
    return code;
}

bool wd_checksum_parse(const char *text, size_t len, char ret[WD_CHECKSUM_TEXT])
{
    if (len != 64)
        return false;
    for (size_t i = 0; i < 64; i++) {
        char c = text[i];

        if (c >= 'A' && c <= 'F')
            c = (char)(c - 'A' + 'a');
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        ret[i] = c;
    }
    ret[64] = '\0';
    return true;
}

bool wd_checksum_parse_base64(const char *text, size_t len, char ret[WD_CHECKSUM_TEXT])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t digest[33];
    uint32_t bits = 0;
    size_t n = 0;

    if (len != 44 || text[43] != '=')
        return false;
    for (size_t i = 0; i < 43; i++) {
        const char *d = text[i] ? strchr(digits, text[i]) : NULL;

        if (!d)
            return false;
        bits = bits << 6 | (uint32_t)(d - digits);
        if (i % 4 == 3) {
            digest[n++] = (uint8_t)(bits >> 16);
            digest[n++] = (uint8_t)(bits >> 8);
            digest[n++] = (uint8_t)bits;
            bits = 0;
        }
    }
    /* 30 bytes are there; the last three digits hold two more, and two bits of zero. */
    digest[n++] = (uint8_t)(bits >> 10);
    digest[n++] = (uint8_t)(bits >> 2);
    if (bits & 3)
        return false;
    to_hex(digest, ret);
    return true;
}
