/* pipeline/prompt.c - instruction, carried text, times and questions -> the model's input ids. */
#include "pipeline/prompt.h"
#include "model/tokenizer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_IDS 1024    /* of one prompt, when it is checked */
#define MAX_LANGUAGE 64 /* bytes of a language's name */

/* What stands for the {names} of a template. */
struct values {
    const struct wd_profile *profile;
    const char *carried; /* cut already; "" = none */
    const char *language;
    const char *question;
    int64_t t_ns;
};

struct output {
    const struct wd_tokenizer *t;
    int32_t *ids;
    size_t cap, n;
    char text[WD_PROMPT_MAX_TEXT]; /* since the last control token */
    size_t len;
    const char *missing; /* control string that the vocabulary lacks */
};

static int flush(struct output *o)
{
    int64_t n;

    if (!o->len)
        return 0;
    n = wd_tokenizer_encode(o->t, o->text, o->len, false, o->ids + o->n, o->cap - o->n);
    if (n < 0)
        return (int)n;
    if ((uint64_t)n > o->cap - o->n)
        return -ENOBUFS;
    o->n += (size_t)n;
    o->len = 0;
    return 0;
}

static int put_control(struct output *o, const char *piece)
{
    int32_t id = wd_tokenizer_find(o->t, piece);
    int r = flush(o);

    if (r < 0)
        return r;
    if (id < 0 || !wd_tokenizer_is_control(o->t, id)) {
        o->missing = piece;
        return -ENOENT;
    }
    if (o->n == o->cap)
        return -ENOBUFS;
    o->ids[o->n++] = id;
    return 0;
}

static int put_text(struct output *o, const char *text)
{
    size_t n = strlen(text);

    if (n > sizeof o->text - o->len)
        return -E2BIG;
    memcpy(o->text + o->len, text, n);
    o->len += n;
    return 0;
}

/* A template never holds itself: carried and language lines take only {text} and {name}. */
static int render(struct output *o, const struct wd_profile_template *t, const struct values *v);

static int put_time(struct output *o, const struct values *v, bool minutes)
{
    int64_t s = v->t_ns > 0 ? v->t_ns / INT64_C(1000000000) : 0, m = s / 60;
    char text[32];

    if (v->profile->pictures.wrap_minutes)
        m %= v->profile->pictures.wrap_minutes;
    snprintf(text, sizeof text, "%02" PRId64, minutes ? m : s % 60);
    return put_text(o, text);
}

/* One line, whatever a configuration holds. */
static int put_language(struct output *o, const char *name)
{
    char line[MAX_LANGUAGE + 1];
    size_t n = strnlen(name, MAX_LANGUAGE);

    for (size_t i = 0; i < n; i++)
        line[i] = (unsigned char)name[i] < 0x20 || name[i] == 0x7f ? ' ' : name[i];
    line[n] = '\0';
    return put_text(o, line);
}

static int put_place(struct output *o, enum wd_profile_place place, const struct values *v)
{
    const struct wd_profile_transcribe *t = &v->profile->transcribe;
    const char *language = wd_prompt_language(v->language);

    switch (place) {
    case WD_PROFILE_CARRIED:
        return *v->carried ? render(o, &t->carried.line, v) : 0;
    case WD_PROFILE_TEXT_PLACE:
        return put_text(o, v->carried);
    case WD_PROFILE_LANGUAGE:
        return render(o, language ? &t->language_known : &t->language_unknown, v);
    case WD_PROFILE_NAME:
        return put_language(o, language ? language : "");
    case WD_PROFILE_MM:
        return put_time(o, v, true);
    case WD_PROFILE_SS:
        return put_time(o, v, false);
    case WD_PROFILE_QUESTION:
        return put_text(o, v->question ? v->question : "");
    }
    return -EINVAL;
}

static int render(struct output *o, const struct wd_profile_template *t, const struct values *v)
{
    int r = 0;

    for (size_t i = 0; i < t->n && r == 0; i++) {
        const struct wd_profile_part *p = &t->parts[i];

        r = p->kind == WD_PROFILE_TEXT      ? put_text(o, p->text)
            : p->kind == WD_PROFILE_CONTROL ? put_control(o, p->text)
                                            : put_place(o, p->place, v);
    }
    return r;
}

static int64_t write_ids(const struct wd_tokenizer *t, const struct wd_profile_template *tpl,
                         const struct values *v, int32_t *ids, size_t cap, const char **missing)
{
    struct output o;
    int r;

    o.t = t;
    o.ids = ids;
    o.cap = cap;
    o.n = o.len = 0;
    o.missing = NULL;
    r = render(&o, tpl, v);
    if (r == 0)
        r = flush(&o);
    if (missing)
        *missing = o.missing;
    return r < 0 ? r : (int64_t)o.n;
}

