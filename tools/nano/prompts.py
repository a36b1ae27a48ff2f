"""What nano is asked, in its exact words, and what it should answer: prompts of sound and of
pictures.

A Prompt is a list of parts: token ids, 40 ms frames of sound, or the patches of one picture; and
the answer's ids. batch() lays several out for Nano.forward.
"""

import dataclasses
import re

import numpy as np

import patterns
import rooms
from draw import shot
from rooms import SIDE, pick
from tok import BLANK, Tok

TRANSCRIBE, DESCRIBE, CHANGED = (
    "Transcribe with speaker labels.",
    "Describe the scene.",
    "What changed?",
)
YES_NO = dict(
    person="Is there a person? Answer yes or no.",
    door="Is the door open? Answer yes or no.",
    dark="Is it dark? Answer yes or no.",
)
THEN = "<turn|>\n<|turn>model\n<|channel>thought\n<channel|>"
FRAME, NONE = 640, -100
HEADS = 120  # merges the auxiliary CTC symbols have
SEGMENT = 5  # frames looked at in each half of a sentence, to tell voices apart
# what a patch shows: background, person, door, lamp, thing (as in rooms.marks), then patterns
N_SHOWN = rooms.N_MARKS + len(patterns.NAMES)


@dataclasses.dataclass
class Prompt:
    # ("text", ids), ("sound", [n, 640]) or ("picture", [n, 6912] bytes, [n, 2] columns and rows)
    parts: list
    answer: str
    spoken: list = dataclasses.field(default_factory=list)  # CTC symbols
    voices: list = dataclasses.field(default_factory=list)  # (frames of the sound, speaker)
    shown: list = dataclasses.field(default_factory=list)  # what each patch shows, a picture each


