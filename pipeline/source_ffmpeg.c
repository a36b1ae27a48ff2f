/* pipeline/source_ffmpeg.c - files, pipes and streams of any container and codec, by FFmpeg. */
#include "pipeline/ffmpeg_rgb.h"
#include "pipeline/resample.h"
#include "pipeline/source.h"
#include "pipeline/timeline.h"
#include <errno.h>
#include <fcntl.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)
#define MAX_BAD 2000 /* packets or frames in a row that give nothing: it is not going to get better */
#define PIPE_BYTES 65536
#define AGAIN_NS UINT64_C(10000000)

enum reconnect { RECONNECT_AUTO, RECONNECT_NEVER, RECONNECT_ALWAYS };
static const char *const reconnect_names[] = {"auto", "never", "always", NULL};

struct ffmpeg_opts {
    char *url;
    bool realtime, audio, video;
    char *format;
    struct wd_opt_list options;
    int64_t start_ns, timeout_ns;
    int reconnect;
};

static const struct wd_opt rows[] = {
    WD_OPT_STR_REQUIRED(struct ffmpeg_opts, url, "file, pipe (-) or URL"),
    WD_OPT_BOOL(struct ffmpeg_opts, realtime, "true", "a file: in real time; false: as fast as it is used"),
    WD_OPT_BOOL(struct ffmpeg_opts, audio, "true", "take its sound"),
    WD_OPT_BOOL(struct ffmpeg_opts, video, "true", "take its pictures"),
    WD_OPT_STR(struct ffmpeg_opts, format, NULL, "container or device (v4l2, s16le, ...) where it cannot be told from the data"),
    WD_OPT_LIST(struct ffmpeg_opts, options, "further options of FFmpeg's demuxer and protocol, each as name=value"),
    WD_OPT_S(struct ffmpeg_opts, start_ns, "start_s", "0", 0, 360000, "seconds at the beginning of a file that are left out"),
    WD_OPT_S(struct ffmpeg_opts, timeout_ns, "timeout_s", "15", 1, 600, "a peer that sends nothing for so long is lost"),
    WD_OPT_ENUM(struct ffmpeg_opts, reconnect, "auto", reconnect_names,
                "open it again when it ends or is lost; auto: what is no file"),
    WD_OPT_END,
};

/* One of the streams that are used. */
struct track {
    int index; /* -1: none */
    AVStream *stream;
    AVCodecContext *codec;
    int64_t next_pts_ns; /* where the next frame would be if it does not say */
    unsigned bad;        /* in a row */
};

struct session {
    const struct ffmpeg_opts *opts;
    struct wd_feed *feed;
    AVFormatContext *fmt;
    AVIOContext *pipe;
    struct track audio, video;
    AVPacket *packet;
    AVFrame *frame;
    struct wd_resample *resample;
    struct wd_ffmpeg_rgb *rgb;
    bool pace;
    uint64_t pace_zero_ns; /* uv_hrtime() of capture time pace_pts_ns */
    int64_t pace_pts_ns;
    int64_t skip_before_ns; /* capture time before which nothing counts */
    uint64_t last_io_ns, damaged;
    bool got_any, timed_out;
    bool remote; /* a peer, who may fall silent */
    int fd;      /* of a pipe; -1: none */
};

static bool has_scheme(const char *url, const char *const *schemes)
{
    for (; *schemes; schemes++) {
        size_t n = strlen(*schemes);

        if (!strncasecmp(url, *schemes, n) && url[n] == ':')
            return true;
    }
    return false;
}

/* Peers that send as it happens. */
static bool online(const struct ffmpeg_opts *o)
{
    static const char *const schemes[] = {"rtmp", "rtmps", "rtmpe", "rtmpt", "rtsp", "rtsps", "srt", "udp",  "rtp",
                                          "tcp",  "mms",   "mmsh",  "rist", "icecast", "sdp", "unix", NULL};
    static const char *const devices[] = {"v4l2",  "video4linux2", "alsa", "pulse", "x11grab", "jack",
                                          "fbdev", "kmsgrab",      "sndio", "oss",  "decklink", NULL};

    if (has_scheme(o->url, schemes))
        return true;
    for (size_t i = 0; o->format && devices[i]; i++)
        if (!strcmp(o->format, devices[i]))
            return true;
    return false;
}

