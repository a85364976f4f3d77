"""The resolved and checked spec, the input of `sample` and `compose`."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from stepc.forms import FORMS
from stepc.forms.base import CLEAR, Form, Ranges
from stepc.ir.types import EdgeKind, FormName, Value, Way, When, WordRelation
from stepc.lang.conditions import Condition, Conditions, Occasion, precedence
from stepc.languages import DEFAULT, LANGUAGES, Language
from stepc.languages.base import Filters, NoWording

if TYPE_CHECKING:
    from stepc.ops.base import Op
    from stepc.ops.make import Make

End = Literal["near", "far", "edge"]
"""The part of an edge that a step finds: one of its ends, or the edge itself."""
Source = Literal["graph", "clip", "corpus"]
Revisit = Literal["nodes", "labels", "kinds"]


class Placeholder(Value):
    """A placeholder of a wording, such as `{o}`, `{v.kind}` or `{o|a}`."""

    name: str
    """What it stands for: `near`, `far`, `rel`, `event`, `question`, `a`, `n` …"""
    field: str = ""
    filters: tuple[str, ...] = ()
    """Names of filters of the spec's language, applied from left to right."""


class Phrase(Value):
    """A phrase of the spec at one place of use. One of its wordings is drawn each time."""

    options: tuple[Wording, ...]


class Wording(Value):
    """A text with placeholders."""

    parts: tuple[str | Placeholder | Phrase, ...]
    weight: float = 1.0
    """Relative frequency among the alternatives."""

    def says(self, name: str) -> bool:
        """Whether it has a placeholder, if only in some wording of a phrase."""
        return any(
            part.name == name
            if isinstance(part, Placeholder)
            else isinstance(part, Phrase) and any(w.says(name) for w in part.options)
            for part in self.parts
        )

    def parts_said(self) -> Iterator[tuple[str, str]]:
        """(name, part) of all placeholders, also those in wordings of its phrases."""
        for part in self.parts:
            if isinstance(part, Placeholder):
                yield part.name, part.field
            elif isinstance(part, Phrase):
                for wording in part.options:
                    yield from wording.parts_said()

    def fill(
        self, said: Mapping[tuple[str, str], str], rng: random.Random, filters: Filters
    ) -> str:
        """The text with each placeholder replaced by its value in `said`, keyed by (name, field).

        The wordings of phrases are drawn with `rng`.
        """
        made = ""
        for part in self.parts:
            if isinstance(part, str):
                made += part
            elif isinstance(part, Placeholder):
                text = said[part.name, part.field]
                for name in part.filters:
                    text = filters[name](text)
                made += text
            else:
                made += draw_wording(part.options, rng).fill(said, rng, filters)
        return made


def draw_wording(wordings: Sequence[Wording], rng: random.Random) -> Wording:
    """Draw one of `wordings` by weight. Raises NoWording if there is none."""
    if not wordings:
        raise NoWording
    if len(wordings) == 1:
        return wordings[0]
    at = rng.random() * sum(w.weight for w in wordings)
    for wording in wordings:
        at -= wording.weight
        if at < 0:
            return wording
    return wordings[-1]


class Lines(Value):
    """The wordings of a block, by the first word of their line."""

    lines: tuple[tuple[str, tuple[Wording, ...]], ...] = ()

    def line(self, name: str) -> tuple[Wording, ...]:
        """The wordings of a line, empty if there is no such line."""
        return next((w for n, w in self.lines if n == name), ())


class Find(Lines):
    """The wordings of one `find` block: of an edge whose `end` is found."""

    end: End


class EdgeRule(Value):
    """The wordings of one `edge` block."""

    kind: EdgeKind
    conditions: Conditions = ()
    """For which edges and questions they are; all if there is none."""
    finds: tuple[Find, ...] = ()
    time: Lines = Lines()
    """Wordings of its time."""

    def find(self, way: Way) -> Find | None:
        """The wordings for what a step in direction `way` finds, or None if there are none."""
        end = {"=>": "far", "<=": "near", "--": "edge"}[way]
        return next((f for f in self.finds if f.end == end), None)

    def line(self, way: Way, word: str) -> tuple[Wording, ...]:
        """The wordings of a line, or of a form, for what a step in direction `way` finds; empty if none."""
        made = FORMS[word].wordings(self, way) if word in FORMS else ()
        find = self.find(way)
        return made or (find.line(word) if find else ())

    def fits(self, at: Occasion) -> bool:
        """Whether all conditions hold of an occasion."""
        return all(c.holds(at) for c in self.conditions)


