/* tests/base/paths_test.c - shipped files are found, and what is not there is named. */
#include "base/paths.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static int at_the_source(void **state)
{
    (void)state;
    return setenv("WITNESSD_DATADIR", TEST_SRCDIR, 1);
}

static void a_shipped_file_is_found_in_the_data_folder(void **state)
{
    char path[4096];

    (void)state;
    assert_int_equal(wd_paths_data("tests/local.mk", path, sizeof path, NULL), 0);
    assert_string_equal(path, TEST_SRCDIR "/tests/local.mk");
}

static void a_missing_file_is_an_error_that_names_the_places(void **state)
{
    struct wd_err err = {0};
    char path[4096];

    (void)state;
    assert_int_equal(wd_paths_data("no/such/file", path, sizeof path, &err), -ENOENT);
    assert_non_null(strstr(err.text, "no/such/file"));
    assert_non_null(strstr(err.text, TEST_SRCDIR));
    assert_non_null(strstr(err.text, PKGDATADIR));
}

static void a_shipped_model_is_found_by_its_name(void **state)
{
    char path[4096];

    (void)state;
    assert_int_equal(wd_paths_model("nano", path, sizeof path, NULL), 0);
    assert_string_equal(path, TEST_SRCDIR "/models/nano.gguf");
}

static void a_model_that_is_nowhere_is_an_error_also_where_nobody_asks_why(void **state)
{
    struct wd_err err = {0};
    char path[4096];

    (void)state;
    assert_int_equal(wd_paths_model("micro", path, sizeof path, &err), -ENOENT);
    assert_non_null(strstr(err.text, "micro: neither a file nor a shipped model"));
    assert_int_equal(wd_paths_model("micro", path, sizeof path, NULL), -ENOENT);
}

static void a_path_stays_as_it_is(void **state)
{
    char path[4096];

    (void)state;
    assert_int_equal(wd_paths_model("./not/there.gguf", path, sizeof path, NULL), 0);
    assert_string_equal(path, "./not/there.gguf");
    assert_int_equal(wd_paths_model("/", path, sizeof path, NULL), 0);
    assert_string_equal(path, "/");
}

static void an_unknown_model_is_an_error_that_names_it(void **state)
{
    struct wd_err err = {0};
    char path[4096], name[1024];

    (void)state;
    assert_int_equal(wd_paths_model("micro", path, sizeof path, &err), -ENOENT);
    assert_non_null(strstr(err.text, "micro"));
    assert_int_equal(wd_paths_model("", path, sizeof path, &err), -ENOENT);
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(wd_paths_model(name, path, sizeof path, &err), -ENAMETOOLONG);
}

static void a_buffer_that_is_too_small_is_an_error(void **state)
{
    struct wd_err err = {0};
    char path[8];

    (void)state;
    assert_int_equal(wd_paths_data("tests/local.mk", path, sizeof path, &err), -ENAMETOOLONG);
    assert_int_equal(wd_paths_model("./a/long/path", path, sizeof path, &err), -ENAMETOOLONG);
}

static void without_a_data_folder_only_the_installation_is_looked_at(void **state)
{
    struct wd_err err = {0};
    char path[4096];

    (void)state;
    unsetenv("WITNESSD_DATADIR");
    assert_int_equal(wd_paths_data("no/such/file", path, sizeof path, &err), -ENOENT);
    assert_non_null(strstr(err.text, PKGDATADIR));
    assert_null(strstr(err.text, "nor"));
}

/* A folder of the user's with models in it. */
static void touch(const char *root, const char *relative)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", root, relative);
    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        mkdir(path, 0700);
        *p = '/';
    }
    f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
}

static void what_was_pulled_is_found_by_its_name(void **state)
{
    char root[] = "/tmp/witnessd-paths-XXXXXX", path[4096], want[512], command[64];
    static const struct {
        const char *name, *file;
    } found[] = {{"single", "single.gguf"}, {"folder", "folder/a-model.gguf"}, {"tensors", "tensors"}, {"split", "split/m-00001-of-00002.gguf"}};
    struct wd_err err = {0};

    (void)state;
    assert_non_null(mkdtemp(root));
    assert_int_equal(setenv("XDG_DATA_HOME", root, 1), 0);
    touch(root, "witnessd/models/single.gguf");
    touch(root, "witnessd/models/folder/a-model.gguf");
    touch(root, "witnessd/models/folder/mmproj-a-model.gguf");
    touch(root, "witnessd/models/folder/b-model.gguf.part");
    touch(root, "witnessd/models/tensors/config.json");
    touch(root, "witnessd/models/split/m-00001-of-00002.gguf");
    touch(root, "witnessd/models/split/m-00002-of-00002.gguf");
    touch(root, "witnessd/models/two/a.gguf");
    touch(root, "witnessd/models/two/b.gguf");
    touch(root, "witnessd/models/none/mmproj.gguf");
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        if (wd_paths_model(found[i].name, path, sizeof path, &err) < 0)
            fail_msg("%s", err.text);
        snprintf(want, sizeof want, "%s/witnessd/models/%s", root, found[i].file);
        assert_string_equal(path, want);
    }
    assert_int_equal(wd_paths_model("nano", path, sizeof path, &err), 0);
    assert_string_equal(path, TEST_SRCDIR "/models/nano.gguf");
    assert_int_equal(wd_paths_model("two", path, sizeof path, &err), -EINVAL);
    assert_non_null(strstr(err.text, "several models"));
    assert_int_equal(wd_paths_model("none", path, sizeof path, &err), -ENOENT);
    assert_int_equal(wd_paths_model("absent", path, sizeof path, &err), -ENOENT);
    assert_non_null(strstr(err.text, "nor one that was pulled"));
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);

    assert_int_equal(unsetenv("XDG_DATA_HOME"), 0);
    assert_int_equal(setenv("HOME", "/home/somebody", 1), 0);
    assert_int_equal(wd_paths_user_models(path, sizeof path, &err), 0);
    assert_string_equal(path, "/home/somebody/.local/share/witnessd/models");
    assert_int_equal(wd_paths_user_models(path, 10, &err), -ENAMETOOLONG);
    assert_int_equal(unsetenv("HOME"), 0);
    assert_int_equal(wd_paths_user_models(path, sizeof path, &err), -ENOENT);
    assert_int_equal(wd_paths_model("single", path, sizeof path, &err), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_shipped_file_is_found_in_the_data_folder, at_the_source),
        cmocka_unit_test_setup(a_missing_file_is_an_error_that_names_the_places, at_the_source),
        cmocka_unit_test_setup(a_shipped_model_is_found_by_its_name, at_the_source),
        cmocka_unit_test_setup(a_model_that_is_nowhere_is_an_error_also_where_nobody_asks_why, at_the_source),
        cmocka_unit_test_setup(what_was_pulled_is_found_by_its_name, at_the_source),
        cmocka_unit_test_setup(a_path_stays_as_it_is, at_the_source),
        cmocka_unit_test_setup(an_unknown_model_is_an_error_that_names_it, at_the_source),
        cmocka_unit_test_setup(a_buffer_that_is_too_small_is_an_error, at_the_source),
        cmocka_unit_test_setup(without_a_data_folder_only_the_installation_is_looked_at,
                               at_the_source),
    };

    return cmocka_run_group_tests_name("base/paths", tests, NULL, NULL);
}
