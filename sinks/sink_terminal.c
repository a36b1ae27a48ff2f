/* sinks/sink_terminal.c - captions for people: a live screen, or plain lines for a pipe. */
#include "sinks/cues.h"
#include "sinks/out.h"
#include "sinks/sink.h"
#include "sinks/screen.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };
static const char *const colors[] = {"auto", "always", "never", NULL};

struct terminal_sink {
    char *path;
    int color;
    bool partials;
    int64_t width;
    struct wd_out *out;
    struct wd_screen *screen;
};

static int terminal_open(void *sink, uv_loop_t *loop, struct wd_err *err)
{
    struct terminal_sink *s = sink;
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    struct wd_screen_look look = {0};
    int r;

    (void)loop;
    r = wd_out_open(s->path, false, WD_SCREEN_BYTES, &s->out, err);
    if (r < 0)
        return r;
    look.live = wd_out_is_terminal(s->out) && term && *term && strcmp(term, "dumb") != 0;
    if (s->color == COLOR_ALWAYS ||
        (s->color == COLOR_AUTO && look.live && !(no_color && *no_color)))
        look.n_colors = term && strstr(term, "256") ? 256 : getenv("COLORTERM") ? 256 : 16;
    r = wd_screen_new(&look, &s->screen, err);
    if (r < 0)
        s->out = wd_out_close(s->out);
    return r;
}

static void measure(const struct terminal_sink *s, int *ret_columns, int *ret_rows)
{
    *ret_columns = s->width ? (int)s->width : wd_out_columns(s->out);
    *ret_rows = wd_out_rows(s->out);
}

/* The screen changes only when the terminal took what draws it: else the same event is drawn again
 * later. */
static int terminal_send(void *sink, const struct wd_event *e)
{
    struct terminal_sink *s = sink;
    const char *text;
    size_t n;
    int columns, rows, r;

    if (e->kind == WD_EVENT_PARTIAL && !s->partials)
        return 0;
    measure(s, &columns, &rows);
    text = wd_screen_draw(s->screen, e, columns, rows, &n);
    if (!n) {
        wd_screen_commit(s->screen);
        return 0;
    }
    r = wd_out_write(s->out, text, n);
    if (r == 0)
        wd_screen_commit(s->screen);
    return r;
}

static void terminal_close(void *sink)
{
    struct terminal_sink *s = sink;
    const char *text;
    size_t n;
    int columns, rows;

    measure(s, &columns, &rows);
    text = wd_screen_draw(s->screen, NULL, columns, rows, &n);
    if (n)
        wd_out_write(s->out, text, n);
    s->screen = wd_screen_free(s->screen);
    s->out = wd_out_close(s->out);
}

static const struct wd_opt opts[] = {
    WD_OPT_STR(struct terminal_sink, path, "-",
               "the terminal's device, or a file; - is standard output"),
    WD_OPT_ENUM(struct terminal_sink, color, "auto", colors,
                "a colour for each speaker; auto: on a terminal, unless NO_COLOR is set"),
    WD_OPT_BOOL(struct terminal_sink, partials, "true",
                "show what is not settled yet, on a terminal"),
    WD_OPT_INT(struct terminal_sink, width, "0", 0, 1000, "columns; 0 asks the terminal"),
    WD_OPT_END,
};

const struct wd_sink_type wd_sink_terminal = {
    .name = "terminal",
    .help = "show captions to people: colours and live text on a terminal, plain lines in a pipe",
    .size = sizeof(struct terminal_sink),
    .kinds = WD_EVENT_BIT(WD_EVENT_PARTIAL) | WD_EVENT_BIT(WD_EVENT_FINAL) |
             WD_EVENT_BIT(WD_EVENT_SCENE) | WD_EVENT_BIT(WD_EVENT_ALERT) |
             WD_EVENT_BIT(WD_EVENT_ANSWER) | WD_EVENT_BIT(WD_EVENT_SOURCE) |
             WD_EVENT_BIT(WD_EVENT_GAP) | WD_EVENT_BIT(WD_EVENT_LAG) |
             WD_EVENT_BIT(WD_EVENT_NOTICE),
    .opts = opts,
    .open = terminal_open,
    .send = terminal_send,
    .close = terminal_close,
};
