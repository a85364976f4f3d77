"""EASG: what the wearer of a camera does to which objects (Ego4D), before, while and after it happens."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stepc.annotations.reader import AnnotationReader, Videos, as_published, read_pickle
from stepc.annotations.scene import AnnotatedScene
from stepc.annotations.words import predicate
from stepc.diagnostics import Place, fail, printable

RATE, SIZE = 30.0, (1920, 1080)
"""Of the clips of Ego4D; boxes are parts of the picture."""
MOMENTS = ("pre", "pnr", "post")
"""Before the action, at the point of no return, and after it."""
WEARER = "camera wearer"


class EasgReader(AnnotationReader):
    """Boxes are x, y, width and height from 0 to 1. Frames count from 0 in the clips of Ego4D.

    An object has a box at some of three moments of an action. The wearer of the camera is in all keyframes,
    and never in the picture.
    """

    name = "easg"
    title = "EASG (Ego4D)"
    help = "`easg_train.pkl` or `easg_val.pkl`, or the folder that has them."

    def scenes(self, path: Path, videos: Videos) -> Iterator[AnnotatedScene]:
        files = sorted(path.rglob("easg_*.pkl")) if path.is_dir() else [path]
        if not files:
            raise fail("B006", "the folder holds no `easg_*.pkl`", Place(printable(str(path))))
        for file in files:
            clips: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
            with as_published(file, "not the annotation of EASG"):
                for key, graph in read_pickle(file).items():
                    clips[str(key).rpartition("_")[0]].append(graph)
                for name, graphs in clips.items():
                    yield _scene(name, graphs, videos)


def _scene(name: str, graphs: list[Mapping[str, Any]], videos: Videos) -> AnnotatedScene:
    last = max(int(n) for g in graphs for n in g["clip_frame_number"].values())
    clock = videos.clock(name, f"{name}.mp4", SIZE, last + 1, RATE)
    scene = AnnotatedScene(name, clock.shown, "easg")
    for graph in graphs:
        times = {m: clock.at(int(n)) for m, n in graph["clip_frame_number"].items()}
        span = sorted(x for x in times.values() if x is not None)
        during = (span[0], span[-1]) if span and span[0] < span[-1] else None
        for row in (row for rows in graph["annotations"].values() for row in rows):
            label = _word(str(row["obj"]))
            seen: list[int] = []
            for moment in MOMENTS:
                at, boxes = times.get(moment), row["bbox"].get(moment, ())
                if at is None or not len(boxes):
                    continue
                x, y, wide, high = (float(v) for v in boxes[0])
                edges = x * SIZE[0], y * SIZE[1], (x + wide) * SIZE[0], (y + high) * SIZE[1]
                scene.see(label, label, at, edges)
                scene.see("wearer", WEARER, at)
                if len(boxes) > 1:
                    scene.more.add((at, label))
                seen.append(at)
            scene.relate("wearer", _said(str(row["verb"]), str(row["rel"])), label, seen, during)
    return scene


def _word(said: str) -> str:
    """`hand_(finger,_hand,_palm,_thumb)` → `hand`; `left_hand` → `left hand`."""
    return re.sub(r"_?\(.*", "", said).replace("_", " ").strip() or said


def _said(verb: str, role: str) -> str:
    """`cut_(trim,_slice,_chop)` as a relation to its object: `cutting`; to a tool: `cutting with`."""
    made = predicate(_word(verb))
    return made if role == "dobj" else f"{made} {role.replace('_', ' ')}"


READER = EasgReader()
