/* pipeline/job.h - what the loop asks of the engine thread, and what comes back. A job is made once and used again and again; it belongs
 * to the worker from wd_worker_submit() until its done() is called on the loop thread. */
#pragma once
#include "model/voice.h"
#include "pipeline/input.h"
#include <stdbool.h>
#include <stdint.h>

#define WD_JOB_MAX_FRAMES 800   /* 32 s */
#define WD_JOB_MAX_PROMPT 1024  /* tokens before the medium, and behind it */
#define WD_JOB_MAX_TOKENS 1024  /* of an answer */
#define WD_JOB_MAX_PIECES 48    /* voice prints */
#define WD_JOB_MAX_QUESTIONS 4
#define WD_JOB_MAX_PICTURES 2

enum wd_job_kind { WD_JOB_SOUND, WD_JOB_SCENE };

enum wd_job_end {
    WD_JOB_END_STOP,  /* the model said that it is done */
    WD_JOB_END_LIMIT, /* max_tokens or the context */
    WD_JOB_END_LOOP,  /* it repeats itself */
};

struct wd_token {
    int32_t id;
    float p;      /* softmax probability */
    float margin; /* gap to the second best logit */
};

struct wd_answer {
    struct wd_token tokens[WD_JOB_MAX_TOKENS]; /* without the stop token */
    uint32_t n;
    enum wd_job_end end;
    float yes; /* yes/no questions: p(yes) / (p(yes) + p(no)); otherwise -1 */
};

struct wd_ids {
    int32_t ids[WD_JOB_MAX_PROMPT];
    uint32_t n;
};

struct wd_question {
    struct wd_ids ids;
    uint32_t max_tokens;
    int32_t yes, no; /* tokens whose probabilities are compared, -1: none, an answer is decoded */
};

/* A stretch of speech whose voice is asked for. */
struct wd_piece {
    uint32_t start, n_samples; /* of the window */
    float pcm[WD_VOICE_PIECE];
    float print[WD_VOICE_DIM];
};

struct wd_lane;

/* Counted by the engine thread; they prove what docs/tour.md says. */
struct wd_job_count {
    uint64_t frames;         /* audio frames prefilled */
    uint64_t patches;        /* soft rows of pictures prefilled */
    uint64_t prompt_tokens;  /* instruction and closing tokens */
    uint64_t forced;         /* settled tokens fed again in a tick */
    uint64_t decoded;        /* tokens that cost a pass of their own */
    uint64_t drafted, accepted;       /* of the hypothesis before */
    uint64_t guessed, guessed_right;  /* by the drafter */
    uint64_t passes;
    uint64_t prints;
    int64_t busy_ns;
};

struct wd_job {
    enum wd_job_kind kind;
    struct wd_lane *lane;
    void (*done)(void *ctx, struct wd_job *job); /* loop thread */
    void *ctx;
    int code;                  /* < 0: it failed, see err */
    char err[256];
    struct wd_job_count count; /* of this job */

    /* Sound: a tick of one window. */
    bool open;                 /* a new window: `before` comes first, nothing of the last one is kept but what both begin with */
    bool decode;               /* otherwise only prefill */
    struct wd_ids before, after, forced, draft;
    uint32_t n_frames;
    float pcm[WD_JOB_MAX_FRAMES][WD_FRAME_SAMPLES];
    uint32_t max_tokens;
    const uint16_t (*heads)[2]; /* [n_heads] {layer, head} that point at the sound, for word times; borrowed. n_heads 0: the mean of all */
    uint32_t n_heads;
    struct wd_piece *pieces;   /* [WD_JOB_MAX_PIECES] */
    uint32_t n_pieces;

    /* Scene: pictures to look at after those already in the lane's context. */
    bool restart;
    struct {
        struct wd_ids before;
        struct wd_picture *picture; /* a reference, given back by the submitter when the job is done */
    } pictures[WD_JOB_MAX_PICTURES];
    uint32_t n_pictures;
    struct wd_ids picture_after;
    struct wd_question questions[WD_JOB_MAX_QUESTIONS];
    uint32_t n_questions;

    /* Results: of sound answers[0], begins with the forced tokens. */
    struct wd_answer answers[WD_JOB_MAX_QUESTIONS];
    /* Sound: attention of each token of the answer (row: the one whose logits gave it) to the window's frames. */
    float *attention;          /* [answers[0].n + 1][frames_in_window] */
    uint32_t frames_in_window;
};

void wd_job_count_add(struct wd_job_count *to, const struct wd_job_count *c);

/* SOUND: room for pieces and attention too. */
int wd_job_new(enum wd_job_kind kind, struct wd_job **ret, struct wd_err *err);
struct wd_job *wd_job_free(struct wd_job *job);
