/* pipeline/source_gst.c - RTSP, cameras, capture cards and any pipeline line, by GStreamer. */
#include "pipeline/resample.h"
#include "pipeline/source.h"
#include "pipeline/timeline.h"
#include <errno.h>
#include <gst/app/gstappsink.h>
#include <gst/audio/audio.h>
#include <gst/gst.h>
#include <gst/video/video.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PULL_NS (10 * GST_MSECOND)
#define MAX_BRANCHES 16 /* loose ends of a pipeline line that are looked at */

enum reconnect { RECONNECT_AUTO, RECONNECT_NEVER, RECONNECT_ALWAYS };
static const char *const reconnect_names[] = {"auto", "never", "always", NULL};

struct gst_opts {
    char *url, *launch;
    bool realtime, audio, video;
    int64_t timeout_ns;
    int reconnect;
};

static const struct wd_opt rows[] = {
    WD_OPT_STR(struct gst_opts, url, NULL, "URL (rtsp://, v4l2://, ...), file, or a pipeline line"),
    WD_OPT_STR(struct gst_opts, launch, NULL,
               "pipeline as for gst-launch-1.0; appsinks in it named audio_sink and video_sink are used, otherwise its "
               "loose ends are"),
    WD_OPT_BOOL(struct gst_opts, realtime, "true", "a file: in real time; false: as fast as it is used"),
    WD_OPT_BOOL(struct gst_opts, audio, "true", "take its sound"),
    WD_OPT_BOOL(struct gst_opts, video, "true", "take its pictures"),
    WD_OPT_S(struct gst_opts, timeout_ns, "timeout_s", "15", 1, 600, "a peer that sends nothing for so long at first is lost"),
    WD_OPT_ENUM(struct gst_opts, reconnect, "auto", reconnect_names,
                "open it again when it ends or is lost; auto: what is no file"),
    WD_OPT_END,
};

struct session {
    const struct gst_opts *opts;
    struct wd_feed *feed;
    const char *name; /* for messages */
    GstElement *pipeline;
    _Atomic(GstElement *) audio, video; /* appsinks; GStreamer's threads may add them */
    struct wd_resample *resample;
    char missing[128];
    atomic_bool is_live; /* read by those threads too */
    bool audio_told, video_told, told, got_any;
};

static const char *line_of(const struct gst_opts *o)
{
    if (o->launch && *o->launch)
        return o->launch;
    return o->url && strstr(o->url, " ! ") ? o->url : NULL;
}

static bool is_file(const struct gst_opts *o)
{
    return !line_of(o) && o->url && (!strstr(o->url, "://") || !strncasecmp(o->url, "file://", 7));
}

static enum wd_source_pace pace(const void *opts)
{
    const struct gst_opts *o = opts;

    if (o->reconnect == RECONNECT_ALWAYS || (o->reconnect == RECONNECT_AUTO && !is_file(o)))
        return WD_SOURCE_ONLINE;
    return o->realtime ? WD_SOURCE_PACED : WD_SOURCE_FLAT_OUT;
}

static int check(const void *opts, struct wd_err *err)
{
    const struct gst_opts *o = opts;

    if ((!o->url || !*o->url) && (!o->launch || !*o->launch))
        return wd_err_set(err, -EINVAL, "expected 'url' or 'launch'");
    if (o->url && *o->url && o->launch && *o->launch)
        return wd_err_set(err, -EINVAL, "expected 'url' or 'launch', not both");
    if (!o->audio && !o->video)
        return wd_err_set(err, -EINVAL, "neither audio nor video is wanted");
    return 0;
}

/* ---- building ---- */

static bool wants(const struct session *s, bool video)
{
    return video ? s->opts->video && wd_feed_wants_pictures(s->feed) : s->opts->audio && wd_feed_wants_audio(s->feed);
}

