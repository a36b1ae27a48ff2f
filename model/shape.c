/* model/shape.c - reads the sizes of a checkpoint, then checks that they can be. */
#include "model/shape.h"

#include "model/gemma4.h"
#include "model/shape_parts.h"
#include "model/tensor_file.h"
#include "base/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bounds are generous, and small enough that no size computed from them overflows 64 bits. */
#define MAX_WIDTH (1u << 17)
#define MAX_HEADS 1024u
#define MAX_HEAD_DIM 1024u
#define MAX_VOCAB (1u << 24)
#define MAX_CONTEXT (1u << 27)

struct check {
    const char *path;
    struct wd_err *err;
};

static int in_range(const struct check *c, const char *what, uint32_t value, uint32_t max)
{
    if (value >= 1 && value <= max)
        return 0;
    return wd_err_set(c->err, -EINVAL, "%s: %s is %u, expected 1 to %u", c->path, what, value, max);
}

static int check_layer(const struct check *c, const struct wd_shape *s, uint32_t l)
{
    const struct wd_layer_shape *y = &s->layers[l];

    if (y->n_kv_heads < 1 || s->n_heads % y->n_kv_heads)
        return wd_err_set(c->err, -EINVAL, "%s: layer %u: %u heads cannot share %u key/value heads",
                          c->path, l, s->n_heads, y->n_kv_heads);
    if (y->head_dim < 2 || y->head_dim > MAX_HEAD_DIM || y->head_dim % 2)
        return wd_err_set(c->err, -EINVAL,
                          "%s: layer %u: head size %u, expected an even number from 2 to %u",
                          c->path, l, y->head_dim, MAX_HEAD_DIM);
    if (y->n_rotated > y->head_dim / 2)
        return wd_err_set(c->err, -EINVAL, "%s: layer %u: %u rotating pairs in a head of %u",
                          c->path, l, y->n_rotated, y->head_dim);
    if (!(y->theta > 0) || !isfinite(y->theta))
        return wd_err_set(c->err, -EINVAL, "%s: layer %u: rotary base %g", c->path, l,
                          (double)y->theta);
    /* A pass computes one rotation for each of the two kinds. */
    for (uint32_t k = 0; k < l; k++)
        if (s->layers[k].full == y->full &&
            (s->layers[k].head_dim != y->head_dim || s->layers[k].n_rotated != y->n_rotated))
            return wd_err_set(c->err, -ENOTSUP,
                              "%s: layers %u and %u are both %s, but have heads of %u and %u",
                              c->path, k, l, y->full ? "full" : "sliding", s->layers[k].head_dim,
                              y->head_dim);
    return 0;
}

static int check_id(const struct check *c, const struct wd_shape *s, const char *what, int32_t id)
{
    if (id >= -1 && (id < 0 || (uint32_t)id < s->n_vocab))
        return 0;
    return wd_err_set(c->err, -EINVAL, "%s: %s is id %d, but the vocabulary has %u", c->path, what,
                      id, s->n_vocab);
}

static int check_ids(const struct check *c, const struct wd_shape *s)
{
    const struct {
        const char *what;
        int32_t id;
    } ids[] = {
        {"bos", s->bos},
        {"pad", s->pad},
        {"begin of image", s->boi},
        {"end of image", s->eoi},
        {"image", s->image},
        {"video", s->video},
        {"begin of audio", s->boa},
        {"end of audio", s->eoa},
        {"audio", s->audio},
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < sizeof ids / sizeof *ids; i++)
        r = check_id(c, s, ids[i].what, ids[i].id);
    for (uint32_t i = 0; r == 0 && i < s->n_stop; i++)
        r = check_id(c, s, "a stop token", s->stop[i]);
    for (uint32_t i = 0; r == 0 && i < s->n_suppress; i++)
        r = check_id(c, s, "a suppressed token", s->suppress[i]);
    if (r == 0 && s->has_vision && s->image < 0)
        r = wd_err_set(c->err, -EINVAL, "%s: has a vision part but no id for an image's slots",
                       c->path);
    if (r == 0 && s->has_audio && s->audio < 0)
        r = wd_err_set(c->err, -EINVAL, "%s: has an audio part but no id for a sound's slots",
                       c->path);
    return r;
}

static int check_eps(const struct check *c, const char *what, float eps)
{
    if (eps > 0 && eps < 1)
        return 0;
    return wd_err_set(c->err, -EINVAL, "%s: %s is %g, expected a small positive number", c->path,
                      what, (double)eps);
}

