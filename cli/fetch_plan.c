/* cli/fetch_plan.c - what of a file that is being fetched has arrived, and the small file that remembers it. */
#include "cli/fetch_plan.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int wd_fetch_plan_init(struct wd_fetch_plan *p, uint64_t size, uint64_t chunk_bytes, struct wd_err *err)
{
    if (chunk_bytes < 1)
        chunk_bytes = 1;
    if (size / chunk_bytes >= WD_FETCH_MAX_CHUNKS)
        chunk_bytes = size / WD_FETCH_MAX_CHUNKS + 1;
    *p = (struct wd_fetch_plan){.size = size, .chunk_bytes = chunk_bytes};
    p->n = size ? (uint32_t)((size - 1) / chunk_bytes + 1) : 1;
    p->have = calloc(p->n, sizeof *p->have);
    return p->have ? 0 : wd_err_set(err, -ENOMEM, "out of memory");
}

void wd_fetch_plan_done(struct wd_fetch_plan *p)
{
    free(p->have);
    *p = (struct wd_fetch_plan){0};
}

uint64_t wd_fetch_plan_length(const struct wd_fetch_plan *p, uint32_t chunk)
{
    return chunk + 1 < p->n ? p->chunk_bytes : p->size - chunk * p->chunk_bytes;
}

uint64_t wd_fetch_plan_arrived(const struct wd_fetch_plan *p)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < p->n; i++)
        sum += p->have[i];
    return sum;
}

/* A line without its end; false at the end of the file and for one that is too long. */
static bool next_line(FILE *f, char *line, size_t cap)
{
    size_t len;

    if (!fgets(line, (int)cap, f))
        return false;
    len = strlen(line);
    if (len == 0 || line[len - 1] != '\n')
        return false;
    line[len - 1] = '\0';
    return true;
}

static bool two_numbers(const char *line, const char *word, uint64_t *a, uint64_t *b)
{
    char *end;
    size_t len = strlen(word);

    if (strncmp(line, word, len) != 0 || line[len] < '0' || line[len] > '9')
        return false;
    errno = 0;
    *a = strtoull(line + len, &end, 10);
    if (errno || end[0] != ' ' || end[1] < '0' || end[1] > '9')
        return false;
    *b = strtoull(end + 1, &end, 10);
    return errno == 0 && *end == '\0';
}

bool wd_fetch_plan_read(struct wd_fetch_plan *p, const char *path, const char *tag)
{
    char line[WD_FETCH_TAG + 16];
    struct wd_fetch_plan found = {0};
    uint64_t size, chunk_bytes, i, have;
    FILE *f = fopen(path, "r");
    bool whole = false;

    if (!f)
        return false;
    if (next_line(f, line, sizeof line) && strcmp(line, "witness pull 1") == 0 && next_line(f, line, sizeof line) &&
        two_numbers(line, "size ", &size, &chunk_bytes) && size == p->size && chunk_bytes > 0 && next_line(f, line, sizeof line) &&
        strncmp(line, "tag ", 4) == 0 && strcmp(line + 4, tag) == 0 && wd_fetch_plan_init(&found, size, chunk_bytes, NULL) == 0) {
        while (next_line(f, line, sizeof line)) {
            if (strcmp(line, "end") == 0) {
                whole = found.chunk_bytes == chunk_bytes;
                break;
            }
            if (!two_numbers(line, "chunk ", &i, &have) || i >= found.n || have > wd_fetch_plan_length(&found, (uint32_t)i))
                break;
            found.have[i] = have;
        }
    }
    fclose(f);
    if (!whole) {
        wd_fetch_plan_done(&found);
        return false;
    }
    wd_fetch_plan_done(p);
    *p = found;
    return true;
}

int wd_fetch_plan_write(const struct wd_fetch_plan *p, const char *path, const char *tag, struct wd_err *err)
{
    char beside[PATH_MAX];
    int n = snprintf(beside, sizeof beside, "%s.new", path);
    FILE *f;
    bool bad;

    if (n < 0 || (size_t)n >= sizeof beside)
        return wd_err_set(err, -ENAMETOOLONG, "%s: the path is too long", path);
    f = fopen(beside, "w");
    if (!f)
        return wd_err_set(err, -errno, "%s: %s", beside, strerror(errno));
    fprintf(f, "witness pull 1\nsize %" PRIu64 " %" PRIu64 "\ntag %s\n", p->size, p->chunk_bytes, tag);
    for (uint32_t i = 0; i < p->n; i++)
        if (p->have[i])
            fprintf(f, "chunk %" PRIu32 " %" PRIu64 "\n", i, p->have[i]);
    fprintf(f, "end\n");
    bad = ferror(f) || fflush(f) != 0 || fsync(fileno(f)) != 0;
    if (fclose(f) != 0 || bad || rename(beside, path) != 0) {
        int code = errno ? -errno : -EIO;

        unlink(beside);
        return wd_err_set(err, code, "%s: %s", path, strerror(-code));
    }
    return 0;
}
