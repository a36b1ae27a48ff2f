/* tests/pipeline/source_gst_test.c - pipelines of test sources, files, and what goes wrong in them. */
#include "pipeline/sources.h"
#include "tests/pipeline/play.h"
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define S INT64_C(1000000000)
#define BOUND_MS 60000

static struct play play_line(const char *line, uint32_t budget)
{
    const char *settings[] = {"launch", line, "reconnect", "never", "realtime", "false", NULL};

    return play(wd_source_type_find("gstreamer"), settings, budget, BOUND_MS);
}

static double level(const struct play *p)
{
    double sum = 0;
    size_t n = p->n_frames * WD_FRAME_SAMPLES, edge = 1000;

    assert_true(n > 4 * edge);
    for (size_t i = edge; i < n - edge; i++)
        sum += (double)p->pcm[i] * (double)p->pcm[i];
    return sqrt(sum / (double)(n - 2 * edge));
}

static void loose_ends_of_a_pipeline_are_used(void **state)
{
    struct play p = play_line("audiotestsrc num-buffers=100 samplesperbuffer=441 freq=440 volume=0.5 ! "
                              "audio/x-raw,format=S16LE,rate=44100,channels=2 ! identity "
                              "videotestsrc num-buffers=20 ! video/x-raw,width=321,height=243,framerate=10/1",
                              70);

    (void)state;
    assert_int_equal(p.error, 0);
    assert_int_equal(p.n_frames, 25);
    assert_true(fabs(level(&p) - 0.5 / sqrt(2)) < 0.01);
    assert_int_equal(p.n_pictures, 2);
    assert_int_equal(p.picture_ns[1] - p.picture_ns[0], S);
    assert_int_equal(p.picture_w, 432);
    assert_int_equal(p.picture_h, 336);
    assert_true(p.has_audio);
    assert_true(p.has_video);
    assert_int_equal(p.states[1], WD_SOURCE_LIVE);
    assert_int_equal(p.states[p.n_states - 1], WD_SOURCE_ENDED);
    play_done(&p);
}

static void appsinks_of_the_users_own_are_used(void **state)
{
    struct play p = play_line("audiotestsrc num-buffers=50 samplesperbuffer=160 ! audio/x-raw,rate=8000 ! audioconvert ! "
                              "appsink name=audio_sink",
                              70);

    (void)state;
    assert_int_equal(p.error, 0);
    assert_int_equal(p.n_frames, 25);
    assert_int_equal(p.n_pictures, 0);
    assert_false(p.has_video);
    play_done(&p);
}

static void a_live_pipeline_gives_sound_with_rising_times(void **state)
{
    struct play p = play_line("audiotestsrc is-live=true num-buffers=30 samplesperbuffer=480 ! audio/x-raw,rate=48000", 0);

    (void)state;
    assert_int_equal(p.error, 0);
    assert_int_equal(p.t0_ns[0], 0);
    assert_in_range(p.n_frames, 7, 8);
    play_done(&p);
}

static void assert_fails(const char *line, int error, const char *part)
{
    struct play p = play_line(line, 70);

    assert_int_equal(p.error, error);
    if (!strstr(p.reasons[p.n_states - 1], part))
        fail_msg("'%s' lacks '%s'", p.reasons[p.n_states - 1], part);
    play_done(&p);
}

static void what_is_wrong_with_a_pipeline_is_said(void **state)
{
    (void)state;
    assert_fails("nosuchelement ! fakesink", -EINVAL, "nosuchelement");
    assert_fails("audiotestsrc nosuchproperty=1 ! audioconvert", -EINVAL, "nosuchproperty");
    assert_fails("audiotestsrc ! fakesink name=audio_sink", -EINVAL, "must be an appsink");
    assert_fails("filesrc location=/nonexistent.wav ! decodebin", -ENOENT, "/nonexistent.wav");
    assert_fails("audiotestsrc num-buffers=3 ! fakesink", -ENODATA, "neither sound nor pictures");
}

static void settings_that_contradict_each_other_are_refused(void **state)
{
    static const char *const none[] = {NULL}, *const two[] = {"url", "a.mkv", "launch", "a ! b", NULL},
                            *const nothing[] = {"url", "a.mkv", "audio", "no", "video", "no", NULL};
    const char *const *all[] = {none, two, nothing};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct play p = {0};
        struct wd_err err = {0};

        assert_int_equal(play_open(&p, wd_source_type_find("gstreamer"), all[i], 0, &err), -EINVAL);
        assert_true(err.text[0]);
        play_run(&p, 1000);
        play_done(&p);
    }
}

static void a_file_is_played_and_a_text_is_refused(void **state)
{
    const char *settings[] = {"url", NULL, "realtime", "false", NULL};
    char path[] = "/tmp/wd_gst_XXXXXX";
    int fd = mkstemp(path);
    struct play p;

    (void)state;
    assert_true(fd >= 0);
    assert_true(write(fd, "this is no medium\n", 18) == 18);
    close(fd);
    settings[1] = path;
    p = play(wd_source_type_find("gstreamer"), settings, 70, BOUND_MS);
    assert_true(p.error == -EBADMSG || p.error == -EINVAL);
    assert_non_null(strstr(p.reasons[p.n_states - 1], path));
    play_done(&p);
    unlink(path);

    settings[1] = TEST_SRCDIR "/samples/meeting.mkv";
    if (access(settings[1], R_OK) == 0) {
        p = play(wd_source_type_find("gstreamer"), settings, 70, BOUND_MS);
        assert_true(p.error == 0 || p.error == -EINVAL); /* its codecs may not be installed */
        play_done(&p);
    }
}

/* A peer that never answers does not hold up the end. */
static void stop_at_once(struct play *p, enum wd_source_state state)
{
    if (state == WD_SOURCE_CONNECTING)
        play_close(p);
}

static void closing_before_anything_came_is_quick(void **state)
{
    static const char *const settings[] = {"launch", "fakesrc is-live=true do-timestamp=true sizetype=empty ! identity", NULL};
    struct play p = {.on_state = stop_at_once};

    (void)state;
    assert_int_equal(play_open(&p, wd_source_type_find("gstreamer"), settings, 0, NULL), 0);
    play_run(&p, 20000);
    assert_false(p.too_long);
    assert_true(p.closed);
    play_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loose_ends_of_a_pipeline_are_used),
        cmocka_unit_test(appsinks_of_the_users_own_are_used),
        cmocka_unit_test(a_live_pipeline_gives_sound_with_rising_times),
        cmocka_unit_test(what_is_wrong_with_a_pipeline_is_said),
        cmocka_unit_test(settings_that_contradict_each_other_are_refused),
        cmocka_unit_test(a_file_is_played_and_a_text_is_refused),
        cmocka_unit_test(closing_before_anything_came_is_quick),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
