"""`ref`: objects of two clips that are the same object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stepc.edges.base import Edge, Texts
from stepc.ir.elements import Element, Reference, Way, clip_of

if TYPE_CHECKING:
    from stepc.ir.levels import Step, Stsg
    from stepc.ops.base import Op
    from stepc.ops.follow import Follow
    from stepc.ops.make import Make
    from stepc.proof.facts import Facts
    from stepc.proof.solver import Reached, State
    from stepc.sampling.edge_table import EdgeTable
    from stepc.sampling.query_builder import QueryBuilder


class ReferenceEdge(Edge):
    """Near end: the object in the earlier clip. Far end: the same object in the later clip."""

    name = "ref"
    order = 4
    says = ("dates",)
    help = "One object in two clips, earlier clip first; `{a.event}` is the event of the clip."
    directions = ("=>", "<=")
    parts = {"near": ("event",), "far": ("event",)}
    lines = {"far": ("because", "name"), "near": ("because", "name")}
    describes = True
    leads = True
    element = Reference
    field = "references"
    syntax = '"ref" ID "==" ID trust origin'

    def statement(self, edge: Reference) -> str:
        return f"ref     {edge.first} == {edge.second}"

    def fields(self, arguments: Sequence[Any]) -> dict[str, Any]:
        return {"first": arguments[0], "second": arguments[1]}

    def in_graph(self, unit: Stsg) -> Callable[[Step], bool]:
        edges = {(r.first, r.second, "") for r in unit.references}
        return lambda step: (step.near, step.far, step.word) in edges

    def keys(self, edge: Reference) -> tuple[str, ...]:
        return edge.first, edge.second

    def elements(self, step: Step, index: Mapping[tuple[str, ...], Element]) -> list[Element]:
        return [index[self.name, step.near, step.far]]

    def rows(self, unit: Stsg, table: EdgeTable) -> None:
        for edge in unit.references:
            at = table.add(edge)
            one, two = table.entity[edge.first], table.entity[edge.second]
            near, far = table.index[edge.first], table.index[edge.second]
            ways: tuple[tuple[Way, int, int], ...] = (("=>", one, two), ("<=", two, one))
            for way, known, found in ways:
                table.row(self.name, way, "", near, far, at, table.entity_mask[found], known=known,
                          found=found, clip=int(table.entity_clip[known]), group=(known, found),
                          name=int(table.identity[found]))  # fmt: skip

    def ends(self, edge: Reference, table: EdgeTable, row: int) -> tuple[str, str, str]:
        return edge.first, edge.second, ""

    def times(self, edge: Reference, table: EdgeTable) -> tuple[int, int]:
        return table.from_to(clip_of(edge.first), clip_of(edge.second))

    def start(self, step: Step, graph: QueryBuilder) -> Op:
        return graph.node(graph.labels[step.known])

    def steps(self, step: Step, graph: QueryBuilder) -> tuple[Op, ...]:
        event = graph.events.get(clip_of(step.found), "")
        return (graph.follow(self.name, step.way, event),)

    def texts(self, step: Step, graph: QueryBuilder) -> Texts:
        ends = (("near", step.near), ("far", step.far))
        return {(side, "event"): graph.events.get(clip_of(node), "") for side, node in ends}

    def means(self, way: Way, said: Mapping[str, str], make: Make) -> tuple[Op, ...]:
        event = said.get("far.event" if way == "=>" else "near.event", "")
        return (make.follow(self.name, way, event),)

    def facts(self, unit: Stsg, known: Facts) -> None:
        """Adds nothing: the solver resolves references before it reads edges."""

    def scope(self, op: Follow, state: State) -> frozenset[str]:
        state.scope = state.known.everywhere
        state.one_event(op.word)
        return state.known.clips_of(op.word)

    def follow(self, op: Follow, state: State) -> Iterable[Reached]:
        known = state.known
        for h in state.here:
            n = state.thing_of(h)
            for m in known.group.get(known.same.get(n, -1), ()):
                if m != n and known.clip[m] in state.scope:
                    yield state.thing(m, known.seen[m])
