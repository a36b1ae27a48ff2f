/* daemon/config_read.c - reads the configuration from YAML; errors name file, line, column and what
 * was expected. */
#include "base/paths.h"
#include "base/yaml_opt.h"
#include "daemon/config.h"
#include "daemon/config_rows.h"
#include "pipeline/event.h"
#include "pipeline/sources.h"
#include "sinks/sink.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_STREAMS 256
#define MAX_SINKS 64
#define MAX_NAME 63 /* bytes of a stream's name */
#define MAX_TYPES 64

static const char *const top_others[] = {"model", "streams", "sinks", NULL};
static const char *const stream_others[] = {"source", "window", "activity", "scenes", NULL};

/* What every function of one reading needs. */
struct reading {
    struct wd_config *config;
    const struct wd_yaml *streams;
    char *folder; /* of the configuration file: relative inputs are looked up there too */
    struct wd_err *err;
};

static int no_memory(struct wd_err *err)
{
    return wd_err_set(err, -ENOMEM, "out of memory");
}

/* ---- files that are read ---- */

/* "rtsp://...", "v4l2:...", "-", a pipeline: nothing that is looked up in a folder. */
static bool is_file_name(const char *text)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

    return *text && strcmp(text, "-") && !(n > 1 && text[n] == ':') && !strstr(text, " ! ");
}

static int replace(char **text, const char *with, struct wd_err *err)
{
    char *copy = strdup(with);

    if (!copy)
        return no_memory(err);
    free(*text);
    *text = copy;
    return 0;
}

/* The working directory, the configuration's folder, the installed data. 1: found, and *text names
 * it; 0: nowhere. */
static int find_input(const struct reading *rd, char **text)
{
    char path[PATH_MAX];
    int n;

    if (access(*text, F_OK) == 0)
        return 1;
    if (**text == '/')
        return 0;
    n = snprintf(path, sizeof path, "%s/%s", rd->folder, *text);
    if (n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0)
        return replace(text, path, rd->err) < 0 ? -ENOMEM : 1;
    if (wd_paths_data(*text, path, sizeof path, NULL) == 0)
        return replace(text, path, rd->err) < 0 ? -ENOMEM : 1;
    return 0;
}

static int no_such_file(const struct reading *rd, const struct wd_yaml *at, const char *key,
                        const char *text)
{
    if (*text == '/')
        return wd_yaml_err(at, rd->err, "%s: no such file '%s'", key, text);
    return wd_yaml_err(
        at, rd->err,
        "%s: no such file '%s' (looked in the working directory, in %s and in the installed data)",
        key, text, rd->folder);
}

/* A profile is a file, or the name of a shipped one. */
static int find_prompts(const struct reading *rd, const struct wd_yaml *at, char **text)
{
    char path[PATH_MAX], name[NAME_MAX];
    int r;

    if (!at || !*text)
        return 0;
    r = find_input(rd, text);
    if (r)
        return r < 0 ? r : 0;
    if (!strchr(*text, '/')) {
        int n = snprintf(name, sizeof name, "models/%s.prompt.yaml", *text);

        if (n > 0 && (size_t)n < sizeof name && wd_paths_data(name, path, sizeof path, NULL) == 0)
            return replace(text, path, rd->err);
    }
    return no_such_file(rd, at, "prompts", *text);
}

/* ---- model ---- */

static int read_model(struct reading *rd, const struct wd_yaml *map)
{
    struct wd_config_model *m = &rd->config->model;
    const struct wd_yaml *path = wd_yaml_get(map, "path"), *mmproj = wd_yaml_get(map, "mmproj"),
                         *drafter = wd_yaml_get(map, "drafter");
    int r = wd_yaml_opt_fill(map, "model", wd_config_model_rows, NULL, m, rd->err);

    if (r < 0)
        return r;
    if (path) {
        char found[PATH_MAX];

        r = find_input(rd, &m->path);
        if (r < 0)
            return r;
        if (r == 0 &&
            (strchr(m->path, '/') || wd_paths_model(m->path, found, sizeof found, NULL) < 0))
            return wd_yaml_err(
                path, rd->err,
                "path: expected a model's file, a folder or the name of a shipped or pulled model, got '%s'",
                m->path);
    }
    if (mmproj && m->mmproj) {
        r = find_input(rd, &m->mmproj);
        if (r <= 0)
            return r < 0 ? r : no_such_file(rd, mmproj, "mmproj", m->mmproj);
    }
    if (drafter && m->drafter && strcmp(m->drafter, "none")) {
        r = find_input(rd, &m->drafter);
        if (r <= 0)
            return r < 0 ? r : no_such_file(rd, drafter, "drafter", m->drafter);
    }
    return find_prompts(rd, wd_yaml_get(map, "prompts"), &m->prompts);
}

