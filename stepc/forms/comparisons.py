"""Comparisons of two steps: which is first, last, longer or shorter, and whether two are alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, cast

from stepc.forms.ask import AskForm
from stepc.forms.base import Form, Spans
from stepc.forms.times import WhenForm
from stepc.ir.spans import span_text

if TYPE_CHECKING:
    from stepc.ir.elements import Way
    from stepc.ir.levels import Path, Step
    from stepc.lang.types import EdgeRule, Wording
    from stepc.ops.base import Op
    from stepc.passes.compose import PathWriter
    from stepc.sampling.query_builder import QueryBuilder

CLEAR = 0.1
"""How much longer one of two times must be, as a share of the longer one, for the answer to be clear."""
How = Literal["first", "last", "longer", "shorter", "same"]


class Comparison(Form):
    """Compares two steps side by side, in time unless a subclass says otherwise."""

    pair_placeholders: ClassVar[tuple[str, ...]] = ("a", "b")
    sample_form = "compare"
    compares = True
    knows_event = True

    @property
    def how(self) -> How:
        """What the query operation `compare` is told."""
        return cast("How", self.name.removeprefix("which-"))

    def wordings(self, rule: EdgeRule, way: Way) -> tuple[Wording, ...]:
        return rule.time.line("fact") if way == "--" else ()

    def spec_line(self) -> str:
        return "fact"

    def ending(self, step: Step, unique: bool, graph: QueryBuilder) -> tuple[Op, ...]:
        get = graph.get("span")
        return (graph.unique, get) if unique else (get,)

    def answer(self, step: Step, graph: QueryBuilder) -> str:
        return span_text(*graph.spans(step)[0])

    def hides(self, path: Path, graph: QueryBuilder) -> None:
        return None

    def part_form(self) -> Form:
        """The form in which the rationale asks about each of the two steps."""
        return WhenForm()

    def alternatives(self, one: Step, other: Step, graph: QueryBuilder) -> tuple[str, str]:
        """What the answer may be, in plain words."""
        return graph.fact(one), graph.fact(other)

    def options(self, one: Step, other: Step, writer: PathWriter) -> tuple[str, str]:
        """What the answer may be, in the words of the spec."""
        return writer.fact(one, "fact"), writer.fact(other, "fact")

    def pair_texts(
        self, one: Step, other: Step, options: tuple[str, str], writer: PathWriter
    ) -> dict[tuple[str, str], str]:
        """What the placeholders of its line stand for."""
        return {("a", ""): options[0], ("b", ""): options[1]}

    def more(self, one: tuple[int, int], other: tuple[int, int]) -> int:
        """By how much the first of two times is more so, in milliseconds; 0 if neither is."""
        raise NotImplementedError

    def winner(
        self, one: Step, other: Step, options: tuple[str, str], graph: QueryBuilder
    ) -> str | None:
        """The right one of two options, or None if neither is."""
        more = self.more(graph.spans(one)[0], graph.spans(other)[0])
        return None if more == 0 else options[0] if more > 0 else options[1]


class _Order(Comparison):
    def comparable(self, one: Spans, other: Spans) -> bool:
        (a, b), (c, d) = one[0], other[0]
        return (a < c and b < d) or (c < a and d < b)


class WhichFirstForm(_Order):
    """Which of two begins first."""

    name = "which-first"
    order = 11
    help = "Which of two motions or events comes first; asked with a line of `pair`."

    def more(self, one: tuple[int, int], other: tuple[int, int]) -> int:
        return other[0] - one[0]


class WhichLastForm(_Order):
    """Which of two ends last."""

    name = "which-last"
    order = 12
    help = "Which of two motions or events comes last; asked with a line of `pair`."

    def more(self, one: tuple[int, int], other: tuple[int, int]) -> int:
        return one[1] - other[1]


class _Length(Comparison):
    def comparable(self, one: Spans, other: Spans) -> bool:
        first, second = (b - a for a, b in (one[0], other[0]))
        return abs(first - second) >= CLEAR * max(first, second, 1)


class WhichLongerForm(_Length):
    """Which of two takes longer."""

    name = "which-longer"
    order = 13
    help = "Which of two motions or events takes longer; asked with a line of `pair`."

    def more(self, one: tuple[int, int], other: tuple[int, int]) -> int:
        return (one[1] - one[0]) - (other[1] - other[0])


class WhichShorterForm(_Length):
    """Which of two takes a shorter time."""

    name = "which-shorter"
    order = 14
    help = "Which of two motions or events takes a shorter time; asked with a line of `pair`."

    def more(self, one: tuple[int, int], other: tuple[int, int]) -> int:
        return (other[1] - other[0]) - (one[1] - one[0])


class SameForm(Comparison):
    """Whether two objects have the same attribute of a kind."""

    name = "same"
    order = 15
    help = "Whether two objects are alike in an attribute of one kind; asked with a line of `pair`."
    pair_placeholders = ("a", "b", "kind")
    time_compared = False

    def wordings(self, rule: EdgeRule, way: Way) -> tuple[Wording, ...]:
        """Those of the attribute's own question: the question itself is a line of `pair`."""
        find = rule.find(way) if rule.kind == "attr" and way == "=>" else None
        return find.line("ask") if find else ()

    def ending(self, step: Step, unique: bool, graph: QueryBuilder) -> tuple[Op, ...]:
        get = graph.get("value")
        return (graph.unique, get) if unique else (get,)

    def answer(self, step: Step, graph: QueryBuilder) -> str:
        return Form.answer(self, step, graph)

    def part_form(self) -> Form:
        return AskForm()

    def alternatives(self, one: Step, other: Step, graph: QueryBuilder) -> tuple[str, str]:
        return "yes", "no"

    def options(self, one: Step, other: Step, writer: PathWriter) -> tuple[str, str]:
        return "yes", "no"

    def pair_texts(
        self, one: Step, other: Step, options: tuple[str, str], writer: PathWriter
    ) -> dict[tuple[str, str], str]:
        a, b = writer.known(one), writer.known(other)
        return {("a", ""): a, ("b", ""): b, ("kind", ""): writer.graph.kinds[one.far]}

    def winner(
        self, one: Step, other: Step, options: tuple[str, str], graph: QueryBuilder
    ) -> str | None:
        return options[0] if graph.alike(one, other) else options[1]
