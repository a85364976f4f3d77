"""Passes that read every frame of a video. Consecutive ones share one decode.

Each such pass is a stage of a stream: a frame is decoded once, shown to all stages, and released.
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
    """A pass while it reads frames."""

    def see(self, look: DecodedFrame, clips: list[Clip]) -> list[Clip]:
        """Take the next frame, and the clips that the previous stage finished. Returns finished clips."""

    def end(self, unit: Clips, clips: list[Clip]) -> tuple[Clips, list[Clip]]:
        """Finish after the last frame.

        Takes the unit of the previous stage and the clips that it finished since the last call. Returns the
        same for this stage.
        """


class _Given:
    """The input of the first stage: finishes each clip of the unit when its last frame has passed."""

    def __init__(self, unit: Clips) -> None:
        self.left = list(unit.clips)

    def see(self, look: DecodedFrame, clips: list[Clip]) -> list[Clip]:
        over = [clip for clip in self.left if clip.end <= look.at]
        self.left = self.left[len(over) :]
        return over

    def end(self, unit: Clips, clips: list[Clip]) -> tuple[Clips, list[Clip]]:
        return unit, self.left


class DecodingPass(Pass[Clips, Clips]):
    """A pass that reads every frame once, in order."""

    uses = frozenset({"decoding"})

    def joins(self, following: Pass[Any, Any]) -> bool:
        """Whether the pass after this one can share the decode."""
        return isinstance(following, DecodingPass) and self.soon()

    def soon(self) -> bool:
        """Whether the pass reports the end of a clip within a few frames."""
        return True

    def stage(self, unit: Clips, tools: Tools) -> Stage:
        """Create the stage that runs this pass on a unit."""
        raise NotImplementedError

    def run(self, unit: Clips, tools: Tools) -> Clips:
        return _past([self], unit, [tools])[0][0]

    def run_joined(
        self, following: Sequence[Any], unit: Clips, tools: Sequence[Tools]
    ) -> list[tuple[Clips, float]]:
        """Run this pass and those in `following` with one decode: the unit after each, and its seconds."""
        return _past([self, *following], unit, tools)


def _past(passes: Sequence[Any], unit: Clips, tools: Sequence[Tools]) -> list[tuple[Clips, float]]:
    """Run consecutive passes with one decode: the unit after each pass, and its seconds.

    The decoding time counts for the first pass. Raises StepcError (B007, B008).
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
    cv2.setNumThreads(1)  # pictures are small: synchronising threads would cost more than it saves
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
