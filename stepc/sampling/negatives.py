"""What a pattern asks that is not so, and what the model may be asked about for it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

from stepc.ir import types as t
from stepc.ir.words import plain
from stepc.sampling.graph_facts import OpenFact, Thing

if TYPE_CHECKING:
    from stepc.lang.types import PatternFact
    from stepc.sampling.matcher import Fit
    from stepc.sampling.patterns import PatternSampler

MANY = 20
"""Maximum number of facts that show that there is none."""


class Refuted(NamedTuple):
    """What shows that a pattern fits no objects."""

    steps: tuple[t.Step, ...]
    """The facts of the graph that show it."""
    open: tuple[OpenFact, ...]
    """What is not known, and would have to be false."""


class PatternNegatives:
    """Finds places of a pattern that its facts certainly do not fit."""

    def __init__(self, sampler: PatternSampler) -> None:
        self.sampler, self.pattern = sampler, sampler.pattern

    def none(self, place: Fit, clip: str | None, rng: random.Random) -> tuple[Fit, Refuted] | None:
        """A place that the facts certainly do not fit, like one that they fit, and what shows it."""
        for other in self._others(place, rng):
            refuted = self._refuted(other, clip)
            if refuted and not refuted.open:
                return other, refuted
        return None

    def _others(self, place: Fit, rng: random.Random) -> list[Fit]:
        """Places with another word of the graph, or another object of the clip, that the question says."""
        said = self.sampler.said_of(place)
        made: list[Fit] = []
        for fact in self.pattern.facts:
            name = fact.link if fact.edge == "rel" else fact.far
            if name in said and not fact.negated:
                words = {
                    x.far if fact.edge != "rel" else plain(x.word): x.value or x.word
                    for x in self.sampler.facts.known[False][fact.edge]
                    if fact.edge != "attr" or self._kind(fact, said) == x.word
                }
                for word in words.values():
                    other = self._with_word(place, name, word)
                    if plain(word) != plain(said[name]) and self.sampler.holds(other):
                        made.append(other)
        clip = t.clip_of(next(iter(place.frames)))
        for name, thing in place.bound.items():
            if name in self.pattern.said and isinstance(thing, int):
                for entity in self._alike(thing, clip):
                    if entity not in place.bound.values():
                        other = replace(place, bound={**place.bound, name: entity})
                        made += [other] if self.sampler.holds(other) else []
        rng.shuffle(made)
        return made

    def _alike(self, thing: int, clip: str) -> list[int]:
        """The other things of a clip that are of the same class: people for a person."""
        return [
            entity
            for entity, object_ in self.sampler.graph.node_of.items()
            if entity != thing
            and t.clip_of(object_) == clip
            and self._class(entity) == self._class(thing)
        ]

    @staticmethod
    def _with_word(place: Fit, name: str, word: str) -> Fit:
        """A place with another word for a variable."""
        bound = {**place.bound, name: plain(word)} if name in place.bound else place.bound
        return replace(place, bound=bound, words={**place.words, name: word})

    def _kind(self, fact: PatternFact, said: Mapping[str, str]) -> str:
        return fact.word if fact.word is not None else said.get(fact.link, "")

    def _refuted(self, place: Fit, clip: str | None) -> Refuted | None:
        """What shows that no objects fit what a place says; None if some fit, or may."""
        pattern, said = self.pattern, self.sampler.said_of(place)
        fixed = {x: e for x, e in place.bound.items() if x in pattern.said and isinstance(e, int)}
        open_ = [x for x in pattern.ends if pattern.is_object(x) and x not in fixed]
        clips = {clip} if clip else {*self.sampler.table.clips}
        things = [
            e
            for e in range(len(self.sampler.table.identity))
            if self.sampler.table.clips[int(self.sampler.table.entity_clip[e])] in clips
        ]
        if len(things) ** len(open_) > 400 or any(f.moment for f in pattern.facts):
            return None
        steps: dict[t.Step, None] = {}
        asked: dict[OpenFact, None] = {}
        if len(pattern.clauses) == len(pattern.facts):
            things = [e for e in things if e not in fixed.values()]
        for choice in permutations(things, len(open_)):
            bound = {**fixed, **dict(zip(open_, choice, strict=True))}
            each = [self._against_all(clause, bound, said) for clause in pattern.clauses]
            shown = next((x for x in each if x is not None and not x.open), None)
            shown = shown or next(filter(None, each), None)
            if shown is None:
                return None
            steps |= dict.fromkeys(shown.steps)
            asked |= dict.fromkeys(shown.open)
        if len(steps) + len(asked) > MANY:
            return None
        return Refuted(tuple(steps), tuple(asked))

    def _against_all(
        self, clause: tuple[PatternFact, ...], bound: Mapping[str, int], said: Mapping[str, str]
    ) -> Refuted | None:
        """What shows that none of the facts of a clause holds; None if one holds."""
        steps, asked = [], []
        for fact in clause:
            made = self._fact(fact, bound, said)
            if made is None:
                return None
            if made.near == made.far:
                continue  # nothing is related to itself
            if (step := self._always(made) if fact.negated else self._against(made)) is not None:
                steps.append(step)
            elif fact.negated or not self.sampler.facts.may_be(made):
                return None
            else:
                asked.append(made)
        return Refuted(tuple(steps), tuple(asked))

    def _fact(
        self, fact: PatternFact, bound: Mapping[str, int], said: Mapping[str, str]
    ) -> OpenFact | None:
        """A fact of the pattern with its ends and words; None if its value is not said."""
        value = fact.value if fact.value is not None else said.get(fact.far)
        if fact.edge == "rel":
            word = self._kind(fact, said)
            return OpenFact("rel", bound[fact.near], bound[fact.far], word)
        if value is None:
            return None
        return OpenFact(fact.edge, bound[fact.near], None, value, self._kind(fact, said))

    def _against(self, fact: OpenFact) -> t.Step | None:
        """The fact that refutes this one whenever its ends are seen; None if there is none."""
        far: Thing = fact.far if fact.far is not None else plain(fact.word)
        word = plain(fact.word if fact.edge == "rel" else fact.kind)
        for known in self.sampler.facts.by_end.get((True, fact.edge, "near", fact.near), ()):
            if known.own and known.far == far and plain(known.word) == word:
                return known.step
        return None

    def _always(self, fact: OpenFact) -> t.Step | None:
        """The stated fact that says this of each keyframe that shows its ends; None if there is none."""
        when = self.sampler.facts.seen[fact.near]
        if fact.far is not None:
            when = when & self.sampler.facts.seen[fact.far]
        for known in self.sampler.facts.stated(fact):
            if known.own and when and when <= known.frames:
                return known.step
        return None

    # --- what the model may be asked -------------------------------------------------------

    def unproved(self, rng: random.Random) -> Iterator[tuple[OpenFact, ...]]:
        """What would answer a question by "no", or be its `not`, if the graph knew it to be false."""
        if self.pattern.may_be_none:
            timed = sum(share for _, share in self.sampler.block.time) > 0
            for place in (p for p in self.sampler.places(rng) if p.own):
                clip = t.clip_of(next(iter(place.frames))) if timed else None
                for other in self._others(place, rng):
                    refuted = self._refuted(other, clip)
                    if refuted and refuted.open:
                        yield refuted.open
                        break
        negated = [f for f in self.pattern.facts if f.negated]
        if len(negated) == 1:
            yield from self._without(negated[0], rng)

    def _without(self, fact: PatternFact, rng: random.Random) -> Iterator[tuple[OpenFact, ...]]:
        """Facts that one with `not` may say, for the places that the others fit."""
        rest = tuple(f for f in self.pattern.facts if f is not fact)
        part = copy(self.sampler)
        part.pattern = self.pattern.model_copy(update={"facts": rest})
        like = [
            f
            for f in self.sampler.facts.known[False][fact.edge]
            if f.own and self.sampler.fits(fact, f)
        ]
        words = dict.fromkeys((f.value or f.word, f.word if f.value else "") for f in like)
        for place in (p for p in part.places(rng) if p.own):
            near = place.bound.get(fact.near)
            if not isinstance(near, int):  # only the question says it
                continue
            made = [
                OpenFact(fact.edge, near, far, word, kind)
                for word, kind in words
                if fact.link not in place.words or plain(word) == plain(place.words[fact.link])
                for far in self._fars(fact, place)
            ]
            rng.shuffle(made)
            usual = {self._class(f.far) for f in like}
            made.sort(key=lambda f: self._class(f.far) not in usual)
            open_ = (f for f in made if self.sampler.facts.may_be(f) and not self._against(f))
            if (found := next(open_, None)) is not None:
                yield (found,)

    def _class(self, thing: Thing | None) -> str | None:
        """What an object is: a person, an animal …; None for a value."""
        if not isinstance(thing, int):
            return None
        return self.sampler.graph.noun(
            self.sampler.graph.labels[self.sampler.object_of(thing)]
        ).noun

    def _fars(self, fact: PatternFact, place: Fit) -> list[int | None]:
        """What the far end of a fact may be: the object that is bound, or any other of the clip."""
        if fact.edge != "rel":
            return [None]
        if isinstance(far := place.bound.get(fact.far), int):
            return [far]
        clip = t.clip_of(next(iter(place.frames)))
        things = (e for e, o in self.sampler.graph.node_of.items() if t.clip_of(o) == clip)
        return [e for e in things if e not in place.bound.values()]
