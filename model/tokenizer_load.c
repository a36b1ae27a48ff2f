/* model/tokenizer_load.c - fills a tokenizer from tokenizer.json or GGUF metadata.
 * Source: docs/model.md, "Tokenizer". */
#include "model/json_scan.h"
#include "model/tensor_file.h"
#include "model/tokenizer_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The parts of a tokenizer.json: readers that stand before the value; at == NULL: not there. */
struct parts {
    struct wd_json added, normalizer, pre_tokenizer, model;
    struct wd_json vocab, merges; /* of the model */
    struct wd_json_str unk;
    bool has_unk, byte_fallback, ignore_merges, is_bpe, has_affix;
};

struct added {
    uint64_t id;
    struct wd_json_str content;
    bool special, strips;
};

static int json_error(const char *name, const struct wd_json *j, struct wd_err *err)
{
    return wd_err_set(err, -EINVAL, "%s: byte %zu: %s", name, (size_t)(j->at - j->start), j->error);
}

/* Remembers where the value stands and goes on behind it. */
static bool note(struct wd_json *j, struct wd_json *ret)
{
    if (ret->at)
        return wd_json_fail(j, "a key occurs twice");
    wd_json_peek(j);
    *ret = *j;
    return wd_json_skip(j);
}

static bool scan_model(struct parts *p)
{
    struct wd_json *j = &p->model;
    struct wd_json_str key, v;

    if (!wd_json_enter(j, '{'))
        return false;
    while (wd_json_member(j, &key)) {
        char next = wd_json_peek(j);
        bool ok;

        if (wd_json_is(key, "vocab"))
            ok = note(j, &p->vocab);
        else if (wd_json_is(key, "merges"))
            ok = note(j, &p->merges);
        else if (wd_json_is(key, "type") && next == '"')
            ok = wd_json_str(j, &v), p->is_bpe = ok && wd_json_is(v, "BPE");
        else if (wd_json_is(key, "unk_token") && next == '"')
            ok = p->has_unk = wd_json_str(j, &p->unk);
        else if (wd_json_is(key, "byte_fallback") && next != 'n')
            ok = wd_json_bool(j, &p->byte_fallback);
        else if (wd_json_is(key, "ignore_merges") && next != 'n')
            ok = wd_json_bool(j, &p->ignore_merges);
        else if ((wd_json_is(key, "continuing_subword_prefix") ||
                  wd_json_is(key, "end_of_word_suffix")) &&
                 next == '"')
            ok = wd_json_str(j, &v), p->has_affix |= ok && v.len > 0;
        else
            ok = wd_json_skip(j);
        if (!ok)
            return false;
    }
    return !j->error;
}

static bool scan_top(struct wd_json *j, struct parts *p)
{
    struct wd_json_str key;

    if (!wd_json_enter(j, '{'))
        return false;
    while (wd_json_member(j, &key)) {
        bool ok;

        if (wd_json_is(key, "added_tokens"))
            ok = note(j, &p->added);
        else if (wd_json_is(key, "normalizer"))
            ok = note(j, &p->normalizer);
        else if (wd_json_is(key, "pre_tokenizer"))
            ok = note(j, &p->pre_tokenizer);
        else if (wd_json_is(key, "model"))
            ok = note(j, &p->model);
        else
            ok = wd_json_skip(j);
        if (!ok)
            return false;
    }
    return wd_json_done(j);
}

/* {"type": type, "pattern": {"String": " "}, ...}: what a Gemma tokenizer has as its normalizer and
 * may have as its pre-tokenizer. With `content`, that must be U+2581. Anything else would change
 * the ids, so it is refused. */
