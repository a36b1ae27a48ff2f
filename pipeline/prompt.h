/* pipeline/prompt.h - instruction, carried text, times and questions -> the model's input ids. Any
 * thread; allocates nothing itself.
 *
 * Control strings of the profile's templates become control tokens; whatever is put in (carried
 * text, a language, a question) is text and never becomes one. Template and put-in text between two
 * control tokens are tokenised together, as the models were trained. All return the number of ids
 * written, or -ENOBUFS (they are more than cap), -E2BIG (a text too long), -ENOENT (a control token
 * this vocabulary lacks; wd_prompt_check() says which), -ENOTSUP (the profile has no such task),
 * -EINVAL, -ENOMEM. */
#pragma once
#include "base/err.h"
#include "pipeline/profile.h"
#include <stddef.h>
#include <stdint.h>

struct wd_tokenizer;

#define WD_PROMPT_MAX_TEXT 8192 /* bytes between two control tokens, and of carried text */

/* Once, when profile and model have met: every control string and answer token exists, and every
 * template fits. */
int wd_prompt_check(const struct wd_profile *p, const struct wd_tokenizer *t, struct wd_err *err);

/* Before and behind the sound. carried: lines as the model wrote them ("S1: good morning.\nS2:
 * hello"), NULL or "": nothing; cut here. language: a code or a name, NULL: not known. */
int64_t wd_prompt_transcribe_before(const struct wd_profile *p, const struct wd_tokenizer *t,
                                    const char *carried, const char *language, int32_t *ret_ids,
                                    size_t cap);
int64_t wd_prompt_transcribe_after(const struct wd_profile *p, const struct wd_tokenizer *t,
                                   int32_t *ret_ids, size_t cap);

/* Around picture `index` (from 0) of a context, taken at t_ns of stream time. The same for every
 * task: what follows the pictures is the question. */
int64_t wd_prompt_picture_before(const struct wd_profile *p, const struct wd_tokenizer *t,
                                 uint32_t index, int64_t t_ns, int32_t *ret_ids, size_t cap);
int64_t wd_prompt_picture_after(const struct wd_profile *p, const struct wd_tokenizer *t,
                                int32_t *ret_ids, size_t cap);
/* question: what YES_NO and ASK ask; NULL for the others. */
int64_t wd_prompt_question(const struct wd_profile *p, const struct wd_tokenizer *t,
                           enum wd_profile_task task, const char *question, int32_t *ret_ids,
                           size_t cap);
/* The two tokens YES_NO compares. */
int wd_prompt_yes_no(const struct wd_profile *p, const struct wd_tokenizer *t, int32_t *ret_yes,
                     int32_t *ret_no);

/* Carried text within the profile's bounds on lines and characters (not tokens): the end of `text`,
 * cut from the left at a word; with labels the line that was cut keeps its own. Control characters
 * become blanks, and without labels lines become one and labels of `label`'s shape are dropped.
 * Returns bytes written (NUL-terminated, at most cap - 1). Pure. */
size_t wd_prompt_cut(const struct wd_profile *p, const char *text, char *out, size_t cap);

/* "en", "de-AT" -> "English", "German"; a name stays what it is. NULL for NULL, "" and "auto". */
const char *wd_prompt_language(const char *language);
