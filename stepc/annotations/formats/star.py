"""STAR: the situations of questions about Charades videos, all those of a video in one graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
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

    A situation lists what the annotators saw in a few frames; it is one person's. With STAR's
    `action_classes.txt` in the folder, its actions become motions, from the first frame to the last.
    """

    name = "star"
    title = "STAR"
    help = "A JSON file of questions with their situations, or a folder of them, perhaps with STAR_classes."

    def scenes(self, path: Path, videos: Videos) -> Iterator[AnnotatedScene]:
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for file in json_files(path):
            data = read_json(file)
            for row in data if isinstance(data, list) else [data]:
                if isinstance(row, dict) and isinstance(row.get("situations"), dict):
                    rows[str(row.get("video_id"))].append(row)
        if not rows:
            raise broken(path, "no question with situations in it")
        classes = actions_in(path if path.is_dir() else path.parent)
        for name, of in rows.items():
            with as_published(path, f"not a situation of {name}"):
                yield self.scene(name, of, videos, classes)

    def scene(
        self, name: str, rows: list[dict[str, Any]], videos: Videos, actions: Mapping[str, str]
    ) -> AnnotatedScene:
        """The situations of a video's questions. `actions` are the words of its actions, by their codes."""
        frames = {int(f): s for row in rows for f, s in row["situations"].items()}
        edges = [b for s in frames.values() for b in s["bbox"]]
        size = round(max(b[2] for b in edges)), round(max(b[3] for b in edges))
        seconds = max(float(row.get("end") or 0) for row in rows)
        last = max(max(frames), round(seconds * RATE))
        clock = videos.clock(name, f"{name}.mp4", size, last, RATE)
        scene = AnnotatedScene(name, clock.shown, "star")
        doing: dict[str, list[int]] = {}
        """Code of an action → the times of its frames."""
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
            for code in situation.get("actions") or ():
                doing.setdefault(str(code), []).append(at)
        scene.told |= {"o000"} if actions else set()
        for code, times in doing.items():
            if code in actions and times[0] < times[-1]:
                scene.move("o000", actions[code], times[0], times[-1])
            elif actions:
                scene.lost += 1
        return scene


def actions_in(folder: Path) -> dict[str, str]:
    """The actions that STAR's `action_classes.txt` lists, by their codes: `closing a door`."""
    made: dict[str, str] = {}
    for file in sorted(folder.rglob("action_classes.txt")):
        for line in file.read_text("utf-8").splitlines():
            code, _, words = line.strip().partition(" ")
            made[code] = predicate(words.replace("/", " or "))
    return made


READER = StarReader()
