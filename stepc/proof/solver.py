"""Runs a query on an STSG as a viewer would who sees what the graph says.

The solver shares only the IR's types with the sampler: it builds its own facts, follows its own
edges and compares words in its own way (`stepc.proof.words`), so that `check` is a second opinion.
A place of the walk is what has been reached (an object of a clip, or a value), the keyframes at
which the whole description so far holds, and the time ranges of the last fact: edges are chained
only where their times meet. Objects are told apart as a viewer tells them apart: one dynamic object
at two times is one (motion edges), and an object that comes back is one (reference edges); two
things of one label are two. Facts are looked up by what they are about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

from stepc.edges import EDGES
from stepc.ir import types as t
from stepc.ir.spans import join_spans
from stepc.ir.union_find import UnionFind
from stepc.proof import words

Span = tuple[int, int]
Frames = frozenset[str]


class NoAnswer(ValueError):
    """A query that has no answer, or more than one; `.found` are the answers."""

    def __init__(self, found: tuple[str, ...]) -> None:
        shown = ", ".join(found) if found else "nothing"
        super().__init__(f"{len(found)} answers: {shown}")
        self.found = found


class Here(NamedTuple):
    """A place in the walk: a thing (by number) or a value (by text), and when it holds."""

    thing: int | None
    value: str
    kind: str
    """The attribute's kind of a value; the clip of an event."""
    when: Frames
    spans: tuple[Span, ...] = ()


