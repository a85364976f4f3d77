"""narrow: add keyframes around the ends of motions, to know their times better.   tsg → clips"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from pydantic import Field

from stepc.ir import types as t
from stepc.ir.graph import entities
from stepc.ir.spans import around
from stepc.ir.words import plain
from stepc.passmanager.base import Pass, Tools
from stepc.video.decode import times_in

if TYPE_CHECKING:
    from stepc.model.plan import Plan, VideoStats

Interval = tuple[int, int]
"""A range of times in ms, in which a motion begins or ends."""


class Narrow(Pass[t.Tsg, t.Clips]):
    """More keyframes where motions begin and end.

    A motion is known from the first to the last keyframe that shows it. It may have begun at any time after
    the keyframe before, and what depends on that is not asked. This pass adds a keyframe in the middle of
    each such interval, or at the end of the clip, the longest intervals first. The graph is then built again
    from all keyframes:

        split,keyframes,parse,merge,narrow,parse,confirm,merge,bridge,confirm,deny,sample,…

    What the model said about the old keyframes is not asked again. Each further `narrow,parse,merge` halves
    the intervals once more.
    """

    most: int = Field(4, ge=1)
    """Maximum number of new keyframes per clip."""
    apart: float = Field(0.2, gt=0)
    """Minimum distance of a new keyframe from its neighbours, in seconds."""

    def plan(self, about: VideoStats, costs: Plan) -> None:
        costs.added += about.clips * self.most  # at most

    def run(self, unit: t.Tsg, tools: Tools) -> t.Clips:
        wanted = {clip.id: self._intervals(unit, clip) for clip in unit.clips}
        ranges = [(c.id, c.start, c.end) for c in unit.clips if wanted[c.id]]
        source = tools.pictures.source(unit.video.sha256) if ranges else None
        times = times_in(source, ranges) if source else {}
        made = tuple(self._more(c, wanted[c.id], times.get(c.id, []), tools) for c in unit.clips)
        return t.raise_to(t.Clips, unit, clips=made)

    def _intervals(self, unit: t.Tsg, clip: t.Clip) -> list[Interval]:
        """The intervals in which motions of a clip begin or end, the longest first."""
        keyframes = [k.at for k in clip.keyframes]
        found: set[Interval] = set()
        for span in _runs(unit, clip):
            bounds = around(span, keyframes, (clip.start, clip.end))
            found |= {bounds.begins, bounds.ends}
        return sorted(found, key=lambda x: (x[0] - x[1], x))

    def _more(
        self, clip: t.Clip, intervals: Sequence[Interval], times: Sequence[int], tools: Tools
    ) -> t.Clip:
        """A clip with a keyframe more in each of the first intervals that have room for it."""
        old = [k.at for k in clip.keyframes]
        new: list[int] = []
        for low, high in intervals:
            if len(new) == self.most:
                break
            inside = times[bisect_left(times, low) : bisect_left(times, high)]
            at = _chosen(low, high, clip, inside)
            near = 1000 * self.apart
            if at is not None and all(abs(at - x) >= near for x in (*old, *new)):
                new.append(at)
        tools.counts.add("keyframes added", len(new))
        keyframes = tuple(
            t.Keyframe(id=f"{clip.id}.k{i}", at=at) for i, at in enumerate(sorted([*old, *new]))
        )
        return clip.model_copy(update={"keyframes": keyframes})


def _runs(unit: t.Tsg, clip: t.Clip) -> Iterator[Interval]:
    """The time ranges of the motions of a clip; one that goes on over several keyframes is one."""
    entity = entities(unit)
    mine = [m for m in unit.motions if t.clip_of(m.source) == clip.id]
    mine.sort(key=lambda m: (entity[m.source], m.start))
    for _, motions in groupby(mine, key=lambda m: entity[m.source]):
        held = [*motions]
        start = held[0].start
        for one, other in pairwise(held):
            if plain(one.motion) != plain(other.motion) or one.end != other.start:
                yield start, one.end
                start = other.start
        yield start, held[-1].end


def _chosen(low: int, high: int, clip: t.Clip, inside: Sequence[int]) -> int | None:
    """The frame that halves an interval; at the end of a clip, its first or last frame."""
    if not inside:
        return None
    if low == clip.start:
        return inside[0]
    if high == clip.end:
        return inside[-1]
    return min(inside, key=lambda at: (abs(2 * at - low - high), at))
