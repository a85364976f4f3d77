"""The invariants of every IR level, as a table of rules. Each rule has a code and a sentence.

The table is the specification of the IR. `--verify-each` checks it after every pass.
"""

# Long: the rules of all levels are one table.

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from stepc.diagnostics import Diagnostic, Place
from stepc.edges import EDGES, ELEMENTS
from stepc.forms import FORMS
from stepc.ir import types as t
from stepc.ir.geometry import holds
from stepc.ir.graph import entities, identities, identities_only, statements
from stepc.ir.literals import seconds, span
from stepc.ir.text import Read, denial, statement
from stepc.ir.words import mentions, normal, plain, unfinished
from stepc.runtime.word_lists import forms

Finding = tuple[str, t.Value | None]
"""(what is wrong, the element with the error or None)."""


@dataclass(frozen=True)
class Rule:
    """One invariant. It applies to the levels from `since` to `until`."""

    code: str
    says: str
    since: str
    check: Callable[[t.Unit], Iterator[Finding]]
    until: str = "qra"
    severity: str = "error"
    """`warning` if what breaks it may be as it is."""


_E = TypeVar("_E", bound=t.Element)
_ORDER = list(t.LEVELS)
RULES: list[Rule] = []


def _rule(
    code: str, says: str, since: str, until: str = "qra", severity: str = "error"
) -> Callable[[Callable[..., Iterator[Finding]]], Callable[..., Iterator[Finding]]]:
    def add(check: Callable[..., Iterator[Finding]]) -> Callable[..., Iterator[Finding]]:
        RULES.append(Rule(code, says, since, check, until, severity))
        return check

    return add


_FIELDS = ("objects", "attributes", "relations", "motions", "references", "events")


def _edges(u: t.Unit) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """All edges with their ends, stated and denied."""
    for e in _elements(u):
        if isinstance(e, t.Relation):
            yield e, (e.subject, e.object)
        elif isinstance(e, t.Motion):
            yield e, (e.source, e.target)
        elif isinstance(e, t.Reference):
            yield e, (e.first, e.second)


def _of(u: t.Unit, kind: type[_E]) -> Iterator[_E]:
    """All elements of a kind, stated and denied."""
    return (e for e in _elements(u) if isinstance(e, kind))


def _elements(u: t.Unit) -> Iterator[Any]:
    """All elements, stated and denied."""
    for name in (*_FIELDS, "denied"):
        yield from getattr(u, name, ())


@_rule("V001", "ids of nodes, clips, keyframes, paths and samples must be unique", "clips")
def _unique_ids(u: t.Unit) -> Iterator[Finding]:
    values: list[Any] = [*u.clips, *(k for c in u.clips for k in c.keyframes)]
    for name in ("objects", "attributes", "paths", "samples"):
        values += getattr(u, name, ())
    seen = Counter(v.id for v in values)
    for v in values:
        if seen[v.id] > 1:
            yield f"`{v.id}` is used {seen[v.id]} times", v
            seen[v.id] = 1


@_rule("V002", "an element must not have more votes than sampled answers", "fsg")
def _votes(u: t.Unit) -> Iterator[Finding]:
    for e in _elements(u):
        if e.trust.votes > e.trust.asked:
            yield f"{e.trust.votes} votes in {e.trust.asked} answers", e


@_rule("V004", "an entry of the lexicon is about two words, and is stated once", "fsg")
def _lexicon(u: t.Fsg) -> Iterator[Finding]:
    seen: set[tuple[str, ...]] = set()
    for e in u.lexicon:
        same = normal if e.of == "label" else plain
        key = (e.of, same(e.one), e.how, same(e.other))
        if e.trust.votes > e.trust.asked:
            yield f"{e.trust.votes} votes in {e.trust.asked} answers", e
        elif key[1] == key[3]:
            yield f"`{e.one}` is related to itself", e
        elif key in seen:
            yield "it is stated twice", e
        seen.add(key)


