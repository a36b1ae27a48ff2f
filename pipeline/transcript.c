/* pipeline/transcript.c - one stream's windows -> what was said, by whom, when. */
#include "pipeline/transcript.h"

#include "model/tokenizer.h"
#include "pipeline/align.h"
#include "pipeline/parse.h"
#include "pipeline/prompt.h"
#include "pipeline/settle.h"
#include "pipeline/voices.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINES WD_PARSE_MAX_UTTERANCES
#define CARRIED_BYTES 4096
#define DEFAULT_MAX_TOKENS 256
/* No language is spoken faster; what a model writes beyond it would only keep the engine busy. */
#define MAX_TOKENS_A_SECOND 25
#define MAX_TOKENS_MORE 24 /* labels, and a first word */
#define NEARLY_FULL_PERCENT 60

/* What was published of one line of the window at hand. */
struct line {
    char id[27];     /* of its first event; "" none yet */
    uint32_t rev;
    uint64_t digest;  /* of the last partial, so that the same one is not said twice */
    uint32_t speaker; /* whom it named */
};

struct wd_transcript {
    struct wd_transcript_opts opts;
    struct wd_publish *publish;
    struct wd_align *align;
    struct wd_voices *voices;
    const char *language;
    uint32_t max_tokens;

    /* The window at hand. */
    struct wd_parsed *parsed[2]; /* this tick's and the one before */
    bool before;                 /* parsed[1] holds a tick */
    struct wd_align_time times[WD_PARSE_MAX_WORDS];
    uint32_t seen[WD_PARSE_MAX_WORDS];
    struct wd_settle settle;
    struct wd_token hypothesis[WD_JOB_MAX_TOKENS];
    uint32_t n_hypothesis;
    struct line lines[MAX_LINES];
    uint32_t n_published;        /* words of it that are final already: whole lines, after which somebody else spoke */
    uint32_t part;               /* its frames before this one belong to them */
    uint32_t n_pending, pending; /* the same of lines that will be final when their voices are known; 0: none */
    bool again;                  /* this window is decoded a second time */
    float speech[WD_WINDOW_MAX_FRAMES + 64];
    char carried[CARRIED_BYTES]; /* lines settled before a cut: the instruction of the window that follows */

    struct wd_parse_token tokens[WD_JOB_MAX_TOKENS];
    char token_text[WD_JOB_MAX_TOKENS * 16];
    struct wd_transcript_stats stats;
};

int wd_transcript_new(const struct wd_transcript_opts *opts, struct wd_publish *publish, struct wd_transcript **ret,
                      struct wd_err *err)
{
    struct wd_transcript *t = calloc(1, sizeof *t);
    int r = 0;

    if (!t)
        return wd_err_set(err, -ENOMEM, "transcript: out of memory");
    t->opts = *opts;
    t->publish = publish;
    t->language = wd_prompt_language(opts->language);
    t->max_tokens = opts->profile->transcribe.max_tokens > 0 ? (uint32_t)opts->profile->transcribe.max_tokens : DEFAULT_MAX_TOKENS;
    if (t->max_tokens > WD_JOB_MAX_TOKENS)
        t->max_tokens = WD_JOB_MAX_TOKENS;
    for (int i = 0; i < 2; i++) {
        t->parsed[i] = calloc(1, sizeof *t->parsed[i]);
        if (!t->parsed[i])
            r = wd_err_set(err, -ENOMEM, "transcript: out of memory");
    }
    if (r == 0)
        r = wd_align_new(WD_WINDOW_MAX_FRAMES + 64, &t->align, err);
    if (r == 0 && opts->speakers)
        r = wd_voices_new(publish, &t->voices, err);
    if (r < 0) {
        wd_transcript_free(t);
        return r;
    }
    *ret = t;
    return 0;
}

struct wd_transcript *wd_transcript_free(struct wd_transcript *t)
{
    if (!t)
        return NULL;
    wd_voices_free(t->voices);
    wd_align_free(t->align);
    free(t->parsed[0]);
    free(t->parsed[1]);
    free(t);
    return NULL;
}

struct wd_transcript_stats wd_transcript_stats(const struct wd_transcript *t)
{
    struct wd_transcript_stats s = t->stats;

    s.n_speakers = t->voices ? wd_voices_count(t->voices) : 0;
    return s;
}

