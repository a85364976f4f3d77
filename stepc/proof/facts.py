"""The facts of an STSG as the solver looks them up.

Motion edges connect one dynamic object at several times, and reference edges connect one object in several
clips. Two objects with the same label and no such edge are different objects.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from stepc.edges import EDGES
from stepc.ir import types as t
from stepc.ir.lexicon import Lexicon
from stepc.ir.union_find import UnionFind
from stepc.languages import DEFAULT, LANGUAGES, Language
from stepc.proof import words
from stepc.proof.unknown import Unknown

Span = tuple[int, int]
Frames = frozenset[str]


@dataclass
class Facts:
    """An STSG as indexed facts about numbered things (objects joined by motion edges)."""

    thing: dict[str, int]
    """object id → thing"""
    language: Language = field(default_factory=lambda: LANGUAGES[DEFAULT])
    """The language of answers that are no words of the graph, such as `yes` and times, and of labels."""
    groups: set[int] = field(default_factory=set)
    """The things that are several objects, nobody knows how many."""
    same: dict[int, int] = field(default_factory=dict)
    """thing → identity, a number shared by all things that references connect"""
    group: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """identity → things"""
    clip: dict[int, str] = field(default_factory=dict)
    label: dict[int, str] = field(default_factory=dict)
    seen: dict[int, Frames] = field(default_factory=dict)
    labelled: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    called: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """another name → things"""
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
    """clip → event"""
    times: dict[str, Span] = field(default_factory=dict)
    """clip → time range of its event"""
    happening: dict[str, frozenset[str]] = field(default_factory=dict)
    """event → its clips"""
    following: dict[str, str] = field(default_factory=dict)
    """clip with an event → next clip with an event"""
    preceding: dict[str, str] = field(default_factory=dict)
    everywhere: frozenset[str] = frozenset()
    """All clips."""
    ranges: dict[str, Span] = field(default_factory=dict)
    """clip → time range"""
    at: dict[str, int] = field(default_factory=dict)
    """keyframe → time"""
    keyframes: dict[str, list[int]] = field(default_factory=dict)
    """clip → times of its keyframes"""
    unlike: dict[tuple[int, str, str], Frames] = field(default_factory=dict)
    """(thing, attribute kind, value) → keyframes in which it is denied"""
    unrelated: dict[tuple[int, str, int], Frames] = field(default_factory=dict)
    """(subject, predicate, object) → keyframes in which it is denied"""
    idle: dict[tuple[int, str], list[Span]] = field(default_factory=lambda: defaultdict(list))
    """(thing, motion) → time ranges in which it is denied"""
    lexicon: Lexicon = field(default_factory=lambda: Lexicon((), words.label, words.phrase))
    """What the video's words mean beside each other."""
    boxes: dict[tuple[int, str], str] = field(default_factory=dict)
    """(thing, keyframe) → box, as it is written"""
    unknown: Unknown = field(init=False)
    """What the graph does not know."""
    scopes: dict[t.Op, tuple[frozenset[str], Frames | None]] = field(default_factory=dict)
    """Cache: scope operation → clips in scope, and their keyframes in scope if these are not all"""

    @staticmethod
    def phrase(text: str) -> str:
        """The normalised form of a predicate, motion, event or value, used as a key."""
        return words.phrase(text)

    @staticmethod
    def same_phrase(one: str, other: str) -> bool:
        """Whether two predicates, motions, events or values are the same."""
        return words.phrase(one) == words.phrase(other)

    @staticmethod
    def kinds_like(predicate: str) -> frozenset[str]:
        """The kinds of attributes that answer the same question as a relation."""
        return words.kinds_like(predicate)

    @staticmethod
    def is_comparison(predicate: str) -> bool:
        """Whether a predicate compares two things, so that it is no answer to where or what."""
        return words.is_comparison(predicate)

    def excludes(self, of: t.WordKind, one: str, other: str, kind: str = "") -> bool:
        """Whether two predicates, motions or values cannot both be true at a time."""
        return words.excludes(one, other, kind) or self.lexicon.excludes(of, one, other)

    @staticmethod
    def inverse(predicate: str) -> str | None:
        """The inverse of a predicate, or None if unknown."""
        return words.inverse(predicate)

    def clips_of(self, event: str) -> frozenset[str]:
        """The clips with an event of this text."""
        return self.happening.get(words.phrase(event), frozenset())


def facts(unit: t.Stsg, language: Language | None = None) -> Facts:
    """Build the facts of an STSG. `language` is that of the answers, by default English."""
    number = {o.id: i for i, o in enumerate(unit.objects)}
    moves, joins = UnionFind(number.values()), UnionFind(number.values())
    for m in (*unit.motions, *(e for e in unit.denied if isinstance(e, t.Motion))):
        moves.join(number[m.source], number[m.target])
        joins.join(number[m.source], number[m.target])
    for gap in unit.gaps:
        if gap.what == "motion" and gap.other is not None:
            moves.join(number[gap.where], number[gap.other])
            joins.join(number[gap.where], number[gap.other])
    first: dict[tuple[str, int], int] = {}
    for box in unit.boxes:
        if box.track is not None:  # one track, one object
            n = number[box.owner]
            moves.join(first.setdefault((t.clip_of(box.owner), box.track), n), n)
            joins.join(first[t.clip_of(box.owner), box.track], n)
    for r in unit.references:
        joins.join(number[r.first], number[r.second])
    things = {o: moves.root(n) for o, n in number.items()}
    known = Facts(things, language or LANGUAGES[DEFAULT])
    known.lexicon = Lexicon(unit.lexicon, words.label, words.phrase)
    seen: dict[int, set[str]] = defaultdict(set)
    for o in unit.objects:
        n = known.thing[o.id]
        if n not in known.same:
            known.same[n] = joins.root(number[o.id])
            known.group[known.same[n]].append(n)
            known.clip[n] = t.clip_of(o.id)
            known.label[n] = o.label
            known.labelled[words.label(o.label)].append(n)
            if known.language.is_group(o.label):
                known.groups.add(n)
        for name in o.called:
            known.called[words.label(name)].add(n)
        seen[n].update(o.frames)
    known.seen = {n: frozenset(frames) for n, frames in seen.items()}
    known.at = {k.id: k.at for k in unit.keyframes.values()}
    known.keyframes = {c.id: [k.at for k in c.keyframes] for c in unit.clips}
    known.everywhere = frozenset(c.id for c in unit.clips)
    known.ranges = {c.id: (c.start, c.end) for c in unit.clips}
    for kind in EDGES.values():
        kind.facts(unit, known)
    known.boxes = {(things[b.owner], b.frame): b.text for b in unit.boxes}
    known.unknown = Unknown(unit, known)
    return known
