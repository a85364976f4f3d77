"""The wordings of a spec as patterns, by which texts are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from stepc.edges import EDGES, Edge
from stepc.forms import FORMS, Form
from stepc.ir.elements import Way
from stepc.lang.types import EdgeRule, PathRule, Phrase, Placeholder, Spec, Wording
from stepc.lang.types import Pattern as SpecPattern
from stepc.languages import Language

Sort = Literal["object", "word", "one of", "number", "box", "question", "fact", "all", "either"]


class Hole(NamedTuple):
    """A place of a pattern that is read: an object, a word of the graph, a number …"""

    sort: Sort
    name: str
    """What the text found there is bound to. Empty: nothing is."""
    words: str = ""
    """For `word`: whose words it takes: an edge kind, or `kind` for attribute kinds."""
    filters: tuple[str, ...] = ()
    forms: tuple[str, ...] = ()
    """For `one of`: the texts that fit."""


class Either(NamedTuple):
    """A phrase: one of several sequences."""

    options: tuple[Nodes, ...]


Nodes = tuple["str | Hole | Either", ...]
_WAY: dict[str, Way] = {"far": "=>", "near": "<=", "edge": "--"}


class WordingPattern(NamedTuple):
    """A wording of an edge, with its meaning."""

    nodes: Nodes
    edge: Edge
    way: Way
    rule: EdgeRule
    form: Form | None = None
    """The form of a question; None for a description or sentence."""
    denies: bool = False
    """Whether it says that this is not so."""


class FactsPattern(NamedTuple):
    """A wording of a `pattern` block: a question about several facts."""

    nodes: Nodes
    pattern: SpecPattern


class PathPattern(NamedTuple):
    """A wording of a whole path."""

    nodes: Nodes
    rule: PathRule


@dataclass
class Patterns:
    """The patterns of a spec, by what they are read as."""

    questions: list[WordingPattern] = field(default_factory=list)
    names: list[WordingPattern] = field(default_factory=list)
    """Descriptions of objects."""
    sentences: list[WordingPattern] = field(default_factory=list)
    facts: list[WordingPattern] = field(default_factory=list)
    """Clauses that a comparison compares."""
    totals: list[Nodes] = field(default_factory=list)
    paths: list[PathPattern] = field(default_factory=list)
    facts_asked: list[FactsPattern] = field(default_factory=list)
    """Questions about several facts."""
    times: list[tuple[str, Nodes]] = field(default_factory=list)
    """(kind of time range, pattern)"""
    pairs: list[tuple[Form, Nodes]] = field(default_factory=list)


def patterns(*specs: Spec) -> Patterns:
    """The patterns of one or several specs. Equal patterns are kept once."""
    made = Patterns()
    for spec in specs:
        for rule in spec.edges:
            _edge(rule, spec.language, made)
        for path in spec.paths:
            made.paths += [
                PathPattern(_nodes(w.parts, _PathHole(path, spec.language)), path) for w in path.ask
            ]
        for asked in (b.pattern for b in spec.blocks if b.pattern is not None):
            hole = _FactsHole(asked, spec.language)
            made.facts_asked += [FactsPattern(_nodes(w.parts, hole), asked) for w in asked.ask]
            total = _TotalHole(spec.language)
            made.totals += [_nodes(w.parts, total) for w in asked.total]
        time = _TimeHole(spec.language)
        for when, wordings in spec.time.lines:
            made.times += [(when, _nodes(w.parts, time)) for w in wordings]
        for name, wordings in spec.pair.lines:
            form = FORMS[name]
            made.pairs += [
                (form, _nodes(w.parts, _PairHole(form, spec.language))) for w in wordings
            ]
    return made


def _edge(rule: EdgeRule, language: Language, made: Patterns) -> None:
    edge = EDGES[rule.kind]
    hole = _EdgeHole(edge, language)
    forms = {f.line or f.name: f for f in [*FORMS.values()][::-1] if not f.compares}

    def add(
        to: list[WordingPattern],
        wordings: Sequence[Wording],
        way: Way,
        form: Form | None,
        denies: bool = False,
    ) -> None:
        for wording in wordings:
            nodes = _nodes(wording.parts, hole)
            pattern = WordingPattern(nodes, edge, way, rule, form, denies)
            if pattern not in to:
                to.append(pattern)

    for find in rule.finds:
        for line, wordings in find.lines:
            way = _WAY[find.end]
            if line == "name":
                add(made.names, wordings, way, None)
            elif line in ("because", "denies"):
                says = way if "=>" not in edge.directions else "=>"
                add(made.sentences, wordings, says, None, line == "denies")
            elif any(line in form.total_lines for form in FORMS.values()):
                made.totals += [_nodes(w.parts, hole) for w in wordings]
            else:
                add(made.questions, wordings, way, forms[line])
    for line, wordings in rule.time.lines:
        if line == "fact":
            add(made.facts, wordings, "--", None)
        elif line == "because":
            add(made.sentences, wordings, "--", None)
        else:
            add(made.questions, wordings, "--", forms[line])


# --- placeholders ------------------------------------------------------------------------


class _HoleOf:
    """Makes the hole of a placeholder."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, at: Placeholder) -> Hole:
        for name, forms in self.language.agreement.items():
            if name in at.filters:
                return Hole("one of", "", forms=forms)
        if at.field in self.language.parts:
            return Hole("one of", "", "", at.filters, self.language.parts[at.field])
        return self.end(at)

    def end(self, at: Placeholder) -> Hole:
        """The hole of a placeholder that is no verb and no part of an object."""
        raise NotImplementedError


