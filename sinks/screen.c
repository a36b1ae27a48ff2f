/* sinks/screen.c - lays out events in columns, and knows which lines can be rewritten. */
#include "sinks/screen.h"
#include "sinks/cues.h"
#include "base/utf8.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_LIVE 16        /* utterances that can be shown unsettled at once; the oldest gives way */
#define LIVE_BYTES 1024  /* of an unsettled text, its end */
#define N_LINES 256      /* of one unsettled text */
#define N_LIVE_LINES 128 /* of all */
#define NAME_BYTES 64
#define LABEL_COLUMNS 14 /* at most; longer names end in an ellipsis */
#define LEAST_TEXT 24    /* columns; with less left the text goes under its label */
#define PARAGRAPH_BYTES (WD_EVENT_SPACE + 256)

enum style { PLAIN, DIM, BOLD, SPEAKER };

struct live { /* one utterance that is not final */
    bool used;
    char stream[NAME_BYTES], key[27], label[NAME_BYTES], color_of[NAME_BYTES];
    int64_t t0_ns;
    size_t n_bytes, n_settled;
    char text[LIVE_BYTES];
};

struct state {
    struct live live[N_LIVE]; /* oldest first */
    unsigned n_live;
    /* on the terminal now, the cursor at the end of the last */
    unsigned n_lines, line_columns[N_LIVE_LINES];
    char first_stream[NAME_BYTES];
    bool any_stream, several_streams;
    unsigned label_columns, stream_columns;
};

/* What is to be laid out. */
struct paragraph {
    const char *stream, *label, *color_of; /* color_of: the speaker's id; NULL: no speaker */
    int64_t t0_ns;
    bool dim;
    unsigned n_runs;
    struct {
        size_t at;
        enum style style;
    } runs[6];
    size_t n_bytes;
    char text[PARAGRAPH_BYTES];
};

struct lines { /* where each line begins in a buffer, and how wide it is */
    char *out;
    size_t cap, len;
    unsigned n, max; /* max 0: nobody asks */
    size_t begin[N_LINES];
    unsigned columns[N_LINES];
};

struct wd_screen {
    struct wd_screen_look look;
    struct state now, next;
    struct paragraph par;
    unsigned n_columns, n_rows;
    size_t len;
    char out[WD_SCREEN_BYTES];
    char scratch[64 * 1024];
};

int wd_screen_new(const struct wd_screen_look *look, struct wd_screen **ret, struct wd_err *err)
{
    struct wd_screen *s = calloc(1, sizeof *s);

    if (!s)
        return wd_err_set(err, -ENOMEM, "screen: out of memory");
    s->look = *look;
    *ret = s;
    return 0;
}

struct wd_screen *wd_screen_free(struct wd_screen *s)
{
    free(s);
    return NULL;
}

void wd_screen_commit(struct wd_screen *s)
{
    s->now = s->next;
}

/* --- bytes and characters --- */

static void put(struct lines *l, const char *text, size_t n)
{
    if (n <= l->cap - l->len) {
        memcpy(l->out + l->len, text, n);
        l->len += n;
    }
}

static void put_text(struct lines *l, const char *text)
{
    put(l, text, strlen(text));
}

static void put_blanks(struct lines *l, unsigned n)
{
    while (n--)
        put(l, " ", 1);
}

/* The next character as a terminal may have it. */
static size_t next(const char *text, size_t n, uint32_t *c, unsigned *ret_columns)
{
    size_t step = wd_utf8_read(text, n, c);
    int columns = wd_utf8_columns(*c);

    if (columns < 0) {
        *c = WD_UTF8_REPLACEMENT;
        columns = 1;
    }
    *ret_columns = (unsigned)columns;
    return step;
}

static unsigned columns_of(const char *text, size_t n)
{
    unsigned sum = 0, w;
    uint32_t c;

    for (size_t at = 0; at < n; sum += w)
        at += next(text + at, n - at, &c, &w);
    return sum;
}

static void put_character(struct lines *l, uint32_t c)
{
    char b[4];

    put(l, b, wd_utf8_put(c, b));
}

/* Cut with an ellipsis, or filled up with blanks, to n columns; 0: as it is. */
static unsigned put_cell(struct lines *l, const char *text, unsigned n)
{
    size_t len = strlen(text), at = 0;
    unsigned used = 0, w, all = columns_of(text, len);
    uint32_t c;

    while (at < len) {
        at += next(text + at, len - at, &c, &w);
        if (n && all > n && used + w > n - 1) {
            put_text(l, "\xe2\x80\xa6");
            used++;
            break;
        }
        put_character(l, c);
        used += w;
    }
    if (n > used) {
        put_blanks(l, n - used);
        used = n;
    }
    return used;
}