static bool is_space_rule(struct wd_json j, const char *type, bool content)
{
    struct wd_json_str key, v;
    bool type_ok = false, pattern_ok = false, content_ok = !content;

    if (wd_json_peek(&j) != '{' || !wd_json_enter(&j, '{'))
        return false;
    while (wd_json_member(&j, &key)) {
        char text[8];

        if (wd_json_is(key, "type") && wd_json_peek(&j) == '"') {
            type_ok = wd_json_str(&j, &v) && wd_json_is(v, type);
        } else if (wd_json_is(key, "pattern") && wd_json_peek(&j) == '{') {
            wd_json_enter(&j, '{');
            while (wd_json_member(&j, &key)) {
                if (wd_json_is(key, "String") && wd_json_peek(&j) == '"')
                    pattern_ok = wd_json_str(&j, &v) && wd_json_is(v, " ");
                else if (!wd_json_skip(&j))
                    return false;
            }
        } else if (content && wd_json_is(key, "content") && wd_json_peek(&j) == '"') {
            content_ok = wd_json_str(&j, &v) && v.len <= sizeof text &&
                         wd_json_unescape(v, text) == 3 && !memcmp(text, "\xe2\x96\x81", 3);
        } else if (!wd_json_skip(&j)) {
            return false;
        }
    }
    return !j.error && type_ok && pattern_ok && content_ok;
}

static bool is_null(struct wd_json j)
{
    return !j.at || wd_json_peek(&j) == 'n';
}

static int check_kind(const char *name, const struct parts *p, struct wd_err *err)
{
    if (!p->is_bpe)
        return wd_err_set(err, -ENOTSUP, "%s: model.type is not 'BPE'", name);
    if (p->ignore_merges || p->has_affix)
        return wd_err_set(err, -ENOTSUP,
                          "%s: ignore_merges or word affixes, which this tokenizer does not do",
                          name);
    if (!p->vocab.at || !p->merges.at)
        return wd_err_set(err, -EINVAL, "%s: model.vocab or model.merges is missing", name);
    if (!p->normalizer.at || !is_space_rule(p->normalizer, "Replace", true))
        return wd_err_set(err, -ENOTSUP,
                          "%s: the normalizer is not the replacement of spaces by U+2581", name);
    if (!is_null(p->pre_tokenizer) && !is_space_rule(p->pre_tokenizer, "Split", false))
        return wd_err_set(err, -ENOTSUP, "%s: a pre-tokenizer that this tokenizer does not do",
                          name);
    return 0;
}

static bool read_added(struct wd_json *j, struct added *a)
{
    struct wd_json_str key;
    bool has_id = false, has_content = false, flag;

    *a = (struct added){0};
    if (!wd_json_enter(j, '{'))
        return false;
    while (wd_json_member(j, &key)) {
        bool ok;

        if (wd_json_is(key, "id"))
            ok = has_id = wd_json_u64(j, &a->id);
        else if (wd_json_is(key, "content"))
            ok = has_content = wd_json_str(j, &a->content);
        else if (wd_json_is(key, "special"))
            ok = wd_json_bool(j, &a->special);
        else if (wd_json_is(key, "lstrip") || wd_json_is(key, "rstrip") ||
                 wd_json_is(key, "single_word"))
            ok = wd_json_bool(j, &flag), a->strips |= ok && flag;
        else
            ok = wd_json_skip(j);
        if (!ok)
            return false;
    }
    if (!j->error && (!has_id || !has_content))
        return wd_json_fail(j, "an added token without id or content");
    return !j->error;
}

/* Calls for each added token; stops where it says false. */
static bool each_added(const struct parts *p, struct wd_json *j,
                       bool (*call)(void *ctx, struct wd_json *j, const struct added *a), void *ctx)
{
    struct added a;

    *j = p->added;
    if (is_null(*j))
        return true;
    if (!wd_json_enter(j, '['))
        return false;
    while (wd_json_element(j))
        if (!read_added(j, &a) || !call(ctx, j, &a))
            return false;
    return !j->error;
}

struct sizes {
    uint64_t n; /* highest id + 1 */
    uint64_t max;
    uint32_t *lens;
    unsigned char *taken;
};

static bool size_added(void *ctx, struct wd_json *j, const struct added *a)
{
    struct sizes *s = ctx;

    if (a->strips)
        return wd_json_fail(j, "an added token that strips its surroundings");
    if (a->id >= s->max)
        return wd_json_fail(j, "an id larger than such a file can have");
    if (a->id >= s->n)
        s->n = a->id + 1;
    return true;
}

