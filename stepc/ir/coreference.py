"""Who is who: the one policy by which objects of two keyframes are taken for the same.

Equal label and compatible attributes propose; the model's answer decides where there is doubt;
contradictory answers are resolved by confidence. Used within clips (`merge`) and across
them (`bridge`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stepc.ir import types as t
from stepc.ir.union_find import UnionFind
from stepc.ir.words import normal, plain


@dataclass(frozen=True)
class Appearance:
    """What identity is judged by: normalised label, and the values of each attribute kind."""

    label: str
    values: tuple[tuple[str, frozenset[str]], ...]

    def conflicts(self, other: Appearance) -> int:
        """Attribute kinds that both have and that share no value."""
        mine, theirs = dict(self.values), dict(other.values)
        return sum(not (mine[k] & theirs[k]) for k in mine.keys() & theirs.keys())

    def agrees(self, other: Appearance) -> int:
        """Attribute kinds that share a value."""
        mine, theirs = dict(self.values), dict(other.values)
        return sum(bool(mine[k] & theirs[k]) for k in mine.keys() & theirs.keys())


def appearances(unit: t.Fsg) -> dict[str, Appearance]:
    """The look of every object."""
    values: dict[str, dict[str, set[str]]] = {o.id: {} for o in unit.objects}
    for a in unit.attributes:
        if a.owner in values:
            values[a.owner].setdefault(plain(a.kind), set()).add(plain(a.value))
    return {
        o.id: Appearance(
            normal(o.label),
            tuple((k, frozenset(v)) for k, v in sorted(values[o.id].items())),
        )
        for o in unit.objects
    }


def pair_up(
    earlier: Sequence[str], later: Sequence[str], look: dict[str, Appearance]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Pairs of equal label: those that are plainly the same, and those that are in doubt.

    Plain: the only one of its label on both sides, without a conflict of attributes. In doubt:
    every other pair of equal label, the likelier first.
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


class IdentityGroups:
    """Objects joined into one, never two of the same place (keyframe or clip)."""

    def __init__(self, members: Iterable[tuple[str, str]]) -> None:
        """`members` are (object, place)."""
        pairs = list(members)
        self._union = UnionFind(m for m, _ in pairs)
        self._places = {m: {p} for m, p in pairs}

    def root(self, member: str) -> str:
        """The member that stands for the group."""
        return self._union.root(member)

    def join(self, one: str, other: str) -> bool:
        """Join the groups of two members; False (and nothing done) if a place would be double."""
        a, b = self.root(one), self.root(other)
        if a == b:
            return True
        if self._places[a] & self._places[b]:
            return False
        self._union.join(a, b)
        self._places[a] |= self._places[b]
        return True

    def groups(self) -> dict[str, list[str]]:
        """Members by the group's root, in their first order."""
        return self._union.groups()
