/* pipeline/parse_guard.c - when an answer is no transcript: it repeats itself, answers, or says too
 * much. */
#include "pipeline/parse_guard.h"

#include <string.h>

/* Repeats that are no speech any more; a person says "no, no, no, no" now and then. */
#define LOOP_MAX_GRAM 8
#define LOOP_TIMES 4
#define LOOP_TOKENS 24
#define LOOP_WORDS 12

/* Said in no time, so that a short "yes, of course" that the gate half missed is no offence. */
#define FREE_WORDS 6
#define FREE_CHARS 60

const char *const wd_parse_answers[] = {
    "here is the transcription of the audio",
    "here's the transcription of the audio",
    "here is a transcription of the audio",
    "here's a transcription of the audio",
    "here is the transcript of the audio",
    "here's the transcript of the audio",
    "here is the transcription:",
    "here is the transcript:",
    "here's the transcription:",
    "here's the transcript:",
    "sure, here is the transcription",
    "sure, here's the transcription",
    "sure! here is the transcription",
    "sure! here's the transcription",
    "certainly, here is the transcription",
    "certainly! here is the transcription",
    "the audio clip contains",
    "the audio file contains",
    "the provided audio",
    "no speech detected",
    "no speech was detected",
    "there is no speech in the audio",
    "there is no audible speech",
    "i cannot transcribe",
    "i can't transcribe",
    "i am unable to transcribe",
    "i'm unable to transcribe",
    "i'm sorry, but i cannot transcribe",
    "i'm sorry, but i can't transcribe",
    "please provide the audio",
    "please upload the audio",
    "as an ai language model",
    "*as a large language model",
    "*i'm a large language model",
    "*i am a large language model",
    "*unable to process audio",
    "*cannot process audio",
    "*can't process audio",
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

char wd_parse_guard_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool wd_parse_guard_alnum(char c)
{
    return (c >= '0' && c <= '9') ||
           (wd_parse_guard_lower(c) >= 'a' && wd_parse_guard_lower(c) <= 'z');
}

uint32_t wd_parse_guard_tokens(const struct wd_parse_token *t, uint32_t n)
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

    while (na > 1 && !wd_parse_guard_alnum(a->text[na - 1]) &&
           (unsigned char)a->text[na - 1] < 0x80)
        na--;
    while (nb > 1 && !wd_parse_guard_alnum(b->text[nb - 1]) &&
           (unsigned char)b->text[nb - 1] < 0x80)
        nb--;
    if (na != nb)
        return false;
    for (uint32_t i = 0; i < na; i++)
        if (wd_parse_guard_lower(a->text[i]) != wd_parse_guard_lower(b->text[i]))
            return false;
    return true;
}

uint32_t wd_parse_guard_words(const struct wd_parsed *p)
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

        while (i < n && wd_parse_guard_lower(u->text[at + i]) == pattern[i])
            i++;
        if (i == n && (at + n == u->len || !wd_parse_guard_alnum(u->text[at + n])) &&
            (at == 0 || !wd_parse_guard_alnum(u->text[at - 1])))
            return true;
    }
    return false;
}

enum wd_parse_bad wd_parse_guard_judge(const struct wd_parsed *p, const struct wd_parse_opts *opts,
                                       bool thought)
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
            if ((k == 0 || opts->answered[i][0] == '*') &&
                says(&p->utterances[k], opts->answered[i]))
                return WD_PARSE_ANSWERED;
    if (opts->speech_ns < 0)
        return WD_PARSE_FINE;
    for (uint32_t i = 0; i < p->n_words; i++)
        words += !p->words[i].glued;
    if (words > FREE_WORDS + words_per_s * seconds ||
        p->text_len > FREE_CHARS + chars_per_s * seconds)
        return WD_PARSE_TOO_MUCH;
    return WD_PARSE_FINE;
}
