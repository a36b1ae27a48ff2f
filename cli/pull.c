/* cli/pull.c - `witness pull`: fetches a model by its name, or any file by its address, into the user's models. */
#include "cli/cli.h"

#include "base/paths.h"
#include "cli/fetch.h"
#include "cli/pull_list.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define CHUNK_BYTES (UINT64_C(16) << 20)

struct args {
    const char *what, *from, *to, *sha256;
    char hash[WD_CHECKSUM_TEXT];
    long parallel, tries, timeout_s, chunk;
    bool list, force, quiet;
};

/* One file on its way. */
struct showing {
    const char *name;
    bool quiet, terminal, line; /* line: one is on the terminal */
};

static volatile sig_atomic_t signalled;

static void on_signal(int number)
{
    signalled = number;
}

static int usage(FILE *to)
{
    fprintf(to, "usage: witness pull NAME|URL [--from URL] [--to FOLDER] [--sha256 HEX] [--parallel N]\n"
                "                    [--chunk BYTES] [--retries N] [--timeout S] [--force] [-q]\n"
                "       witness pull --list\n\n"
                "  --from URL      where the known names are fetched from; or in the environment, WITNESSD_MODELS_URL\n"
                "  --to FOLDER     instead of the user's models, where --model NAME finds them\n"
                "  --sha256 HEX    the checksum that the file behind URL must have\n"
                "  --parallel N    connections, 1 to 16; default 4\n"
                "  --chunk BYTES   asked for at a time; default 16777216\n"
                "  --retries N     tries in a row that bring nothing, then it is given up; default 8\n"
                "  --timeout S     a connection that brings nothing for so long is begun anew; default 30\n"
                "  --force         replace a file that is there\n"
                "  -q, --quiet     neither progress nor retries\n");
    return to == stdout ? EX_OK : EX_USAGE;
}

/* value: what was given instead; NULL: nothing to quote */
static int bad_usage(const char *what, const char *value)
{
    fprintf(stderr, "witness pull: %s%s%s%s\n\n", what, value ? ", got '" : "", value ? value : "", value ? "'" : "");
    return usage(stderr);
}

/* ---- showing ---- */

static void size_text(uint64_t bytes, char *out, size_t cap)
{
    if (bytes >= 1000000000)
        snprintf(out, cap, "%.2f GB", (double)bytes / 1e9);
    else if (bytes >= 1000000)
        snprintf(out, cap, "%.1f MB", (double)bytes / 1e6);
    else
        snprintf(out, cap, "%" PRIu64 " bytes", bytes);
}

static void clock_text(double s, char *out, size_t cap)
{
    unsigned long t = s > 0 && s < 1e8 ? (unsigned long)(s + 0.5) : 0;

    if (t >= 3600)
        snprintf(out, cap, "%lu:%02lu:%02lu", t / 3600, t / 60 % 60, t % 60);
    else
        snprintf(out, cap, "%lu:%02lu", t / 60, t % 60);
}

static void show(void *arg, const struct wd_fetch_progress *p)
{
    struct showing *s = arg;
    double speed = p->seconds > 0.2 ? (double)(p->done - p->resumed) / p->seconds : 0;
    char done[32], total[32], left[32] = "?";

    if (s->quiet || !s->terminal)
        return;
    size_text(p->done, done, sizeof done);
    size_text(p->total, total, sizeof total);
    s->line = true;
    if (!p->total) {
        fprintf(stderr, "\r\033[K%s  %s  %.1f MB/s", s->name, done, speed / 1e6);
        return;
    }
    if (speed > 0)
        clock_text((double)(p->total - p->done) / speed, left, sizeof left);
    fprintf(stderr, "\r\033[K%s  %s%3.0f %%  %s of %s  %.1f MB/s  %s left", s->name, p->checking ? "checking " : "",
            100.0 * (double)p->done / (double)p->total, done, total, speed / 1e6, left);
}

static void clear(struct showing *s)
{
    if (s->line)
        fprintf(stderr, "\r\033[K");
    s->line = false;
}

static void say(void *arg, const char *text)
{
    struct showing *s = arg;

    if (s->quiet)
        return;
    clear(s);
    fprintf(stderr, "witness: %s: %s\n", s->name, text);
}

static int list(void)
{
    for (const struct wd_pull_model *m = wd_pull_list; m->name; m++) {
        char size[32];

        size_text(wd_pull_size(m), size, sizeof size);
        printf("%-20s  %s%s  %s\n", m->name, wd_pull_is_exact(m) ? "" : "about ", size, m->help);
        for (const struct wd_pull_file *f = m->files; f->path; f++) {
            size_text(f->size, size, sizeof size);
            printf("    %s\n        %s%s, SHA-256 %s\n", f->path, f->sha256 ? "" : "about ", size,
                   f->sha256 ? f->sha256 : "as the server says");
        }
    }
    return EX_OK;
}

