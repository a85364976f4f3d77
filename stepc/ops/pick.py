"""The step `pick first|second|third|last|longest|shortest`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ir.elements import Superlative
from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.ir.spans import Bounds
    from stepc.proof.solver import State


class Pick(Op):
    """Keeps the object or value that is first, second, third, last, longest or shortest in time."""

    op: Literal["pick"] = "pick"
    which: Superlative
    HELP = "Keeps what is first, second, third, last, longest or shortest in time."
    SYNTAX = "pick first"

    def arguments(self) -> tuple[str, ...]:
        return (self.which,)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Pick:
        which = take(arguments, "first|second|third|last|longest|shortest")[0]
        return cls.model_validate({"which": which})

    def solve(self, state: State) -> None:
        before = {"second": 1, "third": 2}.get(self.which, 0)
        if len(state.here) < 2 and not before:
            return
        known = [(h, state.bounds(h)) for h in state.here]
        best = []
        for h, mine in known:
            others = [its for other, its in known if other is not h]
            won = [mine != [] and self._wins(mine, its) for its in others]
            lost = [its != [] and self._wins(its, mine) for its in others]
            if sum(won) == len(others) - before and (not before or sum(lost) == before):
                best.append(h)
        if len(best) != 1:  # it depends on times that are not known
            state.refuse(map(state.name, state.here))
        state.here = best

    def _wins(self, mine: list[Bounds], its: list[Bounds]) -> bool:
        """Whether one wins at all times that are possible, durations by a tenth at least."""
        if not its:
            return False
        match self.which:
            case "first" | "second" | "third":
                return min(b.begins[1] for b in mine) <= min(b.begins[0] for b in its)
            case "last":
                return max(b.ends[0] for b in mine) >= max(b.ends[1] for b in its)
            case "longest":
                least, most = sum(b.least for b in mine), sum(b.most for b in its)
            case _:
                least, most = sum(b.least for b in its), sum(b.most for b in mine)
        return least > 0 and 10 * (least - most) >= least
