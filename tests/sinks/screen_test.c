/* tests/sinks/screen_test.c - what stands on the terminal, seen through a small imitated one. */
#include "sinks/screen.h"
#include "base/utf8.h"
#include "tests/sinks/sample_events.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROWS 400
#define SECOND 1000000000LL

/* A terminal that never scrolls anything away: rows grow downwards. */
static struct {
    unsigned columns, row, column, last;
    uint32_t cell[ROWS][200];
    bool dim[ROWS][200], is_dim, colored;
} term;

static struct wd_screen *screen;
static struct wd_event_pool *pool;
static unsigned n_rows;

static void control(const char *seq, size_t n)
{
    unsigned v = (unsigned)atoi(seq);

    switch (seq[n - 1]) {
    case 'A':
        term.row -= v < term.row ? v : term.row;
        break;
    case 'J':
        for (unsigned r = term.row; r < ROWS; r++)
            for (unsigned c = r == term.row ? term.column : 0; c < 200; c++)
                term.cell[r][c] = 0;
        break;
    case 'm':
        term.is_dim = v == 2;
        term.colored = term.colored || v == 38 || (v == 1 && n > 3) || (v >= 30 && v < 38);
        break;
    default:
        fail_msg("a sequence that is not ours: %.*s", (int)n, seq);
    }
}

static void type(const char *text, size_t n)
{
    for (size_t at = 0; at < n;) {
        uint32_t c;
        int w;

        if (text[at] == '\x1b') {
            size_t len = 2 + strcspn(text + at + 2, "ABCDHJKm") + 1;

            assert_int_equal(text[at + 1], '[');
            control(text + at + 2, len - 2);
            at += len;
            continue;
        }
        at += wd_utf8_read(text + at, n - at, &c);
        if (c == '\r') {
            term.column = 0;
        } else if (c == '\n') {
            term.row++;
            term.column = 0;
        } else {
            w = wd_utf8_columns(c);
            assert_true(w >= 0);
            if (term.column + (unsigned)w > term.columns) {
                term.row++;
                term.column = 0;
            }
            if (w > 0) {
                term.cell[term.row][term.column] = c;
                term.dim[term.row][term.column] = term.is_dim;
            }
            term.column += (unsigned)w;
        }
        assert_true(term.row < ROWS);
    }
}

static int begin(bool live, unsigned n_colors, unsigned columns)
{
    memset(&term, 0, sizeof term);
    term.columns = columns;
    n_rows = 24;
    assert_int_equal(wd_event_pool_new(8, &pool, NULL), 0);
    return wd_screen_new(&(struct wd_screen_look){.live = live, .n_colors = n_colors}, &screen,
                         NULL);
}

static void end(void)
{
    screen = wd_screen_free(screen);
    pool = wd_event_pool_free(pool);
}

static void draw(const struct wd_event *e)
{
    size_t n;
    const char *text = wd_screen_draw(screen, e, (int)term.columns, (int)n_rows, &n);

    assert_true(n < WD_SCREEN_BYTES);
    type(text, n);
    wd_screen_commit(screen);
}

static void show(enum wd_event_kind kind, const char *stream, int t0_s, const char *speaker,
                 const char *text, uint32_t n_settled)
{
    struct wd_event *e = wd_event_new(pool, kind, SECOND);

    e->stream = stream;
    e->t0_ns = t0_s * SECOND;
    e->t1_ns = (t0_s + 3) * SECOND;
    e->speaker.id = speaker;
    e->text = text;
    e->n_settled = n_settled;
    e->supersedes = "01ARYZ6S41TSV4RRFFQ69G5FAV";
    draw(e);
    wd_event_unref(e);
}

/* Row r without the blanks at its end. */
static const char *row(unsigned r)
{
    static char text[2][900];
    static int turn;
    size_t n = 0, end_at = 0;

    turn = !turn;
    for (unsigned c = 0; c < 200; c++) {
        uint32_t ch = term.cell[r][c];

        if (!ch && c && wd_utf8_columns(term.cell[r][c - 1] ? term.cell[r][c - 1] : ' ') == 2)
            continue; /* the right half of a wide one */
        n += wd_utf8_put(ch ? ch : ' ', text[turn] + n);
        if (ch && ch != ' ')
            end_at = n;
    }
    text[turn][end_at] = '\0';
    return text[turn];
}

