"""Rooms as a fixed camera sees them: what is in one, what may change, and what nano should say
about it.

Lengths are shares of the picture's width or height; r is a numpy Generator. draw.py turns a room
into a picture.
"""

import dataclasses

import numpy as np

SIZES = [
    (528, 288),
    (528, 288),
    (432, 336),
    (384, 384),
]  # 16:9 (twice as often), 4:3, square in a budget of 70 patches
SIDE = 48  # of a patch
SHIRTS = dict(
    red=(200, 35, 35),
    green=(40, 150, 60),
    blue=(40, 70, 190),
    white=(235, 235, 235),
    black=(25, 25, 28),
    yellow=(225, 205, 50),
    orange=(235, 130, 30),
    purple=(125, 50, 150),
)
THINGS = ["box", "dog", "car"]
PLACES = dict(left=0.24, middle=0.5, right=0.76)
HOW_MANY = [0.25, 0.46, 0.21, 0.08]  # how often nobody, one, two, three are there
WALLS = [
    (200, 195, 180),
    (175, 190, 200),
    (190, 175, 160),
    (215, 210, 205),
    (160, 175, 160),
    (200, 180, 190),
    (150, 150, 155),
]
FLOORS = [(120, 90, 60), (95, 95, 100), (140, 120, 95), (80, 70, 65), (110, 120, 110)]
DOORS = [(115, 70, 40), (90, 60, 45), (150, 110, 70), (70, 80, 95)]
SKINS = [(235, 195, 165), (205, 155, 120), (130, 85, 60), (95, 60, 45)]
HAIRS = [(30, 25, 20), (90, 60, 30), (170, 140, 80), (120, 120, 120)]
TROUSERS = [(40, 45, 70), (60, 60, 60), (90, 80, 60), (25, 25, 30)]
SKY = (150, 190, 225)


def pick(r, items):
    return items[int(r.integers(len(items)))]


def near(r, colour, by):
    """the colour, a little off"""
    return tuple(int(c) for c in np.array(colour) + r.integers(-by, by + 1, 3))


@dataclasses.dataclass
class Person:
    place: str
    shirt: str
    sits: bool
    x: float
    height: float
    skin: tuple
    hair: tuple
    trousers: tuple

    @staticmethod
    def any(r, places):
        place = pick(r, places)
        return Person(
            place,
            pick(r, list(SHIRTS)),
            bool(r.random() < 0.3),
            PLACES[place] + r.uniform(-0.05, 0.05),
            r.uniform(0.42, 0.54),
            pick(r, SKINS),
            pick(r, HAIRS),
            pick(r, TROUSERS),
        )

    def __str__(self):
        where = "in the middle" if self.place == "middle" else "on the " + self.place
        article, does = "an" if self.shirt == "orange" else "a", "sits" if self.sits else "stands"
        return f"{article} {self.shirt} shirt {does} {where}."


@dataclasses.dataclass
class Room:
    """what stays while the camera looks at one place"""

    size: tuple
    wall: tuple
    floor: tuple
    horizon: float  # where the floor begins
    door_x: float
    door: tuple
    window_x: float | None
    window_width: float
    table_x: float | None
    lamp_x: float
    sky: tuple
    tone: float  # brightness of the camera
    noise: float  # of the camera, in levels

    @staticmethod
    def any(r, size=None):
        door_x = pick(r, [0.08, 0.12, 0.8, 0.84])
        window_x = (
            r.uniform(0.3, 0.42) if door_x > 0.5 else r.uniform(0.55, 0.68)
        )  # on the other side
        return Room(
            size or pick(r, SIZES),
            near(r, pick(r, WALLS), 14),
            near(r, pick(r, FLOORS), 12),
            r.uniform(0.56, 0.68),
            door_x + r.uniform(-0.02, 0.02),
            near(r, pick(r, DOORS), 10),
            window_x if r.random() < 0.75 else None,
            r.uniform(0.1, 0.18),
            r.uniform(0.35, 0.65) if r.random() < 0.5 else None,
            r.uniform(0.35, 0.65),
            near(r, SKY, 25),
            r.uniform(0.85, 1.1),
            r.uniform(1, 9),
        )


