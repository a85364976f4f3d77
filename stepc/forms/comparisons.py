"""Comparisons of two steps: which is first, last, longer or shorter, and whether both are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, cast

from stepc.forms.ask import AskForm
from stepc.forms.base import CLEAR, Form, Ranges, clearly_more
from stepc.forms.times import WhenForm

if TYPE_CHECKING:
    from stepc.ir.elements import Way
    from stepc.ir.levels import Path, Step
    from stepc.lang.types import EdgeRule, Wording
    from stepc.ops.base import Op
    from stepc.ops.make import Make
    from stepc.sampling.query_builder import QueryBuilder
    from stepc.writer.paths import PathWriter

How = Literal["first", "last", "longer", "shorter", "same"]


class ComparisonForm(Form):
    """Compares two independent steps, by default in time."""

    pair_placeholders: ClassVar[tuple[str, ...]] = ("a", "b")
    sample_form = "compare"
    compares = True
    knows_event = True
    yes_no: ClassVar[bool] = False
    """Whether it asks if the first of the two wins."""

    @property
    def how(self) -> How:
        """The argument of the query operation `compare`."""
        return cast("How", self.name.partition("-")[2] or self.name)

    def wordings(self, rule: EdgeRule, way: Way) -> tuple[Wording, ...]:
        return rule.time.line("fact") if way == "--" else ()

    def spec_line(self) -> str:
        return "fact"

    def ending(self, finds_value: bool, unique: bool, make: Make) -> tuple[Op, ...]:
        get = make.get("span")
        return (make.unique, get) if unique else (get,)

    def answer(self, step: Step, graph: QueryBuilder) -> str:
        return graph.span(step)

    def hides(self, path: Path, graph: QueryBuilder) -> None:
        return None

    def part_form(self) -> Form:
        """The form of the two steps in the rationale."""
        return WhenForm()

    def alternatives(self, one: Step, other: Step, graph: QueryBuilder) -> tuple[str, str]:
        """The two possible answers, as short statements."""
        if self.yes_no:
            return graph.language.yes, graph.language.no
        return graph.fact(one), graph.fact(other)

    def options(self, one: Step, other: Step, writer: PathWriter) -> tuple[str, str]:
        """The two possible answers, in the words of the spec."""
        if self.yes_no:
            return writer.language.yes, writer.language.no
        return writer.fact(one, "fact"), writer.fact(other, "fact")

    def pair_texts(
        self, one: Step, other: Step, options: tuple[str, str], writer: PathWriter
    ) -> dict[tuple[str, str], str]:
        """The texts of the placeholders of its `pair` line."""
        return {("a", ""): writer.fact(one, "fact"), ("b", ""): writer.fact(other, "fact")}

    def winner(
        self, one: Step, other: Step, options: tuple[str, str], graph: QueryBuilder
    ) -> str | None:
        """The correct option, or None if it depends on times that are not known."""
        a, b = graph.bounds(one), graph.bounds(other)
        if self.beats(a, b):
            return options[0]
        return options[1] if self.beats(b, a) else None


class WhichFirstForm(ComparisonForm):
    """Which of two motions or events begins first."""

    name = "which-first"
    order = 11
    help = "Which of two motions or events comes first, worded by a line of `pair`."

    def beats(self, one: Ranges, other: Ranges, clear: float = CLEAR) -> bool:
        return one[0].begins[1] <= other[0].begins[0] and one[0].ends[1] <= other[0].ends[0]


class WhichLastForm(ComparisonForm):
    """Which of two motions or events ends last."""

    name = "which-last"
    order = 12
    help = "Which of two motions or events comes last, worded by a line of `pair`."

    def beats(self, one: Ranges, other: Ranges, clear: float = CLEAR) -> bool:
        return other[0].begins[1] <= one[0].begins[0] and other[0].ends[1] <= one[0].ends[0]


class WhichLongerForm(ComparisonForm):
    """Which of two motions or events takes longer."""

    name = "which-longer"
    order = 13
    help = "Which of two motions or events takes longer, worded by a line of `pair`."

    def beats(self, one: Ranges, other: Ranges, clear: float = CLEAR) -> bool:
        return clearly_more(one[0].least, other[0].most, clear)


class WhichShorterForm(ComparisonForm):
    """Which of two motions or events is shorter."""

    name = "which-shorter"
    order = 14
    help = "Which of two motions or events is shorter, worded by a line of `pair`."

    def beats(self, one: Ranges, other: Ranges, clear: float = CLEAR) -> bool:
        return clearly_more(other[0].least, one[0].most, clear)


class IsFirstForm(WhichFirstForm):
    """Whether one of two motions or events begins and ends before the other."""

    name = "is-first"
    order = 16
    help = (
        "Whether one of two motions or events comes before the other, worded by a line of `pair`."
    )
    yes_no = True


class IsLongerForm(WhichLongerForm):
    """Whether one of two motions or events takes longer than the other."""

    name = "is-longer"
    order = 17
    help = "Whether one of two motions or events takes longer than the other, worded by a line of `pair`."
    yes_no = True


class IsShorterForm(WhichShorterForm):
    """Whether one of two motions or events is shorter than the other."""

    name = "is-shorter"
    order = 18
    help = "Whether one of two motions or events is shorter than the other, worded by a line of `pair`."
    yes_no = True


class SameForm(ComparisonForm):
    """Whether two objects have the same value of an attribute kind."""

    name = "same"
    order = 15
    help = (
        "Whether two objects have the same value of an attribute kind, worded by a line of `pair`."
    )
    pair_placeholders = ("a", "b", "kind")
    time_compared = False
    yes_no = True

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
