"""The counting question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepc.forms.base import Form

if TYPE_CHECKING:
    from stepc.ir.levels import Path, Step
    from stepc.ops.base import Op
    from stepc.ops.make import Make
    from stepc.sampling.query_builder import QueryBuilder
    from stepc.writer.paths import PathWriter

_LINES = ("count", "total")


class CountForm(Form):
    """Asks for the number of different answers of the last step."""

    name = "count"
    order = 4
    help = "How many there are. The rationale lists all of them with the line `total`."
    lines = {
        ("attr", "far"): _LINES,
        ("attr", "near"): _LINES,
        ("rel", "far"): _LINES,
        ("rel", "near"): _LINES,
        ("motion", "far"): _LINES,
        ("motion", "near"): _LINES,
        ("seen", "near"): _LINES,
    }
    total_lines = frozenset(["total"])
    says = frozenset(["counts"])
    sample_form = "count"
    several = True

    def ending(self, finds_value: bool, unique: bool, make: Make) -> tuple[Op, ...]:
        return (make.count,)

    def hides(self, path: Path, graph: QueryBuilder) -> list[str]:
        return graph.answers(path.steps)

    def written_answer(self, step: Step, writer: PathWriter) -> str:
        return str(len(writer.path.also) + 1)

    def sentences(self, step: Step, writer: PathWriter) -> str:
        steps = [step, *writer.path.also]
        told = (writer.true(writer.as_asked(x, step)) for x in steps)
        return writer.language.joined([*told, writer.total(step, steps)])