/* ---- carried text ---- */

/* Bytes of the label that begins s ("S12: "), 0: none. The blanks at the end of a label may be
 * missing. */
static size_t label_length(const char *label, const char *s, size_t n)
{
    const char *number = label ? strstr(label, "{n}") : NULL, *rest;
    size_t before, digits = 0, i;

    if (!number)
        return 0;
    before = (size_t)(number - label);
    rest = number + 3;
    if (n < before || memcmp(s, label, before))
        return 0;
    i = before;
    while (i < n && digits < 3 && s[i] >= '0' && s[i] <= '9') {
        i++;
        digits++;
    }
    if (!digits)
        return 0;
    for (; *rest && i < n && s[i] == *rest; rest++)
        i++;
    return rest[strspn(rest, " ")] ? 0 : i;
}

static size_t characters(const char *s, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

static bool blank(char c)
{
    return (unsigned char)c <= 0x20 || c == 0x7f;
}

/* Lines without blanks around them, without empty ones, runs of blanks as one; without labels one
 * single line. Takes the end of a text too long. */
static size_t clean(const struct wd_profile_transcribe *t, const char *text,
                    char out[WD_PROMPT_MAX_TEXT])
{
    size_t len = strlen(text), n = 0;
    const char *s = text, *end = text + len;

    if (len >= WD_PROMPT_MAX_TEXT) {
        s = end - (WD_PROMPT_MAX_TEXT - 1);
        while (s < end && !blank(*s))
            s++;
    }
    while (s < end) {
        const char *stop = memchr(s, '\n', (size_t)(end - s));
        size_t start = n;

        stop = stop ? stop : end;
        while (s < stop && blank(*s))
            s++;
        if (!t->carried.labels)
            s += label_length(t->label, s, (size_t)(stop - s));
        for (; s < stop; s++) {
            bool skip = blank(*s) && (n == start || out[n - 1] == ' ');

            if (!skip)
                out[n++] = blank(*s) ? ' ' : *s;
        }
        while (n > start && out[n - 1] == ' ')
            n--;
        if (n > start)
            out[n++] = t->carried.labels ? '\n' : ' ';
        s = stop < end ? stop + 1 : end;
    }
    if (n)
        n--; /* the last separator */
    out[n] = '\0';
    return n;
}

/* The last `room` characters of line s [n] from a word on, its label kept and counted: where the
 * text after the label begins, n if nothing fits. */
static size_t cut_line(const char *label, const char *s, size_t n, size_t room, size_t *ret_label)
{
    size_t before = label_length(label, s, n), i, at = n;

    *ret_label = before;
    if (room <= before)
        return n;
    room -= before;
    for (i = n; i > before; i--)
        if (i == before + 1 || s[i - 2] == ' ') {
            if (characters(s + i - 1, n - (i - 1)) > room)
                break;
            at = i - 1;
        }
    return at;
}

/* From clean lines the last `max_lines`, and of them the last max_chars characters; 0 = no bound.
 */
static size_t cut(const struct wd_profile_transcribe *t, const char *s, size_t n, size_t max_lines,
                  size_t max_chars, char *out, size_t cap)
{
    size_t from = n, used = 0, lines = 0, before = 0, written = 0;
    size_t label_at = n;

    while (from > 0 && (!max_lines || lines < max_lines)) {
        size_t end = lines ? from - 1 : n, start = end, count;

        while (start > 0 && s[start - 1] != '\n')
            start--;
        count = characters(s + start, end - start) + (lines ? 1 : 0);
        if (max_chars && used + count > max_chars) {
            size_t room = max_chars - used, at = 0;

            if (room > (lines ? 1u : 0u))
                at = cut_line(t->carried.labels ? t->label : NULL, s + start, end - start,
                              room - (lines ? 1 : 0), &before);
            if (at && at < end - start) {
                label_at = start;
                from = start + at;
            }
            break;
        }
        used += count;
        from = start;
        lines++;
    }
    if (label_at == n)
        before = 0;
    if (before + (n - from) + 1 > cap)
        return 0;
    memcpy(out, s + label_at, before);
    written = before;
    memcpy(out + written, s + from, n - from);
    written += n - from;
    out[written] = '\0';
    return written;
}

size_t wd_prompt_cut(const struct wd_profile *p, const char *text, char *out, size_t cap)
{
    const struct wd_profile_carried *c = &p->transcribe.carried;
    char lines[WD_PROMPT_MAX_TEXT];
    size_t n = clean(&p->transcribe, text, lines);

    if (!cap)
        return 0;
    *out = '\0';
    return cut(&p->transcribe, lines, n, (size_t)c->max_lines, (size_t)c->max_chars, out, cap);
}

/* wd_prompt_cut(), and then shorter until it is few enough tokens. */
static int carry(const struct wd_profile *p, const struct wd_tokenizer *t, const char *text,
                 char out[WD_PROMPT_MAX_TEXT])
{
    size_t max = (size_t)p->transcribe.carried.max_tokens, n;
    char longer[WD_PROMPT_MAX_TEXT];

    *out = '\0';
    if (!text || !p->transcribe.carried.line.n)
        return 0;
    n = wd_prompt_cut(p, text, out, WD_PROMPT_MAX_TEXT);
    while (max && n) {
        int64_t tokens = wd_tokenizer_encode(t, out, n, false, NULL, 0);
        size_t chars = characters(out, n), drop;

        if (tokens < 0)
            return (int)tokens;
        if ((uint64_t)tokens <= max)
            break;
        drop = chars * ((size_t)tokens - max) / ((size_t)tokens * 2) +
               1; /* half of what is too much: rather twice than too short */
        if (drop >= chars) {
            *out = '\0';
            break;
        }
        memcpy(longer, out, n + 1);
        n = cut(&p->transcribe, longer, n, 0, chars - drop, out, WD_PROMPT_MAX_TEXT);
    }
    return 0;
}

/* ---- the prompts ---- */

int64_t wd_prompt_transcribe_before(const struct wd_profile *p, const struct wd_tokenizer *t,
                                    const char *carried, const char *language, int32_t *ret_ids,
                                    size_t cap)
{
    char text[WD_PROMPT_MAX_TEXT];
    struct values v = {.profile = p, .carried = text, .language = language};
    int r = carry(p, t, carried, text);

    return r < 0 ? r : write_ids(t, &p->transcribe.before, &v, ret_ids, cap, NULL);
}

int64_t wd_prompt_transcribe_after(const struct wd_profile *p, const struct wd_tokenizer *t,
                                   int32_t *ret_ids, size_t cap)
{
    struct values v = {.profile = p, .carried = ""};

    return write_ids(t, &p->transcribe.after, &v, ret_ids, cap, NULL);
}

int64_t wd_prompt_picture_before(const struct wd_profile *p, const struct wd_tokenizer *t,
                                 uint32_t index, int64_t t_ns, int32_t *ret_ids, size_t cap)
{
    struct values v = {.profile = p, .carried = "", .t_ns = t_ns};

    if (!p->pictures.first.n)
        return -ENOTSUP;
    return write_ids(t, index ? &p->pictures.next : &p->pictures.first, &v, ret_ids, cap, NULL);
}

int64_t wd_prompt_picture_after(const struct wd_profile *p, const struct wd_tokenizer *t,
                                int32_t *ret_ids, size_t cap)
{
    struct values v = {.profile = p, .carried = ""};

    return p->pictures.first.n ? write_ids(t, &p->pictures.after, &v, ret_ids, cap, NULL)
                               : -ENOTSUP;
}

int64_t wd_prompt_question(const struct wd_profile *p, const struct wd_tokenizer *t,
                           enum wd_profile_task task, const char *question, int32_t *ret_ids,
                           size_t cap)
{
    struct values v = {.profile = p, .carried = "", .question = question};

    if ((unsigned)task >= WD_PROFILE_N_TASKS)
        return -EINVAL;
    if (!p->tasks[task].question.n)
        return -ENOTSUP;
    if ((task == WD_PROFILE_YES_NO || task == WD_PROFILE_ASK) && (!question || !*question))
        return -EINVAL;
    return write_ids(t, &p->tasks[task].question, &v, ret_ids, cap, NULL);
}

static int one_token(const struct wd_tokenizer *t, const char *text, int32_t *ret)
{
    int64_t n = wd_tokenizer_encode(t, text, strlen(text), false, ret, 1);

    return n < 0 ? (int)n : n == 1 ? 0 : -ENOENT;
}

int wd_prompt_yes_no(const struct wd_profile *p, const struct wd_tokenizer *t, int32_t *ret_yes,
                     int32_t *ret_no)
{
    const struct wd_profile_question *q = &p->tasks[WD_PROFILE_YES_NO];
    int r;

    if (!q->question.n)
        return -ENOTSUP;
    r = one_token(t, q->yes, ret_yes);
    return r < 0 ? r : one_token(t, q->no, ret_no);
}

/* ---- the check ---- */

static int check_one(const struct wd_profile *p, const struct wd_tokenizer *t, const char *what,
                     const struct wd_profile_template *tpl, struct wd_err *err)
{
    struct values v = {.profile = p, .carried = "word", .language = "en", .question = "Is it so?"};
    int32_t ids[MAX_IDS];
    const char *missing;
    int64_t n = write_ids(t, tpl, &v, ids, MAX_IDS, &missing);

    if (n >= 0)
        return 0;
    if (missing)
        return wd_err_set(err, (int)n, "%s: %s: the model's vocabulary has no control token '%s'",
                          p->path, what, missing);
    if (n == -ENOBUFS)
        return wd_err_set(err, (int)n, "%s: %s: expected at most %d tokens", p->path, what,
                          MAX_IDS);
    return wd_err_set(err, (int)n, "%s: %s: %s", p->path, what, strerror((int)-n));
}

int wd_prompt_check(const struct wd_profile *p, const struct wd_tokenizer *t, struct wd_err *err)
{
    int32_t yes, no;
    int r = check_one(p, t, "transcribe.before", &p->transcribe.before, err);

    if (r == 0)
        r = check_one(p, t, "transcribe.after", &p->transcribe.after, err);
    if (r == 0)
        r = check_one(p, t, "pictures.first", &p->pictures.first, err);
    if (r == 0)
        r = check_one(p, t, "pictures.next", &p->pictures.next, err);
    if (r == 0)
        r = check_one(p, t, "pictures.after", &p->pictures.after, err);
    for (int i = 0; i < WD_PROFILE_N_TASKS && r == 0; i++)
        r = check_one(p, t, wd_profile_task_name((enum wd_profile_task)i), &p->tasks[i].question,
                      err);
    if (r == 0 && p->tasks[WD_PROFILE_YES_NO].question.n && wd_prompt_yes_no(p, t, &yes, &no) < 0)
        r = wd_err_set(err, -ENOENT,
                       "%s: yes_no: '%s' and '%s' must each be one token of the model's vocabulary",
                       p->path, p->tasks[WD_PROFILE_YES_NO].yes, p->tasks[WD_PROFILE_YES_NO].no);
    return r;
}

const char *wd_prompt_language(const char *language)
{
    static const char *const names[][2] = {
        {"af", "Afrikaans"},  {"ar", "Arabic"},     {"az", "Azerbaijani"}, {"be", "Belarusian"},
        {"bg", "Bulgarian"},  {"bn", "Bengali"},    {"bs", "Bosnian"},     {"ca", "Catalan"},
        {"cs", "Czech"},      {"cy", "Welsh"},      {"da", "Danish"},      {"de", "German"},
        {"el", "Greek"},      {"en", "English"},    {"es", "Spanish"},     {"et", "Estonian"},
        {"eu", "Basque"},     {"fa", "Persian"},    {"fi", "Finnish"},     {"fil", "Filipino"},
        {"fr", "French"},     {"ga", "Irish"},      {"gl", "Galician"},    {"gu", "Gujarati"},
        {"he", "Hebrew"},     {"hi", "Hindi"},      {"hr", "Croatian"},    {"hu", "Hungarian"},
        {"hy", "Armenian"},   {"id", "Indonesian"}, {"is", "Icelandic"},   {"it", "Italian"},
        {"ja", "Japanese"},   {"ka", "Georgian"},   {"kk", "Kazakh"},      {"km", "Khmer"},
        {"kn", "Kannada"},    {"ko", "Korean"},     {"lo", "Lao"},         {"lt", "Lithuanian"},
        {"lv", "Latvian"},    {"mk", "Macedonian"}, {"ml", "Malayalam"},   {"mn", "Mongolian"},
        {"mr", "Marathi"},    {"ms", "Malay"},      {"mt", "Maltese"},     {"my", "Burmese"},
        {"nb", "Norwegian"},  {"ne", "Nepali"},     {"nl", "Dutch"},       {"nn", "Norwegian"},
        {"no", "Norwegian"},  {"pa", "Punjabi"},    {"pl", "Polish"},      {"pt", "Portuguese"},
        {"ro", "Romanian"},   {"ru", "Russian"},    {"si", "Sinhala"},     {"sk", "Slovak"},
        {"sl", "Slovenian"},  {"sq", "Albanian"},   {"sr", "Serbian"},     {"sv", "Swedish"},
        {"sw", "Swahili"},    {"ta", "Tamil"},      {"te", "Telugu"},      {"th", "Thai"},
        {"tr", "Turkish"},    {"uk", "Ukrainian"},  {"ur", "Urdu"},        {"uz", "Uzbek"},
        {"vi", "Vietnamese"}, {"yue", "Cantonese"}, {"zh", "Chinese"},     {"zu", "Zulu"},
    };
    size_t n;

    if (!language || !*language || !strcasecmp(language, "auto"))
        return NULL;
    n = strcspn(language, "-_"); /* "de-AT": how it is spoken, not another language */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i][0]) == n && !strncasecmp(language, names[i][0], n))
            return names[i][1];
    return language;
}
