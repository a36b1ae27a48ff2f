/* sinks/screen.h - what a terminal shows of the events: settled lines above, what may still change
 * below, rewritten in place. Pure: gives the bytes, writes nothing. Loop thread. */
#pragma once
#include "pipeline/event.h"

#define WD_SCREEN_BYTES (16 * WD_EVENT_SPACE) /* at most, of one drawing */

struct wd_screen_look {
    /* the cursor can be moved: lines wrap and partials are shown; else one line an event */
    bool live;
    unsigned n_colors; /* 0, 16 or 256 */
};

struct wd_screen;
int wd_screen_new(const struct wd_screen_look *look, struct wd_screen **ret, struct wd_err *err);
struct wd_screen *wd_screen_free(struct wd_screen *s);

/* The bytes that bring the screen from the last committed state to the one with `e` (NULL: the end,
 * nothing live is left and the cursor stands on a new line); good until the next call. `columns`
 * and `rows` are the terminal's now, 0 = not known. Text from outside cannot move the cursor or
 * colour anything: control characters and direction marks become U+FFFD. */
const char *wd_screen_draw(struct wd_screen *s, const struct wd_event *e, int columns, int rows,
                           size_t *ret_n_bytes);

/* The terminal took the last drawing. Without it the next call draws from the state before. */
void wd_screen_commit(struct wd_screen *s);
