"""split: cut the video into clips at its scene cuts (PySceneDetect).   clips → clips"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

from pydantic import Field

from stepc.ir.types import Clip, Clips
from stepc.pipeline import Pass, Tools
from stepc.video import Source, frames


class Split(Pass[Clips, Clips]):
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

    def run(self, unit: Clips, tools: Tools) -> Clips:
        """The unit with its clips; keyframes it had are dropped."""
        source = tools.pictures.source(unit.video.sha256)
        cuts, end = self._cuts(source)
        end = max(end + 1, unit.video.duration)
        edges = [0, *cuts, end]
        spans = list(pairwise(edges))
        tools.counts.add("clips", len(spans))
        clips = tuple(Clip(id=f"c{i}", start=a, end=b) for i, (a, b) in enumerate(spans))
        return unit.evolve(clips=clips, video=unit.video.model_copy(update={"duration": end}))

    def _cuts(self, source: Source) -> tuple[list[int], int]:
        """Times of the first frame of every clip but the first, and of the last frame."""
        from scenedetect import FrameTimecode

        detector = self._detector()
        width = source.video.width
        longest = round(max(source.video.height / width, 1) * 256) if width > 256 else None
        times: list[int] = []
        cuts: list[int] = []
        for number, (at, picture) in enumerate(frames(source, longest)):
            times.append(at)
            bgr = picture[:, :, ::-1].copy()
            found = detector.process_frame(FrameTimecode(number, 25.0), bgr)
            cuts += [c.frame_num for c in found]
        found = detector.post_process(FrameTimecode(len(times) - 1, 25.0))
        cuts += [c.frame_num for c in found]
        return sorted({times[c] for c in cuts if 0 < c < len(times)}), times[-1]

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
