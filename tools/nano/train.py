#!/usr/bin/env python3
"""Trains nano for a given time: rate, length of clips and weights of the losses follow the time
that has passed.

train.py DATA TOKENIZER OUT --minutes 120

DATA is what synth.py wrote; new parts are taken up while it runs.
"""

import argparse
import glob
import math
import multiprocessing as mp
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

import prompts
import rooms
import start
from clips import Store, compose
from muon import Optimiser
from net import Nano, Shape, rms
from tok import Tok

STAGES = [
    (0.04, 2, 7.0),
    (0.42, 3, 9.0),
    (9.0, 4, 15.0),
]  # until when, most turns, longest clip in seconds
BACKGROUND = 0.1  # weight of patches that show nothing: most do
POOL = 8  # batches made at a time, so that prompts of like length come together


def paths(folder):
    return [p.removesuffix(".jsonl") for p in sorted(glob.glob(folder + "/train*.jsonl"))]


# ------------------------------------------------- making batches, in processes of their own
def together(items, size, budget):
    """groups of items of like size, up to budget each"""
    items, out = sorted(items, key=size), []
    for x in items:
        if not out or size(x) * (len(out[-1]) + 1) > budget:
            out.append([])
        out[-1].append(x)
    return out


def length(p):
    return sum(len(x[1]) for x in p.parts) + len(p.answer) // 2


def make_clips(a, queue, progress):
    torch.set_num_threads(1)
    r, tok, known, store = np.random.default_rng(a.seed), Tok.load(a.tokenizer), [], None
    symbols = prompts.Symbols(tok)
    while True:
        if paths(a.data) != known:
            known = paths(a.data)
            store = Store(*known, free=a.free)
        _, turns, longest = next(s for s in STAGES if progress.value < s[0])
        made, total = [], 0
        while total < a.tokens * POOL:
            made.append(prompts.of_clip(tok, compose(store, r, turns, longest), symbols))
            total += length(made[-1])
        groups = together(made, length, a.tokens)
        for k in r.permutation(len(groups)):
            queue.put(prompts.batch(tok, groups[k], r, wrong=0.06))


def make_pictures(a, queue):
    """drawing takes longer than learning: most pictures are shown a few times"""
    torch.set_num_threads(1)
    r, tok, drawn = np.random.default_rng(a.seed + 50), Tok.load(a.tokenizer), []
    while True:
        drawn = (drawn + [prompts.of_pictures(tok, *prompts.any_pictures(r)) for _ in range(30)])[
            -1000:
        ]
        again = [drawn[int(r.integers(len(drawn)))] for _ in range(40)]
        groups = together(drawn[-30:] + again, length, a.picture_tokens)
        for k in r.permutation(len(groups)):
            queue.put(prompts.batch(tok, groups[k]))


# ---------------------------------------------------------------- losses
def answer_loss(net, h, b):
    """cross-entropy and share of right tokens; every prompt counts alike, however long its
    answer"""
    z = net.logits(h[b["asked"]])
    each = F.cross_entropy(z, b["target"], reduction="none")
    n = torch.bincount(b["whose"])
    loss = torch.zeros(len(n)).index_add(0, b["whose"], each) / n
    return loss.mean(), each.mean(), (z.argmax(-1) == b["target"]).float().mean()


def spoken_loss(net, middle, b):
    """CTC on the frames, so that the state in the middle knows what is said"""
    n, total = b["heard_n"], int(b["spoken_n"].sum())
    if not total:
        return torch.zeros(())
    lp = F.log_softmax(net.spoken(rms(middle[b["heard"]], net.side_norm)), -1)
    lp = torch.nn.utils.rnn.pad_sequence(lp.split(n.tolist()))
    ctc = F.ctc_loss(lp, b["spoken"], n, b["spoken_n"], reduction="sum", zero_infinity=True)
    return ctc / total


def voice_loss(net, middle, b):
    """halves of sentences by one voice are alike, by others not"""
    if len(b["voice"]) < 5:
        return torch.zeros(())
    e = rms(middle[b["halves"]]).mean(1) @ net.voice.T
    e, itself = F.normalize(e, dim=-1), torch.eye(len(e), dtype=torch.bool)
    same = (b["voice"][:, None] == b["voice"]) & ~itself
    lp = F.log_softmax((e @ e.T / 0.1).masked_fill(itself, -1e9), -1)
    return -((lp * same).sum(1) / same.sum(1).clamp(min=1)).mean()


def patch_loss(net, middle, b):
    """what each patch shows, and what the same patch showed a picture before"""
    x, total = rms(middle[b["patch"]]), torch.zeros(())
    weight = torch.ones(prompts.N_SHOWN)
    weight[0] = BACKGROUND
    for head, want, share in ((net.shown, b["shown"], 1.0), (net.before, b["before"], 0.5)):
        if (want >= 0).any():
            total = total + share * F.cross_entropy(
                head(x), want, weight, ignore_index=prompts.NONE
            )
    return total


