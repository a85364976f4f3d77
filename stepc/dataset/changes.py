"""What differs between two datasets, units or folders of units."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from stepc.dataset.read import TrainingSample, read_samples
from stepc.diagnostics import Place, fail, printable
from stepc.ir.changes import Change, Keyed, changes, unit_changes
from stepc.ir.load import load
from stepc.ir.types import LEVELS

SUFFIXES = frozenset(f".{level}" for level in LEVELS)


def compared(one: Path, other: Path, trust: bool = True) -> Iterator[Change]:
    """What differs between two things of one sort: files of units, folders of them, or datasets.

    Of two datasets of `stepc compile`, the units are compared, too. Raises StepcError: B006, I001-I004 and V
    codes for units, T001 for datasets, U001 if the two are of different sorts.
    """
    sorts = [_sort(path) for path in (one, other)]
    if sorts[0] != sorts[1]:
        message = f"{printable(str(one))} is a {sorts[0]}, and this is a {sorts[1]}"
        raise fail("U001", message, Place(printable(str(other))), "name two of one sort")
    if sorts[0] == "unit":
        yield from unit_changes(load(one), load(other), trust)
        return
    mine, theirs = (p / "units" if sorts[0] == "dataset" else p for p in (one, other))
    yield from _units(mine, theirs, trust)
    if sorts[0] == "dataset":
        yield from _samples(_read(one), _read(other))


def _sort(path: Path) -> str:
    if path.is_dir():
        whole = any((path / name).is_file() for name in ("manifest.json", "qra.jsonl"))
        return "dataset" if whole else "folder of units"
    return "dataset" if path.suffix in (".jsonl", ".parquet") else "unit"


def _files(folder: Path) -> dict[str, Path]:
    """The files of units in a folder and below, by path without their level."""
    if not folder.is_dir():
        return {}
    paths = (p for p in sorted(folder.rglob("*")) if p.suffix in SUFFIXES and p.is_file())
    return {p.relative_to(folder).with_suffix("").as_posix(): p for p in paths}


def _units(one: Path, other: Path, trust: bool) -> Iterator[Change]:
    mine, theirs = _files(one), _files(other)
    for name in dict.fromkeys([*mine, *theirs]):
        if name in mine and name in theirs:
            yield from unit_changes(load(mine[name]), load(theirs[name]), trust)
        else:
            text = f"unit    {name}"
            yield Change(name, "unit", text * (name in mine), text * (name in theirs))


def _read(dataset: Path) -> list[TrainingSample]:
    """The samples of a dataset, which may have none. Raises StepcError (T001)."""
    file = dataset / "qra.jsonl" if dataset.is_dir() else dataset
    empty = file.is_file() and not file.stat().st_size
    return [] if empty else read_samples(dataset)[0]


def _samples(one: Iterable[TrainingSample], other: Iterable[TrainingSample]) -> Iterator[Change]:
    """Samples of datasets, by video and question."""

    def by_video(samples: Iterable[TrainingSample]) -> dict[str, list[Keyed]]:
        made: dict[str, list[Keyed]] = {}
        for s in samples:
            options = f" ({', '.join(s.options)})" if s.options else ""
            told = " ".join(step.text for step in s.rationale)
            text = f"sample  {s.question}{options} {s.answer} | {told} | {s.set}"
            made.setdefault(s.video, []).append(("sample", (s.question,), text))
        return made

    mine, theirs = by_video(one), by_video(other)
    for video in dict.fromkeys([*mine, *theirs]):
        yield from changes(video, mine.get(video, []), theirs.get(video, []))


def counted(found: Iterable[Change]) -> dict[str, dict[str, int]]:
    """The number of changes by kind, and in each by `added`, `removed` and `changed`."""
    made: dict[str, Counter[str]] = {}
    for change in found:
        made.setdefault(change.kind, Counter())[change.how] += 1
    return {kind: dict(sorted(numbers.items())) for kind, numbers in sorted(made.items())}


def rows(found: Iterable[Change]) -> list[dict[str, Any]]:
    """Changes as JSON-compatible rows."""
    return [
        {"where": c.where, "kind": c.kind, "how": c.how, "before": c.before, "after": c.after}
        for c in found
    ]