static void a_final_stands_in_columns_and_wraps_under_itself(void **state)
{
    (void)state;
    begin(true, 256, 40);
    show(WD_EVENT_FINAL, "room", 61, "spk_1", "the quick brown fox jumps over the lazy dog", 0);
    show(WD_EVENT_FINAL, "room", 3661, "spk_2", "short", 0);
    assert_string_equal(row(0), "01:01  spk_1  the quick brown fox jumps");
    assert_string_equal(row(1), "              over the lazy dog");
    assert_string_equal(row(2), "1:01:01  spk_2  short");
    assert_int_equal(term.row, 3);
    assert_int_equal(term.column, 0);
    assert_true(term.colored);
    end();
}

static void a_partial_is_rewritten_in_place(void **state)
{
    (void)state;
    begin(true, 256, 40);
    show(WD_EVENT_PARTIAL, "room", 1, "spk_1", "the quick brown socks that", 9);
    assert_string_equal(row(0), "00:01  spk_1  the quick brown socks");
    assert_string_equal(row(1), "              that");
    assert_false(term.dim[0][14]);     /* "the" is settled */
    assert_true(term.dim[0][14 + 10]); /* "brown" is not */
    show(WD_EVENT_PARTIAL, "room", 1, "spk_1", "the quick brown fox", 15);
    assert_string_equal(row(0), "00:01  spk_1  the quick brown fox");
    assert_string_equal(row(1), "");
    assert_false(term.dim[0][14 + 10]);
    show(WD_EVENT_FINAL, "room", 1, "spk_1", "the quick brown fox.", 0);
    assert_string_equal(row(0), "00:01  spk_1  the quick brown fox.");
    assert_int_equal(term.row, 1);
    end();
}

static void settled_lines_come_above_what_is_still_open(void **state)
{
    struct wd_event *e;
    (void)state;

    begin(true, 0, 60);
    show(WD_EVENT_PARTIAL, "room", 5, "spk_1", "still talking", 0);
    e = wd_event_new(pool, WD_EVENT_SCENE, SECOND);
    e->stream = "room";
    e->title = "Room";
    e->summary = "a red cup";
    e->changes = "door open";
    draw(e);
    wd_event_unref(e);
    assert_string_equal(row(0), "00:00  [scene]  Room: a red cup (door open)");
    assert_string_equal(row(1), "00:05  spk_1    still talking");
    assert_string_equal(row(2), "");
    draw(NULL);
    assert_string_equal(row(1), "");
    assert_int_equal(term.row, 1);
    assert_int_equal(term.column, 0);
    assert_false(term.colored);
    end();
}

static void two_streams_are_told_apart_and_end_apart(void **state)
{
    (void)state;
    begin(true, 256, 60);
    show(WD_EVENT_PARTIAL, "room", 1, "spk_1", "in the room", 0);
    show(WD_EVENT_PARTIAL, "door", 1, "spk_1", "at the door", 0);
    assert_string_equal(row(0), "00:01  room  spk_1  in the room");
    assert_string_equal(row(1), "00:01  door  spk_1  at the door");
    show(WD_EVENT_FINAL, "room", 1, "spk_1", "in the room.", 0);
    assert_string_equal(row(0), "00:01  room  spk_1  in the room.");
    assert_string_equal(row(1), "00:01  door  spk_1  at the door");
    assert_string_equal(row(2), "");
    end();
}