@dataclass
class Facts:
    """An STSG as facts about numbered things, by what they are about."""

    thing: dict[str, int]
    """Number of the thing that each object id is; joined along motion edges."""
    same: dict[int, int] = field(default_factory=dict)
    """For each thing, the number shared by all things that references make one."""
    group: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """The things of each such number."""
    clip: dict[int, str] = field(default_factory=dict)
    label: dict[int, str] = field(default_factory=dict)
    seen: dict[int, Frames] = field(default_factory=dict)
    labelled: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    has: dict[int, list[tuple[str, str, Frames]]] = field(default_factory=lambda: defaultdict(list))
    """thing → (kind, value, when)"""
    having: dict[tuple[str, str], list[tuple[int, Frames]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """(kind, value) → (thing, when)"""
    related: dict[tuple[int, str, t.Way], list[tuple[int, Frames]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """(thing, predicate, direction) → (thing at the other end, when)"""
    between: dict[int, list[tuple[int, str, Frames]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """subject → (object, predicate, when)"""
    does: dict[int, list[tuple[str, Frames, Span]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """thing → (motion, when, time range)"""
    doing: dict[str, list[tuple[int, Frames, Span]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """motion → (thing, when, time range)"""
    events: dict[str, str] = field(default_factory=dict)
    """The event of each clip that has one."""
    times: dict[str, Span] = field(default_factory=dict)
    """The time range of each event, by its clip."""
    happening: dict[str, frozenset[str]] = field(default_factory=dict)
    """event → its clips"""
    following: dict[str, str] = field(default_factory=dict)
    """clip with an event → the next one"""
    preceding: dict[str, str] = field(default_factory=dict)
    everywhere: frozenset[str] = frozenset()
    """All clips."""
    ranges: dict[str, Span] = field(default_factory=dict)
    """The time range of each clip."""
    at: dict[str, int] = field(default_factory=dict)
    """The time of each keyframe."""
    scopes: dict[t.Op, frozenset[str]] = field(default_factory=dict)
    """Clips in scope, of the scopes asked for so far."""

    @staticmethod
    def phrase(text: str) -> str:
        """A predicate, motion, event or value as facts are looked up by it."""
        return words.phrase(text)

    @staticmethod
    def same_phrase(one: str, other: str) -> bool:
        """Whether two predicates, motions, events or values read the same."""
        return words.phrase(one) == words.phrase(other)

    @staticmethod
    def inverse(predicate: str) -> str | None:
        """The predicate that holds the other way round, or None if none is known."""
        return words.inverse(predicate)

    def clips_of(self, event: str) -> frozenset[str]:
        """The clips whose event reads so."""
        return self.happening.get(words.phrase(event), frozenset())


def facts(unit: t.Stsg) -> Facts:
    """The facts of an STSG."""
    number = {o.id: i for i, o in enumerate(unit.objects)}
    moves, joins = UnionFind(number.values()), UnionFind(number.values())
    for m in unit.motions:
        moves.join(number[m.source], number[m.target])
        joins.join(number[m.source], number[m.target])
    for r in unit.references:
        joins.join(number[r.first], number[r.second])
    known = Facts({o: moves.root(n) for o, n in number.items()})
    seen: dict[int, set[str]] = defaultdict(set)
    for o in unit.objects:
        n = known.thing[o.id]
        if n not in known.same:
            known.same[n] = joins.root(number[o.id])
            known.group[known.same[n]].append(n)
            known.clip[n] = t.clip_of(o.id)
            known.label[n] = o.label
            known.labelled[words.label(o.label)].append(n)
        seen[n].update(o.frames)
    known.seen = {n: frozenset(frames) for n, frames in seen.items()}
    known.at = {k.id: k.at for k in unit.keyframes.values()}
    known.everywhere = frozenset(c.id for c in unit.clips)
    known.ranges = {c.id: (c.start, c.end) for c in unit.clips}
    for kind in EDGES.values():
        kind.facts(unit, known)
    return known


def answers(query: t.Query, known: Facts) -> tuple[str, ...]:
    """All answers of `query`. Raises NoAnswer where one of its `unique`s does not hold."""
    state = State(known)
    for op in query:
        if op.ROLE == "scope" and op in known.scopes:
            state.scope = known.scopes[op]
            continue
        op.solve(state)
        if op.ROLE == "scope":
            known.scopes[op] = state.scope
    return state.found


class State:
    """Where a query has come to; operations and edge kinds advance it."""

    def __init__(self, known: Facts) -> None:
        self.known = known
        self.scope = known.everywhere
        """Clips in sight."""
        self.here: list[Here] = []
        """The places reached."""
        self.got: list[tuple[str, Span]] = []
        """The answers got so far, each with its time range, for a comparison."""
        self.found: tuple[str, ...] = ()
        """The answers."""

    @staticmethod
    def thing(number: int, when: Frames = frozenset(), spans: tuple[Span, ...] = ()) -> Here:
        """A place at a thing."""
        return Here(number, "", "", when, spans)

    @staticmethod
    def value(
        text: str, kind: str = "", when: Frames = frozenset(), spans: tuple[Span, ...] = ()
    ) -> Here:
        """A place at a value."""
        return Here(None, text, kind, when, spans)

    @staticmethod
    def thing_of(here: Here) -> int:
        """The number of the thing that a place is at; -1 for a value."""
        return -1 if here.thing is None else here.thing

    @staticmethod
    def refuse(found: Iterable[str]) -> NoReturn:
        """End without a single answer. Raises NoAnswer."""
        raise NoAnswer(tuple(found))

    def labelled(self, label: str) -> list[Here]:
        """The things in scope with a label."""
        known = self.known
        things = known.labelled.get(words.label(label), ())
        return [self.thing(n, known.seen[n]) for n in things if known.clip[n] in self.scope]

    def name(self, here: Here) -> str:
        """What a place is called."""
        return here.value if here.thing is None else self.known.label[here.thing]

    def names(self) -> tuple[str, ...]:
        """The different things or values reached, as a viewer tells them apart."""
        if len(self.here) == 1:
            return (self.name(self.here[0]),)
        names: dict[object, str] = {}
        for h in self.here:
            key = words.phrase(h.value) if h.thing is None else self.known.same[h.thing]
            names.setdefault(key, self.name(h))
        return tuple(names.values())

    def spans(self) -> tuple[Span, ...]:
        """The time ranges of the places reached; those that touch are one."""
        return join_spans(s for h in self.here for s in h.spans)

    @staticmethod
    def joined(here: Iterable[Here]) -> list[Here]:
        """Places reached in more than one way hold at the times of all of them."""
        here = list(here)
        if len(here) < 2:
            return here
        when: dict[tuple[int | None, str, str], tuple[Frames, list[Span]]] = {}
        for h in here:
            key = (h.thing, words.phrase(h.value), h.kind)
            frames, spans = when.get(key, (frozenset(), []))
            when[key] = (frames | h.when, [*spans, *h.spans])
        return [Here(*key, frames, join_spans(spans)) for key, (frames, spans) in when.items()]
