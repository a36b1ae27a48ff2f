/* pipeline/job.c - room for what the loop asks of the engine thread, made once. */
#include "pipeline/job.h"

#include <errno.h>
#include <stdlib.h>

int wd_job_new(enum wd_job_kind kind, struct wd_job **ret, struct wd_err *err)
{
    struct wd_job *job = calloc(1, sizeof *job);

    if (!job)
        return wd_err_set(err, -ENOMEM, "job: out of memory");
    job->kind = kind;
    if (kind == WD_JOB_SOUND) {
        job->pieces = calloc(WD_JOB_MAX_PIECES, sizeof *job->pieces);
        job->attention = malloc((size_t)(WD_JOB_MAX_TOKENS + 1) * WD_JOB_MAX_FRAMES * sizeof *job->attention);
        if (!job->pieces || !job->attention) {
            wd_job_free(job);
            return wd_err_set(err, -ENOMEM, "job: out of memory");
        }
    }
    *ret = job;
    return 0;
}

struct wd_job *wd_job_free(struct wd_job *job)
{
    if (!job)
        return NULL;
    free(job->pieces);
    free(job->attention);
    free(job);
    return NULL;
}

void wd_job_count_add(struct wd_job_count *to, const struct wd_job_count *c)
{
    to->frames += c->frames;
    to->patches += c->patches;
    to->prompt_tokens += c->prompt_tokens;
    to->forced += c->forced;
    to->decoded += c->decoded;
    to->drafted += c->drafted;
    to->accepted += c->accepted;
    to->guessed += c->guessed;
    to->guessed_right += c->guessed_right;
    to->passes += c->passes;
    to->prints += c->prints;
    to->busy_ns += c->busy_ns;
}
