/* tests/pipeline/source_ffmpeg_test.c - files, pipes and peers that are well, broken, silent or hostile. Other containers and
 * codecs: tests/media_matrix_test.sh. */
#include "pipeline/sources.h"
#include "tests/pipeline/play.h"
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define PI 3.14159265358979323846
#define S INT64_C(1000000000)
#define BOUND_MS 60000

static char folder[] = "/tmp/wd_ffmpeg_XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static const char *path_of(const char *name)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *data, size_t n)
{
    FILE *f = fopen(path_of(name), "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

/* 16-bit stereo: seconds of 440 Hz, a click of one sample at each whole second from 1 on. Returns its bytes. */
static size_t write_wav(const char *name, uint32_t rate, uint32_t seconds)
{
    size_t n = (size_t)rate * seconds, bytes = 44 + n * 4;
    uint8_t *w = calloc(1, bytes);

    assert_non_null(w);
    memcpy(w, "RIFF....WAVEfmt \20\0\0\0\1\0\2\0", 24);
    put32(w + 4, (uint32_t)bytes - 8);
    put32(w + 24, rate);
    put32(w + 28, rate * 4);
    w[32] = 4;
    w[34] = 16;
    memcpy(w + 36, "data", 4);
    put32(w + 40, (uint32_t)(n * 4));
    for (size_t i = 0; i < n; i++) {
        int16_t v = (int16_t)(8000 * sin(2 * PI * 440 * (double)i / rate));

        if (i && i % rate == 0)
            v = 32000;
        for (int c = 0; c < 2; c++) {
            w[44 + i * 4 + (size_t)c * 2] = (uint8_t)v;
            w[45 + i * 4 + (size_t)c * 2] = (uint8_t)(v >> 8);
        }
    }
    write_file(name, w, bytes);
    free(w);
    return bytes;
}

static struct play play_url(const char *url, uint32_t budget)
{
    const char *settings[] = {"url", url, "realtime", "false", NULL};

    return play(wd_source_type_find("ffmpeg"), settings, budget, BOUND_MS);
}

static size_t loudest(const struct play *p, size_t from, size_t to)
{
    size_t best = from;

    for (size_t i = from; i < to; i++)
        if (fabsf(p->pcm[i]) > fabsf(p->pcm[best]))
            best = i;
    return best;
}

static void a_wav_comes_out_whole_and_in_time(void **state)
{
    static const uint32_t rates[] = {8000, 16000, 44100, 48000, 96000};

    (void)state;
    for (size_t k = 0; k < 5; k++) {
        struct play p;

        write_wav("a.wav", rates[k], 3);
        p = play_url(path_of("a.wav"), 70);
        unlink(path_of("a.wav"));
        assert_int_equal(p.error, 0);
        assert_int_equal(p.n_frames, 75);
        assert_int_equal(p.t0_ns[74], 74 * WD_FRAME_NS);
        assert_int_equal(p.n_gaps, 0);
        assert_int_equal(p.n_pictures, 0);
        assert_true(p.has_audio && !p.has_video);
        assert_true(fabs(p.duration_s - 3) < 0.01);
        assert_int_equal(p.stats.samples_dropped, 0);
        if (rates[k] >= 16000 && rates[k] <= 48000) /* above, one sample is too short to stand out */
            for (size_t s = 1; s < 3; s++)
                assert_in_range(loudest(&p, s * 16000 - 3000, s * 16000 + 3000), s * 16000 - 1, s * 16000 + 1);
        play_done(&p);
    }
}

static void it_starts_where_it_is_told_to(void **state)
{
    const char *settings[] = {"url", NULL, "realtime", "false", "start_s", "1.5", NULL};
    struct play p;

    (void)state;
    write_wav("a.wav", 44100, 3);
    settings[1] = path_of("a.wav");
    p = play(wd_source_type_find("ffmpeg"), settings, 0, BOUND_MS);
    unlink(path_of("a.wav"));
    assert_int_equal(p.error, 0);
    assert_int_equal(p.t0_ns[0], 0);
    assert_int_equal(p.n_frames, 38); /* 1.5 s */
    assert_in_range(loudest(&p, 4000, 12000), 7998, 8002);
    play_done(&p);
}

static void in_real_time_it_takes_its_time(void **state)
{
    const char *settings[] = {"url", NULL, NULL};
    struct play p;
    uint64_t begun_ns = uv_hrtime();

    (void)state;
    write_wav("a.wav", 16000, 1);
    settings[1] = path_of("a.wav");
    p = play(wd_source_type_find("ffmpeg"), settings, 0, BOUND_MS);
    unlink(path_of("a.wav"));
    assert_true(uv_hrtime() - begun_ns > 700000000); /* not less; how much more is the machine's affair */
    assert_int_equal(p.n_frames, 25);
    play_done(&p);
}

static void a_still_becomes_one_picture(void **state)
{
    static const char ppm[] = "P6 4 2 255\n"
                              "\377\0\0\0\377\0\0\0\377\377\377\377"
                              "\0\0\0\377\0\0\0\377\0\0\0\377";
    struct play p;

    (void)state;
    write_file("a.ppm", ppm, sizeof ppm - 1);
    p = play_url(path_of("a.ppm"), 70);
    unlink(path_of("a.ppm"));
    assert_int_equal(p.error, 0);
    assert_int_equal(p.n_pictures, 1);
    assert_int_equal(p.picture_ns[0], 0);
    assert_int_equal(p.picture_w, 528);
    assert_int_equal(p.picture_h, 240);
    assert_int_equal(p.n_frames, 0);
    assert_true(!p.has_audio && p.has_video);
    play_done(&p);
}

static void assert_fails(const char *url, int error, const char *part)
{
    struct play p = play_url(url, 70);

    if (p.error != error || !strstr(p.reasons[p.n_states - 1], part))
        fail_msg("%s: %d, '%s'; expected %d, '...%s...'", url, p.error, p.reasons[p.n_states - 1], error, part);
    assert_int_equal(p.states[p.n_states - 2], WD_SOURCE_LOST);
    assert_int_equal(p.states[p.n_states - 1], WD_SOURCE_ENDED);
    assert_int_equal(p.n_frames, 0);
    play_done(&p);
}

static void what_cannot_be_played_says_why(void **state)
{
    static const char text[] = "Dear all,\nthis is a letter and no film.\n\nYours\n";
    static uint8_t noise[20000];
    uint64_t z = 1;

    (void)state;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)((z = z * 6364136223846793005u + 1) >> 56);
    assert_fails(path_of("nothing.mp4"), -ENOENT, "nothing.mp4: no such file");
    assert_fails(folder, -EISDIR, "folder");
    write_file("empty.mp4", "", 0);
    assert_fails(path_of("empty.mp4"), -ENODATA, "the file is empty");
    unlink(path_of("empty.mp4"));
    write_file("letter.mp4", text, sizeof text - 1);
    assert_fails(path_of("letter.mp4"), -EBADMSG, "letter.mp4: cannot be opened: not a medium");
    unlink(path_of("letter.mp4"));
    write_file("noise.mkv", noise, sizeof noise);
    assert_fails(path_of("noise.mkv"), -EBADMSG, "not a medium");
    unlink(path_of("noise.mkv"));
    assert_fails("nosuchprotocol://x", -EINVAL, "protocol");
    write_wav("a.wav", 16000, 1);
    {
        const char *settings[] = {"url", path_of("a.wav"), "audio", "false", "realtime", "false", NULL};
        struct play p = play(wd_source_type_find("ffmpeg"), settings, 70, BOUND_MS);

        assert_int_equal(p.error, -ENODATA);
        assert_non_null(strstr(p.reasons[p.n_states - 1], "no pictures in it"));
        play_done(&p);
    }
    {
        const char *settings[] = {"url", path_of("a.wav"), "format", "nosuch", NULL};
        struct play p = play(wd_source_type_find("ffmpeg"), settings, 70, BOUND_MS);

        assert_int_equal(p.error, -EINVAL);
        assert_non_null(strstr(p.reasons[p.n_states - 1], "no format 'nosuch'"));
        play_done(&p);
    }
    {
        const char *settings[] = {"url", path_of("a.wav"), "options", "nosuch=1", NULL};
        struct play p = play(wd_source_type_find("ffmpeg"), settings, 70, BOUND_MS);

        assert_int_equal(p.error, -EINVAL);
        assert_non_null(strstr(p.reasons[p.n_states - 1], "option 'nosuch'"));
        play_done(&p);
    }
    unlink(path_of("a.wav"));
}

static void settings_that_make_no_sense_are_refused(void **state)
{
    static const char *const none[] = {NULL}, *const nothing[] = {"url", "a.wav", "audio", "no", "video", "no", NULL},
                            *const option[] = {"url", "a.wav", "options", "fast", NULL};
    const char *const *all[] = {none, nothing, option};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct play p = {0};
        struct wd_err err = {0};

        assert_int_equal(play_open(&p, wd_source_type_find("ffmpeg"), all[i], 0, &err), -EINVAL);
        assert_true(err.text[0]);
        play_run(&p, 1000);
        play_done(&p);
    }
}

