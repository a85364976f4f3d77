"""Compares the inventories of several keyframes: which objects in them are the same individual."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

from stepc.ir import types as t
from stepc.ir.coreference import Appearance
from stepc.model.client import Mentions, Reply
from stepc.model.requests import MatchObjects, Sighting

RECENT = 32
"""Maximum individuals of a name, and of a class, that an object is compared with: those seen last."""
MOST, SHOWN = 16, 4
"""Maximum individuals that a request lists, and maximum keyframes that show them."""
FOUND = 4
"""Maximum keyframes whose objects a request compares with them."""


def first_shown(unit: t.Fsg) -> dict[str, t.Frame]:
    """Object → the first keyframe that shows it."""
    sha, times = unit.video.sha256, unit.keyframes
    return {o.id: t.Frame(video=sha, at=times[o.frames[0]].at) for o in unit.objects}


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
    """Objects from several keyframes. Some of them may be the same individual."""

    members: tuple[tuple[str, t.Frame], ...]
    """Each with the keyframe that is shown, in the order of the keyframes."""
    alike: frozenset[tuple[str, str]]
    """The pairs (earlier, later) that may be the same."""

    @classmethod
    def of_many(
        cls,
        known: Sequence[str],
        found: Sequence[str],
        look: Mapping[str, Appearance],
        frames: Mapping[str, t.Frame],
        may_join: Callable[[str, str], bool] | None = None,
    ) -> list[InventoryMatch]:
        """Compare known individuals with objects of later keyframes, by class and names.

        With `may_join`, the objects found are also compared with each other, where it allows it. `frames` are
        the keyframes of all objects. Of many individuals, those are compared that are most like an object,
        and of equals those that were seen last, which are at the end of `known`.
        """
        shown: dict[t.Frame, list[str]] = {}
        for b in found:
            shown.setdefault(frames[b], []).append(b)
        made = []
        for batch in _batches([*shown.values()]):
            chosen = cls._known(known, batch, look, frames, may_join)
            pairs = {(a, b) for a in chosen for b in batch}
            if may_join is not None:
                pairs |= {(a, b) for a, b in combinations(batch, 2) if frames[a] != frames[b]}
            alike = frozenset((a, b) for a, b in pairs if _may_be(a, b, look, may_join))
            there = [x for x in (*chosen, *batch) if any(x in pair for pair in alike)]
            there.sort(key=lambda x: frames[x].at)
            if alike:
                made.append(cls(tuple((x, frames[x]) for x in there), alike))
        return made

    @staticmethod
    def _known(
        known: Sequence[str],
        batch: Sequence[str],
        look: Mapping[str, Appearance],
        frames: Mapping[str, t.Frame],
        may_join: Callable[[str, str], bool] | None,
    ) -> list[str]:
        """The individuals that are most like one of the objects."""
        like = {
            a: max(_likeness(look[a], look[b]) for b in batch)
            for a in known
            if any(_may_be(a, b, look, may_join) for b in batch)
        }
        order = {a: i for i, a in enumerate(known)}
        chosen: list[str] = []
        seen: set[t.Frame] = set()
        for a in sorted(like, key=lambda a: (-like[a], -order[a])):
            if len(chosen) < MOST and len(seen | {frames[a]}) <= SHOWN:
                chosen.append(a)
                seen.add(frames[a])
        return [a for a in known if a in {*chosen}]

    def request(self, named: Mentions) -> MatchObjects:
        """The request, in which `named` says how objects are mentioned."""
        frames = list(dict.fromkeys(frame for _, frame in self.members))
        return MatchObjects(
            frames=tuple(frames),
            objects=tuple(
                Sighting(frame=frames.index(frame) + 1, target=named[x])
                for x, frame in self.members
            ),
        )

    def said_same(self, reply: Reply, keep: float) -> list[SaidSame]:
        """The pairs that enough answers call the same, the surest first.

        Enough is more than half of those that could be read, and at least the share `keep` of all.
        """
        count: Counter[tuple[str, str]] = Counter()
        for answer in reply.read:
            groups = ({n for n in g if 1 <= n <= len(self.members)} for g in answer.same)
            pairs = {p for g in groups for p in combinations(sorted(g), 2)}
            named = {(self.members[a - 1][0], self.members[b - 1][0]) for a, b in pairs}
            count.update(named & self.alike)
        asked = len(reply.read)
        place = {x: i for i, (x, _) in enumerate(self.members)}
        return [
            SaidSame(a, b, yes, asked, reply.key)
            for (a, b), yes in sorted(count.items(), key=lambda x: (-x[1], *map(place.get, x[0])))
            if 2 * yes > asked and yes >= keep * len(reply.answers)
        ]


def _batches(keyframes: Sequence[list[str]]) -> Iterator[list[str]]:
    """The objects of some keyframes together, as many as a request lists."""
    batch: list[str] = []
    number = 0
    for objects in keyframes:
        if batch and (number == FOUND or len(batch) + len(objects) > 2 * MOST):
            yield batch
            batch, number = [], 0
        batch = [*batch, *objects[:MOST]]
        number += 1
    if batch:
        yield batch


def _may_be(
    one: str,
    other: str,
    look: Mapping[str, Appearance],
    may_join: Callable[[str, str], bool] | None,
) -> bool:
    """Whether two objects may be one, by class and names, and by what is known of their groups."""
    return look[one].may_be(look[other]) and (may_join is None or may_join(one, other))


def _likeness(one: Appearance, other: Appearance) -> int:
    """How alike two objects are: names count most, then values of attributes."""
    return 4 * len(one.names & other.names) + one.agrees(other) - one.conflicts(other)
