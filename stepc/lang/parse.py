"""Parses `.step` text into a Lark tree. After a syntax error, parsing resumes at the next block."""

from __future__ import annotations

import functools
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from stepc.diagnostics import (
    Advice,
    Diagnostic,
    Fix,
    Note,
    Place,
    StepcError,
    brief,
    did_you_mean,
)
from stepc.plugins import Registry
from stepc.runtime.grammars import lalr_parser

BLOCKS = (
    "use", "import", "let", "phrase", "word", "allow", "paths", "edge", "path", "pattern", "time", "pair",
    "dataset",
)  # fmt: skip
"""Words that begin a declaration."""
_BLOCK = re.compile(rf"^(?:override\s+)?(?:{'|'.join(BLOCKS)})\b", re.MULTILINE)
MOST = 20
"""Maximum number of blocks with syntax errors before parsing stops."""


@functools.cache
def parser() -> Lark:
    """The LALR parser of `grammar/step.lark`."""
    grammar = (files("stepc.grammar") / "step.lark").read_text("utf-8")
    return lalr_parser(grammar, propagate_positions=True, maybe_placeholders=True)


@dataclass
class SpecSource:
    """One file of a spec. `found` is shared by all its files and collects the errors."""

    file: str
    text: str
    folder: Path | None = None
    """The folder for imports. None for text without a file, which may import only shipped specs."""
    found: list[Diagnostic] = field(default_factory=list)

    @functools.cached_property
    def rows(self) -> list[str]:
        """The lines of the text, without newlines."""
        return self.text.split("\n")

    def place(self, at: Any, offset: int = 0, length: int | None = None) -> Place:
        """The place of a token or tree, or of `length` characters from `offset` in a one-line token."""
        meta = at.meta if isinstance(at, Tree) else at
        line, column = getattr(meta, "line", None) or 1, (getattr(meta, "column", None) or 1)
        column += offset
        if length is None:
            end = getattr(meta, "end_column", None) or column
            length = (end if meta.end_line == line else len(self.rows[line - 1]) + 1) - column
        return Place(self.file, line, column, max(1, length), self.rows[line - 1])

    def say(
        self,
        code: str,
        message: str,
        at: Any,
        help: str = "",
        severity: str = "error",
        notes: Iterable[Note] = (),
    ) -> None:
        """Record an error or warning at a token, tree or place, and continue.

        Advice with a replacement for what is marked becomes a fix.
        """
        place = at if isinstance(at, Place) else self.place(at)
        fix = Fix(place, help.replacement) if isinstance(help, Advice) else None
        given = tuple(n for n in notes if n.place != place)
        self.found.append(Diagnostic(code, message, place, help, severity, notes=given, fix=fix))

    def note(self, at: Any, message: str) -> Note:
        """Another place that an error is about."""
        return Note(at if isinstance(at, Place) else self.place(at), message)

    def string(self, token: Token) -> str:
        """The value of a string literal, or "?" with an error (S002) if it has an unknown escape."""
        try:
            text = str(json.loads(token, strict=False))
            text.encode()  # an unpaired surrogate written as \\u… is invalid
            return text
        except (json.JSONDecodeError, UnicodeEncodeError):
            self.say("S002", "unknown escape in a string", token, r"use \" \\ \n \t or \uXXXX")
            return "?"

    def tree(self) -> Tree[Token]:
        """The tree of the text. Blocks with syntax errors are left out, and each error is recorded.

        Raises StepcError (S001) if an error is before the first block, or after `MOST` errors.
        """
        text = self.text
        starts = [m.start() for m in _BLOCK.finditer(text)]
        said = 0
        while True:
            try:
                return parser().parse(text)
            except UnexpectedInput as error:
                found = syntax_error(error, self.file, self.rows)
                self.found.append(found)
                said += 1
                assert found.place is not None
                at = sum(len(row) + 1 for row in self.rows[: found.place.line - 1])
                at += found.place.column - 1
                n = bisect_right(starts, at) - 1
                if n < 0 or said >= MOST:
                    raise StepcError(*self.found) from None
                end = starts[n + 1] if n + 1 < len(starts) else len(text)
                blank = re.sub(r"[^\n]", " ", text[starts.pop(n) : end])
                text = text[: end - len(blank)] + blank + text[end:]


