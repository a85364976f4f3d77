"""`seen`: an object and its label: how many of a label there are, and where each of them is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from stepc.edges.base import Edge
from stepc.ir.elements import Element, Object, Way, clip_of

if TYPE_CHECKING:
    from stepc.ir.levels import Step, Stsg
    from stepc.ops.base import Op
    from stepc.ops.follow import Follow
    from stepc.ops.make import Make
    from stepc.proof.facts import Facts
    from stepc.proof.solver import Reached, State
    from stepc.sampling.edge_table import EdgeTable
    from stepc.sampling.query_builder import QueryBuilder


class SeenEdge(Edge):
    """Near end: the object. Far end: its label. Derived from the objects.

    Its sentences say a label and what else tells which of its objects they are about: a time, a box.
    """

    name = "seen"
    order = 7
    help = "An object that is seen. Near end: the object. Far end: its label, without article."
    directions = ("<=",)
    values = frozenset(["far"])
    lines = {"near": ("because",)}
    refused = {"far": "what an object is called is no answer: each question says it"}
    names_found = False

    def in_graph(self, unit: Stsg) -> Callable[[Step], bool]:
        labels = {(o.id, o.label) for o in unit.objects}
        return lambda step: (step.near, step.word) in labels and step.near == step.far

    def elements(self, step: Step, index: Mapping[tuple[str, ...], Element]) -> list[Element]:
        return [index["object", step.near]]

    def rows(self, unit: Stsg, table: EdgeTable) -> None:
        nodes: dict[int, list[Object]] = {}
        for o in unit.objects:
            nodes.setdefault(table.entity[o.id], []).append(o)
        for each in nodes.values():
            first = each[0]
            at = table.add((first, tuple(f for o in each for f in o.frames)))
            e, word = table.entity[first.id], table.phrase(first.label)
            table.row(self.name, "<=", word, table.index[first.id], None, at, table.entity_mask[e],
                      found=e, clip=int(table.entity_clip[e]), group=(word,),
                      name=int(table.identity[e]))  # fmt: skip

    def ends(
        self, edge: tuple[Object, tuple[str, ...]], table: EdgeTable, row: int
    ) -> tuple[str, str, str]:
        return edge[0].id, edge[0].id, edge[0].label

    def times(self, edge: tuple[Object, tuple[str, ...]], table: EdgeTable) -> tuple[int, int]:
        return table.seen(edge[1])

    def start(self, step: Step, graph: QueryBuilder) -> Op:
        return graph.given(self.name, "", step.word)

    def steps(self, step: Step, graph: QueryBuilder) -> tuple[Op, ...]:
        return (graph.follow(self.name, step.way, ""),)

    def words(self, unit: Stsg) -> Iterator[tuple[tuple[str, ...], str, str]]:
        for o in unit.objects:
            yield (self.name,), clip_of(o.id), o.label

    def begins(self, way: Way, said: Mapping[str, str], make: Make) -> tuple[Op, ...]:
        return (make.given(self.name, "", said["far"]),)

    def means(self, way: Way, said: Mapping[str, str], make: Make) -> tuple[Op, ...]:
        return (make.follow(self.name, "<=", ""),)

    def facts(self, unit: Stsg, known: Facts) -> None:
        """Nothing: the solver knows the objects."""

    def follow(self, op: Follow, state: State) -> Iterable[Reached]:
        for h in state.here:
            state.stop_if(state.may_be_called(h.value))
            yield from state.labelled(h.value)
