/* tests/daemon/config_test.c - the configuration file, with small tables of sources and sinks of
 * its own. */
#include "daemon/config.h"
#include "pipeline/event.h"
#include "pipeline/source.h"
#include "pipeline/sources.h"
#include "sinks/sink.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- the tables ---- */

struct film {
    char *url;
    bool realtime, backwards;
};

static enum wd_source_pace film_pace(const void *opts)
{
    const struct film *f = opts;

    return strstr(f->url, "://") ? WD_SOURCE_ONLINE
           : f->realtime         ? WD_SOURCE_PACED
                                 : WD_SOURCE_FLAT_OUT;
}

static int film_check(const void *opts, struct wd_err *err)
{
    const struct film *f = opts;

    if (f->realtime && f->backwards)
        return wd_err_set(err, -EINVAL, "realtime and backwards exclude each other");
    return 0;
}

static const struct wd_opt film_rows[] = {
    WD_OPT_STR_REQUIRED(struct film, url, "file or URL"),
    WD_OPT_BOOL(struct film, realtime, "false", "as fast as it was recorded"),
    WD_OPT_BOOL(struct film, backwards, "false", "from its end"),
    WD_OPT_END,
};
static const struct wd_source_type film_type = {.name = "ffmpeg",
                                                .help = "files",
                                                .size = sizeof(struct film),
                                                .opts = film_rows,
                                                .check = film_check,
                                                .pace = film_pace};

struct mike {
    char *device;
    int64_t rate;
};

static enum wd_source_pace online(const void *opts)
{
    (void)opts;
    return WD_SOURCE_ONLINE;
}

static const struct wd_opt mike_rows[] = {
    WD_OPT_STR(struct mike, device, NULL, "name or number"),
    WD_OPT_INT(struct mike, rate, "0", 0, 192000, "samples a second"),
    WD_OPT_END,
};
static const struct wd_source_type mike_type = {.name = "portaudio",
                                                .help = "microphones",
                                                .size = sizeof(struct mike),
                                                .opts = mike_rows,
                                                .pace = online};
static const struct wd_source_type camera_type = {.name = "camera",
                                                  .help = "a device that may come later",
                                                  .size = sizeof(struct film),
                                                  .opts = film_rows,
                                                  .pace = online};
static const struct wd_source_type *const sources[] = {&film_type, &mike_type, &camera_type, NULL};

const struct wd_source_type *wd_source_type_find(const char *name)
{
    for (size_t i = 0; sources[i]; i++)
        if (!strcmp(sources[i]->name, name))
            return sources[i];
    return NULL;
}

const struct wd_source_type *const *wd_sources(void)
{
    return sources;
}

const struct wd_source_type *wd_source_guess(const char *url)
{
    return !strcmp(url, "mic") ? &mike_type : &film_type;
}

struct paper {
    char *path;
};
static const struct wd_opt paper_rows[] = {
    WD_OPT_STR_REQUIRED(struct paper, path, "file to append to"),
    WD_OPT_END,
};
static const struct wd_sink_type paper_type = {
    .name = "jsonl", .help = "JSON lines", .size = sizeof(struct paper), .opts = paper_rows};
static const struct wd_sink_type screen_type = {
    .name = "terminal", .help = "for people", .size = 1};
static const struct wd_sink_type null_type = {.name = "null", .help = "nowhere", .size = 1};
static const struct wd_sink_type *const sinks[] = {&screen_type, &paper_type, &null_type, NULL};

const struct wd_sink_type *wd_sink_type_find(const char *name)
{
    for (size_t i = 0; sinks[i]; i++)
        if (!strcmp(sinks[i]->name, name))
            return sinks[i];
    return NULL;
}

const struct wd_sink_type *const *wd_sink_types(void)
{
    return sinks;
}

/* ---- helpers ---- */

static struct wd_config *parse(const char *text)
{
    struct wd_config *c = NULL;
    struct wd_err err = {0};

    if (wd_config_parse("w.yaml", text, strlen(text), &c, &err) < 0)
        fail_msg("%s", err.text);
    return c;
}

static void refused(const char *text, const char *says)
{
    struct wd_config *c = NULL;
    struct wd_err err = {0};

    if (wd_config_parse("w.yaml", text, strlen(text), &c, &err) == 0)
        fail_msg("taken: %s", text);
    assert_null(c);
    assert_string_equal(err.text, says);
}

#define STREAM "streams: [{name: room, source: http://host/a}]\n"

/* ---- facts ---- */

