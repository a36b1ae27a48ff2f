# sinks/ - where events leave
noinst_LIBRARIES += libsinks.a
libsinks_a_SOURCES =
libsinks_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
SINKS_LIBS = libsinks.a $(PIPELINE_LIBS)
SINKS_SYSLIBS = $(PIPELINE_SYSLIBS)
