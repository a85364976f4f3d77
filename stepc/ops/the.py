"""The start `the VARIABLE "label"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ir.literals import quote
from stepc.ops.base import Op, Variable, take

if TYPE_CHECKING:
    from stepc.proof.solver import State


class The(Op):
    """Names the only object in scope with a label, as a variable of the facts that follow."""

    op: Literal["the"] = "the"
    variable: Variable
    label: str
    ROLE = "start"
    HELP = "Names the only object in scope with a label, for the facts that follow."
    SYNTAX = 'the a "cup"'

    def arguments(self) -> tuple[str, ...]:
        return self.variable, quote(self.label)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> The:
        variable, label = take(arguments, "variable", "string")
        return cls(variable=variable, label=label)

    @property
    def words(self) -> str:
        return self.label

    def solve(self, state: State) -> None:
        there = state.labelled(self.label)
        if len({state.known.same[state.thing_of(h)] for h in there}) != 1:
            state.refuse(self.label for _ in there)
        rows = state.all_rows()
        state.rows = state.named = [row.binding(self.variable, h) for row in rows for h in there]
