"""keyframes: the stillest frame of each cluster of a clip's frames (Song et al. 2016).   clips → clips"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stepc.ir.types import Clip, Clips, Keyframe
from stepc.pipeline import Pass, Tools
from stepc.video import Picture, frames

Features = NDArray[np.float32]
LONGEST = 160
"""Pixels of the longer side at which frames are looked at."""
WORST, WORST_CHANGE = 0.15, 0.10
"""The share of frames that one quality criterion, one transition criterion, may drop."""


@dataclass
class _Seen:
    """What is kept of one frame."""

    at: int
    grey: NDArray[np.float32]
    edges: NDArray[np.uint8]
    features: Features
    dark: float
    blur: float
    uniform: float
    change: float = 0.0
    """Mean absolute difference to its neighbours, 0 to 1; one-sided at the ends of a clip."""
    redrawn: float = 0.0
    """Edge-change ratio to the frame before."""


class Keyframes(Pass[Clips, Clips]):
    """Representative keyframes by clustering, after [42] (section 3.1, visual splitting).

    Frames that are dark, blurred, uniform or in a transition are dropped, at most a given share
    by each criterion and the worst first; the rest is clustered on colour and edge histograms
    of a two-level pyramid; the stillest frame of each cluster is its keyframe. The number of
    clusters grows with the clip's length: the original's one cluster a shot would leave a clip
    with one keyframe and no motion edge.
    """

    per_clip: int = Field(0, ge=0)
    """Keyframes a clip; 0 chooses by its length: one per `every` seconds, 2 to `most`."""
    every: float = Field(2.0, gt=0)
    """Seconds a keyframe stands for."""
    most: int = Field(6, ge=2)
    """The most keyframes a clip gets by its length."""
    looked_at: int = Field(240, ge=2)
    """The most frames of a clip that are clustered; of a longer clip, evenly spaced ones."""
    dark: float = Field(0.075, ge=0)
    """Mean relative luminance at or below which a frame is dark."""
    blurred: float = Field(0.08, ge=0)
    """Mean gradient magnitude at or below which a frame is blurred."""
    uniform: float = Field(0.80, ge=0)
    """Share of pixels in the fullest 5 % of grey bins at or above which a frame is uniform."""
    cut: float = Field(0.50, ge=0)
    """Frame difference at or above which a frame is in a transition."""
    redrawn: float = Field(0.10, ge=0)
    """Edge-change ratio at or above which a frame is in a transition."""

    def run(self, unit: Clips, tools: Tools) -> Clips:
        """The unit with keyframes; clips without a single frame are left out."""
        source = tools.pictures.source(unit.video.sha256)
        rate = eval_rate(unit.video.rate)
        made: list[Clip] = []
        clips = list(unit.clips)
        seen: list[_Seen] = []
        number = 0
        for at, picture in frames(source, LONGEST):
            while clips and at >= clips[0].end:
                made += self._chosen(clips.pop(0), seen, tools)
                seen, number = [], 0
            if not clips or at < clips[0].start:
                continue
            length = (clips[0].end - clips[0].start) / 1000 * rate
            stride = max(1, int(np.ceil(length / self.looked_at)))
            if number % stride == 0:
                seen.append(_look(at, picture))
            number += 1
        if clips:
            made += self._chosen(clips[0], seen, tools)
        tools.counts.add("keyframes", sum(len(c.keyframes) for c in made))
        return unit.evolve(clips=tuple(made))

    def _chosen(self, clip: Clip, seen: list[_Seen], tools: Tools) -> list[Clip]:
        if not seen:
            tools.counts.add("clips without a frame")
            return []
        _changes(seen)
        kept = self._good(seen)
        tools.counts.add("frames dropped", len(seen) - len(kept))
        wanted = self.per_clip or round((clip.end - clip.start) / 1000 / self.every)
        if not self.per_clip:
            wanted = min(self.most, max(2, wanted))
        wanted = min(wanted, len(seen))
        if len(kept) < wanted:
            kept = seen
        chosen = sorted(_cluster(kept, wanted))
        keyframes = tuple(Keyframe(id=f"{clip.id}.k{i}", at=at) for i, at in enumerate(chosen))
        return [Clip(id=clip.id, start=clip.start, end=clip.end, keyframes=keyframes)]

    def _good(self, seen: list[_Seen]) -> list[_Seen]:
        """Frames that pass every criterion; each may drop only its share, the worst first."""
        dropped: set[int] = set()

        def drop(bad: list[tuple[float, int]], share: float) -> None:
            dropped.update(i for _, i in sorted(bad)[: int(len(seen) * share)])

        numbered = list(enumerate(seen))
        drop([(s.dark, i) for i, s in numbered if s.dark <= self.dark], WORST)
        drop([(s.blur, i) for i, s in numbered if s.blur <= self.blurred], WORST)
        drop([(-s.uniform, i) for i, s in numbered if s.uniform >= self.uniform], WORST)
        drop([(-s.change, i) for i, s in numbered if s.change >= self.cut], WORST_CHANGE)
        drop([(-s.redrawn, i) for i, s in numbered if s.redrawn >= self.redrawn], WORST_CHANGE)
        return [s for i, s in numbered if i not in dropped]


def eval_rate(rate: str) -> float:
    """Frames a second of a rate such as `30000/1001`."""
    above, _, below = rate.partition("/")
    return int(above) / int(below or 1)


def _look(at: int, picture: Picture) -> _Seen:
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (3, 3), 0)
    luminance = picture.reshape(-1, 3).mean(0) @ (0.2126, 0.7152, 0.0722) / 255
    scaled = grey.astype(np.float32) / 255
    dx = cv2.Sobel(scaled, cv2.CV_32F, 1, 0, ksize=3)
    dy = cv2.Sobel(scaled, cv2.CV_32F, 0, 1, ksize=3)
    magnitude, angle = cv2.cartToPolar(dx, dy, angleInDegrees=True)
    bins = np.sort(np.bincount(grey.ravel() >> 1, minlength=128))[::-1]
    threshold, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    return _Seen(
        at=at,
        grey=scaled,
        edges=cv2.Canny(grey, threshold / 2, threshold).astype(np.uint8),
        features=_features(hsv, magnitude, angle),
        dark=float(luminance),
        blur=float(magnitude.mean()),
        uniform=float(bins[:6].sum() / grey.size),
    )


def _features(hsv: Picture, magnitude: NDArray, angle: NDArray) -> Features:  # type: ignore[type-arg]
    """2000 numbers: histograms of the whole frame and of its quarters, each of unit length."""
    height, width = hsv.shape[:2]
    rows, columns = (
        (slice(0, height // 2), slice(height // 2, None)),
        (
            slice(0, width // 2),
            slice(width // 2, None),
        ),
    )
    patches = [(slice(None), slice(None)), *((r, c) for r in rows for c in columns)]
    parts: list[Features] = []
    for patch in patches:
        for channel, top in enumerate((180, 256, 256)):
            values = hsv[patch][..., channel].ravel()
            parts.append(np.histogram(values, 128, (0, top))[0].astype(np.float32))
        weight = magnitude[patch].ravel()
        turn = angle[patch].ravel()
        parts.append(np.histogram(turn, 8, (0, 360), weights=weight)[0].astype(np.float32))
        parts.append(np.histogram(weight, 8, (0, 4))[0].astype(np.float32))
    return np.concatenate([p / max(float(np.linalg.norm(p)), 1e-9) for p in parts])


def _changes(seen: list[_Seen]) -> None:
    """Fill `change` and `redrawn`; the ends of a clip compare with their one neighbour."""
    differences = [float(np.abs(a.grey - b.grey).mean()) for a, b in pairwise(seen)]
    kernel = np.ones((5, 5), np.uint8)
    for i, s in enumerate(seen):
        near = differences[max(0, i - 1) : i + 1]
        s.change = float(np.mean(near)) if near else 0.0
        if i:
            s.redrawn = _edge_change(seen[i - 1].edges, s.edges, kernel)


def _edge_change(before: NDArray[np.uint8], after: NDArray[np.uint8], kernel: Picture) -> float:
    out = 1 - (before & cv2.dilate(after, kernel)).sum() / max(1, before.sum(dtype=np.int64))
    into = 1 - (after & cv2.dilate(before, kernel)).sum() / max(1, after.sum(dtype=np.int64))
    return float(max(out, into))


def _cluster(seen: list[_Seen], wanted: int) -> list[int]:
    """Times of `wanted` frames: the stillest of each cluster of a k-means on the features."""
    from sklearn.cluster import KMeans

    features = np.stack([s.features for s in seen])
    means = KMeans(min(wanted, len(np.unique(features, axis=0))), n_init=4, random_state=0)
    labels = means.fit_predict(features)
    chosen: list[_Seen] = []
    for label in range(labels.max() + 1):
        chosen.append(_stillest([s for s, at in zip(seen, labels, strict=True) if at == label]))
    while len(chosen) < wanted:
        gap = max(
            (s for s in seen if s not in chosen),
            key=lambda s: min(abs(s.at - c.at) for c in chosen),
        )
        chosen.append(gap)
    return [s.at for s in chosen]


def _stillest(cluster: list[_Seen]) -> _Seen:
    """The frame that changes least; of equals the one nearest to the cluster's middle in time."""
    middle = cluster[len(cluster) // 2].at
    return min(cluster, key=lambda s: (round(s.change, 4), abs(s.at - middle)))