class PathRule(Value):
    """The wordings of a whole path. `hops` go from the known node to the answer."""

    hops: tuple[tuple[EdgeKind, Way], ...]
    ask: tuple[Wording, ...]
    """Placeholder `0` is the known node, and `1`, `2` … are what each hop finds."""


class Filter(Value):
    """One `only` or `forbid` clause: a filter of edges or paths."""

    keep: bool
    """True for `only` (matches are kept), False for `forbid` (matches are dropped)."""
    what: Literal[
        "label",
        "predicate",
        "motion",
        "kind",
        "value",
        "event",
        "static",
        "dynamic",
        "clip",
        "time",
        "same-clip",
        "across-clips",
    ]
    words: tuple[str, ...] = ()
    """Words to match, compared as the solver compares words."""
    ranges: tuple[tuple[int, int], ...] = ()
    """For `clip`: clip numbers, both inclusive. For `time`: milliseconds, end exclusive."""


class EdgeChoice(Value):
    """An edge kind and the directions in which it may be taken."""

    kind: EdgeKind
    ways: tuple[Way, ...]
    weight: float = 1.0
    """How often paths start with it, relative to the others; `expand` has no weights."""


class PatternFact(Value):
    """A fact of a pattern. Its ends and what joins them are variables, or fixed words."""

    edge: Literal["attr", "rel", "motion"]
    near: str
    """The variable of the object."""
    far: str = ""
    """The variable of the other object, or of the value; empty if `value` is fixed."""
    value: str | None = None
    link: str = ""
    """The variable of the predicate or of the kind of attribute; empty if `word` is fixed."""
    word: str | None = None
    negated: bool = False
    alternative: bool = False
    """Whether it may hold in place of the fact before it."""
    moment: int = 0
    """Facts of a later moment have a larger number."""

    def variables(self) -> list[str]:
        """Its variables, in the order of its text."""
        return [x for x in (self.near, self.link, self.far) if x]


class Pattern(Value):
    """A question about several facts at once (patterns; the programs of CLEVR and GQA)."""

    facts: tuple[PatternFact, ...]
    result: Literal["find", "count", "exists", "compare"]
    target: str = ""
    """The variable that is found or counted."""
    other: str = ""
    """For `compare`: the variable whose number is compared with that of the target."""
    more: Literal["more", "fewer", "equal", ""] = ""
    """How many there are of the target, compared with the other."""
    offer: bool = False
    """Whether the question offers the answer and something else."""
    pick: Literal["first", "second", "third", "last", ""] = ""
    """Which of several is found; empty if there must be one."""
    otherwise: str = ""
    """The answer if the facts are known not to hold together of any objects; empty: then it is not asked."""
    said: frozenset[str] = frozenset()
    """The variables that the question says."""
    conditions: tuple[tuple[str, Condition], ...] = ()
    """(variable, what it must be)"""
    ask: tuple[Wording, ...] = ()
    total: tuple[Wording, ...] = ()
    """For `count`: the last sentence of the rationale, with `n`."""

    @property
    def may_be_none(self) -> bool:
        """Whether it also asks about what is known not to be so."""
        return self.result == "exists" or bool(self.otherwise)

    @property
    def ends(self) -> dict[str, PatternFact]:
        """Each variable of an object or value → its first fact."""
        made: dict[str, PatternFact] = {}
        for fact in self.facts:
            for end in (fact.near, fact.far):
                if end:
                    made.setdefault(end, fact)
        return made

    @property
    def clauses(self) -> tuple[tuple[PatternFact, ...], ...]:
        """The facts, those that may hold in place of each other together. One of each clause must hold."""
        made: list[tuple[PatternFact, ...]] = []
        for fact in self.facts:
            made.append((*made.pop(), fact) if fact.alternative else (fact,))
        return tuple(made)

    @property
    def place(self) -> int:
        """The place of what is found among all that fits, in the order of time: 0 for `first`."""
        return {"second": 1, "third": 2, "last": -1}.get(self.pick, 0)

    @property
    def parts(self) -> tuple[Pattern, ...]:
        """The two counts that are compared, each with the facts that lead to what it counts; else itself."""
        if self.result != "compare":
            return (self,)
        fields = {"result": "count", "other": "", "more": ""}
        return tuple(
            self.model_copy(update={**fields, "target": x, "facts": self.about(x)})
            for x in (self.target, self.other)
        )

    def about(self, variable: str) -> tuple[PatternFact, ...]:
        """The facts that are joined to a variable, by others than those that the question says."""
        reached, before = {variable}, 0
        while len(reached) > before:
            before = len(reached)
            for fact in self.facts:
                ends = {fact.near, fact.far} - self.said - {""}
                reached |= ends if ends & reached else set()
        return tuple(f for f in self.facts if {f.near, f.far} & reached)

    def is_object(self, variable: str) -> bool:
        """Whether a variable is an object, not a value."""
        fact = self.ends[variable]
        return variable == fact.near or fact.edge == "rel"

    def program(self, held: Mapping[str, str], make: Make, language: Language) -> tuple[Op, ...]:
        """The query without its scope. `held` maps what is said, and all predicates and kinds, to words."""
        if self.result == "compare":
            ops_ = [op for part in self.parts for op in part.program(held, make, language)]
            return (*ops_, make.compared(self.more, language.yes, language.no))
        ends = self.ends
        ops = [
            make.named(self.letter(x), held[x])
            for x in ends
            if x in self.said and self.is_object(x)
        ]
        moment = 0
        for fact in self.facts:
            ops += [make.later] if fact.moment > moment else []
            moment = fact.moment
            word = fact.word if fact.word is not None else held[fact.link]
            value = fact.value
            if fact.edge != "rel" and fact.far in self.said:
                value = held[fact.far]
            far = self.letter(fact.far) if value is None else ""
            keyword = "no" if fact.negated else "or" if fact.alternative else "fact"
            ops.append(make.holds(keyword, self.letter(fact.near), fact.edge, word, far, value))
        if self.result == "exists":
            return (*ops, make.exists)
        ops.append(make.find(self.letter(self.target), self.otherwise))
        if self.result == "count":
            return (*ops, make.count)
        get = make.get("label" if self.is_object(self.target) else "value")
        return (*ops, *([make.pick(self.pick)] if self.pick else []), make.unique, get)

    def letter(self, variable: str) -> str:
        """The name of a variable in queries: `a` for the first one, and so on."""
        return "abcdefghijklmnopqrstuvwxyz"[[*self.ends].index(variable)]