class _EdgeHole(_HoleOf):
    def __init__(self, edge: Edge, language: Language) -> None:
        super().__init__(language)
        self.edge = edge

    def end(self, at: Placeholder) -> Hole:
        edge = self.edge
        if at.field == "kind":
            return Hole("word", "kind", "kind", at.filters)
        if at.field == "time":
            return Hole("number", "time")
        if at.field == "box":
            return Hole("box", f"{at.name}.box")
        if at.field == "event":
            return Hole("word", f"{at.name}.event", "event", at.filters)
        if at.name in ("start", "end", "length", "n"):
            return Hole("number", at.name)
        if at.name == "all":
            return Hole("all", "all", edge.vocabulary or edge.name)
        if at.name in edge.values:
            return Hole("word", at.name, edge.vocabulary or edge.name, at.filters)
        if at.name in ("near", "far"):
            return Hole("object", at.name, "", at.filters)
        return Hole("word", "word", edge.name, at.filters)


class _PathHole(_HoleOf):
    def __init__(self, rule: PathRule, language: Language) -> None:
        super().__init__(language)
        self.rule = rule

    def end(self, at: Placeholder) -> Hole:
        number = int(at.name)
        kind, way = self.rule.hops[max(0, number - 1)]
        if at.field:
            words = {"kind": "kind", "event": "event"}.get(at.field, kind)
            return Hole("word", f"{at.name}.{at.field}", words, at.filters)
        known = "far" if way == "<=" else "near"
        if number == 0 and known in EDGES[kind].values:
            return Hole("word", "0", EDGES[kind].vocabulary or kind, at.filters)
        return Hole("object", at.name, "", at.filters)


class _FactsHole(_HoleOf):
    def __init__(self, pattern: SpecPattern, language: Language) -> None:
        super().__init__(language)
        self.pattern = pattern

    def end(self, at: Placeholder) -> Hole:
        if at.name == "either":
            target = self.pattern.target
            is_object = self.pattern.is_object(target)
            return Hole("either", "", "" if is_object else self.pattern.ends[target].edge)
        if at.field == "kind":
            return Hole("word", f"{at.name}.kind", "kind", at.filters)
        if at.name not in self.pattern.ends:
            fact = next(f for f in self.pattern.facts if f.link == at.name)
            words = "kind" if fact.edge == "attr" else fact.edge
            return Hole("word", at.name, words, at.filters)
        if self.pattern.is_object(at.name):
            return Hole("object", at.name, "", at.filters)
        return Hole("word", at.name, self.pattern.ends[at.name].edge, at.filters)


class _PairHole(_HoleOf):
    def __init__(self, form: Form, language: Language) -> None:
        super().__init__(language)
        self.form = form

    def end(self, at: Placeholder) -> Hole:
        if at.name == "kind":
            return Hole("word", "kind", "kind", at.filters)
        sort: Sort = "fact" if self.form.time_compared else "object"
        return Hole(sort, at.name, "", at.filters)


class _TimeHole(_HoleOf):
    def end(self, at: Placeholder) -> Hole:
        if at.name == "question":
            return Hole("question", "question")
        if at.name == "event":
            return Hole("word", "event", "event", at.filters)
        if at.name == "ordinal":
            return Hole("one of", "ordinal", "", at.filters, self.language.ordinals)
        if at.name == "object":
            return Hole("object", "object", "", at.filters)
        return Hole("number", at.name)


class _TotalHole(_HoleOf):
    def end(self, at: Placeholder) -> Hole:
        return Hole("number", at.name)


def _nodes(parts: Sequence[str | Placeholder | Phrase], hole: _HoleOf) -> Nodes:
    def each() -> Iterator[str | Hole | Either]:
        for part in parts:
            if isinstance(part, str):
                yield _spaced(part)
            elif isinstance(part, Placeholder):
                yield hole(part)
            else:
                yield Either(tuple(_nodes(o.parts, hole) for o in part.options))

    made = [*each()]
    if made and isinstance(made[0], str):
        made[0] = made[0].lstrip()
    if made and isinstance(made[-1], str):
        made[-1] = made[-1].rstrip()
    return tuple(node for node in made if node != "")


def _spaced(text: str) -> str:
    """A piece of text in lower case, with single spaces."""
    inner = " ".join(text.lower().split())
    if not inner:
        return " " if text else ""
    return " " * text[0].isspace() + inner + " " * text[-1].isspace()
