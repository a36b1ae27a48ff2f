/* tests/pipeline/media_file_test.c - a whole file at once: sample for sample, pixel for pixel, or an error that names it. */
#include "pipeline/media_file.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

static int set_up(void **state)
{
    int fd;

    (void)state;
    strcpy(path, "/tmp/witnessd-media-XXXXXX");
    fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static FILE *begin(void)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    return f;
}

static void u32(FILE *f, uint32_t x)
{
    fwrite(&x, 4, 1, f);
}

static void u16(FILE *f, unsigned x)
{
    uint16_t v = (uint16_t)x;

    fwrite(&v, 2, 1, f);
}

/* value(i): of the i-th moment, the same on all channels. */
static void write_wav(uint32_t rate, unsigned channels, uint32_t n, int16_t (*value)(uint32_t i, uint32_t rate))
{
    FILE *f = begin();

    fputs("RIFF", f);
    u32(f, 36 + n * channels * 2);
    fputs("WAVEfmt ", f);
    u32(f, 16);
    u16(f, 1);
    u16(f, channels);
    u32(f, rate);
    u32(f, rate * channels * 2);
    u16(f, channels * 2);
    u16(f, 16);
    fputs("data", f);
    u32(f, n * channels * 2);
    for (uint32_t i = 0; i < n; i++)
        for (unsigned c = 0; c < channels; c++)
            u16(f, (uint16_t)value(i, rate));
    fclose(f);
}

static int16_t counted(uint32_t i, uint32_t rate)
{
    (void)rate;
    return (int16_t)(i * 40503u);
}

static int16_t sine(uint32_t i, uint32_t rate)
{
    return (int16_t)lround(16000 * sin(2 * M_PI * 440 * i / rate));
}