static bool over_http(const char *url)
{
    static const char *const schemes[] = {"http", "https", "hls", "httpproxy", NULL};

    return has_scheme(url, schemes);
}

static enum wd_source_pace pace(const void *opts)
{
    const struct ffmpeg_opts *o = opts;

    if (o->reconnect == RECONNECT_ALWAYS || (o->reconnect == RECONNECT_AUTO && online(o)))
        return WD_SOURCE_ONLINE;
    return o->realtime ? WD_SOURCE_PACED : WD_SOURCE_FLAT_OUT;
}

static int check(const void *opts, struct wd_err *err)
{
    const struct ffmpeg_opts *o = opts;

    if (!o->url || !*o->url)
        return wd_err_set(err, -EINVAL, "url: expected a file or a URL, got nothing");
    if (!o->audio && !o->video)
        return wd_err_set(err, -EINVAL, "%s: neither audio nor video is wanted", o->url);
    for (size_t i = 0; i < o->options.n; i++)
        if (!strchr(o->options.items[i], '='))
            return wd_err_set(err, -EINVAL, "options: expected name=value, got '%.100s'", o->options.items[i]);
    return 0;
}

/* ---- errors ---- */

static int fail(const struct session *s, int averror, const char *what, struct wd_err *err)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    const char *url = s->opts->url;
    int code = averror;

    if (averror == AVERROR_EXIT || wd_feed_interrupted(s->feed))
        return s->timed_out ? wd_err_set(err, -ETIMEDOUT, "%s: %s: nothing came for %.3g s", url, what,
                                         (double)s->opts->timeout_ns / 1e9)
                            : -ECANCELED;
    switch (averror) {
    case AVERROR_INVALIDDATA:
    case AVERROR_EOF:
        return wd_err_set(err, -EBADMSG, "%s: %s: not a medium that FFmpeg knows, or damaged", url, what);
    case AVERROR_DEMUXER_NOT_FOUND:
        return wd_err_set(err, -EINVAL, "%s: %s: no such format", url, what);
    case AVERROR_DECODER_NOT_FOUND:
        return wd_err_set(err, -EBADMSG, "%s: %s: no decoder for it", url, what);
    case AVERROR_PROTOCOL_NOT_FOUND:
        return wd_err_set(err, -EINVAL, "%s: %s: this FFmpeg does not know the protocol", url, what);
    case AVERROR_OPTION_NOT_FOUND:
        return wd_err_set(err, -EINVAL, "%s: %s: no such option", url, what);
    case AVERROR_HTTP_NOT_FOUND:
        return wd_err_set(err, -ENOENT, "%s: %s: the server has no such file (404)", url, what);
    default:
        av_strerror(averror, text, sizeof text);
        if (code > 0 || code < -4095) /* FFmpeg's own, not the system's */
            code = -EIO;
        return wd_err_set(err, code, "%s: %s: %s", url, what, text);
    }
}

/* FFmpeg calls it now and then while it waits. */
static int interrupted(void *ctx)
{
    struct session *s = ctx;

    if (wd_feed_interrupted(s->feed))
        return 1;
    if (s->remote && uv_hrtime() - s->last_io_ns > (uint64_t)s->opts->timeout_ns)
        s->timed_out = true;
    return s->timed_out;
}

/* Its messages are about files that others made; what matters comes back as an error. */
static void quiet(void)
{
    av_log_set_level(AV_LOG_QUIET);
    avformat_network_init();
}

/* ---- opening ---- */

/* A pipe: FFmpeg itself would wait in read() where nothing can stop it. */
static int read_pipe(void *ctx, uint8_t *buffer, int size)
{
    struct session *s = ctx;
    struct pollfd p = {.fd = s->fd, .events = POLLIN};
    ssize_t n;

    for (;;) {
        if (wd_feed_interrupted(s->feed))
            return AVERROR_EXIT;
        if (poll(&p, 1, 100) <= 0)
            continue;
        n = read(s->fd, buffer, (size_t)size);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        return n < 0 ? AVERROR(errno) : n == 0 ? AVERROR_EOF : (int)n;
    }
}

