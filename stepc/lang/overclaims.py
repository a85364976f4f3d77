"""Finds wordings that say more than their question asks: a proof covers the query, not these words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lark import Token

from stepc.edges import EDGES
from stepc.forms import FORMS
from stepc.lang.symbols import Declared, Part, tokens, trees
from stepc.languages import Language

SAYS: Mapping[str, str] = {
    "negates": "negate",
    "compares": "compare",
    "counts": "count",
    "dates": "look at times",
}
"""What a wording may say (`Language.says`) → what its query would have to do."""
LONGEST, DEEPEST = 10_000, 20
"""Maximum characters of a phrase that are looked at, and how deep phrases within phrases are."""
_HOLE = re.compile(r"\{\s*([a-z][a-z0-9-]*)[^{}]*\}")


def overclaims(made: Declared, language: Language) -> Iterator[tuple[Part, Token, str, str, str]]:
    """Yield (declaration, string, what it says, the word, the form) for each wording that says too much.

    A spec silences a kind with `allow KIND`.
    """
    phrases: dict[str, str] = {}
    for part, line, extra in _lines(made):
        form = FORMS.get(line)
        asked = (
            (form.says if form else frozenset())
            | extra
            | made.allowed.get(part.source.file, {}).keys()
        )
        for each in (w for tree in trees(part.tree, "wordings") for w in trees(tree, "wording")):
            token = next(c for c in each.children if isinstance(c, Token))
            text = _whole(part.source.string(token), made, phrases)
            for kind, pattern in language.says.items():
                if kind not in asked and (found := pattern.search(text)):
                    yield part, token, kind, found[0], line


def _lines(made: Declared) -> Iterator[tuple[Part, str, frozenset[str]]]:
    """All lines with wordings: (declaration, line or form, what may be said there)."""
    every = frozenset(SAYS)
    for edge in made.edges.values():
        for end, table in edge.lines.items():
            for line, part in table.items():
                if line and end == "time":
                    yield part, line, every - {"negates"}
                if not line or end == "time":
                    continue
                says = frozenset(EDGES[edge.kind].says)
                if any(line in form.total_lines for form in FORMS.values()):
                    says = every
                elif line == "denies":
                    says |= {"negates"}
                elif line == "because":  # such as "First, …"
                    says |= {"dates", "compares"}
                yield part, line, says
    for hops, part in made.paths.items():
        says = frozenset(x for kind, _ in hops if kind in EDGES for x in EDGES[kind].says)
        for tree in (x for lines in trees(part.tree, "lines") for x in trees(lines, "line")):
            if str(tokens(tree)[0]) == "ask":
                yield Part(part.source, tree, part.names), "ask", says
    for part in made.patterns.values():
        says = frozenset(["compares", "dates"])
        facts = (f for clause in trees(part.tree, "where") for f in trees(clause, "fact"))
        says |= {"negates"} if any(tokens(f, "NOT") for f in facts) else set()
        says |= {"counts"} if trees(part.tree, "number") else set()
        for tree in trees(part.tree, "line"):
            yield Part(part.source, tree), str(tokens(tree)[0]), says
    for line, part in made.time.items():
        yield part, line, frozenset(["dates"])
    for line, part in made.pair.items():
        yield part, line, frozenset(["dates", "compares"])


def _whole(text: str, made: Declared, phrases: dict[str, str], depth: int = 0) -> str:
    """A wording with its phrases in it, and without placeholders. `phrases` caches their texts."""

    def put(hole: re.Match[str]) -> str:
        name = hole[1]
        if name not in phrases and name in made.phrases and depth < DEEPEST:
            phrases[name] = " "  # until its text is known, for a phrase that contains itself
            phrases[name] = " | ".join(strings(made.phrases[name]))[:LONGEST]
        return phrases.get(name, " ")

    def strings(part: Part) -> Iterator[str]:
        for tree in trees(part.tree, "wordings"):
            for each in trees(tree, "wording"):
                token = next(c for c in each.children if isinstance(c, Token))
                yield _whole(part.source.string(token), made, phrases, depth + 1)

    return _HOLE.sub(put, text)
