/* pipeline/picture.h - one picture as the model wants it: RGB, sides multiples of 48, within a budget of patches;
 * counted references. */
#pragma once
#include "base/err.h"
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define WD_PICTURE_MAX_PATCHES 1120
#define WD_PICTURE_MAX_SIDE 65535           /* of a source; more is refused */
#define WD_PICTURE_MAX_PIXELS (64u << 20)   /* of a source: 192 MiB of RGB */

struct wd_picture {
    int64_t t_ns;       /* stream time at which it was taken */
    uint32_t w, h;      /* multiples of 48 */
    const uint8_t *rgb; /* [h][w][3] */
    /* private below */
    struct wd_picture_pool *pool;
    atomic_int refs;
    struct wd_picture *next;
    uint8_t *space;
};

/* Target size of a picture of this size within `budget` patches of 48 x 48 (70, 140, 280, 560 or 1120):
 * docs/model.md, "Vision". -EINVAL where there is none. */
int wd_picture_size(uint32_t w, uint32_t h, uint32_t budget, uint32_t *ret_w, uint32_t *ret_h);

/* Alpha over white, in the reference's integer arithmetic. src [h][stride] RGBA bytes -> dst [h][w][3], which may be src
 * itself when stride is 4 * w. */
void wd_picture_over_white(const uint8_t *src, size_t stride, uint32_t w, uint32_t h, uint8_t *dst);

enum wd_picture_turn { WD_PICTURE_UPRIGHT, WD_PICTURE_TURN_90, WD_PICTURE_TURN_180, WD_PICTURE_TURN_270 };
/* Mirrored left to right if `mirror`, then turned clockwise: src [h][w][3] -> dst [h'][w'][3], not overlapping; by 90 and
 * 270 degrees w' = h and h' = w. */
void wd_picture_turn(const uint8_t *src, uint32_t w, uint32_t h, enum wd_picture_turn turn, int mirror, uint8_t *dst);

struct wd_picture_resizer; /* coefficient tables of the last size and an intermediate picture; one thread at a time */
int wd_picture_resizer_new(struct wd_picture_resizer **ret, struct wd_err *err);
struct wd_picture_resizer *wd_picture_resizer_free(struct wd_picture_resizer *r);
/* Bicubic with antialiasing in fixed point, bit for bit that of the reference (docs/model.md, "Vision"). src [h][stride]
 * RGB bytes -> dst [dst_h][dst_w][3]. Allocates only when sizes change. -EINVAL: a side is 0 or too long; -ENOMEM. */
int wd_picture_resize(struct wd_picture_resizer *r, const uint8_t *src, size_t stride, uint32_t w, uint32_t h,
                      uint8_t *dst, uint32_t dst_w, uint32_t dst_h, struct wd_err *err);

/* A pool of n pictures of up to max_patches * 48 * 48 * 3 bytes. get: NULL when all are in use; the picture's space is
 * written by whoever got it until it is shared. References are counted atomically; any thread. A freed pool lives until
 * the last of its pictures was given back. */
struct wd_picture_pool;
int wd_picture_pool_new(unsigned n, uint32_t max_patches, struct wd_picture_pool **ret, struct wd_err *err);
struct wd_picture_pool *wd_picture_pool_free(struct wd_picture_pool *p);
struct wd_picture *wd_picture_get(struct wd_picture_pool *p);
struct wd_picture *wd_picture_ref(struct wd_picture *p);
void wd_picture_unref(struct wd_picture *p); /* takes NULL */
