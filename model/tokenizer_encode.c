/* model/tokenizer_encode.c - text -> token ids. Source: docs/model.md, "Tokenizer".
 *
 * Merging cannot cross between two code points where no merge has the one at its left's end and the
 * other at its right's beginning. So text is cut at all such places (in practice: between words)
 * and each piece is merged alone; the result is the same as for the whole. In a longer text what merging
 * made of such a piece is remembered. */
#include "model/tokenizer_parts.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHORT 48 /* up to so many symbols the plain search is faster than the heap */
#define ON_STACK 512
#define METASPACE 0x2581u

/* What merging made of a short stretch of text. */
#define WORDS 4096
#define WORDS_FROM 16384 /* bytes of text: more than a window's prompt, which must not allocate */
#define WORD_BYTES 32
#define WORD_IDS 7
struct word {
    char key[WORD_BYTES]; /* zeros behind `len` bytes */
    uint32_t ids[WORD_IDS];
    unsigned char len, n; /* len 0: none */
};
_Static_assert(sizeof(struct word) == 64, "one line of the processor's cache");

struct encoder {
    const struct wd_tokenizer *t;
    int32_t *ids;
    size_t cap;
    int64_t n;
    bool after_unk; /* unknown characters in a row are one token */
    struct word *words; /* [WORDS] what was merged before; NULL: the text is short */
    uint32_t *syms;     /* the stretch being collected */
    size_t n_syms, cap_syms;
    uint32_t stack[ON_STACK];
};

static void emit(struct encoder *e, int32_t id)
{
    if ((uint64_t)e->n < e->cap)
        e->ids[e->n] = id;
    e->n++;
}

/* One code point that is no piece: its bytes, or <unk> where the vocabulary lacks one of them. */
static void emit_unknown(struct encoder *e, const char *utf8, size_t n)
{
    const struct wd_tokenizer *t = e->t;

    for (size_t i = 0; i < n; i++)
        if (t->bytes[(unsigned char)utf8[i]] < 0) {
            if (!e->after_unk && t->unk >= 0)
                emit(e, t->unk);
            e->after_unk = true;
            return;
        }
    for (size_t i = 0; i < n; i++)
        emit(e, t->bytes[(unsigned char)utf8[i]]);
    e->after_unk = false;
}

/* The merge of two neighbours, as it was found: its rank, WD_MERGE_NONE if there is none, and what
 * they become. */
struct step {
    uint32_t rank, id;
};

static struct step step_of(const struct wd_tokenizer *t, uint32_t left, uint32_t right)
{
    const struct wd_merge *m = wd_tokenizer_merge(t, left, right);

    return m ? (struct step){m->rank, m->id} : (struct step){WD_MERGE_NONE, 0};
}

/* Merges s [n] in place; returns how many are left. */
static size_t merge_short(const struct wd_tokenizer *t, uint32_t *s, size_t n)
{
    struct step step[SHORT];

    for (size_t i = 0; i + 1 < n; i++)
        step[i] = step_of(t, s[i], s[i + 1]);
    while (n > 1) {
        size_t best = 0;

        for (size_t i = 1; i + 1 < n; i++)
            if (step[i].rank < step[best].rank)
                best = i;
        if (step[best].rank == WD_MERGE_NONE)
            break;
        s[best] = step[best].id;
        n--;
        for (size_t i = best + 1; i < n; i++) {
            s[i] = s[i + 1];
            step[i - 1] = step[i];
        }
        if (best + 1 < n)
            step[best] = step_of(t, s[best], s[best + 1]);
        if (best > 0)
            step[best - 1] = step_of(t, s[best - 1], s[best]);
    }
    return n;
}

/* A symbol in a list, and the merge with its right neighbour. */
struct node {
    uint32_t id, prev, next;
    struct step step;
};

#define NOWHERE UINT32_MAX

/* Lowest rank first, leftmost first among equals: both stand in one number. */
struct heap {
    uint64_t *at;
    size_t n;
};

