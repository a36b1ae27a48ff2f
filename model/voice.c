/* model/voice.c - the voice print and the speech gate, layer by layer as docs/voice.md defines
 * them. */
#include "model/voice.h"
#include "model/features.h"
#include "model/tensor_file.h"
#include <cblas.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CH WD_FEATURES_BANDS /* channels of a feature vector */
#define WIDTH 160            /* channels inside the print network */
#define BLOCKS 5
#define STEM_TAPS 7
#define STEM_STRIDE 4
#define STEM_PAD 3
#define TAPS 3
#define MAX_DILATION 3
#define MAX_FRAMES (1 + (WD_VOICE_PIECE - WD_FEATURES_WINDOW) / WD_FEATURES_HOP)
#define MAX_STEPS ((MAX_FRAMES + 2 * STEM_PAD - STEM_TAPS) / STEM_STRIDE + 1)
#define GATES (3 * WD_GATE_STATE) /* r, z, n */

#define PRINT_LEVEL 0.05f
#define PRINT_FLOOR 1e-4f
#define PRINT_SCALE 0.25f
#define GATE_FLOOR 1e-5f
#define GATE_SCALE 0.2f
#define NORM_EPSILON 1e-5f
#define POOL_EPSILON 1e-5f

static const unsigned dilations[BLOCKS] = {1, 2, 3, 1, 2};

struct norm {
    float weight[2 * WIDTH], bias[2 * WIDTH];
};

struct block {
    struct norm norm;
    float conv[TAPS][WIDTH * WIDTH]; /* [tap][out][in], so that each tap is one matrix product */
    float conv_bias[WIDTH];
    float lin[WIDTH * WIDTH], lin_bias[WIDTH];
};

struct print_net {
    float stem[WIDTH * STEM_TAPS * CH]; /* [out][tap][in]: one row of it lies as the sound does */
    float stem_bias[WIDTH];
    struct block blocks[BLOCKS];
    struct norm norm;
    float att[WIDTH * WIDTH], att_bias[WIDTH];
    struct norm pool_norm;
    float head[WD_VOICE_DIM * 2 * WIDTH], head_bias[WD_VOICE_DIM];
};

struct gate_net { /* matrices turned round, [in][out], so that the inner loop has no sum to carry */
    float inp[WD_GATE_INPUT * WD_GATE_STATE], inp_bias[WD_GATE_STATE];
    float ih[WD_GATE_STATE * GATES], ih_bias[GATES];
    float hh[WD_GATE_STATE * GATES], hh_bias[GATES];
    float out[WD_GATE_STATE], out_bias;
};

struct wd_voice {
    struct wd_features *features;
    struct print_net print;
    struct gate_net gate;
};

struct wd_voice_scratch {
    float features[(MAX_FRAMES + 2 * STEM_PAD) *
                   CH]; /* zeros before and behind: the stem's padding */
    float x[MAX_STEPS * WIDTH];
    float padded[(MAX_STEPS + 2 * MAX_DILATION) * WIDTH]; /* the normalised x between zeros */
    float hidden[MAX_STEPS * WIDTH];
    float att[MAX_STEPS * WIDTH];
    float pool[2 * WIDTH], pool_normed[2 * WIDTH];
    float head[WD_VOICE_DIM];
};

struct wd_gate {
    const struct wd_voice *voice;
    float pcm[WD_FEATURES_WINDOW - WD_FEATURES_HOP +
              WD_GATE_FRAME]; /* 240 samples of the past, then the frame */
    float features[WD_GATE_INPUT];
    float state[WD_GATE_STATE];
};

/* Opening. */

/* The data of a tensor of exactly this shape, slowest dimension first (0 ends it early); NULL with
 * err set. */