/* ---- jobs ---- */

static void forget_window(struct wd_transcript *t)
{
    t->before = false;
    memset(&t->settle, 0, sizeof t->settle);
    t->n_hypothesis = 0;
    memset(t->lines, 0, sizeof t->lines);
    t->n_published = t->part = t->n_pending = t->pending = 0;
}

static int fill_ids(int64_t n, struct wd_ids *ids, const char *what, struct wd_err *err)
{
    if (n < 0)
        return wd_err_set(err, (int)n, "the prompt %s the sound cannot be written: %s", what, strerror((int)-n));
    ids->n = (uint32_t)n;
    return 0;
}

static void fill_draft(const struct wd_transcript *t, struct wd_job *job)
{
    for (uint32_t i = 0; i < t->settle.n_tokens && i < WD_JOB_MAX_PROMPT; i++)
        job->forced.ids[job->forced.n++] = t->hypothesis[i].id;
    for (uint32_t i = t->settle.n_tokens; i < t->n_hypothesis; i++)
        job->draft.ids[job->draft.n++] = t->hypothesis[i].id;
}

/* Prints of what will be decided next; what is still being said is printed along, so that less is left for the end. */
static void fill_voices(struct wd_transcript *t, const struct wd_window *w, const struct wd_window_job *what, struct wd_job *job)
{
    uint32_t from = t->part, end = wd_window_frames(w);

    if (what->why == WD_WINDOW_CLOSE || what->why == WD_WINDOW_FULL)
        t->n_pending = t->pending = 0;
    if (t->n_pending) {
        wd_voices_fill(t->voices, w, from, t->pending, job);
        from = t->pending;
    }
    wd_voices_fill(t->voices, w, from, end, job);
}

int wd_transcript_fill(struct wd_transcript *t, const struct wd_window *w, const struct wd_window_job *what, struct wd_job *job,
                       struct wd_err *err)
{
    const struct wd_profile *p = t->opts.profile;
    int r;

    if (what->n > WD_JOB_MAX_FRAMES)
        return wd_err_set(err, -EINVAL, "a job of %u frames", what->n);
    job->open = what->open;
    job->decode = what->why != WD_WINDOW_FEED;
    job->before.n = job->after.n = job->forced.n = job->draft.n = job->n_pieces = 0;
    job->max_tokens = (uint32_t)(wd_window_frames(w) * WD_WINDOW_FRAME_NS * MAX_TOKENS_A_SECOND / INT64_C(1000000000)) + MAX_TOKENS_MORE;
    if (job->max_tokens > t->max_tokens)
        job->max_tokens = t->max_tokens;
    job->heads = p->transcribe.heads;
    job->n_heads = p->transcribe.n_heads;
    job->n_frames = what->n;
    for (uint32_t i = 0; i < what->n; i++)
        memcpy(job->pcm[i], wd_window_pcm(w, what->first + i), sizeof job->pcm[i]);
    if (what->open) {
        /* A second try begins without carried text too: it may be what led the model astray. */
        r = fill_ids(wd_prompt_transcribe_before(p, t->opts.tokenizer, t->again ? NULL : t->carried, t->language, job->before.ids,
                                                 WD_JOB_MAX_PROMPT),
                     &job->before, "before", err);
        if (r < 0)
            return r;
    }
    if (!job->decode)
        return 0;
    r = fill_ids(wd_prompt_transcribe_after(p, t->opts.tokenizer, job->after.ids, WD_JOB_MAX_PROMPT), &job->after, "behind", err);
    if (r < 0)
        return r;
    fill_draft(t, job);
    if (t->voices)
        fill_voices(t, w, what, job);
    return 0;
}

/* ---- reading an answer ---- */

static enum wd_parse_end end_of(const struct wd_answer *a)
{
    return a->end == WD_JOB_END_STOP ? WD_PARSE_STOP : a->end == WD_JOB_END_LOOP ? WD_PARSE_LOOP : WD_PARSE_LIMIT;
}

