"""Finds all places of a graph that the facts of a `pattern` block fit."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from itertools import islice

from stepc.edges import EDGES
from stepc.forms import FORMS
from stepc.ir import types as t
from stepc.ir.spans import Bounds
from stepc.ir.words import plain
from stepc.lang.conditions import Occasion
from stepc.lang.types import Block, PatternFact, Spec
from stepc.sampling.edge_table import EdgeTable
from stepc.sampling.graph_facts import GraphFact, GraphFacts, Thing
from stepc.sampling.query_builder import QueryBuilder

MOST = 50_000
"""Maximum number of places that are looked at; of a larger graph, a random part is."""
LOOKED = 500_000
"""Maximum number of facts that are tried at places of a pattern."""


@dataclass(frozen=True)
class Fit:
    """Objects, values and words that the facts of a pattern fit."""

    bound: Mapping[str, Thing]
    """Variable → thing"""
    words: Mapping[str, str]
    """Variable of a predicate, kind or value → word"""
    steps: tuple[t.Step, ...]
    """The facts of the graph that show or refute the facts of the pattern, in their order."""
    frames: frozenset[str] = frozenset()
    """The keyframes of the current moment."""
    when: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Variable → the keyframes of its first fact, and of the facts of the same moment before it."""
    moment: int = 0
    before: Bounds | None = None
    told: Set[tuple[object, ...]] = frozenset()
    """The facts of the graph that it uses: (moment, near end, edge kind, word, far end)."""
    unsure: bool = False
    """Whether its moments may come in another order, as far as exact times are known."""
    own: bool = True
    """Whether each of them is stated in the direction in which the pattern has it."""
    unused: frozenset[str] = frozenset()
    """The variables that occur only in facts that need not hold."""
    aside: bool = False
    """Whether the question also names what only another clip shows."""


def _same_words(fact: PatternFact, known: GraphFact) -> tuple[object, ...]:
    """What two facts have in common that say the same of different objects."""
    return fact.edge, plain(known.word), known.far


