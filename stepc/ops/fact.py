"""The steps `fact NEAR edge "word" FAR`, `or …` and `no …`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Literal

from stepc.edges import EDGES
from stepc.ir.elements import Way
from stepc.ir.literals import quote, unquote
from stepc.ops.base import Op, Variable, take
from stepc.ops.follow import Follow

if TYPE_CHECKING:
    from stepc.proof.solver import Reached, Row, State


MANY = 20_000
"""Maximum number of rows; a query that has more is not answered."""


class Fact(Op):
    """Keeps the rows for which a fact holds at the same time as the facts before it.

    The ends are variables; the far end of an attribute or motion may be a value instead. An end without a
    value so far takes each one for which the fact holds. `or` adds the rows for which it holds in place of
    the fact before. `no` keeps the rows for which the graph refutes it.
    """

    op: Literal["fact", "or", "no"] = "fact"
    near: Variable
    edge: Literal["attr", "rel", "motion"]
    word: str
    """The kind of an attribute, or the predicate. Empty for a motion."""
    far: Variable = ""
    value: str | None = None
    """The value at the far end, in place of a variable."""
    KEYWORDS = ("fact", "or", "no")
    HELP = (
        "Keeps the objects and values for which a fact holds (`fact`), holds in place of the one before "
        "(`or`), or is refuted (`no`)."
    )
    SYNTAX = 'fact a rel "holding" b'

    def arguments(self) -> tuple[str, ...]:
        far = self.far if self.value is None else quote(self.value)
        return self.near, self.edge, quote(self.word), far

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Fact:
        end = "string" if arguments and arguments[-1].startswith('"') else "variable"
        take(arguments, "variable", "attr|rel|motion", "string", end)
        near, edge, word, far = arguments
        held = {"value": unquote(far)} if end == "string" else {"far": far}
        fields = {"op": keyword, "near": near, "edge": edge, "word": unquote(word), **held}
        return cls.model_validate(fields)

    @property
    def words(self) -> str:
        return self.value or (self.word if self.edge == "rel" else "")

    def solve(self, state: State) -> None:
        moment = len(state.moments)
        instead = self.op == "or" and any(n == moment for n, _ in state.facts)
        state.facts.append((moment, self))
        before = state.before_fact if instead else state.all_rows()
        find = self._refuted if self.op == "no" else self._held
        found = (made for row in before for made in find(row, state))
        held = state.all_rows() if instead else []
        state.before_fact = before
        state.rows = [*held, *islice(found, MANY + 1)]
        state.stop_if(len(state.rows) > MANY)

    def _ends(self, row: Row, state: State) -> tuple[Reached | None, Reached | None]:
        far = row.bound.get(self.far)
        if self.value is not None:
            far = state.value(self.value, self.word)
        return row.bound.get(self.near), far

    def _held(self, row: Row, state: State) -> Iterator[Row]:
        near, far = self._ends(row, state)
        if near is None and far is not None:
            pairs = ((found, far, found) for found in self._followed(row, far, "<=", state))
        else:
            pairs = (
                (start, found, found)
                for start in ([near] if near is not None else state.things())
                for found in self._followed(row, start, "=>", state)
                if far is None or state.same(found, far)
            )
        for one, other, held in pairs:
            word = state.known.phrase(self.word)
            told = state.identity(one), self.edge, word, state.identity(other)
            if told in row.told:
                continue  # one fact is not two
            timed = row.at(held.when)._replace(told=row.told | {told})
            for made in timed.also(self.near, one, state):
                yield from made.also(self.far, other, state) if self.far else [made]

    def _followed(self, row: Row, start: Reached, way: Way, state: State) -> Iterator[Reached]:
        """What the edges lead to from an end, at the time of the row."""
        word = self.word if self.edge == "rel" or (self.edge == "attr" and way == "=>") else ""
        when = row.when
        if start.thing is not None:
            seen = state.known.seen[start.thing]
            when = seen if when is None else when & seen
            if not when:
                return
            start = start._replace(when=when)
        state.here = [start]
        follow = Follow(edge=self.edge, way=way, word=word)
        for found in state.joined(EDGES[self.edge].follow(follow, state)):
            held = found.when if when is None else found.when & when
            if held:
                yield found._replace(when=held)

    def _refuted(self, row: Row, state: State) -> Iterator[Row]:
        verdict = self.verdict(row, state)
        state.stop_if(verdict is None)
        if verdict is False:
            for made in row.also(self.near, row.bound[self.near], state):
                yield from made.also(self.far, row.bound[self.far], state) if self.far else [made]

    def verdict(self, row: Row, state: State) -> bool | None:
        """Whether the fact holds of a row whose ends are known, at its time; None if that is not known."""
        if any(True for _ in self._held(row._replace(told=frozenset()), state)):
            return True
        near, far = self._ends(row, state)
        if near is None or near.thing is None or far is None:
            return None
        clip = state.known.clip
        if far.thing is not None and (
            far.thing == near.thing or clip[near.thing] != clip[far.thing]
        ):
            return False  # a thing is never related to itself, or to one of another clip
        seen = state.known.seen[near.thing]
        near = near._replace(when=seen if row.when is None else row.when & seen)
        return False if self._denied(near, far, row, state) else None

    def never(self, row: Row, state: State) -> bool:
        """Whether the graph refutes this at all times, of a row whose ends are known.

        A fact with `no` is refuted if it holds in each keyframe that shows both of its ends.
        """
        if self.op != "no":
            return self.verdict(row, state) is False
        near, far = self._ends(row, state)
        if near is None or near.thing is None or far is None:
            return False
        when = state.known.seen[near.thing]
        when = when if far.thing is None else when & state.known.seen[far.thing]
        held = [r.when or frozenset() for r in self._held(row._replace(told=frozenset()), state)]
        return bool(when) and when <= frozenset().union(*held)

    def _denied(self, near: Reached, far: Reached, row: Row, state: State) -> bool:
        if far.thing is not None:
            seen = state.known.seen[far.thing]
            far = far._replace(when=seen if row.when is None else row.when & seen)
            return state.unrelated([near], self.word, [far])
        state.here = [near]
        follow = Follow(edge=self.edge, way="=>", word=self.word if self.edge == "attr" else "")
        return EDGES[self.edge].refutes(follow, far.value, state)
