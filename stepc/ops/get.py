"""The end `get label|value|span|duration`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.proof.solver import State


class Get(Op):
    """Answers with a text: a label, a value, a time range, or a duration.

    A start operation after it begins a second chain, for `compare`.
    """

    op: Literal["get"] = "get"
    what: Literal["label", "value", "span", "duration"]
    ROLE = "end"
    HELP = "Answers with a label, a value, a time range or a duration."
    SYNTAX = "get label"

    def arguments(self) -> tuple[str, ...]:
        return (self.what,)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Get:
        return cls.model_validate({"what": take(arguments, "label|value|span|duration")[0]})

    def solve(self, state: State) -> None:
        spans = state.spans()
        if self.what in ("label", "value"):
            state.found = state.names()
        elif self.what == "span":
            state.found = tuple(f"{a / 1000:.1f} to {b / 1000:.1f} seconds" for a, b in spans)
        else:
            state.found = tuple(f"{(b - a) / 1000:.1f} seconds" for a, b in spans)
        text = state.found[0] if len(state.found) == 1 else ""
        state.got.append((text, spans[0] if self.what == "span" and spans else (0, 0)))