static void set_up_sink(struct session *s, GstElement *sink, bool video)
{
    GstCaps *caps = video ? gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, "RGB", NULL)
                          : gst_caps_new_simple("audio/x-raw", "format", G_TYPE_STRING,
                                                gst_audio_format_to_string(GST_AUDIO_FORMAT_F32), "layout", G_TYPE_STRING,
                                                "interleaved", NULL);
    bool wait = s->opts->realtime && !s->is_live && !wd_feed_flat_out(s->feed);

    g_object_set(sink, "caps", caps, "sync", (gboolean)wait, "max-buffers", video ? 4u : 64u, "emit-signals", FALSE, NULL);
    gst_caps_unref(caps);
}

/* From a raw pad to an appsink. */
static GstElement *add_branch(struct session *s, bool video)
{
    static const char *const lines[] = {
        "queue ! audioconvert ! appsink name=end",
        "queue max-size-buffers=8 max-size-bytes=0 max-size-time=0 ! videoconvert ! appsink name=end",
        ("queue max-size-buffers=8 max-size-bytes=0 max-size-time=0 ! "
         "videoflip video-direction=auto ! videoconvert ! appsink name=end"), /* upright, as the file or camera says */
    };
    GstElementFactory *flip = video ? gst_element_factory_find("videoflip") : NULL;
    GstElement *bin = gst_parse_bin_from_description(lines[flip ? 2 : video], TRUE, NULL), *sink;

    if (flip)
        gst_object_unref(flip);
    if (!bin)
        return NULL;
    sink = gst_bin_get_by_name(GST_BIN(bin), "end");
    set_up_sink(s, sink, video);
    gst_bin_add(GST_BIN(s->pipeline), bin);
    gst_element_sync_state_with_parent(bin);
    if (video)
        atomic_store(&s->video, sink); /* the reference goes there */
    else
        atomic_store(&s->audio, sink);
    return bin;
}

/* A loose end: linked if it is the first of a kind that is wanted. */
static void use_pad(struct session *s, GstPad *pad)
{
    GstCaps *caps = gst_pad_get_current_caps(pad);
    GstElement *bin;
    GstPad *sink;
    const char *name;
    bool video;

    if (!caps)
        caps = gst_pad_query_caps(pad, NULL);
    if (!caps)
        return;
    name = gst_caps_get_size(caps) && !gst_caps_is_any(caps) ? gst_structure_get_name(gst_caps_get_structure(caps, 0)) : "";
    video = g_str_has_prefix(name, "video/x-raw");
    if (!gst_pad_is_linked(pad) && (video || g_str_has_prefix(name, "audio/x-raw")) && wants(s, video) &&
        !(video ? atomic_load(&s->video) : atomic_load(&s->audio)) && (bin = add_branch(s, video))) {
        sink = gst_element_get_static_pad(bin, "sink");
        gst_pad_link(pad, sink);
        gst_object_unref(sink);
    }
    gst_caps_unref(caps);
}

static void on_pad(GstElement *element, GstPad *pad, gpointer ctx)
{
    (void)element;
    if (gst_pad_get_direction(pad) == GST_PAD_SRC)
        use_pad(ctx, pad);
}

/* An appsink of the user's own. */
static int named_sink(struct session *s, const char *name, bool video, struct wd_err *err)
{
    GstElement *sink = gst_bin_get_by_name(GST_BIN(s->pipeline), name);

    if (!sink)
        return 0;
    if (!GST_IS_APP_SINK(sink)) {
        gst_object_unref(sink);
        return wd_err_set(err, -EINVAL, "%s: '%s' must be an appsink", s->name, name);
    }
    set_up_sink(s, sink, video);
    if (video)
        atomic_store(&s->video, sink);
    else
        atomic_store(&s->audio, sink);
    return 1;
}

