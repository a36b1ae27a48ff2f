/* pipeline/media_file.h - a whole small file at once: a sound as 16 kHz mono, a picture as RGB. For prompts written by hand; live sources are input.h's. */
#pragma once
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

#define WD_MEDIA_MAX_SAMPLES (16000u * 3600u) /* an hour */
#define WD_MEDIA_MAX_SIDE 16384u

/* Malloc'ed: f32 in [-1, 1]; a file of 16 kHz mono comes out sample for sample (int16 / 32768). -EINVAL names file and reason. */
int wd_media_file_sound(const char *path, float **ret_pcm, size_t *ret_n, struct wd_err *err);
/* Malloc'ed: [h][w][3]; a picture with alpha is put on white (docs/model.md, "Pictures"); EXIF rotation is applied. */
int wd_media_file_picture(const char *path, uint8_t **ret_rgb, uint32_t *ret_w, uint32_t *ret_h, struct wd_err *err);
