/* pipeline/ffmpeg_rgb.c - a decoded frame of FFmpeg's made RGB and upright. */
#include "pipeline/ffmpeg_rgb.h"
#include "pipeline/picture.h"
#include <errno.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct wd_ffmpeg_rgb {
    struct SwsContext *sws;
    uint8_t *rgb, *turned;
    size_t rgb_bytes, turned_bytes;
};

int wd_ffmpeg_rgb_new(struct wd_ffmpeg_rgb **ret, struct wd_err *err)
{
    struct wd_ffmpeg_rgb *r = calloc(1, sizeof *r);

    if (!r)
        return wd_err_set(err, -ENOMEM, "pictures: out of memory");
    *ret = r;
    return 0;
}

struct wd_ffmpeg_rgb *wd_ffmpeg_rgb_free(struct wd_ffmpeg_rgb *r)
{
    if (r) {
        sws_freeContext(r->sws);
        av_free(r->rgb);
        av_free(r->turned);
        free(r);
    }
    return NULL;
}

static int room_for(uint8_t **buffer, size_t *have, size_t bytes)
{
    if (bytes <= *have)
        return 0;
    av_free(*buffer);
    *have = 0;
    *buffer = av_malloc(bytes);
    if (!*buffer)
        return -ENOMEM;
    *have = bytes;
    return 0;
}

static bool has_alpha(enum AVPixelFormat format)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);

    return d && (d->flags & (AV_PIX_FMT_FLAG_ALPHA | AV_PIX_FMT_FLAG_PAL));
}

/* Colours or grey of more than 8 bits. */
static bool is_deep(enum AVPixelFormat format)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(format);

    return d && d->comp[0].depth > 8 && ((d->flags & AV_PIX_FMT_FLAG_RGB) || d->nb_components <= 2);
}

static enum AVPixelFormat format_for(bool alpha, bool deep)
{
    if (deep)
        return alpha ? AV_PIX_FMT_RGBA64 : AV_PIX_FMT_RGB48;
    return alpha ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24;
}

/* The upper byte of each of n values of 16 bits, as the reference's decoder has it: the converter would round or dither. */
static void narrow(uint8_t *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t v;

        memcpy(&v, values + 2 * i, sizeof v);
        values[i] = (uint8_t)(v >> 8);
    }
}

/* Colours as the file says they are meant; where it does not, as is usual for its size. */
static void set_colours(struct SwsContext *sws, const AVFrame *f)
{
    int space = f->colorspace == AVCOL_SPC_UNSPECIFIED ? (f->height >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601)
                                                       : (int)f->colorspace;
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)f->format);
    bool yuvj = d && !strncmp(d->name, "yuvj", 4), rgb = d && (d->flags & AV_PIX_FMT_FLAG_RGB);
    int full = rgb || yuvj || f->color_range == AVCOL_RANGE_JPEG;

    sws_setColorspaceDetails(sws, sws_getCoefficients(space), full, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16,
                             1 << 16);
}

/* s->rgb: the frame as RGB bytes, rows without padding. 1, or 0 when it cannot be read. */
static int to_rgb(struct wd_ffmpeg_rgb *s, const AVFrame *f, struct wd_err *err)
{
    enum AVPixelFormat from = (enum AVPixelFormat)f->format;
    bool alpha = has_alpha(from), deep = is_deep(from);
    size_t row = (size_t)f->width * (alpha ? 4 : 3), wide = deep ? 2 * row : row;
    uint8_t *planes[4] = {0};
    int strides[4] = {(int)wide};

    /* Rows are not padded, so the converter may write some bytes past the last one. */
    if (room_for(&s->rgb, &s->rgb_bytes, wide * (size_t)f->height + 256) < 0)
        return wd_err_set(err, -ENOMEM, "a picture of %d x %d: out of memory", f->width, f->height);
    s->sws = sws_getCachedContext(s->sws, f->width, f->height, from, f->width, f->height,
                                  format_for(alpha, deep), SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT,
                                  NULL, NULL, NULL);
    if (!s->sws)
        return 0; /* a pixel format it cannot read: a damaged frame like any other */
    set_colours(s->sws, f);
    planes[0] = s->rgb;
    if (sws_scale(s->sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, planes, strides) < f->height)
        return 0;
    if (deep)
        narrow(s->rgb, row * (size_t)f->height);
    if (alpha)
        wd_picture_over_white(s->rgb, row, (uint32_t)f->width, (uint32_t)f->height, s->rgb);
    return 1;
}

