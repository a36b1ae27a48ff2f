/* tests/fuzz/fuzz_parse.c - answers of any bytes: parsed, settled, timed, cut, and read as a scene;
 * what comes out must hold together. */
#include "base/utf8.h"
#include "pipeline/align.h"
#include "pipeline/parse.h"
#include "pipeline/settle.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what))                                                                               \
            abort();                                                                               \
    } while (0)

#define MAX_TOKENS 3000
#define FRAMES 60

static struct wd_parse_token tokens[MAX_TOKENS];
static struct wd_parsed parsed[2];
static struct wd_align_time times[WD_PARSE_MAX_WORDS];
static uint32_t seen[WD_PARSE_MAX_WORDS];

static void is_clean(const char *s, size_t n)
{
    for (size_t i = 0, k; i < n; i += k) {
        uint32_t c;

        CHECK(wd_utf8_next(s + i, n - i, &c, &k));
        CHECK(c >= ' ' && c != 0x7f);
    }
}

static void check(const struct wd_parsed *p)
{
    uint32_t word = 0, token = 0;

    CHECK(p->n_words <= WD_PARSE_MAX_WORDS && p->n_utterances <= WD_PARSE_MAX_UTTERANCES &&
          p->text_len <= WD_PARSE_MAX_TEXT);
    CHECK((p->bad == WD_PARSE_FINE) == (p->end != WD_PARSE_BAD));
    CHECK(p->end != WD_PARSE_BAD || p->n_words == 0);
    for (uint32_t u = 0; u < p->n_utterances; u++) {
        const struct wd_parse_utterance *line = &p->utterances[u];
        const char *at = line->text;

        CHECK(line->first_word == word && line->n_words > 0 && line->label <= 99);
        CHECK(line->text >= p->text && line->text + line->len < p->text + p->text_len &&
              line->text[line->len] == '\0');
        is_clean(line->text, line->len);
        for (; word < line->first_word + line->n_words; word++) {
            const struct wd_parse_word *w = &p->words[word];

            CHECK(word < p->n_words && w->utterance == u && w->len > 0 &&
                  w->len <= WD_PARSE_MAX_WORD);
            if (word > line->first_word && !w->glued)
                CHECK(*at++ == ' ');
            CHECK(w->text == at);
            at += w->len;
            is_clean(w->text, w->len);
            CHECK(w->first_token <= w->heard_token && w->heard_token <= w->last_token &&
                  w->last_token < p->n_tokens);
            CHECK(w->first_token >= token && w->p >= 0 && w->p <= 1);
            token = w->first_token;
        }
        CHECK(at == line->text + line->len);
    }
    CHECK(word == p->n_words);
}

static void time_and_settle(struct wd_align *align, struct wd_settle *s,
                            const struct wd_parsed *before, const struct wd_parsed *now,
                            const uint8_t *bytes, size_t n)
{
    static float attention[WD_PARSE_MAX_TOKENS][FRAMES], speech[FRAMES];
    uint32_t rows = now->n_tokens < 64 ? now->n_tokens : 64, settled = s->n_words,
             forced = s->n_tokens;
    struct wd_align_in in = {.parsed = now,
                             .attention = &attention[0][0],
                             .n_rows = rows,
                             .n_frames = FRAMES,
                             .seen = seen};
    struct wd_settle_cut cut;
    int64_t at = 0;

    for (uint32_t i = 0; i < rows * FRAMES; i++)
        attention[i / FRAMES][i % FRAMES] = n ? (float)bytes[(i * 7 + i / FRAMES) % n] / 2550 : 0;
    for (uint32_t i = 0; i < FRAMES; i++)
        speech[i] = n ? (float)bytes[i % n] / 200 : 1;
    in.speech = n % 2 ? speech : NULL;
    wd_align_seen(before, seen, now, FRAMES, seen);
    CHECK(wd_align_words(align, &in, times, NULL) == 0);
    for (uint32_t i = 0; i < now->n_words; i++) {
        CHECK(times[i].t0_ns >= at && times[i].t1_ns > times[i].t0_ns);
        at = times[i].t1_ns;
    }
    CHECK(at <= FRAMES * WD_ALIGN_FRAME_NS);
    wd_settle_tick(s, before, now, times, FRAMES * WD_ALIGN_FRAME_NS, WD_SETTLE_HOLD_NS);
    CHECK(s->n_words >= settled && s->n_tokens >= forced && s->n_shown == settled);
    cut = wd_settle_cut(s, now, times, in.speech, FRAMES, 0, WD_SETTLE_EDGE_NS);
    CHECK(cut.frame >= 1 && cut.frame < FRAMES && cut.n_words <= now->n_words &&
          cut.n_tokens <= now->n_tokens);
}

/* The first two bytes choose; then tokens: a length, a probability, the text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wd_align *align;
    struct wd_scene_answer scene;
    struct wd_settle settle = {0};
    struct wd_parse_opts opts = {.answered = wd_parse_answers, .n_answered = wd_parse_n_answers};
    uint32_t n = 0;

    if (!align && wd_align_new(FRAMES, &align, NULL) < 0)
        return 0;
    wd_parse_scene((const char *)data, size, &scene);
    is_clean(scene.title, strlen(scene.title));
    is_clean(scene.summary, strlen(scene.summary));
    is_clean(scene.changes, strlen(scene.changes));
    is_clean(scene.concerns, strlen(scene.concerns));
    CHECK(scene.confidence == -1 || (scene.confidence >= 0 && scene.confidence <= 1));
    if (size < 2)
        return 0;
    opts.label = data[0] & 1 ? "S{n}: " : NULL;
    opts.speech_ns = data[0] & 2 ? -1 : (int64_t)data[1] * 200000000;
    for (size_t i = 2; i + 2 < size && n < MAX_TOKENS; n++) {
        size_t len = data[i] & 15;

        if (len > size - i - 2)
            len = size - i - 2;
        tokens[n] = (struct wd_parse_token){(const char *)data + i + 2, (uint32_t)len,
                                            (float)data[i + 1] / 200 - 0.1f, data[i] >> 4 == 15};
        i += 2 + len;
    }
    wd_parse(tokens, n, (enum wd_parse_end)(data[0] >> 2) % 3, &opts, &parsed[0]);
    check(&parsed[0]);
    time_and_settle(align, &settle, NULL, &parsed[0], data, size);
    /* The answer before, some tokens longer or shorter; then the last. */
    wd_parse(tokens, n ? n - 1 - data[1] % n : 0, WD_PARSE_STOP, &opts, &parsed[1]);
    check(&parsed[1]);
    time_and_settle(align, &settle, &parsed[0], &parsed[1], data, size);
    wd_parse(tokens, n, WD_PARSE_STOP, &opts, &parsed[0]);
    time_and_settle(align, &settle, &parsed[1], &parsed[0], data, size);
    wd_settle_all(&settle, &parsed[0]);
    return 0;
}
