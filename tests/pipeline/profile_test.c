/* tests/pipeline/profile_test.c - what may stand in a prompt profile, and which one a model gets.
 */
#include "pipeline/profile.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define HEAD "match: [toy]\n"
#define SOUND "transcribe:\n  before: \"<bos>hear {carried}<|audio>\"\n  after: \"<audio|>\"\n"
#define PICTURES                                                                                   \
    "pictures: {first: \"<bos>{mm}:{ss}<|image>\", next: \" <|image>\", after: \"<image|>\"}\n"

static struct wd_profile *parse(const char *text)
{
    struct wd_profile *p = NULL;
    struct wd_err err = {0};

    if (wd_profile_parse("t.prompt.yaml", text, strlen(text), &p, &err) < 0)
        fail_msg("%s", err.text);
    return p;
}

static void refused(const char *text, const char *says)
{
    struct wd_profile *p = NULL;
    struct wd_err err = {0};

    if (wd_profile_parse("t.prompt.yaml", text, strlen(text), &p, &err) == 0)
        fail_msg("taken: %s", text);
    assert_null(p);
    assert_string_equal(err.text, says);
}

static struct wd_profile *shipped(const char *name)
{
    char path[512];
    struct wd_profile *p = NULL;
    struct wd_err err = {0};

    snprintf(path, sizeof path, TEST_SRCDIR "/models/%s.prompt.yaml", name);
    if (wd_profile_read(path, &p, &err) < 0)
        fail_msg("%s", err.text);
    return p;
}

static void a_template_falls_into_parts(void **state)
{
    struct wd_profile *p = parse(
        HEAD "transcribe:\n"
             "  before: \"<bos><|turn>user\\n{{a}} < b > <c> <| {language}{carried}<|audio>\"\n"
             "  after: \"<audio|>\"\n");
    const struct wd_profile_template *t = &p->transcribe.before;

    (void)state;
    assert_int_equal(t->n, 6);
    assert_int_equal(t->parts[0].kind, WD_PROFILE_CONTROL);
    assert_string_equal(t->parts[0].text, "<bos>");
    assert_string_equal(t->parts[1].text, "<|turn>");
    assert_int_equal(t->parts[2].kind, WD_PROFILE_TEXT);
    assert_string_equal(t->parts[2].text, "user\n{a} < b > <c> <| ");
    assert_int_equal(t->parts[3].kind, WD_PROFILE_PLACE);
    assert_int_equal(t->parts[3].place, WD_PROFILE_LANGUAGE);
    assert_int_equal(t->parts[4].place, WD_PROFILE_CARRIED);
    assert_string_equal(t->parts[5].text, "<|audio>");
    wd_profile_free(p);
}

static void what_is_not_given_has_its_default(void **state)
{
    struct wd_profile *p = parse(HEAD SOUND);

    (void)state;
    assert_string_equal(p->family, "gemma4_unified");
    assert_false(p->fallback);
    assert_int_equal(p->transcribe.answer, WD_PROFILE_PLAIN);
    assert_null(p->transcribe.label);
    assert_int_equal(p->transcribe.max_audio_ns, INT64_C(30000000000));
    assert_int_equal(p->transcribe.n_heads, 0);
    assert_int_equal(p->transcribe.carried.line.n, 0);
    assert_int_equal(p->pictures.first.n, 0);
    for (int t = 0; t < WD_PROFILE_N_TASKS; t++)
        assert_int_equal(p->tasks[t].question.n, 0);
    wd_profile_free(p);
}

static void heads_are_pairs(void **state)
{
    struct wd_profile *p = parse(HEAD SOUND "  heads: [[4, 0], [5, 3]]\n");

    (void)state;
    assert_int_equal(p->transcribe.n_heads, 2);
    assert_int_equal(p->transcribe.heads[1][0], 5);
    assert_int_equal(p->transcribe.heads[1][1], 3);
    wd_profile_free(p);
    refused(HEAD SOUND "  heads: [4, 0]\n",
            "t.prompt.yaml:5:11: heads: expected [layer, head], got text");
    refused(HEAD SOUND "  heads: [[4]]\n",
            "t.prompt.yaml:5:11: heads: expected [layer, head], got a list");
    refused(HEAD SOUND "  heads: [[4, x]]\n",
            "t.prompt.yaml:5:15: heads: expected a whole number from 0 to 255, got 'x'");
    refused(HEAD SOUND "  heads: 4\n",
            "t.prompt.yaml:5:10: heads: expected a list of [layer, head], got text");
    refused(HEAD SOUND "  heads: "
                       "[[0,0],[0,0],[0,0],[0,0],[0,0],[0,0],[0,0],[0,0],[0,0],[0,0],[0,0],[0,0],["
                       "0,0],[0,0],[0,0],"
                       "[0,0],[0,0]]\n",
            "t.prompt.yaml:5:107: heads: expected at most 16");
}

