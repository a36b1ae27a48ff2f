/* model/features.c - 25 ms of sound to 40 log mel bands: window, a real FFT of 512 and triangles.
 */
#include "model/features.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HALF (WD_FEATURES_FFT / 2) /* the real FFT is a complex one of half the length */
#define LOW_HZ 60.0
#define HIGH_HZ 7600.0
#define RATE_HZ 16000.0

struct complex_f {
    float re, im;
};

struct band {
    unsigned first, n; /* bins with a weight above 0 */
    float weight[WD_FEATURES_BINS];
};

struct wd_features {
    float window[WD_FEATURES_WINDOW];
    struct complex_f turn[WD_FEATURES_FFT]; /* exp(-2 pi i k / 512) */
    struct band bands[WD_FEATURES_BANDS];
};

static double mel_of(double hz)
{
    return 2595.0 * log10(1.0 + hz / 700.0);
}

static double hz_of(double mel)
{
    return 700.0 * (pow(10.0, mel / 2595.0) - 1.0);
}

static void make_bands(struct band *bands)
{
    double edge[WD_FEATURES_BANDS + 2];
    double low = mel_of(LOW_HZ);
    double step = (mel_of(HIGH_HZ) - low) / (WD_FEATURES_BANDS + 1);

    for (int i = 0; i < WD_FEATURES_BANDS + 2; i++)
        edge[i] = hz_of(low + step * i);
    for (int i = 0; i < WD_FEATURES_BANDS; i++) {
        struct band *b = &bands[i];

        for (unsigned k = 0; k < WD_FEATURES_BINS; k++) {
            double hz = k * RATE_HZ / WD_FEATURES_FFT;
            double w = fmin((hz - edge[i]) / (edge[i + 1] - edge[i]),
                            (edge[i + 2] - hz) / (edge[i + 2] - edge[i + 1]));

            if (!(w > 0.0))
                continue;
            if (!b->n)
                b->first = k;
            b->weight[b->n++] = (float)w;
        }
    }
}

int wd_features_new(struct wd_features **ret, struct wd_err *err)
{
    struct wd_features *f = calloc(1, sizeof *f);
    const double two_pi = 2.0 * acos(-1.0);

    if (!f)
        return wd_err_set(err, -ENOMEM, "voice features: out of memory");
    for (int i = 0; i < WD_FEATURES_WINDOW; i++)
        f->window[i] = (float)(0.5 - 0.5 * cos(two_pi * i / WD_FEATURES_WINDOW));
    for (int k = 0; k < WD_FEATURES_FFT; k++) {
        f->turn[k].re = (float)cos(two_pi * k / WD_FEATURES_FFT);
        f->turn[k].im = (float)-sin(two_pi * k / WD_FEATURES_FFT);
    }
    make_bands(f->bands);
    *ret = f;
    return 0;
}

struct wd_features *wd_features_free(struct wd_features *f)
{
    free(f);
    return NULL;
}

static struct complex_f times(struct complex_f a, struct complex_f b)
{
    return (struct complex_f){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* Complex FFT of 256 in place; work [256]. Four passes of radix 4, each of which also sorts
 * (Stockham), so that the result ends in order, and in x because the number of passes is even. */
static void fft_256(const struct wd_features *f, struct complex_f *x, struct complex_f *work)
{
    for (unsigned n = HALF, stride = 1; n > 1; n /= 4, stride *= 4) {
        unsigned quarter = n / 4;
        struct complex_f *swap;

        for (unsigned p = 0; p < quarter; p++) {
            /* exp(-2 pi i p / n) stands in the table of 512 at p * 512 / n */
            struct complex_f w1 = f->turn[p * (WD_FEATURES_FFT / n)];
            struct complex_f w2 = f->turn[2 * p * (WD_FEATURES_FFT / n)];
            struct complex_f w3 = f->turn[3 * p * (WD_FEATURES_FFT / n)];

            for (unsigned q = 0; q < stride; q++) {
                struct complex_f a = x[q + stride * p], b = x[q + stride * (p + quarter)];
                struct complex_f c = x[q + stride * (p + 2 * quarter)];
                struct complex_f d = x[q + stride * (p + 3 * quarter)];
                struct complex_f sum_ac = {a.re + c.re, a.im + c.im},
                                 dif_ac = {a.re - c.re, a.im - c.im};
                struct complex_f sum_bd = {b.re + d.re, b.im + d.im};
                struct complex_f i_dif_bd = {d.im - b.im, b.re - d.re}; /* i (b - d) */
                struct complex_f *y = &work[q + stride * 4 * p];

                y[0] = (struct complex_f){sum_ac.re + sum_bd.re, sum_ac.im + sum_bd.im};
                y[stride] =
                    times(w1, (struct complex_f){dif_ac.re - i_dif_bd.re, dif_ac.im - i_dif_bd.im});
                y[2 * stride] =
                    times(w2, (struct complex_f){sum_ac.re - sum_bd.re, sum_ac.im - sum_bd.im});
                y[3 * stride] =
                    times(w3, (struct complex_f){dif_ac.re + i_dif_bd.re, dif_ac.im + i_dif_bd.im});
            }
        }
        swap = x;
        x = work;
        work = swap;
    }
}

void wd_features_power(const struct wd_features *f, const float *pcm, float *ret_power)
{
    struct complex_f z[HALF] = {{0}}, work[HALF];

    /* Even samples are the real parts, odd ones the imaginary parts; what lies behind the window
     * stays 0. */
    for (int i = 0; i < WD_FEATURES_WINDOW / 2; i++) {
        z[i].re = pcm[2 * i] * f->window[2 * i];
        z[i].im = pcm[2 * i + 1] * f->window[2 * i + 1];
    }
    fft_256(f, z, work);
    for (unsigned k = 0; k <= HALF; k++) {
        struct complex_f a = z[k % HALF], b = z[(HALF - k) % HALF];
        struct complex_f even = {0.5f * (a.re + b.re), 0.5f * (a.im - b.im)};
        struct complex_f odd =
            times(f->turn[k], (struct complex_f){0.5f * (a.im + b.im), 0.5f * (b.re - a.re)});
        float re = even.re + odd.re, im = even.im + odd.im;

        ret_power[k] = re * re + im * im;
    }
}

void wd_features_frame(const struct wd_features *f, const float *pcm, float gain, float floor,
                       float scale, float *ret)
{
    float power[WD_FEATURES_BINS];

    wd_features_power(f, pcm, power);
    for (int i = 0; i < WD_FEATURES_BANDS; i++) {
        const struct band *b = &f->bands[i];
        float sum = 0.0f;

        for (unsigned k = 0; k < b->n; k++)
            sum += b->weight[k] * power[b->first + k];
        ret[i] = scale * logf(gain * gain * sum + floor);
    }
}
