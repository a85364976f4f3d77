"""Visual Genome: scene graphs of still pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepc.annotations.reader import AnnotationReader, Videos, as_published, read_json
from stepc.annotations.scene import AnnotatedScene, AnnotatedVideo
from stepc.annotations.words import kind_of, predicate


class VisualGenomeReader(AnnotationReader):
    """Boxes are x, y, width and height in pixels; the size of a picture is in `image_data.json`."""

    name = "visual-genome"
    title = "Visual Genome"
    help = "`scene_graphs.json`, or the folder with it and with `image_data.json`."
    still = True

    def scenes(self, path: Path, videos: Videos) -> Iterator[AnnotatedScene]:
        file = path / "scene_graphs.json" if path.is_dir() else path
        sizes: dict[Any, tuple[int, int]] = {}
        about = file.with_name("image_data.json")
        with as_published(file, "not a list of scene graphs"):
            if about.is_file() and about != file:
                images = read_json(about)
                sizes = {i["image_id"]: (int(i["width"]), int(i["height"])) for i in images}
            for graph in read_json(file):
                yield _scene(graph, sizes)


def _scene(graph: dict[str, Any], sizes: dict[Any, tuple[int, int]]) -> AnnotatedScene:
    number, objects = graph["image_id"], graph["objects"]
    edges = [(o["x"] + o["w"], o["y"] + o["h"]) for o in objects] or [(1, 1)]
    wide, high = sizes.get(number) or tuple(max(1, *(e[i] for e in edges), 1) for i in (0, 1))
    scene = AnnotatedScene(
        str(number), AnnotatedVideo(f"{number}.jpg", int(wide), int(high), 1), "visual-genome"
    )
    scene.still = True
    for o in objects:
        label, *called = (str(n) for n in o["names"])
        x, y, w, h = (float(o[k]) for k in ("x", "y", "w", "h"))
        scene.see(o["object_id"], label, 0, (x, y, x + w, y + h))
        scene.called[o["object_id"]] = tuple(dict.fromkeys(c for c in called if c != label))
        for value in o.get("attributes") or ():
            scene.describe(o["object_id"], kind_of(str(value)), str(value))
    for r in graph["relationships"]:
        scene.relate(r["subject_id"], predicate(str(r["predicate"])), r["object_id"], [0])
    return scene


READER = VisualGenomeReader()