/* ---- streams ---- */

static int unknown_type(const struct reading *rd, const struct wd_yaml *at, const char *what,
                        const char *const *names, size_t n, const char *text)
{
    const char *near = wd_opt_nearest_name(names, n, text);
    char all[256] = "";

    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(all);

        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", names[i]);
    }
    if (near)
        return wd_yaml_err(at, rd->err, "%s: expected one of %s, got '%.60s' (did you mean '%s'?)",
                           what, all, text, near);
    return wd_yaml_err(at, rd->err, "%s: expected one of %s, got '%.60s'", what, all, text);
}

static size_t source_names(const char *ret[MAX_TYPES])
{
    size_t n = 0;

    for (const struct wd_source_type *const *t = wd_sources(); *t && n < MAX_TYPES; t++)
        ret[n++] = (*t)->name;
    return n;
}

static size_t sink_names(const char *ret[MAX_TYPES])
{
    size_t n = 0;

    for (const struct wd_sink_type *const *t = wd_sink_types(); *t && n < MAX_TYPES; t++)
        ret[n++] = (*t)->name;
    return n;
}

/* YAML reads `type: null` as nothing; here it is the name of a sink. */
static bool is_nothing(const struct wd_yaml *type)
{
    return wd_yaml_is_null(type) && strcmp(wd_yaml_text(type), "null");
}

/* `type:` of a source or a sink; NULL and an error where it is none. */
static const struct wd_yaml *type_node(const struct reading *rd, const struct wd_yaml *map,
                                       const char *what)
{
    const struct wd_yaml *type = wd_yaml_get(map, "type");

    if (!type)
        return NULL;
    if (wd_yaml_kind(type) != WD_YAML_SCALAR || is_nothing(type)) {
        wd_yaml_err(type, rd->err, "%s.type: expected a name, got %s", what, wd_yaml_is(type));
        return NULL;
    }
    return type;
}

static int new_opts(const struct reading *rd, size_t size, const struct wd_opt *rows, void **ret)
{
    void *opts = calloc(1, size ? size : 1);
    int r;

    if (!opts)
        return no_memory(rd->err);
    r = wd_opt_defaults(rows, opts, rd->err);
    if (r < 0) {
        wd_opt_done(rows, opts);
        free(opts);
        return r;
    }
    *ret = opts;
    return 0;
}

/* What the rows of a source cannot say: settings that do not go together, and a url that is a file
 * and not there, told now and not by a stream that never begins. (A device may come later: what is
 * opened again and again is not looked up.) */
static int check_source(const struct reading *rd, const struct wd_yaml *at,
                        const struct wd_yaml *url_at, const struct wd_config_stream *s)
{
    const struct wd_opt *row = wd_opt_find(s->source->opts, "url");
    char **url;
    int r;

    if (row && row->kind == WD_OPT_KIND_STR) {
        url = (char **)((char *)s->source_opts + row->offset);
        if (*url && is_file_name(*url)) {
            r = find_input(rd, url);
            if (r < 0)
                return r;
            if (r == 0 && s->source->pace(s->source_opts) != WD_SOURCE_ONLINE)
                return no_such_file(rd, url_at ? url_at : at, "url", *url);
        }
    }
    r = s->source->check ? s->source->check(s->source_opts, rd->err) : 0;
    if (r < 0)
        wd_err_prefix(rd->err, "%s:%u:%u: source", wd_yaml_file(at), wd_yaml_line(at),
                      wd_yaml_column(at));
    return r;
}

/* `source: rtsp://camera/1`, or `source: mic`, whose type has no url to set */
static int read_bare_source(const struct reading *rd, const struct wd_yaml *n,
                            struct wd_config_stream *s)
{
    const struct wd_opt *row;
    int r;

    if (wd_yaml_is_null(n) || !*wd_yaml_text(n))
        return wd_yaml_err(n, rd->err,
                           "source: expected a URL or a mapping {type: ...}, got nothing");
    s->source = wd_source_guess(wd_yaml_text(n));
    row = wd_opt_find(s->source->opts, "url");
    r = new_opts(rd, s->source->size, s->source->opts, &s->source_opts);
    if (r == 0 && row)
        r = wd_yaml_opt_set(n, row, s->source_opts, rd->err);
    return r < 0 ? r : check_source(rd, n, NULL, s);
}

static int read_source(const struct reading *rd, const struct wd_yaml *n,
                       struct wd_config_stream *s)
{
    static const char *const others[] = {"type", NULL};
    const char *names[MAX_TYPES];
    const struct wd_yaml *type, *url = wd_yaml_get(n, "url");
    char what[128];
    int r;

