/* tests/pipeline/nano.h - the shipped model, its profile and the voice networks, opened once for a test program. */
#pragma once
#include "model/engine.h"
#include "model/voice.h"
#include "pipeline/profile.h"
#include <stddef.h>

struct wd_nano {
    struct wd_engine *engine;
    struct wd_voice *voice;
    struct wd_profile *profile;
};

/* max_rows: of a pass, 0: the default. Fails the test when something cannot be opened. */
void wd_nano_open(struct wd_nano *n, unsigned max_rows);
void wd_nano_close(struct wd_nano *n);
/* A clip of tests/nano/speech, malloc'ed. */
float *wd_nano_clip(const char *name, size_t *ret_n);
/* Samples appended to a malloc'ed sound; more NULL: silence. */
float *wd_nano_append(float *pcm, size_t *n, const float *more, size_t n_more);

struct wd_picture;
struct wd_picture_pool;
/* A picture of tests/nano/pictures, taken at t_ns: one reference. */
struct wd_picture *wd_nano_picture(struct wd_picture_pool *pool, const char *name, int64_t t_ns);
