"""The synthetic voices nano hears while it learns, how often each speaks, and those kept for
tests."""

import collections
import random

# pitch and speed: espeak-ng only
Voice = collections.namedtuple("Voice", "engine name pitch speed", defaults=(0, 0))

ACCENTS = {
    "en-us": 45,
    "en-gb": 24,
    "en-gb-scotland": 7,
    "en-gb-x-rp": 8,
    "en-us-nyc": 6,
    "en-029": 3,
    "en-gb-x-gbclan": 4,
    "en-gb-x-gbcwmd": 3,
}
# espeak-ng's variants that are understood; "-" is the plain voice
VARIANTS = """- - - - Alex Andrea Andy Annie Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco
Mario Michael Mike Nguyen RicishayMax RicishayMax2 adam anika antonio aunty belinda benjamin boris
caleb david ed edward edward2 f1 f2 f3 f4 f5 grandma grandpa gustave iven iven2 iven3 john
kaukovalta klatt klatt2 klatt3 klatt4 klatt5 linda m1 m2 m3 m4 m5 m6 m7 m8 marcelo max michel miguel
norbert pablo paul pedro quincy rob robert sandro shelby steph steph2 steph3 travis zac""".split()
# two engines, one speaker
SAME_SPEAKER = {
    ("flite", "kal16"): "kal",
    ("festival", "kal_diphone"): "kal",
    ("flite", "slt"): "slt",
    ("festival", "cmu_us_slt_arctic_hts"): "slt",
}


def espeak_voices(n=240, seed=11):
    """accent, variant, base pitch and speed; the same every time"""
    r, out = random.Random(seed), []
    for i in range(n):
        accent, variant = r.choices(list(ACCENTS), ACCENTS.values())[0], VARIANTS[i % len(VARIANTS)]
        name = accent if variant == "-" else f"{accent}+{variant}"
        out.append(Voice("espeak", name, r.randint(28, 72), r.randint(145, 175)))
    return out


ESPEAK = espeak_voices()
OTHERS = {
    Voice("flite", "rms"): 6,
    Voice("flite", "slt"): 6,
    Voice("flite", "awb"): 6,
    Voice("flite", "kal16"): 3,
    Voice("festival", "cmu_us_slt_arctic_hts"): 7,
    Voice("festival", "kal_diphone"): 4,
}
TRAINED = {**{v: 68 / len(ESPEAK) for v in ESPEAK}, **OTHERS}
NEVER_TRAINED = [
    Voice("festival", "ked_diphone"),
    Voice("espeak", "en-us+Alicia", 50, 160),
    Voice("espeak", "en-gb+victor", 50, 160),
]


def speaker(v):
    """voices with one answer may not stand for two people in a clip; all of espeak-ng's are
    close, see clips.py"""
    return "espeak" if v.engine == "espeak" else SAME_SPEAKER.get(v[:2], v.name)
