/* tests/sinks/sample_events.h - one event of every kind in several fillings. */
#pragma once
#include "pipeline/event.h"

#define SAMPLE_UTC_NS (1760000000123456789LL)

enum sample_filling {
    SAMPLE_PLAIN, /* every field as usual */
    SAMPLE_BARE,  /* only what a kind cannot be without */
    SAMPLE_NASTY, /* control characters, quotes, broken UTF-8, numbers that are none */
    SAMPLE_LONG,  /* more than fits */
    SAMPLE_N_FILLINGS
};

/* A reference is the caller's. */
struct wd_event *sample_event(struct wd_event_pool *p, enum wd_event_kind kind,
                              enum sample_filling filling);

/* A string of every byte from 1 to 255, and the well-known traps. */
extern const char sample_nasty[];
