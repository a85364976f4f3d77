"""A question of a benchmark, and the videos that questions are about."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from stepc.diagnostics import Diagnostic, Place, fail, printable
from stepc.video.discover import EXTENSIONS

MANY = 20
"""Things left out of one kind that are named; of more the number is told."""


@dataclass(frozen=True)
class Item:
    """One question of a benchmark."""

    id: str
    video: str
    """As the benchmark names it: a name, with or without folders and ending."""
    question: str
    answers: tuple[str, ...]
    """All that are right; the first one is the benchmark's."""
    rule: str
    """How a reply is graded: a name in `rules.RULES`, or one of `rules.JUDGED`."""
    options: tuple[str, ...] = ()
    groups: tuple[tuple[str, str], ...] = ()
    """What it counts in: (`task`, `Action Count`), (`type`, `query`)."""
    steps: int = 0
    """Steps of reasoning, where that is known."""
    span: tuple[float, float] | None = None
    """Seconds of the video that are shown; the whole where there is none."""
    points: tuple[str, ...] = ()
    """What a judge looks for in a long reply."""
    rationale: tuple[str, ...] = ()
    """The sentences of the true rationale, where there is one."""
    sha256: str = ""
    """Of the video, where that is told."""

    @property
    def answer(self) -> str:
        """The benchmark's answer."""
        return self.answers[0]


def kinds(steps: int, groups: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What a question counts in: name and value, its number of steps first (3: three or more)."""
    return ([("steps", f"{min(steps, 3)}")] if steps else []) + list(groups)


@dataclass
class Reading:
    """What a benchmark's files hold, and what of it cannot be used."""

    items: list[Item] = field(default_factory=list)
    wrong: list[Diagnostic] = field(default_factory=list)


def load_json(folder: Path, names: Iterable[str]) -> tuple[Any, str]:
    """The first of these files below a folder, and its name. Raises StepcError (E001)."""
    names = list(names)
    for name in names:
        path = found(folder, name)
        if path is not None:
            try:
                return orjson.loads(path.read_bytes()), path.name
            except (OSError, ValueError) as error:
                raise fail("E001", f"is no JSON ({error})", Place(printable(str(path)))) from None
    shown = Place(printable(str(folder)))
    help = "docs/how-to/evaluation.md says where it comes from"
    raise fail("E001", f"there is no `{'` or `'.join(names)}` in this folder", shown, help)


def found(folder: Path, name: str) -> Path | None:
    """A file by its name in a folder or below it; the shortest path first."""
    for place in (folder, folder / "json", folder / "questions"):  # before a look at all videos
        if (place / name).is_file():
            return place / name
    there = [
        p for p in folder.rglob(Path(name).name) if p.is_file() and p.as_posix().endswith(name)
    ]
    return min(there, key=lambda p: (len(p.parts), p), default=None)


def read_rows(
    rows: Any, file: str, make: Callable[[Any, int], Item | Iterable[Item]], reading: Reading
) -> None:
    """Items of the records of a file; those that are not as the benchmark has them are told (E002)."""
    if not isinstance(rows, list):
        raise fail("E001", f"holds {type(rows).__name__}, not a list of records", Place(file))
    for number, row in enumerate(rows, 1):
        try:
            made = make(row, number)
            reading.items += [made] if isinstance(made, Item) else list(made)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            reading.wrong.append(left_out(file, number, _why(error)))


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no `{error.args[0]}`"
    return str(error) or type(error).__name__


def left_out(file: str, number: int | str, why: str) -> Diagnostic:
    """E002 of a record."""
    return Diagnostic(
        "E002", f"record {number} is left out: {why}", Place(printable(file)), severity="warning"
    )


class VideoIndex:
    """Video files, and folders of numbered pictures, in some places or below them, found by name."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.by_name: dict[str, list[Path]] = {}
        for top in folders:
            if top.is_file():
                self._add(top.name, top)
                self._add(top.stem, top)
            for place, inside, names in os.walk(top):
                here = Path(place)
                pictures = [n for n in names if n.endswith((".jpg", ".png"))]
                if pictures and here != top:
                    self._add(here.name, here)
                for name in names:
                    path = here / name
                    if path.suffix.lower() in EXTENSIONS:
                        self._add(path.name, path)
                        self._add(path.stem, path)
                inside.sort()

    def _add(self, name: str, path: Path) -> None:
        known = self.by_name.setdefault(name, [])
        if path not in known:
            known.append(path)

    def find(self, video: str) -> Path | None:
        """The file a benchmark means: by name, and where several have it by the folders it tells.

        None where there is none, and where it cannot be told which.
        """
        told = Path(video)
        there = self.by_name.get(told.name, [])
        if len(there) > 1:
            folders = told.parent.parts
            best = max(_same(folders, p.parent.parts) for p in there)
            there = [p for p in there if _same(folders, p.parent.parts) == best]
        return there[0] if len(there) == 1 else None


def _same(told: tuple[str, ...], there: tuple[str, ...]) -> int:
    """How many folders from the last one on are the same."""
    count = 0
    for one, other in zip(reversed(told), reversed(there), strict=False):
        if one != other:
            break
        count += 1
    return count