@_rule("V005", "no two names of an object are the same", "fsg")
def _called(u: t.Fsg) -> Iterator[Finding]:
    for o in u.objects:
        names = [normal(x) for x in (o.label, *o.called)] if o.called else []
        if len({*names}) < len(names):
            yield f"`{o.id}` has a name twice", o


@_rule(
    "V006",
    "a box has a width and a height, and is that of one object in one of its keyframes",
    "fsg",
)
def _boxes(u: t.Fsg) -> Iterator[Finding]:
    frames = {o.id: o.frames for o in u.objects}
    seen: set[tuple[str, str]] = set()
    for b in u.boxes:
        if b.owner not in frames:
            yield f"object `{b.owner}` does not exist", b
        elif b.frame not in frames[b.owner]:
            yield f"`{b.owner}` is not visible in {b.frame}", b
        elif b.left >= b.right or b.top >= b.bottom:
            yield f"{b.left} {b.top} {b.right} {b.bottom} is no area", b
        elif (b.owner, b.frame) in seen:
            yield f"`{b.owner}` has two boxes in {b.frame}", b
        seen.add((b.owner, b.frame))


@_rule("V007", "the boxes of a track are those of one object, and of no other track", "fsg")
def _tracks(u: t.Fsg) -> Iterator[Finding]:
    entity, objects = entities(u), {o.id: o for o in u.objects}
    of_track: dict[tuple[str, int], t.Object] = {}
    of_entity: dict[tuple[str, int], int] = {}
    there: set[tuple[str, int]] = set()
    for b in u.boxes:
        if b.track is None or b.owner not in objects:
            continue
        clip, o = t.clip_of(b.owner), objects[b.owner]
        if (b.frame, b.track) in there:
            yield f"track {b.track} has two boxes in {b.frame}", b
            continue
        there.add((b.frame, b.track))
        if not isinstance(u, t.Tsg):  # objects of keyframes are merged later
            continue
        first = of_track.setdefault((clip, b.track), o)
        if "static" in (o.op, first.op) and o is not first:
            yield (
                f"track {b.track} of {clip} is of two objects, and a static one is one in its clip",
                b,
            )
        elif normal(first.label) != normal(o.label):
            yield f"`{first.label}` and `{o.label}` are not the same object", b
        elif of_entity.setdefault((clip, entity[o.id]), b.track) != b.track:
            yield f"`{b.owner}` has two tracks in {clip}", b


@_rule(
    "V008",
    "the points of a track have an area, and are in its clip in order; a clip uses a number once",
    "fsg",
)
def _points(u: t.Fsg) -> Iterator[Finding]:
    spans = {c.id: (c.start, c.end) for c in u.clips}
    seen: set[tuple[str, int]] = set()
    for track in u.tracks:
        if track.clip not in spans:
            yield f"`{track.clip}` does not exist", track
            continue
        if (track.clip, track.number) in seen:
            yield f"{track.clip} has track {track.number} twice", track
        seen.add((track.clip, track.number))
        start, end = spans[track.clip]
        last = start - 1
        for p in track.points:
            if p.left >= p.right or p.top >= p.bottom:
                yield f"{p.left} {p.top} {p.right} {p.bottom} is no area", track
            elif not last < p.at < end:
                yield f"{seconds(p.at)} is out of order or outside {track.clip}", track
            last = p.at


@_rule("V009", "no stated spatial relation contradicts the boxes", "fsg", severity="warning")
def _contradicted(u: t.Fsg) -> Iterator[Finding]:
    boxes = {(b.owner, b.frame): b for b in u.boxes}
    for r in u.relations if boxes else ():
        for frame in r.frames:
            one, other = boxes.get((r.subject, frame)), boxes.get((r.object, frame))
            if one and other and holds(r.predicate, one, other) is False:
                yield f"by their boxes in {frame}, it is not", r
                break


