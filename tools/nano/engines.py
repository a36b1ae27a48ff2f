"""Lets espeak-ng, flite and festival speak; each gives samples and the end of every word, in
seconds.

The libraries are called in this process (libespeak-ng.so.1, libflite.so.1); festival runs as a
program. All three are Debian packages: espeak-ng flite festival festvox-us-slt-hts
festvox-kallpc16k festvox-kdlpc16k.
"""

import ctypes as c
import json
import os
import subprocess
import tempfile

import numpy as np

RATE = 16000
PEAK = 9830  # of every utterance: 0.3
HISS = 0.01  # share of the peak under which the edges are silence
EDGE = 800  # samples kept on both sides: 50 ms
PAUSE = 0.03  # share of the peak under which 10 ms are a pause between words
LONGEST_PAUSE = 60  # in steps of 10 ms


def library(name, package):
    try:
        return c.CDLL(name)
    except OSError:
        raise SystemExit(f"{name} was not found; on Debian: apt-get install {package}") from None


class Espeak:
    """its events tell where each word starts; a word ends where the next one starts"""

    SYNCHRONOUS, CHUNK_MS, WORD, SPEED, PITCH, UTF8 = 2, 500, 1, 1, 3, 1

    class Event(c.Structure):
        _fields_ = [
            ("type", c.c_int),
            ("identifier", c.c_uint),
            ("text_position", c.c_int),
            ("length", c.c_int),
            ("audio_position", c.c_int),
            ("sample", c.c_int),
            ("user", c.c_void_p),
            ("id", c.c_char * 8),
        ]

    def __init__(self):
        self.lib = library("libespeak-ng.so.1", "espeak-ng")
        self.rate = self.lib.espeak_Initialize(self.SYNCHRONOUS, self.CHUNK_MS, None, 0)
        if self.rate <= 0:
            raise SystemExit("espeak-ng cannot start; on Debian: apt-get install espeak-ng-data")
        self.callback = c.CFUNCTYPE(c.c_int, c.POINTER(c.c_short), c.c_int, c.POINTER(self.Event))(
            self.take
        )
        self.lib.espeak_SetSynthCallback(self.callback)
        self.parts, self.starts = [], []

    def take(self, samples, n, events):
        if n > 0:
            self.parts.append(np.ctypeslib.as_array(samples, (n,)).copy())
        i = 0
        while events[i].type:
            if events[i].type == self.WORD:
                self.starts.append((events[i].text_position - 1, events[i].audio_position / 1000))
            i += 1
        return 0

    def say(self, voice, text, tempo, jitter):
        """-> samples, ends, rate; jitter: added to the pitch"""
        self.parts, self.starts, b = [], [], text.encode()
        self.lib.espeak_SetVoiceByName(voice.name.encode())
        self.lib.espeak_SetParameter(self.SPEED, int(voice.speed * tempo), 0)
        self.lib.espeak_SetParameter(self.PITCH, voice.pitch + jitter, 0)
        self.lib.espeak_Synth(b, len(b) + 1, 0, 1, 0, self.UTF8, None, None)
        x = np.concatenate(self.parts).astype(np.float32) if self.parts else np.zeros(0, np.float32)
        begins, at = [], 0
        for word in text.split(" "):  # words that are spoken as one have one event, and one end
            begins.append(
                min((t for p, t in self.starts if at <= p < at + len(word)), default=None)
            )
            at += len(word) + 1
        ends, after = [], len(x) / self.rate
        for b in reversed(begins):
            ends.append(after)
            after = after if b is None else b
        return x, ends[::-1], self.rate


class Flite:
    """the end of a word is that of its last sound"""

    class Wave(c.Structure):
        _fields_ = [
            ("type", c.c_char_p),
            ("rate", c.c_int),
            ("n", c.c_int),
            ("channels", c.c_int),
            ("samples", c.POINTER(c.c_short)),
        ]

    class VoiceStart(c.Structure):
        _fields_ = [("name", c.c_char_p), ("features", c.c_void_p)]

    def __init__(self):
        self.lib, self.voices = library("libflite.so.1", "flite"), {}
        for name in (
            "flite_synth_text",
            "utt_wave",
            "utt_relation",
            "relation_head",
            "item_next",
            "item_last_daughter",
            "item_as",
        ):
            getattr(self.lib, name).restype = c.c_void_p
        self.lib.item_feat_float.restype = c.c_float
        self.lib.flite_init()

    def voice(self, name):
        if name not in self.voices:
            register = getattr(
                library(f"libflite_cmu_us_{name}.so.1", "flite"), "register_cmu_us_" + name
            )
            register.restype = c.c_void_p
            self.voices[name] = register(None)
        return self.voices[name]

    def sound_end(self, token, so_far):
        item = self.lib.item_last_daughter(c.c_void_p(token))
        item = item and self.lib.item_as(c.c_void_p(item), b"SylStructure")
        for _ in ("syllable", "sound"):
            item = item and self.lib.item_last_daughter(c.c_void_p(item))
        item = item and self.lib.item_as(c.c_void_p(item), b"Segment")
        return self.lib.item_feat_float(c.c_void_p(item), b"end") if item else so_far

    def say(self, voice, text, tempo, _jitter=0):
        v = self.voice(voice.name)
        features = c.cast(v, c.POINTER(self.VoiceStart)).contents.features
        self.lib.feat_set_float(c.c_void_p(features), b"duration_stretch", c.c_float(1 / tempo))
        u = self.lib.flite_synth_text(text.encode(), c.c_void_p(v))
        if not u:
            return np.zeros(0, np.float32), [], RATE
        w = c.cast(self.lib.utt_wave(c.c_void_p(u)), c.POINTER(self.Wave)).contents
        x, rate = np.ctypeslib.as_array(w.samples, (w.n,)).astype(np.float32), w.rate
        ends, token = [], self.lib.relation_head(
            c.c_void_p(self.lib.utt_relation(c.c_void_p(u), b"Token"))
        )
        while token:
            ends.append(self.sound_end(token, ends[-1] if ends else 0.0))
            token = self.lib.item_next(c.c_void_p(token))
        self.lib.delete_utterance(c.c_void_p(u))
        return x, ends, rate


