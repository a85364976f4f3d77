"""Which false claims a graph refutes: what it denies, and what a stated fact excludes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from stepc.ir import types as t
from stepc.ir.lexicon import Lexicon
from stepc.ir.words import excluded_by, excludes, inverse, normal, plain
from stepc.sampling.graph_facts import OpenFact
from stepc.sampling.query_builder import QueryBuilder

About = tuple[Any, ...]
"""What a fact is about: (`attr`, entity, kind), (`motion`, entity), or (`rel`, subject, object)."""
Facts = list[tuple[str, frozenset[str]]]
"""Words, each with the keyframes or time ranges in which it holds or is denied."""


class Refutation:
    """The false facts of one graph. Words are compared in their normalised form."""

    def __init__(self, unit: t.Stsg, graph: QueryBuilder) -> None:
        self.graph = graph
        self.lexicon = Lexicon(unit.lexicon, normal, plain)
        self.seen: dict[int, set[str]] = defaultdict(set)
        self.labelled: dict[tuple[str, str], dict[int, None]] = defaultdict(dict)
        """(clip, label) → entities"""
        self.label: dict[int, str] = {}
        for o in unit.objects:
            entity = graph.entity[o.id]
            self.seen[entity] |= {*o.frames}
            self.label[entity] = o.label
            self.labelled[t.clip_of(o.id), normal(o.label)][entity] = None
        self.at = {k.id: k.at for k in unit.keyframes.values()}
        self.stated: dict[About, Facts] = defaultdict(list)
        self.denied_of: dict[About, Facts] = defaultdict(list)
        """What a fact is about → words"""
        for e in (*unit.attributes, *unit.relations, *unit.motions, *unit.denied):
            table = self.denied_of if e.trust.verdict == "no" else self.stated
            for about, word, when in self._said(e):
                table[about].append((word, frozenset(when)))

    def _said(self, e: t.Element) -> Iterator[tuple[About, str, Iterable[str]]]:
        entity = self.graph.entity
        match e:
            case t.Attribute():
                yield ("attr", entity[e.owner], e.kind), plain(e.value), e.frames
            case t.Motion():
                n = entity[e.source]
                pairs = [
                    p for p in self._pairs(n) if e.start <= self.at[p[0]] and self.at[p[1]] <= e.end
                ]
                yield ("motion", n), plain(e.motion), map("-".join, pairs)
            case t.Relation():
                one, two = entity[e.subject], entity[e.object]
                yield ("rel", one, two), plain(e.predicate), e.frames
                if back := inverse(e.predicate):
                    yield ("rel", two, one), back, e.frames

    def _pairs(self, entity: int) -> list[tuple[str, str]]:
        """The keyframes in which an entity is seen, each with the next one."""
        return [*pairwise(sorted(self.seen[entity], key=lambda f: self.at[f]))]

    def denied_words(self, step: t.Step) -> list[str]:
        """What the graph denies in place of the value that a step finds."""
        return [word for word, _ in self.denied_of.get(self._about(step), ())]

    def excluded_words(self, step: t.Step) -> list[str]:
        """Words that the value found by a step excludes."""
        told = self.lexicon.excluded(step.edge, step.word)
        return [*excluded_by(step.word, self._kind(step)), *sorted(told)]

    def labels(self, step: t.Step) -> Iterator[str]:
        """Labels of the clip that may be false in place of the object that a step finds."""
        clip = t.clip_of(step.near)
        for (where, _), there in self.labelled.items():
            if where == clip:
                yield self.label[next(iter(there))]

    def refuted(self, step: t.Step, word: str) -> bool:
        """Whether a step certainly does not find a word, whenever its known end is seen."""
        if self.graph.finds_value(step):
            return self._not(self._about(step), word, self._kind(step))
        if step.edge not in ("attr", "motion", "rel"):
            return False
        there = self.labelled.get((t.clip_of(step.near), normal(word)), {})
        return bool(there) and all(
            self._not(self._about(step, other), step.word, self._kind(step)) for other in there
        )

    def refuted_relation(self, step: t.Step, word: str) -> bool:
        """Whether the ends of a relation certainly do not stand in another one, whenever both are seen."""
        one, two = self.graph.entity[step.near], self.graph.entity[step.far]
        return self._not(("rel", one, two), word, "")

    def refuted_order(self, step: t.Step) -> bool:
        """Whether the second end of a relation certainly does not stand in it to the first one."""
        one, two = self.graph.entity[step.near], self.graph.entity[step.far]
        return self._not(("rel", two, one), step.word, "")

    def denied(self, step: t.Step, word: str) -> bool:
        """Whether the graph denies that a step finds a word, of every object that the word names."""
        if self.graph.finds_value(step):
            return plain(word) in self.denied_words(step)
        there = self.labelled.get((t.clip_of(step.near), normal(word)), {})
        said = ([w for w, _ in self.denied_of.get(self._about(step, x), ())] for x in there)
        return bool(there) and all(plain(step.word) in words for words in said)

    def excludes(self, step: t.Step, word: str) -> bool:
        """Whether the value that a step finds excludes another one, so that its sentence refutes it."""
        lexical = self.lexicon.excludes(step.edge, step.word, word)
        return self.graph.finds_value(step) and (
            lexical or excludes(step.word, word, self._kind(step))
        )

    def open(self, step: t.Step, word: str) -> tuple[OpenFact, ...]:
        """The facts that would have to be false for a step not to find a word; none if some are stated."""
        kind = self._kind(step)
        if step.edge not in ("attr", "motion", "rel"):
            return ()
        if self.graph.finds_value(step):
            abouts = [self._about(step)]
        else:
            there = self.labelled.get((t.clip_of(step.near), normal(word)), {})
            abouts, word = [self._about(step, other) for other in there], step.word
        made = []
        for about in abouts:
            if self._not(about, word, kind):
                continue
            if plain(word) in (said for said, _ in self.stated.get(about, ())):
                return ()
            _, near, *rest = about
            far = rest[0] if step.edge == "rel" else None
            if near == far:
                return ()
            made.append(OpenFact(step.edge, near, far, word, kind))
        return tuple(made)

    def _kind(self, step: t.Step) -> str:
        return self.graph.kinds[step.far] if step.edge == "attr" else ""

    def _about(self, step: t.Step, other: int | None = None) -> About:
        """What the fact of a step is about, with `other` in place of the object that it finds."""
        near = self.graph.entity.get(step.near, -1)
        if step.edge == "rel":
            far = self.graph.entity[step.far]
            if other is not None:
                near, far = (near, other) if step.way == "=>" else (other, far)
            return "rel", near, far
        near = near if other is None else other
        return ("attr", near, self._kind(step)) if step.edge == "attr" else (step.edge, near)

    def _not(self, about: About, word: str, kind: str) -> bool:
        match about:
            case "rel", int(one), int(two):
                when = self.seen[one] & self.seen[two]
            case "motion", int(one):
                when = {*map("-".join, self._pairs(one))}
            case "attr", int(one), _:
                when = {*self.seen[one]}
            case _:
                return False
        free: set[str] = set()
        for said, there in self.denied_of.get(about, ()):
            free |= there if said == plain(word) else frozenset()
        for said, there in self.stated.get(about, ()):
            if excludes(said, word, kind) or self.lexicon.excludes(about[0], said, word):
                free |= there
        return bool(when) and when <= free