/* Bytes of one token as it is written: "<0x41>" is a byte, U+2581 a blank. */
static size_t token_bytes(const struct wd_tokenizer *tok, int32_t id, char *out, size_t cap)
{
    const char *s = wd_tokenizer_piece(tok, id);
    unsigned byte;
    size_t n = 0;

    if (!s)
        return 0;
    if (strlen(s) == 6 && strncmp(s, "<0x", 3) == 0 && s[5] == '>' && sscanf(s + 3, "%2x", &byte) == 1 && cap) {
        out[0] = (char)byte;
        return 1;
    }
    while (*s && n < cap) {
        if (strncmp(s, "\xe2\x96\x81", 3) == 0) {
            out[n++] = ' ';
            s += 3;
        } else {
            out[n++] = *s++;
        }
    }
    return n;
}

/* Token ids to text and words, in parsed[0]; the tick before moves to parsed[1]. */
static void read_answer(struct wd_transcript *t, const struct wd_window *w, const struct wd_answer *a)
{
    struct wd_parse_opts opts = {
        .label = t->opts.profile->transcribe.answer == WD_PROFILE_LABELLED ? t->opts.profile->transcribe.label : NULL,
        .speech_ns = wd_window_speech_ns(w),
        .answered = wd_parse_answers,
        .n_answered = wd_parse_n_answers,
    };
    struct wd_parsed *old = t->parsed[0];
    size_t at = 0;

    for (uint32_t i = 0; i < a->n; i++) {
        struct wd_parse_token *tok = &t->tokens[i];
        size_t room = sizeof t->token_text - at;
        struct wd_token token = a->tokens[i];

        /* Settled tokens were fed, not said again: how sure the model was of them is known from when it said them. */
        if (i < t->settle.n_tokens && i < t->n_hypothesis && t->hypothesis[i].id == token.id)
            token = t->hypothesis[i];
        t->hypothesis[i] = token;
        tok->control = wd_tokenizer_is_control(t->opts.tokenizer, token.id);
        tok->p = token.p;
        tok->text = t->token_text + at;
        if (tok->control) {
            tok->text = wd_tokenizer_piece(t->opts.tokenizer, token.id);
            tok->len = tok->text ? (uint32_t)strlen(tok->text) : 0;
            continue;
        }
        tok->len = (uint32_t)token_bytes(t->opts.tokenizer, token.id, t->token_text + at, room);
        at += tok->len;
    }
    t->n_hypothesis = a->n;
    t->parsed[0] = t->parsed[1];
    t->parsed[1] = old;
    wd_parse(t->tokens, a->n, end_of(a), &opts, t->parsed[0]);
}

static bool is_bad(const struct wd_parsed *p)
{
    return p->end == WD_PARSE_BAD || p->end == WD_PARSE_LOOP || (p->end == WD_PARSE_LIMIT && p->n_words == 0);
}

static const char *why_bad(const struct wd_parsed *p)
{
    return p->end == WD_PARSE_LOOP    ? "it repeated itself"
           : p->end == WD_PARSE_LIMIT ? "its bound came before the first word"
                                      : wd_parse_bad_name(p->bad);
}

static void time_words(struct wd_transcript *t, const struct wd_window *w, const struct wd_job *job)
{
    struct wd_parsed *now = t->parsed[0];
    uint32_t frames = job->frames_in_window;
    struct wd_align_in in = {
        .parsed = now,
        .attention = job->attention,
        .n_rows = job->answers[0].n + 1,
        .n_frames = frames,
        .speech = t->speech,
        .seen = t->seen,
        .t0_ns = wd_window_t0_ns(w),
        .late_ns = t->opts.profile->transcribe.late_ns,
    };

    for (uint32_t i = 0; i < frames; i++)
        t->speech[i] = wd_window_p(w, i);
    wd_align_seen(t->before ? t->parsed[1] : NULL, t->seen, now, frames, t->seen);
    /* Cannot fail: there are as many frames as room, and some. */
    wd_align_words(t->align, &in, t->times, NULL);
}

/* ---- events ---- */

static uint64_t digest(const void *data, size_t n, uint64_t h)
{
    const unsigned char *p = data;

    while (n--)
        h = (h ^ *p++) * UINT64_C(0x100000001b3);
    return h;
}

/* Words [first, end) as an event of their line. */
static struct wd_event *words_event(struct wd_transcript *t, enum wd_event_kind kind, uint32_t first, uint32_t end, uint32_t n_settled)
{
    const struct wd_parsed *p = t->parsed[0];
    struct wd_event *e = wd_publish_event(t->publish, kind, t->times[first].t0_ns, t->times[end - 1].t1_ns);
    struct wd_event_word *words;
    char text[WD_PARSE_MAX_TEXT];
    size_t n = 0;

