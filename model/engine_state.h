/* model/engine_state.h - what an engine is made of; for engine.c, decoder.c and drafter.c alone. */
#pragma once
#include "model/attention.h"
#include "model/embed.h"
#include "model/engine.h"
#include "model/kv_cache.h"
#include "model/layer.h"
#include "model/linear.h"
#include "model/scratch.h"
#include "model/threads.h"
#include "model/tokenizer.h"
#include "model/weights.h"

#define WD_ENGINE_MAX_PARTS 64 /* decoders in one pass */

struct wd_drafter;

struct wd_engine {
    struct wd_weights weights;
    struct wd_tokenizer *tokenizer;
    struct wd_threads *threads;
    struct wd_linear *linear;
    struct wd_embed embed;
    struct wd_scratch scratch;
    struct wd_kv_pool *kv;
    struct wd_drafter *drafter; /* NULL: none */
    uint32_t max_rows;
    float *scores; /* [members][max_keys]: attention weights of one query */
    size_t max_keys;
    struct wd_layer_part parts[WD_ENGINE_MAX_PARTS];
    struct wd_attention_rows attention_rows[WD_ENGINE_MAX_PARTS];
};

/* Room for the attention weights of a query that sees n keys. */
int wd_engine_reserve_keys(struct wd_engine *e, size_t n, struct wd_err *err);
struct wd_decoder;
const struct wd_kv_cache *wd_decoder_cache(const struct wd_decoder *d);
