"""The text of a `.step` file as a tree: parsed by Lark, and past a mistake on to the next block."""

from __future__ import annotations

import functools
import json
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from stepc.diagnostics import Diagnostic, Place, StepcError, brief, did_you_mean
from stepc.runtime.grammars import lalr_parser

BLOCKS = ("import", "let", "phrase", "paths", "edge", "path", "time", "pair", "dataset")
"""Words that begin a declaration."""
_BLOCK = re.compile(rf"^(?:override\s+)?(?:{'|'.join(BLOCKS)})\b", re.MULTILINE)
MOST = 20
"""Blocks that do not parse before the reader gives up."""


@functools.cache
def parser() -> Lark:
    """The grammar `grammar/step.lark`."""
    grammar = (files("stepc.grammar") / "step.lark").read_text("utf-8")
    return lalr_parser(grammar, propagate_positions=True, maybe_placeholders=True)


@dataclass
class SpecSource:
    """One file of a spec, and the mistakes found so far in all of them."""

    file: str
    text: str
    folder: Path | None = None
    """Where it lies; None for a text that lies nowhere, which imports by name only."""
    found: list[Diagnostic] = field(default_factory=list)

    @functools.cached_property
    def rows(self) -> list[str]:
        """The lines of the text."""
        return self.text.split("\n")

    def place(self, at: Any, offset: int = 0, length: int | None = None) -> Place:
        """The place of a token or tree; with an offset into a one-line token."""
        meta = at.meta if isinstance(at, Tree) else at
        line, column = getattr(meta, "line", None) or 1, (getattr(meta, "column", None) or 1)
        column += offset
        if length is None:
            end = getattr(meta, "end_column", None) or column
            length = (end if meta.end_line == line else len(self.rows[line - 1]) + 1) - column
        return Place(self.file, line, column, max(1, length), self.rows[line - 1])

    def say(self, code: str, message: str, at: Any, help: str = "") -> None:
        """Note one mistake, at a token, a tree or a place, and go on."""
        place = at if isinstance(at, Place) else self.place(at)
        self.found.append(Diagnostic(code, message, place, help))

    def string(self, token: Token) -> str:
        """What a string literal says."""
        try:
            text = str(json.loads(token, strict=False))
            text.encode()  # half of a character written as \\u… is no text
            return text
        except (json.JSONDecodeError, UnicodeEncodeError):
            self.say("S002", "this string has an unknown escape", token, r"use \" or \\")
            return "?"

    def tree(self) -> Tree[Token]:
        """The tree of the text without the blocks that do not parse, each with a mistake noted.

        Raises StepcError (S001) where nothing is left to go on with.
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
    """What is wrong where a text does not parse (S001), and what may stand there."""
    line, column = error.line or -1, error.column or -1
    if line < 1 or line > len(rows):
        line = len(rows)
        column = len(rows[-1]) + 1
    source = rows[line - 1]
    rest = re.match(r"[A-Za-z-]+|\S", source[column - 1 :])
    word = rest[0] if rest else "the end"
    expected: set[str] = set()
    if isinstance(error, UnexpectedToken):
        expected = set(error.accepts or error.expected)
    elif isinstance(error, UnexpectedCharacters):
        expected = set(error.allowed or ())
    shown = sorted({s for e in expected if not e.startswith("__") for s in _said(e)})
    names = [s for s in shown if s.replace("-", "").isalpha()]
    close = did_you_mean(word, names) if word.isalpha() and names else ""
    help = close if close.startswith("did you") else "expected " + " or ".join(shown)
    return Diagnostic(
        "S001", f"unexpected {brief(word)}", Place(file, line, column, len(word), source), help
    )


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
    "WHEN": ["during", "before", "after", "span"],
    "STRING": ['a "string"'],
    "INT": ["a number"],
    "RATIO": ["a share such as 1/3"],
    "PERCENT": ["a share such as 50%"],
    "SECONDS": ["a time such as 2.5s"],
    "NAME": ["a name"],
    "LINE": ["a line such as ask"],
    "$END": ["the end of the file"],
}


def builtin(name: str) -> str:
    """The text of a spec that comes with stepc. Raises FileNotFoundError."""
    return (files("stepc.specs") / f"{name}.step").read_text("utf-8")


def shipped() -> list[str]:
    """The names of the specs that come with stepc."""
    names = (path.name for path in files("stepc.specs").iterdir())
    return sorted(name.removesuffix(".step") for name in names if name.endswith(".step"))
