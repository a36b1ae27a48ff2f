/* pipeline/worker.c - border with the engine thread: jobs in, answers out. */
#include "pipeline/worker.h"

#include "base/mailbox.h"
#include "base/queue.h"
#include "model/decoder.h"
#include "model/engine.h"
#include "model/voice.h"
#include "pipeline/generate.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOGIT_BYTES (32u << 20) /* of the rows verified at once */
#define MAX_LOGIT_ROWS 96

struct wd_lane {
    struct wd_worker *worker;
    struct wd_decoder *decoder;
    struct wd_ids before;   /* what the context begins with */
    uint32_t first_frame;   /* position of the window's first frame */
    uint32_t n_frames;
};

struct wd_worker {
    struct wd_engine *engine;
    const struct wd_voice *voice;
    struct wd_voice_scratch *voice_scratch;
    struct wd_queue *jobs;
    struct wd_mailbox *done;
    pthread_t thread;
    pthread_mutex_t between; /* held while a job runs: lanes are made and freed outside */
    float *logits;
    float *hidden; /* [logit_rows][d_model], with a drafter */
    uint32_t logit_rows;

    /* Loop thread. */
    bool busy;
    struct wd_job_count sum;
    int64_t pass_ns;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static struct wd_span tokens(const struct wd_ids *ids, uint32_t from)
{
    return (struct wd_span){.kind = WD_SPAN_TOKENS, .n = ids->n - from, .ids = ids->ids + from};
}

static uint32_t common_prefix(const struct wd_ids *a, const struct wd_ids *b)
{
    uint32_t n = 0;

    while (n < a->n && n < b->n && a->ids[n] == b->ids[n])
        n++;
    return n;
}

/* Everything before the closing tokens: positions are final once fed. Collected rather than fed, so that the closing tokens and the draft go
 * through the weights in the same pass. */
static int sound_spans(struct wd_lane *l, struct wd_job *job, struct wd_span *spans, uint32_t *ret_n, struct wd_err *err)
{
    uint32_t n = 0;
    int r;

    if (job->open) {
        uint32_t same = common_prefix(&l->before, &job->before);

        r = wd_decoder_rewind(l->decoder, same, err);
        if (r < 0) /* the ring has moved on: from the start again */
            r = wd_decoder_rewind(l->decoder, same = 0, err);
        if (r < 0)
            return r;
        if (job->before.n > same)
            spans[n++] = tokens(&job->before, same);
        job->count.prompt_tokens += job->before.n - same;
        l->before = job->before;
        l->first_frame = job->before.n;
        l->n_frames = 0;
    }
    if (job->n_frames) {
        spans[n++] = (struct wd_span){.kind = WD_SPAN_AUDIO, .n = job->n_frames, .pcm = &job->pcm[0][0]};
        job->count.frames += job->n_frames;
        l->n_frames += job->n_frames;
    }
    *ret_n = n;
    return 0;
}

static int run_prints(struct wd_worker *w, struct wd_job *job, struct wd_err *err)
{
    for (uint32_t i = 0; i < job->n_pieces; i++) {
        struct wd_piece *p = &job->pieces[i];
        int r = wd_voice_print(w->voice, w->voice_scratch, p->pcm, p->n_samples, p->print);

        if (r < 0)
            return wd_err_set(err, r, "a voice print of %u samples", p->n_samples);
        job->count.prints++;
    }
    return 0;
}

static struct wd_generate generate_of(struct wd_worker *w, struct wd_job *job)
{
    return (struct wd_generate){
        .engine = w->engine,
        .decoder = job->lane->decoder,
        .count = &job->count,
        .logits = w->logits,
        .logit_rows = w->logit_rows,
        .heads = job->heads,
        .n_heads = job->n_heads,
        .drafter = wd_engine_drafter(w->engine),
        .hidden = w->hidden,
    };
}

static int run_sound(struct wd_worker *w, struct wd_job *job, struct wd_err *err)
{
    struct wd_lane *l = job->lane;
    struct wd_generate g = generate_of(w, job);
    struct wd_answer *a = &job->answers[0];
    struct wd_span spans[4];
    uint32_t n = 0, rows = 0, base;
    int r;

    memset(&job->answers[0], 0, offsetof(struct wd_answer, yes));
    job->frames_in_window = 0;
    r = run_prints(w, job, err);
    if (r == 0)
        r = sound_spans(l, job, spans, &n, err);
    if (r < 0)
        return r;
    for (uint32_t i = 0; i < n; i++)
        rows += spans[i].n;
    rows += job->after.n + job->forced.n + w->logit_rows;
    if (!job->decode || rows > wd_engine_max_rows(w->engine)) {
        r = wd_generate_feed(&g, spans, n, err);
        if (r < 0 || !job->decode)
            return r;
        n = 0;
    }
    base = l->first_frame + l->n_frames;
    spans[n++] = tokens(&job->after, 0);
    if (job->forced.n)
        spans[n++] = tokens(&job->forced, 0);
    job->count.prompt_tokens += job->after.n;
    for (uint32_t i = 0; i < job->forced.n; i++)
        a->tokens[a->n++] = (struct wd_token){job->forced.ids[i], 1, 0};
    job->frames_in_window = l->n_frames;
    r = wd_generate_answer(&g, spans, n, job->forced.n, job->draft.ids, job->draft.n, job->max_tokens, a, job->attention,
                           l->first_frame, l->n_frames, err);
    if (r < 0)
        return r;
    return wd_decoder_rewind(l->decoder, base, err);
}

static int run_scene(struct wd_worker *w, struct wd_job *job, struct wd_err *err)
{
    struct wd_lane *l = job->lane;
    struct wd_generate g = generate_of(w, job);
    uint32_t base;
    int r;

    if (job->restart) {
        r = wd_decoder_rewind(l->decoder, 0, err);
        if (r < 0)
            return r;
    }
    for (uint32_t i = 0; i < job->n_pictures; i++) {
        const struct wd_picture *p = job->pictures[i].picture;
        struct wd_span spans[3] = {
            tokens(&job->pictures[i].before, 0),
            {.kind = WD_SPAN_PICTURE, .rgb = p->rgb, .grid_w = p->w / 48, .grid_h = p->h / 48, .n = (p->w / 48) * (p->h / 48)},
            tokens(&job->picture_after, 0),
        };

        r = wd_generate_feed(&g, spans, 3, err);
        if (r < 0)
            return r;
        job->count.patches += spans[1].n;
        job->count.prompt_tokens += spans[0].n + spans[2].n;
    }
    base = wd_decoder_position(l->decoder);
    for (uint32_t i = 0; i < job->n_questions; i++) {
        const struct wd_question *q = &job->questions[i];
        struct wd_answer *a = &job->answers[i];
        struct wd_span span = tokens(&q->ids, 0);

        memset(a, 0, offsetof(struct wd_answer, yes));
        a->yes = -1;
        job->count.prompt_tokens += q->ids.n;
        if (q->yes >= 0)
            r = wd_generate_yes(&g, &span, 1, q->yes, q->no, &a->yes, err);
        else
            r = wd_generate_answer(&g, &span, 1, 0, NULL, 0, q->max_tokens, a, NULL, 0, 0, err);
        if (r == 0)
            r = wd_decoder_rewind(l->decoder, base, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static void *engine_main(void *ctx)
{
    struct wd_worker *w = ctx;
    struct wd_job *job;

    while (wd_queue_pop(w->jobs, &job, -1) == 1) {
        struct wd_err err = {0};
        int64_t begun = now_ns();

        memset(&job->count, 0, sizeof job->count);
        pthread_mutex_lock(&w->between);
        job->code = job->kind == WD_JOB_SOUND ? run_sound(w, job, &err) : run_scene(w, job, &err);
        pthread_mutex_unlock(&w->between);
        /* What was tried in vain on the way to success is no error. */
        snprintf(job->err, sizeof job->err, "%.255s", job->code < 0 ? err.text : "");
        job->count.busy_ns = now_ns() - begun;
        /* One job at a time is in flight, so there is always room. */
        wd_mailbox_post(w->done, &job);
    }
    return NULL;
}

static void deliver(void *ctx, void *item)
{
    struct wd_worker *w = ctx;
    struct wd_job *job = *(struct wd_job **)item;

    w->busy = false;
    wd_job_count_add(&w->sum, &job->count);
    if (job->count.passes) {
        int64_t pass = job->count.busy_ns / (int64_t)job->count.passes;

        /* Steps of a sixteenth towards each sample: near the median, and one slow pass does not move it far. */
        w->pass_ns = w->pass_ns == 0 ? pass : w->pass_ns + (pass > w->pass_ns ? w->pass_ns : -w->pass_ns) / 16;
    }
    job->done(job->ctx, job);
}

static void worker_free(struct wd_worker *w)
{
    wd_queue_free(w->jobs);
    wd_voice_scratch_free(w->voice_scratch);
    pthread_mutex_destroy(&w->between);
    free(w->logits);
    free(w->hidden);
    free(w);
}

int wd_worker_new(uv_loop_t *loop, struct wd_engine *engine, const struct wd_voice *voice, struct wd_worker **ret,
                  struct wd_err *err)
{
    struct wd_worker *w = calloc(1, sizeof *w);
    uint32_t vocab = wd_engine_shape(engine)->n_vocab;
    sigset_t all, before;
    int r;

    if (!w)
        return wd_err_set(err, -ENOMEM, "engine thread: out of memory");
    w->engine = engine;
    w->voice = voice;
    w->logit_rows = LOGIT_BYTES / (vocab * (uint32_t)sizeof(float));
    w->logit_rows = w->logit_rows < 2 ? 2 : w->logit_rows > MAX_LOGIT_ROWS ? MAX_LOGIT_ROWS : w->logit_rows;
    w->logits = malloc((size_t)w->logit_rows * vocab * sizeof *w->logits);
    if (wd_engine_drafter(engine))
        w->hidden = malloc((size_t)w->logit_rows * wd_engine_shape(engine)->d_model * sizeof *w->hidden);
    pthread_mutex_init(&w->between, NULL);
    r = w->logits && (w->hidden || !wd_engine_drafter(engine)) ? wd_queue_new(sizeof(struct wd_job *), 2, &w->jobs, err)
                  : wd_err_set(err, -ENOMEM, "engine thread: out of memory");
    if (r == 0 && voice)
        r = wd_voice_scratch_new(voice, &w->voice_scratch, err);
    if (r == 0)
        r = wd_mailbox_new(loop, sizeof(struct wd_job *), 2, deliver, w, &w->done, err);
    if (r < 0) {
        worker_free(w);
        return r;
    }
    sigfillset(&all);
    sigdelset(&all, SIGBUS); /* it reads the model: model/mapping.h */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&w->thread, NULL, engine_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r) {
        wd_mailbox_close(w->done, NULL);
        w->done = NULL;
        worker_free(w);
        return wd_err_set(err, -r, "engine thread: %s", strerror(r));
    }
    *ret = w;
    return 0;
}

static void mailbox_closed(void *ctx)
{
    struct wd_worker *w = ctx;
    void (*closed)(void *) = w->closed;
    void *closed_ctx = w->closed_ctx;

    worker_free(w);
    if (closed)
        closed(closed_ctx);
}

void wd_worker_close(struct wd_worker *w, void (*closed)(void *ctx), void *ctx)
{
    w->closed = closed;
    w->closed_ctx = ctx;
    wd_queue_close(w->jobs);
    pthread_join(w->thread, NULL);
    wd_mailbox_close(w->done, mailbox_closed);
}

int wd_worker_submit(struct wd_worker *w, struct wd_job *job)
{
    int r;

    if (w->busy)
        return -EBUSY;
    r = wd_queue_push(w->jobs, &job);
    if (r == 0)
        w->busy = true;
    return r;
}

bool wd_worker_busy(const struct wd_worker *w)
{
    return w->busy;
}

struct wd_job_count wd_worker_count(const struct wd_worker *w)
{
    return w->sum;
}

int64_t wd_worker_pass_ns(const struct wd_worker *w)
{
    return w->pass_ns;
}

int wd_lane_new(struct wd_worker *w, uint32_t capacity, struct wd_lane **ret, struct wd_err *err)
{
    struct wd_lane *l = calloc(1, sizeof *l);
    int r;

    if (!l)
        return wd_err_set(err, -ENOMEM, "lane: out of memory");
    l->worker = w;
    pthread_mutex_lock(&w->between);
    r = wd_decoder_new(w->engine, capacity, capacity, &l->decoder, err);
    pthread_mutex_unlock(&w->between);
    if (r < 0) {
        free(l);
        return r;
    }
    *ret = l;
    return 0;
}

struct wd_lane *wd_lane_free(struct wd_lane *l)
{
    if (!l)
        return NULL;
    pthread_mutex_lock(&l->worker->between);
    wd_decoder_free(l->decoder);
    pthread_mutex_unlock(&l->worker->between);
    free(l);
    return NULL;
}
