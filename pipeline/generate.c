/* pipeline/generate.c - one answer of the model: feed, verify the draft, decode on, stop. */
#include "pipeline/generate.h"

#include "model/drafter.h"
#include "model/engine.h"
#include "model/sampler.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define MAX_SPANS 16

/* Repeats that end a decode: shorter ones occur in speech ("no, no, no, no"). */
#define LOOP_MAX_GRAM 16
#define LOOP_TIMES 4
#define LOOP_TOKENS 24

uint32_t wd_generate_loop(const struct wd_token *t, uint32_t n)
{
    for (uint32_t gram = 1; gram <= LOOP_MAX_GRAM; gram++) {
        uint32_t same = 0;

        while (same + gram < n && t[n - 1 - same].id == t[n - 1 - same - gram].id)
            same++;
        if (same >= gram * (LOOP_TIMES - 1) && same + gram >= LOOP_TOKENS)
            return same;
    }
    return 0;
}

static bool is_stop(const struct wd_shape *s, int32_t id)
{
    for (uint32_t i = 0; i < s->n_stop; i++)
        if (s->stop[i] == id)
            return true;
    return false;
}

static int pass(const struct wd_generate *g, const struct wd_span *spans, uint32_t n_spans, uint32_t n_logits,
                const struct wd_attention_probe *probe, struct wd_err *err)
{
    const struct wd_pass_part part = {
        .decoder = g->decoder,
        .spans = spans,
        .n_spans = n_spans,
        .n_logits = n_logits,
        .ret_logits = g->logits,
        .ret_hidden = n_logits && g->drafter ? g->hidden : NULL,
        .probe = probe,
    };

    g->count->passes++;
    return wd_decoder_pass(g->engine, &part, 1, err);
}

int wd_generate_feed(const struct wd_generate *g, const struct wd_span *spans, uint32_t n_spans, struct wd_err *err)
{
    uint32_t max = wd_engine_max_rows(g->engine), rows = 0, n = 0;
    struct wd_span now[MAX_SPANS];
    int r;

    for (uint32_t i = 0; i < n_spans; i++) {
        struct wd_span left = spans[i];

        while (left.n) {
            uint32_t room = max - rows, take = left.n;

            if (left.kind == WD_SPAN_PICTURE && take > max)
                return wd_err_set(err, -EINVAL, "a picture of %u rows, a pass carries %u", take, max);
            if (take > room && left.kind != WD_SPAN_PICTURE)
                take = room;
            if (take == 0 || take > room || n == MAX_SPANS) {
                r = pass(g, now, n, 0, NULL, err);
                if (r < 0)
                    return r;
                rows = n = 0;
                continue;
            }
            now[n] = left;
            now[n++].n = take;
            rows += take;
            left.n -= take;
            if (left.kind == WD_SPAN_TOKENS)
                left.ids += take;
            else if (left.kind == WD_SPAN_AUDIO)
                left.pcm += (size_t)take * WD_FRAME_SAMPLES;
        }
    }
    return n ? pass(g, now, n, 0, NULL, err) : 0;
}

/* A draft token to be verified. */
struct guess {
    int32_t id;                      /* -1: none */
    const struct wd_sampler_dist *q; /* what it was drawn from, NULL: it was not */
};

static struct wd_choice choose(const struct wd_generate *g, const float *logits, struct guess guess)
{
    const struct wd_shape *s = wd_engine_shape(g->engine);
    struct wd_choice c = wd_sampler_greedy(logits, s->n_vocab, s->suppress, s->n_suppress);
    struct wd_sampler_dist p;

    if (!g->sampler || g->sampler->temperature <= 0)
        return c;
    wd_sampler_distribution(g->sampler, logits, s->n_vocab, s->suppress, s->n_suppress, &p);
    if (guess.id >= 0 && p.n)
        c.id = wd_sampler_verify(g->sampler, &p, guess.q, guess.id);
    else
        c.id = wd_sampler_draw(g->sampler, &p);
    c.p = wd_sampler_probability(logits, s->n_vocab, s->suppress, s->n_suppress, c.id);
    return c;
}

/* Appends what the row at `logits` says. false: the answer ends here. */
static bool take(const struct wd_generate *g, uint32_t row, struct guess guess, uint32_t max_tokens, struct wd_answer *a)
{
    const struct wd_shape *s = wd_engine_shape(g->engine);
    struct wd_choice c = choose(g, g->logits + (size_t)row * s->n_vocab, guess);
    uint32_t repeats;

    if (c.id < 0 || is_stop(s, c.id)) {
        a->end = WD_JOB_END_STOP;
        return false;
    }
    if (a->n >= max_tokens || a->n >= WD_JOB_MAX_TOKENS) {
        a->end = WD_JOB_END_LIMIT;
        return false;
    }
    a->tokens[a->n++] = (struct wd_token){c.id, c.p, c.margin};
    repeats = wd_generate_loop(a->tokens, a->n);
    if (repeats) {
        a->n -= repeats;
        a->end = WD_JOB_END_LOOP;
        return false;
    }
    return true;
}

/* Positions that are free when `spans` have been fed: a draft may not be what fills the context. */
static uint32_t room_behind(const struct wd_generate *g, const struct wd_span *spans, uint32_t n_spans)
{
    uint32_t room = wd_decoder_capacity(g->decoder) - wd_decoder_position(g->decoder);

    for (uint32_t i = 0; i < n_spans; i++)
        room = room > spans[i].n ? room - spans[i].n : 0;
    return room;
}

