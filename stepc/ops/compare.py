"""The end `compare first|last|longer|shorter|same|more|fewer|equal "one" "other"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ir.literals import quote
from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.ir.spans import Bounds
    from stepc.proof.solver import State


HOWS = "first|last|longer|shorter|same|more|fewer|equal"


class Compare(Op):
    """Compares two results of `get` in time or for equality (same), or two of `count` (more, fewer, equal).

    The answer is `one` if the first result wins, otherwise `other`. For `same`, it is `one` if the
    results are equal, and `other` if they exclude each other.
    """

    op: Literal["compare"] = "compare"
    how: Literal["first", "last", "longer", "shorter", "same", "more", "fewer", "equal"]
    one: str
    other: str
    ROLE = "end"
    HELP = "Compares the two results so far, in time, for equality, or by number."
    SYNTAX = 'compare same "yes" "no"'

    def arguments(self) -> tuple[str, ...]:
        return self.how, quote(self.one), quote(self.other)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Compare:
        how, one, other = take(arguments, HOWS, "string", "string")
        return cls.model_validate({"how": how, "one": one, "other": other})

    def solve(self, state: State) -> None:
        if len(state.got) != 2 or not all(text for text, _, _ in state.got):
            state.refuse(())
        (one, a, kind), (other, b, _) = state.got
        if self.how == "same":
            same = state.known.same_phrase(one, other)
            if not same and not state.known.excludes("attr", one, other, kind):
                state.refuse((self.one, self.other))  # such as "red" and "dark red"
            state.found = (self.one if same else self.other,)
            return
        if self.how in ("more", "fewer", "equal"):
            m, n = int(one), int(other)
            wins = {"more": m > n, "fewer": m < n, "equal": m == n}[self.how]
            state.found = (self.one if wins else self.other,)
            return
        if a is None or b is None:
            state.refuse(())
        if self._wins(a, b):
            state.found = (self.one,)
        elif self._wins(b, a):
            state.found = (self.other,)
        else:
            state.refuse((self.one, self.other))

    def _wins(self, a: Bounds, b: Bounds) -> bool:
        """Whether the first wins at all times that are possible, durations by a tenth at least."""
        match self.how:
            case "first":
                return a.begins[1] <= b.begins[0]
            case "last":
                return a.ends[0] >= b.ends[1]
            case "longer":
                return a.least > 0 and 10 * (a.least - b.most) >= a.least
            case _:
                return b.least > 0 and 10 * (b.least - a.most) >= b.least
