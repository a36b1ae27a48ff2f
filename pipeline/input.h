/* pipeline/input.h - one source made into 40 ms frames and 1 FPS pictures: source -> feed -> timeline -> resample/picture -> framer.
 * Loop thread only; the capture thread is behind feed.h. */
#pragma once
#include "base/err.h"
#include "pipeline/picture.h"
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define WD_FRAME_SAMPLES 640           /* 16 kHz mono */
#define WD_FRAME_NS INT64_C(40000000)

struct wd_source_type;
struct wd_input;

enum wd_source_state { WD_SOURCE_CONNECTING, WD_SOURCE_LIVE, WD_SOURCE_STALLED, WD_SOURCE_LOST, WD_SOURCE_ENDED };
const char *wd_source_state_name(enum wd_source_state s);

struct wd_input_opts {
    const char *name;                  /* of the stream, for messages */
    const struct wd_source_type *type;
    const void *source_opts;           /* filled from type->opts; borrowed until the input is freed */
    uint32_t picture_budget;           /* patches; 0: no pictures are wanted */
    int64_t picture_interval_ns;       /* 1 s */
    bool no_audio;                     /* sound is not wanted. Flat-out, what is wanted must be pulled: a file waits for it */
    int64_t stall_ns;                  /* an online source whose media stands still for so long is stalled; 0: 10 s */
};

struct wd_input_callbacks {            /* all on the loop thread, none from within wd_input_open */
    void (*ready)(void *ctx);          /* frames or a picture wait, or the end was reached */
    void (*state)(void *ctx, enum wd_source_state state, const char *reason);
    void (*gap)(void *ctx, int64_t from_ns, int64_t to_ns, const char *reason); /* sound lost, in stream time */
};

int wd_input_open(uv_loop_t *loop, const struct wd_input_opts *opts, const struct wd_input_callbacks *cb, void *ctx, struct wd_input **ret,
                  struct wd_err *err);
/* Stops the source. What was captured can still be pulled; then the end is reported. */
void wd_input_stop(struct wd_input *in);
/* closed(ctx) is called when the loop holds nothing of it any more; then it is gone. */
void wd_input_close(struct wd_input *in, void (*closed)(void *ctx));

/* The next 40 ms: 1 and the frame, 0 when none is there yet, -EPIPE at the end (the last partial frame comes padded with zeros). t0: stream time of the first
 * sample; frames never go back and never overlap; silence fills no gaps (a gap is reported and t0 jumps). */
int wd_input_audio(struct wd_input *in, float ret_pcm[WD_FRAME_SAMPLES], int64_t *ret_t0_ns);
/* The next picture due, resized: a reference that the caller gives back, or NULL. A live source gives the newest, a flat-out file each in turn
 * (never ahead of the sound by more than a second or two, so that both can be used together by time). */
struct wd_picture *wd_input_picture(struct wd_input *in);
bool wd_input_ended(const struct wd_input *in);     /* nothing more will come, all was pulled */
bool wd_input_has_audio(const struct wd_input *in); /* known once live */
bool wd_input_has_video(const struct wd_input *in);
int64_t wd_input_utc_ns(const struct wd_input *in); /* UTC (ns since 1970) of stream time 0, 0 before the first sample */
/* Why the source was lost or ended, 0 after a plain end: -EBADMSG it is no medium, -ENODATA it is empty or holds neither sound
 * nor pictures, -EINVAL wrong settings; others (-ENOENT, -EACCES, -EIO, ...) it cannot be read. In words: with the state. */
int wd_input_error(const struct wd_input *in);
double wd_input_duration_s(const struct wd_input *in); /* of a file, 0 when unknown: for progress */

struct wd_input_stats {
    uint64_t frames, pictures, pictures_dropped, gaps, samples_dropped;
    int64_t buffered_ns; /* sound captured and not yet pulled */
};
struct wd_input_stats wd_input_stats(const struct wd_input *in);
