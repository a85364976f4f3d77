"""The step `to "label"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.ir.literals import quote
from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.proof.solver import State


class To(Op):
    """Finds the predicates of all relations from the current objects to the only object with a label."""

    op: Literal["to"] = "to"
    label: str
    HELP = "Finds the relations of the current objects to the only object with a label."
    SYNTAX = 'to "table"'

    def arguments(self) -> tuple[str, ...]:
        return (quote(self.label),)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> To:
        return cls(label=take(arguments, "string")[0])

    @property
    def words(self) -> str:
        return self.label

    def solve(self, state: State) -> None:
        known = state.known
        there = {h.thing: h.when for h in state.labelled(self.label)}
        unknown = known.unknown
        for here in state.here:
            thing, when = state.thing_of(here), here.when
            state.stop_if(unknown.relations(thing, when))
            state.stop_if(any(unknown.between(thing, other, when) for other in there))
        if len({known.same[n] for n in there if n is not None}) != 1:
            state.refuse(self.label for _ in there)
        state.here = state.joined(
            state.value(predicate, when=both)
            for h in state.here
            if h.thing is not None
            for other, predicate, when in known.between[h.thing]
            if (both := when & h.when & there.get(other, frozenset()))
            and not known.is_comparison(predicate)
        )

    def refutes(self, claim: str, state: State) -> bool:
        return state.unrelated(state.here, claim, state.labelled(self.label))