static void the_first_configuration_is_read_literally(void **state)
{
    static const char text[] =
        "model: {path: nano, threads: 0}            # a shipped name or a file; 0 = the "
        "processor's cores\n"
        "streams:\n"
        "  - name: room\n"
        "    source: {type: ffmpeg, url: samples/meeting.mkv, realtime: true}\n"
        "    language: en\n"
        "    window: {max_s: 15, tick_ms: 480, lag_target_s: 3}\n"
        "sinks:\n"
        "  - {type: terminal}\n"
        "  - {type: jsonl, path: events.jsonl, streams: [room], kinds: [final, scene]}\n";
    char folder[] = TEST_BUILDDIR "/config_test.XXXXXX", path[sizeof folder + 64];
    struct wd_config *c;
    struct wd_err err = {0};
    FILE *f;

    (void)state;
    /* The recording stands beside the configuration, whose name is not the working directory's. */
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/samples", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/samples/meeting.mkv", folder);
    f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    snprintf(path, sizeof path, "%s/w.yaml", folder);
    if (wd_config_parse(path, text, strlen(text), &c, &err) < 0)
        fail_msg("%s", err.text);

    assert_string_equal(c->path, path);
    assert_string_equal(c->model.path, "nano");
    assert_int_equal(c->model.threads, 0);
    assert_null(c->model.mmproj);
    assert_string_equal(c->model.drafter, "none");
    assert_int_equal(c->n_streams, 1);
    assert_string_equal(c->streams[0].name, "room");
    assert_string_equal(c->streams[0].language, "en");
    assert_ptr_equal(c->streams[0].source, &film_type);
    assert_true(((struct film *)c->streams[0].source_opts)->realtime);
    if (access("samples/meeting.mkv", F_OK) != 0) {
        snprintf(path, sizeof path, "%s/samples/meeting.mkv", folder);
        assert_string_equal(((struct film *)c->streams[0].source_opts)->url, path);
    }
    assert_int_equal(c->streams[0].window.max_ns, INT64_C(15000000000));
    assert_int_equal(c->streams[0].window.tick_ns, 480000000);
    assert_int_equal(c->streams[0].window.lag_target_ns, INT64_C(3000000000));
    assert_int_equal(c->n_sinks, 2);
    assert_ptr_equal(c->sinks[0].type, &screen_type);
    assert_int_equal(c->sinks[0].kinds, 0);
    assert_ptr_equal(c->sinks[1].type, &paper_type);
    assert_string_equal(((struct paper *)c->sinks[1].opts)->path, "events.jsonl");
    assert_int_equal(c->sinks[1].streams.n, 1);
    assert_string_equal(c->sinks[1].streams.items[0], "room");
    assert_int_equal(c->sinks[1].kinds, 1u << WD_EVENT_FINAL | 1u << WD_EVENT_SCENE);
    wd_config_free(c);
    snprintf(path, sizeof path, "%s/samples/meeting.mkv", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/samples", folder);
    rmdir(path);
    rmdir(folder);
}

static void what_is_not_given_has_its_default(void **state)
{
    struct wd_config *c = parse(STREAM);
    const struct wd_config_stream *s = &c->streams[0];

    (void)state;
    assert_string_equal(c->model.path, "nano");
    assert_null(s->language);
    assert_true(s->partials);
    assert_true(s->speakers);
    assert_int_equal(s->window.max_ns, INT64_C(15000000000));
    assert_int_equal(s->window.tick_ns, 480000000);
    assert_int_equal(s->window.lag_target_ns, INT64_C(3000000000));
    assert_int_equal(s->window.overlap_ns, 1000000000);
    assert_int_equal(s->window.pause_ns, 600000000);
    assert_true(s->activity.threshold == 0.4);
    assert_int_equal(s->activity.preroll_ns, 200000000);
    assert_int_equal(s->activity.hangover_ns, 600000000);
    assert_true(s->scenes.enabled);
    assert_int_equal(s->scenes.budget, 70);
    assert_int_equal(c->n_sinks, 0);
    wd_config_free(c);
}