static const float *tensor(const struct wd_tensor_file *file, const char *name,
                           const uint64_t shape[3], struct wd_err *err)
{
    const struct wd_tensor *t = wd_tensor_file_find(file, name);
    unsigned n_dims = shape[1] ? shape[2] ? 3 : 2 : 1;
    uint64_t count = 1;

    if (!t) {
        wd_err_set(err, -EINVAL, "%s: no tensor %s", wd_tensor_file_path(file), name);
        return NULL;
    }
    for (unsigned i = 0; i < n_dims; i++)
        count *= shape[i];
    for (unsigned i = 0; i < 4; i++) {
        if (t->n_dims == n_dims && t->dims[i] == (i < n_dims ? shape[n_dims - 1 - i] : 1))
            continue;
        wd_err_set(err, -EINVAL,
                   "%s: %s is %llu x %llu x %llu (%u dimensions), expected %llu x %llu x %llu (%u)",
                   wd_tensor_file_path(file), name, (unsigned long long)t->dims[2],
                   (unsigned long long)t->dims[1], (unsigned long long)t->dims[0], t->n_dims,
                   (unsigned long long)(n_dims > 2 ? shape[n_dims - 3] : 1),
                   (unsigned long long)(n_dims > 1 ? shape[n_dims - 2] : 1),
                   (unsigned long long)shape[n_dims - 1], n_dims);
        return NULL;
    }
    if (t->type != WD_TYPE_F32 || t->n_bytes != count * sizeof(float)) {
        wd_err_set(err, -EINVAL, "%s: %s is not F32", wd_tensor_file_path(file), name);
        return NULL;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (isfinite(((const float *)t->data)[i]))
            continue;
        wd_err_set(err, -EINVAL, "%s: %s: number %llu is not finite", wd_tensor_file_path(file),
                   name, (unsigned long long)i);
        return NULL;
    }
    return t->data;
}

/* dst in the order of the file; `prefix` and `name` make the tensor's name. */
static int load(const struct wd_tensor_file *file, const char *prefix, const char *name,
                uint64_t d0, uint64_t d1, float *dst, struct wd_err *err)
{
    char full[64];
    size_t n_prefix = strlen(prefix);
    const float *src;

    if (n_prefix + strlen(name) >= sizeof full)
        return wd_err_set(err, -EINVAL, "tensor name %s%s is too long", prefix, name);
    memcpy(full, prefix, n_prefix);
    memcpy(full + n_prefix, name, strlen(name) + 1);
    src = tensor(file, full, (uint64_t[3]){d0, d1, 0}, err);
    if (!src)
        return -EINVAL;
    memcpy(dst, src, (size_t)(d0 * (d1 ? d1 : 1)) * sizeof *dst);
    return 0;
}

/* dst [d1][d0] of a tensor [d0][d1]. */
static int load_turned(const struct wd_tensor_file *file, const char *name, size_t d0, size_t d1,
                       float *dst, struct wd_err *err)
{
    const float *src = tensor(file, name, (uint64_t[3]){d0, d1, 0}, err);

    if (!src)
        return -EINVAL;
    for (size_t o = 0; o < d0; o++)
        for (size_t i = 0; i < d1; i++)
            dst[i * d0 + o] = src[o * d1 + i];
    return 0;
}

static int load_norm(const struct wd_tensor_file *file, const char *prefix, uint64_t n,
                     struct norm *norm, struct wd_err *err)
{
    int r = load(file, prefix, "norm.weight", n, 0, norm->weight, err);

    return r < 0 ? r : load(file, prefix, "norm.bias", n, 0, norm->bias, err);
}

static int load_stem(const struct wd_tensor_file *file, struct print_net *p, struct wd_err *err)
{
    const float *src = tensor(file, "stem.weight", (uint64_t[3]){WIDTH, CH, STEM_TAPS}, err);

    if (!src)
        return -EINVAL;
    for (size_t o = 0; o < WIDTH; o++)
        for (size_t i = 0; i < CH; i++)
            for (size_t j = 0; j < STEM_TAPS; j++)
                p->stem[(o * STEM_TAPS + j) * CH + i] = src[(o * CH + i) * STEM_TAPS + j];
    return load(file, "stem.", "bias", WIDTH, 0, p->stem_bias, err);
}

static int load_block(const struct wd_tensor_file *file, unsigned n, struct block *b,
                      struct wd_err *err)
{
    char prefix[] = "blocks.0.", name[] = "blocks.0.conv.weight";
    const float *src;
    int r;

