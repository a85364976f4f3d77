"""Turns annotations into files of graphs, each of them verified."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from stepc.annotations.reader import READERS, AnnotationReader, Videos
from stepc.diagnostics import Diagnostic, Place, did_you_mean, fail
from stepc.ir.text import write
from stepc.ir.verify import verify
from stepc.runtime.atomic_files import write_whole


@dataclass
class Converted:
    """What became of annotations: numbers of graphs, and of what is in them."""

    graphs: int = 0
    keyframes: int = 0
    objects: int = 0
    attributes: int = 0
    relations: int = 0
    motions: int = 0
    boxes: int = 0
    tracks: int = 0
    denied: int = 0
    """Facts that are known to be false."""
    lost: int = 0
    """Facts that the graphs cannot hold, such as relations between keyframes."""
    failed: int = 0
    """Videos of which no graph could be made."""
    diagnostics: tuple[Diagnostic, ...] = ()

    def add(self, other: Converted) -> None:
        """Add the numbers of another video."""
        for name in self.facts():
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def facts(self) -> dict[str, int]:
        """All numbers by name."""
        names = [f.name for f in fields(self) if f.name != "diagnostics"]
        return {name: getattr(self, name) for name in names}


def reader(name: str) -> AnnotationReader:
    """The reader of a data set. Raises StepcError (U001 if there is none, X001-X003)."""
    if name not in READERS.names():
        help = did_you_mean(name, READERS.names())
        raise fail("U001", f"no reader of `{name}`", Place("FORMAT"), help)
    return READERS.get(name)


def convert(
    name: str, annotations: Path, output: Path, videos: Path | None = None
) -> Iterator[Converted]:
    """Write the graphs of a data set into the folder `output`, and yield what became of each video.

    Raises StepcError: U001 for an unknown data set, B006 and B027 for files that cannot be read, B014.
    """
    of, names = reader(name), set[str]()
    output.mkdir(parents=True, exist_ok=True)
    with READERS.guarded(name, "reading annotations"):
        for scene in of.scenes(annotations, Videos(videos)):
            unit = scene.unit()
            wrong = verify(unit)
            file = re.sub(r"[^\w.-]+", "-", scene.name).strip(".-") or "video"
            if file in names:
                wrong = [Diagnostic("B011", f"two videos of the name `{file}`", Place(scene.name))]
            if wrong:
                yield Converted(failed=1, lost=scene.lost, diagnostics=tuple(wrong[:3]))
                continue
            names.add(file)
            write_whole(output / f"{file}.{unit.LEVEL}", write(unit).encode())
            yield Converted(
                graphs=1, keyframes=len(unit.keyframes), objects=len(unit.objects),
                attributes=len(unit.attributes), relations=len(unit.relations),
                motions=len(getattr(unit, "motions", ())), boxes=len(unit.boxes),
                tracks=len(unit.tracks), denied=len(unit.denied), lost=scene.lost,
            )  # fmt: skip
