"""`event`: what happens in a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stepc.edges.base import Edge, Texts, clips_of
from stepc.ir.elements import Element, Event, Way, clip_of
from stepc.ir.literals import quote, span, unspan
from stepc.ir.spans import Bounds, within

if TYPE_CHECKING:
    from stepc.ir.levels import Step, Stsg
    from stepc.ops.base import Op
    from stepc.ops.follow import Follow
    from stepc.ops.make import Make
    from stepc.proof.facts import Facts
    from stepc.proof.solver import Reached, State
    from stepc.sampling.edge_table import EdgeTable
    from stepc.sampling.query_builder import QueryBuilder


class EventEdge(Edge):
    """Near end: an object of the clip. Far end: the event, whose text can follow "while".

    In the direction `--`, the event itself is known and its time is found.
    """

    name = "event"
    order = 5
    frame = "clause"
    says = ("dates",)
    help = "An event in a clip. Near end: a visible object. Far end: the event."
    directions = ("=>", "--")
    values = frozenset(["far"])
    lines = {"far": ("because",)}
    refused = {"near": "an event does not identify an object: many are visible during it"}
    timed = True
    time_ends = ("far",)
    filter = "event"
    element = Event
    field = "events"
    syntax = '"event" ID STRING SPAN trust origin'

    def statement(self, edge: Event) -> str:
        times = span(edge.start, edge.end)
        return f"event   {edge.clip} {quote(edge.event)} {times}"

    def fields(self, arguments: Sequence[Any]) -> dict[str, Any]:
        start, end = unspan(arguments[2])
        return {"clip": arguments[0], "event": arguments[1], "start": start, "end": end}

    def in_graph(self, unit: Stsg) -> Callable[[Step], bool]:
        events = {e.clip: e.event for e in unit.events}
        near = {o.id for o in unit.objects} | events.keys()
        return lambda s: events.get(s.far) == s.word and clip_of(s.near) == s.far and s.near in near

    def keys(self, edge: Event) -> tuple[str, ...]:
        return (edge.clip,)

    def elements(self, step: Step, index: Mapping[tuple[str, ...], Element]) -> list[Element]:
        return [index[self.name, clip] for clip in clips_of(step.near, step.far)]

    def rows(self, unit: Stsg, table: EdgeTable) -> None:
        for event in table.told:
            edge = table.event_edge[event.clip] = table.add(event)
            clip, word = table.place[event.clip], table.phrase(event.event)
            table.row(
                self.name, "--", word, None, None, edge, 0, clip=clip, group=(word,), name=clip
            )
        at = {k.id: k.at for k in unit.keyframes.values()}
        for o in unit.objects:
            clip_id = clip_of(o.id)
            if clip_id in table.event_edge:
                thing, word = table.entity[o.id], table.phrase(table.events[clip_id].event)
                held = table.events[clip_id]
                shown = (f for f in o.frames if held.start <= at[f] <= held.end)
                if not (mask := table.mask(shown)):
                    continue
                table.row(self.name, "=>", word, table.index[o.id], None, table.event_edge[clip_id],
                          mask, known=thing, clip=table.place[clip_id],
                          group=(int(table.entity_label[thing]),), name=table.value(word))  # fmt: skip

    def ends(self, edge: Event, table: EdgeTable, row: int) -> tuple[str, str, str]:
        return table.near_object(row) or edge.clip, edge.clip, edge.event

    def times(self, edge: Event, table: EdgeTable) -> tuple[int, int]:
        return edge.start, edge.end

    def start(self, step: Step, graph: QueryBuilder) -> Op:
        if step.way == "--":
            return graph.happens(graph.events[step.known])
        return graph.node(graph.labels[step.known])

    def steps(self, step: Step, graph: QueryBuilder) -> tuple[Op, ...]:
        return () if step.way == "--" else (graph.follow(self.name, step.way, ""),)

    def spans(self, step: Step, graph: QueryBuilder) -> tuple[tuple[int, int], ...]:
        return (graph.times[step.far],)

    def bounds(self, step: Step, graph: QueryBuilder) -> tuple[Bounds, ...]:
        """An event happens at some time in its range: nobody looked when it begins and ends."""
        return tuple(within(span) for span in self.spans(step, graph))

    def known(self, step: Step, graph: QueryBuilder) -> str:
        return step.word if step.way == "--" else graph.the(step.known)

    def words(self, unit: Stsg) -> Iterator[tuple[tuple[str, ...], str, str]]:
        for e in unit.events:
            yield (self.name,), e.clip, e.event

    def texts(self, step: Step, graph: QueryBuilder) -> Texts:
        return {("far", ""): step.word} if step.way == "--" else {}

    def fact(self, step: Step, graph: QueryBuilder) -> str:
        return step.word

    def begins(self, way: Way, said: Mapping[str, str], make: Make) -> tuple[Op, ...]:
        return (make.happens(said["far"]),) if way == "--" else ()

    def means(self, way: Way, said: Mapping[str, str], make: Make) -> tuple[Op, ...]:
        return () if way == "--" else (make.follow(self.name, way, ""),)

    def facts(self, unit: Stsg, known: Facts) -> None:
        happening: dict[str, set[str]] = {}
        for e in unit.events:
            known.events[e.clip] = e.event
            known.times[e.clip] = (e.start, e.end)
            happening.setdefault(known.phrase(e.event), set()).add(e.clip)
        known.happening = {e: frozenset(clips) for e, clips in happening.items()}

    def follow(self, op: Follow, state: State) -> Iterable[Reached]:
        known = state.known
        for h in state.here:
            clip = known.clip.get(state.thing_of(h), "")
            state.stop_if(clip in state.scope and known.unknown.happens(clip))
            if clip in known.events and clip in state.scope:
                start, end = known.times[clip]
                when = frozenset(f for f in h.when if start <= known.at[f] <= end)
                if when:  # the object is seen while it happens
                    yield state.value(
                        known.events[clip], when=when, spans=(known.times[clip],), loose=True
                    )