    prefix[7] = name[7] = (char)('0' + n);
    src = tensor(file, name, (uint64_t[3]){WIDTH, WIDTH, TAPS}, err);
    if (!src)
        return -EINVAL;
    for (size_t o = 0; o < WIDTH; o++)
        for (size_t i = 0; i < WIDTH; i++)
            for (size_t j = 0; j < TAPS; j++)
                b->conv[j][o * WIDTH + i] = src[(o * WIDTH + i) * TAPS + j];
    if ((r = load_norm(file, prefix, WIDTH, &b->norm, err)) < 0 ||
        (r = load(file, prefix, "conv.bias", WIDTH, 0, b->conv_bias, err)) < 0 ||
        (r = load(file, prefix, "lin.weight", WIDTH, WIDTH, b->lin, err)) < 0 ||
        (r = load(file, prefix, "lin.bias", WIDTH, 0, b->lin_bias, err)) < 0)
        return r;
    return 0;
}

static int load_print(const char *path, struct print_net *p, struct wd_err *err)
{
    struct wd_tensor_file *file;
    int r = wd_tensor_file_open(path, &file, err);

    if (r < 0)
        return r;
    r = load_stem(file, p, err);
    for (unsigned i = 0; r >= 0 && i < BLOCKS; i++)
        r = load_block(file, i, &p->blocks[i], err);
    if (r < 0 || (r = load_norm(file, "", WIDTH, &p->norm, err)) < 0 ||
        (r = load(file, "att.", "weight", WIDTH, WIDTH, p->att, err)) < 0 ||
        (r = load(file, "att.", "bias", WIDTH, 0, p->att_bias, err)) < 0 ||
        (r = load_norm(file, "pool_", 2 * WIDTH, &p->pool_norm, err)) < 0 ||
        (r = load(file, "head.", "weight", WD_VOICE_DIM, 2 * WIDTH, p->head, err)) < 0)
        goto done;
    r = load(file, "head.", "bias", WD_VOICE_DIM, 0, p->head_bias, err);
done:
    if (r >= 0)
        r = wd_tensor_file_torn(file, err);
    wd_tensor_file_free(file);
    return r;
}

static int load_gate(const char *path, struct gate_net *g, struct wd_err *err)
{
    struct wd_tensor_file *file;
    int r = wd_tensor_file_open(path, &file, err);

    if (r < 0)
        return r;
    if ((r = load_turned(file, "inp.weight", WD_GATE_STATE, WD_GATE_INPUT, g->inp, err)) < 0 ||
        (r = load(file, "inp.", "bias", WD_GATE_STATE, 0, g->inp_bias, err)) < 0 ||
        (r = load_turned(file, "gru.weight_ih_l0", GATES, WD_GATE_STATE, g->ih, err)) < 0 ||
        (r = load_turned(file, "gru.weight_hh_l0", GATES, WD_GATE_STATE, g->hh, err)) < 0 ||
        (r = load(file, "gru.", "bias_ih_l0", GATES, 0, g->ih_bias, err)) < 0 ||
        (r = load(file, "gru.", "bias_hh_l0", GATES, 0, g->hh_bias, err)) < 0 ||
        (r = load(file, "out.", "weight", 1, WD_GATE_STATE, g->out, err)) < 0)
        goto done;
    r = load(file, "out.", "bias", 1, 0, &g->out_bias, err);
done:
    if (r >= 0)
        r = wd_tensor_file_torn(file, err);
    wd_tensor_file_free(file);
    return r;
}

int wd_voice_open(const char *print_path, const char *activity_path, struct wd_voice **ret,
                  struct wd_err *err)
{
    struct wd_voice *v = calloc(1, sizeof *v);
    int r;

    if (!v)
        return wd_err_set(err, -ENOMEM, "%s: out of memory", print_path);
    if ((r = wd_features_new(&v->features, err)) < 0 ||
        (r = load_print(print_path, &v->print, err)) < 0 ||
        (r = load_gate(activity_path, &v->gate, err)) < 0) {
        wd_voice_free(v);
        return r;
    }
    /* One print is too small to share out, and the engine's threads are its own: BLAS works on the
     * calling thread. */
    openblas_set_num_threads(1);
    *ret = v;
    return 0;
}

