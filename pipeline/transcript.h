/* pipeline/transcript.h - one stream's windows -> what was said, by whom, when: fills the engine's jobs, reads the answers, publishes. Loop thread;
 * nothing allocates but _new. */
#pragma once
#include "base/err.h"
#include "pipeline/job.h"
#include "pipeline/profile.h"
#include "pipeline/publish.h"
#include "pipeline/window.h"
#include <stdbool.h>
#include <stdint.h>

struct wd_tokenizer;

struct wd_transcript_opts {
    const struct wd_profile *profile;
    const struct wd_tokenizer *tokenizer;
    const char *language;  /* NULL: not known */
    bool partials;
    bool speakers;         /* tell voices apart */
    int64_t edge_ns;       /* a window that is full is cut at least so long before its end; 0: WD_SETTLE_EDGE_NS */
};

struct wd_transcript;
int wd_transcript_new(const struct wd_transcript_opts *opts, struct wd_publish *publish, struct wd_transcript **ret,
                      struct wd_err *err);
struct wd_transcript *wd_transcript_free(struct wd_transcript *t);

/* Fills the job that `what` (of wd_window_next()) asks for. */
int wd_transcript_fill(struct wd_transcript *t, const struct wd_window *w, const struct wd_window_job *what, struct wd_job *job,
                       struct wd_err *err);
/* Reads the job's answer, publishes, and closes, cuts or repeats the window when that is due. */
void wd_transcript_take(struct wd_transcript *t, struct wd_window *w, const struct wd_window_job *what, struct wd_job *job);
/* The stream has ended: what is still known about voices. */
void wd_transcript_end(struct wd_transcript *t);

struct wd_transcript_stats {
    uint64_t partials, finals, words;
    uint64_t again;     /* windows decoded anew after a bad answer */
    uint64_t bad;       /* windows given up */
    uint32_t n_speakers;
};
struct wd_transcript_stats wd_transcript_stats(const struct wd_transcript *t);
