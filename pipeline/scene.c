/* pipeline/scene.c - one stream's pictures -> what is seen: when to look, what to ask, the scene event. */
#include "pipeline/scene.h"

#include "model/tokenizer.h"
#include "pipeline/activity.h"
#include "pipeline/parse.h"
#include "pipeline/prompt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A change is looked at when the next picture is like it, or after this long while everything moves. */
#define STEADY_NS INT64_C(3000000000)
#define DESCRIBE_TOKENS 128
#define TEXT_BYTES 4096

enum question { DESCRIBE, CHANGES };

struct wd_scene {
    struct wd_scene_opts opts;
    struct wd_publish *publish;
    struct wd_activity_picture *seen;   /* against the picture last looked at */
    struct wd_activity_picture *steady; /* against the picture before */
    struct wd_picture *wanted;          /* to be looked at next */
    struct wd_picture *candidate;       /* changed, but perhaps still moving */
    int64_t candidate_since_ns;
    struct wd_picture *shown;           /* the last in the engine's context */
    uint32_t n_context;                 /* pictures in it */
    uint32_t max_pictures;              /* of a context */
    int64_t looked_ns;                  /* when the last one looked at was taken */
    bool looked;
    struct wd_picture *looking;         /* in the job that is in flight */
    bool asked_changes;
    struct wd_scene_answer answer;
    char text[TEXT_BYTES];
    struct wd_scene_stats stats;
};

static void drop(struct wd_picture **p)
{
    wd_picture_unref(*p);
    *p = NULL;
}

static const struct wd_profile_question *task(const struct wd_scene *s, enum wd_profile_task t)
{
    const struct wd_profile_question *q = &s->opts.profile->tasks[t];

    return q->question.n ? q : NULL;
}

