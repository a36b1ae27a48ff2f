/* cli/transcribe.c - `witness transcribe`: the daemon's own core on a recording, as fast as it goes. */
#include "base/log.h"
#include "base/paths.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "daemon/config.h"
#include "daemon/core.h"
#include "daemon/signals.h"
#include "pipeline/sources.h"
#include "sinks/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define NAME_BYTES 128

struct format {
    const char *name, *sink, *suffix;
};

static const struct format formats[] = {
    {"text", "text", "txt"}, {"jsonl", "jsonl", "jsonl"}, {"srt", "srt", "srt"}, {"vtt", "webvtt", "vtt"}, {"rttm", "rttm", "rttm"},
};

struct args {
    const struct format *format;
    const char *out, *model, *mmproj, *drafter, *language, *prompts;
    long threads;
    bool stats, quiet, no_scenes, no_speakers, partials, realtime;
    char **files;
    int n_files;
};

static int usage(FILE *to)
{
    fprintf(to, "usage: witness transcribe FILE... [--format text|jsonl|srt|vtt|rttm] [-o FILE|FOLDER] [--model NAME|FILE] [--language CODE]\n\n"
                "  FILE            anything FFmpeg opens: recordings, films, URLs\n"
                "  --format F      text (default), jsonl (every event), srt, vtt, rttm (who spoke when)\n"
                "  -o, --output O  write to this file, or into this folder as NAME.txt, NAME.srt, ...; default: standard output\n"
                "  --model M       a shipped name (nano) or a model file\n"
                "  --mmproj FILE   its sound and picture tensors, when they are neither in it nor beside it\n"
                "  --drafter PATH  a drafter made for the model guesses tokens ahead; the transcript stays the same\n"
                "  --language L    en, de, ...\n"
                "  --threads N     of the engine; 0: the processor's cores\n"
                "  --prompts P     a prompt profile instead of the model's own\n"
                "  --partials      decode while people speak, as live; jsonl then has partial events\n"
                "  --realtime      not faster than it was recorded\n"
                "  --no-scenes     do not look at pictures\n"
                "  --no-speakers   do not tell voices apart\n"
                "  --stats         at the end, print how the engine was used to standard error\n"
                "  -q, --quiet     no progress\n");
    return to == stdout ? EX_OK : EX_USAGE;
}

/* < 0: go on; otherwise exit with it. */
static int parse(int argc, char **argv, struct args *a)
{
    enum { MODEL = 256, MMPROJ, DRAFTER, LANGUAGE, THREADS, PROMPTS, STATS, SCENES, SPEAKERS, PARTIALS, REALTIME };
    static const struct option options[] = {
        {"format", required_argument, NULL, 'f'},      {"output", required_argument, NULL, 'o'},
        {"model", required_argument, NULL, MODEL},     {"mmproj", required_argument, NULL, MMPROJ},
        {"language", required_argument, NULL, LANGUAGE}, {"threads", required_argument, NULL, THREADS},
        {"prompts", required_argument, NULL, PROMPTS}, {"stats", no_argument, NULL, STATS},
        {"no-scenes", no_argument, NULL, SCENES},      {"no-speakers", no_argument, NULL, SPEAKERS},
        {"partials", no_argument, NULL, PARTIALS},     {"realtime", no_argument, NULL, REALTIME},
        {"quiet", no_argument, NULL, 'q'},             {"help", no_argument, NULL, 'h'},
        {"drafter", required_argument, NULL, DRAFTER},
        {NULL, 0, NULL, 0},
    };
    char *end;
    int c;

    *a = (struct args){.format = &formats[0]};
    optind = 1;
    while ((c = getopt_long(argc, argv, "f:o:qh", options, NULL)) != -1) {
        switch (c) {
        case 'f':
            a->format = NULL;
            for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
                if (strcmp(formats[i].name, optarg) == 0)
                    a->format = &formats[i];
            if (!a->format) {
                fprintf(stderr, "witness: --format: expected text, jsonl, srt, vtt or rttm, got '%s'\n", optarg);
                return EX_USAGE;
            }
            break;
        case 'o':
            a->out = optarg;
            break;
        case MODEL:
            a->model = optarg;
            break;
        case MMPROJ:
            a->mmproj = optarg;
            break;
        case DRAFTER:
            a->drafter = optarg;
            break;
        case LANGUAGE:
            a->language = optarg;
            break;
        case THREADS:
            errno = 0;
            a->threads = strtol(optarg, &end, 10);
            if (errno || end == optarg || *end || a->threads < 0 || a->threads > 256) {
                fprintf(stderr, "witness: --threads: expected a number from 0 to 256, got '%s'\n", optarg);
                return EX_USAGE;
            }
            break;
        case PROMPTS:
            a->prompts = optarg;
            break;
        case STATS:
            a->stats = true;
            break;
        case SCENES:
            a->no_scenes = true;
            break;
        case SPEAKERS:
            a->no_speakers = true;
            break;
        case PARTIALS:
            a->partials = true;
            break;
        case REALTIME:
            a->realtime = true;
            break;
        case 'q':
            a->quiet = true;
            break;
        case 'h':
            return usage(stdout);
        default:
            return usage(stderr);
        }
    }
    a->files = argv + optind;
    a->n_files = argc - optind;
    if (a->n_files == 0) {
        fprintf(stderr, "witness: which recording?\n\n");
        return usage(stderr);
    }
    return -1;
}

