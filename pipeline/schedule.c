/* pipeline/schedule.c - whose job the engine does next. */
#include "pipeline/schedule.h"

static int rank(const struct wd_schedule_want *w)
{
    if (w->need == WD_SCHEDULE_NOTHING)
        return 0;
    return w->waiting_ns >= WD_SCHEDULE_PATIENCE_NS ? WD_SCHEDULE_LIVE + 1 : (int)w->need;
}

int wd_schedule_pick(const struct wd_schedule_want *wants, unsigned n)
{
    int best = -1;

    for (unsigned i = 0; i < n; i++) {
        int r = rank(&wants[i]), b = best < 0 ? 0 : rank(&wants[best]);

        if (r > b || (r && r == b && wants[i].waiting_ns > wants[best].waiting_ns))
            best = (int)i;
    }
    return best;
}
