# cli/ - `witness`
noinst_LIBRARIES += libcli.a
libcli_a_SOURCES = \
	cli/cli.h cli/cli.c \
	cli/transcribe.c cli/progress.h cli/progress.c \
	cli/bench.c \
	cli/model.c cli/model_show.c cli/model_check.c cli/model_tokenize.c cli/model_render.c cli/model_quantize.c \
	cli/pull.c cli/pull_list.h cli/pull_list.c cli/checksum.h cli/checksum.c \
	cli/fetch.h cli/fetch.c cli/fetch_http.h cli/fetch_http.c cli/fetch_plan.h cli/fetch_plan.c \
	cli/model_eval.c cli/eval_case.h cli/eval_case.c
libcli_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(AVUTIL_CFLAGS) $(CURL_CFLAGS)
CLI_LIBS = libcli.a $(DAEMON_LIBS)
CLI_SYSLIBS = $(CURL_LIBS) $(DAEMON_SYSLIBS)

bin_PROGRAMS += witness
witness_SOURCES = cli/main.c
witness_LDADD = $(CLI_LIBS) $(CLI_SYSLIBS)