struct wd_voice *wd_voice_free(struct wd_voice *v)
{
    if (v)
        wd_features_free(v->features);
    free(v);
    return NULL;
}

/* The gate. */

int wd_gate_new(const struct wd_voice *v, struct wd_gate **ret, struct wd_err *err)
{
    struct wd_gate *g = calloc(1, sizeof *g);

    if (!g)
        return wd_err_set(err, -ENOMEM, "speech gate: out of memory");
    g->voice = v;
    *ret = g;
    return 0;
}

struct wd_gate *wd_gate_free(struct wd_gate *g)
{
    free(g);
    return NULL;
}

void wd_gate_reset(struct wd_gate *g)
{
    *g = (struct wd_gate){.voice = g->voice};
}

/* y [n_out] = bias + w [n_in][n_out] x */
static void map(const float *w, const float *bias, const float *x, size_t n_in, size_t n_out,
                float *y)
{
    memcpy(y, bias, n_out * sizeof *y);
    for (size_t i = 0; i < n_in; i++)
        for (size_t o = 0; o < n_out; o++)
            y[o] += w[i * n_out + o] * x[i];
}

static float sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

float wd_gate_push(struct wd_gate *g, const float pcm[WD_GATE_FRAME])
{
    const size_t n_past = WD_FEATURES_WINDOW - WD_FEATURES_HOP;
    const struct gate_net *net = &g->voice->gate;
    float u[WD_GATE_STATE], in[GATES], back[GATES], logit = net->out_bias;

    memcpy(g->pcm + n_past, pcm, WD_GATE_FRAME * sizeof *pcm);
    for (size_t i = 0; i < WD_GATE_INPUT / CH; i++)
        wd_features_frame(g->voice->features, g->pcm + i * WD_FEATURES_HOP, 1.0f, GATE_FLOOR,
                          GATE_SCALE, g->features + i * CH);
    memmove(g->pcm, g->pcm + WD_GATE_FRAME, n_past * sizeof *pcm);

    map(net->inp, net->inp_bias, g->features, WD_GATE_INPUT, WD_GATE_STATE, u);
    for (size_t i = 0; i < WD_GATE_STATE; i++)
        u[i] = u[i] > 0.0f ? u[i] : 0.0f;
    map(net->ih, net->ih_bias, u, WD_GATE_STATE, GATES, in);
    map(net->hh, net->hh_bias, g->state, WD_GATE_STATE, GATES, back);
    for (size_t i = 0; i < WD_GATE_STATE; i++) {
        float r = sigmoid(in[i] + back[i]);
        float z = sigmoid(in[WD_GATE_STATE + i] + back[WD_GATE_STATE + i]);
        float n = tanhf(in[2 * WD_GATE_STATE + i] + r * back[2 * WD_GATE_STATE + i]);

        g->state[i] = (1.0f - z) * n + z * g->state[i];
        logit += net->out[i] * g->state[i];
    }
    /* A state that is not a number would never become one again. The sum of features sees what ReLU
     * hides. */
    for (size_t i = 0; i < WD_GATE_INPUT; i++)
        logit += 0.0f * g->features[i];
    if (!isfinite(logit)) {
        wd_gate_reset(g);
        return 0.0f;
    }
    return sigmoid(logit);
}

const float *wd_gate_features(const struct wd_gate *g)
{
    return g->features;
}

const float *wd_gate_state(const struct wd_gate *g)
{
    return g->state;
}

/* The print. */

int wd_voice_scratch_new(const struct wd_voice *v, struct wd_voice_scratch **ret,
                         struct wd_err *err)
{
    struct wd_voice_scratch *s = calloc(1, sizeof *s);

    (void)v;
    if (!s)
        return wd_err_set(err, -ENOMEM, "voice print: out of memory");
    *ret = s;
    return 0;
}

struct wd_voice_scratch *wd_voice_scratch_free(struct wd_voice_scratch *s)
{
    free(s);
    return NULL;
}

