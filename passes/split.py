"""split: cut the video into clips at its scene cuts (PySceneDetect).   clips → clips"""

from __future__ import annotations

from array import array
from typing import Any, Literal

from pydantic import Field

from stepc.ir.types import Clip, Clips
from stepc.pipeline import Tools
from stepc.scan import Scan
from stepc.video import Look


class Split(Scan):
    """Visual splitting (section 3.1): a clip between every two scene cuts.

    The detectors are PySceneDetect's with their defaults; frames are numbered in order of
    presentation, so that variable frame rates need no care.
    """

    detector: Literal["adaptive", "content", "threshold", "hash"] = "adaptive"
    """PySceneDetect's detector."""
    threshold: float | None = Field(None, gt=0)
    """The detector's own threshold; none is PySceneDetect's default."""
    min_scene_len: int = Field(15, ge=1)
    """The fewest frames of a clip."""

    def soon(self) -> bool:
        """The adaptive detector says so two frames later; others may look far ahead."""
        return self.detector == "adaptive"

    def stage(self, unit: Clips, tools: Tools) -> _Cuts:
        """The detector at work; clips and keyframes that there were are dropped."""
        return _Cuts(self._detector(), tools)

    def _detector(self) -> Any:
        from scenedetect import (
            AdaptiveDetector,
            ContentDetector,
            HashDetector,
            ThresholdDetector,
        )

        kinds: dict[str, tuple[Any, str]] = {
            "adaptive": (AdaptiveDetector, "adaptive_threshold"),
            "content": (ContentDetector, "threshold"),
            "threshold": (ThresholdDetector, "threshold"),
            "hash": (HashDetector, "threshold"),
        }
        kind, name = kinds[self.detector]
        more = {} if self.threshold is None else {name: self.threshold}
        return kind(min_scene_len=self.min_scene_len, **more)


class _Cuts:
    """Finds a clip's end when frames have gone past it."""

    def __init__(self, detector: Any, tools: Tools) -> None:
        self.detector, self.tools = detector, tools
        self.times = array("q")
        self.made: list[Clip] = []

    def see(self, look: Look, clips: list[Clip]) -> list[Clip]:
        """The clips that a cut ends which is seen now."""
        from scenedetect import FrameTimecode

        number = FrameTimecode(len(self.times), 25.0)
        self.times.append(look.at)
        return self._cut(self.detector.process_frame(number, look.small))

    def end(self, unit: Clips, clips: list[Clip]) -> tuple[Clips, list[Clip]]:
        """The unit with its clips, the last ones now finished."""
        from scenedetect import FrameTimecode

        last = self._cut(self.detector.post_process(FrameTimecode(len(self.times) - 1, 25.0)))
        end = max(self.times[-1] + 1, unit.video.duration)
        last.append(self._clip(end))
        self.tools.counts.add("clips", len(self.made))
        video = unit.video.model_copy(update={"duration": end})
        return unit.evolve(clips=tuple(self.made), video=video), last

    def _cut(self, found: list[Any]) -> list[Clip]:
        times = (self.times[cut.frame_num] for cut in found if 0 < cut.frame_num < len(self.times))
        return [self._clip(at) for at in sorted({*times}) if at > self._start()]

    def _start(self) -> int:
        return self.made[-1].end if self.made else 0

    def _clip(self, end: int) -> Clip:
        self.made.append(Clip(id=f"c{len(self.made)}", start=self._start(), end=end))
        return self.made[-1]
