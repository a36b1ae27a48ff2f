# daemon/ - puts it together
noinst_LIBRARIES += libdaemon.a
libdaemon_a_SOURCES = \
	daemon/config.h daemon/config_rows.h daemon/config.c daemon/config_read.c \
	daemon/core.h daemon/core.c daemon/stats.c \
	daemon/signals.h daemon/signals.c \
	daemon/notify.h daemon/notify.c
DAEMON_LIBS = libdaemon.a $(SINKS_LIBS)
DAEMON_SYSLIBS = $(SINKS_SYSLIBS)

sbin_PROGRAMS += witnessd
witnessd_SOURCES = daemon/main.c
witnessd_CPPFLAGS = $(AM_CPPFLAGS) -DWD_CONFIG_FILE='"$(sysconfdir)/witnessd/witnessd.yaml"'
witnessd_LDADD = $(DAEMON_LIBS) $(DAEMON_SYSLIBS)

witnessdconfdir = $(sysconfdir)/witnessd
dist_witnessdconf_DATA = witnessd.yaml

# The keys of witnessd.yaml(5) are printed by the rows themselves.
noinst_PROGRAMS += man/options
man_options_SOURCES = man/options.c
man_options_LDADD = $(DAEMON_LIBS) $(DAEMON_SYSLIBS)
nodist_man_MANS = man/witnessd.yaml.5
CLEANFILES += man/witnessd.yaml.5 man/options.txt
EXTRA_DIST += man/witnessd.yaml.5.in man/options.awk
man/witnessd.yaml.5: man/options$(EXEEXT) man/options.awk man/witnessd.yaml.5.in
	$(AM_V_GEN)$(MKDIR_P) man && man/options$(EXEEXT) > man/options.txt && \
	$(AWK) -f $(srcdir)/man/options.awk man/options.txt $(srcdir)/man/witnessd.yaml.5.in > $@.new && mv $@.new $@