/* ---- where it goes ---- */

static int make_folders(char *path, struct wd_err *err)
{
    for (char *p = path + 1;; p++) {
        char c = *p;

        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return wd_err_set(err, -errno, "%s: %s", path, strerror(errno));
        *p = c;
        if (!c)
            return 0;
    }
}

/* The last part of an address, without its query: as a file's name it has letters, digits and "._+-" only. */
static int name_of_url(const char *url, char *ret, size_t cap, struct wd_err *err)
{
    const char *host = strstr(url, "://"), *end, *begin;
    size_t n;

    host = host ? host + 3 : url;
    end = host + strcspn(host, "?#");
    begin = end;
    while (begin > host && begin[-1] != '/')
        begin--;
    n = (size_t)(end - begin);
    if (begin == host || n == 0 || n + 12 > cap || *begin == '.')
        return wd_err_set(err, -EINVAL, "%s: the address does not end in the name of a file", url);
    for (size_t i = 0; i < n; i++)
        ret[i] = strchr("._+-", begin[i]) || (begin[i] >= '0' && begin[i] <= '9') || (begin[i] >= 'a' && begin[i] <= 'z') ||
                         (begin[i] >= 'A' && begin[i] <= 'Z')
                     ? begin[i]
                     : '_';
    ret[n] = '\0';
    return 0;
}

/* FOLDER[/SUB], made. */
static int folder_for(const struct args *a, const char *sub, char *ret, size_t cap, struct wd_err *err)
{
    char models[PATH_MAX];
    int n;

    if (!a->to) {
        int r = wd_paths_user_models(models, sizeof models, err);

        if (r < 0)
            return r;
    }
    n = snprintf(ret, cap, "%s%s%s", a->to ? a->to : models, sub ? "/" : "", sub ? sub : "");
    if (n < 0 || (size_t)n >= cap)
        return wd_err_set(err, -ENAMETOOLONG, "%s: the path is too long", a->to ? a->to : models);
    return make_folders(ret, err);
}

/* ---- fetching ---- */

static int get(const struct args *a, const char *url, const char *folder, const char *name, uint64_t size, const char *sha256,
               struct wd_err *err)
{
    struct showing s = {.name = name, .quiet = a->quiet, .terminal = isatty(STDERR_FILENO)};
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name), r;
    struct wd_fetch_result result;
    struct wd_fetch_opts o = {
        .url = url, .path = path, .size = size, .sha256 = sha256, .force = a->force, .n_parallel = (unsigned)a->parallel,
        .chunk_bytes = a->chunk ? (uint64_t)a->chunk : CHUNK_BYTES, .stall_s = (unsigned)a->timeout_s, .tries = (unsigned)a->tries,
        .progress = show, .say = say, .arg = &s, .stop = &signalled,
    };

    if (n < 0 || (size_t)n >= sizeof path)
        return wd_err_set(err, -ENAMETOOLONG, "%s: the path is too long", folder);
    r = wd_fetch(&o, &result, err);
    clear(&s);
    if (r < 0)
        return r;
    printf("%s: %s%" PRIu64 " bytes", path, result.was_there ? "was there already, " : "", result.size);
    if (result.resumed)
        printf(", %" PRIu64 " of them from a former run", result.resumed);
    if (result.proof == WD_FETCH_UNPROVEN)
        printf("; nobody named a checksum: hold its SHA-256 against the publisher's: %s\n", result.sha256);
    else
        printf("; SHA-256 is %s: %s\n", result.proof == WD_FETCH_GIVEN ? "as expected" : "as the server says", result.sha256);
    fflush(stdout);
    return 0;
}

static int pull_known(const struct args *a, const struct wd_pull_model *m, struct wd_err *err)
{
    char folder[PATH_MAX], url[2048];
    size_t base = strlen(a->from);
    int r = folder_for(a, m->name, folder, sizeof folder, err);

    while (base && a->from[base - 1] == '/')
        base--;
    for (const struct wd_pull_file *f = m->files; f->path && r == 0; f++) {
        int n = snprintf(url, sizeof url, "%.*s/%s", (int)base, a->from, f->path);

        if (n < 0 || (size_t)n >= sizeof url)
            return wd_err_set(err, -ENAMETOOLONG, "%.100s...: the address is too long", a->from);
        r = get(a, url, folder, strrchr(f->path, '/') + 1, f->sha256 ? f->size : 0, f->sha256, err);
    }
    return r;
}