static int open_pipe(struct session *s, const char *path)
{
    uint8_t *buffer;

    s->fd = path ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : dup(STDIN_FILENO);
    if (s->fd < 0)
        return AVERROR(errno);
    buffer = av_malloc(PIPE_BYTES);
    if (!buffer)
        return AVERROR(ENOMEM);
    s->fmt->pb = avio_alloc_context(buffer, PIPE_BYTES, 0, s, read_pipe, NULL, NULL);
    if (!s->fmt->pb) {
        av_free(buffer);
        return AVERROR(ENOMEM);
    }
    s->pipe = s->fmt->pb; /* what fails to open is freed, but not this */
    return 0;
}

static void close_container(struct session *s)
{
    avformat_close_input(&s->fmt);
    if (s->pipe)
        av_freep(&s->pipe->buffer);
    avio_context_free(&s->pipe);
    if (s->fd >= 0)
        close(s->fd);
}

/* What a file may make FFmpeg open besides itself (playlists do): a file no server, a server no file. */
static const char *allowed_protocols(const struct ffmpeg_opts *o)
{
    static const char *const remote[] = {"rtsp", "rtsps", "rtp", "udp", "sdp", NULL};

    if (over_http(o->url))
        return "http,https,tls,tcp,crypto,data,httpproxy,hls";
    if (has_scheme(o->url, remote))
        return "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,crypto,data";
    if (online(o))
        return NULL; /* the protocol itself, which opens what it needs */
    return "file,pipe,fd,cache,crypto,data,concat,subfile,async,unix";
}

static int options_of(const struct session *s, AVDictionary **ret)
{
    const struct ffmpeg_opts *o = s->opts;
    const char *protocols = allowed_protocols(o);
    int r = 0;

    if (protocols)
        av_dict_set(ret, "protocol_whitelist", protocols, 0);
    for (size_t i = 0; i < o->options.n && r >= 0; i++)
        r = av_dict_parse_string(ret, o->options.items[i], "=", "", 0);
    return r;
}

