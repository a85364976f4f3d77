"""split: split the video into clips at scene cuts (PySceneDetect).   clips → clips"""

from __future__ import annotations

import functools
from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from stepc.ir.types import Clip, Clips
from stepc.passmanager.base import Tools
from stepc.passmanager.fused_decode import DecodingPass
from stepc.runtime.lazy import LazyModule
from stepc.video.decode import DecodedFrame, Plane

if TYPE_CHECKING:
    import cv2
    import numpy as np
else:
    cv2, np = LazyModule("cv2"), LazyModule("numpy")


KINDS = "adaptive|content|threshold|hash"


class Split(DecodingPass):
    """Visual splitting (section 3.1): one clip between each two consecutive scene cuts.

    Uses PySceneDetect's detectors with their default parameters. Frames are numbered in presentation
    order, so variable frame rates need no special treatment.
    """

    detector: str = Field("adaptive", pattern=f"^({KINDS})(\\+({KINDS}))*$")
    """The PySceneDetect detector: adaptive, content, threshold (fades) or hash. `adaptive+threshold` cuts
    where one of them does."""
    threshold: float | None = Field(None, gt=0)
    """Threshold of the first detector; None uses PySceneDetect's default."""
    min_scene_len: int = Field(15, ge=1)
    """Minimum number of frames per clip."""

    def soon(self) -> bool:
        """True for the adaptive detector, which reports a cut two frames late; others may take longer."""
        return self.detector == "adaptive"

    def stage(self, unit: Clips, tools: Tools) -> _Cuts:
        """Start detection. Existing clips and keyframes are dropped."""
        names = list(dict.fromkeys(self.detector.split("+")))
        thresholds = [self.threshold, *[None] * len(names)]
        made = [
            (_Adaptive if name == "adaptive" else _Each)(self._detector(name, threshold))
            for name, threshold in zip(names, thresholds, strict=False)
        ]
        return _Cuts(made[0] if len(made) == 1 else _Union(made, self.min_scene_len), tools)

    def _detector(self, kind: str, threshold: float | None) -> Any:
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
        detector, name = kinds[kind]
        more = {} if threshold is None else {name: threshold}
        return detector(min_scene_len=self.min_scene_len, **more)


class _Each:
    """Passes every frame to a PySceneDetect detector."""

    def __init__(self, detector: Any) -> None:
        self.detector, self.number = detector, 0

    def see(self, look: DecodedFrame) -> list[int]:
        """Process the next frame; return the numbers of the frames that follow newly found cuts."""
        self.number += 1
        found = self.detector.process_frame(self._code(), look.detected)
        return [cut.frame_num for cut in found]

    def end(self) -> list[int]:
        """Finish after the last frame; return further cuts."""
        return [cut.frame_num for cut in self.detector.post_process(self._code())]

    def _code(self) -> Any:
        from scenedetect import FrameTimecode

        return FrameTimecode(self.number - 1, 25.0)


class _Union:
    """Cuts where one of several detectors does, but leaves no clip shorter than the minimum."""

    def __init__(self, detectors: Sequence[_Each | _Adaptive], least: int) -> None:
        self.detectors, self.least = detectors, least
        self.last = 0

    def see(self, look: DecodedFrame) -> list[int]:
        """Process the next frame; return the numbers of the frames that follow newly found cuts."""
        return self._apart(number for d in self.detectors for number in d.see(look))

    def end(self) -> list[int]:
        """Finish after the last frame; return further cuts."""
        return self._apart(number for d in self.detectors for number in d.end())

    def _apart(self, found: Iterable[int]) -> list[int]:
        cuts = []
        for number in sorted(set(found)):
            if number - self.last >= self.least:
                cuts.append(number)
                self.last = number
        return cuts


DARK = 28
"""A pixel whose luma is below this (black is 16) has no stable hue and saturation: they may change by any
amount where the eye sees no change."""
HUE_RANGE, SATURATION_RANGE = 180, 256


class _Change:
    """A frame and its difference to the previous one: PySceneDetect's score, and two cheaper estimates.

    `glance` is the mean difference of the planes. `most` adds what the hue and saturation of dark pixels may
    add to the score, which the planes do not show.
    """

    def __init__(self, number: int, look: DecodedFrame, before: _Change | None) -> None:
        self.number, self.look = number, look
        self.before = None if before is None else before.look
        self.glance, self.most = self._glance() if look.glance is not None else [self.near] * 2

    def _glance(self) -> list[float]:
        now, before = self.look.glance, self.before and self.before.glance
        if not now or not before:
            return [0.0, 0.0]
        seen = _distance(now, before)
        return [seen, seen + _unseen(now, before)]

    @functools.cached_property
    def score(self) -> float:
        """Mean difference of hue, saturation and value; 0 for the first frame."""
        if self.before is None:
            return 0.0
        return _distance(self.look.detected_parts, self.before.detected_parts) / 3

    @functools.cached_property
    def near(self) -> float:
        """The score of frames that were downscaled faster: 0.86 to 1.31 of `score` in 14 clips."""
        return 0.0 if self.before is None else _distance(self.look.parts, self.before.parts) / 3


class _Adaptive:
    """PySceneDetect's adaptive detector, with cheap tests that avoid most score computations.

    A frame begins a clip if its score is at least `min_content_val`, and at least `adaptive_threshold`
    times the mean score of the frames around it. Scoring every frame would cost twice as much as decoding
    it. A glance costs next to nothing: no frame is looked at more closely if the most that it allows
    for is below 1/3 of the first bound or below 0.4 times the second. A frame is not scored either if `near`
    is below 0.7 of the first bound or below half of the second; in 14 clips, the ratios of `near` were 0.7
    to 1.2 of those of the score.
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
        if here.most < least / 3 or here.most < 0.4 * times * self._mean("glance"):
            return []
        if here.near < 0.7 * least or here.near < 0.5 * times * self._mean("near"):
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


def _unseen(now: Sequence[Plane], before: Sequence[Plane]) -> float:
    """The most that dark pixels may add to the score: those that are dark in one frame, and change."""
    size = now[1].shape[::-1]
    lumas = [cv2.resize(f[0], size, interpolation=cv2.INTER_NEAREST) for f in (now, before)]
    dark = (lumas[0] < DARK) | (lumas[1] < DARK)
    if not dark.any():
        return 0.0
    changed = (now[1] != before[1]) | (now[2] != before[2])
    return float((changed & dark).mean()) * (HUE_RANGE + SATURATION_RANGE) / 2 / 3


class _Cuts:
    """Turns detected cuts into clips."""

    def __init__(self, detector: _Each | _Adaptive | _Union, tools: Tools) -> None:
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
