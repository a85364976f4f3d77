"""Generates films of the rendered world from a seed, as symbolic scenes that are rendered later.

A film is a list of shots (the paper's clips). In a shot, things of different shapes stand
in the cells of a 3x3 grid; one or two of the dynamic ones move to another cell. Coordinates
are pixels of a 256x256 frame, x to the right and y down; times are frames at `FPS`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

SIDE = 256
FPS = 24
CELLS = 3
STATIC = ("cross", "diamond", "pillar", "square", "triangle")
DYNAMIC = ("circle", "crescent", "heart", "ring", "star")
COLORS = {
    "red": (214, 40, 40),
    "orange": (247, 140, 20),
    "yellow": (245, 214, 30),
    "green": (40, 150, 60),
    "cyan": (0, 190, 205),
    "blue": (40, 70, 210),
    "purple": (130, 40, 160),
    "black": (25, 25, 25),
}
SIZES = {"small": 18, "large": 33}
TEXTURES = ("plain", "striped", "dotted")
BACKGROUNDS = {
    "sand": (236, 216, 172),
    "sky": (180, 212, 244),
    "mint": (186, 236, 200),
    "rose": (244, 200, 214),
    "stone": (206, 206, 206),
    "lilac": (212, 194, 242),
}
DIRECTIONS = {
    "moving left": (-1, 0),
    "moving right": (1, 0),
    "moving up": (0, -1),
    "moving down": (0, 1),
}
STILL = "staying still"
MOTIONS = (*DIRECTIONS, STILL)
PREDICATES = ("left of", "right of", "above", "below")
CLEAR = 42.0
"""Minimum distance along an axis, in pixels, for a spatial relation along that axis to hold."""


@dataclass(frozen=True)
class Thing:
    """One object of the world. Different things of a film with the same shape differ in colour."""

    identity: int
    shape: str
    color: str
    size: str
    texture: str

    @property
    def dynamic(self) -> bool:
        """Whether things of this shape can move; as in the paper, a property of the kind of object."""
        return self.shape in DYNAMIC

    @property
    def attributes(self) -> tuple[tuple[str, str], ...]:
        """Kind and value of each attribute."""
        return (("color", self.color), ("size", self.size), ("texture", self.texture))

    @property
    def words(self) -> str:
        """Attribute values in the order that narratives use."""
        return f"{self.size} {self.texture} {self.color}"


@dataclass(frozen=True)
class Actor:
    """A thing in a shot, with its centre at the start and at the end, in pixels."""

    thing: Thing
    start: tuple[float, float]
    end: tuple[float, float]
    motion: str

    def at(self, progress: float) -> tuple[float, float]:
        """Centre in pixels at `progress` (0 to 1) of the movement, with ease-in and ease-out."""
        eased = progress * progress * (3 - 2 * progress)
        return (
            self.start[0] + (self.end[0] - self.start[0]) * eased,
            self.start[1] + (self.end[1] - self.start[1]) * eased,
        )


@dataclass(frozen=True)
class Shot:
    """One clip: a background, its actors, and `rest` frames before and after `move` frames of movement."""

    background: str
    actors: tuple[Actor, ...]
    rest: int
    move: int

    @property
    def frames(self) -> int:
        """Length in frames."""
        return 2 * self.rest + self.move

    def progress(self, frame: int) -> float:
        """Progress of the movement at `frame`, 0 to 1."""
        return min(1.0, max(0.0, (frame - self.rest + 1) / (self.move + 1)))

    def event(self) -> str:
        """The clip's event: all movers and their motions, in alphabetical order."""
        movers = sorted((a.thing.shape, a.motion) for a in self.actors if a.motion != STILL)
        return " and ".join(f"the {shape} is {motion}" for shape, motion in movers)


@dataclass(frozen=True)
class Film:
    """A film as a list of shots, before rendering."""

    shots: tuple[Shot, ...]

    @property
    def frames(self) -> int:
        """Length in frames."""
        return sum(shot.frames for shot in self.shots)


def predicates(a: tuple[float, float], b: tuple[float, float]) -> tuple[str, ...]:
    """Spatial relations of `a` to `b`: one per axis along which they are more than `CLEAR` pixels apart."""
    words = []
    if abs(a[0] - b[0]) > CLEAR:
        words.append("left of" if a[0] < b[0] else "right of")
    if abs(a[1] - b[1]) > CLEAR:
        words.append("above" if a[1] < b[1] else "below")
    return tuple(words)


