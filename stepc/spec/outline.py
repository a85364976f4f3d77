"""What stands where in a `.step` text, however broken: what an editor needs while one types."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r'(?P<comment>#[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*"?)|(?P<word>[A-Za-z][\w-]*)|(?P<mark>[{}()]|->)'
)
_HOLE = re.compile(r"\{([a-z][a-z0-9-]*)")
STARTERS = {
    "": ("spec", "paths", "edge", "during"),
    "paths": (
        "count",
        "steps",
        "start",
        "expand",
        "during",
        "require",
        "only",
        "forbid",
        "unique",
        "ambiguous",
        "tries",
    ),
    "edge": ("find",),
    "find": ("ask", "name", "because"),
    "during": ("before",),
}
"""Words that begin a clause or block, by the block they stand in."""


@dataclass(frozen=True)
class Span:
    """A piece of the text: [start, end) in characters."""

    start: int
    end: int
    text: str


@dataclass
class Block:
    """A block: its head's words, its inside, and the blocks in it."""

    head: list[Span]
    start: int
    end: int
    strings: list[Span] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """`paths`, `edge`, `find`, `during`; empty for the whole text."""
        return self.head[0].text if self.head else ""

    @property
    def ends(self) -> list[Span]:
        """The names of an edge's two ends, where they are declared."""
        return self.head[2:4] if self.kind == "edge" else []


@dataclass
class Here:
    """What stands around a place."""

    blocks: list[Block]
    """From the whole text to the innermost block."""
    clause: list[Span]
    """The words of the clause so far."""
    string: Span | None
    """The string it is in."""

    @property
    def edge(self) -> Block | None:
        """The edge block it is in."""
        return next((b for b in self.blocks if b.kind == "edge"), None)


def outline(text: str) -> Block:
    """The blocks of `text`."""
    return _scan(text, len(text))[0]


def here(text: str, at: int) -> Here:
    """What stands around the character `at`."""
    _, clause, string = _scan(text, at)
    blocks = [outline(text)]
    while True:
        inner = next((b for b in blocks[-1].blocks if b.start < at <= b.end), None)
        if inner is None:
            return Here(blocks, clause, string)
        blocks.append(inner)


def _scan(text: str, at: int) -> tuple[Block, list[Span], Span | None]:
    """The blocks up to `at`, the words of the clause there, and the string it is in."""
    whole = Block([], 0, len(text))
    stack, clause = [whole], list[Span]()
    for m in _TOKEN.finditer(text):
        if m.start() >= at:
            break
        span = Span(m.start(), m.end(), m[0])
        if m["string"]:
            closed = len(span.text) > 1 and span.text.endswith('"')
            if span.start < at < span.end or (at == span.end and not closed):
                return whole, clause, span
            for block in stack:
                block.strings.append(span)
        elif m["word"]:
            new = span.text in STARTERS.get(stack[-1].kind, ())
            named = clause and clause[-1].text in ("spec", "find", "edge") and len(clause) == 1
            if (new and not named and not _open_head(clause, text, span)) or not clause:
                clause = []
            clause.append(span)
        elif span.text == "{":
            block = Block(clause, span.start, len(text))
            stack[-1].blocks.append(block)
            stack.append(block)
            clause = []
        elif span.text == "}":
            if len(stack) > 1:
                stack.pop().end = span.start
            clause = []
    return whole, clause, None


def _open_head(clause: list[Span], text: str, span: Span) -> bool:
    """Whether `span` stands between the parentheses of an edge's head."""
    if not clause or clause[0].text != "edge":
        return False
    between = text[clause[0].start : span.start]
    return "(" in between and ")" not in between


def holes(string: Span) -> list[Span]:
    """The names of the placeholders in a string."""
    return [
        Span(string.start + m.start(1), string.start + m.end(1), m[1])
        for m in _HOLE.finditer(string.text)
    ]


def uses(edge: Block, name: str) -> list[Span]:
    """Everywhere an edge block names one of its ends: head, `find`s and placeholders."""
    found = [end for end in edge.ends if end.text == name]
    found += [b.head[1] for b in edge.blocks if len(b.head) > 1 and b.head[1].text == name]
    found += [hole for s in edge.strings for hole in holes(s) if hole.text == name]
    return sorted(found, key=lambda s: s.start)
