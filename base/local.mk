# base/ - knows nothing of sound, pictures or models
noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	base/err.h base/err.c \
	base/log.h base/log.c \
	base/queue.h base/queue.c \
	base/mailbox.h base/mailbox.c
libbase_a_SOURCES += base/opt.h base/opt.c
