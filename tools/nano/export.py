#!/usr/bin/env python3
"""Checkpoint -> Hugging Face folder -> GGUF, checked: export.py CHECKPOINT TOKENIZER FOLDER
OUT.gguf"""

import sys

import folder
import to_gguf
import train


def main(checkpoint, tokenizer, out, path):
    net, _ = train.load(checkpoint)
    folder.write(net, tokenizer, out)
    to_gguf.write(out, path, "nano")
    wrong = to_gguf.check(out, path)
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{path}: as in {out}")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
