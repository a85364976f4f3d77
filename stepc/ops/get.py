"""The end `get label|value|span|duration|times|box`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.proof.solver import Reached, State


class Get(Op):
    """Answers with a text: a label, a value, a time range, a duration, the number of time ranges, or a box.

    A start operation after it begins a second chain, for `compare`.
    """

    op: Literal["get"] = "get"
    what: Literal["label", "value", "span", "duration", "times", "box"]
    ROLE = "end"
    HELP = "Answers with a label, a value, a time range, a duration, a number of times, or a box."
    SYNTAX = "get label"

    def arguments(self) -> tuple[str, ...]:
        return (self.what,)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Get:
        return cls.model_validate(
            {"what": take(arguments, "label|value|span|duration|times|box")[0]}
        )

    def solve(self, state: State) -> None:
        spans = state.spans()
        if self.what in ("label", "value"):
            state.found = state.names()
        elif self.what == "span":
            said = state.known.language.span
            state.found = tuple(said(a, b) for a, b, _ in map(_printed, spans))
        elif self.what == "box":
            state.found = state.boxes()
        elif self.what == "times":
            state.stop_if(any(self._interrupted(here, state) for here in state.here))
            state.found = (str(len(spans)),)
        else:
            said_length = state.known.language.duration
            state.found = tuple(said_length(length) for _, _, length in map(_printed, spans))
            for here in state.here:  # it must be known to a tenth
                if any(10 * (b.most - b.least) > b.most for b in state.bounds(here)):
                    state.refuse(())
        text = state.found[0] if len(state.found) == 1 else ""
        bounds = [b for h in state.here for b in state.bounds(h)] if self.what == "span" else []
        kind = state.here[0].kind if state.here else ""
        state.got.append((text, bounds[0] if bounds else None, kind))

    @staticmethod
    def _interrupted(here: Reached, state: State) -> bool:
        """Whether who does this is out of sight between two times that it does, or does it in two clips."""
        known, word = state.known, state.known.phrase(here.value)
        first, last = here.spans[0][0], here.spans[-1][1]
        doers = {
            n
            for n, _, span in known.doing.get(word, ())
            if span in here.spans and known.clip[n] in state.scope
        }
        clips = {known.clip[n] for n in doers}
        between = {at for c in clips for at in known.keyframes[c] if first <= at <= last}
        return len(clips) != 1 or any(
            not between <= {known.at[f] for f in known.seen[n]} for n in doers
        )


def _printed(span: tuple[int, int]) -> tuple[str, str, str]:
    """Start, end and length in seconds, to as many decimals as the printed range needs to lie within."""
    for places in (1, 2, 3):
        parts = 10**places
        first, last = math.ceil(span[0] * parts / 1000), math.floor(span[1] * parts / 1000)
        if last > first:
            break
    return (f"{first / parts:.{places}f}", f"{last / parts:.{places}f}",
            f"{(last - first) / parts:.{places}f}")  # fmt: skip
