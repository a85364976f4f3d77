"""The graph of a unit as a rustworkx multigraph, and the identity of its objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import rustworkx as rx

from stepc.ir import types as t
from stepc.ir.union_find import UnionFind
from stepc.ir.words import plain, same_name

GraphNode = t.Object | t.Attribute | t.Event
GraphEdge = t.Attribute | t.Relation | t.Motion | t.Reference | t.Event


def graph(unit: t.Fsg) -> rx.PyDiGraph[GraphNode, GraphEdge]:
    """The multigraph of `unit`: objects, attributes and events as nodes, all edges.

    An attribute is connected to its owner, an event to every object of its clip. Parallel edges
    are kept. Nodes and edges are in the order of the unit.
    """
    made: rx.PyDiGraph[GraphNode, GraphEdge] = rx.PyDiGraph(multigraph=True)
    index = {o.id: made.add_node(o) for o in unit.objects}
    for a in unit.attributes:
        made.add_edge(index[a.owner], made.add_node(a), a)
    for r in unit.relations:
        made.add_edge(index[r.subject], index[r.object], r)
    if isinstance(unit, t.Tsg):
        for m in unit.motions:
            made.add_edge(index[m.source], index[m.target], m)
    if isinstance(unit, t.Stsg):
        for f in unit.references:
            made.add_edge(index[f.first], index[f.second], f)
        there: dict[str, list[str]] = {}
        for o in unit.objects:
            there.setdefault(t.clip_of(o.id), []).append(o.id)
        for e in unit.events:
            node = made.add_node(e)
            for name in there.get(e.clip, ()):
                made.add_edge(index[name], node, e)
    return made


def entities(unit: t.Unit) -> dict[str, int]:
    """Object id → entity number. Objects joined by motion edges are the same entity.

    So are those joined by a motion that is denied or not known, and those on one track: it is one object,
    whatever it does.
    """
    groups = UnionFind(o.id for o in getattr(unit, "objects", ()))
    pairs = [(m.source, m.target) for m in getattr(unit, "motions", ())]
    pairs += [(m.source, m.target) for m in getattr(unit, "denied", ()) if isinstance(m, t.Motion)]
    pairs += [(g.where, g.other or "") for g in getattr(unit, "gaps", ()) if g.what == "motion"]
    tracks: dict[tuple[str, int], str] = {}
    for b in getattr(unit, "boxes", ()):
        if b.track is not None:
            pairs.append((tracks.setdefault((t.clip_of(b.owner), b.track), b.owner), b.owner))
    for one, other in pairs:
        if one in groups and other in groups:
            groups.join(one, other)
    numbers: dict[str, int] = {}
    return {o: numbers.setdefault(groups.root(o), len(numbers)) for o in groups}


def identities(unit: t.Unit) -> dict[int, int]:
    """Entity number → identity number. Entities joined by references have the same identity."""
    entity = entities(unit)
    groups = UnionFind(entity.values())
    for r in getattr(unit, "references", ()):
        if r.first in entity and r.second in entity:
            groups.join(entity[r.first], entity[r.second])
    return {e: groups.root(e) for e in groups}


def statements(e: t.Element) -> Iterator[tuple[object, ...]]:
    """What a fact says, or denies: (edge kind, ends, word, attribute kind, keyframes).

    An attribute and a relation say so once for each keyframe.
    """
    match e:
        case t.Object():
            yield "object", (e.id,), "", "", ()
        case t.Attribute():
            yield from (("attr", (e.owner,), plain(e.value), e.kind, (f,)) for f in e.frames)
        case t.Relation():
            ends = e.subject, e.object
            yield from (("rel", ends, plain(e.predicate), "", (f,)) for f in e.frames)
        case t.Motion():
            at = tuple(t.frame_of(x) or "" for x in (e.source, e.target))
            yield "motion", (e.source, e.target), plain(e.motion), "", at
        case t.Event():
            yield "event", (e.clip,), plain(e.event), "", ()


def identities_only(unit: t.Unit) -> Callable[[t.Step], bool]:
    """Return a test for whether a step only says that a thing is itself.

    A reference between objects of one label says that the circle is the circle, or that the window is the car
    window. It leads a path to another clip, but is no step of reasoning.
    """
    labels = {o.id: o.label for o in getattr(unit, "objects", ())}
    return lambda step: (
        step.edge == "ref" and same_name(labels.get(step.near, ""), labels.get(step.far, ""))
    )


def numbered(path: t.Path, identity: Callable[[t.Step], bool]) -> list[tuple[int, t.Step]]:
    """The steps of a path with their numbers, from 1. An identity has the number of the next step."""
    made, number = [], 1
    for step in path.told:
        made.append((number, step))
        number += not identity(step)
    return made
