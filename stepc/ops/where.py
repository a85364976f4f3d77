"""The step `where "value"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ir.literals import quote
from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.proof.solver import State


class Where(Op):
    """Keeps only what equals this value."""

    op: Literal["where"] = "where"
    value: str
    HELP = "Keeps only what equals a value."
    SYNTAX = 'where "walking"'

    def arguments(self) -> tuple[str, ...]:
        return (quote(self.value),)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Where:
        return cls(value=take(arguments, "string")[0])

    @property
    def words(self) -> str:
        return self.value

    def solve(self, state: State) -> None:
        same = state.known.same_phrase
        state.here = [h for h in state.here if same(state.name(h), self.value)]
