/* model/tensor_file.c - maps a model file, or a folder of them, and answers what is in it. */
#include "model/tensor_file.h"

#include "model/foreign_file.h"
#include "model/json_scan.h"
#include "model/tensor_table.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "tensors are used as they lie in the file, which is little-endian"
#endif

#define INDEX_NAME "model.safetensors.index.json"

static char *join(const char *folder, const char *name, size_t name_len)
{
    size_t n = strlen(folder);
    char *s = malloc(n + name_len + 2);

    if (!s)
        return NULL;
    memcpy(s, folder, n);
    if (n && s[n - 1] != '/')
        s[n++] = '/';
    memcpy(s + n, name, name_len);
    s[n + name_len] = '\0';
    return s;
}

/* Opens a regular file; a FIFO or a device must not make us wait. */
static int open_regular(const char *path, size_t *ret_len, struct wd_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    int r;

    if (fd < 0) {
        r = -errno;
        return wd_err_set(err, r, "%s: %s", path, strerror(-r));
    }
    if (fstat(fd, &st) < 0) {
        r = -errno;
        wd_err_set(err, r, "%s: %s", path, strerror(-r));
    } else if (!S_ISREG(st.st_mode)) {
        r = wd_err_set(err, -EINVAL, "%s: not a regular file", path);
    } else if (st.st_size == 0) {
        r = wd_err_set(err, -EINVAL, "%s: the file is empty", path);
    } else if ((uint64_t)st.st_size > SIZE_MAX / 2) {
        r = wd_err_set(err, -EFBIG, "%s: the file is too large to map", path);
    } else {
        *ret_len = (size_t)st.st_size;
        return fd;
    }
    close(fd);
    return r;
}

/* Takes path. */
static int add_file(struct wd_tensor_file *f, char *path, const void *data, size_t len,
                    const struct wd_mapping *mapping)
{
    struct wd_table_file *files = path ? realloc(f->files, (f->n_files + 1) * sizeof *files) : NULL;

    if (!files) {
        free(path);
        return -ENOMEM;
    }
    f->files = files;
    files[f->n_files++] =
        (struct wd_table_file){.path = path, .data = data, .len = len, .mapping = *mapping};
    return 0;
}

int wd_table_map(struct wd_tensor_file *f, char *path, struct wd_err *err)
{
    struct wd_mapping mapping;
    size_t len;
    int fd, r;

    if (!path)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", f->path);
    fd = open_regular(path, &len, err);
    if (fd < 0) {
        free(path);
        return fd;
    }
    r = wd_mapping_init(&mapping, fd, len);
    close(fd);
    if (r < 0) {
        wd_err_set(err, r, "%s: cannot be mapped: %s", path, strerror(-r));
        free(path);
        return r;
    }
    r = add_file(f, path, mapping.data, len, &mapping);
    if (r < 0) {
        wd_mapping_done(&mapping);
        return wd_err_set(err, r, "%s: out of memory", f->path);
    }
    return 0;
}

/* The kind is told by the first bytes: "GGUF", or the length of a JSON text and its '{'. */
static int read_file(struct wd_tensor_file *f, uint32_t i, bool expect_safetensors,
                     struct wd_err *err)
{
    const struct wd_table_file *file = &f->files[i];
    const char *what;

    if (file->len >= 4 && !memcmp(file->data, "GGUF", 4) && !expect_safetensors) {
        f->form = WD_FORM_GGUF;
        return wd_gguf_read(f, i, err);
    }
    if (expect_safetensors || (file->len >= 9 && file->data[8] == '{')) {
        f->form = WD_FORM_SAFETENSORS;
        return wd_safetensors_read(f, i, err);
    }
    what = wd_foreign_file(file->data, file->len);
    return wd_err_set(err, -EINVAL, "%s: neither a GGUF nor a safetensors file%s%s", file->path,
                      what ? ": " : "", what ? what : "");
}

/* Number of a shard; maps and reads it the first time. */
static int shard(struct wd_tensor_file *f, const char *name, size_t len, uint32_t *ret,
                 struct wd_err *err)
{
    char *path;
    int r;

