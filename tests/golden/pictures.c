/* tests/golden/pictures.c - the pictures behind the golden vectors, drawn anew in whole numbers from their seeds. */
#include "tests/golden/pictures.h"

#include <string.h>

/* splitmix64, upper half */
static uint32_t next(uint64_t *z)
{
    uint64_t x = *z += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((x ^ (x >> 31)) >> 32);
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int wd_golden_picture(const char *kind, uint32_t w, uint32_t h, uint64_t seed, uint8_t *rgb)
{
    uint64_t z = seed;
    int64_t s = (int64_t)seed;

    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++)
            for (int64_t c = 0; c < 3; c++) {
                int64_t v;

                if (strcmp(kind, "noise") == 0) {
                    v = next(&z) & 255;
                } else if (strcmp(kind, "waves") == 0) {
                    v = (x * (3 + c) + y * (5 - c) + x * y / 7 * (1 + c) + s * 37) % 256;
                } else if (strcmp(kind, "checks") == 0) {
                    v = (x / (2 + s % 5) + y / 3) % 2 == 0 ? 250 - 40 * c : 5 + 60 * c;
                } else if (strcmp(kind, "ramp") == 0) {
                    v = c == 0   ? x * 255 / larger((int64_t)w - 1, 1)
                        : c == 1 ? y * 255 / larger((int64_t)h - 1, 1)
                                 : (x + y) * 255 / larger((int64_t)w + h - 2, 1);
                } else if (strcmp(kind, "text") == 0) {
                    uint64_t cell = seed + (uint64_t)(y / 3 * (w / 2 + 1) + x / 2) * UINT64_C(0x9e3779b97f4a7c15);

                    v = next(&cell) & 1 ? 255 : 0;
                } else {
                    return -1;
                }
                *rgb++ = (uint8_t)v;
            }
    return 0;
}
