/* pipeline/parse.c - generated text -> utterances and words; trusts nothing. */
#include "pipeline/parse.h"

#include "base/utf8.h"
#include "pipeline/parse_guard.h"

#include <errno.h>
#include <string.h>

/* Clean text before it is cut into words: blanks and labels come on top of what an utterance holds.
 */
#define MAX_FLAT (WD_PARSE_MAX_TEXT + 4096)

/* Clean text, and the token each byte came from. */
struct flat {
    char text[MAX_FLAT];
    uint16_t token[MAX_FLAT];
    uint32_t n;
    bool cut;
};

struct label {
    const char *before, *after; /* without the blanks around {n} and at the end */
    size_t n_before, n_after;
};

static size_t trim_right(const char *s, size_t n)
{
    while (n && s[n - 1] == ' ')
        n--;
    return n;
}

static bool label_split(const char *pattern, struct label *l)
{
    const char *place = strstr(pattern, "{n}");

    if (!place || strstr(place + 3, "{n}"))
        return false;
    l->before = pattern + strspn(pattern, " ");
    l->n_before = l->before < place ? trim_right(l->before, (size_t)(place - l->before)) : 0;
    l->after = place + 3 + strspn(place + 3, " ");
    l->n_after = trim_right(l->after, strlen(l->after));
    return l->n_before > 0 && l->n_after > 0;
}

