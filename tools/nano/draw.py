"""Draws a room (rooms.py) as a camera would show it. Wants Pillow."""

import numpy as np

from rooms import SHIRTS

try:
    from PIL import Image, ImageDraw, ImageFilter
except ImportError:
    raise SystemExit(
        "Pillow was not found: pip install pillow, or on Debian: apt-get install python3-pil"
    ) from None

FRAME, CHAIR, LIT, UNLIT = (240, 240, 235), (70, 50, 40), (255, 250, 215), (75, 72, 70)
TABLE_TOP, TABLE_LEG = (130, 85, 50), (110, 70, 40)
DARK = np.float32([0.26, 0.28, 0.36])  # what is left of each colour without light
_noise = None


def noise(r, shape):
    """normal noise, cut at random from one long strip: drawing new numbers would take longer
    than the picture"""
    global _noise
    if _noise is None:
        _noise = np.random.default_rng(5).standard_normal(1 << 21, dtype=np.float32)
    n = int(np.prod(shape))
    at = int(r.integers(0, len(_noise) - n))
    return _noise[at : at + n].reshape(shape)


def dim(colour, share):
    return tuple(int(c * share) for c in colour)


class Pen:
    """shapes around a point, in units of u pixels; up is negative"""

    def __init__(self, d, x, y, u):
        self.d, self.x, self.y, self.u = d, x, y, u

    def at(self, *points):
        return [(self.x + px * self.u, self.y + py * self.u) for px, py in points]

    def box(self, x0, y0, x1, y1, fill, **more):
        self.d.rectangle(self.at((x0, y0), (x1, y1)), fill=fill, **more)

    def round_box(self, x0, y0, x1, y1, radius, fill):
        self.d.rounded_rectangle(self.at((x0, y0), (x1, y1)), radius=radius * self.u, fill=fill)

    def oval(self, x0, y0, x1, y1, fill):
        self.d.ellipse(self.at((x0, y0), (x1, y1)), fill=fill)

    def half_oval(self, x0, y0, x1, y1, fill):
        self.d.pieslice(self.at((x0, y0), (x1, y1)), 180, 360, fill=fill)

    def shape(self, points, fill):
        self.d.polygon(self.at(*points), fill=fill)

    def line(self, a, b, fill, width):
        self.d.line(self.at(a, b), fill=fill, width=width)


def person(d, p, x, feet, u):
    """u: an eighth of the height"""
    pen = Pen(d, x, feet, u)
    if p.sits:
        for x0, y0, x1, y1 in (
            (-1.3, -5.8, -1.0, 0),
            (-1.3, -3.1, 1.2, -2.75),
            (0.9, -3.2, 1.2, 0),
        ):
            pen.box(x0, y0, x1, y1, CHAIR)
        pen.box(-0.9, -3.9, 1.5, -3.1, p.trousers)
        pen.box(0.9, -3.7, 1.5, -0.1, p.trousers)
    else:
        pen.box(-0.8, -3.8, -0.08, 0, p.trousers)
        pen.box(0.08, -3.8, 0.8, 0, p.trousers)
    body = Pen(d, x, feet - (6.5 if p.sits else 6.7) * u, u)
    shirt = SHIRTS[p.shirt]
    body.round_box(-1.05, 0, 1.05, 3.1, 0.4, shirt)
    for arm in (-1.45, 1.0):
        body.box(arm, 0.15, arm + 0.45, 2.6, dim(shirt, 0.86))
    body.oval(-0.62, -1.45, 0.62, 0.05, p.skin)
    body.half_oval(-0.66, -1.5, 0.66, -0.2, p.hair)


def window(d, room, light, w, h):
    x, half = room.window_x * w, room.window_width * w / 2
    d.rectangle([x - half - 4, 0.14 * h - 4, x + half + 4, 0.38 * h + 4], fill=FRAME)
    d.rectangle(
        [x - half, 0.14 * h, x + half, 0.38 * h], fill=room.sky if light else dim(room.sky, 0.35)
    )
    d.line([x, 0.14 * h, x, 0.38 * h], fill=FRAME, width=3)


def door(d, room, is_open, w, h):
    """open: a dark opening, the leaf swung to the near side"""
    x, floor, half = room.door_x * w, room.horizon * h, 0.125 * h
    top, foot = floor - 0.46 * h, floor + 0.03 * h
    d.rectangle([x - half - 4, top - 4, x + half + 4, foot], fill=(235, 230, 220))
    if is_open:
        side = -half if room.door_x < 0.5 else half
        d.rectangle([x - half, top, x + half, foot], fill=(22, 20, 24))
        d.polygon(
            [
                (x + side, top),
                (x + side * 0.45, top + 0.05 * h),
                (x + side * 0.45, foot + 0.05 * h),
                (x + side, foot),
            ],
            fill=dim(room.door, 0.8),
        )
        return
    d.rectangle([x - half, top, x + half, foot], fill=room.door)
    for y0, y1 in ((top + 0.05 * h, top + 0.2 * h), (top + 0.27 * h, foot - 0.05 * h)):
        d.rectangle(
            [x - half * 0.65, y0, x + half * 0.65, y1], outline=dim(room.door, 0.75), width=2
        )
    d.ellipse(
        [x + half * 0.7, top + 0.25 * h, x + half * 0.85, top + 0.28 * h], fill=(230, 210, 120)
    )


