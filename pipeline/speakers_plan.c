/* pipeline/speakers_plan.c - which pieces of a window are printed. */
#include "pipeline/speakers.h"
#include <string.h>

#define FRAME WD_ACTIVITY_SAMPLES
#define STEP 6400 /* 0.4 s from piece to piece */
#define ROOM 6400 /* so much of the quiet around a short stretch is taken in, both sides together  \
                   */

static void put(struct wd_speakers_plan *plan, uint32_t stretch, uint32_t start, uint32_t n)
{
    if (plan->n_pieces < WD_SPEAKERS_MAX_PIECES)
        plan->pieces[plan->n_pieces++] = (struct wd_speakers_piece){start, n, stretch};
}

/* Pieces of samples a .. b, every `step`, the last one ending with the stretch. */
static uint32_t cover(struct wd_speakers_plan *plan, uint32_t stretch, uint32_t a, uint32_t b,
                      uint32_t step, bool really)
{
    uint32_t n = 0, at = a;

    for (; at + WD_VOICE_PIECE <= b; at += step, n++)
        if (really)
            put(plan, stretch, at, WD_VOICE_PIECE);
    if (b - WD_VOICE_PIECE >= at - step + STEP / 2) {
        if (really)
            put(plan, stretch, b - WD_VOICE_PIECE, WD_VOICE_PIECE);
        n++;
    }
    return n;
}

/* One piece around the middle of a stretch shorter than a piece. low, high: how far the quiet
 * around it goes. */
static void put_short(struct wd_speakers_plan *plan, uint32_t stretch, uint32_t a, uint32_t b,
                      uint32_t low, uint32_t high)
{
    uint32_t n = b - a + ROOM, middle = (a + b) / 2, all = plan->n_frames * FRAME, start, end;

    n = n < WD_VOICE_MIN_SAMPLES ? WD_VOICE_MIN_SAMPLES : n > WD_VOICE_PIECE ? WD_VOICE_PIECE : n;
    start = middle > n / 2 ? middle - n / 2 : 0;
    start = start < low ? low : start;
    end = start + n < high ? start + n : high;
    start = end > n && end - n > low ? end - n : low;
    if (end - start <
        WD_VOICE_MIN_SAMPLES) { /* too close to its neighbours: then a little of them too */
        n = WD_VOICE_MIN_SAMPLES;
        start = middle > n / 2 ? middle - n / 2 : 0;
        start = start + n > all ? all - n : start;
        end = start + n;
    }
    put(plan, stretch, start, end - start);
}

static uint32_t count_pieces(struct wd_speakers_plan *plan, uint32_t step)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < plan->n_stretches; i++) {
        uint32_t a = plan->stretches[i].first * FRAME, b = plan->stretches[i].end * FRAME;

        n += b - a < WD_VOICE_PIECE ? 1 : cover(plan, i, a, b, step, false);
    }
    return n;
}

void wd_speakers_plan(const float *p, uint32_t n_frames, struct wd_speakers_plan *ret)
{
    uint32_t step = STEP, all;

    n_frames = n_frames > WD_SPEAKERS_MAX_FRAMES ? WD_SPEAKERS_MAX_FRAMES : n_frames;
    all = n_frames * FRAME;
    ret->n_frames = n_frames;
    ret->n_pieces = 0;
    memcpy(ret->p, p, n_frames * sizeof *p);
    ret->n_stretches =
        wd_activity_stretches(p, n_frames, ret->stretches, WD_SPEAKERS_MAX_STRETCHES);
    if (all < WD_VOICE_MIN_SAMPLES)
        return;
    while (step < 4 * STEP && count_pieces(ret, step) > WD_SPEAKERS_MAX_PIECES)
        step += STEP;
    for (uint32_t i = 0; i < ret->n_stretches; i++) {
        uint32_t a = ret->stretches[i].first * FRAME, b = ret->stretches[i].end * FRAME;

        if (b - a >= WD_VOICE_PIECE)
            cover(ret, i, a, b, step, true);
        else
            put_short(ret, i, a, b, i ? ret->stretches[i - 1].end * FRAME : 0,
                      i + 1 < ret->n_stretches ? ret->stretches[i + 1].first * FRAME : all);
    }
}
