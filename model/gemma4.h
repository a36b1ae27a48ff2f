/* model/gemma4.h - the numbers that every checkpoint of the gemma4_unified family shares, each with its source. */
#pragma once

/* Sizes that differ between checkpoints (layers, heads, widths, window, context) are read from the file: model/shape.h. */

#define WD_AUDIO_SAMPLES 640     /* samples of one soft token: 40 ms at 16 kHz (config: audio_samples_per_token) */
#define WD_AUDIO_RATE_HZ 16000   /* processor_config: sampling rate */
#define WD_PATCH_SIDE 48         /* pixels: patch_size 16 x pooling_kernel_size 3 (config: model_patch_size) */
#define WD_PATCH_VALUES 6912     /* 48 x 48 x 3 */
#define WD_PATCH_NORM_EPS 1e-5f  /* of the three LayerNorms of the patch embedder: the framework's default, in no file */
#define WD_MAX_PATCHES 1120      /* the largest picture budget (processor_config: max_soft_tokens) */
#define WD_GEMMA4_LAYERS 48      /* of the 12B; tells it from its relatives in `witness model show` */
#define WD_GEMMA4_WIDTH 3840     /* of the 12B */
