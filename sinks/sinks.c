/* sinks/sinks.c - the table of sink types: a new sink is one row here. */
#include "sinks/sink.h"
#include <string.h>

static const struct wd_sink_type *const types[] = {
    &wd_sink_terminal, &wd_sink_jsonl, &wd_sink_srt,  &wd_sink_webvtt,
    &wd_sink_rttm,     &wd_sink_text,  &wd_sink_null, NULL,
};

const struct wd_sink_type *wd_sink_type_find(const char *name)
{
    for (size_t i = 0; name && types[i]; i++)
        if (strcmp(types[i]->name, name) == 0)
            return types[i];
    return NULL;
}

const struct wd_sink_type *const *wd_sink_types(void)
{
    return types;
}
