/* cli/model.c - `witness model`: finds the subcommand. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

static int usage(FILE *to)
{
    fprintf(to, "usage: witness model show FILE|DIR [--context N] [--json]\n"
                "       witness model check FILE|DIR [--mmproj FILE] [--threads N]\n"
                "       witness model eval MODEL CASE.json [--dump OUT.safetensors] [--layers] [--greedy N]\n"
                "                          [--mmproj FILE] [--threads N] [--kernels NAME] [--exact]\n"
                "       witness model tokenize MODEL [--special] [--decode]\n"
                "       witness model render MODEL CHAT.json\n"
                "       witness model quantize IN OUT.gguf --type Q8_0|Q6_K|Q4_K|Q4_0\n");
    return to == stdout ? EX_OK : EX_USAGE;
}

int wd_cli_model(int argc, char **argv)
{
    if (argc < 2)
        return usage(stderr);
    if (strcmp(argv[1], "show") == 0)
        return wd_cli_model_show(argc - 1, argv + 1);
    if (strcmp(argv[1], "check") == 0)
        return wd_cli_model_check(argc - 1, argv + 1);
    if (strcmp(argv[1], "eval") == 0)
        return wd_cli_model_eval(argc - 1, argv + 1);
    if (strcmp(argv[1], "tokenize") == 0)
        return wd_cli_model_tokenize(argc - 1, argv + 1);
    if (strcmp(argv[1], "render") == 0)
        return wd_cli_model_render(argc - 1, argv + 1);
    if (strcmp(argv[1], "quantize") == 0)
        return wd_cli_model_quantize(argc - 1, argv + 1);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return usage(stdout);
    fprintf(stderr, "witness: there is no command 'model %s'\n\n", argv[1]);
    return usage(stderr);
}
