/* pipeline/sources.h - the table of source types. */
#pragma once
#include "pipeline/source.h"

const struct wd_source_type *const *wd_sources(void); /* NULL-terminated */
const struct wd_source_type *wd_source_type_find(const char *name);

/* The type whose setting `url` this is for: gstreamer for rtsp://, v4l2:// and pipelines ("a ! b"), portaudio (which has no
 * `url` but a `device`) for "mic" and "microphone", ffmpeg for everything else. Never NULL. */
const struct wd_source_type *wd_source_guess(const char *url);

/* Microphones and line inputs: cb gets each; returns how many there are, or negative errno. Any thread. */
int wd_source_portaudio_list(void (*cb)(void *ctx, int index, const char *name, int channels, double rate_hz), void *ctx,
                             struct wd_err *err);
