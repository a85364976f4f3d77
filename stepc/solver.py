"""Runs a query on an STSG as a viewer would who sees what the graph says.

Shares no code with the sampler, so that `check` is a second opinion. A state is what has
been reached (an object of a clip, or a value), the keyframes at which the whole description so
far holds, and the time ranges of the last fact: edges are chained only where their times
meet. Objects are told apart as a viewer tells them apart: one dynamic object at two times is
one (motion edges), and an object that comes back is one (reference edges); two things of one
label are two. Facts are looked up by what they are about, never searched for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from stepc.ir import types as t
from stepc.ir.meaning import duration_text, inverse, joined_spans, normal, plain, span_text

Span = tuple[int, int]
Frames = frozenset[str]
_T = TypeVar("_T")


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
    """(thing, predicate, way) → (thing at the other end, when)"""
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
    times: dict[str, Span] = field(default_factory=dict)
    """The time range of each event, by its clip."""
    happening: dict[str, frozenset[str]] = field(default_factory=dict)
    """event → its clips"""
    following: dict[str, str] = field(default_factory=dict)
    """clip with an event → the next one"""
    preceding: dict[str, str] = field(default_factory=dict)
    clips: tuple[str, ...] = ()
    ranges: dict[str, Span] = field(default_factory=dict)
    """The time range of each clip."""
    at: dict[str, int] = field(default_factory=dict)
    """The time of each keyframe."""
    scopes: dict[t.Op, frozenset[str]] = field(default_factory=dict)
    """Clips in scope, of the scopes asked for so far."""


class _Groups:
    """Numbers that are made one, a pair at a time."""

    def __init__(self, size: int) -> None:
        self.up = list(range(size))

    def of(self, n: int) -> int:
        """The number that stands for the group of `n`."""
        while self.up[n] != n:
            self.up[n] = self.up[self.up[n]]
            n = self.up[n]
        return n

    def join(self, one: int, other: int) -> None:
        """Make two groups one."""
        self.up[self.of(other)] = self.of(one)


def facts(unit: t.Stsg) -> Facts:
    """The facts of an STSG; an inverse predicate's fact is there both ways round."""
    number = {o.id: i for i, o in enumerate(unit.objects)}
    moves, joins = _Groups(len(number)), _Groups(len(number))
    for m in unit.motions:
        moves.join(number[m.source], number[m.target])
        joins.join(number[m.source], number[m.target])
    for r in unit.references:
        joins.join(number[r.first], number[r.second])
    thing = {o: moves.of(n) for o, n in number.items()}
    made = Facts(thing)
    seen: dict[int, set[str]] = defaultdict(set)
    for o in unit.objects:
        n = thing[o.id]
        if n not in made.same:
            made.same[n] = joins.of(number[o.id])
            made.group[made.same[n]].append(n)
            made.clip[n] = t.clip_of(o.id)
            made.label[n] = o.label
            made.labelled[normal(o.label)].append(n)
        seen[n].update(o.frames)
    made.seen = {n: frozenset(frames) for n, frames in seen.items()}
    frames_of = {c.id: c.keyframes for c in unit.clips}
    made.at = {k.id: k.at for k in unit.keyframes.values()}
    for a in unit.attributes:
        n, when = thing[a.owner], frozenset(a.frames)
        made.has[n].append((a.kind, a.value, when))
        made.having[a.kind, plain(a.value)].append((n, when))
    for e in unit.relations:
        readings = [(thing[e.subject], plain(e.predicate), thing[e.object])]
        back = inverse(e.predicate)
        readings += [(thing[e.object], back, thing[e.subject])] if back is not None else []
        for one, predicate, two in readings:
            when = frozenset(e.frames)
            made.related[one, predicate, "=>"].append((two, when))
            made.related[two, predicate, "<="].append((one, when))
            made.between[one].append((two, predicate, when))
    for m in unit.motions:
        n, span = thing[m.source], (m.start, m.end)
        held = (k.id for k in frames_of[t.clip_of(m.source)] if m.start <= k.at <= m.end)
        when = frozenset(held)
        made.does[n].append((m.motion, when, span))
        made.doing[plain(m.motion)].append((n, when, span))
    made.events = {e.clip: e.event for e in unit.events}
    made.times = {e.clip: (e.start, e.end) for e in unit.events}
    made.clips = tuple(c.id for c in unit.clips)
    made.ranges = {c.id: (c.start, c.end) for c in unit.clips}
    happening: dict[str, set[str]] = defaultdict(set)
    for clip, event in made.events.items():
        happening[plain(event)].add(clip)
    made.happening = {e: frozenset(clips) for e, clips in happening.items()}
    told = [c for c in made.clips if c in made.events]
    made.following = dict(pairwise(told))
    made.preceding = {b: a for a, b in pairwise(told)}
    return made


