"""What a graph does not know: its gaps, and what is the case in place of denied facts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from stepc.ir import types as t
from stepc.proof import words

if TYPE_CHECKING:
    from stepc.proof.facts import Facts


class Unknown:
    """Where a fact may hold that the graph does not state. Each method is a test for such a fact.

    A denied attribute or motion of an object, or a denied event of a clip, in whose place nothing is
    stated, leaves open what is the case instead; only the denied one is known not to be.
    """

    def __init__(self, unit: t.Stsg, known: Facts) -> None:
        self.known = known
        self.frames: defaultdict[str, set[str]] = defaultdict(set)
        """Kind of fact → keyframes with a gap."""
        self.clips: defaultdict[str, set[str]] = defaultdict(set)
        """Kind of fact → clips with a gap."""
        self.things: defaultdict[str, dict[int, set[str]]] = defaultdict(dict)
        """`attr` or `motion` → thing with a gap → keyframes."""
        self.pairs: dict[int, set[str]] = {}
        """Thing → keyframes in which its relations to some other thing are not known."""
        self.predicates: dict[tuple[int, str, str], set[str]] = {}
        """(thing, predicate, way) → keyframes in which it may hold of some other thing."""
        self.doubtful: defaultdict[tuple[int, int | None], set[str]] = defaultdict(set)
        """Two things → keyframes in which a predicate between them that is no comparison is not known."""
        self.labels: defaultdict[str, set[str]] = defaultdict(set)
        """Label → keyframes in which there may be more objects that it calls."""
        self.values: dict[tuple[int, str], dict[str, set[str]]] = {}
        """(thing, attribute kind) → keyframe without a stated value → denied values."""
        self.motions: dict[int, list[str]] = {}
        """Thing → denied motions in whose place nothing is stated."""
        self.events: dict[str, str] = {}
        """Clip without a stated event → denied event, or "" in a gap."""
        self.there: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        """Clip → (label, thing)"""
        for label, things in known.labelled.items():
            for n in things:
                self.there[known.clip[n]].append((label, n))
        self.showing: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        """(label, motion) → clips in which such a thing does this. The motion "" is that it is seen."""
        for clip, seen in self.there.items():
            for label, n in seen:
                does = {known.phrase(m) for m, _, _ in known.does.get(n, ())}
                for motion in ("", *does):
                    self.showing[label, motion].add(clip)
        self._twice: dict[tuple[str, frozenset[str]], bool] = {}
        """Cache of `repeated`."""
        self._gaps(unit)
        self._denied(unit)

    def _gaps(self, unit: t.Stsg) -> None:
        nodes = {n: self.known.thing[o.id] for o in unit.objects for n in (o.id, *o.origin.nodes)}
        for gap in unit.gaps:
            frame = t.frame_of(gap.where)
            one, two = nodes.get(gap.where), nodes.get(gap.other or "")
            if gap.what == "rel" and one is not None and two is not None:
                at = frame or t.frame_of(gap.other or "")
                self._pair(one, gap.word, two, {at} if at else self.known.seen[one])
            elif one is not None:
                things = self.things[gap.what]
                things.setdefault(one, set()).add(frame or "")
            elif frame is not None:
                self.frames[gap.what].add(frame)
                if gap.what == "object":
                    label = words.label(gap.word) if gap.word is not None else ""
                    self.labels[label].add(frame)
            elif gap.what != "event":
                self.clips[gap.what].add(gap.where)
            elif gap.where not in self.known.events:
                self.events[gap.where] = ""

    def _pair(self, one: int, predicate: str | None, two: int, frames: Iterable[str]) -> None:
        """Note that a predicate, or all of them, may hold between two things in some keyframes."""
        if predicate is None:
            for thing in (one, two):
                self.pairs.setdefault(thing, set()).update(frames)
            return
        readings = [(one, self.known.phrase(predicate), two)]
        back = self.known.inverse(predicate)
        readings += [(two, back, one)] if back is not None else []
        for subject, word, object_ in readings:
            if not self.known.is_comparison(word):
                self.doubtful[subject, object_].update(frames)
            for thing, way in ((subject, "=>"), (object_, "<=")):
                self.predicates.setdefault((thing, word, way), set()).update(frames)

    def _denied(self, unit: t.Stsg) -> None:
        known = self.known
        for e in unit.denied:
            if isinstance(e, t.Attribute):
                n = known.thing[e.owner]
                told = {f for kind, _, when in known.has[n] if kind == e.kind for f in when}
                for f in set(e.frames) - told:
                    open_ = self.values.setdefault((n, e.kind), {})
                    open_.setdefault(f, set()).add(known.phrase(e.value))
            elif isinstance(e, t.Motion):
                n = known.thing[e.source]
                if not any(a <= e.start and e.end <= b for _, _, (a, b) in known.does[n]):
                    self.motions.setdefault(n, []).append(known.phrase(e.motion))
            elif isinstance(e, t.Event) and e.clip not in known.events:
                self.events.setdefault(e.clip, known.phrase(e.event))

    # --- may there be more of it? ----------------------------------------------------------

    def objects(
        self, clips: Iterable[str], label: str = "", frames: Iterable[str] | None = None
    ) -> bool:
        """Whether there may be objects in these clips that are not stated; with `label`, such as it calls.

        With `frames`, in these keyframes of the clips.
        """
        if not label:
            return self._in(self.frames["object"], clips, frames)
        own = words.label(label)
        like = {"", own, *self.known.lexicon.related("label", label)}
        noun = self.known.language.class_of(label)
        if noun in ("person", "animal", "vehicle"):  # a person may be a man
            like |= {x for x in self.labels if self.known.language.class_of(x) == noun}
        there = set[str]().union(*(found for x, found in self.labels.items() if x in like))
        return self._in(there, clips, frames)

    @staticmethod
    def _in(gaps: Iterable[str], clips: Iterable[str], frames: Iterable[str] | None) -> bool:
        """Whether one of these keyframes with gaps is in scope."""
        if frames is not None:
            return not {*gaps}.isdisjoint(frames)
        return not {t.clip_of(f) for f in gaps}.isdisjoint(clips)

    def value(self, thing: int, kind: str, when: frozenset[str]) -> bool:
        """Whether a thing may have another value of this kind in some of these keyframes."""
        gaps = self.frames["attr"] | self.things["attr"].get(thing, set())
        return not when.isdisjoint(gaps) or not self.values.get(
            (thing, kind), {}
        ).keys().isdisjoint(when)

    def holders(self, kind: str, value: str, clips: frozenset[str]) -> bool:
        """Whether other things in these clips may have this value."""
        if self.objects(clips) or self._any("attr", clips):
            return True
        value = self.known.phrase(value)
        return any(
            k == kind
            and self.known.clip[n] in clips
            and any(value not in v for v in open_.values())
            for (n, k), open_ in self.values.items()
        )

    def relations(self, thing: int, when: frozenset[str], word: str = "", way: str = "=>") -> bool:
        """Whether a thing may have other relations in some of these keyframes.

        With `word`, relations with this predicate; `way` is `<=` if the thing is their object. Else relations
        to the things that are stated.
        """
        gaps = self.frames["rel"] | self.pairs.get(thing, set())
        if word:
            gaps = gaps | self.frames["object"]
            narrower = self.known.lexicon.narrower("rel", word)
            for each in (self.known.phrase(word), *narrower):
                gaps = gaps | self.predicates.get((thing, each, way), set())
        return not when.isdisjoint(gaps)

    def between(self, thing: int, other: int | None, when: frozenset[str]) -> bool:
        """Whether a predicate may hold between two things that is not stated, in these keyframes."""
        return not when.isdisjoint(self.doubtful.get((thing, other), ()))

    def motion(self, thing: int) -> bool:
        """Whether a thing may do something else."""
        return (
            self.known.clip.get(thing) in self.clips["motion"]
            or thing in self.things["motion"]
            or thing in self.motions
        )

    def movers(self, motion: str, clips: frozenset[str]) -> bool:
        """Whether other things in these clips may do this."""
        if self.objects(clips) or self._any("motion", clips):
            return True
        motion = self.known.phrase(motion)
        return any(
            self.known.clip[n] in clips and any(m != motion for m in denied)
            for n, denied in self.motions.items()
        )

    def happens(self, clip: str) -> bool:
        """Whether something may happen in a clip that is not stated."""
        return clip in self.events

    def event(self, event: str, clips: Iterable[str]) -> bool:
        """Whether an event may happen in one of these clips without being stated there.

        It cannot happen where none of the objects is that its words name, or where none of them does what
        it does in the event.
        """
        open_ = self.events.keys() & set(clips)
        if not open_:
            return False
        text = self.known.phrase(event)
        named = self._named(event)
        return any(
            self.events[clip] != text
            and (
                self.objects((clip,))
                or all(self._takes_part(key, motions, clip) for key, motions in named.items())
            )
            for clip in open_
        )

    def repeated(self, event: str, clips: frozenset[str]) -> bool:
        """Whether the stated motions of another of these clips show an event, whatever its own event is.

        "The ring is moving right" is true of every clip in which a ring moves right.
        """
        key = self.known.phrase(event), clips
        if key not in self._twice:
            named = self._named(event)
            shown = clips - self.known.clips_of(event) if any(named.values()) else frozenset[str]()
            for label, motions in named.items():
                for motion in motions or {""}:
                    shown = shown & self.showing[label, motion]
            self._twice[key] = any(
                all(self._does(label, motions, clip) for label, motions in named.items())
                for clip in shown
            )
        return self._twice[key]

    def _does(self, label: str, motions: set[str], clip: str) -> bool:
        """Whether an object of a clip has this label, and is stated to do all these motions."""
        known = self.known
        return any(
            motions <= {known.phrase(m) for m, _, _ in known.does.get(n, ())}
            for name, n in self.there[clip]
            if name == label
        )

    def _named(self, event: str) -> dict[str, set[str]]:
        """The labels that an event names → the motions of these objects that it names, in its own clips."""
        known, own = self.known, self.known.clips_of(event)
        named: dict[str, set[str]] = {}
        for label, n in (pair for clip in own for pair in self.there[clip]):
            if words.mentions(event, label):
                does = {known.phrase(m) for m, _, _ in known.does.get(n, ())}
                named.setdefault(label, set()).update(m for m in does if words.mentions(event, m))
        return named

    def _takes_part(self, label: str, motions: set[str], clip: str) -> bool:
        """Whether an object of a clip has this label, and may do one of these motions if there are any."""
        known = self.known
        return any(
            not motions
            or self.motion(n)
            or any(known.phrase(m) in motions for m, _, _ in known.does.get(n, ()))
            for name, n in self.there[clip]
            if name == label
        )

    def _any(self, what: str, clips: frozenset[str]) -> bool:
        return (
            not clips.isdisjoint(map(t.clip_of, self.frames[what]))
            or not clips.isdisjoint(self.clips[what])
            or any(self.known.clip[n] in clips for n in self.things[what])
        )
