"""What the reader finds: noun phrases, and the meanings of questions and sentences."""

from __future__ import annotations

from typing import NamedTuple

from stepc.ir import types as t
from stepc.ops.make import Make

MAKE = Make()
WHOLE = t.During(event=None)


class NounPhrase(NamedTuple):
    """An object or value as a text names it."""

    ops: t.Query
    """The operations that find it."""
    label: str = ""
    """Its label, if the text says no more of it."""
    scope: t.Op | None = None
    """The clip in which it is found, if the text names one."""
    event: str = ""
    """The event of the clip to which a reference leads from there, as far as the text says it."""


class Meaning(NamedTuple):
    """What a text may mean."""

    form: str
    """The form of a sample, or `fact` for a sentence."""
    ops: t.Query
    """The query without its scope."""
    scope: t.Op | None = None
    event: str = ""
    claim: str = ""
    """What a yes-no question or a sentence says of the result of the query."""
    denies: bool = False
    """Whether a sentence says that this is not its result."""
    boxes: tuple[tuple[t.Query, str], ...] = ()
    """(query, box that it answers) of each box that a sentence says."""

    @property
    def query(self) -> t.Query:
        """The query."""
        return (self.scope or WHOLE, *self.ops)

    def leading_to(self, event: str) -> Meaning:
        """The reading with the event of the clip to which its reference leads."""
        ops = [*self.ops]
        for i, op in enumerate(ops):
            if isinstance(op, t.Follow) and op.edge == "ref" and not op.word:
                ops[i] = MAKE.follow(op.edge, op.way, event)
        return self._replace(ops=tuple(ops), event=event)


class Total(NamedTuple):
    """A sentence that says how many there are."""

    number: int
