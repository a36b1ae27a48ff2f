/* sinks/cues.c - greedy: a cue takes words until its lines, its time or a sentence is full. */
#include "sinks/cues.h"
#include "base/utf8.h"
#include <stdbool.h>
#include <string.h>

#define MAX_CUE_BYTES 1024
#define LONG_PAUSE_NS 1000000000LL /* between two words: the next one belongs to a new cue */
#define SENTENCE_COLUMNS 30        /* a sentence's end closes a cue that holds at least this much */

/* Stands on one token of the text (what lies between blanks) and knows its time. */
struct reader {
    const struct wd_event *e;
    const char *text;
    size_t n_bytes, at;
    bool words_match;    /* e->words are found in e->text, one behind the other */
    uint32_t word;       /* then: the next of them that has not been met ... */
    const char *word_at; /* ... and where */
    int64_t last_t1_ns;
};

struct token {
    const char *text;
    size_t n_bytes;
    int64_t t0_ns, t1_ns;
};

struct writer {
    const struct wd_cue_shape *shape;
    void (*cue)(void *ctx, const struct wd_cue *c);
    void *ctx;
    int64_t after_ns;
    int64_t t0_ns, t1_ns;
    unsigned line, column; /* where the next character goes; column counts n_first */
    unsigned n_columns;    /* in the whole cue */
    size_t n_bytes;
    char text[MAX_CUE_BYTES];
};

const char *wd_cues_speaker(const struct wd_event *e)
{
    if (e->speaker.name && *e->speaker.name)
        return e->speaker.name;
    return e->speaker.id && *e->speaker.id ? e->speaker.id : NULL;
}

static bool is_blank(char c)
{
    return (unsigned char)c <= ' ' || c == 0x7f;
}

/* Without words: time passes evenly over the bytes. */
static int64_t by_length(const struct reader *r, size_t at)
{
    int64_t span_ns = r->e->t1_ns - r->e->t0_ns;

    if (span_ns < 0)
        span_ns = 0;
    return r->e->t0_ns + (int64_t)((double)span_ns * (double)at / (double)r->n_bytes);
}

/* Meets every word that begins before text[end]: the token lasts from the first to the last of
 * them. */
static void by_words(struct reader *r, size_t end, struct token *t)
{
    bool any = false;

    t->t0_ns = t->t1_ns = r->last_t1_ns;
    while (r->word < r->e->n_words && r->word_at < r->text + end) {
        const struct wd_event_word *w = &r->e->words[r->word++];

        if (!any)
            t->t0_ns = w->t0_ns;
        any = true;
        t->t1_ns = w->t1_ns;
        if (r->word < r->e->n_words)
            r->word_at = strstr(r->word_at + strlen(w->text), r->e->words[r->word].text);
    }
    if (t->t1_ns > r->last_t1_ns)
        r->last_t1_ns = t->t1_ns;
}

static bool words_match(const struct wd_event *e)
{
    const char *at = e->text;

    for (uint32_t i = 0; i < e->n_words; i++) {
        if (!e->words[i].text || !*e->words[i].text)
            return false;
        at = strstr(at, e->words[i].text);
        if (!at)
            return false;
        at += strlen(e->words[i].text);
    }
    return e->words && e->n_words > 0;
}

static bool next_token(struct reader *r, struct token *t)
{
    size_t from;

    while (r->at < r->n_bytes && is_blank(r->text[r->at]))
        r->at++;
    if (r->at == r->n_bytes)
        return false;
    from = r->at;
    while (r->at < r->n_bytes && !is_blank(r->text[r->at]))
        r->at++;
    t->text = r->text + from;
    t->n_bytes = r->at - from;
    if (r->words_match) {
        by_words(r, r->at, t);
    } else {
        t->t0_ns = by_length(r, from);
        t->t1_ns = by_length(r, r->at);
    }
    return true;
}

static void begin_cue(struct writer *w)
{
    w->n_bytes = 0;
    w->line = 0;
    w->n_columns = 0;
    w->column = w->shape->n_first < w->shape->n_columns ? w->shape->n_first : 0;
}

