"""An error-tolerant outline of a `.step` text, for editor features while the user types."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from stepc.lang.parse import BLOCKS
from stepc.lang.schema import FIND_LINES, PAIR_LINES, TIME_LINES, WHENS

_TOKEN = re.compile(
    r'(?P<comment>#[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*"?)|(?P<word>[A-Za-z][\w-]*)|(?P<mark>[{}()]|->)'
)
_HOLE = re.compile(r"\{([a-z][a-z0-9-]*)")
STARTERS = {
    "": ("spec", *BLOCKS, "override"),
    "paths": (
        "count",
        "steps",
        "start",
        "expand",
        "form",
        "options",
        "during",
        "before",
        "after",
        "span",
        "scene",
        "showing",
        "moment",
        "require",
        "only",
        "forbid",
        "no-revisit",
        "unique",
        "ambiguous",
        "enumerate",
        "seed",
        "tries",
        "deny",
        "margin",
        "evidence",
    ),
    "edge": ("find", "time"),
    "find": FIND_LINES,
    "path": ("ask",),
    "pattern": (
        "count",
        "during",
        "span",
        "scene",
        "showing",
        "moment",
        "require",
        "seed",
        "deny",
        "margin",
        "evidence",
        "where",
        "then",
        "find",
        "either",
        "exists",
        "ask",
        "total",
    ),
    "time": (*WHENS, *TIME_LINES),
    "pair": PAIR_LINES,
    "dataset": ("steps", "answers", "most", "sets", "formats"),
}
"""Kind of block → the words that begin a clause or block in it ("" is the top level)."""


@dataclass(frozen=True)
class Span:
    """A piece of the text, `[start, end)` in characters."""

    start: int
    end: int
    text: str


@dataclass
class OutlineBlock:
    """A block: the words of its head, the range between its braces, its strings and inner blocks."""

    head: list[Span]
    start: int
    end: int
    strings: list[Span] = field(default_factory=list)
    blocks: list[OutlineBlock] = field(default_factory=list)

    @property
    def words(self) -> list[Span]:
        """The words of the head without `override`."""
        return self.head[1:] if self.head and self.head[0].text == "override" else self.head

    @property
    def kind(self) -> str:
        """`paths`, `edge`, `find`, `time` …; "" for the whole text."""
        return self.words[0].text if self.words else ""

    @property
    def ends(self) -> list[Span]:
        """The names of the two ends of an edge, or of the nodes of a path, as written in the head."""
        if self.kind == "edge":
            return self.words[2:4]
        return self.words[1::2] if self.kind == "path" else []


@dataclass
class Here:
    """The context of a position in the text."""

    blocks: list[OutlineBlock]
    """The enclosing blocks, from the whole text to the innermost."""
    clause: list[Span]
    """The words of the clause before the position."""
    string: Span | None
    """The enclosing string, or None."""

    @property
    def edge(self) -> OutlineBlock | None:
        """The enclosing `edge` or `path` block, or None."""
        return next((b for b in self.blocks if b.kind in ("edge", "path")), None)


def outline(text: str) -> OutlineBlock:
    """The whole text as a block, with all blocks in it."""
    return _scan(text, len(text))[0]


def here(text: str, at: int) -> Here:
    """The context of the character offset `at`."""
    _, clause, string = _scan(text, at)
    blocks = [outline(text)]
    while True:
        inner = next((b for b in blocks[-1].blocks if b.start < at <= b.end), None)
        if inner is None:
            return Here(blocks, clause, string)
        blocks.append(inner)


def _scan(text: str, at: int) -> tuple[OutlineBlock, list[Span], Span | None]:
    """The blocks up to `at`, the words of the clause there, and the enclosing string or None."""
    whole = OutlineBlock([], 0, len(text))
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
            names = ("spec", "find", "edge", "import", "let", "phrase", "paths", "path", "pattern")
            named = clause and (
                (clause[-1].text in names and len(clause) in (1, 2))
                or clause[-1].text in ("override", "from", "only", "forbid")
            )
            if (new and not named and not _open_head(clause, text, span)) or not clause:
                clause = []
            clause.append(span)
        elif span.text == "{":
            block = OutlineBlock(clause, span.start, len(text))
            stack[-1].blocks.append(block)
            stack.append(block)
            clause = []
        elif span.text == "}":
            if len(stack) > 1:
                stack.pop().end = span.start
            clause = []
    return whole, clause, None


def _open_head(clause: list[Span], text: str, span: Span) -> bool:
    """Whether `span` is in an unfinished head: of a path, or the parentheses of an edge."""
    heads = [w.text for w in clause[:2]]
    if "path" in heads:
        return True
    if "edge" not in heads:
        return False
    between = text[clause[0].start : span.start]
    return "(" in between and ")" not in between


def holes(string: Span) -> list[Span]:
    """The names of the placeholders in a string."""
    return [
        Span(string.start + m.start(1), string.start + m.end(1), m[1])
        for m in _HOLE.finditer(string.text)
    ]


_FACT = re.compile(
    r"([a-z][a-z0-9-]*)\s+(attr|rel|motion)\b\s*(?:\(\s*([a-z][a-z0-9-]*)\s*\)|\"[^\"\n]*\")?\s*=>\s*"
    r"([a-z][a-z0-9-]*)?"
)


def variables(text: str) -> list[str]:
    """The variables of the facts in the text of a `pattern` block."""
    found = (name for m in _FACT.finditer(text) for name in (m[1], m[3], m[4]) if name)
    return list(dict.fromkeys(found))


def uses(edge: OutlineBlock, name: str) -> list[Span]:
    """All uses of an end's name in its block: in the head, in `find` and in placeholders."""
    found = [end for end in edge.ends if end.text == name]
    found += [b.words[1] for b in edge.blocks if len(b.words) > 1 and b.words[1].text == name]
    found += [hole for s in edge.strings for hole in holes(s) if hole.text == name]
    return sorted(found, key=lambda s: s.start)


@dataclass
class NameUse:
    """A name declared by `let`, `phrase` or `paths`, and its uses."""

    kind: str
    declared: Span
    uses: list[Span] = field(default_factory=list)


def names(text: str) -> dict[str, NameUse]:
    """The names declared at the top level, with all uses. The declaration counts as a use."""
    made: dict[str, NameUse] = {}
    words: list[tuple[str, Span]] = []
    strings: list[Span] = []
    before, depth = "", 0
    for m in _TOKEN.finditer(text):
        if m["string"]:
            strings.append(Span(m.start(), m.end(), m[0]))
        elif m["word"]:
            span = Span(m.start(), m.end(), m[0])
            if before in ("let", "phrase", "paths") and depth == 0:
                made.setdefault(span.text, NameUse(before, span))
            words.append((before, span))
        elif m["mark"] in ("{", "}"):
            depth += 1 if m["mark"] == "{" else -1
        before = m["word"] or "" if not m["comment"] else before
    for before, span in words:
        name = made.get(span.text)
        if name is None:
            continue
        fits = {
            "paths": before in ("paths", "from"),
            "phrase": before == "phrase",
            "let": before not in ("phrase", "paths", "from", "edge", "find", "spec", "import"),
        }[name.kind]
        if fits:
            name.uses.append(span)
    for string in strings:
        for hole in holes(string):
            if hole.text in made and made[hole.text].kind != "paths":
                made[hole.text].uses.append(hole)
    return made
