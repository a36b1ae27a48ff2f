/* pipeline/source.h - what a source provides: its name, its settings, and one function that captures. */
#pragma once
#include "base/err.h"
#include "base/opt.h"
#include "pipeline/feed.h"
#include <stddef.h>

enum wd_source_pace {
    WD_SOURCE_FLAT_OUT, /* a file as fast as it is used: nothing is dropped */
    WD_SOURCE_PACED,    /* a file in real time: what is too late is dropped */
    WD_SOURCE_ONLINE,   /* a device or a peer: if it ends or fails, it is opened again and again */
};

/* A type has no state of its own: any number of instances run at once, each on its own capture thread. */
struct wd_source_type {
    const char *name, *help;
    size_t size;               /* of its settings */
    const struct wd_opt *opts; /* their rows; filled by whoever reads the configuration */
    /* Whether the settings make sense together, beyond what rows can say; may be NULL. */
    int (*check)(const void *opts, struct wd_err *err);
    enum wd_source_pace (*pace)(const void *opts);
    /* Capture thread. One connection: opens, says wd_feed_live(), feeds, returns. 0: the end was reached; -ECANCELED: the
     * feed was interrupted, noticed within a second or two; others: why it could not be opened or was lost, with err.
     * -EINVAL: trying again is useless; -ENOENT, -EACCES, -EISDIR, ...: it cannot be opened; -EBADMSG: it is no medium;
     * -ENODATA: it is empty, or holds neither sound nor pictures. */
    int (*run)(const void *opts, struct wd_feed *feed, struct wd_err *err);
};
