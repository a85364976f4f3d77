"""Parses lines by their shape: lines whose tokens are of the same sorts have the same tree.

The first line of a shape goes through the parser of the grammar, all others take over its tree.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

from lark import Token, Tree
from lark.exceptions import UnexpectedInput
from lark.tree import Meta

_TOKEN = re.compile(
    r"""[ \t]*(?:
      (?P<string>"(?:\\.|[^"\\])*")
    | (?: (?P<id>c\d{1,9}(?:\.k\d{1,9})?(?:/[^\s/";]+){0,2})
        | (?P<span>\d{1,9}\.\d{3}\.\.\d{1,9}\.\d{3})
        | (?P<seconds>\d{1,9}\.\d{3})
        | (?P<votes>\d{1,9}/\d{1,9})
        | (?P<int>\d{1,9})
        | (?P<key>(?=[a-f]*\d)[0-9a-f]{12})
        | (?P<path>p\d{1,9})
        | (?P<sample>q\d{1,9})
      )(?=[ \t]|$)
    | (?P<word>[][|]|[^\s";\[\]|]+)
    )""",
    re.VERBOSE,
)
"""A token. Of a `word` the text belongs to the shape, of the other sorts only the sort."""
_SORTS = {
    "string": r'"(?:\\.|[^"\\])*"',
    "id": r'c\d{1,9}(?:\.k\d{1,9})?(?:/[^\s/";]+){0,2}',
    "span": r"\d{1,9}\.\d{3}\.\.\d{1,9}\.\d{3}",
    "seconds": r"\d{1,9}\.\d{3}",
    "votes": r"\d{1,9}/\d{1,9}",
    "int": r"\d{1,9}",
    "key": r"(?=[a-f]*\d)[0-9a-f]{12}",
    "path": r"p\d{1,9}",
    "sample": r"q\d{1,9}",
}
_END = re.compile(r"[ \t]*(?:;.*)?")
MOST = 4096
"""Maximum shapes that are kept."""
RECENT = 3
"""Number of shapes that are tried first: those of the last lines that began with the same word."""


class Text(str):
    """A token without its place in the text."""

    __slots__ = ()
    type: ClassVar[str]
    """The terminal of the grammar."""


@functools.cache
def terminal(name: str) -> type[Text]:
    """The class of the tokens of a terminal."""
    return type(name, (Text,), {"type": name, "__slots__": ()})


class _Recipe(NamedTuple):
    """A tree of one shape."""

    rule: str
    parts: tuple[Any, ...]
    """A token or tree that is the same in each line, (number of a text, class of its token), or a recipe."""


class _Shape(NamedTuple):
    """Lines whose tokens are of the same sorts."""

    line: re.Pattern[str]
    """With a group for each text that differs from line to line."""
    recipe: _Recipe


class ShapeParser:
    """Parses statements that stand in a line each."""

    def __init__(self, parse: Callable[[str], Tree[Token]]) -> None:
        """`parse` parses one statement, in which tokens and trees know their places."""
        self.parse = parse
        self.shapes: dict[str, _Shape | None] = {}
        self.recent: dict[str, list[_Shape]] = {}

    def trees(self, rows: Sequence[str], first: int) -> list[Tree[Token]] | None:
        """The trees of the statements in `rows`; None if one has no tree, which the grammar explains.

        Trees carry line numbers, starting at `first`, but no columns.
        """
        made = []
        for number, row in enumerate(rows, first):
            found = self._known(row)
            if found is None:
                if _END.fullmatch(row):
                    continue
                return None
            meta = Meta()  # type: ignore[no-untyped-call]
            meta.line, meta.empty = number, False
            made.append(_tree(found[0], found[1], meta))
        return made

    def _known(self, row: str) -> tuple[_Recipe, tuple[str, ...]] | None:
        """The recipe of a line, and the texts for it; None if it has none."""
        recent = self.recent.setdefault(row.partition(" ")[0], [])
        for shape in recent:
            if (m := shape.line.fullmatch(row)) is not None:
                return shape.recipe, m.groups()
        tokens = [*_tokens(row)]
        if not tokens or _END.fullmatch(row, tokens[-1].end) is None:
            return None
        key = " ".join(f"{' ' * x.apart}{x.sort and '?'}{x.sort or x.text}" for x in tokens)
        if key not in self.shapes:
            if len(self.shapes) == MOST:
                self.shapes.clear()
            self.shapes[key] = self._learnt(row, tokens)
        new = self.shapes[key]
        m = new and new.line.fullmatch(row)
        if new is None or m is None:
            return None
        recent[:] = [new, *recent[: RECENT - 1]]
        return new.recipe, m.groups()

    def _learnt(self, row: str, tokens: list[_Token]) -> _Shape | None:
        """The shape of a line; None if the grammar has other tokens, or no tree."""
        try:
            tree = self.parse(row)
        except UnexpectedInput:
            return None
        places: dict[int, tuple[int | None, str]] = {}
        pattern, number = "", 0
        for token in tokens:
            pattern += (r"[ \t]+" if token.apart else "") + (
                f"({_SORTS[token.sort]})" if token.sort else re.escape(token.text)
            )
            places[token.end - len(token.text)] = number if token.sort else None, token.text
            number += bool(token.sort)
        recipe = _recipe(tree, places)
        line = re.compile(rf"{pattern}[ \t]*(?:;.*)?")
        return _Shape(line, recipe) if recipe is not None else None


class _Token(NamedTuple):
    text: str
    sort: str
    """Empty for a word."""
    apart: bool
    """Whether there is space before it."""
    end: int


def _tokens(row: str) -> Iterator[_Token]:
    end = 0
    while (m := _TOKEN.match(row, end)) is not None:
        sort, text = m.lastgroup or "", m[m.lastindex or 0]
        yield _Token(text, "" if sort == "word" else sort, m.end() - len(text) > end, m.end())
        end = m.end()


def _recipe(tree: Tree[Token], places: dict[int, tuple[int | None, str]]) -> _Recipe | None:
    parts: list[Any] = []
    for child in tree.children:
        if isinstance(child, Tree):
            part: Any = _recipe(child, places)
            if part is not None and all(isinstance(x, Text | Tree) for x in part.parts):
                part = Tree(part.rule, [*part.parts])  # the same in each line
        else:
            number, text = places.get((child.column or 0) - 1, (None, ""))
            kind = terminal(child.type)
            part = None if text != child else kind(text) if number is None else (number, kind)
        if part is None:
            return None
        parts.append(part)
    return _Recipe(str(tree.data), tuple(parts))


def _tree(recipe: _Recipe, texts: Sequence[str], meta: Meta) -> Tree[Token]:
    children = [
        part[1](texts[part[0]])
        if part.__class__ is tuple
        else _tree(part, texts, meta)
        if part.__class__ is _Recipe
        else part
        for part in recipe.parts
    ]
    return Tree(recipe.rule, children, meta)
