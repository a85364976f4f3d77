"""split: cut the video into clips at its scene cuts (PySceneDetect).   clips → clips"""

from __future__ import annotations

import functools
from array import array
from collections import deque
from collections.abc import Sequence
from typing import Any, Literal

import cv2
from pydantic import Field

from stepc.ir.types import Clip, Clips
from stepc.passmanager.base import Tools
from stepc.passmanager.fused_decode import DecodingPass
from stepc.video.decode import DecodedFrame, Plane


class Split(DecodingPass):
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
    """Shows PySceneDetect's detector every frame."""

    def __init__(self, detector: Any) -> None:
        self.detector, self.number = detector, 0

    def see(self, look: DecodedFrame) -> list[int]:
        """The next frame; numbers of the frames before which there is a cut, as far as that is new."""
        self.number += 1
        found = self.detector.process_frame(self._code(), look.small)
        return [cut.frame_num for cut in found]

    def end(self) -> list[int]:
        """No more frames."""
        return [cut.frame_num for cut in self.detector.post_process(self._code())]

    def _code(self) -> Any:
        from scenedetect import FrameTimecode

        return FrameTimecode(self.number - 1, 25.0)


class _Change:
    """A frame and how much it differs from the one before it: at a glance, and as PySceneDetect scores it."""

    def __init__(self, number: int, look: DecodedFrame, before: _Change | None) -> None:
        self.number, self.look = number, look
        self.before = None if before is None else before.look
        self.glance: float = self.score if look.glance is None else self._glance()

    def _glance(self) -> float:
        now, before = self.look.glance, self.before and self.before.glance
        return _distance(now, before) if now and before else 0.0

    @functools.cached_property
    def score(self) -> float:
        """The mean difference of hue, saturation and value; 0 of the first frame."""
        if self.before is None:
            return 0.0
        return _distance(self.look.parts, self.before.parts) / 3


class _Adaptive:
    """PySceneDetect's adaptive detector, asked only where a glance leaves it a question.

    A frame begins a clip if its score is at least `min_content_val` and `adaptive_threshold` times the
    mean score of the frames around it. Scoring every frame costs half of what decoding small ones does, a
    glance at it a tenth of that. Where a glance tells of a change less than a third of the one, or less
    than four tenths of the other, no frame is scored; at cuts of real footage and of rendered films it
    told of at least 3.5 times the one and 1.1 times the other.
    """

    def __init__(self, detector: Any) -> None:
        self.detector = detector
        self.around: deque[_Change] = deque(maxlen=2 * detector.window_width + 1)
        self.number, self.cut = 0, 0

    def see(self, look: DecodedFrame) -> list[int]:
        """The next frame; whether there is a cut before the one in the middle of those that are known."""
        before = self.around[-1] if self.around else None
        self.around.append(_Change(self.number, look, before))
        self.number += 1
        if len(self.around) < 2 * self.detector.window_width + 1:
            return []
        return self._middle()

    def end(self) -> list[int]:
        """No more frames."""
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
        """Of the frames around the middle one."""
        rest = [c for i, c in enumerate(self.around) if i != self.detector.window_width]
        total: float = sum(getattr(c, what) for c in rest)
        return total / len(rest)


def _distance(one: Sequence[Plane], other: Sequence[Plane]) -> float:
    """The mean absolute differences of planes, summed."""
    pairs = zip(one, other, strict=True)
    return sum(float(cv2.norm(a, b, cv2.NORM_L1)) / a.size for a, b in pairs)


class _Cuts:
    """Finds a clip's end when frames have gone past it."""

    def __init__(self, detector: _Each | _Adaptive, tools: Tools) -> None:
        self.detector, self.tools = detector, tools
        self.times = array("q")
        self.made: list[Clip] = []

    def see(self, look: DecodedFrame, clips: list[Clip]) -> list[Clip]:
        """The clips that a cut ends which is seen now."""
        self.times.append(look.at)
        return self._cut(self.detector.see(look))

    def end(self, unit: Clips, clips: list[Clip]) -> tuple[Clips, list[Clip]]:
        """The unit with its clips, the last ones now finished."""
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