    if (wd_yaml_kind(n) == WD_YAML_SCALAR)
        return read_bare_source(rd, n, s);
    if (wd_yaml_kind(n) != WD_YAML_MAPPING)
        return wd_yaml_err(n, rd->err, "source: expected a URL or a mapping {type: ...}, got %s",
                           wd_yaml_is(n));
    type = type_node(rd, n, "source");
    if (type) {
        s->source = wd_source_type_find(wd_yaml_text(type));
        if (!s->source)
            return unknown_type(rd, type, "source.type", names, source_names(names),
                                wd_yaml_text(type));
    } else if (wd_yaml_get(n, "type")) {
        return -EINVAL; /* said by type_node() */
    } else {
        if (!url || !wd_yaml_text(url) || wd_yaml_is_null(url))
            return wd_yaml_err(n, rd->err, "source needs 'type'");
        s->source = wd_source_guess(wd_yaml_text(url));
    }
    r = new_opts(rd, s->source->size, s->source->opts, &s->source_opts);
    if (r < 0)
        return r;
    snprintf(what, sizeof what, "a source of type %s", s->source->name);
    r = wd_yaml_opt_fill(n, what, s->source->opts, others, s->source_opts, rd->err);
    return r < 0 ? r : check_source(rd, n, url, s);
}

/* Names stand in MQTT topics, RTTM columns and on the command line. */
static bool good_name(const char *name)
{
    size_t n = strlen(name);

    if (n == 0 || n > MAX_NAME)
        return false;
    for (; *name; name++)
        if (!strchr("-_.", *name) && !((unsigned char)*name >= 0x80) &&
            !(*name >= '0' && *name <= '9') && !(*name >= 'a' && *name <= 'z') &&
            !(*name >= 'A' && *name <= 'Z'))
            return false;
    return true;
}

static int check_name(const struct reading *rd, const struct wd_yaml *map,
                      const struct wd_config_stream *s)
{
    const struct wd_yaml *at = wd_yaml_get(map, "name");

    if (!good_name(s->name))
        return wd_yaml_err(at, rd->err,
                           "name: expected 1 to %d letters, digits, '-', '_' or '.', got '%.80s'",
                           MAX_NAME, s->name);
    for (const struct wd_yaml *m = wd_yaml_first(rd->streams); m != map; m = wd_yaml_next(m)) {
        const struct wd_yaml *other = wd_yaml_get(m, "name");

        if (!strcmp(wd_yaml_text(other), s->name)) /* has one: it was read before this */
            return wd_yaml_err(at, rd->err, "name: there is a stream '%s' already, on line %u",
                               s->name, wd_yaml_line(other));
    }
    return 0;
}

static int read_window(const struct reading *rd, const struct wd_yaml *map,
                       struct wd_config_window *w)
{
    int r = wd_yaml_opt_fill(map, "window", wd_config_window_rows, NULL, w, rd->err);

    if (r < 0)
        return r;
    if (w->overlap_ns * 2 > w->max_ns)
        return wd_yaml_err(map, rd->err,
                           "window: expected overlap_s of at most half of max_s (%g), got %g",
                           (double)w->max_ns / 2e9, (double)w->overlap_ns / 1e9);
    if (w->tick_ns > w->max_ns)
        return wd_yaml_err(map, rd->err, "window: expected tick_ms of at most max_s (%g), got %g",
                           (double)w->max_ns / 1e6, (double)w->tick_ns / 1e6);
    return 0;
}

static int read_scenes(const struct reading *rd, const struct wd_yaml *map,
                       struct wd_config_scenes *s)
{
    const struct wd_yaml *budget = wd_yaml_get(map, "budget");
    int r = wd_yaml_opt_fill(map, "scenes", wd_config_scenes_rows, NULL, s, rd->err);

    if (r < 0)
        return r;
    for (int64_t b = 70; b <= 1120; b *= 2)
        if (s->budget == b)
            return 0;
    return wd_yaml_err(budget ? budget : map, rd->err,
                       "budget: expected 70, 140, 280, 560 or 1120, got %lld",
                       (long long)s->budget);
}

