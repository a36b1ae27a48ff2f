/* cli/model_show.c - `witness model show`: what a model file is, and what it lacks. */
#include "base/paths.h"
#include "cli/cli.h"
#include "model/drafter.h"
#include "model/kv_cache.h"
#include "model/tensor_file.h"
#include "model/tokenizer.h"
#include "model/weights.h"

#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* A window as the daemon has it by default: 15 s of sound, and as many tokens as its prompt and
 * answer take at most. */
#define WINDOW_S 15
#define WINDOW_FRAMES 375u
#define WINDOW_TOKENS 125u

enum part { EMBEDDING, SLIDING, FULL, VISION, AUDIO, OTHER, N_PARTS };

static const struct {
    const char *key, *text;
} parts[N_PARTS] = {
    [EMBEDDING] = {"embedding", "embedding"}, [SLIDING] = {"sliding_layers", "sliding layers"},
    [FULL] = {"full_layers", "full layers"},  [VISION] = {"vision", "vision front end"},
    [AUDIO] = {"audio", "audio front end"},   [OTHER] = {"other", "other"},
};

#define MAX_TYPES 16

struct report {
    const struct wd_weights *w;
    const struct wd_drafter_weights *drafter; /* NULL: not asked for */
    const struct wd_shape *s;
    uint64_t parameters;
    uint64_t bytes[N_PARTS], total;
    struct {
        uint32_t type;
        uint64_t n, bytes;
    } types[MAX_TYPES];
    size_t n_types, n_tensors;
    uint32_t n_full;
    size_t kv_sliding, kv_full; /* bytes for one position */
    uint32_t positions; /* of the context asked for */
    bool window;        /* nothing was asked for: a window as the daemon has it */
    uint64_t kv_bytes;  /* of that many positions */
    uint64_t all_bytes; /* weights, keys and values of it, drafter */
    bool has_template, has_generation, has_processor;
    char tokenizer[600]; /* why there is none; "" */
};

static int usage(FILE *to)
{
    fprintf(to, "usage: witness model show FILE|DIR [--context N] [--drafter PATH] [--json]\n\n"
                "FILE is a GGUF file (its media part may lie beside it as *mmproj*.gguf), DIR a "
                "folder of safetensors, or either the\n"
                "name of a shipped model.\n\n"
                "  --context N      tokens to keep keys and values of; default a window of 15 s of sound\n"
                "  --drafter PATH   a drafter made for it: whether it is, and what memory it takes\n"
                "  --json           print one JSON object instead of a table\n");
    return to == stdout ? EX_OK : EX_USAGE;
}

static bool begins(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

/* Which part of the model a tensor belongs to, by the names of both kinds of file. */
static enum part part_of(const struct wd_shape *s, const char *name)
{
    const char *at = strstr(name, "layers.");
    unsigned layer;

    if (begins(name, "mm.a.") || strstr(name, "embed_audio."))
        return AUDIO;
    if (begins(name, "v.") || begins(name, "mm.") || strstr(name, "embed_vision.") ||
        strstr(name, "vision_embedder."))
        return VISION;
    if (begins(name, "token_embd.") || begins(name, "output.") || strstr(name, "embed_tokens.") ||
        begins(name, "lm_head."))
        return EMBEDDING;
    if ((sscanf(name, "blk.%u.", &layer) == 1 || (at && sscanf(at, "layers.%u.", &layer) == 1)) &&
        layer < s->n_layers)
        return s->layers[layer].full ? FULL : SLIDING;
    return OTHER;
}

static void count_tensor(struct report *r, const struct wd_tensor *t)
{
    uint64_t n = t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3];
    size_t i = 0;

    r->n_tensors++;
    r->bytes[part_of(r->s, t->name)] += t->n_bytes;
    r->total += t->n_bytes;
    if (strcmp(t->name, "rope_freqs.weight") != 0) /* written by converters, not learnt */
        r->parameters += n;
    while (i < r->n_types && r->types[i].type != t->type)
        i++;
    if (i == MAX_TYPES)
        return;
    if (i == r->n_types) {
        r->types[i].type = t->type;
        r->types[i].n = r->types[i].bytes = 0;
        r->n_types++;
    }
    r->types[i].n++;
    r->types[i].bytes += t->n_bytes;
}

