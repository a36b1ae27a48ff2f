/* sinks/event_json.c - event -> one JSON line; the only place that escapes text for it. */
#include "sinks/event_json.h"
#include "base/utf8.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000LL
#define NS_PER_MS 1000000LL

struct json {
    char *out;
    size_t cap, len; /* len counts on when out is full */
    bool first;      /* no comma before the next member */
};

static void raw(struct json *j, const char *s, size_t n)
{
    if (j->len < j->cap && n < j->cap - j->len)
        memcpy(j->out + j->len, s, n);
    j->len += n;
}

static void raw_text(struct json *j, const char *s)
{
    raw(j, s, strlen(s));
}

static void character(struct json *j, uint32_t c)
{
    char b[8];

    if (c == '"' || c == '\\') {
        b[0] = '\\';
        b[1] = (char)c;
        raw(j, b, 2);
    } else if (c == '\n') {
        raw(j, "\\n", 2);
    } else if (c == '\t') {
        raw(j, "\\t", 2);
    } else if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029) {
        snprintf(b, sizeof b, "\\u%04x", (unsigned)c);
        raw(j, b, 6);
    } else {
        raw(j, b, wd_utf8_put(c, b));
    }
}

/* Returns the characters among the first `n_counted` bytes, as they were written. */
static uint32_t string(struct json *j, const char *s, size_t n_counted)
{
    size_t n, at = 0;
    uint32_t c, count = 0;

    if (!s) {
        raw(j, "null", 4);
        return 0;
    }
    n = strlen(s);
    raw(j, "\"", 1);
    while (at < n) {
        at += wd_utf8_read(s + at, n - at, &c);
        count += at <= n_counted;
        character(j, c);
    }
    raw(j, "\"", 1);
    return count;
}

static void comma(struct json *j)
{
    if (!j->first)
        raw(j, ",", 1);
    j->first = false;
}

static void key(struct json *j, const char *name)
{
    comma(j);
    raw(j, "\"", 1);
    raw_text(j, name);
    raw(j, "\":", 2);
}

static void begin(struct json *j, const char *bracket)
{
    raw(j, bracket, 1);
    j->first = true;
}

static void end(struct json *j, const char *bracket)
{
    raw(j, bracket, 1);
    j->first = false;
}

static void text(struct json *j, const char *name, const char *s)
{
    key(j, name);
    string(j, s, 0);
}

static void integer(struct json *j, long long v)
{
    char b[24];

    raw(j, b, (size_t)snprintf(b, sizeof b, "%lld", v));
}

/* Thousandths; no printf of floating point, whose comma depends on the locale. */
static void thousandths(struct json *j, int64_t v)
{
    char b[32];
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

    raw(j, b,
        (size_t)snprintf(b, sizeof b, "%s%llu.%03u", v < 0 ? "-" : "",
                         (unsigned long long)(u / 1000), (unsigned)(u % 1000)));
}

static void seconds(struct json *j, int64_t ns)
{
    int64_t ms = ns / NS_PER_MS, rest = ns % NS_PER_MS;

    thousandths(j, ms + (rest >= NS_PER_MS / 2) - (rest < -NS_PER_MS / 2));
}

static void time_member(struct json *j, const char *name, int64_t ns)
{
    key(j, name);
    seconds(j, ns);
}

static void number(struct json *j, const char *name, double v, double most)
{
    key(j, name);
    if (!(v > 0)) /* NaN too */
        v = 0;
    thousandths(j, llround(fmin(v, most) * 1000));
}

static void utc(struct json *j, const char *name, int64_t ns)
{
    char b[48];
    struct tm tm;
    time_t s = (time_t)(ns / NS_PER_S);

    key(j, name);
    if (ns <= 0 || !gmtime_r(&s, &tm)) {
        raw(j, "null", 4);
        return;
    }
    snprintf(b, sizeof b, "\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
             (int)(ns % NS_PER_S / NS_PER_MS));
    raw_text(j, b);
}

static void speaker(struct json *j, const struct wd_event_speaker *s)
{
    key(j, "speaker");
    if (!s->id) {
        raw(j, "null", 4);
        return;
    }
    begin(j, "{");
    text(j, "id", s->id);
    text(j, "name", s->name);
    number(j, "confidence", (double)s->confidence, 1);
    end(j, "}");
}

