/* tests/pipeline/nano.c - the shipped model, its profile and the voice networks, opened once for a test program. */
#include "tests/pipeline/nano.h"

#include "pipeline/media_file.h"
#include "pipeline/picture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void wd_nano_open(struct wd_nano *n, unsigned max_rows)
{
    struct wd_engine_opts opts = {.n_threads = 2, .max_rows = max_rows};
    struct wd_err err = {0};

    if (wd_engine_open(TEST_SRCDIR "/models/nano.gguf", &opts, &n->engine, &err) < 0 ||
        wd_voice_open(TEST_SRCDIR "/models/voice-print.safetensors", TEST_SRCDIR "/models/speech-activity.safetensors", &n->voice, &err) < 0 ||
        wd_profile_read(TEST_SRCDIR "/models/nano.prompt.yaml", &n->profile, &err) < 0)
        fail_msg("%s", err.text);
}

void wd_nano_close(struct wd_nano *n)
{
    wd_profile_free(n->profile);
    wd_voice_free(n->voice);
    wd_engine_free(n->engine);
}

float *wd_nano_clip(const char *name, size_t *ret_n)
{
    struct wd_err err = {0};
    char path[256];
    float *pcm;

    snprintf(path, sizeof path, TEST_SRCDIR "/tests/nano/speech/%s.flac", name);
    if (wd_media_file_sound(path, &pcm, ret_n, &err) < 0)
        fail_msg("%s", err.text);
    return pcm;
}

float *wd_nano_append(float *pcm, size_t *n, const float *more, size_t n_more)
{
    float *all = realloc(pcm, (*n + n_more) * sizeof *all);

    assert_non_null(all);
    if (more)
        memcpy(all + *n, more, n_more * sizeof *all);
    else
        memset(all + *n, 0, n_more * sizeof *all);
    *n += n_more;
    return all;
}

struct wd_picture *wd_nano_picture(struct wd_picture_pool *pool, const char *name, int64_t t_ns)
{
    struct wd_picture *p = wd_picture_get(pool);
    struct wd_err err = {0};
    char path[256];
    uint8_t *rgb;

    assert_non_null(p);
    snprintf(path, sizeof path, TEST_SRCDIR "/tests/nano/pictures/%s.png", name);
    if (wd_media_file_picture(path, &rgb, &p->w, &p->h, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(p->w % 48 == 0 && p->h % 48 == 0);
    memcpy(p->space, rgb, (size_t)p->w * p->h * 3);
    p->rgb = p->space;
    p->t_ns = t_ns;
    free(rgb);
    return p;
}
