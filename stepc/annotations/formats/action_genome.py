"""Action Genome: people and what they touch in frames of Charades, and what they do by Charades."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stepc.annotations.reader import AnnotationReader, Videos, as_published, read_pickle
from stepc.annotations.scene import AnnotatedScene, Edges
from stepc.annotations.words import names, predicate
from stepc.languages import normalised

OBJECTS, PEOPLE = "object_bbox_and_relationship.pkl", "person_bbox.pkl"
RATE = 30.0
"""Frames per second of videos that are not at hand; those of Charades have mostly 30."""
DENIED = {"not_looking_at": "looking at", "not_contacting": "touching"}
"""What the annotation says is not so → the predicate that does not hold."""
UNSAID = frozenset(["unsure", "other_relationship"])


class ActionGenomeReader(AnnotationReader):
    """The boxes of objects are x, y, width and height, those of people are corners. Objects may be invisible.

    Frames count from 1. Spatial relations are those of the object to the person, all others of the person to
    the object.
    """

    name = "action-genome"
    title = "Action Genome"
    help = f"The folder with `{OBJECTS}` and `{PEOPLE}`, and perhaps with Charades' CSV files and classes."

    def scenes(self, path: Path, videos: Videos) -> Iterator[AnnotatedScene]:
        folder = path if path.is_dir() else path.parent
        objects, people = read_pickle(folder / OBJECTS), read_pickle(folder / PEOPLE)
        actions = _actions(folder)
        frames: dict[str, list[tuple[int, str]]] = defaultdict(list)
        with as_published(folder / OBJECTS, "not the annotation of Action Genome"):
            for key in objects:
                file, _, frame = str(key).rpartition("/")
                frames[file].append((int(Path(frame).stem), key))
            for file, there in frames.items():
                yield self._scene(file, sorted(there), objects, people, actions, videos)

    def _scene(
        self,
        file: str,
        there: list[tuple[int, str]],
        objects: Mapping[str, Any],
        people: Mapping[str, Any],
        actions: Mapping[str, list[tuple[str, float, float]]],
        videos: Videos,
    ) -> AnnotatedScene:
        stem = Path(file).stem
        wide, high = (int(x) for x in people[there[0][1]]["bbox_size"])
        last = max(n for n, _ in there)
        clock = videos.clock(stem, Path(file).name, (wide, high), last, RATE)
        scene = AnnotatedScene(stem, clock.shown, "action-genome")
        for number, key in there:
            at = clock.at(number - 1)
            if at is None:
                scene.lost += 1
                continue
            boxes = people.get(key, {}).get("bbox", ())
            if len(boxes):
                scene.see("person", "person", at, _corners(boxes[0]))
            if len(boxes) > 1:
                scene.more.add((at, "person"))
            for o in objects[key]:
                _object(scene, o, at)
        scene.told |= {"person"} if stem in actions else set()
        for words, start, end in actions.get(stem, ()):
            scene.move("person", words, round(start * 1000), round(end * 1000))
        return scene


def _object(scene: AnnotatedScene, o: Mapping[str, Any], at: int) -> None:
    """Add an object of a frame and its relations, unless it is invisible."""
    if not o.get("visible", True) or o.get("bbox") is None:
        return
    label, *called = names(str(o["class"]))
    x, y, w, h = (float(v) for v in o["bbox"])
    scene.see(label, label, at, (x, y, x + w, y + h))
    scene.called[label] = tuple(called)
    for kind in ("attention_relationship", "contacting_relationship", "spatial_relationship"):
        for said in o.get(kind) or ():
            if said in DENIED:
                scene.deny("person", DENIED[said], label, at)
            elif said not in UNSAID:
                spatial = kind == "spatial_relationship"
                ends = (label, "person") if spatial else ("person", label)
                scene.relate(ends[0], predicate(str(said)), ends[1], [at])


def _corners(box: Any) -> Edges:
    left, top, right, bottom = (float(v) for v in box)
    return left, top, right, bottom


def _actions(folder: Path) -> dict[str, list[tuple[str, float, float]]]:
    """Video → what somebody does in it, from when to when in seconds, if Charades' files are there."""
    classes: dict[str, str] = {}
    for file in sorted(folder.rglob("*classes.txt")):
        for line in file.read_text("utf-8").splitlines():
            code, _, words = line.strip().partition(" ")
            if re.fullmatch(r"c\d{3}", code):
                classes[code] = normalised(words.strip().lower().replace("/", " or "))
    made: dict[str, list[tuple[str, float, float]]] = {}
    for file in sorted(folder.rglob("Charades*.csv")):
        with file.open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                said = [x.split() for x in (row.get("actions") or "").split(";") if x.strip()]
                made[str(row["id"])] = [
                    (classes[code], float(start), float(end))
                    for code, start, end in said
                    if code in classes
                ]
    return made


READER = ActionGenomeReader()