static int pull_url(const struct args *a, struct wd_err *err)
{
    char folder[PATH_MAX], name[256];
    int r = name_of_url(a->what, name, sizeof name, err);

    if (r == 0)
        r = folder_for(a, NULL, folder, sizeof folder, err);
    return r < 0 ? r : get(a, a->what, folder, name, 0, a->sha256, err);
}

static bool is_url(const char *text)
{
    return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

static int parse(int argc, char **argv, struct args *a)
{
    enum { FROM = 256, TO, SHA256, PARALLEL, RETRIES, TIMEOUT, FORCE, LIST, CHUNK };
    static const struct option options[] = {
        {"from", required_argument, NULL, FROM},       {"to", required_argument, NULL, TO},
        {"sha256", required_argument, NULL, SHA256},   {"parallel", required_argument, NULL, PARALLEL},
        {"retries", required_argument, NULL, RETRIES}, {"timeout", required_argument, NULL, TIMEOUT},
        {"chunk", required_argument, NULL, CHUNK},     {"force", no_argument, NULL, FORCE},
        {"list", no_argument, NULL, LIST},             {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},              {0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "qh", options, NULL)) != -1) {
        switch (c) {
        case FROM:
            a->from = optarg;
            break;
        case TO:
            a->to = optarg;
            break;
        case SHA256:
            if (!wd_checksum_parse(optarg, strlen(optarg), a->hash))
                return bad_usage("--sha256: expected 64 hex digits", optarg);
            a->sha256 = a->hash;
            break;
        case PARALLEL:
            if (!wd_cli_number(optarg, 1, 16, &a->parallel))
                return bad_usage("--parallel: expected a number from 1 to 16", optarg);
            break;
        case RETRIES:
            if (!wd_cli_number(optarg, 1, 1000, &a->tries))
                return bad_usage("--retries: expected a number from 1 to 1000", optarg);
            break;
        case TIMEOUT:
            if (!wd_cli_number(optarg, 1, 3600, &a->timeout_s))
                return bad_usage("--timeout: expected seconds from 1 to 3600", optarg);
            break;
        case CHUNK:
            if (!wd_cli_number(optarg, 1, 1L << 30, &a->chunk))
                return bad_usage("--chunk: expected bytes from 1 to 1073741824", optarg);
            break;
        case FORCE:
            a->force = true;
            break;
        case LIST:
            a->list = true;
            break;
        case 'q':
            a->quiet = true;
            break;
        case 'h':
            usage(stdout);
            return -1;
        default:
            return usage(stderr);
        }
    }
    if (a->list && optind == argc)
        return 0;
    if (a->list || optind + 1 != argc)
        return bad_usage(a->list ? "--list stands alone" : "expected one name or address", NULL);
    a->what = argv[optind];
    return 0;
}

int wd_cli_pull(int argc, char **argv)
{
    struct args a = {.parallel = 4, .tries = 8, .timeout_s = 30, .from = getenv("WITNESSD_MODELS_URL")};
    struct sigaction quick = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};
    const struct wd_pull_model *m;
    struct wd_err err = {0};
    int r = parse(argc, argv, &a);

    if (r != 0)
        return r < 0 ? EX_OK : r;
    if (a.list)
        return list();
    sigaction(SIGINT, &quick, NULL);
    sigaction(SIGTERM, &quick, NULL);
    sigaction(SIGXFSZ, &ignore, NULL); /* a file that may not grow is an error, not the end */
    if (is_url(a.what)) {
        r = pull_url(&a, &err);
    } else {
        m = wd_pull_find(a.what);
        if (!m)
            return bad_usage("expected an address (http://, https://) or one of the names that --list shows", a.what);
        if (a.sha256)
            return bad_usage("--sha256 is for an address, not for a name", a.what);
        if (!a.from || !is_url(a.from))
            return bad_usage("--from, or WITNESSD_MODELS_URL in the environment: expected the address (http://, https://) of a server that "
                             "has the models",
                             a.from ? a.from : "");
        r = pull_known(&a, m, &err);
        if (r == 0 && !a.to && !a.quiet)
            printf("It is found as '%s': --model %s, or model: {path: %s}.\n", m->name, m->name, m->name);
    }
    if (r == 0)
        return EX_OK;
    wd_cli_fail(&err);
    return r == -ECANCELED && signalled ? 128 + signalled : wd_cli_exit(r);
}