static void errors_name_the_place(void **state)
{
    (void)state;
    refused(SOUND, "t.prompt.yaml:1:1: the profile needs 'match': patterns on the model's name and "
                   "its file's name");
    refused(HEAD, "t.prompt.yaml:1:1: the profile needs 'transcribe'");
    refused(HEAD "transcribe: {before: a}\n", "t.prompt.yaml:2:13: transcribe needs 'after'");
    refused(HEAD "transcribe: {before: [a], after: b}\n",
            "t.prompt.yaml:2:22: before: expected text, got a list");
    refused(HEAD "transcribe: {before: 'x {carrid}', after: b}\n",
            "t.prompt.yaml:2:22: before: '{carrid}' is nothing that is put in here; expected "
            "{carried}, {language}, "
            "or {{ for a brace");
    refused(HEAD "transcribe: {before: x, after: 'b {text}'}\n",
            "t.prompt.yaml:2:32: after: '{text}' is nothing that is put in here; expected no "
            "{names}, or {{ for a brace");
    refused(
        HEAD SOUND "trancribe: {}\n",
        "t.prompt.yaml:5:1: unknown key 'trancribe' in the profile (did you mean 'transcribe'?)");
    refused(HEAD SOUND "  answer: labelled\n", "t.prompt.yaml:5:11: answer: expected one of plain, "
                                               "labelled_lines, json, got 'labelled' (did you mean "
                                               "'labelled_lines'?)");
    refused(HEAD SOUND "  answer: labelled_lines\n",
            "t.prompt.yaml:3:3: label: expected a short text with {n} once, as in \"S{n}: \"");
    refused(HEAD SOUND "  label: 'S: '\n",
            "t.prompt.yaml:5:10: label: expected a short text with {n} once, as in \"S{n}: \"");
    refused(HEAD SOUND "  carried: {max_chars: 5}\n", "t.prompt.yaml:5:12: carried needs 'line'");
    refused(HEAD SOUND "  language: {known: 'in {name}'}\n",
            "t.prompt.yaml:5:13: language needs 'unknown'");
    refused(
        HEAD SOUND "describe: {question: what}\n",
        "t.prompt.yaml:5:1: describe is asked about pictures, and there is no section 'pictures'");
    refused(HEAD SOUND PICTURES "describe: {question: ''}\n",
            "t.prompt.yaml:6:22: question: expected text, got none");
    refused(HEAD SOUND PICTURES "describe: {question: '{question}'}\n",
            "t.prompt.yaml:6:22: question: '{question}' is nothing that is put in here; expected "
            "no {names}, or {{ "
            "for a brace");
    refused(HEAD SOUND PICTURES "yes_no: {question: '{question}', yes: 'yes'}\n",
            "t.prompt.yaml:6:9: yes_no needs 'yes' and 'no': the tokens that are compared");
    refused(
        HEAD SOUND PICTURES "changes: {question: what, min_pictures: 3, max_pictures: 2}\n",
        "t.prompt.yaml:6:10: changes: expected min_pictures of at most max_pictures (2), got 3");
    refused(HEAD SOUND PICTURES "describe: {question: what, answer: labelled_lines}\n",
            "t.prompt.yaml:6:11: describe.answer: expected plain or json");
}

static void a_template_has_an_end(void **state)
{
    char *text = malloc(20000);
    struct wd_profile *p = NULL;
    struct wd_err err = {0};
    size_t n;

    (void)state;
    assert_non_null(text);
    n = (size_t)sprintf(text, HEAD "transcribe:\n  after: b\n  before: '");
    for (int i = 0; i < 65; i++)
        n += (size_t)sprintf(text + n, "<bos>");
    n += (size_t)sprintf(text + n, "'\n");
    assert_int_equal(wd_profile_parse("t", text, n, &p, &err), -EINVAL);
    assert_string_equal(err.text,
                        "t:4:11: before: more than 64 pieces of text, control tokens and {names}");
    n = (size_t)sprintf(text, HEAD "transcribe:\n  after: b\n  before: ");
    memset(text + n, 'x', 8193);
    assert_int_equal(wd_profile_parse("t", text, n + 8193, &p, &err), -EINVAL);
    assert_string_equal(err.text, "t:4:11: before: expected at most 8192 bytes");
    assert_int_equal(wd_profile_parse("t", text, n + 8192, &p, &err), 0);
    wd_profile_free(p);
    free(text);
}

static void the_shipped_profiles_can_be_read(void **state)
{
    struct wd_profile *nano = shipped("nano"), *big = shipped("gemma4-12b");

    (void)state;
    assert_false(nano->fallback);
    assert_int_equal(nano->transcribe.answer, WD_PROFILE_LABELLED);
    assert_string_equal(nano->transcribe.label, "S{n}: ");
    assert_int_equal(nano->transcribe.max_audio_ns, INT64_C(15000000000));
    assert_int_equal(nano->transcribe.carried.max_chars, 85);
    assert_int_equal(nano->transcribe.carried.max_lines, 2);
    assert_true(nano->transcribe.carried.labels);
    assert_int_equal(nano->tasks[WD_PROFILE_CHANGES].min_pictures, 2);
    assert_int_equal(nano->tasks[WD_PROFILE_CHANGES].max_pictures, 3);
    assert_true(big->fallback);
    assert_int_equal(big->transcribe.answer, WD_PROFILE_PLAIN);
    assert_int_equal(big->transcribe.carried.max_tokens, 60);
    assert_int_equal(big->tasks[WD_PROFILE_DESCRIBE].answer, WD_PROFILE_JSON);
    for (int t = 0; t < WD_PROFILE_N_TASKS; t++) {
        assert_true(nano->tasks[t].question.n > 0);
        assert_true(big->tasks[t].question.n > 0);
    }
    wd_profile_free(nano);
    wd_profile_free(big);
}

