/* cli/fetch.c - one file over HTTP: in parallel ranges, gone on with after a break, checked. */
#include "cli/fetch.h"

#include "cli/fetch_http.h"
#include "cli/fetch_plan.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define MAX_SIZE (UINT64_C(1) << 44)
#define SAVE_EVERY_MS 5000
#define SHOW_EVERY_MS 200
#define FIRST_PAUSE_MS 250
#define LONGEST_PAUSE_MS 10000
#define PROGRESS_BYTES 65536 /* fewer since the last failure do not make it forgotten */
#define MAX_BEGINNINGS 3     /* of a file that changes meanwhile */
#define NONE UINT32_MAX

struct fetch {
    const struct wd_fetch_opts *o;
    struct wd_err *err;
    char part[PATH_MAX], state[PATH_MAX];
    int fd;
    struct wd_http *http;
    struct wd_http_about about;
    struct wd_fetch_plan plan;
    bool whole;                       /* one piece without a range: it cannot be gone on with */
    uint32_t chunk[WD_HTTP_MAX_SLOTS]; /* of each slot; NONE: it is free */
    bool *busy;                       /* [plan.n] */
    unsigned failures;
    uint64_t since_failure, resumed;
    int64_t begun_ms, saved_ms, shown_ms, not_before_ms;
};

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool stopped(const struct fetch *f)
{
    return f->o->stop && *f->o->stop;
}

static void say(const struct fetch *f, const char *text)
{
    if (f->o->say)
        f->o->say(f->o->arg, text);
}

static int file_error(const struct fetch *f, const char *path)
{
    int code = -errno;

    if (code == -ENOSPC || code == -EDQUOT || code == -EFBIG)
        return wd_err_set(f->err, code, "%s: no room for more: %s; what is there is kept", path, strerror(-code));
    return wd_err_set(f->err, code, "%s: %s", path, strerror(-code));
}

/* ---- the file that grows ---- */

