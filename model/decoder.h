/* model/decoder.h - one line of tokens being read or written: KV cache, position, logits; feed, rewind, fork.
 * All calls on decoders of one engine come from one thread, the engine thread. Nothing here allocates but _new and _fork. */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wd_engine;
struct wd_decoder;

/* capacity: most positions (tokens, audio frames, patches) it will ever hold, at most the model's context. longest_branch: how far it will ever be
 * rewound in one step; the rings of the sliding layers keep that much beyond their window. */
int wd_decoder_new(struct wd_engine *e, uint32_t capacity, uint32_t longest_branch, struct wd_decoder **ret, struct wd_err *err);
struct wd_decoder *wd_decoder_free(struct wd_decoder *d);

/* A second line that begins as a copy of the first: shares its keys and values, writes its own. Costs no copy of what both share. */
int wd_decoder_fork(const struct wd_decoder *d, struct wd_decoder **ret, struct wd_err *err);

uint32_t wd_decoder_position(const struct wd_decoder *d); /* the next row's position */
uint32_t wd_decoder_capacity(const struct wd_decoder *d);
/* Forget everything from `position` on. -EINVAL past the end, inside a picture, or further back than longest_branch after the window moved. */
int wd_decoder_rewind(struct wd_decoder *d, uint32_t position, struct wd_err *err);

enum wd_span_kind { WD_SPAN_TOKENS, WD_SPAN_AUDIO, WD_SPAN_PICTURE };

/* A stretch of the input sequence. Borrowed for the call. */
struct wd_span {
    enum wd_span_kind kind;
    uint32_t n;              /* rows it becomes: tokens, 40 ms frames, patches */
    const int32_t *ids;      /* TOKENS [n] */
    const float *pcm;        /* AUDIO [n][640] f32 in [-1, 1] */
    const uint8_t *rgb;      /* PICTURE [48 * grid_h][48 * grid_w][3] */
    uint32_t grid_w, grid_h; /* PICTURE, grid_w * grid_h == n */
    bool video;              /* PICTURE of a video: pixels / 255 instead of pixels * (1 / 255) */
};

/* Where attention of chosen heads is to be summed, for word times. */
struct wd_attention_probe {
    uint32_t first, n;          /* positions looked at */
    const uint16_t (*heads)[2]; /* [n_heads] {layer, head} */
    uint32_t n_heads;           /* 0: every head of every layer */
    uint32_t n_rows;            /* looks from the last n_rows rows */
    float *ret;                 /* [n_rows][n]: mean over the heads of the attention weight */
};

/* Intermediate results, for tests and `witness model eval --layers`; each NULL when not wanted. */
struct wd_trace {
    float *layers; /* [n_layers + 2][rows][d_model]: embeddings, each layer after its scalar, final norm */
    float *attn;   /* [n_layers][rows][d_model]: output of o_proj, before its norm */
    float *mlp;    /* [n_layers][rows][d_model]: output of down_proj, before its norm */
};

/* One decoder's part of a pass. */
struct wd_pass_part {
    struct wd_decoder *decoder;
    const struct wd_span *spans;
    uint32_t n_spans;
    uint32_t n_logits;          /* logits are wanted of the last n_logits rows (0: none) */
    float *ret_logits;          /* [n_logits][n_vocab] after the soft cap, before suppression */
    float *ret_hidden;          /* [n_logits][d_model] what these logits are made of: the rows after the final norm; NULL: not wanted */
    const struct wd_attention_probe *probe; /* NULL: none */
    const struct wd_trace *trace;           /* NULL: none */
};

/* One pass over the weights for all parts together. Rows of all parts may not exceed the engine's max_rows; a picture lies within one part of one pass.
 * On an error nothing was fed. -ENOSPC: a decoder is full. -EINVAL: a bad id, a media slot's id without its medium, too many rows.
 * -EIO: the model's file became shorter or cannot be read any more; what was computed in this pass is worth nothing, and there will be no other. */
int wd_decoder_pass(struct wd_engine *e, const struct wd_pass_part *parts, uint32_t n_parts, struct wd_err *err);
