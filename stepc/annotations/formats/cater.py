"""CATER: rendered objects that are moved, turned, lifted and put over each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepc.annotations.reader import FilePerVideo, Videos
from stepc.annotations.scene import AnnotatedScene

RATE, FRAMES, SIZE = 24.0, 301, (320, 240)
EVERY = 15
"""Frames from one keyframe to the next, besides the ends of movements."""
DOES = {"slide": "sliding", "rotate": "rotating", "pick_place": "being picked up and placed",
        "contain": "being placed over another object"}  # fmt: skip


class CaterReader(FilePerVideo):
    """Frames count from 0. There are no boxes, only places in space. A contained object is still listed."""

    name = "cater"
    title = "CATER"
    help = "The JSON file of a scene, or a folder of them."

    def scene(self, data: dict[str, Any], file: Path, videos: Videos) -> AnnotatedScene:
        name = Path(str(data.get("image_filename") or file.name)).stem
        movements = {k: [(str(m[0]).strip("_"), m[1], int(m[2]), int(m[3])) for m in v]
                     for k, v in data["movements"].items()}  # fmt: skip
        ends = {n for v in movements.values() for m in v for n in m[2:]}
        last = max(FRAMES, *ends, 1)
        clock = videos.clock(name, f"{name}.mp4", SIZE, last, RATE)
        scene = AnnotatedScene(name, clock.shown, "cater")
        frames = sorted({*range(0, last, EVERY), *(n for n in ends if n < last)})
        times = [at for n in frames if (at := clock.at(n)) is not None]
        for o in data["objects"]:
            key = o.get("instance") or o["shape"]
            for at in times:
                scene.see(key, str(o["shape"]), at)
            for kind in ("color", "material", "size"):
                scene.describe(key, kind, str(o[kind]))
        for key, moves in movements.items():
            for action, other, start, end in moves:
                span = clock.at(start), clock.at(min(end, last - 1))
                if span[0] is None or span[1] is None or span[0] >= span[1]:
                    scene.lost += 1
                    continue
                scene.move(key, DOES.get(action, action.replace("_", " ")), span[0], span[1])
                if action == "contain" and other:
                    scene.relate(key, "covering", other, [span[1]])
        return scene


READER = CaterReader()
