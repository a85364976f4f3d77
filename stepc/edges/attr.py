"""`attr`: an object and one of its attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stepc.edges.base import Edge, Texts
from stepc.ir.elements import Attribute, Element, Way, clip_of
from stepc.ir.literals import at_frames, quote

if TYPE_CHECKING:
    from stepc.ir.levels import Step, Stsg
    from stepc.ops.base import Op
    from stepc.ops.follow import Follow
    from stepc.ops.make import Make
    from stepc.proof.facts import Facts
    from stepc.proof.solver import Reached, State
    from stepc.sampling.edge_table import EdgeTable
    from stepc.sampling.query_builder import QueryBuilder


class AttributeEdge(Edge):
    """Near end: the object. Far end: the value, with the part `kind` (such as `color`)."""

    name = "attr"
    order = 1
    help = "An attribute. Near end: the object. Far end: the value; `{v.kind}` is its kind."
    directions = ("=>", "<=")
    values = frozenset(["far"])
    parts = {"far": ("kind",)}
    lines = {"far": ("because", "denies"), "near": ("because", "name")}
    describes = True
    filter = "value"
    element = Attribute
    field = "attributes"
    syntax = '"attr" ID NAME STRING at trust origin'

    def statement(self, edge: Attribute) -> str:
        at = at_frames(edge.frames, edge.id)
        return f"attr    {edge.id} {edge.kind} {quote(edge.value)}{at}"

    def fields(self, arguments: Sequence[Any]) -> dict[str, Any]:
        return {"id": arguments[0], "kind": arguments[1], "value": arguments[2]}

    def placed(self, fields: dict[str, Any]) -> tuple[str, ...]:
        return (fields["id"],)

    def in_graph(self, unit: Stsg) -> Callable[[Step], bool]:
        edges = {(a.owner, a.id, a.value) for a in unit.attributes}
        return lambda step: (step.near, step.far, step.word) in edges

    def keys(self, edge: Attribute) -> tuple[str, ...]:
        return edge.owner, edge.id

    def elements(self, step: Step, index: Mapping[tuple[str, ...], Element]) -> list[Element]:
        return [index[self.name, step.near, step.far]]

    def rows(self, unit: Stsg, table: EdgeTable) -> None:
        for edge in unit.attributes:
            at = table.add(edge)
            e, word = table.entity[edge.owner], table.phrase(edge.value)
            near, mask = table.index[edge.owner], table.mask(edge.frames)
            clip, label = int(table.entity_clip[e]), int(table.entity_label[e])
            table.row(self.name, "=>", word, near, None, at, mask, known=e, clip=clip,
                      group=(label, edge.kind), name=table.value(word))  # fmt: skip
            table.row(self.name, "<=", word, near, None, at, mask, found=e, clip=clip,
                      group=(edge.kind, word), name=int(table.identity[e]))  # fmt: skip

    def ends(self, edge: Attribute, table: EdgeTable, row: int) -> tuple[str, str, str]:
        return edge.owner, edge.id, edge.value

    def times(self, edge: Attribute, table: EdgeTable) -> tuple[int, int]:
        return table.seen(edge.frames)

    def start(self, step: Step, graph: QueryBuilder) -> Op:
        if self.knows_value(step):
            return graph.given(self.name, graph.kinds[step.far], step.word)
        return graph.node(graph.labels[step.known])

    def steps(self, step: Step, graph: QueryBuilder) -> tuple[Op, ...]:
        word = graph.kinds[step.far] if step.way == "=>" else ""
        return (graph.follow(self.name, step.way, word),)

    def category(self, step: Step, graph: QueryBuilder) -> tuple[str, ...]:
        return (self.name, graph.kinds[step.far]) if self.finds_value(step) else ("label",)

    def words(self, unit: Stsg) -> Iterator[tuple[tuple[str, ...], str, str]]:
        for a in unit.attributes:
            yield (self.name, a.kind), clip_of(a.id), a.value

    def texts(self, step: Step, graph: QueryBuilder) -> Texts:
        return {("far", "kind"): graph.kinds[step.far].replace("_", " ")}

    def begins(self, way: Way, said: Mapping[str, str], make: Make) -> tuple[Op, ...]:
        return (make.given(self.name, said["kind"], said["far"]),) if way == "<=" else ()

    def means(self, way: Way, said: Mapping[str, str], make: Make) -> tuple[Op, ...]:
        return (make.follow(self.name, way, said["kind"] if way == "=>" else ""),)

    def facts(self, unit: Stsg, known: Facts) -> None:
        for a in unit.attributes:
            n, when = known.thing[a.owner], frozenset(a.frames)
            known.has[n].append((a.kind, a.value, when))
            for word in (known.phrase(a.value), *sorted(known.lexicon.broader("attr", a.value))):
                known.having[a.kind, word].append((n, when))
        for e in unit.denied:
            if isinstance(e, Attribute):
                key = known.thing[e.owner], e.kind, known.phrase(e.value)
                known.unlike[key] = known.unlike.get(key, frozenset()) | frozenset(e.frames)

    def follow(self, op: Follow, state: State) -> Iterable[Reached]:
        known, unknown = state.known, state.known.unknown
        for h in state.here:
            thing = state.thing_of(h)
            if op.way == "=>":
                state.stop_if(unknown.value(thing, op.word, h.when))
                for kind, value, when in known.has.get(thing, ()):
                    if kind == op.word and when & h.when:
                        yield state.value(value, kind, when & h.when)
            else:
                state.stop_if(unknown.holders(h.kind, h.value, state.scope))
                found = known.having.get((h.kind, known.phrase(h.value)), ())
                broader = known.lexicon.broader("attr", h.value)
                may_be = (x for w in broader for x in known.having.get((h.kind, w), ()))
                state.stop_if(
                    any(known.clip[x[0]] in state.scope and x not in found for x in may_be)
                )
                for m, when in found:
                    if known.clip[m] in state.scope:
                        yield state.thing(m, when)

    def refutes(self, op: Follow, claim: str, state: State) -> bool:
        if op.way == "=>":
            return all(_not(state, state.thing_of(h), op.word, claim, h.when) for h in state.here)
        things = state.labelled(claim)
        return bool(things) and all(
            _not(state, state.thing_of(x), h.kind, h.value, x.when)
            for x in things
            for h in state.here
        )


def _not(state: State, thing: int, kind: str, value: str, when: frozenset[str]) -> bool:
    """Whether a thing is known not to have a value in any of these keyframes. False without keyframes."""
    known = state.known
    denied = known.unlike.get((thing, kind, known.phrase(value)), frozenset())
    for k, stated, frames in known.has.get(thing, ()):
        if k == kind and known.excludes("attr", stated, value, kind):
            denied |= frames
    return bool(when) and when <= denied
