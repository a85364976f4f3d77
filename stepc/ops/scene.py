"""The scope `scene NUMBER`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from stepc.ops.base import Op

if TYPE_CHECKING:
    from stepc.proof.solver import State


class Scene(Op):
    """Limits the scope to one clip, by its number from 1."""

    op: Literal["scene"] = "scene"
    number: Annotated[int, Field(ge=1, lt=10**9)]
    ROLE = "scope"
    HELP = "Limits the query to one clip, by its number."
    SYNTAX = "scene 2"

    def arguments(self) -> tuple[str, ...]:
        return (str(self.number),)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Scene:
        if len(arguments) != 1 or not arguments[0].isdecimal():
            raise ValueError("expected a number")
        return cls(number=int(arguments[0]))

    def solve(self, state: State) -> None:
        clips = sorted(state.known.ranges, key=lambda c: state.known.ranges[c])
        state.scope = frozenset(clips[self.number - 1 : self.number])