static void patterns_know_models_by_name_and_by_file(void **state)
{
    struct wd_profile *nano = shipped("nano"), *big = shipped("gemma4-12b");

    (void)state;
    assert_true(wd_profile_matches(nano, "nano", NULL));
    assert_true(wd_profile_matches(nano, "NANO", NULL));
    assert_true(wd_profile_matches(nano, NULL, "/usr/share/witnessd/models/nano.gguf"));
    assert_true(wd_profile_matches(nano, "", "nano"));
    assert_true(wd_profile_matches(nano, NULL, "models/nano-q8_0.gguf"));
    assert_true(wd_profile_matches(nano, NULL, "folder/nano/"));
    assert_false(wd_profile_matches(nano, "nanotron", "nanotron.gguf"));
    assert_false(wd_profile_matches(nano, NULL, NULL));
    assert_false(wd_profile_matches(nano, NULL, "/"));
    assert_true(wd_profile_matches(big, "Gemma 4 12B It", NULL));
    assert_true(wd_profile_matches(big, NULL, "gemma-4-12B-it-qat-q4_0.gguf"));
    assert_true(wd_profile_matches(big, NULL, "/models/gemma-4-12b-it/"));
    assert_false(wd_profile_matches(big, "nano", "nano.gguf"));
    wd_profile_free(nano);
    wd_profile_free(big);
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[1200];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void a_model_finds_its_profile(void **state)
{
    char folder[] = TEST_BUILDDIR "/profile_test.XXXXXX", models[600], path[700];
    const char *before = getenv("WITNESSD_DATADIR");
    char *kept = before ? strdup(before) : NULL;
    static const char *const names[] = {"a.prompt.yaml", "b.prompt.yaml", "c.prompt.yaml",
                                        "d.prompt.txt"};
    struct wd_profile *p = NULL;
    struct wd_err err = {0};

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(models, sizeof models, "%s/models", folder);
    assert_int_equal(mkdir(models, 0700), 0);
    setenv("WITNESSD_DATADIR", folder, 1);
    put(models, "a.prompt.yaml", "match: [other]\nfallback: yes\n" SOUND);
    put(models, "b.prompt.yaml", HEAD SOUND);
    put(models, "c.prompt.yaml", "match: ['t*']\n" SOUND);
    put(models, "d.prompt.txt", "not: read");

    assert_int_equal(wd_profile_find("toy", "x.gguf", NULL, &p, &err), 0);
    snprintf(path, sizeof path, "%s/b.prompt.yaml", models);
    assert_string_equal(p->path, path); /* the first that matches */
    wd_profile_free(p);
    assert_int_equal(wd_profile_find("my finetune", "/tmp/tuned.gguf", NULL, &p, &err), 0);
    snprintf(path, sizeof path, "%s/c.prompt.yaml", models);
    assert_string_equal(p->path, path);
    wd_profile_free(p);
    assert_int_equal(wd_profile_find("my finetune", "x.gguf", NULL, &p, &err), 0);
    assert_true(p->fallback);
    wd_profile_free(p);
    assert_int_equal(wd_profile_find("toy", NULL, path, &p, &err), 0); /* asked for by its path */
    assert_string_equal(p->path, path);
    wd_profile_free(p);
    p = NULL;
    assert_int_equal(wd_profile_find("toy", NULL, "/no/such.yaml", &p, &err), -ENOENT);

    put(models, "b.prompt.yaml", "broken: [\n");
    assert_int_equal(wd_profile_find("toy", NULL, NULL, &p, &err), -EINVAL);
    assert_non_null(strstr(err.text, "b.prompt.yaml:2:1: "));
    assert_null(p);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", models, names[i]);
        unlink(path);
    }
    rmdir(models);
    rmdir(folder);
    if (kept)
        setenv("WITNESSD_DATADIR", kept, 1);
    else
        unsetenv("WITNESSD_DATADIR");
    free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_template_falls_into_parts),
        cmocka_unit_test(what_is_not_given_has_its_default),
        cmocka_unit_test(heads_are_pairs),
        cmocka_unit_test(errors_name_the_place),
        cmocka_unit_test(a_template_has_an_end),
        cmocka_unit_test(the_shipped_profiles_can_be_read),
        cmocka_unit_test(patterns_know_models_by_name_and_by_file),
        cmocka_unit_test(a_model_finds_its_profile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