@dataclasses.dataclass
class State:
    """what may change"""

    people: tuple
    door_open: bool
    light: bool
    thing: str | None
    thing_x: float

    @staticmethod
    def any(r):
        people, free = [], list(PLACES)
        for _ in range(int(r.choice(4, p=HOW_MANY))):
            people.append(Person.any(r, free))
            free.remove(people[-1].place)
        return State(
            tuple(people),
            bool(r.random() < 0.5),
            bool(r.random() < 0.68),
            pick(r, THINGS) if r.random() < 0.35 else None,
            r.uniform(0.3, 0.7),
        )

    def with_(self, **what):
        return dataclasses.replace(self, **what)

    def free(self):
        return [p for p in PLACES if p not in [q.place for q in self.people]]

    def __str__(self):
        order = list(PLACES)
        said = [
            "a person in " + str(p) for p in sorted(self.people, key=lambda p: order.index(p.place))
        ] or ["nobody is there."]
        if self.thing:
            said.append(f"there is a {self.thing}.")
        return " ".join(
            [
                *said,
                f"the door is {'open' if self.door_open else 'closed'}.",
                f"the light is {'on' if self.light else 'off'}.",
            ]
        )


def change(r, s):
    """-> (the state after one thing happened, what happened)"""
    while True:
        kind = pick(r, ["in", "in", "out", "out", "light", "door", "thing"])
        if kind == "in" and s.free():
            return s.with_(people=(*s.people, Person.any(r, s.free()))), "a person came in."
        if kind == "out" and s.people:
            leaves = int(r.integers(len(s.people)))
            return s.with_(people=s.people[:leaves] + s.people[leaves + 1 :]), "a person left."
        if kind == "light":
            return s.with_(light=not s.light), (
                "the light went off." if s.light else "the light came on."
            )
        if kind == "door":
            return s.with_(door_open=not s.door_open), (
                "the door was closed." if s.door_open else "the door was opened."
            )
        if kind == "thing" and s.thing:
            return s.with_(thing=None), f"the {s.thing} is gone."
        if kind == "thing":
            thing = pick(r, THINGS)
            return s.with_(thing=thing), f"a {thing} appeared."


# ------------------------------------------------ what each patch shows, for a loss of its own
DOOR, LAMP, THING = (1 + 2 * len(PLACES) * len(SHIRTS) + k for k in (0, 2, 4))
N_MARKS = THING + len(THINGS)  # 0: background; then people, door, lamp, things


def person_mark(p):
    return (
        1 + (list(PLACES).index(p.place) * len(SHIRTS) + list(SHIRTS).index(p.shirt)) * 2 + p.sits
    )


def marks(room, s):
    """-> a number for each patch, row by row: what covers a quarter of it, or has a quarter of
    itself in it; nearer things last"""
    w, h = room.size
    floor, grid = room.horizon * h, np.zeros((h // SIDE, w // SIDE), np.int64)
    door, lamp = room.door_x * w, room.lamp_x * w
    boxes = [
        (
            door - 0.125 * h,
            floor - 0.46 * h,
            door + 0.125 * h,
            floor + 0.03 * h,
            DOOR + s.door_open,
        ),
        (lamp - 0.07 * h, 0.06 * h, lamp + 0.07 * h, 0.13 * h, LAMP + s.light),
    ]
    for p in sorted(s.people, key=lambda p: p.x):
        u, x, feet = p.height * h / 8, p.x * w, floor + 0.26 * h
        boxes.append(
            (x - 1.2 * u, feet - (7.9 if p.sits else 8.1) * u, x + 1.2 * u, feet, person_mark(p))
        )
    if s.thing:
        x, ground, u = s.thing_x * w, h * 0.97, h / 20
        boxes.append(
            (x - 2.2 * u, ground - 3 * u, x + 2.2 * u, ground, THING + THINGS.index(s.thing))
        )
    left, top = np.meshgrid(np.arange(w // SIDE) * SIDE, np.arange(h // SIDE) * SIDE)
    for x0, y0, x1, y1, mark in boxes:
        across = np.clip(np.minimum(x1, left + SIDE) - np.maximum(x0, left), 0, None)
        down = np.clip(np.minimum(y1, top + SIDE) - np.maximum(y0, top), 0, None)
        grid[across * down > 0.25 * min(SIDE * SIDE, (x1 - x0) * (y1 - y0))] = mark
    return grid.ravel()
