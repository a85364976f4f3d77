"""GQA: scene graphs of still pictures, with attributes and named relations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepc.annotations.reader import (
    AnnotationReader,
    Videos,
    as_published,
    broken,
    json_files,
    read_json,
)
from stepc.annotations.scene import AnnotatedScene, AnnotatedVideo
from stepc.annotations.words import kind_of, predicate


class GqaReader(AnnotationReader):
    """Boxes are x, y, width and height in pixels. Of attributes only values are given, no kinds."""

    name = "gqa"
    title = "GQA"
    help = "A JSON file of scene graphs, or a folder of them."
    still = True

    def scenes(self, path: Path, videos: Videos) -> Iterator[AnnotatedScene]:
        for file in json_files(path):
            data = read_json(file)
            if not isinstance(data, dict):
                raise broken(file, "not an object of scene graphs by picture")
            for name, graph in data.items():
                with as_published(file, f"not the graph of picture {name}"):
                    yield _scene(name, graph)


def _scene(name: str, graph: dict[str, Any]) -> AnnotatedScene:
    shown = AnnotatedVideo(f"{name}.jpg", int(graph["width"]), int(graph["height"]), 1)
    scene = AnnotatedScene(str(name), shown, "gqa")
    scene.still = True
    for key, o in graph["objects"].items():
        x, y, w, h = (float(o[k]) for k in ("x", "y", "w", "h"))
        scene.see(key, str(o["name"]), 0, (x, y, x + w, y + h))
        for value in o.get("attributes", ()):
            scene.describe(key, kind_of(value), str(value))
    for key, o in graph["objects"].items():
        for r in o.get("relations", ()):
            scene.relate(key, predicate(str(r["name"])), r["object"], [0])
    return scene


READER = GqaReader()
