/* model/voice.h - two small networks beside the decoder: is this frame speech; whose voice is this
 * piece. Definition and figures: docs/voice.md. Weights are read-only after open, any thread; a
 * gate or a scratch belongs to one thread. */
#pragma once
#include "base/err.h"
#include <stddef.h>

#define WD_VOICE_DIM 256 /* numbers of a print, of length 1 */
#define WD_VOICE_PIECE                                                                             \
    25840 /* samples at 16 kHz of the piece the figures are for: 160 frames of features */
#define WD_VOICE_MIN_SAMPLES 9840 /* 60 frames of features: the least that makes a print */
#define WD_GATE_FRAME 640         /* samples of one step of the gate */
#define WD_GATE_INPUT 160         /* four feature vectors of 40 */
#define WD_GATE_STATE 48

struct wd_voice; /* the weights of both */

/* Paths of voice-print.safetensors and speech-activity.safetensors. Every shape is checked. */
int wd_voice_open(const char *print_path, const char *activity_path, struct wd_voice **ret,
                  struct wd_err *err);
struct wd_voice *wd_voice_free(struct wd_voice *v);

struct wd_gate; /* state of one stream's gate */
int wd_gate_new(const struct wd_voice *v, struct wd_gate **ret, struct wd_err *err);
struct wd_gate *wd_gate_free(struct wd_gate *g);
void wd_gate_reset(struct wd_gate *g);
/* Probability that somebody speaks in these 640 samples (f32, +-1, 16 kHz), from them and the past.
 * Never allocates. Samples that are not finite give 0 and forget the past. */
float wd_gate_push(struct wd_gate *g, const float pcm[WD_GATE_FRAME]);
/* What the last push read, [WD_GATE_INPUT], and what it keeps, [WD_GATE_STATE]. For tests. */
const float *wd_gate_features(const struct wd_gate *g);
const float *wd_gate_state(const struct wd_gate *g);

struct wd_voice_scratch; /* room for one print at a time */
int wd_voice_scratch_new(const struct wd_voice *v, struct wd_voice_scratch **ret,
                         struct wd_err *err);
struct wd_voice_scratch *wd_voice_scratch_free(struct wd_voice_scratch *s);
/* pcm [n] at 16 kHz, WD_VOICE_MIN_SAMPLES <= n <= WD_VOICE_PIECE -> ret [256]. -EINVAL for another
 * n, -EDOM for samples that are not finite. Never allocates. */
int wd_voice_print(const struct wd_voice *v, struct wd_voice_scratch *s, const float *pcm, size_t n,
                   float ret[WD_VOICE_DIM]);

/* Called with each step's result, n numbers that are valid during the call. */
typedef void wd_voice_step(void *ctx, const char *name, const float *x, size_t n);
/* The same print, each step shown by name: features, stem, block0 .. block4, norm, att, pool, head.
 * For tests. */
int wd_voice_print_steps(const struct wd_voice *v, struct wd_voice_scratch *s, const float *pcm,
                         size_t n, wd_voice_step *step, void *ctx, float ret[WD_VOICE_DIM]);
