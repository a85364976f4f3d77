"""The start `node "label"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ir.literals import quote
from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.proof.solver import State


class Node(Op):
    """Starts from all objects in scope with this label."""

    op: Literal["node"] = "node"
    label: str
    ROLE = "start"
    HELP = "Starts from the objects with a label."
    SYNTAX = 'node "cup"'

    def arguments(self) -> tuple[str, ...]:
        return (quote(self.label),)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Node:
        return cls(label=take(arguments, "string")[0])

    @property
    def words(self) -> str:
        return self.label

    def solve(self, state: State) -> None:
        state.here = state.labelled(self.label)
