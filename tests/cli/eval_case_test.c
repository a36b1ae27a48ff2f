/* tests/cli/eval_case_test.c - prompts written by hand: what they become, and that a hostile one is refused in words. */
#include "cli/eval_case.h"

#include "model/tokenizer.h"
#include "tests/pipeline/nano.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BESIDE TEST_SRCDIR "/tests/nano/case.json" /* need not exist: names are relative to its folder */

static struct wd_nano nano;

static int open_model(void **state)
{
    (void)state;
    wd_nano_open(&nano, 0);
    return 0;
}

static int close_model(void **state)
{
    (void)state;
    wd_nano_close(&nano);
    return 0;
}

static struct wd_eval_case *parse(const char *text)
{
    struct wd_eval_case *c;
    struct wd_err err = {0};

    if (wd_eval_case_parse(BESIDE, text, nano.engine, &c, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return c;
}

static void refused(const char *text, int code, const char *why)
{
    struct wd_eval_case *c = NULL;
    struct wd_err err = {0};
    int r = wd_eval_case_parse(BESIDE, text, nano.engine, &c, &err);

    if (r != code || !strstr(err.text, why))
        fail_msg("%s: %d '%s', expected %d '%s'", text, r, err.text, code, why);
    assert_null(c);
}

static void ids_and_text_that_touch_become_one_stretch(void **state)
{
    struct wd_eval_case *c = parse("{\"items\": [2, 5, {\"text\": \"user\\n\"}, 7]}");
    int32_t want[32] = {2, 5};
    int64_t n = wd_tokenizer_encode(wd_engine_tokenizer(nano.engine), "user\n", 5, false, want + 2, 29);
    uint32_t n_spans;
    const struct wd_span *s = wd_eval_case_spans(c, &n_spans);

    (void)state;
    assert_true(n > 0);
    want[2 + n] = 7;
    assert_int_equal(n_spans, 1);
    assert_int_equal(s[0].kind, WD_SPAN_TOKENS);
    assert_int_equal(s[0].n, 3 + n);
    assert_memory_equal(s[0].ids, want, (3 + (size_t)n) * sizeof *want);
    assert_int_equal(wd_eval_case_rows(c), 3 + n);
    wd_eval_case_free(c);
}

static void text_never_becomes_a_control_token(void **state)
{
    struct wd_eval_case *c = parse("{\"items\": [{\"text\": \"<turn|>\"}]}");
    uint32_t n_spans;
    const struct wd_span *s = wd_eval_case_spans(c, &n_spans);

    (void)state;
    assert_true(s[0].n > 1);
    for (uint32_t i = 0; i < s[0].n; i++)
        assert_false(wd_tokenizer_is_control(wd_engine_tokenizer(nano.engine), s[0].ids[i]));
    wd_eval_case_free(c);
}

static void a_sound_is_whole_frames_the_last_filled_with_silence(void **state)
{
    struct wd_eval_case *c = parse("{\"items\": [2, {\"audio\": \"speech/cut00.flac\"}, 8]}");
    uint32_t n_spans;
    const struct wd_span *s = wd_eval_case_spans(c, &n_spans);
    size_t n;
    float *pcm = wd_nano_clip("cut00", &n);

    (void)state;
    assert_int_equal(n_spans, 3);
    assert_int_equal(s[1].kind, WD_SPAN_AUDIO);
    assert_int_equal(s[1].n, (n + 639) / 640);
    assert_memory_equal(s[1].pcm, pcm, n * sizeof *pcm);
    for (size_t i = n; i < (size_t)s[1].n * 640; i++)
        assert_true(s[1].pcm[i] == 0);
    assert_int_equal(wd_eval_case_rows(c), s[1].n + 2);
    free(pcm);
    wd_eval_case_free(c);
}

static void a_picture_fits_the_budget_it_is_given(void **state)
{
    static const unsigned budgets[] = {0, 70, 140, 280, 560, 1120};
    char text[128];

    (void)state;
    for (int i = 0; i < 6; i++) {
        struct wd_eval_case *c;
        uint32_t n_spans;
        const struct wd_span *s;

        snprintf(text, sizeof text, "{\"items\": [{\"image\": \"pictures/p24a.png\"%s%.0u}]}", budgets[i] ? ", \"max_soft_tokens\": " : "",
                 budgets[i]);
        c = parse(text);
        s = wd_eval_case_spans(c, &n_spans);
        assert_int_equal(n_spans, 1);
        assert_int_equal(s[0].kind, WD_SPAN_PICTURE);
        assert_int_equal(s[0].n, s[0].grid_w * s[0].grid_h);
        /* nano's table is for small pictures: 70 unless said otherwise. 384 x 384 is 8 x 8 patches. */
        assert_in_range(s[0].n, budgets[i] / 2 + 1, budgets[i] ? budgets[i] : 70);
        if (i < 2)
            assert_int_equal(s[0].n, 64);
        wd_eval_case_free(c);
    }
}

/* Per frame its time, begin of image, the picture, end of image; what lies between two frames is one stretch. */
static void a_clip_is_frames_with_their_times_between(void **state)
{
    const struct wd_shape *shape = wd_engine_shape(nano.engine);
    const struct wd_tokenizer *t = wd_engine_tokenizer(nano.engine);
    static const char *const before[] = {"00:00 ", " 00:20 ", " 00:40 "};
    char path[] = "/tmp/witnessd-clip-XXXXXX", text[128];
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "wb");
    struct wd_eval_case *c;
    const struct wd_span *s;
    uint32_t n_spans, rows = 0;

    (void)state;
    assert_non_null(f);
    fprintf(f, "YUV4MPEG2 W96 H48 F1:10 Ip A1:1 Cmono XCOLORRANGE=FULL\n");
    for (int i = 0; i < 6; i++) {
        fprintf(f, "FRAME\n");
        for (int k = 0; k < 96 * 48; k++)
            fputc(40 * i, f);
    }
    fclose(f);
    snprintf(text, sizeof text, "{\"items\": [2, {\"video\": \"%s\", \"num_frames\": 3}, 7]}", path);
    c = parse(text);
    s = wd_eval_case_spans(c, &n_spans);
    assert_int_equal(n_spans, 7);
    for (uint32_t i = 0; i < 7; i++) {
        rows += s[i].n;
        if (i % 2) {
            assert_int_equal(s[i].kind, WD_SPAN_PICTURE);
            assert_true(s[i].video);
            assert_int_equal(s[i].grid_w * s[i].grid_h, s[i].n);
            assert_in_range(s[i].n, 36, 70);
            assert_int_equal(s[i].rgb[0], 80 * (i / 2));
        } else {
            int32_t want[32];
            int64_t n = 0;

            want[0] = i == 0 ? 2 : shape->eoi;
            if (i < 6) {
                n = wd_tokenizer_encode(t, before[i / 2], strlen(before[i / 2]), false, want + 1, 30);
                assert_true(n > 0);
            }
            want[1 + n] = i == 6 ? 7 : shape->boi;
            assert_int_equal(s[i].kind, WD_SPAN_TOKENS);
            assert_int_equal(s[i].n, n + 2);
            assert_memory_equal(s[i].ids, want, (size_t)(n + 2) * sizeof *want);
        }
    }
    assert_int_equal(wd_eval_case_rows(c), rows);
    wd_eval_case_free(c);
    assert_int_equal(unlink(path), 0);
    refused("{\"items\": [{\"video\": \"nowhere.mp4\"}]}", -ENOENT, "nowhere.mp4");
    refused("{\"items\": [{\"video\": \"a\", \"num_frames\": 0}]}", -EINVAL, "num_frames must be 1 to 1024");
    refused("{\"items\": [{\"video\": \"a\", \"num_frames\": 1025}]}", -EINVAL, "num_frames must be 1 to 1024");
    refused("{\"items\": [{\"video\": \"a\", \"frames\": 1}]}", -EINVAL, "items[0]");
}

static void what_is_no_case_is_refused(void **state)
{
    (void)state;
    refused("", -EINVAL, "case.json:1:");
    refused("{\"items\": [1,\n 2,, 3]}", -EINVAL, "case.json:2:");
    refused("[]", -EINVAL, "\"items\" must be a list");
    refused("{}", -EINVAL, "\"items\" must be a list");
    refused("{\"items\": 7}", -EINVAL, "\"items\" must be a list");
    refused("{\"items\": []}", -EINVAL, "\"items\" must be a list");
    refused("{\"items\": [1], \"items\": [2]}", -EINVAL, "case.json:1:");
    refused("\"\\u0000\"", -EINVAL, "case.json");
}

static void what_is_no_item_is_refused_by_its_number(void **state)
{
    static const char *const bad[] = {
        "null", "true", "1.5", "\"text\"", "[]", "{}", "{\"text\": 1}", "{\"text\": \"a\", \"audio\": \"b\"}", "{\"audio\": [\"a\"]}",
        "{\"image\": null}", "{\"image\": \"a.png\", \"max_soft_tokens\": \"70\"}", "{\"image\": \"a.png\", \"budget\": 70}", "{\"sound\": \"a.wav\"}",
    };
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(text, sizeof text, "{\"items\": [2, 5, %s, 3]}", bad[i]);
        refused(text, -EINVAL, "items[2]");
    }
    refused("{\"items\": [2, -1]}", -EINVAL, "items[1]: an id");
    refused("{\"items\": [2, 2147483648]}", -EINVAL, "items[1]: an id");
    refused("{\"items\": [9223372036854775807]}", -EINVAL, "items[0]: an id");
    refused("{\"items\": [{\"image\": \"pictures/p00a.png\", \"max_soft_tokens\": 71}]}", -EINVAL, "70, 140, 280, 560 or 1120");
    refused("{\"items\": [{\"image\": \"pictures/p00a.png\", \"max_soft_tokens\": -280}]}", -EINVAL, "70, 140, 280, 560 or 1120");
}