@_rule("V003", "every clip and keyframe that an element names must exist", "fsg")
def _places(u: t.Unit) -> Iterator[Finding]:
    clips, frames = {c.id for c in u.clips}, u.keyframes
    for e in (*_elements(u), *getattr(u, "gaps", ())):
        place = t.frame_of(e.place) if hasattr(e, "place") else None
        named = [f for f in getattr(e, "frames", ()) if f not in frames]
        if place and place not in frames:
            named.append(place)
        if t.clip_of(e.place) not in clips:
            named.append(t.clip_of(e.place))
        if named:
            yield f"`{named[0]}` does not exist", e


@_rule("V011", "clips must be in order, not overlap, and be within the video", "clips")
def _clips(u: t.Unit) -> Iterator[Finding]:
    at = 0
    for c in u.clips:
        if not at <= c.start < c.end:
            yield (
                f"{c.id} is {span(c.start, c.end)}, and the previous clip ends at {seconds(at)}",
                c,
            )
        at = max(at, c.end)
    if u.clips and at > u.video.duration:
        yield (
            f"clips end at {seconds(at)}, the video ends at {seconds(u.video.duration)}",
            u.clips[-1],
        )


@_rule("V012", "keyframes must be within their clip, in order, and at different times", "clips")
def _keyframes(u: t.Unit) -> Iterator[Finding]:
    for c in u.clips:
        last = -1
        for k in c.keyframes:
            if t.clip_of(k.id) != c.id:
                yield f"`{k.id}` is not a keyframe of {c.id}", k
            if not c.start <= k.at < c.end:
                yield f"{k.id} at {seconds(k.at)} is outside {c.id}", k
            elif k.at <= last:
                yield f"{k.id} at {seconds(k.at)} is not after the previous keyframe", k
            last = k.at


@_rule("V013", "every clip must have a keyframe", "fsg")
def _has_keyframe(u: t.Unit) -> Iterator[Finding]:
    for c in u.clips:
        if not c.keyframes:
            yield f"{c.id} has no keyframe", c


@_rule("V021", "both ends of an edge must be existing objects", "fsg")
def _ends(u: t.Fsg) -> Iterator[Finding]:
    ids = {o.id for o in u.objects}
    for e, ends in _edges(u):
        for end in ends:
            if end not in ids:
                yield f"object `{end}` does not exist", e


@_rule("V022", "an attribute must belong to an existing object", "fsg")
def _owners(u: t.Fsg) -> Iterator[Finding]:
    ids = {o.id for o in u.objects}
    for a in _of(u, t.Attribute):
        if a.owner not in ids:
            yield f"object `{a.owner}` does not exist", a


@_rule("V023", "edges must be unique", "fsg")
def _distinct(u: t.Unit) -> Iterator[Finding]:
    seen: set[tuple[object, ...]] = set()
    for e, ends in _edges(u):
        word = getattr(e, "predicate", getattr(e, "motion", ""))
        key = (e.op, *ends, plain(word), e.trust.verdict == "no")
        if key in seen:
            yield "duplicate edge", e
        seen.add(key)


@_rule("V024", "an edge must connect two different objects", "fsg")
def _loops(u: t.Unit) -> Iterator[Finding]:
    for e, (one, other) in _edges(u):
        if one == other:
            yield f"both ends are `{one}`", e


@_rule("V025", "a relation must connect objects of the same keyframe or the same clip", "fsg")
def _together(u: t.Fsg) -> Iterator[Finding]:
    for r in _of(u, t.Relation):
        frames = {f for f in (t.frame_of(r.subject), t.frame_of(r.object)) if f}
        if t.clip_of(r.subject) != t.clip_of(r.object) or len(frames) > 1:
            yield f"`{r.subject}` and `{r.object}` are never visible together", r