static bool is_folder(const char *path)
{
    struct stat st;

    return path && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* "talks/day one.mkv" -> "day one": the stream's name, and that of its file in a folder. Control characters have no place in either. */
static void name_of(const char *file, char *name, size_t cap)
{
    const char *slash = strrchr(file, '/'), *dot;
    size_t n;

    file = slash && slash[1] ? slash + 1 : file;
    dot = strrchr(file, '.');
    n = dot && dot != file ? (size_t)(dot - file) : strlen(file);
    if (n >= cap)
        n = cap - 1;
    for (size_t i = 0; i < n; i++)
        name[i] = (unsigned char)file[i] < 0x20 || file[i] == 0x7f ? '_' : file[i];
    name[n] = '\0';
    if (n == 0)
        snprintf(name, cap, "recording");
}

/* Where what is written about this recording goes. */
static void output_of(const struct args *a, const char *file, char *path, size_t cap)
{
    char name[NAME_BYTES];

    name_of(file, name, sizeof name);
    if (is_folder(a->out))
        snprintf(path, cap, "%s/%s.%s", a->out, name, a->format->suffix);
    else
        snprintf(path, cap, "%s", a->out ? a->out : "-");
}

/* Before the model is read: can it be written there, and is it not the recording itself? EX_OK, or the code to exit with. */
static int check_output(const char *path, const char *file)
{
    struct stat in, out;
    int fd;

    if (strcmp(path, "-") == 0)
        return EX_OK;
    if (stat(path, &out) == 0 && S_ISREG(out.st_mode) && stat(file, &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino) {
        fprintf(stderr, "witness: %s: the recording itself would be overwritten\n", path);
        return EX_CANTCREAT;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
    if (fd < 0) {
        fprintf(stderr, "witness: %s: cannot write: %s\n", path, strerror(errno));
        return EX_CANTCREAT;
    }
    close(fd);
    return EX_OK;
}

/* "a.mkv" and "a.wav" would both become "a.txt". */
static int check_names(const struct args *a)
{
    char one[NAME_BYTES], two[NAME_BYTES];

    for (int i = 1; is_folder(a->out) && i < a->n_files; i++) {
        name_of(a->files[i], one, sizeof one);
        for (int k = 0; k < i; k++) {
            name_of(a->files[k], two, sizeof two);
            if (strcmp(one, two) == 0) {
                fprintf(stderr, "witness: %s and %s would both be written to %s/%s.%s\n", a->files[k], a->files[i], a->out, one,
                        a->format->suffix);
                return EX_USAGE;
            }
        }
    }
    return EX_OK;
}

static int set(const struct wd_opt *rows, void *object, const char *key, const char *value, struct wd_err *err)
{
    const struct wd_opt *row = wd_opt_find(rows, key);

    return row ? wd_opt_set(row, object, value, err) : wd_err_set(err, -EINVAL, "there is no setting '%s'", key);
}

static int replace(char **field, const char *value, struct wd_err *err)
{
    char *copy = value ? strdup(value) : NULL;

    if (value && !copy)
        return wd_err_set(err, -ENOMEM, "out of memory");
    if (value) {
        free(*field);
        *field = copy;
    }
    return 0;
}

static int add_sink(struct wd_config *c, const struct args *a, const char *path, struct wd_err *err)
{
    const struct wd_sink_type *type = wd_sink_type_find(a->format->sink);
    int r;

    if (!type)
        return wd_err_set(err, -ENOTSUP, "this build cannot write %s", a->format->name);
    c->sinks = calloc(1, sizeof *c->sinks);
    if (!c->sinks)
        return wd_err_set(err, -ENOMEM, "out of memory");
    c->n_sinks = 1;
    c->sinks[0].type = type;
    c->sinks[0].opts = calloc(1, type->size);
    if (!c->sinks[0].opts)
        return wd_err_set(err, -ENOMEM, "out of memory");
    r = wd_opt_defaults(type->opts, c->sinks[0].opts, err);
    if (r == 0)
        r = set(type->opts, c->sinks[0].opts, "path", path, err);
    /* That sink appends, since a daemon may be restarted; a transcript begins anew. */
    if (r == 0 && strcmp(type->name, "jsonl") == 0 && strcmp(path, "-") != 0 && truncate(path, 0) < 0 && errno != ENOENT && errno != EINVAL)
        r = wd_err_set(err, -errno, "%s: %s", path, strerror(errno));
    return r;
}

static int configure(const struct args *a, const char *file, const char *path, struct wd_config **ret, struct wd_err *err)
{
    const struct wd_source_type *ffmpeg = wd_source_type_find("ffmpeg");
    struct wd_config_stream *s;
    struct wd_config *c;
    char name[NAME_BYTES];
    int r = wd_config_new(&c, err);

    if (r < 0)
        return r;
    name_of(file, name, sizeof name);
    r = replace(&c->model.path, a->model, err);
    if (r == 0)
        r = replace(&c->model.mmproj, a->mmproj, err);
    if (r == 0)
        r = replace(&c->model.drafter, a->drafter, err);
    if (r == 0)
        r = replace(&c->model.prompts, a->prompts, err);
    c->model.threads = a->threads;
    if (r == 0)
        r = wd_config_add_stream(c, name, &s, err);
    if (r == 0)
        r = replace(&s->language, a->language, err);
    if (r == 0) {
        s->partials = a->partials;
        s->speakers = !a->no_speakers;
        s->scenes.enabled = !a->no_scenes && strcmp(a->format->name, "rttm") != 0 && strcmp(a->format->name, "srt") != 0;
        s->source = ffmpeg;
        s->source_opts = calloc(1, ffmpeg->size);
        r = s->source_opts ? wd_opt_defaults(ffmpeg->opts, s->source_opts, err) : wd_err_set(err, -ENOMEM, "out of memory");
    }
    if (r == 0)
        r = set(ffmpeg->opts, s->source_opts, "url", file, err);
    if (r == 0)
        r = set(ffmpeg->opts, s->source_opts, "realtime", a->realtime ? "true" : "false", err);
    if (r == 0) /* a recording has an end; a peer that is lost is one, too */
        r = set(ffmpeg->opts, s->source_opts, "reconnect", "never", err);
    if (r == 0)
        r = add_sink(c, a, path, err);
    if (r < 0) {
        wd_config_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

/* What the model could not be made to transcribe leaves a hole in every format but jsonl, which has notices: it is told here. */
static int report_holes(const struct wd_core *core, const char *file, struct wd_err *err)
{
    struct wd_stream_status s = wd_core_stream_status(core, 0);
    unsigned long long bad = s.transcript.bad;

    if (bad == 0)
        return 0;
    if (s.transcript.finals == 0)
        return wd_err_set(err, -EPROTO, "%s: the model gave no transcript of any of its %llu stretches of speech", file, bad);
    fprintf(stderr, "witness: %s: of %llu stretches of speech the model gave no transcript; --format jsonl says when and why\n", file, bad);
    return 0;
}

static int one_file(const struct args *a, const char *file)
{
    struct wd_config *config = NULL;
    struct wd_core *core = NULL;
    struct wd_signals *signals = NULL;
    struct wd_progress *progress = NULL;
    struct wd_err err = {0};
    const char *reason;
    char path[PATH_MAX];
    uv_loop_t loop;
    int r, caught = 0;

    output_of(a, file, path, sizeof path);
    r = check_output(path, file);
    if (r != EX_OK)
        return r;
    r = uv_loop_init(&loop);
    if (r < 0) {
        fprintf(stderr, "witness: %s\n", uv_strerror(r));
        return EX_OSERR;
    }
    r = configure(a, file, path, &config, &err);
    if (r == 0)
        r = wd_core_new(&loop, config, &core, &err);
    if (r == 0)
        r = wd_signals_new(&loop, core, &signals, &err);
    if (r == 0 && !a->quiet && isatty(STDERR_FILENO) && (a->out || !isatty(STDOUT_FILENO)))
        r = wd_progress_new(&loop, core, file, &progress, &err);
    if (r == 0)
        r = wd_core_start(core, &err);
    if (r == 0) {
        wd_core_run(core);
        r = wd_core_stream_error(core, 0, &reason);
        if (r < 0) /* most begin with the file's name already */
            wd_err_set(&err, r, "%s%s%s", strstr(reason, file) ? "" : file, strstr(reason, file) ? "" : ": ", reason);
        caught = wd_signals_caught(signals);
        if (r == 0 && wd_core_events_lost(core))
            r = wd_err_set(&err, -EIO, "%s: %llu events could not be written", file, (unsigned long long)wd_core_events_lost(core));
        if (r == 0 && !caught)
            r = report_holes(core, file, &err);
    }
    wd_progress_close(progress);
    if (r == 0 && a->stats)
        wd_core_print_stats(core, stderr);
    wd_signals_close(signals);
    wd_core_free(core);
    wd_config_free(config);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    if (r < 0)
        return wd_cli_fail(&err);
    return caught ? 128 + caught : EX_OK;
}

int wd_cli_transcribe(int argc, char **argv)
{
    struct args a;
    int code = parse(argc, argv, &a), one;

    if (code >= 0)
        return code;
    if (a.n_files > 1 && a.out && !is_folder(a.out)) {
        fprintf(stderr, "witness: -o must be a folder for several recordings, '%s' is none\n", a.out);
        return EX_USAGE;
    }
    code = check_names(&a);
    if (code != EX_OK)
        return code;
    signal(SIGPIPE, SIG_IGN);
    wd_log_init(WD_LOG_WARNING, 0);
    code = EX_OK;
    for (int i = 0; i < a.n_files && code < 128; i++) {
        one = one_file(&a, a.files[i]);
        if (one != EX_OK)
            code = one;
    }
    return code;
}
