/* model/tokenizer_decode.c - token ids -> text, one at a time or all at once.
 * Source: docs/model.md, "Tokenizer". */
#include "model/tokenizer_parts.h"
#include "base/utf8.h"

#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

_Static_assert(sizeof((struct wd_detokenizer *)0)->held * 3 + WD_PIECE_MAX <= WD_DETOKENIZER_MAX,
               "a push must fit");

/* Shown, and how: a piece, one byte, or nothing. */
enum kind { NOTHING, PIECE, BYTE };

static enum kind kind_of(const struct wd_tokenizer *t, int32_t id, bool show_control)
{
    if (id < 0 || (uint32_t)id >= t->n || (t->flags[id] & WD_PIECE_HOLE))
        return NOTHING;
    if ((t->flags[id] & WD_PIECE_CONTROL) && !show_control)
        return NOTHING;
    return t->flags[id] & WD_PIECE_BYTE ? BYTE : PIECE;
}

static unsigned char byte_value(const struct wd_tokenizer *t, int32_t id)
{
    const char *s = t->text + t->at[id];
    int hi = s[3] <= '9' ? s[3] - '0' : s[3] - 'A' + 10,
        lo = s[4] <= '9' ? s[4] - '0' : s[4] - 'A' + 10;

    return (unsigned char)(hi << 4 | lo);
}

/* The piece with its spaces back; at most WD_PIECE_MAX bytes. */
static size_t piece_text(const struct wd_tokenizer *t, int32_t id, char *out)
{
    const char *s = t->text + t->at[id];
    size_t len = wd_piece_len(t, (uint32_t)id), n = 0;

    for (size_t i = 0; i < len;) {
        if (len - i >= 3 && !memcmp(s + i, "\xe2\x96\x81", 3)) {
            out[n++] = ' ';
            i += 3;
        } else {
            out[n++] = s[i++];
        }
    }
    return n;
}

void wd_detokenizer_init(struct wd_detokenizer *d, const struct wd_tokenizer *t, bool show_control)
{
    *d = (struct wd_detokenizer){.t = t, .show_control = show_control};
}

/* Bytes of the longest beginning that is whole characters. */
static size_t whole_characters(const unsigned char *s, size_t n)
{
    size_t i = 0, used;
    uint32_t cp;

    while (i < n && wd_utf8_next((const char *)s + i, n - i, &cp, &used))
        i += used;
    return i;
}

static size_t give(struct wd_detokenizer *d, char *out, size_t n)
{
    memcpy(out, d->held, n);
    d->n_held -= (unsigned)n;
    memmove(d->held, d->held + n, d->n_held);
    return n;
}

/* What is held as U+FFFD, one for each byte. */
static size_t give_up(struct wd_detokenizer *d, char *out)
{
    size_t n = 0;

    for (unsigned i = 0; i < d->n_held; i++, n += 3)
        memcpy(out + n, REPLACEMENT, 3);
    d->n_held = 0;
    return n;
}

/* The run of bytes is over. */
static size_t end_run(struct wd_detokenizer *d, char *out)
{
    if (whole_characters(d->held, d->n_held) == d->n_held)
        return give(d, out, d->n_held);
    return give_up(d, out);
}

size_t wd_detokenizer_push(struct wd_detokenizer *d, int32_t id, char out[WD_DETOKENIZER_MAX])
{
    size_t n = 0, whole;

    switch (kind_of(d->t, id, d->show_control)) {
    case NOTHING:
        break;
    case BYTE:
        if (d->n_held == sizeof d->held) {
            /* Longer than what can be held: what is whole so far is good. */
            whole = whole_characters(d->held, d->n_held);
            n = whole + 4 > d->n_held ? give(d, out, whole) : give_up(d, out);
        }
        d->held[d->n_held++] = byte_value(d->t, id);
        break;
    case PIECE:
        n = end_run(d, out);
        n += piece_text(d->t, id, out + n);
        break;
    }
    return n;
}

size_t wd_detokenizer_finish(struct wd_detokenizer *d, char out[WD_DETOKENIZER_MAX])
{
    return end_run(d, out);
}

/* Is the run of byte tokens that begins at ids[0] UTF-8 as a whole? Also its length in tokens
 * (hidden ones inside it included). */
static bool run_is_utf8(const struct wd_tokenizer *t, const int32_t *ids, size_t n,
                        bool show_control, size_t *ret_n)
{
    char part[4];
    size_t i, k = 0, used;
    bool good = true;
    uint32_t cp;

    for (i = 0; i < n; i++) {
        enum kind kind = kind_of(t, ids[i], show_control);

        if (kind == PIECE)
            break;
        if (kind == NOTHING || !good)
            continue;
        part[k++] = (char)byte_value(t, ids[i]);
        if (wd_utf8_next(part, k, &cp, &used))
            k = 0;
        else if (used < k || k == sizeof part)
            good = false;
    }
    *ret_n = i;
    return good && k == 0;
}

size_t wd_tokenizer_decode(const struct wd_tokenizer *t, const int32_t *ids, size_t n,
                           bool show_control, char *out, size_t cap)
{
    char text[WD_PIECE_MAX];
    size_t total = 0;

    for (size_t i = 0; i < n;) {
        size_t run = 1, len;
        bool good;

        switch (kind_of(t, ids[i], show_control)) {
        case NOTHING:
            break;
        case PIECE:
            len = piece_text(t, ids[i], text);
            if (total < cap)
                memcpy(out + total, text, len < cap - total ? len : cap - total);
            total += len;
            break;
        case BYTE:
            good = run_is_utf8(t, ids + i, n - i, show_control, &run);
            for (size_t k = i; k < i + run; k++) {
                const char *s = REPLACEMENT;
                char byte;

                if (kind_of(t, ids[k], show_control) != BYTE)
                    continue;
                byte = (char)byte_value(t, ids[k]);
                if (good)
                    s = &byte;
                len = good ? 1 : 3;
                if (total < cap)
                    memcpy(out + total, s, len < cap - total ? len : cap - total);
                total += len;
            }
            break;
        }
        i += run;
    }
    if (total < cap)
        out[total] = '\0';
    return total;
}