static int read_stream(struct reading *rd, const struct wd_yaml *map)
{
    const struct wd_yaml *source = wd_yaml_get(map, "source"), *window = wd_yaml_get(map, "window"),
                         *activity = wd_yaml_get(map, "activity"),
                         *scenes = wd_yaml_get(map, "scenes");
    struct wd_config_stream *s;
    int r;

    if (wd_yaml_kind(map) != WD_YAML_MAPPING)
        return wd_yaml_err(map, rd->err,
                           "a stream: expected a mapping (name: ..., source: ...), got %s",
                           wd_yaml_is(map));
    if (rd->config->n_streams >= MAX_STREAMS)
        return wd_yaml_err(map, rd->err, "streams: expected at most %d", MAX_STREAMS);
    r = wd_config_add_stream(rd->config, NULL, &s, rd->err);
    if (r < 0)
        return r;
    r = wd_yaml_opt_fill(map, "a stream", wd_config_stream_rows, stream_others, s, rd->err);
    if (r == 0)
        r = check_name(rd, map, s);
    if (r == 0 && !source)
        r = wd_yaml_err(map, rd->err, "stream '%s' needs 'source': a URL or a mapping {type: ...}",
                        s->name);
    if (r == 0)
        r = read_source(rd, source, s);
    if (r == 0 && window)
        r = read_window(rd, window, &s->window);
    if (r == 0 && activity)
        r = wd_yaml_opt_fill(activity, "activity", wd_config_activity_rows, NULL, &s->activity,
                             rd->err);
    if (r == 0 && scenes)
        r = read_scenes(rd, scenes, &s->scenes);
    if (r == 0)
        r = find_prompts(rd, wd_yaml_get(map, "prompts"), &s->prompts);
    return r;
}

/* ---- sinks ---- */

static int read_kinds(const struct reading *rd, const struct wd_yaml *list, uint32_t *ret)
{
    const struct wd_yaml *n;
    bool single = wd_yaml_kind(list) == WD_YAML_SCALAR;

    if (wd_yaml_is_null(list))
        return 0;
    if (wd_yaml_kind(list) == WD_YAML_MAPPING)
        return wd_yaml_err(list, rd->err, "kinds: expected a list, got a mapping");
    for (n = single ? list : wd_yaml_first(list); n; n = single ? NULL : wd_yaml_next(n)) {
        const char *names[WD_EVENT_N_KINDS];
        int kind = -1;

        if (wd_yaml_kind(n) != WD_YAML_SCALAR)
            return wd_yaml_err(n, rd->err, "kinds: expected the name of a kind of event, got %s",
                               wd_yaml_is(n));
        for (int k = 0; k < WD_EVENT_N_KINDS; k++)
            names[k] = wd_event_kind_name((enum wd_event_kind)k);
        kind = wd_event_kind_find(wd_yaml_text(n));
        if (kind < 0)
            return unknown_type(rd, n, "kinds", names, WD_EVENT_N_KINDS, wd_yaml_text(n));
        *ret |= UINT32_C(1) << kind;
    }
    return 0;
}

/* Every name a sink filters by is that of a stream; `list` was read into sink->streams already. */
static int check_streams(const struct reading *rd, const struct wd_yaml *list)
{
    const struct wd_config *c = rd->config;
    const char *names[MAX_STREAMS];
    bool single;

    if (!list || wd_yaml_is_null(list))
        return 0;
    single = wd_yaml_kind(list) == WD_YAML_SCALAR;
    for (size_t i = 0; i < c->n_streams; i++)
        names[i] = c->streams[i].name;
    for (const struct wd_yaml *n = single ? list : wd_yaml_first(list); n;
         n = single ? NULL : wd_yaml_next(n)) {
        size_t i = 0;

        while (i < c->n_streams && strcmp(names[i], wd_yaml_text(n)))
            i++;
        if (i == c->n_streams)
            return unknown_type(rd, n, "streams", names, c->n_streams, wd_yaml_text(n));
    }
    return 0;
}

/* Splits what is common to all sinks from what the type's own rows fill. */
static int read_sink_keys(const struct reading *rd, const struct wd_yaml *map,
                          struct wd_config_sink *s)
{
    static const char *const others[] = {"type", "streams", "kinds", NULL};
    const struct wd_yaml *streams = wd_yaml_get(map, "streams"), *kinds = wd_yaml_get(map, "kinds");
    char what[128];
    int r;

    snprintf(what, sizeof what, "a sink of type %s", s->type->name);
    if (wd_yaml_kind(map) == WD_YAML_SCALAR)
        return wd_yaml_opt_required(map, what, s->type->opts, rd->err);
    r = wd_yaml_opt_fill(map, what, s->type->opts, others, s->opts, rd->err);
    if (r == 0 && streams)
        r = wd_yaml_opt_set(streams, &wd_config_sink_rows[0], s, rd->err);
    if (r == 0)
        r = check_streams(rd, streams);
    if (r == 0 && kinds)
        r = read_kinds(rd, kinds, &s->kinds);
    return r;
}

