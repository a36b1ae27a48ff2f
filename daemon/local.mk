# daemon/ - puts it together
noinst_LIBRARIES += libdaemon.a
libdaemon_a_SOURCES = \
	daemon/config.h daemon/config.c
DAEMON_LIBS = libdaemon.a $(SINKS_LIBS)
DAEMON_SYSLIBS = $(SINKS_SYSLIBS)

witnessdconfdir = $(sysconfdir)/witnessd
dist_witnessdconf_DATA = witnessd.yaml
