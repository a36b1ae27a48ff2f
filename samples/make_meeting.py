#!/usr/bin/env python3
"""Makes the sample: a meeting of four synthetic voices in a drawn room, and its truth.

make_meeting.py [FOLDER]    writes meeting.mkv and meeting.truth.json (beside it, or in FOLDER)

Wants numpy, scipy and Pillow, and from Debian espeak-ng, flite and ffmpeg. The same files come
out every time, as far as the versions of those are the same. README.md says what was chosen, why.
"""

import json
import os
import random
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tools", "nano"))

import numpy as np  # noqa: E402

import draw  # noqa: E402
import rooms  # noqa: E402
from engines import EDGE, RATE, Speakers  # noqa: E402
from voices import Voice  # noqa: E402

SEED = 7
ROOM_SEED = 3
FPS, SIZE, CRF = 10, (528, 288), 20
GRAIN = 1.0  # noise of the camera, in levels
HISS_DB = -66  # of the room, against full scale
LEAD_S, TAIL_S = 0.8, 1.5
VOICES = {  # voice, tempo, peak
    "S1": (Voice("espeak", "en-gb-x-rp+grandma", 49, 171), 0.95, 0.36),
    "S2": (Voice("espeak", "en-us+edward2", 32, 160), 0.95, 0.42),
    "S3": (Voice("flite", "slt"), 1.0, 0.28),
    "S4": (Voice("flite", "rms"), 1.0, 0.32),
}
TALK = [
    ("S1", "good morning, this is anna from marketing."),
    ("S2", "hello anna, how are you today?"),
    ("S1", "i am fine, thanks.", "next item on the agenda is the budget."),
    ("S3", "the finance team reviewed the budget on monday."),
    ("S2", "the marketing budget is twelve thousand five hundred euros."),
    ("S4", "that is nine percent more than last week."),
    ("S2", "the price went up from ninety to one hundred and twenty euros."),
    ("S1", "who is responsible for the contract?"),
    ("S3", "david is responsible for the new contract."),
    ("S4", "my suggestion is to review the contract first."),
    ("S2", "i agree with david about the contract."),
    ("S1", "karen, could you send the report by thursday?"),
    ("S3", "yes, we can send it tomorrow.", "i will send you the summary by nine o'clock."),
    ("S2", "what is the status of the new server?"),
    ("S3", "the server was repaired by martin."),
    ("S4", "the light in the hallway is off."),
    ("S2", "camera three is offline."),
    ("S1", "please send a technician to the hallway."),
    ("S4", "two visitors are waiting at the front desk."),
    ("S3", "the visitor at the front desk is waiting for david."),
    ("S1", "we decided to approve the new budget."),
    ("S2", "the deadline is march the fifth."),
    ("S4", "we will meet again on friday at ten o'clock."),
    ("S1", "thank you for joining us, karen.", "that is all from me."),
]


def scenes():
    """-> [(share of the recording at which it begins, state)]"""

    def person(place, shirt, sits, x, height, skin, hair, trousers):
        return rooms.Person(
            place,
            shirt,
            sits,
            x,
            height,
            rooms.SKINS[skin],
            rooms.HAIRS[hair],
            rooms.TROUSERS[trousers],
        )

    left, right = person("left", "red", True, 0.25, 0.5, 0, 1, 0), person(
        "right", "blue", False, 0.73, 0.5, 2, 0, 1
    )
    middle = person("middle", "yellow", False, 0.51, 0.53, 1, 3, 1)
    s = rooms.State((left,), False, True, None, 0.5)
    out = [s]
    for change in (
        dict(people=(left, right)),
        dict(door_open=True),
        dict(light=False),
        dict(light=True),
        dict(thing="box"),
        dict(people=(left, right, middle)),
        dict(people=(left, middle)),
    ):
        out.append(out[-1].with_(**change))
    return out


