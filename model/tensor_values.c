/* model/tensor_values.c - whether the numbers of a tensor can be weights. */
#include "model/tensor_values.h"

#include "model/quant.h"
#include "model/tensor_file.h"
#include "model/threads.h"

#include <string.h>

#define BLOCK WD_TENSOR_VALUES_BLOCK
#define MAX_MEMBERS 256

struct run {
    const struct wd_tensor *t;
    uint64_t first, end, n_values;
    struct wd_tensor_values part[MAX_MEMBERS];
};

static uint64_t count_values(const struct wd_tensor *t)
{
    return t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3]; /* fits: its bytes do */
}

uint64_t wd_tensor_values_blocks(const struct wd_tensor *t)
{
    return (count_values(t) + BLOCK - 1) / BLOCK;
}

/* Rows are whole blocks of their type, so the tensor can be cut wherever a block of the type ends:
 * BLOCK is a multiple of all of them. */
static void one_block(const struct run *r, uint64_t i, struct wd_tensor_values *sum)
{
    uint64_t at = i * BLOCK;
    size_t n = r->n_values - at < BLOCK ? (size_t)(r->n_values - at) : BLOCK;
    uint32_t bits[BLOCK], any = 0, bad = 0;
    float values[BLOCK];

    wd_quant_unpack((enum wd_type)r->t->type,
                    (const unsigned char *)r->t->data + wd_type_row_bytes(r->t->type, at), values,
                    n);
    memcpy(bits, values, n * sizeof *values);
    for (size_t k = 0; k < n; k++) {
        any |= bits[k] << 1; /* -0 is 0 */
        bad += (bits[k] & 0x7f800000u) == 0x7f800000u;
    }
    sum->n += n;
    sum->zero &= any == 0;
    if (bad && !sum->n_not_finite)
        for (size_t k = 0; k < n; k++)
            if ((bits[k] & 0x7f800000u) == 0x7f800000u) {
                sum->first = at + k;
                break;
            }
    sum->n_not_finite += bad;
}

static void member_run(void *ctx, unsigned member, unsigned count)
{
    struct run *r = ctx;

    if (member >= MAX_MEMBERS)
        return;
    if (count > MAX_MEMBERS)
        count = MAX_MEMBERS;
    for (uint64_t i = r->first + member; i < r->end; i += count)
        one_block(r, i, &r->part[member]);
}

void wd_tensor_values_add(const struct wd_tensor *t, uint64_t first, uint64_t n,
                          struct wd_threads *team, struct wd_tensor_values *sum)
{
    struct run r = {.t = t, .first = first, .n_values = count_values(t)};
    uint64_t blocks = wd_tensor_values_blocks(t);

    if (first >= blocks)
        return;
    r.end = n < blocks - first ? first + n : blocks;
    for (unsigned m = 0; m < MAX_MEMBERS; m++)
        r.part[m].zero = true;
    wd_threads_run(team, member_run, &r);
    for (unsigned m = 0; m < MAX_MEMBERS; m++) {
        const struct wd_tensor_values *p = &r.part[m];

        if (p->n_not_finite && (!sum->n_not_finite || p->first < sum->first))
            sum->first = p->first;
        sum->n += p->n;
        sum->n_not_finite += p->n_not_finite;
        sum->zero &= p->zero;
    }
}
