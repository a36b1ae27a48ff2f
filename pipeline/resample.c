/* pipeline/resample.c - any rate, sample format and channels made into 16 kHz mono f32, by libswresample. */
#include "pipeline/resample.h"
#include "pipeline/timeline.h"
#include <errno.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RATE_HZ 16000
#define MAX_CHUNK ((size_t)1 << 22) /* moments; decoders give some thousands */
#define FOLLOW_NS INT64_C(2000000)  /* drift that is worth doing something about */
#define FOLLOW_OVER (10 * RATE_HZ)  /* samples over which it is made up for */
#define FOLLOW_MOST (FOLLOW_OVER / 1000)

struct wd_resample {
    SwrContext *swr;
    struct wd_resample_format format;
    bool set, following;
    float *out;
    size_t out_cap;
    int64_t next_pts_ns; /* of the next input, where the source does not say */
};

int wd_resample_new(struct wd_resample **ret, struct wd_err *err)
{
    struct wd_resample *r = calloc(1, sizeof *r);

    if (!r)
        return wd_err_set(err, -ENOMEM, "resampler: out of memory");
    r->next_pts_ns = WD_NO_PTS;
    *ret = r;
    return 0;
}

struct wd_resample *wd_resample_free(struct wd_resample *r)
{
    if (r) {
        swr_free(&r->swr);
        free(r->out);
        free(r);
    }
    return NULL;
}

static enum AVSampleFormat sample_format(const struct wd_resample_format *f)
{
    static const enum AVSampleFormat formats[] = {
        [WD_SAMPLE_U8] = AV_SAMPLE_FMT_U8,   [WD_SAMPLE_S16] = AV_SAMPLE_FMT_S16, [WD_SAMPLE_S32] = AV_SAMPLE_FMT_S32,
        [WD_SAMPLE_S64] = AV_SAMPLE_FMT_S64, [WD_SAMPLE_F32] = AV_SAMPLE_FMT_FLT, [WD_SAMPLE_F64] = AV_SAMPLE_FMT_DBL,
    };

    return f->planar ? av_get_planar_sample_fmt(formats[f->kind]) : formats[f->kind];
}

static bool same(const struct wd_resample_format *a, const struct wd_resample_format *b)
{
    return a->kind == b->kind && a->planar == b->planar && a->rate_hz == b->rate_hz && a->channels == b->channels &&
           a->speakers == b->speakers;
}

/* Channels nobody knows the places of are averaged. */
static int average(SwrContext *swr, uint32_t channels)
{
    double matrix[WD_RESAMPLE_MAX_CHANNELS];

    for (uint32_t c = 0; c < channels; c++)
        matrix[c] = 1.0 / channels;
    return swr_set_matrix(swr, matrix, (int)channels);
}

static int make_swr(const struct wd_resample_format *in, SwrContext **ret)
{
    AVChannelLayout mono = AV_CHANNEL_LAYOUT_MONO, from = {0};
    SwrContext *swr = NULL;
    int r;

    if (!in->speakers || av_channel_layout_from_mask(&from, in->speakers) < 0 || from.nb_channels != (int)in->channels) {
        av_channel_layout_uninit(&from);
        av_channel_layout_default(&from, (int)in->channels);
    }
    r = swr_alloc_set_opts2(&swr, &mono, AV_SAMPLE_FMT_FLT, RATE_HZ, &from, sample_format(in), (int)in->rate_hz, 0, NULL);
    if (r >= 0) {
        /* A long filter: what lies above 8 kHz must not fold into speech. Otherwise a float mix may exceed 1. */
        av_opt_set_int(swr, "filter_size", 64, 0);
        av_opt_set_double(swr, "cutoff", 0.96, 0);
        av_opt_set_double(swr, "rematrix_maxval", 1.0, 0);
        if (from.order != AV_CHANNEL_ORDER_NATIVE)
            r = average(swr, in->channels);
    }
    if (r >= 0)
        r = swr_init(swr);
    if (r < 0 && swr && from.order == AV_CHANNEL_ORDER_NATIVE) { /* places it has no rule for */
        r = average(swr, in->channels);
        if (r >= 0)
            r = swr_init(swr);
    }
    av_channel_layout_uninit(&from);
    if (r < 0)
        swr_free(&swr);
    *ret = swr;
    return r;
}

bool wd_resample_is(const struct wd_resample *r, const struct wd_resample_format *in)
{
    return r->set && same(&r->format, in);
}

