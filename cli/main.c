/* cli/main.c - `witness`: finds the subcommand. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command commands[] = {
    {"transcribe", wd_cli_transcribe, "write down what is said and seen in recordings"},
    {"model", wd_cli_model, "look at a model file, run it on a prompt, tokenize"},
    {"bench", wd_cli_bench, "what a pass over the weights costs on this machine"},
};

static int usage(FILE *to)
{
    fprintf(to, "usage: witness COMMAND [ARGUMENTS]\n\n");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(to, "  %-12s %s\n", commands[i].name, commands[i].help);
    fprintf(to, "\n`witness COMMAND --help` says more; `man witness` says all.\n");
    return to == stdout ? EX_OK : EX_USAGE;
}

int wd_cli_exit(int code)
{
    switch (-code) {
    case 0:
        return EX_OK;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ENXIO:
    case ENODEV:
    case ELOOP:
    case ENAMETOOLONG:
        return EX_NOINPUT;
    case EINVAL:
    case ENOTSUP:
    case ERANGE:
    case EILSEQ:
    case EBADMSG:
    case ENODATA:
    case EOVERFLOW:
        return EX_DATAERR;
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
    case EPIPE:
        return EX_UNAVAILABLE;
    case EACCES:
    case EPERM:
        return EX_NOPERM;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return EX_OSERR;
    case ENOSPC:
    case EIO:
    case EFBIG:
        return EX_IOERR;
    default:
        return EX_SOFTWARE;
    }
}

int wd_cli_fail(const struct wd_err *err)
{
    fprintf(stderr, "witness: %s\n", err->text);
    return wd_cli_exit(err->code);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return usage(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return usage(stdout);
    if (strcmp(argv[1], "--version") == 0) {
        printf("witness %s\n", PACKAGE_VERSION);
        return EX_OK;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "witness: there is no command '%s'\n\n", argv[1]);
    return usage(stderr);
}