    if (!e)
        return NULL;
    words = wd_event_space(e, (end - first) * sizeof *words);
    for (uint32_t i = first; i < end; i++) {
        const struct wd_parse_word *word = &p->words[i];

        if (i > first && !word->glued && n + 1 < sizeof text)
            text[n++] = ' ';
        if (n + word->len < sizeof text) {
            memcpy(text + n, word->text, word->len);
            n += word->len;
        }
        if (i < n_settled)
            e->n_settled = (uint32_t)n;
        if (words)
            words[i - first] = (struct wd_event_word){wd_event_text(e, word->text, word->len), t->times[i].t0_ns,
                                                      t->times[i].t1_ns, word->p};
    }
    e->text = wd_event_text(e, text, n);
    e->words = words;
    e->n_words = words ? end - first : 0;
    if (t->opts.language)
        e->lang = wd_event_text(e, t->opts.language, strlen(t->opts.language));
    return e;
}

static void chain(struct line *l, struct wd_event *e)
{
    if (l->id[0])
        e->supersedes = wd_event_text(e, l->id, strlen(l->id));
    else
        memcpy(l->id, e->id, sizeof l->id);
    e->rev = l->rev++;
}

static void publish_partials(struct wd_transcript *t, const struct wd_window *w)
{
    const struct wd_parsed *p = t->parsed[0];

    for (uint32_t i = 0; i < p->n_utterances; i++) {
        const struct wd_parse_utterance *u = &p->utterances[i];
        uint32_t first = u->first_word, end = first + u->n_words;
        uint32_t settled = t->settle.n_words > end ? end : t->settle.n_words;
        struct line *l = &t->lines[i];
        float confidence = 0.0f;
        uint64_t d;
        struct wd_event *e;

        if (u->n_words == 0 || first < t->n_published)
            continue;
        if (t->voices)
            l->speaker = wd_voices_guess(t->voices, w, t->times[first].t0_ns, t->times[end - 1].t1_ns, l->speaker, &confidence);
        d = digest(&settled, sizeof settled, UINT64_C(0xcbf29ce484222325));
        d = digest(u->text, u->len, digest(&l->speaker, sizeof l->speaker, d));
        if (d == l->digest)
            continue;
        l->digest = d;
        e = words_event(t, WD_EVENT_PARTIAL, first, end, settled);
        if (!e)
            continue;
        if (t->voices)
            wd_voices_suppose(l->speaker, confidence, e);
        chain(l, e);
        t->stats.partials++;
        wd_publish_send(t->publish, e);
    }
}

/* Words [n_published, n_words) are final: one event a line, cut where the voice changes. */
static void publish_finals(struct wd_transcript *t, uint32_t n_words)
{
    const struct wd_parsed *p = t->parsed[0];
    uint32_t speakers[WD_PARSE_MAX_WORDS], begin = t->n_published;

    if (n_words <= begin)
        return;
    if (t->voices)
        wd_voices_words(t->voices, p, t->times, begin, n_words, speakers);
    else
        memset(speakers, 0, sizeof speakers);
    for (uint32_t first = begin, end; first < n_words; first = end) {
        uint32_t line = p->words[first].utterance;
        struct wd_event *e;

        for (end = first + 1;
             end < n_words && p->words[end].utterance == line && speakers[end - begin] == speakers[first - begin]; end++)
            ;
        e = words_event(t, WD_EVENT_FINAL, first, end, end);
        if (!e)
            continue;
        if (t->voices)
            wd_voices_name(t->voices, speakers[first - begin], e);
        /* A line cut in two replaces its partials once; the second part is its own event. */
        if (first == p->utterances[line].first_word)
            chain(&t->lines[line], e);
        t->stats.finals++;
        t->stats.words += end - first;
        wd_publish_send(t->publish, e);
    }
    t->n_published = n_words;
}

