"""Tells pictures of the rendered world, which the embedded model knows, from all others.

The model has seen coloured shapes on pale backgrounds and nothing else; shown anything else, it would
describe shapes that are not there. In pictures of the world nearly every pixel has one of its colours: at
least 0.95 of them in 25 films, and at most 0.47 in real footage (37 clips of five collections).
"""

from __future__ import annotations

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
EVERY = 4
"""Every which row and column is looked at."""


def share(picture: Picture) -> float:
    """The share of pixels that have a colour of the world, 0 to 1. `picture` is (H, W, 3), uint8 RGB."""
    light = [[c * 0.2 + 255 * 0.8 for c in paint] for paint in PAINTS]
    grounds = [[c * shade for c in ground] for ground in GROUNDS for shade in SHADES]
    colours = np.array([*PAINTS, *light, *grounds], np.int16)
    pixels = picture[::EVERY, ::EVERY].reshape(-1, 1, 3).astype(np.int16)
    return float((np.abs(pixels - colours).max(axis=2).min(axis=1) <= NEAR).mean())


def belongs(picture: Picture) -> bool:
    """Whether a picture shows the rendered world."""
    return share(picture) >= SHARE
