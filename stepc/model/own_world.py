"""Tells pictures of the rendered world, which the embedded model knows, from all others.

The model has seen coloured shapes on pale backgrounds and nothing else; shown anything else, it would
describe shapes that are not there. In pictures of the world nearly every pixel has one of its colours: at
least 0.86 of them in 415 pictures of 24 films and 1,823 of the exam, and at most 0.47 in real footage (37
clips of five collections). A flat border around real footage has one of them, too. So what has none is
also looked at by itself: in the world it is thin, the edges of things, and at most 0.002 of the pixels are
surrounded by others without a colour; in footage that fills a fifth of a picture, at least 0.05 are. And
most of a picture of the world is ground, at least 0.76, which gets darker towards the bottom: its last
quarter has 0.948 to 0.959 of the light of its first. On a slide, the ground is flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stepc.runtime.lazy import LazyModule

if TYPE_CHECKING:
    import numpy as np

    from stepc.video.decode import Picture
else:
    np = LazyModule("numpy")

PAINTS = (
    (214, 40, 40), (247, 140, 20), (245, 214, 30), (40, 150, 60), (0, 190, 205), (40, 70, 210),
    (130, 40, 160), (25, 25, 25),
)  # fmt: skip
"""The colours of things."""
GROUNDS = (
    (236, 216, 172), (180, 212, 244), (186, 236, 200), (244, 200, 214), (206, 206, 206), (212, 194, 242),
)  # fmt: skip
"""The colours of backgrounds, which get a little darker towards the bottom."""
SHADES = (0.94, 0.96, 0.98, 1.0)
NEAR = 16
"""Largest difference of a channel for which a pixel has a colour."""
SHARE = 0.8
"""Least share of such pixels in a picture of the world."""
GROUND = 0.6
"""Least share of the pixels that have a colour of a background."""
FOREIGN = 0.02
"""Most of the pixels that have no colour of the world, and no neighbour with one."""
FADE = (0.92, 0.98)
"""Range of the light of the ground in the last quarter of a picture, by that in the first."""
EVERY = 4
"""Every which row and column is looked at."""


@dataclass(frozen=True)
class Look:
    """What tells a picture of the world: shares of its pixels, 0 to 1, and the fading of its ground."""

    known: float
    """Pixels with a colour of the world."""
    ground: float
    """Pixels with a colour of a background."""
    foreign: float
    """Pixels that have no colour of the world, and no neighbour with one."""
    fade: float
    """Median light of the ground in the last quarter by that in the first; 1 if one of them shows none."""

    @property
    def ours(self) -> bool:
        """Whether the picture shows the rendered world."""
        fits = self.known >= SHARE and self.ground >= GROUND and self.foreign <= FOREIGN
        return fits and FADE[0] <= self.fade <= FADE[1]


def look(picture: Picture) -> Look:
    """Measure a picture, (H, W, 3), uint8 RGB."""
    light = [[c * 0.2 + 255 * 0.8 for c in paint] for paint in PAINTS]
    ground = _near(picture, [[c * shade for c in g] for g in GROUNDS for shade in SHADES])
    known = ground | _near(picture, [*PAINTS, *light])
    around = np.pad(~known, 1)
    height, width = known.shape
    foreign = np.ones_like(known)
    for y in range(3):
        for x in range(3):
            foreign &= around[y : y + height, x : x + width]
    return Look(
        float(known.mean()), float(ground.mean()), float(foreign.mean()), _fade(picture, ground)
    )


def _fade(picture: Picture, ground: np.typing.NDArray[np.bool_]) -> float:
    light = picture[::EVERY, ::EVERY].sum(axis=2, dtype=np.int64)
    rows = max(1, len(light) // 4)
    first, last = light[:rows][ground[:rows]], light[-rows:][ground[-rows:]]
    return float(np.median(last) / np.median(first)) if len(first) and len(last) else 1.0


def _near(picture: Picture, colours: Sequence[Sequence[float]]) -> np.typing.NDArray[np.bool_]:
    """Whether each looked-at pixel has one of these colours, as a mask of shape (h, w)."""
    seen = picture[::EVERY, ::EVERY]
    pixels = seen.reshape(-1, 1, 3).astype(np.int16)
    near = np.abs(pixels - np.array(colours, np.int16)).max(axis=2).min(axis=1) <= NEAR
    return np.asarray(near.reshape(seen.shape[:2]))


def belongs(picture: Picture) -> bool:
    """Whether a picture shows the rendered world."""
    return look(picture).ours