int wd_parse_check_label(const char *what, const char *label, struct wd_err *err)
{
    struct label l;

    if (!label_split(label, &l))
        return wd_err_set(err, -EINVAL,
                          "%s: expected one {n} with something before and behind it, as in \"S{n}: "
                          "\", got \"%.40s\"",
                          what, label);
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static uint32_t skip_blanks(const struct flat *f, uint32_t at)
{
    while (at < f->n && f->text[at] == ' ')
        at++;
    return at;
}

static bool same_text(const struct flat *f, uint32_t at, const char *s, size_t n)
{
    if (n > f->n - at)
        return false;
    for (size_t i = 0; i < n; i++)
        if (wd_parse_guard_lower(f->text[at + i]) != wd_parse_guard_lower(s[i]))
            return false;
    return true;
}

/* 1..99 and where the text goes on; 0: no label stands at `at`. */
static uint32_t label_at(const struct label *l, const struct flat *f, uint32_t at,
                         uint32_t *ret_next)
{
    uint32_t number = 0, digits = 0;

    if (!same_text(f, at, l->before, l->n_before))
        return 0;
    at = skip_blanks(f, at + (uint32_t)l->n_before);
    for (; at < f->n && is_digit(f->text[at]) && digits < 3; at++, digits++)
        number = number * 10 + (uint32_t)(f->text[at] - '0');
    if (digits == 0 || digits > 2 || number == 0)
        return 0;
    at = skip_blanks(f, at);
    if (!same_text(f, at, l->after, l->n_after))
        return 0;
    *ret_next = skip_blanks(f, at + (uint32_t)l->n_after);
    return number;
}

/* Could [at, f->n) be a label whose end was not written any more? */
static bool label_begins(const struct label *l, const struct flat *f, uint32_t at)
{
    size_t i = 0;

    while (i < l->n_before && at < f->n &&
           wd_parse_guard_lower(f->text[at]) == wd_parse_guard_lower(l->before[i]))
        at++, i++;
    if (at == f->n)
        return i > 0;
    if (i < l->n_before)
        return false;
    at = skip_blanks(f, at);
    while (at < f->n && is_digit(f->text[at]))
        at++;
    at = skip_blanks(f, at);
    for (i = 0; i < l->n_after && at < f->n && f->text[at] == l->after[i]; i++)
        at++;
    return at == f->n;
}

/* What becomes of a character: itself, ' ', '\n', or 0: nothing. */
static uint32_t clean(uint32_t c)
{
    if (c == '\n' || c == 0x2028 || c == 0x2029)
        return '\n';
    if (c == '\t' || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f ||
        c == 0x205f || c == 0x3000)
        return ' ';
    if (c < 0x20 || (c >= 0x7f && c <= 0x9f))
        return 0;
    /* Invisible, or turning the direction of what follows. */
    if (c == 0x200b || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
        (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
        (c >= 0xe0000 && c <= 0xe007f))
        return 0;
    return c;
}

static void put(struct flat *f, uint32_t c, uint32_t token)
{
    char bytes[4];
    size_t n;

    c = clean(c);
    if (c == 0)
        return;
    n = wd_utf8_put(c, bytes);
    if (n > MAX_FLAT - f->n) {
        f->cut = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        f->text[f->n] = bytes[i];
        f->token[f->n++] = (uint16_t)token;
    }
}

static size_t utf8_length(char lead)
{
    unsigned char c = (unsigned char)lead;

    return c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
}

struct pending {
    char bytes[4];
    size_t n;
    uint32_t token; /* of the last byte */
};

/* Writes the characters that are whole; `all`: what is left is none any more. */
static void flush(struct flat *f, struct pending *p, bool all)
{
    while (p->n) {
        uint32_t c;
        size_t n;
        bool ok = wd_utf8_next(p->bytes, p->n, &c, &n);

        if (!ok && !all && n == p->n && p->n < utf8_length(p->bytes[0]) &&
            (unsigned char)p->bytes[0] < 0xf5 && (unsigned char)p->bytes[0] >= 0xc2)
            return; /* the next token may bring the rest */
        put(f, ok ? c : WD_UTF8_REPLACEMENT, p->token);
        if (n == 0 || n > p->n)
            n = p->n;
        memmove(p->bytes, p->bytes + n, p->n - n);
        p->n -= n;
    }
}

static bool is_name(const struct wd_parse_token *t, const char *name)
{
    return t->text && t->len == strlen(name) && memcmp(t->text, name, t->len) == 0;
}

/* Returns whether a thought is still open at the end. *n: tokens before a stop among them. */
static bool flatten(const struct wd_parse_token *tokens, uint32_t *n, enum wd_parse_end *end,
                    struct flat *f)
{
    struct pending p = {.n = 0};
    bool thought = false;

    f->n = 0;
    f->cut = false;
    for (uint32_t i = 0; i < *n && !f->cut; i++) {
        const struct wd_parse_token *t = &tokens[i];

        if (t->control) {
            flush(f, &p, true);
            if (is_name(t, "<turn|>") || is_name(t, "<eos>")) {
                *n = i;
                *end = WD_PARSE_STOP;
                break;
            }
            if (is_name(t, "<|channel>"))
                thought = true;
            else if (is_name(t, "<channel|>"))
                thought = false;
            continue;
        }
        for (uint32_t k = 0; t->text && !thought && k < t->len; k++) {
            p.bytes[p.n++] = t->text[k];
            p.token = i;
            flush(f, &p, false);
        }
    }
    if (*end == WD_PARSE_STOP)
        flush(f, &p, true);
    return thought;
}

/* Written without blanks between words: each is a word of its own. */
static bool is_ideograph(uint32_t c)
{
    return (c >= 0x3040 && c <= 0x30ff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x4e00 && c <= 0x9fff) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0x20000 && c <= 0x3ffff);
}

static bool is_mark(uint32_t c)
{
    return (c < 0x80 && c > ' ' && !wd_parse_guard_alnum((char)c)) || (c >= 0xa1 && c <= 0xbf) ||
           (c >= 0x2010 && c <= 0x2027) || (c >= 0x2030 && c <= 0x205e) ||
           (c >= 0x3001 && c <= 0x303f) || (c >= 0xff01 && c <= 0xff0f) ||
           (c >= 0xff1a && c <= 0xff20) || c == WD_UTF8_REPLACEMENT;
}

struct builder {
    struct wd_parsed *out;
    const struct wd_parse_token *tokens;
    struct wd_parse_utterance *line; /* NULL: none is open */
    uint32_t label, label_token;
    bool labelled; /* label_token is that of this line */
    bool letters;  /* the line has more than marks */
    bool full;
};

static float least_p(const struct wd_parse_token *tokens, uint32_t first, uint32_t last, float p)
{
    for (uint32_t i = first; i <= last; i++)
        if (!tokens[i].control && !(tokens[i].p >= p))
            p = tokens[i].p > 0 ? tokens[i].p : 0; /* NaN is no probability */
    return p;
}

static void end_line(struct builder *b)
{
    struct wd_parsed *out = b->out;

    if (b->line) {
        if (b->letters) {
            b->line->len = out->text_len - (uint32_t)(b->line->text - out->text);
            out->text[out->text_len++] = '\0';
            out->n_utterances++;
        } else { /* "...": nothing was said */
            out->n_words = b->line->first_word;
            out->text_len = (uint32_t)(b->line->text - out->text);
        }
    }
    b->line = NULL;
    b->letters = false;
    b->labelled = false;
}

static bool fits(struct builder *b, uint32_t n)
{
    /* A blank before, the terminator behind. */
    if (b->out->text_len + n + 2 <= WD_PARSE_MAX_TEXT)
        return true;
    b->full = true;
    return false;
}

/* The bytes [begin, end) of f; letters_end: behind the last letter among them, begin when there is
 * none. */
static void add_word(struct builder *b, const struct flat *f, uint32_t begin, uint32_t end,
                     uint32_t letters_end, bool glued)
{
    const char *text = f->text + begin;
    uint32_t n = end - begin, first_token = f->token[begin], last_token = f->token[end - 1];
    bool letters = letters_end > begin;
    struct wd_parsed *out = b->out;
    struct wd_parse_word *w;

    if (!fits(b, n))
        return;
    if (b->line && !letters && !glued) { /* " ." belongs to the word before it */
        w = &out->words[out->n_words - 1];
        if (w->len + n <= WD_PARSE_MAX_WORD) {
            memcpy(out->text + out->text_len, text, n);
            out->text_len += n;
            w->len += n;
            w->p = least_p(b->tokens, w->last_token, last_token, w->p);
            w->last_token = last_token;
            return;
        }
    }
    if (out->n_words == WD_PARSE_MAX_WORDS ||
        (!b->line && out->n_utterances == WD_PARSE_MAX_UTTERANCES)) {
        b->full = true;
        return;
    }
    if (!b->line) {
        b->line = &out->utterances[out->n_utterances];
        *b->line = (struct wd_parse_utterance){
            .text = out->text + out->text_len,
            .first_word = out->n_words,
            .first_token = b->labelled ? b->label_token : first_token,
            .label = b->label,
        };
        glued = false;
    } else if (!glued) {
        out->text[out->text_len++] = ' ';
    }
    w = &out->words[out->n_words++];
    *w = (struct wd_parse_word){
        .text = out->text + out->text_len,
        .len = n,
        .first_token = first_token,
        .last_token = last_token,
        .heard_token = letters ? f->token[letters_end - 1] : last_token,
        .p = least_p(b->tokens, first_token, last_token, 1),
        .utterance = (uint16_t)out->n_utterances,
        .complete = true,
        .glued = glued,
    };
    memcpy(out->text + out->text_len, text, n);
    out->text_len += n;
    b->line->n_words++;
    b->letters |= letters;
}

/* One word from `at` on, or the first part of one that has to be split. Returns where it ends. */
static uint32_t word_end(const struct flat *f, uint32_t at, const struct label *l,
                         uint32_t *ret_letters_end)
{
    uint32_t begin = at, last = 0, next;

    *ret_letters_end = begin;
    while (at < f->n && f->text[at] != ' ' && f->text[at] != '\n') {
        uint32_t c;
        size_t n;

        if (!wd_utf8_next(f->text + at, f->n - at, &c, &n)) /* cannot be: put() wrote it */
            break;
        if (at > begin) {
            if (at + n - begin > WD_PARSE_MAX_WORD || is_ideograph(c) ||
                (is_ideograph(last) && !is_mark(c)))
                break;
            if (l && (last == '.' || last == '?' || last == '!') && label_at(l, f, at, &next))
                break;
        }
        last = c;
        at += (uint32_t)n;
        if (!is_mark(c))
            *ret_letters_end = at;
    }
    return at;
}

static void read_flat(struct builder *b, const struct flat *f, const struct label *l,
                      enum wd_parse_end end)
{
    uint32_t at = 0, ended = UINT32_MAX;
    bool line_begins = true;

    while (!b->full) {
        uint32_t next, number, begin, letters_end;

        at = skip_blanks(f, at);
        if (at == f->n)
            break;
        if (f->text[at] == '\n') {
            end_line(b);
            line_begins = true;
            at++;
            continue;
        }
        number = l ? label_at(l, f, at, &next) : 0;
        if (number) {
            end_line(b);
            b->label = number;
            b->label_token = f->token[at];
            b->labelled = true;
            line_begins = false;
            at = next;
            continue;
        }
        if (l && end != WD_PARSE_STOP && line_begins && label_begins(l, f, at))
            break;
        line_begins = false;
        begin = at;
        at = word_end(f, at, l, &letters_end);
        if (at == begin)
            break;
        add_word(b, f, begin, at, letters_end, ended == begin);
        ended = at;
    }
    /* Nothing came behind the last word: only a stop says that it is over. */
    if (b->line && !b->full && end != WD_PARSE_STOP && ended == f->n)
        b->out->words[b->out->n_words - 1].complete = false;
    end_line(b);
}

/* Takes away the words from n on. */
static void keep_words(struct wd_parsed *p, uint32_t n)
{
    struct wd_parse_utterance *u;
    const struct wd_parse_word *w;
    uint32_t end;

    p->n_words = n;
    if (n == 0) {
        p->n_utterances = 0;
        p->text_len = 0;
        return;
    }
    w = &p->words[n - 1];
    u = &p->utterances[w->utterance];
    p->n_utterances = w->utterance + 1u;
    u->n_words = n - u->first_word;
    end = (uint32_t)(w->text - p->text) + w->len;
    u->len = end - (uint32_t)(u->text - p->text);
    p->text[end] = '\0';
    p->text_len = end + 1;
}

void wd_parse(const struct wd_parse_token *tokens, uint32_t n, enum wd_parse_end end,
              const struct wd_parse_opts *opts, struct wd_parsed *ret)
{
    struct flat f;
    struct label l;
    struct builder b = {.out = ret, .tokens = tokens};
    bool labelled = opts->label && label_split(opts->label, &l), thought;
    uint32_t at, given;

    ret->n_utterances = ret->n_words = ret->text_len = ret->loop_token = 0;
    ret->bad = WD_PARSE_FINE;
    ret->cut = n > WD_PARSE_MAX_TOKENS;
    if (ret->cut)
        n = WD_PARSE_MAX_TOKENS;
    at = wd_parse_guard_tokens(tokens, n);
    if (at < n) {
        end = WD_PARSE_LOOP;
        n = at;
    }
    given = n;
    thought = flatten(tokens, &n, &end, &f);
    if (f.cut && end == WD_PARSE_STOP)
        end = WD_PARSE_LIMIT;
    ret->loop_token = n < given ? 0 : n;
    ret->n_tokens = n;
    read_flat(&b, &f, labelled ? &l : NULL, end);
    ret->cut |= f.cut || b.full;
    at = wd_parse_guard_words(ret);
    if (at < ret->n_words) {
        end = WD_PARSE_LOOP;
        ret->loop_token = ret->words[at].first_token;
        keep_words(ret, at);
    }
    if (end != WD_PARSE_LOOP)
        ret->loop_token = 0;
    ret->end = end;
    ret->bad = wd_parse_guard_judge(ret, opts, thought);
    if (ret->bad != WD_PARSE_FINE) {
        ret->end = WD_PARSE_BAD;
        keep_words(ret, 0);
    }
}
