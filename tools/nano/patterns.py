"""Test pictures such as video test sources show, and their names (r: numpy Generator)."""

import numpy as np

from draw import noise
from rooms import SIZES, pick

COLOURS = dict(red=(1, 0, 0), green=(0, 1, 0), blue=(0, 0, 1))
COLOURS |= dict(white=(1, 1, 1), black=(0, 0, 0))
COLOURS |= dict(yellow=(1, 1, 0), cyan=(0, 1, 1), magenta=(1, 0, 1), gray=(0.5, 0.5, 0.5))
DIM = (0.07, 0.07, 0.07)
TOP = [(1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1)]
NARROW = [(0, 0, 1), DIM, (1, 0, 1), DIM, (0, 1, 1), DIM, (1, 1, 1)]
BOTTOM = [(0, 0.13, 0.3), (1, 1, 1), (0.2, 0, 0.42), DIM, DIM, DIM]
CHECKS = [((1, 1, 1), (0, 0, 0)), ((1, 0, 0), (0, 1, 0)), ((0, 1, 0), (0, 0, 0))]


def gray(a):
    return np.repeat(a[..., None].astype(np.float32), 3, 2)


def bars(r, x, y, w, h):
    """seven columns; most have a narrow row in other order and a bottom row, some of those a
    corner of snow"""
    level = 0.75 if r.random() < 0.6 else 1.0
    column = np.minimum(x * 7 // w, 6).astype(int)
    im = np.float32(TOP)[column] * level
    if r.random() < 0.8:
        im = np.where((y > 0.67 * h)[..., None], np.float32(NARROW)[column] * level, im)
        sixth = np.minimum(x * 6 // w, 5).astype(int)
        im = np.where((y > 0.75 * h)[..., None], np.float32(BOTTOM)[sixth] * level, im)
        if r.random() < 0.5:
            corner = (y > 0.75 * h) & (x > 0.74 * w)
            im = np.where(corner[..., None], snow(r, x, y, w, h), im)
    return im


def snow(r, x, _y, _w, _h):
    return gray(r.random(x.shape, dtype=np.float32))


def checks(r, x, y, _w, _h):
    n, (a, b) = pick(r, [4, 8, 12, 16, 24]), pick(r, CHECKS)
    odd = (x // n + y // n) % 2
    return np.where(odd[..., None] > 0, np.float32(a), np.float32(b))


def circles(r, x, y, w, h):
    return gray((0.5 + 0.5 * np.cos(np.hypot(x - w / 2, y - h / 2) * r.uniform(0.2, 0.7))).round())


def zone_plate(r, x, y, w, h):
    return gray(0.5 + 0.5 * np.cos(((x - w / 2) ** 2 + (y - h / 2) ** 2) * r.uniform(0.003, 0.012)))


def ball(r, x, y, w, h):
    m = h / 240 * r.uniform(14, 24)
    return gray(np.hypot(x - r.uniform(m, w - m), y - r.uniform(m, h - m)) < m)


def gradient(r, x, y, w, h):
    g = y / h if r.random() < 0.7 else x / w
    return gray(1 - g if r.random() < 0.5 else g)


def pinwheel(r, x, y, w, h):
    a = np.arctan2(y - h / 2, x - w / 2) * int(r.integers(4, 10)) + r.uniform(0, 6)
    return gray(0.5 + 0.5 * np.sin(a) if r.random() < 0.5 else np.sin(a) > 0)


# what each is called, how it is drawn, how often
DRAWN = {
    "color bars.": (bars, 2),
    "television snow.": (snow, 1),
    "a checkerboard.": (checks, 1),
    "concentric circles.": (circles, 1),
    "a zone plate.": (zone_plate, 1),
    "a white ball on black.": (ball, 2),
    "a gray gradient.": (gradient, 1),
    "a pinwheel.": (pinwheel, 2),
}
SCREENS = {f"a {c} screen.": rgb for c, rgb in COLOURS.items()}
NAMES = [*DRAWN, *SCREENS]
SCREEN_SHARE = 2  # beside those of DRAWN


def pattern(r, clean=False):
    """-> uint8 picture, its name"""
    w, h = pick(r, SIZES)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    often = np.array([n for _, n in DRAWN.values()] + [SCREEN_SHARE], float)
    k = int(r.choice(len(often), p=often / often.sum()))
    if k < len(DRAWN):
        name = list(DRAWN)[k]
        im = DRAWN[name][0](r, x, y, w, h)
    else:
        name = pick(r, list(SCREENS))
        im = np.broadcast_to(np.float32(SCREENS[name]), (h, w, 3))
    grain = noise(r, (h, w, 3)) * np.float32(0 if clean else r.uniform(0, 3))
    return (
        np.clip(im * 255 * np.float32(r.uniform(0.9, 1)) + grain + 0.5, 0, 255).astype(np.uint8),
        name,
    )
