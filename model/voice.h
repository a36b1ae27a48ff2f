/* model/voice.h - two small networks beside the decoder: is this frame speech; whose voice is this piece.
 * Definition and figures: docs/voice.md. Weights are read-only after open, any thread; a gate or a scratch belongs to one thread. */
#pragma once
#include "base/err.h"
#include <stddef.h>

#define WD_VOICE_DIM 256          /* numbers of a print, of length 1 */
#define WD_VOICE_PIECE 25840      /* samples at 16 kHz of the piece the figures are for: 160 frames of features */
#define WD_VOICE_MIN_SAMPLES 9840 /* 60 frames of features: the least that makes a print */
#define WD_GATE_FRAME 640         /* samples of one step of the gate */

struct wd_voice; /* the weights of both */

/* Paths of voice-print.safetensors and speech-activity.safetensors. Every shape is checked. */
int wd_voice_open(const char *print_path, const char *activity_path, struct wd_voice **ret, struct wd_err *err);
struct wd_voice *wd_voice_free(struct wd_voice *v);

struct wd_gate; /* state of one stream's gate */
int wd_gate_new(const struct wd_voice *v, struct wd_gate **ret, struct wd_err *err);
struct wd_gate *wd_gate_free(struct wd_gate *g);
void wd_gate_reset(struct wd_gate *g);
/* Probability that somebody speaks in these 640 samples (f32, +-1, 16 kHz), from them and the past. Never allocates. */
float wd_gate_push(struct wd_gate *g, const float pcm[WD_GATE_FRAME]);

struct wd_voice_scratch; /* room for one print at a time */
int wd_voice_scratch_new(const struct wd_voice *v, struct wd_voice_scratch **ret, struct wd_err *err);
struct wd_voice_scratch *wd_voice_scratch_free(struct wd_voice_scratch *s);
/* pcm [n] at 16 kHz, WD_VOICE_MIN_SAMPLES <= n <= WD_VOICE_PIECE -> ret [256]. -EINVAL for another n. Never allocates. */
int wd_voice_print(const struct wd_voice *v, struct wd_voice_scratch *s, const float *pcm, size_t n, float ret[WD_VOICE_DIM]);