static void sixteen_kilohertz_come_out_sample_for_sample(void **state)
{
    struct wd_err err = {0};
    float *pcm;
    size_t n;

    (void)state;
    write_wav(16000, 1, 12345, counted);
    if (wd_media_file_sound(path, &pcm, &n, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(n, 12345);
    for (uint32_t i = 0; i < n; i++)
        assert_true(pcm[i] == (float)counted(i, 0) / 32768);
    free(pcm);
}

static void other_rates_and_channels_become_sixteen_kilohertz_mono(void **state)
{
    static const uint32_t rates[] = {8000, 44100, 48000, 96000};
    struct wd_err err = {0};
    float *pcm;
    size_t n;

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        unsigned channels = i % 2 ? 6 : 2;
        double error = 0, scale = 0;

        write_wav(rates[i / 2], channels, rates[i / 2], sine);
        if (wd_media_file_sound(path, &pcm, &n, &err) < 0)
            fail_msg("%s", err.text);
        assert_in_range(n, 15990, 16010);
        /* The same tone, as loud: what is equal on all channels is neither raised nor lowered. */
        for (uint32_t k = 4000; k < 12000; k++)
            scale += (double)pcm[k] * sin(2 * M_PI * 440 * k / 16000);
        scale /= 4000;
        if (!(fabs(scale - 16000.0 / 32768) < 0.005))
            fail_msg("%u Hz, %u channels: %g", rates[i / 2], channels, scale);
        for (uint32_t k = 4000; k < 12000; k++)
            error = fmax(error, fabs((double)pcm[k] - scale * sin(2 * M_PI * 440 * k / 16000)));
        assert_true(error < 0.02);
        free(pcm);
    }
}

static double level(const float *pcm, size_t from, size_t to, double hz)
{
    double c = 0, s = 0;

    for (size_t i = from; i < to; i++) {
        c += (double)pcm[i] * cos(2 * M_PI * hz * (double)i / 16000);
        s += (double)pcm[i] * sin(2 * M_PI * hz * (double)i / 16000);
    }
    return 2 * sqrt(c * c + s * s) / (double)(to - from);
}

static void sound_that_changes_midway_is_followed(void **state)
{
    struct wd_err err = {0};
    float *pcm;
    size_t n;

    (void)state;
    if (wd_media_file_sound(TEST_SRCDIR "/tests/pipeline/data/stereo_mono_stereo.mp2", &pcm, &n, &err) < 0)
        fail_msg("%s", err.text);
    assert_in_range(n, 18500, 22000); /* 1.2 s and what the encoder adds */
    assert_true(level(pcm, 2000, 5000, 440) > 0.05 && level(pcm, 2000, 5000, 880) < 0.01);
    assert_true(level(pcm, 8500, 11500, 880) > 0.05 && level(pcm, 8500, 11500, 440) < 0.01);
    assert_true(level(pcm, 15500, 18500, 440) > 0.05 && level(pcm, 15500, 18500, 880) < 0.01);
    free(pcm);
}

static void an_empty_recording_is_no_samples(void **state)
{
    struct wd_err err = {0};
    float *pcm;
    size_t n = 1;

    (void)state;
    write_wav(16000, 1, 0, counted);
    if (wd_media_file_sound(path, &pcm, &n, &err) == 0) {
        assert_int_equal(n, 0);
        free(pcm);
    } else {
        assert_non_null(strstr(err.text, path));
    }
}

/* [h][w] pixels of three bytes. */
static void write_ppm(unsigned w, unsigned h, const uint8_t *rgb)
{
    FILE *f = begin();

    fprintf(f, "P6\n%u %u\n255\n", w, h);
    fwrite(rgb, 3, (size_t)w * h, f);
    fclose(f);
}

static void a_picture_comes_out_pixel_for_pixel(void **state)
{
    static const unsigned sizes[][2] = {{1, 1}, {3, 2}, {17, 13}, {64, 48}, {101, 7}};
    struct wd_err err = {0};
    uint8_t source[101 * 64 * 3], *rgb;
    uint32_t w, h;

    (void)state;
    for (size_t i = 0; i < sizeof source; i++)
        source[i] = (uint8_t)(i * 2654435761u >> 23);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        write_ppm(sizes[i][0], sizes[i][1], source);
        if (wd_media_file_picture(path, &rgb, &w, &h, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(w, sizes[i][0]);
        assert_int_equal(h, sizes[i][1]);
        assert_memory_equal(rgb, source, (size_t)w * h * 3);
        free(rgb);
    }
}

static void big_endian(uint8_t *to, uint32_t x)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(x >> (24 - 8 * i));
}

static void chunk(FILE *f, const char *type, const uint8_t *data, uint32_t n)
{
    uint8_t all[256], number[4];
    uint32_t crc = UINT32_MAX;

    memcpy(all, type, 4);
    memcpy(all + 4, data, n);
    for (uint32_t i = 0; i < n + 4; i++) {
        crc ^= all[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    big_endian(number, n);
    fwrite(number, 1, 4, f);
    fwrite(all, 1, n + 4, f);
    big_endian(number, ~crc);
    fwrite(number, 1, 4, f);
}

/* A PNG of one row, not compressed: n bytes of pixels of `depth` bits and colour type `type`, with palette and transparency when
 * there are any. */
static void write_png(uint32_t w, uint8_t depth, uint8_t type, const uint8_t *pixels, uint32_t n_pixels, const uint8_t *palette,
                      uint32_t n_palette, const uint8_t *clear, uint32_t n_clear)
{
    uint8_t header[13] = {0}, body[200] = {0x78, 1, 1};
    uint32_t n = 1 + n_pixels, a = 1, b = 0;
    FILE *f = begin();

    assert_true(n < 180);
    fwrite("\x89PNG\r\n\x1a\n", 1, 8, f);
    big_endian(header, w);
    big_endian(header + 4, 1);
    header[8] = depth;
    header[9] = type;
    chunk(f, "IHDR", header, 13);
    if (n_palette)
        chunk(f, "PLTE", palette, n_palette);
    if (n_clear)
        chunk(f, "tRNS", clear, n_clear);
    body[3] = (uint8_t)n;
    body[5] = (uint8_t)~n;
    body[6] = 0xff;
    memcpy(body + 8, pixels, n_pixels); /* body[7]: no filter */
    for (uint32_t i = 0; i < n; i++) {
        a = (a + body[7 + i]) % 65521;
        b = (b + a) % 65521;
    }
    big_endian(body + 7 + n, b << 16 | a);
    chunk(f, "IDAT", body, 7 + n + 4);
    chunk(f, "IEND", body, 0);
    fclose(f);
}

/* What the reference's decoder and its conversion make of each kind of pixel. */
static void any_kind_of_pixel_becomes_rgb(void **state)
{
    enum { GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGBA = 6 };
    static const struct {
        const char *what;
        uint8_t depth, type;
        uint32_t w, n, n_palette, n_clear;
        uint8_t pixels[24], palette[12], clear[6], rgb[24];
    } kinds[] = {
        {"grey", 8, GREY, 4, 4, 0, 0, {0, 1, 128, 255}, {0}, {0}, {0, 0, 0, 1, 1, 1, 128, 128, 128, 255, 255, 255}},
        {"grey of 1 bit", 1, GREY, 4, 1, 0, 0, {0xa0}, {0}, {0}, {255, 255, 255, 0, 0, 0, 255, 255, 255, 0, 0, 0}},
        {"grey of 2 bits", 2, GREY, 4, 1, 0, 0, {0x1b}, {0}, {0}, {0, 0, 0, 85, 85, 85, 170, 170, 170, 255, 255, 255}},
        {"grey of 4 bits", 4, GREY, 2, 1, 0, 0, {0x1e}, {0}, {0}, {17, 17, 17, 238, 238, 238}},
        {"grey of 16 bits", 16, GREY, 4, 8, 0, 0, {0, 255, 1, 0, 127, 255, 255, 255}, {0}, {0}, {0, 0, 0, 1, 1, 1, 127, 127, 127, 255, 255, 255}},
        {"grey with alpha", 8, GREY_ALPHA, 3, 6, 0, 0, {7, 255, 7, 0, 0, 128}, {0}, {0}, {7, 7, 7, 255, 255, 255, 127, 127, 127}},
        {"grey with alpha of 16 bits", 16, GREY_ALPHA, 2, 8, 0, 0, {7, 200, 255, 255, 7, 0, 0, 255}, {0}, {0}, {7, 7, 7, 255, 255, 255}},
        {"a transparent grey", 8, GREY, 3, 3, 0, 2, {1, 2, 3}, {0}, {0, 2}, {1, 1, 1, 255, 255, 255, 3, 3, 3}},
        {"colours of 16 bits", 16, RGB, 2, 12, 0, 0, {1, 255, 2, 128, 3, 0, 254, 255, 253, 127, 0, 200}, {0}, {0}, {1, 2, 3, 254, 253, 0}},
        {"a transparent colour", 8, RGB, 3, 9, 0, 6, {1, 2, 3, 4, 5, 6, 4, 5, 7}, {0}, {0, 4, 0, 5, 0, 6}, {1, 2, 3, 255, 255, 255, 4, 5, 7}},
        {"colours with alpha", 8, RGBA, 3, 12, 0, 0, {10, 20, 30, 255, 10, 20, 30, 0, 0, 100, 200, 128}, {0}, {0}, {10, 20, 30, 255, 255, 255, 127, 177, 227}},
        {"colours with alpha of 16 bits", 16, RGBA, 2, 16, 0, 0, {10, 255, 20, 255, 30, 255, 255, 255, 1, 1, 1, 1, 1, 1, 0, 255}, {0}, {0}, {10, 20, 30, 255, 255, 255}},
        {"a palette", 8, PALETTE, 3, 3, 9, 0, {2, 0, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9}, {0}, {7, 8, 9, 1, 2, 3, 4, 5, 6}},
        {"a palette of 2 bits", 2, PALETTE, 4, 1, 12, 0, {0xe4}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {0}, {10, 11, 12, 7, 8, 9, 4, 5, 6, 1, 2, 3}},
        {"a transparent palette", 8, PALETTE, 3, 3, 9, 2, {0, 1, 2}, {1, 2, 3, 0, 0, 0, 7, 8, 9}, {0, 128}, {255, 255, 255, 127, 127, 127, 7, 8, 9}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct wd_err err = {0};
        uint8_t *rgb;
        uint32_t w, h;

        write_png(kinds[i].w, kinds[i].depth, kinds[i].type, kinds[i].pixels, kinds[i].n, kinds[i].palette, kinds[i].n_palette,
                  kinds[i].clear, kinds[i].n_clear);
        if (wd_media_file_picture(path, &rgb, &w, &h, &err) < 0)
            fail_msg("%s: %s", kinds[i].what, err.text);
        assert_int_equal(w, kinds[i].w);
        assert_int_equal(h, 1);
        for (uint32_t k = 0; k < w * 3; k++)
            if (rgb[k] != kinds[i].rgb[k])
                fail_msg("%s: value %u is %u, expected %u", kinds[i].what, k, rgb[k], kinds[i].rgb[k]);
        free(rgb);
    }
}

/* A JPEG of 32 x 16 pixels, its left half dark, the upper right quarter grey, the rest bright, with an EXIF orientation. */
static void write_jpeg(uint8_t orientation)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    AVCodecContext *c = avcodec_alloc_context3(codec);
    AVFrame *frame = av_frame_alloc();
    AVPacket *packet = av_packet_alloc();
    const uint8_t exif[] = {0xff, 0xe1, 0, 34, 'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1,
                            0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0};
    FILE *f = begin();

    assert_non_null(codec);
    c->width = frame->width = 32;
    c->height = frame->height = 16;
    c->pix_fmt = AV_PIX_FMT_YUVJ444P;
    frame->format = AV_PIX_FMT_YUVJ444P;
    c->time_base = (AVRational){1, 25};
    assert_true(avcodec_open2(c, codec, NULL) >= 0 && av_frame_get_buffer(frame, 0) >= 0);
    for (int y = 0; y < 16; y++) {
        for (int x = 0; x < 32; x++)
            frame->data[0][y * frame->linesize[0] + x] = x < 16 ? 30 : y < 8 ? 128 : 230;
        memset(frame->data[1] + y * frame->linesize[1], 128, 32);
        memset(frame->data[2] + y * frame->linesize[2], 128, 32);
    }
    frame->quality = 1;
    frame->pts = 0;
    assert_true(avcodec_send_frame(c, frame) >= 0 && avcodec_send_frame(c, NULL) >= 0 && avcodec_receive_packet(c, packet) >= 0);
    assert_true(packet->size > 2);
    fwrite(packet->data, 1, 2, f);
    if (orientation)
        fwrite(exif, 1, sizeof exif, f);
    fwrite(packet->data + 2, 1, (size_t)packet->size - 2, f);
    fclose(f);
    av_packet_free(&packet);
    av_frame_free(&frame);
    avcodec_free_context(&c);
}

/* Orientation 1 to 8: where the first row and the first column of the file belong. */
static void a_photo_stands_upright(void **state)
{
    /* Corners from upper left clockwise: d(ark), g(rey), b(right). */
    static const char *const corners[] = {"dgbd", "dgbd", "gddb", "bddg", "dbgd", "ddbg", "ddgb", "bgdd", "gbdd"};

    (void)state;
    for (uint8_t o = 0; o <= 8; o++) {
        struct wd_err err = {0};
        uint8_t *rgb;
        uint32_t w, h, at[4][2];
        char got[5] = "";

        write_jpeg(o);
        if (wd_media_file_picture(path, &rgb, &w, &h, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(w, o >= 5 ? 16 : 32);
        assert_int_equal(h, o >= 5 ? 32 : 16);
        memcpy(at, (const uint32_t[4][2]){{2, 2}, {w - 3, 2}, {w - 3, h - 3}, {2, h - 3}}, sizeof at);
        for (int k = 0; k < 4; k++) {
            uint8_t v = rgb[(at[k][1] * w + at[k][0]) * 3];

            got[k] = v < 80 ? 'd' : v < 180 ? 'g' : 'b';
        }
        if (strcmp(got, corners[o]) != 0)
            fail_msg("orientation %u: corners %s, expected %s", o, got, corners[o]);
        free(rgb);
    }
}

/* A clip of grey frames, frame i having all pixels i. */
static void write_clip(const char *rate, unsigned n, size_t cut)
{
    FILE *f = begin();

    fprintf(f, "YUV4MPEG2 W8 H4 F%s Ip A1:1 Cmono XCOLORRANGE=FULL\n", rate);
    for (unsigned i = 0; i < n; i++) {
        fprintf(f, "FRAME\n");
        for (int k = 0; k < 32; k++)
            fputc((int)i, f);
    }
    fclose(f);
    if (cut)
        assert_int_equal(truncate(path, (off_t)cut), 0);
}

struct seen {
    unsigned n, number[64];
    char time[64][16];
    int stop;
};

static int see(void *arg, uint32_t i, const char *time, const uint8_t *rgb, uint32_t w, uint32_t h, struct wd_err *err)
{
    struct seen *s = arg;

    assert_int_equal(i, s->n);
    assert_int_equal(w, 8);
    assert_int_equal(h, 4);
    for (uint32_t k = 0; k < w * h * 3; k++)
        assert_int_equal(rgb[k], rgb[0]);
    s->number[s->n] = rgb[0];
    snprintf(s->time[s->n++], sizeof s->time[0], "%s", time);
    return s->stop && (int)s->n == s->stop ? wd_err_set(err, -ECANCELED, "enough") : 0;
}

static void a_clip_gives_its_frames_with_their_times(void **state)
{
    struct wd_err err = {0};
    struct seen s = {0};
    static const char *const times[] = {"00:00", "00:40", "01:20", "02:00"};

    (void)state;
    write_clip("1:20", 9, 0);
    if (wd_media_file_video(path, 4, see, &s, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(s.n, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(s.number[i], 2 * i);
        assert_string_equal(s.time[i], times[i]);
    }
    s = (struct seen){0};
    write_clip("25:1", 120, 0);
    assert_int_equal(wd_media_file_video(path, 32, see, &s, &err), 0);
    assert_int_equal(s.n, 32);
    for (unsigned i = 0; i < 32; i++) {
        char want[16];

        assert_int_equal(s.number[i], i * 120 / 32);
        snprintf(want, sizeof want, "00:%02u", i * 120 / 32 / 25);
        assert_string_equal(s.time[i], want);
    }
    s = (struct seen){0};
    write_clip("25:1", 5, 0); /* fewer than are wanted: all */
    assert_int_equal(wd_media_file_video(path, 32, see, &s, &err), 0);
    assert_int_equal(s.n, 5);
    s = (struct seen){.stop = 3};
    assert_int_equal(wd_media_file_video(path, 32, see, &s, &err), -ECANCELED);
    assert_int_equal(s.n, 3);
    s = (struct seen){0};
    write_clip("25:1", 0, 0);
    assert_int_equal(wd_media_file_video(path, 32, see, &s, &err), -EINVAL);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(wd_media_file_video("/nowhere/a.mp4", 32, see, &s, &err), -ENOENT);
    assert_int_equal(s.n, 0);
}

static void what_cannot_be_read_is_named(void **state)
{
    struct wd_err err = {0};
    float *pcm = NULL;
    uint8_t *rgb = NULL;
    size_t n;
    uint32_t w, h;
    FILE *f;

    (void)state;
    assert_int_equal(wd_media_file_sound("/nowhere/a.wav", &pcm, &n, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/a.wav"));
    assert_int_equal(wd_media_file_picture("/nowhere/a.png", &rgb, &w, &h, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/a.png"));
    assert_int_equal(wd_media_file_sound(path, &pcm, &n, &err), -EINVAL); /* empty */
    assert_non_null(strstr(err.text, path));
    assert_int_equal(wd_media_file_sound(TEST_SRCDIR "/tests/nano/pictures/p00a.png", &pcm, &n, &err), -EINVAL);
    assert_non_null(strstr(err.text, "there is no sound in it"));
    assert_int_equal(wd_media_file_picture(TEST_SRCDIR "/tests/nano/speech/cut00.flac", &rgb, &w, &h, &err), -EINVAL);
    assert_non_null(strstr(err.text, "there is no picture in it"));
    f = begin();
    fprintf(f, "P6\n20000 2\n255\n");
    for (int i = 0; i < 20000 * 6; i++)
        fputc(i & 255, f);
    fclose(f);
    assert_int_equal(wd_media_file_picture(path, &rgb, &w, &h, &err), -EINVAL);
    assert_non_null(strstr(err.text, "20000 x 2"));
    assert_null(pcm);
    assert_null(rgb);
}

static void cut_files_give_what_is_there_or_an_error_that_names_them(void **state)
{
    static const char *const files[] = {TEST_SRCDIR "/tests/nano/speech/cut00.flac", TEST_SRCDIR "/tests/nano/pictures/p00a.png"};
    struct wd_err err = {0};
    float *pcm;
    uint8_t *rgb, *all = malloc(1 << 20);
    size_t n, size;
    uint32_t w, h;
    FILE *f;

    (void)state;
    for (int i = 0; i < 2; i++) {
        f = fopen(files[i], "rb");
        assert_non_null(f);
        size = fread(all, 1, 1 << 20, f);
        fclose(f);
        for (unsigned cut = 0; cut < 24; cut++) {
            int r;

            f = begin();
            fwrite(all, 1, size * cut / 24, f);
            fclose(f);
            r = i == 0 ? wd_media_file_sound(path, &pcm, &n, &err) : wd_media_file_picture(path, &rgb, &w, &h, &err);
            if (r < 0) {
                assert_int_equal(r, -EINVAL);
                assert_non_null(strstr(err.text, path));
            } else if (i == 0) {
                assert_true(n <= 16000 * 4);
                free(pcm);
            } else {
                assert_true(w % 48 == 0 && h % 48 == 0);
                free(rgb);
            }
        }
    }
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sixteen_kilohertz_come_out_sample_for_sample, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_rates_and_channels_become_sixteen_kilohertz_mono, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sound_that_changes_midway_is_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_recording_is_no_samples, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_picture_comes_out_pixel_for_pixel, set_up, tear_down),
        cmocka_unit_test_setup_teardown(any_kind_of_pixel_becomes_rgb, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_photo_stands_upright, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_clip_gives_its_frames_with_their_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cut_files_give_what_is_there_or_an_error_that_names_them, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
