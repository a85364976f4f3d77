"""split-uniform: clips of equal length (the "w/o splitting" ablation).   clips → clips"""

from __future__ import annotations

from itertools import pairwise

from pydantic import Field

from stepc.ir.types import Clip, Clips
from stepc.passmanager.base import Pass, Tools


class SplitUniform(Pass[Clips, Clips]):
    """Equal clips in place of scene cuts (section 4.4, w/o splitting)."""

    seconds: float = Field(5.0, gt=0)
    """About how long a clip is; the video is divided into equal parts nearest to this."""

    def run(self, unit: Clips, tools: Tools) -> Clips:
        """The unit with its clips; keyframes it had are dropped."""
        length = unit.video.duration
        count = max(1, min(length, round(length / 1000 / self.seconds)))
        edges = [length * i // count for i in range(count + 1)]
        tools.counts.add("clips", count)
        clips = tuple(Clip(id=f"c{i}", start=a, end=b) for i, (a, b) in enumerate(pairwise(edges)))
        return unit.evolve(clips=clips)
