/* pipeline/source_portaudio.c - microphones and line inputs, by PortAudio. */
#include "pipeline/source_portaudio.h"
#include "base/ring.h"
#include "pipeline/resample.h"
#include "pipeline/source.h"
#include "pipeline/sources.h"
#include "pipeline/timeline.h"
#include <errno.h>
#include <math.h>
#include <portaudio.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RING_S 4
#define POLL_NS UINT64_C(10000000)
#define SILENT_NS UINT64_C(3000000000) /* a device that calls nobody for so long is gone */
#define SMOOTH_NS 20e9                 /* the clock is followed over so much sound */
#define RESYNC_NS 300e6                /* more apart than any callback is late */
#define MAX_CHANNELS 32
#define CHUNK 2048                     /* moments moved at once */

struct portaudio_opts {
    char *device;
    int64_t rate, channels;
};

static const struct wd_opt rows[] = {
    WD_OPT_STR(struct portaudio_opts, device, NULL, "part of its name, or its number; not given: the default input"),
    WD_OPT_INT(struct portaudio_opts, rate, "0", 0, 192000, "samples a second; 0: what the device prefers"),
    WD_OPT_INT(struct portaudio_opts, channels, "0", 0, MAX_CHANNELS, "how many are taken; 0: one or two, as there are"),
    WD_OPT_END,
};

/* ---- the tap ---- */

struct wd_portaudio_tap {
    struct wd_ring *ring;
    uint32_t rate_hz, channels;
    atomic_uint_fast64_t dropped;
    atomic_bool lost;
    /* capture thread */
    uint64_t got; /* moments */
    double offset_ns; /* of moment 0 on the clock */
    bool synced;
};

int wd_portaudio_tap_new(uint32_t rate_hz, uint32_t channels, struct wd_portaudio_tap **ret, struct wd_err *err)
{
    struct wd_portaudio_tap *t = calloc(1, sizeof *t);
    int r;

    if (!t)
        return wd_err_set(err, -ENOMEM, "portaudio: out of memory");
    t->rate_hz = rate_hz;
    t->channels = channels;
    r = wd_ring_new((size_t)rate_hz * channels * RING_S, &t->ring, err);
    if (r < 0) {
        free(t);
        return r;
    }
    *ret = t;
    return 0;
}

struct wd_portaudio_tap *wd_portaudio_tap_free(struct wd_portaudio_tap *t)
{
    if (t) {
        wd_ring_free(t->ring);
        free(t);
    }
    return NULL;
}

void wd_portaudio_tap_put(struct wd_portaudio_tap *t, const float *samples, size_t n, bool lost)
{
    size_t put = samples ? wd_ring_write(t->ring, samples, n * t->channels, t->channels) / t->channels : 0;

    if (put < n) {
        atomic_fetch_add_explicit(&t->dropped, n - put, memory_order_relaxed);
        lost = true;
    }
    if (lost)
        atomic_store_explicit(&t->lost, true, memory_order_release);
}

size_t wd_portaudio_tap_get(struct wd_portaudio_tap *t, float *samples, size_t n, int64_t now_ns, int64_t *ret_pts_ns)
{
    bool lost = atomic_exchange_explicit(&t->lost, false, memory_order_acquire);
    size_t waiting = wd_ring_count(t->ring) / t->channels;
    double moment_ns = 1e9 / t->rate_hz, counted_ns = t->offset_ns + (double)t->got * moment_ns;
    double seen_ns = (double)now_ns - (double)waiting * moment_ns, off_ns = seen_ns - counted_ns, chunk_ns;

    n = wd_ring_read(t->ring, samples, (n < waiting ? n : waiting) * t->channels) / t->channels;
    if (!n) {
        if (lost)
            atomic_store_explicit(&t->lost, true, memory_order_release); /* for those that come next */
        return 0;
    }
    chunk_ns = (double)n * moment_ns;
    if (!t->synced || fabs(off_ns) > RESYNC_NS || (lost && off_ns > 0))
        t->offset_ns += off_ns;
    else
        t->offset_ns += off_ns * (chunk_ns / (SMOOTH_NS + chunk_ns));
    t->synced = true;
    *ret_pts_ns = (int64_t)(t->offset_ns + (double)t->got * moment_ns);
    t->got += n;
    return n;
}

