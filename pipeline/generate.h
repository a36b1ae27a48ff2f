/* pipeline/generate.h - one answer of the model: feed, verify the draft, decode on, stop. Engine thread only; nothing allocates. */
#pragma once
#include "base/err.h"
#include "model/decoder.h"
#include "pipeline/job.h"

struct wd_engine;
struct wd_drafter;
struct wd_sampler;

struct wd_generate {
    struct wd_engine *engine;
    struct wd_decoder *decoder;
    struct wd_job_count *count;
    float *logits;        /* [logit_rows][n_vocab] */
    uint32_t logit_rows;
    const uint16_t (*heads)[2];
    uint32_t n_heads;
    struct wd_drafter *drafter; /* guesses on where the draft ends, NULL: a pass a token */
    float *hidden;              /* [logit_rows][d_model], with a drafter */
    struct wd_sampler *sampler; /* draws the tokens; NULL: greedy */
};

/* Feeds `spans` (what is fed ends with the forced tokens), then `draft`, accepts of the draft what decoding would have said itself, and decodes until a
 * stop token, max_tokens or a loop, with what the drafter guesses in each pass. Greedy: neither draft nor drafter changes the answer. Sampled: neither
 * changes how likely it is. `answer` holds n_forced tokens already; what is new is appended. The decoder is left wherever it
 * stands: rewind it. attention, if not NULL: row i, frames numbers: the attention of the row whose logits gave token i to positions
 * [first_frame, first_frame + frames). */
int wd_generate_answer(const struct wd_generate *g, const struct wd_span *spans, uint32_t n_spans, uint32_t n_forced,
                       const int32_t *draft, uint32_t n_draft, uint32_t max_tokens, struct wd_answer *answer, float *attention,
                       uint32_t first_frame, uint32_t frames, struct wd_err *err);

/* Feeds `spans` and compares the probabilities of two tokens: p(yes) / (p(yes) + p(no)). */
int wd_generate_yes(const struct wd_generate *g, const struct wd_span *spans, uint32_t n_spans, int32_t yes, int32_t no,
                    float *ret, struct wd_err *err);

/* Feeds spans, split where they are more rows than a pass may carry (tokens and sound only; a picture goes whole). */
int wd_generate_feed(const struct wd_generate *g, const struct wd_span *spans, uint32_t n_spans, struct wd_err *err);

/* How many tokens at the end of ids repeat what stands before them, when an n-gram of 1..16 tokens came at least four times in a row and filled 24 tokens;
 * otherwise 0. */
uint32_t wd_generate_loop(const struct wd_token *tokens, uint32_t n);
