/* base/paths.c - where shipped files and the user's models lie. */
#include "base/paths.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
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

int wd_paths_user_models(char *ret, size_t cap, struct wd_err *err)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

    if (data && data[0] == '/')
        return put(ret, cap, data, "witnessd/models", err);
    if (home && home[0] == '/')
        return put(ret, cap, home, ".local/share/witnessd/models", err);
    return wd_err_set(err, -ENOENT, "neither XDG_DATA_HOME nor HOME says where the user's models are");
}

/* A GGUF that is a model by itself: not an mmproj, and of a split one the first part. */
static bool is_model(const char *file)
{
    size_t len = strlen(file);
    const char *of = strstr(file, "-of-");

    if (file[0] == '.' || len < 5 || strcmp(file + len - 5, ".gguf") != 0 || strstr(file, "mmproj"))
        return false;
    return !of || of - file < 6 || strncmp(of - 6, "-00001", 6) == 0;
}

/* The one model in a folder. 0, -ENOENT: there is none. */
static int only_model(const char *folder, char *ret, size_t cap, struct wd_err *err)
{
    DIR *d;
    int found = 0, r = -ENOENT;

    r = put(ret, cap, folder, "config.json", err);
    if (r < 0)
        return r;
    if (access(ret, F_OK) == 0)
        return put(ret, cap, "", folder, err);
    d = opendir(folder);
    if (!d)
        return -ENOENT;
    for (struct dirent *e = readdir(d); e && r >= 0; e = readdir(d)) {
        if (!is_model(e->d_name))
            continue;
        if (found++)
            r = wd_err_set(err, -EINVAL, "%s: it holds several models; name the file", folder);
        else
            r = put(ret, cap, folder, e->d_name, err);
    }
    closedir(d);
    return r < 0 ? r : found ? 0 : -ENOENT;
}

static int user_model(const char *name, char *ret, size_t cap, struct wd_err *err)
{
    char folder[PATH_MAX], file[300], path[PATH_MAX];
    int n = snprintf(file, sizeof file, "%s.gguf", name), r;

    if (n < 0 || (size_t)n >= sizeof file || wd_paths_user_models(folder, sizeof folder, NULL) < 0 ||
        put(path, sizeof path, folder, file, NULL) < 0)
        return -ENOENT;
    if (access(path, F_OK) == 0)
        return put(ret, cap, "", path, err);
    r = put(path, sizeof path, folder, name, NULL);
    return r < 0 ? -ENOENT : only_model(path, ret, cap, err);
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
    if (n != -ENOENT)
        return n;
    n = user_model(name, ret, cap, err);
    if (n == -ENOENT)
        wd_err_prefix(err, "%s: neither a file nor a shipped model nor one that was pulled", name);
    return n;
}