static void a_bare_url_finds_its_type(void **state)
{
    struct wd_config *c = parse("streams:\n- {name: a, source: http://host/a.m3u8}\n"
                                "- {name: b, source: {url: 'https://host/b', realtime: on}}\n"
                                "- {name: c, source: {type: portaudio}}\n"
                                "- {name: d, source: mic}\n"
                                "- {name: f, source: {type: camera, url: /dev/none}}\n");

    (void)state;
    assert_int_equal(c->n_streams, 5);
    assert_ptr_equal(c->streams[0].source, &film_type);
    assert_string_equal(((struct film *)c->streams[0].source_opts)->url, "http://host/a.m3u8");
    assert_false(((struct film *)c->streams[0].source_opts)->realtime);
    assert_true(((struct film *)c->streams[1].source_opts)->realtime);
    assert_ptr_equal(c->streams[2].source, &mike_type);
    assert_ptr_equal(c->streams[3].source, &mike_type);
    assert_null(((struct mike *)c->streams[3].source_opts)->device);
    assert_string_equal(((struct film *)c->streams[4].source_opts)->url, "/dev/none");
    wd_config_free(c);
    refused("streams:\n- {name: a, source: {type: ffmpeg, url: http://h, realtime: on, backwards: "
            "on}}\n",
            "w.yaml:2:21: source: realtime and backwards exclude each other");
}

static void a_sink_may_be_only_its_name(void **state)
{
    struct wd_config *c = parse(STREAM "sinks: [terminal, null, {type: null}]\n");

    (void)state;
    assert_int_equal(c->n_sinks, 3);
    assert_ptr_equal(c->sinks[0].type, &screen_type);
    assert_ptr_equal(c->sinks[1].type, &null_type);
    assert_ptr_equal(c->sinks[2].type, &null_type);
    wd_config_free(c);
}

static void unknown_keys_are_refused_with_the_nearest(void **state)
{
    (void)state;
    refused(STREAM "modell: {}\n",
            "w.yaml:2:1: unknown key 'modell' in the configuration (did you mean 'model'?)");
    refused("model: {thread: 1}\n" STREAM,
            "w.yaml:1:9: unknown key 'thread' in model (did you mean 'threads'?)");
    refused("streams:\n- name: a\n  source: http://h\n  langauge: en\n",
            "w.yaml:4:3: unknown key 'langauge' in a stream (did you mean 'language'?)");
    refused(
        "streams:\n- name: a\n  source: {type: ffmpeg, url: http://h, realtme: on}\n",
        "w.yaml:3:41: unknown key 'realtme' in a source of type ffmpeg (did you mean 'realtime'?)");
    refused("streams:\n- name: a\n  source: http://h\n  window: {lag_target: 3}\n",
            "w.yaml:4:12: unknown key 'lag_target' in window (did you mean 'lag_target_s'?)");
    refused("streams:\n- name: a\n  source: http://h\n  activity: {treshold: 3}\n",
            "w.yaml:4:14: unknown key 'treshold' in activity (did you mean 'threshold'?)");
    refused("streams:\n- name: a\n  source: http://h\n  scenes: {colour: 3}\n",
            "w.yaml:4:12: unknown key 'colour' in scenes (expected one of: enabled, period_s, "
            "budget, change)");
    refused(STREAM "sinks: [{type: jsonl, pth: a}]\n",
            "w.yaml:2:23: unknown key 'pth' in a sink of type jsonl (did you mean 'path'?)");
}

static void wrong_values_say_what_was_expected(void **state)
{
    (void)state;
    refused("model: {threads: many}\n" STREAM,
            "w.yaml:1:18: threads: expected a whole number from 0 to 1024, got 'many'");
    refused("streams: [{name: a, source: http://h, window: {max_s: 31}}]\n",
            "w.yaml:1:55: max_s: expected a number of seconds from 1 to 30, got '31'");
    refused("streams: [{name: a, source: http://h, window: {max_s: 2, overlap_s: 1.5}}]\n",
            "w.yaml:1:47: window: expected overlap_s of at most half of max_s (1), got 1.5");
    refused("streams: [{name: a, source: http://h, window: {max_s: 2, tick_ms: 3000}}]\n",
            "w.yaml:1:47: window: expected tick_ms of at most max_s (2000), got 3000");
    refused("streams: [{name: a, source: http://h, scenes: {budget: 100}}]\n",
            "w.yaml:1:56: budget: expected 70, 140, 280, 560 or 1120, got 100");
    refused("streams: [{name: a, source: http://h, window: 15}]\n",
            "w.yaml:1:47: window: expected a mapping (key: value), got text");
    refused("streams: {name: a}\n", "w.yaml:1:10: streams: expected a list (- ...), got a mapping");
    refused("streams: [room]\n",
            "w.yaml:1:11: a stream: expected a mapping (name: ..., source: ...), got text");
    refused("streams: [{name: a, source: [b]}]\n",
            "w.yaml:1:29: source: expected a URL or a mapping {type: ...}, got a list");
    refused("streams: [{name: a, source: }]\n",
            "w.yaml:1:29: source: expected a URL or a mapping {type: ...}, got nothing");
    refused("streams: [{name: a, source: {type: ffmpg, url: b}}]\n",
            "w.yaml:1:36: source.type: expected one of ffmpeg, portaudio, camera, got "
            "'ffmpg' (did you "
            "mean 'ffmpeg'?)");
    refused("streams: [{name: a, source: {type: [ffmpeg]}}]\n",
            "w.yaml:1:36: source.type: expected a name, got a list");
    refused(STREAM "sinks: [{type: mqtt}]\n",
            "w.yaml:2:16: sink.type: expected one of terminal, jsonl, null, got 'mqtt'");
    refused(STREAM "sinks: [[terminal]]\n",
            "w.yaml:2:9: a sink: expected a mapping {type: ...}, got a list");
    refused(STREAM "sinks: [~]\n",
            "w.yaml:2:9: a sink: expected a mapping {type: ...}, got nothing");
    refused(STREAM "sinks: [{type: }]\n", "w.yaml:2:16: sink.type: expected a name, got nothing");
    refused(STREAM "sinks: terminal\n", "w.yaml:2:8: sinks: expected a list (- ...), got text");
    refused(STREAM "sinks: [{type: terminal, kinds: [finals]}]\n",
            "w.yaml:2:34: kinds: expected one of partial, final, scene, alert, answer, speaker, "
            "source, gap, lag, "
            "notice, turn, got 'finals' (did you mean 'final'?)");
    refused(STREAM "sinks: [{type: terminal, kinds: {a: b}}]\n",
            "w.yaml:2:33: kinds: expected a list, got a mapping");
}