static void words(struct json *j, const struct wd_event *e)
{
    key(j, "words");
    begin(j, "[");
    for (uint32_t i = 0; e->words && i < e->n_words; i++) {
        const struct wd_event_word *w = &e->words[i];

        comma(j);
        begin(j, "{");
        text(j, "text", w->text ? w->text : "");
        time_member(j, "t0", w->t0_ns);
        time_member(j, "t1", w->t1_ns);
        number(j, "p", (double)w->p, 1);
        end(j, "}");
    }
    end(j, "]");
}

static void pictures(struct json *j, const struct wd_event *e)
{
    key(j, "pictures");
    begin(j, "[");
    for (uint32_t i = 0; e->picture_ns && i < e->n_pictures; i++) {
        comma(j);
        seconds(j, e->picture_ns[i]);
    }
    end(j, "]");
}

static void speech(struct json *j, const struct wd_event *e)
{
    uint32_t n_settled;

    key(j, "text");
    n_settled = string(j, e->text ? e->text : "", e->n_settled);
    if (e->kind == WD_EVENT_PARTIAL) {
        key(j, "settled");
        integer(j, n_settled);
    }
    words(j, e);
    text(j, "lang", e->lang);
    speaker(j, &e->speaker);
}

static void by_kind(struct json *j, const struct wd_event *e)
{
    switch (e->kind) {
    case WD_EVENT_PARTIAL:
    case WD_EVENT_FINAL:
        speech(j, e);
        break;
    case WD_EVENT_SCENE:
        text(j, "title", e->title);
        text(j, "summary", e->summary ? e->summary : "");
        text(j, "changes", e->changes);
        text(j, "concerns", e->concerns);
        number(j, "confidence", (double)e->confidence, 1);
        pictures(j, e);
        break;
    case WD_EVENT_ALERT:
        text(j, "rule", e->title ? e->title : "");
        text(j, "text", e->text);
        number(j, "confidence", (double)e->confidence, 1);
        pictures(j, e);
        break;
    case WD_EVENT_ANSWER:
        text(j, "question", e->title);
        text(j, "text", e->text ? e->text : "");
        break;
    case WD_EVENT_SPEAKER:
        text(j, "change", e->change);
        speaker(j, &e->speaker);
        text(j, "into", e->into);
        break;
    case WD_EVENT_SOURCE:
        text(j, "state", e->change);
        text(j, "reason", e->reason);
        break;
    case WD_EVENT_GAP:
        text(j, "reason", e->reason);
        break;
    case WD_EVENT_LAG:
        number(j, "behind_s", e->behind_s, 1e9);
        text(j, "step", e->change);
        break;
    case WD_EVENT_NOTICE:
        text(j, "code", e->change);
        text(j, "text", e->text ? e->text : "");
        break;
    case WD_EVENT_TURN:
        speaker(j, &e->speaker);
        break;
    case WD_EVENT_N_KINDS:
        break;
    }
}

static void model(struct json *j, const struct wd_event *e)
{
    key(j, "model");
    if (!e->model) {
        raw(j, "null", 4);
        return;
    }
    begin(j, "{");
    text(j, "name", e->model);
    text(j, "hash", e->model_hash);
    end(j, "}");
}

size_t wd_event_json(const struct wd_event *e, char *out, size_t cap)
{
    struct json j = {.out = out, .cap = cap};

    begin(&j, "{");
    key(&j, "schema");
    integer(&j, WD_EVENT_SCHEMA);
    text(&j, "id", e->id);
    text(&j, "stream", e->stream);
    text(&j, "kind", wd_event_kind_name(e->kind));
    time_member(&j, "t0", e->t0_ns);
    time_member(&j, "t1", e->t1_ns);
    utc(&j, "utc", e->utc_ns);
    utc(&j, "emitted_utc", e->emitted_utc_ns);
    key(&j, "rev");
    integer(&j, e->rev);
    text(&j, "supersedes", e->supersedes);
    model(&j, e);
    by_kind(&j, e);
    if (e->cut) {
        key(&j, "cut");
        raw(&j, "true", 4);
    }
    end(&j, "}");
    if (cap)
        out[j.len < cap ? j.len : 0] = '\0';
    return j.len;
}
