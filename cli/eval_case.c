/* cli/eval_case.c - a prompt written by hand as JSON: ids, text, sounds, pictures and clips in order -> what a decoder is fed. */
#include "cli/eval_case.h"

#include "model/engine.h"
#include "model/tokenizer.h"
#include "pipeline/clip.h"
#include "pipeline/media_file.h"
#include "pipeline/picture.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#define MAX_ITEMS 65536
#define DEFAULT_BUDGET 280 /* of the 12B */
#define SMALL_BUDGET 70

struct wd_eval_case {
    struct wd_span *spans;
    void **owned; /* one malloc'ed block a span */
    uint32_t n, room, rows;
};

struct reading {
    const char *path;
    const struct wd_engine *engine;
    struct wd_eval_case *c;
    size_t item;
    struct wd_err *err;
};

static int bad(struct reading *r, const char *what)
{
    return wd_err_set(r->err, -EINVAL, "%s: items[%zu]: %s", r->path, r->item, what);
}

/* Room for n more spans. */
static int reserve(struct reading *r, uint32_t n)
{
    struct wd_eval_case *c = r->c;
    uint32_t room = c->n + n;
    struct wd_span *spans;
    void **owned;

    if (room <= c->room)
        return 0;
    room += room / 2;
    spans = realloc(c->spans, room * sizeof *spans);
    if (spans)
        c->spans = spans;
    owned = realloc(c->owned, room * sizeof *owned);
    if (owned)
        c->owned = owned;
    if (!spans || !owned)
        return wd_err_set(r->err, -ENOMEM, "%s: out of memory", r->path);
    c->room = room;
    return 0;
}

/* takes block; there is room */
static void own(struct wd_eval_case *c, struct wd_span span, void *block)
{
    c->owned[c->n] = block;
    c->spans[c->n++] = span;
    c->rows += span.n;
}

static void beside(const struct reading *r, const char *name, char *out, size_t cap)
{
    const char *slash = strrchr(r->path, '/');

    if (name[0] == '/' || !slash)
        snprintf(out, cap, "%s", name);
    else
        snprintf(out, cap, "%.*s/%s", (int)(slash - r->path), r->path, name);
}

static int add_id(struct reading *r, json_int_t id)
{
    int32_t *ids;

    if (id < 0 || id > INT32_MAX)
        return bad(r, "an id must be a number from 0 up to the vocabulary's size");
    ids = malloc(sizeof *ids);
    if (!ids)
        return wd_err_set(r->err, -ENOMEM, "%s: out of memory", r->path);
    ids[0] = (int32_t)id;
    own(r->c, (struct wd_span){.kind = WD_SPAN_TOKENS, .n = 1, .ids = ids}, ids);
    return 0;
}

static int add_text(struct reading *r, const char *text, size_t len)
{
    const struct wd_tokenizer *t = wd_engine_tokenizer(r->engine);
    int32_t *ids = malloc((len + 1) * sizeof *ids);
    int64_t n;

    if (!ids)
        return wd_err_set(r->err, -ENOMEM, "%s: out of memory", r->path);
    n = wd_tokenizer_encode(t, text, len, false, ids, len + 1);
    if (n <= 0) {
        free(ids);
        return n == 0 ? 0 : bad(r, "the text cannot be tokenized");
    }
    own(r->c, (struct wd_span){.kind = WD_SPAN_TOKENS, .n = (uint32_t)n, .ids = ids}, ids);
    return 0;
}

static int add_sound(struct reading *r, const char *name)
{
    char path[PATH_MAX];
    float *pcm, *padded;
    size_t n, frames;
    int code;

    beside(r, name, path, sizeof path);
    code = wd_media_file_sound(path, &pcm, &n, r->err);
    if (code < 0)
        return code;
    frames = (n + 639) / 640;
    padded = realloc(pcm, (frames * 640 + 1) * sizeof *pcm);
    if (!padded) {
        free(pcm);
        return wd_err_set(r->err, -ENOMEM, "%s: out of memory", path);
    }
    memset(padded + n, 0, (frames * 640 - n) * sizeof *padded);
    if (frames == 0) {
        free(padded);
        return 0;
    }
    own(r->c, (struct wd_span){.kind = WD_SPAN_AUDIO, .n = (uint32_t)frames, .pcm = padded}, padded);
    return 0;
}

