/* model/tokenizer.c - the tables of a tokenizer: pieces, merges, control strings. */
#include "model/tokenizer.h"

#include "model/tensor_file.h"
#include "model/tokenizer_parts.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

static uint64_t hash_text(const struct wd_tokenizer *t, const char *s, size_t n)
{
    uint64_t h = t->seed ^ n, w;

    for (; n >= 8; s += 8, n -= 8) {
        memcpy(&w, s, 8);
        h = mix(h ^ w) + t->seed;
    }
    w = 0;
    memcpy(&w, s, n);
    return mix(h ^ w);
}

/* Slots for n entries, at most half full. */
static uint32_t slots(uint64_t n)
{
    uint32_t k = 16;

    while (k < 2 * n)
        k *= 2;
    return k;
}

static int no_memory(const char *name, struct wd_err *err)
{
    return wd_err_set(err, -ENOMEM, "%s: out of memory", name);
}

int wd_tokenizer_alloc(struct wd_tokenizer *t, const char *name, uint32_t n, const uint32_t *lens,
                       struct wd_err *err)
{
    uint64_t total = 0;

    t->at = malloc(((size_t)n + 1) * sizeof *t->at);
    t->flags = calloc((size_t)n + 1, 1);
    if (!t->at || !t->flags)
        return no_memory(name, err);
    for (uint32_t i = 0; i < n; i++) {
        if (lens[i] > WD_PIECE_MAX)
            return wd_err_set(err, -EINVAL, "%s: piece %u has %u bytes, expected at most %d", name,
                              i, lens[i], WD_PIECE_MAX);
        t->at[i] = (uint32_t)total;
        total += lens[i] + 1;
        if (total > INT32_MAX)
            return wd_err_set(err, -EINVAL, "%s: the vocabulary is larger than 2 GB", name);
    }
    t->at[n] = (uint32_t)total;
    t->n = n;
    t->text = calloc(total + 1, 1);
    if (!t->text)
        return no_memory(name, err);
    if (getrandom(&t->seed, sizeof t->seed, GRND_NONBLOCK) != sizeof t->seed)
        t->seed = mix((uint64_t)(uintptr_t)t->text);
    return 0;
}

int32_t wd_tokenizer_lookup(const struct wd_tokenizer *t, const char *piece, size_t len)
{
    uint32_t k = (uint32_t)hash_text(t, piece, len) & t->pieces_mask;

    for (; t->pieces[k]; k = (k + 1) & t->pieces_mask) {
        uint32_t id = t->pieces[k] - 1;

        if (wd_piece_len(t, id) == len && !memcmp(t->text + t->at[id], piece, len))
            return (int32_t)id;
    }
    return -1;
}

/* "<0x41>" -> 0x41, else -1. */
static int byte_of(const char *s, size_t len)
{
    int v = 0;

    if (len != 6 || memcmp(s, "<0x", 3) || s[5] != '>')
        return -1;
    for (int i = 3; i < 5; i++) {
        char c = s[i];

        if (c >= '0' && c <= '9')
            v = v * 16 + c - '0';
        else if (c >= 'A' && c <= 'F')
            v = v * 16 + c - 'A' + 10;
        else
            return -1;
    }
    return v;
}

static int add_code_point(struct wd_tokenizer *t, uint32_t cp, uint32_t id)
{
    if (!t->page_of[cp >> 8]) {
        int32_t(*pages)[256] = realloc(t->pages, (t->n_pages + 1) * sizeof *pages);

        if (!pages)
            return -ENOMEM;
        t->pages = pages;
        memset(pages[t->n_pages], 0xff, sizeof *pages);
        t->page_of[cp >> 8] = (uint16_t)++t->n_pages;
    }
    t->pages[t->page_of[cp >> 8] - 1][cp & 255] = (int32_t)id;
    return 0;
}

int wd_tokenizer_index(struct wd_tokenizer *t, const char *name, bool unique, struct wd_err *err)
{
    uint32_t n_slots = slots(t->n);

    t->pieces = calloc(n_slots, sizeof *t->pieces);
    if (!t->pieces)
        return no_memory(name, err);
    t->pieces_mask = n_slots - 1;
    memset(t->bytes, 0xff, sizeof t->bytes);
    for (uint32_t id = 0; id < t->n; id++) {
        const char *s = t->text + t->at[id];
        uint32_t len = wd_piece_len(t, id), cp, k;
        size_t used;
        int b;

        if (t->flags[id] & WD_PIECE_HOLE)
            continue;
        if (wd_tokenizer_lookup(t, s, len) >= 0) {
            if (unique)
                return wd_err_set(err, -EINVAL, "%s: piece '%.64s' occurs twice", name, s);
            continue;
        }
        k = (uint32_t)hash_text(t, s, len) & t->pieces_mask;
        while (t->pieces[k])
            k = (k + 1) & t->pieces_mask;
        t->pieces[k] = id + 1;
        b = byte_of(s, len);
        if (b >= 0) {
            t->bytes[b] = (int32_t)id;
            t->flags[id] |= WD_PIECE_BYTE;
        }
        if (len >= 1 && len <= 4 && wd_utf8_next(s, len, &cp, &used) && used == len &&
            add_code_point(t, cp, id) < 0)
            return no_memory(name, err);
    }
    return 0;
}

