/* cli/cli.h - the subcommands of `witness`: each gets its own argv, argv[0] being its name, and returns a code of sysexits.h. */
#pragma once
#include "base/err.h"
#include <stdbool.h>

int wd_cli_model(int argc, char **argv);
int wd_cli_model_show(int argc, char **argv);
int wd_cli_model_check(int argc, char **argv);
int wd_cli_model_tokenize(int argc, char **argv);
int wd_cli_model_render(int argc, char **argv);
int wd_cli_model_quantize(int argc, char **argv);
int wd_cli_model_eval(int argc, char **argv);
int wd_cli_transcribe(int argc, char **argv);
int wd_cli_bench(int argc, char **argv);
int wd_cli_pull(int argc, char **argv);

/* The sysexits code for a failure: bad data 65, no such file or device 66, a peer that does not answer 69, no memory or other
 * resources 71, reading or writing fails 74, another process is at it or the peer changed its mind 75, no permission 77, otherwise 70. Usage is 64, an output that cannot be made 73. */
int wd_cli_exit(int code);
/* "witness: ..." to stderr; returns wd_cli_exit(err->code). */
int wd_cli_fail(const struct wd_err *err);
/* A whole number from min to max and nothing else. */
bool wd_cli_number(const char *text, long min, long max, long *ret);
