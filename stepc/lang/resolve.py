"""Reads a spec: joins imports, resolves names, and checks everything against the IR schema."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

from lark import Token

from stepc.diagnostics import Place, StepcError, did_you_mean
from stepc.edges import EDGES
from stepc.forms import FORMS
from stepc.lang.blocks import Blocks, bad_way
from stepc.lang.check import check_whole
from stepc.lang.parse import SpecSource
from stepc.lang.schema import ALL_LINES, FORMATS, KINDS, SETS
from stepc.lang.symbols import Declared, EdgeParts, Node, Part, collect, take_lines, tokens, trees
from stepc.lang.text_templates import Allowed, Wordings
from stepc.lang.types import DatasetBlock, EdgeRule, Find, Lines, PathRule, Spec
from stepc.lang.values import Values


def read_spec(text: str, file: str = "<spec>", folder: Path | None = None) -> Spec:
    """Parse, resolve and check a spec. Raises StepcError with all errors found (codes S…).

    Files named by `import` are read from `folder`. Without a folder they are an error (S401).
    """
    source = SpecSource(file, text, folder)
    made = Declared()
    tree = collect(source, made, ())
    whole = not source.found
    reader = _Reader(source, made)
    spec = reader.spec(tree, whole)
    found = {(d.code, d.place): d for d in source.found}
    if found:
        order = sorted(found.values(), key=lambda d: _order(d.place, file))
        raise StepcError(*order)
    return spec


def _order(place: Place | None, file: str) -> tuple[bool, str, int, int]:
    assert place is not None
    return place.file != file, place.file, place.line, place.column


class _Reader:
    """Builds a spec from declarations."""

    def __init__(self, source: SpecSource, made: Declared) -> None:
        self.source, self.made = source, made
        self.values = Values(made)
        self.words = Wordings(self.values)
        self.blocks = Blocks(self.values)

    def spec(self, tree: Node, whole: bool) -> Spec:
        """Build the spec. Checks of the spec as a whole run only if `whole` (no errors so far)."""
        made = self.made
        name, title = tree.children[0], tree.children[1]
        assert isinstance(name, Token)
        edges = tuple(self.edge(kind, edge) for kind, edge in made.edges.items())
        paths = tuple(self.path(hops, part) for hops, part in made.paths.items())
        time = self.words.lines(made.time, self.words.time_holes)
        pair = self.words.lines(made.pair, self.words.pair_holes)
        blocks = [
            self.blocks.block(key, edges)
            for key, parts in made.blocks.items()
            if not any(trees(p.tree, "params") for p in parts)
        ]
        spec = Spec.model_construct(
            name=str(name),
            title=self.source.string(title) if isinstance(title, Token) else "",
            blocks=tuple(made.block for made in blocks),
            edges=edges,
            paths=tuple(p for p in paths if p is not None),
            time=time,
            pair=pair,
            dataset=self.dataset(),
            phrased=bool(made.phrases),
            digest=hashlib.sha256(
                b"\0".join(made.texts[n].encode() for n in sorted(made.texts))
            ).hexdigest(),
        )
        if whole:
            check_whole(spec, blocks, name, self.source, self.values)
        return spec

    def edge(self, kind: str, edge: EdgeParts) -> EdgeRule:
        """The rule of one edge kind; reports missing lines."""
        finds: list[Find] = []
        time = Lines()
        for end, table in edge.lines.items():
            head = table[""]
            if end == "time":
                time = self.words.lines(table, partial(self.words.time_words, kind))
                for word in ("when", "because"):
                    self.needs(head, table, word, "time")
                continue
            made = self.words.lines(table, partial(self.words.find_words, kind, end))
            finds.append(Find.model_validate({"end": end, "lines": made.lines}))
            shown = f"find {tokens(head.tree)[0]}"
            for word in ("ask", "because"):
                self.needs(head, table, word, shown)
            for form in FORMS.values():
                for word in sorted(form.total_lines) if form.name in table else ():
                    self.needs(head, table, word, shown)
                for word in form.answer_lines & table.keys():
                    if not self.words.says(kind, dict(made.lines)[word], end):
                        part = table[word]
                        message = (
                            f"`{word}` does not mention `{tokens(head.tree)[0]}`, which it claims"
                        )
                        help = "such as: Is {o} {v}?"
                        part.source.say("S319", message, tokens(part.tree)[0], help)
        return EdgeRule.model_validate({"kind": kind, "finds": tuple(finds), "time": time})

    def needs(self, head: Part, table: dict[str, Part], word: str, shown: str) -> None:
        if word not in table:
            names = [t for t in tokens(head.tree) if t.type == "NAME"]
            at = head.source.place(names[0]) if names else head.source.place(head.tree, length=4)
            message = f"`{shown}` has no `{word}`"
            head.source.say("S314", message, at, f'add a line: {word} "…"')

    def path(self, hops: tuple[tuple[str, str], ...], part: Part) -> PathRule | None:
        """The rule of a whole path, or None if it has errors."""
        source = part.source
        head = [t for t in tokens(part.tree) if t.type == "NAME"]
        rows = [tuple(tokens(h)) for h in trees(part.tree, "hop")]
        names = [str(head[0]), *(str(r[2]) for r in rows)]
        table: dict[str, Part] = {}
        take_lines(part, trees(part.tree, "lines")[0], table, ("ask",), "path", ALL_LINES)
        for kind, way, _ in rows:
            if str(kind) not in KINDS:
                help = did_you_mean(str(kind), KINDS)
                source.say("S101", f"unknown edge kind `{kind}`", kind, help)
                return None
            if str(way) not in EDGES[str(kind)].directions:
                bad_way(source, kind, way)
                return None
        if len(set(names)) < len(names):
            again = next(t for t in (r[2] for r in rows) if names.count(str(t)) > 1)
            source.say("S102", f"two nodes of the path are named `{again}`", again, "rename one")
            return None
        ends = [self.found_end(str(k), str(w)) for k, w, _ in rows]
        for (kind, _way, token), end in zip(rows[:-1], ends[:-1], strict=True):
            if end in EDGES[str(kind)].values or end == "edge":
                message = f"the path continues from `{token}`, which is a value"
                source.say("S320", message, token, "only objects lead to further edges")
                return None
        allowed: Allowed = {(names[0], ""): "0"}
        first = rows[0]
        known = "far" if str(first[1]) == "<=" else "near"
        if known in EDGES[str(first[0])].values:
            for p in EDGES[str(first[0])].parts.get(known, ()):
                allowed[names[0], p] = "0"
        for i, ((kind, way, token), end) in enumerate(zip(rows, ends, strict=True), 1):
            allowed[str(token), ""] = f"!S311 `ask` reveals `{token}`, an answer of the path"
            edge = EDGES[str(kind)]
            for p in edge.parts.get(end, ()):
                allowed[str(token), p] = str(i)
            if edge.edge_placeholder and str(way) != "--":
                allowed[str(token), edge.edge_placeholder] = str(i)
        if "ask" not in table:
            source.say("S314", "`path` has no `ask`", head[0], 'add a line: ask "…"')
            return None
        ask = self.words.wordings(part, trees(table["ask"].tree, "wordings")[0], allowed)
        return PathRule.model_validate({"hops": hops, "ask": ask})

    @staticmethod
    def found_end(kind: str, way: str) -> str:
        """The part of an edge that a direction finds: `far`, `near` or `edge`."""
        return {"=>": "far", "<=": "near", "--": "edge"}[way]

    def dataset(self) -> DatasetBlock:
        fields: dict[str, Any] = {}
        for word, part in self.made.dataset.items():
            source, tree = part.source, part.tree
            if word == "steps":
                fields["steps"] = self.values.steps(tree, {}, source)
            elif word == "answers":
                fields["answers"] = self.values.ratio(trees(tree, "ratio")[0], {}, source)
            elif word == "most":
                fields["most"] = self.values.num(trees(tree, "num")[0], {}, source)
            elif word == "sets":
                fields["sets"] = self.values.shares(tree, {}, source, SETS, "S501", "set")
            else:
                for token in tokens(tree):
                    if str(token) not in FORMATS:
                        help = did_you_mean(str(token), FORMATS)
                        source.say("S502", f"unknown output format `{token}`", token, help)
                fields["formats"] = tuple(str(t) for t in tokens(tree))
        return DatasetBlock.model_construct(**{**DatasetBlock().__dict__, **fields})
