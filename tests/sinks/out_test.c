/* tests/sinks/out_test.c - files, FIFOs and full disks: whole pieces in order, and nobody waits. */
#include "sinks/out.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[64];

static const char *path_of(const char *name)
{
    static char path[2][128];
    static int turn;

    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static const char *content(const char *path)
{
    static char text[4096];
    FILE *f = fopen(path, "r");
    size_t n;

    assert_non_null(f);
    n = fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

static int make_dir(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    snprintf(dir, sizeof dir, "/tmp/wd-out-test-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    static const char *const names[] = {"a", "b", "fifo"};
    (void)state;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(path_of(names[i]));
    return rmdir(dir);
}

static struct wd_out *out_of(const char *path, bool anew)
{
    struct wd_out *o = NULL;
    struct wd_err err = {0};

    if (wd_out_open(path, anew, 1 << 18, &o, &err) < 0)
        fail_msg("%s", err.text);
    return o;
}

static void write_text(struct wd_out *o, const char *text)
{
    assert_int_equal(wd_out_write(o, text, strlen(text)), 0);
}

static void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    fputs(text, f);
    fclose(f);
}

static void a_file_is_continued_or_begun_anew(void **state)
{
    struct wd_out *o;
    (void)state;

    put_file(path_of("a"), "one\n");
    o = out_of(path_of("a"), false);
    write_text(o, "two\n");
    assert_int_equal(wd_out_sync(o), 0);
    wd_out_close(o);
    assert_string_equal(content(path_of("a")), "one\ntwo\n");
    o = out_of(path_of("a"), true);
    write_text(o, "three\n");
    wd_out_close(o);
    assert_string_equal(content(path_of("a")), "three\n");
}

static void a_line_that_a_crash_cut_off_is_ended(void **state)
{
    struct wd_out *o;
    (void)state;

    put_file(path_of("a"), "one\n{\"half");
    o = out_of(path_of("a"), false);
    write_text(o, "two\n");
    wd_out_close(o);
    assert_string_equal(content(path_of("a")), "one\n{\"half\ntwo\n");
}

static void reopening_follows_the_name(void **state)
{
    struct wd_out *o = out_of(path_of("a"), true);
    (void)state;

    write_text(o, "old\n");
    assert_int_equal(wd_out_reopen(o), 0); /* nobody moved it: it must not be emptied */
    write_text(o, "still old\n");
    assert_int_equal(rename(path_of("a"), path_of("b")), 0);
    write_text(o, "until told\n");
    assert_int_equal(wd_out_reopen(o), 1);
    write_text(o, "new\n");
    wd_out_close(o);
    assert_string_equal(content(path_of("b")), "old\nstill old\nuntil told\n");
    assert_string_equal(content(path_of("a")), "new\n");
}

static void when_reopening_fails_the_old_file_stays(void **state)
{
    struct wd_out *o = out_of(path_of("a"), false);
    (void)state;

    rename(path_of("a"), path_of("b"));
    assert_int_equal(mkdir(path_of("a"), 0700), 0);
    assert_int_equal(wd_out_reopen(o), -EISDIR);
    write_text(o, "kept\n");
    wd_out_close(o);
    assert_string_equal(content(path_of("b")), "kept\n");
    rmdir(path_of("a"));
}

static void a_fifo_without_a_reader_is_refused(void **state)
{
    struct wd_out *o = NULL;
    struct wd_err err = {0};
    (void)state;

    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_int_equal(wd_out_open(path_of("fifo"), false, 100, &o, &err), -ENXIO);
    assert_non_null(strstr(err.text, "nobody reads this FIFO"));
}

static void a_slow_reader_gets_every_byte_in_order(void **state)
{
    static char piece[100000], back[100000];
    struct wd_out *o;
    int fd, n_taken = 0, n_refused = 0, seen = 0;
    size_t at = 0;
    (void)state;

    mkfifo(path_of("fifo"), 0600);
    fd = open(path_of("fifo"), O_RDONLY | O_NONBLOCK);
    o = out_of(path_of("fifo"), false);
    while (seen < 20) {
        ssize_t n;

        memset(piece, 'a' + n_taken % 20, sizeof piece);
        if (n_taken < 20) {
            int r = wd_out_write(o, piece, sizeof piece);

            assert_true(r == 0 || r == -EAGAIN);
            n_taken += r == 0;
            n_refused += r == -EAGAIN;
        } else {
            wd_out_sync(o); /* also moves what is left */
        }
        n = read(fd, back + at, sizeof back - at > 30000 ? 30000 : sizeof back - at);
        at += n > 0 ? (size_t)n : 0;
        if (at == sizeof back) {
            memset(piece, 'a' + seen, sizeof piece);
            assert_memory_equal(back, piece, sizeof piece);
            seen++;
            at = 0;
        }
    }
    assert_true(n_refused > 0);
    wd_out_close(o);
    close(fd);
}

static void a_reader_that_left_is_an_error(void **state)
{
    struct wd_out *o;
    int fd;
    (void)state;

    mkfifo(path_of("fifo"), 0600);
    fd = open(path_of("fifo"), O_RDONLY | O_NONBLOCK);
    o = out_of(path_of("fifo"), false);
    close(fd);
    assert_int_equal(wd_out_write(o, "x", 1), -EPIPE);
    wd_out_close(o);
}

static void a_full_disk_is_for_later(void **state)
{
    struct wd_out *o = out_of("/dev/full", false);
    (void)state;

    assert_int_equal(wd_out_write(o, "x\n", 2), -ENOSPC);
    assert_int_equal(wd_out_write(o, "x\n", 2), -ENOSPC);
    wd_out_close(o);
}

static void a_piece_that_fits_in_part_is_finished_before_the_next(void **state)
{
    static char big[200000], back[sizeof big + 1];
    struct wd_out *o;
    size_t at = 0;
    int fd;
    (void)state;

    mkfifo(path_of("fifo"), 0600);
    fd = open(path_of("fifo"), O_RDONLY | O_NONBLOCK);
    o = out_of(path_of("fifo"), false);
    memset(big, 'x', sizeof big);
    assert_int_equal(wd_out_write(o, big, sizeof big), 0); /* a pipe holds 64 KiB: taken in part */
    assert_int_equal(wd_out_write(o, "y", 1), -EAGAIN);
    while (at < sizeof big) {
        ssize_t n = read(fd, back + at, sizeof back - at);

        at += n > 0 ? (size_t)n : 0;
        wd_out_sync(o); /* moves what is left */
    }
    assert_int_equal(wd_out_write(o, "y", 1), 0);
    assert_int_equal(read(fd, back + at, 1), 1);
    assert_memory_equal(back, big, sizeof big);
    assert_int_equal(back[at], 'y');
    wd_out_close(o);
    close(fd);
}

static void bad_paths_are_named(void **state)
{
    struct wd_out *o = NULL;
    struct wd_err err = {0};
    (void)state;

    assert_int_equal(wd_out_open("/nowhere/at/all", false, 10, &o, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/at/all: cannot write"));
    assert_int_equal(wd_out_open(dir, false, 10, &o, &err), -EISDIR);
    assert_int_equal(wd_out_open("", false, 10, &o, &err), -EINVAL);
    assert_int_equal(wd_out_open(NULL, false, 10, &o, &err), -EINVAL);
    assert_null(o);
    assert_null(wd_out_close(NULL));
}

static void more_than_agreed_is_refused(void **state)
{
    struct wd_out *o = NULL;
    (void)state;

    assert_int_equal(wd_out_open(path_of("a"), false, 4, &o, NULL), 0);
    assert_int_equal(wd_out_write(o, "12345", 5), -EMSGSIZE);
    assert_int_equal(wd_out_write(o, "1234", 4), 0);
    wd_out_close(o);
}

/* The child's standard output is a pipe that nobody empties: it must come to its end all the same.
 */
static void standard_output_never_blocks(void **state)
{
    int ends[2], status = 0, flags;
    pid_t child;
    (void)state;

    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static char piece[50000];
        struct wd_out *o = NULL;
        int n = 0;

        dup2(ends[1], STDOUT_FILENO);
        if (wd_out_open("-", false, sizeof piece, &o, NULL) < 0)
            _exit(100);
        while (n < 50 && wd_out_write(o, piece, sizeof piece) == 0)
            n++;
        _exit(n);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) >= 1 && WEXITSTATUS(status) < 50);
    flags = fcntl(ends[1], F_GETFL);
    assert_false(flags & O_NONBLOCK); /* others who share it notice nothing */
    close(ends[0]);
    close(ends[1]);
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_DIR(a_file_is_continued_or_begun_anew),
        IN_DIR(a_line_that_a_crash_cut_off_is_ended),
        IN_DIR(reopening_follows_the_name),
        IN_DIR(when_reopening_fails_the_old_file_stays),
        IN_DIR(a_fifo_without_a_reader_is_refused),
        IN_DIR(a_slow_reader_gets_every_byte_in_order),
        IN_DIR(a_reader_that_left_is_an_error),
        IN_DIR(a_full_disk_is_for_later),
        IN_DIR(a_piece_that_fits_in_part_is_finished_before_the_next),
        IN_DIR(bad_paths_are_named),
        IN_DIR(more_than_agreed_is_refused),
        IN_DIR(standard_output_never_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