/* How many guesses the next pass has room for, so that the answer ends where it would without any. */
static uint32_t wanted(const struct wd_generate *g, const struct wd_answer *a, uint32_t max_tokens, uint32_t length)
{
    uint32_t most = max_tokens < WD_JOB_MAX_TOKENS ? max_tokens : WD_JOB_MAX_TOKENS;
    uint32_t room = wd_decoder_capacity(g->decoder) - wd_decoder_position(g->decoder) - 2;

    most = most > a->n ? most - a->n : 0;
    length = length < most ? length : most;
    length = length < room ? length : room;
    return length < g->logit_rows - 1 ? length : g->logit_rows - 1;
}

int wd_generate_answer(const struct wd_generate *g, const struct wd_span *spans, uint32_t n_spans, uint32_t n_forced,
                       const int32_t *draft, uint32_t n_draft, uint32_t max_tokens, struct wd_answer *a, float *attention,
                       uint32_t first_frame, uint32_t frames, struct wd_err *err)
{
    struct wd_span now[MAX_SPANS];
    struct wd_attention_probe probe = {.first = first_frame, .n = frames, .heads = g->heads, .n_heads = g->n_heads};
    uint32_t drafted = 0, n, chunk, room, row, probe_at = 0, length = WD_DRAFTER_LEAST;
    int32_t guesses[WD_DRAFTER_MOST];
    bool first = true, guessed = false; /* the draft at hand is the drafter's */
    int r;

    if (n_spans + 2 > MAX_SPANS)
        return wd_err_set(err, -EINVAL, "too many stretches of input");
    g->count->forced += n_forced;
    memcpy(now, spans, n_spans * sizeof *now);
    n = n_spans;
    for (;;) {
        /* As much of the draft as there is room for the logits of. */
        chunk = n_draft - drafted;
        if (chunk > g->logit_rows - 1)
            chunk = g->logit_rows - 1;
        if (a->n + chunk + 1 > WD_JOB_MAX_TOKENS)
            chunk = WD_JOB_MAX_TOKENS - 1 - (a->n < WD_JOB_MAX_TOKENS ? a->n : WD_JOB_MAX_TOKENS - 1);
        room = room_behind(g, now, n);
        if (chunk > room)
            chunk = room;
        if (chunk)
            now[n++] = (struct wd_span){.kind = WD_SPAN_TOKENS, .n = chunk, .ids = draft + drafted};
        if (attention && frames) {
            probe.n_rows = first ? n_forced + 1 + chunk : 1 + chunk;
            probe.ret = attention + (size_t)probe_at * frames;
        }
        r = pass(g, now, n, chunk + 1, probe.ret ? &probe : NULL, err);
        if (r < 0)
            return r;
        *(guessed ? &g->count->guessed : &g->count->drafted) += chunk;
        for (row = 0; row <= chunk; row++) {
            struct guess guess = {row < chunk ? draft[drafted + row] : -1, NULL};

            if (guessed && g->sampler && row < chunk)
                guess.q = wd_drafter_drawn_from(g->drafter, drafted + row);
            if (!take(g, row, guess, max_tokens, a))
                return 0;
            if (row == chunk || a->tokens[a->n - 1].id != draft[drafted + row])
                break;
            (*(guessed ? &g->count->guessed_right : &g->count->accepted))++;
        }
        if (row < chunk) {
            /* A draft token was wrong: forget it and what followed. */
            r = wd_decoder_rewind(g->decoder, wd_decoder_position(g->decoder) - (chunk - row), err);
            if (r < 0)
                return r;
            n_draft = 0;
            drafted = 0;
            length = WD_DRAFTER_LEAST;
        } else {
            drafted += chunk;
            if (guessed && chunk)
                length = length + 2 > WD_DRAFTER_MOST ? WD_DRAFTER_MOST : length + 2;
            /* The token that came behind this part of the draft may be the draft's next as well. */
            if (!guessed && drafted < n_draft && a->tokens[a->n - 1].id == draft[drafted]) {
                g->count->drafted++;
                g->count->accepted++;
                drafted++;
            } else {
                n_draft = drafted = 0;
            }
        }
        /* The newest token has been said but not read yet. */
        now[0] = (struct wd_span){.kind = WD_SPAN_TOKENS, .n = 1, .ids = &a->tokens[a->n - 1].id};
        n = 1;
        probe_at = a->n;
        first = false;
        g->count->decoded++;
        if (wd_decoder_position(g->decoder) + 2 > wd_decoder_capacity(g->decoder)) {
            a->end = WD_JOB_END_LIMIT;
            return 0;
        }
        guessed = g->drafter && drafted >= n_draft;
        if (guessed) {
            draft = guesses;
            drafted = 0;
            n_draft = wd_drafter_draft(g->drafter, g->decoder, a->tokens[a->n - 1].id, g->hidden + (size_t)row * wd_engine_shape(g->engine)->d_model,
                                       wanted(g, a, max_tokens, length), g->sampler, guesses);
        }
    }
}

int wd_generate_yes(const struct wd_generate *g, const struct wd_span *spans, uint32_t n_spans, int32_t yes, int32_t no,
                    float *ret, struct wd_err *err)
{
    const struct wd_shape *s = wd_engine_shape(g->engine);
    int r = pass(g, spans, n_spans, 1, NULL, err);

    if (r < 0)
        return r;
    if (yes < 0 || no < 0 || (uint32_t)yes >= s->n_vocab || (uint32_t)no >= s->n_vocab)
        return wd_err_set(err, -EINVAL, "the tokens for yes and no are not in the vocabulary");
    *ret = 1.0f / (1.0f + expf(g->logits[no] - g->logits[yes]));
    return 0;
}