    if (len == 0 || len > 255 || memchr(name, '/', len) || memchr(name, '\0', len) ||
        name[0] == '.')
        return wd_err_set(err, -EINVAL,
                          "%s/" INDEX_NAME ": '%.*s' is no name of a file in this folder", f->path,
                          len > 64 ? 64 : (int)len, name);
    for (uint32_t i = 0; i < f->n_files; i++) {
        const char *have = strrchr(f->files[i].path, '/') + 1;

        if (strlen(have) == len && !memcmp(have, name, len)) {
            *ret = i;
            return 0;
        }
    }
    if (f->n_files >= WD_TABLE_MAX_FILES)
        return wd_err_set(err, -EINVAL, "%s/" INDEX_NAME ": more than %d files", f->path,
                          WD_TABLE_MAX_FILES);
    path = join(f->path, name, len);
    r = wd_table_map(f, path, err);
    if (r < 0)
        return r;
    *ret = (uint32_t)f->n_files - 1;
    return read_file(f, *ret, true, err);
}

/* The index's one object of tensor -> file. In the first pass the shards are read; in the second,
 * when all tensors are sorted, the claims are checked. */
static bool weight_map(struct wd_tensor_file *f, struct wd_json *j, bool check, int *ret,
                       struct wd_err *err)
{
    struct wd_json_str key, value;
    char name[WD_TABLE_MAX_NAME + 1] = "", file[256] = "";
    uint32_t i = 0;

    if (!wd_json_enter(j, '{'))
        return false;
    while (wd_json_member(j, &key)) {
        const struct wd_tensor *t;
        size_t n;

        if (!wd_json_str(j, &value))
            return false;
        if (wd_json_unescape(key, NULL) > WD_TABLE_MAX_NAME ||
            wd_json_unescape(value, NULL) >= sizeof file)
            return wd_json_fail(j, "a name of more than 255 bytes");
        n = wd_json_unescape(value, file);
        *ret = shard(f, file, n, &i, err);
        if (*ret < 0)
            return false;
        if (!check)
            continue;
        name[wd_json_unescape(key, name)] = '\0';
        t = wd_tensor_file_find(f, name);
        if (!t || ((const struct wd_table_tensor *)(const void *)t)->file != i) {
            *ret = wd_err_set(err, -EINVAL,
                              "%s: tensor '%s' is missing, which " INDEX_NAME " puts here",
                              f->files[i].path, name);
            return false;
        }
    }
    return !j->error;
}

static int read_index(struct wd_tensor_file *f, const char *text, size_t len, bool check,
                      struct wd_err *err)
{
    struct wd_json j;
    struct wd_json_str key;
    bool found = false, ok;
    int r = 0;

    wd_json_init(&j, text, len);
    if (wd_json_enter(&j, '{'))
        while (wd_json_member(&j, &key)) {
            if (wd_json_is(key, "weight_map") && !found)
                ok = found = weight_map(f, &j, check, &r, err);
            else
                ok = wd_json_skip(&j);
            if (!ok)
                break;
        }
    if (r < 0)
        return r;
    if (!wd_json_done(&j))
        return wd_err_set(err, -EINVAL, "%s/" INDEX_NAME ": byte %zu: %s", f->path,
                          (size_t)(j.at - j.start), j.error);
    if (!found || f->n_files == 0)
        return wd_err_set(err, -EINVAL, "%s/" INDEX_NAME ": no weight_map that names files",
                          f->path);
    return 0;
}

/* Why a folder without weights is no model, from what else it holds. */
static int no_weights(const struct wd_tensor_file *f, struct wd_err *err)
{
    const char *what = NULL;
    struct dirent *e;
    DIR *d = opendir(f->path);

    while (d && !what && (e = readdir(d)))
        what = wd_foreign_name(e->d_name);
    if (d)
        closedir(d);
    return wd_err_set(err, -ENOENT,
                      "%s: the folder holds neither model.safetensors nor " INDEX_NAME "%s%s",
                      f->path, what ? "; " : "", what ? what : "");
}

