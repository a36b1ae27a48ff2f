/* pipeline/media_file.c - a whole small file at once: a sound as 16 kHz mono, a picture or frames of a clip as RGB. */
#include "pipeline/media_file.h"
#include "pipeline/clip.h"
#include "pipeline/ffmpeg_rgb.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
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

/* The frame at hand as RGB, upright. */
static int to_rgb(struct reader *r, struct wd_ffmpeg_rgb *converter, struct wd_ffmpeg_picture *ret, struct wd_err *err)
{
    AVFrame *f = r->frame;
    int code;

    if (f->width > (int)WD_MEDIA_MAX_SIDE || f->height > (int)WD_MEDIA_MAX_SIDE)
        return wd_err_set(err, -EINVAL, "%s: a picture of %d x %d, at most %u a side", r->path, f->width, f->height,
                          WD_MEDIA_MAX_SIDE);
    code = wd_ffmpeg_rgb_make(converter, r->format, r->format->streams[r->stream], f, ret, err);
    if (code == 0)
        return wd_err_set(err, -EINVAL, "%s: damaged, or of a pixel format that cannot be read", r->path);
    if (code < 0)
        wd_err_prefix(err, "%s", r->path);
    return code < 0 ? code : 0;
}

int wd_media_file_picture(const char *path, uint8_t **ret_rgb, uint32_t *ret_w, uint32_t *ret_h, struct wd_err *err)
{
    struct wd_ffmpeg_picture p;
    struct wd_ffmpeg_rgb *converter;
    struct reader r;
    int code;

    code = reader_open(&r, path, AVMEDIA_TYPE_VIDEO, err);
    if (code < 0)
        return code;
    code = reader_next(&r, err);
    if (code == 0)
        code = wd_err_set(err, -EINVAL, "%s: there is no picture in it", path);
    if (code > 0)
        code = wd_ffmpeg_rgb_new(&converter, err);
    if (code == 0) {
        code = to_rgb(&r, converter, &p, err);
        if (code == 0) {
            *ret_rgb = malloc((size_t)p.w * p.h * 3);
            if (*ret_rgb)
                memcpy(*ret_rgb, p.rgb, (size_t)p.w * p.h * 3);
            else
                code = wd_err_set(err, -ENOMEM, "%s: out of memory", path);
            *ret_w = p.w;
            *ret_h = p.h;
        }
        wd_ffmpeg_rgb_free(converter);
    }
    reader_close(&r);
    return code;
}

/* How many frames can be decoded, and how many are shown a second (0: not said). */
static int count_frames(const char *path, uint64_t *ret_n, double *ret_rate, struct wd_err *err)
{
    struct reader r;
    AVRational rate;
    int code = reader_open(&r, path, AVMEDIA_TYPE_VIDEO, err);

    if (code < 0)
        return code;
    for (*ret_n = 0; (code = reader_next(&r, err)) == 1; (*ret_n)++)
        ;
    rate = r.format->streams[r.stream]->avg_frame_rate;
    if (rate.num <= 0 || rate.den <= 0)
        rate = r.format->streams[r.stream]->r_frame_rate;
    *ret_rate = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 0;
    reader_close(&r);
    if (code == 0 && *ret_n == 0)
        return wd_err_set(err, -EINVAL, "%s: there is no picture in it", path);
    return code;
}

int wd_media_file_video(const char *path, uint32_t n, wd_media_frame take, void *arg, struct wd_err *err)
{
    struct wd_ffmpeg_rgb *converter = NULL;
    struct wd_ffmpeg_picture p;
    struct reader r;
    uint64_t total, at = 0;
    double rate;
    int code = count_frames(path, &total, &rate, err);

    if (code < 0)
        return code;
    n = wd_clip_count(n, total);
    code = reader_open(&r, path, AVMEDIA_TYPE_VIDEO, err);
    if (code < 0)
        return code;
    code = wd_ffmpeg_rgb_new(&converter, err);
    for (uint32_t i = 0; code == 0 && i < n; i++) {
        uint64_t wanted = wd_clip_frame(i, n, total);
        char time[32];

        do
            code = reader_next(&r, err);
        while (code == 1 && at++ < wanted);
        if (code == 0)
            code = wd_err_set(err, -EINVAL, "%s: it became shorter while it was read", path);
        if (code == 1)
            code = to_rgb(&r, converter, &p, err);
        wd_clip_time(wanted, rate, time, sizeof time);
        if (code == 0)
            code = take(arg, i, time, p.rgb, p.w, p.h, err);
    }
    wd_ffmpeg_rgb_free(converter);
    reader_close(&r);
    return code;
}
