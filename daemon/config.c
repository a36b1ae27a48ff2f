/* daemon/config.c - what the configuration holds: one wd_opt row a setting, defaults, and every key
 * in words. */
#include "daemon/config.h"
#include "daemon/config_rows.h"
#include "pipeline/event.h"
#include "pipeline/sources.h"
#include "sinks/sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct wd_opt wd_config_model_rows[] = {
    WD_OPT_STR(struct wd_config_model, path, "nano",
               "a shipped or pulled model's name, a GGUF file or a safetensors folder"),
    WD_OPT_STR(
        struct wd_config_model, mmproj, NULL,
        "the file with the sound and picture tensors; not given: in the model's file or beside it"),
    WD_OPT_STR(struct wd_config_model, drafter, "none",
               "a drafter made for the model, a GGUF file or a safetensors folder: it guesses tokens ahead, "
               "the answers stay the same; none: without"),
    WD_OPT_INT(struct wd_config_model, threads, "0", 0, 1024,
               "threads of the engine; 0: one for each processor core"),
    WD_OPT_STR(struct wd_config_model, kernels, NULL,
               "table of arithmetic kernels: ref, avx2, avx512, avx512vnni, neon; not given: the best this "
               "processor has"),
    WD_OPT_STR(
        struct wd_config_model, prompts, NULL,
        "prompt profile, a name or a *.prompt.yaml file; not given: found by the model's name"),
    WD_OPT_END,
};

const struct wd_opt wd_config_stream_rows[] = {
    WD_OPT_STR_REQUIRED(struct wd_config_stream, name,
                        "what the stream is called in events and in sinks"),
    WD_OPT_STR(struct wd_config_stream, language, NULL,
               "language spoken, a code (en, de, pt-BR) or a name; not given: the model finds out"),
    WD_OPT_STR(struct wd_config_stream, prompts, NULL,
               "prompt profile of this stream, in place of the model's"),
    WD_OPT_BOOL(struct wd_config_stream, partials, "true",
                "publish what is heard while a person still speaks"),
    WD_OPT_BOOL(struct wd_config_stream, speakers, "true", "tell voices apart and label them"),
    WD_OPT_END,
};

const struct wd_opt wd_config_window_rows[] = {
    WD_OPT_S(struct wd_config_window, max_ns, "max_s", "15", 1, 30,
             "longest piece of sound decoded at once"),
    WD_OPT_MS(struct wd_config_window, tick_ns, "tick_ms", "480", 40, 10000,
              "sound between two decodes while a person speaks"),
    WD_OPT_S(struct wd_config_window, lag_target_ns, "lag_target_s", "3", 0.1, 600,
             "how far behind the stream may fall before load is shed"),
    WD_OPT_S(struct wd_config_window, overlap_ns, "overlap_s", "1", 0, 10,
             "least sound kept before the edge when a window is cut at its longest"),
    WD_OPT_MS(struct wd_config_window, pause_ns, "pause_ms", "600", 80, 10000,
              "silence that closes a window"),
    WD_OPT_END,
};

const struct wd_opt wd_config_activity_rows[] = {
    WD_OPT_FLOAT(struct wd_config_speech, threshold, "0.4", 0, 1,
                 "probability from which sound is speech"),
    WD_OPT_MS(struct wd_config_speech, preroll_ns, "preroll_ms", "200", 0, 2000,
              "sound kept from before speech began"),
    WD_OPT_MS(struct wd_config_speech, hangover_ns, "hangover_ms", "600", 0, 5000,
              "sound kept after speech ended"),
    WD_OPT_END,
};

const struct wd_opt wd_config_scenes_rows[] = {
    WD_OPT_BOOL(struct wd_config_scenes, enabled, "true",
                "describe pictures, where the source has any"),
    WD_OPT_S(struct wd_config_scenes, period_ns, "period_s", "60", 0, 86400,
             "a description at least this often; 0: only when the picture changes"),
    WD_OPT_INT(struct wd_config_scenes, budget, "70", 70, 1120,
               "most patches of one picture: 70, 140, 280, 560 or 1120"),
    WD_OPT_FLOAT(struct wd_config_scenes, change, "0.02", 0, 1,
                 "part of the picture that must differ to count as a change"),
    WD_OPT_END,
};