def box(pen):
    pen.box(-1.6, -2.6, 1.6, 0, (185, 140, 85))
    pen.line((0, -2.6), (0, 0), (140, 100, 55), 3)
    pen.line((-1.6, -1.9), (1.6, -1.9), (140, 100, 55), 2)


def dog(pen):
    coat = (120, 75, 35)
    pen.oval(-2, -2.6, 1.4, -1.2, coat)
    pen.oval(0.9, -3.5, 2.3, -2.2, coat)
    pen.shape([(1.1, -3.3), (0.9, -2.4), (1.4, -2.8)], (60, 35, 15))
    pen.line((-1.9, -2.1), (-2.8, -3.2), coat, 4)
    for leg in (-1.5, -0.9, 0.5, 1.0):
        x = pen.x + leg * pen.u
        pen.d.rectangle([x - 2, pen.y - 1.5 * pen.u, x + 3, pen.y], fill=coat)


def car(pen):
    paint = (170, 30, 40)
    pen.round_box(-3.4, -2.3, 3.4, -0.6, 0.5, paint)
    pen.shape([(-2, -2.2), (-1.2, -3.6), (1.2, -3.6), (2.2, -2.2)], paint)
    pen.shape([(-1.5, -2.3), (-1, -3.3), (1, -3.3), (1.6, -2.3)], (170, 205, 225))
    for wheel in (-2, 2):
        pen.oval(wheel - 0.8, -1.3, wheel + 0.8, 0.3, (20, 20, 20))


THING = dict(box=box, dog=dog, car=car)


def plain(room, s):
    """-> the picture as drawn, in full light, sharp, without noise"""
    w, h = room.size
    im = Image.new("RGB", (w, h), room.wall)
    d, floor = ImageDraw.Draw(im), room.horizon * h
    d.rectangle([0, floor, w, h], fill=room.floor)
    d.rectangle([0, floor - 0.012 * h, w, floor], fill=dim(room.wall, 0.7))
    if room.window_x is not None:
        window(d, room, s.light, w, h)
    door(d, room, s.door_open, w, h)
    x = room.lamp_x * w
    d.line([x, 0, x, 0.07 * h], fill=(40, 40, 40), width=2)
    d.ellipse([x - 0.07 * h, 0.06 * h, x + 0.07 * h, 0.13 * h], fill=LIT if s.light else UNLIT)
    if room.table_x is not None:
        pen = Pen(d, room.table_x * w, floor + 0.07 * h, h)
        pen.box(-0.17, 0, 0.17, 0.03, TABLE_TOP)
        pen.box(-0.15, 0, -0.13, 0.17, TABLE_LEG)
        pen.box(0.13, 0, 0.15, 0.17, TABLE_LEG)
    for p in sorted(s.people, key=lambda p: p.x):
        person(d, p, p.x * w, floor + 0.26 * h, p.height * h / 8)
    if s.thing:
        THING[s.thing](Pen(d, s.thing_x * w, h * 0.97, h / 20))
    return im


def softened(r, im):
    """a lens out of focus, a low resolution blown up, or neither"""
    x = r.random()
    if x < 0.35:
        return im.filter(ImageFilter.GaussianBlur(r.uniform(0.4, 1.2)))
    if x < 0.6:
        k, (w, h) = r.uniform(0.4, 0.8), im.size
        return im.resize((int(w * k), int(h * k)), Image.BICUBIC).resize((w, h), Image.BICUBIC)
    return im


def shot(r, room, s, clean=False, still=False):
    """-> uint8 [height, width, 3], never twice the same; clean: nearly no noise, for small
    files; still: camera on a tripod, in focus"""
    im = plain(room, s)
    w, h = room.size
    if not still:
        by = int(r.integers(-4, 5)), int(r.integers(-3, 4))
        im = softened(
            r, im.transform((w, h), Image.AFFINE, (1, 0, by[0], 0, 1, by[1]), fillcolor=room.wall)
        )
    a = np.asarray(im, np.float32) * np.float32(room.tone * (1 if still else r.uniform(0.95, 1.05)))
    if not s.light:
        a = a * DARK * np.float32(1 if still else r.uniform(0.8, 1.2))
    grain = noise(r, (h, w, 1 if r.random() < 0.5 else 3)) * np.float32(
        room.noise * (1 if s.light else 0.6)
    )
    if clean:
        grain = grain[:, :, :1] * np.float32(0 if r.random() < 0.7 else 0.25)
    return np.clip(a + grain + 0.5, 0, 255).astype(np.uint8)
