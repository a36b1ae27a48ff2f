"""Sounds that are not speech, and what rooms and lines do to speech (16 kHz, float32; r: numpy
Generator)."""

import numpy as np

RATE = 16000
_bank = None


def db(x):
    """decibels -> factor"""
    return np.float32(10 ** (x / 20))


def unit(y):
    return (y / (y.std() + 1e-5)).astype(np.float32)


def power(y):
    """root mean square"""
    return np.float32(np.sqrt(np.dot(y, y) / len(y) + 1e-12))


def seconds(n):
    return np.arange(n, dtype=np.float32) / RATE


def lfilter(b, a, y):
    try:
        from scipy import signal
    except ImportError:
        raise SystemExit(
            "scipy was not found: pip install scipy, or on Debian: python3-scipy"
        ) from None
    return signal.lfilter(b, a, y).astype(np.float32)


# ---------------------------------------------------------------- sounds of unit power
def steady(r, n):
    """a piece of white, dark or hollow noise"""
    global _bank
    if _bank is None:
        white = np.random.default_rng(99).standard_normal(1 << 21, dtype=np.float32)
        dark = white.copy()
        for k in (1, 2, 4, 8):
            dark[k:] = dark[k:] + dark[:-k]
        _bank = [white, unit(dark), unit(lfilter([0.05, 0.95, -0.98], [1, -1.7, 0.71], white))]
    z = _bank[int(r.integers(len(_bank)))]
    at = int(r.integers(0, len(z) - n))
    return z[at : at + n]


def hum(r, n):
    """mains and motors"""
    base, t = r.choice([50, 60, 100, 120]) * r.uniform(0.995, 1.005), seconds(n)
    return unit(
        sum(
            r.uniform(0, 1 / k) * np.sin(np.float32(2 * np.pi * base * k) * t + r.uniform(0, 6))
            for k in range(1, 9)
        )
    )


def tones(r, n):
    """notes and chords that fade, with some vibrato"""
    y, at = np.zeros(n, np.float32), 0
    while at < n:
        m = min(int(r.uniform(0.08, 0.9) * RATE), n - at)
        t = seconds(m)
        shape = np.exp(-t * np.float32(r.uniform(0, 8))) * np.minimum(1, t * 80)
        for _ in range(int(r.integers(1, 4))):
            f = 110 * 2 ** (int(r.integers(0, 44)) / 12)
            shake = np.float32(r.uniform(0, 0.02) * f) * np.sin(np.float32(34) * t)
            for k in range(1, int(r.integers(2, 6))):
                note = np.sin(np.float32(2 * np.pi * f * k) * t + shake)
                y[at : at + m] += shape * note * np.float32(k ** -r.uniform(1, 2.5))
        at += m + (int(r.uniform(0, 0.4) * RATE) if r.random() < 0.3 else 0)
    return unit(y)


def knocks(r, n):
    """typing, knocking, dripping: bursts that die away"""
    y, rate, at = np.zeros(n + 2000, np.float32), r.uniform(0.5, 9), 0
    while True:
        at += int(r.exponential(RATE / rate)) + 200
        if at >= n:
            return unit(y[:n])
        m = int(r.uniform(60, 1800))
        t = np.arange(m, dtype=np.float32)
        ring = np.float32(r.uniform(0, 2)) * np.sin(np.float32(r.uniform(0.05, 1.5)) * t)
        burst = r.standard_normal(m, dtype=np.float32) + ring
        y[at : at + m] += np.exp(-t / (m * 0.2)) * burst * np.float32(r.uniform(0.3, 1))


def gusts(r, n):
    """noise of one band that swells: wind, traffic, a crowd far away"""
    f, q, t = r.uniform(150, 3000), r.uniform(0.3, 0.95), seconds(n)
    y = lfilter([1 - q], [1, -2 * q * np.cos(2 * np.pi * f / RATE), q * q], steady(r, n))
    swell = np.sin(np.float32(r.uniform(0.5, 6)) * t + np.float32(r.uniform(0, 6)))
    return unit(y * (1 + np.float32(r.uniform(0, 0.9)) * swell))