int wd_tokenizer_alloc_merges(struct wd_tokenizer *t, const char *name, uint64_t n,
                              struct wd_err *err)
{
    uint32_t n_slots;

    if (n > WD_MERGES_MAX)
        return wd_err_set(err, -EINVAL, "%s: %llu merges, expected at most %u", name,
                          (unsigned long long)n, WD_MERGES_MAX);
    n_slots = slots(n);
    t->merges = malloc(n_slots * sizeof *t->merges);
    t->pairs = calloc((size_t)1 << (WD_PAIR_BITS - 6), sizeof *t->pairs);
    t->joints = calloc((size_t)1 << (WD_JOINT_BITS - 6), sizeof *t->joints);
    if (!t->merges || !t->pairs || !t->joints)
        return no_memory(name, err);
    for (uint32_t k = 0; k < n_slots; k++)
        t->merges[k].left = WD_MERGE_NONE;
    t->merges_mask = n_slots - 1;
    return 0;
}

static uint32_t merge_slot(const struct wd_tokenizer *t, uint32_t left, uint32_t right)
{
    return (uint32_t)mix(((uint64_t)left << 32 | right) ^ t->seed) & t->merges_mask;
}

const struct wd_merge *wd_tokenizer_find_merge(const struct wd_tokenizer *t, uint32_t left,
                                               uint32_t right)
{
    uint32_t k = merge_slot(t, left, right);

    for (; t->merges[k].left != WD_MERGE_NONE; k = (k + 1) & t->merges_mask)
        if (t->merges[k].left == left && t->merges[k].right == right)
            return &t->merges[k];
    return NULL;
}

/* First and last code point. Pieces that take part in a merge must be UTF-8. */
static bool ends(const char *s, size_t len, uint32_t *ret_first, uint32_t *ret_last)
{
    size_t used;

    for (size_t i = 0; i < len; i += used) {
        if (!wd_utf8_next(s + i, len - i, ret_last, &used))
            return false;
        if (i == 0)
            *ret_first = *ret_last;
    }
    return len > 0;
}

static void set_bit(uint64_t *bits, uint64_t k)
{
    bits[k / 64] |= (uint64_t)1 << (k % 64);
}

int wd_tokenizer_add_merge(struct wd_tokenizer *t, const char *name, uint32_t rank,
                           const char *left, size_t left_len, const char *right, size_t right_len,
                           struct wd_err *err)
{
    char both[2 * WD_PIECE_MAX];
    int32_t l = -1, r = -1, id = -1;
    uint32_t first, last, from, to, k;

    if (left_len <= WD_PIECE_MAX && right_len <= WD_PIECE_MAX) {
        memcpy(both, left, left_len);
        memcpy(both + left_len, right, right_len);
        l = wd_tokenizer_lookup(t, left, left_len);
        r = wd_tokenizer_lookup(t, right, right_len);
        id = wd_tokenizer_lookup(t, both, left_len + right_len);
    }
    if (l < 0 || r < 0 || id < 0)
        return wd_err_set(err, -EINVAL,
                          "%s: merge %u: '%.*s' and '%.*s', or both together, are no pieces", name,
                          rank, left_len > 64 ? 64 : (int)left_len, left,
                          right_len > 64 ? 64 : (int)right_len, right);
    if (!ends(left, left_len, &first, &last) || !ends(right, right_len, &from, &to))
        return wd_err_set(err, -EINVAL, "%s: merge %u is not UTF-8", name, rank);
    for (k = merge_slot(t, (uint32_t)l, (uint32_t)r); t->merges[k].left != WD_MERGE_NONE;
         k = (k + 1) & t->merges_mask)
        if (t->merges[k].left == (uint32_t)l && t->merges[k].right == (uint32_t)r)
            break; /* the later one counts */
    t->merges[k] = (struct wd_merge){
        .left = (uint32_t)l, .right = (uint32_t)r, .rank = rank, .id = (uint32_t)id};
    set_bit(t->pairs, wd_tokenizer_bit(t, (uint32_t)l, (uint32_t)r, WD_PAIR_BITS));
    set_bit(t->joints, wd_tokenizer_bit(t, last, from, WD_JOINT_BITS));
    return 0;
}

