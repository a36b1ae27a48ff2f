#!/usr/bin/env python3
"""nano's tokenizer: BPE with byte fallback in Gemma's manner, control tokens first.

tok.py learn WORDNET OUT.json    learns 784 pieces from the templates and WordNet's examples

A blank is written as U+2581 and stands before its word; no merge crosses the border of a word.
A tokenizer belongs to its weights: with another one a model must be trained anew.
"""

import collections
import json
import random
import re
import sys

import texts

BLANK = "\u2581"
CONTROL = (
    "<pad> <eos> <bos> <unk> <mask> <|turn> <turn|> <|audio> <audio|> <|audio|> <|image> <image|> "
    "<|image|> <|video|> <|think|> <|channel> <channel|> <|tool> <tool|>"
).split()
# their ids follow the pieces
LATE = '<|tool_call> <tool_call|> <|tool_response> <tool_response|> <|"|>'.split()
SHOWN = {"<|channel>", "<channel|>", *LATE}  # stay when control tokens are hidden
LETTERS = "\n" + BLANK + "abcdefghijklmnopqrstuvwxyzST0123456789,.?':"
CAPITALS = "ABCDEHILMNW"  # last, and in no merge
N_PIECES = 768  # with control tokens and bytes, without LATE and CAPITALS
SPECIAL = re.compile("(" + "|".join(map(re.escape, sorted(CONTROL + LATE, key=len)[::-1])) + ")")


def words(text):
    """letters keep the blank before them, everything else stands alone"""
    return re.findall(BLANK + r"?[a-zA-Z']+|.", text.replace(" ", BLANK), re.S)


class Tok:
    def __init__(self, vocab, merges):
        self.vocab, self.merges = vocab, [tuple(m) for m in merges]
        self.rank = {m: i for i, m in enumerate(self.merges)}
        self.text = {i: t for t, i in vocab.items()}
        self.known = {}

    @staticmethod
    def load(path):
        with open(path, encoding="utf-8") as f:
            m = json.load(f)["model"]
        return Tok(m["vocab"], [x.split(" ") if isinstance(x, str) else x for x in m["merges"]])

    def word(self, w):
        if w not in self.known:
            s = list(w)
            while True:
                pairs = [(self.rank.get(p, 1 << 30), i) for i, p in enumerate(zip(s, s[1:]))]
                best, i = min(pairs, default=(1 << 30, 0))
                if best == 1 << 30:
                    break
                s[i : i + 2] = [s[i] + s[i + 1]]
            raw = [[t] if t in self.vocab else [f"<0x{b:02X}>" for b in t.encode()] for t in s]
            self.known[w] = [self.vocab[t] for part in raw for t in part]
        return self.known[w]

    def encode(self, text):
        """control strings become control tokens: for prompts of our own, not for what others
        wrote"""
        out = []
        for k, part in enumerate(SPECIAL.split(text)):
            out += [self.vocab[part]] if k % 2 else [i for w in words(part) for i in self.word(w)]
        return out

    def decode(self, ids):
        raw = b""
        for t in (self.text[int(i)] for i in ids):
            if re.fullmatch(r"<0x[0-9A-F]{2}>", t):
                raw += bytes([int(t[3:5], 16)])
            elif not SPECIAL.fullmatch(t):
                raw += t.replace(BLANK, " ").encode()
        return raw.decode("utf-8", "replace")


def merged(s, pair):
    out, i = [], 0
    while i < len(s):
        both = tuple(s[i : i + 2]) == pair
        out.append(s[i] + s[i + 1] if both else s[i])
        i += 1 + both
    return out


def learn(lines, n):
    """-> n merges, the most frequent pair at a time"""
    count = collections.Counter(w for text in lines for w in words(text))
    parts = {w: list(w) for w in count if len(w) > 1}
    merges = []
    for _ in range(n):
        pairs = collections.Counter()
        for w, s in parts.items():
            for p in zip(s, s[1:]):
                pairs[p] += count[w]
        best = max(pairs, key=lambda p: (pairs[p], p))
        merges.append(best)
        for w, s in parts.items():
            if best[0] in s:
                parts[w] = merged(s, best)
    return merges


def as_json(pieces, merges):
    """-> what transformers reads as tokenizer.json"""
    vocab = {t: i for i, t in enumerate(pieces)}
    flags = dict(single_word=False, lstrip=False, rstrip=False, normalized=False)
    added = [
        {"id": vocab[s], "content": s, **flags, "special": s not in SHOWN} for s in CONTROL + LATE
    ]
    to_blank = {"type": "Replace", "pattern": {"String": " "}, "content": BLANK}
    from_blank = {"type": "Replace", "pattern": {"String": BLANK}, "content": " "}
    model = dict(type="BPE", dropout=None, unk_token="<unk>", continuing_subword_prefix=None)
    model |= dict(end_of_word_suffix=None, fuse_unk=True, byte_fallback=True, ignore_merges=False)
    model |= dict(vocab=vocab, merges=[list(m) for m in merges])
    decoders = [from_blank, {"type": "ByteFallback"}, {"type": "Fuse"}]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": to_blank,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": model,
    }


def main(wordnet, path):
    lines = texts.examples(wordnet) + texts.sentences(20000, 5)
    asked = "user\nmodel\nTranscribe with speaker labels.\nS1: \nS2: \nS3: "
    fixed = CONTROL + [f"<0x{i:02X}>" for i in range(256)] + list(LETTERS)
    heard = lines + texts.PHRASES * 20 + [" " + x for x in lines[::2]] + [asked] * 3000
    merges = learn(heard, N_PIECES - len(fixed))
    pieces = list(dict.fromkeys(fixed + [a + b for a, b in merges])) + LATE + list(CAPITALS)
    with open(path, "w", encoding="utf-8") as f:
        json.dump(as_json(pieces, merges), f, ensure_ascii=False, indent=0)
        f.write("\n")
    t, n = Tok.load(path), 0
    sample = random.Random(1).sample(lines, 2000)
    for s in sample:
        ids = t.encode("S1: " + s)
        if t.decode(ids) != "S1: " + s:
            sys.exit(f"{s!r} does not come back")
        n += len(ids) - 3
    print(f"{len(t.vocab)} pieces, {sum(map(len, sample)) / n:.2f} characters a token")


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] != "learn":
        sys.exit(__doc__)
    main(*sys.argv[2:])
