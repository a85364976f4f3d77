"""Diagnostics: a code, one sentence, the place with a caret, and a way out."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from rich.cells import cell_len


@dataclass(frozen=True)
class Place:
    """Where in a text: line and column from 1, and how many characters."""

    file: str
    line: int = 0
    column: int = 1
    length: int = 1
    source: str = ""
    """The text of the line."""


@dataclass(frozen=True)
class Diagnostic:
    """One thing that is wrong (or, as a warning, doubtful)."""

    code: str
    message: str
    place: Place | None = None
    help: str = ""
    severity: str = "error"

    def text(self) -> str:
        """The diagnostic as printed: several lines, without colour."""
        lines = [f"{self.severity}[{self.code}]: {_visible(self.message)}"]
        if self.place is not None:
            p = self.place
            where = f"{p.file}:{p.line}:{p.column}" if p.line else p.file
            lines.append(f" --> {where}")
            if p.line:
                lines += _marked(p)
        lines.append(f"  = help: {_visible(self.help) or f'`stepc explain {self.code}`'}")
        return "\n".join(lines)

    def data(self) -> dict[str, object]:
        """The diagnostic for machines."""
        p = self.place
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "file": p.file if p else None,
            "line": p.line if p else None,
            "column": p.column if p else None,
            "help": self.help or None,
        }


WIDEST = 160
"""Characters of a source line that are shown; of a longer one, those around the caret."""


def _visible(text: str) -> str:
    """`text` without what would move a terminal's cursor; as many characters as before."""
    return "".join(c if c.isprintable() or c in "\t\n" else "\ufffd" for c in text)


def _marked(p: Place) -> list[str]:
    """The line of a place, and a caret under it."""
    gutter = " " * len(str(p.line))
    first = max(0, p.column - 1 - WIDEST // 3) if len(p.source) > WIDEST else 0
    shown = _visible(p.source[first : first + WIDEST])
    column = p.column - 1 - first
    before, marked = shown[:column], shown[column : column + p.length]
    pad = "".join("\t" if c == "\t" else " " * max(0, cell_len(c)) for c in before)
    head, tail = "…" if first else "", "…" if first + WIDEST < len(p.source) else ""
    return [
        f"{gutter} |",
        f"{p.line} | {head}{shown}{tail}",
        f"{gutter} | {' ' * len(head)}{pad}{'^' * max(1, cell_len(marked))}",
    ]


class StepcError(Exception):
    """Carries diagnostics up to whoever reports them."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__(*diagnostics)
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        return "\n".join(d.text() for d in self.diagnostics)

    def in_file(self, file: str) -> StepcError:
        """The same with `file` as the place of those that have none."""
        return StepcError(
            *(d if d.place else replace(d, place=Place(file)) for d in self.diagnostics)
        )


def fail(code: str, message: str, place: Place | None = None, help: str = "") -> StepcError:
    """A StepcError of one diagnostic, to be raised."""
    return StepcError(Diagnostic(code, message, place, help))


def printable(text: str) -> str:
    """`text` with control characters and undecodable bytes made visible."""
    shown = (c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return unicodedata.normalize("NFC", "".join(shown))


def brief(word: str) -> str:
    """`word`, or its beginning where it is long."""
    return word if len(word) <= 40 else word[:40] + "…"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, or None."""
    import difflib

    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.55)
    return found[0] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A help line: the nearest known word, else the known ones, or the first of many."""
    known = sorted(known)
    close = nearest(word, known)
    if close:
        return f"did you mean `{close}`?"
    return f"one of: {', '.join(known[:24])}" + (", …" if len(known) > 24 else "")


@dataclass
class Statistics:
    """Counts of what a pass did, by name, in the order first counted."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, n: int = 1) -> None:
        """Count `n` more of `name`."""
        self.counts[name] = self.counts.get(name, 0) + n

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self.counts.items())
