/* model/quant_q6_k.h - blocks of 256 weights of 6 bits, unpacked; inline, so that each kernel table compiles it for its processor. Pure. */
#pragma once
#include "model/quant.h"
#include <string.h>

#define WD_Q6_K_BLOCK 256
#define WD_Q6_K_BYTES 210 /* 128 low nibbles' bytes, 64 bytes of upper bit pairs, 16 int8 scales, f16 scale of the block */

/* Source: docs/model.md, "Quantised blocks". */
static inline void wd_q6_k_unpack(const unsigned char *p, float d, float *dst)
{
    const unsigned char *low = p, *high = p + 128;
    const signed char *scales = (const signed char *)p + 192;

    for (unsigned half = 0; half < 2; half++, low += 64, high += 32, scales += 8, dst += 128) {
        signed char q[128];

        for (unsigned l = 0; l < 32; l++) {
            q[l] = (signed char)(((low[l] & 15) | (high[l] & 3) << 4) - 32);
            q[l + 32] = (signed char)(((low[l + 32] & 15) | (high[l] >> 2 & 3) << 4) - 32);
            q[l + 64] = (signed char)((low[l] >> 4 | (high[l] >> 4 & 3) << 4) - 32);
            q[l + 96] = (signed char)((low[l + 32] >> 4 | (high[l] >> 6) << 4) - 32);
        }
        for (unsigned s = 0; s < 8; s++) {
            float scale = d * (float)scales[s];

            for (unsigned k = 0; k < 16; k++)
                dst[s * 16 + k] = scale * (float)q[s * 16 + k];
        }
    }
}
