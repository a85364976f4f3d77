"""`motion`: a dynamic object at two times in a clip, and what it does between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from stepc.edges.base import Edge, Texts
from stepc.ir.elements import Element, Motion, Way, clip_of
from stepc.ir.literals import quote, span, unspan
from stepc.ir.spans import join_spans

if TYPE_CHECKING:
    from stepc.ir.levels import Step, Stsg
    from stepc.ops.base import Op
    from stepc.ops.follow import Follow
    from stepc.ops.make import Make
    from stepc.proof.facts import Facts
    from stepc.proof.solver import Reached, State
    from stepc.sampling.edge_table import EdgeTable
    from stepc.sampling.query_builder import QueryBuilder


class MotionEdge(Edge):
    """Near end: the object. Far end: what it does, a text that can follow "is"."""

    name = "motion"
    order = 3
    frame = "progressive"
    help = "A motion. Near end: the object. Far end: what it does."
    directions = ("=>", "<=", "--")
    values = frozenset(["far"])
    lines = {"far": ("because", "denies"), "near": ("because", "name")}
    timed = True
    describes = True
    filter = "motion"
    element = Motion
    field = "motions"
    syntax = '"motion" ID "->" ID STRING SPAN trust origin'

    def statement(self, edge: Motion) -> str:
        times = span(edge.start, edge.end)
        return f"motion  {edge.source} -> {edge.target} {quote(edge.motion)} {times}"

    def fields(self, arguments: Sequence[Any]) -> dict[str, Any]:
        start, end = unspan(arguments[3])
        return {
            "source": arguments[0],
            "target": arguments[1],
            "motion": arguments[2],
            "start": start,
            "end": end,
        }

    def in_graph(self, unit: Stsg) -> Callable[[Step], bool]:
        edges = {(m.source, m.target, m.motion) for m in unit.motions}
        return lambda step: (step.near, step.far, step.word) in edges

    def keys(self, edge: Motion) -> tuple[str, ...]:
        return edge.source, edge.target

    def elements(self, step: Step, index: Mapping[tuple[str, ...], Element]) -> list[Element]:
        return [index[self.name, step.near, step.far]]

    def rows(self, unit: Stsg, table: EdgeTable) -> None:
        spans = table.motion_spans
        for edge in unit.motions:
            at = table.add(edge)
            e, word = table.entity[edge.source], table.phrase(edge.motion)
            clip = int(table.entity_clip[e])
            held = (k.id for k in unit.clips[clip].keyframes if edge.start <= k.at <= edge.end)
            mask, near, far = table.mask(held), table.index[edge.source], table.index[edge.target]
            label = int(table.entity_label[e])
            table.row(self.name, "=>", word, near, far, at, mask, known=e, clip=clip,
                      group=(label,), name=table.value(word))  # fmt: skip
            table.row(self.name, "<=", word, near, far, at, mask, found=e, clip=clip,
                      group=(word,), name=int(table.identity[e]))  # fmt: skip
            mine = next(i for i, (a, b) in enumerate(spans[e, word]) if a <= edge.start <= b)
            table.row(self.name, "--", word, near, far, at, mask, known=e, clip=clip,
                      group=(label, word), name=table.words((e, mine)))  # fmt: skip

    def ends(self, edge: Motion, table: EdgeTable, row: int) -> tuple[str, str, str]:
        return edge.source, edge.target, edge.motion

    def times(self, edge: Motion, table: EdgeTable) -> tuple[int, int]:
        return edge.start, edge.end

    def start(self, step: Step, graph: QueryBuilder) -> Op:
        if self.knows_value(step):
            return graph.given(self.name, "", step.word)
        return graph.node(graph.labels[step.known])

    def steps(self, step: Step, graph: QueryBuilder) -> tuple[Op, ...]:
        if step.way == "--":
            return graph.follow(self.name, "=>", ""), graph.where(step.word)
        return (graph.follow(self.name, step.way, ""),)

    def spans(self, step: Step, graph: QueryBuilder) -> tuple[tuple[int, int], ...]:
        return graph.motion_spans(step.near, step.word)

    def words(self, unit: Stsg) -> Iterator[tuple[tuple[str, ...], str, str]]:
        for m in unit.motions:
            yield (self.name,), clip_of(m.source), m.motion

    def texts(self, step: Step, graph: QueryBuilder) -> Texts:
        return {}

    def begins(self, way: Way, said: Mapping[str, str], make: Make) -> tuple[Op, ...]:
        return (make.given(self.name, "", said["far"]),) if way == "<=" else ()

    def means(self, way: Way, said: Mapping[str, str], make: Make) -> tuple[Op, ...]:
        if way == "--":
            return make.follow(self.name, "=>", ""), make.where(said["far"])
        return (make.follow(self.name, way, ""),)

    def facts(self, unit: Stsg, known: Facts) -> None:
        ranges: dict[tuple[int, str], list[tuple[int, int]]] = {}
        for m in unit.motions:
            key = (known.thing[m.source], known.phrase(m.motion))
            ranges.setdefault(key, []).append((m.start, m.end))
        joined = {key: join_spans(spans) for key, spans in ranges.items()}
        keyframes = {c.id: c.keyframes for c in unit.clips}
        for m in unit.motions:
            n, motion = known.thing[m.source], known.phrase(m.motion)
            whole = next(s for s in joined[n, motion] if s[0] <= m.start <= s[1])
            at = keyframes[clip_of(m.source)]
            when = frozenset(k.id for k in at if m.start <= k.at <= m.end)
            known.does[n].append((m.motion, when, whole))
            for word in (motion, *sorted(known.lexicon.broader("motion", m.motion))):
                known.doing[word].append((n, when, whole))
        for e in unit.denied:
            if isinstance(e, Motion):
                key = known.thing[e.source], known.phrase(e.motion)
                known.idle[key].append((e.start, e.end))

    def follow(self, op: Follow, state: State) -> Iterable[Reached]:
        known, unknown = state.known, state.known.unknown
        for h in state.here:
            thing = state.thing_of(h)
            if op.way == "=>":
                state.stop_if(unknown.motion(thing))
                for motion, when, whole in known.does.get(thing, ()):
                    if when & h.when:
                        yield state.value(motion, when=when & h.when, spans=(whole,))
            else:
                state.stop_if(unknown.movers(h.value, state.scope))
                found = known.doing.get(known.phrase(h.value), ())
                broader = known.lexicon.broader("motion", h.value)
                may_be = (x for w in broader for x in known.doing.get(w, ()))
                state.stop_if(
                    any(known.clip[x[0]] in state.scope and x not in found for x in may_be)
                )
                for m, when, whole in found:
                    if known.clip[m] in state.scope:
                        yield state.thing(m, when, (whole,))

    def refutes(self, op: Follow, claim: str, state: State) -> bool:
        if op.way == "=>":
            return all(_not(state, state.thing_of(h), claim) for h in state.here)
        things = state.labelled(claim)
        return bool(things) and all(
            _not(state, state.thing_of(x), h.value) for x in things for h in state.here
        )


def _not(state: State, thing: int, motion: str) -> bool:
    """Whether a thing is known not to do this between any two keyframes in which it is seen."""
    known = state.known
    free = list(known.idle.get((thing, known.phrase(motion)), ()))
    free += [
        span for m, _, span in known.does.get(thing, ()) if known.excludes("motion", m, motion)
    ]
    pairs = [*pairwise(sorted(known.at[f] for f in known.seen.get(thing, ())))]
    return bool(pairs) and all(any(a <= x and y <= b for a, b in free) for x, y in pairs)