/* --- looks --- */

/* Each at least 4 to 1 against black and against white (WCAG 2.1 relative luminance), and apart
 * from its neighbours. */
static const unsigned char palette_256[] = {30, 130, 98, 28, 162, 64, 63, 131};
static const unsigned char palette_16[] = {36, 35, 32, 31, 34, 33};

/* spk_1, spk_2, ... get different colours as long as there are any; other names always get their
 * own same one. */
static unsigned color_index(const char *id)
{
    const char *digits = id + strcspn(id, "0123456789");
    unsigned h = 2166136261u; /* FNV-1a */

    if (*digits && strspn(digits, "0123456789") == strlen(digits) && strlen(digits) < 9)
        return (unsigned)strtoul(digits, NULL, 10) - 1u;
    for (; *id; id++)
        h = (h ^ (unsigned char)*id) * 16777619u;
    return h >> 8;
}

static void put_style(struct lines *l, const struct wd_screen *s, enum style style,
                      const char *color_of)
{
    char b[32];

    if (style == DIM && (s->look.live || s->look.n_colors))
        put_text(l, "\x1b[2m");
    if (style == BOLD && s->look.n_colors)
        put_text(l, "\x1b[1m");
    if (style != SPEAKER || !s->look.n_colors || !color_of)
        return;
    if (s->look.n_colors >= 256)
        snprintf(b, sizeof b, "\x1b[1;38;5;%um",
                 palette_256[color_index(color_of) % sizeof palette_256]);
    else
        snprintf(b, sizeof b, "\x1b[1;%um", palette_16[color_index(color_of) % sizeof palette_16]);
    put_text(l, b);
}

static void end_style(struct lines *l, const struct wd_screen *s)
{
    if (s->look.live || s->look.n_colors)
        put_text(l, "\x1b[0m");
}

/* --- layout --- */

static void begin_line(struct lines *l)
{
    if (l->max && l->n < l->max) {
        l->begin[l->n] = l->len;
        l->columns[l->n] = 0;
    }
    l->n++;
}

static void end_line(struct lines *l, unsigned columns)
{
    if (l->max && l->n <= l->max)
        l->columns[l->n - 1] = columns;
    put(l, "\n", 1);
}

static void put_time(struct lines *l, int64_t ns, unsigned *column)
{
    char b[32];
    long long s = (ns < 0 ? 0 : ns) / 1000000000;
    int n;

    if (s < 3600)
        n = snprintf(b, sizeof b, "%02d:%02d", (int)(s / 60), (int)(s % 60));
    else
        n = snprintf(b, sizeof b, "%lld:%02d:%02d", s / 3600, (int)(s / 60 % 60), (int)(s % 60));
    put(l, b, (size_t)n);
    *column += (unsigned)n;
}

static unsigned smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Time, stream, speaker, on one row of the screen also where that leaves no room for all; returns
 * the column behind them. */
static unsigned put_head(struct lines *l, const struct wd_screen *s, const struct paragraph *p)
{
    const struct state *st = &s->next;
    unsigned column = 0, room;

    put_style(l, s, DIM, NULL);
    put_time(l, p->t0_ns, &column);
    room = s->n_columns - 1 > column ? s->n_columns - 1 - column : 0;
    if (st->several_streams &&
        (!s->look.live || 4 + st->stream_columns + st->label_columns <= room)) {
        put_text(l, "  ");
        column +=
            2 + put_cell(l, p->stream ? p->stream : "", s->look.live ? st->stream_columns : 0);
        room = s->n_columns - 1 > column ? s->n_columns - 1 - column : 0;
    }
    end_style(l, s);
    if (st->label_columns && (s->look.live ? room > 3 : *p->label)) {
        put_text(l, "  ");
        put_style(l, s, p->dim ? DIM : SPEAKER, p->color_of);
        column +=
            2 + put_cell(l, p->label, s->look.live ? smaller(st->label_columns, room - 2) : 0);
        end_style(l, s);
    }
    if (!s->look.live || column + 2 < s->n_columns) {
        put_text(l, "  ");
        column += 2;
    }
    return column;
}