/* The window's frames up to `end` are over, and so are its first n_words words. */
static void publish_part(struct wd_transcript *t, const struct wd_window *w, uint32_t end, uint32_t n_words, bool good)
{
    if (t->voices)
        wd_voices_part(t->voices, w, t->part, end, good ? t->parsed[0] : NULL, t->times);
    if (good)
        publish_finals(t, n_words);
    t->part = end;
    t->n_pending = t->pending = 0;
}

/* Lines that are settled whole, after which another line has begun to settle, need not wait for the end of the window. */
static void publish_early(struct wd_transcript *t, const struct wd_window *w)
{
    const struct wd_parsed *p = t->parsed[0];
    int64_t gap;
    uint32_t frame;

    if (!t->n_pending) {
        for (uint32_t i = p->n_utterances; i-- > 1 && !t->n_pending;)
            if (p->utterances[i].first_word > t->n_published && t->settle.n_words > p->utterances[i].first_word)
                t->n_pending = p->utterances[i].first_word;
        if (!t->n_pending)
            return;
        gap = (t->times[t->n_pending - 1].t1_ns + t->times[t->n_pending].t0_ns) / 2 - wd_window_t0_ns(w);
        frame = gap > 0 ? (uint32_t)(gap / WD_WINDOW_FRAME_NS) : 0;
        t->pending = frame > t->part ? frame : t->part + 1;
    }
    if (t->pending >= wd_window_frames(w))
        return;
    if (!t->voices || wd_voices_ready(t->voices, w, t->part, t->pending))
        publish_part(t, w, t->pending, t->n_pending, true);
}

/* The lines of words [0, n_words), as the model wrote them: what the next window continues. */
static void carry(struct wd_transcript *t, uint32_t n_words)
{
    const struct wd_parsed *p = t->parsed[0];
    bool labels = t->opts.profile->transcribe.answer == WD_PROFILE_LABELLED;
    size_t n = 0;

    for (uint32_t i = 0; i < n_words; i++) {
        const struct wd_parse_word *word = &p->words[i];
        const struct wd_parse_utterance *u = &p->utterances[word->utterance];
        bool begins = i == u->first_word;

        if (n + word->len + 16 > sizeof t->carried) /* the end counts: cut from the left */
            n = 0;
        if (begins && n)
            t->carried[n++] = '\n';
        if (begins && labels && u->label)
            n += (size_t)snprintf(t->carried + n, sizeof t->carried - n, "S%u: ", u->label);
        else if (n && !begins && !word->glued)
            t->carried[n++] = ' ';
        memcpy(t->carried + n, word->text, word->len);
        n += word->len;
    }
    t->carried[n] = '\0';
}

/* ---- what follows an answer ---- */

static void close_window(struct wd_transcript *t, struct wd_window *w, bool good)
{
    publish_part(t, w, wd_window_frames(w), good ? t->parsed[0]->n_words : 0, good);
    if (t->voices)
        wd_voices_forget(t->voices, true);
    wd_window_close(w);
    t->again = false;
    t->carried[0] = '\0';
    forget_window(t);
}

/* The window ends at `frame`, after n_words words; the rest is the beginning of the next one. */
static void cut_window(struct wd_transcript *t, struct wd_window *w, uint32_t frame, uint32_t n_words, bool good)
{
    publish_part(t, w, frame, n_words, good);
    if (good)
        carry(t, n_words);
    else
        t->carried[0] = '\0';
    if (t->voices)
        wd_voices_forget(t->voices, false);
    wd_window_cut(w, frame);
    t->again = false;
    forget_window(t);
}

static void cut_at(struct wd_transcript *t, struct wd_window *w, struct wd_settle_cut cut, bool good)
{
    /* What is final stays before the cut. */
    if (cut.frame <= t->part && t->part + 1 < wd_window_frames(w))
        cut.frame = t->part + 1;
    cut_window(t, w, cut.frame, cut.n_words, good);
}

static void cut_full_window(struct wd_transcript *t, struct wd_window *w, bool good)
{
    cut_at(t, w,
           wd_settle_cut(&t->settle, good ? t->parsed[0] : NULL, t->times, t->speech, wd_window_frames(w), wd_window_t0_ns(w),
                         t->opts.edge_ns ? t->opts.edge_ns : WD_SETTLE_EDGE_NS),
           good);
}

