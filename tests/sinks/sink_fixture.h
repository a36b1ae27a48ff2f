/* tests/sinks/sink_fixture.h - a sink on a file in a folder of its own. */
#pragma once
#include "sinks/sink.h"

struct sink_fixture {
    const struct wd_sink_type *type;
    void *sink;
    uv_loop_t loop;
    struct wd_event_pool *pool;
    char dir[64];
    char path[96]; /* dir/out */
};

/* `settings`: pairs of name and value, NULL at the end or NULL; `path` is set to the file. */
void sink_fixture_open(struct sink_fixture *f, const char *type_name, const char *const *settings);
void sink_fixture_close_sink(struct sink_fixture *f); /* and leaves the file */
void sink_fixture_done(struct sink_fixture *f);

struct wd_event *sink_fixture_event(struct sink_fixture *f, enum wd_event_kind kind, double t0_s,
                                    double t1_s, const char *speaker,
                                    const char *text);             /* stream "room" */
int sink_fixture_send(struct sink_fixture *f, struct wd_event *e); /* takes e */
/* The file as it is now; good until the next call. */
const char *sink_fixture_content(struct sink_fixture *f, const char *name);
