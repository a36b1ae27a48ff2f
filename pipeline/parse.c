/* pipeline/parse.c - generated text -> utterances and words; trusts nothing. */
#include "pipeline/parse.h"

#include "base/utf8.h"

#include <errno.h>
#include <string.h>

/* Clean text before it is cut into words: blanks and labels come on top of what an utterance holds. */
#define MAX_FLAT (WD_PARSE_MAX_TEXT + 4096)
#define REPLACEMENT UINT32_C(0xfffd)

/* Repeats that are no speech any more; a person says "no, no, no, no" now and then. */
#define LOOP_MAX_GRAM 8
#define LOOP_TIMES 4
#define LOOP_TOKENS 24
#define LOOP_WORDS 12

/* Said in no time, so that a short "yes, of course" that the gate half missed is no offence. */
#define FREE_WORDS 6
#define FREE_CHARS 60

const char *const wd_parse_answers[] = {
    "here is the transcription", "here is the transcript", "here's the transcription", "here's the transcript",
    "here is a transcription", "here's a transcription", "sure, here is the", "sure, here's the", "sure! here is the",
    "sure! here's the", "certainly, here is the", "certainly! here is the", "the transcription of the", "the transcript of the",
    "the audio contains", "the audio clip contains", "the audio file contains", "the provided audio", "the audio provided",
    "no speech detected", "no speech was detected", "no audible speech", "there is no speech in the", "i cannot transcribe",
    "i can't transcribe", "i am unable to transcribe", "i'm unable to transcribe", "i'm sorry, but i cannot transcribe",
    "i'm sorry, but i can't transcribe", "please provide the audio", "please upload the audio", "as an ai language model",
    "*as a large language model", "*i'm a large language model", "*i am a large language model",
    "*unable to process audio", "*cannot process audio", "*can't process audio",
};
const uint32_t wd_parse_n_answers = sizeof wd_parse_answers / sizeof *wd_parse_answers;

const char *wd_parse_bad_name(enum wd_parse_bad bad)
{
    static const char *const names[WD_PARSE_N_BAD] = {
        [WD_PARSE_FINE] = "it is a transcript",
        [WD_PARSE_ANSWERED] = "it answered instead of transcribing",
        [WD_PARSE_TOO_MUCH] = "it wrote more than can be said in the time",
        [WD_PARSE_NO_SPEECH] = "it wrote words where nobody spoke",
        [WD_PARSE_THOUGHT] = "it did not come to an end of thinking",
    };

    return (unsigned)bad < WD_PARSE_N_BAD ? names[bad] : "?";
}

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
        return wd_err_set(err, -EINVAL, "%s: expected one {n} with something before and behind it, as in \"S{n}: \", got \"%.40s\"",
                          what, label);
    return 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z');
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
        if (lower(f->text[at + i]) != lower(s[i]))
            return false;
    return true;
}

/* 1..99 and where the text goes on; 0: no label stands at `at`. */
static uint32_t label_at(const struct label *l, const struct flat *f, uint32_t at, uint32_t *ret_next)
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

    while (i < l->n_before && at < f->n && lower(f->text[at]) == lower(l->before[i]))
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
    if (c == '\t' || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f || c == 0x3000)
        return ' ';
    if (c < 0x20 || (c >= 0x7f && c <= 0x9f))
        return 0;
    /* Invisible, or turning the direction of what follows. */
    if (c == 0x200b || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
        (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f))
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

        if (!ok && !all && n == p->n && p->n < utf8_length(p->bytes[0]) && (unsigned char)p->bytes[0] < 0xf5 &&
            (unsigned char)p->bytes[0] >= 0xc2)
            return; /* the next token may bring the rest */
        put(f, ok ? c : REPLACEMENT, p->token);
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
static bool flatten(const struct wd_parse_token *tokens, uint32_t *n, enum wd_parse_end *end, struct flat *f)
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
    return (c >= 0x3040 && c <= 0x30ff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x4e00 && c <= 0x9fff) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x3ffff);
}

static bool is_mark(uint32_t c)
{
    return (c < 0x80 && c > ' ' && !is_alnum((char)c)) || (c >= 0xa1 && c <= 0xbf) || (c >= 0x2010 && c <= 0x2027) ||
           (c >= 0x2030 && c <= 0x205e) || (c >= 0x3001 && c <= 0x303f) || (c >= 0xff01 && c <= 0xff0f) ||
           (c >= 0xff1a && c <= 0xff20) || c == REPLACEMENT;
}