/* Opened and ours alone. Between opening and locking another process may have finished it and put it in its place. */
static int open_part(struct fetch *f)
{
    for (int i = 0; i < 10; i++) {
        struct stat here, there;

        f->fd = open(f->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (f->fd < 0)
            return file_error(f, f->part);
        if (flock(f->fd, LOCK_EX | LOCK_NB) < 0)
            return errno == EWOULDBLOCK ? wd_err_set(f->err, -EBUSY, "%s: another process fetches it", f->part) : file_error(f, f->part);
        if (fstat(f->fd, &here) == 0 && stat(f->part, &there) == 0 && here.st_ino == there.st_ino && here.st_dev == there.st_dev)
            return S_ISREG(here.st_mode) ? 0 : wd_err_set(f->err, -EINVAL, "%s: not a regular file", f->part);
        close(f->fd);
        f->fd = -1;
    }
    return wd_err_set(f->err, -EBUSY, "%s: another process fetches it", f->part);
}

static int write_at(struct fetch *f, const void *bytes, size_t n, uint64_t at)
{
    const char *p = bytes;

    while (n) {
        ssize_t w = pwrite(f->fd, p, n, (off_t)at);

        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return file_error(f, f->part);
        p += w;
        at += (uint64_t)w;
        n -= (size_t)w;
    }
    return 0;
}

/* Called by the connections. */
static int take(void *arg, unsigned slot, const void *bytes, size_t n)
{
    struct fetch *f = arg;
    uint32_t c = f->chunk[slot];
    int r;

    if (f->plan.have[c] + n > MAX_SIZE)
        return wd_err_set(f->err, -EFBIG, "%s: the server sends without end", f->o->url);
    r = write_at(f, bytes, n, c * f->plan.chunk_bytes + f->plan.have[c]);
    if (r < 0)
        return r;
    f->plan.have[c] += n;
    f->since_failure += n;
    return 0;
}

/* The bytes first: the state must not promise what a crash takes away. */
static int save(struct fetch *f)
{
    f->saved_ms = now_ms();
    if (f->whole)
        return 0;
    if (fdatasync(f->fd) < 0)
        return file_error(f, f->part);
    return wd_fetch_plan_write(&f->plan, f->state, f->about.tag, f->err);
}

static int room_for_it(const struct fetch *f)
{
    struct statvfs v;
    struct stat st;
    uint64_t there, room;

    if (!f->about.size_known || fstat(f->fd, &st) < 0 || fstatvfs(f->fd, &v) < 0)
        return 0;
    there = (uint64_t)st.st_blocks * 512;
    room = (uint64_t)v.f_bavail * v.f_frsize;
    if (f->about.size > there && f->about.size - there > room)
        return wd_err_set(f->err, -ENOSPC, "%s: %" PRIu64 " more bytes are needed, and %" PRIu64 " are free", f->o->path, f->about.size - there, room);
    return 0;
}

/* ---- what the server says ---- */

static void pause_ms(const struct fetch *f, int64_t ms)
{
    for (int64_t end = now_ms() + ms; now_ms() < end && !stopped(f);) {
        struct timespec t = {.tv_nsec = 20 * 1000 * 1000};

        nanosleep(&t, NULL);
    }
}

/* Counts a failure: 0 and how long to wait, or the error when there were too many. */
static int another_try(struct fetch *f, unsigned wait_s, int64_t *ret_pause_ms)
{
    char text[600];
    int64_t pause = FIRST_PAUSE_MS;

    /* What came without ranges is lost again. */
    if (f->since_failure >= PROGRESS_BYTES && !f->whole)
        f->failures = 0;
    f->since_failure = 0;
    if (++f->failures >= f->o->tries) {
        wd_err_prefix(f->err, "%s: given up after %u tries", f->o->url, f->failures);
        return f->err->code;
    }
    for (unsigned i = 1; i < f->failures && pause < LONGEST_PAUSE_MS; i++)
        pause *= 2;
    if (pause < (int64_t)wait_s * 1000)
        pause = (int64_t)wait_s * 1000;
    snprintf(text, sizeof text, "%s; once more in %.3g s", f->err->text, (double)pause / 1000);
    say(f, text);
    *ret_pause_ms = pause;
    return 0;
}

static int ask(struct fetch *f)
{
    for (;;) {
        enum wd_http_outcome o = wd_http_probe(f->http, &f->about, f->err);
        int64_t pause;
        int r;

        if (o == WD_HTTP_OK)
            break;
        if (o != WD_HTTP_AGAIN) {
            wd_err_prefix(f->err, "%s", f->o->url);
            return f->err->code;
        }
        r = another_try(f, 0, &pause);
        if (r < 0)
            return r;
        pause_ms(f, pause);
    }
    if (f->about.size_known && f->about.size > MAX_SIZE)
        return wd_err_set(f->err, -EFBIG, "%s: the server says that it has %" PRIu64 " bytes", f->o->url, f->about.size);
    if (f->o->size && f->about.size_known && f->about.size != f->o->size)
        return wd_err_set(f->err, -EBADMSG, "%s: the server says that it has %" PRIu64 " bytes, expected %" PRIu64, f->o->url, f->about.size, f->o->size);
    if (f->o->sha256 && f->about.sha256[0] && strcmp(f->o->sha256, f->about.sha256) != 0)
        return wd_err_set(f->err, -EBADMSG, "%s: the server says that its SHA-256 is %s, expected %s", f->o->url, f->about.sha256, f->o->sha256);
    return 0;
}

/* ---- fetching ---- */

static void show(struct fetch *f, bool always)
{
    int64_t now = now_ms();
    struct wd_fetch_progress p;

    if (!f->o->progress || (!always && now - f->shown_ms < SHOW_EVERY_MS))
        return;
    f->shown_ms = now;
    p = (struct wd_fetch_progress){.done = wd_fetch_plan_arrived(&f->plan), .total = f->about.size_known ? f->about.size : 0,
                                   .resumed = f->resumed, .seconds = (double)(now - f->begun_ms) / 1000};
    f->o->progress(f->o->arg, &p);
}

/* Nothing has arrived; what a former run left goes. */
static int begin_anew(struct fetch *f)
{
    uint64_t size = f->about.size_known ? f->about.size : MAX_SIZE;
    int r;

    wd_http_drop(f->http);
    wd_fetch_plan_done(&f->plan);
    f->whole = !f->about.ranges;
    r = wd_fetch_plan_init(&f->plan, size, f->whole ? size : f->o->chunk_bytes, f->err);
    if (r < 0)
        return r;
    unlink(f->state);
    f->resumed = 0;
    return ftruncate(f->fd, 0) < 0 ? file_error(f, f->part) : 0;
}

/* Goes on with a former run where that is sure to have been about the same file: same size and validator, or a checksum in the end. */
static int prepare(struct fetch *f)
{
    struct wd_fetch_plan former = {0};
    struct stat st;
    bool sure = f->about.tag[0] || f->o->sha256 || f->about.sha256[0];
    int r;

    if (fstat(f->fd, &st) < 0)
        return file_error(f, f->part);
    if (f->about.ranges && sure && st.st_size > 0) {
        r = wd_fetch_plan_init(&former, f->about.size, f->o->chunk_bytes, f->err);
        if (r < 0)
            return r;
        if (wd_fetch_plan_read(&former, f->state, f->about.tag)) {
            bool held = true;

            /* The file must reach as far as the state says. */
            for (uint32_t i = 0; i < former.n; i++)
                held = held && (!former.have[i] || i * former.chunk_bytes + former.have[i] <= (uint64_t)st.st_size);
            if (held) {
                wd_fetch_plan_done(&f->plan);
                f->plan = former;
                f->whole = false;
                f->resumed = wd_fetch_plan_arrived(&former);
                return 0;
            }
        }
        wd_fetch_plan_done(&former);
    }
    if (st.st_size > 0)
        say(f, "what a former run left is not sure to be of the same file; begun anew");
    return begin_anew(f);
}

static bool complete(const struct fetch *f)
{
    for (uint32_t i = 0; i < f->plan.n; i++)
        if (f->plan.have[i] < wd_fetch_plan_length(&f->plan, i))
            return false;
    return true;
}

/* Work for every free connection. */
static int employ(struct fetch *f)
{
    uint32_t c = 0;

    if (now_ms() < f->not_before_ms)
        return 0;
    for (unsigned s = 0; s < (f->whole ? 1 : f->o->n_parallel); s++) {
        uint64_t from, to;
        int r;

        if (f->chunk[s] != NONE)
            continue;
        while (c < f->plan.n && (f->busy[c] || f->plan.have[c] >= wd_fetch_plan_length(&f->plan, c)))
            c++;
        if (c == f->plan.n)
            return 0;
        if (f->whole) {
            f->plan.have[0] = 0;
            if (ftruncate(f->fd, 0) < 0)
                return file_error(f, f->part);
        }
        from = f->whole ? 0 : c * f->plan.chunk_bytes + f->plan.have[c];
        to = f->whole ? WD_HTTP_TO_END : c * f->plan.chunk_bytes + wd_fetch_plan_length(&f->plan, c) - 1;
        r = wd_http_begin(f->http, s, &f->about, from, to, f->err);
        if (r < 0)
            return r;
        f->chunk[s] = c;
        f->busy[c] = true;
    }
    return 0;
}

/* One piece has ended. 1: the whole file has arrived, 0: go on, -ESTALE: begin anew. */
static int ended(struct fetch *f, unsigned slot, enum wd_http_outcome outcome, unsigned wait_s)
{
    uint32_t c = f->chunk[slot];
    int64_t pause;
    int r;

    f->chunk[slot] = NONE;
    f->busy[c] = false;
    switch (outcome) {
    case WD_HTTP_OK:
        if (f->whole && !f->about.size_known && f->plan.have[0])
            f->plan.size = f->plan.have[0]; /* it is as long as it is */
        if (!f->whole || f->plan.have[0] == f->plan.size)
            return complete(f);
        wd_err_set(f->err, -ECONNRESET, "the server sent %" PRIu64 " of %" PRIu64 " bytes", f->plan.have[0], f->plan.size);
        break;
    case WD_HTTP_AGAIN:
        break;
    case WD_HTTP_CHANGED:
    case WD_HTTP_NO_RANGES:
        return -ESTALE;
    case WD_HTTP_FAILED:
    default:
        wd_err_prefix(f->err, "%s", f->o->url);
        return f->err->code;
    }
    /* Connections that break together are one failure. */
    if (now_ms() < f->not_before_ms)
        return 0;
    r = another_try(f, wait_s, &pause);
    if (r == 0)
        f->not_before_ms = now_ms() + pause;
    return r;
}

/* Until everything is there. -ESTALE: the file is another one now, or the server stopped sending ranges. */
static int run(struct fetch *f, enum wd_http_outcome *ret_why)
{
    int r = complete(f) ? 1 : 0;

    *ret_why = WD_HTTP_OK;
    for (unsigned s = 0; s < WD_HTTP_MAX_SLOTS; s++)
        f->chunk[s] = NONE;
    free(f->busy);
    f->busy = calloc(f->plan.n, sizeof *f->busy);
    if (!f->busy)
        return wd_err_set(f->err, -ENOMEM, "out of memory");
    while (r == 0) {
        unsigned slot, wait_s = 0;

        r = employ(f);
        if (r < 0)
            break;
        if (wd_http_wait(f->http, 100, &slot, ret_why, &wait_s, f->err))
            r = ended(f, slot, *ret_why, wait_s);
        show(f, false);
        if (r == 0 && stopped(f))
            r = wd_err_set(f->err, -ECANCELED, "stopped; what has arrived is kept");
        if (r == 0 && now_ms() - f->saved_ms >= SAVE_EVERY_MS)
            r = save(f);
    }
    wd_http_drop(f->http);
    if (r != -ESTALE && !(r == 1 && f->whole)) {
        struct wd_err lost = {0}, *keep = f->err;

        /* What has arrived is remembered, whatever happened; the first reason is the one to tell. */
        f->err = r < 0 ? &lost : keep;
        if (save(f) < 0 && r >= 0)
            r = keep->code;
        f->err = keep;
    }
    return r < 0 ? r : 0;
}

static int get_all(struct fetch *f)
{
    enum wd_http_outcome why;
    int r = prepare(f);

    for (int beginnings = 1; r == 0; beginnings++) {
        r = room_for_it(f);
        if (r < 0)
            return r;
        f->saved_ms = now_ms();
        r = run(f, &why);
        if (r != -ESTALE)
            return r;
        if (beginnings == MAX_BEGINNINGS) {
            wd_err_prefix(f->err, "%s: begun %d times", f->o->url, beginnings);
            return -ESTALE;
        }
        say(f, why == WD_HTTP_CHANGED ? "the file changed on the server; begun anew" : "the server stopped sending parts; begun anew");
        r = ask(f);
        if (r == 0 && why == WD_HTTP_NO_RANGES)
            f->about.ranges = false;
        if (r == 0)
            r = begin_anew(f);
    }
    return r;
}

/* ---- checking ---- */

static bool watch_check(void *arg, uint64_t bytes)
{
    struct fetch *f = arg;
    int64_t now = now_ms();

    if (f->o->progress && now - f->shown_ms >= SHOW_EVERY_MS) {
        struct wd_fetch_progress p = {.checking = true, .done = bytes, .total = f->plan.size, .seconds = (double)(now - f->begun_ms) / 1000};

        f->shown_ms = now;
        f->o->progress(f->o->arg, &p);
    }
    return stopped(f);
}

/* Whose checksum is it held against? */
static const char *expected(const struct fetch *f, struct wd_fetch_result *ret)
{
    ret->proof = f->o->sha256 ? WD_FETCH_GIVEN : f->about.sha256[0] ? WD_FETCH_SERVER : WD_FETCH_UNPROVEN;
    return f->o->sha256 ? f->o->sha256 : f->about.sha256[0] ? f->about.sha256 : NULL;
}

static int check_it(struct fetch *f, struct wd_fetch_result *ret)
{
    const char *want = expected(f, ret);
    int r;

    f->begun_ms = now_ms();
    r = wd_checksum_fd(f->fd, f->part, watch_check, f, ret->sha256, f->err);
    if (r < 0)
        return r;
    if (f->o->size && f->plan.size != f->o->size)
        r = wd_err_set(f->err, -EBADMSG, "%s: %" PRIu64 " bytes came, expected %" PRIu64 "; they are removed", f->o->url, f->plan.size, f->o->size);
    else if (want && strcmp(want, ret->sha256) != 0)
        r = wd_err_set(f->err, -EBADMSG, "%s: wrong bytes came: their SHA-256 is %s, expected %s; they are removed", f->o->url, ret->sha256, want);
    if (r < 0) {
        unlink(f->part);
        unlink(f->state);
    }
    return r;
}

/* Something is there already: 1 when it is the file. */
static int look_at(struct fetch *f, struct wd_fetch_result *ret)
{
    int fd = open(f->o->path, O_RDONLY | O_CLOEXEC), r;
    const char *want;
    struct stat st;

    if (fd < 0)
        return errno == ENOENT ? 0 : file_error(f, f->o->path);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return wd_err_set(f->err, -EEXIST, "%s: is there already, and is not a regular file", f->o->path);
    }
    r = f->o->sha256 ? 0 : ask(f);
    want = expected(f, ret);
    ret->size = f->plan.size = (uint64_t)st.st_size;
    ret->was_there = true;
    f->begun_ms = now_ms();
    if (r == 0)
        r = wd_checksum_fd(fd, f->o->path, watch_check, f, ret->sha256, f->err);
    close(fd);
    if (r < 0)
        return r;
    if (want ? strcmp(want, ret->sha256) == 0 : f->about.size_known && f->about.size == ret->size)
        return 1;
    if (want)
        return wd_err_set(f->err, -EEXIST, "%s: is there already, but its SHA-256 is %s, expected %s; --force fetches it anew", f->o->path, ret->sha256,
                          want);
    return wd_err_set(f->err, -EEXIST, "%s: is there already with %" PRIu64 " bytes, not as on the server; --force fetches it anew", f->o->path, ret->size);
}