static int read_sink(struct reading *rd, const struct wd_yaml *n)
{
    struct wd_config *c = rd->config;
    struct wd_config_sink *grown, *s;
    const struct wd_yaml *type = n; /* `- terminal` */
    const char *names[MAX_TYPES];
    int r;

    if (wd_yaml_kind(n) == WD_YAML_SEQUENCE || is_nothing(n))
        return wd_yaml_err(n, rd->err, "a sink: expected a mapping {type: ...}, got %s",
                           wd_yaml_is(n));
    if (c->n_sinks >= MAX_SINKS)
        return wd_yaml_err(n, rd->err, "sinks: expected at most %d", MAX_SINKS);
    if (wd_yaml_kind(n) == WD_YAML_MAPPING) {
        type = type_node(rd, n, "sink");
        if (!type)
            return wd_yaml_get(n, "type") ? -EINVAL
                                          : wd_yaml_err(n, rd->err, "a sink needs 'type'");
    }
    grown = realloc(c->sinks, (c->n_sinks + 1) * sizeof *grown);
    if (!grown)
        return no_memory(rd->err);
    c->sinks = grown;
    s = &grown[c->n_sinks];
    *s = (struct wd_config_sink){0};
    s->type = wd_sink_type_find(wd_yaml_text(type));
    if (!s->type)
        return unknown_type(rd, type, "sink.type", names, sink_names(names), wd_yaml_text(type));
    r = new_opts(rd, s->type->size, s->type->opts, &s->opts);
    if (r < 0)
        return r;
    c->n_sinks++; /* from here wd_config_free() knows it */
    return read_sink_keys(rd, n, s);
}

/* ---- the whole ---- */

static int read_list(struct reading *rd, const struct wd_yaml *list, const char *what,
                     int (*read)(struct reading *rd, const struct wd_yaml *n))
{
    int r = 0;

    if (wd_yaml_kind(list) != WD_YAML_SEQUENCE)
        return wd_yaml_err(list, rd->err, "%s: expected a list (- ...), got %s", what,
                           wd_yaml_is(list));
    for (const struct wd_yaml *n = wd_yaml_first(list); n && r == 0; n = wd_yaml_next(n))
        r = read(rd, n);
    return r;
}

static int read_all(struct reading *rd, const struct wd_yaml *root)
{
    const struct wd_yaml *model = wd_yaml_get(root, "model"),
                         *streams = wd_yaml_get(root, "streams"),
                         *sinks = wd_yaml_get(root, "sinks");
    int r = wd_yaml_opt_fill(root, "the configuration", NULL, top_others, NULL, rd->err);

    if (r == 0 && model)
        r = read_model(rd, model);
    if (r < 0)
        return r;
    if (!streams || wd_yaml_is_null(streams) ||
        (wd_yaml_kind(streams) == WD_YAML_SEQUENCE && !wd_yaml_count(streams)))
        return wd_yaml_err(streams ? streams : root, rd->err,
                           "streams: expected at least one, got none");
    rd->streams = streams;
    r = read_list(rd, streams, "streams", read_stream);
    if (r == 0 && sinks && !wd_yaml_is_null(sinks)) /* after the streams: it may name them */
        r = read_list(rd, sinks, "sinks", read_sink);
    return r;
}

static int from_tree(const struct wd_yaml *root, struct wd_config **ret, struct wd_err *err)
{
    struct reading rd = {.err = err};
    const char *name = wd_yaml_file(root), *slash = strrchr(name, '/');
    int r = wd_config_new(&rd.config, err);

    if (r < 0)
        return r;
    rd.config->path = strdup(name);
    rd.folder = !slash          ? strdup(".")
                : slash == name ? strdup("/")
                                : strndup(name, (size_t)(slash - name));
    r = rd.config->path && rd.folder ? read_all(&rd, root) : no_memory(err);
    free(rd.folder);
    if (r < 0) {
        wd_config_free(rd.config);
        return r;
    }
    *ret = rd.config;
    return 0;
}

int wd_config_read(const char *path, struct wd_config **ret, struct wd_err *err)
{
    struct wd_yaml *root;
    int r = wd_yaml_read(path, &root, err);

    if (r < 0)
        return r;
    r = from_tree(root, ret, err);
    wd_yaml_free(root);
    return r;
}

int wd_config_parse(const char *name, const char *text, size_t len, struct wd_config **ret,
                    struct wd_err *err)
{
    struct wd_yaml *root;
    int r = wd_yaml_parse(name, text, len, &root, err);

    if (r < 0)
        return r;
    r = from_tree(root, ret, err);
    wd_yaml_free(root);
    return r;
}