static void what_is_required_is_asked_for(void **state)
{
    (void)state;
    refused("model: {path: nano}\n", "w.yaml:1:1: streams: expected at least one, got none");
    refused("streams: []\n", "w.yaml:1:10: streams: expected at least one, got none");
    refused("streams:\n", "w.yaml:1:9: streams: expected at least one, got none");
    refused("streams: [{source: http://h}]\n",
            "w.yaml:1:11: a stream needs 'name': what the stream is called in events and in sinks");
    refused("streams: [{name: a}]\n",
            "w.yaml:1:11: stream 'a' needs 'source': a URL or a mapping {type: ...}");
    refused("streams: [{name: a, source: {type: ffmpeg}}]\n",
            "w.yaml:1:29: a source of type ffmpeg needs 'url': file or URL");
    refused("streams: [{name: a, source: {realtime: on}}]\n", "w.yaml:1:29: source needs 'type'");
    refused(STREAM "sinks: [{path: a}]\n", "w.yaml:2:9: a sink needs 'type'");
    refused(STREAM "sinks: [{type: jsonl}]\n",
            "w.yaml:2:9: a sink of type jsonl needs 'path': file to append to");
    refused(STREAM "sinks: [jsonl]\n",
            "w.yaml:2:9: a sink of type jsonl needs 'path': file to append to");
}

static void stream_names_are_unique_and_known_to_sinks(void **state)
{
    (void)state;
    refused("streams:\n- {name: a, source: http://h}\n- {name: a, source: http://i}\n",
            "w.yaml:3:10: name: there is a stream 'a' already, on line 2");
    refused("streams: [{name: 'a b', source: http://h}]\n",
            "w.yaml:1:18: name: expected 1 to 63 letters, digits, '-', '_' or '.', got 'a b'");
    refused("streams: [{name: '', source: http://h}]\n",
            "w.yaml:1:18: name: expected 1 to 63 letters, digits, '-', '_' or '.', got ''");
    refused(STREAM "sinks: [{type: terminal, streams: [rom]}]\n",
            "w.yaml:2:36: streams: expected one of room, got 'rom' (did you mean 'room'?)");
    refused(STREAM "sinks: [{type: terminal, streams: kitchen}]\n",
            "w.yaml:2:35: streams: expected one of room, got 'kitchen'");
}

static void a_file_that_is_not_there_is_told_with_its_place(void **state)
{
    (void)state;
    refused("streams: [{name: a, source: {type: ffmpeg, url: no/such.mkv}}]\n",
            "w.yaml:1:49: url: no such file 'no/such.mkv' (looked in the working directory, in . "
            "and in the installed "
            "data)");
    refused("streams: [{name: a, source: /no/such.mkv}]\n",
            "w.yaml:1:29: url: no such file '/no/such.mkv'");
    refused("model: {path: no/such.gguf}\n" STREAM,
            "w.yaml:1:15: path: expected a model's file, a folder or the name "
            "of a shipped or pulled model, got 'no/such.gguf'");
    refused("model: {mmproj: /no/such.gguf}\n" STREAM,
            "w.yaml:1:17: mmproj: no such file '/no/such.gguf'");
    refused("model: {drafter: /no/such.gguf}\n" STREAM,
            "w.yaml:1:18: drafter: no such file '/no/such.gguf'");
    refused("model: {prompts: /no/such.yaml}\n" STREAM,
            "w.yaml:1:18: prompts: no such file '/no/such.yaml'");
    refused("streams: [{name: a, source: http://h, prompts: nowhere}]\n",
            "w.yaml:1:48: prompts: no such file 'nowhere' (looked in the working directory, in . "
            "and in the installed "
            "data)");
}

