/* pipeline/settle.c - what two answers in a row agree on is settled and never taken back. */
#include "pipeline/settle.h"

#include <string.h>

static bool good(const struct wd_parsed *p)
{
    return p && p->end != WD_PARSE_BAD && p->end != WD_PARSE_LOOP;
}

static bool agree(const struct wd_parsed *a, const struct wd_parsed *b, uint32_t i)
{
    const struct wd_parse_word *wa = &a->words[i], *wb = &b->words[i];

    return wa->len == wb->len && memcmp(wa->text, wb->text, wa->len) == 0 &&
           wa->glued == wb->glued && wa->utterance == wb->utterance &&
           a->utterances[wa->utterance].label == b->utterances[wb->utterance].label &&
           a->utterances[wa->utterance].first_word == b->utterances[wb->utterance].first_word;
}

/* One token may hold the end of a word and the beginning of the next: nobody can be forced with
 * half of it. */
static bool ends_a_token(const struct wd_parsed *p, uint32_t i)
{
    return i + 1 == p->n_words || p->words[i + 1].first_token > p->words[i].last_token;
}

static void advance(struct wd_settle *s, const struct wd_parsed *p, uint32_t n_words)
{
    uint32_t n_tokens = n_words ? p->words[n_words - 1].last_token + 1 : 0;

    if (n_words > s->n_words)
        s->n_words = n_words;
    if (n_tokens > s->n_tokens)
        s->n_tokens = n_tokens;
}

uint32_t wd_settle_tick(struct wd_settle *s, const struct wd_parsed *before,
                        const struct wd_parsed *now, const struct wd_align_time *times,
                        int64_t audio_end_ns, int64_t hold_ns)
{
    uint32_t shown = s->n_words;

    s->n_shown = shown;
    if (!good(before) || !good(now))
        return 0;
    for (uint32_t i = s->n_words; i < now->n_words && i < before->n_words; i++) {
        if (!now->words[i].complete || times[i].t1_ns > audio_end_ns - hold_ns ||
            !agree(before, now, i))
            break;
        if (ends_a_token(now, i))
            advance(s, now, i + 1);
    }
    return s->n_words - shown;
}

uint32_t wd_settle_all(struct wd_settle *s, const struct wd_parsed *now)
{
    uint32_t shown = s->n_words;

    s->n_shown = shown;
    if (good(now))
        advance(s, now, now->n_words);
    return s->n_words - shown;
}

static float speech_at(const float *speech, uint32_t n, uint32_t f)
{
    float sum = 0;
    uint32_t k = 0;

    for (uint32_t i = f ? f - 1 : 0; i <= f + 1 && i < n; i++, k++)
        sum += speech[i] > 0 ? speech[i] : 0;
    return sum / (float)k;
}

/* The quietest frame of [from, to], the middle of them without probabilities; inside a word counts
 * as louder. */
static uint32_t quietest(const struct wd_parsed *p, const struct wd_align_time *times,
                         const float *speech, uint32_t n, int64_t t0_ns, uint32_t from, uint32_t to)
{
    uint32_t best = from + (to - from) / 2, word = 0;
    float least = 4;

    for (uint32_t f = from; f <= to; f++) {
        int64_t t = t0_ns + f * WD_ALIGN_FRAME_NS;
        float loud = speech ? speech_at(speech, n, f) : 0;

        while (p && word < p->n_words && times[word].t1_ns <= t)
            word++;
        if (p && word < p->n_words && times[word].t0_ns < t)
            loud += 0.25f;
        if (loud < least) {
            least = loud;
            best = f;
        }
    }
    return best;
}

static uint32_t frame_of(int64_t t_ns, int64_t t0_ns, uint32_t n)
{
    int64_t f = (t_ns - t0_ns + WD_ALIGN_FRAME_NS / 2) / WD_ALIGN_FRAME_NS;

    return f < 1 ? 1 : f > (int64_t)n - 1 ? n - 1 : (uint32_t)f;
}

/* Behind word i: in the pause that follows, at most half a second on, or right at its end. */
static struct wd_settle_cut behind(enum wd_settle_at at, const struct wd_parsed *p,
                                   const struct wd_align_time *times, uint32_t i,
                                   const float *speech, uint32_t n, int64_t t0_ns)
{
    uint32_t from = frame_of(times[i].t1_ns, t0_ns, n), to = from;

    if (i + 1 < p->n_words)
        to = frame_of(times[i + 1].t0_ns, t0_ns, n);
    else
        to = frame_of(times[i].t1_ns + WD_SETTLE_EDGE_NS / 2, t0_ns, n);
    if (to > from + 12)
        to = from + 12;
    if (to < from)
        to = from;
    return (struct wd_settle_cut){
        .at = at,
        .frame = speech ? quietest(NULL, NULL, speech, n, t0_ns, from, to) : from,
        .n_words = i + 1,
        .n_tokens = p->words[i].last_token + 1,
    };
}