static enum style style_at(const struct paragraph *p, size_t at, enum style style)
{
    for (unsigned i = 0; i < p->n_runs; i++)
        if (p->runs[i].at <= at)
            style = p->runs[i].style;
    return p->dim ? DIM : style;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The paragraph's text, wrapped behind `indent` (plain: one line). */
static void put_body(struct lines *l, const struct wd_screen *s, const struct paragraph *p,
                     unsigned column, unsigned indent)
{
    unsigned right = s->look.live
                         ? s->n_columns - 1
                         : UINT32_MAX; /* the last column makes terminals wrap by themselves */
    enum style style = PLAIN;
    size_t at = 0;
    bool first = true;

    while (at < p->n_bytes) {
        size_t end;
        unsigned n, w;
        uint32_t c;

        while (at < p->n_bytes && is_blank(p->text[at]))
            at++;
        for (end = at; end < p->n_bytes && !is_blank(p->text[end]);)
            end++;
        n = columns_of(p->text + at, end - at);
        if (!first && column > indent && (column + 1 > right || n > right - column - 1)) {
            end_style(l, s);
            end_line(l, column);
            begin_line(l);
            put_blanks(l, indent);
            column = indent;
            style = PLAIN;
        } else if (!first && at < end) {
            put(l, " ", 1);
            column++;
        }
        first = false;
        for (; at < end; column += w) {
            enum style want = style_at(p, at, PLAIN);

            if (want != style) {
                end_style(l, s);
                put_style(l, s, want, NULL);
                style = want;
            }
            at += next(p->text + at, end - at, &c, &w);
            if (w > right - column && column > indent) { /* a word longer than the line */
                end_style(l, s);
                end_line(l, column);
                begin_line(l);
                put_blanks(l, indent);
                column = indent;
                put_style(l, s, style, NULL);
            }
            put_character(l, c);
        }
    }
    if (style != PLAIN)
        end_style(l, s);
    end_line(l, column);
}

static void put_paragraph(struct lines *l, const struct wd_screen *s, const struct paragraph *p)
{
    unsigned column, indent;

    begin_line(l);
    column = indent = put_head(l, s, p);
    if (s->look.live && indent + LEAST_TEXT > s->n_columns) {
        end_line(l, column);
        begin_line(l);
        put_blanks(l, 2);
        column = indent = 2;
    }
    put_body(l, s, p, column, indent);
}

/* --- what is to be said --- */

static void say(struct paragraph *p, const char *text, enum style style)
{
    size_t n = text ? strlen(text) : 0, room = sizeof p->text - p->n_bytes;

    if (!n)
        return;
    if (p->n_runs < sizeof p->runs / sizeof p->runs[0]) {
        p->runs[p->n_runs].at = p->n_bytes;
        p->runs[p->n_runs++].style = style;
    }
    n = n < room ? n : room;
    memcpy(p->text + p->n_bytes, text, n);
    p->n_bytes += n;
}

static void say_speech(struct paragraph *p, const struct wd_event *e)
{
    const char *label = wd_cues_speaker(e);

    p->label = label ? label : "";
    p->color_of = e->speaker.id ? e->speaker.id : label;
    say(p, e->text, PLAIN);
}

static void say_scene(struct paragraph *p, const struct wd_event *e)
{
    p->label = "[scene]";
    /* A model that answers in sentences has the first one as its title. */
    if (e->title && *e->title && !(e->summary && strncmp(e->summary, e->title, strlen(e->title)) == 0)) {
        say(p, e->title, BOLD);
        say(p, ": ", BOLD);
    }
    say(p, e->summary, PLAIN);
    if (e->changes && *e->changes) {
        say(p, " (", PLAIN);
        say(p, e->changes, PLAIN);
        say(p, ")", PLAIN);
    }
}

/* Behind what happened: why, where that is known. */
static void say_why(struct paragraph *p, const char *why)
{
    if (!why || !*why)
        return;
    say(p, ": ", DIM);
    say(p, why, DIM);
}

static void say_lag(struct paragraph *p, const struct wd_event *e)
{
    char b[64];

    p->label = "[lag]";
    snprintf(b, sizeof b, "%.1f s behind", e->behind_s);
    say(p, b, DIM);
    say_why(p, e->change);
}

static void say_gap(struct paragraph *p, const struct wd_event *e)
{
    char b[64];

    p->label = "[gap]";
    snprintf(b, sizeof b, "%.1f s lost", (double)(e->t1_ns - e->t0_ns) / 1e9);
    say(p, b, DIM);
    say_why(p, e->reason);
}

static void say_speaker(struct paragraph *p, const struct wd_event *e)
{
    p->label = "[speaker]";
    say(p, e->speaker.id, DIM);
    say(p, " ", DIM);
    say(p, e->change, DIM);
    if (e->into) {
        say(p, " into ", DIM);
        say(p, e->into, DIM);
    } else if (e->speaker.name) {
        say(p, " ", DIM);
        say(p, e->speaker.name, DIM);
    }
}

/* false: this kind has no line of its own. */
static bool describe(struct paragraph *p, const struct wd_event *e)
{
    p->stream = e->stream;
    p->label = "";
    p->color_of = NULL;
    p->t0_ns = e->t0_ns;
    p->n_runs = 0;
    p->n_bytes = 0;
    p->dim = false;
    switch (e->kind) {
    case WD_EVENT_FINAL:
        say_speech(p, e);
        return p->n_bytes > 0;
    case WD_EVENT_SCENE:
        say_scene(p, e);
        return true;
    case WD_EVENT_ALERT:
        p->label = "[alert]";
        say(p, e->title, BOLD);
        say(p, e->title && e->text ? ": " : NULL, BOLD);
        say(p, e->text, PLAIN);
        return true;
    case WD_EVENT_ANSWER:
        p->label = "[answer]";
        say(p, e->text, PLAIN);
        return true;
    case WD_EVENT_SOURCE:
        p->label = "[source]";
        say(p, e->change, DIM);
        say_why(p, e->reason);
        break;
    case WD_EVENT_GAP:
        say_gap(p, e);
        break;
    case WD_EVENT_LAG:
        say_lag(p, e);
        break;
    case WD_EVENT_SPEAKER:
        say_speaker(p, e);
        break;
    case WD_EVENT_NOTICE:
        p->label = "[notice]";
        say(p, e->text ? e->text : e->change, DIM);
        break;
    case WD_EVENT_TURN:
        p->label = wd_cues_speaker(e) ? wd_cues_speaker(e) : "";
        say(p, "speaks", DIM);
        break;
    case WD_EVENT_PARTIAL:
    case WD_EVENT_N_KINDS:
        return false;
    }
    p->dim = true;
    return true;
}

/* --- the part that is not settled --- */

static void copy_name(char out[NAME_BYTES], const char *name)
{
    snprintf(out, NAME_BYTES, "%s", name ? name : "");
}

static const char *key_of(const struct wd_event *e)
{
    return e->supersedes ? e->supersedes : e->id;
}

static void remove_live(struct state *st, unsigned i)
{
    memmove(&st->live[i], &st->live[i + 1], (st->n_live - i - 1) * sizeof st->live[0]);
    st->n_live--;
}

static bool same_stream(const struct live *v, const struct wd_event *e)
{
    return strncmp(v->stream, e->stream ? e->stream : "", NAME_BYTES - 1) == 0;
}

static struct live *find_live(struct state *st, const struct wd_event *e)
{
    for (unsigned i = 0; i < st->n_live; i++)
        if (same_stream(&st->live[i], e) && strcmp(st->live[i].key, key_of(e)) == 0)
            return &st->live[i];
    return NULL;
}

static void keep_text(struct live *v, const struct wd_event *e)
{
    size_t n = strlen(e->text), skip = n > sizeof v->text ? n - sizeof v->text : 0;

    while (skip && skip < n && ((unsigned char)e->text[skip] & 0xc0) == 0x80)
        skip++;
    v->n_bytes = n - skip;
    memcpy(v->text, e->text + skip, v->n_bytes);
    v->n_settled = e->n_settled > skip ? e->n_settled - skip : 0;
    if (v->n_settled > v->n_bytes)
        v->n_settled = v->n_bytes;
}

static void take_partial(struct state *st, const struct wd_event *e)
{
    struct live *v = find_live(st, e);

    if (!e->text || !*e->text) {
        if (v)
            remove_live(st, (unsigned)(v - st->live));
        return;
    }
    if (!v) {
        if (st->n_live == N_LIVE)
            remove_live(st, 0);
        v = &st->live[st->n_live++];
        snprintf(v->key, sizeof v->key, "%s", key_of(e));
        copy_name(v->stream, e->stream);
    }
    v->t0_ns = e->t0_ns;
    copy_name(v->label, wd_cues_speaker(e));
    copy_name(v->color_of, e->speaker.id);
    keep_text(v, e);
}

/* A final ends its own partial, and what else its stream had shown of that time; the end of a
 * source ends all of its stream. */
static void drop_live(struct state *st, const struct wd_event *e)
{
    bool ended = e->kind == WD_EVENT_SOURCE && e->change && strcmp(e->change, "ended") == 0;
    bool own = e->kind == WD_EVENT_FINAL && find_live(st, e);

    for (unsigned i = st->n_live; i-- > 0;) {
        struct live *v = &st->live[i];

        if (!same_stream(v, e))
            continue;
        if (ended || (own && strcmp(v->key, key_of(e)) == 0) ||
            (e->kind == WD_EVENT_FINAL && !own && v->t0_ns < e->t1_ns))
            remove_live(st, i);
    }
}

static void put_live(struct wd_screen *s, struct lines *to)
{
    struct state *st = &s->next;
    unsigned room = s->n_rows > 2 ? s->n_rows - 1 : 1;

    if (room > N_LIVE_LINES)
        room = N_LIVE_LINES;
    st->n_lines = 0;
    /* more utterances than lines: the newest are shown */
    for (unsigned i = st->n_live > room ? st->n_live - room : 0; i < st->n_live; i++) {
        struct live *v = &st->live[i];
        struct paragraph *p = &s->par;
        struct lines l = {.out = s->scratch, .cap = sizeof s->scratch, .max = N_LINES};
        unsigned share = (room - st->n_lines) / (st->n_live - i), from, n;

        *p = (struct paragraph){
            .stream = v->stream, .label = v->label, .color_of = v->color_of, .t0_ns = v->t0_ns};
        memcpy(p->text, v->text, v->n_bytes);
        p->n_bytes = v->n_bytes;
        p->n_runs = 1;
        p->runs[0].at = v->n_settled;
        p->runs[0].style = DIM;
        put_paragraph(&l, s, p);
        n = l.n < N_LINES ? l.n : N_LINES;
        for (from = n > share ? n - share : 0; from < n; from++) {
            size_t end = from + 1 < n ? l.begin[from + 1] : l.len;

            if (st->n_lines)
                put(to, "\n", 1);
            st->line_columns[st->n_lines++] = l.columns[from];
            put(to, s->scratch + l.begin[from], end - l.begin[from] - 1);
        }
    }
}

/* A terminal that became narrower has broken our lines into more rows than we wrote. */
static void erase_live(struct wd_screen *s, struct lines *to)
{
    unsigned up = 0;
    char b[32];

    if (!s->now.n_lines)
        return;
    for (unsigned i = 0; i < s->now.n_lines; i++) {
        unsigned w = s->now.line_columns[i];

        up += w ? (w + s->n_columns - 1) / s->n_columns : 1;
    }
    put_text(to, "\r");
    if (up > 1)
        put(to, b, (size_t)snprintf(b, sizeof b, "\x1b[%uA", up - 1));
    put_text(to, "\x1b[J");
}

/* --- one event --- */

static void widen(unsigned *columns, const char *text)
{
    unsigned n = text ? columns_of(text, strlen(text)) : 0;

    if (n > LABEL_COLUMNS)
        n = LABEL_COLUMNS;
    if (n > *columns)
        *columns = n;
}

static void meet(struct state *st, const struct wd_event *e, const char *label)
{
    widen(&st->label_columns, label);
    if (!e->stream)
        return;
    widen(&st->stream_columns, e->stream);
    if (!st->any_stream)
        copy_name(st->first_stream, e->stream);
    else if (strncmp(st->first_stream, e->stream, NAME_BYTES - 1) != 0)
        st->several_streams = true;
    st->any_stream = true;
}

const char *wd_screen_draw(struct wd_screen *s, const struct wd_event *e, int columns, int rows,
                           size_t *ret_n_bytes)
{
    struct lines to = {.out = s->out, .cap = sizeof s->out};
    bool has_line = false;

    s->n_columns = columns <= 0 ? 80 : columns < 12 ? 12 : (unsigned)columns;
    s->n_rows = rows <= 0 ? 24 : (unsigned)rows;
    s->next = s->now;
    *ret_n_bytes = 0;
    if (e && e->kind == WD_EVENT_PARTIAL && !s->look.live)
        return s->out;
    if (e && e->kind == WD_EVENT_PARTIAL) {
        meet(&s->next, e, wd_cues_speaker(e));
        take_partial(&s->next, e);
    } else if (e) {
        has_line = describe(&s->par, e);
        if (has_line)
            meet(&s->next, e, s->par.label);
        drop_live(&s->next, e);
    } else {
        s->next.n_live = 0;
    }
    if (s->look.live)
        erase_live(s, &to);
    if (has_line)
        put_paragraph(&to, s, &s->par);
    if (s->look.live)
        put_live(s, &to);
    *ret_n_bytes = to.len;
    return s->out;
}
