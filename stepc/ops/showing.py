"""The scope `showing "label"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ir.literals import quote
from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.proof.solver import State


class Showing(Op):
    """Limits the scope to the only clip that shows an object with this label, and only one."""

    op: Literal["showing"] = "showing"
    label: str
    ROLE = "scope"
    HELP = "Limits the query to the only clip that shows an object with this label."
    SYNTAX = 'showing "cup"'

    def arguments(self) -> tuple[str, ...]:
        return (quote(self.label),)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Showing:
        return cls(label=take(arguments, "string")[0])

    @property
    def words(self) -> str:
        return self.label

    def solve(self, state: State) -> None:
        known = state.known
        state.scope = known.everywhere
        things = {h.thing for h in state.labelled(self.label)} - {None}
        if len(things) > 1:
            state.refuse((self.label, self.label))
        state.scope = frozenset(known.clip[n] for n in things if n is not None)
