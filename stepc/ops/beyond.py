"""The scopes `before "event"` and `after "event"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ir.literals import quote
from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.proof.solver import State


class Beyond(Op):
    """Limits the scope to clips that end before, or begin after, an event."""

    op: Literal["before", "after"]
    event: str
    ROLE = "scope"
    KEYWORDS = ("before", "after")
    HELP = "Limits the query to the clips that end before, or begin after, an event."
    SYNTAX = 'before "a man is cooking"'

    def arguments(self) -> tuple[str, ...]:
        return (quote(self.event),)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Beyond:
        return cls.model_validate({"op": keyword, "event": take(arguments, "string")[0]})

    @property
    def words(self) -> str:
        return self.event

    def solve(self, state: State) -> None:
        known = state.known
        state.one_event(self.event)
        clips = known.clips_of(self.event)
        if not clips:
            state.scope = clips
            return
        starts = min(known.ranges[c][0] for c in clips)
        ends = max(known.ranges[c][1] for c in clips)
        state.scope = frozenset(
            c
            for c, (start, end) in known.ranges.items()
            if (end <= starts if self.op == "before" else start >= ends)
        )