@_rule("V026", "an element must hold only in keyframes in which its ends are visible", "fsg")
def _seen(u: t.Fsg) -> Iterator[Finding]:
    seen = {o.id: set(o.frames) for o in u.objects}
    for o in _of(u, t.Object):
        frame = t.frame_of(o.id)
        if frame is not None and o.frames != (frame,):
            yield f"an object of {frame} is visible only in that keyframe", o
    held: list[tuple[t.Element, tuple[str, ...], tuple[str, ...]]] = []
    held += [(r, (r.subject, r.object), r.frames) for r in _of(u, t.Relation)]
    held += [(a, (a.owner,), a.frames) for a in _of(u, t.Attribute)]
    for e, ends, frames in held:
        for end in ends:
            if end in seen and not set(frames) <= seen[end]:
                yield f"`{end}` is not visible in all of {' '.join(frames)}", e


@_rule(
    "V027", "a fact is denied if and only if its verdict is no, and is not stated as well", "fsg"
)
def _denials(u: t.Fsg) -> Iterator[Finding]:
    stated = {k for name in _FIELDS for e in getattr(u, name, ()) for k in statements(e)}
    for name in _FIELDS:
        for e in getattr(u, name, ()):
            if e.trust.verdict == "no":
                yield "its verdict is no, so it is written with `no` in front", e
    names = Counter(e.id for e in u.denied if isinstance(e, t.Object | t.Attribute))
    for e in u.denied:
        field = {"motion": "motions", "event": "events"}.get(e.op, "objects")
        if e.trust.verdict != "no":
            yield f"its verdict is {e.trust.verdict}", e
        elif field not in type(u).model_fields:
            yield f"level {u.LEVEL} has no {field}", e
        elif stated & set(statements(e)):
            yield "it is stated as well", e
        elif isinstance(e, t.Object | t.Attribute) and names[e.id] > 1:
            yield f"`{e.id}` is used {names[e.id]} times", e


@_rule("V029", "the time range of a relation is in its clip and contains its keyframes", "fsg")
def _during_relation(u: t.Fsg) -> Iterator[Finding]:
    clips, frames = {c.id: c for c in u.clips}, u.keyframes
    for r in _of(u, t.Relation):
        clip = clips.get(t.clip_of(r.subject))
        if r.during is None or clip is None:
            continue
        start, end = r.during
        if not clip.start <= start < end <= clip.end:
            yield f"{span(start, end)} is not within {clip.id}", r
        elif any(not start <= frames[f].at <= end for f in r.frames if f in frames):
            yield f"a keyframe is not within {span(start, end)}", r


_GAPS: dict[str, str] = {
    "object": "keyframe",
    "attr": "keyframe or object",
    "rel": "keyframe or pair of objects seen together",
    "motion": "clip, object, or object at two times",
    "event": "clip",
}
"""Kind of fact → where a gap may be."""


@_rule("V028", "a gap is stated once, at a place that exists and fits its kind of fact", "fsg")
def _gaps(u: t.Fsg) -> Iterator[Finding]:
    seen: set[t.Gap] = set()
    objects = {o.id for o in u.objects} | {n for o in u.objects for n in o.origin.nodes}
    for gap in u.gaps:
        named = [x for x in (gap.where, gap.other) if x is not None and "/" in x]
        if not _fits(gap, len(named)):
            yield f"{' '.join(named) or gap.where} is not a {_GAPS[gap.what]}", gap
        elif gone := [x for x in named if x not in objects]:
            yield f"object `{gone[0]}` does not exist", gap
        elif gap in seen:
            yield "it is stated twice", gap
        elif gap.word is not None and (gap.what, len(named)) not in (("rel", 2), ("object", 0)):
            yield "a word is a predicate of two objects, or a label of a keyframe", gap
        seen.add(gap)


def _fits(gap: t.Gap, objects: int) -> bool:
    """Whether the place of a gap, which names some objects, is one for its kind of fact."""
    one, two = t.frame_of(gap.where), t.frame_of(gap.other or gap.where)
    if objects == 2:
        together = t.clip_of(gap.where) == t.clip_of(gap.other or "") and gap.where != gap.other
        if gap.what == "rel":
            return together and (one == two or None in (one, two))
        return together and gap.what == "motion" and None not in (one, two) and one != two
    if objects == 1:
        return gap.other is None and gap.what in ("attr", "motion") and one is not None
    return gap.other is None and (gap.what in ("motion", "event")) == (one is None)


