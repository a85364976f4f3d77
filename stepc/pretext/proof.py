"""Proves from the pictures how a video was edited: where each of its frames is in the original."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stepc.pretext.edits import EditedPart
from stepc.runtime.lazy import LazyModule
from stepc.video.decode import Picture, decoded_frames
from stepc.video.source import VideoSource

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2, np = LazyModule("cv2"), LazyModule("numpy")

SIDE = 32
"""Width and height of the pictures that are compared."""
STRAIGHT = 0.95
"""Least correlation of the time in the edited video with that in the original."""
OFF = 0.15
"""How far a speed may be from what was meant, relative to it."""
NEARER = 2.0
"""How much nearer the pictures of one video must be than those of the other."""


class SmallFilm:
    """Small pictures of a video, with their times in ms."""

    def __init__(self, source: VideoSource) -> None:
        looks = [(look.at, small(look.picture(4 * SIDE))) for look in decoded_frames(source)]
        self.times = np.array([at for at, _ in looks], np.float64)
        self.shown: Any = np.stack([picture for _, picture in looks])

    def nearest(self, pictures: Any) -> tuple[Any, Any]:
        """For each of some small pictures, the time of the most similar frame, and how different it is."""
        squares = (self.shown**2).sum(1) - 2 * pictures @ self.shown.T
        best = squares.argmin(1)
        off = squares[np.arange(len(pictures)), best] + (pictures**2).sum(1)
        return self.times[best], np.sqrt(np.maximum(off, 0) / pictures.shape[1])


def small(picture: Picture) -> Any:
    """A picture as a vector of float32, 0 to 255."""
    shrunk = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.float32).reshape(-1)


def objection(
    edited: SmallFilm, own: SmallFilm, other: SmallFilm | None, parts: Sequence[EditedPart]
) -> str:
    """Why the pictures of an edited video do not show that it was edited like this, or "" if they do.

    A part that stands still, or that looks like another one, shows nothing of its direction, speed and place.
    """
    ranges: list[tuple[float, float]] = []
    first = 0
    for part in parts:
        number = len(part.times())
        shown, at = edited.shown[first : first + number], edited.times[first : first + number]
        first += number
        times, near = own.nearest(shown)
        far = other.nearest(shown)[1] if other is not None else None
        if part.place is None:
            if far is None or np.median(near) < NEARER * np.median(far):
                return "a part of another video looks like this one"
            continue
        if far is not None and np.median(far) < NEARER * np.median(near):
            return "another video looks like it"
        if wrong := _played(part, at, times):
            return wrong
        ranges.append((float(np.quantile(times, 0.1)), float(np.quantile(times, 0.9))))
    if any(a[1] > b[0] and b[1] > a[0] for i, a in enumerate(ranges) for b in ranges[:i]):
        return "two parts look alike"
    order = sorted(range(len(ranges)), key=ranges.__getitem__)
    placed = [p.place for p in parts if p.place is not None]
    return (
        "" if [placed[i] for i in order] == sorted(placed) else "the parts look like another order"
    )


def _played(part: EditedPart, at: Any, times: Any) -> str:
    """Why times in the original (ms) do not show how a part is played, or ""."""
    if times.std() == 0:
        return "a part stands still"
    if abs(np.corrcoef(at, times)[0, 1]) < STRAIGHT:
        return "a part hardly moves"
    speed = float(np.polyfit(at, times, 1)[0])
    meant = -part.speed if part.backwards else part.speed
    return "" if abs(speed / meant - 1) <= OFF else "a part seems to be played in another way"
