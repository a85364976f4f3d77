"""EPIC-KITCHENS VISOR: masks of hands and of what they touch."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepc.annotations.reader import AnnotationReader, Videos, as_published, json_files, read_json
from stepc.annotations.scene import AnnotatedScene, Edges

SIZE = (1920, 1080)
HANDS = ("left hand", "right hand")


class VisorReader(AnnotationReader):
    """The sparse annotations, whose polygons are in pixels of 1920x1080. Frames count from 1.

    A hand touches the object whose id it names. Where objects of a name are not annotated exhaustively, there
    may be more of them.
    """

    name = "visor"
    title = "EPIC-KITCHENS VISOR"
    help = "The JSON file of a video, or a folder of them."

    def scenes(self, path: Path, videos: Videos) -> Iterator[AnnotatedScene]:
        for file in json_files(path):
            data = read_json(file)
            with as_published(file, "not the annotation of VISOR"):
                frames: dict[str, list[dict[str, Any]]] = defaultdict(list)
                for each in data["video_annotations"]:
                    frames[str(each["image"]["video"])].append(each)
                for name, there in frames.items():
                    yield _scene(name, there, videos)


def _scene(name: str, frames: list[dict[str, Any]], videos: Videos) -> AnnotatedScene:
    rate = (
        50.0 if len(name.partition("_")[2]) == 3 else 60.0
    )  # the videos of EPIC-KITCHENS-100 have 50
    numbers = [int(re.findall(r"\d+", str(f["image"]["name"]))[-1]) for f in frames]
    clock = videos.clock(name, f"{name}.MP4", SIZE, max(numbers), rate)
    scene = AnnotatedScene(name, clock.shown, "visor")
    for number, frame in zip(numbers, frames, strict=True):
        at = clock.at(number - 1)
        if at is None:
            scene.lost += 1
            continue
        ids: dict[str, str] = {}
        for a in frame["annotations"]:
            label = str(a["name"])
            key = ids[a["id"]] = label if label not in ids.values() else f"{label} {a['id']}"
            scene.see(key, label, at, _around(a["segments"]))
            if str(a.get("exhaustive", "y")) != "y":
                scene.more.add((at, label))
        for a in frame["annotations"]:
            touched = a.get("in_contact_object")
            if touched in ids and str(a["name"]) in HANDS:
                scene.relate(ids[a["id"]], "touching", ids[touched], [at])
    return scene


def _around(polygons: list[list[list[float]]]) -> Edges | None:
    """The box around polygons."""
    points = [p for polygon in polygons for p in polygon]
    if not points:
        return None
    across, down = ([float(p[i]) for p in points] for i in (0, 1))
    return min(across), min(down), max(across), max(down)


READER = VisorReader()