class PatternMatcher:
    """Finds the places of one graph that the facts of a pattern fit."""

    def __init__(self, table: EdgeTable, spec: Spec, block: Block) -> None:
        assert block.pattern is not None
        self.spec = spec
        self.table, self.block, self.pattern = table, block, block.pattern
        self.graph = QueryBuilder(table.unit, spec.language)
        self.counts: Counter[str] = Counter()
        self.looked = 0
        """How many facts were tried so far."""
        told = [kind for kind in EDGES if spec.worded("denies", kind, "=>")]
        self.facts = GraphFacts(table.unit, self.graph, block.confidence, told)

    # --- places --------------------------------------------------------------------------

    def places(self, rng: random.Random) -> list[Fit]:
        """The places that all facts fit, in random order; at most `MOST`."""
        self.looked = 0
        made = [*islice(self._fitted(Fit({}, {}, ()), 0, rng), MOST)]
        if len(made) == MOST or self.looked > LOOKED:
            self.counts["patterns looked at in part"] += 1
        return made

    def _fitted(self, place: Fit, number: int, rng: random.Random) -> Iterator[Fit]:
        clauses = self.pattern.clauses
        if number == len(clauses):
            timed = self._timed(place)
            if timed is not None and self.holds(timed):
                yield timed
            return
        clause = clauses[number]
        if clause[0].moment > place.moment:
            timed = self._timed(place)
            if timed is None:
                return
            times = self._times(timed)
            place = replace(timed, frames=frozenset(), moment=clause[0].moment, before=times)
        for fact in clause if len(clause) == 1 else rng.sample(clause, len(clause)):
            facts = self._about(fact, place)
            self.looked += len(facts)
            if self.looked > LOOKED:
                return
            others = [f for f in clause if f is not fact]
            for known in rng.sample(facts, len(facts)):
                more = self._joined(place, fact, known)
                if more is not None:
                    for whole in self._with_others(more, others, {_same_words(fact, known)}):
                        yield from self._fitted(whole, number + 1, rng)

    def _with_others(
        self, place: Fit, others: list[PatternFact], told: Set[tuple[object, ...]]
    ) -> Iterator[Fit]:
        """A place with what the question says of facts that need not hold in it, none of them in `told`."""
        if not others:
            yield place
            return
        fact, *rest = others
        clip = t.clip_of(next(iter(place.frames)))
        known = self.facts.known[False][fact.edge]
        if sum(share for _, share in self.block.time) >= 1:  # every question is about one clip
            known = self.facts.by_clip.get((False, fact.edge, clip), [])
        self.looked += len(known)
        if self.looked > LOOKED:
            return
        seen: set[tuple[object, ...]] = set()
        for like in sorted(known, key=lambda x: t.clip_of(x.step.near) != clip):
            made = self._saying(place, fact, like)
            words_ = _same_words(fact, like)
            key = (*words_, made and made.bound.get(fact.near))
            if made is not None and words_ not in told and key not in seen:
                seen.add(key)
                aside = place.aside or t.clip_of(like.step.near) != clip
                yield from self._with_others(replace(made, aside=aside), rest, {*told, words_})

    def _saying(self, place: Fit, fact: PatternFact, like: GraphFact) -> Fit | None:
        """A place whose question says of a fact what a known one says; None if that does not fit."""
        bound, words = {**place.bound}, {**place.words}
        if not self.fits(fact, like):
            return None
        if fact.link and plain(words.setdefault(fact.link, like.word)) != plain(like.word):
            return None
        for name, thing in ((fact.near, like.near), (fact.far, like.far)):
            if name in bound and (name == fact.far and bound[name] != thing):
                return None
            if name:
                bound.setdefault(name, thing)
        if fact.edge != "rel" and fact.far:
            words.setdefault(fact.far, like.value)
        unused = place.unused | (bound.keys() - place.bound.keys())
        return replace(place, bound=bound, words=words, unused=unused)

    def _about(self, fact: PatternFact, place: Fit) -> list[GraphFact]:
        """The facts of the graph that have what is bound already."""
        for end, name in (("near", fact.near), ("far", fact.far)):
            if name in place.bound:
                return self.facts.by_end.get((fact.negated, fact.edge, end, place.bound[name]), [])
        if place.frames:  # one moment is in one clip
            clip = t.clip_of(next(iter(place.frames)))
            return self.facts.by_clip.get((fact.negated, fact.edge, clip), [])
        if fact.value is not None:
            return self.facts.by_end.get((fact.negated, fact.edge, "far", plain(fact.value)), [])
        return self.facts.known[fact.negated][fact.edge]

    def _joined(self, place: Fit, fact: PatternFact, known: GraphFact) -> Fit | None:
        """A place with one more fact; None if it does not fit."""
        bound, words, when = {**place.bound}, {**place.words}, {**place.when}
        frames = known.frames & place.frames if place.frames else known.frames
        if not frames or not self.fits(fact, known):
            return None
        if fact.link and plain(words.setdefault(fact.link, known.word)) != plain(known.word):
            return None
        for name, thing in ((fact.near, known.near), (fact.far, known.far)):
            if not name:
                continue
            if name in bound and bound[name] != thing:
                return None
            used = (y for x, y in bound.items() if x != name and x not in place.unused)
            new = isinstance(thing, int) and (name not in bound or name in place.unused)
            if new and any(isinstance(x, int) and self._same(x, thing) for x in used):
                return None
            bound[name] = thing
            when.setdefault(name, frames)
        if fact.edge != "rel" and fact.far:
            words.setdefault(fact.far, known.value)
        told = fact.moment, known.near, fact.edge, plain(known.word), known.far
        if told in place.told and not fact.negated:
            return None  # one fact is not two
        if fact.negated and known.step in place.steps:
            return None  # what a fact of the question excludes is no fact of its own
        return replace(
            place,
            bound=bound,
            words=words,
            steps=(*place.steps, known.step),
            frames=frames,
            when=when,
            unused=place.unused - {fact.near, fact.far},
            told={*place.told, told},
            own=place.own and known.own,
        )

    @staticmethod
    def fits(fact: PatternFact, known: GraphFact) -> bool:
        """Whether a fact of the graph has the words that one of the pattern fixes."""
        word = fact.edge == "motion" or fact.word is None or plain(fact.word) == plain(known.word)
        return word and (fact.value is None or plain(fact.value) == known.far)

    def _same(self, one: Thing, other: Thing) -> bool:
        return bool(self.table.identity[one] == self.table.identity[other])  # type: ignore[index]

    def _times(self, place: Fit) -> Bounds:
        """What is known of the time of the current moment."""
        return self._around(place.frames)

    def _around(self, frames: frozenset[str]) -> Bounds:
        at = sorted(self.graph.at[f] for f in frames)
        return self.graph.around(t.clip_of(next(iter(frames))), (at[0], at[-1]))

    def _timed(self, place: Fit) -> Fit | None:
        """A place whose moment is over; None if it is not later than the one before."""
        one, other, margin = place.before, self._times(place), self.block.apart
        before = FORMS["which-first"].beats
        if one is None or before([one.widened(margin)], [other.widened(margin)]):
            return place
        out = one == other or before([other], [one])
        return None if out else replace(place, unsure=True)

    def holds(self, place: Fit) -> bool:
        """Whether the conditions of the head hold of what a place binds."""
        for name, condition in self.pattern.conditions:
            thing = place.bound.get(name)
            if isinstance(thing, int):
                at = Occasion(self.graph.described(self.object_of(thing)), None, "")
            else:
                fact = next((f for f in self.pattern.facts if name in f.variables()), None)
                if fact is None:  # it is in a fact that is left out
                    continue
                kind = fact.word if fact.word is not None else place.words.get(fact.link, "")
                at = Occasion(None, None, place.words.get(name, ""), kind or "")
            if not condition.holds(at):
                return False
        return True

    def object_of(self, entity: int) -> str:
        return self.graph.node_of[entity]