int wd_resample_set(struct wd_resample *r, const struct wd_resample_format *in, struct wd_err *err)
{
    SwrContext *swr;

    if (wd_resample_is(r, in))
        return 0;
    if (in->rate_hz < 1000 || in->rate_hz > 768000)
        return wd_err_set(err, -EINVAL, "sound at %u Hz: expected 1000 to 768000", in->rate_hz);
    if (in->channels < 1 || in->channels > WD_RESAMPLE_MAX_CHANNELS)
        return wd_err_set(err, -EINVAL, "sound of %u channels: expected 1 to %d", in->channels, WD_RESAMPLE_MAX_CHANNELS);
    if (in->kind < WD_SAMPLE_U8 || in->kind > WD_SAMPLE_F64)
        return wd_err_set(err, -EINVAL, "sound in an unknown sample format");
    if (make_swr(in, &swr) < 0)
        return wd_err_set(err, -EINVAL, "sound of %u channels at %u Hz: no way to make it 16 kHz mono", in->channels,
                          in->rate_hz);
    swr_free(&r->swr);
    r->swr = swr;
    r->format = *in;
    r->set = true;
    r->following = false;
    r->next_pts_ns = WD_NO_PTS;
    return 0;
}

static int make_room(struct wd_resample *r, size_t n)
{
    float *out;

    if (n <= r->out_cap)
        return 0;
    out = realloc(r->out, n * sizeof *out);
    if (!out)
        return -ENOMEM;
    r->out = out;
    r->out_cap = n;
    return 0;
}

int wd_resample_run(struct wd_resample *r, const uint8_t *const *planes, size_t n, int64_t pts_ns, const float **ret_pcm,
                    size_t *ret_n, int64_t *ret_pts_ns, struct wd_err *err)
{
    const uint8_t *in[WD_RESAMPLE_MAX_CHANNELS] = {0};
    int64_t delay_ns;
    int got, most;

    if (!r->set) {
        *ret_n = 0;
        *ret_pcm = NULL;
        *ret_pts_ns = WD_NO_PTS;
        return 0;
    }
    if (n > MAX_CHUNK)
        return wd_err_set(err, -EINVAL, "a chunk of %zu samples: expected at most %zu", n, MAX_CHUNK);
    if (planes)
        for (uint32_t c = 0; c < (r->format.planar ? r->format.channels : 1); c++)
            in[c] = planes[c];
    if (pts_ns == WD_NO_PTS)
        pts_ns = r->next_pts_ns;
    most = swr_get_out_samples(r->swr, (int)n);
    if (most < 0 || make_room(r, (size_t)most + 64) < 0)
        return wd_err_set(err, -ENOMEM, "resampler: out of memory");
    delay_ns = swr_get_delay(r->swr, INT64_C(1000000000));
    got = swr_convert(r->swr, (uint8_t *[]){(uint8_t *)r->out}, (int)r->out_cap, planes ? in : NULL, (int)n);
    if (got < 0)
        return wd_err_set(err, -EIO, "the resampler failed on %zu samples", n);
    /* A decoder may give anything as float; the model is not to see it. */
    for (int i = 0; i < got; i++)
        r->out[i] = isfinite(r->out[i]) ? fminf(fmaxf(r->out[i], -1), 1) : 0;
    *ret_pcm = r->out;
    *ret_n = (size_t)got;
    *ret_pts_ns = pts_ns == WD_NO_PTS ? WD_NO_PTS : pts_ns - delay_ns;
    if (!planes)
        r->set = false; /* a flushed filter takes nothing more */
    if (pts_ns != WD_NO_PTS)
        r->next_pts_ns = pts_ns + (int64_t)((double)n * 1e9 / r->format.rate_hz);
    return 0;
}

void wd_resample_follow(struct wd_resample *r, int64_t drift_ns)
{
    int64_t samples = drift_ns / WD_SAMPLE_NS;

    if (!r->set)
        return;
    if (drift_ns > -FOLLOW_NS && drift_ns < FOLLOW_NS) {
        if (r->following)
            swr_set_compensation(r->swr, 0, 0);
        r->following = false;
        return;
    }
    samples = samples > FOLLOW_MOST ? FOLLOW_MOST : samples < -FOLLOW_MOST ? -FOLLOW_MOST : samples;
    r->following = swr_set_compensation(r->swr, (int)samples, FOLLOW_OVER) >= 0;
}
