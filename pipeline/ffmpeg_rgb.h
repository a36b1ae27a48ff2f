/* pipeline/ffmpeg_rgb.h - a decoded frame of FFmpeg's made RGB and upright. Capture thread. */
#pragma once
#include "base/err.h"
#include <stdint.h>

struct AVFormatContext;
struct AVFrame;
struct AVStream;

struct wd_ffmpeg_picture {
    const uint8_t *rgb;        /* [h][w][3], good until the next one is made */
    uint32_t w, h;
    uint32_t shown_w, shown_h; /* when its pixels are square */
};

struct wd_ffmpeg_rgb; /* converter and buffers of the last size */
int wd_ffmpeg_rgb_new(struct wd_ffmpeg_rgb **ret, struct wd_err *err);
struct wd_ffmpeg_rgb *wd_ffmpeg_rgb_free(struct wd_ffmpeg_rgb *r); /* takes NULL; returns NULL */

/* Any pixel format; alpha goes over white; turned as its display matrix or EXIF orientation says. 1; 0: a frame that cannot be
 * read; -EBADMSG: too large; -ENOMEM. Allocates only for a picture larger than any before. */
int wd_ffmpeg_rgb_make(struct wd_ffmpeg_rgb *r, struct AVFormatContext *fmt, struct AVStream *stream, struct AVFrame *frame,
                       struct wd_ffmpeg_picture *ret, struct wd_err *err);
