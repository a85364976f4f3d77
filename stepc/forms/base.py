"""What a question form is: everything that stepc knows about one way to ask about a path."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from stepc.edges import EDGES

if TYPE_CHECKING:
    from stepc.ir.elements import Way
    from stepc.ir.levels import Path, Step
    from stepc.lang.types import EdgeRule, Wording
    from stepc.ops.base import Op
    from stepc.passes.compose import Draft, PathWriter
    from stepc.sampling.query_builder import QueryBuilder

Spans = Sequence[tuple[int, int]]


class Form(ABC):
    """One form of question (section 3.2, appendix A.2). A subclass is one class in a file of this package.

    The methods of this base class are those of a plain question.
    """

    # --- in the language -----------------------------------------------------------------
    name: ClassVar[str]
    """The keyword in specs and in the IR's text form."""
    order: ClassVar[int] = 1000
    """Its place among the forms in lists."""
    help: ClassVar[str]
    """One sentence for editors."""
    line: ClassVar[str] = ""
    """The line of a `find` that words it; the form's name by default."""
    lines: ClassVar[Mapping[tuple[str, str], tuple[str, ...]]] = {}
    """The lines it adds to `find` blocks, by edge kind and end; `"*"` stands for every kind."""
    time_line: ClassVar[bool] = False
    """Whether a line of an edge's `time` block words it."""
    pair_placeholders: ClassVar[tuple[str, ...]] = ()
    """The placeholders of its line in the `pair` block; empty for a form that compares nothing."""
    answer_lines: ClassVar[frozenset[str]] = frozenset()
    """Its lines that may name the end that is found."""
    total_lines: ClassVar[frozenset[str]] = frozenset()
    """Its lines about everything that is found, with the placeholders `n` and `all`."""
    whole_paths: ClassVar[bool] = False
    """Whether a `path` block of the spec may word it."""
    ambiguous: ClassVar[bool] = True
    """Whether it goes with the clause `ambiguous`."""

    # --- what it asks --------------------------------------------------------------------
    sample_form: ClassVar[str] = "open"
    """The form of the sample: `open`, `yes-no`, `choice`, `count`, `time` or `compare`."""
    compares: ClassVar[bool] = False
    """Whether it compares two steps side by side, instead of asking about a chain."""
    time_compared: ClassVar[bool] = True
    """Whether it compares times; if not, it compares attributes of one kind."""
    several: ClassVar[bool] = False
    """Whether the last step may find several things."""
    knows_event: ClassVar[bool] = False
    """Whether a step along an event edge knows the event itself."""
    lists_others: ClassVar[bool] = False
    """Whether other right answers are recorded, where a path is ambiguous."""
    rewordable: ClassVar[bool] = False
    """Whether a language model may reword it."""

    def wordings(self, rule: EdgeRule, way: Way) -> tuple[Wording, ...]:
        """The wordings of its question about an edge taken in a direction; none if it cannot be asked."""
        find = rule.find(way)
        return find.line(self.line or self.name) if find else ()

    def spec_line(self) -> str:
        """The line that a spec must have for it to be asked."""
        return self.line or self.name

    # --- its query -----------------------------------------------------------------------

    def ending(self, step: Step, unique: bool, graph: QueryBuilder) -> tuple[Op, ...]:
        """The query operations behind the last step."""
        get = graph.get("value" if graph.finds_value(step) else "label")
        return (graph.unique, get) if unique else (get,)

    def answer(self, step: Step, graph: QueryBuilder) -> str:
        """What a step finds, as it is answered."""
        return EDGES[step.edge].answer(step, graph)

    def rank(self, spans: Spans) -> float | None:
        """How much so something is, for a form that picks the most so; None for other forms."""
        return None

    def comparable(self, one: Spans, other: Spans) -> bool:
        """Whether the comparison of two times is clear, for a form that compares."""
        return False

    # --- its leak rule -------------------------------------------------------------------

    def hides(self, path: Path, graph: QueryBuilder) -> list[str] | None:
        """The answers that a question must not contain; None if it may contain anything."""
        found = [graph.answer(x) for x in path.steps[:-1]]
        return found + [graph.answer(x) for x in (path.steps[-1], *path.also)]

    # --- its text ------------------------------------------------------------------------

    def step_form(self) -> Form:
        """The form in which the rationale asks about the last step."""
        return self

    def plain(self) -> bool:
        """Whether a rationale step in this form is the same for all paths that share the step."""
        return False

    def prepare(self, draft: Draft, writer: PathWriter) -> None:  # noqa: B027
        """Change answer, claim or texts of a draft before its question is worded."""

    def complete(self, draft: Draft, writer: PathWriter) -> str:
        """Add to a draft whose question is worded. Returns why it is dropped, or nothing."""
        return ""

    def texts(self, step: Step) -> dict[tuple[str, str], str]:
        """What further placeholders of a step's question stand for."""
        return {}

    def written_answer(self, step: Step, writer: PathWriter) -> str:
        """The answer as it is written into a sample."""
        return self.answer(step, writer.graph)

    def sentences(self, step: Step, writer: PathWriter) -> str:
        """What the rationale says about the last step."""
        return writer.true(step)
