"""Comparisons of two steps: which is first, last, longer or shorter, and whether both are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, cast

from stepc.forms.ask import AskForm
from stepc.forms.base import Form, Ranges
from stepc.forms.times import WhenForm
from stepc.ir.spans import span_text

if TYPE_CHECKING:
    from stepc.ir.elements import Way
    from stepc.ir.levels import Path, Step
    from stepc.lang.types import EdgeRule, Wording
    from stepc.ops.base import Op
    from stepc.ops.make import Make
    from stepc.sampling.query_builder import QueryBuilder
    from stepc.writer.paths import PathWriter

CLEAR = 0.1
"""Minimum difference of two durations, as a share of the longer one, for a clear answer."""


def clearly_more(least: int, most: int) -> bool:
    """Whether a duration of at least `least` is clearly longer than one of at most `most`."""
    return least - most >= CLEAR * max(least, 1)


How = Literal["first", "last", "longer", "shorter", "same"]


class ComparisonForm(Form):
    """Compares two independent steps, by default in time."""

    pair_placeholders: ClassVar[tuple[str, ...]] = ("a", "b")
    sample_form = "compare"
    compares = True
    knows_event = True

    @property
    def how(self) -> How:
        """The argument of the query operation `compare`."""
        return cast("How", self.name.removeprefix("which-"))

    def wordings(self, rule: EdgeRule, way: Way) -> tuple[Wording, ...]:
        return rule.time.line("fact") if way == "--" else ()

    def spec_line(self) -> str:
        return "fact"

    def ending(self, finds_value: bool, unique: bool, make: Make) -> tuple[Op, ...]:
        get = make.get("span")
        return (make.unique, get) if unique else (get,)

    def answer(self, step: Step, graph: QueryBuilder) -> str:
        return span_text(*graph.spans(step)[0])

    def hides(self, path: Path, graph: QueryBuilder) -> None:
        return None

    def part_form(self) -> Form:
        """The form of the two steps in the rationale."""
        return WhenForm()

    def alternatives(self, one: Step, other: Step, graph: QueryBuilder) -> tuple[str, str]:
        """The two possible answers, as short statements."""
        return graph.fact(one), graph.fact(other)

    def options(self, one: Step, other: Step, writer: PathWriter) -> tuple[str, str]:
        """The two possible answers, in the words of the spec."""
        return writer.fact(one, "fact"), writer.fact(other, "fact")

    def pair_texts(
        self, one: Step, other: Step, options: tuple[str, str], writer: PathWriter
    ) -> dict[tuple[str, str], str]:
        """The texts of the placeholders of its `pair` line."""
        return {("a", ""): options[0], ("b", ""): options[1]}

    def winner(
        self, one: Step, other: Step, options: tuple[str, str], graph: QueryBuilder
    ) -> str | None:
        """The correct option, or None if it depends on times that are not known."""
        ranges = graph.bounds(one), graph.bounds(other)
        if self.beats(*ranges):
            return options[0]
        return options[1] if self.beats(*reversed(ranges)) else None


class WhichFirstForm(ComparisonForm):
    """Which of two motions or events begins first."""

    name = "which-first"
    order = 11
    help = "Which of two motions or events comes first, worded by a line of `pair`."

    def beats(self, one: Ranges, other: Ranges) -> bool:
        return one[0].begins[1] <= other[0].begins[0] and one[0].ends[1] <= other[0].ends[0]


class WhichLastForm(ComparisonForm):
    """Which of two motions or events ends last."""

    name = "which-last"
    order = 12
    help = "Which of two motions or events comes last, worded by a line of `pair`."

    def beats(self, one: Ranges, other: Ranges) -> bool:
        return other[0].begins[1] <= one[0].begins[0] and other[0].ends[1] <= one[0].ends[0]


class WhichLongerForm(ComparisonForm):
    """Which of two motions or events takes longer."""

    name = "which-longer"
    order = 13
    help = "Which of two motions or events takes longer, worded by a line of `pair`."

    def beats(self, one: Ranges, other: Ranges) -> bool:
        return clearly_more(one[0].least, other[0].most)


class WhichShorterForm(ComparisonForm):
    """Which of two motions or events is shorter."""

    name = "which-shorter"
    order = 14
    help = "Which of two motions or events is shorter, worded by a line of `pair`."

    def beats(self, one: Ranges, other: Ranges) -> bool:
        return clearly_more(other[0].least, one[0].most)


class SameForm(ComparisonForm):
    """Whether two objects have the same value of an attribute kind."""

    name = "same"
    order = 15
    help = (
        "Whether two objects have the same value of an attribute kind, worded by a line of `pair`."
    )
    pair_placeholders = ("a", "b", "kind")
    time_compared = False

    def wordings(self, rule: EdgeRule, way: Way) -> tuple[Wording, ...]:
        """The wordings of the rationale. The question itself is worded by `pair`."""
        find = rule.find(way) if rule.kind == "attr" and way == "=>" else None
        return find.line("ask") if find else ()

    def ending(self, finds_value: bool, unique: bool, make: Make) -> tuple[Op, ...]:
        get = make.get("value")
        return (make.unique, get) if unique else (get,)

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
        return {
            ("a", ""): a,
            ("b", ""): b,
            ("kind", ""): writer.graph.kinds[one.far].replace("_", " "),
        }

    def winner(
        self, one: Step, other: Step, options: tuple[str, str], graph: QueryBuilder
    ) -> str | None:
        return options[0] if graph.alike(one, other) else options[1]
