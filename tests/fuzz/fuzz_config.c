/* tests/fuzz/fuzz_config.c - any bytes as a configuration, as a prompt profile, and as carried
 * text: never a crash, always a sentence. */
#include "daemon/config.h"
#include "pipeline/profile.h"
#include "pipeline/prompt.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An error has a place and a reason; what was read can be printed and freed. */
static void check_err(int r, const struct wd_err *err)
{
    if (r < 0 && (err->code != r || strncmp(err->text, "f:", 2) || strlen(err->text) < 5))
        abort();
}

static void cut(const struct wd_profile *p, const uint8_t *data, size_t size)
{
    char text[2048], out[300];
    size_t n = size < sizeof text - 1 ? size : sizeof text - 1, len;
    size_t max = (size_t)p->transcribe.carried.max_chars, chars = 0;

    memcpy(text, data, n);
    text[n] = '\0';
    len = wd_prompt_cut(p, text, out, sizeof out);
    if (len >= sizeof out || strlen(out) != len)
        abort();
    for (size_t i = 0; i < len; i++)
        chars += ((unsigned char)out[i] & 0xc0) != 0x80;
    if (max && chars > max)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wd_config *c = NULL;
    struct wd_profile *p = NULL;
    struct wd_err err = {0};
    int r = wd_config_parse("f", (const char *)data, size, &c, &err);

    check_err(r, &err);
    wd_config_free(c);
    err = (struct wd_err){0};
    r = wd_profile_parse("f", (const char *)data, size, &p, &err);
    check_err(r, &err);
    if (r == 0) {
        wd_profile_matches(p, "Gemma 4 12B", "/models/gemma.gguf");
        cut(p, data, size);
    }
    wd_profile_free(p);
    return 0;
}