/* y [rows][n_out] += x [rows, x_stride apart][n_in] (w [n_out, w_stride apart][n_in])^T */
static void add_product(const float *x, size_t x_stride, size_t rows, const float *w,
                        size_t w_stride, size_t n_in, size_t n_out, float *y)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)n_out, (int)n_in, 1.0f, x,
                (int)x_stride, w, (int)w_stride, 1.0f, y, (int)n_out);
}

static void fill_rows(const float *bias, size_t rows, size_t n, float *y)
{
    for (size_t t = 0; t < rows; t++)
        memcpy(y + t * n, bias, n * sizeof *y);
}

static void layer_norm(const struct norm *norm, const float *x, size_t n, float *y)
{
    float mean = 0.0f, var = 0.0f, scale;

    for (size_t i = 0; i < n; i++)
        mean += x[i];
    mean /= (float)n;
    for (size_t i = 0; i < n; i++)
        var += (x[i] - mean) * (x[i] - mean);
    scale = 1.0f / sqrtf(var / (float)n + NORM_EPSILON);
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] - mean) * scale * norm->weight[i] + norm->bias[i];
}

/* Every piece is brought to one level first: the print must not depend on how loud somebody speaks.
 */
static int print_features(const struct wd_voice *v, struct wd_voice_scratch *s, const float *pcm,
                          size_t n, size_t frames)
{
    double sum = 0.0;
    float gain;

    for (size_t i = 0; i < n; i++)
        sum += (double)pcm[i] * (double)pcm[i];
    if (!isfinite(sum))
        return -EDOM;
    gain = PRINT_LEVEL / ((float)sqrt(sum / (double)n) + 1e-5f);
    memset(s->features, 0, sizeof s->features);
    for (size_t i = 0; i < frames; i++)
        wd_features_frame(v->features, pcm + i * WD_FEATURES_HOP, gain, PRINT_FLOOR, PRINT_SCALE,
                          s->features + (STEM_PAD + i) * CH);
    return 0;
}

/* Time stands first, so that the taps under the kernel are one run of numbers, and the rows of the
 * product are stretches of the features as they lie. BLAS takes no rows that overlap: the taps of
 * one stride first, then the rest. */
static void stem(const struct print_net *net, struct wd_voice_scratch *s, size_t steps)
{
    const size_t row = STEM_STRIDE * CH, all = STEM_TAPS * CH;

    fill_rows(net->stem_bias, steps, WIDTH, s->x);
    add_product(s->features, row, steps, net->stem, all, row, WIDTH, s->x);
    add_product(s->features + row, row, steps, net->stem + row, all, all - row, WIDTH, s->x);
}

/* x = x + lin(ReLU(conv(norm(x)))) */
static void apply_block(const struct block *b, unsigned dilation, struct wd_voice_scratch *s,
                        size_t steps)
{
    memset(s->padded, 0, dilation * WIDTH * sizeof *s->padded);
    for (size_t t = 0; t < steps; t++)
        layer_norm(&b->norm, s->x + t * WIDTH, WIDTH, s->padded + (dilation + t) * WIDTH);
    memset(s->padded + (dilation + steps) * WIDTH, 0, dilation * WIDTH * sizeof *s->padded);
    fill_rows(b->conv_bias, steps, WIDTH, s->hidden);
    for (size_t j = 0; j < TAPS; j++)
        add_product(s->padded + j * dilation * WIDTH, WIDTH, steps, b->conv[j], WIDTH, WIDTH, WIDTH,
                    s->hidden);
    for (size_t i = 0; i < steps * WIDTH; i++)
        s->hidden[i] = s->hidden[i] > 0.0f ? s->hidden[i] : 0.0f;
    for (size_t t = 0; t < steps; t++)
        for (size_t c = 0; c < WIDTH; c++)
            s->x[t * WIDTH + c] += b->lin_bias[c];
    add_product(s->hidden, WIDTH, steps, b->lin, WIDTH, WIDTH, WIDTH, s->x);
}