/* A position table with fewer places than a picture may have patches a side belongs to a model for small pictures. */
static uint32_t default_budget(const struct wd_engine *e)
{
    return wd_engine_shape(e)->mm_positions < DEFAULT_BUDGET ? SMALL_BUDGET : DEFAULT_BUDGET;
}

/* rgb [h][w][3], resized within the budget, becomes a span. */
static int add_rgb(struct reading *r, const uint8_t *rgb, uint32_t w, uint32_t h, uint32_t budget, bool video)
{
    struct wd_picture_resizer *resizer;
    uint32_t tw, th;
    uint8_t *to;
    int code;

    if (wd_picture_size(w, h, budget, &tw, &th) < 0)
        return bad(r, "no size within the budget fits this picture");
    to = malloc((size_t)tw * th * 3);
    code = to ? wd_picture_resizer_new(&resizer, r->err) : wd_err_set(r->err, -ENOMEM, "%s: out of memory", r->path);
    if (code == 0) {
        code = wd_picture_resize(resizer, rgb, (size_t)w * 3, w, h, to, tw, th, r->err);
        wd_picture_resizer_free(resizer);
    }
    if (code < 0) {
        free(to);
        return code;
    }
    own(r->c,
        (struct wd_span){.kind = WD_SPAN_PICTURE, .n = (tw / 48) * (th / 48), .rgb = to, .grid_w = tw / 48, .grid_h = th / 48,
                         .video = video},
        to);
    return 0;
}

static int add_picture(struct reading *r, const char *name, json_int_t budget)
{
    char path[PATH_MAX];
    uint8_t *rgb;
    uint32_t w, h;
    int code;

    if (budget && budget != 70 && budget != 140 && budget != 280 && budget != 560 && budget != 1120)
        return bad(r, "max_soft_tokens must be 70, 140, 280, 560 or 1120");
    beside(r, name, path, sizeof path);
    code = wd_media_file_picture(path, &rgb, &w, &h, r->err);
    if (code < 0)
        return code;
    code = add_rgb(r, rgb, w, h, budget ? (uint32_t)budget : default_budget(r->engine), false);
    free(rgb);
    return code;
}

/* One frame: its time, begin of image, its rows, end of image. */
static int add_frame(void *arg, uint32_t i, const char *time, const uint8_t *rgb, uint32_t w, uint32_t h, struct wd_err *err)
{
    struct reading *r = arg;
    const struct wd_shape *s = wd_engine_shape(r->engine);
    char text[48];
    int code = reserve(r, 4), n = snprintf(text, sizeof text, "%s%s ", i ? " " : "", time);

    (void)err; /* is r->err */
    if (code == 0)
        code = add_text(r, text, (size_t)n);
    if (code == 0)
        code = add_id(r, s->boi);
    if (code == 0)
        code = add_rgb(r, rgb, w, h, WD_CLIP_BUDGET, true);
    return code == 0 ? add_id(r, s->eoi) : code;
}

static int add_clip(struct reading *r, const char *name, json_int_t frames)
{
    char path[PATH_MAX];

    if (wd_engine_shape(r->engine)->boi < 0 || wd_engine_shape(r->engine)->eoi < 0)
        return bad(r, "this model has no ids around pictures");
    if (frames < 1 || frames > WD_CLIP_MOST_FRAMES)
        return bad(r, "num_frames must be 1 to 1024");
    beside(r, name, path, sizeof path);
    return wd_media_file_video(path, (uint32_t)frames, add_frame, r, r->err);
}

static int add_item(struct reading *r, const json_t *item)
{
    const json_t *audio = json_object_get(item, "audio"), *image = json_object_get(item, "image"), *text = json_object_get(item, "text"),
                 *budget = json_object_get(item, "max_soft_tokens"), *video = json_object_get(item, "video"),
                 *frames = json_object_get(item, "num_frames");
    int code = reserve(r, 1);

    if (code < 0)
        return code;

    if (json_is_integer(item))
        return add_id(r, json_integer_value(item));
    if (json_is_string(text) && json_object_size(item) == 1)
        return add_text(r, json_string_value(text), json_string_length(text));
    if (json_is_string(audio) && json_object_size(item) == 1)
        return add_sound(r, json_string_value(audio));
    if (json_is_string(image) && json_object_size(item) == 1u + (budget != NULL) && (!budget || json_is_integer(budget)))
        return add_picture(r, json_string_value(image), json_integer_value(budget));
    if (json_is_string(video) && json_object_size(item) == 1u + (frames != NULL) && (!frames || json_is_integer(frames)))
        return add_clip(r, json_string_value(video), frames ? json_integer_value(frames) : WD_CLIP_FRAMES);
    return bad(r, "expected an id, {\"text\": ...}, {\"audio\": FILE}, {\"image\": FILE, \"max_soft_tokens\": N} or "
                  "{\"video\": FILE, \"num_frames\": N}");
}

