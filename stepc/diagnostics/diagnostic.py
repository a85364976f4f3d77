"""Diagnostics: an error code, a one-sentence message, the source location, and a help line."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from rich.cells import cell_len


@dataclass(frozen=True)
class Place:
    """A location in a text. Lines and columns count from 1; line 0 means the whole file."""

    file: str
    line: int = 0
    column: int = 1
    length: int = 1
    """Number of characters to underline."""
    source: str = ""
    """The text of the line."""


@dataclass(frozen=True)
class Note:
    """Another place that a diagnostic is about, with what it has to do with it."""

    place: Place
    message: str


@dataclass(frozen=True)
class Fix:
    """A change of the text that removes the error: what is marked at `place` becomes `text`."""

    place: Place
    text: str


class Advice(str):
    """A help line with a replacement for what is marked."""

    replacement: str

    def __new__(cls, text: str, replacement: str) -> Advice:
        made = super().__new__(cls, text)
        made.replacement = replacement
        return made


@dataclass(frozen=True)
class Diagnostic:
    """One error or warning.

    `severity` is "error" or "warning". Each `code` has a page in `stepc.diagnostics.catalogue`.
    """

    code: str
    message: str
    place: Place | None = None
    help: str = ""
    severity: str = "error"
    detail: str = ""
    """A traceback, for a crash file."""
    notes: tuple[Note, ...] = ()
    """Other places that it is about."""
    fix: Fix | None = None
    """A change that removes it, for editors and `stepc check --fix`."""

    def __post_init__(self) -> None:
        """Replace halves of surrogate pairs, which no file and no terminal can hold."""
        for name in ("message", "help", "detail"):
            text = getattr(self, name)
            if not text.isascii():
                object.__setattr__(self, name, text.encode("utf-8", "replace").decode())

    def text(self) -> str:
        """The diagnostic as printed: several lines, without colour.

        Without a help line of its own, it refers to `stepc explain CODE`.
        """
        lines = [f"{self.severity}[{self.code}]: {_visible(self.message)}"]
        if self.place is not None:
            p = self.place
            where = f"{p.file}:{p.line}:{p.column}" if p.line else p.file
            lines.append(f" --> {where}")
            if p.line:
                lines += _marked(p)
            for note in self.notes:
                other = note.place
                lines.append(
                    f" ::: {other.file}:{other.line}:{other.column}: {_visible(note.message)}"
                )
                lines += _marked(other, "-")
        lines.append(f"  = help: {_visible(self.help) or f'`stepc explain {self.code}`'}")
        return "\n".join(lines)

    def data(self) -> dict[str, object]:
        """The diagnostic as a JSON-serialisable dictionary."""
        p = self.place
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "file": p.file if p else None,
            "line": p.line if p else None,
            "column": p.column if p else None,
            "help": self.help or None,
            "notes": [
                {"message": n.message, "file": n.place.file, "line": n.place.line, "column": n.place.column}
                for n in self.notes
            ],
            "fix": self.fix and {
                "line": self.fix.place.line,
                "column": self.fix.place.column,
                "length": self.fix.place.length,
                "text": self.fix.text,
            },
        }  # fmt: skip


WIDEST = 160
"""Maximum number of characters shown of a source line; longer lines are cut around the caret."""


def _visible(text: str) -> str:
    """`text` with unprintable characters replaced one for one, so that carets stay aligned."""
    return "".join(c if c.isprintable() or c in "\t\n" else "\ufffd" for c in text)


def _marked(p: Place, under: str = "^") -> list[str]:
    """The source line of a place, with carets under the marked characters."""
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
        f"{gutter} | {' ' * len(head)}{pad}{under * max(1, cell_len(marked))}",
    ]


class StepcError(Exception):
    """An error that carries one or more diagnostics to the caller that reports them."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__(*diagnostics)
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        return "\n".join(d.text() for d in self.diagnostics)

    def in_file(self, file: str) -> StepcError:
        """A copy in which diagnostics without a place get `file` as their place."""
        return StepcError(
            *(d if d.place else replace(d, place=Place(file)) for d in self.diagnostics)
        )


def fail(code: str, message: str, place: Place | None = None, help: str = "") -> StepcError:
    """Return a StepcError with one diagnostic. The caller raises it."""
    return StepcError(Diagnostic(code, message, place, help))


def printable(text: str) -> str:
    """`text` in NFC, with control characters and undecodable bytes written as `\\xNN`."""
    shown = (c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return unicodedata.normalize("NFC", "".join(shown))


def brief(word: str) -> str:
    """`word`, cut to 40 characters and an ellipsis if it is longer."""
    return word if len(word) <= 40 else word[:40] + "…"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most similar to `word`, or None if none is similar enough."""
    import difflib

    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.66)
    return found[0] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A help line: the most similar known word, otherwise the first 24 known words, sorted."""
    known = sorted(known)
    close = nearest(word, known)
    if close:
        return Advice(f"did you mean `{close}`?", close)
    return f"one of: {', '.join(known[:24])}" + (", …" if len(known) > 24 else "")


@dataclass
class Statistics:
    """Named counters of a pass, in the order in which each was first used."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, n: int = 1) -> None:
        """Add `n` to the counter `name`."""
        self.counts[name] = self.counts.get(name, 0) + n

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self.counts.items())
