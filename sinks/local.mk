# sinks/ - where events leave
noinst_LIBRARIES += libsinks.a
libsinks_a_SOURCES = \
	sinks/sink.h sinks/sinks.c \
	sinks/router.h sinks/router.c \
	sinks/event_json.h sinks/event_json.c \
	sinks/out.h sinks/out.c \
	sinks/cues.h sinks/cues.c \
	sinks/captions.h sinks/captions.c \
	sinks/screen.h sinks/screen.c \
	sinks/sink_terminal.c \
	sinks/sink_jsonl.c \
	sinks/sink_srt.c \
	sinks/sink_webvtt.c \
	sinks/sink_rttm.c \
	sinks/sink_text.c \
	sinks/sink_null.c
libsinks_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
SINKS_LIBS = libsinks.a $(PIPELINE_LIBS)
SINKS_SYSLIBS = $(PIPELINE_SYSLIBS)

schemadir = $(pkgdatadir)/schema
dist_schema_DATA = schema/witnessd-event.schema.json
EXTRA_DIST += docs/events.md
