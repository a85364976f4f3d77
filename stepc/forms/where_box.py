"""The question for a box: where in the picture is what the last step finds?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepc.forms.base import Form

if TYPE_CHECKING:
    from stepc.ir.levels import Path, Step
    from stepc.ops.base import Op
    from stepc.ops.make import Make
    from stepc.sampling.query_builder import QueryBuilder
    from stepc.writer.paths import PathWriter

_LINES = ("where-box",)


class WhereBoxForm(Form):
    """Asks for the box of an object at one moment: `[left, top, right, bottom]` in thousandths."""

    name = "where-box"
    order = 20
    help = (
        "Where in the picture an object is at one moment: its box `[left, top, right, bottom]` in "
        "thousandths of the width and height."
    )
    lines = {
        ("attr", "near"): _LINES,
        ("rel", "far"): _LINES,
        ("rel", "near"): _LINES,
        ("motion", "near"): _LINES,
        ("seen", "near"): _LINES,
    }
    sample_form = "box"
    momentary = True
    ambiguous = False

    def ending(self, finds_value: bool, unique: bool, make: Make) -> tuple[Op, ...]:
        return make.unique, make.get("box")

    def hides(self, path: Path, graph: QueryBuilder) -> list[str]:
        return graph.answers(path.steps[:-1])

    def written_answer(self, step: Step, writer: PathWriter) -> str:
        return writer.words.places.box(step, writer.path.query[0])
