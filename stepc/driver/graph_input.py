"""Graphs as inputs beside videos: they are compiled from their level on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stepc.ir import types as t
from stepc.ir.load import load
from stepc.passmanager.base import Pass
from stepc.video.discover import GRAPHS
from stepc.video.probe import probe
from stepc.video.source import VideoSource, digest

_ORDER = list(t.LEVELS)


def graph_at(path: Path) -> t.Fsg | None:
    """The graph in a file; None if the file is a video.

    Raises StepcError (B006, I and V codes) for a file that ends as one of a graph and does not hold one.
    """
    if path.suffix.lower() not in GRAPHS:
        return None
    unit = load(path)
    return unit if isinstance(unit, t.Fsg) else None


def video_beside(unit: t.Unit, path: Path) -> VideoSource | None:
    """The video of a graph, if it lies in the folder of the graph and is the same file."""
    file = path.with_name(Path(unit.video.file).name)
    if not file.is_file() or digest(file) != unit.video.sha256:
        return None
    return probe(file)


def from_level(passes: Sequence[Pass[Any, Any]], unit: t.Unit) -> list[Pass[Any, Any]]:
    """The passes that are left for a unit: those after the last one that leads to its level or below."""
    level = _ORDER.index(unit.LEVEL)
    first = 0
    for i, p in enumerate(passes, 1):
        takes, gives = (_ORDER.index(x.LEVEL) for x in p.levels())
        if not p.keeps_level and takes < level and gives <= level:
            first = i
    return list(passes[first:])
