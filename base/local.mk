# base/ - knows nothing of sound, pictures or models
noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	base/err.h base/err.c \
	base/log.h base/log.c base/utf8.h base/utf8.c \
	base/queue.h base/queue.c \
	base/mailbox.h base/mailbox.c
libbase_a_SOURCES += base/opt.h base/opt.c
libbase_a_SOURCES += base/yaml.h base/yaml.c base/yaml_opt.h base/yaml_opt.c
libbase_a_CFLAGS = $(AM_CFLAGS) $(YAML_CFLAGS)
libbase_a_SOURCES += base/paths.h base/paths.c
libbase_a_SOURCES += base/ring.h base/ring.c
libbase_a_SOURCES += base/standard.h base/standard.c