/* Elements that find out later what they give (decodebin, rtspsrc). */
static void watch_element(const GValue *item, gpointer ctx)
{
    GstElement *element = g_value_get_object(item);
    const GList *t = gst_element_class_get_pad_template_list(GST_ELEMENT_GET_CLASS(element));

    for (; t; t = t->next) {
        GstPadTemplate *template = t->data;

        if (GST_PAD_TEMPLATE_DIRECTION(template) == GST_PAD_SRC && GST_PAD_TEMPLATE_PRESENCE(template) == GST_PAD_SOMETIMES) {
            g_signal_connect(element, "pad-added", G_CALLBACK(on_pad), ctx);
            return;
        }
    }
}

static int build_line(struct session *s, const char *line, struct wd_err *err)
{
    GError *why = NULL;
    GstElement *made = gst_parse_launch(line, &why);
    int r, n;

    if (g_error_matches(why, GST_PARSE_ERROR, GST_PARSE_ERROR_NO_SUCH_ELEMENT)) {
        /* Caps at the end ("v4l2src ! video/x-raw,framerate=5/1") are only understood between two elements. */
        char *longer = g_strconcat(line, " ! identity", NULL);
        GError *again = NULL;
        GstElement *more = gst_parse_launch(longer, &again);

        if (more && !again) {
            g_clear_error(&why);
            if (made)
                gst_object_unref(made);
            made = more;
        } else if (more) {
            gst_object_unref(more);
        }
        g_clear_error(&again);
        g_free(longer);
    }
    if (!made || why) {
        r = wd_err_set(err, -EINVAL, "pipeline: %s", why ? why->message : "cannot be made");
        g_clear_error(&why);
        if (made)
            gst_object_unref(made);
        return r;
    }
    if (GST_IS_PIPELINE(made)) {
        s->pipeline = gst_object_ref_sink(made);
    } else { /* a single element */
        s->pipeline = gst_object_ref_sink(gst_pipeline_new(NULL));
        gst_bin_add(GST_BIN(s->pipeline), made);
    }
    r = named_sink(s, "audio_sink", false, err);
    n = r;
    if (r >= 0)
        r = named_sink(s, "video_sink", true, err);
    if (r < 0)
        return r;
    if (n + r == 0) {
        GstIterator *all = gst_bin_iterate_elements(GST_BIN(s->pipeline));
        GstPad *pad;

        gst_iterator_foreach(all, watch_element, s);
        gst_iterator_free(all);
        for (n = 0; n < MAX_BRANCHES && (pad = gst_bin_find_unlinked_pad(GST_BIN(s->pipeline), GST_PAD_SRC)); n++) {
            bool linked;

            use_pad(s, pad);
            linked = gst_pad_is_linked(pad);
            gst_object_unref(pad);
            if (!linked)
                break;
        }
    }
    return 0;
}

static int build_url(struct session *s, struct wd_err *err)
{
    GstElement *source = gst_element_factory_make("uridecodebin", NULL);
    char *uri = gst_uri_is_valid(s->opts->url) ? g_strdup(s->opts->url) : gst_filename_to_uri(s->opts->url, NULL);

    if (!source || !uri) {
        if (source)
            gst_object_unref(source);
        g_free(uri);
        return wd_err_set(err, -EINVAL, "%s: GStreamer has no uridecodebin (its base plug-ins are missing)", s->name);
    }
    s->pipeline = gst_object_ref_sink(gst_pipeline_new(NULL));
    g_object_set(source, "uri", uri, NULL);
    g_free(uri);
    g_signal_connect(source, "pad-added", G_CALLBACK(on_pad), s);
    gst_bin_add(GST_BIN(s->pipeline), source);
    return 0;
}

/* ---- what it says ---- */

static int code_of(const GError *e)
{
    if (e->domain == GST_RESOURCE_ERROR) {
        switch (e->code) {
        case GST_RESOURCE_ERROR_NOT_FOUND:
            return -ENOENT;
        case GST_RESOURCE_ERROR_NOT_AUTHORIZED:
            return -EACCES;
        case GST_RESOURCE_ERROR_BUSY:
            return -EBUSY;
        default:
            return -EIO;
        }
    }
    if (e->domain == GST_CORE_ERROR && e->code == GST_CORE_ERROR_MISSING_PLUGIN)
        return -EINVAL;
    return e->domain == GST_STREAM_ERROR ? -EBADMSG : -EIO;
}

