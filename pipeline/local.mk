# pipeline/ - from a source to a published event, in this order
noinst_LIBRARIES += libpipeline.a
libpipeline_a_SOURCES = \
	pipeline/event.h pipeline/event.c
libpipeline_a_SOURCES += pipeline/picture.h pipeline/picture.c
libpipeline_a_SOURCES += pipeline/profile.h pipeline/profile.c pipeline/prompt.h pipeline/prompt.c
libpipeline_a_SOURCES += pipeline/source.h pipeline/sources.h pipeline/sources.c
libpipeline_a_SOURCES += pipeline/source_ffmpeg.c
libpipeline_a_SOURCES += pipeline/feed.h pipeline/feed.c
libpipeline_a_SOURCES += pipeline/timeline.h pipeline/timeline.c
libpipeline_a_SOURCES += pipeline/resample.h pipeline/resample.c
libpipeline_a_SOURCES += pipeline/framer.h pipeline/framer.c
libpipeline_a_SOURCES += pipeline/input.h pipeline/input.c
libpipeline_a_SOURCES += pipeline/parse.h pipeline/parse.c pipeline/parse_guard.h pipeline/parse_guard.c \
	pipeline/parse_scene.c pipeline/settle.h pipeline/settle.c \
	pipeline/align.h pipeline/align.c pipeline/window.h pipeline/window.c
libpipeline_a_SOURCES += pipeline/source_gst.c
libpipeline_a_SOURCES += pipeline/source_portaudio.h pipeline/source_portaudio.c
libpipeline_a_SOURCES += pipeline/clip.h pipeline/clip.c pipeline/media_file.h pipeline/media_file.c
libpipeline_a_SOURCES += pipeline/job.h pipeline/job.c pipeline/generate.h pipeline/generate.c pipeline/worker.h pipeline/worker.c
libpipeline_a_SOURCES += pipeline/schedule.h pipeline/schedule.c pipeline/publish.h pipeline/publish.c
libpipeline_a_SOURCES += pipeline/voices.h pipeline/voices.c pipeline/transcript.h pipeline/transcript.c
libpipeline_a_SOURCES += pipeline/scene.h pipeline/scene.c pipeline/stream.h pipeline/stream.c
libpipeline_a_SOURCES += \
	pipeline/activity.h pipeline/activity.c
libpipeline_a_SOURCES += pipeline/ffmpeg_rgb.h pipeline/ffmpeg_rgb.c
libpipeline_a_SOURCES += pipeline/cluster.h pipeline/cluster.c pipeline/speakers_plan.c pipeline/speakers_window.h \
	pipeline/speakers_window.c pipeline/speakers.h pipeline/speakers.c
libpipeline_a_CFLAGS = $(AM_CFLAGS) $(GST_CFLAGS) $(PORTAUDIO_CFLAGS) $(AVFORMAT_CFLAGS) $(AVCODEC_CFLAGS) \
	$(AVUTIL_CFLAGS) $(SWRESAMPLE_CFLAGS) $(SWSCALE_CFLAGS) $(YAML_CFLAGS)
PIPELINE_LIBS = libpipeline.a $(MODEL_LIBS)
PIPELINE_SYSLIBS = $(GST_LIBS) $(PORTAUDIO_LIBS) $(AVFORMAT_LIBS) $(AVCODEC_LIBS) $(AVUTIL_LIBS) $(SWRESAMPLE_LIBS) \
	$(SWSCALE_LIBS) $(YAML_LIBS) $(UV_LIBS) $(MODEL_SYSLIBS)
EXTRA_PROGRAMS += tools/diarize
tools_diarize_SOURCES = tools/diarize.c
tools_diarize_LDADD = libpipeline.a $(MODEL_LIBS) $(MODEL_SYSLIBS)
EXTRA_DIST += tools/der.sh docs/voice.md
