/* sinks/event_json.h - an event as one line of JSON, the same object for every sink. Pure. */
#pragma once
#include "pipeline/event.h"

/* Enough for any event whose strings lie in its own space and are told once: six bytes for each,
 * and the names around them. */
#define WD_EVENT_JSON_BYTES (8 * WD_EVENT_SPACE)

/* Writes one JSON object, without a newline, into out[cap] with a NUL behind it; returns its
 * length. When that is not below `cap`, out holds "" instead: part of an object is of no use.
 * Whatever bytes stand in the event, the result is valid JSON in UTF-8 without control characters,
 * also not U+0080..9F, U+2028 or U+2029 that some readers take for line ends; what was not UTF-8 is
 * U+FFFD. Times: seconds with three decimals. Fields: docs/events.md; shape:
 * schema/witnessd-event.schema.json. */
size_t wd_event_json(const struct wd_event *e, char *out, size_t cap);
