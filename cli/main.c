/* cli/main.c - `witness`: finds the subcommand. */
#include "cli/cli.h"
#include "base/standard.h"

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
    {"pull", wd_cli_pull, "fetch a model"},
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

int main(int argc, char **argv)
{
    if (wd_standard_open() < 0)
        return EX_OSERR;
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
