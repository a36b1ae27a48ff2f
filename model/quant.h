/* model/quant.h - number formats of weights: layout, pack, unpack. Pure, any thread.
 * Source of the block layouts: docs/model.md, "Quantised blocks". */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* The numbers are those of GGUF's tensor types. */
enum wd_type {
    WD_TYPE_F32 = 0,
    WD_TYPE_F16 = 1,
    WD_TYPE_Q4_0 = 2,
    WD_TYPE_Q4_1 = 3,
    WD_TYPE_Q5_0 = 6,
    WD_TYPE_Q5_1 = 7,
    WD_TYPE_Q8_0 = 8,
    WD_TYPE_Q2_K = 10,
    WD_TYPE_Q3_K = 11,
    WD_TYPE_Q4_K = 12,
    WD_TYPE_Q5_K = 13,
    WD_TYPE_Q6_K = 14, /* the customary embedding of Q4_0 files */
    WD_TYPE_IQ4_NL = 20,
    WD_TYPE_IQ4_XS = 23,
    WD_TYPE_BF16 = 30,
};

/* "F32", "Q4_0", ...; NULL for a type this engine does not know. */
const char *wd_type_name(uint32_t type);
/* Weights in one block (1, 32, 256) and its bytes; 0 for an unknown type. */
size_t wd_type_block(uint32_t type);
size_t wd_type_block_bytes(uint32_t type);
/* Bytes of a row of n weights; 0 if the type is unknown or n is no multiple of the block. Does not
 * overflow for n < 2^48. */
size_t wd_type_row_bytes(uint32_t type, size_t n);

/* n weights (a multiple of the block) to f32. dst [n], not overlapping src. Plain C: what is right.
 */
void wd_quant_unpack(enum wd_type type, const void *src, float *dst, size_t n);
/* n f32 to the type: floats, Q8_0 and Q6_K round to nearest, Q4_0 and Q4_K nearly so. NaN counts as
 * 0 in blocks. */
void wd_quant_pack(enum wd_type type, const float *src, void *dst, size_t n);

/* Whether wd_quant_pack() takes the type; others are only read. */
int wd_quant_packs(uint32_t type);

float wd_f16_to_f32(uint16_t h);
uint16_t wd_f32_to_f16(float f);
static inline float wd_bf16_to_f32(uint16_t h)
{
    union {
        uint32_t u;
        float f;
    } v = {.u = (uint32_t)h << 16};
    return v.f;
}
