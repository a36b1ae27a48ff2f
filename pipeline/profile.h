/* pipeline/profile.h - a prompt profile: what a family of models is asked and how its answers read,
 * as data from a *.prompt.yaml file. Read-only after it was read, any thread. What may stand in the
 * file: docs/prompts.md. */
#pragma once
#include "base/err.h"
#include "base/opt.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WD_PROFILE_MAX_HEADS 16
#define WD_PROFILE_MAX_PARTS 64

/* One stretch of a template: text as it is, a control token by its string, or the name of what is
 * put in. */
enum wd_profile_part_kind { WD_PROFILE_TEXT, WD_PROFILE_CONTROL, WD_PROFILE_PLACE };
enum wd_profile_place {
    WD_PROFILE_TEXT_PLACE, /* {text}: carried text */
    WD_PROFILE_CARRIED,    /* {carried}: the line of carried text, or nothing */
    WD_PROFILE_LANGUAGE,   /* {language}: the words about the language */
    WD_PROFILE_NAME,       /* {name}: of the language */
    WD_PROFILE_MM,         /* {mm}: minutes, at least two digits */
    WD_PROFILE_SS,         /* {ss}: seconds, two digits */
    WD_PROFILE_QUESTION,   /* {question} */
};
struct wd_profile_part {
    enum wd_profile_part_kind kind;
    enum wd_profile_place place;
    char *text; /* TEXT and CONTROL */
};
struct wd_profile_template {
    struct wd_profile_part parts[WD_PROFILE_MAX_PARTS];
    size_t n;
};

enum wd_profile_answer {
    WD_PROFILE_PLAIN,    /* sentences */
    WD_PROFILE_LABELLED, /* one line a turn, each begins with the speaker's label */
    WD_PROFILE_JSON,     /* an object with title, summary, changes, confidence, concerns */
};

/* Text of earlier windows that stands in the instruction; longer text is cut from the left at a
 * word. 0 = no bound. */
struct wd_profile_carried {
    struct wd_profile_template line; /* with {text}; empty: nothing is carried */
    int64_t max_chars, max_tokens, max_lines;
    bool labels; /* lines keep their speaker's label */
};

struct wd_profile_transcribe {
    struct wd_profile_template before, after; /* the sound */
    struct wd_profile_template language_known, language_unknown;
    struct wd_profile_carried carried;
    int answer;  /* enum wd_profile_answer */
    char *label; /* of LABELLED: "S{n}: ", {n} a number from 1 */
    int64_t max_audio_ns;
    int64_t late_ns;    /* attention arrives so much after the sound of a word */
    int64_t max_tokens;
    uint16_t heads[WD_PROFILE_MAX_HEADS]
                  [2]; /* {layer, head} that best point at the sound of a word */
    uint32_t n_heads;  /* 0: the average of all */
};

enum wd_profile_task {
    WD_PROFILE_DESCRIBE,
    WD_PROFILE_CHANGES,
    WD_PROFILE_YES_NO,
    WD_PROFILE_ASK,
    WD_PROFILE_N_TASKS
};
const char *wd_profile_task_name(enum wd_profile_task t);

/* Pictures stand before the question, so that one context serves every task. */
struct wd_profile_pictures {
    struct wd_profile_template first, next,
        after;            /* before the first, before each further one, behind each */
    int64_t wrap_minutes; /* {mm} counts from 0 again after so many; 0 = never */
};

struct wd_profile_question {
    struct wd_profile_template
        question; /* behind the pictures; n == 0: the model has not learnt this task */
    int answer;   /* enum wd_profile_answer */
    int64_t min_pictures, max_pictures;
    int64_t max_tokens;
    char *yes, *no; /* YES_NO: the tokens whose probabilities are compared */
};

struct wd_profile {
    char *path;               /* of the file */
    char *family;             /* of the architecture, as in struct wd_shape */
    struct wd_opt_list match; /* patterns on a model's name and on its file's name */
    bool fallback;            /* taken for a model that no profile's patterns know */
    struct wd_profile_transcribe transcribe;
    struct wd_profile_pictures pictures;
    struct wd_profile_question tasks[WD_PROFILE_N_TASKS];
};

/* Errors name file, line, column and what was expected. */
int wd_profile_read(const char *path, struct wd_profile **ret, struct wd_err *err);
int wd_profile_parse(const char *name, const char *text, size_t len, struct wd_profile **ret,
                     struct wd_err *err);
struct wd_profile *wd_profile_free(struct wd_profile *p);

/* Does a pattern match the model's name, or the last part of its file's name with or without its
 * extension? Case is ignored. */
bool wd_profile_matches(const struct wd_profile *p, const char *model_name, const char *file_name);

/* The profile of a model: `override` (a file) if given; otherwise of the *.prompt.yaml files in
 * $WITNESSD_DATADIR/models and then in the installed folder, in the order of their names, the first
 * one that matches, then the first fallback. A file that cannot be read is an error, not passed
 * over. -ENOENT: none fits, with the folders named. */
int wd_profile_find(const char *model_name, const char *file_name, const char *override,
                    struct wd_profile **ret, struct wd_err *err);
