"""The scope `between start..end`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ir.elements import Millis
from stepc.ir.literals import span, unspan
from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.proof.solver import State


class Between(Op):
    """Limits the scope to clips that overlap `[start, end)`, in milliseconds."""

    op: Literal["between"] = "between"
    start: Millis
    end: Millis
    ROLE = "scope"
    HELP = "Limits the query to the clips that overlap a time range."
    SYNTAX = "between 0.960..4.120"

    def arguments(self) -> tuple[str, ...]:
        return (span(self.start, self.end),)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Between:
        start, end = unspan(take(arguments, "span")[0])
        return cls(start=start, end=end)

    def solve(self, state: State) -> None:
        ranges = state.known.ranges.items()
        state.scope = frozenset(c for c, (a, b) in ranges if a < self.end and self.start < b)
