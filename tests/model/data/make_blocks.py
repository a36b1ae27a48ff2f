#!/usr/bin/env python3
"""make_blocks.py OUT - block weights of every type with what the `gguf` package (PyPI) unpacks them to.

For each type: u32 type, u32 weights, u32 bytes, the bytes, the weights as f32; all little-endian.
Bits are drawn, except that the f16 scales are ordinary numbers.
"""
import struct
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T
from gguf.quants import dequantize

HALVES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q2_K: [80, 82], T.Q3_K: [108],
          T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ4_NL: [0], T.IQ4_XS: [0]}

rng = np.random.default_rng(5)
with open(sys.argv[1], "wb") as out:
    for kind, halves in HALVES.items():
        weights, size = GGML_QUANT_SIZES[kind]
        blocks = rng.integers(0, 256, (512 // weights, size), dtype=np.uint8)
        for at in halves:
            scale = rng.uniform(-0.01, 0.01, len(blocks)).astype(np.float16)
            blocks[:, at:at + 2] = scale.view(np.uint8).reshape(-1, 2)
        plain = dequantize(blocks.reshape(1, -1), kind).astype("<f4")
        out.write(struct.pack("<3I", int(kind), plain.size, blocks.size) + blocks.tobytes() + plain.tobytes())