def place(at: tuple[float, float]) -> str:
    """Name of the grid cell of a centre, as used in narratives."""
    column, row = (min(CELLS - 1, int(v * CELLS / SIDE)) for v in at)
    if (column, row) == (1, 1):
        return "middle"
    vertical, horizontal = ("top", "", "bottom")[row], ("left", "", "right")[column]
    return f"{vertical} {horizontal}".strip()


def reading_order(at: tuple[float, float]) -> tuple[int, int]:
    """Sort key (row, column) of a centre: the order in which narratives and lists mention things."""
    return min(CELLS - 1, int(at[1] * CELLS / SIDE)), min(CELLS - 1, int(at[0] * CELLS / SIDE))


def _centre(cell: tuple[int, int], rng: random.Random) -> tuple[float, float]:
    step = SIDE / CELLS
    x, y = (round((i + 0.5) * step + rng.uniform(-7, 7)) for i in cell)
    return (x, y)


def make_things(rng: random.Random, known: list[Thing], count: int) -> list[Thing]:
    """Things of `count` different shapes, at least one static and one dynamic.

    Some are taken from `known`, so things of earlier shots reappear. A new thing differs in
    colour from every known thing of its shape, so that identities are visible.
    """
    back = [t for t in rng.sample(known, len(known)) if rng.random() < 0.5][: max(1, count - 2)]
    things: dict[str, Thing] = {t.shape: t for t in back}
    wanted = [rng.choice(STATIC), rng.choice(DYNAMIC), *rng.sample(STATIC + DYNAMIC, 10)]
    for i, shape in enumerate(wanted):
        kinds = STATIC if i == 0 else DYNAMIC
        if i < 2 and any(t.shape in kinds for t in things.values()):
            continue
        if shape in things or len(things) >= count:
            continue
        taken = {t.color for t in known if t.shape == shape}
        color = rng.choice([c for c in COLORS if c not in taken])
        size, texture = rng.choice(list(SIZES)), rng.choice(TEXTURES)
        identity = len(known) + sum(t not in known for t in things.values())
        things[shape] = Thing(identity, shape, color, size, texture)
    return list(things.values())


def make_shot(rng: random.Random, things: list[Thing], background: str) -> Shot:
    """Place `things` on the grid and let one or two dynamic ones move to a free cell."""
    cells = [(x, y) for x in range(CELLS) for y in range(CELLS)]
    while True:
        starts = dict(zip(things, rng.sample(cells, len(things)), strict=True))
        taken = set(starts.values())
        moves: dict[Thing, tuple[str, tuple[int, int]]] = {}
        dynamic = [t for t in things if t.dynamic]
        for thing in rng.sample(dynamic, min(len(dynamic), rng.choice((1, 1, 2)))):
            options = [
                (motion, (starts[thing][0] + dx * n, starts[thing][1] + dy * n))
                for motion, (dx, dy) in DIRECTIONS.items()
                for n in (1, 2)
            ]
            options = [(m, c) for m, c in options if c in cells and c not in taken]
            if options:
                moves[thing] = rng.choice(options)
                taken.add(moves[thing][1])
        if moves:
            break
    actors = []
    for thing in sorted(things, key=lambda t: starts[t]):
        start = _centre(starts[thing], rng)
        motion, cell = moves.get(thing, (STILL, starts[thing]))
        end = _centre(cell, rng) if motion != STILL else start
        if motion in ("moving left", "moving right"):
            end = (end[0], start[1])
        elif motion in ("moving up", "moving down"):
            end = (start[0], end[1])
        actors.append(Actor(thing, start, end, motion))
    return Shot(background, tuple(actors), rest=rng.randint(14, 22), move=rng.randint(14, 20))


def make_film(rng: random.Random, shots: int | None = None) -> Film:
    """Generate a random film of `shots` shots (2 to 4 if None)."""
    known: list[Thing] = []
    made: list[Shot] = []
    for _ in range(shots or rng.randint(2, 4)):
        things = make_things(rng, known, rng.randint(3, 6))
        known += [t for t in things if t not in known]
        before = made[-1].background if made else None
        made.append(make_shot(rng, things, rng.choice([b for b in BACKGROUNDS if b != before])))
    return Film(tuple(made))
