/* cli/fetch.h - one file over HTTP: in parallel ranges, gone on with after a break, checked. Blocks until it is done. */
#pragma once
#include "base/err.h"
#include "cli/checksum.h"
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct wd_fetch_progress {
    bool checking;           /* it has arrived, its checksum is computed */
    uint64_t done, total;    /* bytes; total 0: the server does not say */
    uint64_t resumed;        /* of done: from a former run */
    double seconds;          /* since the first byte was asked for, or since checking began */
};

struct wd_fetch_opts {
    const char *url;         /* http or https */
    const char *path;        /* where it goes; meanwhile PATH.part and PATH.part.state lie beside */
    uint64_t size;           /* bytes it must have; 0: as the server says */
    const char *sha256;      /* it must have, 64 lower-case hex digits; NULL: as the server says, if it does */
    bool force;              /* replace what is at the path; otherwise that is kept if it is right, and an error if not */
    unsigned n_parallel;     /* connections, 1 to 16 */
    uint64_t chunk_bytes;    /* asked for at a time */
    unsigned stall_s;        /* a connection that brings nothing for so long is given up */
    unsigned tries;          /* in a row without progress, then it is an error */
    void (*progress)(void *arg, const struct wd_fetch_progress *p); /* some times a second; may be NULL */
    void (*say)(void *arg, const char *text);                       /* a retry, a new beginning; may be NULL */
    void *arg;
    const volatile sig_atomic_t *stop; /* not 0: end soon, -ECANCELED, what has arrived is kept; may be NULL */
};

struct wd_fetch_result {
    uint64_t size, resumed;
    char sha256[WD_CHECKSUM_TEXT];
    enum { WD_FETCH_GIVEN, WD_FETCH_SERVER, WD_FETCH_UNPROVEN } proof; /* whose checksum it agrees with; UNPROVEN: nobody named one */
    bool was_there;
};

/* -ESTALE: it changes on the server faster than it is fetched; -EBADMSG: the server contradicts itself or the checksum is wrong;
 * -EBUSY: another process fetches it; -ENOENT, -EACCES: as the server says; -ETIMEDOUT, -ECONNRESET...: tries used up; -ENOSPC; -EEXIST. */
int wd_fetch(const struct wd_fetch_opts *o, struct wd_fetch_result *ret, struct wd_err *err);