/* How the picture must be turned to stand upright. */
static enum wd_picture_turn turn_of(const AVStream *stream, const AVFrame *f, bool *ret_mirror)
{
    const AVFrameSideData *side = av_frame_get_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX);
    const uint8_t *bytes = side && side->size >= 36 ? side->data : NULL;
    int32_t m[9];
    double degrees;

#if LIBAVFORMAT_VERSION_MAJOR < 61
    if (!bytes) {
        size_t size = 0;

        bytes = av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
        if (size < 36)
            bytes = NULL;
    }
#else
    (void)stream; /* decoders pass it on */
#endif
    *ret_mirror = false;
    if (!bytes)
        return WD_PICTURE_UPRIGHT;
    memcpy(m, bytes, sizeof m);
    /* Row vectors: x' = m0 x + m3 y, y' = m1 x + m4 y. A mirror first, then a turn. */
    if ((double)m[0] * m[4] - (double)m[1] * m[3] < 0) {
        *ret_mirror = true;
        m[0] = m[0] == INT32_MIN ? INT32_MAX : -m[0];
        m[1] = m[1] == INT32_MIN ? INT32_MAX : -m[1];
    }
    degrees = atan2(m[1], m[0]) * 57.29577951308232;
    return (enum wd_picture_turn)(((int)lround(degrees / 90) + 4) % 4);
}

/* Sides of the picture when its pixels are square: the wider side stays. */
static void shown_size(AVFormatContext *fmt, AVStream *stream, AVFrame *f, uint32_t *ret_w, uint32_t *ret_h)
{
    AVRational sar = av_guess_sample_aspect_ratio(fmt, stream, f);
    double w = f->width, h = f->height;

    if (sar.num > 0 && sar.den > 0 && av_q2d(sar) < 16 && av_q2d(sar) > 1.0 / 16) {
        if (sar.num > sar.den)
            w = w * sar.num / sar.den;
        else
            h = h * sar.den / sar.num;
    }
    *ret_w = (uint32_t)fmin(fmax(round(w), 1), WD_PICTURE_MAX_SIDE);
    *ret_h = (uint32_t)fmin(fmax(round(h), 1), WD_PICTURE_MAX_SIDE);
}

int wd_ffmpeg_rgb_make(struct wd_ffmpeg_rgb *s, AVFormatContext *fmt, AVStream *stream, AVFrame *f,
                       struct wd_ffmpeg_picture *ret, struct wd_err *err)
{
    uint32_t w = (uint32_t)f->width, h = (uint32_t)f->height, shown_w, shown_h;
    enum wd_picture_turn turn;
    bool mirror, across;
    int r;

    if (f->width <= 0 || f->height <= 0 || w > WD_PICTURE_MAX_SIDE || h > WD_PICTURE_MAX_SIDE ||
        (uint64_t)w * h > WD_PICTURE_MAX_PIXELS)
        return wd_err_set(err, -EBADMSG, "pictures of %d x %d: expected at most %u pixels", f->width, f->height,
                          WD_PICTURE_MAX_PIXELS);
    r = to_rgb(s, f, err);
    if (r <= 0)
        return r;
    shown_size(fmt, stream, f, &shown_w, &shown_h);
    turn = turn_of(stream, f, &mirror);
    across = turn == WD_PICTURE_TURN_90 || turn == WD_PICTURE_TURN_270;
    *ret = (struct wd_ffmpeg_picture){s->rgb, across ? h : w, across ? w : h, across ? shown_h : shown_w,
                                      across ? shown_w : shown_h};
    if (turn == WD_PICTURE_UPRIGHT && !mirror)
        return 1;
    if (room_for(&s->turned, &s->turned_bytes, (size_t)w * h * 3) < 0)
        return wd_err_set(err, -ENOMEM, "a picture of %u x %u: out of memory", w, h);
    wd_picture_turn(s->rgb, w, h, turn, mirror, s->turned);
    ret->rgb = s->turned;
    return 1;
}