def solve(query: t.Query, known: Facts) -> str:
    """The one answer of `query`. Raises NoAnswer if there is none or more than one."""
    found = answers(query, known)
    if len(found) != 1:
        raise NoAnswer(found)
    return found[0]


def answers(query: t.Query, known: Facts) -> tuple[str, ...]:
    """All answers of `query`. Raises NoAnswer where one of its `unique`s does not hold."""
    scope = frozenset(known.clips)
    here: list[_Here] = []
    got: list[tuple[str, Span]] = []
    found: tuple[str, ...] = ()
    for op in query:
        match op:
            case t.During() | t.Beyond() | t.Between():
                scope = _scope(op, known)
            case t.Node():
                here = _labelled(op.label, scope, known)
            case t.Given():
                here = [_Here(None, op.value, op.kind, frozenset())]
            case t.Happens():
                clips = sorted(known.happening.get(plain(op.event), frozenset()) & scope)
                here = [_Here(None, op.event, c, frozenset(), (known.times[c],)) for c in clips]
                if len(here) != 1:
                    raise NoAnswer(tuple(op.event for _ in here))
            case t.Follow():
                if op.edge == "ref":
                    scope = known.happening.get(plain(op.word), frozenset())
                here = _joined(_step(op, here, scope, known))
            case t.To():
                here = _joined(_to(op, here, scope, known))
            case t.Where():
                here = [h for h in here if plain(_name(h, known)) == plain(op.value)]
            case t.Pick():
                here = _pick(op, here, known)
            case t.Unique():
                names = _names(here, known)
                if len(names) != 1:
                    raise NoAnswer(names)
            case t.Count():
                found = (str(len(_names(here, known))),)
            case t.Get():
                found = _get(op, here, known)
                spans = joined_spans(s for h in here for s in h.spans)
                got.append((found[0] if len(found) == 1 else "", (spans or ((0, 0),))[0]))
            case t.Compare():
                found = (_compared(op, got),)
    return found


def _scope(op: t.During | t.Beyond | t.Between, known: Facts) -> frozenset[str]:
    """The clips that a question's time range leaves in sight."""
    if op not in known.scopes:
        known.scopes[op] = _clips(op, known)
    return known.scopes[op]


def _clips(op: t.During | t.Beyond | t.Between, known: Facts) -> frozenset[str]:
    if isinstance(op, t.Between):
        return frozenset(c for c, (a, b) in known.ranges.items() if a < op.end and op.start < b)
    if op.event is None:
        return frozenset(known.clips)
    clips = known.happening.get(plain(op.event), frozenset())
    if isinstance(op, t.During) or not clips:
        return clips
    starts = min(known.ranges[c][0] for c in clips)
    ends = max(known.ranges[c][1] for c in clips)
    if op.op == "before":
        return frozenset(c for c, (_, end) in known.ranges.items() if end <= starts)
    return frozenset(c for c, (start, _) in known.ranges.items() if start >= ends)


def _labelled(label: str, scope: frozenset[str], known: Facts) -> list[_Here]:
    things = known.labelled.get(normal(label), ())
    return [_Here(n, "", "", known.seen[n]) for n in things if known.clip[n] in scope]


def _name(h: _Here, known: Facts) -> str:
    return h.value if h.thing is None else known.label[h.thing]


def _names(here: Iterable[_Here], known: Facts) -> tuple[str, ...]:
    """The different things or values in `here`, as a viewer tells them apart."""
    names: dict[object, str] = {}
    for h in here:
        key = plain(h.value) if h.thing is None else known.same[h.thing]
        names.setdefault(key, _name(h, known))
    return tuple(names.values())


