/* pipeline/parse_guard.h - when an answer is no transcript: it repeats itself, answers, or says too
 * much. For parse.c; pure. */
#pragma once
#include "pipeline/parse.h"
#include <stdbool.h>
#include <stdint.h>

/* The first of the tokens (words) that only repeat what stands before them: 1 to 8 that came at
 * least four times in a row and fill 24 tokens (12 words). Their number: there is none. */
uint32_t wd_parse_guard_tokens(const struct wd_parse_token *tokens, uint32_t n);
uint32_t wd_parse_guard_words(const struct wd_parsed *p);

/* thought: one had begun and did not end. */
enum wd_parse_bad wd_parse_guard_judge(const struct wd_parsed *p, const struct wd_parse_opts *opts,
                                       bool thought);

/* ASCII only. */
char wd_parse_guard_lower(char c);
bool wd_parse_guard_alnum(char c);