static bool beside(const struct wd_tensor_file *f, const char *name)
{
    char *text = NULL;
    size_t len;
    bool there = wd_tensor_file_sidecar(f, name, &text, &len, NULL) == 0;

    free(text);
    return there;
}

/* What comes with the weights and is not needed to compute. */
static void look_beside(struct report *r)
{
    const struct wd_tensor_file *f = r->w->text;
    struct wd_tokenizer *t = NULL;
    struct wd_err err = {0};
    const char *s;
    size_t len;

    if (wd_tokenizer_open(f, &t, &err) < 0)
        snprintf(r->tokenizer, sizeof r->tokenizer, "a tokenizer that can be used: %s", err.text);
    wd_tokenizer_free(t);
    if (wd_tensor_file_form(f) == WD_FORM_GGUF) {
        r->has_template = wd_tensor_file_str(f, "tokenizer.chat_template", &s, &len);
        r->has_generation = r->has_processor = true; /* in its keys; in the media part */
    } else {
        r->has_template = beside(f, "chat_template.jinja") || beside(f, "chat_template.json");
        r->has_generation = beside(f, "generation_config.json");
        r->has_processor = beside(f, "processor_config.json") || beside(f, "preprocessor_config.json");
    }
}

static void look(const struct wd_weights *w, const struct wd_drafter_weights *drafter,
                 uint32_t positions, struct report *r)
{
    const struct wd_tensor_file *files[] = {w->text, w->media};
    uint64_t bounded;

    memset(r, 0, sizeof *r);
    r->w = w;
    r->drafter = drafter;
    r->s = &w->shape;
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; files[k] && i < wd_tensor_file_count(files[k]); i++)
            count_tensor(r, wd_tensor_file_at(files[k], i));
    for (uint32_t l = 0; l < r->s->n_layers; l++)
        r->n_full += r->s->layers[l].full;
    wd_kv_position_bytes(r->s, &r->kv_sliding, &r->kv_full);
    r->window = positions == 0;
    r->positions = r->window ? WINDOW_FRAMES + WINDOW_TOKENS : positions;
    bounded = r->positions < r->s->window ? r->positions : r->s->window;
    r->kv_bytes = bounded * r->kv_sliding + (uint64_t)r->positions * r->kv_full;
    r->all_bytes = r->total + r->kv_bytes +
                   (drafter ? drafter->mapped_bytes + wd_drafter_scratch_bytes(drafter, r->s) : 0);
    look_beside(r);
}

static const char *form_name(const struct report *r)
{
    return wd_tensor_file_form(r->w->text) == WD_FORM_GGUF ? "GGUF" : "safetensors";
}

/* "13.9 MB"; one of four buffers in turn. */
static const char *size(uint64_t bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    static char text[4][32];
    static unsigned turn;
    char *out = text[turn++ % 4];
    double v = (double)bytes;
    size_t u = 0;

    while (v >= 1000 && u + 1 < sizeof units / sizeof *units) {
        v /= 1000;
        u++;
    }
    snprintf(out, sizeof text[0], u ? "%.1f %s" : "%.0f %s", v, units[u]);
    return out;
}

/* 11959730224 -> "11,959,730,224" */
static const char *grouped(uint64_t n, char out[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n), k = 0;

    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            out[k++] = ',';
        out[k++] = digits[i];
    }
    out[k] = '\0';
    return out;
}

static const char *media_text(const struct wd_shape *s)
{
    if (s->has_audio && s->has_vision)
        return "sound, pictures";
    return s->has_audio ? "sound" : s->has_vision ? "pictures" : "none, text only";
}

/* What a person would look for and not find; i counts up, NULL ends. */
static const char *missing(const struct report *r, size_t i)
{
    const char *list[6] = {0};
    size_t n = 0;

    if (!r->s->has_audio && !r->s->has_vision && wd_tensor_file_form(r->w->text) == WD_FORM_GGUF)
        list[n++] = "the media part (a *mmproj*.gguf beside the file): it hears and sees nothing";
    else if (!r->s->has_audio)
        list[n++] = "the audio front end: it hears nothing";
    else if (!r->s->has_vision)
        list[n++] = "the vision front end: it sees nothing";
    if (r->s->n_stop == 0)
        list[n++] = "stop tokens: an answer does not end by itself";
    if (r->tokenizer[0])
        list[n++] = r->tokenizer;
    if (!r->has_template)
        list[n++] = "a chat template: prompts are made without it";
    if (!r->has_generation)
        list[n++] = "generation_config.json: stop tokens are those of config.json";
    if (!r->has_processor && (r->s->has_vision || r->s->has_audio))
        list[n++] = "processor settings: the family's own are used";
    return i < n && i < sizeof list / sizeof *list ? list[i] : NULL;
}