def _get(op: t.Get, here: list[_Here], known: Facts) -> tuple[str, ...]:
    """The answers; a time only where it is one range."""
    if op.what in ("label", "value"):
        return _names(here, known)
    spans = joined_spans(s for h in here for s in h.spans)
    say: Callable[[int, int], str] = span_text if op.what == "span" else duration_text
    return tuple(say(*s) for s in spans)


def _compared(op: t.Compare, got: list[tuple[str, Span]]) -> str:
    """Raises NoAnswer where there are not two answers, or neither is more than the other."""
    if len(got) != 2 or not all(text for text, _ in got):
        raise NoAnswer(())
    (one, (start, end)), (other, (start2, end2)) = got
    if op.how == "same":
        return op.one if plain(one) == plain(other) else op.other
    more = {
        "first": start2 - start,
        "last": end - end2,
        "longer": (end - start) - (end2 - start2),
        "shorter": (end2 - start2) - (end - start),
    }[op.how]
    if more == 0:
        raise NoAnswer((op.one, op.other))
    return op.one if more > 0 else op.other


def _joined(here: Iterable[_Here]) -> list[_Here]:
    """Places reached in more than one way hold at the times of all of them."""
    when: dict[tuple[int | None, str, str], tuple[Frames, list[Span]]] = {}
    for h in here:
        key = (h.thing, plain(h.value), h.kind)
        frames, spans = when.get(key, (frozenset(), []))
        when[key] = (frames | h.when, [*spans, *h.spans])
    return [_Here(*key, frames, joined_spans(spans)) for key, (frames, spans) in when.items()]


def _pick(op: t.Pick, here: list[_Here], known: Facts) -> list[_Here]:
    """The places whose time is most so; all of them where several are."""

    def rank(h: _Here) -> float:
        spans = h.spans or tuple((known.at[f], known.at[f]) for f in h.when)
        if not spans:
            return float("-inf")
        start, end = min(s for s, _ in spans), max(e for _, e in spans)
        longest = max(e - s for s, e in spans)
        return {"first": -start, "last": end, "longest": longest, "shortest": -longest}[op.which]

    best = max(map(rank, here), default=0)
    return [h for h in here if rank(h) == best]


def _to(op: t.To, here: list[_Here], scope: frozenset[str], known: Facts) -> Iterable[_Here]:
    there = {h.thing: h.when for h in _labelled(op.label, scope, known)}
    if len({known.same[n] for n in there if n is not None}) != 1:
        raise NoAnswer(tuple(op.label for _ in there))
    for h in here:
        for other, predicate, when in known.between[h.thing] if h.thing is not None else ():
            both = when & h.when & there.get(other, frozenset())
            if both:
                yield _Here(None, predicate, "", both)


def _step(op: t.Follow, here: list[_Here], scope: frozenset[str], known: Facts) -> Iterable[_Here]:
    for h in here:
        n = h.thing if h.thing is not None else -1
        match op.edge, op.way:
            case "attr", "=>":
                for kind, value, when in known.has.get(n, ()):
                    if kind == op.word and when & h.when:
                        yield _Here(None, value, kind, when & h.when)
            case "attr", _:
                for m, when in known.having.get((h.kind, plain(h.value)), ()):
                    if known.clip[m] in scope:
                        yield _Here(m, "", "", when)
            case "rel", way:
                for m, when in known.related.get((n, plain(op.word), way), ()):
                    if when & h.when:
                        yield _Here(m, "", "", when & h.when)
            case "motion", "=>":
                for motion, when, span in known.does.get(n, ()):
                    if when & h.when:
                        yield _Here(None, motion, "", when & h.when, (span,))
            case "motion", _:
                for m, when, span in known.doing.get(plain(h.value), ()):
                    if known.clip[m] in scope:
                        yield _Here(m, "", "", when, (span,))
            case "ref", _:
                for m in known.group.get(known.same.get(n, -1), ()):
                    if m != n and known.clip[m] in scope:
                        yield _Here(m, "", "", known.seen[m])
            case "next", way:
                order = known.following if way == "=>" else known.preceding
                clip = order.get(h.kind, "")
                if clip in known.events:
                    yield _Here(None, known.events[clip], clip, frozenset(), (known.times[clip],))
            case _:
                clip = known.clip.get(n, "")
                if clip in known.events and clip in scope:
                    yield _Here(None, known.events[clip], "", h.when, (known.times[clip],))
