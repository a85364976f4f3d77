"""The start `given edge "kind" "value"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ir.literals import quote
from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.proof.solver import State


class Given(Op):
    """Starts from the value of an attribute, from a motion, or from a label."""

    op: Literal["given"] = "given"
    edge: Literal["attr", "motion", "seen"]
    kind: str
    """The attribute kind. Empty for a motion or a label."""
    value: str
    ROLE = "start"
    HELP = "Starts from the value of an attribute, from a motion, or from a label."
    SYNTAX = 'given attr "color" "red"'

    def arguments(self) -> tuple[str, ...]:
        return self.edge, quote(self.kind), quote(self.value)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Given:
        edge, kind, value = take(arguments, "attr|motion|seen", "string", "string")
        return cls.model_validate({"edge": edge, "kind": kind, "value": value})

    @property
    def words(self) -> str:
        return self.value

    def solve(self, state: State) -> None:
        state.here = [state.value(self.value, self.kind)]
