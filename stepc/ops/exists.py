"""The end `exists`."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Literal

from stepc.ops.base import Op

if TYPE_CHECKING:
    from stepc.ops.fact import Fact
    from stepc.proof.solver import State

MANY = 20_000
"""Maximum number of combinations of objects that are checked to show that none fits."""


class Exists(Op):
    """Answers whether all facts hold together of some objects.

    "No" needs, for all objects in scope, a fact that the graph refutes: it is denied, or another excludes it.
    """

    op: Literal["exists"] = "exists"
    ROLE = "end"
    HELP = "Answers whether the facts hold together of some objects."
    SYNTAX = "exists"

    def solve(self, state: State) -> None:
        state.next_moment()
        rows = state.all_rows()
        if rows:
            state.stop_if(all(row.unsure for row in rows))
            state.found = (state.known.language.yes,)
            return
        state.stop_if(not fit_none(state))
        state.found = (state.known.language.no,)


def fit_none(state: State) -> bool:
    """Whether the facts of one moment are known not to hold together of any objects in scope.

    A fact with a value that the text does not say may hold of any object.
    """
    if any(moment for moment, _ in state.facts):
        return False
    clauses: list[list[Fact]] = []
    for _, fact in state.facts:
        instead = clauses.pop() if clauses and fact.op == "or" else []
        clauses.append([*instead, fact])
    values = {f.far for _, f in state.facts if f.edge != "rel" and f.far}
    ends = dict.fromkeys(
        x for _, f in state.facts for x in (f.near, f.far) if x and x not in values
    )
    open_ = [x for x in ends if not any(x in row.bound for row in state.named)]
    things = state.things()
    if len(things) ** len(open_) > MANY:
        return False
    told = [c for c in clauses if not any(f.far in values for f in c if f.far)]
    for row in state.named:
        taken = {state.identity(h) for h in row.bound.values()}
        for choice in permutations(things, len(open_)):
            if taken & {*map(state.identity, choice)} and len(clauses) == len(state.facts):
                continue  # variables differ, except those of facts that need not hold
            full = row._replace(bound={**row.bound, **dict(zip(open_, choice, strict=True))})
            if not any(all(f.never(full, state) for f in clause) for clause in told):
                return False
    return True
