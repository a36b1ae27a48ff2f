/* daemon/stats.c - the counters that prove how the engine was used, as a table for people. */
#include "daemon/core.h"

#include <inttypes.h>

static void line(FILE *to, const char *what, uint64_t n, const char *note)
{
    fprintf(to, "  %-28s %10" PRIu64 "%s%s\n", what, n, *note ? "   " : "", note);
}

static const char *share(char *buf, size_t cap, uint64_t part, uint64_t whole)
{
    snprintf(buf, cap, "%.1f %%", whole ? 100.0 * (double)part / (double)whole : 0.0);
    return buf;
}

void wd_core_print_stats(const struct wd_core *c, FILE *to)
{
    for (size_t i = 0; i < wd_core_stream_count(c); i++) {
        struct wd_stream_status s = wd_core_stream_status(c, i);
        char buf[64];

        fprintf(to, "%s\n", wd_core_stream_name(c, i));
        line(to, "audio frames heard", s.input.frames, "40 ms each");
        line(to, "frames prefilled", s.jobs.frames, share(buf, sizeof buf, s.jobs.frames, s.input.frames));
        line(to, "  of them twice", s.window.fed_twice, share(buf, sizeof buf, s.window.fed_twice, s.jobs.frames));
        line(to, "frames of silence kept out", s.window.silent_frames + s.window.dropped_frames, "");
        line(to, "windows", s.window.windows, "");
        line(to, "  cut while one spoke", s.window.cuts, "");
        line(to, "  decoded anew", s.transcript.again, "");
        line(to, "  given up", s.transcript.bad, "");
        line(to, "passes over the weights", s.jobs.passes, "");
        line(to, "instruction tokens", s.jobs.prompt_tokens, "");
        line(to, "settled tokens fed again", s.jobs.forced, "");
        line(to, "tokens decoded", s.jobs.decoded, "each a pass of its own");
        line(to, "tokens drafted", s.jobs.drafted, "the hypothesis before");
        line(to, "  accepted", s.jobs.accepted, share(buf, sizeof buf, s.jobs.accepted, s.jobs.drafted));
        line(to, "tokens guessed", s.jobs.guessed, "by the drafter");
        line(to, "  right", s.jobs.guessed_right, share(buf, sizeof buf, s.jobs.guessed_right, s.jobs.guessed));
        line(to, "partials", s.transcript.partials, "");
        line(to, "finals", s.transcript.finals, "");
        line(to, "words", s.transcript.words, "");
        line(to, "voice prints", s.jobs.prints, "");
        line(to, "speakers", s.transcript.n_speakers, "");
        line(to, "pictures", s.scene.pictures, "");
        line(to, "  looked at", s.scene.looked_at, "");
        line(to, "picture rows prefilled", s.jobs.patches, "");
        line(to, "  pictures prefilled twice", s.scene.prefilled_twice, "to begin a new context");
        line(to, "gaps", s.input.gaps, "");
        line(to, "events lost", s.events_lost, "no room");
        fprintf(to, "  %-28s %10.2f   s\n", "engine busy", (double)s.jobs.busy_ns / 1e9);
    }
}