struct builder {
    struct wd_parsed *out;
    const struct wd_parse_token *tokens;
    struct wd_parse_utterance *line; /* NULL: none is open */
    uint32_t label, label_token;
    bool labelled;                   /* label_token is that of this line */
    bool letters;                    /* the line has more than marks */
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

/* The bytes [begin, end) of f; letters_end: behind the last letter among them, begin when there is none. */
static void add_word(struct builder *b, const struct flat *f, uint32_t begin, uint32_t end, uint32_t letters_end, bool glued)
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
    if (out->n_words == WD_PARSE_MAX_WORDS || (!b->line && out->n_utterances == WD_PARSE_MAX_UTTERANCES)) {
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
static uint32_t word_end(const struct flat *f, uint32_t at, const struct label *l, uint32_t *ret_letters_end)
{
    uint32_t begin = at, last = 0, next;

    *ret_letters_end = begin;
    while (at < f->n && f->text[at] != ' ' && f->text[at] != '\n') {
        uint32_t c;
        size_t n;

        if (!wd_utf8_next(f->text + at, f->n - at, &c, &n)) /* cannot be: put() wrote it */
            break;
        if (at > begin) {
            if (at + n - begin > WD_PARSE_MAX_WORD || is_ideograph(c) || (is_ideograph(last) && !is_mark(c)))
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

static void read_flat(struct builder *b, const struct flat *f, const struct label *l, enum wd_parse_end end)
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

/* First token of a repeat that fills what follows; n: there is none. */
static uint32_t token_loop(const struct wd_parse_token *t, uint32_t n)
{
    uint32_t at = n, found_end = n;

    for (uint32_t gram = 1; gram <= LOOP_MAX_GRAM; gram++) {
        uint32_t same = 0;

        for (uint32_t i = gram; i < found_end; i++) {
            const struct wd_parse_token *a = &t[i], *b = &t[i - gram];
            bool equal = a->control == b->control && a->len == b->len && a->text && b->text &&
                         memcmp(a->text, b->text, a->len) == 0;

            same = equal ? same + 1 : 0;
            if (same >= gram * (LOOP_TIMES - 1) && same + gram >= LOOP_TOKENS) {
                at = i + 1 - same;
                found_end = i;
                break;
            }
        }
    }
    return at;
}

static bool same_word(const struct wd_parse_word *a, const struct wd_parse_word *b)
{
    uint32_t na = a->len, nb = b->len;

    while (na > 1 && !is_alnum(a->text[na - 1]) && (unsigned char)a->text[na - 1] < 0x80)
        na--;
    while (nb > 1 && !is_alnum(b->text[nb - 1]) && (unsigned char)b->text[nb - 1] < 0x80)
        nb--;
    if (na != nb)
        return false;
    for (uint32_t i = 0; i < na; i++)
        if (lower(a->text[i]) != lower(b->text[i]))
            return false;
    return true;
}

static uint32_t word_loop(const struct wd_parsed *p)
{
    uint32_t at = p->n_words, found_end = p->n_words;

    for (uint32_t gram = 1; gram <= LOOP_MAX_GRAM; gram++) {
        uint32_t same = 0;

        for (uint32_t i = gram; i < found_end; i++) {
            same = same_word(&p->words[i], &p->words[i - gram]) ? same + 1 : 0;
            if (same >= gram * (LOOP_TIMES - 1) && same + gram >= LOOP_WORDS) {
                at = i + 1 - same;
                found_end = i;
                break;
            }
        }
    }
    return at;
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

/* Does an utterance begin with (a leading '*': contain) what an answer says? */
static bool says(const struct wd_parse_utterance *u, const char *pattern)
{
    bool anywhere = *pattern == '*';
    size_t n = strlen(pattern += anywhere);
    uint32_t at = 0, end = anywhere ? u->len : 0;

    while (!anywhere && at < u->len && strchr("\"'*([_ ", u->text[at]))
        at++, end++;
    for (; n && at <= end && n <= u->len - at; at++) {
        size_t i = 0;

        while (i < n && lower(u->text[at + i]) == pattern[i])
            i++;
        if (i == n && (at + n == u->len || !is_alnum(u->text[at + n])) && (at == 0 || !is_alnum(u->text[at - 1])))
            return true;
    }
    return false;
}

static enum wd_parse_bad judge(const struct wd_parsed *p, const struct wd_parse_opts *opts, bool thought)
{
    double words_per_s = opts->max_words_per_s > 0 ? (double)opts->max_words_per_s : 8;
    double chars_per_s = opts->max_chars_per_s > 0 ? (double)opts->max_chars_per_s : 50;
    double seconds = (double)opts->speech_ns / 1e9;
    uint32_t words = 0;

    if (p->n_words == 0)
        return thought ? WD_PARSE_THOUGHT : WD_PARSE_FINE;
    if (opts->speech_ns == 0)
        return WD_PARSE_NO_SPEECH;
    for (uint32_t i = 0; i < opts->n_answered; i++)
        for (uint32_t k = 0; k < p->n_utterances; k++)
            if ((k == 0 || opts->answered[i][0] == '*') && says(&p->utterances[k], opts->answered[i]))
                return WD_PARSE_ANSWERED;
    if (opts->speech_ns < 0)
        return WD_PARSE_FINE;
    for (uint32_t i = 0; i < p->n_words; i++)
        words += !p->words[i].glued;
    if (words > FREE_WORDS + words_per_s * seconds || p->text_len > FREE_CHARS + chars_per_s * seconds)
        return WD_PARSE_TOO_MUCH;
    return WD_PARSE_FINE;
}

void wd_parse(const struct wd_parse_token *tokens, uint32_t n, enum wd_parse_end end, const struct wd_parse_opts *opts,
              struct wd_parsed *ret)
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
    at = token_loop(tokens, n);
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
    at = word_loop(ret);
    if (at < ret->n_words) {
        end = WD_PARSE_LOOP;
        ret->loop_token = ret->words[at].first_token;
        keep_words(ret, at);
    }
    if (end != WD_PARSE_LOOP)
        ret->loop_token = 0;
    ret->end = end;
    ret->bad = judge(ret, opts, thought);
    if (ret->bad != WD_PARSE_FINE) {
        ret->end = WD_PARSE_BAD;
        keep_words(ret, 0);
    }
}
