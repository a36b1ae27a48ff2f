#!/usr/bin/env python3
"""Writes held-out cases for engines: make_eval.py FOLDER DATA OUT [--scale 1]

OUT/speech/*.flac (16 kHz, mono, 16 bit), OUT/pictures/*.png (of the size the model wants), and
OUT/cases.jsonl: the prompt, what is right, and what the model answers in float32, greedy, with the
gap between the two best logits at each step. tests/nano/README.md explains the keys. Wants flac.
"""

import argparse
import json
import os
import subprocess

import numpy as np
from PIL import Image

import evaluate
import folder
import prompts
from clips import Clip, Store
from tok import SPECIAL
from train import tensors


def write_flac(path, y):
    """-> the samples as they will be read again"""
    pcm = np.clip(np.round(y * 32768), -32768, 32767).astype("<i2")
    raw = (
        "--force-raw-format --endian=little --sign=signed --channels=1 --bps=16 --sample-rate=16000"
    )
    subprocess.run(
        ["flac", "-8", "--silent", "--force", *raw.split(), "-o", path, "-"],
        input=pcm.tobytes(),
        check=True,
    )
    return pcm.astype(np.float32) / 32768


def items(tok, p, files):
    """a prompt as a list: ids of control tokens, texts, files"""
    out, left = [], iter(files)
    for kind, x, *_ in p.parts:
        if kind != "text":
            out.append(next(left))
            continue
        text = "".join(tok.text[i] for i in x).replace("\u2581", " ")
        out += [
            tok.vocab[s] if k % 2 else {"text": s} for k, s in enumerate(SPECIAL.split(text)) if s
        ]
    return out


def chosen(data, scale):
    """-> [(kind, clip or pictures)]"""
    seen, new, turns = (Store(f"{data}/test_{x}") for x in ("seen", "new", "turns"))

    def n(x):
        return max(1, int(x * scale))

    short = [c for c in evaluate.singles(seen, "template", 400) if len(c.y) < 2.8 * 16000]
    clips = {
        "single": short[: n(45)]
        + evaluate.singles(seen, "free", n(6))
        + evaluate.singles(new, "template", n(9)),
        "turns": evaluate.several(turns, n(10), 2, 81, longest=6.5)
        + evaluate.several(turns, n(8), 3, 82, "ABA", 8.5)
        + evaluate.several(turns, n(8), 3, 83, "ABC", 8.5)
        + evaluate.several(turns, n(4), 4, 86, longest=12),
        "continuation": [c for c in evaluate.begun(turns, n(30), 85) if len(c.y) < 4 * 16000][
            : n(10)
        ],
        "cut": evaluate.cut(turns, n(6) + 1, 87)[: n(6)],
        "nothing": [c for c in evaluate.quiet(n(40), 84) if len(c.y) < 4 * 16000][: n(10)],
    }
    r = np.random.default_rng(15)
    pictures = [prompts.any_pictures(r, clean=True) for _ in range(n(40))]
    return [(k, c) for k, cs in clips.items() for c in cs] + [("picture", p) for p in pictures]


def sound_case(tok, clip, out, name):
    path = f"speech/{name}.flac"
    clip.y = write_flac(f"{out}/{path}", clip.y)
    turns, at = [], 0
    for k, (speaker, text) in enumerate(clip.turns()):
        spans = []
        for span in clip.spans[at:]:
            if spans and span[2] != spans[-1][2]:
                break
            spans.append(span)
        at += len(spans)
        t1 = min(spans[-1][1], len(clip.y))
        turns.append(
            dict(
                t0=round(spans[0][0] / 16000, 3),
                t1=round(t1 / 16000, 3),
                speaker=f"S{speaker}",
                text=text,
            )
        )
    ends = [round(w[0] / 16000, 3) for w in clip.words if w[0] + 1280 <= len(clip.y)]
    p = prompts.of_clip(tok, clip)
    return p, [{"audio": path}], dict(reference=p.answer, turns=turns, word_ends=ends)


def picture_case(tok, asked, out, name):
    files = []
    for k, im in enumerate(asked[0]):
        files.append({"image": f"pictures/{name}{'abc'[k]}.png"})
        Image.fromarray(im).save(f"{out}/{files[-1]['image']}", optimize=True)
    p = prompts.of_pictures(tok, *asked[:5])
    return p, files, dict(reference=p.answer)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("folder")
    ap.add_argument("data")
    ap.add_argument("out")
    ap.add_argument("--scale", type=float, default=1.0, help="size of the set")
    a = ap.parse_args()
    for d in ("speech", "pictures"):
        os.makedirs(f"{a.out}/{d}", exist_ok=True)
    net, tok = folder.read(a.folder)
    stop, never, count = tok.vocab["<turn|>"], [tok.vocab["<audio|>"], tok.vocab["<image|>"]], {}
    with open(a.out + "/cases.jsonl", "w", encoding="utf-8") as f:
        for kind, x in chosen(a.data, a.scale):
            name = f"{kind}{count.setdefault(kind, 0):02d}"
            count[kind] += 1
            case = sound_case if isinstance(x, Clip) else picture_case
            p, files, told = case(tok, x, a.out, name)
            p.answer = ""
            ids, gaps = net.answer(tensors(prompts.batch(tok, [p])), stop, never, evaluate.LONGEST)
            text = tok.decode([i for i in ids if i != stop])
            row = dict(name=name, kind=kind, case={"items": items(tok, p, files)}, **told)
            row |= dict(answer=text, greedy=ids, margin=[round(g, 5) for g in gaps])
            f.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(", ".join(f"{n} {k}" for k, n in count.items()))


if __name__ == "__main__":
    main()