def speech(r):
    """-> samples, turns"""
    speakers, parts, turns, at = Speakers(), [], [], 0

    def silence(seconds):
        nonlocal at
        parts.append(np.zeros(int(seconds * RATE), np.float32))
        at += len(parts[-1])

    silence(LEAD_S)
    for k, (who, *said) in enumerate(TALK):
        voice, tempo, peak = VOICES[who]
        if k:
            silence(r.choice([0.3, 0.4, 0.5, 0.75, 0.9, 1.1]))
        t0 = None
        for i, (x, _) in enumerate(
            speakers.say_all([(voice, s, tempo * r.uniform(0.97, 1.03), 0) for s in said])
        ):
            if i:
                silence(r.uniform(0.3, 0.45))
            if t0 is None:
                t0 = at + EDGE
            parts.append(x.astype(np.float32) / np.abs(x).max() * peak)
            at += len(x)
        turns.append(
            dict(
                t0=round(t0 / RATE, 3),
                t1=round((at - EDGE) / RATE, 3),
                speaker=who,
                text=" ".join(said),
            )
        )
    silence(TAIL_S)
    silence((-at % (RATE // FPS)) / RATE)  # sound and pictures end together
    return np.concatenate(parts), turns


def hiss(n):
    """dark noise: more low than high, like a ventilated room"""
    x = np.random.default_rng(SEED).standard_normal(n + 16).astype(np.float32)
    for k in (1, 2, 4, 8):
        x[k:] = x[k:] + x[:-k]
    return x[16:] / x.std() * np.float32(10 ** (HISS_DB / 20))


def encode(path, sound, pictures):
    """pictures: yields uint8 [height, width, 3]; these go through a pipe, sound through a file"""
    raw = path + ".s16"
    np.round(np.clip(sound, -1, 1) * 32767).astype("<i2").tofile(raw)
    picture_in = f"-f rawvideo -pix_fmt rgb24 -s {SIZE[0]}x{SIZE[1]} -r {FPS} -i -"
    sound_in = ["-f", "s16le", "-ar", str(RATE), "-ac", "1", "-i", raw]
    # BT.601 because readers take it for granted at this size; one thread because what comes out
    # depends on their number
    convert = "scale=out_range=tv:out_color_matrix=bt601:flags=accurate_rnd+full_chroma_int"
    told = "-colorspace smpte170m -color_primaries smpte170m -color_trc smpte170m -color_range tv"
    video = f"-c:v libx264 -crf {CRF} -preset slow -g {5 * FPS} -pix_fmt yuv420p -threads 1 {told}"
    audio = "-c:a flac -compression_level 12"
    exact = "-fflags +bitexact -flags:v +bitexact -flags:a +bitexact"
    command = ["ffmpeg", "-v", "error", "-y", *picture_in.split(), *sound_in, "-vf", convert]
    command += [*video.split(), *audio.split(), *exact.split(), path]
    try:
        with subprocess.Popen(command, stdin=subprocess.PIPE) as p:
            for im in pictures:
                p.stdin.write(im.tobytes())
            p.stdin.close()
            if p.wait():
                sys.exit(f"ffmpeg ended with {p.returncode}")
    except FileNotFoundError:
        sys.exit("ffmpeg was not found; on Debian: apt-get install ffmpeg")
    finally:
        os.unlink(raw)


def shots(states, frames):
    """each state for its share of the frames, with fresh grain on every picture"""
    g = np.random.default_rng(ROOM_SEED)
    room = rooms.Room.any(g, SIZE)
    room.noise, room.tone = GRAIN, 1.0
    for k, s in enumerate(states):
        for _ in range(k * frames // len(states), (k + 1) * frames // len(states)):
            yield draw.shot(g, room, s, still=True)


def main(folder=HERE):
    sound, turns = speech(random.Random(SEED))
    sound = sound + hiss(len(sound))
    frames, states = len(sound) * FPS // RATE, scenes()
    borders = [k * frames // len(states) / FPS for k in range(len(states) + 1)]
    truth = dict(
        turns=turns,
        scenes=[dict(t0=a, t1=b, text=str(s)) for a, b, s in zip(borders, borders[1:], states)],
    )
    encode(folder + "/meeting.mkv", sound, shots(states, frames))
    with open(folder + "/meeting.truth.json", "w", encoding="utf-8") as f:
        rows = {k: ",\n    ".join(map(json.dumps, v)) for k, v in truth.items()}
        f.write("{\n" + ",\n".join(f'  "{k}": [\n    {v}\n  ]' for k, v in rows.items()) + "\n}\n")
    print(
        f"{len(sound) / RATE:.1f} s, {len(turns)} turns, {len(states)} scenes, "
        f"{os.path.getsize(folder + '/meeting.mkv') / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main(*sys.argv[1:2])