/* In place, over time, each channel on its own. */
static void softmax_over_time(float *a, size_t steps)
{
    for (size_t c = 0; c < WIDTH; c++) {
        float max = a[c], sum = 0.0f;

        for (size_t t = 1; t < steps; t++)
            max = fmaxf(max, a[t * WIDTH + c]);
        for (size_t t = 0; t < steps; t++)
            sum += a[t * WIDTH + c] = expf(a[t * WIDTH + c] - max);
        for (size_t t = 0; t < steps; t++)
            a[t * WIDTH + c] /= sum;
    }
}

/* Weighted mean and deviation of y over time. */
static void pool(const float *y, const float *a, size_t steps, float *ret)
{
    for (size_t c = 0; c < WIDTH; c++) {
        float mean = 0.0f, square = 0.0f;

        for (size_t t = 0; t < steps; t++) {
            mean += a[t * WIDTH + c] * y[t * WIDTH + c];
            square += a[t * WIDTH + c] * y[t * WIDTH + c] * y[t * WIDTH + c];
        }
        ret[c] = mean;
        ret[WIDTH + c] = sqrtf(fmaxf(square - mean * mean, POOL_EPSILON));
    }
}

static void show_nothing(void *ctx, const char *name, const float *x, size_t n)
{
    (void)ctx;
    (void)name;
    (void)x;
    (void)n;
}

int wd_voice_print(const struct wd_voice *v, struct wd_voice_scratch *s, const float *pcm, size_t n,
                   float ret[WD_VOICE_DIM])
{
    return wd_voice_print_steps(v, s, pcm, n, show_nothing, NULL, ret);
}

int wd_voice_print_steps(const struct wd_voice *v, struct wd_voice_scratch *s, const float *pcm,
                         size_t n, wd_voice_step *step, void *ctx, float ret[WD_VOICE_DIM])
{
    const struct print_net *net = &v->print;
    size_t frames, steps;
    double length = 0.0;
    int r;

    if (n < WD_VOICE_MIN_SAMPLES || n > WD_VOICE_PIECE)
        return -EINVAL;
    frames = 1 + (n - WD_FEATURES_WINDOW) / WD_FEATURES_HOP;
    steps = (frames + 2 * STEM_PAD - STEM_TAPS) / STEM_STRIDE + 1;
    r = print_features(v, s, pcm, n, frames);
    if (r < 0)
        return r;
    step(ctx, "features", s->features + STEM_PAD * CH, frames * CH);

    stem(net, s, steps);
    step(ctx, "stem", s->x, steps * WIDTH);
    for (unsigned i = 0; i < BLOCKS; i++) {
        char name[] = "block0";

        name[5] = (char)('0' + i);
        apply_block(&net->blocks[i], dilations[i], s, steps);
        step(ctx, name, s->x, steps * WIDTH);
    }
    for (size_t t = 0; t < steps; t++)
        layer_norm(&net->norm, s->x + t * WIDTH, WIDTH, s->hidden + t * WIDTH);
    step(ctx, "norm", s->hidden, steps * WIDTH);
    fill_rows(net->att_bias, steps, WIDTH, s->att);
    add_product(s->hidden, WIDTH, steps, net->att, WIDTH, WIDTH, WIDTH, s->att);
    softmax_over_time(s->att, steps);
    step(ctx, "att", s->att, steps * WIDTH);
    pool(s->hidden, s->att, steps, s->pool);
    step(ctx, "pool", s->pool, 2 * WIDTH);
    layer_norm(&net->pool_norm, s->pool, 2 * WIDTH, s->pool_normed);
    memcpy(s->head, net->head_bias, sizeof s->head);
    add_product(s->pool_normed, 2 * WIDTH, 1, net->head, 2 * WIDTH, 2 * WIDTH, WD_VOICE_DIM,
                s->head);
    step(ctx, "head", s->head, WD_VOICE_DIM);

    for (size_t i = 0; i < WD_VOICE_DIM; i++)
        length += (double)s->head[i] * (double)s->head[i];
    length = sqrt(length);
    if (!isfinite(length) || length <= 0.0)
        return -EDOM;
    for (size_t i = 0; i < WD_VOICE_DIM; i++)
        ret[i] = (float)((double)s->head[i] / length);
    return 0;
}