def syntax_error(error: UnexpectedInput, file: str, rows: list[str]) -> Diagnostic:
    """The diagnostic of a syntax error (S001), with what is expected at that place."""
    line, column = error.line or -1, error.column or -1
    if line < 1 or line > len(rows):
        line = len(rows)
        column = len(rows[-1]) + 1
    source = rows[line - 1]
    rest = re.match(r"[A-Za-z-]+|\S", source[column - 1 :])
    word = rest[0] if rest else "the end" if line == len(rows) else "the end of the line"
    expected: set[str] = set()
    if isinstance(error, UnexpectedToken):
        expected = set(error.accepts or error.expected)
    elif isinstance(error, UnexpectedCharacters):
        expected = set(error.allowed or ())
    shown = sorted({s for e in expected if not e.startswith("__") for s in _said(e)})
    names = [s for s in shown if s.replace("-", "").isalpha()]
    close = did_you_mean(word, names) if word.isalpha() and names else ""
    help = close if isinstance(close, Advice) else "expected " + " or ".join(shown)
    help = _better(source, column, word, shown) or help
    place = Place(file, line, column, len(word), source)
    fix = None
    if isinstance(help, Advice):
        fix = Fix(place, help.replacement)
    return Diagnostic("S001", f"unexpected {brief(word)}", place, help, fix=fix)


def _better(source: str, column: int, word: str, expected: list[str]) -> str:
    """What to do about a common mistake, if this is one."""
    before, after = source[: column - 1], source[column - 1 :]
    number = re.search(r"(\d+)$", before)
    decimal = re.match(r"\.(\d+)", after)
    if not "".join(source).strip() and expected == ["spec"]:
        return 'the file is empty; a spec begins with: spec NAME "title"'
    if word in "\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb":
        return Advice('write straight quotes: "', '"')
    if number and decimal:
        share = f"{number[1]}.{decimal[1]}"
        return f"write a share as a fraction or in percent: {Fraction(share)} or {float(share):.0%}"
    if expected == ["per"]:
        return "say of what, as in: count 5 per video"
    if "a name" in expected and word.isalpha() and not word.islower():
        return Advice(f"names are in lower case: {word.lower()}", word.lower())
    if expected in ([], [""]) or re.fullmatch(r"edge \w+\(\w+", before):
        return "an edge has two ends, such as: edge attr(o -> v)"
    return ""


def _said(terminal: str) -> list[str]:
    return _TERMINALS.get(terminal, [terminal.strip("_").lower().replace("_", "-")])


_TERMINALS = {
    "LBRACE": ["`{`"],
    "RBRACE": ["`}`"],
    "LPAR": ["`(`"],
    "RPAR": ["`)`"],
    "COMMA": ["`,`"],
    "COLON": ["`:`"],
    "VBAR": ["`|`"],
    "EQUAL": ["`=`"],
    "WAY": ["`=>`", "`<=`", "`--`"],
    "WHEN": ["during", "before", "after", "span", "scene", "showing", "moment"],
    "STRING": ['a "string"'],
    "INT": ["a number"],
    "RATIO": ["a share such as 1/3"],
    "PERCENT": ["a share such as 50%"],
    "SECONDS": ["a time such as 2.5s"],
    "NAME": ["a name"],
    "LINE": ["a line such as ask"],
    "$END": ["the end of the file"],
}


def _shipped() -> dict[str, Callable[[], Path]]:
    paths = (Path(str(p)) for p in files("stepc.specs").iterdir() if p.name.endswith(".step"))
    return {p.stem: functools.partial(Path, p) for p in sorted(paths)}


def _accept(value: Any) -> str:
    return "" if Path(str(value)).is_file() else f"`{value!r}` is not a file"


SPECS: Registry[Any] = Registry("stepc.specs", _shipped, _accept)
"""The specs by name that come with stepc and with plug-ins."""


def builtin(name: str) -> str:
    """The text of a spec that comes with stepc or a plug-in. Raises FileNotFoundError."""
    if name not in SPECS:
        raise FileNotFoundError(name)
    with SPECS.guarded(name, "its file"):
        return Path(str(SPECS.get(name))).read_text("utf-8-sig")


def shipped() -> list[str]:
    """The names of the specs that come with stepc and with plug-ins."""
    return list(SPECS.names())
