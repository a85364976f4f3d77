"""The end `compare first|last|longer|shorter|same "one" "other"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ir.literals import quote
from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.proof.solver import State


class Compare(Op):
    """Compares the two results of `get` in time (first, last, longer, shorter) or for equality (same).

    The answer is `one` if the first result wins, otherwise `other`. For `same`, it is `one` if the
    results are equal.
    """

    op: Literal["compare"] = "compare"
    how: Literal["first", "last", "longer", "shorter", "same"]
    one: str
    other: str
    ROLE = "end"
    HELP = "Compares the two results so far, in time or for equality."
    SYNTAX = 'compare same "yes" "no"'

    def arguments(self) -> tuple[str, ...]:
        return self.how, quote(self.one), quote(self.other)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Compare:
        how, one, other = take(arguments, "first|last|longer|shorter|same", "string", "string")
        return cls.model_validate({"how": how, "one": one, "other": other})

    def solve(self, state: State) -> None:
        if len(state.got) != 2 or not all(text for text, _ in state.got):
            state.refuse(())
        (one, (start, end)), (other, (start2, end2)) = state.got
        if self.how == "same":
            state.found = (self.one if state.known.same_phrase(one, other) else self.other,)
            return
        more = {
            "first": start2 - start,
            "last": end - end2,
            "longer": (end - start) - (end2 - start2),
            "shorter": (end2 - start2) - (end - start),
        }[self.how]
        if more == 0:
            state.refuse((self.one, self.other))
        state.found = (self.one if more > 0 else self.other,)
