"""The invariants of every level: one table of rules, each with a code and a sentence.

The table is the IR's specification. It runs after every pass (`--verify-each`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from stepc.diagnostics import Diagnostic, Place
from stepc.edges import EDGES
from stepc.forms import FORMS
from stepc.ir import types as t
from stepc.ir.graph import entities, identities
from stepc.ir.literals import seconds
from stepc.ir.text import Read, statement
from stepc.ir.words import mentions, normal, plain, unfinished

Finding = tuple[str, t.Value | None]
"""What is wrong, and the statement it is wrong in."""


@dataclass(frozen=True)
class Rule:
    """One invariant of the levels from `since` on (up to `until`)."""

    code: str
    says: str
    since: str
    check: Callable[[t.Unit], Iterator[Finding]]
    until: str = "qra"


_ORDER = list(t.LEVELS)
RULES: list[Rule] = []


def _rule(
    code: str, says: str, since: str, until: str = "qra"
) -> Callable[[Callable[..., Iterator[Finding]]], Callable[..., Iterator[Finding]]]:
    def add(check: Callable[..., Iterator[Finding]]) -> Callable[..., Iterator[Finding]]:
        RULES.append(Rule(code, says, since, check, until))
        return check

    return add


def _edges(u: t.Unit) -> Iterator[tuple[Any, tuple[str, ...]]]:
    for r in getattr(u, "relations", ()):
        yield r, (r.subject, r.object)
    for m in getattr(u, "motions", ()):
        yield m, (m.source, m.target)
    for f in getattr(u, "references", ()):
        yield f, (f.first, f.second)


def _elements(u: t.Unit) -> Iterator[Any]:
    for name in ("objects", "attributes", "relations", "motions", "references", "events"):
        yield from getattr(u, name, ())


@_rule("V001", "no two nodes, clips, paths or samples have one id", "clips")
def _unique_ids(u: t.Unit) -> Iterator[Finding]:
    values: list[Any] = [*u.clips, *(k for c in u.clips for k in c.keyframes)]
    for name in ("objects", "attributes", "paths", "samples"):
        values += getattr(u, name, ())
    seen = Counter(v.id for v in values)
    for v in values:
        if seen[v.id] > 1:
            yield f"`{v.id}` is the id of {seen[v.id]} things", v
            seen[v.id] = 1


@_rule("V002", "votes are no more than the answers asked for", "fsg")
def _votes(u: t.Unit) -> Iterator[Finding]:
    for e in _elements(u):
        if e.trust.votes > e.trust.asked:
            yield f"{e.trust.votes} votes of {e.trust.asked}", e


@_rule("V003", "every clip and keyframe that an element names is there", "fsg")
def _places(u: t.Unit) -> Iterator[Finding]:
    clips, frames = {c.id for c in u.clips}, u.keyframes
    for e in _elements(u):
        place = t.frame_of(e.place) if hasattr(e, "place") else None
        named = [f for f in getattr(e, "frames", ()) if f not in frames]
        if place and place not in frames:
            named.append(place)
        if t.clip_of(e.place) not in clips:
            named.append(t.clip_of(e.place))
        if named:
            yield f"`{named[0]}` is not in the unit", e


@_rule("V011", "clips are in order, do not overlap, and lie inside the video", "clips")
def _clips(u: t.Unit) -> Iterator[Finding]:
    at = 0
    for c in u.clips:
        if not at <= c.start < c.end:
            yield f"{c.id} spans {seconds(c.start)} to {seconds(c.end)} after {seconds(at)}", c
        at = max(at, c.end)
    if u.clips and at > u.video.duration:
        yield f"clips end at {seconds(at)}, the video at {seconds(u.video.duration)}", u.clips[-1]


@_rule("V012", "keyframes lie inside their clip, in order, no two at one time", "clips")
def _keyframes(u: t.Unit) -> Iterator[Finding]:
    for c in u.clips:
        last = -1
        for k in c.keyframes:
            if t.clip_of(k.id) != c.id:
                yield f"`{k.id}` is not of {c.id}", k
            if not c.start <= k.at < c.end:
                yield f"{k.id} at {seconds(k.at)} is outside {c.id}", k
            elif k.at <= last:
                yield f"{k.id} at {seconds(k.at)} is not after the one before", k
            last = k.at


@_rule("V013", "every clip has a keyframe", "fsg")
def _has_keyframe(u: t.Unit) -> Iterator[Finding]:
    for c in u.clips:
        if not c.keyframes:
            yield f"{c.id} has none", c


@_rule("V021", "an edge joins two objects that are there", "fsg")
def _ends(u: t.Fsg) -> Iterator[Finding]:
    ids = {o.id for o in u.objects}
    for e, ends in _edges(u):
        for end in ends:
            if end not in ids:
                yield f"there is no object `{end}`", e


@_rule("V022", "an attribute belongs to an object that is there", "fsg")
def _owners(u: t.Fsg) -> Iterator[Finding]:
    ids = {o.id for o in u.objects}
    for a in u.attributes:
        if a.owner not in ids:
            yield f"there is no object `{a.owner}`", a


@_rule("V023", "no two edges are the same", "fsg")
def _distinct(u: t.Unit) -> Iterator[Finding]:
    seen: set[tuple[str, ...]] = set()
    for e, ends in _edges(u):
        word = getattr(e, "predicate", getattr(e, "motion", ""))
        key = (e.op, *ends, plain(word))
        if key in seen:
            yield "this edge is there twice", e
        seen.add(key)


@_rule("V024", "no edge joins an object to itself", "fsg")
def _loops(u: t.Unit) -> Iterator[Finding]:
    for e, (one, other) in _edges(u):
        if one == other:
            yield f"both ends are `{one}`", e


@_rule("V025", "a relation joins objects of one keyframe or of one clip", "fsg")
def _together(u: t.Fsg) -> Iterator[Finding]:
    for r in u.relations:
        frames = {f for f in (t.frame_of(r.subject), t.frame_of(r.object)) if f}
        if t.clip_of(r.subject) != t.clip_of(r.object) or len(frames) > 1:
            yield f"`{r.subject}` and `{r.object}` are never seen together", r


@_rule("V026", "an element holds only where its ends are seen", "fsg")
def _seen(u: t.Fsg) -> Iterator[Finding]:
    seen = {o.id: set(o.frames) for o in u.objects}
    for o in u.objects:
        frame = t.frame_of(o.id)
        if frame is not None and o.frames != (frame,):
            yield f"an object of {frame} is seen in that keyframe alone", o
    held: list[tuple[t.Element, tuple[str, ...], tuple[str, ...]]] = []
    held += [(r, (r.subject, r.object), r.frames) for r in u.relations]
    held += [(a, (a.owner,), a.frames) for a in u.attributes]
    for e, ends, frames in held:
        for end in ends:
            if end in seen and not set(frames) <= seen[end]:
                yield f"`{end}` is not seen in all of {' '.join(frames)}", e


@_rule("V031", "objects of fsg lie in keyframes", "fsg", "fsg")
def _frame_level(u: t.Fsg) -> Iterator[Finding]:
    for o in u.objects:
        if t.frame_of(o.id) is None:
            yield f"`{o.id}` is of no keyframe", o


@_rule("V032", "a merged object is static, and its sources are of its clip and used once", "tsg")
def _merged(u: t.Tsg) -> Iterator[Finding]:
    used: set[str] = set()
    for o in u.objects:
        if t.frame_of(o.id) is None and o.op != "static":
            yield f"`{o.id}` is dynamic but of a whole clip", o
        for source in o.origin.nodes:
            if t.clip_of(source) != t.clip_of(o.id) or source in used:
                yield f"`{source}` is of another clip or merged twice", o
            used.add(source)


@_rule("V033", "a motion joins one dynamic object at two times of a clip, forwards", "tsg")
def _motions(u: t.Tsg) -> Iterator[Finding]:
    objects, frames = {o.id: o for o in u.objects}, u.keyframes
    for m in u.motions:
        one, two = objects.get(m.source), objects.get(m.target)
        if one is None or two is None:
            continue
        first, last = t.frame_of(one.id), t.frame_of(two.id)
        if "static" in (one.op, two.op):
            yield "a static object does not move", m
        elif t.clip_of(one.id) != t.clip_of(two.id) or first is None or last is None:
            yield "its ends are not keyframes of one clip", m
        elif first in frames and last in frames and frames[first].at >= frames[last].at:
            yield "it goes backwards in time", m
        elif normal(one.label) != normal(two.label):
            yield f"`{one.label}` and `{two.label}` are not one object", m


@_rule("V034", "a motion's interval is that of its keyframes", "tsg")
def _interval(u: t.Tsg) -> Iterator[Finding]:
    frames = u.keyframes
    for m in u.motions:
        first, last = t.frame_of(m.source), t.frame_of(m.target)
        if first in frames and last in frames:
            start, end = frames[first].at, frames[last].at
            if (m.start, m.end) != (start, end):
                yield f"its keyframes are at {seconds(start)} and {seconds(end)}", m


@_rule("V041", "a reference joins objects of two clips, the earlier first", "stsg")
def _references(u: t.Stsg) -> Iterator[Finding]:
    for r in u.references:
        if int(t.clip_of(r.first)[1:]) >= int(t.clip_of(r.second)[1:]):
            yield f"{t.clip_of(r.first)} is not before {t.clip_of(r.second)}", r


@_rule("V042", "a clip has at most one event, within its time", "stsg")
def _events(u: t.Stsg) -> Iterator[Finding]:
    spans = {c.id: c for c in u.clips}
    seen: set[str] = set()
    for e in u.events:
        if e.clip in seen:
            yield f"{e.clip} has a second event", e
        seen.add(e.clip)
        clip = spans.get(e.clip)
        if clip and not clip.start <= e.start < e.end <= clip.end:
            yield f"its time is not within {e.clip}", e


@_rule("V043", "references agree: what is one object is one in every clip", "stsg")
def _equivalence(u: t.Stsg) -> Iterator[Finding]:
    group = identities(u)
    clips: dict[tuple[int, str], set[int]] = {}
    entity = entities(u)
    for r in u.references:
        for end in (r.first, r.second):
            if end in entity:
                clips.setdefault((group[entity[end]], t.clip_of(end)), set()).add(entity[end])
    for r in u.references:
        if r.first in entity:
            for clip in (t.clip_of(r.first), t.clip_of(r.second)):
                if len(clips.get((group[entity[r.first]], clip), ())) > 1:
                    yield f"two objects of {clip} would be one", r
                    break


@_rule("V061", "every step's edge is in the graph", "paths")
def _steps(u: t.Paths) -> Iterator[Finding]:
    known = {name: kind.in_graph(u) for name, kind in EDGES.items()}
    for p in u.paths:
        for s in (*p.steps, *p.also):
            if s.edge not in known or not known[s.edge](s):
                yield f"{p.id}: there is no edge {s.edge} {s.near} {s.far}", p


@_rule("V062", "a path has a step, no more than wanted, and visits no node twice", "paths")
def _chain(u: t.Paths) -> Iterator[Finding]:
    for p in u.paths:
        if p.form not in FORMS:
            yield f"there is no form `{p.form}`", p
            continue
        if not 1 <= len(p.steps) <= p.wanted:
            yield f"{len(p.steps)} steps where {p.wanted} were wanted", p
        compares = FORMS[p.form].compares
        if compares and len(p.steps) != 2:
            yield f"it compares {len(p.steps)} edges", p
        told = ("motion", "=>")  # finds a word, whose far end is the object later
        found = [s.word if (s.edge, s.way) == told else s.found for s in p.steps if s.way != "--"]
        if not compares and len(set(found)) < len(found):
            yield "a node is found twice", p


@_rule("V063", "a path's time range is that of a clip, by its event or in seconds", "paths")
def _during(u: t.Paths) -> Iterator[Finding]:
    events, clips = {e.clip for e in u.events}, {c.id for c in u.clips}
    for p in u.paths:
        visited = {t.clip_of(i) for s in p.steps for i in (s.near, s.far) if i.startswith("c")}
        if (p.time is None) != (p.clip is None):
            yield "a way to give the time without a clip, or a clip without one", p
        elif p.time == "during" and (p.clip not in events or p.clip not in visited):
            yield f"{p.clip} has no event or is not visited", p
        elif p.time in ("before", "after") and p.clip not in events:
            yield f"{p.clip} has no event", p
        elif p.time == "span" and p.clip not in clips:
            yield f"`{p.clip}` is not in the unit", p


@_rule("V064", "a query begins with a scope and ends with what it gets", "paths")
def _queries(u: t.Paths) -> Iterator[Finding]:
    for p in u.paths:
        roles = [op.ROLE for op in p.query]
        if len(roles) < 3 or roles[0] != "scope" or roles[-1] != "end":
            yield f"{p.id}: its query is no query", p


@_rule("V071", "a sample comes of a path, with one sentence for each of its steps", "qra")
def _aligned(u: t.Qras) -> Iterator[Finding]:
    paths = {p.id: p for p in u.paths}
    for s in u.samples:
        path = paths.get(s.path)
        if path is None:
            yield f"there is no path `{s.path}`", s
        elif len(path.steps) != len(s.rationale):
            yield f"{len(s.rationale)} sentences for {len(path.steps)} steps", s


def hidden(s: t.Sample) -> tuple[str, ...]:
    """What a sample's question may not say: its answers, and those of its steps."""
    steps = tuple(b.answer for b in s.rationale)
    if s.form == "yes-no":
        return steps[:-1]
    return steps if s.form == "compare" else (s.answer, *s.also, *steps)


