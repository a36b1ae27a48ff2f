"""Composes clips from single utterances: turns of several voices, gaps, carried text, cuts.

What synth.py wrote is read by Store; plan() chooses who says what, assemble() lays it out,
compose() does both at random for training. r: numpy Generator.
"""

import json
import math

import numpy as np

import sounds
from voices import Voice, speaker

RATE = 16000
HEARD = 1280  # samples after a word before it is written
PAUSE = 3840  # and after a sentence before its mark is
SHARES = dict(espeak=0.69, flite=0.20, festival=0.11)  # how often an engine speaks
CARRIED = 85  # characters of carried text
# the voices of a clip with so many turns, and how often
ORDERS = {
    1: {"A": 1},
    2: {"AB": 1},
    3: {"ABA": 0.5, "ABC": 0.4, "ABB": 0.1},
    4: {"ABCA": 0.3, "ABAB": 0.2, "ABAC": 0.2, "ABCB": 0.2, "ABCD": 0.1},
}


class Store:
    """utterances of the sets PATH.bin, PATH.jsonl; free: share of the free text to keep"""

    def __init__(self, *paths, free=1.0):
        self.all, self.waves = [], []
        for path in paths:
            self.waves.append(np.memmap(path + ".bin", np.int16, "r"))
            with open(path + ".jsonl", encoding="utf-8") as f:
                for line in f:
                    u = json.loads(line)
                    if u["kind"] == "free" and u["at"] % 100 >= 100 * free:
                        continue
                    u["voice"] = Voice(*u["voice"])
                    self.all.append({**u, "set": len(self.waves) - 1})
        self.sort()

    def sort(self):
        self.of_voice, self.of_engine = {}, {}
        for i, u in enumerate(self.all):
            self.of_voice.setdefault(u["voice"], []).append(i)
            self.of_engine.setdefault(u["voice"].engine, []).append(i)

    def only(self, wanted):
        s = Store()
        s.waves, s.all = self.waves, [u for u in self.all if wanted(u)]
        s.sort()
        return s

    def wave(self, i):
        u = self.all[i]
        return self.waves[u["set"]][u["at"] : u["at"] + u["n"]].astype(np.float32) / 32768

    def any(self, r):
        engines = [e for e in SHARES if e in self.of_engine]
        p = np.array([SHARES[e] for e in engines])
        of = self.of_engine[engines[int(r.choice(len(engines), p=p / p.sum()))]]
        return self.all[of[int(r.integers(len(of)))]]


def stretched(x, f):
    """faster and higher by the factor f, vocal tract included"""
    at = np.arange(int(len(x) / f) - 1, dtype=np.float32) * np.float32(f)
    return np.interp(at, np.arange(len(x), dtype=np.float32), x).astype(np.float32)


def unlike(a, fa, b, fb):
    """can two voices, stretched by fa and fb, be told apart without doubt?"""
    if a == b:
        return False
    if speaker(a) != speaker(b):
        return True
    apart = abs(math.log(fa / fb))
    return apart + abs(a.pitch - b.pitch) * 0.012 > 0.13 if a.engine == "espeak" else apart > 0.16


def cast(store, r, letters, stretch):
    """-> {letter: (voice, factor)} of voices unlike each other, or None"""
    who = {}
    for c in sorted(set(letters)):
        for _ in range(40):
            v, f = store.any(r)["voice"], math.exp(r.uniform(-0.15, 0.18)) if stretch else 1.0
            if all(unlike(v, f, *w) for w in who.values()):
                who[c] = v, f
                break
        else:
            return None
    return who


def plan(store, r, turns, longest_s, stretch=True):
    """-> [(utterance, letter of the voice, factor)], or None; neighbours of one letter are one
    turn"""
    orders = ORDERS[turns]
    letters = list(orders)[int(r.choice(len(orders), p=list(orders.values())))]
    who, left, out = cast(store, r, letters, stretch), longest_s * RATE * 0.93, []
    if who is None:
        return None
    for k, c in enumerate(letters):
        voice, f = who[c]
        mine = store.of_voice[voice]
        more = turns < 4 and r.random() < (0.22 if turns == 1 else 0.12)
        for _ in range(1 + more):  # now and then two sentences in a turn
            for _ in range(12):
                i = mine[int(r.integers(len(mine)))]
                n = store.all[i]["n"] / f
                if n < left / (len(letters) - k) * 1.3 and n + 4000 < left:
                    left -= n + 6000
                    out.append((i, c, f))
                    break
    return out if {c for _, c, _ in out} == set(letters) else None