static int bus_error(const struct session *s, GstMessage *m, struct wd_err *err)
{
    GError *e = NULL;
    char *debug = NULL;
    const char *more;
    int code;

    gst_message_parse_error(m, &e, &debug);
    code = code_of(e);
    /* The last line of the details says what the message does not; those before it are places in GStreamer's source. */
    more = debug ? strrchr(debug, '\n') : NULL;
    more = *s->missing ? s->missing : more ? more + 1 : "";
    wd_err_set(err, code, "%s: %s%s%s%s", s->name, e->message, *more ? " (" : "", more, *more ? ")" : "");
    g_clear_error(&e);
    g_free(debug);
    return code;
}

/* A decoder that is not installed is told of before the error that follows from it. */
static void note_missing(struct session *s, GstMessage *m)
{
    const GstStructure *what = gst_message_get_structure(m);
    const char *name;

    if (!what || !gst_structure_has_name(what, "missing-plugin"))
        return;
    name = gst_structure_get_string(what, "name");
    if (name)
        g_strlcpy(s->missing, name, sizeof s->missing);
}

/* 1: the end; 0: nothing of importance; negative: lost. */
static int listen_to_bus(struct session *s, GstBus *bus, struct wd_err *err)
{
    GstMessage *m;
    int r = 0;

    while (r == 0 && (m = gst_bus_pop(bus))) {
        if (GST_MESSAGE_TYPE(m) == GST_MESSAGE_ERROR)
            r = bus_error(s, m, err);
        else if (GST_MESSAGE_TYPE(m) == GST_MESSAGE_EOS)
            r = 1;
        else if (GST_MESSAGE_TYPE(m) == GST_MESSAGE_ELEMENT)
            note_missing(s, m);
        gst_message_unref(m);
    }
    return r;
}

/* ---- what it gives ---- */

/* The source is live once something came; told again when a second kind joins. */
static void tell_live(struct session *s)
{
    bool audio = atomic_load(&s->audio), video = atomic_load(&s->video);
    struct wd_feed_info info = {.has_audio = audio, .has_video = video};
    gint64 ns = 0;

    if (s->told && audio == s->audio_told && video == s->video_told)
        return;
    s->told = true;
    s->audio_told = audio;
    s->video_told = video;
    if (gst_element_query_duration(s->pipeline, GST_FORMAT_TIME, &ns) && ns > 0)
        info.duration_ns = ns;
    wd_feed_live(s->feed, &info);
}

static int64_t pts_of(GstSample *sample)
{
    GstBuffer *b = gst_sample_get_buffer(sample);
    const GstSegment *segment = gst_sample_get_segment(sample);
    GstClockTime t;

    if (!b || !GST_BUFFER_PTS_IS_VALID(b) || !segment || segment->format != GST_FORMAT_TIME)
        return WD_NO_PTS;
    t = gst_segment_to_running_time(segment, GST_FORMAT_TIME, GST_BUFFER_PTS(b));
    return GST_CLOCK_TIME_IS_VALID(t) ? (int64_t)t : WD_NO_PTS;
}

static int push_sound(struct session *s, const uint8_t *bytes, size_t n, int64_t pts_ns, struct wd_err *err)
{
    const uint8_t *planes[] = {bytes};
    const float *pcm;
    size_t n_pcm;
    int r = wd_resample_run(s->resample, bytes ? planes : NULL, n, pts_ns, &pcm, &n_pcm, &pts_ns, err);

    if (r < 0 || !n_pcm)
        return r;
    s->got_any = true;
    r = wd_feed_audio(s->feed, pcm, n_pcm, pts_ns);
    wd_resample_follow(s->resample, wd_feed_drift_ns(s->feed));
    return r;
}

