/* pipeline/sources.c - the table of source types. */
#include "pipeline/sources.h"
#include <string.h>
#include <strings.h>

extern const struct wd_source_type wd_source_ffmpeg, wd_source_gst, wd_source_portaudio;

static const struct wd_source_type *const types[] = {&wd_source_ffmpeg, &wd_source_gst, &wd_source_portaudio, NULL};

const struct wd_source_type *const *wd_sources(void)
{
    return types;
}

const struct wd_source_type *wd_source_type_find(const char *name)
{
    for (size_t i = 0; types[i]; i++)
        if (!strcmp(types[i]->name, name))
            return types[i];
    return NULL;
}

const struct wd_source_type *wd_source_guess(const char *url)
{
    static const char *const by_gst[] = {"rtsp:", "rtsps:", "rtspt:", "rtspu:", "v4l2:", NULL};
    static const char *const microphones[] = {"mic", "microphone", NULL};

    for (size_t i = 0; by_gst[i]; i++)
        if (!strncasecmp(url, by_gst[i], strlen(by_gst[i])))
            return &wd_source_gst;
    if (strstr(url, " ! "))
        return &wd_source_gst;
    for (size_t i = 0; microphones[i]; i++)
        if (!strcasecmp(url, microphones[i]))
            return &wd_source_portaudio;
    return &wd_source_ffmpeg;
}