static void a_terminal_that_became_narrower_is_cleaned_all_the_same(void **state)
{
    (void)state;
    begin(true, 0, 80);
    show(WD_EVENT_FINAL, "room", 0, "spk_1", "first", 0);
    show(WD_EVENT_PARTIAL, "room", 1, "spk_1",
         "a line that takes more than forty columns of this terminal", 0);
    /* what the terminal does with it: the line breaks into two rows, the cursor stands in the
     * second */
    memcpy(&term.cell[2][0], &term.cell[1][40], 40 * sizeof term.cell[0][0]);
    memset(&term.cell[1][40], 0, 40 * sizeof term.cell[0][0]);
    term.row = 2;
    term.column -= 40;
    term.columns = 40;
    show(WD_EVENT_FINAL, "room", 1, "spk_1", "done", 0);
    assert_string_equal(row(0), "00:00  spk_1  first");
    assert_string_equal(row(1), "00:01  spk_1  done");
    assert_string_equal(row(2), "");
    assert_int_equal(term.row, 2);
    end();
}

static void open_text_never_takes_more_than_the_screen(void **state)
{
    char text[3000] = "";
    (void)state;

    begin(true, 256, 40);
    n_rows = 6;
    for (int i = 0; i < 400; i++)
        strcat(text, i % 2 ? "word " : "other ");
    strcat(text, "last");
    for (int s = 0; s < 30; s++) {
        char stream[8];

        snprintf(stream, sizeof stream, "s%d", s);
        show(WD_EVENT_PARTIAL, stream, 1, "spk_1", text, 100);
        assert_true(term.row < 5);
    }
    show(WD_EVENT_FINAL, "s29", 1, "spk_1", "x", 0);
    assert_true(term.row < 7);
    assert_int_equal(term.cell[term.row][term.column - 1],
                     't'); /* the end of the text is what is shown */
    end();
}

static void a_tiny_terminal_is_never_overrun(void **state)
{
    (void)state;
    for (unsigned columns = 12; columns < 50; columns++) {
        begin(true, 256, columns);
        n_rows = 7;
        show(WD_EVENT_FINAL, "room", 3601, "Bartholomew the Second", "x", 0);
        show(WD_EVENT_FINAL, "a stream with a name", 3602, "spk_1", "y", 0);
        for (int i = 1; i < 60; i++) {
            unsigned from = term.row;

            show(WD_EVENT_PARTIAL, "room", 3605, "Bartholomew the Second",
                 "words and words and words", 5);
            show(WD_EVENT_PARTIAL, "a stream with a name", 3605, "spk_1",
                 "more words than fit on a line of that", 5);
            assert_true(i == 1 || term.row == from);
            assert_true(term.column < columns);
        }
        end();
    }
}

static void without_a_terminal_there_are_only_lines(void **state)
{
    (void)state;
    begin(false, 0, 190);
    show(WD_EVENT_PARTIAL, "room", 1, "spk_1", "the quick", 0);
    assert_int_equal(term.row, 0);
    assert_int_equal(term.column, 0);
    show(WD_EVENT_FINAL, "room", 1, "spk_1",
         "the quick brown fox jumps over the lazy dog, and the next, and the one behind it", 0);
    show(WD_EVENT_FINAL, "room", 2, NULL, "who?", 0);
    assert_string_equal(row(0), "00:01  spk_1  the quick brown fox jumps over the lazy dog, and "
                                "the next, and the one behind it");
    assert_string_equal(row(1), "00:02  who?");
    assert_int_equal(term.row, 2);
    end();
}

static void a_reason_stands_only_where_there_is_one(void **state)
{
    static const char *const reasons[] = {"stopped", "", NULL};

    (void)state;
    begin(false, 0, 80);
    for (size_t i = 0; i < 3; i++) {
        struct wd_event *e = wd_event_new(pool, WD_EVENT_SOURCE, SECOND);

        e->stream = "room";
        e->change = "ended";
        e->reason = reasons[i];
        draw(e);
        wd_event_unref(e);
    }
    assert_string_equal(row(0), "00:00  [source]  ended: stopped");
    assert_string_equal(row(1), "00:00  [source]  ended");
    assert_string_equal(row(2), "00:00  [source]  ended");
    end();
}

