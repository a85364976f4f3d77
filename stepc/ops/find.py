"""The step `find VARIABLE`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ops.base import Op, Variable, take

if TYPE_CHECKING:
    from stepc.proof.solver import State


class FindVariable(Op):
    """Goes to everything that a variable may be."""

    op: Literal["find"] = "find"
    variable: Variable
    HELP = "Goes to everything that a variable may be, given the facts before it."
    SYNTAX = "find a"

    def arguments(self) -> tuple[str, ...]:
        return (self.variable,)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> FindVariable:
        return cls(variable=take(arguments, "variable")[0])

    def solve(self, state: State) -> None:
        state.next_moment()
        state.stop_if(any(row.unsure for row in state.all_rows()))
        here = (row.bound[self.variable] for row in state.all_rows() if self.variable in row.bound)
        state.here = state.joined(h._replace(spans=()) for h in here)