static int open_folder(struct wd_tensor_file *f, struct wd_err *err)
{
    char *path = join(f->path, "model.safetensors", strlen("model.safetensors")), *text = NULL;
    size_t len;
    int r;

    f->form = WD_FORM_SAFETENSORS;
    if (!path)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", f->path);
    if (access(path, F_OK) == 0) {
        r = wd_table_map(f, path, err);
        if (r == 0)
            r = read_file(f, 0, true, err);
        return r < 0 ? r : wd_table_finish(f, err);
    }
    free(path);
    r = wd_tensor_file_sidecar(f, INDEX_NAME, &text, &len, err);
    if (r == -ENOENT)
        return no_weights(f, err);
    if (r == 0)
        r = read_index(f, text, len, false, err);
    if (r == 0)
        r = wd_table_finish(f, err);
    if (r == 0)
        r = read_index(f, text, len, true, err);
    free(text);
    return r;
}

static int open_single(struct wd_tensor_file *f, struct wd_err *err)
{
    int r = wd_table_map(f, strdup(f->path), err);
    const char *slash;

    if (r == 0)
        r = read_file(f, 0, false, err);
    if (r == 0 && f->form == WD_FORM_GGUF)
        r = wd_gguf_join(f, err);
    if (r == 0)
        r = wd_table_finish(f, err);
    if (r < 0 || f->form == WD_FORM_GGUF)
        return r;
    slash = strrchr(f->path, '/');
    f->folder = slash ? strndup(f->path, (size_t)(slash - f->path) + 1) : strdup(".");
    return f->folder ? 0 : wd_err_set(err, -ENOMEM, "%s: out of memory", f->path);
}

static int open_any(const char *path, bool data_types, struct wd_tensor_file **ret,
                    struct wd_err *err)
{
    struct wd_tensor_file *f = calloc(1, sizeof *f);
    struct stat st;
    int r;

    if (f)
        f->path = strdup(path);
    if (!f || !f->path) {
        r = wd_err_set(err, -ENOMEM, "%s: out of memory", path);
        goto fail;
    }
    f->data_types = data_types;
    if (stat(path, &st) < 0) {
        r = -errno;
        wd_err_set(err, r, "%s: %s", path, strerror(-r));
        goto fail;
    }
    if (S_ISDIR(st.st_mode)) {
        f->folder = strdup(path);
        r = f->folder ? open_folder(f, err) : wd_err_set(err, -ENOMEM, "%s: out of memory", path);
    } else {
        r = open_single(f, err);
    }
    if (wd_tensor_file_torn(f, NULL) < 0) /* then this is the reason, whatever seemed wrong */
        r = wd_tensor_file_torn(f, err);
    if (r < 0)
        goto fail;
    *ret = f;
    return 0;
fail:
    wd_tensor_file_free(f);
    return r;
}

int wd_tensor_file_open(const char *path, struct wd_tensor_file **ret, struct wd_err *err)
{
    return open_any(path, false, ret, err);
}

int wd_tensor_file_open_data(const char *path, struct wd_tensor_file **ret, struct wd_err *err)
{
    return open_any(path, true, ret, err);
}

int wd_tensor_file_from_memory(const char *name, const void *bytes, size_t len,
                               struct wd_tensor_file **ret, struct wd_err *err)
{
    struct wd_tensor_file *f = calloc(1, sizeof *f);
    const struct wd_mapping none = {0};
    int r = -ENOMEM;

    if (f)
        f->path = strdup(name);
    if (!f || !f->path || add_file(f, strdup(name), bytes, len, &none) < 0) {
        wd_err_set(err, r, "%s: out of memory", name);
        goto fail;
    }
    r = read_file(f, 0, false, err);
    if (r == 0)
        r = wd_table_finish(f, err);
    if (r < 0)
        goto fail;
    *ret = f;
    return 0;
fail:
    wd_tensor_file_free(f);
    return r;
}