static void speakers_have_their_own_colors_always_the_same(void **state)
{
    char first[8][64];
    (void)state;

    begin(true, 256, 80);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 8; i++) {
            struct wd_event *e = wd_event_new(pool, WD_EVENT_FINAL, SECOND);
            char id[8];
            const char *text, *color;
            size_t n;

            snprintf(id, sizeof id, "spk_%d", i + 1);
            e->speaker.id = id;
            e->text = "x";
            text = wd_screen_draw(screen, e, 80, 24, &n);
            color = strstr(text, "\x1b[1;38;5;");
            assert_non_null(color);
            if (round == 0)
                snprintf(first[i], sizeof first[i], "%.*s", (int)strcspn(color, "m"), color);
            assert_memory_equal(color, first[i], strlen(first[i]));
            for (int k = 0; k < i; k++)
                assert_string_not_equal(first[k], first[i]);
            wd_screen_commit(screen);
            wd_event_unref(e);
        }
    end();
}

static void what_was_not_taken_is_drawn_again(void **state)
{
    struct wd_event *e;
    size_t n, again;
    char before[400];
    (void)state;

    begin(true, 0, 40);
    show(WD_EVENT_PARTIAL, "room", 1, "spk_1", "hello", 0);
    e = wd_event_new(pool, WD_EVENT_FINAL, SECOND);
    e->stream = "hall";
    e->text = "hi";
    memcpy(before, wd_screen_draw(screen, e, 40, 24, &n), sizeof before);
    assert_memory_equal(wd_screen_draw(screen, e, 40, 24, &again), before, n);
    assert_int_equal(n, again);
    wd_event_unref(e);
    end();
}

static void hostile_events_cannot_reach_the_terminal(void **state)
{
    static const unsigned widths[] = {1, 12, 13, 20, 80, 190};
    (void)state;

    for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++)
        for (int k = 0; k < WD_EVENT_N_KINDS; k++)
            for (int f = 0; f < SAMPLE_LONG; f++) {
                struct wd_event *e;

                begin(true, 256, widths[w] < 12 ? 12 : widths[w]);
                e = sample_event(pool, (enum wd_event_kind)k, (enum sample_filling)f);
                draw(e); /* type() fails on anything that is not ours */
                wd_event_unref(e);
                draw(NULL);
                end();
            }
}

static void the_longest_events_fit_the_drawing(void **state)
{
    static char longest[WD_EVENT_SPACE];
    (void)state;

    for (int columns = 1; columns < 100; columns += 7)
        for (int live = 0; live < 2; live++) {
            struct wd_event *e;
            size_t n;
            const char *text;

            begin(live, 256, 80);
            for (size_t i = 0; i + 1 < sizeof longest; i++)
                longest[i] =
                    i % 2 ? ' ' : (char)0xff; /* three bytes each, and a blank to break at */
            e = wd_event_new(pool, WD_EVENT_FINAL, SECOND);
            e->text = longest;
            e->stream = "room";
            text = wd_screen_draw(screen, e, columns, 24, &n);
            assert_true(n > 2 * sizeof longest && n < WD_SCREEN_BYTES);
            assert_int_equal(text[n - 1], '\n');
            wd_event_unref(e);
            end();
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_final_stands_in_columns_and_wraps_under_itself),
        cmocka_unit_test(a_partial_is_rewritten_in_place),
        cmocka_unit_test(settled_lines_come_above_what_is_still_open),
        cmocka_unit_test(two_streams_are_told_apart_and_end_apart),
        cmocka_unit_test(a_terminal_that_became_narrower_is_cleaned_all_the_same),
        cmocka_unit_test(open_text_never_takes_more_than_the_screen),
        cmocka_unit_test(a_tiny_terminal_is_never_overrun),
        cmocka_unit_test(without_a_terminal_there_are_only_lines),
        cmocka_unit_test(a_reason_stands_only_where_there_is_one),
        cmocka_unit_test(speakers_have_their_own_colors_always_the_same),
        cmocka_unit_test(what_was_not_taken_is_drawn_again),
        cmocka_unit_test(hostile_events_cannot_reach_the_terminal),
        cmocka_unit_test(the_longest_events_fit_the_drawing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