/* Raw sound has no header to say what it is. */
static void raw_sound_is_told_its_format(void **state)
{
    const char *settings[] = {"url",     NULL,      "format",        "s16le",   "options",
                              "sample_rate=16000",  "options", "channels=1", "realtime", "false", NULL};
    size_t bytes = write_wav("a.raw", 16000, 1); /* its header is 22 samples of noise */
    struct play p;

    (void)state;
    settings[1] = path_of("a.raw");
    p = play(wd_source_type_find("ffmpeg"), settings, 0, BOUND_MS);
    unlink(path_of("a.raw"));
    assert_int_equal(p.error, 0);
    assert_int_equal(p.n_frames, (bytes / 2 + 639) / 640);
    play_done(&p);
}

static void cut_files_give_what_they_have(void **state)
{
    size_t bytes = write_wav("a.wav", 16000, 2);

    (void)state;
    for (size_t keep = bytes - 1; keep > 44; keep = keep * 2 / 3) {
        struct play p;

        assert_int_equal(truncate(path_of("a.wav"), (off_t)keep), 0);
        p = play_url(path_of("a.wav"), 0);
        if (keep > 48) {
            assert_int_equal(p.error, 0);
            assert_int_equal(p.n_frames, ((keep - 44) / 4 + 639) / 640);
        }
        play_done(&p);
    }
    unlink(path_of("a.wav"));
}

