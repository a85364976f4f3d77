"""Coreference: decides whether objects of two keyframes are the same object.

Candidates have a name in common and compatible attributes. The model decides the doubtful pairs, and
contradictory answers are resolved by confidence. Used within clips (`merge`) and across clips
(`bridge`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from stepc.ir import types as t
from stepc.ir.union_find import UnionFind
from stepc.ir.words import normal, plain


@dataclass(frozen=True)
class Appearance:
    """The features that are compared: the normalised names, and the values of each attribute kind."""

    label: str
    values: tuple[tuple[str, frozenset[str]], ...]
    names: frozenset[str] = frozenset()
    """All its names, with the label."""
    noun: t.NounClass | None = None

    def may_be(self, other: Appearance) -> bool:
        """Whether a name or the class of thing allows that both are one object."""
        return (
            bool(self.names & other.names)
            or None in (self.noun, other.noun)
            or self.noun == other.noun
        )

    def with_looks_of(self, other: Appearance) -> Appearance:
        """The appearance of an object that was seen twice: all names and values of both."""
        mine, theirs = dict(self.values), dict(other.values)
        kinds = sorted({*mine, *theirs})
        none: frozenset[str] = frozenset()
        values = tuple((k, mine.get(k, none) | theirs.get(k, none)) for k in kinds)
        return Appearance(self.label, values, self.names | other.names, self.noun or other.noun)

    def conflicts(self, other: Appearance) -> int:
        """Number of attribute kinds that both have but with no common value."""
        mine, theirs = dict(self.values), dict(other.values)
        return sum(not (mine[k] & theirs[k]) for k in mine.keys() & theirs.keys())

    def agrees(self, other: Appearance) -> int:
        """Number of attribute kinds with a common value."""
        mine, theirs = dict(self.values), dict(other.values)
        return sum(bool(mine[k] & theirs[k]) for k in mine.keys() & theirs.keys())


def appearances(unit: t.Fsg) -> dict[str, Appearance]:
    """Object id → its appearance, for all objects of `unit`."""
    values: dict[str, dict[str, set[str]]] = {o.id: {} for o in unit.objects}
    for a in unit.attributes:
        if a.owner in values:
            values[a.owner].setdefault(plain(a.kind), set()).add(plain(a.value))
    return {
        o.id: Appearance(
            normal(o.label),
            tuple((k, frozenset(v)) for k, v in sorted(values[o.id].items())),
            frozenset(map(normal, (o.label, *o.called))),
            o.noun,
        )
        for o in unit.objects
    }


def pair_up(
    earlier: Sequence[str], later: Sequence[str], look: dict[str, Appearance]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Pair objects of equal label. Returns (certain pairs, doubtful pairs) as object ids.

    A pair is certain if each object is the only one of its label on its side and no attributes
    conflict. All other pairs of equal label are doubtful, sorted by decreasing likelihood.
    """
    plain_pairs, doubtful = [], []
    for label in dict.fromkeys(look[o].label for o in earlier):
        ours = [o for o in earlier if look[o].label == label]
        theirs = [o for o in later if look[o].label == label]
        if len(ours) == len(theirs) == 1 and not look[ours[0]].conflicts(look[theirs[0]]):
            plain_pairs.append((ours[0], theirs[0]))
        else:
            doubtful += [(a, b) for a in ours for b in theirs]
    doubtful.sort(key=lambda p: (look[p[0]].conflicts(look[p[1]]), -look[p[0]].agrees(look[p[1]])))
    return plain_pairs, doubtful


def match_up(
    known: Sequence[str], found: Sequence[str], look: dict[str, Appearance]
) -> list[tuple[str, str]]:
    """The pairs of known objects and objects of a keyframe that are certainly the same.

    A pair is certain if neither has a name in common with any other object, and no attributes conflict.
    """
    share = {(a, b): look[a].names & look[b].names for a in known for b in found}
    of_known = Counter(a for (a, _), names in share.items() if names)
    of_found = Counter(b for (_, b), names in share.items() if names)
    return [
        (a, b)
        for (a, b), names in share.items()
        if names and of_known[a] == of_found[b] == 1 and not look[a].conflicts(look[b])
    ]


class IdentityGroups:
    """Groups of coreferent objects. A group has at most one object per place (keyframe or clip).

    Groups may be told apart; they are never joined then.
    """

    def __init__(self, members: Iterable[tuple[str, str]]) -> None:
        """Start with one group per member; `members` are (object id, place id)."""
        pairs = list(members)
        self._union = UnionFind(m for m, _ in pairs)
        self._places = {m: {p} for m, p in pairs}
        self._apart: dict[str, set[str]] = {}
        """Representative → those of the groups that are another object"""

    def root(self, member: str) -> str:
        """The representative of a member's group."""
        return self._union.root(member)

    def join(self, one: str, other: str) -> bool:
        """Join the groups of two members.

        Returns False, and changes nothing, if both have an object in one place, or are known to differ.
        """
        a, b = self.root(one), self.root(other)
        if a == b:
            return True
        apart = self._apart.get(a, ())
        if self._places[a] & self._places[b] or b in apart:
            return False
        self._union.join(a, b)
        self._places[a] |= self._places.pop(b)
        for enemy in self._apart.pop(b, set()):
            self._apart[enemy].remove(b)
            self._tell_apart(a, enemy)
        return True

    def may_join(self, one: str, other: str) -> bool:
        """Whether the groups of two members are two groups that may be one."""
        a, b = self.root(one), self.root(other)
        return a != b and not self._places[a] & self._places[b] and b not in self._apart.get(a, ())

    def part(self, one: str, other: str) -> bool:
        """Tell the groups of two members apart. Returns False and does nothing if they are one group."""
        a, b = self.root(one), self.root(other)
        if a != b:
            self._tell_apart(a, b)
        return a != b

    def _tell_apart(self, one: str, other: str) -> None:
        self._apart.setdefault(one, set()).add(other)
        self._apart.setdefault(other, set()).add(one)

    def groups(self) -> dict[str, list[str]]:
        """Representative → members, in the order in which they were given."""
        return self._union.groups()


def groups_by_track(unit: t.Fsg) -> IdentityGroups:
    """Groups of the objects of keyframes by the tracks of their boxes.

    Objects on the same track of a clip are one object, and those on different tracks are not.
    """
    groups = IdentityGroups((o.id, o.frames[0]) for o in unit.objects)
    tracks: dict[str, dict[int, str]] = {}
    for b in unit.boxes:
        if b.track is not None:
            first = tracks.setdefault(t.clip_of(b.owner), {}).setdefault(b.track, b.owner)
            groups.join(first, b.owner)
    for there in tracks.values():
        for one, other in combinations(there.values(), 2):
            groups.part(one, other)
    return groups