@_rule("V031", "at level fsg, every object must belong to a keyframe", "fsg", "fsg")
def _frame_level(u: t.Fsg) -> Iterator[Finding]:
    for o in u.objects:
        if t.frame_of(o.id) is None:
            yield f"`{o.id}` belongs to no keyframe", o


@_rule(
    "V032",
    "a merged object must be static, and its sources must be in its clip and merged once",
    "tsg",
)
def _merged(u: t.Tsg) -> Iterator[Finding]:
    used: set[str] = set()
    for o in u.objects:
        if t.frame_of(o.id) is None and o.op != "static":
            yield f"`{o.id}` belongs to a whole clip but is dynamic", o
        for source in o.origin.nodes:
            if t.clip_of(source) != t.clip_of(o.id) or source in used:
                yield f"`{source}` is in another clip or merged twice", o
            used.add(source)


@_rule(
    "V033",
    "a motion must connect one dynamic object at two times in a clip, earlier time first",
    "tsg",
)
def _motions(u: t.Tsg) -> Iterator[Finding]:
    objects, frames = {o.id: o for o in u.objects}, u.keyframes
    for m in _of(u, t.Motion):
        one, two = objects.get(m.source), objects.get(m.target)
        if one is None or two is None:
            continue
        first, last = t.frame_of(one.id), t.frame_of(two.id)
        if "static" in (one.op, two.op):
            yield "a static object cannot move", m
        elif t.clip_of(one.id) != t.clip_of(two.id) or first is None or last is None:
            yield "its ends are not in keyframes of one clip", m
        elif first in frames and last in frames and frames[first].at >= frames[last].at:
            yield "it goes back in time", m
        elif normal(one.label) != normal(two.label):
            yield f"`{one.label}` and `{two.label}` are not the same object", m


@_rule("V034", "the interval of a motion must be that of its keyframes", "tsg")
def _interval(u: t.Tsg) -> Iterator[Finding]:
    frames = u.keyframes
    for m in _of(u, t.Motion):
        first, last = t.frame_of(m.source), t.frame_of(m.target)
        if first in frames and last in frames:
            start, end = frames[first].at, frames[last].at
            if (m.start, m.end) != (start, end):
                yield f"its keyframes are at {seconds(start)} and {seconds(end)}", m


@_rule("V041", "a reference must connect objects of two clips, earlier clip first", "stsg")
def _references(u: t.Stsg) -> Iterator[Finding]:
    for r in u.references:
        if int(t.clip_of(r.first)[1:]) >= int(t.clip_of(r.second)[1:]):
            yield f"{t.clip_of(r.first)} is not before {t.clip_of(r.second)}", r


@_rule("V042", "a clip must have at most one event, within the time of the clip", "stsg")
def _events(u: t.Stsg) -> Iterator[Finding]:
    spans = {c.id: c for c in u.clips}
    seen: set[str] = set()
    for e in _of(u, t.Event):
        if e.trust.verdict != "no":
            if e.clip in seen:
                yield f"{e.clip} has a second event", e
            seen.add(e.clip)
        clip = spans.get(e.clip)
        if clip and not clip.start <= e.start < e.end <= clip.end:
            yield f"its time is not within {e.clip}", e


@_rule("V043", "references must not make two objects of one clip the same", "stsg")
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
                    yield f"two objects of {clip} are linked", r
                    break


def _with_denied(u: t.Paths) -> t.Paths:
    """The unit with the denied edges in place of the stated ones."""
    made: dict[str, tuple[t.Element, ...]] = {}
    for kind in ELEMENTS.values():
        if (type_ := kind.element) is not None:
            made[kind.field] = tuple(e for e in u.denied if isinstance(e, type_))
    return u.model_copy(update=made)