struct wd_settle_cut wd_settle_cut(const struct wd_settle *s, const struct wd_parsed *now,
                                   const struct wd_align_time *times, const float *speech,
                                   uint32_t n, int64_t t0_ns, int64_t edge_ns)
{
    int64_t end_ns = t0_ns + n * WD_ALIGN_FRAME_NS, middle_ns = t0_ns + n * WD_ALIGN_FRAME_NS / 2;
    uint32_t settled = 0, complete = 0, shown = 0, from, to;
    struct wd_settle_cut cut = {.at = WD_SETTLE_AT_QUIET};

    if (!good(now) || !times)
        now = NULL;
    for (uint32_t i = 0; now && i < now->n_words; i++) {
        bool early = times[i].t1_ns <= end_ns - edge_ns;

        if (i < s->n_shown)
            shown = i + 1;
        if (i < s->n_words && (early || i < s->n_shown))
            settled = i + 1;
        if (now->words[i].complete && early)
            complete = i + 1;
    }
    if (settled && (times[settled - 1].t1_ns >= middle_ns || complete <= settled))
        return behind(WD_SETTLE_AT_SETTLED, now, times, settled - 1, speech, n, t0_ns);
    /* What settled lies far back: cutting there would carry most of the window over, and soon
     * again. */
    if (complete > shown)
        return behind(settled == complete ? WD_SETTLE_AT_SETTLED : WD_SETTLE_AT_COMPLETE, now,
                      times, complete - 1, speech, n, t0_ns);
    from = n > WD_SETTLE_QUIET_NS / WD_ALIGN_FRAME_NS
               ? n - (uint32_t)(WD_SETTLE_QUIET_NS / WD_ALIGN_FRAME_NS)
               : 1;
    if (shown) {
        uint32_t least = frame_of(times[shown - 1].t1_ns, t0_ns, n);

        if (from < least)
            from = least;
    }
    from = from < 1 ? 1 : from;
    to = n - 1 > from ? n - 1 : from;
    cut.frame = quietest(now, times, speech, n, t0_ns, from, to);
    for (uint32_t i = 0; now && i < now->n_words; i++)
        if (i < shown ||
            (times[i].t0_ns + times[i].t1_ns) / 2 <= t0_ns + cut.frame * WD_ALIGN_FRAME_NS)
            cut.n_words = i + 1;
    if (cut.n_words)
        cut.n_tokens = now->words[cut.n_words - 1].last_token + 1;
    return cut;
}

/* A full stop, question or exclamation mark, of any script that has its own; an ellipsis only breaks off. */
static bool ends_sentence(const struct wd_parsed *p, uint32_t i)
{
    static const char *const marks[] = {".", "?", "!", "\u3002", "\uff1f", "\uff01", "\u061f", "\u06d4", "\u0964"};
    const struct wd_parse_word *word = &p->words[i];

    if (i + 1 < p->n_words && p->words[i + 1].utterance != word->utterance)
        return true;
    if (word->len >= 3 && strncmp(word->text + word->len - 3, "...", 3) == 0)
        return false;
    for (size_t k = 0; k < sizeof marks / sizeof *marks; k++) {
        size_t len = strlen(marks[k]);

        if (word->len > len && strncmp(word->text + word->len - len, marks[k], len) == 0)
            return true;
    }
    return false;
}

bool wd_settle_between_sentences(const struct wd_settle *s, const struct wd_parsed *now, const struct wd_align_time *times,
                                 const float *speech, uint32_t n, int64_t t0_ns, struct wd_settle_cut *ret)
{
    int64_t end_ns = t0_ns + n * WD_ALIGN_FRAME_NS, middle_ns = t0_ns + n * WD_ALIGN_FRAME_NS / 2;

    for (uint32_t i = s->n_words; i-- > 0 && i + 1 >= s->n_shown;) {
        int64_t next_ns = i + 1 < now->n_words ? times[i + 1].t0_ns : end_ns;

        if (times[i].t1_ns < middle_ns)
            return false;
        if (ends_sentence(now, i) && next_ns - times[i].t1_ns >= WD_SETTLE_PAUSE_NS) {
            *ret = behind(WD_SETTLE_AT_SETTLED, now, times, i, speech, n, t0_ns);
            return true;
        }
    }
    return false;
}