static void a_missing_configuration_is_named(void **state)
{
    struct wd_config *c = NULL;
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(wd_config_read("/no/such.yaml", &c, &err), -ENOENT);
    assert_string_equal(err.text, "/no/such.yaml: No such file or directory");
    assert_null(c);
}

static void streams_and_sinks_have_an_end(void **state)
{
    char *text = malloc(100000);
    size_t n = 0;
    struct wd_config *c = NULL;
    struct wd_err err = {0};

    (void)state;
    assert_non_null(text);
    n += (size_t)sprintf(text + n, "streams:\n");
    for (int i = 0; i < 257; i++)
        n += (size_t)sprintf(text + n, "- {name: s%d, source: http://h}\n", i);
    assert_int_equal(wd_config_parse("w.yaml", text, n, &c, &err), -EINVAL);
    assert_string_equal(err.text, "w.yaml:258:3: streams: expected at most 256");
    n = (size_t)sprintf(text, "%ssinks:\n", STREAM);
    for (int i = 0; i < 65; i++)
        n += (size_t)sprintf(text + n, "- terminal\n");
    assert_int_equal(wd_config_parse("w.yaml", text, n, &c, &err), -EINVAL);
    assert_string_equal(err.text, "w.yaml:67:3: sinks: expected at most 64");
    free(text);
}

static void a_stream_can_be_added_without_a_file(void **state)
{
    struct wd_config *c = NULL;
    struct wd_config_stream *s = NULL;
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(wd_config_new(&c, &err), 0);
    assert_int_equal(c->n_streams, 0);
    assert_int_equal(wd_config_add_stream(c, "file", &s, &err), 0);
    assert_ptr_equal(s, &c->streams[0]);
    assert_string_equal(s->name, "file");
    assert_null(s->source);
    assert_int_equal(s->window.max_ns, INT64_C(15000000000));
    assert_string_equal(c->model.path, "nano");
    assert_null(wd_config_free(c));
    assert_null(wd_config_free(NULL));
}

static void the_document_holds_every_key(void **state)
{
    static const char *const keys[] = {
        "\nstreams:",       "\nsinks:",           "\n  path: ",         "\n  mmproj: ",
        "\n  drafter: ",
        "\n  threads: ",    "\n  kernels: ",      "\n  prompts: ",      "\n  name: ",
        "\n  language: ",   "\n  partials: ",     "\n  speakers: ",     "\n  source:",
        "\n      url: ",    "\n      realtime: ", "\n      device: ",   "\n    max_s: ",
        "\n    tick_ms: ",  "\n    overlap_s:",   "\n    pause_ms: ",   "\n    lag_target_s: ",
        "\n    threshold:", "\n    preroll_ms: ", "\n    hangover_ms:", "\n    enabled: ",
        "\n    period_s: ", "\n    budget: ",     "\n    change: ",     "\n  streams: ",
        "\n  kinds: ",      "\n      path: ",
    };
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    (void)state;
    assert_non_null(f);
    wd_config_document(f);
    fclose(f);
    assert_memory_equal(text, "model:\n", 7);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strstr(text, keys[i]))
            fail_msg("not documented: %s", keys[i] + 1);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_configuration_is_read_literally),
        cmocka_unit_test(what_is_not_given_has_its_default),
        cmocka_unit_test(a_bare_url_finds_its_type),
        cmocka_unit_test(a_sink_may_be_only_its_name),
        cmocka_unit_test(unknown_keys_are_refused_with_the_nearest),
        cmocka_unit_test(wrong_values_say_what_was_expected),
        cmocka_unit_test(what_is_required_is_asked_for),
        cmocka_unit_test(stream_names_are_unique_and_known_to_sinks),
        cmocka_unit_test(a_file_that_is_not_there_is_told_with_its_place),
        cmocka_unit_test(a_missing_configuration_is_named),
        cmocka_unit_test(streams_and_sinks_have_an_end),
        cmocka_unit_test(a_stream_can_be_added_without_a_file),
        cmocka_unit_test(the_document_holds_every_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