class Block(Value):
    """Which paths are sampled (section 3.2 of the paper)."""

    name: str = "paths"
    count: int = 18
    """Paths per video."""
    steps: tuple[tuple[int, float], ...] = ((1, 1.0), (2, 1.0), (3, 1.0))
    """(number of steps, weight)."""
    start: tuple[EdgeChoice, ...] = ()
    """Edge kinds of the initial connected pair."""
    expand: tuple[EdgeChoice, ...] = ()
    """Edge kinds by which a node is expanded."""
    form: tuple[tuple[FormName, float], ...] = (("ask", 1.0),)
    """(question form, weight)."""
    options: int = 4
    """Number of options of a multiple choice, including the answer."""
    sources: tuple[Source, ...] = ("clip", "graph")
    """Where distractors come from, in order of preference."""
    time: tuple[tuple[When, float], ...] = ()
    """(kind of time range, share of the paths). The rest of the paths have none."""
    unique: bool = True
    """Whether every step must have exactly one answer."""
    enumerate: bool = False
    """Whether paths are drawn uniformly and without repetition from all possible paths."""
    confidence: float = 0.0
    """Minimum confidence, 0 to 1, of each edge on a path and of the objects it joins."""
    filters: tuple[Filter, ...] = ()
    """What paths may use. Uniqueness of answers is still checked on the whole graph."""
    no_revisit: tuple[Revisit, ...] = ()
    """What a path must not visit twice, besides a node."""
    seed: int = 0
    """Added to the seed of the run."""
    tries: int = 60
    """Maximum number of draws for one path."""
    clear: float = CLEAR
    """Minimum difference of two durations that are compared, as a share of the longer one."""
    evidence: tuple[tuple[Literal["clips", "keyframes"], int], ...] = ()
    """(of what, how many at least) the facts of a path must be seen in."""
    apart: int = 0
    """How far times that are compared may be off, in milliseconds, without changing the answer."""
    deny: int = 0
    """How many questions per video the pass `deny` may make answerable by "no": it asks the model whether
    what they say is not so."""
    pattern: Pattern | None = None
    """What is asked, if this is a `pattern` block. It has no start, expand, steps, form or filters."""

    def beats(self, form: Form, one: Ranges, other: Ranges) -> bool:
        """Whether the first of two answers wins by the margin of the block, whatever the exact times are."""
        if self.apart:
            one = [b.widened(self.apart) for b in one]
            other = [b.widened(self.apart) for b in other]
        return form.beats(one, other, self.clear)


