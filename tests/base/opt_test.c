/* tests/base/opt_test.c - one row a setting: parse, check, document. */
#include "base/opt.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct thing {
    bool loud;
    int64_t threads, any;
    double gain;
    char *url, *name;
    int64_t tick_ns, period_ns;
    int colour;
    struct wd_opt_list tags;
};

static const char *const colours[] = {"red", "green", "blue", NULL};

static const struct wd_opt rows[] = {
    WD_OPT_BOOL(struct thing, loud, "yes", "shouts"),
    WD_OPT_INT(struct thing, threads, "2", 0, 64, "workers"),
    WD_OPT_INT(struct thing, any, NULL, 0, 0, "any number"),
    WD_OPT_FLOAT(struct thing, gain, "0.5", 0, 1, "loudness"),
    WD_OPT_STR(struct thing, url, "mqtt://localhost", "broker"),
    WD_OPT_STR_REQUIRED(struct thing, name, "what it is called"),
    WD_OPT_MS(struct thing, tick_ns, "tick_ms", "480", 40, 60000, "pause"),
    WD_OPT_S(struct thing, period_ns, "period_s", "1.5", 0, 3600, "period"),
    WD_OPT_ENUM(struct thing, colour, "green", colours, "of the line"),
    WD_OPT_LIST(struct thing, tags, "words"),
    WD_OPT_END,
};

static int set(struct thing *t, const char *name, const char *text, struct wd_err *err)
{
    const struct wd_opt *row = wd_opt_find(rows, name);

    assert_non_null(row);
    return wd_opt_set(row, t, text, err);
}

static void defaults_fill_every_kind(void **state)
{
    struct thing t = {0};
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(wd_opt_defaults(rows, &t, &err), 0);
    assert_true(t.loud);
    assert_int_equal(t.threads, 2);
    assert_int_equal(t.any, 0);
    assert_true(t.gain == 0.5);
    assert_string_equal(t.url, "mqtt://localhost");
    assert_null(t.name);
    assert_int_equal(t.tick_ns, 480000000);
    assert_int_equal(t.period_ns, 1500000000);
    assert_int_equal(t.colour, 1);
    assert_int_equal(t.tags.n, 0);
    wd_opt_done(rows, &t);
    assert_null(t.url);
}

static void a_bad_default_names_its_setting(void **state)
{
    const struct wd_opt bad[] = {WD_OPT_INT(struct thing, threads, "65", 0, 64, "workers"),
                                 WD_OPT_END};
    struct thing t = {0};
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(wd_opt_defaults(bad, &t, &err), -EINVAL);
    assert_string_equal(err.text,
                        "default of threads: expected a whole number from 0 to 64, got '65'");
}

static void text_becomes_values(void **state)
{
    struct thing t = {0};

    (void)state;
    assert_int_equal(set(&t, "loud", "On", NULL), 0);
    assert_true(t.loud);
    assert_int_equal(set(&t, "loud", "off", NULL), 0);
    assert_false(t.loud);
    assert_int_equal(set(&t, "any", "-9223372036854775808", NULL), 0);
    assert_true(t.any == INT64_MIN);
    assert_int_equal(set(&t, "threads", "64", NULL), 0);
    assert_int_equal(t.threads, 64);
    assert_int_equal(set(&t, "gain", "2.5e-1", NULL), 0);
    assert_true(t.gain == 0.25);
    assert_int_equal(set(&t, "tick_ms", "40.5", NULL), 0);
    assert_int_equal(t.tick_ns, 40500000);
    assert_int_equal(set(&t, "period_s", "0.001", NULL), 0);
    assert_int_equal(t.period_ns, 1000000);
    assert_int_equal(set(&t, "colour", "blue", NULL), 0);
    assert_int_equal(t.colour, 2);
    assert_int_equal(set(&t, "url", "a", NULL), 0);
    assert_int_equal(set(&t, "url", "b", NULL),
                     0); /* the first copy is freed: the sanitizer looks */
    assert_string_equal(t.url, "b");
    assert_int_equal(set(&t, "tags", "x", NULL), 0);
    assert_int_equal(set(&t, "tags", "y", NULL), 0);
    assert_int_equal(t.tags.n, 2);
    assert_string_equal(t.tags.items[1], "y");
    wd_opt_done(rows, &t);
    assert_null(t.tags.items);
    assert_int_equal(t.tags.n, 0);
}

