"""The step `find VARIABLE`, or `find VARIABLE "nothing"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ir.literals import quote, unquote
from stepc.ops.base import Op, Variable, take
from stepc.ops.exists import fit_none

if TYPE_CHECKING:
    from stepc.proof.solver import State


class FindVariable(Op):
    """Goes to everything that a variable may be.

    With `otherwise`, it goes to that text if the graph refutes that the facts hold together of any objects.
    """

    op: Literal["find"] = "find"
    variable: Variable
    otherwise: str = ""
    HELP = (
        "Goes to everything that a variable may be, given the facts before it, or else to a text."
    )
    SYNTAX = "find a"

    def arguments(self) -> tuple[str, ...]:
        return (self.variable, *([quote(self.otherwise)] if self.otherwise else []))

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> FindVariable:
        take(arguments, "variable", *["string"] * (len(arguments) - 1))
        otherwise = unquote(arguments[1]) if len(arguments) == 2 else ""
        if len(arguments) > 2 or (len(arguments) == 2 and not otherwise.strip()):
            raise ValueError("expected a variable, and what is said if there is nothing")
        return cls(variable=arguments[0], otherwise=otherwise)

    def solve(self, state: State) -> None:
        state.next_moment()
        if self.otherwise and not state.all_rows():
            state.stop_if(not fit_none(state))
            state.here = [state.value(self.otherwise)]
            return
        state.stop_if(any(row.unsure for row in state.all_rows()))
        here = (row.bound[self.variable] for row in state.all_rows() if self.variable in row.bound)
        state.here = state.joined(h._replace(spans=()) for h in here)
