/* cli/fetch_http.h - HTTP for fetch.c: what a server says of a file, and pieces of it on several connections. One thread. */
#pragma once
#include "base/err.h"
#include "cli/checksum.h"
#include "cli/fetch_plan.h"
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WD_HTTP_MAX_SLOTS 16
#define WD_HTTP_TO_END UINT64_MAX

struct wd_http_about {
    bool ranges;                   /* pieces can be asked for */
    bool size_known;
    uint64_t size;
    char tag[WD_FETCH_TAG];        /* strong ETag or date of change, as If-Range takes it; empty: none */
    char sha256[WD_CHECKSUM_TEXT]; /* of the whole file, as the server says; empty: it does not */
};

enum wd_http_outcome {
    WD_HTTP_OK,        /* all of the piece came */
    WD_HTTP_AGAIN,     /* worth another try */
    WD_HTTP_CHANGED,   /* the file is another one now */
    WD_HTTP_NO_RANGES, /* the server sends the whole file instead */
    WD_HTTP_FAILED,    /* another try would end the same */
};

/* Bytes of a piece in order; negative: stop everything with this code (the reason was written down by the callee). */
typedef int (*wd_http_take)(void *arg, unsigned slot, const void *bytes, size_t n);

struct wd_http;
/* url and stop are borrowed. */
int wd_http_new(const char *url, unsigned n_slots, unsigned stall_s, const volatile sig_atomic_t *stop, wd_http_take take, void *arg,
                struct wd_http **ret, struct wd_err *err);
struct wd_http *wd_http_free(struct wd_http *h); /* takes NULL; returns NULL */

/* Asks for the first byte and looks at what comes with it. */
enum wd_http_outcome wd_http_probe(struct wd_http *h, struct wd_http_about *ret, struct wd_err *err);
/* Begins a piece on a free slot: bytes from to to, the last included; WD_HTTP_TO_END with from 0: the whole file, without a range. */
int wd_http_begin(struct wd_http *h, unsigned slot, const struct wd_http_about *about, uint64_t from, uint64_t to, struct wd_err *err);
/* Moves bytes for up to timeout_ms. A piece that has ended: true, its slot is free again; err says why it is not OK, wait_s how long the
 * server wants to be left alone. */
bool wd_http_wait(struct wd_http *h, int timeout_ms, unsigned *ret_slot, enum wd_http_outcome *ret_outcome, unsigned *ret_wait_s,
                  struct wd_err *err);
/* Ends what is under way. */
void wd_http_drop(struct wd_http *h);
