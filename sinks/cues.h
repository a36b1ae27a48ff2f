/* sinks/cues.h - a spoken text cut into captions: few short lines, few seconds, never back in time.
 * Pure. */
#pragma once
#include "pipeline/event.h"

struct wd_cue_shape {
    unsigned n_lines;    /* at most so many lines ... */
    unsigned n_columns;  /* ... of so many columns (a wide character takes two) */
    unsigned n_first;    /* columns already taken at the beginning of the first line ("Anna: ") */
    int64_t longest_ns;  /* of one cue */
    int64_t shortest_ns; /* a cue is stretched to this where the one before leaves too little */
};

struct wd_cue {
    int64_t t0_ns, t1_ns;
    const char *text; /* valid UTF-8, lines parted by one '\n', none empty, no control characters;
                         good during the call */
};

/* Calls `cue(ctx, ...)` for each piece of e->text in order, timed by e->words; a text without words
 * is timed by its length. No cue begins before `after_ns` or before the end of the one in front of
 * it. Returns where the last one ends (`after_ns` when there is no text). Source of the usual shape
 * (2 lines, 42 columns, 7 s): what public broadcasters ask of subtitles. */
int64_t wd_cues_split(const struct wd_event *e, const struct wd_cue_shape *shape, int64_t after_ns,
                      void (*cue)(void *ctx, const struct wd_cue *c), void *ctx);

/* Who speaks, for people: the given name, else the id, else NULL. */
const char *wd_cues_speaker(const struct wd_event *e);