/* In its place, and there after a power cut too. */
static int put_in_place(struct fetch *f)
{
    char folder[PATH_MAX];
    char *slash;
    int fd;

    if (fsync(f->fd) < 0 || rename(f->part, f->o->path) < 0)
        return file_error(f, f->o->path);
    unlink(f->state);
    snprintf(folder, sizeof folder, "%s", f->o->path);
    slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    return 0;
}

static int fetch(struct fetch *f, struct wd_fetch_result *ret)
{
    int r = f->o->force ? 0 : look_at(f, ret);

    if (r != 0)
        return r < 0 ? r : 0;
    *ret = (struct wd_fetch_result){0};
    r = open_part(f);
    if (r < 0)
        return r;
    /* Another process may have put it in its place meanwhile. */
    r = f->o->force ? 0 : look_at(f, ret);
    if (r > 0)
        unlink(f->part);
    if (r != 0)
        return r < 0 ? r : 0;
    r = ask(f);
    f->begun_ms = now_ms();
    if (r == 0)
        r = get_all(f);
    if (r < 0)
        return r;
    show(f, true);
    ret->size = f->plan.size;
    ret->resumed = f->resumed;
    r = check_it(f, ret);
    return r < 0 ? r : put_in_place(f);
}

int wd_fetch(const struct wd_fetch_opts *o, struct wd_fetch_result *ret, struct wd_err *err)
{
    struct fetch f = {.o = o, .fd = -1};
    struct wd_err own = {0};
    int n, m, r;

    f.err = err ? err : &own;
    *ret = (struct wd_fetch_result){0};
    n = snprintf(f.part, sizeof f.part, "%s.part", o->path);
    m = snprintf(f.state, sizeof f.state, "%s.part.state", o->path);
    if (n < 0 || m < 0 || (size_t)m >= sizeof f.state)
        return wd_err_set(f.err, -ENAMETOOLONG, "%s: the path is too long", o->path);
    r = wd_http_new(o->url, o->n_parallel, o->stall_s, o->stop, take, &f, &f.http, f.err);
    if (r == 0)
        r = fetch(&f, ret);
    wd_http_free(f.http);
    wd_fetch_plan_done(&f.plan);
    free(f.busy);
    if (f.fd >= 0)
        close(f.fd);
    return r;
}
