/* model/kernels_tables.h - the tables that kernels.c chooses from, and whether this processor has
 * what they need. */
#pragma once
#include "model/kernels.h"

extern const struct wd_kernels wd_kernels_ref;
extern const struct wd_kernels wd_kernels_avx2;
extern const struct wd_kernels wd_kernels_avx512;
extern const struct wd_kernels wd_kernels_avx512vnni;
extern const struct wd_kernels wd_kernels_neon;

/* In kernels.c, which is built for the plainest processor: a file built with -mavx2 may use AVX2
 * anywhere, so it cannot ask. */
int wd_kernels_has_avx2(void);
int wd_kernels_has_avx512(void);
int wd_kernels_has_avx512vnni(void);
