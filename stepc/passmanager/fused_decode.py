"""Passes that look at every frame of a video. Those that follow each other share one decode.

Such a pass is a stage that frames go past: each frame is decoded once, shown to all stages, and let go.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from stepc.ir.types import Clip, Clips
from stepc.passmanager.base import Pass, Tools
from stepc.runtime.lazy import LazyModule
from stepc.video.decode import DecodedFrame, decoded_frames

if TYPE_CHECKING:
    import cv2
else:
    cv2 = LazyModule("cv2")


class Stage(Protocol):
    """What a pass is while frames go past."""

    def see(self, look: DecodedFrame, clips: list[Clip]) -> list[Clip]:
        """The next frame, and clips that the stage before has finished; those that this one has."""

    def end(self, unit: Clips, clips: list[Clip]) -> tuple[Clips, list[Clip]]:
        """No more frames: what the stage before has made, and the clips it has finished since."""


class _Given:
    """The stage before the first: clips that are known are finished when their end has gone past."""

    def __init__(self, unit: Clips) -> None:
        self.left = list(unit.clips)

    def see(self, look: DecodedFrame, clips: list[Clip]) -> list[Clip]:
        over = [clip for clip in self.left if clip.end <= look.at]
        self.left = self.left[len(over) :]
        return over

    def end(self, unit: Clips, clips: list[Clip]) -> tuple[Clips, list[Clip]]:
        return unit, self.left


class DecodingPass(Pass[Clips, Clips]):
    """A pass that looks at every frame once, in order."""

    def joins(self, following: Pass[Any, Any]) -> bool:
        """Whether the pass after this one may see the same frames."""
        return isinstance(following, DecodingPass) and self.soon()

    def soon(self) -> bool:
        """Whether the end of a clip is known a few frames after it at most."""
        return True

    def stage(self, unit: Clips, tools: Tools) -> Stage:
        """The pass at work on a unit; what it is of is known from the stage before."""
        raise NotImplementedError

    def run(self, unit: Clips, tools: Tools) -> Clips:
        """The unit with its clips."""
        return _past([self], unit, [tools])[0][0]

    def run_joined(
        self, following: Sequence[Any], unit: Clips, tools: Sequence[Tools]
    ) -> list[tuple[Clips, float]]:
        """The unit after this pass and after each of those that follow, and the seconds of each."""
        return _past([self, *following], unit, tools)


def _past(passes: Sequence[Any], unit: Clips, tools: Sequence[Tools]) -> list[tuple[Clips, float]]:
    """What passes one after another make of a unit with one decode, and the seconds of each.

    The decoding counts for the first. Raises StepcError (B007, B008).
    """
    stages: list[Stage] = [
        _Given(unit),
        *(p.stage(unit, t) for p, t in zip(passes, tools, strict=True)),
    ]
    seconds = [0.0] * len(stages)
    before = time.perf_counter()

    def took(place: int) -> None:
        nonlocal before
        now = time.perf_counter()
        seconds[place] += now - before
        before = now

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # pictures are small: more threads would wait longer than they work
    try:
        for look in decoded_frames(tools[0].pictures.source(unit.video.sha256)):
            clips: list[Clip] = []
            for place, stage in enumerate(stages):
                clips = stage.see(look, clips)
                took(place)
    finally:
        cv2.setNumThreads(threads)
    made = []
    clips = []
    for place, stage in enumerate(stages):
        unit, clips = stage.end(unit, clips)
        took(place)
        made.append((unit, seconds[place]))
    (_, decoding), (first, own), *rest = made
    return [(first, own + decoding), *rest]