@_rule("V061", "the edge of every step must be in the graph", "paths")
def _steps(u: t.Paths) -> Iterator[Finding]:
    stated = {name: kind.in_graph(u) for name, kind in EDGES.items()}
    denied = {name: kind.in_graph(_with_denied(u)) for name, kind in EDGES.items()}
    for p in u.paths:
        for s in (*p.steps, *p.also):
            known = denied if s.denied else stated
            if s.edge not in known or not known[s.edge](s):
                yield f"{p.id}: edge {s.edge} {s.near} {s.far} does not exist", p


@_rule(
    "V062",
    "a path must have at least one step that counts, no more than wanted, and find no node twice",
    "paths",
)
def _chain(u: t.Paths) -> Iterator[Finding]:
    identity = identities_only(u)
    for p in u.paths:
        if p.form not in FORMS:
            yield f"unknown form `{p.form}`", p
            continue
        count = sum(not identity(s) for s in p.steps)
        if not 1 <= count <= p.wanted:
            yield f"it has {count} steps, wanted {p.wanted}", p
        compares = FORMS[p.form].compares
        if compares and len(p.steps) != 2:
            yield f"a comparison has 2 steps, this has {len(p.steps)}", p
        told = ("motion", "=>")  # what it finds is a word; its far end is the later object
        found = [s.word if (s.edge, s.way) == told else s.found for s in p.steps if s.way != "--"]
        if not (compares or p.pattern) and len(set(found)) < len(found):
            yield "a node is found twice", p


@_rule("V063", "the time range of a path must be that of an event or clip of the video", "paths")
def _during(u: t.Paths) -> Iterator[Finding]:
    events, clips = {e.clip for e in u.events}, {c.id for c in u.clips}
    for p in u.paths:
        visited = {t.clip_of(i) for s in p.steps for i in (s.near, s.far) if i.startswith("c")}
        if (p.time is None) != (p.clip is None):
            yield "a kind of time range without a clip, or a clip without a kind", p
        elif p.time == "during" and (p.clip not in events or p.clip not in visited):
            yield f"{p.clip} has no event or is not visited", p
        elif p.time in ("before", "after") and p.clip not in events:
            yield f"{p.clip} has no event", p
        elif p.time in ("span", "scene", "showing", "moment") and p.clip not in clips:
            yield f"`{p.clip}` does not exist", p


@_rule("V064", "a query must begin with a scope and end with a result operation", "paths")
def _queries(u: t.Paths) -> Iterator[Finding]:
    for p in u.paths:
        if not _is_query(p.query):
            yield f"the query of {p.id} is invalid", p
    for s in u.samples if isinstance(u, t.Qras) else ():
        if not all(_is_query(query) for query in (s.query, *(b.query for b in s.rationale))):
            yield f"a query of {s.id} is invalid", s


def _is_query(query: t.Query) -> bool:
    roles = [op.ROLE for op in query]
    return len(roles) >= 3 and roles[0] == "scope" and roles[-1] == "end"


@_rule("V071", "a sample must belong to a path and have one sentence per step", "qra")
def _aligned(u: t.Qras) -> Iterator[Finding]:
    paths, identity = {p.id: p for p in u.paths}, identities_only(u)
    for s in u.samples:
        path = paths.get(s.path)
        if path is None:
            yield f"path `{s.path}` does not exist", s
            continue
        count = sum(not identity(step) for step in path.told)
        if count != len(s.rationale):
            yield f"{len(s.rationale)} sentences for {count} steps", s


def asks_yes_no(because: t.Because) -> bool:
    """Whether a step is answered by yes or no, which its question may say: 是 is also "is"."""
    return isinstance(because.query[-1] if because.query else None, t.Exists)


def hidden(s: t.Sample) -> tuple[str, ...]:
    """The answers that the question of a sample must not contain: its own and those of its steps."""
    steps = tuple(b.answer for b in s.rationale if not asks_yes_no(b))
    if s.form == "yes-no":
        return steps[:-1]
    return steps if s.form == "compare" else (s.answer, *s.also, *steps)


