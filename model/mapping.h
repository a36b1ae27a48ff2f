/* model/mapping.h - a file mapped read-only that may shrink meanwhile without ending the process.
 *
 * Reading a mapped page that the file no longer has raises SIGBUS. A handler, installed with a
 * mapping, puts zeros in the place of that page and all behind it, and marks the mapping as torn.
 * Whoever computes with it goes on with zeros, and asks wd_mapping_torn() before the result is
 * used. The same happens when the disk cannot deliver a page. A SIGBUS elsewhere goes where it went
 * before. Threads that read mappings must not block SIGBUS: the kernel then ends the process
 * without asking. init and done: any thread. torn: any thread. docs/threads.md, "Files that
 * shrink". */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct wd_mapping {
    const unsigned char *data; /* NULL: none */
    size_t len;
    unsigned slot; /* where the handler finds it */
};

/* len > 0 bytes of an open file; fd may be closed afterwards. -EMFILE: more than 4096 mappings;
 * other errnos of mmap and sigaction. */
int wd_mapping_init(struct wd_mapping *m, int fd, size_t len);
/* Nobody reads it any more. Takes one that is zeroed, and twice is allowed. */
void wd_mapping_done(struct wd_mapping *m);
/* Since when does not matter: zeros may have been read for bytes of the file, so nothing computed
 * from it is to be trusted. Never false again. */
bool wd_mapping_torn(const struct wd_mapping *m);