static int take_sound(struct session *s, GstSample *sample, struct wd_err *err)
{
    struct wd_resample_format format = {.kind = WD_SAMPLE_F32};
    GstAudioInfo info;
    GstMapInfo map;
    int r = 0;

    if (!gst_sample_get_caps(sample) || !gst_audio_info_from_caps(&info, gst_sample_get_caps(sample)) || info.bpf <= 0 ||
        !gst_sample_get_buffer(sample))
        return 0;
    format.rate_hz = (uint32_t)info.rate;
    format.channels = (uint32_t)info.channels;
    if (info.channels > 2 && !GST_AUDIO_INFO_IS_UNPOSITIONED(&info))
        gst_audio_channel_positions_to_mask(info.position, info.channels, FALSE, &format.speakers);
    if (!wd_resample_is(s->resample, &format)) {
        r = push_sound(s, NULL, 0, WD_NO_PTS, err);
        if (r >= 0)
            r = wd_resample_set(s->resample, &format, err);
        if (r < 0)
            return r;
    }
    if (!gst_buffer_map(gst_sample_get_buffer(sample), &map, GST_MAP_READ))
        return 0;
    r = push_sound(s, map.data, map.size / (size_t)info.bpf, pts_of(sample), err);
    gst_buffer_unmap(gst_sample_get_buffer(sample), &map);
    return r;
}

static int take_picture(struct session *s, GstSample *sample, struct wd_err *err)
{
    int64_t pts_ns = pts_of(sample), t_ns;
    uint32_t w, h, shown_w, shown_h;
    GstVideoInfo info;
    GstVideoFrame frame;
    int r;

    if (!gst_sample_get_caps(sample) || !gst_video_info_from_caps(&info, gst_sample_get_caps(sample)) ||
        GST_VIDEO_INFO_FORMAT(&info) != GST_VIDEO_FORMAT_RGB || info.width <= 0 || info.height <= 0)
        return 0;
    t_ns = wd_feed_picture_due(s->feed, pts_ns == WD_NO_PTS ? (int64_t)uv_hrtime() : pts_ns);
    s->got_any = true;
    if (t_ns < 0)
        return 0;
    w = shown_w = (uint32_t)info.width;
    h = shown_h = (uint32_t)info.height;
    if (info.par_n > 0 && info.par_d > 0 && info.par_n / info.par_d < 16 && info.par_d / info.par_n < 16) {
        if (info.par_n > info.par_d)
            shown_w = (uint32_t)((uint64_t)w * (uint64_t)info.par_n / (uint64_t)info.par_d);
        else
            shown_h = (uint32_t)((uint64_t)h * (uint64_t)info.par_d / (uint64_t)info.par_n);
    }
    if (!gst_video_frame_map(&frame, &info, gst_sample_get_buffer(sample), GST_MAP_READ))
        return 0;
    r = wd_feed_picture(s->feed, GST_VIDEO_FRAME_PLANE_DATA(&frame, 0), (size_t)GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0), w, h,
                        shown_w, shown_h, t_ns, err);
    gst_video_frame_unmap(&frame);
    return r;
}

/* One sample of a kind: 1, 0 if there is none within the time, or what must stop the source. */
static int pull(struct session *s, GstElement *sink, bool video, GstClockTime wait_ns, struct wd_err *err)
{
    GstSample *sample = gst_app_sink_try_pull_sample(GST_APP_SINK(sink), wait_ns);
    int r;

    if (!sample)
        return 0;
    tell_live(s);
    r = video ? take_picture(s, sample, err) : take_sound(s, sample, err);
    gst_sample_unref(sample);
    return r < 0 ? r : 1;
}

