/* cli/cli.h - the subcommands of `witness`: each gets its own argv, argv[0] being its name, and returns a code of sysexits.h. */
#pragma once
#include "base/err.h"

int wd_cli_model(int argc, char **argv);
int wd_cli_model_show(int argc, char **argv);
int wd_cli_model_tokenize(int argc, char **argv);
int wd_cli_model_eval(int argc, char **argv);
int wd_cli_transcribe(int argc, char **argv);
int wd_cli_bench(int argc, char **argv);

/* The sysexits code for a failure: no such file 66, bad data 65, no permission 77, no memory or other resources 71, otherwise 70. */
int wd_cli_exit(int code);
/* "witness: ..." to stderr; returns wd_cli_exit(err->code). */
int wd_cli_fail(const struct wd_err *err);