class DatasetBlock(Value):
    """Requirements on the dataset, passed as options to the link passes. None changes nothing."""

    steps: tuple[tuple[int, float], ...] = ()
    """Target distribution: (number of steps, share)."""
    answers: float | None = None
    """Maximum share of one answer among questions of the same kind."""
    most: int | None = None
    """Maximum number of samples per video."""
    sets: tuple[tuple[str, float], ...] = ()
    """(`train`, `val` or `test`, share of the videos)."""
    formats: tuple[str, ...] = ()
    """Output formats."""


class Spec(Value):
    """A complete spec."""

    name: str
    title: str = ""
    use: str = DEFAULT
    """The name of its language."""
    blocks: tuple[Block, ...]
    edges: tuple[EdgeRule, ...]
    paths: tuple[PathRule, ...] = ()
    time: Lines = Lines()
    """Wordings that add a time range to a question."""
    pair: Lines = Lines()
    """Wordings that compare two edges."""
    dataset: DatasetBlock = DatasetBlock()
    vocabulary: tuple[WordRelation, ...] = ()
    """What words of videos mean beside each other."""
    digest: str = ""
    """SHA-256 (hex) of all files of the spec."""
    phrased: bool = False
    """Whether the spec has phrases, so that a wording varies from use to use."""

    @property
    def language(self) -> Language:
        """The language in which it is written."""
        return LANGUAGES[self.use]

    def wording(self) -> Any:
        """JSON of everything that the words of samples depend on."""
        return self.model_dump(
            mode="json", exclude={"name", "title", "dataset", "digest", "vocabulary"}
        )

    def literals(self) -> Iterator[str]:
        """The text of all wordings without their placeholders."""

        def parts(wordings: Sequence[Wording]) -> Iterator[str]:
            for part in (p for w in wordings for p in w.parts):
                if isinstance(part, str):
                    yield part
                elif isinstance(part, Phrase):
                    yield from parts(part.options)

        lines = [*self.time.lines, *self.pair.lines]
        for edge in self.edges:
            lines += [*edge.time.lines, *(line for find in edge.finds for line in find.lines)]
        patterns = [b.pattern for b in self.blocks if b.pattern is not None]
        lines += [("", told) for p in patterns for told in (p.ask, p.total)]
        for wordings in (*(told for _, told in lines), *(path.ask for path in self.paths)):
            yield from parts(wordings)

    def drawing(self) -> Any:
        """JSON of everything that sampled paths depend on: not the words, but which lines exist."""

        def lines(of: Lines) -> list[str]:
            return sorted(name for name, told in of.lines if told)

        edges = [
            [e.kind, [c.model_dump(mode="json") for c in e.conditions], lines(e.time),
             [[f.end, lines(f)] for f in e.finds]]
            for e in self.edges
        ]  # fmt: skip
        words = {"pattern": {"ask", "total"}}
        return [[b.model_dump(mode="json", exclude=words) for b in self.blocks], edges, self.use]

    def rules(self, kind: str) -> tuple[EdgeRule, ...]:
        """The rules of an edge kind, narrower ones first."""
        return self.ordered_rules.get(kind, ())

    @cached_property
    def ordered_rules(self) -> dict[str, tuple[EdgeRule, ...]]:
        """Edge kind → its rules, narrower ones first."""
        made: dict[str, tuple[EdgeRule, ...]] = {}
        for kind in dict.fromkeys(e.kind for e in self.edges):
            mine = [e for e in self.edges if e.kind == kind]
            every = [e.conditions for e in mine]
            made[kind] = tuple(sorted(mine, key=lambda e: precedence(e.conditions, every)))
        return made

    def block(self, name: str) -> Block:
        """The sampling block called `name`, or a default block if there is none (paths of older files)."""
        return next((b for b in self.blocks if b.name == name), Block())

    def worded(self, word: str, kind: str, way: Way) -> bool:
        """Whether a line or form has wordings for an edge kind and direction, if only for some edges."""
        return any(e.line(way, word) for e in self.edges if e.kind == kind)


Phrase.model_rebuild()
