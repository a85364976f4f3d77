"""Benchmark questions, and the lookup of the videos they refer to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from stepc.diagnostics import Diagnostic, Place, fail, printable
from stepc.runtime.atomic_files import read_regular
from stepc.video.discover import EXTENSIONS

MANY = 20
"""At most this many skipped records are reported one by one; the rest are only counted."""


@dataclass(frozen=True)
class Item:
    """One question of a benchmark."""

    id: str
    video: str
    """The name the benchmark uses, with or without folders and file extension."""
    question: str
    answers: tuple[str, ...]
    """All accepted answers; the first is the benchmark's own."""
    rule: str
    """How a reply is graded: a key of `rules.RULES` or a member of `rules.JUDGED`."""
    options: tuple[str, ...] = ()
    groups: tuple[tuple[str, str], ...] = ()
    """Groups this question is scored in, for example (`task`, `Action Count`) or (`type`, `query`)."""
    steps: int = 0
    """Number of reasoning steps; 0 if unknown."""
    span: tuple[float, float] | None = None
    """The part of the video to show, in seconds; None shows the whole video."""
    points: tuple[str, ...] = ()
    """Points that a judge looks for in a long reply."""
    rationale: tuple[str, ...] = ()
    """The sentences of the ground-truth rationale; empty if the benchmark has none."""
    sha256: str = ""
    """SHA-256 of the video file; empty if the benchmark does not record it."""
    skeleton: str = ""
    """The question without the words that it is about; empty if that is not known."""
    facts: tuple[dict[str, Any], ...] = field(default=(), hash=False)
    """What the steps of the rationale state (`stepc.grading.process`)."""
    pair: str = ""
    """The question with the same words and another answer, if there is one."""

    @property
    def answer(self) -> str:
        return self.answers[0]


def kinds(steps: int, groups: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """All groups of a question as (name, value); the number of steps comes first, capped at 3."""
    return ([("steps", f"{min(steps, 3)}")] if steps else []) + list(groups)


@dataclass
class Reading:
    """The usable questions in a benchmark's files, and a diagnostic for each unusable record."""

    items: list[Item] = field(default_factory=list)
    wrong: list[Diagnostic] = field(default_factory=list)
    more: int = 0
    """Unusable questions beyond one for each of `wrong`, where a whole file is missing."""

    @property
    def missing(self) -> int:
        """Number of questions that cannot be asked, as far as it is known."""
        return len(self.wrong) + self.more

    def file_missing(self, name: str, questions: int, why: str = "file not found") -> None:
        """Report a file that cannot be used, and count its questions (0: unknown)."""
        told = f"all {questions} questions" if questions else "all questions, of unknown number,"
        self.wrong.append(left_out(name, told, why))
        self.more += max(0, questions - 1)


def parse_json(data: bytes) -> Any:
    """Parse JSON as datasets contain it: also with a byte order mark and with NaN. Raises ValueError."""
    text = data.removeprefix(b"\xef\xbb\xbf")
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)


def load_json(folder: Path, names: Iterable[str]) -> tuple[Any, str]:
    """Load the first of these JSON files found below `folder`; returns the data and the file name.

    Raises StepcError (E001) if no file is found or if it is not valid JSON.
    """
    names = list(names)
    for name in names:
        path = found(folder, name)
        if path is not None:
            try:
                return _records(read_regular(path)), path.name
            except (OSError, ValueError, RecursionError) as error:
                shown = Place(printable(str(path)))
                raise fail("E001", f"not valid JSON ({error})", shown) from None
    shown = Place(printable(str(folder)))
    help = "see docs/how-to/evaluation.md for where to get this benchmark"
    raise fail("E001", f"this folder does not contain `{'` or `'.join(names)}`", shown, help)


def _records(data: bytes) -> Any:
    """Parse JSON, or JSON lines as a list. Raises ValueError."""
    try:
        return parse_json(data)
    except ValueError:
        lines = [line for line in data.splitlines() if line.strip()]
        if len(lines) < 2 or not all(
            line.lstrip(b"\xef\xbb\xbf ").startswith(b"{") for line in lines
        ):
            raise
        return [parse_json(line) for line in lines]


def found(folder: Path, name: str) -> Path | None:
    """Find a file by name in a folder or below it. Prefers the shortest path; returns None if not found."""
    for place in (folder, folder / "json", folder / "questions"):  # before walking all videos
        if (place / name).is_file():
            return place / name
    there = [
        p for p in folder.rglob(Path(name).name) if p.is_file() and p.as_posix().endswith(name)
    ]
    return min(there, key=lambda p: (len(p.parts), p), default=None)


def read_rows(
    rows: Any, file: str, make: Callable[[Any, int], Item | Iterable[Item]], reading: Reading
) -> None:
    """Turn a file's records into items in `reading`; malformed records are skipped and reported (E002).

    Raises StepcError (E001) if `rows` is not a list.
    """
    if not isinstance(rows, list):
        raise fail("E001", f"expected a list of records, found {type(rows).__name__}", Place(file))
    for number, row in enumerate(rows, 1):
        try:
            made = make(row, number)
            reading.items += [made] if isinstance(made, Item) else list(made)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            reading.wrong.append(left_out(file, f"record {number}", _why(error)))


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"missing field `{error.args[0]}`"
    return str(error) or type(error).__name__


def left_out(file: str, what: str, why: str) -> Diagnostic:
    """Warning E002: `what` in this file is skipped."""
    return Diagnostic("E002", f"{what} skipped: {why}", Place(printable(file)), severity="warning")


class VideoIndex:
    """Finds videos by name: video files and folders of numbered pictures, in or below the given folders."""

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
        """Return the file that a benchmark's video name refers to.

        If several files have that name, the one that shares the most parent folders with `video` wins.
        Returns None if there is no such file or if the name is ambiguous.
        """
        told = Path(video)
        there = self.by_name.get(told.name, [])
        if len(there) > 1:
            folders = told.parent.parts
            best = max(_same(folders, p.parent.parts) for p in there)
            there = [p for p in there if _same(folders, p.parent.parts) == best]
        return there[0] if len(there) == 1 else None

    def cut(self, video: str, span: tuple[float, float]) -> Path | None:
        """Return the file of a part of a video, as some publish it: `NAME_21.4_37.6.mp4`. None without."""
        told = Path(video)
        return self.find(str(told.with_name(f"{told.stem}_{span[0]:g}_{span[1]:g}{told.suffix}")))


def _same(told: tuple[str, ...], there: tuple[str, ...]) -> int:
    """Number of trailing folders that both paths share."""
    count = 0
    for one, other in zip(reversed(told), reversed(there), strict=False):
        if one != other:
            break
        count += 1
    return count
