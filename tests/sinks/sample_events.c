/* tests/sinks/sample_events.c - fills events as a friendly and as a hostile pipeline would. */
#include "tests/sinks/sample_events.h"
#include <math.h>
#include <string.h>

#define SECOND 1000000000LL

const char sample_nasty[] =
    "\x01\x02\x03\x04\x05\x06\x07\b\t\n\v\f\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a"
    "\x1b\x1c\x1d\x1e\x1f"
    " \"quoted\" back\\slash </script> --> \x1b[31mred\x1b[2J \x7f\x80\x81\xbf\xc0\xaf\xc1\xfe\xff"
    " overlong \xc0\x80\xe0\x80\xaf\xf0\x80\x80\xaf surrogate \xed\xa0\x80\xed\xbf\xbf beyond "
    "\xf4\x90\x80\x80\xf8\x88\x80\x80\x80"
    " c1 \xc2\x80\xc2\x85\xc2\x9b lines \xe2\x80\xa8\xe2\x80\xa9 bidi \xe2\x80\xae noncharacter "
    "\xef\xbf\xbf\xf4\x8f\xbf\xbf"
    " fine \xc3\xa4\xe2\x82\xac\xf0\x9f\x8e\xa4 cut \xf0\x9f\x8e";

static const char *put(struct wd_event *e, const char *text)
{
    return wd_event_text(e, text, text ? strlen(text) : 0);
}

static void put_words(struct wd_event *e, const char *const *texts, uint32_t n)
{
    struct wd_event_word *w = wd_event_space(e, n * sizeof *w);

    for (uint32_t i = 0; w && i < n; i++)
        w[i] = (struct wd_event_word){put(e, texts[i]), e->t0_ns + i * SECOND / 2,
                                      e->t0_ns + (i + 1) * SECOND / 2, 0.9f};
    e->words = w;
    e->n_words = w ? n : 0;
}

static void put_pictures(struct wd_event *e)
{
    int64_t *at = wd_event_space(e, 2 * sizeof *at);

    if (at) {
        at[0] = 11 * SECOND;
        at[1] = 12 * SECOND;
    }
    e->picture_ns = at;
    e->n_pictures = at ? 2 : 0;
}

static const char *change_of(enum wd_event_kind kind)
{
    switch (kind) {
    case WD_EVENT_SPEAKER:
        return "merged";
    case WD_EVENT_SOURCE:
        return "live";
    case WD_EVENT_LAG:
        return "no partials";
    default:
        return "loop";
    }
}

static void fill(struct wd_event *e, const char *text, const char *name)
{
    static const char *const words[] = {"good", "morning"};
    const char *const nasty_words[] = {text, ""};

    e->stream = put(e, name ? name : "room");
    e->utc_ns = SAMPLE_UTC_NS;
    e->rev = 3;
    e->supersedes = put(e, "01ARYZ6S41TSV4RRFFQ69G5FAV");
    e->model = put(e, name ? name : "nano");
    e->model_hash = put(e, "sha256:0123");
    e->text = put(e, text);
    e->n_settled = 4;
    e->lang = put(e, "en");
    put_words(e, name ? nasty_words : words, 2);
    e->speaker = (struct wd_event_speaker){put(e, name ? name : "spk_1"),
                                           put(e, name ? name : "Anna"), 0.875f};
    e->title = put(e, text);
    e->summary = put(e, text);
    e->changes = put(e, text);
    e->concerns = put(e, text);
    e->confidence = 0.75f;
    put_pictures(e);
    e->change = change_of(e->kind); /* a literal: always whole */
    e->reason = put(e, text);
    e->into = put(e, "spk_2");
    e->behind_s = 4.25;
}

struct wd_event *sample_event(struct wd_event_pool *p, enum wd_event_kind kind,
                              enum sample_filling filling)
{
    static char longest[WD_EVENT_SPACE + 1000];
    struct wd_event *e = wd_event_new(p, kind, SAMPLE_UTC_NS + 2 * SECOND);

    e->t0_ns = 10 * SECOND + 240 * SECOND / 1000;
    e->t1_ns = 12 * SECOND;
    switch (filling) {
    case SAMPLE_BARE:
        if (kind == WD_EVENT_SPEAKER)
            e->speaker.id = "spk_1";
        if (kind == WD_EVENT_SPEAKER || kind == WD_EVENT_SOURCE)
            e->change = kind == WD_EVENT_SPEAKER ? "new" : "connecting";
        break;
    case SAMPLE_NASTY:
        fill(e, sample_nasty, sample_nasty);
        e->t0_ns = -1;
        e->utc_ns = -1;
        e->n_settled = UINT32_MAX;
        e->confidence = NAN;
        e->speaker.confidence = INFINITY;
        e->behind_s = (double)INFINITY;
        break;
    case SAMPLE_LONG:
        for (size_t i = 0; i + 1 < sizeof longest; i++)
            longest[i] = (char)(1 + i % 31); /* the worst: six bytes for each */
        fill(e, longest, NULL);
        break;
    default:
        fill(e, "good morning", NULL);
    }
    return e;
}