int wd_scene_new(const struct wd_scene_opts *opts, struct wd_publish *publish, struct wd_scene **ret, struct wd_err *err)
{
    struct wd_scene *s = calloc(1, sizeof *s);
    const struct wd_profile_question *changes;
    int r;

    if (!s)
        return wd_err_set(err, -ENOMEM, "scene: out of memory");
    s->opts = *opts;
    s->publish = publish;
    changes = task(s, WD_PROFILE_CHANGES);
    s->max_pictures = changes && changes->max_pictures > 1 ? (uint32_t)changes->max_pictures : 1;
    if (s->max_pictures > WD_SCENE_CONTEXT_PICTURES)
        s->max_pictures = WD_SCENE_CONTEXT_PICTURES;
    r = wd_activity_picture_new(opts->change, &s->seen, err);
    if (r == 0)
        r = wd_activity_picture_new(opts->change, &s->steady, err);
    if (r < 0) {
        wd_scene_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

struct wd_scene *wd_scene_free(struct wd_scene *s)
{
    if (!s)
        return NULL;
    drop(&s->wanted);
    drop(&s->candidate);
    drop(&s->shown);
    drop(&s->looking);
    wd_activity_picture_free(s->seen);
    wd_activity_picture_free(s->steady);
    free(s);
    return NULL;
}

/* The newest wins: what still waits to be looked at is replaced. */
static void want(struct wd_scene *s, struct wd_picture *p)
{
    wd_picture_ref(p);
    drop(&s->wanted);
    s->wanted = p;
    drop(&s->candidate);
}

void wd_scene_push(struct wd_scene *s, struct wd_picture *p)
{
    bool changed = wd_activity_picture_push(s->seen, p->rgb, p->w, p->h);
    bool moving = wd_activity_picture_push(s->steady, p->rgb, p->w, p->h);

    s->stats.pictures++;
    wd_activity_picture_accept(s->steady);
    if (!s->looked && !s->wanted && !s->looking) {
        want(s, p);
    } else if (changed) {
        if (!s->candidate)
            s->candidate_since_ns = p->t_ns;
        if (s->candidate && (!moving || p->t_ns - s->candidate_since_ns >= STEADY_NS)) {
            want(s, p);
        } else {
            wd_picture_ref(p);
            drop(&s->candidate);
            s->candidate = p;
        }
    } else {
        drop(&s->candidate); /* it went back to what was described */
        if (s->opts.period_ns > 0 && s->looked && !s->looking && p->t_ns - s->looked_ns >= s->opts.period_ns)
            want(s, p);
    }
    wd_picture_unref(p);
}

void wd_scene_end(struct wd_scene *s)
{
    if (s->candidate)
        want(s, s->candidate);
}

bool wd_scene_ready(const struct wd_scene *s)
{
    return s->wanted != NULL;
}

/* ---- jobs ---- */

static int add_picture(struct wd_scene *s, struct wd_job *job, struct wd_picture *p, uint32_t index)
{
    int64_t n = wd_prompt_picture_before(s->opts.profile, s->opts.tokenizer, index, p->t_ns, job->pictures[job->n_pictures].before.ids,
                                         WD_JOB_MAX_PROMPT);

    if (n < 0)
        return (int)n;
    job->pictures[job->n_pictures].before.n = (uint32_t)n;
    job->pictures[job->n_pictures++].picture = p;
    return 0;
}

static int add_question(struct wd_scene *s, struct wd_job *job, enum wd_profile_task t)
{
    const struct wd_profile_question *q = task(s, t);
    struct wd_question *to = &job->questions[job->n_questions];
    int64_t n = wd_prompt_question(s->opts.profile, s->opts.tokenizer, t, NULL, to->ids.ids, WD_JOB_MAX_PROMPT);

    if (n < 0)
        return (int)n;
    to->ids.n = (uint32_t)n;
    to->max_tokens = q->max_tokens > 0 ? (uint32_t)q->max_tokens : DESCRIBE_TOKENS;
    to->yes = to->no = -1;
    job->n_questions++;
    return 0;
}

static int fill(struct wd_scene *s, struct wd_job *job)
{
    struct wd_picture *p = s->wanted;
    uint32_t context;
    int64_t n;
    int r = 0;

    job->n_pictures = job->n_questions = 0;
    /* Pictures of another size do not belong into one context. */
    job->restart = s->n_context == 0 || s->n_context >= s->max_pictures || s->shown->w != p->w || s->shown->h != p->h;
    context = job->restart ? 0 : s->n_context;
    if (job->restart && s->max_pictures > 1 && s->shown && s->shown->w == p->w && s->shown->h == p->h) {
        r = add_picture(s, job, s->shown, 0);
        s->stats.prefilled_twice++;
        context = 1;
    }
    if (r == 0)
        r = add_picture(s, job, p, context);
    n = wd_prompt_picture_after(s->opts.profile, s->opts.tokenizer, job->picture_after.ids, WD_JOB_MAX_PROMPT);
    if (r == 0 && n < 0)
        r = (int)n;
    job->picture_after.n = n < 0 ? 0 : (uint32_t)n;
    if (r == 0)
        r = add_question(s, job, WD_PROFILE_DESCRIBE);
    s->asked_changes = context > 0 && task(s, WD_PROFILE_CHANGES);
    if (r == 0 && s->asked_changes)
        r = add_question(s, job, WD_PROFILE_CHANGES);
    if (r < 0)
        return r;
    s->n_context = context + 1;
    return 0;
}

bool wd_scene_fill(struct wd_scene *s, struct wd_job *job)
{
    int r;

    if (!s->wanted)
        return false;
    r = fill(s, job);
    if (r < 0) {
        wd_publish_notice(s->publish, s->wanted->t_ns, "scene", "the question about a picture cannot be written: %s", strerror(-r));
        s->stats.failed++;
        s->n_context = 0;
        drop(&s->wanted);
        return false;
    }
    s->looking = s->wanted;
    s->wanted = NULL;
    s->looked = true;
    s->looked_ns = s->looking->t_ns;
    /* From now on changes are against this one. */
    wd_activity_picture_push(s->seen, s->looking->rgb, s->looking->w, s->looking->h);
    wd_activity_picture_accept(s->seen);
    s->stats.looked_at++;
    return true;
}

static const char *read_text(struct wd_scene *s, const struct wd_answer *a, float *ret_p)
{
    int32_t ids[WD_JOB_MAX_TOKENS];
    double sum = 0;

    for (uint32_t i = 0; i < a->n; i++) {
        ids[i] = a->tokens[i].id;
        sum += (double)a->tokens[i].p;
    }
    *ret_p = a->n ? (float)(sum / a->n) : 0;
    wd_tokenizer_decode(s->opts.tokenizer, ids, a->n, false, s->text, sizeof s->text);
    s->text[sizeof s->text - 1] = '\0';
    return s->text;
}

static const char *keep(struct wd_event *e, const char *text)
{
    return *text ? wd_event_text(e, text, strlen(text)) : NULL;
}

void wd_scene_take(struct wd_scene *s, struct wd_job *job)
{
    struct wd_event *e;
    const char *text;
    float p;

    if (job->code < 0) {
        wd_publish_notice(s->publish, s->looking->t_ns, "scene", "a picture could not be looked at: %s", job->err);
        s->stats.failed++;
        s->n_context = 0;
        drop(&s->shown);
        drop(&s->looking);
        return;
    }
    e = wd_publish_event(s->publish, WD_EVENT_SCENE, s->looking->t_ns, s->looking->t_ns);
    if (e) {
        int64_t *times = wd_event_space(e, 2 * sizeof *times);

        text = read_text(s, &job->answers[DESCRIBE], &p);
        wd_parse_scene(text, strlen(text), &s->answer);
        e->title = keep(e, s->answer.title);
        e->summary = keep(e, s->answer.summary);
        e->concerns = keep(e, s->answer.concerns);
        /* Where the model does not say how sure it is: the mean probability of what it said. */
        e->confidence = s->answer.confidence >= 0 ? s->answer.confidence : p;
        if (s->asked_changes) {
            text = read_text(s, &job->answers[CHANGES], &p);
            wd_parse_scene(text, strlen(text), &s->answer);
            e->changes = keep(e, s->answer.json ? s->answer.changes : s->answer.summary);
        }
        if (times) {
            if (s->asked_changes && s->shown)
                times[e->n_pictures++] = s->shown->t_ns;
            times[e->n_pictures++] = s->looking->t_ns;
            e->picture_ns = times;
        }
        s->stats.events++;
        wd_publish_send(s->publish, e);
    }
    drop(&s->shown);
    s->shown = s->looking;
    s->looking = NULL;
}

struct wd_scene_stats wd_scene_stats(const struct wd_scene *s)
{
    return s->stats;
}