static int check(const struct check *c, const struct wd_shape *s)
{
    int r = in_range(c, "the width", s->d_model, MAX_WIDTH);

    if (r == 0)
        r = in_range(c, "the number of layers", s->n_layers, WD_SHAPE_MAX_LAYERS);
    if (r == 0)
        r = in_range(c, "the width of the feed-forward part", s->d_ff, 1u << 20);
    if (r == 0)
        r = in_range(c, "the number of heads", s->n_heads, MAX_HEADS);
    if (r == 0)
        r = in_range(c, "the size of the vocabulary", s->n_vocab, MAX_VOCAB);
    if (r == 0)
        r = in_range(c, "the sliding window", s->window, MAX_CONTEXT);
    if (r == 0)
        r = in_range(c, "the context", s->n_context, MAX_CONTEXT);
    if (r == 0)
        r = check_eps(c, "the norms' epsilon", s->eps);
    if (r == 0 && !(s->softcap >= 0 && isfinite(s->softcap)))
        r = wd_err_set(c->err, -EINVAL, "%s: the logits' soft cap is %g", c->path,
                       (double)s->softcap);
    for (uint32_t l = 0; r == 0 && l < s->n_layers; l++)
        r = check_layer(c, s, l);
    if (r == 0 && s->has_vision)
        r = in_range(c, "the width of the patch embedder", s->mm_embed, MAX_WIDTH);
    if (r == 0 && s->has_vision)
        r = in_range(c, "the length of the position table", s->mm_positions, 1u << 16);
    if (r == 0 && s->has_vision)
        r = check_eps(c, "the vision part's epsilon", s->vision_eps);
    if (r == 0 && s->has_audio)
        r = check_eps(c, "the audio part's epsilon", s->audio_eps);
    return r ? r : check_ids(c, s);
}

/* The last part of the path, for files that have no name of their own. */
static void name_from_path(const char *path, char *out, size_t cap)
{
    char *real = NULL;
    const char *base;
    size_t n;

    /* "." says nothing: ask for the folder's real name. */
    n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    if (path[n - 1] == '.' || path[n - 1] == '/')
        real = realpath(path, NULL);
    if (real) {
        path = real;
        n = strlen(path);
    }
    base = path + n;
    while (base > path && base[-1] != '/')
        base--;
    snprintf(out, cap, "%.*s", (int)(path + n - base), base);
    free(real);
}

/* The name goes to terminals and into JSON: what is not printable UTF-8 becomes '?'. A character
 * that was cut at the end is dropped. */
static void make_printable(char *s)
{
    size_t n = strlen(s), used;
    uint32_t cp;

    for (size_t i = 0; i < n; i += used) {
        bool good = wd_utf8_next(s + i, n - i, &cp, &used);

        if (good && cp >= 0x20 && (cp < 0x7f || cp > 0x9f))
            continue;
        if (!good && i + used == n && used < 4 && n + 4 > sizeof((struct wd_shape *)0)->name)
            s[i] = '\0';
        else
            memset(s + i, '?', used);
    }
}

int wd_shape_read(const struct wd_tensor_file *text, const struct wd_tensor_file *media,
                  struct wd_shape *ret, struct wd_err *err)
{
    struct check c = {.path = wd_tensor_file_path(text), .err = err};
    struct wd_shape *s =
        calloc(1, sizeof *s); /* too large for a thread's stack; written to ret only when right */
    int r;

    if (!s)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", c.path);
    s->bos = s->pad = s->boi = s->eoi = s->image = s->video = s->boa = s->eoa = s->audio = -1;
    s->eps = s->vision_eps = s->audio_eps = 1e-6f;
    if (wd_tensor_file_form(text) == WD_FORM_GGUF)
        r = wd_shape_from_gguf(text, media, s, err);
    else if (media)
        r = wd_err_set(err, -EINVAL, "%s: a folder holds its own media part; %s cannot be added",
                       c.path, wd_tensor_file_path(media));
    else
        r = wd_shape_from_json(text, s, err);
    if (r == 0)
        r = check(&c, s);
    if (r == 0) {
        s->embed_scale = sqrtf((float)s->d_model);
        if (!s->name[0])
            name_from_path(c.path, s->name, sizeof s->name);
        make_printable(s->name);
        *ret = *s;
    }
    free(s);
    return r;
}
