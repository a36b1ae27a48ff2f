/* pipeline/media_file.c - a whole small file at once: a sound as 16 kHz mono, a picture as RGB. */
#include "pipeline/media_file.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *path;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    int stream;
    bool drained;
};

static int failed(const struct reader *r, int av, struct wd_err *err)
{
    char why[AV_ERROR_MAX_STRING_SIZE];

    av_strerror(av, why, sizeof why);
    return wd_err_set(err, av == AVERROR(ENOENT) ? -ENOENT : av == AVERROR(ENOMEM) ? -ENOMEM : -EINVAL, "%s: %s", r->path, why);
}

static void reader_close(struct reader *r)
{
    av_frame_free(&r->frame);
    av_packet_free(&r->packet);
    avcodec_free_context(&r->codec);
    avformat_close_input(&r->format);
}

static int reader_open(struct reader *r, const char *path, enum AVMediaType kind, struct wd_err *err)
{
    const AVCodec *codec = NULL;
    int av;

    memset(r, 0, sizeof *r);
    av_log_set_level(AV_LOG_QUIET); /* errors come back in words of our own */
    r->path = path;
    av = avformat_open_input(&r->format, path, NULL, NULL);
    if (av >= 0)
        av = avformat_find_stream_info(r->format, NULL);
    if (av >= 0) {
        av = av_find_best_stream(r->format, kind, -1, -1, &codec, 0);
        if (av < 0) {
            reader_close(r);
            return wd_err_set(err, -EINVAL, "%s: there is no %s in it", path, kind == AVMEDIA_TYPE_AUDIO ? "sound" : "picture");
        }
        r->stream = av;
        r->codec = avcodec_alloc_context3(codec);
        r->packet = av_packet_alloc();
        r->frame = av_frame_alloc();
        av = r->codec && r->packet && r->frame
                 ? avcodec_parameters_to_context(r->codec, r->format->streams[r->stream]->codecpar)
                 : AVERROR(ENOMEM);
    }
    if (av >= 0)
        av = avcodec_open2(r->codec, codec, NULL);
    if (av < 0) {
        reader_close(r);
        return failed(r, av, err);
    }
    return 0;
}

/* 1: r->frame holds the next frame; 0: the end. */
static int reader_next(struct reader *r, struct wd_err *err)
{
    int av;

    for (;;) {
        av = avcodec_receive_frame(r->codec, r->frame);
        if (av >= 0)
            return 1;
        if (av == AVERROR_EOF)
            return 0;
        if (av != AVERROR(EAGAIN))
            return failed(r, av, err);
        if (r->drained)
            return 0;
        av = av_read_frame(r->format, r->packet);
        if (av == AVERROR_EOF) {
            r->drained = true;
            avcodec_send_packet(r->codec, NULL);
            continue;
        }
        if (av < 0)
            return failed(r, av, err);
        if (r->packet->stream_index == r->stream)
            av = avcodec_send_packet(r->codec, r->packet);
        av_packet_unref(r->packet);
        if (av < 0 && av != AVERROR(EAGAIN))
            return failed(r, av, err);
    }
}

struct samples {
    float *at;
    size_t n, room;
};

/* Of the frames the converter was made for. */
struct format {
    int format, rate;
    AVChannelLayout layout;
};

static int take_samples(struct samples *s, SwrContext *swr, const AVFrame *f)
{
    int want = swr_get_out_samples(swr, f ? f->nb_samples : 0), got;
    uint8_t *out;

    if (want < 0)
        return want;
    if (s->n + (size_t)want > WD_MEDIA_MAX_SAMPLES)
        return AVERROR(EFBIG);
    if (s->n + (size_t)want > s->room) {
        size_t room = (s->n + (size_t)want) * 2;
        float *more = realloc(s->at, room * sizeof *more);

        if (!more)
            return AVERROR(ENOMEM);
        s->at = more;
        s->room = room;
    }
    if (!s->at)
        return 0;
    out = (uint8_t *)(s->at + s->n);
    got = swr_convert(swr, &out, want, f ? (const uint8_t **)(uintptr_t)f->extended_data : NULL, f ? f->nb_samples : 0);
    if (got > 0)
        s->n += (size_t)got;
    return got;
}

/* A converter for frames like f, into *swr; what the last one still holds comes out first. Files glued together change their sound midway. */
static int follow_format(struct samples *s, SwrContext **swr, struct format *now, const AVFrame *f)
{
    AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO;
    int av = 0;

    if (*swr && now->format == f->format && now->rate == f->sample_rate && av_channel_layout_compare(&now->layout, &f->ch_layout) == 0)
        return 0;
    if (*swr)
        av = take_samples(s, *swr, NULL);
    swr_free(swr);
    if (av >= 0)
        av = av_channel_layout_copy(&now->layout, &f->ch_layout);
    if (av >= 0)
        av = swr_alloc_set_opts2(swr, &mono, AV_SAMPLE_FMT_FLT, 16000, &now->layout, (enum AVSampleFormat)f->format, f->sample_rate, 0, NULL);
    /* Channels that are mixed may not add up to more than 1. */
    if (av >= 0)
        av = av_opt_set_double(*swr, "rematrix_maxval", 1.0, 0);
    if (av >= 0)
        av = swr_init(*swr);
    now->format = f->format;
    now->rate = f->sample_rate;
    return av;
}