static int open_container(struct session *s, struct wd_err *err)
{
    const struct ffmpeg_opts *o = s->opts;
    const char *url = o->url;
    bool standard_input = !strcmp(url, "-") || !strcmp(url, "pipe:") || !strcmp(url, "pipe:0");
    const AVInputFormat *format = NULL;
    AVDictionary *options = NULL;
    struct stat st;
    bool fifo = false;
    int r;

    if (stat(url, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return wd_err_set(err, -EISDIR, "%s: it is a folder", url);
        if (S_ISREG(st.st_mode) && st.st_size == 0)
            return wd_err_set(err, -ENODATA, "%s: the file is empty", url);
        fifo = S_ISFIFO(st.st_mode);
    }
    if (o->format && !(format = av_find_input_format(o->format)))
        return wd_err_set(err, -EINVAL, "%s: FFmpeg knows no format '%.60s'", url, o->format);
    s->fmt = avformat_alloc_context();
    if (!s->fmt)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", url);
    s->fmt->interrupt_callback = (AVIOInterruptCB){interrupted, s};
    s->last_io_ns = uv_hrtime();
    s->remote = online(o) || over_http(url);
    r = standard_input || fifo ? open_pipe(s, standard_input ? NULL : url) : 0;
    if (r >= 0)
        r = options_of(s, &options);
    if (r >= 0)
        r = avformat_open_input(&s->fmt, url, format, &options);
    if (r >= 0 && av_dict_count(options) > 0) {
        const AVDictionaryEntry *left = av_dict_get(options, "", NULL, AV_DICT_IGNORE_SUFFIX);

        if (strcmp(left->key, "protocol_whitelist"))
            r = wd_err_set(err, -EINVAL, "%s: neither the format nor the protocol has an option '%s'", url, left->key);
        av_dict_free(&options);
        if (r < 0)
            return r;
    }
    av_dict_free(&options);
    if (r == AVERROR(ENOENT))
        return wd_err_set(err, -ENOENT, "%s: no such file", url);
    if (r < 0)
        return fail(s, r, "cannot be opened", err);
    r = avformat_find_stream_info(s->fmt, NULL);
    return r < 0 ? fail(s, r, "nothing in it is known", err) : 0;
}

static int open_track(struct session *s, enum AVMediaType type, int related, struct track *t, struct wd_err *err)
{
    const AVCodec *decoder = NULL;
    AVCodecParameters *par;
    int r;

    t->index = -1;
    r = av_find_best_stream(s->fmt, type, -1, related, &decoder, 0);
    if (r == AVERROR_STREAM_NOT_FOUND)
        return 0;
    if (r < 0)
        return fail(s, r, type == AVMEDIA_TYPE_AUDIO ? "its sound" : "its pictures", err);
    t->stream = s->fmt->streams[r];
    par = t->stream->codecpar;
    if (t->stream->disposition & AV_DISPOSITION_ATTACHED_PIC) /* a cover is nothing that was seen */
        return 0;
    t->index = r;
    t->codec = avcodec_alloc_context3(decoder);
    if (!t->codec)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", s->opts->url);
    r = avcodec_parameters_to_context(t->codec, par);
    if (r >= 0) {
        t->codec->pkt_timebase = t->stream->time_base;
        t->codec->max_pixels = WD_PICTURE_MAX_PIXELS;
        t->codec->thread_count = 1;
        r = avcodec_open2(t->codec, decoder, NULL);
    }
    if (r < 0)
        return fail(s, r, type == AVMEDIA_TYPE_AUDIO ? "its sound" : "its pictures", err);
    t->next_pts_ns = WD_NO_PTS;
    return 0;
}

static int64_t ns_of(int64_t ts, AVRational base)
{
    if (ts == AV_NOPTS_VALUE)
        return WD_NO_PTS;
    return av_rescale_q(ts, base, (AVRational){1, NS_PER_S}); /* INT64_MIN where it does not fit */
}

/* Stream time 0 is the start of the file, or where it was told to start. */
static void set_base(struct session *s)
{
    const struct ffmpeg_opts *o = s->opts;
    int64_t start_ns = ns_of(s->fmt->start_time, AV_TIME_BASE_Q);

    s->skip_before_ns = WD_NO_PTS;
    if (o->start_ns > 0) {
        int64_t from_ns = (start_ns == WD_NO_PTS ? 0 : start_ns) + o->start_ns;

        if (avformat_seek_file(s->fmt, -1, INT64_MIN, from_ns / 1000, from_ns / 1000, 0) < 0)
            av_seek_frame(s->fmt, -1, from_ns / 1000, AVSEEK_FLAG_BACKWARD); /* otherwise it is read up to there */
        s->skip_before_ns = start_ns = from_ns;
    }
    if (start_ns != WD_NO_PTS)
        wd_feed_base(s->feed, start_ns);
}

static int open_all(struct session *s, struct wd_err *err)
{
    const struct ffmpeg_opts *o = s->opts;
    struct wd_feed_info info = {0};
    int r = open_container(s, err);

    if (r < 0)
        return r;
    r = open_track(s, AVMEDIA_TYPE_VIDEO, -1, &s->video, err);
    /* Pictures that cannot be decoded are no reason to lose the sound, and the other way round. */
    if (r == -ENOMEM || r == -ECANCELED)
        return r;
    r = open_track(s, AVMEDIA_TYPE_AUDIO, s->video.index, &s->audio, err);
    if (r == -ENOMEM || r == -ECANCELED)
        return r;
    info.has_audio = s->audio.codec && s->audio.index >= 0;
    info.has_video = s->video.codec && s->video.index >= 0;
    if (!info.has_audio && !info.has_video)
        return err && err->code ? err->code : wd_err_set(err, -ENODATA, "%s: neither sound nor pictures in it", o->url);
    info.has_audio = info.has_audio && o->audio;
    info.has_video = info.has_video && o->video;
    if (!info.has_audio && !info.has_video)
        return wd_err_set(err, -ENODATA, "%s: no %s in it", o->url, o->audio ? "sound" : "pictures");
    if (err)
        *err = (struct wd_err){0};
    if (!info.has_audio || !wd_feed_wants_audio(s->feed))
        s->audio.index = -1;
    if (!info.has_video || !wd_feed_wants_pictures(s->feed))
        s->video.index = -1;
    if (s->audio.index < 0 && s->video.index < 0)
        return wd_err_set(err, -ENODATA, "%s: no %s in it", o->url, info.has_video ? "sound" : "pictures");
    for (unsigned i = 0; i < s->fmt->nb_streams; i++)
        if ((int)i != s->audio.index && (int)i != s->video.index)
            s->fmt->streams[i]->discard = AVDISCARD_ALL;
    if (s->fmt->duration > 0 && s->fmt->duration != AV_NOPTS_VALUE)
        info.duration_ns = ns_of(s->fmt->duration, AV_TIME_BASE_Q);
    info.endless = o->reconnect == RECONNECT_AUTO && o->realtime && over_http(o->url) && info.duration_ns <= 0;
    s->pace = o->realtime && !online(o) && !info.endless && !wd_feed_flat_out(s->feed);
    set_base(s);
    wd_feed_live(s->feed, &info);
    return 0;
}

/* ---- playing ---- */

/* In real time: not before its time. */
static int pace_to(struct session *s, int64_t pts_ns)
{
    int64_t ahead_ns;

    if (!s->pace || pts_ns == WD_NO_PTS)
        return 0;
    ahead_ns = s->pace_zero_ns ? pts_ns - s->pace_pts_ns - (int64_t)(uv_hrtime() - s->pace_zero_ns) : 0;
    if (!s->pace_zero_ns || ahead_ns > 10 * NS_PER_S || ahead_ns < -10 * NS_PER_S) { /* the first, or another clock */
        s->pace_zero_ns = uv_hrtime();
        s->pace_pts_ns = pts_ns;
        return 0;
    }
    if (ahead_ns > 0 && !wd_feed_sleep_until(s->feed, uv_hrtime() + (uint64_t)ahead_ns))
        return -ECANCELED;
    return 0;
}

static int format_of(const AVFrame *f, struct wd_resample_format *ret)
{
    static const struct {
        enum AVSampleFormat av;
        enum wd_sample_kind kind;
    } kinds[] = {
        {AV_SAMPLE_FMT_U8, WD_SAMPLE_U8},   {AV_SAMPLE_FMT_S16, WD_SAMPLE_S16}, {AV_SAMPLE_FMT_S32, WD_SAMPLE_S32},
        {AV_SAMPLE_FMT_S64, WD_SAMPLE_S64}, {AV_SAMPLE_FMT_FLT, WD_SAMPLE_F32}, {AV_SAMPLE_FMT_DBL, WD_SAMPLE_F64},
    };
    enum AVSampleFormat packed = av_get_packed_sample_fmt((enum AVSampleFormat)f->format);

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].av != packed)
            continue;
        *ret = (struct wd_resample_format){
            .kind = kinds[i].kind,
            .planar = av_sample_fmt_is_planar((enum AVSampleFormat)f->format),
            .rate_hz = f->sample_rate > 0 ? (uint32_t)f->sample_rate : 0,
            .channels = f->ch_layout.nb_channels > 0 ? (uint32_t)f->ch_layout.nb_channels : 0,
            .speakers = f->ch_layout.order == AV_CHANNEL_ORDER_NATIVE ? f->ch_layout.u.mask : 0,
        };
        return 0;
    }
    return -EINVAL;
}

