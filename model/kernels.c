/* model/kernels.c - which table of arithmetic this processor runs. */
#include "model/kernels.h"
#include "model/kernels_tables.h"
#include <stdlib.h>
#include <string.h>
#if defined __x86_64__
#include <cpuid.h>
#endif

static const struct wd_kernels *const tables[] = {
#ifdef HAVE_KERNELS_AVX512VNNI
    &wd_kernels_avx512vnni,
#endif
#ifdef HAVE_KERNELS_AVX512
    &wd_kernels_avx512,
#endif
#ifdef HAVE_KERNELS_AVX2
    &wd_kernels_avx2,
#endif
#ifdef HAVE_KERNELS_NEON
    &wd_kernels_neon,
#endif
    &wd_kernels_ref,    NULL,
};

#if defined __x86_64__
/* __builtin_cpu_supports also asks whether the operating system keeps the wide registers; it does
 * not know F16C everywhere. */
static int has_f16c(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

int wd_kernels_has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c();
}

int wd_kernels_has_avx512(void)
{
    return wd_kernels_has_avx2() && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

int wd_kernels_has_avx512vnni(void)
{
    return wd_kernels_has_avx512() && __builtin_cpu_supports("avx512vnni");
}
#endif

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

const struct wd_kernels *wd_kernels_best(void)
{
    const char *name = getenv("WITNESSD_KERNELS");
    const struct wd_kernels *k = name ? wd_kernels_find(name) : NULL;

    if (k && k->usable())
        return k;
    for (size_t i = 0; tables[i]; i++)
        if (tables[i]->usable())
            return tables[i];
    return &wd_kernels_ref;
}