/* ---- what may never answer ---- */

static void close_soon(uv_timer_t *t)
{
    play_close(t->data);
    uv_close((uv_handle_t *)t, NULL);
}

static void assert_closes(const char *url)
{
    const char *settings[] = {"url", url, NULL};
    struct play p = {0};
    struct wd_err err = {0};
    uv_timer_t soon;

    assert_int_equal(play_open(&p, wd_source_type_find("ffmpeg"), settings, 0, &err), 0);
    uv_timer_init(&p.loop, &soon);
    soon.data = &p;
    uv_timer_start(&soon, close_soon, 300, 0);
    play_run(&p, 20000);
    assert_false(p.too_long);
    assert_true(p.closed);
    assert_int_equal(p.n_frames, 0);
    play_done(&p);
}

static int listen_on(uint16_t *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static void a_peer_that_says_nothing_can_be_left(void **state)
{
    static const char *const schemes[] = {"tcp", "http", "rtmp"};
    uint16_t port;
    int fd = listen_on(&port);

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char url[64];

        snprintf(url, sizeof url, "%s://127.0.0.1:%u/live", schemes[i], port);
        assert_closes(url);
    }
    close(fd);
}

static void a_peer_that_says_nothing_is_lost_after_its_time(void **state)
{
    char url[64];
    const char *settings[] = {"url", url, "timeout_s", "1", NULL};
    struct play p;
    uint16_t port;
    int fd = listen_on(&port);

    (void)state;
    snprintf(url, sizeof url, "http://127.0.0.1:%u/a.wav", port);
    p = play(wd_source_type_find("ffmpeg"), settings, 0, BOUND_MS);
    assert_int_equal(p.error, -ETIMEDOUT);
    assert_non_null(strstr(p.reasons[p.n_states - 1], "nothing came for 1 s"));
    play_done(&p);
    close(fd);
}

static void a_fifo_that_nobody_writes_can_be_left(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_closes(path_of("fifo"));
    unlink(path_of("fifo"));
}

/* A list on disk must not make it call somebody: no network but what the configuration names. */
static void a_list_in_a_file_reaches_no_server(void **state)
{
    char list[256];
    uint16_t port;
    int fd = listen_on(&port), n;
    struct play p;

    (void)state;
    n = snprintf(list, sizeof list,
                 "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:%u/a.ts\n#EXT-X-ENDLIST\n", port);
    write_file("a.m3u8", list, (size_t)n);
    p = play_url(path_of("a.m3u8"), 70);
    assert_true(p.error < 0);
    assert_int_equal(accept(fd, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    play_done(&p);
    unlink(path_of("a.m3u8"));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wav_comes_out_whole_and_in_time),
        cmocka_unit_test(it_starts_where_it_is_told_to),
        cmocka_unit_test(in_real_time_it_takes_its_time),
        cmocka_unit_test(a_still_becomes_one_picture),
        cmocka_unit_test(what_cannot_be_played_says_why),
        cmocka_unit_test(settings_that_make_no_sense_are_refused),
        cmocka_unit_test(raw_sound_is_told_its_format),
        cmocka_unit_test(cut_files_give_what_they_have),
        cmocka_unit_test(a_peer_that_says_nothing_can_be_left),
        cmocka_unit_test(a_peer_that_says_nothing_is_lost_after_its_time),
        cmocka_unit_test(a_fifo_that_nobody_writes_can_be_left),
        cmocka_unit_test(a_list_in_a_file_reaches_no_server),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
