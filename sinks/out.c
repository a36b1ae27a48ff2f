/* sinks/out.c - a descriptor that never blocks the loop, and the piece it has not taken yet. */
#include "sinks/out.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_WAIT_MS 10000

struct wd_out {
    char *path; /* NULL: standard output */
    bool anew, must_poll;
    int fd;
    size_t most_bytes, rest_at, rest_end;
    char rest[]; /* most_bytes: what the system did not take of the last piece */
};

/* Whoever started us may share our standard output, so its O_NONBLOCK must not be touched: a FIFO
 * or terminal is opened once more under its name in /proc; for the others writing waits for nothing
 * but the disk (or is asked for first, by poll). */
static int open_stdout(bool *ret_must_poll)
{
    struct stat st;
    int fd = -1;

    if (fstat(STDOUT_FILENO, &st) < 0)
        return -errno;
    if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
        fd = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    *ret_must_poll = fd < 0 && !S_ISREG(st.st_mode);
    if (fd < 0)
        fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    return fd < 0 ? -errno : fd;
}

/* O_NONBLOCK: opening a FIFO that nobody reads must not hang; a regular file does not care, and is
 * read for its last byte. */
static int open_path(const char *path)
{
    int flags = O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    struct stat st;
    int fd;

    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        fd = open(path, O_WRONLY | flags);
    else
        fd = open(path, O_RDWR | O_CREAT | flags, 0644);
    return fd < 0 ? -errno : fd;
}

/* Where the last run was killed inside a line, its remains become a line of their own. */
static int begin_file(int fd, bool anew)
{
    struct stat st;
    char last;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return 0;
    if (anew)
        return ftruncate(fd, 0) < 0 ? -errno : 0;
    if (pread(fd, &last, 1, st.st_size - 1) == 1 && last != '\n' && write(fd, "\n", 1) != 1)
        return -errno;
    return 0;
}

int wd_out_open(const char *path, bool anew, size_t most_bytes, struct wd_out **ret_out,
                struct wd_err *err)
{
    struct wd_out *o;
    int r;

    if (!path || !*path)
        return wd_err_set(err, -EINVAL, "path: a file name, or - for standard output, is needed");
    o = calloc(1, sizeof *o + most_bytes);
    if (!o)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", path);
    o->fd = -1;
    o->anew = anew;
    o->most_bytes = most_bytes;
    if (strcmp(path, "-") == 0) {
        o->fd = r = open_stdout(&o->must_poll);
    } else {
        o->path = strdup(path);
        o->fd = r = o->path ? open_path(path) : -ENOMEM;
        if (r >= 0)
            r = begin_file(o->fd, anew);
    }
    if (r < 0) {
        wd_out_close(o);
        if (r == -ENXIO)
            return wd_err_set(err, r, "%s: nobody reads this FIFO", path);
        return wd_err_set(err, r, "%s: cannot write: %s", path, strerror(-r));
    }
    *ret_out = o;
    return 0;
}

static bool would_block(const struct wd_out *o)
{
    struct pollfd p = {.fd = o->fd, .events = POLLOUT};

    return o->must_poll && poll(&p, 1, 0) == 0;
}

/* How many bytes went out, or why none did. */
static ssize_t put(struct wd_out *o, const void *data, size_t n)
{
    ssize_t r;

    if (would_block(o))
        return -EAGAIN;
    do
        r = write(o->fd, data, n);
    while (r < 0 && errno == EINTR);
    if (r > 0)
        return r;
    return r == 0 ? -EAGAIN : -errno;
}

/* 0 when nothing is left over. */
static int put_rest(struct wd_out *o)
{
    while (o->rest_at < o->rest_end) {
        ssize_t r = put(o, o->rest + o->rest_at, o->rest_end - o->rest_at);

        if (r < 0)
            return (int)r;
        o->rest_at += (size_t)r;
    }
    return 0;
}

int wd_out_write(struct wd_out *o, const void *data, size_t n_bytes)
{
    ssize_t r;
    int left;

    if (n_bytes > o->most_bytes)
        return -EMSGSIZE;
    left = put_rest(o);
    if (left < 0 || !n_bytes)
        return left;
    r = put(o, data, n_bytes);
    if (r < 0)
        return (int)r;
    o->rest_at = 0;
    o->rest_end = n_bytes - (size_t)r;
    memcpy(o->rest, (const char *)data + r, o->rest_end);
    return 0;
}

int wd_out_reopen(struct wd_out *o)
{
    struct stat was, is;
    int fd, r;

    if (!o->path)
        return 0;
    put_rest(o);
    fd = open_path(o->path);
    if (fd < 0)
        return fd;
    if (fstat(o->fd, &was) < 0 || fstat(fd, &is) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    if (was.st_dev == is.st_dev && was.st_ino == is.st_ino) {
        close(fd);
        return 0;
    }
    r = begin_file(fd, o->anew);
    if (r < 0) {
        close(fd);
        return r;
    }
    close(o->fd);
    o->fd = fd;
    o->rest_at = o->rest_end = 0; /* half a piece of the old file has no place in the new one */
    return 1;
}

int wd_out_sync(struct wd_out *o)
{
    put_rest(o);
    if (fdatasync(o->fd) < 0 && errno != EINVAL && errno != EROFS)
        return -errno;
    return 0;
}

bool wd_out_is_terminal(const struct wd_out *o)
{
    return isatty(o->fd) == 1;
}

int wd_out_columns(const struct wd_out *o)
{
    struct winsize w;

    return ioctl(o->fd, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
}

int wd_out_rows(const struct wd_out *o)
{
    struct winsize w;

    return ioctl(o->fd, TIOCGWINSZ, &w) == 0 ? w.ws_row : 0;
}

bool wd_out_wait(const struct wd_out *o)
{
    struct pollfd p = {.fd = o->fd, .events = POLLOUT};

    return poll(&p, 1, MOST_WAIT_MS) == 1 && (p.revents & POLLOUT);
}

struct wd_out *wd_out_close(struct wd_out *o)
{
    if (!o)
        return NULL;
    if (o->fd >= 0) {
        while (put_rest(o) == -EAGAIN && wd_out_wait(o))
            ;
        close(o->fd);
    }
    free(o->path);
    free(o);
    return NULL;
}