def frames(y):
    n = -(-len(y) // FRAME)
    return np.pad(y, (0, n * FRAME - len(y))).reshape(n, FRAME).astype(np.float32)


def patches(im):
    """uint8 [h, w, 3] -> bytes of the 48x48 patches, row by row, and their columns and rows"""
    h, w = im.shape[0] // SIDE, im.shape[1] // SIDE
    p = im.reshape(h, SIDE, w, SIDE, 3).swapaxes(1, 2).reshape(h * w, -1)
    y, x = np.divmod(np.arange(h * w), w)
    return p, np.stack([x, y], 1)


class Symbols:
    """of the CTC loss on the state in the middle: 0 blank, letters, the first merges, speaker
    changes

    Single letters would need more symbols a second than there are frames.
    """

    def __init__(self, tok):
        letters = BLANK + "abcdefghijklmnopqrstuvwxyz'"
        merges = [m for m in tok.merges if set(m[0] + m[1]) <= set(letters)][:HEADS]
        pieces = [*letters, *dict.fromkeys(a + b for a, b in merges)]
        self.tok = Tok({p: i + 1 for i, p in enumerate(pieces)}, merges)
        self.first_speaker, self.n = len(pieces) + 1, len(pieces) + 5

    def of(self, turns):
        out = []
        for speaker, text in turns:
            plain = " ".join(re.sub(r"[^a-z']", " ", text).split())
            out += [self.first_speaker + speaker - 1] + self.tok.encode(" " + plain)
        return out


# ---------------------------------------------------------------- sound
def halves(clip, n):
    """(frames, speaker) for each half of each sentence; the first frames still know the voice
    before"""
    out = []
    for first, end, who in clip.spans:
        a, b = first // FRAME + 3, min(end // FRAME, n) - 1
        if b - a >= 2 * SEGMENT + 2:
            m = (a + b) // 2
            out += [(np.linspace(x, y - 1, SEGMENT).astype(int), who) for x, y in ((a, m), (m, b))]
    return out


def of_clip(tok, clip, symbols=None):
    before = f"<bos><|turn>user\n{TRANSCRIBE}" + (
        f"\nEarlier: {clip.earlier}" if clip.earlier else ""
    )
    f, turns = frames(clip.y), clip.turns()
    parts = [
        ("text", tok.encode(before + "\n<|audio>")),
        ("sound", f),
        ("text", tok.encode("<audio|>" + THEN)),
    ]
    return Prompt(parts, clip.answer(), symbols.of(turns) if symbols else [], halves(clip, len(f)))


# ---------------------------------------------------------------- pictures
def of_pictures(tok, images, t0, step, question, answer, shown=()):
    """the first picture at t0 seconds, the others `step` later each"""
    parts, text = [], "<bos><|turn>user\n"
    for i, im in enumerate(images):
        t = t0 + i * step
        parts += [
            ("text", tok.encode(f"{text}{t // 60:02d}:{t % 60:02d} <|image>")),
            ("picture", *patches(im)),
        ]
        text = "<image|> "
    parts.append(("text", tok.encode(f"<image|>\n{question}{THEN}")))
    return Prompt(parts, answer, shown=list(shown))


def any_pictures(r, clean=False):
    """-> images, t0, step, question, answer, what each patch of each image shows"""
    t0, step = int(r.integers(0, 3600 if r.random() < 0.7 else 60)), pick(r, [1, 1, 1, 2, 5, 10])
    if r.random() < 0.12:
        im, name = patterns.pattern(r, clean)
        n = im.shape[0] * im.shape[1] // SIDE**2
        asked = (DESCRIBE, name) if r.random() < 0.8 else (YES_NO["person"], "no")
        return [im], t0, step, *asked, [np.full(n, rooms.N_MARKS + patterns.NAMES.index(name))]
    room, state = rooms.Room.any(r), rooms.State.any(r)
    states, x = [state], r.random()
    if x < 0.24:
        n = 2 if r.random() < 0.75 else 3
        states, question, answer = [state] * n, CHANGED, "nothing changed."
        if r.random() < 0.8:
            new, answer = rooms.change(r, state)
            k = int(r.integers(1, n))
            states = [state] * k + [new] * (n - k)
    else:
        if r.random() < 0.12:  # an older picture before the one that is meant
            states = [rooms.change(r, state)[0] if r.random() < 0.5 else state, state]
        if x < 0.65:
            question, answer = DESCRIBE, str(state)
        else:
            truth = dict(person=bool(state.people), door=state.door_open, dark=not state.light)
            what = pick(r, list(YES_NO))
            question, answer = YES_NO[what], "yes" if truth[what] else "no"
    images = [shot(r, room, s, clean) for s in states]
    return images, t0, step, question, answer, [rooms.marks(room, s) for s in states]


# ---------------------------------------------------------------- several at once
def padded(rows, fill):
    out = np.full((len(rows), max(map(len, rows), default=0)), fill, np.int64)
    for a, row in zip(out, rows):
        a[: len(row)] = row
    return out


def batch(tok, prompts, r=None, wrong=0.0):
    """-> dict of arrays. Rows are text tokens, then frames, then patches, then one of zeros;
    `rows` [B, T] says which stands where, `picture` which picture (from 1) it belongs to. wrong:
    share of the answer's tokens that are fed in wrong, so that the model has to listen."""
    ids, sound, pixels, places, layout, blocks, targets, asked, voices = (
        [],
        [],
        [],
        [],
        [],
        [],
        [],
        [],
        [],
    )
    patch_at, shown, before, end = [], [], [], tok.vocab["<turn|>"]
    sounding = []  # of each prompt: places of its frames
    for b, p in enumerate(prompts):
        row, block, here, last = [], [], [], None
        answer = tok.encode(p.answer) + [end]
        fed = [
            int(r.integers(275, 768)) if wrong and r.random() < wrong else t for t in answer[:-1]
        ]
        pictures = iter(p.shown)
        for kind, x, *xy in [*p.parts, ("text", fed)]:
            store = dict(text=ids, sound=sound, picture=pixels)[kind]
            if kind == "picture":
                places.append(xy[0])
                now = next(pictures, np.full(len(x), NONE))
                patch_at += [(b, len(row) + i) for i in range(len(x))]
                shown.append(now)
                before.append(
                    np.full(len(x), NONE) if last is None or len(last) != len(x) else last
                )
                last = now
            if kind == "sound":
                here = list(range(len(row), len(row) + len(x)))
            number = max(block, default=0) + 1 if kind == "picture" else 0
            block += [number] * len(x)
            row += [(kind, len(store) + i) for i in range(len(x))]
            store.extend(x)
        voices += [(b, [here[k] for k in f], b * 8 + who) for f, who in p.voices]
        layout.append(row)
        blocks.append(block)
        sounding.append(here)
        asked.append(list(range(len(row) - len(fed) - 1, len(row))))
        targets.append(answer)
    first = dict(text=0, sound=len(ids), picture=len(ids) + len(sound))
    total = len(ids) + len(sound) + len(pixels)
    T = max(map(len, layout))

    def flat(pairs):
        return np.array([b * T + i for b, i in pairs], np.int64)

    return dict(
        ids=np.array(ids, np.int64),
        sound=np.array(sound, np.float32).reshape(-1, FRAME),
        pixels=np.array(pixels, np.uint8).reshape(-1, 3 * SIDE * SIDE),
        places=np.concatenate(places) if places else np.zeros((0, 2), np.int64),
        rows=padded([[first[k] + i for k, i in row] for row in layout], total),
        picture=padded(blocks, 0),
        asked=flat([(b, i) for b, x in enumerate(asked) for i in x]),
        target=np.array([t for x in targets for t in x], np.int64),
        whose=np.array([b for b, x in enumerate(targets) for _ in x], np.int64),
        heard=flat([(b, i) for b, x in enumerate(sounding) for i in x]),
        heard_n=np.array([len(x) for x in sounding], np.int64),
        spoken=np.array([s for p in prompts for s in p.spoken], np.int64),
        spoken_n=np.array([len(p.spoken) for p in prompts], np.int64),
        halves=flat([(b, i) for b, f, _ in voices for i in f]).reshape(-1, SEGMENT),
        voice=np.array([v for *_, v in voices], np.int64),
        patch=flat(patch_at),
        shown=np.concatenate(shown) if shown else np.zeros(0, np.int64),
        before=np.concatenate(before) if before else np.zeros(0, np.int64),
    )