const struct wd_opt wd_config_sink_rows[] = {
    WD_OPT_LIST(struct wd_config_sink, streams,
                "names of the streams whose events it takes; not given: all"),
    WD_OPT_END,
};

static int no_memory(struct wd_err *err)
{
    return wd_err_set(err, -ENOMEM, "out of memory");
}

int wd_config_new(struct wd_config **ret, struct wd_err *err)
{
    struct wd_config *c = calloc(1, sizeof *c);
    int r;

    if (!c)
        return no_memory(err);
    r = wd_opt_defaults(wd_config_model_rows, &c->model, err);
    if (r < 0) {
        wd_config_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

int wd_config_add_stream(struct wd_config *c, const char *name, struct wd_config_stream **ret,
                         struct wd_err *err)
{
    struct wd_config_stream *grown = realloc(c->streams, (c->n_streams + 1) * sizeof *grown), *s;
    int r;

    if (!grown)
        return no_memory(err);
    c->streams = grown;
    s = &grown[c->n_streams];
    *s = (struct wd_config_stream){0};
    c->n_streams++;
    r = wd_opt_defaults(wd_config_stream_rows, s, err);
    if (r == 0)
        r = wd_opt_defaults(wd_config_window_rows, &s->window, err);
    if (r == 0)
        r = wd_opt_defaults(wd_config_activity_rows, &s->activity, err);
    if (r == 0)
        r = wd_opt_defaults(wd_config_scenes_rows, &s->scenes, err);
    if (r == 0 && name) {
        s->name = strdup(name);
        r = s->name ? 0 : no_memory(err);
    }
    if (r < 0) {
        wd_opt_done(wd_config_stream_rows, s);
        c->n_streams--;
        return r;
    }
    *ret = s;
    return 0;
}

struct wd_config *wd_config_free(struct wd_config *c)
{
    if (!c)
        return NULL;
    for (size_t i = 0; i < c->n_streams; i++) {
        struct wd_config_stream *s = &c->streams[i];

        if (s->source)
            wd_opt_done(s->source->opts, s->source_opts);
        free(s->source_opts);
        wd_opt_done(wd_config_stream_rows, s);
    }
    for (size_t i = 0; i < c->n_sinks; i++) {
        struct wd_config_sink *s = &c->sinks[i];

        if (s->opts) /* NULL: the router took it */
            wd_opt_done(s->type->opts, s->opts);
        free(s->opts);
        wd_opt_done(wd_config_sink_rows, s);
    }
    wd_opt_done(wd_config_model_rows, &c->model);
    free(c->streams);
    free(c->sinks);
    free(c->path);
    free(c);
    return NULL;
}

void wd_config_document(FILE *to)
{
    fputs("model:\n", to);
    wd_opt_print(wd_config_model_rows, to, "  ");
    fputs("streams: list; at least one\n", to);
    wd_opt_print(wd_config_stream_rows, to, "  ");
    fputs("  source: a URL, or a mapping; required\n"
          "    type: what the source is; not given: found by the URL\n",
          to);
    for (const struct wd_source_type *const *t = wd_sources(); *t; t++) {
        fprintf(to, "    (type %s) %s\n", (*t)->name, (*t)->help);
        wd_opt_print((*t)->opts, to, "      ");
    }
    fputs("  window: how sound is cut\n", to);
    wd_opt_print(wd_config_window_rows, to, "    ");
    fputs("  activity: when sound is speech\n", to);
    wd_opt_print(wd_config_activity_rows, to, "    ");
    fputs("  scenes: what is seen\n", to);
    wd_opt_print(wd_config_scenes_rows, to, "    ");
    fputs("sinks: list\n"
          "  type: where events go; required\n",
          to);
    wd_opt_print(wd_config_sink_rows, to, "  ");
    fputs("  kinds: list of kinds of event it takes; not given: the type's usual ones;", to);
    for (int k = 0; k < WD_EVENT_N_KINDS; k++)
        fprintf(to, "%s %s", k ? "," : "", wd_event_kind_name((enum wd_event_kind)k));
    fputc('\n', to);
    for (const struct wd_sink_type *const *t = wd_sink_types(); *t; t++) {
        fprintf(to, "    (type %s) %s\n", (*t)->name, (*t)->help);
        wd_opt_print((*t)->opts, to, "      ");
    }
}