static void print_table(const struct report *r)
{
    const struct wd_shape *s = r->s;
    char number[32];

    printf("%-18s %s\n", "name", s->name);
    printf("%-18s %s\n", "file", wd_tensor_file_path(r->w->text));
    if (r->w->media)
        printf("%-18s %s\n", "media file", wd_tensor_file_path(r->w->media));
    printf("%-18s %s, %s\n", "form", form_name(r), size(r->w->mapped_bytes));
    printf("%-18s %s: %u layers (%u sliding, %u full), width %u, %u heads\n", "family", s->family,
           s->n_layers, s->n_layers - r->n_full, r->n_full, s->d_model, s->n_heads);
    printf("%-18s %s\n", "parameters", grouped(r->parameters, number));
    printf("%-18s %u tokens, sliding window %u\n", "context", s->n_context, s->window);
    printf("%-18s %s pieces\n", "vocabulary", grouped(s->n_vocab, number));
    printf("%-18s %s\n", "media", media_text(s));
    printf("%-18s %s\n", "missing", missing(r, 0) ? missing(r, 0) : "nothing");
    for (size_t i = 1; missing(r, i); i++)
        printf("%-18s %s\n", "", missing(r, i));

    printf("\n%-18s %8s %12s\n", "tensors", "count", "size");
    for (size_t i = 0; i < r->n_types; i++)
        printf("  %-16s %8" PRIu64 " %12s\n", wd_type_name(r->types[i].type), r->types[i].n,
               size(r->types[i].bytes));
    printf("  %-16s %8zu %12s\n", "all", r->n_tensors, size(r->total));

    printf("\n%-18s %8s %12s\n", "memory", "share", "size");
    for (int p = 0; p < N_PARTS; p++)
        if (r->bytes[p])
            printf("  %-16s %7.1f%% %12s\n", parts[p].text,
                   100 * (double)r->bytes[p] / (double)r->total, size(r->bytes[p]));

    if (r->drafter) {
        const struct wd_drafter_weights *d = r->drafter;

        printf("\n%-18s %s\n", "drafter", wd_tensor_file_path(d->file));
        printf("  %-25s %12s  (%u layers, width %u)\n", "weights", size(d->mapped_bytes),
               d->n_layers, d->d_model);
        printf("  %-25s %12s\n", "activations", size(wd_drafter_scratch_bytes(d, s)));
    }

    printf("\n%-18s %8s %12s\n", "keys and values", "", "size");
    printf("  %-25s %12s\n", "a token, sliding layers", size(r->kv_sliding));
    printf("  %-25s %12s\n", "a token, full layers", size(r->kv_full));
    if (r->window)
        printf("  %-25s %12s  (%u frames of sound, %u tokens)\n", "a window of 15 s",
               size(r->kv_bytes), WINDOW_FRAMES, WINDOW_TOKENS);
    else
        printf("  %-25s %12s  (%u tokens)\n", "the context asked for", size(r->kv_bytes), r->positions);
    printf("  %-25s %12s  (weights%s, keys and values of one stream)\n", "all together", size(r->all_bytes),
           r->drafter ? ", drafter" : "");
}

