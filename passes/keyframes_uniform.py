"""keyframes-uniform: choose evenly spaced keyframes (the "w/o splitting" ablation).   clips → clips"""

from __future__ import annotations

from pydantic import Field

from stepc.ir.types import Clip, Clips, Keyframe
from stepc.passmanager.base import Pass, Tools
from stepc.video.decode import times_in


class KeyframesUniform(Pass[Clips, Clips]):
    """Chooses keyframes at the middles of equal parts of a clip instead of by clustering.

    Clips without a frame are dropped (section 4.4, w/o splitting).
    """

    per_clip: int = Field(2, ge=1)
    """Keyframes per clip; fewer if a clip has fewer frames."""

    def run(self, unit: Clips, tools: Tools) -> Clips:
        source = tools.pictures.source(unit.video.sha256)
        times = times_in(source, ((c.id, c.start, c.end) for c in unit.clips))
        made = tuple(self._choose(c, times[c.id]) for c in unit.clips if times[c.id])
        tools.counts.add("clips without a frame", len(unit.clips) - len(made))
        tools.counts.add("keyframes", sum(len(c.keyframes) for c in made))
        return unit.evolve(clips=made)

    def _choose(self, clip: Clip, times: list[int]) -> Clip:
        count = min(self.per_clip, len(times))
        chosen = [times[(2 * i + 1) * len(times) // (2 * count)] for i in range(count)]
        keyframes = tuple(Keyframe(id=f"{clip.id}.k{i}", at=at) for i, at in enumerate(chosen))
        return Clip(id=clip.id, start=clip.start, end=clip.end, keyframes=keyframes)
