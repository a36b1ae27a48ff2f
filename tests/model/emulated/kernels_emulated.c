/* tests/model/emulated/kernels_emulated.c - the AVX-512 tables in place of kernels.c's choice, for
 * a build with the immintrin.h beside this file, where any processor runs them. */
#include "model/kernels_tables.h"
#include <string.h>

static const struct wd_kernels *const tables[] = {
    &wd_kernels_avx512vnni,
    &wd_kernels_avx512,
    &wd_kernels_ref,
    NULL,
};

int wd_kernels_has_avx512(void)
{
    return 1;
}

int wd_kernels_has_avx512vnni(void)
{
    return 1;
}

const struct wd_kernels *const *wd_kernels_all(void)
{
    return tables;
}

const struct wd_kernels *wd_kernels_find(const char *name)
{
    for (size_t i = 0; tables[i]; i++)
        if (strcmp(tables[i]->name, name) == 0)
            return tables[i];
    return NULL;
}