static bool len_added(void *ctx, struct wd_json *j, const struct added *a)
{
    struct sizes *s = ctx;
    size_t len = wd_json_unescape(a->content, NULL);

    if (len > WD_PIECE_MAX || len == 0)
        return wd_json_fail(j, "an added token that is empty or too long");
    if (!s->taken[a->id])
        s->lens[a->id] = (uint32_t)len;
    else if (s->lens[a->id] != len)
        return wd_json_fail(j, "an added token whose id the vocabulary gives to another piece");
    s->taken[a->id] = 1;
    return true;
}

/* <|name>, <name|>, <|name|>: markup of the chat format whatever its file calls it, so never to be
 * made from a user's text. */
static bool looks_like_control(const char *s, size_t len)
{
    return len > 3 && s[0] == '<' && s[len - 1] == '>' && (s[1] == '|' || s[len - 2] == '|');
}

static bool put_added(void *ctx, struct wd_json *j, const struct added *a)
{
    struct wd_tokenizer *t = ctx;
    char text[WD_PIECE_MAX];
    char *at = t->text + t->at[a->id];
    size_t len;

    if (wd_json_unescape(a->content, NULL) > sizeof text)
        return wd_json_fail(j, "an added token that is too long");
    len = wd_json_unescape(a->content, text);
    if (len != wd_piece_len(t, (uint32_t)a->id) || (at[0] && memcmp(at, text, len)))
        return wd_json_fail(j, "an added token whose id the vocabulary gives to another piece");
    memcpy(at, text, len);
    t->flags[a->id] =
        a->special || looks_like_control(text, len) ? WD_PIECE_CONTROL : WD_PIECE_ALWAYS;
    return true;
}

/* One walk over the vocabulary: with lens == NULL it finds the highest id, then the lengths, then
 * (t) writes the texts. */
static bool walk_vocab(struct wd_json *j, struct sizes *s, struct wd_tokenizer *t)
{
    struct wd_json_str key;
    uint64_t id, count = 0;

    if (!wd_json_enter(j, '{'))
        return false;
    while (wd_json_member(j, &key)) {
        if (!wd_json_u64(j, &id))
            return false;
        if (id >= s->max)
            return wd_json_fail(j, "an id larger than such a file can have");
        if (t) {
            wd_json_unescape(key, t->text + t->at[id]);
        } else if (s->lens) {
            size_t len = wd_json_unescape(key, NULL);

            if (s->taken[id])
                return wd_json_fail(j, "an id that two pieces have");
            if (len > WD_PIECE_MAX)
                return wd_json_fail(j, "a piece that is too long");
            s->lens[id] = (uint32_t)len;
            s->taken[id] = 1;
        } else if (id >= s->n) {
            s->n = id + 1;
        }
        count++;
    }
    return !j->error && (count > 0 || wd_json_fail(j, "an empty vocabulary"));
}

static bool merge_parts(struct wd_json *j, struct wd_json_str ret[2])
{
    int n = 0;

    if (wd_json_peek(j) == '"')
        return wd_json_str(j, &ret[0]);
    if (!wd_json_enter(j, '['))
        return false;
    while (wd_json_element(j)) {
        if (n == 2)
            return wd_json_fail(j, "expected two pieces to merge");
        if (!wd_json_str(j, &ret[n++]))
            return false;
    }
    return !j->error && (n == 2 || wd_json_fail(j, "expected two pieces to merge"));
}

/* "left right", split at the first space behind the first byte: pieces have U+2581 for theirs. */
static const char *split(const char *s, size_t len)
{
    return len > 1 ? memchr(s + 1, ' ', len - 1) : NULL;
}

static int json_merges(struct wd_tokenizer *t, const char *name, const struct parts *p,
                       struct wd_err *err)
{
    struct wd_json j = p->merges;
    char text[2][2 * WD_PIECE_MAX + 1];
    uint64_t n = 0;
    uint32_t rank = 0;
    int r;

