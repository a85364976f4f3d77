"""Superlatives: which of several answers is first, last, longest or shortest in time?"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from stepc.forms.base import CLEAR, Form, Ranges, clearly_more

if TYPE_CHECKING:
    from stepc.ir.elements import Superlative
    from stepc.ir.levels import Step
    from stepc.ops.base import Op
    from stepc.ops.make import Make
    from stepc.writer.paths import PathWriter

_RELATIONS = (("rel", "far"), ("rel", "near"))
_MOTIONS = (("motion", "far"), ("motion", "near"))


class _Pick(Form):
    """Picks one of the several answers of the last step."""

    several = True
    ambiguous = False
    picks = True
    says = frozenset(["dates", "compares"])
    ends: ClassVar[tuple[tuple[str, str], ...]]

    def ending(self, finds_value: bool, unique: bool, make: Make) -> tuple[Op, ...]:
        return make.pick(cast("Superlative", self.name)), *super().ending(finds_value, unique, make)

    def sentences(self, step: Step, writer: PathWriter) -> str:
        steps = [step, *writer.path.also]
        joined, ordered = writer.language.joined, writer.language.ordered
        if not writer.timed(step):  # say the order instead of times
            best, rest = writer.true(step), map(writer.true, writer.path.also)
            if self.name == "first":
                return joined([ordered("first", best), *(ordered("later", x) for x in rest)])
            return joined([*(ordered("earlier", x) for x in rest), ordered("finally", best)])
        parts = [(span, x, i) for x in steps for i, span in enumerate(writer.graph.spans(x))]
        parts.sort(key=lambda part: part[0])
        return joined([writer.fact(x, "because", i) for _, x, i in parts])


class FirstForm(_Pick):
    """The answer that begins first."""

    name = "first"
    order = 5
    help = "Which of several comes first."
    lines = dict.fromkeys((*_RELATIONS, *_MOTIONS), ("first",))

    def beats(self, one: Ranges, other: Ranges, clear: float = CLEAR) -> bool:
        return min(r.begins[1] for r in one) <= min(r.begins[0] for r in other)


class LastForm(_Pick):
    """The answer that ends last."""

    name = "last"
    order = 6
    help = "Which of several comes last."
    lines = dict.fromkeys((*_RELATIONS, *_MOTIONS), ("last",))

    def beats(self, one: Ranges, other: Ranges, clear: float = CLEAR) -> bool:
        return max(r.ends[0] for r in one) >= max(r.ends[1] for r in other)


class LongestForm(_Pick):
    """The answer that takes longest in total."""

    name = "longest"
    order = 7
    help = "Which of several takes longest in total."
    lines = dict.fromkeys(_MOTIONS, ("longest",))

    def beats(self, one: Ranges, other: Ranges, clear: float = CLEAR) -> bool:
        return clearly_more(sum(r.least for r in one), sum(r.most for r in other), clear)


class ShortestForm(_Pick):
    """The answer that takes the shortest time in total."""

    name = "shortest"
    order = 8
    help = "Which of several takes the shortest time in total."
    lines = dict.fromkeys(_MOTIONS, ("shortest",))

    def beats(self, one: Ranges, other: Ranges, clear: float = CLEAR) -> bool:
        return clearly_more(sum(r.least for r in other), sum(r.most for r in one), clear)
