/* tests/sinks/terminal_demo.c - a short meeting on the terminal, slowly: for eyes, not a test. */
#include "sinks/sink.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND 1000000000LL

static struct wd_event_pool *pool;
static void *sink;
static useconds_t pause_us = 250000;

static struct wd_event *event(enum wd_event_kind kind, const char *stream, double t0_s, double t1_s)
{
    struct wd_event *e = wd_event_new(pool, kind, 1760000000LL * SECOND);

    e->stream = stream;
    e->t0_ns = (int64_t)(t0_s * 1e9);
    e->t1_ns = (int64_t)(t1_s * 1e9);
    return e;
}

static void show(struct wd_event *e)
{
    wd_sink_terminal.send(sink, e);
    wd_event_unref(e);
    usleep(pause_us);
}

/* Word by word; what lies three words back is settled. */
static void speak(const char *stream, double t0_s, const char *id, const char *name,
                  const char *text)
{
    char key[27] = "";
    size_t settled[4] = {0};

    for (const char *at = text; *at;) {
        struct wd_event *e = event(WD_EVENT_PARTIAL, stream, t0_s, t0_s + 3);

        at += strcspn(at + 1, " ") + 1;
        memmove(settled, settled + 1, sizeof settled - sizeof settled[0]);
        settled[3] = (size_t)(at - text);
        e->text = wd_event_text(e, text, (size_t)(at - text));
        e->n_settled = (uint32_t)settled[0];
        e->speaker.id = id;
        e->speaker.name = name;
        if (*key)
            e->supersedes = wd_event_text(e, key, 26);
        else
            strcpy(key, e->id);
        show(e);
    }
    if (strstr(text, "..."))
        return; /* stays open */
    struct wd_event *e = event(WD_EVENT_FINAL, stream, t0_s, t0_s + 4);
    e->text = text;
    e->supersedes = wd_event_text(e, key, 26);
    e->speaker.id = id;
    e->speaker.name = name;
    show(e);
}

int main(int argc, char **argv)
{
    uv_loop_t loop;
    struct wd_err err = {0};
    struct wd_event *e;

    if (argc > 1)
        pause_us = (useconds_t)atoi(argv[1]) * 1000;
    uv_loop_init(&loop);
    sink = calloc(1, wd_sink_terminal.size);
    if (wd_event_pool_new(4, &pool, &err) < 0 ||
        wd_opt_defaults(wd_sink_terminal.opts, sink, &err) < 0 ||
        wd_sink_terminal.open(sink, &loop, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    e = event(WD_EVENT_SOURCE, "room", 0, 0);
    e->change = "live";
    e->reason = "samples/meeting.mkv, sound and picture";
    show(e);
    speak("room", 1.2, "spk_1", NULL,
          "Good morning everybody and welcome to the meeting of this week.");
    e = event(WD_EVENT_SCENE, "room", 4, 5);
    e->title = "Meeting room";
    e->summary = "Two people sit at a table with a laptop; a red cup stands at the window.";
    e->changes = "the door was opened";
    show(e);
    speak("room", 5.4, "spk_2", "Anna",
          "Thank you. The delivery of the new machines has been moved again, this time to the end "
          "of the month, and I do not "
          "think that anybody has told the people in the north hall about it yet.");
    speak("room", 15, "spk_3", NULL,
          "I will call them \xe4\xbc\x9a\xe8\xad\xb0 after this, \x1b[31mred\x1b[0m caf\xc3\xa9.");
    e = event(WD_EVENT_GAP, "room", 20, 22.4);
    e->reason = "the source sent nothing";
    show(e);
    e = event(WD_EVENT_LAG, "room", 23, 23);
    e->behind_s = 4.2;
    e->change = "no partials";
    show(e);
    speak("door", 3601, "spk_4", "Bartholomew the Second", "Hello, is anybody there?");
    speak("room", 3605, "spk_1", NULL, "This is still going on ...");
    speak("door", 3606, "spk_4", "Bartholomew the Second",
          "And so is this, with a line that is long enough to be broken ...");
    if (argc > 2)
        sleep((unsigned)atoi(argv[2]));
    wd_sink_terminal.close(sink);
    wd_opt_done(wd_sink_terminal.opts, sink);
    free(sink);
    wd_event_pool_free(pool);
    return uv_loop_close(&loop) != 0;
}
