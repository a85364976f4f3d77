"""The step `unique`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from stepc.ops.base import Op

if TYPE_CHECKING:
    from stepc.proof.solver import State


class Unique(Op):
    """Requires exactly one object or value; otherwise the query has no answer."""

    op: Literal["unique"] = "unique"
    HELP = "Requires that exactly one object or value is left."
    SYNTAX = "unique"

    def solve(self, state: State) -> None:
        names = state.names()
        if len(names) != 1:
            state.refuse(names)