@_rule("V072", "a question must not contain its answer or a sub-answer", "qra")
def _leaks(u: t.Qras) -> Iterator[Finding]:
    for s in u.samples:
        for answer in hidden(s):
            if mentions(s.question, answer):
                yield f"`{answer}` is in the question", s
                break


@_rule("V073", "texts must not be empty or have unfilled placeholders", "qra")
def _texts(u: t.Qras) -> Iterator[Finding]:
    for s in u.samples:
        texts = [
            s.question,
            s.answer,
            *s.options,
            *(x for b in s.rationale for x in (b.question, b.text)),
        ]
        if unfinished(*texts):
            yield f"{s.id} has an empty or unfilled text", s


@_rule(
    "V074",
    "a sample must have what its form needs: a claim, or options that include the answer",
    "qra",
)
def _forms(u: t.Qras) -> Iterator[Finding]:
    for s in u.samples:
        few = len(s.options) + s.room < 2
        if s.form == "choice" and (few or s.answer not in s.options):
            yield f"the options of {s.id} are {', '.join(s.options) or 'empty'}", s
        elif s.options and s.form not in ("choice", "compare"):
            yield f"{s.id} has form {s.form} but has options", s
        elif len(set(s.options)) < len(s.options):
            yield f"{s.id} has duplicate options", s
        if (s.form == "yes-no") != bool(s.claim):
            yield f"the claim of {s.id} is {s.claim!r}", s
        elif s.form == "yes-no" and s.answer.lower() not in forms("yes") + forms("no"):
            yield f"the answer of {s.id} is {s.answer!r}", s


@_rule(
    "V075",
    "what is noted of a sample must be about its steps, once, and no more than was asked",
    "qra",
)
def _probes(u: t.Qras) -> Iterator[Finding]:
    for s in u.samples:
        shown = [p.shown for p in s.probes]
        known = {"video", "nothing", "keyframe"}
        known |= {f"without {n + 1}" for n in range(len(s.rationale))}
        if len({*shown}) < len(shown) or not known.issuperset(shown):
            yield f"{s.id} has probes {', '.join(shown)}", s
        elif any(p.right > p.asked for p in s.probes):
            yield f"{s.id} has more right answers than answers", s
        elif any(w.step > len(s.rationale) for w in s.wrong):
            yield f"{s.id} has a wrong step {max(w.step for w in s.wrong)}", s


def verify(
    unit: t.Unit, read: Read | None = None, file: str = "", *, warnings: bool = False
) -> list[Diagnostic]:
    """Check all rules of the level of `unit`. Returns one diagnostic (V…) per violation.

    With `read`, each diagnostic has its line in the text. `file` is the file name to report. Rules that only
    warn are checked with `warnings`.
    """
    level = _ORDER.index(unit.LEVEL)
    found: list[Diagnostic] = []
    denied = {*getattr(unit, "denied", ())}
    for rule in RULES:
        if not _ORDER.index(rule.since) <= level <= _ORDER.index(rule.until):
            continue
        if rule.severity == "warning" and not warnings:
            continue
        for what, value in rule.check(unit):
            place = Place(file or unit.name)
            if read is not None and value in read.lines:
                source = _line(value, denied)
                place = Place(file, read.lines[value], 1, max(1, len(source)), source)
            elif value is not None:
                what += f" (in `{_line(value, denied)}`)"
            message = f"{rule.says}: {what}"
            found.append(Diagnostic(rule.code, message, place, severity=rule.severity))
    return found


def _line(value: t.Value, denied: set[t.Denied]) -> str:
    if isinstance(value, t.Element) and value in denied:
        return denial(value)
    if isinstance(value, t.Element | t.Gap | t.Box | t.Track):
        return statement(value)
    kind = type(value).__name__.lower().replace("keyframe", "frame")
    return f"{kind:7} {getattr(value, 'id', '')}"