    if (wd_json_enter(&j, '['))
        while (wd_json_element(&j) && wd_json_skip(&j))
            n++;
    if (j.error)
        return json_error(name, &j, err);
    r = wd_tokenizer_alloc_merges(t, name, n, err);
    if (r < 0)
        return r;
    j = p->merges;
    wd_json_enter(&j, '[');
    while (wd_json_element(&j)) {
        struct wd_json_str s[2] = {{0}, {0}};
        const char *left = text[0], *right = text[1];
        size_t len[2];

        if (!merge_parts(&j, s))
            break;
        for (int k = 0; k < 2; k++) {
            if (s[k].raw && wd_json_unescape(s[k], NULL) > sizeof text[0]) {
                wd_json_fail(&j, "a merge that is too long");
                return json_error(name, &j, err);
            }
            len[k] = s[k].raw ? wd_json_unescape(s[k], text[k]) : 0;
        }
        if (!s[1].raw) {
            right = split(left, len[0]);
            if (!right) {
                wd_json_fail(&j, "a merge without a space");
                return json_error(name, &j, err);
            }
            len[1] = (size_t)(left + len[0] - right) - 1;
            len[0] = (size_t)(right - left);
            right++;
        }
        r = wd_tokenizer_add_merge(t, name, rank++, left, len[0], right, len[1], err);
        if (r < 0)
            return r;
    }
    return j.error ? json_error(name, &j, err) : 0;
}

static int json_pieces(struct wd_tokenizer *t, const char *name, const struct parts *p,
                       struct sizes *s, struct wd_err *err)
{
    struct wd_json j = p->vocab;
    int r;

    if (!walk_vocab(&j, s, NULL) || !each_added(p, &j, size_added, s))
        return json_error(name, &j, err);
    s->lens = calloc(s->n, sizeof *s->lens);
    s->taken = calloc(s->n, 1);
    if (!s->lens || !s->taken)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", name);
    j = p->vocab;
    if (!walk_vocab(&j, s, NULL) || !each_added(p, &j, len_added, s))
        return json_error(name, &j, err);
    r = wd_tokenizer_alloc(t, name, (uint32_t)s->n, s->lens, err);
    if (r < 0)
        return r;
    for (uint32_t id = 0; id < t->n; id++)
        if (!s->taken[id])
            t->flags[id] = WD_PIECE_HOLE;
    j = p->vocab;
    if (!walk_vocab(&j, s, t) || !each_added(p, &j, put_added, t))
        return json_error(name, &j, err);
    return wd_tokenizer_index(t, name, true, err);
}

int wd_tokenizer_load_json(struct wd_tokenizer *t, const char *name, const char *json, size_t len,
                           struct wd_err *err)
{
    struct parts p = {0};
    struct sizes s = {.max = len / 4 + 16}; /* each piece costs at least 5 bytes of the file */
    struct wd_json j;
    char unk[WD_PIECE_MAX];
    int r;

    if (s.max > WD_PIECES_MAX)
        s.max = WD_PIECES_MAX;
    t->unk = -1;
    wd_json_init(&j, json, len);
    if (!scan_top(&j, &p))
        return json_error(name, &j, err);
    if (!p.model.at)
        return wd_err_set(err, -EINVAL, "%s: no 'model' in it", name);
    if (!scan_model(&p))
        return json_error(name, &p.model, err);
    r = check_kind(name, &p, err);
    if (r == 0)
        r = json_pieces(t, name, &p, &s, err);
    free(s.lens);
    free(s.taken);
    if (r == 0)
        r = json_merges(t, name, &p, err);
    if (r < 0)
        return r;
    if (p.has_unk && wd_json_unescape(p.unk, NULL) <= sizeof unk)
        t->unk = wd_tokenizer_lookup(t, unk, wd_json_unescape(p.unk, unk));
    if (!p.byte_fallback)
        memset(t->bytes, 0xff, sizeof t->bytes);
    return wd_tokenizer_seal(t, name, err);
}

static int gguf_pieces(struct wd_tokenizer *t, const struct wd_tensor_file *f, uint64_t n,
                       struct wd_err *err)
{
    const char *name = wd_tensor_file_path(f), *s;
    uint32_t *lens = calloc(n, sizeof *lens);
    struct wd_str_iter it;
    size_t len;
    int r = 0;

