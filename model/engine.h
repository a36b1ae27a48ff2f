/* model/engine.h - the public face of the model: opens weights once; read-only afterwards, shared by decoders. */
#pragma once
#include "base/err.h"
#include "model/shape.h"
#include <stdbool.h>
#include <stddef.h>

struct wd_engine;
struct wd_tokenizer;

struct wd_engine_opts {
    unsigned n_threads;    /* 0 = the processors this process may use */
    unsigned max_rows;     /* rows one pass may carry, 0 = 1536 (a picture must fit whole) */
    const char *mmproj;    /* path of the media file; NULL: in the model file itself, or beside a GGUF "X.gguf" as a single *mmproj*.gguf */
    const char *drafter;   /* path of a drafter made for this model, GGUF or safetensors folder; NULL: none */
    const char *kernels;   /* name of a kernel table, NULL = the best */
    bool exact;            /* unpack quantised weights to f32 instead of rounding activations to 16 bits */
};

/* path: a GGUF or a safetensors folder. opts NULL: defaults. Errors name the file, the tensor and both shapes. */
int wd_engine_open(const char *path, const struct wd_engine_opts *opts, struct wd_engine **ret, struct wd_err *err);
struct wd_engine *wd_engine_free(struct wd_engine *e); /* after its decoders */

const struct wd_shape *wd_engine_shape(const struct wd_engine *e);
const struct wd_tokenizer *wd_engine_tokenizer(const struct wd_engine *e);
struct wd_drafter;
struct wd_drafter *wd_engine_drafter(const struct wd_engine *e); /* NULL: none; engine thread */
const char *wd_engine_kernels(const struct wd_engine *e);
uint32_t wd_engine_max_rows(const struct wd_engine *e); /* of one pass */
unsigned wd_engine_threads(const struct wd_engine *e);
/* Hex digest over tensor names, types, shapes and the first bytes of each: tells one model from another. */
const char *wd_engine_hash(const struct wd_engine *e);

struct wd_engine_memory {
    size_t weights_bytes; /* mapped */
    size_t scratch_bytes; /* activations of one pass */
    size_t kv_bytes;      /* caches of the decoders there are */
    size_t drafter_bytes; /* its weights, mapped, and its scratch; 0: there is none */
};
struct wd_engine_memory wd_engine_memory(const struct wd_engine *e);
