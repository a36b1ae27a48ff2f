/* tests/sinks/sink_fixture.c - opens a sink as the router does. */
#include "tests/sinks/sink_fixture.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

void sink_fixture_open(struct sink_fixture *f, const char *type_name, const char *const *settings)
{
    struct wd_err err = {0};

    memset(f, 0, sizeof *f);
    strcpy(f->dir, "/tmp/wd-sink-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof f->path, "%s/out", f->dir);
    f->type = wd_sink_type_find(type_name);
    assert_non_null(f->type);
    f->sink = calloc(1, f->type->size);
    assert_int_equal(wd_opt_defaults(f->type->opts, f->sink, &err), 0);
    assert_int_equal(wd_opt_set(wd_opt_find(f->type->opts, "path"), f->sink, f->path, &err), 0);
    for (; settings && settings[0]; settings += 2)
        assert_int_equal(
            wd_opt_set(wd_opt_find(f->type->opts, settings[0]), f->sink, settings[1], &err), 0);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(wd_event_pool_new(8, &f->pool, NULL), 0);
    if (f->type->open(f->sink, &f->loop, &err) < 0)
        fail_msg("%s", err.text);
}

void sink_fixture_close_sink(struct sink_fixture *f)
{
    if (!f->sink)
        return;
    f->type->close(f->sink);
    wd_opt_done(f->type->opts, f->sink);
    free(f->sink);
    f->sink = NULL;
}

void sink_fixture_done(struct sink_fixture *f)
{
    DIR *d;

    sink_fixture_close_sink(f);
    assert_int_equal(wd_event_pool_in_use(f->pool), 0);
    wd_event_pool_free(f->pool);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    d = opendir(f->dir);
    for (struct dirent *e; (e = readdir(d));)
        unlinkat(dirfd(d), e->d_name, 0); /* "." and ".." refuse */
    closedir(d);
    assert_int_equal(rmdir(f->dir), 0);
}

struct wd_event *sink_fixture_event(struct sink_fixture *f, enum wd_event_kind kind, double t0_s,
                                    double t1_s, const char *speaker, const char *text)
{
    struct wd_event *e = wd_event_new(f->pool, kind, 1760000000000000000LL);

    assert_non_null(e);
    e->stream = "room";
    e->t0_ns = (int64_t)(t0_s * 1e9);
    e->t1_ns = (int64_t)(t1_s * 1e9);
    if (speaker)
        e->speaker.id = wd_event_text(e, speaker, strlen(speaker));
    if (text)
        e->text = wd_event_text(e, text, strlen(text));
    return e;
}

int sink_fixture_send(struct sink_fixture *f, struct wd_event *e)
{
    int r = f->type->send(f->sink, e);

    wd_event_unref(e);
    return r;
}

const char *sink_fixture_content(struct sink_fixture *f, const char *name)
{
    static char text[1 << 20];
    char path[128];
    FILE *file;
    size_t n;

    snprintf(path, sizeof path, "%s/%s", f->dir, name);
    file = fopen(path, "r");
    assert_non_null(file);
    n = fread(text, 1, sizeof text - 1, file);
    text[n] = '\0';
    fclose(file);
    return text;
}
