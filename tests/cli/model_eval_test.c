/* tests/cli/model_eval_test.c - `witness model eval`: what it dumps is what the engine computes, and its exit codes. */
#include "cli/cli.h"
#include "cli/eval_case.h"
#include "model/engine.h"
#include "model/sampler.h"
#include "model/tensor_file.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#define NANO TEST_SRCDIR "/models/nano.gguf"

static char folder[64], case_path[100], dump_path[100], out_path[100];

static int set_up(void **state)
{
    FILE *f;

    (void)state;
    strcpy(folder, "/tmp/witnessd-eval-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(case_path, sizeof case_path, "%s/case.json", folder);
    snprintf(dump_path, sizeof dump_path, "%s/dump.safetensors", folder);
    snprintf(out_path, sizeof out_path, "%s/out", folder);
    f = fopen(case_path, "w");
    fprintf(f, "{\"items\": [2, 5, {\"text\": \"user\\nDescribe the scene.\"}, 10, {\"image\": \"%s\"}, 11, 7, {\"audio\": \"%s\"}, 8, 6]}",
            TEST_SRCDIR "/tests/nano/pictures/p24a.png", TEST_SRCDIR "/tests/nano/speech/cut00.flac");
    return fclose(f);
}

static int tear_down(void **state)
{
    (void)state;
    unlink(case_path);
    unlink(dump_path);
    unlink(out_path);
    return rmdir(folder);
}

/* Runs it with these arguments, NULL at the end, stdout in out_path and stderr nowhere; returns the exit code. */
static int eval(const char *first, ...)
{
    char *argv[16] = {(char *)(uintptr_t)"eval"};
    int argc = 1, r, keep[2] = {dup(1), dup(2)};
    va_list ap;

    va_start(ap, first);
    for (const char *a = first; a; a = va_arg(ap, const char *))
        argv[argc++] = (char *)(uintptr_t)a;
    va_end(ap);
    fflush(NULL);
    assert_non_null(freopen(out_path, "w", stdout));
    assert_non_null(freopen("/dev/null", "w", stderr));
    r = wd_cli_model_eval(argc, argv);
    fflush(NULL);
    dup2(keep[0], 1);
    dup2(keep[1], 2);
    close(keep[0]);
    close(keep[1]);
    return r;
}

static void same(const struct wd_tensor_file *f, const char *name, const float *want, uint64_t rows, uint64_t cols)
{
    const struct wd_tensor *t = wd_tensor_file_find(f, name);
    const float *got;
    double d = 0, s = 0;

    if (!t)
        fail_msg("%s is missing", name);
    assert_int_equal(t->dims[0], cols);
    assert_int_equal(t->dims[1], rows);
    got = t->data;
    for (uint64_t i = 0; i < rows * cols; i++) {
        d += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
        s += (double)want[i] * (double)want[i];
    }
    if (!(s > 0 && sqrt(d / s) < 1e-6))
        fail_msg("%s is off by %.3g", name, sqrt(d / s));
}

static void the_dump_is_what_the_engine_computes(void **state)
{
    struct wd_engine_opts opts = {.n_threads = 1};
    struct wd_engine *e;
    struct wd_eval_case *c;
    struct wd_decoder *d = NULL;
    struct wd_tensor_file *f;
    struct wd_err err = {0};
    struct wd_trace trace = {0};
    struct wd_pass_part part;
    const struct wd_shape *s;
    uint32_t rows, n_spans;
    float *logits;
    char name[32];

    (void)state;
    assert_int_equal(eval(NANO, case_path, "--dump", dump_path, "--layers", "--threads", "1", NULL), EX_OK);
    if (wd_engine_open(NANO, &opts, &e, &err) < 0 || wd_eval_case_read(case_path, e, &c, &err) < 0 ||
        wd_decoder_new(e, wd_eval_case_rows(c), 0, &d, &err) < 0 || wd_tensor_file_open_data(dump_path, &f, &err) < 0)
        fail_msg("%s", err.text);
    s = wd_engine_shape(e);
    rows = wd_eval_case_rows(c);
    logits = malloc((size_t)rows * s->n_vocab * sizeof *logits);
    trace.layers = malloc((size_t)rows * (s->n_layers + 2) * s->d_model * sizeof *trace.layers);
    part = (struct wd_pass_part){.decoder = d, .spans = wd_eval_case_spans(c, &n_spans), .n_logits = rows, .ret_logits = logits, .trace = &trace};
    part.n_spans = n_spans;
    assert_int_equal(wd_decoder_pass(e, &part, 1, &err), 0);
    assert_int_equal(wd_tensor_file_count(f), s->n_layers + 3);
    same(f, "logits", logits, rows, s->n_vocab);
    for (uint32_t i = 0; i < s->n_layers + 2; i++) {
        snprintf(name, sizeof name, "layer.%u", i - 1);
        same(f, i == 0 ? "embeddings" : i == s->n_layers + 1 ? "norm" : name, trace.layers + (size_t)i * rows * s->d_model, rows, s->d_model);
    }
    wd_tensor_file_free(f);
    wd_decoder_free(d);
    wd_eval_case_free(c);
    wd_engine_free(e);
    free(logits);
    free(trace.layers);
}

static void without_layers_the_dump_is_logits_alone(void **state)
{
    struct wd_tensor_file *f;
    struct wd_err err = {0};

    (void)state;
    assert_int_equal(eval(NANO, case_path, "--dump", dump_path, NULL), EX_OK);
    if (wd_tensor_file_open_data(dump_path, &f, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(wd_tensor_file_count(f), 1);
    wd_tensor_file_free(f);
}

static void greedy_prints_ids_and_margins_as_recorded(void **state)
{
    FILE *cases = fopen(TEST_SRCDIR "/tests/nano/cases.jsonl", "r"), *f;
    json_t *c, *out, *margin;
    char *line = NULL, *text, n_text[16];
    size_t cap = 0, n, i;

    (void)state;
    assert_non_null(cases);
    assert_true(getline(&line, &cap, cases) > 0); /* the first: one sentence */
    fclose(cases);
    c = json_loads(line, 0, NULL);
    free(line);
    n = json_array_size(json_object_get(c, "greedy"));
    assert_true(n > 5);
    /* Its file names are relative to the folder it stands in. */
    json_array_foreach(json_object_get(json_object_get(c, "case"), "items"), i, out) {
        const char *name = json_string_value(json_object_get(out, "audio"));
        char path[256];

        if (!name)
            continue;
        snprintf(path, sizeof path, TEST_SRCDIR "/tests/nano/%s", name);
        json_object_set_new(out, "audio", json_string(path));
    }
    text = json_dumps(json_object_get(c, "case"), 0);
    f = fopen(case_path, "w");
    fputs(text, f);
    fclose(f);
    free(text);
    snprintf(n_text, sizeof n_text, "%zu", n);
    assert_int_equal(eval(NANO, case_path, "--greedy", n_text, "--exact", NULL), EX_OK);
    out = json_load_file(out_path, 0, NULL);
    assert_non_null(out);
    assert_true(json_equal(json_object_get(out, "ids"), json_object_get(c, "greedy")));
    assert_int_equal(json_array_size(json_object_get(out, "margins")), n);
    json_array_foreach(json_object_get(out, "margins"), i, margin)
        assert_true(fabs(json_number_value(margin) - json_number_value(json_array_get(json_object_get(c, "margin"), i))) < 2e-3);
    json_decref(out);
    json_decref(c);
}

static void a_name_that_ships_is_a_model_too(void **state)
{
    (void)state;
    setenv("WITNESSD_DATADIR", TEST_SRCDIR, 1);
    assert_int_equal(eval("nano", case_path, "--greedy", "1", "--kernels", "ref", NULL), EX_OK);
}

static void wrong_usage_is_64(void **state)
{
    (void)state;
    assert_int_equal(eval(NULL), EX_USAGE);
    assert_int_equal(eval(NANO, NULL), EX_USAGE);
    assert_int_equal(eval(NANO, case_path, "more", NULL), EX_USAGE);
    assert_int_equal(eval(NANO, case_path, "--layers", NULL), EX_USAGE); /* into which file? */
    assert_int_equal(eval(NANO, case_path, "--greedy", "0", NULL), EX_USAGE);
    assert_int_equal(eval(NANO, case_path, "--greedy", "1x", NULL), EX_USAGE);
    assert_int_equal(eval(NANO, case_path, "--threads", "-1", NULL), EX_USAGE);
    assert_int_equal(eval(NANO, case_path, "--threads", "", NULL), EX_USAGE);
    assert_int_equal(eval(NANO, case_path, "--nonsense", NULL), EX_USAGE);
    assert_int_equal(eval("--help", NULL), EX_OK);
}

static void what_cannot_be_read_or_written_has_its_code(void **state)
{
    FILE *f;

    (void)state;
    assert_int_equal(eval("/nowhere/model.gguf", case_path, NULL), EX_NOINPUT);
    assert_int_equal(eval(case_path, case_path, NULL), EX_DATAERR); /* a text is no model */
    assert_int_equal(eval(NANO, "/nowhere/case.json", NULL), EX_NOINPUT);
    assert_int_not_equal(eval(NANO, case_path, "--dump", "/nowhere/dump.safetensors", NULL), EX_OK);
    assert_int_not_equal(eval(NANO, case_path, "--greedy", "100000", NULL), EX_OK); /* beyond the context */
    assert_int_not_equal(eval(NANO, case_path, "--kernels", "abacus", NULL), EX_OK);
    f = fopen(case_path, "w");
    fprintf(f, "{\"items\": [2, 100000]}");
    fclose(f);
    assert_int_equal(eval(NANO, case_path, NULL), EX_DATAERR);
    f = fopen(case_path, "w");
    fprintf(f, "{\"items\": [2, ");
    fclose(f);
    assert_int_equal(eval(NANO, case_path, NULL), EX_DATAERR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_dump_is_what_the_engine_computes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_layers_the_dump_is_logits_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(greedy_prints_ids_and_margins_as_recorded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_that_ships_is_a_model_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(wrong_usage_is_64, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_or_written_has_its_code, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
