"""Superlatives: which of several answers is first, last, longest or shortest in time?"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from stepc.forms.base import Form, Spans

if TYPE_CHECKING:
    from stepc.ir.elements import Superlative
    from stepc.ir.levels import Step
    from stepc.ops.base import Op
    from stepc.passes.compose import PathWriter
    from stepc.sampling.query_builder import QueryBuilder

_RELATIONS = (("rel", "far"), ("rel", "near"))
_MOTIONS = (("motion", "far"), ("motion", "near"))


class _Pick(Form):
    """Picks one of the several answers of the last step."""

    several = True
    ambiguous = False
    ends: ClassVar[tuple[tuple[str, str], ...]]

    def ending(self, step: Step, unique: bool, graph: QueryBuilder) -> tuple[Op, ...]:
        return graph.pick(cast("Superlative", self.name)), *super().ending(step, unique, graph)

    def sentences(self, step: Step, writer: PathWriter) -> str:
        steps = [step, *writer.path.also]
        if writer.timed(step):
            steps.sort(key=writer.graph.spans)
            return " ".join(writer.fact(x, "because") for x in steps)
        return " ".join(map(writer.true, steps))


class FirstForm(_Pick):
    """The answer that begins first."""

    name = "first"
    order = 5
    help = "Which of several comes first."
    lines = dict.fromkeys((*_RELATIONS, *_MOTIONS), ("first",))

    def rank(self, spans: Spans) -> float:
        return -min(start for start, _ in spans)


class LastForm(_Pick):
    """The answer that ends last."""

    name = "last"
    order = 6
    help = "Which of several comes last."
    lines = dict.fromkeys((*_RELATIONS, *_MOTIONS), ("last",))

    def rank(self, spans: Spans) -> float:
        return max(end for _, end in spans)


class LongestForm(_Pick):
    """The answer that takes longest."""

    name = "longest"
    order = 7
    help = "Which of several takes longest."
    lines = dict.fromkeys(_MOTIONS, ("longest",))

    def rank(self, spans: Spans) -> float:
        return max(end - start for start, end in spans)


class ShortestForm(_Pick):
    """The answer that takes the shortest time."""

    name = "shortest"
    order = 8
    help = "Which of several takes the shortest time."
    lines = dict.fromkeys(_MOTIONS, ("shortest",))

    def rank(self, spans: Spans) -> float:
        return -max(end - start for start, end in spans)
