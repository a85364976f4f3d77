"""`stepc fmt`: a spec in its one canonical layout; every token and every comment survives."""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import groupby, pairwise

from lark import Lark, Token
from lark.exceptions import UnexpectedInput

from stepc.diagnostics import StepcError
from stepc.spec.read import syntax_error

WIDTH = 100
"""Columns; a line with more alternatives than fit has one on each line."""
CLAUSES = ["COUNT", "STEPS", "START", "EXPAND", "DURING", "TRIES", "UNIQUE", "AMBIGUOUS"]
FILTERS = ["REQUIRE", "ONLY", "FORBID"]
BEGINS = frozenset(["SPEC", "PATHS", "EDGE", "FIND", "WORDING", "BEFORE", *CLAUSES, *FILTERS])
"""Tokens that begin a line."""
BLOCKS = frozenset(["SPEC", "PATHS", "EDGE", "FIND"])
"""Those behind which words are not aligned."""
TIGHT_BEFORE = frozenset([",", ":", ")", "(", ".."])
TIGHT_AFTER = frozenset(["(", ".."])


@dataclass
class _Line:
    """One clause, or the head or end of a block: its depth, its tokens, its comments."""

    depth: int
    tokens: list[Token]
    above: list[Token] = field(default_factory=list)
    behind: str = ""

    def rows(self) -> list[str]:
        """What is written, without comments: one row, or one an alternative."""
        pad, first = "  " * self.depth, self.tokens[0]
        words = [str(token) for token in self.tokens]
        block = first.type in BLOCKS or words[-1] == "{"
        head = pad + (words[0] if block or len(words) == 1 else f"{words[0]:7}")
        row = head
        for before, word in pairwise(words):
            row += word if word in TIGHT_BEFORE or before in TIGHT_AFTER else " " + word
        if len(row) <= WIDTH or "|" not in words:
            return [row]
        texts = [word for word in words[1:] if word != "|"]
        return [f"{head} {texts[0]}", *(f"{pad}{'|':>7} {text}" for text in texts[1:])]

    @property
    def first(self) -> Token:
        """What comes first in the source."""
        return (self.above or self.tokens)[0]


@functools.cache
def _lark() -> tuple[Lark, list[Token]]:
    comments: list[Token] = []

    def keep(token: Token) -> Token:
        comments.append(token)
        return token

    grammar = (files("stepc.grammar") / "step.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer_callbacks={"COMMENT": keep}), comments


def _tokens(text: str, file: str) -> tuple[list[Token], list[Token]]:
    """Tokens, and comments. Raises StepcError (S001) where the text does not parse."""
    parser, comments = _lark()
    comments.clear()
    try:
        parser.parse(text)
        comments.clear()
        found = list(parser.parse_interactive(text).exhaust_lexer())
    except UnexpectedInput as error:
        raise StepcError(syntax_error(error, file, text.split("\n"))) from None
    return found, list(comments)


def format_spec(text: str, file: str = "<spec>") -> str:
    """`text` in canonical layout. Raises StepcError (S001) if it does not parse.

    Two spaces a level, one between words, clauses aligned, at most one empty line and one between
    blocks. A comment stays above or behind its clause; one in the middle of a clause moves above.
    """
    tokens, comments = _tokens(text, file)
    lines: list[_Line] = []
    depth = 0
    for token in tokens:
        depth -= token == "}"
        if token.type in BEGINS or token == "}":
            lines.append(_Line(depth, [token]))
        else:
            lines[-1].tokens.append(token)
        depth += token == "{"
    rest = _placed(lines, comments)
    rows: list[tuple[str, str]] = []
    last = None
    for line in lines:
        indent = "  " * (line.depth + (line.tokens[0] == "}"))
        for i, token in enumerate([*line.above, line.tokens[0]]):
            if last is not None and _apart(last, token, line, i == 0):
                rows.append(("", ""))
            if token is not line.tokens[0]:
                rows.append((indent + str(token).rstrip(), ""))
            last = token
        rows += [(row, "") for row in line.rows()]
        rows[-1] = (rows[-1][0], line.behind)
        last = line.tokens[-1]
    rows += [(str(token).rstrip(), "") for token in rest]
    return "\n".join(_aligned(rows)) + "\n"


def _placed(lines: list[_Line], comments: list[Token]) -> list[Token]:
    """Give each comment to a line; those behind all lines are returned."""
    rest = []
    ends = [line.tokens[-1].start_pos or 0 for line in lines]
    for comment in comments:
        at = comment.start_pos or 0
        n = bisect_left(ends, at)
        line = lines[n - 1] if n else None
        following = lines[n] if n < len(lines) else None
        inside = following is not None and (following.tokens[0].start_pos or 0) < at
        behind = line is not None and line.tokens[-1].end_line == comment.line and not line.behind
        if line is not None and behind and not inside:
            line.behind = str(comment).rstrip()
        elif following is not None:
            following.above.append(comment)
        else:
            rest.append(comment)
    return rest


def _apart(last: Token, token: Token, line: _Line, first: bool) -> bool:
    """Whether an empty row stands between what was written last and `token`."""
    if last == "{" or token == "}":
        return False
    between_blocks = first and line.depth == 0 and line.tokens[-1] == "{"
    return between_blocks or (token.line or 0) - (last.end_line or 0) > 1


def _aligned(rows: list[tuple[str, str]]) -> Iterator[str]:
    """Rows with their comments, those of neighbouring rows under each other."""
    for told, group in groupby(rows, key=lambda row: bool(row[1])):
        part = list(group)
        width = max(len(row) for row, _ in part)
        yield from (f"{row:{width}}  {comment}" if told else row for row, comment in part)