static int play(struct session *s, GstBus *bus, struct wd_err *err)
{
    uint64_t begun_ns = uv_hrtime();
    bool end = false;
    int heard, seen, r;

    for (;;) {
        GstElement *audio = atomic_load(&s->audio), *video = atomic_load(&s->video);

        if (wd_feed_interrupted(s->feed))
            return -ECANCELED;
        heard = audio ? pull(s, audio, false, end ? 0 : PULL_NS, err) : 0;
        if (heard < 0)
            return heard;
        while (video && (seen = pull(s, video, true, audio || end ? 0 : PULL_NS, err)) != 0)
            if (seen < 0)
                return seen;
        if (!audio && !video && !end)
            wd_feed_sleep_until(s->feed, uv_hrtime() + PULL_NS);
        if (end && !heard)
            break;
        if (!end) {
            r = listen_to_bus(s, bus, err);
            if (r < 0)
                return r;
            end = r > 0;
        }
        if (!s->told && uv_hrtime() - begun_ns > (uint64_t)s->opts->timeout_ns)
            return wd_err_set(err, -ETIMEDOUT, "%s: nothing came for %.3g s", s->name, (double)s->opts->timeout_ns / 1e9);
    }
    r = push_sound(s, NULL, 0, WD_NO_PTS, err);
    if (r < 0)
        return r;
    return s->got_any ? 0 : wd_err_set(err, -ENODATA, "%s: it gives neither sound nor pictures that are wanted", s->name);
}

static int start(struct session *s, GstBus *bus, struct wd_err *err)
{
    GstStateChangeReturn c = gst_element_set_state(s->pipeline, GST_STATE_PAUSED);
    int r;

    if (c == GST_STATE_CHANGE_NO_PREROLL) { /* it gives what happens now: waiting for a clock would only add delay */
        s->is_live = true;
        if (atomic_load(&s->audio))
            g_object_set(atomic_load(&s->audio), "sync", FALSE, NULL);
        if (atomic_load(&s->video))
            g_object_set(atomic_load(&s->video), "sync", FALSE, NULL);
    }
    if (c != GST_STATE_CHANGE_FAILURE)
        c = gst_element_set_state(s->pipeline, GST_STATE_PLAYING);
    if (c != GST_STATE_CHANGE_FAILURE)
        return 0;
    r = listen_to_bus(s, bus, err);
    return r < 0 ? r : wd_err_set(err, -EIO, "%s: it does not start", s->name);
}

static void init(void)
{
    gst_init_check(NULL, NULL, NULL);
}

static int run(const void *opts, struct wd_feed *feed, struct wd_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct session s = {.opts = opts, .feed = feed};
    const char *line = line_of(s.opts);
    GstElement *sink;
    GstBus *bus;
    int r;

    pthread_once(&once, init);
    if (!gst_is_initialized())
        return wd_err_set(err, -EINVAL, "GStreamer cannot be used here");
    s.name = line ? "pipeline" : s.opts->url;
    r = wd_resample_new(&s.resample, err);
    if (r >= 0)
        r = line ? build_line(&s, line, err) : build_url(&s, err);
    if (r >= 0) {
        bus = gst_element_get_bus(s.pipeline);
        r = start(&s, bus, err);
        if (r >= 0)
            r = play(&s, bus, err);
        gst_object_unref(bus);
    }
    if (s.pipeline) {
        gst_element_set_state(s.pipeline, GST_STATE_NULL); /* its threads are gone after this */
        gst_object_unref(s.pipeline);
    }
    sink = atomic_load(&s.audio);
    if (sink)
        gst_object_unref(sink);
    sink = atomic_load(&s.video);
    if (sink)
        gst_object_unref(sink);
    wd_resample_free(s.resample);
    return r;
}

const struct wd_source_type wd_source_gst = {
    .name = "gstreamer",
    .help = "RTSP, cameras, capture cards and any pipeline, by GStreamer",
    .size = sizeof(struct gst_opts),
    .opts = rows,
    .check = check,
    .pace = pace,
    .run = run,
};
