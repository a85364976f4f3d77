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
from typing import Any, NamedTuple

from stepc.ir import types as t
from stepc.ir.words import duration_text, inverse, joined_spans, normal, plain, span_text

Span = tuple[int, int]
Frames = frozenset[str]


class NoAnswer(ValueError):
    """A query that has no answer, or more than one; `.found` are the answers."""

    def __init__(self, found: tuple[str, ...]) -> None:
        shown = ", ".join(found) if found else "nothing"
        super().__init__(f"{len(found)} answers: {shown}")
        self.found = found


class _Here(NamedTuple):
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
    everywhere: frozenset[str] = frozenset()
    """All clips."""
    ranges: dict[str, Span] = field(default_factory=dict)
    """The time range of each clip."""
    at: dict[str, int] = field(default_factory=dict)
    """The time of each keyframe."""
    scopes: dict[t.Op, frozenset[str]] = field(default_factory=dict)
    """Clips in scope, of the scopes asked for so far."""
    proved: dict[int, tuple[t.Because, str, tuple[str, ...]]] = field(default_factory=dict)
    """What `check` found of rationale sentences, by identity: those that samples share, once."""


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
    whole = _whole_motions(unit, thing)
    for m in unit.motions:
        n, span = thing[m.source], whole[m]
        held = (k.id for k in frames_of[t.clip_of(m.source)] if m.start <= k.at <= m.end)
        when = frozenset(held)
        made.does[n].append((m.motion, when, span))
        made.doing[plain(m.motion)].append((n, when, span))
    made.events = {e.clip: e.event for e in unit.events}
    made.times = {e.clip: (e.start, e.end) for e in unit.events}
    made.everywhere = frozenset(c.id for c in unit.clips)
    made.ranges = {c.id: (c.start, c.end) for c in unit.clips}
    happening: dict[str, set[str]] = defaultdict(set)
    for clip, event in made.events.items():
        happening[plain(event)].add(clip)
    made.happening = {e: frozenset(clips) for e, clips in happening.items()}
    told = [c.id for c in unit.clips if c.id in made.events]
    made.following = dict(pairwise(told))
    made.preceding = {b: a for a, b in pairwise(told)}
    return made


def _whole_motions(unit: t.Stsg, thing: dict[str, int]) -> dict[t.Motion, Span]:
    """For each motion its time range together with those of the same thing that go on from it."""
    ranges: dict[tuple[int, str], list[Span]] = defaultdict(list)
    for m in unit.motions:
        ranges[thing[m.source], plain(m.motion)].append((m.start, m.end))
    made = {}
    for m in unit.motions:
        joined = joined_spans(ranges[thing[m.source], plain(m.motion)])
        made[m] = next(s for s in joined if s[0] <= m.start <= s[1])
    return made


def solve(query: t.Query, known: Facts) -> str:
    """The one answer of `query`. Raises NoAnswer if there is none or more than one."""
    found = answers(query, known)
    if len(found) != 1:
        raise NoAnswer(found)
    return found[0]


def answers(query: t.Query, known: Facts) -> tuple[str, ...]:
    """All answers of `query`. Raises NoAnswer where one of its `unique`s does not hold."""
    run = _Run(known)
    for op in query:
        _DO[op.op](run, op)
    return run.found


class _Run:
    """Where a query has come to."""

    def __init__(self, known: Facts) -> None:
        self.known = known
        self.scope = known.everywhere
        self.here: list[_Here] = []
        self.got: list[tuple[str, Span]] = []
        self.found: tuple[str, ...] = ()

    def narrow(self, op: t.During | t.Beyond | t.Between) -> None:
        self.scope = _scope(op, self.known)

    def node(self, op: t.Node) -> None:
        self.here = _labelled(op.label, self.scope, self.known)

    def given(self, op: t.Given) -> None:
        self.here = [_Here(None, op.value, op.kind, frozenset())]

    def happens(self, op: t.Happens) -> None:
        known = self.known
        clips = sorted(known.happening.get(plain(op.event), frozenset()) & self.scope)
        self.here = [_Here(None, op.event, c, frozenset(), (known.times[c],)) for c in clips]
        if len(clips) != 1:
            raise NoAnswer(tuple(op.event for _ in clips))

    def follow(self, op: t.Follow) -> None:
        if op.edge == "ref":
            self.scope = self.known.happening.get(plain(op.word), frozenset())
        self.here = _joined(list(_step(op, self.here, self.scope, self.known)))

    def to(self, op: t.To) -> None:
        self.here = _joined(list(_to(op, self.here, self.scope, self.known)))

    def where(self, op: t.Where) -> None:
        wanted = plain(op.value)
        self.here = [h for h in self.here if plain(_name(h, self.known)) == wanted]

    def pick(self, op: t.Pick) -> None:
        self.here = _pick(op, self.here, self.known)

    def unique(self, op: t.Op) -> None:
        if len(self.here) != 1:
            names = _names(self.here, self.known)
            if len(names) != 1:
                raise NoAnswer(names)

    def count(self, op: t.Count) -> None:
        self.found = (str(len(_names(self.here, self.known))),)

    def get(self, op: t.Get) -> None:
        self.found = found = _get(op, self.here, self.known)
        text = found[0] if len(found) == 1 else ""
        spans = joined_spans(s for h in self.here for s in h.spans) if op.what == "span" else ()
        self.got.append((text, spans[0] if spans else (0, 0)))

    def compare(self, op: t.Compare) -> None:
        self.found = (_compared(op, self.got),)


_DO: dict[str, Callable[[_Run, Any], None]] = {
    "during": _Run.narrow,
    "before": _Run.narrow,
    "after": _Run.narrow,
    "between": _Run.narrow,
    "node": _Run.node,
    "given": _Run.given,
    "happens": _Run.happens,
    "follow": _Run.follow,
    "to": _Run.to,
    "where": _Run.where,
    "pick": _Run.pick,
    "unique": _Run.unique,
    "count": _Run.count,
    "get": _Run.get,
    "compare": _Run.compare,
}


def _scope(op: t.During | t.Beyond | t.Between, known: Facts) -> frozenset[str]:
    """The clips that a question's time range leaves in sight."""
    if isinstance(op, t.During) and op.event is None:
        return known.everywhere
    if op not in known.scopes:
        known.scopes[op] = _clips(op, known)
    return known.scopes[op]


def _clips(op: t.During | t.Beyond | t.Between, known: Facts) -> frozenset[str]:
    if isinstance(op, t.Between):
        return frozenset(c for c, (a, b) in known.ranges.items() if a < op.end and op.start < b)
    clips = known.happening.get(plain(op.event or ""), frozenset())
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


def _names(here: list[_Here], known: Facts) -> tuple[str, ...]:
    """The different things or values in `here`, as a viewer tells them apart."""
    if len(here) == 1:
        return (_name(here[0], known),)
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


def _joined(here: list[_Here]) -> list[_Here]:
    """Places reached in more than one way hold at the times of all of them."""
    if len(here) < 2:
        return here
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