/* Neighbouring tokens become one span: single ids would be many. */
static void join_tokens(struct wd_eval_case *c)
{
    uint32_t to = 0;

    for (uint32_t i = 0; i < c->n; i++) {
        struct wd_span *last = to ? &c->spans[to - 1] : NULL;
        int32_t *ids = last && last->kind == WD_SPAN_TOKENS && c->spans[i].kind == WD_SPAN_TOKENS
                           ? realloc(c->owned[to - 1], (last->n + c->spans[i].n) * sizeof *ids)
                           : NULL;

        if (ids) {
            memcpy(ids + last->n, c->spans[i].ids, c->spans[i].n * sizeof *ids);
            last->ids = c->owned[to - 1] = ids;
            last->n += c->spans[i].n;
            free(c->owned[i]);
        } else {
            c->owned[to] = c->owned[i];
            c->spans[to++] = c->spans[i];
        }
    }
    c->n = to;
}

static int build(const char *path, json_t *root, const json_error_t *je, const struct wd_engine *e, struct wd_eval_case **ret,
                 struct wd_err *err)
{
    struct reading r = {.path = path, .engine = e, .err = err};
    json_t *items, *item;
    int code = 0;

    if (!root)
        return wd_err_set(err, -EINVAL, "%s:%d:%d: %s", path, je->line, je->column, je->text);
    items = json_object_get(root, "items");
    if (!json_is_array(items) || json_array_size(items) == 0 || json_array_size(items) > MAX_ITEMS) {
        json_decref(root);
        return wd_err_set(err, -EINVAL, "%s: \"items\" must be a list of 1 to %d items", path, MAX_ITEMS);
    }
    r.c = calloc(1, sizeof *r.c);
    if (!r.c)
        code = wd_err_set(err, -ENOMEM, "%s: out of memory", path);
    for (r.item = 0; code == 0 && r.item < json_array_size(items); r.item++) {
        item = json_array_get(items, r.item);
        code = add_item(&r, item);
    }
    json_decref(root);
    if (code == 0 && r.c->rows == 0)
        code = wd_err_set(err, -EINVAL, "%s: the prompt is empty", path);
    if (code < 0) {
        wd_eval_case_free(r.c);
        return code;
    }
    join_tokens(r.c);
    *ret = r.c;
    return 0;
}

int wd_eval_case_parse(const char *path, const char *text, const struct wd_engine *e, struct wd_eval_case **ret, struct wd_err *err)
{
    json_error_t je;

    return build(path, json_loads(text, JSON_REJECT_DUPLICATES, &je), &je, e, ret, err);
}

int wd_eval_case_read(const char *path, const struct wd_engine *e, struct wd_eval_case **ret, struct wd_err *err)
{
    json_error_t je;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &je);

    if (!root && json_error_code(&je) == json_error_cannot_open_file)
        return wd_err_set(err, errno ? -errno : -ENOENT, "%s: %s", path, strerror(errno ? errno : ENOENT));
    return build(path, root, &je, e, ret, err);
}

struct wd_eval_case *wd_eval_case_free(struct wd_eval_case *c)
{
    if (!c)
        return NULL;
    for (uint32_t i = 0; c->owned && i < c->n; i++)
        free(c->owned[i]);
    free(c->owned);
    free(c->spans);
    free(c);
    return NULL;
}

const struct wd_span *wd_eval_case_spans(const struct wd_eval_case *c, uint32_t *ret_n)
{
    *ret_n = c->n;
    return c->spans;
}

uint32_t wd_eval_case_rows(const struct wd_eval_case *c)
{
    return c->rows;
}
