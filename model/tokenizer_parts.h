/* model/tokenizer_parts.h - the tables of a tokenizer, and how its loaders fill them.
 * For model/tokenizer*.c only. */
#pragma once
#include "model/tokenizer.h"

#define WD_PIECE_MAX                                                                               \
    832 /* bytes; with 64 held bytes as U+FFFD, what one push of a detokenizer can give */
#define WD_PIECES_MAX (1u << 24)
#define WD_MERGES_MAX (1u << 25)
#define WD_MERGE_NONE UINT32_MAX /* a rank that no merge has */

enum {
    WD_PIECE_CONTROL = 1, /* hidden when decoding, found in text only with `special` */
    WD_PIECE_ALWAYS = 2,  /* found in any text, before merging */
    WD_PIECE_BYTE = 4,
    WD_PIECE_HOLE = 8, /* an id that no piece has */
};

struct wd_merge {
    uint32_t left, right; /* ids; left WD_MERGE_NONE: an empty slot */
    uint32_t rank;
    uint32_t id; /* what they become */
};

/* A trie of control and added strings; children are a list. */
struct wd_trie_node {
    uint32_t child, sibling; /* 0: none */
    int32_t id;              /* -1: no string ends here */
    unsigned char byte;
};

struct wd_tokenizer {
    uint32_t n;
    char *text;           /* all pieces, each with a NUL */
    uint32_t *at;         /* [n + 1] where they begin */
    unsigned char *flags; /* [n] */
    int32_t unk;          /* -1: none */
    int32_t bytes[256];   /* ids of "<0x00>".. ; -1: none */
    uint64_t seed;        /* of the hashes below: a file must not be able to make them slow */
    uint32_t *pieces;     /* hash of id + 1 */
    uint32_t pieces_mask;
    struct wd_merge *merges; /* hash by (left, right) */
    uint32_t merges_mask;
    /* Small enough to stay beside a core: a bit for each hash of a pair of ids (has it a merge?) and
     * of code points (can merging cross there?). Both may say yes where it is no. */
    uint64_t *pairs, *joints;
    uint16_t page_of[0x1100]; /* code point / 256 -> page + 1; 0: no piece */
    int32_t (*pages)[256];    /* ids of pieces of one code point, or -1 */
    uint32_t n_pages;
    struct wd_trie_node *trie;
    uint32_t n_trie;
    bool starts[2][256]; /* [special][byte]: does a string of the trie begin so? */
};

static inline uint32_t wd_piece_len(const struct wd_tokenizer *t, uint32_t id)
{
    return t->at[id + 1] - t->at[id] - 1;
}

/* Loading, in this order. Errors name `name`. */
/* Room for n pieces of text_bytes together (NULs not counted); t->at[] and text are then filled by
 * wd_tokenizer_place(). */
int wd_tokenizer_alloc(struct wd_tokenizer *t, const char *name, uint32_t n, const uint32_t *lens,
                       struct wd_err *err);
/* Hashes the pieces; `unique`: one that occurs twice is an error, otherwise the first counts. */
int wd_tokenizer_index(struct wd_tokenizer *t, const char *name, bool unique, struct wd_err *err);
int wd_tokenizer_alloc_merges(struct wd_tokenizer *t, const char *name, uint64_t n,
                              struct wd_err *err);
int wd_tokenizer_add_merge(struct wd_tokenizer *t, const char *name, uint32_t rank,
                           const char *left, size_t left_len, const char *right, size_t right_len,
                           struct wd_err *err);
/* The trie, after all flags are set. */
int wd_tokenizer_seal(struct wd_tokenizer *t, const char *name, struct wd_err *err);

int wd_tokenizer_load_json(struct wd_tokenizer *t, const char *name, const char *json, size_t len,
                           struct wd_err *err);
int wd_tokenizer_load_gguf(struct wd_tokenizer *t, const struct wd_tensor_file *f,
                           struct wd_err *err);

int32_t wd_tokenizer_lookup(const struct wd_tokenizer *t, const char *piece, size_t len);

#define WD_PAIR_BITS 22
#define WD_JOINT_BITS 20

static inline uint64_t wd_tokenizer_bit(const struct wd_tokenizer *t, uint32_t a, uint32_t b,
                                        unsigned bits)
{
    return ((((uint64_t)a << 32 | b) ^ t->seed) * 0x9e3779b97f4a7c15u) >> (64 - bits);
}

/* Can merging cross between these code points? Now and then true where it cannot, which costs time
 * and changes nothing; never false where it can. */
static inline bool wd_tokenizer_joins(const struct wd_tokenizer *t, uint32_t a, uint32_t b)
{
    uint64_t k = wd_tokenizer_bit(t, a, b, WD_JOINT_BITS);

    return t->joints[k / 64] >> (k % 64) & 1;
}

const struct wd_merge *wd_tokenizer_find_merge(const struct wd_tokenizer *t, uint32_t left,
                                               uint32_t right);

/* What these two become, or NULL. */
static inline const struct wd_merge *wd_tokenizer_merge(const struct wd_tokenizer *t, uint32_t left,
                                                        uint32_t right)
{
    uint64_t k = wd_tokenizer_bit(t, left, right, WD_PAIR_BITS);

    return t->pairs[k / 64] >> (k % 64) & 1 ? wd_tokenizer_find_merge(t, left, right) : NULL;
}

static inline int32_t wd_tokenizer_code_point(const struct wd_tokenizer *t, uint32_t cp)
{
    uint16_t page = t->page_of[cp >> 8];

    return page ? t->pages[page - 1][cp & 255] : -1;
}