struct wd_tensor_file *wd_tensor_file_free(struct wd_tensor_file *f)
{
    if (!f)
        return NULL;
    for (size_t i = 0; i < f->n_tensors; i++) {
        char *name;

        memcpy(&name, &f->tensors[i].t.name, sizeof name); /* shown const, owned here */
        free(name);
        free(f->tensors[i].copy);
    }
    for (size_t i = 0; i < f->n_metas; i++)
        free(f->metas[i].key);
    for (size_t i = 0; i < f->n_files; i++) {
        wd_mapping_done(&f->files[i].mapping);
        free(f->files[i].path);
    }
    free(f->tensors);
    free(f->by_name);
    free(f->metas);
    free(f->metas_by_name);
    free(f->files);
    free(f->folder);
    free(f->path);
    free(f);
    return NULL;
}

const char *wd_tensor_file_path(const struct wd_tensor_file *f)
{
    return f->path;
}

enum wd_tensor_form wd_tensor_file_form(const struct wd_tensor_file *f)
{
    return f->form;
}

size_t wd_tensor_file_count(const struct wd_tensor_file *f)
{
    return f->n_tensors;
}

const struct wd_tensor *wd_tensor_file_at(const struct wd_tensor_file *f, size_t i)
{
    return i < f->n_tensors ? &f->tensors[i].t : NULL;
}

size_t wd_tensor_file_index(const struct wd_tensor_file *f, const struct wd_tensor *t)
{
    return (size_t)((const struct wd_table_tensor *)(const void *)t - f->tensors);
}

const struct wd_tensor *wd_tensor_file_find(const struct wd_tensor_file *f, const char *name)
{
    size_t lo = 0, hi = f->n_tensors;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct wd_tensor *t = &f->tensors[f->by_name[mid]].t;
        int c = strcmp(name, t->name);

        if (c == 0)
            return t;
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

uint64_t wd_tensor_file_bytes(const struct wd_tensor_file *f)
{
    uint64_t n = 0;

    for (size_t i = 0; i < f->n_files; i++)
        n += f->files[i].len;
    return n;
}

int wd_tensor_file_torn(const struct wd_tensor_file *f, struct wd_err *err)
{
    for (size_t i = 0; i < f->n_files; i++)
        if (wd_mapping_torn(&f->files[i].mapping))
            return wd_err_set(err, -EIO,
                              "%s: became shorter, or could not be read, while it was in use",
                              f->files[i].path);
    return 0;
}

uint64_t wd_tensor_file_copied_bytes(const struct wd_tensor_file *f)
{
    return f->copied_bytes;
}

int wd_tensor_file_sidecar(const struct wd_tensor_file *f, const char *name, char **ret,
                           size_t *ret_len, struct wd_err *err)
{
    char *path, *text = NULL;
    size_t len = 0, got = 0;
    int fd, r;

    if (!f->folder)
        return wd_err_set(err, -ENOENT, "%s: has no %s beside it", f->path, name);
    path = join(f->folder, name, strlen(name));
    if (!path)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", f->path);
    fd = r = open_regular(path, &len, err);
    if (fd < 0)
        goto out;
    if (len > WD_SIDECAR_MAX_BYTES) {
        r = wd_err_set(err, -EFBIG, "%s: %zu bytes, expected at most %u", path, len,
                       WD_SIDECAR_MAX_BYTES);
        goto out;
    }
    text = malloc(len + 1);
    if (!text) {
        r = wd_err_set(err, -ENOMEM, "%s: out of memory", path);
        goto out;
    }
    r = 0;
    while (got < len) {
        ssize_t n = read(fd, text + got, len - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            r = n < 0 ? -errno : -EINVAL;
            wd_err_set(err, r, "%s: %s", path,
                       n < 0 ? strerror(-r) : "became shorter while it was read");
            goto out;
        }
        got += (size_t)n;
    }
    text[len] = '\0';
    *ret = text;
    *ret_len = len;
    text = NULL;
out:
    if (fd >= 0)
        close(fd);
    free(text);
    free(path);
    return r;
}
