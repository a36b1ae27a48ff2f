# model/ - computes, never waits
noinst_LIBRARIES += libmodel.a
libmodel_a_SOURCES =
libmodel_a_CFLAGS = $(AM_CFLAGS) $(OPENBLAS_CFLAGS) $(JANSSON_CFLAGS)
MODEL_LIBS = libmodel.a libbase.a
MODEL_SYSLIBS = $(OPENBLAS_LIBS) $(JANSSON_LIBS)