static int push_resampled(struct session *s, const uint8_t *const *planes, size_t n, int64_t pts_ns, struct wd_err *err)
{
    const float *pcm;
    size_t n_pcm;
    int r = wd_resample_run(s->resample, planes, n, pts_ns, &pcm, &n_pcm, &pts_ns, err);

    if (r < 0 || !n_pcm)
        return r;
    if (s->skip_before_ns != WD_NO_PTS && pts_ns != WD_NO_PTS && pts_ns < s->skip_before_ns) {
        int64_t early = (s->skip_before_ns - pts_ns) / WD_SAMPLE_NS;

        if ((uint64_t)early >= n_pcm)
            return 0;
        pcm += early;
        n_pcm -= (size_t)early;
        pts_ns += early * WD_SAMPLE_NS;
    }
    r = pace_to(s, pts_ns);
    if (r < 0)
        return r;
    s->got_any = true;
    r = wd_feed_audio(s->feed, pcm, n_pcm, pts_ns);
    wd_resample_follow(s->resample, wd_feed_drift_ns(s->feed));
    return r;
}

static int take_audio(struct session *s, struct wd_err *err)
{
    const AVFrame *f = s->frame;
    struct wd_resample_format format;
    int64_t pts_ns = ns_of(f->best_effort_timestamp, s->audio.stream->time_base);
    int r;

    if (f->nb_samples <= 0 || format_of(f, &format) < 0)
        return 0;
    if (!wd_resample_is(s->resample, &format)) {
        r = push_resampled(s, NULL, 0, WD_NO_PTS, err); /* what is left of the format before */
        if (r >= 0)
            r = wd_resample_set(s->resample, &format, err);
        if (r < 0)
            return r;
    }
    return push_resampled(s, (const uint8_t *const *)f->extended_data, (size_t)f->nb_samples, pts_ns, err);
}

