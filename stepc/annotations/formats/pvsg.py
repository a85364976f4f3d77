"""PVSG: panoptic video scene graphs, whose relations have several time ranges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stepc.annotations.reader import (
    AnnotationReader,
    Clock,
    Videos,
    as_published,
    broken,
    read_json,
)
from stepc.annotations.scene import AnnotatedScene, Edges, spread
from stepc.annotations.words import predicate

RATE = 5.0
"""Frames per second of the annotation."""
APART = 1000
"""Maximum ms from one keyframe to the next."""


class PvsgReader(AnnotationReader):
    """Frames count from 0, and ranges of frames include their last one. Boxes are those of the masks."""

    name = "pvsg"
    title = "PVSG"
    help = "`pvsg.json`, or the folder with it; boxes come from `masks/VIDEO/0000.png` beside it."

    def scenes(self, path: Path, videos: Videos) -> Iterator[AnnotatedScene]:
        file = path / "pvsg.json" if path.is_dir() else path
        data = read_json(file)
        with as_published(file, "not the annotation of PVSG"):
            for each in data["data"]:
                yield self._scene(each, file.parent, videos)

    def _scene(self, data: dict[str, Any], folder: Path, videos: Videos) -> AnnotatedScene:
        name, meta = str(data["video_id"]), data.get("meta") or {}
        ranges = [(int(a), int(b)) for r in data["relations"] for a, b in r[3]]
        frames = int(meta.get("num_frames") or max((b for _, b in ranges), default=0) + 1)
        size = int(meta.get("width") or 1), int(meta.get("height") or 1)
        found = videos.clock(name, f"{name}.mp4", size, frames, RATE)
        clock = Clock(found.shown, rate=RATE)  # the annotation counts its own five frames a second
        scene = AnnotatedScene(name, found.shown, "pvsg")
        labels = {o["object_id"]: str(o["category"]).replace("_", " ") for o in data["objects"]}
        every = [clock.at(n) for n in range(frames)]
        keyframes = {*spread([x for x in every if x is not None], APART)}
        shown = {o: {at for r in data["relations"] if o in r[:2] for a, b in r[3]
                     for n in range(int(a), int(b) + 1) if (at := clock.at(n)) in keyframes}
                 for o in labels}  # fmt: skip
        boxes = _boxes(folder / "masks" / name, keyframes, clock, frames)
        for key, label in labels.items():
            for at in sorted(shown[key] if not boxes else keyframes):
                if at is not None and (not boxes or key in boxes.get(at, {})):
                    scene.see(key, label, at, boxes.get(at, {}).get(key))
        for one, other, said, spans in data["relations"]:
            for a, b in spans:
                start, end = clock.at(int(a)), clock.at(int(b))
                if start is None or end is None or start >= end:
                    scene.lost += 1
                    continue
                held = [at for at in sorted(keyframes) if start <= at <= end]
                scene.relate(one, predicate(str(said)), other, held, (start, end))
        return scene


def _boxes(
    folder: Path, keyframes: set[int], clock: Clock, frames: int
) -> dict[int, dict[int, Edges]]:
    """Keyframe → object → the box of its mask, in shares of the picture; empty without masks."""
    made: dict[int, dict[int, Edges]] = {}
    for number in range(frames) if folder.is_dir() else ():
        at = clock.at(number)
        file = folder / f"{number:04d}.png"
        if at not in keyframes or not file.is_file():
            continue
        mask = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        if mask is None:
            raise broken(file, "not a picture")
        wide, high = clock.shown.width, clock.shown.height
        sx, sy = wide / mask.shape[1], high / mask.shape[0]
        made[at] = {}
        for value in np.unique(mask):
            down, across = np.nonzero(mask == value)
            if value:
                made[at][int(value)] = (
                    float(across.min() * sx), float(down.min() * sy),
                    float((across.max() + 1) * sx), float((down.max() + 1) * sy),
                )  # fmt: skip
    return made


READER = PvsgReader()
