"""A question form: from when on does something happen?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepc.forms import Form

if TYPE_CHECKING:
    from stepc.ir.elements import Way
    from stepc.ir.levels import Path, Step
    from stepc.lang.types import EdgeRule, Wording
    from stepc.ops.base import Op
    from stepc.ops.make import Make
    from stepc.sampling.query_builder import QueryBuilder
    from stepc.writer.paths import PathWriter


class StartsForm(Form):
    """Asks for the time of a motion or event; worded by a line `starts` of the edge's `time` block."""

    name = "starts"
    help = "From when on it happens; asked with a line of the edge's `time` block."
    time_line = True
    sample_form = "time"
    knows_event = True

    def wordings(self, rule: EdgeRule, way: Way) -> tuple[Wording, ...]:
        return rule.time.line("starts") if way == "--" else ()

    def ending(self, finds_value: bool, unique: bool, make: Make) -> tuple[Op, ...]:
        get = make.get("span")
        return (make.unique, get) if unique else (get,)

    def answer(self, step: Step, graph: QueryBuilder) -> str:
        return graph.span(step)

    def hides(self, path: Path, graph: QueryBuilder) -> list[str]:
        return [graph.answer(x) for x in path.steps[:-1]]

    def texts(self, step: Step) -> dict[tuple[str, str], str]:
        return {("far", ""): step.word}

    def sentences(self, step: Step, writer: PathWriter) -> str:
        return writer.fact(step, "because")
