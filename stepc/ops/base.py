"""The base class of query operations, and a parser for their arguments."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import StringConstraints

from stepc.ir.elements import Value
from stepc.ir.literals import unquote, unspan

if TYPE_CHECKING:
    from stepc.proof.solver import State


Variable = Annotated[str, StringConstraints(pattern=r"^[a-z]*$", max_length=20)]
"""An object or value that facts share. Empty: none."""


class Op(Value):
    """One operation of a query. Each subclass is in its own file of this package.

    The value of the field `op` is the keyword of the text form.
    """

    op: str
    ROLE: ClassVar[str] = "step"
    """`scope` (limits the clips), `start` (begins a chain), `step`, or `end` (gives the answer)."""
    HELP: ClassVar[str]
    """What it does, in one sentence."""
    SYNTAX: ClassVar[str]
    """An example of the text form."""
    KEYWORDS: ClassVar[tuple[str, ...]] = ()
    """The keywords of the text form, if they differ from the default of the field `op`."""

    @classmethod
    def keywords(cls) -> tuple[str, ...]:
        """The keywords with which the text form may begin."""
        return cls.KEYWORDS or (cls.model_fields["op"].default,)

    def arguments(self) -> tuple[str, ...]:
        """The tokens of the text form after the keyword."""
        return ()

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Self:
        """Parse the text form, the inverse of `text`. Raises ValueError for invalid arguments."""
        take(arguments)
        return cls.model_validate({"op": keyword})

    @property
    def keyword(self) -> str:
        """The keyword with which the text form begins."""
        return self.op

    def text(self) -> str:
        """The canonical text form: the keyword and its arguments."""
        return " ".join([self.keyword, *self.arguments()])

    @property
    def words(self) -> str:
        """The words of the graph that the operation names. A question contains all of them."""
        return ""

    @abstractmethod
    def solve(self, state: State) -> None:
        """Advance the state of the solver.

        Raises NoAnswer if the required single answer is missing, NotKnown if the graph does not know it.
        """

    def refutes(self, claim: str, state: State) -> bool:
        """Whether the graph refutes that the operation finds `claim`, from the state before it."""
        return False


def take(arguments: Sequence[str], *kinds: str) -> list[str]:
    """Check arguments against the expected kinds: `string`, `span`, `seconds`, `variable`, or keywords
    joined by `|`.

    Returns the arguments, strings unquoted. Raises ValueError if their number or kind is wrong.
    """
    if len(arguments) != len(kinds):
        raise ValueError(f"expected {len(kinds)} arguments, found {len(arguments)}")
    taken = []
    for kind, token in zip(kinds, arguments, strict=True):
        if kind == "string":
            taken.append(unquote(token))
        elif kind == "span":
            unspan(token)
            taken.append(token)
        elif kind == "seconds":
            if not re.fullmatch(r"\d{1,9}\.\d{3}", token):
                raise ValueError(f"expected a time such as 1.300, found `{token}`")
            taken.append(token)
        elif kind == "variable":
            if not re.fullmatch("[a-z]{1,20}", token):
                raise ValueError(f"expected a variable, found `{token}`")
            taken.append(token)
        elif token in kind.split("|"):
            taken.append(token)
        else:
            raise ValueError(f"expected {' or '.join(kind.split('|'))}, found `{token}`")
    return taken
