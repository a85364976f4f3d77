"""Questions about time: when something happens, and how long it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from stepc.forms.base import Form

if TYPE_CHECKING:
    from stepc.ir.elements import Way
    from stepc.ir.levels import Path, Step
    from stepc.lang.types import EdgeRule, Wording
    from stepc.ops.base import Op
    from stepc.ops.make import Make
    from stepc.sampling.query_builder import QueryBuilder
    from stepc.writer.paths import PathWriter


VAGUE = "its time is not known so precisely"


class _Time(Form):
    """Asks for the time of an edge whose ends are both known."""

    time_line = True
    sample_form = "time"
    knows_event = True
    what: ClassVar[Literal["span", "duration", "times"]]

    def wordings(self, rule: EdgeRule, way: Way) -> tuple[Wording, ...]:
        return rule.time.line(self.name) if way == "--" else ()

    def ending(self, finds_value: bool, unique: bool, make: Make) -> tuple[Op, ...]:
        get = make.get(self.what)
        return (make.unique, get) if unique else (get,)

    def answer(self, step: Step, graph: QueryBuilder) -> str:
        return graph.span(step) if self.what == "span" else graph.duration(step)

    def hides(self, path: Path, graph: QueryBuilder) -> list[str]:
        return [graph.answer(x) for x in path.steps[:-1]]

    def texts(self, step: Step) -> dict[tuple[str, str], str]:
        return {("far", ""): step.word}

    def sentences(self, step: Step, writer: PathWriter) -> str:
        return writer.fact(step, "because")


class WhenForm(_Time):
    """When a motion or event happens, in seconds."""

    name = "when"
    order = 9
    help = (
        "When it happens, as a range in seconds, worded by a line in the `time` block of the edge."
    )
    what = "span"

    def not_asked(self, step: Step, graph: QueryBuilder) -> str:
        """What lasts as long as the video happens at no particular time."""
        return "it lasts the whole video" if graph.lasts_throughout(step) else ""


class HowLongForm(_Time):
    """How long a motion or event takes, in seconds."""

    name = "how-long"
    order = 10
    help = "How long it takes, in seconds, worded by a line in the `time` block of the edge."
    what = "duration"

    def not_asked(self, step: Step, graph: QueryBuilder) -> str:
        """The duration must be known to a tenth."""
        known = all(10 * (r.most - r.least) <= r.most for r in graph.bounds(step))
        return "" if known else VAGUE


class HowOftenForm(_Time):
    """How many times a motion happens: the number of its separate time ranges."""

    name = "how-often"
    order = 19
    help = "How many times it happens, worded by a line in the `time` block of the edge."
    what = "times"
    sample_form = "count"
    several = True
    says = frozenset(["counts"])

    def answer(self, step: Step, graph: QueryBuilder) -> str:
        return str(len(graph.spans(step)))

    def not_asked(self, step: Step, graph: QueryBuilder) -> str:
        """Its object must be seen all the time between the first time range and the last one."""
        spans = graph.spans(step)
        return "" if graph.seen_throughout(step.near, spans[0][0], spans[-1][1]) else VAGUE

    def written_answer(self, step: Step, writer: PathWriter) -> str:
        return self.answer(step, writer.graph)

    def sentences(self, step: Step, writer: PathWriter) -> str:
        times = range(len(writer.graph.spans(step)))
        return writer.language.joined([writer.fact(step, "because", i) for i in times])