static int take_picture(struct session *s, struct wd_err *err)
{
    AVFrame *f = s->frame;
    struct track *v = &s->video;
    AVRational rate = av_guess_frame_rate(s->fmt, v->stream, f);
    int64_t pts_ns = ns_of(f->best_effort_timestamp, v->stream->time_base), t_ns;
    struct wd_ffmpeg_picture p;
    int r;

    if (pts_ns == WD_NO_PTS)
        pts_ns = v->next_pts_ns == WD_NO_PTS ? 0 : v->next_pts_ns;
    v->next_pts_ns = pts_ns + (rate.num > 0 && rate.den > 0 ? ns_of(1, av_inv_q(rate)) : NS_PER_S / 25);
    if (s->skip_before_ns != WD_NO_PTS && pts_ns < s->skip_before_ns)
        return 0;
    r = pace_to(s, pts_ns);
    if (r < 0)
        return r;
    s->got_any = true;
    t_ns = wd_feed_picture_due(s->feed, pts_ns);
    if (t_ns < 0)
        return 0;
    r = wd_ffmpeg_rgb_make(s->rgb, s->fmt, v->stream, f, &p, err);
    if (r < 0) {
        wd_err_prefix(err, "%s", s->opts->url);
        return r;
    }
    if (r == 0) {
        s->damaged++;
        return 0;
    }
    return wd_feed_picture(s->feed, p.rgb, (size_t)p.w * 3, p.w, p.h, p.shown_w, p.shown_h, t_ns, err);
}

/* A packet, or NULL at the end, through its decoder. 0, or what must stop the source. */
static int decode(struct session *s, struct track *t, const AVPacket *packet, struct wd_err *err)
{
    int r = avcodec_send_packet(t->codec, packet);
    bool any = false;

    if (r < 0 && r != AVERROR_EOF && r != AVERROR(EAGAIN)) {
        s->damaged++;
        if (++t->bad >= MAX_BAD)
            return wd_err_set(err, -EBADMSG, "%s: damaged: %d packets in a row cannot be decoded", s->opts->url, MAX_BAD);
        return r == AVERROR(ENOMEM) ? wd_err_set(err, -ENOMEM, "%s: out of memory", s->opts->url) : 0;
    }
    for (;;) {
        r = avcodec_receive_frame(t->codec, s->frame);
        if (r == AVERROR(EAGAIN) || r == AVERROR_EOF)
            return 0;
        if (r < 0) {
            s->damaged++;
            if (++t->bad >= MAX_BAD)
                return wd_err_set(err, -EBADMSG, "%s: damaged: nothing in %d packets in a row", s->opts->url, MAX_BAD);
            if (any || packet)
                return 0;
            continue; /* at the end the decoder may still have good ones */
        }
        any = true;
        t->bad = 0;
        r = t == &s->audio ? take_audio(s, err) : take_picture(s, err);
        av_frame_unref(s->frame);
        if (r < 0)
            return r;
    }
}

