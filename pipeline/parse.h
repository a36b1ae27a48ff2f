/* pipeline/parse.h - generated text -> utterances, words, scene lines; trusts nothing. Pure, any
 * thread; nothing allocates, everything is bounded. */
#pragma once
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WD_PARSE_MAX_TOKENS 2048 /* what comes behind them is not looked at: cut */
#define WD_PARSE_MAX_WORDS 512
#define WD_PARSE_MAX_UTTERANCES 64
#define WD_PARSE_MAX_TEXT 8192 /* bytes of all utterances together */
#define WD_PARSE_MAX_WORD 96   /* bytes; a longer run of letters becomes several words, `glued` */

/* One generated token, in order. */
struct wd_parse_token {
    const char *text; /* its bytes, any, perhaps part of a character. Control: its name */
    uint32_t len;     /* bytes of text */
    float p;          /* probability, 0..1 */
    bool control;
};

enum wd_parse_end {
    WD_PARSE_STOP,  /* the model said that it is done */
    WD_PARSE_LIMIT, /* it was stopped: tokens, context, time */
    WD_PARSE_LOOP,  /* it repeats itself; what is repeated was taken away */
    WD_PARSE_BAD,   /* not a transcript, see `bad`; there are no words */
};

enum wd_parse_bad {
    WD_PARSE_FINE,
    WD_PARSE_ANSWERED,  /* it answers or declines instead of writing down */
    WD_PARSE_TOO_MUCH,  /* more text than can be said in so much speech */
    WD_PARSE_NO_SPEECH, /* text, but nobody spoke */
    WD_PARSE_THOUGHT,   /* a thought that never ended */
    WD_PARSE_N_BAD
};
/* "it answered instead of transcribing", for a notice. */
const char *wd_parse_bad_name(enum wd_parse_bad bad);

struct wd_parse_opts {
    const char *label; /* "S{n}: ": how a line says who speaks, {n} = 1..99; NULL: plain lines */
    int64_t speech_ns; /* speech in what was heard, bounds how much text can be; < 0: not known */
    float max_words_per_s; /* of speech, on top of a few words for nothing; 0: 8 */
    float max_chars_per_s; /* likewise; 0: 50 */
    /* How an answer begins that is no transcript, lower case; a leading '*': found anywhere. */
    const char *const *answered; /* [n_answered] */
    uint32_t n_answered;
};

/* What Gemma says when it answers the speech or declines: for opts.answered. Conservative: nothing
 * that people say. */
extern const char *const wd_parse_answers[];
extern const uint32_t wd_parse_n_answers;

struct wd_parse_word {
    const char *text; /* in the text of its utterance, not terminated */
    uint32_t len;     /* bytes, UTF-8, punctuation that touches the word included */
    uint32_t first_token, last_token;
    uint32_t heard_token; /* last one with a letter: the marks behind it are no sound */
    float p;              /* least of its tokens' */
    uint16_t utterance;
    bool complete; /* known to be over: another began, the line ended, or the model stopped */
    bool glued;    /* no blank before it (pieces of a very long word, ideographs) */
};

struct wd_parse_utterance {
    const char *text; /* words joined by single blanks, terminated */
    uint32_t len;
    uint32_t first_word, n_words; /* at least one */
    uint32_t first_token;         /* of the label where there is one */
    uint32_t label; /* 1..99; 0: none. A line without a label goes on as the one before it */
};

/* Pointers lead into the struct itself: never copy it, hand it around. About 30 KB. */
struct wd_parsed {
    struct wd_parse_utterance utterances[WD_PARSE_MAX_UTTERANCES];
    struct wd_parse_word words[WD_PARSE_MAX_WORDS]; /* of all utterances, in order */
    uint32_t n_utterances, n_words;
    uint32_t n_tokens; /* tokens before the stop: more than any last_token */
    enum wd_parse_end end;
    enum wd_parse_bad bad;
    uint32_t loop_token; /* LOOP: first token of what was taken away */
    bool cut;            /* something did not fit the bounds above */
    char text[WD_PARSE_MAX_TEXT];
    uint32_t text_len;
};

/* A pattern for opts.label: exactly one "{n}", something before and behind it. `what` names it in
 * the error. -EINVAL. */
int wd_parse_check_label(const char *what, const char *label, struct wd_err *err);

/* tokens [n], end: how the engine says it ended (STOP, LIMIT or LOOP). Cannot fail: whatever the
 * bytes are, ret holds valid UTF-8 without control characters. */
void wd_parse(const struct wd_parse_token *tokens, uint32_t n, enum wd_parse_end end,
              const struct wd_parse_opts *opts, struct wd_parsed *ret);

/* An answer about pictures. Empty strings where it says nothing. */
struct wd_scene_answer {
    char title[160], summary[2048], changes[1024], concerns[1024];
    float confidence; /* 0..1; -1: not said */
    bool json;        /* an object; otherwise sentences: all in summary, the first also in title */
};

/* text [len]: a JSON object with title, summary, changes, confidence, concerns (in a code fence,
 * cut off, with more keys around it), or plain sentences. Cannot fail: what cannot be read is left
 * out, what is too long is cut at a character. */
void wd_parse_scene(const char *text, size_t len, struct wd_scene_answer *ret);
