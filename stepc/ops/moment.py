"""The scope `moment TIME`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ir.elements import Millis
from stepc.ir.literals import millis, seconds
from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.proof.solver import State


class Moment(Op):
    """Limits the scope to the only keyframe at a time, in milliseconds to a tenth of a second."""

    op: Literal["moment"] = "moment"
    at: Millis
    ROLE = "scope"
    HELP = "Limits the query to the keyframe at a time."
    SYNTAX = "moment 1.300"

    def arguments(self) -> tuple[str, ...]:
        return (seconds(self.at),)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Moment:
        return cls(at=millis(take(arguments, "seconds")[0]))

    def solve(self, state: State) -> None:
        state.limit_to(self.at)
