# tests/ - X_test.c for each X.c, at the same path
TEST_CPPFLAGS = $(AM_CPPFLAGS) -DTEST_SRCDIR='"$(abs_top_srcdir)"' -DTEST_BUILDDIR='"$(abs_top_builddir)"' $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
AM_TESTS_ENVIRONMENT = WITNESSD_DATADIR='$(abs_top_srcdir)'; export WITNESSD_DATADIR; \
	srcdir='$(abs_top_srcdir)'; export srcdir; builddir='$(abs_top_builddir)'; export builddir;

if HAVE_CMOCKA
# base

# model

# pipeline

# sinks

# daemon

# cli
endif