/* A window that is nearly full ends where a sentence does, rather than in the middle of the next. */
static bool cut_between_sentences(struct wd_transcript *t, struct wd_window *w)
{
    uint32_t n = wd_window_frames(w);
    struct wd_settle_cut cut;

    if (n < wd_window_max_frames(w) * NEARLY_FULL_PERCENT / 100 ||
        !wd_settle_between_sentences(&t->settle, t->parsed[0], t->times, t->speech, n, wd_window_t0_ns(w), &cut))
        return false;
    cut_at(t, w, cut, true);
    return true;
}

/* A bad answer: the window once more from its first frame; if it is bad again, it is given up. */
static void bad_answer(struct wd_transcript *t, struct wd_window *w, const struct wd_window_job *what, const char *why)
{
    int64_t at = wd_window_t0_ns(w);

    /* Lines that are final must not be heard again: the window begins anew behind them. */
    if (t->n_published && t->part < wd_window_frames(w)) {
        uint32_t part = t->part;

        t->stats.again++;
        wd_publish_notice(t->publish, at, "again", "the window at %.1f s is decoded anew from %.1f s on: %s", (double)at / 1e9,
                          (double)(at + part * WD_WINDOW_FRAME_NS) / 1e9, why);
        t->carried[0] = '\0';
        if (t->voices)
            wd_voices_forget(t->voices, false);
        wd_window_cut(w, part);
        forget_window(t);
        t->again = true;
        return;
    }
    if (!t->again) {
        t->again = true;
        t->stats.again++;
        forget_window(t);
        wd_publish_notice(t->publish, at, "again", "the window at %.1f s is decoded anew: %s", (double)at / 1e9, why);
        wd_window_again(w, false);
        return;
    }
    /* While it is still open, more sound may help; words settled so far stay. */
    if (what->why == WD_WINDOW_TICK)
        return;
    t->stats.bad++;
    wd_publish_notice(t->publish, at, "undecodable", "the window at %.1f s gave no transcript: %s", (double)at / 1e9, why);
    if (what->why == WD_WINDOW_FULL)
        cut_full_window(t, w, false);
    else
        close_window(t, w, false);
}

void wd_transcript_take(struct wd_transcript *t, struct wd_window *w, const struct wd_window_job *what, struct wd_job *job)
{
    struct wd_parsed *now;

    if (job->code < 0) {
        /* What the engine holds of an open window is not what was fed any more: the last try is when it is over. */
        if (t->again && (what->why == WD_WINDOW_TICK || what->why == WD_WINDOW_FEED)) {
            forget_window(t);
            wd_window_again(w, true);
        } else {
            bad_answer(t, w, what, job->err);
        }
        return;
    }
    if (t->voices)
        wd_voices_take(t->voices, job);
    if (!job->decode)
        return;
    read_answer(t, w, &job->answers[0]);
    now = t->parsed[0];
    if (is_bad(now)) {
        bad_answer(t, w, what, why_bad(now));
        return;
    }
    if (now->end == WD_PARSE_LIMIT && (what->why == WD_WINDOW_CLOSE || what->why == WD_WINDOW_FULL))
        wd_publish_notice(t->publish, wd_window_t0_ns(w), "truncated", "the answer of the window at %.1f s reached its bound of %u tokens: words behind it are missing",
                          (double)wd_window_t0_ns(w) / 1e9, job->max_tokens);
    time_words(t, w, job);
    switch (what->why) {
    case WD_WINDOW_CLOSE:
        wd_settle_all(&t->settle, now);
        close_window(t, w, true);
        break;
    case WD_WINDOW_FULL:
        wd_settle_tick(&t->settle, t->before ? t->parsed[1] : NULL, now, t->times, wd_window_t1_ns(w), WD_SETTLE_HOLD_NS);
        cut_full_window(t, w, true);
        break;
    case WD_WINDOW_TICK:
        wd_settle_tick(&t->settle, t->before ? t->parsed[1] : NULL, now, t->times, wd_window_t1_ns(w), WD_SETTLE_HOLD_NS);
        if (cut_between_sentences(t, w))
            break;
        publish_early(t, w);
        if (t->opts.partials)
            publish_partials(t, w);
        t->before = true;
        break;
    case WD_WINDOW_FEED:
        break;
    }
}

void wd_transcript_end(struct wd_transcript *t)
{
    if (t->voices)
        wd_voices_end(t->voices);
}
