"""Builds query operations. Equal operations are built once."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from stepc.ops.compare import Compare
from stepc.ops.count import Count
from stepc.ops.exists import Exists
from stepc.ops.fact import Fact
from stepc.ops.find import FindVariable
from stepc.ops.follow import Follow
from stepc.ops.get import Get
from stepc.ops.given import Given
from stepc.ops.happens import Happens
from stepc.ops.later import LaterMoment
from stepc.ops.node import Node
from stepc.ops.pick import Pick
from stepc.ops.the import The
from stepc.ops.to import To
from stepc.ops.unique import Unique
from stepc.ops.where import Where

if TYPE_CHECKING:
    from stepc.ir.elements import Superlative, Way
    from stepc.ops.base import Op


@lru_cache(1 << 15)
def cached(operation: type[Op], /, **fields: Any) -> Op:
    """Build an operation. Equal operations are cached."""
    return operation(**fields)


class Make:
    """The operations that edge kinds and question forms mean."""

    unique = Unique()
    count = Count()
    later = LaterMoment()
    exists = Exists()

    def node(self, label: str) -> Op:
        return cached(Node, label=label)

    def happens(self, event: str) -> Op:
        return cached(Happens, event=event)

    def given(self, edge: str, kind: str, value: str) -> Op:
        return cached(Given, edge=edge, kind=kind, value=value)

    def follow(self, edge: str, way: Way, word: str) -> Op:
        return cached(Follow, edge=edge, way=way, word=word)

    def to(self, label: str) -> Op:
        return cached(To, label=label)

    def where(self, value: str) -> Op:
        return cached(Where, value=value)

    def pick(self, which: Superlative) -> Op:
        return cached(Pick, which=which)

    def named(self, variable: str, label: str) -> Op:
        return cached(The, variable=variable, label=label)

    def holds(
        self, op: str, near: str, edge: str, word: str, far: str, value: str | None = None
    ) -> Op:
        return cached(Fact, op=op, near=near, edge=edge, word=word, far=far, value=value)

    def find(self, variable: str, otherwise: str = "") -> Op:
        return cached(FindVariable, variable=variable, otherwise=otherwise)

    def compared(self, how: str, one: str, other: str) -> Op:
        return cached(Compare, how=how, one=one, other=other)

    def get(self, what: str) -> Op:
        return cached(Get, what=what)
