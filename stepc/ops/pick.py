"""The step `pick first|last|longest|shortest`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ir.elements import Superlative
from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.proof.solver import Reached, State


class Pick(Op):
    """Keeps the object or value that is first, last, longest or shortest in time."""

    op: Literal["pick"] = "pick"
    which: Superlative
    HELP = "Keeps what is first, last, longest or shortest in time."
    SYNTAX = "pick first"

    def arguments(self) -> tuple[str, ...]:
        return (self.which,)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Pick:
        which = take(arguments, "first|last|longest|shortest")[0]
        return cls.model_validate({"which": which})

    def solve(self, state: State) -> None:
        at = state.known.at

        def rank(h: Reached) -> float:
            spans = h.spans or tuple((at[f], at[f]) for f in h.when)
            if not spans:
                return float("-inf")
            start, end = min(s for s, _ in spans), max(e for _, e in spans)
            longest = max(e - s for s, e in spans)
            return {"first": -start, "last": end, "longest": longest, "shortest": -longest}[
                self.which
            ]

        best = max(map(rank, state.here), default=0)
        state.here = [h for h in state.here if rank(h) == best]