static int print_json(const struct report *r)
{
    const struct wd_shape *s = r->s;
    json_t *types = json_array(), *memory = json_object(), *lacks = json_array(), *top;
    int ok;

    for (size_t i = 0; i < r->n_types; i++)
        json_array_append_new(
            types, json_pack("{s:s,s:I,s:I}", "type", wd_type_name(r->types[i].type), "tensors",
                             (json_int_t)r->types[i].n, "bytes", (json_int_t)r->types[i].bytes));
    for (int p = 0; p < N_PARTS; p++)
        json_object_set_new(memory, parts[p].key, json_integer((json_int_t)r->bytes[p]));
    json_object_set_new(memory, "total", json_integer((json_int_t)r->total));
    for (size_t i = 0; missing(r, i); i++)
        json_array_append_new(lacks, json_string(missing(r, i)));
    /* Names come from files: what is not UTF-8 there becomes null here. */
    top = json_pack(
        "{s:o*,s:o*,s:o*,s:s,s:s,s:I,s:I,s:I,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:b,s:b,s:o,s:o,s:{s:"
        "I,s:I,s:i,s:i,s:I},s:I,s:o}", //
        "name", json_string(s->name), "file", json_string(wd_tensor_file_path(r->w->text)),
        "media_file", r->w->media ? json_string(wd_tensor_file_path(r->w->media)) : json_null(),
        "form", form_name(r), "family", s->family, "bytes", (json_int_t)r->w->mapped_bytes,
        "parameters", (json_int_t)r->parameters, "tensors", (json_int_t)r->n_tensors, "layers",
        (int)s->n_layers, "full_layers", (int)r->n_full, "width", (int)s->d_model, "feed_forward",
        (int)s->d_ff, "heads", (int)s->n_heads, "context", (int)s->n_context, "sliding_window",
        (int)s->window, "vocabulary", (int)s->n_vocab, "audio", s->has_audio, "vision",
        s->has_vision, "types", types, "memory", memory, "kv", //
        "sliding_bytes_per_token", (json_int_t)r->kv_sliding, "full_bytes_per_token",
        (json_int_t)r->kv_full, "window_s", r->window ? WINDOW_S : 0, "window_positions",
        (int)r->positions, "window_bytes", (json_int_t)r->kv_bytes, "all_bytes",
        (json_int_t)r->all_bytes, "missing", lacks);
    if (top && r->drafter)
        json_object_set_new(top, "drafter",
                            json_pack("{s:o*,s:I,s:I,s:i,s:i}", "file",
                                      json_string(wd_tensor_file_path(r->drafter->file)), "bytes",
                                      (json_int_t)r->drafter->mapped_bytes, "scratch_bytes",
                                      (json_int_t)wd_drafter_scratch_bytes(r->drafter, s), "layers",
                                      (int)r->drafter->n_layers, "width",
                                      (int)r->drafter->d_model));
    ok = top && json_dumpf(top, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF;
    json_decref(top);
    return ok ? EX_OK : EX_SOFTWARE;
}

int wd_cli_model_show(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"context", required_argument, NULL, 'c'},
                                            {"drafter", required_argument, NULL, 'd'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    const char *drafter_path = NULL;
    struct wd_drafter_weights *drafter = NULL;
    struct wd_weights *w;
    struct wd_err err = {0};
    struct report report;
    char path[PATH_MAX];
    bool json = false;
    long context = 0;
    int c, code = EX_OK;

    optind = 1;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'h')
            return usage(stdout);
        if (c == 'd')
            drafter_path = optarg;
        else if (c == 'j')
            json = true;
        else if (c != 'c' || !wd_cli_number(optarg, 1, INT_MAX, &context))
            return usage(stderr);
    }
    if (optind + 1 != argc)
        return usage(stderr);
    w = calloc(1, sizeof *w);
    if (!w)
        return EX_OSERR;
    if (wd_paths_model(argv[optind], path, sizeof path, &err) < 0 ||
        wd_weights_open(path, NULL, w, &err) < 0) {
        free(w);
        return wd_cli_fail(&err);
    }
    if (context > (long)w->shape.n_context) {
        fprintf(stderr, "witness: --context %ld: the model's context is %u tokens\n", context, w->shape.n_context);
        wd_weights_done(w);
        free(w);
        return EX_USAGE;
    }
    if (drafter_path) {
        drafter = calloc(1, sizeof *drafter);
        if (!drafter ||
            wd_drafter_weights_open(drafter_path, &w->shape, drafter, &err) < 0) {
            free(drafter);
            wd_weights_done(w);
            free(w);
            return err.code ? wd_cli_fail(&err) : EX_OSERR;
        }
    }
    look(w, drafter, (uint32_t)context, &report);
    if (json)
        code = print_json(&report);
    else
        print_table(&report);
    if (drafter)
        wd_drafter_weights_done(drafter);
    free(drafter);
    wd_weights_done(w);
    free(w);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "witness: cannot write to standard output\n");
        return EX_IOERR;
    }
    return code;
}
