"""The scope `during "event"`, and `anytime` for the whole video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ir.literals import quote
from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.proof.solver import State


class During(Op):
    """Limits the scope to clips with this event. `event=None` (`anytime`) is the whole video."""

    op: Literal["during"] = "during"
    event: str | None
    ROLE = "scope"
    KEYWORDS = ("during", "anytime")
    HELP = "Limits the query to the clips of an event; `anytime` does not limit it."
    SYNTAX = 'during "a man is cooking"'

    @property
    def keyword(self) -> str:
        return "anytime" if self.event is None else "during"

    def arguments(self) -> tuple[str, ...]:
        return () if self.event is None else (quote(self.event),)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> During:
        if keyword == "anytime":
            take(arguments)
            return cls(event=None)
        return cls(event=take(arguments, "string")[0])

    @property
    def words(self) -> str:
        return self.event or ""

    def solve(self, state: State) -> None:
        known = state.known
        if self.event is not None:
            state.one_event(self.event)
        state.scope = known.everywhere if self.event is None else known.clips_of(self.event)
        if self.event is not None and any(known.times[c] != known.ranges[c] for c in state.scope):
            state.refuse(())  # it fills only a part of the clip, and facts are known by clip