uint64_t wd_portaudio_tap_dropped(const struct wd_portaudio_tap *t)
{
    return atomic_load_explicit(&t->dropped, memory_order_relaxed);
}

static int on_sound(const void *input, void *output, unsigned long n, const PaStreamCallbackTimeInfo *time,
                    PaStreamCallbackFlags flags, void *ctx)
{
    (void)output;
    (void)time;
    wd_portaudio_tap_put(ctx, input, n, (flags & paInputOverflow) != 0);
    return paContinue;
}

/* ---- devices ---- */

/* PortAudio's list of devices is one for the whole process, and opening is not for two threads at once. */
static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

static int failed(PaError e, const char *what, struct wd_err *err)
{
    int code = e == paInsufficientMemory ? -ENOMEM : e == paInvalidDevice ? -ENODEV : -EIO;

    if (e == paUnanticipatedHostError && Pa_GetLastHostErrorInfo())
        return wd_err_set(err, code, "%s: %s", what, Pa_GetLastHostErrorInfo()->errorText);
    return wd_err_set(err, code, "%s: %s", what, Pa_GetErrorText(e));
}

static bool takes_sound(int index)
{
    const PaDeviceInfo *d = Pa_GetDeviceInfo(index);

    return d && d->maxInputChannels > 0;
}

static bool contains(const char *text, const char *part)
{
    size_t n = strlen(part);

    for (; *text; text++)
        if (!strncasecmp(text, part, n))
            return true;
    return false;
}

static int no_device(const char *wanted, struct wd_err *err)
{
    char names[300] = "";
    size_t used = 0;

    for (int i = 0; i < Pa_GetDeviceCount() && used < sizeof names; i++)
        if (takes_sound(i))
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%d %s", used ? ", " : "", i,
                                     Pa_GetDeviceInfo(i)->name);
    if (!*names)
        snprintf(names, sizeof names, "none that takes sound");
    if (wanted)
        return wd_err_set(err, -ENODEV, "no device '%.80s'; there are: %s", wanted, names);
    return wd_err_set(err, -ENODEV, "no default input device; there are: %s", names);
}

static int find_device(const char *wanted, struct wd_err *err)
{
    int n = Pa_GetDeviceCount(), index;
    char *end;

    if (!wanted || !*wanted) {
        index = Pa_GetDefaultInputDevice();
        return index >= 0 && takes_sound(index) ? index : no_device(NULL, err);
    }
    index = (int)strtol(wanted, &end, 10);
    if (!*end)
        return index >= 0 && index < n && takes_sound(index) ? index : no_device(wanted, err);
    for (index = 0; index < n; index++)
        if (takes_sound(index) && contains(Pa_GetDeviceInfo(index)->name, wanted))
            return index;
    return no_device(wanted, err);
}

int wd_source_portaudio_list(void (*cb)(void *ctx, int index, const char *name, int channels, double rate_hz), void *ctx,
                             struct wd_err *err)
{
    int n = 0;
    PaError e;

    pthread_mutex_lock(&library);
    e = Pa_Initialize();
    if (e != paNoError) {
        n = failed(e, "sound devices", err);
        goto out;
    }
    for (int i = 0; i < Pa_GetDeviceCount(); i++) {
        const PaDeviceInfo *d = Pa_GetDeviceInfo(i);

        if (!takes_sound(i))
            continue;
        if (cb)
            cb(ctx, i, d->name, d->maxInputChannels, d->defaultSampleRate);
        n++;
    }
    Pa_Terminate();
out:
    pthread_mutex_unlock(&library);
    return n;
}

/* ---- capturing ---- */

struct session {
    const struct portaudio_opts *opts;
    struct wd_feed *feed;
    PaStream *stream;
    struct wd_portaudio_tap *tap;
    struct wd_resample *resample;
    float *chunk;
    uint32_t channels;
};

static enum wd_source_pace pace(const void *opts)
{
    (void)opts;
    return WD_SOURCE_ONLINE;
}

