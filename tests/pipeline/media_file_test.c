/* tests/pipeline/media_file_test.c - a whole file at once: sample for sample, pixel for pixel, or an error that names it. */
#include "pipeline/media_file.h"

#include <errno.h>
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

/* One row of w RGBA pixels as PNG, not compressed. */
static void write_png_row(uint32_t w, const uint8_t *rgba)
{
    uint8_t header[13] = {0}, body[200] = {0x78, 1, 1};
    uint32_t n = 1 + w * 4, a = 1, b = 0;
    FILE *f = begin();

    fwrite("\x89PNG\r\n\x1a\n", 1, 8, f);
    big_endian(header, w);
    big_endian(header + 4, 1);
    header[8] = 8;
    header[9] = 6;
    chunk(f, "IHDR", header, 13);
    body[3] = (uint8_t)n;
    body[5] = (uint8_t)~n;
    body[6] = 0xff;
    memcpy(body + 8, rgba, w * 4); /* body[7]: no filter */
    for (uint32_t i = 0; i < n; i++) {
        a = (a + body[7 + i]) % 65521;
        b = (b + a) % 65521;
    }
    big_endian(body + 7 + n, b << 16 | a);
    chunk(f, "IDAT", body, 7 + n + 4);
    chunk(f, "IEND", body, 0);
    fclose(f);
}

static void what_shines_through_is_white(void **state)
{
    struct wd_err err = {0};
    uint8_t *rgb;
    uint32_t w, h;

    (void)state;
    write_png_row(3, (const uint8_t[]){10, 20, 30, 255, 10, 20, 30, 0, 0, 100, 200, 128});
    if (wd_media_file_picture(path, &rgb, &w, &h, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(w, 3);
    assert_int_equal(h, 1);
    assert_memory_equal(rgb, ((const uint8_t[]){10, 20, 30, 255, 255, 255}), 6);
    for (int c = 0; c < 3; c++) {
        double want = 255 + (c * 100 - 255) * 128.0 / 255;

        assert_true(fabs(rgb[6 + c] - want) <= 1);
    }
    free(rgb);
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
        cmocka_unit_test_setup_teardown(what_shines_through_is_white, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cut_files_give_what_is_there_or_an_error_that_names_them, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