class Clip:
    """samples, words [(end sample, turn, text)], speaker number of each turn, spans [(first
    sample, end, speaker)] of the sentences, carried text"""

    def __init__(self, y, words=(), speakers=(), spans=(), earlier=""):
        self.y, self.words, self.speakers = y, list(words), list(speakers)
        self.spans, self.earlier = list(spans), earlier

    def turns(self):
        """[(speaker, text)] of what can be written when all has been heard"""
        n, lines = len(self.y), {}
        heard = [w for w in self.words if w[0] + HEARD <= n]
        for k, (end, turn, text) in enumerate(heard):
            if k + 1 == len(heard) and not (text[-1] in ".?" and end + PAUSE <= n):
                text = text.rstrip(",.?")
            lines.setdefault(turn, []).append(text)
        return [(self.speakers[t], " ".join(x)) for t, x in sorted(lines.items())]

    def answer(self):
        return "\n".join(f"S{s}: {text}" for s, text in self.turns())

    def cut(self, n):
        return Clip(self.y[:n], self.words, self.speakers, self.spans, self.earlier)


def trimmed(line):
    """the end of a line `S1: ...`, from a word on, its label kept"""
    return line if len(line) <= CARRIED else line[:4] + line[-(CARRIED - 4) :].split(" ", 1)[-1]


def carried(store, r):
    """one or two lines said before"""
    lines = [f"S{int(r.integers(1, 4))}: " + store.any(r)["text"] for _ in range(2)]
    two = r.random() < 0.35 and all(len(x) < 45 for x in lines)
    return "\n".join(lines) if two else trimmed(lines[0])


def assemble(store, items, r, vary=True, lead=None, tail=None, inside=False):
    """what plan() gave -> Clip; inside: it begins in the first sentence, whose begin is carried
    text"""
    parts, at, words, spans, speakers, number, gain, earlier = [], 0, [], [], [], {}, {}, ""

    def add(x):
        nonlocal at
        parts.append(x)
        at += len(x)

    def silence(seconds):
        add(np.zeros(int(seconds * RATE), np.float32))

    some = r.uniform(0, 0.35) if r.random() < 0.8 else r.uniform(0.3, 1.6)
    silence(some if lead is None else lead)
    last = None
    for k, (i, c, f) in enumerate(items):
        u, x, texts = store.all[i], store.wave(i), store.all[i]["text"].split(" ")
        ends = u["ends"]
        if k:
            silence(r.uniform(0.18, 0.55) if c == last else r.uniform(0.1, 0.8))
        elif inside and ends and len(texts) > 4:
            j = int(r.integers(1, len(texts) - 2))
            earlier = trimmed(f"S{int(r.integers(1, 4))}: " + " ".join(texts[:j]))
            x, texts, ends = x[ends[j - 1] :], texts[j:], [e - ends[j - 1] for e in ends[j:]]
        if c not in number:
            number[c] = len(number) + 1
            gain[c] = sounds.db(r.uniform(-5, 5)) if vary else np.float32(1)
        if c != last:
            speakers.append(number[c])
        last, x = c, (stretched(x, f) if abs(f - 1) > 0.005 else x) * gain[c]
        times = [int(e / f) for e in ends] if ends else [len(x)] * len(texts)
        words += [(at + t, len(speakers) - 1, w) for t, w in zip(times, texts)]
        spans.append((at, at + len(x), number[c]))
        add(x)
    some = r.uniform(0.28, 0.7) if r.random() < 0.85 else r.uniform(0.6, 1.5)
    silence(some if tail is None else tail)
    return Clip(np.concatenate(parts), words, speakers, spans, earlier)


def compose(store, r, most_turns, longest_s):
    """a clip for training"""
    if r.random() < 0.06:
        y = sounds.no_speech(r)[: int(longest_s * RATE)]
        return Clip(y, earlier=carried(store, r) if r.random() < 0.3 else "")
    while True:
        turns = min(most_turns, 1 + int(r.choice(4, p=[0.36, 0.27, 0.24, 0.13])))
        items = plan(store, r, turns, longest_s)
        if items is None:
            continue
        x = r.random()
        c = assemble(store, items, r, inside=x < 0.14)
        if len(c.y) > longest_s * RATE:
            continue
        if not c.earlier and x < 0.42:
            c.earlier = carried(store, r)
        if r.random() < 0.6:
            c.y = sounds.worsened(c.y, r)
        else:
            hiss = sounds.steady(r, len(c.y)) * sounds.db(-r.uniform(55, 100))
            c.y = c.y * sounds.db(r.uniform(-14, 6)) + hiss
        if r.random() < 0.35 and all(store.all[i]["ends"] for i, *_ in items):
            c = c.cut(640 * int(r.integers(6, len(c.y) // 640 + 1)))
        return c
