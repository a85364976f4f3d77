"""The base class of question forms: everything that stepc knows about one way to ask a path."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from stepc.edges import EDGES

if TYPE_CHECKING:
    from stepc.ir.elements import Way
    from stepc.ir.levels import Path, Step
    from stepc.ir.spans import Bounds
    from stepc.lang.types import EdgeRule, Wording
    from stepc.ops.base import Op
    from stepc.ops.make import Make
    from stepc.sampling.query_builder import QueryBuilder
    from stepc.writer.paths import Draft, PathWriter

Ranges = Sequence["Bounds"]
"""What is known of the times of an answer."""
CLEAR = 0.1
"""Minimum difference of two durations, as a share of the longer one, for a clear answer."""


def clearly_more(least: int, most: int, clear: float) -> bool:
    """Whether at least `least` is longer than at most `most` by the share `clear` of it."""
    return least - most >= clear * max(least, 1)


class Form(ABC):
    """One form of question (section 3.2 and appendix A.2 of the paper).

    The methods of this base class implement an open question.
    """

    # --- in the language -----------------------------------------------------------------
    name: ClassVar[str]
    """The keyword in specs and in the text form of the IR."""
    order: ClassVar[int] = 1000
    """Sort key of the form in lists."""
    help: ClassVar[str]
    """One sentence, shown by editors."""
    line: ClassVar[str] = ""
    """The line of a `find` block that words the form. Empty: the line has the name of the form."""
    lines: ClassVar[Mapping[tuple[str, str], tuple[str, ...]]] = {}
    """(edge kind or `"*"` for all, found end) → lines that the form adds to the `find` block."""
    time_line: ClassVar[bool] = False
    """Whether a line of the `time` block of an edge words the form."""
    pair_placeholders: ClassVar[tuple[str, ...]] = ()
    """The placeholders of its line in the `pair` block. Empty if the form is not a comparison."""
    answer_lines: ClassVar[frozenset[str]] = frozenset()
    """Lines of the form that may name the found end."""
    total_lines: ClassVar[frozenset[str]] = frozenset()
    """Lines of the form about all answers, with the placeholders `n` and `all`."""
    whole_paths: ClassVar[bool] = False
    """Whether a `path` block of the spec may word the form."""
    says: ClassVar[frozenset[str]] = frozenset()
    """What its query asks, so that its words may say it: `negates`, `compares`, `counts`, `dates`."""
    ambiguous: ClassVar[bool] = True
    """Whether the clause `ambiguous` allows the form."""

    # --- what it asks --------------------------------------------------------------------
    sample_form: ClassVar[str] = "open"
    """The form of the sample: `open`, `yes-no`, `choice`, `count`, `time`, `box` or `compare`."""
    compares: ClassVar[bool] = False
    """Whether the form compares two independent steps instead of asking about a chain."""
    time_compared: ClassVar[bool] = True
    """Whether a comparison is of times. Otherwise it is of attributes of one kind."""
    momentary: ClassVar[bool] = False
    """Whether it asks about one moment, whatever time ranges the block has."""
    several: ClassVar[bool] = False
    """Whether the last step may find several answers."""
    knows_event: ClassVar[bool] = False
    """Whether the known end of a step along an event edge is the event itself."""
    lists_others: ClassVar[bool] = False
    """Whether the sample records the other correct answers of an ambiguous path."""
    rewordable: ClassVar[bool] = False
    """Whether a language model may reword the question."""

    def wordings(self, rule: EdgeRule, way: Way) -> tuple[Wording, ...]:
        """The wordings of the question for an edge taken in a direction, empty if it cannot be asked."""
        find = rule.find(way)
        return find.line(self.line or self.name) if find else ()

    def spec_line(self) -> str:
        """The line that a spec needs for the form."""
        return self.line or self.name

    # --- its query -----------------------------------------------------------------------

    def ending(self, finds_value: bool, unique: bool, make: Make) -> tuple[Op, ...]:
        """The query operations after the last step."""
        get = make.get("value" if finds_value else "label")
        return (make.unique, get) if unique else (get,)

    def answer(self, step: Step, graph: QueryBuilder) -> str:
        """The answer to a step in this form."""
        return EDGES[step.edge].answer(step, graph)

    def not_asked(self, step: Step, graph: QueryBuilder) -> str:
        """Why a step is not asked about: its answer would tell nothing, or more than the graph knows."""
        return ""

    picks: ClassVar[bool] = False
    """Whether it picks the one of several answers that beats all others."""

    def beats(self, one: Ranges, other: Ranges, clear: float = CLEAR) -> bool:
        """Whether the first of two answers wins, whatever their exact times are.

        Durations must differ by the share `clear` of the longer one.
        """
        return False

    # --- its leak rule -------------------------------------------------------------------

    def hides(self, path: Path, graph: QueryBuilder) -> list[str] | None:
        """The answers that the question must not contain. None if it may contain any."""
        return graph.answers((*path.steps, *path.also))

    # --- its text ------------------------------------------------------------------------

    def step_form(self) -> Form:
        """The form of the last step in the rationale."""
        return self

    def plain(self) -> bool:
        """Whether the rationale of a step in this form is the same in all paths with this step."""
        return False

    def prepare(self, draft: Draft, writer: PathWriter) -> None:  # noqa: B027
        """Change the answer, claim or texts of a draft, before its question is worded."""

    def complete(self, draft: Draft, writer: PathWriter) -> str:
        """Complete a draft after its question is worded. Returns why it is dropped, or ""."""
        return ""

    def texts(self, step: Step) -> dict[tuple[str, str], str]:
        """The texts of additional placeholders in the question of a step."""
        return {}

    def written_answer(self, step: Step, writer: PathWriter) -> str:
        """The answer as written to the sample."""
        return self.answer(step, writer.graph)

    def sentences(self, step: Step, writer: PathWriter) -> str:
        """The sentences of the rationale about the last step."""
        return writer.true(step)
