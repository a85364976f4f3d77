"""Where and when objects are, as rationales and answers say it."""

from __future__ import annotations

from collections.abc import Iterator

from stepc.ir import types as t
from stepc.lang.schema import PLACE_PARTS
from stepc.lang.types import Wording
from stepc.languages.base import NoWording
from stepc.sampling.query_builder import QueryBuilder


class Places:
    """The times and boxes of one graph."""

    def __init__(self, graph: QueryBuilder) -> None:
        self.graph = graph

    def texts(self, step: t.Step, wording: Wording, scope: t.Op) -> dict[tuple[str, str], str]:
        """The texts of `{o.time}` and `{o.box}` in a sentence: all of one keyframe that shows the step.

        Raises NoWording if there is none with all boxes that it says.
        """
        said = [x for x in wording.parts_said() if x[1] in PLACE_PARTS]
        if not said:
            return {}
        things = {"near": step.near, "far": step.far}
        for frame, at in self._moments(step, scope):
            texts = {
                (end, part): f"{at / 1000:.1f}" if part == "time" else self._box(things[end], frame)
                for end, part in said
            }
            if all(texts.values()):
                return texts
        raise NoWording("no keyframe has all boxes that its rationale says")

    def box(self, step: t.Step, scope: t.Op) -> str:
        """The box of what a step finds, at the moment that its question asks about. Raises NoWording."""
        for frame, _ in self._moments(step, scope):
            if box := self._box(step.found, frame):
                return box
        raise NoWording("nothing tells its box at that time")

    def _box(self, object_: str, frame: str) -> str:
        return self.graph.boxes.get((self.graph.entity[object_], frame), "")

    def _moments(self, step: t.Step, scope: t.Op) -> Iterator[tuple[str, int]]:
        """The keyframes that show a step where its question asks, with their times in ms to a tenth."""
        asked = scope.at if isinstance(scope, t.Moment) else None
        for frame in self.graph.held_in(step):
            at = self.graph.moments.get(frame)
            if at is not None and asked in (None, at):
                yield frame, at
