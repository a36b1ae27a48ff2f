/* daemon/config.h - the configuration file: YAML, one wd_opt row a setting; errors name file, line, column and what was expected. */
#pragma once
#include "base/err.h"
#include "base/opt.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct wd_source_type;
struct wd_sink_type;

struct wd_config_model {
    char *path;       /* a shipped name or a file */
    char *mmproj;     /* NULL: found beside it */
    char *drafter;    /* a drafter's file or folder; NULL: none */
    int64_t threads;  /* 0 = the processor's cores */
    char *kernels;    /* NULL = the best */
    char *prompts;    /* a *.prompt.yaml; NULL: found by the model's name */
};

struct wd_config_window {
    int64_t max_ns, tick_ns, lag_target_ns, overlap_ns /* least sound behind a cut: 1 s */, pause_ns /* closes it */;
};

struct wd_config_speech { /* section `activity:` of a stream */
    double threshold;     /* gate probability */
    int64_t preroll_ns, hangover_ns;
};

struct wd_config_scenes { /* section `scenes:` of a stream */
    bool enabled;
    int64_t period_ns;    /* a summary at least this often while pictures come, 0 = only on change */
    int64_t budget;       /* patches: 70, 140, 280, 560, 1120 */
    double change;        /* 0..1, what counts as a change */
};

struct wd_config_stream {
    char *name;
    const struct wd_source_type *source;
    void *source_opts;    /* filled from source->opts */
    char *language;
    char *prompts;        /* overrides the model's */
    bool partials;
    bool speakers;        /* label voices */
    struct wd_config_window window;
    struct wd_config_speech activity;
    struct wd_config_scenes scenes;
};

struct wd_config_sink {
    const struct wd_sink_type *type;
    void *opts;              /* filled from type->opts, malloc'ed, of type->size: becomes the instance; whoever takes it writes NULL here */
    struct wd_opt_list streams;
    uint32_t kinds;          /* bits of enum wd_event_kind, 0 = the type's usual ones */
};

struct wd_config {
    char *path;
    struct wd_config_model model;
    struct wd_config_stream *streams;
    size_t n_streams;
    struct wd_config_sink *sinks;
    size_t n_sinks;
};

/* Files that are read (model, prompts, a source's url) are looked up in the working directory, then in the configuration's folder, then in the installed
 * data, and named as found; one that is nowhere is an error. A sink's path stays as it is: relative to the working directory. */
int wd_config_read(const char *path, struct wd_config **ret, struct wd_err *err);
/* From memory; `name` stands in errors. */
int wd_config_parse(const char *name, const char *text, size_t len, struct wd_config **ret, struct wd_err *err);
/* A stream with every default, for `witness transcribe`: named `name`, no source. Appended to c; what an earlier call returned may have moved. */
int wd_config_add_stream(struct wd_config *c, const char *name, struct wd_config_stream **ret, struct wd_err *err);
int wd_config_new(struct wd_config **ret, struct wd_err *err); /* every default, no streams, no sinks */
struct wd_config *wd_config_free(struct wd_config *c);
/* Every key with its kind, bounds, default and help: what the manual is printed from. */
void wd_config_document(FILE *to);
