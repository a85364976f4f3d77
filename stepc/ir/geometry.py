"""Spatial relations and movements that follow from boxes, with a margin within which nothing follows.

All lengths are thousandths of the displayed picture. What a relation or a movement is called is in the word
lists `geometry.txt` of the languages. Boxes tell where things are in the picture, not in space: what is left,
higher or larger in it, and what cannot touch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from stepc.ir.words import plain
from stepc.runtime.word_lists import word_lines

MARGIN = 20
"""Two edges that are nearer to each other than this may as well be at one place."""
LARGER = 1.5
"""How many times as large an area is that is clearly the larger one."""
NEARER = 1.3
"""How many times as high a thing is that is clearly nearer than another one of its kind."""


class Area(Protocol):
    """An upright rectangle in the picture: a box, or a point of a track."""

    @property
    def left(self) -> int:
        """Left edge."""

    @property
    def top(self) -> int:
        """Upper edge."""

    @property
    def right(self) -> int:
        """Right edge."""

    @property
    def bottom(self) -> int:
        """Lower edge."""


def iou(a: Area, b: Area) -> float:
    """The intersection of two rectangles over their union, 0 to 1."""
    shared = _shared(a, b)
    union = _size(a) + _size(b) - shared
    return shared / union if union else 0.0


def _size(a: Area) -> int:
    return (a.right - a.left) * (a.bottom - a.top)


def _shared(a: Area, b: Area) -> int:
    """The area of the intersection."""
    width = min(a.right, b.right) - max(a.left, b.left)
    height = min(a.bottom, b.bottom) - max(a.top, b.top)
    return max(0, width) * max(0, height)


def _before(a: tuple[int, int], b: tuple[int, int], margin: int) -> bool | None:
    """Whether one range is before another: the middle of each is beyond the near end of the other.

    It is not if it is after it, or if each has the middle of the other within it.
    """
    here, there = sum(a), sum(b)  # twice the middles
    if here + 2 * margin <= 2 * b[0] and 2 * (a[1] + margin) <= there:
        return True
    if here >= there + 2 * margin:
        return False
    side_by_side = 2 * a[0] <= there <= 2 * a[1] and 2 * b[0] <= here <= 2 * b[1]
    return False if side_by_side else None


def _left(a: Area, b: Area, margin: int) -> bool | None:
    return _before((a.left, a.right), (b.left, b.right), margin)


def _above(a: Area, b: Area, margin: int) -> bool | None:
    return _before((a.top, a.bottom), (b.top, b.bottom), margin)


def _apart(a: Area, b: Area, margin: int) -> bool:
    """Whether two rectangles are clearly apart."""
    across = max(a.left, b.left) - min(a.right, b.right)
    down = max(a.top, b.top) - min(a.bottom, b.bottom)
    return max(across, down) >= max(1, margin)


def _overlapping(a: Area, b: Area, margin: int) -> bool | None:
    across = min(a.right, b.right) - max(a.left, b.left)
    down = min(a.bottom, b.bottom) - max(a.top, b.top)
    return True if min(across, down) >= max(1, margin) else False if _apart(a, b, margin) else None


def _touching(a: Area, b: Area, margin: int) -> bool | None:
    """What touches in space is not apart in the picture; what overlaps there need not touch."""
    return False if _apart(a, b, margin) else None


def _inside(a: Area, b: Area, margin: int) -> bool | None:
    """What is inside a thing is hardly seen outside of its box; what is within its box may be before it."""
    return False if 2 * _shared(a, b) < _size(a) else _touching(a, b, margin)


def _larger(a: Area, b: Area, margin: int) -> bool | None:
    one, other = _size(a), _size(b)
    return True if one >= LARGER * other else None if one > other else False


def _nearer(a: Area, b: Area, margin: int) -> bool | None:
    """Of two things of one kind on the ground, the nearer one is larger and reaches further down."""
    high, low = a.bottom - a.top, b.bottom - b.top
    if a.bottom >= b.bottom + margin and high >= NEARER * low:
        return True
    return False if b.bottom >= a.bottom + margin and low >= NEARER * high else None


_Holds = Callable[[Area, Area, int], bool | None]
RELATIONS: Mapping[str, _Holds] = {
    "left": _left,
    "right": lambda a, b, margin: _left(b, a, margin),
    "above": _above,
    "below": lambda a, b, margin: _above(b, a, margin),
    "overlapping": _overlapping,
    "inside": _inside,
    "around": lambda a, b, margin: _inside(b, a, margin),
    "touching": _touching,
    "larger": _larger,
    "smaller": lambda a, b, margin: _larger(b, a, margin),
    "nearer": _nearer,
    "farther": lambda a, b, margin: _nearer(b, a, margin),
}
"""Relation → whether it holds between two areas; None if these do not tell."""
COMPARISONS = frozenset(["larger", "smaller", "nearer", "farther"])
"""Relations that say no place: a thing has them besides those that do."""
ALIKE = frozenset(["nearer", "farther"])
"""Relations that areas tell only of two things of one kind."""


def holds(predicate: str, a: Area, b: Area, margin: int = MARGIN) -> bool | None:
    """Whether a predicate is true of two boxes in one keyframe.

    None if the boxes do not tell, because they are within the margin or the predicate is not about places.
    Of `nearer` and `farther` boxes tell only if both things are of one kind, which is not examined here.
    """
    relation = _relations().get(plain(predicate))
    return None if relation is None else RELATIONS[relation](a, b, margin)


def relation_of(predicate: str) -> str | None:
    """The relation that a predicate states: `left` for "to the left of". None if boxes tell nothing of it."""
    return _relations().get(plain(predicate))


def is_comparison(predicate: str) -> bool:
    """Whether a predicate compares two things: "larger in the picture than". It is no answer to "where?"."""
    return relation_of(predicate) in COMPARISONS


def word_for(name: str, language: str) -> str | None:
    """How a language says a relation or a movement; None if it has no word for it."""
    return next((words[0] for key, words in _lines(language) if key == name), None)


@functools.cache
def _lines(language: str = "") -> list[tuple[str, list[str]]]:
    lines = (line.partition(":") for line in word_lines("geometry", language))
    return [(name.strip(), [x.strip() for x in rest.split("|")]) for name, _, rest in lines]


@functools.cache
def _relations() -> dict[str, str]:
    return {plain(word): name for name, words in _lines() if name in RELATIONS for word in words}


# --- movements ---------------------------------------------------------------------------

MOVEMENTS = ("moving-left", "moving-right", "moving-up", "moving-down", "approaching", "leaving",
             "still")  # fmt: skip


def movement(points: Sequence[Area], margin: int = MARGIN) -> str | None:
    """What a thing does, by where it is at several times in their order: one of `MOVEMENTS`.

    It moves if all of it goes one way, by more than two margins and half of its size, twice as far as in any
    other way, and never back by more than a margin. It is still if it stays within a margin. None if it does
    something else: who stands up does not move up.
    """
    if len(points) < 2:
        return None
    middles = [((p.left + p.right) / 2, (p.top + p.bottom) / 2) for p in points]
    across, down = ([m[axis] for m in middles] for axis in (0, 1))
    sizes = [float(_size(p)) ** 0.5 for p in points]
    if all(max(s) - min(s) <= margin for s in (across, down, sizes)):
        return "still"
    x, y, grown = (s[-1] - s[0] for s in (across, down, sizes))
    first, last = points[0], points[-1]
    for way, other, series, edges, names in (
        (x, y, across, ("left", "right"), ("moving-left", "moving-right")),
        (y, x, down, ("top", "bottom"), ("moving-up", "moving-down")),
    ):
        shifts = [getattr(last, e) - getattr(first, e) for e in edges]
        size = getattr(first, edges[1]) - getattr(first, edges[0])
        least = max(2 * margin, size / 2, 2 * abs(other), 2 * abs(grown))
        if abs(way) >= least and all(s * way > 0 and abs(s) >= margin for s in shifts):
            return names[way > 0] if _back(series) <= margin else None
    if abs(grown) >= 2 * margin and abs(grown) >= 2 * max(abs(x), abs(y)):
        return ("leaving", "approaching")[grown > 0] if _back(sizes) <= margin else None
    return None


def _back(series: Sequence[float]) -> float:
    """How far a series goes back on its way from its first value to its last."""
    sign = 1 if series[-1] >= series[0] else -1
    farthest, back = series[0] * sign, 0.0
    for value in series:
        farthest = max(farthest, value * sign)
        back = max(back, farthest - value * sign)
    return back


def movement_of(motion: str) -> str | None:
    """The movement that a motion states: `moving-left` for "moving to the left". None if it is none."""
    return _movements().get(plain(motion))


@functools.cache
def _movements() -> dict[str, str]:
    return {plain(word): name for name, words in _lines() if name in MOVEMENTS for word in words}