def siren(r, n):
    """for tests only"""
    t = seconds(n)
    f = r.uniform(400, 1500) * 2 ** (
        r.uniform(0.2, 1.2) * np.sin(2 * np.pi * r.uniform(0.2, 2) * t)
    )
    return unit(np.sin(2 * np.pi * np.cumsum(f) / RATE))


def no_speech(r, test=False):
    """silence, or one or two of the sounds above, over a faint hiss"""
    n = int(r.uniform(0.4, 8 if r.random() < 0.8 else 15) * RATE)
    y, kinds = np.zeros(n, np.float32), (steady, hum, tones, knocks, gusts)
    if r.random() > 0.12:
        for _ in range(1 if r.random() < 0.7 else 2):
            k = int(r.choice(len(kinds), p=[0.25, 0.15, 0.25, 0.2, 0.15]))
            kind = siren if test and r.random() < 0.25 else kinds[k]
            y = y + kind(r, n) * db(r.uniform(-58, -14))
    return y + steady(r, n) * db(-r.uniform(55, 100))


# ---------------------------------------------------------------- what happens to speech
def coloured(y, r):
    z = y.copy()
    for k in (1, 2, 3):
        z[k:] += np.float32(r.uniform(-0.6, 0.6) / k) * y[:-k]
    return z


def resonant(y, r):
    """one peak or notch of up to 12 dB"""
    gain, w = 10 ** (r.uniform(-12, 12) / 40), 2 * np.pi * np.exp(r.uniform(5.3, 8.52)) / RATE
    width, turn = np.sin(w) / (2 * r.uniform(0.5, 3)), -2 * np.cos(w)
    top = 1 + width / gain
    b = [(1 + width * gain) / top, turn / top, (1 - width * gain) / top]
    return lfilter(b, [1, turn / top, (1 - width / gain) / top], y)


def echoing(y, r):
    z = y.copy()
    for _ in range(2):
        k = int(r.integers(60, 900))
        z[k:] += np.float32(r.uniform(-0.35, 0.35)) * y[:-k]
    return z


def in_a_room(y, r):
    """a tail of noise that dies away, laid under every sample"""
    m = int(r.uniform(0.08, 0.35) * RATE)
    h = r.standard_normal(m) * np.exp(-np.arange(m) / (m * 0.25))
    h *= r.uniform(0.2, 0.7) / np.sqrt(np.dot(h, h))
    h[0] = 1
    size = 1 << (len(y) + m - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(y, size) * np.fft.rfft(h, size), size)
    return wet[: len(y)].astype(np.float32)


def by_telephone(y, r):
    Y, f = np.fft.rfft(y), np.fft.rfftfreq(len(y), 1 / RATE)
    Y[(f < 250) | (f > r.uniform(3300, 4000))] = 0
    return np.fft.irfft(Y, len(y)).astype(np.float32)


def worsened(y, r):
    """colour, resonance, echoes or a room, the telephone, level, background: each now and then"""
    n, before = len(y), power(y)
    if r.random() < 0.45:
        y = coloured(y, r)
    if r.random() < 0.35:
        y = resonant(y, r)
    x = r.random()
    y = echoing(y, r) if x < 0.2 else in_a_room(y, r) if x < 0.3 else y
    if r.random() < 0.06:
        y = by_telephone(y, r)
    y = y * (before / power(y) * db(r.uniform(-14, 4)))
    x, loud = r.random(), power(y)
    if x < 0.5:
        return y + steady(r, n) * (loud * db(-r.uniform(12, 42)))
    if x < 0.62:
        noise = (hum, tones, knocks, gusts)[int(r.integers(4))](r, n)
        return y + noise * (loud * db(-r.uniform(14, 34)))
    return y + steady(r, n) * db(-r.uniform(60, 95)) if x < 0.9 else y
