"""split-uniform: split into clips of equal length (the "w/o splitting" ablation).   clips → clips"""

from __future__ import annotations

from itertools import pairwise

from pydantic import Field

from stepc.ir.types import Clip, Clips
from stepc.passmanager.base import Pass, Tools


class SplitUniform(Pass[Clips, Clips]):
    """Splits into clips of equal length instead of at scene cuts (section 4.4, w/o splitting)."""

    seconds: float = Field(5.0, gt=0)
    """Approximate clip length in seconds; the video is divided into equal parts close to this length."""

    def run(self, unit: Clips, tools: Tools) -> Clips:
        """Replace the unit's clips. Existing keyframes are dropped."""
        length = unit.video.duration
        count = max(1, min(length, round(length / 1000 / self.seconds)))
        edges = [length * i // count for i in range(count + 1)]
        tools.counts.add("clips", count)
        clips = tuple(Clip(id=f"c{i}", start=a, end=b) for i, (a, b) in enumerate(pairwise(edges)))
        return unit.evolve(clips=clips)
