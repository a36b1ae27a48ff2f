/* cli/eval_case.h - a prompt written by hand as JSON: ids, text, sounds and pictures in order -> what a decoder is fed. */
#pragma once
#include "base/err.h"
#include "model/decoder.h"
#include <stddef.h>
#include <stdint.h>

struct wd_engine;
struct wd_eval_case;

/* path: {"items": [2, 106, {"audio": "a.wav"}, {"image": "p.png"}, {"text": "..."}, {"image": "q.png", "max_soft_tokens": 140}, ...]}; file names
 * are relative to it. A picture whose sides the budget leaves as they are is not resampled; without max_soft_tokens the budget is 280, or 70 for a
 * model whose position table has fewer than 280 places. Errors name file and item. */
int wd_eval_case_read(const char *path, const struct wd_engine *e, struct wd_eval_case **ret, struct wd_err *err);
/* The same from its text; `path` stands in errors, and file names are relative to it. */
int wd_eval_case_parse(const char *path, const char *text, const struct wd_engine *e, struct wd_eval_case **ret, struct wd_err *err);
struct wd_eval_case *wd_eval_case_free(struct wd_eval_case *c);

const struct wd_span *wd_eval_case_spans(const struct wd_eval_case *c, uint32_t *ret_n);
uint32_t wd_eval_case_rows(const struct wd_eval_case *c);
