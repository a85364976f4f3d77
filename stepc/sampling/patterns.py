"""Draws the questions of a `pattern` block: finds all places of a graph that its facts fit."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice, permutations

import numpy as np

from stepc.forms import FORMS
from stepc.ir import types as t
from stepc.ir.spans import Bounds
from stepc.ir.words import mentions, plain
from stepc.lang.conditions import Occasion
from stepc.lang.types import Block, PatternFact, Spec
from stepc.sampling.edge_table import EdgeTable
from stepc.sampling.graph_facts import GraphFact, GraphFacts, Thing
from stepc.sampling.path_rules import PathRules
from stepc.sampling.paths import KeysSeen
from stepc.sampling.plan import shares
from stepc.sampling.query_builder import WHOLE, QueryBuilder

MOST = 50_000
"""Maximum number of places that are looked at; of a larger graph, a random part is."""
LOOKED = 500_000
"""Maximum number of facts that are tried at places of a pattern."""
MANY = 20
"""Maximum number of things that are counted, or of facts that show that there is none."""


@dataclass(frozen=True)
class Fit:
    """Objects, values and words that the facts of a pattern fit."""

    bound: Mapping[str, Thing]
    """Variable → thing"""
    words: Mapping[str, str]
    """Variable of a predicate, kind or value → word"""
    steps: tuple[t.Step, ...]
    """The stated facts that show or exclude the facts of the pattern, in their order."""
    frames: frozenset[str] = frozenset()
    """The keyframes of the current moment."""
    moment: int = 0
    before: Bounds | None = None
    told: Set[tuple[object, ...]] = frozenset()
    """The facts of the graph that it uses: (moment, near end, edge kind, word, far end)."""
    own: bool = True
    """Whether each of them is stated in the direction in which the pattern has it."""


@dataclass
class SameQuestion:
    """All places with the same question."""

    said: dict[str, str]
    """Variable → what the question says of it"""
    places: list[Fit] = field(default_factory=list)


class PatternSampler:
    """Draws the questions of one pattern on one graph."""

    def __init__(self, table: EdgeTable, spec: Spec, block: Block) -> None:
        assert block.pattern is not None
        self.spec = spec
        self.table, self.block, self.pattern = table, block, block.pattern
        self.graph = QueryBuilder(table.unit)
        self.counts: Counter[str] = Counter()
        self.looked = 0
        """How many facts were tried so far."""
        self.facts = GraphFacts(table.unit, self.graph, block.confidence)

    # --- places --------------------------------------------------------------------------

    def places(self, rng: random.Random) -> list[Fit]:
        """The places that all facts fit, in random order; at most `MOST`."""
        self.looked = 0
        made = [*islice(self._fitted(Fit({}, {}, ()), 0, rng), MOST)]
        if len(made) == MOST or self.looked > LOOKED:
            self.counts["patterns looked at in part"] += 1
        return made

    def _fitted(self, place: Fit, number: int, rng: random.Random) -> Iterator[Fit]:
        if number == len(self.pattern.facts):
            if self._times(place) and self._conditions(place):
                yield place
            return
        fact = self.pattern.facts[number]
        if fact.moment > place.moment:
            times = self._times(place)
            if times is None:
                return
            place = replace(place, frames=frozenset(), moment=fact.moment, before=times)
        facts = self._about(fact, place)
        self.looked += len(facts)
        if self.looked > LOOKED:
            return
        for known in rng.sample(facts, len(facts)):
            more = self._joined(place, fact, known)
            if more is not None:
                yield from self._fitted(more, number + 1, rng)

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
        bound, words = {**place.bound}, {**place.words}
        frames = known.frames & place.frames if place.frames else known.frames
        if not frames or (fact.value is not None and known.far != plain(fact.value)):
            return None
        if (
            fact.word is not None
            and fact.edge != "motion"
            and plain(known.word) != plain(fact.word)
        ):
            return None
        if fact.link and plain(words.setdefault(fact.link, known.word)) != plain(known.word):
            return None
        for name, thing in ((fact.near, known.near), (fact.far, known.far)):
            if not name:
                continue
            if name in bound and bound[name] != thing:
                return None
            alike = (x for x in bound.values() if isinstance(x, int) and isinstance(thing, int))
            if name not in bound and any(self._same(x, thing) for x in alike):
                return None
            bound[name] = thing
        if fact.edge != "rel" and fact.far:
            words.setdefault(fact.far, known.value)
        told = fact.moment, known.near, fact.edge, plain(known.word), known.far
        if told in place.told and not fact.negated:
            return None  # one fact is not two
        if fact.negated and known.step in place.steps:
            return None  # what a fact of the question excludes is no fact of its own
        steps = (*place.steps, known.step)
        own = place.own and known.own
        return Fit(
            bound, words, steps, frames, place.moment, place.before, {*place.told, told}, own
        )

    def _same(self, one: Thing, other: Thing) -> bool:
        return bool(self.table.identity[one] == self.table.identity[other])  # type: ignore[index]

    def _times(self, place: Fit) -> Bounds | None:
        """What is known of the time of the current moment; None if it may not be after the one before."""
        at = sorted(self.graph.at[f] for f in place.frames)
        clip = t.clip_of(next(iter(place.frames)))
        times = self.graph.around(clip, (at[0], at[-1]))
        before = place.before
        if before and not (before.begins[1] <= times.begins[0] and before.ends[1] <= times.ends[0]):
            return None
        return times

    def _conditions(self, place: Fit) -> bool:
        for name, condition in self.pattern.conditions:
            thing = place.bound.get(name)
            if isinstance(thing, int):
                at = Occasion(self.graph.described(self._object(thing)), None, "")
            else:
                fact = next(f for f in self.pattern.facts if name in f.variables())
                kind = fact.word if fact.word is not None else place.words.get(fact.link, "")
                at = Occasion(None, None, place.words.get(name, ""), kind or "")
            if not condition.holds(at):
                return False
        return True

    def _object(self, entity: int) -> str:
        return self.graph.node_of[entity]

    # --- questions -----------------------------------------------------------------------

    def groups(self, places: list[Fit], timed: bool) -> dict[tuple[object, ...], SameQuestion]:
        """The places by question: what it says, and the clip if it is `timed`."""
        made: dict[tuple[object, ...], SameQuestion] = {}
        for place in places:
            said = self._said(place)
            clip = t.clip_of(next(iter(place.frames))) if timed else ""
            key = (clip, *(plain(said[x]) for x in sorted(said)))
            made.setdefault(key, SameQuestion(said)).places.append(place)
        return made

    def _said(self, place: Fit) -> dict[str, str]:
        """Variable → label, value or word: what the question names, and all kinds and predicates."""
        links = {f.link for f in self.pattern.facts if f.link}
        made: dict[str, str] = {}
        for name, thing in place.bound.items():
            if isinstance(thing, int):
                made |= (
                    {name: self.graph.labels[self._object(thing)]}
                    if name in self.pattern.said
                    else {}
                )
            elif name in self.pattern.said:
                made[name] = place.words[name]
        return made | {name: word for name, word in place.words.items() if name in links}

    def drawn(self, rng: random.Random, known: KeysSeen) -> Iterator[t.Path]:
        """Draw questions at random, without those in `known`."""
        places = self.places(rng)
        self.counts["places of a pattern"] += len(places)
        times = [*self.block.time, (None, max(0.0, 1 - sum(x for _, x in self.block.time)))]
        todo = Counter(shares(times, self.block.count, rng))
        if len(self.table.clips) == 1:  # the time of the only clip narrows nothing
            todo = Counter({None: sum(todo.values())})
        for when, wanted in todo.items():
            made = 0
            groups = self.groups(places, when is not None)
            for key in rng.sample([*groups], len(groups)):
                if made == wanted:
                    break
                path, why = self.path(key, groups[key], when, rng)
                name = (self.block.name, when, key[0], *sorted(map(str, key[1:])))
                if not why and name in known:
                    why = "the same question"
                if why or path is None:
                    self.counts[f"drawn anew: {why}"] += 1
                    continue
                known.add(name)
                made += 1
                yield path
            self.counts[f"given up: {self.block.name}"] += wanted - made

    def census(self) -> Iterator[tuple[t.Path, object, str]]:
        """All questions of the pattern, as (path, key, reason for rejection or "")."""
        rng = random.Random(0)
        places = self.places(rng)
        whens: list[t.When | None] = [when for when, share in self.block.time if share > 0]
        if sum(share for _, share in self.block.time) < 1:
            whens.append(None)
        for when in whens if len(self.table.clips) > 1 else [None]:
            for key, group in self.groups(places, when is not None).items():
                path, why = self.path(key, group, when, rng)
                if path is not None:
                    yield path, (when, key), why

    def path(
        self, key: tuple[object, ...], group: SameQuestion, when: t.When | None, rng: random.Random
    ) -> tuple[t.Path | None, str]:
        """The path of a question, and why it is rejected, or ""."""
        clip = str(key[0]) or None
        if when == "during" and clip not in self._timing:
            return None, "nothing gives it a time"
        pattern, said, places = self.pattern, group.said, group.places
        told = [p for p in places if p.own]
        if not told:
            return None, "only its inverse is stated"
        found = {self._name(p.bound[pattern.target]) for p in places} if pattern.target else set()
        why = ""
        if pattern.pick:
            best = self._picked(places)
            if best is None:
                return None, "no one of several is it"
            told = [p for p in told if self._name(p.bound[pattern.target]) == best]
            if not told:
                return None, "only its inverse is stated"
        elif pattern.result == "find" and len(found) > 1:
            why = "more than one answer"
        elif pattern.result == "count" and len(found) > MANY:
            why = "too many to tell"
        place = rng.choice(told)
        steps, shown = place.steps, [place]
        if pattern.result == "count":
            each = {self._name(p.bound[pattern.target]): p for p in told}
            if len(each) < len(found):
                return None, "only its inverse is stated"
            shown = [*each.values()]
            steps = tuple(s for p in shown for s in p.steps)
        elif pattern.result == "exists" and rng.random() < 0.5:
            none = self._none(place, clip, rng)
            if none is None:
                return None, "nothing refutes it"
            said, steps = none
        if not self._told_apart(shown, clip):
            why = why or "it names one of several"
        hidden = [self.graph.labels[self._object(x)] for x in (p.bound[pattern.target] for p in shown)
                  if isinstance(x, int)] if pattern.result == "find" else []  # fmt: skip
        if pattern.result == "find" and not hidden:
            hidden = [place.words[pattern.target]]
        if any(mentions(word, answer) for word in said.values() for answer in hidden):
            why = why or "says its answer"
        return self._path(said, steps, when, clip), why

    def _picked(self, places: list[Fit]) -> Thing | None:
        """What is found first or last; None if there is only one, or no clear winner."""
        ranges: dict[Thing, list[Bounds]] = {}
        for place in places:
            at = sorted(self.graph.at[f] for f in place.frames)
            times = self.graph.around(t.clip_of(next(iter(place.frames))), (at[0], at[-1]))
            ranges.setdefault(self._name(place.bound[self.pattern.target]), []).append(times)
        beats = FORMS[self.pattern.pick].beats
        for name, mine in ranges.items():
            if len(ranges) > 1 and all(beats(mine, x) for y, x in ranges.items() if y != name):
                return name
        return None

    def _path(
        self, said: dict[str, str], steps: tuple[t.Step, ...], when: t.When | None, clip: str | None
    ) -> t.Path:
        forms = {"find": "ask", "count": "count", "exists": "claim"}
        scope = self.graph.scope(when, clip) if when else WHOLE
        return t.Path.model_construct(
            id="p0",
            block=self.block.name,
            form=forms[self.pattern.result],
            wanted=len(steps),
            time=when,
            clip=clip if when else None,
            steps=steps,
            also=(),
            unique=True,
            pattern=True,
            query=(scope, *self.pattern.program(said, self.graph)),
        )

    def _name(self, thing: Thing) -> Thing:
        return int(self.table.identity[thing]) if isinstance(thing, int) else thing

    @cached_property
    def _timing(self) -> set[str]:
        """The clips whose event may give a time range."""
        return PathRules(self.table, self.spec, self.block, self.graph).timing

    def _told_apart(self, places: list[Fit], clip: str | None) -> bool:
        """Whether the label of each object names no other one in the clip, or in the whole video."""
        s = self.table
        low, high = (s.place[clip], s.place[clip] + 1) if clip else (0, len(s.clips))
        things = {x for p in places for x in p.bound.values() if isinstance(x, int)}
        labels = s.entity_label[np.array([*things], np.int64)]
        return bool(s.one_label(labels, 0 * labels + low, 0 * labels + high).all())

    # --- what is not there ---------------------------------------------------------------

    def _none(
        self, place: Fit, clip: str | None, rng: random.Random
    ) -> tuple[dict[str, str], tuple[t.Step, ...]] | None:
        """Words with which the graph refutes the facts of all objects, and the facts that show it.

        One word of a place that fits is replaced by another one of the graph.
        """
        said = self._said(place)
        choices = []
        for fact in self.pattern.facts:
            name = fact.link if fact.edge == "rel" else fact.far
            if name in said and not fact.negated:
                others = {
                    x.far if fact.edge != "rel" else plain(x.word): x.value or x.word
                    for x in self.facts.known[False][fact.edge]
                    if fact.edge != "attr" or self._kind(fact, said) == x.word
                }
                choices += [
                    (name, x)
                    for key, x in others.items()
                    if key != plain(said[name]) and self._word_fits(name, x, self._kind(fact, said))
                ]
        rng.shuffle(choices)
        for name, word in choices:
            steps = self._refuted({**said, name: word}, place, clip)
            if steps:
                return {**said, name: word}, steps
        return None

    def _word_fits(self, name: str, word: str, kind: str) -> bool:
        """Whether the conditions of a variable hold of a word."""
        at = Occasion(None, None, word, kind)
        return all(c.holds(at) for x, c in self.pattern.conditions if x == name)

    def _kind(self, fact: PatternFact, said: Mapping[str, str]) -> str:
        return fact.word if fact.word is not None else said.get(fact.link, "")

    def _refuted(self, said: Mapping[str, str], place: Fit, clip: str | None) -> tuple[t.Step, ...]:
        """The stated facts that show that no objects fit; none if some may."""
        pattern = self.pattern
        fixed = {x: e for x, e in place.bound.items() if x in pattern.said and isinstance(e, int)}
        open_ = [x for x in pattern.ends if pattern.is_object(x) and x not in fixed]
        clips = {clip} if clip else {*self.table.clips}
        things = [
            e
            for e in range(len(self.table.identity))
            if self.table.clips[int(self.table.entity_clip[e])] in clips
        ]
        if len(things) ** len(open_) > 400 or any(f.moment or f.negated for f in pattern.facts):
            return ()
        steps: dict[t.Step, None] = {}
        for choice in permutations([e for e in things if e not in fixed.values()], len(open_)):
            bound = {**fixed, **dict(zip(open_, choice, strict=True))}
            shown = next((x for f in pattern.facts if (x := self._against(f, bound, said))), None)
            if shown is None:
                return ()
            steps[shown] = None
        return tuple(steps) if len(steps) <= MANY else ()

    def _against(
        self, fact: PatternFact, bound: Mapping[str, int], said: Mapping[str, str]
    ) -> t.Step | None:
        """A stated fact that excludes this one whenever its ends are seen; None if there is none."""
        value = fact.value if fact.value is not None else said.get(fact.far)
        if fact.edge != "rel" and value is None:
            return None
        word = plain(self._kind(fact, said))
        far: Thing = bound[fact.far] if fact.edge == "rel" else plain(value or "")
        for known in self.facts.by_end.get((True, fact.edge, "near", bound[fact.near]), ()):
            if known.own and known.far == far and plain(known.word) == word:
                return known.step
        return None
