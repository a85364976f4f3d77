"""One detection: a label, a box and a score, perhaps with a track, in one picture of a video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Detection:
    """What a detector found in a picture. It is an area (`stepc.ir.geometry.Area`)."""

    label: str
    left: int
    """Edges in thousandths of the displayed picture, as in the IR."""
    top: int
    right: int
    bottom: int
    score: int = 1000
    """In thousandths."""
    track: int | None = None
    """What the detector's own tracker calls the object."""


def in_thousandths(
    edges: Sequence[float], wide: float, high: float
) -> tuple[int, int, int, int] | None:
    """Edges (left, top, right, bottom) in a picture of this size, in thousandths of it.

    What lies outside is cut off. Returns None if nothing is left.
    """
    left, top, right, bottom = (
        min(1000, max(0, round(1000 * e / whole)))
        for e, whole in zip(edges, (wide, high, wide, high), strict=True)
    )
    return (left, top, right, bottom) if left < right and top < bottom else None


@dataclass
class Detections:
    """What was found in the pictures of one video."""

    source: str
    """What found it, as boxes name it."""
    at: Mapping[int, Sequence[Detection]] = field(default_factory=dict)
    """Time in ms of each picture that was looked at → what was found in it."""
    words: frozenset[str] = frozenset()
    """The labels that the detector can find, as far as they are known; empty if it was asked for all."""
    whole: bool = True
    """Whether these are all of them."""

    def near(self, at: int, within: int) -> Sequence[Detection] | None:
        """What was found at a time, or in the nearest picture within some ms; None if none was looked at."""
        best = min(self.at, key=lambda x: (abs(x - at), x), default=None)
        return self.at[best] if best is not None and abs(best - at) <= within else None
