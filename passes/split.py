"""split: split the video into clips at scene cuts (PySceneDetect).   clips → clips"""

from __future__ import annotations

import functools
from array import array
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from stepc.ir.types import Clip, Clips
from stepc.passmanager.base import Tools
from stepc.passmanager.fused_decode import DecodingPass
from stepc.runtime.lazy import LazyModule
from stepc.video.decode import DecodedFrame, Plane

if TYPE_CHECKING:
    import cv2
else:
    cv2 = LazyModule("cv2")


class Split(DecodingPass):
    """Visual splitting (section 3.1): one clip between each two consecutive scene cuts.

    Uses PySceneDetect's detectors with their default parameters. Frames are numbered in presentation
    order, so variable frame rates need no special treatment.
    """

    detector: Literal["adaptive", "content", "threshold", "hash"] = "adaptive"
    """The PySceneDetect detector to use."""
    threshold: float | None = Field(None, gt=0)
    """Threshold of the detector; None uses PySceneDetect's default."""
    min_scene_len: int = Field(15, ge=1)
    """Minimum number of frames per clip."""

    def soon(self) -> bool:
        """True for the adaptive detector, which reports a cut two frames late; others may take longer."""
        return self.detector == "adaptive"

    def stage(self, unit: Clips, tools: Tools) -> _Cuts:
        """Start detection. Existing clips and keyframes are dropped."""
        detector = self._detector()
        if self.detector == "adaptive":
            return _Cuts(_Adaptive(detector), tools)
        return _Cuts(_Each(detector), tools)

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


class _Each:
    """Passes every frame to a PySceneDetect detector."""

    def __init__(self, detector: Any) -> None:
        self.detector, self.number = detector, 0

    def see(self, look: DecodedFrame) -> list[int]:
        """Process the next frame; return the numbers of the frames that follow newly found cuts."""
        self.number += 1
        found = self.detector.process_frame(self._code(), look.small)
        return [cut.frame_num for cut in found]

    def end(self) -> list[int]:
        """Finish after the last frame; return further cuts."""
        return [cut.frame_num for cut in self.detector.post_process(self._code())]

    def _code(self) -> Any:
        from scenedetect import FrameTimecode

        return FrameTimecode(self.number - 1, 25.0)


class _Change:
    """A frame and its difference to the previous one: a cheap estimate, and PySceneDetect's score."""

    def __init__(self, number: int, look: DecodedFrame, before: _Change | None) -> None:
        self.number, self.look = number, look
        self.before = None if before is None else before.look
        self.glance: float = self.score if look.glance is None else self._glance()

    def _glance(self) -> float:
        now, before = self.look.glance, self.before and self.before.glance
        return _distance(now, before) if now and before else 0.0

    @functools.cached_property
    def score(self) -> float:
        """Mean difference of hue, saturation and value; 0 for the first frame."""
        if self.before is None:
            return 0.0
        return _distance(self.look.parts, self.before.parts) / 3


class _Adaptive:
    """PySceneDetect's adaptive detector, with a cheap test that avoids most score computations.

    A frame begins a clip if its score is at least `min_content_val`, and at least `adaptive_threshold`
    times the mean score of the frames around it. Scoring every frame costs half as much as decoding
    small frames; the cheap estimate (`glance`) costs a tenth of that. No frame is scored if the estimate
    is below 1/3 of the first bound or below 0.4 times the second. At the cuts of real footage and of
    rendered films the estimate was at least 3.5 times the first bound and 1.1 times the second.
    """

    def __init__(self, detector: Any) -> None:
        self.detector = detector
        self.around: deque[_Change] = deque(maxlen=2 * detector.window_width + 1)
        self.number, self.cut = 0, 0

    def see(self, look: DecodedFrame) -> list[int]:
        """Process the next frame; return the middle frame of the window if a cut precedes it."""
        before = self.around[-1] if self.around else None
        self.around.append(_Change(self.number, look, before))
        self.number += 1
        if len(self.around) < 2 * self.detector.window_width + 1:
            return []
        return self._middle()

    def end(self) -> list[int]:
        """Return no further cuts."""
        return []

    def _middle(self) -> list[int]:
        here = self.around[self.detector.window_width]
        least, times = self.detector.min_content_val, self.detector.adaptive_threshold
        if here.glance < least / 3 or here.glance < 0.4 * times * self._mean("glance"):
            return []
        mean = self._mean("score")
        ratio = min(here.score / mean, 255.0) if mean >= 0.00001 else 255.0
        far = here.number - self.cut >= self.detector.min_scene_len
        if here.score < least or ratio < times or not far:
            return []
        self.cut = here.number
        return [here.number]

    def _mean(self, what: str) -> float:
        """Return the mean over the window without its middle frame."""
        rest = [c for i, c in enumerate(self.around) if i != self.detector.window_width]
        total: float = sum(getattr(c, what) for c in rest)
        return total / len(rest)


def _distance(one: Sequence[Plane], other: Sequence[Plane]) -> float:
    """Return the sum over all planes of their mean absolute difference."""
    pairs = zip(one, other, strict=True)
    return sum(float(cv2.norm(a, b, cv2.NORM_L1)) / a.size for a, b in pairs)


class _Cuts:
    """Turns detected cuts into clips."""

    def __init__(self, detector: _Each | _Adaptive, tools: Tools) -> None:
        self.detector, self.tools = detector, tools
        self.times = array("q")
        self.made: list[Clip] = []

    def see(self, look: DecodedFrame, clips: list[Clip]) -> list[Clip]:
        """Process a frame; return the clips that are now complete."""
        self.times.append(look.at)
        return self._cut(self.detector.see(look))

    def end(self, unit: Clips, clips: list[Clip]) -> tuple[Clips, list[Clip]]:
        """Return the unit with all its clips, and the clips completed last."""
        last = self._cut(self.detector.end())
        end = max(self.times[-1] + 1, unit.video.duration)
        last.append(self._clip(end))
        self.tools.counts.add("clips", len(self.made))
        video = unit.video.model_copy(update={"duration": end})
        return unit.evolve(clips=tuple(self.made), video=video), last

    def _cut(self, found: list[int]) -> list[Clip]:
        times = (self.times[number] for number in found if 0 < number < len(self.times))
        return [self._clip(at) for at in sorted({*times}) if at > self._start()]

    def _start(self) -> int:
        return self.made[-1].end if self.made else 0

    def _clip(self, end: int) -> Clip:
        self.made.append(Clip(id=f"c{len(self.made)}", start=self._start(), end=end))
        return self.made[-1]
