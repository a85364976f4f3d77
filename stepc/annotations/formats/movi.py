"""MOVi and other data of Kubric: rendered objects with boxes, and their collisions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepc.annotations.reader import AnnotationReader, Videos, as_published, read_json
from stepc.annotations.scene import AnnotatedScene
from stepc.diagnostics import Place, fail, printable

KINDS = {"color_label": "color", "material_label": "material", "size_label": "size"}


class MoviReader(AnnotationReader):
    """Boxes are ymin, xmin, ymax and xmax from 0 to 1, and only in the frames of `bbox_frames`, from 0."""

    name = "movi"
    title = "MOVi, Kubric"
    help = "`metadata.json` as Kubric writes it, with `events.json` beside it, or a folder of such folders."

    def scenes(self, path: Path, videos: Videos) -> Iterator[AnnotatedScene]:
        files = sorted(path.rglob("metadata.json")) if path.is_dir() else [path]
        if not files:
            raise fail("B006", "the folder holds no `metadata.json`", Place(printable(str(path))))
        for file in files:
            with as_published(file, "not the metadata of a video"):
                yield _scene(read_json(file), file, videos)


def _scene(data: dict[str, Any], file: Path, videos: Videos) -> AnnotatedScene:
    about = data["metadata"]
    name = str(about.get("video_name") or file.resolve().parent.name)
    wide, high = (int(x) for x in about["resolution"])
    rate, frames = float(about["frame_rate"]), int(about["num_frames"])
    clock = videos.clock(name, f"{name}.mp4", (wide, high), frames, rate)
    scene = AnnotatedScene(name, clock.shown, "movi")
    beside = file.with_name("events.json")
    events = read_json(beside) if beside.is_file() else data.get("events") or {}
    every = max(1, round(rate / 2))
    meet = [c for c in events.get("collisions", ()) if min(c["instances"]) >= 0]
    chosen = {*range(0, frames, every), *(int(c["frame"]) for c in meet)}
    for key, o in enumerate(data["instances"]):
        label = str(o.get("shape_label") or o.get("category") or o.get("asset_id"))
        for n, (top, left, bottom, right) in zip(o["bbox_frames"], o["bboxes"], strict=True):
            at = clock.at(int(n))
            if at is None:
                scene.lost += 1
                continue
            box = (left * wide, top * high, right * wide, bottom * high)
            scene.follow(key, at, box)
            if int(n) in chosen:
                scene.see(key, label.replace("_", " ").lower(), at, box)
        for field, kind in KINDS.items():
            if o.get(field) and key in scene.things:
                scene.describe(key, kind, str(o[field]).lower())
    for c in meet:
        at = clock.at(int(c["frame"]))
        if at is not None:
            one, other = c["instances"]
            scene.relate(one, "colliding with", other, [at])
            scene.relate(other, "colliding with", one, [at])
    return scene


READER = MoviReader()
