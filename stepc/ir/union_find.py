"""Union-find (disjoint sets)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class UnionFind(Generic[T]):
    """Disjoint groups of elements."""

    def __init__(self, members: Iterable[T]) -> None:
        self._up = {m: m for m in members}

    def __contains__(self, member: object) -> bool:
        return member in self._up

    def __iter__(self) -> Iterator[T]:
        return iter(self._up)

    def root(self, member: T) -> T:
        """The representative of a member's group."""
        while self._up[member] != member:
            self._up[member] = self._up[self._up[member]]
            member = self._up[member]
        return member

    def join(self, one: T, other: T) -> None:
        """Join two groups. The representative of `one` becomes that of both."""
        self._up[self.root(other)] = self.root(one)

    def groups(self) -> dict[T, list[T]]:
        """Representative → members, in the order in which they were given."""
        made: dict[T, list[T]] = {}
        for member in self._up:
            made.setdefault(self.root(member), []).append(member)
        return made
