/* tests/pipeline/play.h - plays a source through the input to its end, or to a given moment, and keeps what came out. */
#pragma once
#include "pipeline/input.h"
#include "pipeline/source.h"

#define PLAY_MAX_STATES 32
#define PLAY_MAX_PICTURES 64

struct play {
    uv_loop_t loop;
    struct wd_input *in;
    uv_timer_t bound;
    const struct wd_source_type *type;
    void *source_opts;
    /* what came */
    float *pcm; /* frames one behind the other, gaps left out */
    int64_t *t0_ns;
    size_t n_frames, cap_frames;
    int64_t picture_ns[PLAY_MAX_PICTURES];
    uint32_t picture_w, picture_h;
    size_t n_pictures;
    enum wd_source_state states[PLAY_MAX_STATES];
    char reasons[PLAY_MAX_STATES][256];
    size_t n_states;
    int64_t gap_from_ns, gap_to_ns;
    char gap_reason[256];
    size_t n_gaps;
    bool ended, closed, too_long;
    int error;
    struct wd_input_stats stats;
    bool has_audio, has_video;
    double duration_s;
    /* what to do */
    void (*on_state)(struct play *p, enum wd_source_state state);
    void (*on_frame)(struct play *p);
    bool leave; /* pull nothing */
};

/* settings: name, value, ..., NULL. play_open makes the input, play_run turns the loop until the input is closed, which it is at
 * its end, by play_close(), or by force after bound_ms: then too_long is set. */
int play_open(struct play *p, const struct wd_source_type *type, const char *const *settings, uint32_t budget,
              struct wd_err *err);
int play_open_with(struct play *p, const struct wd_input_opts *opts, struct wd_err *err);
void play_run(struct play *p, unsigned bound_ms);
void play_close(struct play *p); /* from a callback, or before play_run */
void play_done(struct play *p);

/* All of it, which must take less than the bound. */
struct play play(const struct wd_source_type *type, const char *const *settings, uint32_t budget, unsigned bound_ms);
