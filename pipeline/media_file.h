/* pipeline/media_file.h - a whole small file at once: a sound as 16 kHz mono, a picture or frames of a clip as RGB. For prompts written by hand; live sources are input.h's. */
#pragma once
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

#define WD_MEDIA_MAX_SAMPLES (16000u * 3600u) /* an hour */
#define WD_MEDIA_MAX_SIDE 16384u

/* Malloc'ed: f32 in [-1, 1]; a file of 16 kHz mono comes out sample for sample (int16 / 32768). -EINVAL names file and reason. */
int wd_media_file_sound(const char *path, float **ret_pcm, size_t *ret_n, struct wd_err *err);
/* Malloc'ed: [h][w][3]; alpha or a transparent colour is put on white, of 16 bits the upper 8 are taken (docs/model.md, "Pictures");
 * turned and mirrored as its EXIF data says. */
int wd_media_file_picture(const char *path, uint8_t **ret_rgb, uint32_t *ret_w, uint32_t *ret_h, struct wd_err *err);

/* One seen frame: the i-th, its time as "mm:ss", rgb [h][w][3] good until it returns. A negative result ends the reading. */
typedef int (*wd_media_frame)(void *arg, uint32_t i, const char *time, const uint8_t *rgb, uint32_t w, uint32_t h,
                              struct wd_err *err);
/* n >= 1 frames of a clip, evenly spread as clip.h says, or all of a shorter one. Decodes the file twice: the number of its
 * frames comes first. */
int wd_media_file_video(const char *path, uint32_t n, wd_media_frame take, void *arg, struct wd_err *err);
