"""The end `count`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from stepc.ops.base import Op

if TYPE_CHECKING:
    from stepc.proof.solver import State


class Count(Op):
    """Answers with the number of different objects or values.

    In a pattern, an operation after it begins a second one, for `compare`.
    """

    op: Literal["count"] = "count"
    ROLE = "end"
    HELP = "Answers with the number of different objects or values."
    SYNTAX = "count"

    def solve(self, state: State) -> None:
        state.found = (str(len(state.names())),)
        state.got.append((state.found[0], None, ""))
        state.forget_rows()
