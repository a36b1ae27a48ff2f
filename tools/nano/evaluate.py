#!/usr/bin/env python3
"""Held-out figures by greedy decoding: words, labels, silence, pictures.

evaluate.py FOLDER DATA [--sets templates,free,..] [--scale 0.1]     FOLDER: what export.py wrote

Sets are fixed by seeds; WER counts words, not labels or marks.
"""

import argparse
import os
import sys
import time

import numpy as np

import folder
import prompts
import sounds
from clips import Clip, Store, assemble, plan
from train import tensors

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import score  # noqa: E402

LONGEST = 128


# ---------------------------------------------------------------- the sets
def singles(store, kind, n):
    r = np.random.default_rng(1)
    chosen = [i for i, u in enumerate(store.all) if u["kind"] == kind][:n]
    return [assemble(store, [(i, "A", 1.0)], r, vary=False, lead=0.2, tail=0.5) for i in chosen]


def several(store, n, turns, seed, order=None, longest=15.0):
    """clips of exactly so many turns; order: of the voices, as "ABA" """
    r, out = np.random.default_rng(seed), []
    for _ in range(5000):
        items = plan(store, r, turns, longest, stretch=False)
        if len(out) == n:
            break
        if not items or len({i for i, *_ in items}) < len(items):
            continue
        voices = "".join(c for j, (_, c, _) in enumerate(items) if not j or items[j - 1][1] != c)
        clip = assemble(store, items, r, vary=False)
        if len(voices) == turns and order in (None, voices) and len(clip.y) <= longest * 16000:
            out.append(clip)
    return out


def begun(store, n, seed):
    """from inside a sentence on, the begin carried"""
    r = np.random.default_rng(seed)
    items = (plan(store, r, 1, 12, stretch=False) for _ in range(n * 20))
    clips = (assemble(store, x, r, vary=False, lead=0, inside=True) for x in items if x)
    return [c for c in clips if c.earlier][:n]


def cut(store, n, seed):
    r = np.random.default_rng(seed)
    clips = several(store, n // 2, 1, seed) + several(store, n - n // 2, 2, seed)
    return [c.cut(640 * int(r.integers(8, len(c.y) // 640))) for c in clips]


def quiet(n, seed):
    r = np.random.default_rng(seed)
    return [Clip(sounds.no_speech(r, test=True)) for _ in range(n)]


def asked_pictures(n, seed):
    r = np.random.default_rng(seed)
    return [prompts.any_pictures(r) for _ in range(n)]


# ---------------------------------------------------------------- answers and figures
def answers(net, tok, items):
    """clips or pictures -> texts"""
    stop, never = tok.vocab["<turn|>"], [tok.vocab["<audio|>"], tok.vocab["<image|>"]]
    out = []
    for it in items:
        p = prompts.of_clip(tok, it) if isinstance(it, Clip) else prompts.of_pictures(tok, *it[:5])
        p.answer = ""
        ids, _ = net.answer(tensors(prompts.batch(tok, [p])), stop, never, LONGEST)
        out.append(tok.decode([i for i in ids if i != stop]))
    return out


def labels(text):
    return [line[:3] for line in text.split("\n")] if text else []


def figures(want, got):
    n = sum(len(score.words(a)) for a in want)
    errors = sum(sum(score.edits(score.words(a), score.words(b))) for a, b in zip(want, got))
    right = np.mean([labels(a) == labels(b) for a, b in zip(want, got)])
    wer = f"WER {100 * errors / max(n, 1):.1f} % ({n} words, {len(want)} clips)"
    return f"{wer}, labels right {100 * right:.0f} %"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("folder")
    ap.add_argument("data")
    ap.add_argument("--sets", help="names, parted by commas; without it all")
    ap.add_argument("--scale", type=float, default=1.0, help="size of the sets")
    ap.add_argument("--show", type=int, default=2, help="wrong answers to print of each")
    a = ap.parse_args()
    net, tok = folder.read(a.folder)
    seen, new, turns = (Store(f"{a.data}/test_{x}") for x in ("seen", "new", "turns"))

    def n(x):
        return max(2, int(x * a.scale))

    sets = {
        "templates": lambda: singles(seen, "template", n(240)),
        "free": lambda: singles(seen, "free", n(100)),
        "new-templates": lambda: singles(new, "template", n(180)),
        "new-free": lambda: singles(new, "free", n(60)),
        "turns2": lambda: several(turns, n(60), 2, 12),
        "turns3-ABA": lambda: several(turns, n(60), 3, 13, "ABA"),
        "turns3-ABC": lambda: several(turns, n(60), 3, 13, "ABC"),
        "turns4": lambda: several(turns, n(30), 4, 14),
        "begun": lambda: begun(turns, n(60), 41),
        "cut": lambda: cut(turns, n(100), 31),
        "quiet": lambda: quiet(n(150), 51),
        "pictures": lambda: asked_pictures(n(300), 71),
    }
    for name in a.sets.split(",") if a.sets else sets:
        if name not in sets:
            ap.error(f"no set {name!r}; there are {', '.join(sets)}")
        t0, items = time.time(), sets[name]()
        if not items:
            print(f"{name}: nothing to choose from", flush=True)
            continue
        got = answers(net, tok, items)
        want = [x.answer() if isinstance(x, Clip) else x[4] for x in items]
        exact = f"{sum(x == y for x, y in zip(want, got))} of {len(want)} exact"
        words = exact if name in ("quiet", "pictures") else f"{figures(want, got)}, {exact}"
        print(f"{name}: {words} [{time.time() - t0:.0f} s]", flush=True)
        wrong = [(x, y) for x, y in zip(want, got) if x != y]
        for x, y in wrong[: a.show]:
            print(f"   wanted {x!r}\n   is     {y!r}")


if __name__ == "__main__":
    main()