static void end_cue(struct writer *w)
{
    struct wd_cue c = {.t0_ns = w->t0_ns, .t1_ns = w->t1_ns, .text = w->text};

    if (!w->n_bytes)
        return;
    w->text[w->n_bytes] = '\0';
    if (c.t0_ns < w->after_ns)
        c.t0_ns = w->after_ns;
    if (c.t1_ns < c.t0_ns + w->shape->shortest_ns)
        c.t1_ns = c.t0_ns + w->shape->shortest_ns;
    if (c.t1_ns > c.t0_ns + w->shape->longest_ns)
        c.t1_ns = c.t0_ns + w->shape->longest_ns;
    w->after_ns = c.t1_ns;
    w->cue(w->ctx, &c);
    begin_cue(w);
}

static unsigned columns_of(uint32_t *c)
{
    int n = wd_utf8_columns(*c);

    if (n < 0) {
        *c = WD_UTF8_REPLACEMENT;
        n = 1;
    }
    return (unsigned)n;
}

static unsigned token_columns(const struct token *t)
{
    unsigned n = 0;
    uint32_t c;

    for (size_t at = 0; at < t->n_bytes;) {
        at += wd_utf8_read(t->text + at, t->n_bytes - at, &c);
        n += columns_of(&c);
    }
    return n;
}

static bool ends_sentence(const struct writer *w)
{
    static const char *const marks[] = {".", "?", "!", "\xe3\x80\x82" /* ideographic full stop */};

    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        size_t n = strlen(marks[i]);

        if (w->n_bytes >= n && memcmp(w->text + w->n_bytes - n, marks[i], n) == 0)
            return true;
    }
    return false;
}

static void new_line_or_cue(struct writer *w, int64_t t0_ns)
{
    if (w->line + 1 < w->shape->n_lines) {
        w->text[w->n_bytes++] = '\n';
        w->line++;
        w->column = 0;
    } else {
        end_cue(w);
        w->t0_ns = t0_ns;
    }
}

/* One character; starts a line where this one is full, for tokens longer than a line. */
static void put(struct writer *w, uint32_t c, int64_t t0_ns)
{
    unsigned n = columns_of(&c);

    if (w->column && w->column + n > w->shape->n_columns && (w->n_bytes || w->line))
        new_line_or_cue(w, t0_ns);
    /* a heap of combining marks, or a language without blanks */
    if (w->n_bytes + 8 > sizeof w->text ||
        (w->n_bytes && t0_ns - w->t0_ns > w->shape->longest_ns)) {
        end_cue(w);
        w->t0_ns = t0_ns;
    }
    w->n_bytes += wd_utf8_put(c, w->text + w->n_bytes);
    w->column += n;
    w->n_columns += n;
}

static int64_t within(const struct token *t, size_t at)
{
    return t->t0_ns + (int64_t)((double)(t->t1_ns - t->t0_ns) * (double)at / (double)t->n_bytes);
}

static void add(struct writer *w, const struct token *t)
{
    unsigned n = token_columns(t);
    uint32_t c;

    if (w->n_bytes &&
        (t->t1_ns - w->t0_ns > w->shape->longest_ns || t->t0_ns - w->t1_ns > LONG_PAUSE_NS ||
         (w->n_columns >= SENTENCE_COLUMNS && ends_sentence(w))))
        end_cue(w);
    if (!w->n_bytes) {
        w->t0_ns = t->t0_ns;
    } else if (w->column + 1 + n <= w->shape->n_columns) {
        put(w, ' ', t->t0_ns);
    } else if (w->column) {
        new_line_or_cue(w, t->t0_ns);
    }
    for (size_t at = 0; at < t->n_bytes;) {
        size_t step = wd_utf8_read(t->text + at, t->n_bytes - at, &c);

        put(w, c, within(t, at));
        at += step;
        w->t1_ns = within(t, at);
    }
}

int64_t wd_cues_split(const struct wd_event *e, const struct wd_cue_shape *shape, int64_t after_ns,
                      void (*cue)(void *ctx, const struct wd_cue *c), void *ctx)
{
    struct reader r = {.e = e, .text = e->text ? e->text : "", .last_t1_ns = e->t0_ns};
    struct writer w = {.shape = shape, .cue = cue, .ctx = ctx, .after_ns = after_ns};
    struct token t;

    r.n_bytes = strlen(r.text);
    r.words_match = e->text && words_match(e);
    if (r.words_match)
        r.word_at = strstr(r.text, e->words[0].text);
    begin_cue(&w);
    while (next_token(&r, &t))
        add(&w, &t);
    end_cue(&w);
    return w.after_ns;
}