int wd_media_file_sound(const char *path, float **ret_pcm, size_t *ret_n, struct wd_err *err)
{
    struct samples s = {0};
    struct format format = {0};
    SwrContext *swr = NULL;
    struct reader r;
    int code, av = 0;

    code = reader_open(&r, path, AVMEDIA_TYPE_AUDIO, err);
    if (code < 0)
        return code;
    while ((code = reader_next(&r, err)) == 1 && av >= 0) {
        av = follow_format(&s, &swr, &format, r.frame);
        if (av >= 0)
            av = take_samples(&s, swr, r.frame);
    }
    if (code == 0 && av >= 0 && swr)
        av = take_samples(&s, swr, NULL);
    if (code >= 0 && av < 0)
        code = failed(&r, av, err);
    swr_free(&swr);
    av_channel_layout_uninit(&format.layout);
    reader_close(&r);
    if (code < 0) {
        free(s.at);
        return code;
    }
    *ret_pcm = s.at ? s.at : calloc(1, sizeof(float));
    *ret_n = s.n;
    return *ret_pcm ? 0 : wd_err_set(err, -ENOMEM, "%s: out of memory", path);
}

/* v over white, in whole numbers as the reference composes. */
static uint8_t over_white(uint8_t v, uint8_t alpha)
{
    uint32_t c = (uint32_t)alpha * 255 * 255 * 128 / (255 * 255);
    uint32_t t = v * c + 255 * (32640 - c) + 16384;

    return (uint8_t)((((t >> 8) + t) >> 8) >> 7);
}

static int to_rgb(const AVFrame *f, uint8_t *rgb)
{
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get((enum AVPixelFormat)f->format);
    bool alpha = d && ((d->flags & AV_PIX_FMT_FLAG_ALPHA) || f->format == AV_PIX_FMT_PAL8);
    size_t n = (size_t)f->width * (size_t)f->height;
    int stride[4] = {f->width * (alpha ? 4 : 3)}, av;
    uint8_t *to = alpha ? malloc(n * 4) : rgb, *out[4] = {to};
    struct SwsContext *sws;

    if (!to)
        return AVERROR(ENOMEM);
    sws = sws_getContext(f->width, f->height, (enum AVPixelFormat)f->format, f->width, f->height, alpha ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24,
                         SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    av = sws ? sws_scale(sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, out, stride) : AVERROR(EINVAL);
    sws_freeContext(sws);
    for (size_t i = 0; alpha && i < n && av >= 0; i++)
        for (size_t c = 0; c < 3; c++)
            rgb[i * 3 + c] = over_white(to[i * 4 + c], to[i * 4 + 3]);
    if (alpha)
        free(to);
    return av < 0 ? av : 0;
}

/* Quarter turns clockwise that the file asks for. */
static int turns_of(const struct reader *r)
{
    const AVFrameSideData *sd = av_frame_get_side_data(r->frame, AV_FRAME_DATA_DISPLAYMATRIX);
    double angle;

    if (!sd)
        return 0;
    angle = av_display_rotation_get((const int32_t *)(const void *)sd->data);
    return isnan(angle) ? 0 : (int)lround(-angle / 90) & 3;
}

static void turn(const uint8_t *from, uint32_t w, uint32_t h, int quarters, uint8_t *to)
{
    uint32_t tw = quarters & 1 ? h : w;

    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++) {
            uint32_t tx = quarters == 1 ? h - 1 - y : quarters == 2 ? w - 1 - x : y;
            uint32_t ty = quarters == 1 ? x : quarters == 2 ? h - 1 - y : w - 1 - x;

            memcpy(to + ((size_t)ty * tw + tx) * 3, from + ((size_t)y * w + x) * 3, 3);
        }
}

int wd_media_file_picture(const char *path, uint8_t **ret_rgb, uint32_t *ret_w, uint32_t *ret_h, struct wd_err *err)
{
    uint8_t *rgb = NULL, *turned;
    struct reader r;
    uint32_t w, h;
    int code, quarters;

    code = reader_open(&r, path, AVMEDIA_TYPE_VIDEO, err);
    if (code < 0)
        return code;
    code = reader_next(&r, err);
    if (code == 0)
        code = wd_err_set(err, -EINVAL, "%s: there is no picture in it", path);
    if (code < 0)
        goto out;
    w = (uint32_t)r.frame->width;
    h = (uint32_t)r.frame->height;
    if (w == 0 || h == 0 || w > WD_MEDIA_MAX_SIDE || h > WD_MEDIA_MAX_SIDE) {
        code = wd_err_set(err, -EINVAL, "%s: a picture of %u x %u, at most %u a side", path, w, h, WD_MEDIA_MAX_SIDE);
        goto out;
    }
    rgb = malloc((size_t)w * h * 3);
    code = rgb ? to_rgb(r.frame, rgb) : AVERROR(ENOMEM);
    if (code < 0) {
        code = failed(&r, code, err);
        goto out;
    }
    quarters = turns_of(&r);
    if (quarters) {
        turned = malloc((size_t)w * h * 3);
        if (!turned) {
            code = wd_err_set(err, -ENOMEM, "%s: out of memory", path);
            goto out;
        }
        turn(rgb, w, h, quarters, turned);
        free(rgb);
        rgb = turned;
    }
    *ret_w = quarters & 1 ? h : w;
    *ret_h = quarters & 1 ? w : h;
    *ret_rgb = rgb;
    rgb = NULL;
    code = 0;
out:
    free(rgb);
    reader_close(&r);
    return code;
}
