"""`next`: two consecutive events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from stepc.edges.base import Edge, clips_of
from stepc.ir.elements import Element, Way

if TYPE_CHECKING:
    from stepc.ir.levels import Step, Stsg
    from stepc.ops.base import Op
    from stepc.ops.follow import Follow
    from stepc.ops.make import Make
    from stepc.proof.facts import Facts
    from stepc.proof.solver import Reached, State
    from stepc.sampling.edge_table import EdgeTable
    from stepc.sampling.query_builder import QueryBuilder


def _consecutive(unit: Stsg) -> Iterator[tuple[str, str]]:
    """Consecutive clips that both have an event."""
    events = {e.clip for e in unit.events}
    clips = pairwise([c.id for c in unit.clips])
    return ((near, far) for near, far in clips if {near, far} <= events)


class NextEdge(Edge):
    """Near end: the earlier event. Far end: the later event. Derived from the order of the clips.

    Both clips are consecutive: in a clip between them without a known event, something may have happened.
    """

    name = "next"
    order = 6
    frame = "clause"
    vocabulary = "event"
    says = ("dates",)
    help = "Two consecutive events. Near end: the earlier event. Far end: the later event."
    directions = ("=>", "<=")
    values = frozenset(["near", "far"])
    lines = {"far": ("because",), "near": ("because",)}

    def in_graph(self, unit: Stsg) -> Callable[[Step], bool]:
        following = {*_consecutive(unit)}
        return lambda step: (step.near, step.far) in following

    def elements(self, step: Step, index: Mapping[tuple[str, ...], Element]) -> list[Element]:
        return [index["event", clip] for clip in clips_of(step.near, step.far)]

    def rows(self, unit: Stsg, table: EdgeTable) -> None:
        told = {event.clip: event for event in table.told}
        for near, far in _consecutive(unit):
            one, two = told[near], told[far]
            ways: tuple[tuple[Way, Any], ...] = (("=>", one), ("<=", two))
            for way, known in ways:
                at = table.add((one.clip, two.clip))
                clip, word = table.place[known.clip], table.phrase(known.event)
                table.row(self.name, way, word, None, None, at, 0, clip=clip, group=(word,),
                          name=clip)  # fmt: skip
        # A known event must be unique among all events, not only among those with a successor.
        for event in table.told:
            clip, word = table.place[event.clip], table.phrase(event.event)
            for way, _ in (("=>", 0), ("<=", 0)):
                table.row(self.name, way, word, None, None, table.event_edge[event.clip], 0,
                          clip=clip, group=(word,), name=clip, drawn=False)  # fmt: skip

    def ends(self, edge: tuple[str, str], table: EdgeTable, row: int) -> tuple[str, str, str]:
        return edge[0], edge[1], ""

    def times(self, edge: tuple[str, str], table: EdgeTable) -> tuple[int, int]:
        return table.from_to(*edge)

    def start(self, step: Step, graph: QueryBuilder) -> Op:
        return graph.happens(graph.events[step.known])

    def steps(self, step: Step, graph: QueryBuilder) -> tuple[Op, ...]:
        return (graph.follow(self.name, step.way, ""),)

    def known(self, step: Step, graph: QueryBuilder) -> str:
        return graph.events[step.known]

    def answer(self, step: Step, graph: QueryBuilder) -> str:
        return graph.events[step.found]

    def category(self, step: Step, graph: QueryBuilder) -> tuple[str, ...]:
        return ("event",)

    def begins(self, way: Way, said: Mapping[str, str], make: Make) -> tuple[Op, ...]:
        return (make.happens(said["near" if way == "=>" else "far"]),)

    def means(self, way: Way, said: Mapping[str, str], make: Make) -> tuple[Op, ...]:
        return (make.follow(self.name, way, ""),)

    def facts(self, unit: Stsg, known: Facts) -> None:
        for earlier, later in pairwise([c.id for c in unit.clips]):
            if earlier in known.events and later in known.events:
                known.following[earlier], known.preceding[later] = later, earlier

    def follow(self, op: Follow, state: State) -> Iterable[Reached]:
        known = state.known
        order = known.following if op.way == "=>" else known.preceding
        for h in state.here:
            clip = order.get(h.kind, "")
            if clip in known.events:
                yield state.value(known.events[clip], clip, spans=(known.times[clip],), loose=True)
