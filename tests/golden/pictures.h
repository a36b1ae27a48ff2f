/* tests/golden/pictures.h - the pictures behind the golden vectors, drawn anew in whole numbers from their seeds. */
#pragma once
#include <stdint.h>

/* kind: "noise", "waves", "checks", "ramp", "text". rgb [h][w][3]. -1 for another kind. */
int wd_golden_picture(const char *kind, uint32_t w, uint32_t h, uint64_t seed, uint8_t *rgb);
