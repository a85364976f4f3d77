"""Joins the boxes of a clip into tracks: by the place where an object would be if it moved on as before.

Own code, because tracking libraries bring another OpenCV, matplotlib or torch, or are not maintained, and
prefer to follow everything; here a track ends where it is not sure which of two objects goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from stepc.boxes.detection import Detection
from stepc.ir.geometry import Area, iou

LOST = 700
"""How many ms an object may be out of sight."""
LEAST = 0.3
"""Least likeness of a box and the place where the object would be."""
SURE = 0.15
"""By how much that must exceed that of any other object of the label."""
NEAR = 0.6
"""Likeness of two boxes of one size at almost one place that share nothing."""
POINTS = 3
"""Least number of boxes of a track."""


@dataclass
class Followed:
    """An object that is followed."""

    label: str
    seen: list[tuple[int, Detection]] = field(default_factory=list)
    """Time in ms and box, in the order of their times."""

    def expected(self, at: int) -> _Place:
        """Where it would be at a time."""
        last, box = self.seen[-1]
        edges = np.array([box.left, box.top, box.right, box.bottom], float)
        if len(self.seen) > 1:
            before, old = self.seen[-min(3, len(self.seen))]
            moved = edges - np.array([old.left, old.top, old.right, old.bottom], float)
            edges = edges + moved * (at - last) / (last - before)
        left, top, right, bottom = (int(x) for x in np.round(edges))
        return _Place(left, top, max(right, left + 1), max(bottom, top + 1))


@dataclass(frozen=True)
class _Place:
    left: int
    top: int
    right: int
    bottom: int


def follow(
    found: Mapping[int, Sequence[Detection]], same: Callable[[str, str], bool]
) -> list[Followed]:
    """The tracks of the boxes of one clip. `found` is what was found at each time; `same` compares labels.

    Boxes that have a track of their own keep it. Others go on with the object that they cover best, if
    there is no other one that they cover nearly as well, nor another box that does; then the track ends. If a
    clip never shows two boxes of a label at a time, they are taken to be of one object.
    """
    if any(d.track is not None for each in found.values() for d in each):
        return _given(found)
    alive: list[Followed] = []
    done: list[Followed] = []
    for at in sorted(found):
        boxes = list(found[at])
        still = [f for f in alive if at - f.seen[-1][0] <= LOST]
        done += [f for f in alive if f not in still]
        covered = np.zeros((len(still), len(boxes)))
        for i, f in enumerate(still):
            place = f.expected(at)
            for j, d in enumerate(boxes):
                if same(f.label, d.label):
                    covered[i, j] = max(_like(place, d), _like(f.seen[-1][1], d))
        taken, ended = _matched(covered)
        for i, j in taken:
            still[i].seen.append((at, boxes[j]))
        new = [
            Followed(d.label, [(at, d)])
            for j, d in enumerate(boxes)
            if j not in {y for _, y in taken}
        ]
        done += [still[i] for i in ended]
        alive = [f for i, f in enumerate(still) if i not in ended] + new
    whole = _alone([*done, *alive], found, same)
    return [f for f in whole if len(f.seen) >= POINTS]


def _alone(
    tracks: Sequence[Followed],
    found: Mapping[int, Sequence[Detection]],
    same: Callable[[str, str], bool],
) -> list[Followed]:
    """The tracks, with those of a label joined that has at most one box in each picture."""
    made: list[Followed] = []
    for track in tracks:
        most = max(sum(same(track.label, d.label) for d in boxes) for boxes in found.values())
        first = next((f for f in made if most == 1 and same(f.label, track.label)), None)
        if first is None:
            made.append(track)
        else:
            first.seen = sorted([*first.seen, *track.seen], key=lambda x: x[0])
    return made


def _like(a: Area, b: Area) -> float:
    """How like each other two boxes are, 0 to 1: by what they share, or by their distance and size."""
    high = [x.bottom - x.top for x in (a, b)]
    wide = [x.right - x.left for x in (a, b)]
    apart = (
        math.dist((a.left + a.right, a.top + a.bottom), (b.left + b.right, b.top + b.bottom)) / 2
    )
    near = 1 - apart / math.hypot(sum(wide) / 2, sum(high) / 2)
    alike = min(wide) / max(wide) * min(high) / max(high)
    return max(iou(a, b), NEAR * near * alike)


def _matched(covered: np.ndarray) -> tuple[list[tuple[int, int]], set[int]]:
    """(object, box) pairs that are sure, and the objects that end because theirs is not sure."""
    taken: list[tuple[int, int]] = []
    ended: set[int] = set()
    if not covered.size:
        return taken, ended
    for i, j in zip(*linear_sum_assignment(-covered), strict=True):
        best = covered[i, j]
        if best < LEAST:
            continue
        others = max(
            np.delete(covered[i], j).max(initial=0), np.delete(covered[:, j], i).max(initial=0)
        )
        if best - others < SURE:
            ended.add(int(i))
        else:
            taken.append((int(i), int(j)))
    return taken, ended


def _given(found: Mapping[int, Sequence[Detection]]) -> list[Followed]:
    """The tracks that the boxes have already."""
    made: dict[int, Followed] = {}
    for at in sorted(found):
        for d in found[at]:
            if d.track is not None:
                track = made.setdefault(d.track, Followed(d.label))
                if not track.seen or track.seen[-1][0] < at:
                    track.seen.append((at, d))
    return [*made.values()]
