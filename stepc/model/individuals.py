"""Asks a model which objects of a keyframe are known individuals, by inventories of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from stepc.ir import types as t
from stepc.ir.coreference import Appearance
from stepc.model.client import Mentions, Reply
from stepc.model.requests import MatchObjects, Sighting

RECENT = 32
"""Maximum individuals of a name, and of a class, that an object is compared with: those seen last."""
MOST, SHOWN = 16, 6
"""Maximum individuals, and objects, that a request lists, and maximum keyframes that show them."""


class Register:
    """The individuals of a video so far, each by the node where it was seen last.

    They are found by names and classes, so that a long video costs no more per clip than a short one.
    """

    def __init__(self, look: dict[str, Appearance]) -> None:
        """`look` is how each node looks. A node takes over the names and values of its individual."""
        self.look = look
        self.number: dict[str, int] = {}
        """Individual → its place in the order in which they were seen last"""
        self.groups: dict[object, dict[str, None]] = {}
        """A name, a class of things, None for all → the individuals, in that order"""
        self.last = 0

    def _keys(self, node: str) -> list[object]:
        look = self.look[node]
        return [*(("name", x) for x in look.names), ("class", look.noun), None]

    def add(self, nodes: Iterable[str]) -> None:
        """Add the individuals of a clip."""
        for node in nodes:
            self.number[node] = self.last = self.last + 1
            for key in self._keys(node):
                self.groups.setdefault(key, {})[node] = None

    def again(self, known: str, node: str) -> None:
        """Note that an individual is seen again, before its new node is added."""
        if self.number.pop(known, None) is not None:
            for key in self._keys(known):
                del self.groups[key][known]
            self.look[node] = self.look[node].with_looks_of(self.look[known])

    def like(self, found: Iterable[str]) -> list[str]:
        """Individuals that one of the objects may be: of each name and each class the last ones."""
        keys = dict.fromkeys(key for x in found for key in self._keys(x)[:-1])
        if ("class", None) in keys:  # it may be anything
            keys[None] = None
        else:
            keys["class", None] = None
        made = {x for key in keys for x in islice(reversed(self.groups.get(key, {})), RECENT)}
        return sorted(made, key=self.number.__getitem__)


@dataclass(frozen=True)
class SaidSame:
    """Two objects that some of the answers call the same."""

    known: str
    found: str
    yes: int
    asked: int
    key: str


@dataclass(frozen=True)
class InventoryMatch:
    """Known individuals, each where it was last seen, and the objects of a later keyframe."""

    known: tuple[tuple[str, t.Frame], ...]
    found: tuple[str, ...]
    shown: t.Frame
    alike: frozenset[tuple[str, str]]
    """The pairs (known, found) that may be the same by class or names."""

    @classmethod
    def of_many(
        cls,
        known: Sequence[str],
        found: Sequence[str],
        look: Mapping[str, Appearance],
        frames: Mapping[str, t.Frame],
    ) -> list[InventoryMatch]:
        """Compare what may be the same, by class and names: one comparison for each keyframe of `found`.

        `frames` are the keyframes of all objects. Of many individuals, those are compared that are most like
        an object, and of equals those that were seen last, which are at the end of `known`.
        """
        made = []
        shown: dict[t.Frame, list[str]] = {}
        for b in found:
            shown.setdefault(frames[b], []).append(b)
        for frame, objects in shown.items():
            there = objects[:MOST]
            like = {
                a: max(_likeness(look[a], look[b]) for b in there)
                for a in known
                if any(look[a].may_be(look[b]) for b in there)
            }
            chosen: list[str] = []
            seen: set[t.Frame] = set()
            order = {a: i for i, a in enumerate(known)}
            for a in sorted(like, key=lambda a: (-like[a], -order[a])):
                if len(chosen) < MOST and len(seen | {frames[a]}) <= SHOWN:
                    chosen.append(a)
                    seen.add(frames[a])
            there = [b for b in there if any(look[a].may_be(look[b]) for a in chosen)]
            if chosen:
                pairs = tuple((a, frames[a]) for a in known if a in {*chosen})
                alike = frozenset((a, b) for a in chosen for b in there if look[a].may_be(look[b]))
                made.append(cls(pairs, tuple(there), frame, alike))
        return made

    def request(self, named: Mentions) -> MatchObjects:
        """The request, in which `named` says how objects are mentioned."""
        frames = list(dict.fromkeys(frame for _, frame in self.known))
        return MatchObjects(
            frames=(*frames, self.shown),
            known=tuple(
                Sighting(frame=frames.index(frame) + 1, target=named[a]) for a, frame in self.known
            ),
            found=tuple(named[b] for b in self.found),
        )

    def said_same(self, reply: Reply, keep: float) -> list[SaidSame]:
        """The pairs that enough answers call the same, the surest first.

        Enough is more than half of those that could be read, and at least the share `keep` of all.
        """
        count: Counter[tuple[str, str]] = Counter()
        for answer in reply.read:
            pairs = {
                (self.known[p.first - 1][0], self.found[p.second - len(self.known) - 1])
                for p in answer.same
                if 1 <= p.first <= len(self.known) < p.second <= len(self.known) + len(self.found)
            }
            count.update(pairs & self.alike)
        asked = len(reply.read)
        place = {x: i for i, x in enumerate([*(a for a, _ in self.known), *self.found])}
        return [
            SaidSame(a, b, yes, asked, reply.key)
            for (a, b), yes in sorted(count.items(), key=lambda x: (-x[1], *map(place.get, x[0])))
            if 2 * yes > asked and yes >= keep * len(reply.answers)
        ]


def _likeness(one: Appearance, other: Appearance) -> int:
    """How alike two objects are: names count most, then values of attributes."""
    return 4 * len(one.names & other.names) + one.agrees(other) - one.conflicts(other)
