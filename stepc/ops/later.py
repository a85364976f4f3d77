"""The step `later`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from stepc.ops.base import Op

if TYPE_CHECKING:
    from stepc.proof.solver import State


class LaterMoment(Op):
    """The facts that follow hold at a later time than those before it.

    They begin later and end later, whatever the exact times are. Rows for which that is not known have no
    answer.
    """

    op: Literal["later"] = "later"
    HELP = "The facts that follow hold at a later time than those before it."
    SYNTAX = "later"

    def solve(self, state: State) -> None:
        state.next_moment()