/* With the library's lock. */
static int open_stream(struct session *s, struct wd_err *err)
{
    struct wd_resample_format format = {.kind = WD_SAMPLE_F32};
    PaStreamParameters p = {.sampleFormat = paFloat32};
    const PaDeviceInfo *d;
    PaError e;
    int r;

    p.device = find_device(s->opts->device, err);
    if (p.device < 0)
        return p.device;
    d = Pa_GetDeviceInfo(p.device);
    p.channelCount = s->opts->channels ? (int)s->opts->channels : d->maxInputChannels > 1 ? 2 : 1;
    p.suggestedLatency = d->defaultLowInputLatency;
    s->channels = (uint32_t)p.channelCount;
    format.rate_hz = (uint32_t)(s->opts->rate ? (double)s->opts->rate : d->defaultSampleRate);
    format.channels = s->channels;
    r = wd_resample_set(s->resample, &format, err);
    if (r >= 0)
        r = wd_portaudio_tap_new(format.rate_hz, format.channels, &s->tap, err);
    if (r < 0)
        return r;
    s->chunk = malloc(CHUNK * s->channels * sizeof *s->chunk);
    if (!s->chunk)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", d->name);
    e = Pa_OpenStream(&s->stream, &p, NULL, format.rate_hz, paFramesPerBufferUnspecified, paNoFlag, on_sound, s->tap);
    if (e == paNoError)
        e = Pa_StartStream(s->stream);
    return e == paNoError ? 0 : failed(e, d->name, err);
}

static int capture(struct session *s, struct wd_err *err)
{
    uint64_t heard_ns = uv_hrtime();

    while (wd_feed_sleep_until(s->feed, uv_hrtime() + POLL_NS)) {
        int64_t pts_ns;
        size_t n;

        while ((n = wd_portaudio_tap_get(s->tap, s->chunk, CHUNK, (int64_t)uv_hrtime(), &pts_ns)) > 0) {
            const uint8_t *planes[] = {(const uint8_t *)s->chunk};
            const float *pcm;
            size_t n_pcm;
            int r = wd_resample_run(s->resample, planes, n, pts_ns, &pcm, &n_pcm, &pts_ns, err);

            if (r >= 0)
                r = wd_feed_audio(s->feed, pcm, n_pcm, pts_ns);
            if (r < 0)
                return r;
            wd_resample_follow(s->resample, wd_feed_drift_ns(s->feed));
            heard_ns = uv_hrtime();
        }
        if (Pa_IsStreamActive(s->stream) != 1)
            return wd_err_set(err, -EIO, "the device stopped");
        if (uv_hrtime() - heard_ns > SILENT_NS)
            return wd_err_set(err, -EIO, "the device gives no sound any more");
    }
    return -ECANCELED;
}

static int run(const void *opts, struct wd_feed *feed, struct wd_err *err)
{
    struct session s = {.opts = opts, .feed = feed};
    int r = wd_resample_new(&s.resample, err);
    PaError e;

    if (r < 0)
        return r;
    pthread_mutex_lock(&library);
    e = Pa_Initialize(); /* anew for each connection: that is how it sees devices that were plugged in since */
    r = e == paNoError ? open_stream(&s, err) : failed(e, "sound devices", err);
    pthread_mutex_unlock(&library);
    if (r >= 0) {
        wd_feed_live(feed, &(struct wd_feed_info){.has_audio = true, .endless = true});
        r = capture(&s, err);
    }
    pthread_mutex_lock(&library);
    if (s.stream) {
        Pa_AbortStream(s.stream);
        Pa_CloseStream(s.stream);
    }
    if (e == paNoError)
        Pa_Terminate();
    pthread_mutex_unlock(&library);
    wd_portaudio_tap_free(s.tap);
    wd_resample_free(s.resample);
    free(s.chunk);
    return r;
}

const struct wd_source_type wd_source_portaudio = {
    .name = "portaudio",
    .help = "microphones and line inputs",
    .size = sizeof(struct portaudio_opts),
    .opts = rows,
    .pace = pace,
    .run = run,
};
