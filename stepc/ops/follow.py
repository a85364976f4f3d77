"""The step `follow edge direction "word"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from stepc.edges import EDGES
from stepc.ir.elements import EdgeKind, Way
from stepc.ir.literals import quote
from stepc.ops.base import Op, take

if TYPE_CHECKING:
    from stepc.proof.solver import State


class Follow(Op):
    """Follows all edges of a kind with a given word, in one direction."""

    op: Literal["follow"] = "follow"
    edge: EdgeKind
    way: Way
    word: str
    """The predicate (rel), attribute kind (attr) or event (ref). Empty matches any."""
    HELP = "Follows edges of a kind, from near to far (`=>`) or from far to near (`<=`)."
    SYNTAX = 'follow attr => "color"'

    def arguments(self) -> tuple[str, ...]:
        return self.edge, self.way, quote(self.word)

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Follow:
        edge, way, word = take(arguments, "|".join(EDGES), "=>|<=|--", "string")
        return cls.model_validate({"edge": edge, "way": way, "word": word})

    @property
    def words(self) -> str:
        return self.word

    def solve(self, state: State) -> None:
        kind = EDGES[self.edge]
        state.scope = kind.scope(self, state)
        state.here = state.joined(state.in_scope(kind.follow(self, state)))

    def refutes(self, claim: str, state: State) -> bool:
        return bool(state.here) and EDGES[self.edge].refutes(self, claim, state)
