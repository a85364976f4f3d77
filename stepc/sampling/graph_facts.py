"""The facts of a graph that patterns are matched with: stated ones, and those known to be false."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from stepc.ir import types as t
from stepc.ir.words import excluded_by, inverse, plain
from stepc.sampling.query_builder import QueryBuilder

Thing = int | str
"""The number of an entity, or the normalised form of a value."""


class GraphFact(NamedTuple):
    """A fact that the graph states, or one that it denies or that a stated fact excludes."""

    near: int
    far: Thing
    word: str
    """The predicate, or the kind of the attribute."""
    value: str
    frames: frozenset[str]
    step: t.Step
    """The stated or denied fact that shows it."""
    own: bool = True
    """Whether it is stated in this direction, not as its inverse."""


class OpenFact(NamedTuple):
    """A fact that the graph neither states nor refutes."""

    edge: str
    near: int
    far: int | None
    """The other entity of a relation."""
    word: str
    """The predicate, motion or value."""
    kind: str = ""
    """The kind of an attribute."""


class GraphFacts:
    """The facts of one graph whose confidence is at least `confidence`, by their ends.

    `denials` are the edge kinds whose denied facts can be told.
    """

    def __init__(
        self, unit: t.Stsg, graph: QueryBuilder, confidence: float, denials: Container[str] = ()
    ) -> None:
        self.unit, self.entity, self.confidence = unit, graph.entity, confidence
        self.denials = denials
        self.known: dict[bool, dict[str, list[GraphFact]]] = {
            negated: defaultdict(list) for negated in (False, True)
        }
        """Whether false → edge kind → facts"""
        self._index()
        self.by_end: dict[tuple[bool, str, str, Thing], list[GraphFact]] = defaultdict(list)
        """(whether false, edge kind, `near` or `far`, thing) → facts"""
        self.by_clip: dict[tuple[bool, str, str], list[GraphFact]] = defaultdict(list)
        """(whether false, edge kind, clip) → facts"""
        for negated, kinds in self.known.items():
            for kind, facts in kinds.items():
                for fact in facts:
                    self.by_end[negated, kind, "near", fact.near].append(fact)
                    self.by_end[negated, kind, "far", fact.far].append(fact)
                    clip = t.clip_of(fact.step.near)
                    self.by_clip[negated, kind, clip].append(fact)

    def _index(self) -> None:
        """List the facts of the graph; equal ones, such as the color of an object at two times, are one."""
        unit = self.unit
        said = {plain(e.predicate) for e in unit.relations}
        said |= {plain(e.motion) for e in unit.motions} | {plain(e.value) for e in unit.attributes}
        made: dict[tuple[object, ...], GraphFact] = {}

        def add(negated: bool, fact: GraphFact) -> None:
            edge = fact.step.edge
            key = negated, edge, fact.near, plain(fact.word), fact.far
            old = made.get(key)
            made[key] = fact if old is None else old._replace(
                frames=old.frames | fact.frames, own=old.own or fact.own,
                step=fact.step if fact.own and not old.own else old.step,
            )  # fmt: skip

        stated = (*unit.attributes, *unit.relations, *unit.motions)
        for fact in self._facts(e for e in stated if e.trust.confidence >= self.confidence):
            add(False, fact)
            if fact.step.edge != "rel":
                for other in excluded_by(fact.value, fact.word):
                    if other in said:
                        add(True, fact._replace(far=other, value=other))
                continue
            readings = [fact]
            if (back := inverse(fact.word)) is not None and isinstance(fact.far, int):
                readings.append(fact._replace(near=fact.far, far=fact.near, word=back, own=False))
                add(False, readings[-1])
            for each in readings:
                for other in excluded_by(each.word):
                    if other in said:
                        add(True, each._replace(word=other))
        for fact in self._facts(unit.denied):
            if fact.step.edge in self.denials:
                denied = fact.step.model_copy(update={"denied": True})
                add(True, fact._replace(step=denied))
                if (back := inverse(fact.word)) is not None and isinstance(fact.far, int):
                    turned = fact._replace(near=fact.far, far=fact.near, word=back, own=False)
                    add(True, turned._replace(step=denied))
        for (negated, edge, *_), fact in made.items():
            when = self.seen[fact.near]
            if isinstance(fact.far, int):
                when = when & self.seen[fact.far]
            if not negated or when <= fact.frames:  # what is not so must be so at no time
                self.known[bool(negated)][str(edge)].append(fact)

    def _facts(self, elements: Iterable[t.Element]) -> Iterator[GraphFact]:
        unit, entity = self.unit, self.entity
        keyframes = unit.keyframes.values()
        for e in elements:
            match e:
                case t.Attribute():
                    step = t.Step(edge="attr", near=e.owner, far=e.id, word=e.value, way="=>")
                    far: Thing = plain(e.value)
                    yield GraphFact(
                        entity[e.owner], far, e.kind, e.value, frozenset(e.frames), step
                    )
                case t.Relation():
                    step = t.Step(
                        edge="rel", near=e.subject, far=e.object, word=e.predicate, way="=>"
                    )
                    near, far = entity[e.subject], entity[e.object]
                    yield GraphFact(near, far, e.predicate, "", frozenset(e.frames), step)
                case t.Motion():
                    step = t.Step(
                        edge="motion", near=e.source, far=e.target, word=e.motion, way="=>"
                    )
                    clip = t.clip_of(e.source)
                    held = frozenset(
                        k.id
                        for k in keyframes
                        if t.clip_of(k.id) == clip and e.start <= k.at <= e.end
                    )
                    yield GraphFact(entity[e.source], plain(e.motion), "", e.motion, held, step)

    def may_be(self, fact: OpenFact) -> bool:
        """Whether a fact is stated at no time, of things that are seen together."""
        when = self.seen[fact.near]
        if fact.far is not None:
            when = when & self.seen[fact.far]
        return bool(when) and not any(True for _ in self.stated(fact))

    def stated(self, fact: OpenFact) -> Iterator[GraphFact]:
        """What the graph states that says the same."""
        word = plain({"attr": fact.kind, "rel": fact.word}.get(fact.edge, ""))
        far: Thing = fact.far if fact.far is not None else plain(fact.word)
        for known in self.by_end.get((False, fact.edge, "near", fact.near), ()):
            if known.far == far and plain(known.word) == word:
                yield known

    @cached_property
    def seen(self) -> dict[int, frozenset[str]]:
        """Entity → the keyframes that show it."""
        made: dict[int, set[str]] = {}
        for o in self.unit.objects:
            made.setdefault(self.entity[o.id], set()).update(o.frames)
        return {entity: frozenset(frames) for entity, frames in made.items()}