class Festival:
    """one run of the program a voice: starting it takes longer than a sentence"""

    SCRIPT = """(voice_%s)
(define (say text file stretch)
  (Parameter.set 'Duration_Stretch stretch)
  (let ((u (utt.synth (eval (list 'Utterance 'Text text)))))
    (utt.save.wave u file 'riff)
    (mapcar
      (lambda (w) (format t "%%s %%f|" (item.name w) (item.feat w 'word_end)))
      (utt.relation.items u 'Word))
    (format t "\\n")))
"""

    def say_all(self, voice, jobs):
        """jobs: [(text, tempo)] -> [(samples, ends, rate)]"""
        with tempfile.TemporaryDirectory() as folder:
            with open(folder + "/say.scm", "w", encoding="ascii") as f:
                f.write(self.SCRIPT % voice.name)
                f.writelines(
                    f'(say {json.dumps(text)} "{folder}/{i}.wav" {1/tempo:.3f})\n'
                    for i, (text, tempo) in enumerate(jobs)
                )
            try:
                run = subprocess.run(
                    ["festival", "-b", folder + "/say.scm"],
                    text=True,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    check=False,
                )
            except FileNotFoundError:
                raise SystemExit(
                    "festival was not found; on Debian: apt-get install festival "
                    "festvox-us-slt-hts festvox-kallpc16k festvox-kdlpc16k"
                ) from None
            out = []
            for i, line in enumerate((run.stdout.split("\n") + [""] * len(jobs))[: len(jobs)]):
                words = [w.rsplit(" ", 1) for w in line.strip("|").split("|") if " " in w]
                ends = [
                    float(t) for w, t in words if not w.startswith("'")
                ]  # "it's" is two words there
                wav = f"{folder}/{i}.wav"
                out.append(read_wav(wav, ends) if os.path.exists(wav) else None)
        return out


def read_wav(path, ends):
    with open(path, "rb") as f:
        raw = f.read()
    at = raw.find(b"data") + 8
    x = np.frombuffer(raw[at : at + (len(raw) - at) // 2 * 2], "<i2").astype(np.float32)
    return x, ends, int.from_bytes(raw[24:28], "little")


def resample(x, rate):
    """to 16 kHz, with scipy"""
    if rate == RATE:
        return x
    from scipy.signal import resample_poly

    g = np.gcd(rate, RATE)
    return resample_poly(x, RATE // g, rate // g).astype(np.float32)


def finish(x, ends, rate, n_words):
    """-> (int16 samples at 16 kHz, silence cut to 50 ms, peak 0.3; ends in samples or None), or
    None when nothing was said

    A word's end moves back over the pause before the next word; ends that cannot be are dropped.
    """
    if len(x) < rate // 6:
        return None
    x = resample(x, rate)
    top = np.abs(x).max()
    loud = np.flatnonzero(np.abs(x) > HISS * top)
    if top < 100:
        return None
    first = max(0, loud[0] - EDGE)
    x = x[first : loud[-1] + EDGE] * (PEAK / top)
    steps = [np.abs(x[i : i + 160]).max() > PAUSE * PEAK for i in range(0, len(x), 160)]
    moved = []
    for e in ends:
        j = k = int(np.clip(e * RATE - first, 0, len(x))) // 160
        while j > 1 and k - j < LONGEST_PAUSE and not steps[min(j, len(steps)) - 1]:
            j -= 1
        moved.append(min(j * 160, len(x)))
    fine = (
        len(moved) == n_words and moved[0] >= 400 and all(a <= b for a, b in zip(moved, moved[1:]))
    )
    return np.clip(np.round(x), -32767, 32767).astype(np.int16), moved if fine else None


class Speakers:
    """all engines, each started when it is first asked"""

    def __init__(self):
        self.engines = {}

    def engine(self, name):
        if name not in self.engines:
            self.engines[name] = {"espeak": Espeak, "flite": Flite, "festival": Festival}[name]()
        return self.engines[name]

    def say_all(self, jobs):
        """jobs: [(voice, text, tempo, jitter)] -> [(samples, ends) or None]"""
        raw, batch = [None] * len(jobs), {}
        for i, (v, text, tempo, jitter) in enumerate(jobs):
            if v.engine == "festival":
                batch.setdefault(v, []).append(i)
            else:
                raw[i] = self.engine(v.engine).say(v, text, tempo, jitter)
        for v, ix in batch.items():
            for i, said in zip(ix, self.engine("festival").say_all(v, [jobs[i][1:3] for i in ix])):
                raw[i] = said
        return [
            None if x is None else finish(*x, len(jobs[i][1].split())) for i, x in enumerate(raw)
        ]
