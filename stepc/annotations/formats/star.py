"""STAR: the situations of questions about Charades videos, all those of a video in one graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepc.annotations.reader import AnnotationReader, Videos, broken, json_files, read_json
from stepc.annotations.scene import AnnotatedScene
from stepc.annotations.words import names, predicate

OBJECTS = (
    "person", "broom", "picture", "closet/cabinet", "blanket", "window", "table", "paper/notebook",
    "refrigerator", "pillow", "cup/glass/bottle", "shelf", "shoe", "medicine", "phone/camera", "box",
    "sandwich", "book", "bed", "clothes", "mirror", "sofa/couch", "floor", "bag", "dish", "laptop",
    "door", "towel", "food", "chair", "doorknob", "doorway", "groceries", "hands", "light", "vacuum",
    "television",
)  # fmt: skip
"""Number of an object class, `o000` and on → its name."""
RELATIONS = (
    "on", "at_the_right_of", "at_the_left_of", "behind", "in_front_of", "on_the_side_of", "above",
    "beneath", "drinking_from", "have_it_on_the_back", "wearing", "holding", "lying_on", "covered_by",
    "carrying", "eating", "leaning_on", "sitting_on", "twisting", "writing_on", "standing_on",
    "touching", "wiping", "against", "along", "at",
)  # fmt: skip
RATE = 30.0


class StarReader(AnnotationReader):
    """Boxes are corners, with that of the person. Frames are those of Action Genome and count from 1.

    A situation lists what the annotators saw in a few frames; it is one person's.
    """

    name = "star"
    title = "STAR"
    help = "A JSON file of questions with their situations, or a folder of them."

    def scenes(self, path: Path, videos: Videos) -> Iterator[AnnotatedScene]:
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for file in json_files(path):
            data = read_json(file)
            for row in data if isinstance(data, list) else [data]:
                if isinstance(row, dict) and isinstance(row.get("situations"), dict):
                    rows[str(row.get("video_id"))].append(row)
        if not rows:
            raise broken(path, "no question with situations in it")
        for name, of in rows.items():
            try:
                yield self._scene(name, of, videos)
            except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                raise broken(path, f"not a situation of {name}: {error!r}") from None

    def _scene(self, name: str, rows: list[dict[str, Any]], videos: Videos) -> AnnotatedScene:
        frames = {int(f): s for row in rows for f, s in row["situations"].items()}
        edges = [b for s in frames.values() for b in s["bbox"]]
        size = round(max(b[2] for b in edges)), round(max(b[3] for b in edges))
        seconds = max(float(row.get("end") or 0) for row in rows)
        last = max(max(frames), round(seconds * RATE))
        clock = videos.clock(name, f"{name}.mp4", size, last, RATE)
        scene = AnnotatedScene(name, clock.shown, "star")
        for number, situation in sorted(frames.items()):
            at = clock.at(number - 1)
            if at is None:
                scene.lost += 1
                continue
            for code, box in zip(situation["bbox_labels"], situation["bbox"], strict=True):
                label, *called = names(OBJECTS[int(code[1:])])
                scene.see(code, label, at, tuple(map(float, box)))  # type: ignore[arg-type]
                scene.called[code] = tuple(called)
            pairs = zip(situation["rel_pairs"], situation["rel_labels"], strict=True)
            for (one, other), code in pairs:
                scene.relate(one, predicate(RELATIONS[int(code[1:])]), other, [at])
        return scene


READER = StarReader()