@_rule("V072", "no question contains its answer or a sub-answer", "qra")
def _leaks(u: t.Qras) -> Iterator[Finding]:
    for s in u.samples:
        for answer in hidden(s):
            if mentions(s.question, answer):
                yield f"`{answer}` is in the question", s
                break


@_rule("V073", "no text is empty or holds a placeholder", "qra")
def _texts(u: t.Qras) -> Iterator[Finding]:
    for s in u.samples:
        texts = [
            s.question,
            s.answer,
            *s.options,
            *(x for b in s.rationale for x in (b.question, b.text)),
        ]
        if unfinished(*texts):
            yield f"{s.id} has an unfinished text", s


@_rule("V074", "a sample has what its form needs: a claim, or options with its answer", "qra")
def _forms(u: t.Qras) -> Iterator[Finding]:
    for s in u.samples:
        few = len(s.options) + s.room < 2
        if s.form == "choice" and (few or s.answer not in s.options):
            yield f"{s.id} chooses from {', '.join(s.options) or 'nothing'}", s
        elif s.options and s.form not in ("choice", "compare"):
            yield f"{s.id} is {s.form} and has options", s
        elif len(set(s.options)) < len(s.options):
            yield f"{s.id} has an option twice", s
        if (s.form == "yes-no") != bool(s.claim):
            yield f"{s.id} claims {s.claim!r}", s
        elif s.form == "yes-no" and s.answer.lower() not in ("yes", "no"):
            yield f"{s.id} answers {s.answer!r}", s


def verify(unit: t.Unit, read: Read | None = None, file: str = "") -> list[Diagnostic]:
    """All broken invariants of `unit`; with `read`, each with its line in the text."""
    level = _ORDER.index(unit.LEVEL)
    found: list[Diagnostic] = []
    for rule in RULES:
        if not _ORDER.index(rule.since) <= level <= _ORDER.index(rule.until):
            continue
        for what, value in rule.check(unit):
            place = Place(file or unit.name)
            if read is not None and value in read.lines:
                source = _line(value)
                place = Place(file, read.lines[value], 1, max(1, len(source)), source)
            elif value is not None:
                what += f" (in `{_line(value)}`)"
            found.append(Diagnostic(rule.code, f"{rule.says}: {what}", place))
    return found


def _line(value: t.Value) -> str:
    if isinstance(value, t.Element):
        return statement(value)
    kind = type(value).__name__.lower().replace("keyframe", "frame")
    return f"{kind:7} {getattr(value, 'id', '')}"