# ---------------------------------------------------------------- the run
def prepare(net, a):
    r, tok = np.random.default_rng(a.seed + 1), Tok.load(a.tokenizer)
    store = Store(*paths(a.data)[:1])
    heard = torch.from_numpy(
        np.concatenate([prompts.frames(compose(store, r, 1, 4).y) for _ in range(60)])
    )
    start.sound(net, heard)
    start.looking_back(net, heard[:400])
    some = [prompts.of_pictures(tok, *prompts.any_pictures(r)) for _ in range(12)]
    start.pictures(net, np.concatenate([x[1] for p in some for x in p.parts if x[0] == "picture"]))


def save(path, net, optimiser, minutes, step):
    ck = dict(net=net.state_dict(), optimiser=optimiser.state(), minutes=minutes, step=step)
    torch.save({**ck, "shape": vars(net.shape)}, path + ".part")
    os.replace(path + ".part", path)


def load(path):
    """-> net, the rest of the checkpoint"""
    ck = torch.load(path, map_location="cpu", weights_only=True)
    sizes = dict(symbols=len(ck["net"]["spoken.bias"]), shown=len(ck["net"]["shown.bias"]))
    net = Nano(Shape(**ck["shape"]), **sizes)
    net.load_state_dict(ck["net"])
    return net, ck


def tensors(b):
    return {k: torch.from_numpy(v) for k, v in b.items()}


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("data")
    ap.add_argument("tokenizer")
    ap.add_argument("out")
    ap.add_argument("--minutes", type=float, default=120)
    ap.add_argument("--rate", type=float, default=2e-3)
    ap.add_argument("--warm", type=int, default=80, help="steps until the full rate")
    ap.add_argument("--tokens", type=int, default=8000, help="positions of a batch of clips")
    ap.add_argument("--picture-tokens", type=int, default=4000)
    ap.add_argument("--free", type=float, default=0.7, help="share of the free text to use")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--resume", help="checkpoint of this run")
    ap.add_argument("--save-every", type=float, default=6, help="minutes")
    return ap.parse_args()


def main():
    a = arguments()
    if not paths(a.data):
        raise SystemExit(f"{a.data}: no train*.jsonl; run synth.py first")
    os.makedirs(a.out, exist_ok=True)
    ctx = mp.get_context("fork")
    clips, pictures, progress = ctx.Queue(6), ctx.Queue(3), ctx.Value("d", 0.0)
    for f, args in ((make_clips, (a, clips, progress)), (make_pictures, (a, pictures))):
        ctx.Process(target=f, args=args, daemon=True).start()
    torch.set_num_threads(a.threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(a.seed)
    step, begun = 0, time.time()
    if a.resume:
        net, ck = load(a.resume)
        optimiser, step = Optimiser(net), ck["step"]
        optimiser.load(ck["optimiser"])
        begun -= 60 * ck["minutes"]
    else:
        tok = Tok.load(a.tokenizer)
        net = Nano(Shape(vocab=len(tok.vocab)), prompts.Symbols(tok).n, prompts.N_SHOWN)
        prepare(net, a)
        optimiser = Optimiser(net)
    print(sum(p.numel() for p in net.parameters()), "numbers", flush=True)
    log, saved = [], 0.0

    def minutes():
        return (time.time() - begun) / 60

    while minutes() < a.minutes:
        c = progress.value = minutes() / a.minutes
        rate = (
            a.rate * min(1, (step + 1) / a.warm) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * c)))
        )
        share_spoken = 0.4 if c < 0.3 else 0.3 if c < 0.6 else 0.15
        b = tensors(clips.get())
        h, middle = net(b)
        _, ce, right = answer_loss(net, h, b)
        spoken, voice = spoken_loss(net, middle, b), voice_loss(net, middle, b)
        (ce + share_spoken * spoken + (0.15 if c < 0.75 else 0.05) * voice).backward()
        p = tensors(pictures.get())
        h, middle = net(p)
        seen, _, right_seen = answer_loss(net, h, p)
        patch = patch_loss(net, middle, p)
        (2 * seen + 0.5 * patch).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step(rate)
        net.zero_grad()
        step += 1
        log.append([x.item() for x in (ce, right, spoken, voice, seen, right_seen, patch)])
        if step % 10 == 0:
            m = np.mean(log, 0)
            words = (
                "answer {:.3f} (right {:.3f}) ctc {:.3f} voice {:.3f} "
                "pictures {:.3f} (right {:.3f}) patch {:.3f}"
            )
            print(f"step {step}, {minutes():.1f} min:", words.format(*m), flush=True)
            log = []
        if minutes() - saved > a.save_every:
            saved = minutes()
            save(f"{a.out}/minute{int(saved)}.pt", net, optimiser, saved, step)
    save(a.out + "/final.pt", net, optimiser, minutes(), step)
    print("done:", step, "steps", flush=True)


if __name__ == "__main__":
    main()
