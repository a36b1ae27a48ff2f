/* sinks/out.h - where a sink writes: a file or standard output; whole pieces, in order, without
 * waiting. Loop thread. */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

struct wd_out;

/* `path` "-" is standard output. A file is made where there is none, and else continued (`anew`
 * false; a last line that a crash cut off gets its newline first) or emptied. A FIFO needs its
 * reader. The largest piece is `most_bytes`. */
int wd_out_open(const char *path, bool anew, size_t most_bytes, struct wd_out **ret_out,
                struct wd_err *err);

/* Takes all of it (0) or none: -EAGAIN (nobody reads now), -ENOSPC, -EMSGSIZE or what else write(2)
 * said. A piece is one write(2); what the system took only in part is kept and goes out before the
 * next one. */
int wd_out_write(struct wd_out *o, const void *data, size_t n_bytes);

/* Opens the path again: 1 when that is another file than before (now written to, from its beginning
 * or end as at open), 0 when it is the same or there is no path, or why not (then the old file
 * stays in use). */
int wd_out_reopen(struct wd_out *o);

/* What was accepted is on the disk (fdatasync); nothing for what is no file. */
int wd_out_sync(struct wd_out *o);

bool wd_out_is_terminal(const struct wd_out *o);
int wd_out_columns(const struct wd_out *o); /* of the terminal, asked now; 0 = not known */
int wd_out_rows(const struct wd_out *o);

/* Only for the end of a run: waits until a reader makes room, ten seconds at most; false if none
 * did. */
bool wd_out_wait(const struct wd_out *o);

/* Writes the rest of a piece, waiting as wd_out_wait() does. NULL is fine; returns NULL. */
struct wd_out *wd_out_close(struct wd_out *o);
