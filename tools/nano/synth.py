#!/usr/bin/env python3
"""Speaks the sentences nano learns from: single utterances, with the sample at which each word
ends.

synth.py OUT --wordnet FOLDER [--parts 0 1 ..] [--size 5000]

A part is NAME.bin (int16, 16 kHz, one utterance after the other) and NAME.jsonl (a line each:
offset and length in samples, voice, text, kind, ends). Part 0 brings the test sets with it.
clips.py composes turns, noise and cuts from them while nano is trained.
"""

import argparse
import json
import os
import random
import time

import texts
import voices
from engines import RATE, Speakers

AT_ONCE = 250
LONGEST_S, SLOWEST_S = 11, 1.6  # of an utterance; a word, or something went wrong
PHRASES, TEMPLATES = 0.07, 0.63  # shares of a training part; the rest is free text
N_TEST = dict(seen=500, seen_free=200, new=80, new_free=40, turns=9)


def job(r, text, kind, choices):
    v = r.choices(list(choices), choices.values())[0]
    return dict(text=text, kind=kind, voice=v, tempo=r.uniform(0.86, 1.2), jitter=r.randint(-3, 3))


def write(path, jobs, speakers):
    """the jsonl appears under its name when all is there: training may look meanwhile"""
    at, bad, untimed, t0 = 0, 0, 0, time.time()
    with open(path + ".bin", "wb") as sound, open(path + ".part", "w", encoding="utf-8") as index:
        for k in range(0, len(jobs), AT_ONCE):
            some = jobs[k : k + AT_ONCE]
            said = speakers.say_all(
                [(j["voice"], j["text"], j["tempo"], j["jitter"]) for j in some]
            )
            for j, x in zip(some, said):
                long = x is None or len(x[0]) > RATE * LONGEST_S
                if long or len(x[0]) > RATE * SLOWEST_S * len(j["text"].split()):
                    bad += 1
                    continue
                x[0].tofile(sound)
                untimed += x[1] is None
                row = dict(text=j["text"], kind=j["kind"], voice=j["voice"], at=at, n=len(x[0]))
                index.write(json.dumps({**row, "ends": x[1]}) + "\n")
                at += len(x[0])
            done = f"{min(k + AT_ONCE, len(jobs))} of {len(jobs)}, {at / RATE / 3600:.2f} h"
            took = f"{time.time() - t0:.0f} s"
            print(f"{path}: {done}, {untimed} without times, {bad} dropped, {took}", flush=True)
    os.replace(path + ".part", path + ".jsonl")


def test_sets(out, made, free, speakers, size):
    """sentences that no training part has"""
    r, n = random.Random(2), {k: max(1, int(x * size)) for k, x in N_TEST.items()}
    jobs = [job(r, t, "template", voices.TRAINED) for t in made[: n["seen"]]]
    jobs += [job(r, t, "free", voices.TRAINED) for t in free[: n["seen_free"]]]
    write(out + "/test_seen", jobs, speakers)
    made, free, jobs = made[n["seen"] :], free[n["seen_free"] :], []
    for v in voices.NEVER_TRAINED:
        jobs += [job(r, t, "template", {v: 1}) for t in made[: n["new"]]]
        jobs += [job(r, t, "free", {v: 1}) for t in free[: n["new_free"]]]
        made, free = made[n["new"] :], free[n["new_free"] :]
    write(out + "/test_new", jobs, speakers)
    several = random.Random(4).sample(voices.ESPEAK, 30) + list(voices.OTHERS)
    texts_of = made[: n["turns"] * len(several)]
    jobs = [job(r, t, "template", {several[i % len(several)]: 1}) for i, t in enumerate(texts_of)]
    write(out + "/test_turns", jobs, speakers)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("out")
    ap.add_argument("--wordnet", required=True, help="folder with WordNet's data.* files")
    ap.add_argument("--parts", type=int, nargs="+", default=[0])
    ap.add_argument("--size", type=int, default=5000, help="utterances of a part")
    ap.add_argument("--test-size", type=float, default=1, help="of the test sets; 0 for none")
    a = ap.parse_args()
    os.makedirs(a.out, exist_ok=True)
    speakers, r = Speakers(), random.Random(3)
    made, free = texts.sentences(60000, 1), texts.examples(a.wordnet)
    if len(free) < 2000:
        ap.error(
            f"{a.wordnet}: no data.* files of WordNet; on Debian: apt-get install wordnet-base"
        )
    r.shuffle(made)
    r.shuffle(free)
    phrases = set(texts.PHRASES)
    test_made, made = [t for t in made[:1500] if t not in phrases], made[1500:]
    test_free, free = free[:1000], free[1000:]
    for part in a.parts:
        if part == 0 and a.test_size > 0:
            test_sets(a.out, test_made, test_free, speakers, a.test_size)
        r, jobs, first = random.Random(1000 + part), [], part * a.size
        for i in range(first, first + a.size):
            x = r.random()
            if x < PHRASES:
                text, kind = r.choice(texts.PHRASES), "phrase"
            elif x < PHRASES + TEMPLATES:
                text, kind = made[i % len(made)], "template"
            else:
                text, kind = free[i % len(free)], "free"
            jobs.append(job(r, text, kind, voices.TRAINED))
        write(f"{a.out}/train{part}", jobs, speakers)


if __name__ == "__main__":
    main()