static void heap_down(struct heap *h, size_t i)
{
    uint64_t x = h->at[i];

    for (;;) {
        size_t c = 2 * i + 1;

        if (c >= h->n)
            break;
        if (c + 1 < h->n && h->at[c + 1] < h->at[c])
            c++;
        if (h->at[c] >= x)
            break;
        h->at[i] = h->at[c];
        i = c;
    }
    h->at[i] = x;
}

static void heap_push(struct heap *h, uint64_t x)
{
    size_t i = h->n++;

    while (i > 0 && h->at[(i - 1) / 2] > x) {
        h->at[i] = h->at[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    h->at[i] = x;
}

static uint64_t heap_pop(struct heap *h)
{
    uint64_t top = h->at[0];

    h->at[0] = h->at[--h->n];
    if (h->n)
        heap_down(h, 0);
    return top;
}

static void rank_node(const struct wd_tokenizer *t, struct node *nodes, uint32_t i, struct heap *h)
{
    struct node *a = &nodes[i];

    a->step.rank = WD_MERGE_NONE;
    if (a->next != NOWHERE)
        a->step = step_of(t, a->id, nodes[a->next].id);
    if (a->step.rank != WD_MERGE_NONE)
        heap_push(h, (uint64_t)a->step.rank << 32 | i);
}

static int merge_long(struct encoder *e)
{
    const struct wd_tokenizer *t = e->t;
    uint32_t n = (uint32_t)e->n_syms;
    struct node *nodes = malloc(n * sizeof *nodes);
    /* n - 1 pairs at first; each merge takes one out and puts at most two in. */
    struct heap h = {.at = malloc(2 * (size_t)n * sizeof *h.at)};

    if (!nodes || !h.at) {
        free(nodes);
        free(h.at);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < n; i++)
        nodes[i] = (struct node){
            .id = e->syms[i], .prev = i ? i - 1 : NOWHERE, .next = i + 1 < n ? i + 1 : NOWHERE};
    for (uint32_t i = 0; i < n; i++)
        rank_node(t, nodes, i, &h);
    while (h.n) {
        uint64_t top = heap_pop(&h);
        uint32_t i = (uint32_t)top, gone;
        struct node *a = &nodes[i];

        if (a->step.rank != (uint32_t)(top >> 32)) /* merged away, or its neighbour changed */
            continue;
        gone = a->next;
        a->id = a->step.id;
        a->next = nodes[gone].next;
        nodes[gone].step.rank = WD_MERGE_NONE;
        if (a->next != NOWHERE)
            nodes[a->next].prev = i;
        rank_node(t, nodes, i, &h);
        if (a->prev != NOWHERE)
            rank_node(t, nodes, a->prev, &h);
    }
    for (uint32_t i = 0; i != NOWHERE; i = nodes[i].next)
        emit(e, (int32_t)nodes[i].id);
    free(nodes);
    free(h.at);
    return 0;
}

static struct word *word_slot(const struct encoder *e, const struct word *key)
{
    uint64_t part[sizeof key->key / 8], h = e->t->seed;

    memcpy(part, key->key, sizeof key->key);
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        h = (h ^ part[i]) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    return &e->words[h % WORDS];
}

/* A stretch of text [len] whose symbols are collected. Text repeats its words: those merged before
 * are kept, each where its hash says, until another takes the place. */
static void merge_word(struct encoder *e, const char *text, size_t len)
{
    struct word now = {.len = (unsigned char)len}, *w;
    size_t n;

    memcpy(now.key, text, len);
    w = word_slot(e, &now);
    if (w->len != len || memcmp(w->key, now.key, sizeof now.key)) {
        n = merge_short(e->t, e->syms, e->n_syms);
        if (n > WORD_IDS) {
            for (size_t i = 0; i < n; i++)
                emit(e, (int32_t)e->syms[i]);
            return;
        }
        now.n = (unsigned char)n;
        memcpy(now.ids, e->syms, n * sizeof *now.ids);
        *w = now;
    }
    for (size_t i = 0; i < w->n; i++)
        emit(e, (int32_t)w->ids[i]);
}

/* The collected symbols, which stand for text [len], are merged. */
static int flush(struct encoder *e, const char *text, size_t len)
{
    int r = 0;

    if (e->n_syms == 0)
        return 0;
    e->after_unk = false;
    if (e->n_syms == 1) {
        emit(e, (int32_t)e->syms[0]);
    } else if (e->n_syms > SHORT) {
        r = merge_long(e);
    } else if (e->words && e->n_syms > 2 && len <= WORD_BYTES) {
        merge_word(e, text, len);
    } else {
        size_t n = merge_short(e->t, e->syms, e->n_syms);

        for (size_t i = 0; i < n; i++)
            emit(e, (int32_t)e->syms[i]);
    }
    e->n_syms = 0;
    return r;
}

static int collect(struct encoder *e, uint32_t id)
{
    if (e->n_syms == e->cap_syms) {
        uint32_t *syms =
            realloc(e->syms == e->stack ? NULL : e->syms, 2 * e->cap_syms * sizeof *syms);

        if (!syms)
            return -ENOMEM;
        if (e->syms == e->stack)
            memcpy(syms, e->stack, sizeof e->stack);
        e->syms = syms;
        e->cap_syms *= 2;
    }
    e->syms[e->n_syms++] = id;
    return 0;
}

/* Text without control strings. */
static int encode_text(struct encoder *e, const char *text, size_t len)
{
    size_t from = 0; /* where the stretch being collected begins */
    uint32_t before = 0;
    int r = 0;

    e->after_unk = false;
    for (size_t i = 0, used; r == 0 && i < len; i += used) {
        uint32_t cp = (unsigned char)text[i];
        int32_t id;

        used = 1;
        if (cp >= 0x80)
            used = wd_utf8_read(text + i, len - i, &cp);
        else if (cp == ' ')
            cp = METASPACE;
        id = wd_tokenizer_code_point(e->t, cp);
        if (id < 0) {
            char utf8[4];
            size_t n = wd_utf8_put(cp, utf8);

            r = flush(e, text + from, i - from);
            emit_unknown(e, utf8, n);
            continue;
        }
        if (e->n_syms && !wd_tokenizer_joins(e->t, before, cp))
            r = flush(e, text + from, i - from);
        if (e->n_syms == 0)
            from = i;
        if (r == 0)
            r = collect(e, (uint32_t)id);
        before = cp;
    }
    return r ? r : flush(e, text + from, len - from);
}

/* The longest string of the trie that stands at the beginning of s: its bytes, 0 if none. */
static size_t match(const struct wd_tokenizer *t, const char *s, size_t len, bool special,
                    int32_t *ret_id)
{
    uint32_t node = 0;
    size_t found = 0;

    for (size_t i = 0; i < len; i++) {
        int32_t id;

        node = t->trie[node].child;
        while (node && t->trie[node].byte != (unsigned char)s[i])
            node = t->trie[node].sibling;
        if (!node)
            break;
        id = t->trie[node].id;
        if (id >= 0 && (special || (t->flags[id] & WD_PIECE_ALWAYS))) {
            found = i + 1;
            *ret_id = id;
        }
    }
    return found;
}

int64_t wd_tokenizer_encode(const struct wd_tokenizer *t, const char *text, size_t len,
                            bool special, int32_t *ret_ids, size_t cap)
{
    struct encoder e = {.t = t, .ids = ret_ids, .cap = cap, .cap_syms = ON_STACK};
    size_t from = 0, i = 0;
    int r = 0;

    if (len > INT32_MAX)
        return -E2BIG;
    e.syms = e.stack;
    if (len >= WORDS_FROM)
        e.words = calloc(WORDS, sizeof *e.words); /* without it all is the same, only slower */
    while (r == 0 && i < len) {
        int32_t id;
        size_t n = t->starts[special][(unsigned char)text[i]]
                       ? match(t, text + i, len - i, special, &id)
                       : 0;

        if (!n) {
            i++;
            continue;
        }
        r = encode_text(&e, text + from, i - from);
        emit(&e, id);
        i += n;
        from = i;
    }
    if (r == 0)
        r = encode_text(&e, text + from, len - from);
    if (e.syms != e.stack)
        free(e.syms);
    if (e.words) /* a short text, as a prompt's, goes without the allocator */
        free(e.words);
    return r ? r : e.n;
}
