/* tests/sinks/write_events.c - every kind of event as JSON lines, for schema_test.sh. */
#include "sinks/event_json.h"
#include "tests/sinks/sample_events.h"
#include <stdio.h>

int main(void)
{
    static char line[WD_EVENT_JSON_BYTES];
    struct wd_event_pool *p = NULL;

    if (wd_event_pool_new(1, &p, NULL) < 0)
        return 1;
    for (int k = 0; k < WD_EVENT_N_KINDS; k++)
        for (int f = 0; f < SAMPLE_N_FILLINGS; f++) {
            struct wd_event *e = sample_event(p, (enum wd_event_kind)k, (enum sample_filling)f);

            if (wd_event_json(e, line, sizeof line) >= sizeof line)
                return 1;
            puts(line);
            wd_event_unref(e);
        }
    wd_event_pool_free(p);
    return 0;
}
