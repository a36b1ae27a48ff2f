/* sinks/captions.h - what SRT and WebVTT files have in common: cues, numbered, appended whole.
 * Loop thread. */
#pragma once
#include "sinks/cues.h"
#include "sinks/sink.h"

struct wd_captions;

/* The text of a cue, to be appended by the format: bounded, and says so by failing as a whole. */
struct wd_captions_text {
    char *out;
    size_t cap, len;
};
void wd_captions_put(struct wd_captions_text *t, const char *s);
void wd_captions_put_time(struct wd_captions_text *t, int64_t ns,
                          char decimal_mark); /* hh:mm:ss.mmm */

struct wd_captions_format {
    const char *header;       /* of a new file */
    unsigned speaker_columns; /* taken from the first line besides the speaker's own */
    void (*cue)(struct wd_captions_text *t, uint64_t number, const char *speaker /* may be NULL */,
                const struct wd_cue *c);
};

/* The file at `path` is emptied: its numbers and times begin with this run. */
int wd_captions_open(const char *path, const struct wd_captions_format *format,
                     struct wd_captions **ret, struct wd_err *err);
int wd_captions_send(struct wd_captions *c,
                     const struct wd_event *e); /* as struct wd_sink_type; only finals count */
void wd_captions_reopen(struct wd_captions *c);
void wd_captions_close(struct wd_captions *c);
