"""What an output folder already holds, so that a run does not replace it by less."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from stepc.dataset.parquet import read_rows, shards
from stepc.diagnostics import StepcError
from stepc.runtime.atomic_files import read_regular
from stepc.runtime.names import Name
from stepc.video.discover import unit_name

if TYPE_CHECKING:
    from stepc.passmanager.corpus import UnitSummary


CARD = ("README.md", "schema.json")
"""Files of a dataset beside its samples, which it has if it has splits."""


MARKS = {"README.md": b"\n- stepc\n", "schema.json": b"A sample of stepc"}
"""What tells that a file of a dataset was written by stepc."""


def foreign(folder: Path) -> str:
    """A file in a folder that a dataset would overwrite, and that stepc did not write; empty if none."""
    for name, mark in MARKS.items():
        try:
            if mark not in read_regular(folder / name):
                return name
        except OSError:
            continue
    for path in (folder / "data" / f"{name}.jsonl" for name in ("train", "validation", "test")):
        with contextlib.suppress(OSError), path.open("rb") as file:
            if not file.read(6).startswith(b'{"id":'):
                return f"data/{path.name}"
    return ""


@dataclass
class Previous:
    """The dataset in a folder, as far as it can be read."""

    units: dict[str, str] = field(default_factory=dict)
    """SHA-256 of a video, or the unit's name if that is not known → the unit's name."""
    full: set[str] = field(default_factory=set)
    """The keys of units with samples."""
    files: set[str] = field(default_factory=set)
    """The names of its data files."""
    splits: set[str] = field(default_factory=set)
    """The names of its splits, which have files in `data/`."""

    def missing(self, cards: Iterable[UnitSummary]) -> list[str]:
        """The names of units that a new dataset lacks, or that would have no samples left in it."""
        now, with_samples = set[str](), set[str]()
        for card in cards:
            now |= {card.sha256, card.name}
            with_samples |= {card.sha256, card.name} if card.samples else set()
        return sorted(
            name for key, name in self.units.items()
            if not {key, name} & (with_samples if key in self.full else now)
        )  # fmt: skip


def previous(dataset: Path) -> Previous:
    """Read the manifest of the dataset in a folder; if it is missing or damaged, the samples themselves."""
    found = Previous()
    try:
        told = orjson.loads(read_regular(dataset / "manifest.json"))
        files, videos = told.get("files", ()), told["videos"]
        found.splits = {str(name) for name in told.get("splits") or () if _is_name(name)}
        if not isinstance(videos, list):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        videos, files = [*_videos(dataset)], ()
    for video in videos:
        if isinstance(video, dict) and isinstance(video.get("name"), str):
            key = str(video.get("sha256") or video["name"])
            found.units[key] = video["name"]
            if video.get("samples") != 0:
                found.full.add(key)
    found.files = {str(name) for name in files if _is_name(name)}
    return found


def _videos(dataset: Path) -> Iterator[dict[str, Any]]:
    """The videos that the samples of a dataset name. Empty if there are none that can be read."""
    lines, parts = dataset / "qra.jsonl", shards(dataset, "qra")
    if not lines.exists() and not parts:
        return
    try:
        rows: Iterable[Any]
        rows = read_regular(lines).splitlines() if lines.exists() else read_rows(parts)
        for row in rows:
            try:
                sample = orjson.loads(row) if isinstance(row, bytes) else row
                yield {"name": unit_name(sample["video"]), "sha256": sample.get("sha256")}
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
    except (OSError, ValueError, StepcError):  # also where pyarrow is missing
        return


def _is_name(text: object) -> bool:
    try:
        return bool(Name.single(text))
    except ValueError:
        return False
