"""Draws the questions of a `pattern` block."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import product, zip_longest
from typing import NamedTuple

import numpy as np

from stepc.forms import FORMS
from stepc.ir import types as t
from stepc.ir.spans import Bounds
from stepc.ir.words import mentions, normal, plain
from stepc.lang.types import Block, Pattern, Spec
from stepc.sampling.edge_table import EdgeTable
from stepc.sampling.graph_facts import Thing
from stepc.sampling.matcher import MOST, Fit, PatternMatcher
from stepc.sampling.negatives import PatternNegatives
from stepc.sampling.path_rules import PathRules
from stepc.sampling.paths import KeysSeen
from stepc.sampling.plan import shares
from stepc.sampling.query_builder import WHOLE

MANY = 20
"""Maximum number of things that are counted, or of facts that show that there is none."""


@dataclass
class SameQuestion:
    """All places with the same question."""

    said: dict[str, str]
    """Variable → what the question says of it"""
    places: list[Fit] = field(default_factory=list)


class Try(NamedTuple):
    """A question that may be drawn."""

    where: str
    """The clip of its time range, or the keyframe of a moment; "" for the whole video."""
    groups: tuple[SameQuestion, ...]
    """Its places, for each count that it compares."""
    no: bool = False
    """Whether it is a question like it that is answered by "no"."""


class PatternSampler(PatternMatcher):
    """Draws the questions of one pattern on one graph."""

    def __init__(self, table: EdgeTable, spec: Spec, block: Block) -> None:
        super().__init__(table, spec, block)
        self.parts = [self._part(x) for x in self.pattern.parts]
        """The samplers of two counts that are compared; else itself."""

    def _part(self, pattern: Pattern) -> PatternSampler:
        """A sampler of a part of the pattern."""
        if pattern is self.pattern:
            return self
        made = copy(self)
        made.pattern = pattern
        return made

    # --- questions -----------------------------------------------------------------------

    def groups(
        self, places: list[Fit], when: t.When | None
    ) -> dict[tuple[object, ...], SameQuestion]:
        """The places by question: what it says, and the clip or the keyframe that it is about."""
        made: dict[tuple[object, ...], SameQuestion] = {}
        for place in places:
            said = self.said_of(place)
            about = [""] if when is None else [t.clip_of(next(iter(place.frames)))]
            if when == "moment":
                about = [f for f in sorted(place.frames) if f in self.graph.moments]
            for where in about:
                key = (where, *(plain(said[x]) for x in sorted(said)))
                made.setdefault(key, SameQuestion(said)).places.append(place)
        return made

    def said_of(self, place: Fit) -> dict[str, str]:
        """Variable → label, value or word: what the question names, and all kinds and predicates."""
        links = {f.link for f in self.pattern.facts if f.link}
        made: dict[str, str] = {}
        for name, thing in place.bound.items():
            if isinstance(thing, int):
                made |= (
                    {name: self.graph.labels[self.object_of(thing)]}
                    if name in self.pattern.said
                    else {}
                )
            elif name in self.pattern.said:
                made[name] = place.words[name]
        return made | {name: word for name, word in place.words.items() if name in links}

    def drawn(self, rng: random.Random, known: KeysSeen) -> Iterator[t.Path]:
        """Draw questions at random, without those in `known`."""
        places = [part.places(rng) for part in self.parts]
        self.counts["places of a pattern"] += sum(map(len, places))
        times = [*self.block.time, (None, max(0.0, 1 - sum(x for _, x in self.block.time)))]
        todo = Counter(shares(times, self.block.count, rng))
        if len(self.table.clips) == 1:  # the time of the only clip narrows nothing
            moments = todo.pop("moment", 0)
            todo = Counter({None: todo.total()})
            if moments:
                todo["moment"] = moments
        for when, wanted in todo.items():
            made = 0
            tries = self._tries(places, when)
            for tried in self._mixed(rng.sample(tries, len(tries))):
                if made == wanted:
                    break
                path, why = self._drawn(tried, when, rng)
                name = ("pattern", path and path.query)
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
        places = [part.places(rng) for part in self.parts]
        whens: list[t.When | None] = [when for when, share in self.block.time if share > 0]
        if sum(share for _, share in self.block.time) < 1:
            whens.append(None)
        one = len(self.table.clips) == 1
        for when in dict.fromkeys(w if w == "moment" or not one else None for w in whens):
            for tried in self._tries(places, when):
                path, why = self._drawn(tried, when, rng)
                if path is not None:
                    yield path, (when, path.query), why

    def _tries(self, places: list[list[Fit]], when: t.When | None) -> list[Try]:
        """All questions, from the places of each part."""
        groups = [part.groups(x, when) for part, x in zip(self.parts, places, strict=True)]
        if len(groups) == 1:
            answers = (False, True) if self.pattern.may_be_none else (False,)
            return [Try(str(k[0]), (g,), no) for k, g in groups[0].items() for no in answers]
        made = []
        for (one, a), (other, b) in product(*(x.items() for x in groups)):
            shared = a.said.keys() & b.said.keys()
            if one[0] == other[0] and all(plain(a.said[x]) == plain(b.said[x]) for x in shared):
                made.append(Try(str(one[0]), (a, b)))
            if len(made) == MOST:
                break
        return made

    def _mixed(self, tries: list[Try]) -> list[Try]:
        """Questions in another order: of comparisons, those answered by "yes" and by "no" alternate."""
        if self.pattern.result != "compare":
            return tries
        answers: dict[bool, list[Try]] = {True: [], False: []}
        for tried in tries:
            m, n = (
                len({self._name(p.bound[part.pattern.target]) for p in group.places})
                for part, group in zip(self.parts, tried.groups, strict=True)
            )
            wins = {"more": m > n, "fewer": m < n, "equal": m == n}[self.pattern.more]
            answers[wins].append(tried)
        pairs = zip_longest(answers[True], answers[False])
        return [tried for pair in pairs for tried in pair if tried is not None]

    def _drawn(
        self, tried: Try, when: t.When | None, rng: random.Random
    ) -> tuple[t.Path | None, str]:
        """The path of a question, and why it is rejected, or ""."""
        if len(tried.groups) == 1:
            return self.path(tried.where, tried.groups[0], when, rng, tried.no)
        made = [
            part.path(tried.where, group, when, rng)
            for part, group in zip(self.parts, tried.groups, strict=True)
        ]
        (one, a), (other, b) = made
        if one is None or other is None:
            return None, a or b
        said = {**tried.groups[0].said, **tried.groups[1].said}
        same = "both numbers are of the same" if one.query == other.query else ""
        clip = t.clip_of(tried.where) if tried.where else None
        path = self._path(said, one.steps, when, clip, one.query[0], other.steps)
        return path, a or b or same

    def path(
        self,
        where: str,
        group: SameQuestion,
        when: t.When | None,
        rng: random.Random,
        no: bool = False,
    ) -> tuple[t.Path | None, str]:
        """The path of a question, and why it is rejected, or "".

        With `no`, it is a question like that of the group which is answered by "no".
        """
        clip = t.clip_of(where) if where else None
        scope = self._scope(when, where, group.said, rng)
        if scope is None:
            return None, "nothing gives it a time"
        pattern, said, places = self.pattern, group.said, group.places
        if any(p.unsure for p in places):
            return None, "it depends on exact times"
        shown, why = self._shown(places, rng, any_=no)
        if not shown:
            return None, why
        steps = tuple(s for p in shown for s in p.steps)
        if when == "moment":
            steps = tuple(self.graph.shown_at(s, where) for s in steps)
        if no:
            none = PatternNegatives(self).none(shown[0], clip, rng)
            if none is None:
                return None, "nothing refutes it"
            place, refuted = none
            said, steps, shown = self.said_of(place), refuted.steps, [place]
            if not steps:
                return None, "nothing refutes it"
        if not self._told_apart(shown, clip):
            why = why or "it names one of several"
        why = why or self._rules.too_little(steps)
        if pattern.result == "find" and self._leaks(said, shown[pattern.place], no):
            why = why or "says its answer"
        return self._path(said, steps, when, clip, scope), why

    def _shown(
        self, places: list[Fit], rng: random.Random, any_: bool = False
    ) -> tuple[list[Fit], str]:
        """The places whose facts the rationale tells, in its order, and why the question is rejected.

        `any_`: one of them is enough, however many there are.
        """
        pattern = self.pattern
        told = [p for p in places if p.own]
        if not told:
            return [], "only its inverse is stated"
        if all(p.aside for p in places):
            return [], "no clip shows all that it names"
        if pattern.result == "exists" or any_:
            return [rng.choice(told)], ""
        each = {self._name(p.bound[pattern.target]): p for p in rng.sample(told, len(told))}
        found = [*dict.fromkeys(self._name(p.bound[pattern.target]) for p in places)]
        why = ""
        if pattern.pick:
            best = self._picked(places)
            if best is None:
                return [], "no one of several is it"
            ordered = any(
                f.moment for f in pattern.facts
            )  # the times of its own facts tell the order
            rest = [] if ordered else [x for x in found if x != best]
            rest.sort(
                key=lambda x: min(self.graph.at[f] for f in each[x].frames) if x in each else 0
            )
            place = len(rest) if pattern.pick == "last" else pattern.place
            found = [*rest[:place], best, *rest[place:]]
        elif pattern.result == "find" and len(found) > 1:
            found, why = [next(iter(each))], "more than one answer"
        if len(found) > MANY:
            why = "too many to tell"
        missing = any(x not in each for x in found)
        return ([], "only its inverse is stated") if missing else ([each[x] for x in found], why)

    def _leaks(self, said: Mapping[str, str], place: Fit, none: bool) -> bool:
        """Whether the question says what it asks for."""
        target = place.bound[self.pattern.target]
        answer = (
            self.pattern.otherwise
            if none
            else self.graph.labels[self.object_of(target)]
            if isinstance(target, int)
            else place.words[self.pattern.target]
        )
        return any(mentions(word, answer) for word in said.values())

    def _picked(self, places: list[Fit]) -> Thing | None:
        """What is found first or last; None if there is only one, or no clear winner."""
        ranges: dict[Thing, list[Bounds]] = {}
        for place in places:
            target = self.pattern.target
            times = self._around(place.when[target])
            ranges.setdefault(self._name(place.bound[target]), []).append(times)
        last = self.pattern.pick == "last"
        beats = partial(self.block.beats, FORMS["last" if last else "first"])
        before = 0 if last else self.pattern.place
        for name, mine in ranges.items():
            others = [x for y, x in ranges.items() if y != name]
            won = sum(beats(mine, x) for x in others) == len(others) - before
            if others and won and (not before or sum(beats(x, mine) for x in others) == before):
                return name
        return None

    def _path(
        self,
        said: dict[str, str],
        steps: tuple[t.Step, ...],
        when: t.When | None,
        clip: str | None,
        scope: t.Op,
        also: tuple[t.Step, ...] = (),
    ) -> t.Path:
        forms = {"find": "ask", "count": "count", "exists": "claim", "compare": "count"}
        return t.Path.model_construct(
            id="p0",
            block=self.block.name,
            form=forms[self.pattern.result],
            wanted=len(steps) + len(also),
            time=when,
            clip=clip if when else None,
            steps=steps,
            also=also,
            unique=True,
            pattern=True,
            query=(scope, *self.pattern.program(said, self.graph, self.graph.language)),
        )

    def _scope(
        self, when: t.When | None, where: str, said: Mapping[str, str], rng: random.Random
    ) -> t.Op | None:
        """The scope of a question; None if nothing gives it a time."""
        if when is None or not where:
            return WHOLE
        clip = t.clip_of(where)
        if when == "moment":
            return self.graph.scope(when, clip, where)
        if when == "during" and clip not in self._rules.timing:
            return None
        if when == "scene" and self.graph.number(clip) > len(self.graph.language.ordinals):
            return None
        if when == "showing":
            named = {normal(x) for x in said.values()}
            labels = [x for x in self._rules.contents.get(clip, ()) if normal(x) not in named]
            return self.graph.scope(when, clip, rng.choice(labels)) if labels else None
        return self.graph.scope(when, clip)

    def _name(self, thing: Thing) -> Thing:
        return int(self.table.identity[thing]) if isinstance(thing, int) else thing

    @cached_property
    def _rules(self) -> PathRules:
        """What may give a time range."""
        return PathRules(self.table, self.spec, self.block, self.graph)

    def _told_apart(self, places: list[Fit], clip: str | None) -> bool:
        """Whether the label of each object names no other one in the clip, or in the whole video."""
        s = self.table
        low, high = (s.place[clip], s.place[clip] + 1) if clip else (0, len(s.clips))
        things = {x for p in places for x in p.bound.values() if isinstance(x, int)}
        labels = s.entity_label[np.array([*things], np.int64)]
        return bool(s.one_label(labels, 0 * labels + low, 0 * labels + high).all())
