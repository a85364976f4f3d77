"""What a query operation is, and the arguments that its text form takes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from stepc.ir.elements import Value
from stepc.ir.literals import unquote, unspan

if TYPE_CHECKING:
    from stepc.proof.solver import State


class Op(Value):
    """One operation of a query: its fields, its text form, its words, and its meaning.

    A subclass is one file of this package. Its field `op` is the keyword of the text form.
    """

    op: str
    ROLE: ClassVar[str] = "step"
    """`scope` (limits the clips in sight), `start` (begins a chain), `step`, or `end` (gives an answer)."""
    HELP: ClassVar[str]
    """One sentence on what it does."""
    SYNTAX: ClassVar[str]
    """An example of its text form."""
    KEYWORDS: ClassVar[tuple[str, ...]] = ()
    """The keywords of its text form, where they are not just the one of the field `op`."""

    @classmethod
    def keywords(cls) -> tuple[str, ...]:
        """The keywords that its text form may begin with."""
        return cls.KEYWORDS or (cls.model_fields["op"].default,)

    def arguments(self) -> tuple[str, ...]:
        """The text form behind the keyword, as tokens."""
        return ()

    @classmethod
    def parse(cls, keyword: str, arguments: Sequence[str]) -> Self:
        """The operation that `text` printed. Raises ValueError for arguments it does not take."""
        take(arguments)
        return cls.model_validate({"op": keyword})

    @property
    def keyword(self) -> str:
        """The first word of the text form."""
        return self.op

    def text(self) -> str:
        """The canonical text form: the keyword and its arguments."""
        return " ".join([self.keyword, *self.arguments()])

    @property
    def words(self) -> str:
        """The words of the graph that the operation names, which a question therefore says."""
        return ""

    @abstractmethod
    def solve(self, state: State) -> None:
        """Advance the solver's state. Raises NoAnswer where no single answer is left."""


def take(arguments: Sequence[str], *kinds: str) -> list[str]:
    """The arguments, checked against what is expected: `string`, `span`, or words joined by `|`.

    Strings come back unquoted. Raises ValueError for a missing, superfluous or wrong argument.
    """
    if len(arguments) != len(kinds):
        raise ValueError(f"takes {len(kinds)} arguments, not {len(arguments)}")
    taken = []
    for kind, token in zip(kinds, arguments, strict=True):
        if kind == "string":
            taken.append(unquote(token))
        elif kind == "span":
            unspan(token)
            taken.append(token)
        elif token in kind.split("|"):
            taken.append(token)
        else:
            raise ValueError(f"expected {' or '.join(kind.split('|'))}, found `{token}`")
    return taken
