"""Where in the video the facts of a path are seen: clips, times, keyframes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from stepc.edges import EDGES, ELEMENTS
from stepc.ir import types as t
from stepc.ir.graph import entities, identities_only, numbered
from stepc.ir.spans import join_spans, moments


@dataclass(frozen=True)
class FactSighting:
    """A place in the video where a fact is seen."""

    clip: str
    start: int
    end: int
    """From when to when, in ms."""
    frames: tuple[str, ...]
    """The keyframes that show it."""
    nodes: tuple[str, ...]
    """The objects and attributes that it is about."""


class Demand(NamedTuple):
    """How much of a video one has to see for a question."""

    clips: int
    keyframes: int
    millis: int
    """The time that its evidence spans, without gaps between, in ms."""


class Sightings:
    """Looks up where the facts of a unit's paths are seen."""

    def __init__(self, unit: t.Paths | t.Qras) -> None:
        self.at = {k.id: k.at for k in unit.keyframes.values()}
        self.moments = moments(unit)
        self.objects = {o.id: o for o in unit.objects}
        self.identity = identities_only(unit)
        self.held: dict[str, list[str]] = {c.id: [k.id for k in c.keyframes] for c in unit.clips}
        self.edges: dict[tuple[str, ...], t.Element] = {("object", o.id): o for o in unit.objects}
        self.denied: dict[tuple[str, ...], t.Element] = {}
        self.alike: dict[int, list[t.Object]] = {}
        """Entity → its objects."""
        self.entity = entities(unit)
        for o in unit.objects:
            self.alike.setdefault(self.entity[o.id], []).append(o)
        for kind in ELEMENTS.values():
            for edge in getattr(unit, kind.field):
                self.edges[kind.name, *kind.keys(edge)] = edge
            for edge in unit.denied:
                if kind.element is not None and isinstance(edge, kind.element):
                    self.denied[kind.name, *kind.keys(edge)] = edge

    def facts(self, step: t.Step) -> list[t.Element]:
        """The elements that a step rests on; of a step between events, both events."""
        return EDGES[step.edge].elements(step, self.denied if step.denied else self.edges)

    def of_path(self, path: t.Path) -> Iterator[tuple[int, FactSighting]]:
        """Where the facts of a path are seen, with the number of the step of the rationale, from 1."""
        steps = numbered(path, self.identity)
        last = sum(not self.identity(step) for step in path.told)
        for number, step in [*steps, *((last, other) for other in path.also)]:
            yield from ((number, seen) for seen in self.of(step, path.query[0]))

    def demand(self, path: t.Path) -> Demand:
        """In how many different clips, keyframes and milliseconds the facts of a path are seen."""
        seen = [sighting for _, sighting in self.of_path(path)]
        return Demand(
            len({s.clip for s in seen}),
            len({f for s in seen for f in s.frames}),
            sum(end - start for start, end in join_spans((s.start, s.end) for s in seen)),
        )

    def things(self, path: t.Path) -> set[int]:
        """The entities that the steps of a path join."""
        ends = (end for step in (*path.told, *path.also) for end in (step.near, step.far))
        return {self.entity[end] for end in ends if end in self.entity}

    def of(self, step: t.Step, scope: t.Op | None = None) -> Iterator[FactSighting]:
        """Where the facts of a step are seen; of a reference, in both clips.

        Of a step that a question at one moment is about, only the keyframe of the scope.
        """
        for seen in self._everywhere(step):
            if isinstance(scope, t.Moment):
                shown = tuple(f for f in seen.frames if self.moments.get(f) == scope.at)
                times = [self.at[f] for f in shown] or [scope.at]
                yield replace(seen, frames=shown, start=min(times), end=max(times))
            else:
                yield seen

    def _everywhere(self, step: t.Step) -> Iterator[FactSighting]:
        ends = [i for i in (step.near, step.far) if "/" in i]
        for edge in self.facts(step):
            if isinstance(edge, t.Reference):
                for end in ends if step.way == "=>" else ends[::-1]:
                    yield self._seen(list(self.objects[end].frames), [end])
            elif isinstance(edge, t.Event):
                yield self._seen(self.held[edge.clip], ends, (edge.start, edge.end))
            elif isinstance(edge, t.Motion):
                frames = [f for i in ends for f in self.objects[i].frames]
                yield self._seen(frames, ends, (edge.start, edge.end))
            elif isinstance(edge, t.Relation):
                yield self._seen(list(edge.frames), ends, edge.during)
            elif isinstance(edge, t.Attribute):
                yield self._seen(list(edge.frames), ends)
            elif isinstance(edge, t.Object):
                same = self.alike[self.entity[edge.id]]
                yield self._seen([f for o in same for f in o.frames], [o.id for o in same])

    def _seen(
        self, frames: list[str], nodes: list[str], span: tuple[int, int] | None = None
    ) -> FactSighting:
        """A sighting; without a span, it lasts from the first keyframe to the last."""
        shown = tuple(dict.fromkeys(frames))
        times = [self.at[f] for f in shown]
        start, end = span or (min(times), max(times))
        return FactSighting(t.clip_of(shown[0]), start, end, shown, tuple(nodes))
