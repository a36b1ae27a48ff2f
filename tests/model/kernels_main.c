/* tests/model/kernels_main.c - the checks of kernels_test.c without a test library, for a processor
 * that is emulated. kernels_main [table...]: those, or all that were built; one that this processor
 * does not run is a failure. */
#include "tests/model/kernels_check.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    unsigned (*fn)(const struct wd_kernels *k, uint64_t seed);
} checks[] = {
    {"floats", kernels_check_floats},
    {"blocks", kernels_check_blocks},
    {"packed", kernels_check_packed},
    {"places", kernels_check_places},
    {"extremes", kernels_check_extremes},
    {"same bits", kernels_check_same_bits},
    {"nan", kernels_check_nan},
    {"rounding", kernels_check_rounding},
    {"unpacking", kernels_check_unpacking},
    {"steps", kernels_check_steps},
    {"gelu", kernels_check_gelu},
    {"exp", kernels_check_exp},
};

static unsigned check(const struct wd_kernels *k)
{
    unsigned failed = 0;

    if (!k->usable()) {
        fprintf(stderr, "%s: not usable on this processor\n", k->name);
        return 1;
    }
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        unsigned n = checks[i].fn(k, 88172645463325252u);

        printf("%s: %s: %s\n", k->name, checks[i].name, n ? "FAILED" : "ok");
        failed += n;
    }
    return failed;
}

int main(int argc, char **argv)
{
    unsigned failed = 0;

    for (int i = 1; i < argc; i++)
        if (wd_kernels_find(argv[i])) {
            failed += check(wd_kernels_find(argv[i]));
        } else {
            fprintf(stderr, "%s: was not built\n", argv[i]);
            failed++;
        }
    for (const struct wd_kernels *const *k = wd_kernels_all(); argc == 1 && *k; k++)
        failed += check(*k);
    return failed != 0;
}
