/* base/paths.c - where shipped files lie. */
#include "base/paths.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int put(char *ret, size_t cap, const char *folder, const char *relative, struct wd_err *err)
{
    int n = snprintf(ret, cap, "%s%s%s", folder, *folder ? "/" : "", relative);

    if (n < 0 || (size_t)n >= cap)
        return wd_err_set(err, -ENAMETOOLONG, "%s%s%s: the path is too long", folder,
                          *folder ? "/" : "", relative);
    return 0;
}

int wd_paths_data(const char *relative, char *ret, size_t cap, struct wd_err *err)
{
    const char *own = getenv("WITNESSD_DATADIR");
    const char *folders[] = {own && *own ? own : NULL, PKGDATADIR};

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        int r;

        if (!folders[i])
            continue;
        r = put(ret, cap, folders[i], relative, err);
        if (r < 0)
            return r;
        if (access(ret, F_OK) == 0)
            return 0;
    }
    return wd_err_set(err, -ENOENT, "%s: not found in %s%s%s", relative,
                      folders[0] ? folders[0] : "", folders[0] ? " nor in " : "", folders[1]);
}

int wd_paths_model(const char *name, char *ret, size_t cap, struct wd_err *err)
{
    char relative[512];
    int n;

    if (!*name)
        return wd_err_set(err, -ENOENT, "no model is named");
    if (strchr(name, '/') || access(name, F_OK) == 0)
        return put(ret, cap, "", name, err);
    n = snprintf(relative, sizeof relative, "models/%s.gguf", name);
    if (n < 0 || (size_t)n >= sizeof relative)
        return wd_err_set(err, -ENAMETOOLONG, "%.64s...: the name is too long", name);
    n = wd_paths_data(relative, ret, cap, err);
    if (n == -ENOENT)
        wd_err_prefix(err, "%s: neither a file nor a shipped model", name);
    return n;
}
