"""Runs a query on an STSG as a viewer would who sees what the graph says.

Shares no code with the sampler, so that `check` is a second opinion. A state is what has
been reached (an object of a clip, or a value) and the keyframes at which the whole
description so far holds: edges are chained only where their times meet. Objects are told apart
as a viewer tells them apart: one dynamic object at two times is one (motion edges), and an
object that comes back is one (reference edges); two things of one label are two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from stepc.ir import types as t
from stepc.ir.meaning import inverse, normal, plain


class NoAnswer(ValueError):
    """A query that has no answer, or more than one; `.found` are the answers."""

    def __init__(self, found: tuple[str, ...]) -> None:
        shown = ", ".join(found) if found else "nothing"
        super().__init__(f"{len(found)} answers: {shown}")
        self.found = found


@dataclass(frozen=True)
class _Here:
    """A place in the walk: a thing (by number) or a value (by text), and when it holds."""

    thing: int | None
    value: str
    kind: str
    when: frozenset[str]


@dataclass
class Facts:
    """An STSG as flat lists of facts about numbered things."""

    thing: dict[str, int]
    """Number of the thing that each object id is; joined along motion edges."""
    same: dict[int, int]
    """For each thing, the number shared by all things that references make one."""
    clip: dict[int, str]
    label: dict[int, str]
    seen: dict[int, frozenset[str]]
    attributes: list[tuple[int, str, str, frozenset[str]]] = field(default_factory=list)
    relations: list[tuple[int, str, int, frozenset[str]]] = field(default_factory=list)
    motions: list[tuple[int, str, frozenset[str]]] = field(default_factory=list)
    events: dict[str, str] = field(default_factory=dict)
    clips: tuple[str, ...] = ()


def facts(unit: t.Stsg) -> Facts:
    """The facts of an STSG; an inverse predicate's fact is there both ways round."""
    number = {o.id: i for i, o in enumerate(unit.objects)}
    thing = dict(number)

    def merge(table: dict[str, int], one: str, other: str) -> None:
        old, new = table[other], table[one]
        for key, value in table.items():
            if value == old:
                table[key] = new

    for m in unit.motions:
        merge(thing, m.source, m.target)
    joined = dict(thing)
    for r in unit.references:
        merge(joined, r.first, r.second)
    made = Facts(thing, {}, {}, {}, {})
    seen: dict[int, set[str]] = {}
    for o in unit.objects:
        n = thing[o.id]
        made.same[n] = joined[o.id]
        made.clip[n] = t.clip_of(o.id)
        made.label.setdefault(n, o.label)
        seen.setdefault(n, set()).update(o.frames)
    made.seen = {n: frozenset(frames) for n, frames in seen.items()}
    for a in unit.attributes:
        made.attributes.append((thing[a.owner], a.kind, a.value, frozenset(a.frames)))
    for e in unit.relations:
        one, two, when = thing[e.subject], thing[e.object], frozenset(e.frames)
        made.relations.append((one, plain(e.predicate), two, when))
        back = inverse(e.predicate)
        if back is not None:
            made.relations.append((two, back, one, when))
    for m in unit.motions:
        during = {k.id for k in unit.keyframes.values() if m.start <= k.at <= m.end}
        same_clip = {k for k in during if t.clip_of(k) == t.clip_of(m.source)}
        made.motions.append((thing[m.source], m.motion, frozenset(same_clip)))
    made.events = {e.clip: e.event for e in unit.events}
    made.clips = tuple(c.id for c in unit.clips)
    return made


def solve(query: t.Query, known: Facts) -> str:
    """The one answer of `query`. Raises NoAnswer if there is none or more than one."""
    scope = frozenset(known.clips)
    here: list[_Here] = []
    for op in query:
        match op:
            case t.During():
                if op.event is not None:
                    scope = _clips(op.event, known)
            case t.Node():
                here = [
                    _Here(n, "", "", known.seen[n])
                    for n, label in known.label.items()
                    if known.clip[n] in scope and normal(label) == normal(op.label)
                ]
            case t.Given():
                here = [_Here(None, op.value, op.kind, frozenset())]
            case t.Follow():
                if op.edge == "ref":
                    scope = _clips(op.word, known)
                here = _joined(_step(op, here, scope, known))
            case t.Unique():
                names = _names(here, known)
                if len(names) != 1:
                    raise NoAnswer(tuple(names.values()))
            case t.Get():
                names = _names(here, known)
                if len(names) != 1:
                    raise NoAnswer(tuple(names.values()))
                return next(iter(names.values()))
    raise NoAnswer(())


def _clips(event: str, known: Facts) -> frozenset[str]:
    return frozenset(c for c, e in known.events.items() if plain(e) == plain(event))


def _names(here: Iterable[_Here], known: Facts) -> dict[object, str]:
    """The different things or values in `here`, as a viewer tells them apart."""
    names: dict[object, str] = {}
    for h in here:
        if h.thing is None:
            names.setdefault(plain(h.value), h.value)
        else:
            names.setdefault(known.same[h.thing], known.label[h.thing])
    return names


def _joined(here: Iterable[_Here]) -> list[_Here]:
    """Places reached in more than one way hold at the times of all of them."""
    when: dict[tuple[int | None, str, str], frozenset[str]] = {}
    for h in here:
        key = (h.thing, h.value, h.kind)
        when[key] = when.get(key, frozenset()) | h.when
    return [_Here(*key, frames) for key, frames in when.items()]


def _step(op: t.Follow, here: list[_Here], scope: frozenset[str], known: Facts) -> Iterable[_Here]:
    inside = {n for n, clip in known.clip.items() if clip in scope}
    for h in here:
        match op.edge, op.way:
            case "attr", "=>":
                for n, kind, value, when in known.attributes:
                    if n == h.thing and kind == op.word and when & h.when:
                        yield _Here(None, value, kind, when & h.when)
            case "attr", _:
                for n, kind, value, when in known.attributes:
                    if n in inside and kind == h.kind and plain(value) == plain(h.value):
                        yield _Here(n, "", "", when)
            case "rel", way:
                for one, predicate, two, when in known.relations:
                    start, end = (one, two) if way == "=>" else (two, one)
                    if start == h.thing and predicate == plain(op.word) and when & h.when:
                        yield _Here(end, "", "", when & h.when)
            case "motion", "=>":
                for n, motion, when in known.motions:
                    if n == h.thing and when & h.when:
                        yield _Here(None, motion, "", when & h.when)
            case "motion", _:
                for n, motion, when in known.motions:
                    if n in inside and plain(motion) == plain(h.value):
                        yield _Here(n, "", "", when)
            case "ref", _:
                for n in inside:
                    if (
                        h.thing is not None
                        and n != h.thing
                        and known.same[n] == known.same[h.thing]
                    ):
                        yield _Here(n, "", "", known.seen[n])
            case _:
                clip = known.clip.get(h.thing if h.thing is not None else -1, "")
                if clip in known.events and clip in scope:
                    yield _Here(None, known.events[clip], "", h.when)