    if (!lens)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", name);
    if (!wd_tensor_file_strings(f, "tokenizer.ggml.tokens", &it))
        r = wd_err_set(err, -EINVAL, "%s: key 'tokenizer.ggml.tokens' holds no strings", name);
    for (uint64_t i = 0; r == 0 && i < n && wd_str_iter_next(&it, &s, &len); i++)
        lens[i] = len > UINT32_MAX ? UINT32_MAX : (uint32_t)len;
    if (r == 0)
        r = wd_tokenizer_alloc(t, name, (uint32_t)n, lens, err);
    free(lens);
    if (r < 0)
        return r;
    wd_tensor_file_strings(f, "tokenizer.ggml.tokens", &it);
    for (uint32_t i = 0; i < t->n && wd_str_iter_next(&it, &s, &len); i++)
        if (len == wd_piece_len(t, i)) /* the file may have changed since */
            memcpy(t->text + t->at[i], s, len);
    return wd_tokenizer_index(t, name, false, err);
}

static int gguf_merges(struct wd_tokenizer *t, const struct wd_tensor_file *f, struct wd_err *err)
{
    const char *name = wd_tensor_file_path(f), *s, *space;
    struct wd_str_iter it;
    uint32_t rank = 0;
    size_t len;
    int r;

    if (!wd_tensor_file_strings(f, "tokenizer.ggml.merges", &it))
        return wd_err_set(err, -EINVAL,
                          "%s: key 'tokenizer.ggml.merges' is missing or holds no strings", name);
    r = wd_tokenizer_alloc_merges(t, name, it.left, err);
    while (r == 0 && wd_str_iter_next(&it, &s, &len)) {
        space = split(s, len);
        if (!space)
            return wd_err_set(err, -EINVAL, "%s: tokenizer.ggml.merges: element %u has no space",
                              name, rank);
        r = wd_tokenizer_add_merge(t, name, rank++, s, (size_t)(space - s), space + 1,
                                   (size_t)(s + len - space) - 1, err);
    }
    return r;
}

int wd_tokenizer_load_gguf(struct wd_tokenizer *t, const struct wd_tensor_file *f,
                           struct wd_err *err)
{
    const double control = 3,
                 user_defined = 4; /* compared as they come: a file may hold anything, NaN too */
    const char *name = wd_tensor_file_path(f), *model;
    uint64_t n, n_types, id;
    double type;
    size_t len;
    int r;

    t->unk = -1;
    if (!wd_tensor_file_str(f, "tokenizer.ggml.model", &model, &len))
        return wd_err_set(err, -EINVAL, "%s: key 'tokenizer.ggml.model' is missing", name);
    if (len != 6 || memcmp(model, "gemma4", 6))
        return wd_err_set(err, -ENOTSUP, "%s: a tokenizer of kind '%.*s', expected 'gemma4'", name,
                          len > 40 ? 40 : (int)len, model);
    if (!wd_tensor_file_array(f, "tokenizer.ggml.tokens", &n) || n < 1 || n > WD_PIECES_MAX)
        return wd_err_set(err, -EINVAL,
                          "%s: key 'tokenizer.ggml.tokens' is missing, empty or too long", name);
    if (!wd_tensor_file_array(f, "tokenizer.ggml.token_type", &n_types) || n_types != n)
        return wd_err_set(
            err, -EINVAL,
            "%s: key 'tokenizer.ggml.token_type' has not one element for each of %llu pieces", name,
            (unsigned long long)n);
    r = gguf_pieces(t, f, n, err);
    if (r == 0)
        r = gguf_merges(t, f, err);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < t->n; i++)
        if (wd_tensor_file_array_f64(f, "tokenizer.ggml.token_type", i, &type) &&
            (type == control || type == user_defined))
            t->flags[i] |= WD_PIECE_CONTROL;
    /* Published files type <eos> as an ordinary piece; a user's text must not end a turn. */
    if (wd_tensor_file_u64(f, "tokenizer.ggml.eos_token_id", &id) && id < t->n)
        t->flags[id] |= WD_PIECE_CONTROL;
    if (wd_tokenizer_find(t, "<eos>") >= 0)
        t->flags[wd_tokenizer_find(t, "<eos>")] |= WD_PIECE_CONTROL;
    if (wd_tensor_file_u64(f, "tokenizer.ggml.unknown_token_id", &id) && id < t->n)
        t->unk = (int32_t)id;
    return wd_tokenizer_seal(t, name, err);
}
