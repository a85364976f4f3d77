"""CLEVRER: rendered objects with colours and materials that move and collide."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from stepc.annotations.reader import FilePerVideo, Videos
from stepc.annotations.scene import AnnotatedScene

RATE = 25.6
"""128 frames in five seconds."""
SIZE = (480, 320)
EVERY = 16
"""Frames from one keyframe to the next, besides the frames of collisions."""
STILL = 0.02
"""Length of a velocity below which an object does not move, in the units of the annotation per frame."""


class ClevrerReader(FilePerVideo):
    """Frames count from 0. There are no boxes, only places in space."""

    name = "clevrer"
    title = "CLEVRER"
    help = "The JSON file of a video (`annotation_00000.json`), or a folder of them."

    def scene(self, data: dict[str, Any], file: Path, videos: Videos) -> AnnotatedScene:
        name = Path(
            str(data.get("video_filename") or file.stem.replace("annotation", "video"))
        ).stem
        frames = data["motion_trajectory"]
        clock = videos.clock(name, f"{name}.mp4", SIZE, len(frames), RATE)
        scene = AnnotatedScene(name, clock.shown, "clevrer")
        looks = {o["object_id"]: o for o in data["object_property"]}
        meet = {int(c["frame_id"]): c["object_ids"] for c in data.get("collision", ())}
        chosen = sorted({*range(0, len(frames), EVERY), *(n for n in meet if n < len(frames))})
        velocity: dict[tuple[int, Any], float] = {}
        for n in chosen:
            at = clock.at(n)
            if at is None:
                scene.lost += 1
                continue
            for o in frames[n]["objects"]:
                velocity[n, o["object_id"]] = sum(float(v) ** 2 for v in o["velocity"]) ** 0.5
                if o.get("inside_camera_view", True):
                    scene.see(o["object_id"], str(looks[o["object_id"]]["shape"]), at)
        for key, o in looks.items():
            for kind in ("color", "material"):
                if key in scene.things:
                    scene.describe(key, kind, str(o[kind]))
        for n, (one, other) in meet.items():
            at = clock.at(n)
            if at is not None:
                scene.relate(one, "colliding with", other, [at])
                scene.relate(other, "colliding with", one, [at])
        for a, b in pairwise(chosen):
            start, end = clock.at(a), clock.at(b)
            for key in looks:
                speeds = [velocity.get((n, key)) for n in (a, b)]
                if start is None or end is None or None in speeds:
                    continue
                if all(v is not None and v <= STILL for v in speeds):
                    scene.move(key, "standing still", start, end)
                elif all(v is not None and v > STILL for v in speeds):
                    scene.move(key, "moving", start, end)
        return scene


READER = ClevrerReader()