static void media_that_cannot_be_read_are_named(void **state)
{
    (void)state;
    refused("{\"items\": [{\"audio\": \"speech/absent.flac\"}]}", -ENOENT, "tests/nano/speech/absent.flac");
    refused("{\"items\": [{\"image\": \"/absent.png\"}]}", -ENOENT, "/absent.png");
    refused("{\"items\": [{\"audio\": \"pictures/p00a.png\"}]}", -EINVAL, "no sound");
    refused("{\"items\": [{\"image\": \"README.md\"}]}", -EINVAL, "README.md");
}

static void a_prompt_of_nothing_is_refused(void **state)
{
    (void)state;
    refused("{\"items\": [{\"text\": \"\"}]}", -EINVAL, "empty");
}

static void more_items_than_allowed_are_refused(void **state)
{
    const size_t n = 65537;
    char *text = malloc(n * 2 + 32), *at = text;

    (void)state;
    at += sprintf(at, "{\"items\": [");
    for (size_t i = 0; i < n; i++)
        at += sprintf(at, "%s2", i ? "," : "");
    sprintf(at, "]}");
    refused(text, -EINVAL, "1 to 65536");
    free(text);
}

static void a_file_is_read_and_a_missing_one_named(void **state)
{
    char path[] = "/tmp/witnessd-case-XXXXXX";
    struct wd_eval_case *c = NULL;
    struct wd_err err = {0};
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(write(fd, "{\"items\": [2]}", 14), 14);
    close(fd);
    assert_int_equal(wd_eval_case_read(path, nano.engine, &c, &err), 0);
    assert_int_equal(wd_eval_case_rows(c), 1);
    wd_eval_case_free(c);
    unlink(path);
    assert_int_equal(wd_eval_case_read(path, nano.engine, &c, &err), -ENOENT);
    assert_non_null(strstr(err.text, path));
    assert_null(wd_eval_case_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_and_text_that_touch_become_one_stretch),
        cmocka_unit_test(text_never_becomes_a_control_token),
        cmocka_unit_test(a_sound_is_whole_frames_the_last_filled_with_silence),
        cmocka_unit_test(a_picture_fits_the_budget_it_is_given),
        cmocka_unit_test(a_clip_is_frames_with_their_times_between),
        cmocka_unit_test(what_is_no_case_is_refused),
        cmocka_unit_test(what_is_no_item_is_refused_by_its_number),
        cmocka_unit_test(media_that_cannot_be_read_are_named),
        cmocka_unit_test(a_prompt_of_nothing_is_refused),
        cmocka_unit_test(more_items_than_allowed_are_refused),
        cmocka_unit_test(a_file_is_read_and_a_missing_one_named),
    };

    return cmocka_run_group_tests(tests, open_model, close_model);
}
