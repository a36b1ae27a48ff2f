/* pipeline/schedule.h - whose job the engine does next. Pure. */
#pragma once
#include <stdint.h>

/* In order of priority (docs/threads.md): live sound before last decodes before pictures. */
enum wd_schedule_need { WD_SCHEDULE_NOTHING, WD_SCHEDULE_SCENE, WD_SCHEDULE_FINAL, WD_SCHEDULE_LIVE };

struct wd_schedule_want {
    enum wd_schedule_need need;
    int64_t waiting_ns; /* since it was first wanted */
};

/* A want that waited so long goes before all others, so that none starves; among several the longest. */
#define WD_SCHEDULE_PATIENCE_NS INT64_C(5000000000)

/* Index of the one to serve, -1 when nobody needs anything. Among equals the longest waiting, then the first. */
int wd_schedule_pick(const struct wd_schedule_want *wants, unsigned n);
