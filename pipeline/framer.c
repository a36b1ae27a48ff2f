/* pipeline/framer.c - samples cut into 40 ms frames. */
#include "pipeline/framer.h"
#include "pipeline/timeline.h"
#include <errno.h>
#include <string.h>

size_t wd_framer_room(const struct wd_framer *f)
{
    return WD_FRAMER_SAMPLES - f->n;
}

int64_t wd_framer_end_ns(const struct wd_framer *f)
{
    return f->t0_ns + (int64_t)f->n * WD_SAMPLE_NS;
}

int wd_framer_push(struct wd_framer *f, const float *pcm, size_t n, int64_t t_ns)
{
    int64_t off_ns = t_ns - wd_framer_end_ns(f);

    if (n > wd_framer_room(f))
        return -ERANGE;
    if (!f->n)
        f->t0_ns = t_ns;
    else if (off_ns < -WD_SAMPLE_NS / 2 || off_ns > WD_SAMPLE_NS / 2)
        return -ERANGE;
    memcpy(f->pcm + f->n, pcm, n * sizeof *pcm);
    f->n += n;
    return 0;
}

bool wd_framer_take(struct wd_framer *f, float ret_pcm[WD_FRAMER_SAMPLES], int64_t *ret_t0_ns)
{
    if (f->n < WD_FRAMER_SAMPLES)
        return false;
    return wd_framer_flush(f, ret_pcm, ret_t0_ns);
}

bool wd_framer_flush(struct wd_framer *f, float ret_pcm[WD_FRAMER_SAMPLES], int64_t *ret_t0_ns)
{
    if (!f->n)
        return false;
    memcpy(ret_pcm, f->pcm, f->n * sizeof *f->pcm);
    memset(ret_pcm + f->n, 0, wd_framer_room(f) * sizeof *f->pcm);
    *ret_t0_ns = f->t0_ns;
    f->t0_ns = wd_framer_end_ns(f);
    f->n = 0;
    return true;
}