static int add_string(struct wd_tokenizer *t, uint32_t id)
{
    const unsigned char *s = (const unsigned char *)t->text + t->at[id];
    uint32_t len = wd_piece_len(t, id), node = 0;

    t->starts[1][s[0]] = true;
    if (t->flags[id] & WD_PIECE_ALWAYS)
        t->starts[0][s[0]] = true;
    for (uint32_t i = 0; i < len; i++) {
        uint32_t c = t->trie[node].child;

        while (c && t->trie[c].byte != s[i])
            c = t->trie[c].sibling;
        if (!c) {
            /* Grows by doubling: full whenever the count is a power of two. */
            if ((t->n_trie & (t->n_trie - 1)) == 0) {
                struct wd_trie_node *trie = realloc(t->trie, 2 * (size_t)t->n_trie * sizeof *trie);

                if (!trie)
                    return -ENOMEM;
                t->trie = trie;
            }
            c = t->n_trie++;
            t->trie[c] =
                (struct wd_trie_node){.sibling = t->trie[node].child, .id = -1, .byte = s[i]};
            t->trie[node].child = c;
        }
        node = c;
    }
    if (t->trie[node].id < 0)
        t->trie[node].id = (int32_t)id;
    return 0;
}

int wd_tokenizer_seal(struct wd_tokenizer *t, const char *name, struct wd_err *err)
{
    t->trie = calloc(1, sizeof *t->trie);
    if (!t->trie)
        return no_memory(name, err);
    t->trie[0].id = -1;
    t->n_trie = 1;
    for (uint32_t id = 0; id < t->n; id++)
        if ((t->flags[id] & (WD_PIECE_CONTROL | WD_PIECE_ALWAYS)) && wd_piece_len(t, id) &&
            add_string(t, id) < 0)
            return no_memory(name, err);
    return 0;
}

int wd_tokenizer_from_json(const char *name, const char *json, size_t len,
                           struct wd_tokenizer **ret, struct wd_err *err)
{
    struct wd_tokenizer *t = calloc(1, sizeof *t);
    int r = t ? wd_tokenizer_load_json(t, name, json, len, err) : no_memory(name, err);

    if (r < 0) {
        wd_tokenizer_free(t);
        return r;
    }
    *ret = t;
    return 0;
}

int wd_tokenizer_open(const struct wd_tensor_file *f, struct wd_tokenizer **ret, struct wd_err *err)
{
    struct wd_tokenizer *t;
    char *json;
    size_t len;
    int r;

    if (wd_tensor_file_form(f) == WD_FORM_SAFETENSORS) {
        r = wd_tensor_file_sidecar(f, "tokenizer.json", &json, &len, err);
        if (r < 0)
            return r;
        r = wd_tokenizer_from_json("tokenizer.json", json, len, ret, err);
        free(json);
        if (r < 0)
            wd_err_prefix(err, "%s", wd_tensor_file_path(f));
        return r;
    }
    t = calloc(1, sizeof *t);
    r = t ? wd_tokenizer_load_gguf(t, f, err) : no_memory(wd_tensor_file_path(f), err);
    if (r < 0) {
        wd_tokenizer_free(t);
        return r;
    }
    *ret = t;
    return 0;
}

struct wd_tokenizer *wd_tokenizer_free(struct wd_tokenizer *t)
{
    if (!t)
        return NULL;
    free(t->text);
    free(t->at);
    free(t->flags);
    free(t->pieces);
    free(t->merges);
    free(t->pairs);
    free(t->joints);
    free(t->pages);
    free(t->trie);
    free(t);
    return NULL;
}

uint32_t wd_tokenizer_count(const struct wd_tokenizer *t)
{
    return t->n;
}

int32_t wd_tokenizer_find(const struct wd_tokenizer *t, const char *piece)
{
    return wd_tokenizer_lookup(t, piece, strlen(piece));
}

const char *wd_tokenizer_piece(const struct wd_tokenizer *t, int32_t id)
{
    if (id < 0 || (uint32_t)id >= t->n || (t->flags[id] & WD_PIECE_HOLE))
        return NULL;
    return t->text + t->at[id];
}

bool wd_tokenizer_is_control(const struct wd_tokenizer *t, int32_t id)
{
    return id >= 0 && (uint32_t)id < t->n && (t->flags[id] & WD_PIECE_CONTROL);
}
