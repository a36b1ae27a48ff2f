/* model/kernels_avx512.c - the table of x86-64 with AVX-512 F, BW, DQ and VL.
 * A block of 32 weights is one register of int16 here. */
#include <immintrin.h>

#include "model/kernels_avx512.h"
#include "model/kernels_tile.h"

const struct wd_kernels wd_kernels_avx512 = {
    .name = "avx512", .usable = wd_kernels_has_avx512, TILE_KERNELS};
