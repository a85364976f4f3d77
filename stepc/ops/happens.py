"""The start `happens "event"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ir.literals import quote
from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.proof.solver import State


class Happens(Op):
    """Starts from the only event in scope with this text."""

    op: Literal["happens"] = "happens"
    event: str
    ROLE = "start"
    HELP = "Starts from an event; exactly one must have this text."
    SYNTAX = 'happens "a man is cooking"'

    def arguments(self) -> tuple[str, ...]:
        return (quote(self.event),)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Happens:
        return cls(event=take(arguments, "string")[0])

    @property
    def words(self) -> str:
        return self.event

    def solve(self, state: State) -> None:
        known = state.known
        state.one_event(self.event)
        clips = sorted(known.clips_of(self.event) & state.scope)
        state.here = [
            state.value(self.event, c, spans=(known.times[c],), loose=True) for c in clips
        ]
        if len(clips) != 1:
            state.refuse(self.event for _ in clips)