static int finish(struct session *s, struct wd_err *err)
{
    int r = 0;

    if (s->audio.index >= 0)
        r = decode(s, &s->audio, NULL, err);
    if (r >= 0 && s->audio.index >= 0)
        r = push_resampled(s, NULL, 0, WD_NO_PTS, err);
    if (r >= 0 && s->video.index >= 0)
        r = decode(s, &s->video, NULL, err);
    if (r < 0)
        return r;
    if (!s->got_any && s->pipe)
        return wd_err_set(err, -ENODATA, "%s: nothing came out of the pipe (an mp4 must be fragmented to pass one)",
                          s->opts->url);
    if (!s->got_any)
        return s->damaged ? wd_err_set(err, -EBADMSG, "%s: damaged: nothing in it can be decoded", s->opts->url)
                          : wd_err_set(err, -ENODATA, "%s: it holds neither sound nor pictures", s->opts->url);
    if (s->damaged)
        wd_err_set(err, 0, "end of the file; %llu parts were damaged and left out", (unsigned long long)s->damaged);
    return 0;
}

static int play(struct session *s, struct wd_err *err)
{
    int r, end = 0;

    while (!end) {
        struct track *t = NULL;

        s->last_io_ns = uv_hrtime();
        r = av_read_frame(s->fmt, s->packet);
        if (wd_feed_interrupted(s->feed))
            return -ECANCELED;
        if (r == AVERROR(EAGAIN)) {
            if (!wd_feed_sleep_until(s->feed, uv_hrtime() + AGAIN_NS))
                return -ECANCELED;
            continue;
        }
        if (r < 0) {
            end = r;
            break;
        }
        if (s->packet->stream_index == s->audio.index)
            t = &s->audio;
        else if (s->packet->stream_index == s->video.index)
            t = &s->video;
        r = t ? decode(s, t, s->packet, err) : 0;
        av_packet_unref(s->packet);
        if (r < 0)
            return r;
    }
    r = finish(s, err);
    if (r < 0)
        return r;
    if (end != AVERROR_EOF)
        return fail(s, end, "lost on the way", err);
    /* A file cut short is at its end too, but not a good one. */
    if (s->fmt->pb && s->fmt->pb->error < 0 && s->fmt->pb->error != AVERROR_EOF)
        return fail(s, s->fmt->pb->error, "lost on the way", err);
    return 0;
}

static int run(const void *opts, struct wd_feed *feed, struct wd_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct session s = {.opts = opts, .feed = feed, .fd = -1, .audio.index = -1, .video.index = -1};
    int r;

    pthread_once(&once, quiet);
    s.packet = av_packet_alloc();
    s.frame = av_frame_alloc();
    r = wd_resample_new(&s.resample, err);
    if (r >= 0)
        r = wd_ffmpeg_rgb_new(&s.rgb, err);
    if (r >= 0 && (!s.packet || !s.frame))
        r = wd_err_set(err, -ENOMEM, "%s: out of memory", s.opts->url);
    if (r >= 0)
        r = open_all(&s, err);
    if (r >= 0)
        r = play(&s, err);
    wd_resample_free(s.resample);
    avcodec_free_context(&s.audio.codec);
    avcodec_free_context(&s.video.codec);
    close_container(&s);
    wd_ffmpeg_rgb_free(s.rgb);
    av_packet_free(&s.packet);
    av_frame_free(&s.frame);
    return r;
}

const struct wd_source_type wd_source_ffmpeg = {
    .name = "ffmpeg",
    .help = "files, pipes, HTTP, HLS, RTMP, SRT and whatever else FFmpeg opens",
    .size = sizeof(struct ffmpeg_opts),
    .opts = rows,
    .check = check,
    .pace = pace,
    .run = run,
};
