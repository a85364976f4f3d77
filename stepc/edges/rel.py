"""`rel`: a relation between two objects of a keyframe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stepc.edges.base import Edge, Texts
from stepc.ir.elements import Element, Relation, Way, clip_of
from stepc.ir.literals import at_frames, quote, span, unspan

if TYPE_CHECKING:
    from stepc.ir.levels import Step, Stsg
    from stepc.ops.base import Op
    from stepc.ops.follow import Follow
    from stepc.ops.make import Make
    from stepc.proof.facts import Facts
    from stepc.proof.solver import Reached, State
    from stepc.sampling.edge_table import EdgeTable
    from stepc.sampling.query_builder import QueryBuilder


class RelationEdge(Edge):
    """Near end: the subject. Far end: the object. The word is the predicate, which can follow "is".

    A relation with a known inverse predicate is also read from object to subject.
    """

    name = "rel"
    order = 2
    frame = "progressive"
    help = "A relation. Near end: the subject. Far end: the object; `{rel}` is the predicate."
    directions = ("=>", "<=", "--")
    lines = {
        "far": ("because", "denies", "name"),
        "near": ("because", "name"),
        "edge": ("because",),
    }
    edge_placeholder = "rel"
    describes = True
    leads = True
    filter = "predicate"
    element = Relation
    field = "relations"
    syntax = '"rel" ID "->" ID STRING SPAN? at trust origin'

    def statement(self, edge: Relation) -> str:
        at = at_frames(edge.frames, edge.subject, edge.object)
        when = f" {span(*edge.during)}" if edge.during else ""
        return f"rel     {edge.subject} -> {edge.object} {quote(edge.predicate)}{when}{at}"

    def fields(self, arguments: Sequence[Any]) -> dict[str, Any]:
        subject, object_, predicate, *when = arguments
        during = unspan(when[0]) if when else None
        return {"subject": subject, "object": object_, "predicate": predicate, "during": during}

    def placed(self, fields: dict[str, Any]) -> tuple[str, ...]:
        return fields["subject"], fields["object"]

    def in_graph(self, unit: Stsg) -> Callable[[Step], bool]:
        edges = {(r.subject, r.object, r.predicate) for r in unit.relations}
        return lambda step: (step.near, step.far, step.word) in edges

    def keys(self, edge: Relation) -> tuple[str, ...]:
        return edge.subject, edge.object, edge.predicate

    def elements(self, step: Step, index: Mapping[tuple[str, ...], Element]) -> list[Element]:
        return [index[self.name, step.near, step.far, step.word]]

    def rows(self, unit: Stsg, table: EdgeTable) -> None:
        for edge in unit.relations:
            at, mask = table.add(edge), table.mask(edge.frames)
            word = table.phrase(edge.predicate)
            self._rows(table, edge.subject, word, edge.object, at, mask, True)
            back = table.inverse(edge.predicate)
            if back is not None:
                self._rows(table, edge.object, back, edge.subject, at, mask, False)

    def _rows(
        self, table: EdgeTable, subject: str, word: str, object_: str, at: int, mask: int, own: bool
    ) -> None:
        """Add the rows of one reading of a relation. `own` is False for the inverse reading."""
        one, two = table.entity[subject], table.entity[object_]
        near, far = table.index[subject], table.index[object_]
        clip = int(table.entity_clip[one])
        labels = int(table.entity_label[one]), int(table.entity_label[two])
        table.row(self.name, "=>", word, near, far, at, mask, known=one, found=two, clip=clip,
                  group=(labels[0], word), name=int(table.identity[two]), drawn=own)  # fmt: skip
        table.row(self.name, "<=", word, near, far, at, mask, known=two, found=one, clip=clip,
                  group=(labels[1], word), name=int(table.identity[one]), drawn=own)  # fmt: skip
        if table.is_comparison(word):
            return  # what is asked of two things is where they are, or what one does with the other
        table.row(self.name, "--", word, near, far, at, mask, known=one, clip=clip, group=labels,
                  name=table.value(word), far_label=labels[1], far_thing=two, drawn=own)  # fmt: skip

    def ends(self, edge: Relation, table: EdgeTable, row: int) -> tuple[str, str, str]:
        return edge.subject, edge.object, edge.predicate

    def times(self, edge: Relation, table: EdgeTable) -> tuple[int, int]:
        return edge.during or table.seen(edge.frames)

    def start(self, step: Step, graph: QueryBuilder) -> Op:
        return graph.node(graph.labels[step.known])

    def steps(self, step: Step, graph: QueryBuilder) -> tuple[Op, ...]:
        if step.way == "--":
            return (graph.to(graph.labels[step.far]),)
        return (graph.follow(self.name, step.way, step.word),)

    def words(self, unit: Stsg) -> Iterator[tuple[tuple[str, ...], str, str]]:
        for r in unit.relations:
            yield (self.name,), clip_of(r.subject), r.predicate

    def texts(self, step: Step, graph: QueryBuilder) -> Texts:
        texts: Texts = {("rel", ""): step.word}
        if step.way == "--":
            texts["far", ""] = graph.the(step.far)
        return texts

    def means(self, way: Way, said: Mapping[str, str], make: Make) -> tuple[Op, ...]:
        if way == "--":
            return (make.to(said["far"]),)
        return (make.follow(self.name, way, said["word"]),)

    def facts(self, unit: Stsg, known: Facts) -> None:
        for e in (*unit.relations, *(e for e in unit.denied if isinstance(e, Relation))):
            one, two = known.thing[e.subject], known.thing[e.object]
            predicate, when = known.phrase(e.predicate), frozenset(e.frames)
            stated = [*_both_ways(one, predicate, two, known)]
            for subject, word, object_ in stated:
                if e.trust.verdict == "no":
                    denied = known.unrelated.get((subject, word, object_), frozenset())
                    known.unrelated[subject, word, object_] = denied | when
                else:
                    known.between[subject].append((object_, word, when))
            if e.trust.verdict == "no":
                continue
            # What a word says, its broader words say, and their inverses.
            true = dict.fromkeys(stated)
            for subject, word, object_ in stated:
                for broader in sorted(known.lexicon.broader("rel", word)):
                    true |= dict.fromkeys(_both_ways(subject, broader, object_, known))
            for subject, word, object_ in true:
                known.related[subject, word, "=>"].append((object_, when))
                known.related[object_, word, "<="].append((subject, when))

    def follow(self, op: Follow, state: State) -> Iterable[Reached]:
        known = state.known
        for h in state.here:
            thing = state.thing_of(h)
            state.stop_if(known.unknown.relations(thing, h.when, op.word, op.way))
            also = known.kinds_like(op.word) if op.way == "=>" else frozenset()
            if also and any(kind in also and when & h.when for kind, _, when in known.has[thing]):
                state.refuse((op.word, op.word))  # what it wears is also said by an attribute
            found = known.related.get((thing, known.phrase(op.word), op.way), ())
            may_be = self._may_be(thing, op, known)
            state.stop_if(any(when & h.when and (m, when) not in found for m, when in may_be))
            for m, when in found:
                if when & h.when:
                    yield state.thing(m, when & h.when)

    @staticmethod
    def _may_be(thing: int, op: Follow, known: Facts) -> Iterator[tuple[int, frozenset[str]]]:
        """What is related to a thing by a broader word: what is near it may be right of it."""
        back = known.inverse(op.word)
        ways: list[tuple[str, Way]] = [(op.word, op.way)]
        ways += [(back, "<=" if op.way == "=>" else "=>")] if back is not None else []
        for word, way in ways:
            for broader in known.lexicon.broader("rel", word):
                yield from known.related.get((thing, broader, way), ())

    def refutes(self, op: Follow, claim: str, state: State) -> bool:
        there = state.labelled(claim)
        ones, others = (state.here, there) if op.way == "=>" else (there, state.here)
        return state.unrelated(ones, op.word, others)


def _both_ways(
    subject: int, predicate: str, object_: int, known: Facts
) -> Iterator[tuple[int, str, int]]:
    """A relation, and its inverse if its predicate has one."""
    yield subject, predicate, object_
    back = known.inverse(predicate)
    if back is not None:
        yield object_, back, subject
