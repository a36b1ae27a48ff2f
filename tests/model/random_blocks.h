/* tests/model/random_blocks.h - rows of block weights with every bit drawn, except that their f16
 * are ordinary numbers. */
#pragma once
#include "model/quant.h"
#include <string.h>

#define RANDOM_BLOCK_TYPES                                                                         \
    {                                                                                              \
        WD_TYPE_Q4_0, WD_TYPE_Q4_1, WD_TYPE_Q5_0, WD_TYPE_Q5_1, WD_TYPE_Q8_0, WD_TYPE_Q2_K,        \
            WD_TYPE_Q3_K, WD_TYPE_Q4_K, WD_TYPE_Q5_K, WD_TYPE_Q6_K, WD_TYPE_IQ4_NL,                \
            WD_TYPE_IQ4_XS                                                                         \
    }

/* n weights to p; *s is the state of the draw, not 0. */
static inline void random_blocks(enum wd_type type, unsigned char *p, size_t n, uint64_t *s)
{
    size_t bytes = wd_type_block_bytes(type), at = 0, halves = 1;

    switch ((unsigned)type) {
    case WD_TYPE_Q4_1:
    case WD_TYPE_Q5_1:
    case WD_TYPE_Q4_K:
    case WD_TYPE_Q5_K:
        halves = 2;
        break;
    case WD_TYPE_Q2_K:
        at = 80;
        halves = 2;
        break;
    case WD_TYPE_Q3_K:
        at = 108;
        break;
    case WD_TYPE_Q6_K:
        at = 208;
        break;
    }
    for (size_t b = 0; b < n / wd_type_block(type); b++, p += bytes) {
        for (size_t i = 0; i < bytes; i++) {
            *s ^= *s << 13;
            *s ^= *s >> 7;
            *s ^= *s << 17;
            p[i] = (unsigned char)(*s >> 32);
        }
        for (size_t h = 0; h < halves; h++) { /* 2^-13 to 2^-10, of either sign */
            p[at + 2 * h + 1] = (unsigned char)((p[at + 2 * h + 1] & 0x87) | 0x08);
        }
    }
}
