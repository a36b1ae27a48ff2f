# cli/ - `witness`
noinst_LIBRARIES += libcli.a
libcli_a_SOURCES = \
	cli/cli.h cli/cli.c \
	cli/transcribe.c cli/progress.h cli/progress.c \
	cli/bench.c \
	cli/model.c cli/model_show.c cli/model_check.c cli/model_tokenize.c cli/model_render.c \
	cli/model_eval.c cli/eval_case.h cli/eval_case.c
libcli_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
CLI_LIBS = libcli.a $(DAEMON_LIBS)
CLI_SYSLIBS = $(DAEMON_SYSLIBS)

bin_PROGRAMS += witness
witness_SOURCES = cli/main.c
witness_LDADD = $(CLI_LIBS) $(CLI_SYSLIBS)