static void a_wrong_value_says_what_was_expected(void **state)
{
    static const struct {
        const char *name, *text, *says;
    } wrong[] = {
        {"threads", "many", "expected a whole number from 0 to 64, got 'many'"},
        {"threads", "65", "expected a whole number from 0 to 64, got '65'"},
        {"threads", "-1", "expected a whole number from 0 to 64, got '-1'"},
        {"threads", "1.5", "expected a whole number from 0 to 64, got '1.5'"},
        {"threads", "", "expected a whole number from 0 to 64, got ''"},
        {"threads", " 1", "expected a whole number from 0 to 64, got ' 1'"},
        {"threads", "1-", "expected a whole number from 0 to 64, got '1-'"},
        {"any", "9223372036854775808", "expected a whole number, got '9223372036854775808'"},
        {"gain", "nan", "expected a number from 0 to 1, got 'nan'"},
        {"gain", "inf", "expected a number from 0 to 1, got 'inf'"},
        {"gain", "0x1", "expected a number from 0 to 1, got '0x1'"},
        {"gain", "1e999", "expected a number from 0 to 1, got '1e999'"},
        {"gain", ".", "expected a number from 0 to 1, got '.'"},
        {"gain", "1 ", "expected a number from 0 to 1, got '1 '"},
        {"tick_ms", "10", "expected a number of milliseconds from 40 to 60000, got '10'"},
        {"period_s", "soon", "expected a number of seconds from 0 to 3600, got 'soon'"},
        {"loud", "maybe", "expected true or false, got 'maybe'"},
        {"colour", "gren", "expected one of red, green, blue, got 'gren' (did you mean 'green'?)"},
        {"colour", "ultraviolet", "expected one of red, green, blue, got 'ultraviolet'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct thing t = {.threads = 7, .gain = 7, .colour = 7};
        struct wd_err err = {0};

        assert_int_equal(set(&t, wrong[i].name, wrong[i].text, &err), -EINVAL);
        assert_string_equal(err.text, wrong[i].says);
        assert_int_equal(t.threads, 7); /* nothing is written on an error */
        assert_true(t.gain == 7);
        assert_int_equal(t.colour, 7);
    }
}

static void a_time_that_does_not_fit_is_refused(void **state)
{
    const struct wd_opt row = WD_OPT_S(struct thing, period_ns, "period_s", NULL, 0, 0, "period");
    struct thing t = {0};
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(wd_opt_set(&row, &t, "1e10", &err), -ERANGE);
    assert_int_equal(wd_opt_set(&row, &t, "9e9", &err), 0);
    assert_true(t.period_ns == INT64_C(9000000000000000000));
}

static void a_list_has_an_end(void **state)
{
    struct thing t = {0};
    struct wd_err err = {0};
    int r = 0;

    (void)state;
    for (int i = 0; i < 100000 && !r; i++)
        r = set(&t, "tags", "x", &err);
    assert_int_equal(r, -E2BIG);
    assert_int_equal(t.tags.n, 1024);
    wd_opt_done(rows, &t);
}

static void a_slip_of_the_finger_finds_the_name(void **state)
{
    char longer[5000];

    (void)state;
    assert_string_equal(wd_opt_nearest(rows, "thread"), "threads");
    assert_string_equal(wd_opt_nearest(rows, "threasd"), "threads");
    assert_string_equal(wd_opt_nearest(rows, "Threads"), "threads");
    assert_string_equal(wd_opt_nearest(rows, "tick"), "tick_ms");
    assert_string_equal(wd_opt_nearest(rows, "color"), "colour");
    assert_string_equal(wd_opt_nearest(rows, "ulr"), "url");
    assert_null(wd_opt_nearest(rows, "xyzzy"));
    assert_null(wd_opt_nearest(rows, ""));
    assert_null(wd_opt_nearest(NULL, "tick"));
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_null(wd_opt_nearest(rows, longer));
    assert_string_equal(wd_opt_nearest_name(colours, 3, "bleu"), "blue");
}

static void a_name_is_found_only_whole(void **state)
{
    (void)state;
    assert_ptr_equal(wd_opt_find(rows, "gain"), &rows[3]);
    assert_null(wd_opt_find(rows, "gai"));
    assert_null(wd_opt_find(NULL, "gain"));
}

static void every_row_prints_one_line(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    (void)state;
    assert_non_null(f);
    wd_opt_print(rows, f, "  ");
    fclose(f);
    assert_string_equal(text,
                        "  loud: true or false; default yes - shouts\n"
                        "  threads: whole number from 0 to 64; default 2 - workers\n"
                        "  any: whole number - any number\n"
                        "  gain: number from 0 to 1; default 0.5 - loudness\n"
                        "  url: text; default mqtt://localhost - broker\n"
                        "  name: text; required - what it is called\n"
                        "  tick_ms: number of milliseconds from 40 to 60000; default 480 - pause\n"
                        "  period_s: number of seconds from 0 to 3600; default 1.5 - period\n"
                        "  colour: one of red, green, blue; default green - of the line\n"
                        "  tags: list of text - words\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_fill_every_kind),
        cmocka_unit_test(a_bad_default_names_its_setting),
        cmocka_unit_test(text_becomes_values),
        cmocka_unit_test(a_wrong_value_says_what_was_expected),
        cmocka_unit_test(a_time_that_does_not_fit_is_refused),
        cmocka_unit_test(a_list_has_an_end),
        cmocka_unit_test(a_slip_of_the_finger_finds_the_name),
        cmocka_unit_test(a_name_is_found_only_whole),
        cmocka_unit_test(every_row_prints_one_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
