/* daemon/main.c - arguments, configuration, run; the daemon's only exit code and usage text. */
#include "base/log.h"
#include "base/standard.h"
#include "daemon/config.h"
#include "daemon/core.h"
#include "daemon/notify.h"
#include "daemon/signals.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

struct args {
    const char *config;
    bool check, stats, document;
};

static void usage(FILE *to)
{
    fprintf(to, "usage: witnessd [-c FILE] [--check] [--stats] [-v]\n\n"
                "  -c, --config FILE  the configuration (default %s)\n"
                "      --check        read it, say what is wrong with it, and end\n"
                "      --keys         print every key a configuration may have, and end\n"
                "      --stats        at the end, print how the engine was used\n"
                "  -v, --verbose      say more on stderr; twice: everything\n"
                "      --version\n"
                "      --help\n\n"
                "See witnessd(8) and witnessd.yaml(5).\n",
            WD_CONFIG_FILE);
}

/* < 0: go on; otherwise exit with it. */
static int parse(int argc, char **argv, struct args *a)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"check", no_argument, NULL, 'k'},   {"keys", no_argument, NULL, 'y'},
        {"stats", no_argument, NULL, 's'},        {"verbose", no_argument, NULL, 'v'}, {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    enum wd_log_level level = WD_LOG_NOTICE;
    int c;

    *a = (struct args){.config = WD_CONFIG_FILE};
    while ((c = getopt_long(argc, argv, "c:vh", options, NULL)) != -1) {
        switch (c) {
        case 'c':
            a->config = optarg;
            break;
        case 'k':
            a->check = true;
            break;
        case 'y':
            a->document = true;
            break;
        case 's':
            a->stats = true;
            break;
        case 'v':
            level = level < WD_LOG_INFO ? WD_LOG_INFO : WD_LOG_DEBUG;
            break;
        case 'V':
            printf("witnessd %s\n", PACKAGE_VERSION);
            return EX_OK;
        case 'h':
            usage(stdout);
            return EX_OK;
        default:
            usage(stderr);
            return EX_USAGE;
        }
    }
    if (optind != argc) {
        fprintf(stderr, "witnessd: '%s' is not expected here\n\n", argv[optind]);
        usage(stderr);
        return EX_USAGE;
    }
    wd_log_init(level, getenv("JOURNAL_STREAM") != NULL);
    return -1;
}

static int fail(const struct wd_err *err, int code)
{
    wd_error("%s", err->text);
    return code;
}

static int run(const struct args *a, struct wd_config *config)
{
    uv_loop_t loop;
    struct wd_core *core = NULL;
    struct wd_signals *signals = NULL;
    struct wd_err err = {0};
    int code = EX_OK, r;

    r = uv_loop_init(&loop);
    if (r < 0) {
        wd_error("%s", uv_strerror(r));
        return EX_OSERR;
    }
    r = wd_core_new(&loop, config, &core, &err);
    if (r < 0) {
        code = fail(&err, r == -ENOENT ? EX_NOINPUT : EX_CONFIG);
        goto out;
    }
    r = wd_signals_new(&loop, core, &signals, &err);
    if (r == 0)
        r = wd_core_start(core, &err);
    if (r < 0) {
        code = fail(&err, EX_CONFIG);
        goto out;
    }
    wd_notify("READY=1");
    wd_core_run(core);
    wd_notify("STOPPING=1");
    for (size_t i = 0; i < wd_core_stream_count(core); i++) {
        const char *reason;

        if (wd_core_stream_error(core, i, &reason) < 0) {
            wd_error("stream %s: %s", wd_core_stream_name(core, i), reason);
            code = EX_UNAVAILABLE;
        }
    }
    if (wd_core_events_lost(core)) {
        wd_error("%llu events did not reach their sink", (unsigned long long)wd_core_events_lost(core));
        code = EX_IOERR;
    }
    if (a->stats)
        wd_core_print_stats(core, stderr);
out:
    wd_signals_close(signals);
    wd_core_free(core);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return code;
}

int main(int argc, char **argv)
{
    struct wd_config *config = NULL;
    struct wd_err err = {0};
    struct args a;
    int code;

    if (wd_standard_open() < 0)
        return EX_OSERR;
    code = parse(argc, argv, &a);

    if (code >= 0)
        return code;
    if (a.document) {
        wd_config_document(stdout);
        return EX_OK;
    }
    signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error of its sink alone */
    if (wd_config_read(a.config, &config, &err) < 0)
        return fail(&err, EX_CONFIG);
    if (a.check)
        printf("%s: no mistakes found\n", a.config);
    else
        code = run(&a, config);
    wd_config_free(config);
    return code < 0 ? EX_OK : code;
}
