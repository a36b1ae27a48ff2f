/* tests/daemon/witnessd_yaml_test.c - the shipped configuration holds every key there is, and can
 * be read. */
#include "daemon/config.h"
#include "pipeline/event.h"
#include "pipeline/source.h"
#include "sinks/sink.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char *read_all(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = calloc(1, 100000);

    assert_non_null(f);
    assert_non_null(text);
    assert_true(fread(text, 1, 99999, f) < 99999);
    fclose(f);
    return text;
}

/* "key:" where no letter stands before it: in a comment, too. */
static bool has_key(const char *text, const char *key)
{
    size_t n = strlen(key);

    for (const char *s = text; (s = strstr(s, key)); s++)
        if (s[n] == ':' && (s == text || !(isalnum((unsigned char)s[-1]) || s[-1] == '_')))
            return true;
    return false;
}

static void every_key_stands_in_it(void **state)
{
    char *shipped = read_all(TEST_SRCDIR "/witnessd.yaml"), *document = NULL, *save = NULL;
    size_t len = 0, n_keys = 0;
    FILE *f = open_memstream(&document, &len);

    (void)state;
    assert_non_null(f);
    wd_config_document(f);
    fclose(f);
    for (char *line = strtok_r(document, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *key = line + strspn(line, " "), *colon = strchr(key, ':');

        if (*key == '(') /* "(type ffmpeg) ..." */
            continue;
        assert_non_null(colon);
        *colon = '\0';
        n_keys++;
        if (!has_key(shipped, key))
            fail_msg("witnessd.yaml does not show '%s'", key);
    }
    assert_true(n_keys > 40);
    free(document);
    free(shipped);
}

static void every_type_stands_in_it(void **state)
{
    char *shipped = read_all(TEST_SRCDIR "/witnessd.yaml");
    char *document = NULL, *save = NULL;
    size_t len = 0, n_types = 0;
    FILE *f = open_memstream(&document, &len);

    (void)state;
    assert_non_null(f);
    wd_config_document(f);
    fclose(f);
    for (char *line = strtok_r(document, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char name[64], says[80];

        if (sscanf(line, " (type %63[^)])", name) != 1)
            continue;
        n_types++;
        snprintf(says, sizeof says, "type: %s", name);
        if (!strstr(shipped, says))
            fail_msg("witnessd.yaml does not show '%s'", says);
    }
    assert_true(n_types >= 8);
    free(document);
    free(shipped);
}

static struct wd_config *read_text(char *text)
{
    struct wd_config *c = NULL;
    struct wd_err err = {0};

    if (wd_config_parse(TEST_SRCDIR "/witnessd.yaml", text, strlen(text), &c, &err) < 0)
        fail_msg("%s", err.text);
    return c;
}

static void as_shipped_it_plays_the_sample(void **state)
{
    char *text = read_all(TEST_SRCDIR "/witnessd.yaml");
    struct wd_config *c;

    (void)state;
    if (access(TEST_SRCDIR "/samples/meeting.mkv", F_OK) != 0) {
        free(text);
        skip();
    }
    c = read_text(text);
    assert_string_equal(c->model.path, "nano");
    assert_int_equal(c->n_streams, 1);
    assert_string_equal(c->streams[0].name, "room");
    assert_string_equal(c->streams[0].source->name, "ffmpeg");
    assert_int_equal(c->streams[0].source->pace(c->streams[0].source_opts), WD_SOURCE_PACED);
    assert_int_equal(c->n_sinks, 2);
    assert_string_equal(c->sinks[0].type->name, "terminal");
    assert_string_equal(c->sinks[1].type->name, "jsonl");
    assert_int_equal(c->sinks[1].kinds, 1u << WD_EVENT_FINAL | 1u << WD_EVENT_SCENE);
    wd_config_free(c);
    free(text);
}

/* "    # key: value" and "  # - {type: x}" without their "# "; sentences, and what excludes what is
 * there, stay comments. */
static char *uncommented(const char *text)
{
    char *out = calloc(1, strlen(text) + 1), *o = out;
    bool source = false; /* inside one of the other sources shown */

    assert_non_null(out);
    for (const char *line = text, *end; *line; line = end) {
        size_t blanks = strspn(line, " "), word;
        const char *s = line + blanks;

        end = strchr(line, '\n');
        end = end ? end + 1 : line + strlen(line);
        source = *s == '#' && (source || !strncmp(s, "# source:", 9));
        word = *s == '#' ? strspn(s + 1, " -") + 1 : 0;
        word += strspn(s + word, "abcdefghijklmnopqrstuvwxyz_")
                    ? strspn(s + word, "abcdefghijklmnopqrstuvwxyz_")
                : s[word] == '{' ? strcspn(s + word, ":")
                                 : 0;
        if (blanks && *s == '#' && s[word] == ':' && !source && strncmp(s, "# mmproj:", 9)) {
            memset(o, ' ', blanks);
            o += blanks;
            s += 2;
        } else {
            s = line;
        }
        memcpy(o, s, (size_t)(end - s));
        o += end - s;
    }
    return out;
}

static void what_the_comments_show_is_true(void **state)
{
    char *text = read_all(TEST_SRCDIR "/witnessd.yaml"), *all = uncommented(text);
    struct wd_config *c, *plain = NULL;
    struct wd_config_stream *d, *s;
    struct wd_err err = {0};

    (void)state;
    if (access(TEST_SRCDIR "/samples/meeting.mkv", F_OK) != 0) {
        free(text);
        free(all);
        skip();
    }
    c = read_text(all);
    assert_int_equal(wd_config_new(&plain, &err), 0);
    assert_int_equal(wd_config_add_stream(plain, "x", &d, &err), 0);
    s = &c->streams[0];
    assert_int_equal(c->model.threads, plain->model.threads);
    assert_string_equal(c->model.path, plain->model.path);
    assert_non_null(c->model.prompts);
    assert_non_null(s->prompts);
    assert_int_equal(s->partials, d->partials);
    assert_int_equal(s->speakers, d->speakers);
    assert_memory_equal(&s->window, &d->window, sizeof s->window);
    assert_true(s->activity.threshold == d->activity.threshold);
    assert_int_equal(s->activity.preroll_ns, d->activity.preroll_ns);
    assert_int_equal(s->activity.hangover_ns, d->activity.hangover_ns);
    assert_int_equal(s->scenes.enabled, d->scenes.enabled);
    assert_int_equal(s->scenes.period_ns, d->scenes.period_ns);
    assert_int_equal(s->scenes.budget, d->scenes.budget);
    assert_true(s->scenes.change == d->scenes.change);
    assert_true(c->n_sinks >= 8); /* the two of the sample, and each type once more */
    wd_config_free(plain);
    wd_config_free(c);
    free(all);
    free(text);
}

/* Puts each of the other sources shown in the place of the sample's. */
static void the_other_sources_shown_can_be_read(void **state)
{
    char *text = read_all(TEST_SRCDIR "/witnessd.yaml"), *edited = calloc(1, strlen(text) + 1);
    char *own = strstr(text, "    source: {"), *shown, *from, *end;
    size_t n_shown = 0;

    (void)state;
    assert_non_null(own);
    assert_non_null(edited);
    from = strstr(own, "    # source:");
    assert_non_null(from);
    for (shown = from; !strncmp(shown, "    # source:", 13); shown = end) {
        size_t n = (size_t)(own - text);
        struct wd_config *c;

        memcpy(edited, text, n);
        end = shown;
        do { /* this one's lines, without "# "; launch excludes url */
            const char *line = end;

            end = strchr(line, '\n') + 1;
            if (!strncmp(line + 4, "#   launch:", 11))
                continue;
            memset(edited + n, ' ', 4);
            memcpy(edited + n + 4, line + 6, (size_t)(end - line - 6));
            n += (size_t)(end - line - 2);
        } while (!strncmp(end, "    #   ", 8));
        strcpy(edited + n, strstr(from, "\n\n"));
        if (access(TEST_SRCDIR "/samples/meeting.mkv", F_OK) != 0 &&
            strstr(edited, "samples/meeting.mkv"))
            continue;
        c = read_text(edited);
        assert_int_equal(c->n_streams, 1);
        wd_config_free(c);
        n_shown++;
    }
    assert_true(n_shown >= 3);
    free(edited);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_stands_in_it),
        cmocka_unit_test(every_type_stands_in_it),
        cmocka_unit_test(as_shipped_it_plays_the_sample),
        cmocka_unit_test(what_the_comments_show_is_true),
        cmocka_unit_test(the_other_sources_shown_can_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
