"""Renders shots to RGB arrays and films to H.264 files."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from stepc.world.scene import BACKGROUNDS, COLORS, FPS, SIDE, SIZES, Film, Shot

Picture = NDArray[np.uint8]
"""An RGB image, shape (height, width, 3)."""


def _outline(shape: str, r: float) -> list[NDArray[np.float64]]:
    """Polygons of a shape of radius `r` (pixels) around (0, 0); a second polygon is a cut-out."""

    def ring(n: int, radius: float, turn: float = 0.0) -> NDArray[np.float64]:
        angles = np.arange(n) * 2 * np.pi / n + turn
        return np.stack([radius * np.sin(angles), -radius * np.cos(angles)], 1)

    def box(w: float, h: float) -> NDArray[np.float64]:
        return np.array([[-w, -h], [w, -h], [w, h], [-w, h]])

    a = r * 0.34
    if shape == "circle":
        return [ring(48, r * 0.95)]
    if shape == "ring":
        return [ring(48, r), ring(48, r * 0.5)]
    if shape == "square":
        return [box(r * 0.85, r * 0.85)]
    if shape == "pillar":
        return [box(r * 0.45, r)]
    if shape == "diamond":
        return [ring(4, r)]
    if shape == "triangle":
        return [np.array([[0, -r], [r, r * 0.8], [-r, r * 0.8]])]
    if shape == "cross":
        x, y = (
            [a, a, r, r, a, a, -a, -a, -r, -r, -a, -a],
            [-r, -a, -a, a, a, r, r, a, a, -a, -a, -r],
        )
        return [np.stack([np.array(x), np.array(y)], 1)]
    if shape == "star":
        points = ring(10, r)
        points[1::2] *= 0.42
        return [points]
    if shape == "heart":
        t = np.linspace(0, 2 * np.pi, 60)
        wide = 16 * np.sin(t) ** 3
        tall = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
        return [np.stack([wide, tall], 1) * r / 17]
    if shape == "crescent":
        outer = ring(60, r)
        t = np.linspace(0.35, np.pi * 2 - 0.35, 40)
        inner = np.stack([r * 0.45 + r * 0.8 * np.sin(t), -r * 0.8 * np.cos(t)], 1)
        return [outer, inner]
    raise ValueError(f"no such shape: {shape}")


@functools.cache
def sprite(shape: str, color: str, size: str, texture: str) -> tuple[Picture, NDArray[np.float32]]:
    """Colours (h, w, 3), uint8, and coverage (h, w, 1), 0 to 1, of a thing; 4x supersampled."""
    r = SIZES[size]
    side, zoom = 2 * r + 4, 4
    mask = np.zeros((side * zoom, side * zoom), np.uint8)
    for i, outline in enumerate(_outline(shape, r)):
        points = np.round((outline + side / 2) * zoom).astype(np.int32)
        cv2.fillPoly(mask, [points], 0 if i else 255)
    cover = cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    y, x = np.mgrid[0:side, 0:side]
    if texture == "striped":
        light = (x + y) % 14 < 6
    elif texture == "dotted":
        light = ((x % 13) - 6) ** 2 + ((y % 13) - 6) ** 2 < 14
    else:
        light = np.zeros((side, side), bool)
    paint = np.empty((side, side, 3), np.uint8)
    paint[:] = COLORS[color]
    paint[light] = (np.array(COLORS[color]) * 0.2 + 255 * 0.8).astype(np.uint8)
    return paint, cover[..., None]


@functools.cache
def extent(shape: str, size: str) -> tuple[int, int, int, int]:
    """What a thing covers, in pixels from where its centre is drawn: left, top, right and bottom edge."""
    cover = sprite(shape, "black", size, "plain")[1][..., 0] >= 0.5
    down, across = (np.flatnonzero(cover.any(axis)) for axis in (1, 0))
    half = cover.shape[0] // 2
    left, right, top, bottom = (
        int(x) - half for x in (across[0], across[-1] + 1, down[0], down[-1] + 1)
    )
    return left, top, right, bottom


def draw(shot: Shot, progress: float) -> Picture:
    """The frame of `shot` at `progress` (0 to 1) of its movement, RGB, 256x256."""
    base = np.array(BACKGROUNDS[shot.background], np.float32)
    shade = np.linspace(1.0, 0.94, SIDE, dtype=np.float32)[:, None, None]
    picture: Picture = np.broadcast_to(base * shade, (SIDE, SIDE, 3)).astype(np.uint8).copy()
    for actor in sorted(shot.actors, key=lambda a: a.thing.dynamic):
        t = actor.thing
        paint, cover = sprite(t.shape, t.color, t.size, t.texture)
        side = paint.shape[0]
        x, y = (round(v) - side // 2 for v in actor.at(progress))
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + side, SIDE), min(y + side, SIDE)
        part = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
        under = picture[y0:y1, x0:x1]
        picture[y0:y1, x0:x1] = under * (1 - cover[part]) + paint[part] * cover[part]
    return picture


def frames(film: Film) -> Iterator[Picture]:
    """All frames of a film in order."""
    for shot in film.shots:
        for i in range(shot.frames):
            yield draw(shot, shot.progress(i))


def write(film: Film, path: Path) -> None:
    """Encode `film` as H.264 in an MP4 file at 24 fps. The output is reproducible byte for byte."""
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "18", "threads": "1"})
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for i, picture in enumerate(frames(film)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
