/* model/drafter.h - a small model that guesses the tokens ahead from the decoder's hidden state and its keys and values.
 * Engine thread only; nothing here allocates but _open. Source of the formulas: docs/model.md, "Drafter". */
#pragma once
#include "base/err.h"
#include "model/drafter_file.h"
#include "model/sampler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wd_engine;
struct wd_decoder;
struct wd_drafter;

#define WD_DRAFTER_LEAST 4 /* tokens of a draft, after one that failed */
#define WD_DRAFTER_MOST 8  /* after drafts that were right */

/* path: see drafter_file.h. exact: as in struct wd_engine_opts. The engine is borrowed, and frees what its own options opened. */
int wd_drafter_open(struct wd_engine *e, const char *path, bool exact, struct wd_drafter **ret, struct wd_err *err);
struct wd_drafter *wd_drafter_free(struct wd_drafter *d);
size_t wd_drafter_bytes(const struct wd_drafter *d);
/* Of its activations, known before it is opened; what its products unpack into goes with the threads and is not counted, as with the engine. */
size_t wd_drafter_scratch_bytes(const struct wd_drafter_weights *w, const struct wd_shape *model);

/* Begins a draft behind what `decoder` has read, at least one position. hidden [d_model]: ret_hidden of the last row read. */
void wd_drafter_begin(struct wd_drafter *d, const struct wd_decoder *decoder, const float *hidden);
/* What follows `token`, which is the newest and not read yet by the decoder, or the guess of the step before: logits [n_vocab], valid until the next
 * step. The decoder may not change between begin and the last step. */
const float *wd_drafter_step(struct wd_drafter *d, int32_t token);
const float *wd_drafter_hidden(const struct wd_drafter *d); /* [d_model of the model] after a step: what the next one begins with */

/* A whole draft of at most n <= WD_DRAFTER_MOST tokens behind `token`: begin and steps. Ends before a stop token. Tokens that the decoder would
 * refuse or suppress are not among them. sampler NULL or of temperature 0: the best one each; otherwise drawn, see wd_drafter_drawn_from(). */
uint32_t wd_drafter_draft(struct wd_drafter *d, const struct wd_decoder *decoder, int32_t token, const float *hidden, uint32_t n,
                          struct wd_sampler *sampler, int32_t *ret_ids);
/* What token i of the last draft was drawn from, if it was drawn. */
const struct wd_sampler_dist *wd_drafter_drawn_from(const struct wd_drafter *d, uint32_t i);
