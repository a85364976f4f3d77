"""`stepc fmt`: prints a spec in the canonical layout. All tokens and comments are kept."""

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
from stepc.lang.parse import syntax_error

WIDTH = 100
"""Columns. A line whose alternative wordings do not fit puts each on its own row."""
DECLARATIONS = [
    "SPEC",
    "USE",
    "IMPORT",
    "LET",
    "PHRASE",
    "WORD",
    "ALLOW",
    "PATHS",
    "EDGE",
    "PATH",
    "PATTERN",
    "TIME",
    "PAIR",
    "DATASET",
]
CLAUSES = ["COUNT", "STEPS", "START", "EXPAND", "FORM", "OPTIONS", "WHEN", "REQUIRE", "ONLY",
           "FORBID", "NO_REVISIT", "UNIQUE", "AMBIGUOUS", "ENUMERATE", "SEED", "TRIES", "DENY", "MARGIN",
           "EVIDENCE",
           "WHERE", "THEN", "EITHER", "EXISTS",
           "ANSWERS", "MOST", "SETS", "FORMATS"]  # fmt: skip
BEGINS = frozenset([*DECLARATIONS, *CLAUSES, "FIND", "LINE", "OVERRIDE"])
"""Types of tokens that begin a line, without the leading underscore."""
BLOCKS = frozenset([*DECLARATIONS, "FIND", "OVERRIDE"])
"""Types of first tokens after which the next word is not aligned."""
TIGHT_BEFORE = frozenset([",", ":", ")", "(", "..", "."])
TIGHT_AFTER = frozenset(["(", "..", "."])


@dataclass
class _Line:
    """A clause, or the head or end of a block, with its comments."""

    depth: int
    tokens: list[Token]
    above: list[Token] = field(default_factory=list)
    behind: str = ""
    width: int = 7
    """Column width reserved for the first word."""

    @property
    def aligned(self) -> bool:
        """Whether the second word is aligned with that of neighbouring lines."""
        kind = _type(self.tokens[0])
        clause = kind not in BLOCKS or kind == "FIND"  # a block, or a clause of a pattern
        return len(self.tokens) > 1 and clause and self.tokens[-1] != "{"

    def rows(self) -> list[str]:
        """The line without comments: one row, or one row per alternative wording."""
        pad, first = "  " * self.depth, str(self.tokens[0])
        head = pad + (f"{first:{self.width}}" if self.aligned else first)
        row = _spaced(head, self.tokens)
        alternatives: list[list[Token]] = [[self.tokens[0]]]
        for token in self.tokens[1:]:
            if token == "|":
                alternatives.append([token])
            else:
                alternatives[-1].append(token)
        if len(row) <= WIDTH or len(alternatives) == 1:
            return [row]
        bar = " " * (len(head) - 1) + "|"
        return [_spaced(head, alternatives[0]), *(_spaced(bar, each) for each in alternatives[1:])]

    @property
    def first(self) -> Token:
        """The first token or comment in source order."""
        return (self.above or self.tokens)[0]


def _spaced(head: str, tokens: list[Token]) -> str:
    """Join `head` (the laid-out first token) and the remaining tokens, with spaces."""
    row, after = head, TIGHT_AFTER
    if _type(tokens[0]) == "EVIDENCE":  # evidence 2.. clips
        after = after - {".."}
    for before, word in pairwise(map(str, tokens)):
        row += word if word in TIGHT_BEFORE or before in after else " " + word
    return row


@functools.cache
def _lark() -> tuple[Lark, list[Token]]:
    comments: list[Token] = []

    def keep(token: Token) -> Token:
        comments.append(token)
        return token

    grammar = (files("stepc.grammar") / "step.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", lexer_callbacks={"COMMENT": keep}), comments


def _tokens(text: str, file: str) -> tuple[list[Token], list[Token]]:
    """The tokens and the comments. Raises StepcError (S001) if the text does not parse."""
    parser, comments = _lark()
    comments.clear()
    try:
        parser.parse(text)
        comments.clear()
        found = list(parser.parse_interactive(text).exhaust_lexer())
    except UnexpectedInput as error:
        raise StepcError(syntax_error(error, file, text.split("\n"))) from None
    return found, list(comments)


def _type(token: Token) -> str:
    return token.type.lstrip("_")


def _begins(token: Token, lines: list[_Line]) -> bool:
    """Whether a token begins a line. A declaration after `override` does not."""
    if token == "}":
        return True
    after = [_type(t) for t in lines[-1].tokens] if lines else []
    return _type(token) in BEGINS and after != ["OVERRIDE"]


def format_spec(text: str, file: str = "<spec>") -> str:
    """`text` in canonical layout. Raises StepcError (S001) if it does not parse.

    Levels are indented by two spaces, words are separated by one, and clauses are aligned. There is
    one empty line between blocks and at most one elsewhere. A comment stays above or after its
    clause; a comment inside a clause moves above it.
    """
    tokens, comments = _tokens(text, file)
    lines: list[_Line] = []
    depth = 0
    for token in tokens:
        depth -= token == "}"
        if _begins(token, lines):
            lines.append(_Line(depth, [token]))
        else:
            lines[-1].tokens.append(token)
        depth += token == "{"
    _widths(lines)
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


def _widths(lines: list[_Line]) -> None:
    """Set the width of first words, per block, to that of the longest."""
    blocks: list[list[_Line]] = [[]]
    for line in lines:
        if line.tokens[0] == "}" and len(blocks) > 1:
            block = blocks.pop()
            width = max([7, *(len(each.tokens[0]) for each in block)])
            for each in block:
                each.width = width
        elif line.aligned and len(blocks) > 1:
            blocks[-1].append(line)
        if line.tokens[-1] == "{":
            blocks.append([])


def _placed(lines: list[_Line], comments: list[Token]) -> list[Token]:
    """Attach each comment to a line. Returns the comments after the last line."""
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
    """Whether an empty row separates `last` and `token`."""
    if last == "{" or token == "}":
        return False
    between_blocks = first and line.depth == 0 and line.tokens[-1] == "{"
    return between_blocks or (token.line or 0) - (last.end_line or 0) > 1


def _aligned(rows: list[tuple[str, str]]) -> Iterator[str]:
    """Rows with their comments; the comments of adjacent rows are aligned."""
    for told, group in groupby(rows, key=lambda row: bool(row[1])):
        part = list(group)
        width = max(len(row) for row, _ in part)
        yield from (f"{row:{width}}  {comment}" if told else row for row, comment in part)
